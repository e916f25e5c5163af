//! Reading: one consistent view of what is committed.

use std::ops::RangeInclusive;

use redb::{Key, ReadOnlyTable, ReadTransaction, ReadableTable as _, TableDefinition, Value};
use serde::de::DeserializeOwned;
use soma_proto::system_state::{Model, ModelStatus, SystemState, SystemStateV1};
use soma_proto::{
    Address, CheckpointDigest, Object, ObjectId, ObjectType, Owner, Tensor, TransactionDigest,
};

use super::tables::StoredTransaction;
use super::tables::{self, ChainRow, EpochRow, OwnedKey, StateRow, StoredCheckpoint, meta};
use crate::{Error, Result};

/// Everything as it was when the snapshot was taken. Later commits do not show.
pub(crate) struct Snapshot(ReadTransaction);

impl Snapshot {
    pub(super) const fn new(transaction: ReadTransaction) -> Self {
        Self(transaction)
    }

    /// What never changes.
    pub(crate) fn chain(&self) -> Result<ChainRow> {
        self.meta(meta::CHAIN)
    }

    /// What the ledger left beside objects and models.
    pub(crate) fn ledger<T: DeserializeOwned>(&self) -> Result<T> {
        self.meta(meta::LEDGER)
    }

    /// The system state without its models.
    pub(crate) fn state_row(&self) -> Result<StateRow> {
        self.meta(meta::STATE)
    }

    /// The whole system state. Cost grows with the number of models.
    pub(crate) fn system_state(&self) -> Result<SystemState> {
        self.fill(self.state_row()?.skeleton)
    }

    /// The object that holds the system state.
    pub(crate) fn system_state_object(&self) -> Result<Object> {
        let row = self.state_row()?;
        let state = self.fill(row.skeleton)?;
        let inner = bcs::to_bytes(&state).map_err(store)?;
        Ok(Object::new(
            ObjectId::SYSTEM_STATE,
            ObjectType::SystemState,
            row.version,
            &inner,
            Owner::Shared { initial_shared_version: 1 },
            row.previous_transaction,
        ))
    }

    /// A model with its embedding.
    pub(crate) fn model(&self, id: &ObjectId) -> Result<Option<Model>> {
        let row: Option<Model> = self.row(tables::MODELS, id.inner())?;
        let Some(mut model) = row else { return Ok(None) };
        model.embedding = self.row::<_, Tensor>(tables::EMBEDDINGS, id.inner())?;
        Ok(Some(model))
    }

    /// A model without its embedding, for lists.
    pub(crate) fn model_outline(&self, id: &ObjectId) -> Result<Option<Model>> {
        self.row(tables::MODELS, id.inner())
    }

    /// Up to `limit` ids of models at or after `(status, id)` in the order
    /// active, committed, inactive, each by id; of one owner if one is named,
    /// of one status if `only`.
    pub(crate) fn model_ids(
        &self,
        owner: Option<&Address>,
        from: (ModelStatus, ObjectId),
        only: bool,
        limit: usize,
    ) -> Result<Vec<ObjectId>> {
        let first = tables::model_state(from.0);
        let last = if only { first } else { u8::MAX };
        let end = ObjectId::new([0xff; 32]);
        let id = |key: &[u8]| ObjectId::from_bytes(&key[key.len() - 32..]).map_err(store);
        if let Some(owner) = owner {
            let table = self.table(tables::MODEL_OWNERS)?;
            let (first, last) = (
                tables::owned_model(owner, first, &from.1),
                tables::owned_model(owner, last, &end),
            );
            table
                .range::<&[u8; 65]>(&first..=&last)
                .map_err(store)?
                .take(limit)
                .map(|entry| id(entry.map_err(store)?.0.value()))
                .collect()
        } else {
            let table = self.table(tables::MODEL_LIST)?;
            let (first, last) =
                (tables::listed_model(first, &from.1), tables::listed_model(last, &end));
            table
                .range::<&[u8; 33]>(&first..=&last)
                .map_err(store)?
                .take(limit)
                .map(|entry| id(entry.map_err(store)?.0.value()))
                .collect()
        }
    }

    /// The model whose pool it is.
    pub(crate) fn pool_model(&self, pool: &ObjectId) -> Result<Option<ObjectId>> {
        let table = self.table(tables::MODEL_POOLS)?;
        let found = table.get(pool.inner()).map_err(store)?;
        Ok(found.map(|model| ObjectId::new(*model.value())))
    }

    /// The live object; the system state is put together for it.
    pub(crate) fn object(&self, id: &ObjectId) -> Result<Option<Object>> {
        if *id == ObjectId::SYSTEM_STATE {
            return self.system_state_object().map(Some);
        }
        self.row(tables::OBJECTS, id.inner())
    }

    /// One version of an object that is still alive. Of the system state only
    /// the live version is kept.
    pub(crate) fn object_at(&self, id: &ObjectId, version: u64) -> Result<Option<Object>> {
        if *id == ObjectId::SYSTEM_STATE {
            let live = self.state_row()?.version;
            return if live == version { self.object(id) } else { Ok(None) };
        }
        match self.object(id)? {
            Some(live) if live.version() == version => Ok(Some(live)),
            Some(_) => self.past_object(id, version),
            None => Ok(None),
        }
    }

