//! The tables of the database and the shapes of their rows.
//!
//! `docs/localnet-store.md` draws them. Integers in keys sort by value, ids by
//! their bytes; values are BCS unless a type says otherwise.

use redb::TableDefinition;
use serde::{Deserialize, Serialize};
use soma_proto::checkpoint::{CertifiedCheckpointSummary, CheckpointContents};
use soma_proto::committee::Committee;
use soma_proto::effects::TransactionEffects;
use soma_proto::system_state::{ModelStatus, SystemStateV1};
use soma_proto::{
    Address, Digest, ObjectDigest, ObjectId, ObjectType, SignedTransaction, TransactionDigest,
};

/// Version of everything below. Raised when an old file could be misread.
pub(super) const FORMAT_VERSION: u32 = 1;

/// One row each: see the constants in [`meta`].
pub(super) const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");
/// Digest to [`StoredTransaction`].
pub(super) const TRANSACTIONS: TableDefinition<'_, &[u8; 32], &[u8]> =
    TableDefinition::new("transactions");
/// Id to the object as it is now. Without the system state.
pub(super) const OBJECTS: TableDefinition<'_, &[u8; 32], &[u8]> = TableDefinition::new("objects");
/// Id and version to an object as it was, deleted ones included.
pub(super) const PAST_OBJECTS: TableDefinition<'_, (&[u8; 32], u64), &[u8]> =
    TableDefinition::new("past_objects");
/// What an address owns, in listing order: see [`OwnedKey`].
pub(super) const OWNED: TableDefinition<'_, &[u8; 73], ()> = TableDefinition::new("owned");
/// Height to [`StoredCheckpoint`].
pub(super) const CHECKPOINTS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("checkpoints");
/// Digest of a summary to its height.
pub(super) const HEIGHTS: TableDefinition<'_, &[u8; 32], u64> = TableDefinition::new("heights");
/// Epoch to [`EpochRow`].
pub(super) const EPOCHS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("epochs");
/// Epoch to the whole system state at its start, for the newest few.
pub(super) const EPOCH_STATES: TableDefinition<'_, u64, &[u8]> =
    TableDefinition::new("epoch_states");
/// Id to a model without its embedding.
pub(super) const MODELS: TableDefinition<'_, &[u8; 32], &[u8]> = TableDefinition::new("models");
/// Id to the embedding of a model; written only by a reveal.
pub(super) const EMBEDDINGS: TableDefinition<'_, &[u8; 32], &[u8]> =
    TableDefinition::new("embeddings");
/// State of a model (see [`model_state`]), then its id.
pub(super) const MODEL_LIST: TableDefinition<'_, &[u8; 33], ()> =
    TableDefinition::new("model_list");
/// Owner, state, id.
pub(super) const MODEL_OWNERS: TableDefinition<'_, &[u8; 65], ()> =
    TableDefinition::new("model_owners");
/// Staking pool of a model to the model.
pub(super) const MODEL_POOLS: TableDefinition<'_, &[u8; 32], &[u8; 32]> =
    TableDefinition::new("model_pools");

/// Keys of [`META`].
pub(super) mod meta {
    /// [`FORMAT_VERSION`], little-endian.
    ///
    /// [`FORMAT_VERSION`]: super::FORMAT_VERSION
    pub(in super::super) const FORMAT: &str = "format";
    /// [`ChainRow`](super::ChainRow).
    pub(in super::super) const CHAIN: &str = "chain";
    /// [`StateRow`](super::StateRow).
    pub(in super::super) const STATE: &str = "system_state";
    /// What the ledger carries from one transaction to the next beside objects.
    pub(in super::super) const LEDGER: &str = "ledger";
}

/// The byte that stands for a model's state in keys: the order of listings.
pub(super) const fn model_state(status: ModelStatus) -> u8 {
    match status {
        ModelStatus::Active => 0,
        ModelStatus::Committed => 1,
        _ => 2,
    }
}

/// A key of [`MODEL_LIST`].
pub(super) fn listed_model(state: u8, id: &ObjectId) -> [u8; 33] {
    let mut key = [state; 33];
    key[1..].copy_from_slice(id.as_bytes());
    key
}

/// A key of [`MODEL_OWNERS`].
pub(super) fn owned_model(owner: &Address, state: u8, id: &ObjectId) -> [u8; 65] {
    let mut key = [state; 65];
    key[..32].copy_from_slice(owner.as_bytes());
    key[33..].copy_from_slice(id.as_bytes());
    key
}

