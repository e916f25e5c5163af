//! Weights that are encrypted on their way to a store, in one pass.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use soma_crypto::{InputFile, Key};
use soma_proto::system_state::ModelStatus;
use soma_proto::{
    Address, CheckpointDigest, Commitment, DecryptionKey, KeyPair, ObjectId, WeightsUrl,
};
use soma_rpc::Client;
use soma_storage::{
    Destination, JournalError, Progress, Record, Source, Store, UploadOptions, Uploaded, Url,
    redacted,
};

use crate::network::now_ms;
use crate::prepare::{absolute, inspect, nanoseconds};
use crate::state::{Round, State, StateFile, StateFolder, Terms, Upload};
use crate::{
    Check, CommitPlan, Done, Error, Event, Finding, Measured, ObjectName, Report, Result, RevealOf,
    Scope, Session, Stage, Standing, TypedUrl, UpdatePlan, close_update, companion, embedding,
    weights_key,
};

/// What is surely another one of weights that are others.
const SIZE: &str = "size";

/// What is to be published, and where.
///
/// Everything that must not be lost goes to a state file before it counts:
/// key, ids and URL before the first byte is sent, then how far the upload has
/// come. Interrupted anywhere, the same publication finds its state file again
/// and goes on.
#[derive(Debug)]
#[expect(clippy::exhaustive_structs, reason = "a list of arguments with names")]
pub struct Publication {
    /// The plain weights: a safetensors file.
    pub weights_file: PathBuf,
    /// Where the encrypted weights go.
    pub destination: Destination,
    /// The store at the destination.
    pub store: Store,
    /// The vector that training gave, if it is known already.
    pub embedding: Option<Vec<f32>>,
    /// How the upload uses memory and connections.
    pub options: UploadOptions,
    /// Whether strangers will fetch the weights.
    pub scope: Scope,
    /// What the key is derived from, with the object's name; without it, and
    /// for an object whose name is given, the key is drawn at random.
    pub wallet: Option<KeyPair>,
    /// Who is to own the model.
    pub owner: Address,
    /// The chain on which it is to be.
    pub chain_id: CheckpointDigest,
}

/// Whether a publication that was begun is to go on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "there is no third way")]
pub enum Begun {
    /// The newest of the same weights to the same destination goes on; one that is over
    /// stays as it is, and no stake is paid twice.
    #[default]
    Continue,
    /// It is left alone; a new model or new weights begin.
    Leave,
}

impl Publication {
    /// The state file of a new model with these weights: the one that was
    /// begun, or a new one in `folder`. Of two that are opened at the same time
    /// the second one finds what the first one began.
    ///
    /// # Errors
    /// [`Error::NotSafetensors`], [`Error::PathNotUtf8`], [`Error::Refused`] and
    /// [`Error::UrlTaken`] before anything is written; [`Error::WeightsChanged`] if what was begun
    /// was begun with other bytes; [`Error::AlreadyPublished`] as or before an update, with
    /// another embedding or for another owner; [`Error::File`], also if another process holds
    /// it.
    pub fn open(&self, folder: &StateFolder, begun: Begun) -> Result<StateFile> {
        let weights_file = absolute(&self.weights_file)?;
        if !folder.path().exists() {
            // Nothing was begun there, and what cannot be published makes no folder.
            self.round()?;
        }
        let _turn = folder.turn()?;
        let states = folder.read()?;
        if begun == Begun::Continue {
            for (path, state) in states.iter().rev() {
                let Ok(state) = state else { continue };
                if state.update.is_none() && self.is_of(&state.registration, &weights_file) {
                    let mut file = StateFile::open(path)?;
                    self.take_up(&mut file, RevealOf::Registration, states)?;
                    return Ok(file);
                }
            }
            if let Some(path) = self.published(&states, &weights_file)? {
                return StateFile::open(path);
            }
        }
        self.check_place(states)?;
        let state = State::new(self.round()?, now_ms());
        StateFile::create(&folder.path_of(&state.model_id), state)
    }

