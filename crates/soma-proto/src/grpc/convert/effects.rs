//! Effects, fees and balance changes.

use super::read::{address, object_id, text};
use super::{At as _, invalid, masked, message, read_fields, value};
use crate::effects::{
    EffectsObjectChange, ExecutionFailure, ExecutionStatus, IdOperation, ObjectIn, ObjectOut,
    TransactionEffects, TransactionEffectsV1, TransactionFee, UnchangedSharedKind,
};
use crate::grpc::mask::MaskTree;
use crate::grpc::pb;
use crate::grpc::pb::changed_object::{
    IdOperation as PbIdOperation, InputObjectState, OutputObjectState,
};
use crate::grpc::pb::unchanged_shared_object::UnchangedSharedObjectKind;
use crate::{Address, Error, ObjectId, ObjectType, Result};

impl From<&TransactionEffects> for pb::TransactionEffects {
    /// Without the types of the objects.
    fn from(effects: &TransactionEffects) -> Self {
        effects_message(effects, &|_| None, &MaskTree::everything())
    }
}

/// Of effects what the mask selects, with the types of objects that are known.
pub fn effects_message(
    effects: &TransactionEffects,
    object_type: &dyn Fn(&ObjectId) -> Option<ObjectType>,
    mask: &MaskTree,
) -> pb::TransactionEffects {
    let effects = effects.v1();
    let type_name = |id| object_type(id).map(|ty| ty.to_string());
    masked!(
        mask,
        pb::TransactionEffects {
            status: Some((&effects.status).into()),
            epoch: Some(effects.executed_epoch),
            fee: Some((&effects.transaction_fee).into()),
            transaction_digest: Some(effects.transaction_digest.to_string()),
            gas_object_index: effects.gas_object_index,
            dependencies: effects.dependencies.iter().map(ToString::to_string).collect(),
            lamport_version: Some(effects.version),
            changed_objects: effects
                .changed_objects
                .iter()
                .map(|(id, change)| pb::ChangedObject {
                    object_type: type_name(id),
                    ..changed_object(id, change, effects.version)
                })
                .collect(),
            unchanged_shared_objects: effects
                .unchanged_shared_objects
                .iter()
                .map(|(id, kind)| pb::UnchangedSharedObject {
                    object_type: type_name(id),
                    ..unchanged_object(id, kind)
                })
                .collect(),
        }
    )
}

impl TryFrom<pb::TransactionEffects> for TransactionEffects {
    type Error = Error;

    /// Values that a failure carries, other than an object id and words, do
    /// not travel and are read as zero.
    fn try_from(effects: pb::TransactionEffects) -> Result<Self> {
        Ok(Self::V1(TransactionEffectsV1 {
            status: message(effects.status).at("status")?,
            executed_epoch: value(effects.epoch).at("epoch")?,
            transaction_fee: message(effects.fee).at("fee")?,
            transaction_digest: text(effects.transaction_digest).at("transaction_digest")?,
            gas_object_index: effects.gas_object_index,
            dependencies: super::each(effects.dependencies, |digest| digest.parse())
                .at("dependencies")?,
            version: value(effects.lamport_version).at("lamport_version")?,
            changed_objects: super::each(effects.changed_objects, read_changed_object)
                .at("changed_objects")?,
            unchanged_shared_objects: super::each(
                effects.unchanged_shared_objects,
                read_unchanged_object,
            )
            .at("unchanged_shared_objects")?,
        }))
    }
}

impl From<&ExecutionStatus> for pb::ExecutionStatus {
    fn from(status: &ExecutionStatus) -> Self {
        match status {
            ExecutionStatus::Success => Self { success: Some(true), error: None },
            ExecutionStatus::Failure { error } => {
                Self { success: Some(false), error: Some(error.into()) }
            }
        }
    }
}

impl TryFrom<pb::ExecutionStatus> for ExecutionStatus {
    type Error = Error;

    fn try_from(status: pb::ExecutionStatus) -> Result<Self> {
        match (value(status.success).at("success")?, status.error) {
            (true, None) => Ok(Self::Success),
            (false, Some(error)) => {
                Ok(Self::Failure { error: ExecutionFailure::try_from(error).at("error")? })
            }
            (true, Some(_)) => Err(invalid("present though the transaction succeeded")).at("error"),
            (false, None) => Err(invalid(super::read::MISSING)).at("error"),
        }
    }
}

impl From<&TransactionFee> for pb::TransactionFee {
    fn from(fee: &TransactionFee) -> Self {
        Self {
            base_fee: Some(fee.base_fee),
            operation_fee: Some(fee.operation_fee),
            value_fee: Some(fee.value_fee),
            total_fee: Some(fee.total_fee),
        }
    }
}

impl TryFrom<pb::TransactionFee> for TransactionFee {
    type Error = Error;

    fn try_from(fee: pb::TransactionFee) -> Result<Self> {
        Ok(read_fields!(fee => Self {
            base_fee: value,
            operation_fee: value,
            value_fee: value,
            total_fee: value,
        }))
    }
}

