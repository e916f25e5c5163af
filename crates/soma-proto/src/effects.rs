//! What a transaction did.

use serde::{Deserialize, Serialize};

use crate::canonical::bcs_form;
pub use crate::dialect::{ExecutionFailure, NodeError};
use crate::{EffectsDigest, ObjectDigest, ObjectId, ObjectRef, Owner, TransactionDigest, hash};

/// The result of an executed transaction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "proptest", derive(proptest_derive::Arbitrary))]
#[non_exhaustive]
pub enum TransactionEffects {
    /// The only version so far.
    V1(TransactionEffectsV1),
}

/// Version 1 of [`TransactionEffects`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "proptest", derive(proptest_derive::Arbitrary))]
pub struct TransactionEffectsV1 {
    /// Success, or why not.
    pub status: ExecutionStatus,
    /// The epoch in which it was executed.
    pub executed_epoch: u64,
    /// What was charged.
    pub transaction_fee: TransactionFee,
    /// The transaction.
    pub transaction_digest: TransactionDigest,
    /// Where the gas coin stands in `changed_objects`, possibly as deleted.
    pub gas_object_index: Option<u32>,
    /// The transactions that wrote the inputs, sorted, without repetition.
    #[cfg_attr(feature = "proptest", proptest(strategy = "crate::arbitrary::vec()"))]
    pub dependencies: Vec<TransactionDigest>,
    /// The version given to every object written.
    pub version: u64,
    /// What changed, sorted by id.
    #[cfg_attr(feature = "proptest", proptest(strategy = "crate::arbitrary::vec()"))]
    pub changed_objects: Vec<(ObjectId, EffectsObjectChange)>,
    /// Shared inputs that did not change.
    #[cfg_attr(feature = "proptest", proptest(strategy = "crate::arbitrary::vec()"))]
    pub unchanged_shared_objects: Vec<(ObjectId, UnchangedSharedKind)>,
}

/// Success, or why not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "proptest", derive(proptest_derive::Arbitrary))]
#[non_exhaustive]
pub enum ExecutionStatus {
    /// It did what it was to do.
    Success,
    /// It was charged the base fee and did nothing else.
    Failure {
        /// Why.
        error: ExecutionFailure,
    },
}

/// Fees in shannons.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "proptest", derive(proptest_derive::Arbitrary))]
pub struct TransactionFee {
    /// Charged for execution, successful or not.
    pub base_fee: u64,
    /// Charged for each object written.
    pub operation_fee: u64,
    /// Charged on the value moved.
    pub value_fee: u64,
    /// The sum.
    pub total_fee: u64,
}

impl TransactionFee {
    /// Fees with their sum.
    pub const fn new(base_fee: u64, operation_fee: u64, value_fee: u64) -> Self {
        Self { base_fee, operation_fee, value_fee, total_fee: base_fee + operation_fee + value_fee }
    }
}

/// How one object changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "proptest", derive(proptest_derive::Arbitrary))]
pub struct EffectsObjectChange {
    /// Before.
    pub input_state: ObjectIn,
    /// After.
    pub output_state: ObjectOut,
    /// Whether the id came or went.
    pub id_operation: IdOperation,
}

/// An object before the transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "proptest", derive(proptest_derive::Arbitrary))]
#[non_exhaustive]
pub enum ObjectIn {
    /// It was not there.
    NotExist,
    /// It was there: version, digest and owner.
    Exist((u64, ObjectDigest), Owner),
}

/// An object after the transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "proptest", derive(proptest_derive::Arbitrary))]
#[non_exhaustive]
pub enum ObjectOut {
    /// It is not there.
    NotExist,
    /// It was written: digest and owner. The version is that of the effects.
    ObjectWrite(ObjectDigest, Owner),
}

/// Whether an id came or went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "proptest", derive(proptest_derive::Arbitrary))]
#[non_exhaustive]
pub enum IdOperation {
    /// Neither.
    None,
    /// The object was created.
    Created,
    /// The object was deleted.
    Deleted,
}

/// Why a shared input did not change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "proptest", derive(proptest_derive::Arbitrary))]
#[non_exhaustive]
pub enum UnchangedSharedKind {
    /// It was only read: version and digest.
    ReadOnlyRoot(u64, ObjectDigest),
    /// It was to be changed but had been deleted at this version.
    MutateDeleted(u64),
    /// It was to be read but had been deleted at this version.
    ReadDeleted(u64),
    /// The transaction was cancelled.
    Cancelled(u64),
}

/// A created or changed object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WrittenObject {
    /// Id, version and digest after the transaction.
    pub reference: ObjectRef,
    /// Owner after the transaction.
    pub owner: Owner,
}

bcs_form!(TransactionEffects);

impl TransactionEffects {
    /// The fields.
    pub const fn v1(&self) -> &TransactionEffectsV1 {
        let Self::V1(effects) = self;
        effects
    }

    /// Blake2b-256 over `TransactionEffects::` and the BCS bytes.
    pub fn digest(&self) -> EffectsDigest {
        EffectsDigest::new(hash::named("TransactionEffects", self))
    }

    /// The failure, if it failed.
    pub const fn failure(&self) -> Option<&ExecutionFailure> {
        match &self.v1().status {
            ExecutionStatus::Success => None,
            ExecutionStatus::Failure { error } => Some(error),
        }
    }

    /// Whether it did what it was to do.
    pub const fn is_success(&self) -> bool {
        self.failure().is_none()
    }

    /// Objects that came into being.
    pub fn created(&self) -> impl Iterator<Item = WrittenObject> + '_ {
        self.written(IdOperation::Created)
    }

    /// Objects that were there before and after, the gas coin among them.
    pub fn mutated(&self) -> impl Iterator<Item = WrittenObject> + '_ {
        self.written(IdOperation::None)
    }

    /// Objects that are gone: id, version of the deletion, reserved digest.
    pub fn deleted(&self) -> impl Iterator<Item = ObjectRef> + '_ {
        let effects = self.v1();
        effects
            .changed_objects
            .iter()
            .filter(|(_, change)| change.id_operation == IdOperation::Deleted)
            .map(|(id, _)| ObjectRef(*id, effects.version, ObjectDigest::DELETED))
    }

    /// The id of the gas coin and its state afterwards; the state is absent if
    /// the coin was used up.
    pub fn gas_object(&self) -> Option<(ObjectId, Option<WrittenObject>)> {
        let effects = self.v1();
        let (id, change) = effects.changed_objects.get(effects.gas_object_index? as usize)?;
        Some((*id, written_object(effects.version, *id, change)))
    }

    fn written(&self, operation: IdOperation) -> impl Iterator<Item = WrittenObject> + '_ {
        let effects = self.v1();
        effects
            .changed_objects
            .iter()
            .filter(move |(_, change)| change.id_operation == operation)
            .filter_map(|(id, change)| written_object(effects.version, *id, change))
    }
}

fn written_object(
    version: u64,
    id: ObjectId,
    change: &EffectsObjectChange,
) -> Option<WrittenObject> {
    match change.output_state {
        ObjectOut::ObjectWrite(digest, owner) => {
            Some(WrittenObject { reference: ObjectRef(id, version, digest), owner })
        }
        ObjectOut::NotExist => None,
    }
}
