//! What an owner must not lose between commit and reveal.

mod file;
mod text;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use soma_proto::{
    Address, CheckpointDigest, Commitment, DecryptionKey, ObjectId, SignedTransaction,
    TransactionDigest, WeightsUrl,
};

pub use self::file::{StateFile, StateFolder};
use crate::{CommitPlan, Measured, NewIds, ObjectName, RevealOf, RevealPlan, UpdatePlan, new_ids};

/// The state of one model's registration and of its updates.
///
/// The format is described in `docs/state-file.md`. Where the registration
/// stands is not a field: it follows from what is recorded and from the chain,
/// so a file can never claim what did not happen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// The name and the version of the format.
    format: text::Format,
    /// The model.
    pub model_id: ObjectId,
    /// Its pool.
    pub staking_pool_id: ObjectId,
    /// When it was prepared, milliseconds since 1970.
    pub prepared_at_ms: u64,
    /// The chain it is for; known from the commit on.
    pub chain_id: Option<CheckpointDigest>,
    /// Who commits; known from the commit on.
    pub owner: Option<Address>,
    /// The first weights.
    pub registration: Round,
    /// Stake and commission; known from the commit on.
    pub terms: Option<Terms>,
    /// New weights under way.
    pub update: Option<Round>,
    /// Updates that are over: what must not be used again.
    #[serde(default)]
    pub spent: Vec<Spent>,
    /// A coin set aside for the fee of reveals, so that no other payment can
    /// come between commit and reveal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gas_coin: Option<ObjectId>,
}

/// One set of weights on its way through commit and reveal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Round {
    /// The plain weights.
    pub weights_file: PathBuf,
    /// When they were last written, before they were encrypted: nanoseconds since
    /// 1970, if it is known. Of weights that are encrypted on their way the upload
    /// says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plain_modified: Option<u64>,
    /// The encrypted weights; empty if they are at the store only.
    pub sealed_file: PathBuf,
    /// When those were written, nanoseconds since 1970, if it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sealed_modified: Option<u64>,
    /// Where the encrypted weights are served, in normal form.
    pub weights_url: WeightsUrl,
    /// The AES-256 key.
    #[serde(with = "text::key")]
    pub decryption_key: DecryptionKey,
    /// Hash and size of the encrypted weights; absent until they are complete.
    #[serde(with = "text::measured")]
    pub sealed: Option<Measured>,
    /// The vector that training gave, bit for bit.
    #[serde(with = "text::floats")]
    pub embedding: Option<Vec<f32>>,
    /// The upload, of weights that are encrypted on their way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upload: Option<Upload>,
    /// The commit, from before it was first sent.
    pub commit: Option<Sent>,
    /// The reveal, from before it was first sent.
    pub reveal: Option<Sent>,
}

/// Weights that are encrypted on their way to a store.
///
/// Size and time are those of the plain weights when the key was made: it must
/// never encrypt any others.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Upload {
    /// Where they go, without what may be secret.
    pub destination: String,
    /// The object's name there, unless the destination is an object itself.
    pub object: ObjectName,
    /// Bytes.
    pub plain_size: u64,
    /// Nanoseconds since 1970, if the file system tells.
    pub plain_modified: Option<u64>,
    /// Whether any of it may have left this machine.
    pub begun: bool,
    /// How far it has come; absent before the first part and after the last.
    pub record: Option<soma_storage::Record>,
}

/// What a first commit puts at stake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Terms {
    /// Shannons.
    pub stake_amount: u64,
    /// Basis points.
    pub commission_rate: u64,
}

/// A transaction that was signed, and what became of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sent {
    /// Its digest.
    pub digest: Option<TransactionDigest>,
    /// The very bytes: whatever happens, these are sent again and no others.
    /// Absent if the chain showed that the step was taken by other means.
    #[serde(with = "text::transaction")]
    pub transaction: Option<SignedTransaction>,
    /// The epoch in which it succeeded, read from its effects or from the
    /// model; absent as long as that is not known.
    pub epoch: Option<u64>,
}

impl Sent {
    /// A transaction that nobody has sent yet.
    pub fn unsent(transaction: &SignedTransaction) -> Self {
        Self {
            digest: Some(transaction.digest()),
            transaction: Some(transaction.clone()),
            epoch: None,
        }
    }

    /// A step that the chain shows as taken in `epoch`.
    pub const fn found(epoch: u64) -> Self {
        Self { digest: None, transaction: None, epoch: Some(epoch) }
    }
}

/// Weights that are over. The key is public or was never used; its
/// fingerprint tells whether somebody tries to use it again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spent {
    /// [`Key::fingerprint`](soma_crypto::Key::fingerprint).
    pub key_fingerprint: String,
    /// Of the encrypted weights.
    pub weights_commitment: Option<Commitment>,
    /// Where they were served, if they were revealed: everybody fetches them from
    /// there until later ones are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weights_url: Option<WeightsUrl>,
}

/// How far a round has come by its own record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Stage {
    /// The key exists, the encrypted weights do not.
    Unsealed,
    /// Ready to be committed.
    Prepared,
    /// A commit is signed; it may have been sent.
    CommitSigned,
    /// The commit was executed.
    Committed,
    /// A reveal is signed; it may have been sent.
    RevealSigned,
    /// The reveal was executed.
    Revealed,
}

