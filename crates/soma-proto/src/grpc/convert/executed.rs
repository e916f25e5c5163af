//! Executed transactions.

use super::signature::signature_message;
use super::{
    balance_change_message, effects_message, masked, object_set_message, timestamp,
    transaction_message,
};
use crate::effects::TransactionEffects;
use crate::grpc::mask::MaskTree;
use crate::grpc::pb;
use crate::signature::UserSignature;
use crate::{Address, Object, ObjectId, ObjectType, TransactionData, TransactionDigest};

/// What a node knows of a transaction. Leave out what the mask does not select
/// and what the call never fills.
#[derive(Clone, Copy)]
pub struct ExecutedTransactionView<'a> {
    /// The digest.
    pub digest: TransactionDigest,
    /// The transaction.
    pub transaction: Option<&'a TransactionData>,
    /// Its signatures.
    pub signatures: &'a [UserSignature],
    /// What it did.
    pub effects: Option<&'a TransactionEffects>,
    /// The types of objects in the effects, as far as they are known.
    pub object_type: &'a dyn Fn(&ObjectId) -> Option<ObjectType>,
    /// The checkpoint that holds it.
    pub checkpoint: Option<u64>,
    /// The time of that checkpoint, milliseconds since 1970.
    pub timestamp_ms: Option<u64>,
    /// Changes in shannons, ascending by address.
    pub balance_changes: &'a [(Address, i128)],
    /// Objects read and written.
    pub objects: &'a [&'a Object],
}

impl std::fmt::Debug for ExecutedTransactionView<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ExecutedTransactionView")
            .field("digest", &self.digest)
            .finish_non_exhaustive()
    }
}

impl ExecutedTransactionView<'_> {
    /// A transaction of which only the digest is known so far.
    pub const fn new(digest: TransactionDigest) -> Self {
        Self {
            digest,
            transaction: None,
            signatures: &[],
            effects: None,
            object_type: &|_| None,
            checkpoint: None,
            timestamp_ms: None,
            balance_changes: &[],
            objects: &[],
        }
    }
}

/// Of an executed transaction what the mask selects.
///
/// `objects` follows [`MaskTree::transaction_objects`].
pub fn executed_transaction_message(
    executed: &ExecutedTransactionView<'_>,
    mask: &MaskTree,
) -> pb::ExecutedTransaction {
    masked!(
        mask,
        pb::ExecutedTransaction {
            digest: Some(executed.digest.to_string()),
            transaction: executed
                .transaction
                .map(|t| transaction_message(t, mask.below("transaction"))),
            signatures: {
                let mask = mask.below("signatures");
                executed.signatures.iter().map(|s| signature_message(s, mask)).collect()
            },
            effects: executed.effects.map(|e| effects_message(
                e,
                executed.object_type,
                mask.below("effects")
            )),
            checkpoint: executed.checkpoint,
            timestamp: executed.timestamp_ms.map(timestamp),
            balance_changes: executed.balance_changes.iter().map(balance_change_message).collect(),
            objects: mask
                .transaction_objects()
                .map(|mask| object_set_message(executed.objects.iter().copied(), mask)),
        }
    )
}
