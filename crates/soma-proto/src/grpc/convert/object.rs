//! Objects, their references and owners.

use super::read::{address, object_type};
use super::{At as _, invalid, masked, object_id, text, value};
use crate::grpc::mask::MaskTree;
use crate::grpc::pb;
use crate::grpc::pb::owner::OwnerKind;
use crate::{Error, Object, ObjectRef, Owner, Result};

impl From<&ObjectRef> for pb::ObjectReference {
    fn from(reference: &ObjectRef) -> Self {
        Self {
            object_id: Some(reference.id().to_string()),
            version: Some(reference.version()),
            digest: Some(reference.digest().to_string()),
        }
    }
}

impl TryFrom<pb::ObjectReference> for ObjectRef {
    type Error = Error;

    fn try_from(reference: pb::ObjectReference) -> Result<Self> {
        Ok(Self(
            object_id(reference.object_id).at("object_id")?,
            value(reference.version).at("version")?,
            text(reference.digest).at("digest")?,
        ))
    }
}

/// Id, version and digest of an object that need not be complete.
///
/// # Errors
/// [`Error::Field`] if one of the three is absent or unreadable.
pub fn object_reference(object: &pb::Object) -> Result<ObjectRef> {
    pb::ObjectReference {
        object_id: object.object_id.clone(),
        version: object.version,
        digest: object.digest.clone(),
    }
    .try_into()
}

impl From<&Owner> for pb::Owner {
    fn from(owner: &Owner) -> Self {
        let (kind, address, version) = match owner {
            Owner::AddressOwner(address) => (OwnerKind::Address, Some(address.to_string()), None),
            Owner::Shared { initial_shared_version } => {
                (OwnerKind::Shared, None, Some(*initial_shared_version))
            }
            Owner::Immutable => (OwnerKind::Immutable, None, None),
        };
        Self { kind: Some(kind.into()), address, version }
    }
}

impl TryFrom<pb::Owner> for Owner {
    type Error = Error;

    fn try_from(owner: pb::Owner) -> Result<Self> {
        match owner.kind() {
            OwnerKind::Address => Ok(Self::AddressOwner(address(owner.address).at("address")?)),
            OwnerKind::Shared => {
                Ok(Self::Shared { initial_shared_version: owner.version.unwrap_or_default() })
            }
            OwnerKind::Immutable => Ok(Self::Immutable),
            OwnerKind::Unknown => Err(invalid("missing or unknown")).at("kind"),
        }
    }
}

/// Of an object what the mask selects.
pub fn object_message(object: &Object, mask: &MaskTree) -> pb::Object {
    masked!(
        mask,
        pb::Object {
            object_id: Some(object.id().to_string()),
            version: Some(object.version()),
            digest: Some(object.digest().to_string()),
            owner: Some((&object.owner).into()),
            object_type: Some(object.object_type().to_string()),
            contents: Some(object.inner().to_vec()),
            previous_transaction: Some(object.previous_transaction.to_string()),
        }
    )
}

/// Of many objects what the mask selects; sorted by id and version, each
/// version once.
pub fn object_set_message<'a>(
    objects: impl IntoIterator<Item = &'a Object>,
    mask: &MaskTree,
) -> pb::ObjectSet {
    let mut objects: Vec<&Object> = objects.into_iter().collect();
    objects.sort_by_key(|object| (object.id(), object.version()));
    objects.dedup_by_key(|object| (object.id(), object.version()));
    let objects = objects.into_iter().map(|object| object_message(object, mask)).collect();
    pb::ObjectSet { objects }
}

impl From<&Object> for pb::Object {
    fn from(object: &Object) -> Self {
        object_message(object, &MaskTree::everything())
    }
}

impl TryFrom<pb::Object> for Object {
    type Error = Error;

    /// The digest is not looked at: it follows from the other fields.
    fn try_from(object: pb::Object) -> Result<Self> {
        Ok(Self::new(
            object_id(object.object_id).at("object_id")?,
            object_type(object.object_type).at("object_type")?,
            value(object.version).at("version")?,
            &value(object.contents).at("contents")?,
            super::message(object.owner).at("owner")?,
            text(object.previous_transaction).at("previous_transaction")?,
        ))
    }
}
