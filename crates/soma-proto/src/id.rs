//! Thirty-two byte identifiers and digests.
//!
//! ```text
//! address, object-id = 32OCTET          ; no length in front
//! digest             = %x20 32OCTET     ; length in front
//! ```

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::{Error, Result};

/// Reads hex with an optional `0x`; the prefixed form may be short and is
/// padded with zeros on the left, the bare form must have all 64 digits.
fn parse_padded_hex(text: &str, what: &'static str) -> Result<[u8; 32]> {
    let digits = match text.strip_prefix("0x") {
        Some(digits) if digits.len() <= 64 => digits,
        Some(_) => return Err(Error::text(what, "more than 64 hex digits")),
        None if text.len() == 64 => text,
        None => {
            return Err(Error::text(
                what,
                format!("expected 64 hex digits, found {} characters", text.chars().count()),
            ));
        }
    };
    if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(Error::text(what, "not all characters are hex digits"));
    }
    let padded = format!("{digits:0>64}");
    let mut bytes = [0; 32];
    hex::decode_to_slice(padded, &mut bytes).map_err(|e| Error::text(what, e.to_string()))?;
    Ok(bytes)
}

fn parse_base58(text: &str, what: &'static str) -> Result<[u8; 32]> {
    let mut bytes = [0; 32];
    let length = bs58::decode(text)
        .onto(&mut bytes)
        .map_err(|e| Error::text(what, format!("not the Base58 text of 32 bytes: {e}")))?;
    if length != 32 {
        return Err(Error::Length { what, expected: 32, found: length });
    }
    Ok(bytes)
}

/// The two halves as numbers. In BCS two 128-bit numbers have the bytes of 32
/// single ones, and a system state of many models, which is ids for the most
/// part, is written several times faster.
fn halves(bytes: &[u8; 32]) -> [u128; 2] {
    let half = |at: usize| bytes[at..at + 16].try_into().expect("half of 32 is 16");
    [u128::from_le_bytes(half(0)), u128::from_le_bytes(half(16))]
}

/// What [`halves`] took apart.
fn whole(halves: [u128; 2]) -> [u8; 32] {
    let mut bytes = [0; 32];
    for (to, half) in bytes.chunks_exact_mut(16).zip(halves) {
        to.copy_from_slice(&half.to_le_bytes());
    }
    bytes
}

macro_rules! array_of_32 {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; 32]);

        impl $name {
            /// Length in bytes.
            pub const LENGTH: usize = 32;
            /// Thirty-two zero bytes.
            pub const ZERO: Self = Self([0; 32]);

            /// Wraps the bytes.
            pub const fn new(bytes: [u8; 32]) -> Self {
                Self(bytes)
            }

            /// Wraps a slice.
            ///
            /// # Errors
            /// [`Error::Length`] unless it holds exactly 32 bytes.
            pub fn from_bytes(bytes: impl AsRef<[u8]>) -> Result<Self> {
                let bytes = bytes.as_ref();
                let array = bytes.try_into().map_err(|_| Error::Length {
                    what: $what,
                    expected: Self::LENGTH,
                    found: bytes.len(),
                })?;
                Ok(Self(array))
            }

            /// Draws 32 bytes from the operating system's generator.
            ///
            /// # Panics
            /// If the operating system has no randomness to give.
            pub fn random() -> Self {
                let mut bytes = [0; 32];
                getrandom::fill(&mut bytes).expect("the operating system provides randomness");
                Self(bytes)
            }

            /// The bytes, borrowed.
            pub const fn inner(&self) -> &[u8; 32] {
                &self.0
            }

            /// The bytes.
            pub const fn into_inner(self) -> [u8; 32] {
                self.0
            }

            /// The bytes as a slice.
            pub const fn as_bytes(&self) -> &[u8] {
                &self.0
            }
        }

        impl From<[u8; 32]> for $name {
            fn from(bytes: [u8; 32]) -> Self {
                Self(bytes)
            }
        }

        impl AsRef<[u8]> for $name {
            fn as_ref(&self) -> &[u8] {
                &self.0
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }

        #[cfg(feature = "proptest")]
        impl proptest::arbitrary::Arbitrary for $name {
            type Parameters = ();
            type Strategy = proptest::strategy::BoxedStrategy<Self>;

            fn arbitrary_with((): ()) -> Self::Strategy {
                use proptest::strategy::Strategy as _;
                proptest::arbitrary::any::<[u8; 32]>().prop_map(Self).boxed()
            }
        }
    };
}

