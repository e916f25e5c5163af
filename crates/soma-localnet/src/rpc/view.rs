//! From rows of the database to messages.

use std::collections::BTreeMap;

use soma_proto::effects::{ObjectIn, ObjectOut, TransactionEffects};
use soma_proto::grpc::convert::{
    CheckpointView, ExecutedTransactionView, checkpoint_message, executed_transaction_message,
};
use soma_proto::grpc::mask::MaskTree;
use soma_proto::grpc::pb;
use soma_proto::{Object, ObjectId, ObjectType};

use crate::Result;
use crate::store::{Snapshot, StoredCheckpoint, StoredTransaction};

/// The answer of GetTransaction: never with objects.
pub(super) fn transaction(stored: &StoredTransaction, mask: &MaskTree) -> pb::ExecutedTransaction {
    let types = |id: &ObjectId| object_type(stored, id);
    let view = ExecutedTransactionView {
        object_type: &types,
        checkpoint: Some(stored.checkpoint),
        timestamp_ms: Some(stored.timestamp_ms),
        ..view(stored)
    };
    let mut message = executed_transaction_message(&view, mask);
    message.objects = None;
    message
}

/// The answer of ExecuteTransaction: never with checkpoint and time.
pub(super) fn executed(
    stored: &StoredTransaction,
    objects: &[&Object],
    mask: &MaskTree,
) -> pb::ExecutedTransaction {
    let types = |id: &ObjectId| object_type(stored, id);
    let view = ExecutedTransactionView { object_type: &types, objects, ..view(stored) };
    executed_transaction_message(&view, mask)
}

/// A checkpoint, for GetCheckpoint and the stream. The transactions in it
/// have neither objects nor types of objects.
pub(super) fn checkpoint<'a>(
    checkpoint: &StoredCheckpoint,
    transactions: impl IntoIterator<Item = &'a StoredTransaction>,
    objects: &[&Object],
    mask: &MaskTree,
) -> pb::Checkpoint {
    let transactions: Vec<_> = transactions
        .into_iter()
        .map(|stored| ExecutedTransactionView {
            checkpoint: Some(stored.checkpoint),
            timestamp_ms: Some(stored.timestamp_ms),
            ..view(stored)
        })
        .collect();
    let view = CheckpointView {
        digest: checkpoint.certified.summary.digest(),
        summary: &checkpoint.certified,
        contents: Some(&checkpoint.contents),
        transactions: &transactions,
        objects,
    };
    let mut message = checkpoint_message(&view, mask);
    for transaction in &mut message.transactions {
        transaction.objects = None;
    }
    message
}

/// The objects that transactions read and wrote, as they were before and
/// after, each version once. The system state is not among them: its past
/// versions are not kept, and the live one may be larger than a message.
pub(super) fn objects<'a>(
    snapshot: &Snapshot,
    transactions: impl IntoIterator<Item = &'a StoredTransaction>,
) -> Result<Vec<Object>> {
    let mut found = BTreeMap::new();
    for stored in transactions {
        for (id, version) in versions(&stored.effects) {
            if found.contains_key(&(id, version)) {
                continue;
            }
            if let Some(object) = snapshot.object_ever(&id, version)? {
                found.insert((id, version), object);
            }
        }
    }
    Ok(found.into_values().collect())
}

fn versions(effects: &TransactionEffects) -> impl Iterator<Item = (ObjectId, u64)> + '_ {
    let effects = effects.v1();
    let changed = effects.changed_objects.iter().filter(|(id, _)| *id != ObjectId::SYSTEM_STATE);
    changed.flat_map(|(id, change)| {
        let before = match change.input_state {
            ObjectIn::Exist((version, _), _) => Some((*id, version)),
            _ => None,
        };
        let after = match change.output_state {
            ObjectOut::ObjectWrite(..) => Some((*id, effects.version)),
            _ => None,
        };
        before.into_iter().chain(after)
    })
}

fn view(stored: &StoredTransaction) -> ExecutedTransactionView<'_> {
    ExecutedTransactionView {
        transaction: Some(&stored.signed.data),
        signatures: &stored.signed.signatures,
        effects: Some(&stored.effects),
        balance_changes: &stored.balance_changes,
        ..ExecutedTransactionView::new(stored.effects.v1().transaction_digest)
    }
}

fn object_type(stored: &StoredTransaction, id: &ObjectId) -> Option<ObjectType> {
    if *id == ObjectId::SYSTEM_STATE {
        return Some(ObjectType::SystemState);
    }
    let changed = &stored.effects.v1().changed_objects;
    let place = changed.binary_search_by_key(id, |(id, _)| *id).ok()?;
    stored.object_types.get(place).copied()
}
