//! Writing: everything that a batch of transactions changed, at once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use redb::{ReadableTable as _, Table, WriteTransaction};
use serde::Serialize;
use soma_ledger::Execution;
use soma_proto::committee::Committee;
use soma_proto::system_state::{Model, SystemState};
use soma_proto::{Object, ObjectId, ObjectType, TransactionKind};

use super::Store;
use super::snapshot::{decode, store};
use super::tables::StoredTransaction;
use super::tables::{self, ChainRow, EpochRow, OwnedKey, StateRow, StoredCheckpoint, meta};
use crate::Result;

/// How many system states of past epochs are kept.
const EPOCH_STATES_KEPT: u64 = 8;
/// A system state longer than this is not kept for a past epoch: it would not
/// fit into a message of usual size anyway.
const EPOCH_STATE_LIMIT: usize = 4 << 20;

/// A batch of executed transactions with the checkpoint that holds them.
#[derive(Debug)]
pub(crate) struct Commit<'a, L> {
    /// In order of execution.
    pub(crate) executions: &'a [Execution],
    /// The same, as they are kept.
    pub(crate) transactions: &'a [Arc<StoredTransaction>],
    /// The checkpoint that holds exactly these.
    pub(crate) checkpoint: &'a StoredCheckpoint,
    /// The system state afterwards.
    pub(crate) state: &'a StateRow,
    /// What else the ledger needs when it is restored.
    pub(crate) ledger: &'a L,
    /// The touched models as they are afterwards.
    pub(crate) models: &'a BTreeMap<ObjectId, &'a Model>,
    /// Present if the last transaction ends the epoch.
    pub(crate) epoch_end: Option<EpochEnd<'a>>,
}

/// What a new epoch begins with.
#[derive(Debug)]
pub(crate) struct EpochEnd<'a> {
    /// Its committee.
    pub(crate) committee: &'a Committee,
    /// The whole system state, if it is short enough to be worth keeping.
    pub(crate) state: Option<&'a SystemState>,
}

/// The first commit of a chain.
#[derive(Debug)]
pub(crate) struct Genesis<'a, L> {
    /// What never changes.
    pub(crate) chain: &'a ChainRow,
    /// What epoch 0 begins with.
    pub(crate) epoch: EpochEnd<'a>,
    /// Genesis transaction and checkpoint 0.
    pub(crate) commit: Commit<'a, L>,
}

impl Store {
    /// Writes a batch. When this returns the batch is durable. When it fails,
    /// a restart shows either all of it or nothing: the disk may have failed
    /// just behind the last byte.
    ///
    /// # Errors
    /// [`Error::Store`](crate::Error::Store), [`Error::Stopped`](crate::Error::Stopped).
    pub(crate) fn commit<L: Serialize>(&self, commit: &Commit<'_, L>) -> Result<()> {
        self.with(|database| {
            let transaction = database.begin_write().map_err(store)?;
            commit.write(&transaction)?;
            transaction.commit().map_err(store)
        })
    }

    /// Writes the first commit of a chain.
    pub(super) fn begin<L: Serialize>(&self, genesis: &Genesis<'_, L>) -> Result<()> {
        self.with(|database| {
            let transaction = database.begin_write().map_err(store)?;
            {
                let mut table = transaction.open_table(tables::META).map_err(store)?;
                let format = tables::FORMAT_VERSION.to_le_bytes();
                table.insert(meta::FORMAT, &format[..]).map_err(store)?;
                put(&mut table, meta::CHAIN, genesis.chain)?;
                let summary = &genesis.commit.checkpoint.certified.summary;
                let epoch = EpochRow {
                    start_ms: summary.timestamp_ms,
                    end_ms: None,
                    first_checkpoint: summary.sequence_number,
                    last_checkpoint: None,
                    committee: genesis.epoch.committee.clone(),
                };
                let mut table = transaction.open_table(tables::EPOCHS).map_err(store)?;
                put(&mut table, summary.epoch, &epoch)?;
                // A table that is never written would be missing for readers.
                transaction.open_table(tables::PAST_OBJECTS).map_err(store)?;
                let mut table = transaction.open_table(tables::EPOCH_STATES).map_err(store)?;
                put_state(&mut table, summary.epoch, genesis.epoch.state)?;
            }
            genesis.commit.write(&transaction)?;
            transaction.commit().map_err(store)
        })
    }
}