/// A change of an address in shannons.
pub fn balance_change_message((address, amount): &(Address, i128)) -> pb::BalanceChange {
    pb::BalanceChange { address: Some(address.to_string()), amount: Some(amount.to_string()) }
}

/// Reads a change of an address in shannons.
///
/// # Errors
/// [`Error::Field`].
pub fn balance_change(change: pb::BalanceChange) -> Result<(Address, i128)> {
    let owner = address(change.address).at("address")?;
    let amount = value(change.amount).at("amount")?;
    let amount = amount.parse().map_err(|_| invalid("expected a decimal number")).at("amount")?;
    Ok((owner, amount))
}

fn changed_object(id: &ObjectId, change: &EffectsObjectChange, version: u64) -> pb::ChangedObject {
    let mut message = pb::ChangedObject { object_id: Some(id.to_string()), ..Default::default() };
    match &change.input_state {
        ObjectIn::NotExist => message.set_input_state(InputObjectState::DoesNotExist),
        ObjectIn::Exist((version, digest), owner) => {
            message.set_input_state(InputObjectState::Exists);
            message.input_version = Some(*version);
            message.input_digest = Some(digest.to_string());
            message.input_owner = Some(owner.into());
        }
    }
    match &change.output_state {
        ObjectOut::NotExist => message.set_output_state(OutputObjectState::DoesNotExist),
        ObjectOut::ObjectWrite(digest, owner) => {
            message.set_output_state(OutputObjectState::ObjectWrite);
            message.output_version = Some(version);
            message.output_digest = Some(digest.to_string());
            message.output_owner = Some(owner.into());
        }
    }
    message.set_id_operation(match change.id_operation {
        IdOperation::None => PbIdOperation::None,
        IdOperation::Created => PbIdOperation::Created,
        IdOperation::Deleted => PbIdOperation::Deleted,
    });
    message
}

fn read_changed_object(object: pb::ChangedObject) -> Result<(ObjectId, EffectsObjectChange)> {
    let unknown = || invalid("missing or unknown");
    let input_state = match object.input_state() {
        InputObjectState::DoesNotExist => ObjectIn::NotExist,
        InputObjectState::Exists => ObjectIn::Exist(
            (
                value(object.input_version).at("input_version")?,
                text(object.input_digest.clone()).at("input_digest")?,
            ),
            message(object.input_owner.clone()).at("input_owner")?,
        ),
        InputObjectState::Unknown => return Err(unknown()).at("input_state"),
    };
    let output_state = match object.output_state() {
        OutputObjectState::DoesNotExist => ObjectOut::NotExist,
        OutputObjectState::ObjectWrite => ObjectOut::ObjectWrite(
            text(object.output_digest.clone()).at("output_digest")?,
            message(object.output_owner.clone()).at("output_owner")?,
        ),
        OutputObjectState::Unknown => return Err(unknown()).at("output_state"),
    };
    let id_operation = match object.id_operation() {
        PbIdOperation::None => IdOperation::None,
        PbIdOperation::Created => IdOperation::Created,
        PbIdOperation::Deleted => IdOperation::Deleted,
        PbIdOperation::Unknown => return Err(unknown()).at("id_operation"),
    };
    let id = object_id(object.object_id).at("object_id")?;
    Ok((id, EffectsObjectChange { input_state, output_state, id_operation }))
}

fn unchanged_object(id: &ObjectId, unchanged: &UnchangedSharedKind) -> pb::UnchangedSharedObject {
    let (kind, version, digest) = match unchanged {
        UnchangedSharedKind::ReadOnlyRoot(version, digest) => {
            (UnchangedSharedObjectKind::ReadOnlyRoot, version, Some(digest.to_string()))
        }
        UnchangedSharedKind::MutateDeleted(version) => {
            (UnchangedSharedObjectKind::MutatedDeleted, version, None)
        }
        UnchangedSharedKind::ReadDeleted(version) => {
            (UnchangedSharedObjectKind::ReadDeleted, version, None)
        }
        UnchangedSharedKind::Cancelled(version) => {
            (UnchangedSharedObjectKind::Canceled, version, None)
        }
    };
    pb::UnchangedSharedObject {
        kind: Some(kind.into()),
        object_id: Some(id.to_string()),
        version: Some(*version),
        digest,
        object_type: None,
    }
}

fn read_unchanged_object(
    object: pb::UnchangedSharedObject,
) -> Result<(ObjectId, UnchangedSharedKind)> {
    let kind = object.kind();
    let id = object_id(object.object_id).at("object_id")?;
    let version = value(object.version).at("version")?;
    let unchanged = match kind {
        UnchangedSharedObjectKind::ReadOnlyRoot => {
            UnchangedSharedKind::ReadOnlyRoot(version, text(object.digest).at("digest")?)
        }
        UnchangedSharedObjectKind::MutatedDeleted => UnchangedSharedKind::MutateDeleted(version),
        UnchangedSharedObjectKind::ReadDeleted => UnchangedSharedKind::ReadDeleted(version),
        UnchangedSharedObjectKind::Canceled => UnchangedSharedKind::Cancelled(version),
        UnchangedSharedObjectKind::Unknown => return Err(invalid("missing or unknown")).at("kind"),
    };
    Ok((id, unchanged))
}