macro_rules! hex_id {
    ($(#[$doc:meta])* $name:ident, $what:literal, $prefix:literal) => {
        array_of_32!($(#[$doc])* $name, $what);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}{}", $prefix, hex::encode(self.0))
            }
        }

        impl FromStr for $name {
            type Err = Error;

            fn from_str(text: &str) -> Result<Self> {
                parse_padded_hex(text, $what).map(Self)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                if serializer.is_human_readable() {
                    serializer.collect_str(self)
                } else {
                    halves(&self.0).serialize(serializer)
                }
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                if deserializer.is_human_readable() {
                    let text = std::borrow::Cow::<'_, str>::deserialize(deserializer)?;
                    text.parse().map_err(de::Error::custom)
                } else {
                    <[u128; 2]>::deserialize(deserializer).map(|halves| Self(whole(halves)))
                }
            }
        }
    };
}

macro_rules! digest {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        array_of_32!($(#[$doc])* $name, $what);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&bs58::encode(self.0).into_string())
            }
        }

        impl FromStr for $name {
            type Err = Error;

            fn from_str(text: &str) -> Result<Self> {
                parse_base58(text, $what).map(Self)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                if serializer.is_human_readable() {
                    serializer.collect_str(self)
                } else {
                    serializer.serialize_bytes(&self.0)
                }
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                if deserializer.is_human_readable() {
                    let text = std::borrow::Cow::<'_, str>::deserialize(deserializer)?;
                    text.parse().map_err(de::Error::custom)
                } else {
                    crate::bytes_field::deserialize(deserializer).map(Self)
                }
            }
        }
    };
}

hex_id!(
    /// An account: Blake2b-256 of a flag byte and a public key. Text: 64
    /// lower-case hex digits without prefix.
    Address, "address", ""
);
hex_id!(
    /// The id of an object, model, pool or target. Text: `0x` and 64
    /// lower-case hex digits.
    ObjectId, "object id", "0x"
);
digest!(
    /// A digest that has no type of its own.
    Digest, "digest"
);
digest!(
    /// The digest of [`TransactionData`](crate::TransactionData).
    TransactionDigest, "transaction digest"
);
digest!(
    /// The digest of [`TransactionEffects`](crate::effects::TransactionEffects).
    EffectsDigest, "effects digest"
);
digest!(
    /// The digest of an [`Object`](crate::Object).
    ObjectDigest, "object digest"
);
digest!(
    /// The digest of a [`CheckpointSummary`](crate::checkpoint::CheckpointSummary);
    /// that of checkpoint 0 identifies the chain.
    CheckpointDigest, "checkpoint digest"
);
digest!(
    /// The Merkle root over the transactions of a checkpoint.
    CheckpointContentsDigest, "checkpoint contents digest"
);
digest!(
    /// A Blake2b-256 commitment to a URL or to an encrypted file.
    Commitment, "commitment"
);

impl ObjectDigest {
    /// Stands where an object was deleted.
    pub const DELETED: Self = Self([99; 32]);
    /// Stands where an object was wrapped into another.
    pub const WRAPPED: Self = Self([88; 32]);
    /// Stands for a read that was cancelled.
    pub const CANCELLED: Self = Self([77; 32]);
}

impl ObjectId {
    /// The one [`SystemState`](crate::system_state::SystemState) object.
    pub const SYSTEM_STATE: Self = {
        let mut bytes = [0; 32];
        bytes[31] = 5;
        Self(bytes)
    };
}

impl From<Address> for ObjectId {
    fn from(address: Address) -> Self {
        Self(address.0)
    }
}

impl From<ObjectId> for Address {
    fn from(id: ObjectId) -> Self {
        Self(id.0)
    }
}

impl Commitment {
    /// Blake2b-256 of the plain bytes, nothing in front.
    pub fn of(bytes: impl AsRef<[u8]>) -> Self {
        Self(crate::hash::blake2b256(&[bytes.as_ref()]))
    }

    /// Reads exactly 64 hex digits with an optional `0x`, or the Base58 text
    /// of 32 bytes that later releases of the network print.
    ///
    /// # Errors
    /// [`Error::Text`] or [`Error::Length`].
    pub fn from_hex_or_base58(text: &str) -> Result<Self> {
        parse_hex_or_base58(text, "commitment").map(Self)
    }

    /// 64 lower-case hex digits.
    pub fn to_hex(&self) -> String {
        hex::encode(self.0)
    }
}

/// Reads a 32-byte parameter: hex of exactly 64 digits, or Base58 of 32 to 44
/// characters.
pub(crate) fn parse_hex_or_base58(text: &str, what: &'static str) -> Result<[u8; 32]> {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    if digits.len() == 64 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return parse_padded_hex(digits, what);
    }
    if text == digits
        && (32..=44).contains(&text.len())
        && let Ok(bytes) = parse_base58(text, what)
    {
        return Ok(bytes);
    }
    if !digits.is_empty()
        && digits.len().is_multiple_of(2)
        && digits.bytes().all(|b| b.is_ascii_hexdigit())
    {
        return Err(Error::Length { what, expected: 32, found: digits.len() / 2 });
    }
    Err(Error::text(what, "expected 64 hex digits, with or without 0x"))
}
