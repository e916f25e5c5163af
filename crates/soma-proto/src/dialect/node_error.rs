//! Faults inside a node, as far as they can end up in effects.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::ObjectId;

/// A fault inside a node that failed a transaction.
///
/// The network has many more of these; the ones here are those that can reach
/// a client. Bytes with another number cannot be read, since nothing tells how
/// long such a value is: read the effects from their message form instead.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "proptest", derive(proptest_derive::Arbitrary))]
#[non_exhaustive]
pub enum NodeError {
    /// Not an address.
    InvalidAddress,
    /// Any fault, in words.
    GenericAuthorityError {
        /// The words.
        error: String,
    },
    /// An object is missing.
    ObjectNotFound {
        /// The object.
        object_id: ObjectId,
        /// The version wanted, if one was.
        version: Option<u64>,
    },
    /// The node could not read or write.
    Storage(String),
    /// The node could not read the system state.
    SystemStateReadError(String),
    /// The owner of an object is not of the kind expected.
    UnexpectedOwnerType,
    /// Unknown to the node itself.
    Unknown(String),
    /// Execution broke off.
    ExecutionError(String),
    /// The gas coins cannot be used.
    GasPaymentError(String),
}

/// Numbers on the wire and names in JSON, in the order of [`NodeError`].
const TAGS: [(u32, &str); 9] = [
    (5, "InvalidAddress"),
    (14, "GenericAuthorityError"),
    (32, "ObjectNotFound"),
    (36, "Storage"),
    (38, "SystemStateReadError"),
    (45, "UnexpectedOwnerType"),
    (70, "Unknown"),
    (75, "ExecutionError"),
    (85, "GasPaymentError"),
];

/// Name of the enum in serde's terms.
const ENUM: &str = "SomaError";

impl NodeError {
    /// Any fault, in words.
    pub fn generic(error: impl Into<String>) -> Self {
        Self::GenericAuthorityError { error: error.into() }
    }

    /// The name, for people and programs alike.
    pub const fn name(&self) -> &'static str {
        TAGS[self.place()].1
    }

    const fn place(&self) -> usize {
        match self {
            Self::InvalidAddress => 0,
            Self::GenericAuthorityError { .. } => 1,
            Self::ObjectNotFound { .. } => 2,
            Self::Storage(_) => 3,
            Self::SystemStateReadError(_) => 4,
            Self::UnexpectedOwnerType => 5,
            Self::Unknown(_) => 6,
            Self::ExecutionError(_) => 7,
            Self::GasPaymentError(_) => 8,
        }
    }
}

impl fmt::Display for NodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InvalidAddress => f.write_str("invalid address"),
            Self::UnexpectedOwnerType => f.write_str("an object has an owner of another kind"),
            Self::ObjectNotFound { object_id, version: None } => {
                write!(f, "object {object_id} does not exist")
            }
            Self::ObjectNotFound { object_id, version: Some(version) } => {
                write!(f, "object {object_id} does not exist in version {version}")
            }
            Self::GenericAuthorityError { error: text }
            | Self::Storage(text)
            | Self::SystemStateReadError(text)
            | Self::Unknown(text)
            | Self::ExecutionError(text)
            | Self::GasPaymentError(text) => f.write_str(text),
        }
    }
}

#[derive(Serialize, Deserialize)]
struct Generic<T> {
    error: T,
}

#[derive(Serialize, Deserialize)]
struct NotFound {
    object_id: ObjectId,
    version: Option<u64>,
}

impl Serialize for NodeError {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (number, name) = TAGS[self.place()];
        match self {
            Self::InvalidAddress | Self::UnexpectedOwnerType => {
                serializer.serialize_unit_variant(ENUM, number, name)
            }
            Self::GenericAuthorityError { error } => {
                serializer.serialize_newtype_variant(ENUM, number, name, &Generic { error })
            }
            Self::ObjectNotFound { object_id, version } => {
                let fields = NotFound { object_id: *object_id, version: *version };
                serializer.serialize_newtype_variant(ENUM, number, name, &fields)
            }
            Self::Storage(text)
            | Self::SystemStateReadError(text)
            | Self::Unknown(text)
            | Self::ExecutionError(text)
            | Self::GasPaymentError(text) => {
                serializer.serialize_newtype_variant(ENUM, number, name, text)
            }
        }
    }
}

impl<'de> Deserialize<'de> for NodeError {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        const NAMES: &[&str] = &{
            let mut names = [""; TAGS.len()];
            let mut place = 0;
            while place < TAGS.len() {
                names[place] = TAGS[place].1;
                place += 1;
            }
            names
        };
        deserializer.deserialize_enum(ENUM, NAMES, Visitor)
    }
}

struct Visitor;

impl<'de> de::Visitor<'de> for Visitor {
    type Value = NodeError;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a node error")
    }

    fn visit_enum<A: de::EnumAccess<'de>>(self, data: A) -> Result<NodeError, A::Error> {
        use de::VariantAccess as _;

        let (Place(place), variant) = data.variant()?;
        Ok(match place {
            0 => {
                variant.unit_variant()?;
                NodeError::InvalidAddress
            }
            1 => NodeError::generic(variant.newtype_variant::<Generic<String>>()?.error),
            2 => {
                let NotFound { object_id, version } = variant.newtype_variant()?;
                NodeError::ObjectNotFound { object_id, version }
            }
            3 => NodeError::Storage(variant.newtype_variant()?),
            4 => NodeError::SystemStateReadError(variant.newtype_variant()?),
            5 => {
                variant.unit_variant()?;
                NodeError::UnexpectedOwnerType
            }
            6 => NodeError::Unknown(variant.newtype_variant()?),
            7 => NodeError::ExecutionError(variant.newtype_variant()?),
            _ => NodeError::GasPaymentError(variant.newtype_variant()?),
        })
    }
}

/// A place in [`TAGS`], read from a number or a name.
struct Place(usize);

impl<'de> Deserialize<'de> for Place {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TagVisitor;

        impl de::Visitor<'_> for TagVisitor {
            type Value = Place;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the number or name of a node error")
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Place, E> {
                TAGS.iter().position(|tag| u64::from(tag.0) == number).map(Place).ok_or_else(|| {
                    E::custom(format!(
                        "node error {number} has no byte form here; read the effects from their message form"
                    ))
                })
            }

            fn visit_str<E: de::Error>(self, name: &str) -> Result<Place, E> {
                TAGS.iter()
                    .position(|tag| tag.1 == name)
                    .map(Place)
                    .ok_or_else(|| E::custom(format!("unknown node error {name}")))
            }
        }

        deserializer.deserialize_identifier(TagVisitor)
    }
}