/// What never changes after genesis.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ChainRow {
    /// Digest of checkpoint 0.
    pub(crate) chain_id: Digest,
    /// The keys of the validators and of the faucet come from it.
    pub(crate) seed: [u8; 32],
    /// How many validators there are.
    pub(crate) committee_size: u32,
    /// Whether the faucet account was given money.
    pub(crate) faucet: bool,
}

/// The system state object, with the model maps and embeddings in tables of
/// their own.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct StateRow {
    /// Version of the object.
    pub(crate) version: u64,
    /// Digest of the whole object.
    pub(crate) digest: ObjectDigest,
    /// The transaction that wrote it.
    pub(crate) previous_transaction: TransactionDigest,
    /// The state; the four model maps in it are empty.
    pub(crate) skeleton: SystemStateV1,
}

/// A transaction and all that is known of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StoredTransaction {
    /// What was sent.
    pub(crate) signed: SignedTransaction,
    /// What it did.
    pub(crate) effects: TransactionEffects,
    /// Types of the objects in the change list, in the same order.
    pub(crate) object_types: Vec<ObjectType>,
    /// Net change in shannons of each address touched, by address.
    pub(crate) balance_changes: Vec<(Address, i128)>,
    /// The checkpoint it is in.
    pub(crate) checkpoint: u64,
    /// Milliseconds since 1970, of that checkpoint.
    pub(crate) timestamp_ms: u64,
}

/// A checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StoredCheckpoint {
    /// Header and signature.
    pub(crate) certified: CertifiedCheckpointSummary,
    /// Its transactions.
    pub(crate) contents: CheckpointContents,
}

/// An epoch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct EpochRow {
    /// Milliseconds since 1970.
    pub(crate) start_ms: u64,
    /// Milliseconds since 1970; absent while it runs.
    pub(crate) end_ms: Option<u64>,
    /// Height of its first checkpoint.
    pub(crate) first_checkpoint: u64,
    /// Height of its last checkpoint; absent while it runs.
    pub(crate) last_checkpoint: Option<u64>,
    /// Who signs its checkpoints.
    pub(crate) committee: Committee,
}

/// A key of [`OWNED`]: owner, type, inverted balance, id.
///
/// Types come in the order of their numbers and coins by falling balance, ties
/// by id, because clients pay with the first coin they are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct OwnedKey(pub(crate) [u8; 73]);

impl OwnedKey {
    /// The key of an object; `balance` is 0 for anything but coins.
    pub(crate) fn new(owner: &Address, ty: ObjectType, balance: u64, id: &ObjectId) -> Self {
        let mut key = [0; 73];
        key[..32].copy_from_slice(owner.as_bytes());
        key[32] = ty as u8;
        let inverted = if ty == ObjectType::Coin { u64::MAX - balance } else { 0 };
        key[33..41].copy_from_slice(&inverted.to_be_bytes());
        key[41..].copy_from_slice(id.as_bytes());
        Self(key)
    }

    /// The first key at or after everything of this owner, or of this type.
    pub(crate) fn first(owner: &Address, ty: Option<ObjectType>) -> Self {
        let mut key = [0; 73];
        key[..32].copy_from_slice(owner.as_bytes());
        key[32] = ty.map_or(0, |ty| ty as u8);
        Self(key)
    }

    /// The last possible key of this owner, or of this type.
    pub(crate) fn last(owner: &Address, ty: Option<ObjectType>) -> Self {
        let mut key = [0xff; 73];
        key[..32].copy_from_slice(owner.as_bytes());
        if let Some(ty) = ty {
            key[32] = ty as u8;
        }
        Self(key)
    }

    /// The object.
    pub(crate) fn id(&self) -> ObjectId {
        let mut id = [0; 32];
        id.copy_from_slice(&self.0[41..]);
        ObjectId::new(id)
    }

    /// The balance, if it is a coin's key.
    pub(crate) fn coin_balance(&self) -> Option<u64> {
        let mut inverted = [0; 8];
        inverted.copy_from_slice(&self.0[33..41]);
        (self.0[32] == ObjectType::Coin as u8).then(|| u64::MAX - u64::from_be_bytes(inverted))
    }
}
