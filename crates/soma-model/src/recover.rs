//! Finding a model again after its state was lost: with the wallet's phrase
//! and the host of the weights alone.

use std::path::PathBuf;

use soma_proto::system_state::ModelStatus;
use soma_proto::{Address, DecryptionKey, KeyPair};
use soma_rpc::{Client, ModelFilter};
use soma_storage::{Storage, redacted};

use crate::network::now_ms;
use crate::state::{Round, Sent, State, StateFile, StateFolder};
use crate::{
    Check, Error, Finding, Measured, ObjectName, Report, Result, RevealOf, Stage, Standing,
    TypedUrl, companion, remote, weights_key,
};

/// What a recovery works with.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_structs, reason = "a list of arguments with names")]
pub struct Recovery<'a> {
    /// The node.
    pub client: &'a Client,
    /// Fetches from the host of the weights.
    pub storage: &'a Storage,
    /// The keys of the wallet; the first one that fits is taken.
    pub keys: Vec<&'a KeyPair>,
    /// Where the state file is written.
    pub folder: &'a StateFolder,
    /// The vector that training gave, in case that it is not on file.
    pub embedding: Option<Vec<f32>>,
}

/// A model that was found again.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Recovered {
    /// The new state file.
    pub path: PathBuf,
    /// What it holds.
    pub state: State,
    /// Whose model it is.
    pub owner: Address,
    /// What waits for its reveal, if anything does.
    pub of: Option<RevealOf>,
    /// What is not as it should be.
    pub report: Report,
}

/// The object and what was found out about it.
struct Found<'a> {
    owner: &'a KeyPair,
    key: DecryptionKey,
    measured: Measured,
    companion: Option<State>,
}

impl Recovery<'_> {
    /// Finds the key of the object at `url`, the model that is committed to
    /// it, and everything else; writes it to a state file with which
    /// [`Session`](crate::Session) goes on.
    ///
    /// The key counts as found only if the object opens with it as safetensors;
    /// the model, if it is committed to the very hashes of URL and object. The
    /// ids and the embedding come from the object's [companion], or the ids
    /// from the chain and the embedding from `embedding`.
    ///
    /// # Errors
    /// [`Error::NotRecoverable`], [`Error::Storage`], [`Error::Rpc`];
    /// [`Error::File`] if the model has a state file already: it stays as it
    /// is.
    pub async fn run(&self, url: &TypedUrl) -> Result<Recovered> {
        let found = self.find(url).await?;
        let owner = found.owner.address();
        let mut report = Report::default();
        let standing = self.model(url, &found).await?;
        let of = standing.as_ref().and_then(|(_, of)| *of);
        let mut state = match (found.companion.clone(), &standing) {
            (Some(state), Some(_)) => state,
            (Some(state), None) => {
                report.push(not_committed(&state));
                state
            }
            (None, Some((standing, of))) => of_chain(url, &found, standing, *of)?,
            (None, None) => {
                report.push(
                    Finding::warning(
                        Check::ModelId,
                        "no model of this wallet is committed to these weights; they have new ids",
                    )
                    .with_remedy("soma model commit --prepared commits to them"),
                );
                State::new(round(url, &found), now_ms())
            }
        };
        // Which chain it is for is known once it is found on one; until then the
        // first commit decides, or has decided.
        if let Some((standing, of)) = &standing {
            state.owner = Some(owner);
            state.chain_id = Some(self.client.chain_id().await?);
            take_steps(&mut state, standing, *of);
        }
        let current = state.current().0;
        let round = state.round_mut(current).expect("the current round is there");
        if self.embedding.is_some() {
            round.embedding.clone_from(&self.embedding);
        }
        if round.embedding.is_none() {
            report.push(
                Finding::warning(Check::Embedding, "the embedding is neither on file nor given")
                    .with_remedy("the reveal needs it: pass --embedding-file to it"),
            );
        }
        let path = self.folder.path_of(&state.model_id);
        let file = StateFile::create(&path, state)?;
        Ok(Recovered { path, state: file.state.clone(), owner, of, report })
    }

    /// The key and the hash of the object, and its companion.
    async fn find(&self, url: &TypedUrl) -> Result<Found<'_>> {
        let address = url.normal().as_url();
        let fail = |reason: String| Error::NotRecoverable { url: redacted(address), reason };
        let name = ObjectName::of_url(url.normal().as_url()).ok_or_else(|| {
            fail("only the key of an object whose name is 64 hex digits can be derived".to_owned())
        })?;
        let probe = self.storage.check(address, None).await?;
        let size =
            probe.length.ok_or_else(|| fail("the host does not tell its size".to_owned()))?;
        let keys: Vec<_> = self.keys.iter().map(|wallet| weights_key(wallet, &name)).collect();
        let place = remote::which_opens(self.storage, address, size, &keys).await?;
        let place = place.ok_or_else(|| {
            fail(format!("none of the {} keys of this wallet opens it", keys.len()))
        })?;
        let (owner, key) = (self.keys[place], keys[place].clone());
        let commitment = remote::hash(self.storage, address, size).await?;
        let measured = Measured { commitment, size };
        let companion = companion::fetch(self.storage, address, &name, owner).await?;
        // It comes from a host: only what fits the object itself is believed.
        let companion = companion.filter(|state| {
            let round = state.current().1;
            round.weights_url == *url.normal()
                && round.decryption_key == key
                && round.sealed == Some(measured)
        });
        Ok(Found { owner, key, measured, companion })
    }

    /// The model that is committed to the object, and what of it waits for a
    /// reveal.
    async fn model(
        &self,
        url: &TypedUrl,
        found: &Found<'_>,
    ) -> Result<Option<(Standing, Option<RevealOf>)>> {
        let hashes = (url.normal().commitment(), found.measured.commitment);
        let fits = |standing: &Standing| {
            let model = &standing.model;
            if let Some(update) = &model.pending_update
                && (update.weights_url_commitment, update.weights_commitment) == hashes
            {
                return Some(Some(RevealOf::Update));
            }
            if (model.weights_url_commitment, model.weights_commitment) != hashes {
                return None;
            }
            let waits = standing.status == ModelStatus::Committed;
            Some(waits.then_some(RevealOf::Registration))
        };
        let owner = found.owner.address();
        let mut ids: Vec<_> = found.companion.iter().map(|state| state.model_id).collect();
        if ids.is_empty() {
            let filter = ModelFilter { owner: Some(owner), status: None };
            ids.extend(self.client.models(&filter).await?.iter().map(|model| model.id));
        }
        for id in ids {
            let Some(standing) = self.client.model(&id).await?.map(Standing::from) else {
                continue;
            };
            if standing.model.owner == owner
                && let Some(of) = fits(&standing)
            {
                return Ok(Some((standing, of)));
            }
        }
        Ok(None)
    }
}