    /// One version of an object, alive or deleted.
    pub(crate) fn object_ever(&self, id: &ObjectId, version: u64) -> Result<Option<Object>> {
        match self.object_at(id, version)? {
            None => self.past_object(id, version),
            found => Ok(found),
        }
    }

    fn past_object(&self, id: &ObjectId, version: u64) -> Result<Option<Object>> {
        self.row(tables::PAST_OBJECTS, (id.inner(), version))
    }

    /// All live objects but the system state.
    pub(crate) fn objects(&self) -> Result<Vec<Object>> {
        let table = self.table(tables::OBJECTS)?;
        let rows = table.iter().map_err(store)?;
        rows.map(|row| decode("object", row.map_err(store)?.1.value())).collect()
    }

    /// Up to `limit` entries of the owner index.
    pub(crate) fn owned(
        &self,
        keys: RangeInclusive<OwnedKey>,
        limit: usize,
    ) -> Result<Vec<OwnedKey>> {
        let table = self.table(tables::OWNED)?;
        let (first, last) = keys.into_inner();
        let range = table.range::<&[u8; 73]>(&first.0..=&last.0).map_err(store)?;
        range.take(limit).map(|key| Ok(OwnedKey(*key.map_err(store)?.0.value()))).collect()
    }

    /// Sum of an address's coins, in shannons.
    pub(crate) fn balance(&self, owner: &Address) -> Result<u64> {
        let coin = Some(ObjectType::Coin);
        let keys = OwnedKey::first(owner, coin)..=OwnedKey::last(owner, coin);
        let coins = self.owned(keys, usize::MAX)?;
        Ok(coins.iter().filter_map(OwnedKey::coin_balance).sum())
    }

    /// A transaction and what it did.
    pub(crate) fn transaction(
        &self,
        digest: &TransactionDigest,
    ) -> Result<Option<StoredTransaction>> {
        self.row(tables::TRANSACTIONS, digest.inner())
    }

    /// A checkpoint.
    pub(crate) fn checkpoint(&self, height: u64) -> Result<Option<StoredCheckpoint>> {
        self.row(tables::CHECKPOINTS, height)
    }

    /// The newest checkpoint.
    pub(crate) fn newest_checkpoint(&self) -> Result<StoredCheckpoint> {
        let table = self.table(tables::CHECKPOINTS)?;
        match table.last().map_err(store)? {
            Some((_, row)) => decode("checkpoint", row.value()),
            None => Err(Error::Store("there is no checkpoint".to_owned())),
        }
    }

    /// The height of a checkpoint.
    pub(crate) fn height(&self, digest: &CheckpointDigest) -> Result<Option<u64>> {
        let table = self.table(tables::HEIGHTS)?;
        let found = table.get(digest.inner()).map_err(store)?;
        Ok(found.map(|height| height.value()))
    }

    /// An epoch.
    pub(crate) fn epoch(&self, epoch: u64) -> Result<Option<EpochRow>> {
        self.row(tables::EPOCHS, epoch)
    }

    /// The system state at the start of an epoch, if it is still kept.
    pub(crate) fn epoch_state(&self, epoch: u64) -> Result<Option<SystemState>> {
        self.row(tables::EPOCH_STATES, epoch)
    }

    /// Puts the models back into the state.
    fn fill(&self, mut state: SystemStateV1) -> Result<SystemState> {
        let models = self.table(tables::MODELS)?;
        let embeddings = self.table(tables::EMBEDDINGS)?;
        let registry = &mut state.model_registry;
        for row in models.iter().map_err(store)? {
            let (key, row) = row.map_err(store)?;
            let id = ObjectId::new(*key.value());
            let mut model: Model = decode("model", row.value())?;
            if let Some(row) = embeddings.get(key.value()).map_err(store)? {
                model.embedding = Some(decode("embedding", row.value())?);
            }
            registry.staking_pool_mappings.insert(model.staking_pool.id, id);
            match model.status() {
                ModelStatus::Active => registry.active_models.insert(id, model),
                ModelStatus::Committed => registry.pending_models.insert(id, model),
                _ => registry.inactive_models.insert(id, model),
            };
        }
        Ok(SystemState::V1(Box::new(state)))
    }

    fn meta<T: DeserializeOwned>(&self, key: &'static str) -> Result<T> {
        self.row(tables::META, key)?.ok_or_else(|| Error::Store(format!("row `{key}` is missing")))
    }

    fn row<'k, K: Key + 'static, T: DeserializeOwned>(
        &self,
        table: TableDefinition<'static, K, &'static [u8]>,
        key: K::SelfType<'k>,
    ) -> Result<Option<T>> {
        let table = self.table(table)?;
        let found = table.get(key).map_err(store)?;
        found.map(|row| decode("row", row.value())).transpose()
    }

    fn table<K: Key + 'static, V: Value + 'static>(
        &self,
        table: TableDefinition<'_, K, V>,
    ) -> Result<ReadOnlyTable<K, V>> {
        self.0.open_table(table).map_err(store)
    }
}

pub(super) fn decode<T: DeserializeOwned>(what: &str, bytes: &[u8]) -> Result<T> {
    bcs::from_bytes(bytes).map_err(|e| Error::Store(format!("cannot decode {what}: {e}")))
}

pub(super) fn store(error: impl std::fmt::Display) -> Error {
    Error::Store(error.to_string())
}
