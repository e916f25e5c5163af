//! Where weights are, and how to open them.

use std::fmt;

use serde::{Deserialize, Serialize};
use zeroize::Zeroize;

use crate::{Checksum, Error, Result, WeightsUrl, bytes_field, id::parse_hex_or_base58};

/// Where a file is, how long it is and what it hashes to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "proptest", derive(proptest_derive::Arbitrary))]
#[non_exhaustive]
pub enum Manifest {
    /// The only version so far.
    V1(ManifestV1),
}

/// Version 1 of [`Manifest`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "proptest", derive(proptest_derive::Arbitrary))]
pub struct ManifestV1 {
    /// Where the file is served.
    pub url: WeightsUrl,
    /// Its size and hash.
    pub metadata: Metadata,
}

/// Size and hash of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "proptest", derive(proptest_derive::Arbitrary))]
#[non_exhaustive]
pub enum Metadata {
    /// The only version so far.
    V1(MetadataV1),
}

/// Version 1 of [`Metadata`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "proptest", derive(proptest_derive::Arbitrary))]
pub struct MetadataV1 {
    /// Blake2b-256 of the bytes that the URL serves.
    pub checksum: Checksum,
    /// Their number.
    pub size: u64,
}

impl Manifest {
    /// A manifest of version 1.
    pub fn new(url: WeightsUrl, checksum: Checksum, size: u64) -> Self {
        Self::V1(ManifestV1 { url, metadata: Metadata::V1(MetadataV1 { checksum, size }) })
    }

    /// Where the file is served.
    pub fn url(&self) -> &WeightsUrl {
        let Self::V1(manifest) = self;
        &manifest.url
    }

    /// Blake2b-256 of the served bytes.
    pub fn checksum(&self) -> Checksum {
        let Self::V1(ManifestV1 { metadata: Metadata::V1(metadata), .. }) = self;
        metadata.checksum
    }

    /// Number of served bytes.
    pub fn size(&self) -> u64 {
        let Self::V1(ManifestV1 { metadata: Metadata::V1(metadata), .. }) = self;
        metadata.size
    }
}

/// The manifest of encrypted weights and the key that opens them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "proptest", derive(proptest_derive::Arbitrary))]
pub struct ModelWeightsManifest {
    /// Where the encrypted weights are.
    pub manifest: Manifest,
    /// The AES-256 key, public from the reveal on.
    pub decryption_key: DecryptionKey,
}

/// The manifest of submitted data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "proptest", derive(proptest_derive::Arbitrary))]
pub struct SubmissionManifest {
    /// Where the data is.
    pub manifest: Manifest,
}

/// An AES-256 key on its way into a reveal. Never shown by `Debug`, wiped on drop.
#[derive(Clone, PartialEq, Eq)]
pub struct DecryptionKey([u8; 32]);

impl DecryptionKey {
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
            what: "decryption key",
            expected: Self::LENGTH,
            found: bytes.len(),
        })?;
        Ok(Self(array))
    }

    /// Reads 64 hex digits with an optional `0x`, or Base58.
    ///
    /// # Errors
    /// [`Error::Text`] or [`Error::Length`]; never with the text in it.
    pub fn from_hex_or_base58(text: &str) -> Result<Self> {
        parse_hex_or_base58(text, "decryption key").map(Self)
    }

    /// The key itself.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl Drop for DecryptionKey {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for DecryptionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DecryptionKey(..)")
    }
}

impl Serialize for DecryptionKey {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        bytes_field::serialize(&self.0, serializer)
    }
}

impl<'de> Deserialize<'de> for DecryptionKey {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        bytes_field::deserialize(deserializer).map(Self)
    }
}
