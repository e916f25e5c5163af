//! The checksum of a manifest.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::{Commitment, Error, Result, id::parse_hex_or_base58};

/// Blake2b-256 of the bytes that a URL serves.
///
/// It travels as text even in BCS: 43 characters of Base64 (URL alphabet,
/// RFC 4648 section 5), no padding.
///
/// ```text
/// checksum = %x2B 43(ALPHA / DIGIT / "-" / "_")
/// ```
///
/// People see and type it as 64 hex digits: `Display` and `FromStr`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Checksum([u8; 32]);

impl Checksum {
    /// Length in bytes.
    pub const LENGTH: usize = 32;

    /// Wraps the bytes.
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Wraps a slice.
    ///
    /// # Errors
    /// [`Error::Length`] unless it holds exactly 32 bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let array = bytes.try_into().map_err(|_| Error::Length {
            what: "checksum",
            expected: Self::LENGTH,
            found: bytes.len(),
        })?;
        Ok(Self(array))
    }

    /// The bytes.
    pub const fn inner(&self) -> &[u8; 32] {
        &self.0
    }

    /// The form in which it travels.
    pub fn to_base64url(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }

    /// Reads the form in which it travels.
    ///
    /// # Errors
    /// [`Error::Text`] on padding, another alphabet, another length or
    /// trailing bits that are not zero.
    pub fn from_base64url(text: &str) -> Result<Self> {
        let bytes =
            URL_SAFE_NO_PAD.decode(text).map_err(|e| Error::text("checksum", e.to_string()))?;
        Self::from_bytes(&bytes)
    }
}

impl From<Commitment> for Checksum {
    fn from(commitment: Commitment) -> Self {
        Self(commitment.into_inner())
    }
}

impl From<Checksum> for Commitment {
    fn from(checksum: Checksum) -> Self {
        Self::new(checksum.0)
    }
}

impl FromStr for Checksum {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        parse_hex_or_base58(text, "checksum").map(Self)
    }
}

impl fmt::Display for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Checksum({self})")
    }
}

impl Serialize for Checksum {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.to_base64url())
    }
}

impl<'de> Deserialize<'de> for Checksum {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::from_base64url(&text).map_err(de::Error::custom)
    }
}