    /// The state file of `model` with these weights as its update. One that the
    /// chain shows to be over is closed before, see [`close_update`].
    ///
    /// # Errors
    /// [`Error::NotPrepared`] if there is no state file of the model,
    /// [`Error::Stage`] while other weights of it are on their way; as
    /// [`Publication::open`] and [`close_update`].
    pub async fn open_update(
        &self,
        client: &Client,
        folder: &StateFolder,
        model: ObjectId,
        begun: Begun,
    ) -> Result<StateFile> {
        let weights_file = absolute(&self.weights_file)?;
        let path = folder.path_of(&model);
        if !path.exists() {
            return Err(Error::NotPrepared { model, folder: folder.path().to_owned() });
        }
        let mut file = StateFile::open(&path)?;
        close_update(client, &mut file).await?;
        let update = file.state.update.as_ref().filter(|_| begun == Begun::Continue);
        // Weights that may be others are others here: no stake is paid for an update.
        if update.is_some_and(|it| matches!(self.is_published(it, &weights_file), Ok(true))) {
            return Ok(file);
        }
        if update.is_some_and(|round| self.is_of(round, &weights_file)) {
            self.take_up(&mut file, RevealOf::Update, folder.read()?)?;
        } else {
            file.state
                .update
                .as_ref()
                .map_or(Ok(()), |update| replaceable(update, begun, model))?;
            self.check_place(folder.read()?)?;
            file.begin_update(self.round()?)?;
        }
        Ok(file)
    }

    /// Encrypts, hashes and uploads in one pass, or what is missing of it. At
    /// the end the state file has the commitment, and if the key is one of the
    /// wallet the state is beside the object, encrypted, as the object's
    /// [companion]. Of the upload nothing, if that was done before.
    ///
    /// The file is held, and changed, for as long as it takes; it comes back
    /// with the result.
    ///
    /// # Errors
    /// [`Error::Storage`], [`Error::WeightsChanged`], [`Error::File`].
    pub async fn upload(
        &self,
        file: StateFile,
        of: RevealOf,
        progress: impl FnMut(Progress) + Send,
    ) -> Result<(StateFile, Option<Uploaded>)> {
        let (file, sent) = match round(&file, of)?.stage() {
            Stage::Unsealed => {
                let (file, sent) = self.send(file, of, progress).await?;
                (file, Some(sent))
            }
            _ => (file, None),
        };
        match round(&file, of)?.stage() {
            Stage::Prepared => self.put_companion(&file, of).await?,
            // It may have another embedding by now. That it could not be written must
            // not stop a reveal; the rehearsal tells of a companion that is not right.
            Stage::CommitSigned | Stage::Committed | Stage::RevealSigned => {
                drop(self.put_companion(&file, of).await);
            }
            Stage::Unsealed | Stage::Revealed => {}
        }
        Ok((file, sent))
    }

    async fn send(
        &self,
        mut file: StateFile,
        of: RevealOf,
        progress: impl FnMut(Progress) + Send,
    ) -> Result<(StateFile, Uploaded)> {
        let round = round(&file, of)?;
        let (input, upload) = self.input(round)?;
        let source = Source::sealed(input, &Key::from_bytes(*round.decryption_key.as_bytes()));
        let (name, record) = (upload.object, upload.record.clone());
        file.update(|state| {
            if let Some(upload) = state.round_mut(of).and_then(|round| round.upload.as_mut()) {
                upload.begun = true;
            }
        })?;

        let file_of_journal = Arc::new(Mutex::new(Some(file)));
        let held = Arc::clone(&file_of_journal);
        let journal = Box::new(move |record: &Record| -> Result<(), JournalError> {
            let mut held = held.lock().unwrap_or_else(PoisonError::into_inner);
            let file = held.as_mut().ok_or("the state file is closed")?;
            let upload = |state: &mut State| {
                if let Some(upload) = state.round_mut(of).and_then(|round| round.upload.as_mut()) {
                    upload.record = Some(record.clone());
                }
            };
            file.update(upload).map_err(Into::into)
        });
        let sent = self.store.upload(&name, source, record, &self.options, journal, progress).await;
        let taken = file_of_journal.lock().unwrap_or_else(PoisonError::into_inner).take();
        file = taken.expect("only this function takes it");
        let sent = sent?;

        let commitment = Commitment::new(sent.digest.into_inner());
        file.update(|state| {
            let Some(round) = state.round_mut(of) else { return };
            round.sealed = Some(Measured { commitment, size: sent.length });
            if let Some(upload) = &mut round.upload {
                upload.record = None;
            }
        })?;
        Ok((file, sent))
    }