impl<L: Serialize> Commit<'_, L> {
    fn write(&self, to: &WriteTransaction) -> Result<()> {
        self.write_transactions(to)?;
        self.write_objects(to)?;
        self.write_models(to)?;
        self.write_checkpoint(to)?;
        let mut table = to.open_table(tables::META).map_err(store)?;
        put(&mut table, meta::STATE, self.state)?;
        put(&mut table, meta::LEDGER, self.ledger)?;
        drop(table);
        match &self.epoch_end {
            Some(end) => self.write_epoch(to, end),
            None => Ok(()),
        }
    }

    fn write_transactions(&self, to: &WriteTransaction) -> Result<()> {
        let mut table = to.open_table(tables::TRANSACTIONS).map_err(store)?;
        for row in self.transactions {
            put(&mut table, row.effects.v1().transaction_digest.inner(), &**row)?;
        }
        Ok(())
    }

    fn write_objects(&self, to: &WriteTransaction) -> Result<()> {
        let mut objects = to.open_table(tables::OBJECTS).map_err(store)?;
        let mut past = to.open_table(tables::PAST_OBJECTS).map_err(store)?;
        let mut owned = to.open_table(tables::OWNED).map_err(store)?;
        for execution in self.executions {
            for object in &execution.written {
                let id = object.id();
                let bytes = bcs::to_bytes(object).map_err(store)?;
                let before = objects.insert(id.inner(), bytes.as_slice()).map_err(store)?;
                if let Some(before) = before {
                    retire(&mut past, &mut owned, before.value())?;
                }
                if let Some(key) = owned_key(object) {
                    owned.insert(&key.0, ()).map_err(store)?;
                }
            }
            for id in &execution.deleted {
                if let Some(before) = objects.remove(id.inner()).map_err(store)? {
                    retire(&mut past, &mut owned, before.value())?;
                }
            }
            for id in &execution.forgotten {
                objects.remove(id.inner()).map_err(store)?;
            }
        }
        Ok(())
    }

    fn write_models(&self, to: &WriteTransaction) -> Result<()> {
        let mut models = to.open_table(tables::MODELS).map_err(store)?;
        let mut embeddings = to.open_table(tables::EMBEDDINGS).map_err(store)?;
        let mut list = to.open_table(tables::MODEL_LIST).map_err(store)?;
        let mut owners = to.open_table(tables::MODEL_OWNERS).map_err(store)?;
        let mut pools = to.open_table(tables::MODEL_POOLS).map_err(store)?;
        let revealed = self.revealed();
        for (id, model) in self.models {
            let bytes = bcs::to_bytes(&outline(model)).map_err(store)?;
            let before = models.insert(id.inner(), bytes.as_slice()).map_err(store)?;
            let before = before.map(|row| decode::<Model>("model", row.value())).transpose()?;
            let state = tables::model_state(model.status());
            let was = before.map(|before| tables::model_state(before.status()));
            if was != Some(state) {
                if let Some(was) = was {
                    list.remove(&tables::listed_model(was, id)).map_err(store)?;
                    owners.remove(&tables::owned_model(&model.owner, was, id)).map_err(store)?;
                }
                list.insert(&tables::listed_model(state, id), ()).map_err(store)?;
                owners.insert(&tables::owned_model(&model.owner, state, id), ()).map_err(store)?;
                pools.insert(model.staking_pool.id.inner(), id.inner()).map_err(store)?;
            }
            if let Some(embedding) = model.embedding.as_ref().filter(|_| revealed.contains(id)) {
                put(&mut embeddings, id.inner(), embedding)?;
            }
        }
        Ok(())
    }

    /// The models whose embedding may have changed.
    fn revealed(&self) -> BTreeSet<ObjectId> {
        if self.checkpoint.certified.summary.sequence_number == 0 {
            return self.models.keys().copied().collect();
        }
        let kinds = self.executions.iter().map(|execution| execution.transaction.data.kind());
        kinds
            .filter_map(|kind| match kind {
                TransactionKind::RevealModel(reveal)
                | TransactionKind::RevealModelUpdate(reveal) => Some(reveal.model_id),
                _ => None,
            })
            .collect()
    }

    fn write_checkpoint(&self, to: &WriteTransaction) -> Result<()> {
        let summary = &self.checkpoint.certified.summary;
        let mut table = to.open_table(tables::CHECKPOINTS).map_err(store)?;
        put(&mut table, summary.sequence_number, self.checkpoint)?;
        let mut table = to.open_table(tables::HEIGHTS).map_err(store)?;
        table.insert(summary.digest().inner(), summary.sequence_number).map_err(store)?;
        Ok(())
    }

    fn write_epoch(&self, to: &WriteTransaction, end: &EpochEnd<'_>) -> Result<()> {
        let summary = &self.checkpoint.certified.summary;
        let mut table = to.open_table(tables::EPOCHS).map_err(store)?;
        let old = table.get(summary.epoch).map_err(store)?;
        let old = old.map(|row| decode::<EpochRow>("epoch", row.value())).transpose()?;
        if let Some(mut old) = old {
            old.end_ms = Some(summary.timestamp_ms);
            old.last_checkpoint = Some(summary.sequence_number);
            put(&mut table, summary.epoch, &old)?;
        }
        let next = summary.epoch + 1;
        let row = EpochRow {
            start_ms: summary.timestamp_ms,
            end_ms: None,
            first_checkpoint: summary.sequence_number + 1,
            last_checkpoint: None,
            committee: end.committee.clone(),
        };
        put(&mut table, next, &row)?;

        let mut table = to.open_table(tables::EPOCH_STATES).map_err(store)?;
        put_state(&mut table, next, end.state)?;
        table.retain(|epoch, _| epoch + EPOCH_STATES_KEPT > next).map_err(store)
    }
}