/// What is to be done with a state that the chain shows nothing of.
fn not_committed(state: &State) -> Finding {
    let (of, round) = state.current();
    let command = match of {
        RevealOf::Registration => "soma model commit --prepared",
        RevealOf::Update => "soma model update-commit --prepared",
    };
    let (message, remedy) = match round.stage() {
        Stage::Committed | Stage::RevealSigned | Stage::Revealed => (
            "the state beside the object says that they were committed to, but this chain shows \
             no commit of them: it is another chain, or the model has gone on to other weights",
            "choose the network it was committed on with soma env, or see soma model info"
                .to_owned(),
        ),
        Stage::CommitSigned => (
            "a commit to these weights was signed, and this chain shows none",
            format!("{command} finds out what became of it"),
        ),
        _ => (
            "nobody has committed to these weights yet on this chain",
            format!("{command} commits to them"),
        ),
    };
    Finding::warning(Check::Status, message).with_remedy(remedy)
}

/// The round of the object; paths on a machine that is lost are none.
fn round(url: &TypedUrl, found: &Found<'_>) -> Round {
    Round {
        weights_file: PathBuf::new(),
        plain_modified: None,
        sealed_modified: None,
        sealed_file: PathBuf::new(),
        weights_url: url.normal().clone(),
        decryption_key: found.key.clone(),
        sealed: Some(found.measured),
        embedding: None,
        upload: None,
        commit: None,
        reveal: None,
    }
}

/// A state from what the chain tells of a model.
fn of_chain(
    url: &TypedUrl,
    found: &Found<'_>,
    standing: &Standing,
    of: Option<RevealOf>,
) -> Result<State> {
    let model = &standing.model;
    let round = round(url, found);
    let revealed = model.weights_manifest.as_ref().map(|weights| Round {
        weights_url: weights.manifest.url().clone(),
        decryption_key: weights.decryption_key.clone(),
        sealed: Some(Measured {
            commitment: model.weights_commitment,
            size: weights.manifest.size(),
        }),
        embedding: model.embedding.as_ref().map(|embedding| embedding.to_vec()),
        ..round.clone()
    });
    let mut state = State::new(round.clone(), now_ms());
    state.model_id = standing.id;
    state.staking_pool_id = model.staking_pool.id;
    if of == Some(RevealOf::Update) {
        state.registration = revealed.ok_or_else(|| Error::NotRecoverable {
            url: redacted(url.normal().as_url()),
            reason: "its model has an update and no weights".to_owned(),
        })?;
        state.spent = vec![state.registration.spent()];
        state.update = Some(round);
    }
    Ok(state)
}

/// Records the steps that the chain shows as taken.
fn take_steps(state: &mut State, standing: &Standing, of: Option<RevealOf>) {
    let model = &standing.model;
    let first = model.commit_epoch;
    let registration = &mut state.registration;
    registration.commit.get_or_insert(Sent::found(first)).epoch.get_or_insert(first);
    if standing.status == ModelStatus::Active {
        // A reveal is legal in the epoch after the commit, and in no other.
        let epoch = first.saturating_add(1);
        registration.reveal.get_or_insert(Sent::found(epoch)).epoch.get_or_insert(epoch);
    }
    let Some(round) = &mut state.update else { return };
    match (of, model.pending_update) {
        (Some(RevealOf::Update), Some(update)) => {
            let epoch = update.commit_epoch;
            round.commit.get_or_insert(Sent::found(epoch)).epoch.get_or_insert(epoch);
        }
        // The model has these weights already; when it got them is not told.
        (None, _) if standing.status == ModelStatus::Active => {
            let epoch = standing.clock.epoch;
            round.commit.get_or_insert(Sent::found(epoch)).epoch.get_or_insert(epoch);
            round.reveal.get_or_insert(Sent::found(epoch)).epoch.get_or_insert(epoch);
        }
        _ => {}
    }
}