    /// Puts the state beside the object, so that wallet and store suffice to go
    /// on after this machine is lost.
    async fn put_companion(&self, file: &StateFile, of: RevealOf) -> Result<()> {
        let upload = round(file, of)?.upload.as_ref();
        // A destination that is one object has no room beside it.
        if let (Some(wallet), Some(upload)) = (&self.wallet, upload)
            && !self.destination.is_one_object()
            && let Some(bytes) = companion::seal(&file.state, wallet)?
        {
            self.store.put_beside(&upload.object, companion::SUFFIX, bytes).await?;
        }
        Ok(())
    }

    /// Takes back what [`Publication::open`] or [`Publication::open_update`] put
    /// on file, if nothing has left this machine since: for a commit that was
    /// foreseen to fail. An update that made room is on file again.
    ///
    /// # Errors
    /// [`Error::File`], [`Error::Io`].
    pub fn give_up(&self, mut file: StateFile, of: RevealOf) -> Result<()> {
        match (has_begun(round(&file, of)?), of) {
            (true, _) => Ok(()),
            (false, RevealOf::Registration) => file.discard(),
            (false, RevealOf::Update) => file.take_back_update(),
        }
    }

    /// The state file of a model whose first and only weights these are, on this chain.
    fn published<'s>(
        &self,
        states: &'s [(PathBuf, Result<State>)],
        weights_file: &Path,
    ) -> Result<Option<&'s Path>> {
        for (path, state) in states.iter().rev() {
            let Ok(state) = state else { continue };
            if state.chain_id.is_some_and(|chain| chain != self.chain_id) {
                continue;
            }
            let first = self.is_published(&state.registration, weights_file)?;
            let second = match &state.update {
                Some(update) => {
                    self.is_of(update, weights_file) || self.is_published(update, weights_file)?
                }
                None => false,
            };
            if !(first || second) {
                continue;
            }
            let same_embedding =
                self.embedding.is_none() || self.embedding == state.registration.embedding;
            if state.update.is_none() && state.owner == Some(self.owner) && same_embedding {
                return Ok(Some(path));
            }
            let (path, model) = (weights_file.to_owned(), state.model_id);
            return Err(Error::AlreadyPublished { path, model });
        }
        Ok(None)
    }

    /// Whether a round was begun by this publication and is not over.
    fn is_of(&self, round: &Round, weights_file: &Path) -> bool {
        round.stage() != Stage::Revealed && self.is_here(round, weights_file)
    }

    /// Whether a round was this publication, of the weights as they are now, and is over.
    ///
    /// # Errors
    /// [`Error::WeightsChanged`] if they may be the same and may be others.
    fn is_published(&self, round: &Round, weights_file: &Path) -> Result<bool> {
        if round.stage() != Stage::Revealed || !self.is_here(round, weights_file) {
            return Ok(false);
        }
        match self.input(round) {
            Ok(_) => Ok(true),
            Err(Error::WeightsChanged { what: SIZE, .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn is_here(&self, round: &Round, weights_file: &Path) -> bool {
        let destination = self.destination.to_string();
        round.upload.as_ref().is_some_and(|upload| upload.destination == destination)
            && round.weights_file == weights_file
    }

    /// Refuses a destination that is one object where that object holds weights
    /// which are committed to: whoever fetches those would get these. A state that
    /// cannot be read may be of such weights.
    fn check_place(&self, states: Vec<(PathBuf, Result<State>)>) -> Result<()> {
        let Some(target) = self.destination.object() else { return Ok(()) };
        let destination = self.destination.to_string();
        let places = [target, self.store.public_url(&ObjectName::random()?)];
        let is_here = |url: &WeightsUrl| places.iter().any(|it| is_same_place(it, url.as_url()));
        for (_, state) in states {
            let state = state?;
            let committed = |round: &&Round| round.stage() >= Stage::CommitSigned;
            let sent_here = |round: &Round| {
                round.upload.as_ref().is_some_and(|upload| upload.destination == destination)
            };
            let under_way = [Some(&state.registration), state.update.as_ref()];
            let rounds = under_way.into_iter().flatten().filter(committed);
            let taken = match &state.update {
                // It has taken the place of what was there before.
                Some(update) if update.stage() == Stage::Revealed => {
                    is_here(&update.weights_url) || sent_here(update)
                }
                _ => {
                    let before = state.spent.iter().rev().find_map(|it| it.weights_url.as_ref());
                    let is_live = |it: &&Round| before.is_none() || it.stage() != Stage::Revealed;
                    before.is_some_and(is_here)
                        || rounds
                            .filter(is_live)
                            .any(|it| is_here(&it.weights_url) || sent_here(it))
                }
            };
            if taken {
                return Err(Error::UrlTaken { url: redacted(&places[1]), model: state.model_id });
            }
        }
        Ok(())
    }

    /// Goes on with what was begun, if the weights are still the same.
    fn take_up(
        &self,
        file: &mut StateFile,
        of: RevealOf,
        states: Vec<(PathBuf, Result<State>)>,
    ) -> Result<()> {
        let round = round(file, of)?;
        let stage = round.stage();
        if stage == Stage::Unsealed {
            // Others may have come to the place since this was begun.
            self.check_place(states)?;
        }
        if !has_begun(round) {
            // Nothing was encrypted under its key, so it may as well be made anew.
            let anew = self.round()?;
            return file.update(|state| {
                if let Some(round) = state.round_mut(of) {
                    *round = anew;
                }
            });
        }
        let (_, upload) = self.input(round)?;
        let url = self.url(&upload.object)?;
        // Nobody has been told of the URL yet, so it may still be another one.
        let moves = stage == Stage::Unsealed && url != round.weights_url;
        let numbers = self.embedding.as_ref().filter(|_| round.embedding != self.embedding);
        if !moves && numbers.is_none() {
            return Ok(());
        }
        file.update(|state| {
            if let (true, Some(round)) = (moves, state.round_mut(of)) {
                round.weights_url = url;
            }
            if let Some(numbers) = numbers {
                state.set_embedding(of, numbers.clone());
            }
        })
    }

    /// A round with a fresh key and a fresh name, after a look at the weights
    /// and at the URL.
    fn round(&self) -> Result<Round> {
        let weights_file = absolute(&self.weights_file)?;
        inspect(&weights_file)?;
        let input = InputFile::open(&weights_file)?;
        let name = ObjectName::random()?;
        let weights_url = self.url(&name)?;
        let key = match &self.wallet {
            // A name that was given may have been used before.
            Some(wallet) if !self.destination.is_one_object() => weights_key(wallet, &name),
            _ => DecryptionKey::new(*Key::generate()?.as_bytes()),
        };
        Ok(Round {
            weights_file,
            plain_modified: None,
            sealed_modified: None,
            // There is none: it exists at the store only.
            sealed_file: PathBuf::new(),
            weights_url,
            decryption_key: key,
            sealed: None,
            embedding: self.embedding.clone(),
            upload: Some(Upload {
                destination: self.destination.to_string(),
                object: name,
                plain_size: input.len(),
                plain_modified: modified(&input),
                begun: false,
                record: None,
            }),
            commit: None,
            reveal: None,
        })
    }

    /// Where an object will be fetched; what cannot be fetched, or will not for
    /// long, is refused before anything is sent.
    fn url(&self, name: &ObjectName) -> Result<WeightsUrl> {
        let url = self.store.public_url(name);
        let url: TypedUrl = url.as_str().parse().map_err(|_| Error::PublicUrl)?;
        let report = url.check(self.scope);
        if report.is_ok() { Ok(url.normal().clone()) } else { Err(Error::Refused(report)) }
    }

    /// The weights, opened once; refused if they are not those of the round.
    fn input<'r>(&self, round: &'r Round) -> Result<(InputFile, &'r Upload)> {
        let upload = round.upload.as_ref().ok_or(Error::NotPublished)?;
        let input = InputFile::open(&round.weights_file)?;
        let what = if input.len() != upload.plain_size {
            SIZE
        } else if modified(&input) != upload.plain_modified {
            "modification time"
        } else {
            return Ok((input, upload));
        };
        Err(Error::WeightsChanged { path: round.weights_file.clone(), what })
    }
}

impl Session<'_> {
    async fn check_active(&self, model: ObjectId) -> Result<()> {
        match Standing::ask(self.client, &model).await?.status {
            ModelStatus::Inactive => Err(Error::Gone { model }),
            _ => Ok(()),
        }
    }

    /// The reveal of what was published: waited for if the caller `waits`, and found in
    /// any case where it stands already.
    ///
    /// # Errors
    /// As [`Session::reveal_when_open`].
    pub async fn reveal_published(
        &self,
        file: &mut StateFile,
        of: RevealOf,
        waits: bool,
        tell: impl FnMut(Event<'_>),
    ) -> Result<Option<Done>> {
        if !waits && round(file, of)?.stage() != Stage::Revealed {
            return Ok(None);
        }
        self.reveal_when_open(file, of, tell).await.map(Some)
    }

    /// Looks whether a commit could succeed, before anything large is sent:
    /// terms, coins, ids, embedding, chain and owner. Where everything is done
    /// already, whether the model is still active.
    ///
    /// # Errors
    /// [`Error::Refused`] with all that is wrong, [`Error::Gone`], [`Error::Rpc`].
    pub async fn foresee_commit(
        &self,
        file: &mut StateFile,
        of: RevealOf,
        terms: Terms,
    ) -> Result<()> {
        self.check_chain(file).await?;
        let gas = self.commit_gas(file)?;
        let round = round(file, of)?;
        match round.stage() {
            Stage::Unsealed => {}
            Stage::Revealed => return self.check_active(file.state.model_id).await,
            _ => return Ok(()),
        }
        let (sender, url) = (self.key.address(), round.weights_url.commitment());
        // The hash of the ciphertext is not known yet, and no check looks at it.
        let unknown = Commitment::of("");
        let mut prepared = match of {
            RevealOf::Registration => {
                CommitPlan::new(url, unknown, terms.stake_amount)
                    .with_model_id(file.state.model_id)
                    .with_staking_pool_id(file.state.staking_pool_id)
                    .with_commission_rate(terms.commission_rate)
                    .prepare(self.client, sender, &gas)
                    .await?
            }
            RevealOf::Update => {
                let plan = UpdatePlan {
                    model_id: file.state.model_id,
                    weights_url_commitment: url,
                    weights_commitment: unknown,
                };
                let mut prepared = plan.prepare(self.client, sender, &gas).await?;
                let taken = self.check_active_url(file, round).await?;
                prepared.report.extend(Report::from_iter(taken));
                prepared
            }
        };
        if let Some(numbers) = &round.embedding {
            let dim = prepared.network.parameters.target_embedding_dim;
            prepared.report.extend(embedding::check(numbers, dim));
        }
        prepared.checked().map(drop)
    }

    /// Refuses to write over the weights that everybody fetches now.
    async fn check_active_url(&self, file: &StateFile, round: &Round) -> Result<Option<Finding>> {
        let model = self.client.model(&file.state.model_id).await?.map(Standing::from);
        let active = model.and_then(|standing| standing.model.weights_manifest);
        let url = round.weights_url.as_url();
        let taken = active.is_some_and(|shown| is_same_place(shown.manifest.url().as_url(), url));
        Ok(taken.then(|| {
            Finding::error(Check::Url, "the model's present weights are at this URL")
                .with_remedy("give the URL of another object, or of a folder")
        }))
    }
}

/// An update that is uploaded, or on its way, has a key that is nowhere else: it is
/// given up only where that is asked for.
fn replaceable(update: &Round, begun: Begun, model: ObjectId) -> Result<()> {
    let stage = update.stage();
    if begun == Begun::Leave || stage == Stage::Revealed || !has_begun(update) {
        return Ok(());
    }
    let what = "cannot publish other weights before the update that is prepared, unless it is \
                given up with --new";
    Err(Error::Stage { what, model, stage })
}

/// Whether anything under the key of a round may have left this machine.
fn has_begun(round: &Round) -> bool {
    round.sealed.is_some() || round.upload.as_ref().is_none_or(|upload| upload.begun)
}

/// Whether two URLs lead to the same object, whatever comes after `?` or `#`.
fn is_same_place(one: &Url, other: &Url) -> bool {
    one.scheme() == other.scheme()
        && one.host() == other.host()
        && one.port_or_known_default() == other.port_or_known_default()
        && one.path() == other.path()
}

fn round(file: &StateFile, of: RevealOf) -> Result<&Round> {
    file.state.round(of).ok_or(Error::NoUpdate { model: file.state.model_id })
}

/// When a file was last written, nanoseconds since 1970.
fn modified(file: &InputFile) -> Option<u64> {
    file.modified().and_then(nanoseconds)
}