impl StoredTransaction {
    /// What is kept of an execution.
    pub(crate) fn new(execution: &Execution, checkpoint: &StoredCheckpoint) -> Self {
        let summary = &checkpoint.certified.summary;
        Self {
            signed: execution.transaction.clone(),
            effects: execution.effects.clone(),
            object_types: object_types(execution),
            balance_changes: execution
                .balance_changes
                .iter()
                .map(|change| (change.address, change.amount))
                .collect(),
            checkpoint: summary.sequence_number,
            timestamp_ms: summary.timestamp_ms,
        }
    }
}

/// The types of the objects in the change list, in its order.
pub(crate) fn object_types(execution: &Execution) -> Vec<ObjectType> {
    let known: BTreeMap<ObjectId, ObjectType> = execution
        .inputs
        .iter()
        .chain(&execution.written)
        .map(|object| (object.id(), object.object_type()))
        .collect();
    let changed = &execution.effects.v1().changed_objects;
    // The system state is the one object that an execution does not carry.
    let ty = |id| known.get(id).copied().unwrap_or(ObjectType::SystemState);
    changed.iter().map(|(id, _)| ty(id)).collect()
}

type Past<'a> = Table<'a, (&'static [u8; 32], u64), &'static [u8]>;
type Owned<'a> = Table<'a, &'static [u8; 73], ()>;

/// Moves an object that was replaced or deleted out of the indices.
fn retire(past: &mut Past<'_>, owned: &mut Owned<'_>, before: &[u8]) -> Result<()> {
    let object: Object = decode("object", before)?;
    let id = object.id();
    past.insert((id.inner(), object.version()), before).map_err(store)?;
    if let Some(key) = owned_key(&object) {
        owned.remove(&key.0).map_err(store)?;
    }
    Ok(())
}

fn owned_key(object: &Object) -> Option<OwnedKey> {
    let owner = object.owner.address()?;
    let balance = object.coin_balance().unwrap_or(0);
    Some(OwnedKey::new(&owner, object.object_type(), balance, &object.id()))
}

/// The model without its embedding, which has a table of its own.
fn outline(model: &Model) -> Model {
    Model {
        owner: model.owner,
        architecture_version: model.architecture_version,
        weights_url_commitment: model.weights_url_commitment,
        weights_commitment: model.weights_commitment,
        commit_epoch: model.commit_epoch,
        weights_manifest: model.weights_manifest.clone(),
        embedding: None,
        staking_pool: model.staking_pool.clone(),
        commission_rate: model.commission_rate,
        next_epoch_commission_rate: model.next_epoch_commission_rate,
        pending_update: model.pending_update,
    }
}

/// Keeps the state that an epoch begins with, if it is short enough.
fn put_state(
    table: &mut Table<'_, u64, &'static [u8]>,
    epoch: u64,
    state: Option<&SystemState>,
) -> Result<()> {
    let Some(state) = state else { return Ok(()) };
    let bytes = bcs::to_bytes(state).map_err(store)?;
    if bytes.len() <= EPOCH_STATE_LIMIT {
        table.insert(epoch, bytes.as_slice()).map_err(store)?;
    }
    Ok(())
}

fn put<'k, K: redb::Key + 'static, T: Serialize>(
    table: &mut Table<'_, K, &'static [u8]>,
    key: K::SelfType<'k>,
    value: &T,
) -> Result<()> {
    let bytes = bcs::to_bytes(value).map_err(store)?;
    table.insert(key, bytes.as_slice()).map_err(store)?;
    Ok(())
}