impl Stage {
    /// The words for people.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unsealed => "not encrypted yet",
            Self::Prepared => "prepared",
            Self::CommitSigned => "commit under way",
            Self::Committed => "committed",
            Self::RevealSigned => "reveal under way",
            Self::Revealed => "revealed",
        }
    }
}

impl Round {
    /// How far it has come.
    pub const fn stage(&self) -> Stage {
        match (&self.sealed, &self.commit, &self.reveal) {
            (None, ..) => Stage::Unsealed,
            (Some(_), None, _) => Stage::Prepared,
            (Some(_), Some(Sent { epoch: None, .. }), _) => Stage::CommitSigned,
            (Some(_), Some(_), None) => Stage::Committed,
            (Some(_), Some(_), Some(Sent { epoch: None, .. })) => Stage::RevealSigned,
            (Some(_), Some(_), Some(_)) => Stage::Revealed,
        }
    }

    /// When the plain weights were last written, before they were encrypted.
    pub(crate) fn plain_modified(&self) -> Option<u64> {
        self.upload.as_ref().map_or(self.plain_modified, |upload| upload.plain_modified)
    }

    /// What is left of it when it is over.
    pub fn spent(&self) -> Spent {
        let key = soma_crypto::Key::from_bytes(*self.decryption_key.as_bytes());
        Spent {
            key_fingerprint: key.fingerprint(),
            weights_commitment: self.sealed.map(|sealed| sealed.commitment),
            weights_url: (self.stage() == Stage::Revealed).then(|| self.weights_url.clone()),
        }
    }
}

impl State {
    /// A model that is about to be prepared, under fresh ids.
    pub fn new(registration: Round, prepared_at_ms: u64) -> Self {
        let NewIds { model_id, staking_pool_id } = new_ids();
        Self {
            format: text::Format,
            model_id,
            staking_pool_id,
            prepared_at_ms,
            chain_id: None,
            owner: None,
            registration,
            terms: None,
            update: None,
            spent: Vec::new(),
            gas_coin: None,
        }
    }

    /// Puts the embedding of a round on file, until it is revealed.
    ///
    /// A reveal that was signed with another one is dropped: sent as it is, it
    /// would publish the vector that this one replaces.
    pub fn set_embedding(&mut self, of: RevealOf, numbers: Vec<f32>) {
        let Some(round) = self.round_mut(of) else { return };
        let bits = |numbers: &[f32]| numbers.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
        let is_new = round.embedding.as_deref().map(bits) != Some(bits(&numbers));
        match round.stage() {
            Stage::Revealed => return,
            Stage::RevealSigned if is_new => round.reveal = None,
            _ => {}
        }
        round.embedding = Some(numbers);
    }

    /// The ids.
    pub const fn ids(&self) -> NewIds {
        NewIds { model_id: self.model_id, staking_pool_id: self.staking_pool_id }
    }

    /// The round that is under way: the update, if the registration is over.
    pub const fn current(&self) -> (RevealOf, &Round) {
        match &self.update {
            Some(update) => (RevealOf::Update, update),
            None => (RevealOf::Registration, &self.registration),
        }
    }

    /// The round of a kind.
    pub const fn round(&self, of: RevealOf) -> Option<&Round> {
        match of {
            RevealOf::Registration => Some(&self.registration),
            RevealOf::Update => self.update.as_ref(),
        }
    }

    /// The round of a kind, to be changed.
    pub const fn round_mut(&mut self, of: RevealOf) -> Option<&mut Round> {
        match of {
            RevealOf::Registration => Some(&mut self.registration),
            RevealOf::Update => self.update.as_mut(),
        }
    }

    /// The commit of the registration, once the weights are sealed.
    pub fn commit_plan(&self, terms: Terms) -> Option<CommitPlan> {
        let sealed = self.registration.sealed?;
        let url = self.registration.weights_url.commitment();
        let plan = CommitPlan::new(url, sealed.commitment, terms.stake_amount)
            .with_model_id(self.model_id)
            .with_staking_pool_id(self.staking_pool_id)
            .with_commission_rate(terms.commission_rate);
        Some(plan)
    }

    /// The commit of the update, once the weights are sealed.
    pub fn update_plan(&self) -> Option<UpdatePlan> {
        let update = self.update.as_ref()?;
        Some(UpdatePlan {
            model_id: self.model_id,
            weights_url_commitment: update.weights_url.commitment(),
            weights_commitment: update.sealed?.commitment,
        })
    }

    /// The reveal of a round; without an embedding on file its own is empty,
    /// which no check lets through.
    pub fn reveal_plan(&self, of: RevealOf) -> Option<RevealPlan> {
        let round = self.round(of)?;
        let mut plan = RevealPlan::new(
            self.model_id,
            round.weights_url.clone().into(),
            round.sealed?,
            round.decryption_key.clone(),
            round.embedding.clone().unwrap_or_default(),
        );
        plan.committed_in = round.commit.as_ref().and_then(|commit| commit.epoch);
        Some(match of {
            RevealOf::Registration => plan,
            RevealOf::Update => plan.of_update(),
        })
    }
}
