//! How values are written in a state file.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::Error as _;
use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};
use zeroize::Zeroizing;

/// What a state file says of itself: a name and a version.
pub(super) const FORMAT: &str = "soma-model-state/1";

/// [`FORMAT`] as a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Format;

impl serde::Serialize for Format {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(FORMAT)
    }
}

impl<'de> serde::Deserialize<'de> for Format {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match String::deserialize(deserializer)?.as_str() {
            FORMAT => Ok(Self),
            _ => Err(D::Error::custom("another format")),
        }
    }
}

/// A key: 64 hex digits.
pub(super) mod key {
    use soma_proto::DecryptionKey;

    use super::*;

    pub(in crate::state) fn serialize<S: Serializer>(
        key: &DecryptionKey,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let key = soma_crypto::Key::from_bytes(*key.as_bytes());
        serializer.serialize_str(&key.to_hex())
    }

    pub(in crate::state) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<DecryptionKey, D::Error> {
        let text = Zeroizing::new(String::deserialize(deserializer)?);
        // The reason must not repeat the text.
        DecryptionKey::from_hex_or_base58(&text)
            .map_err(|_| D::Error::custom("expected a key of 64 hex digits"))
    }
}

/// Hash and size of an encrypted file: `{"weights_commitment", "weights_size"}`.
pub(super) mod measured {
    use serde::{Deserialize, Serialize};
    use soma_proto::Commitment;

    use super::*;
    use crate::Measured;

    #[derive(Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Written {
        weights_commitment: String,
        weights_size: u64,
    }

    pub(in crate::state) fn serialize<S: Serializer>(
        sealed: &Option<Measured>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let written = sealed.map(|sealed| Written {
            weights_commitment: sealed.commitment.to_hex(),
            weights_size: sealed.size,
        });
        written.serialize(serializer)
    }

    pub(in crate::state) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Measured>, D::Error> {
        let Some(written) = Option::<Written>::deserialize(deserializer)? else { return Ok(None) };
        let commitment = Commitment::from_hex_or_base58(&written.weights_commitment)
            .map_err(D::Error::custom)?;
        Ok(Some(Measured { commitment, size: written.weights_size }))
    }
}

/// Numbers: Base64 of their little-endian bits, so that none changes.
pub(super) mod floats {
    use super::*;

    pub(in crate::state) fn serialize<S: Serializer>(
        numbers: &Option<Vec<f32>>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let bytes = |numbers: &Vec<f32>| -> Vec<u8> {
            numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
        };
        numbers.as_ref().map(|numbers| STANDARD.encode(bytes(numbers))).serialize(serializer)
    }

    pub(in crate::state) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Vec<f32>>, D::Error> {
        let Some(text) = Option::<String>::deserialize(deserializer)? else { return Ok(None) };
        let bytes = STANDARD.decode(text).map_err(D::Error::custom)?;
        if bytes.len() % 4 != 0 {
            return Err(D::Error::custom("an embedding is a whole number of 32-bit floats"));
        }
        let number = |four: &[u8]| f32::from_le_bytes([four[0], four[1], four[2], four[3]]);
        Ok(Some(bytes.chunks_exact(4).map(number).collect()))
    }
}

/// A signed transaction: Base64 of its BCS bytes.
pub(super) mod transaction {
    use soma_proto::SignedTransaction;

    use super::*;

    pub(in crate::state) fn serialize<S: Serializer>(
        transaction: &Option<SignedTransaction>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let text = transaction.as_ref().map(|transaction| STANDARD.encode(transaction.to_bcs()));
        text.serialize(serializer)
    }

    pub(in crate::state) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<SignedTransaction>, D::Error> {
        let Some(text) = Option::<String>::deserialize(deserializer)? else { return Ok(None) };
        let bytes = STANDARD.decode(text).map_err(D::Error::custom)?;
        SignedTransaction::from_bcs(&bytes).map(Some).map_err(D::Error::custom)
    }
}
