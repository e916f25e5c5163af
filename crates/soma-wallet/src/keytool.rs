//! What low-level key tools show.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use soma_proto::signature::{Intent, SignatureScheme};
use soma_proto::{Address, KeyPair, PublicKey, TransactionData, hash};

use crate::{Error, Keystore, Result};

/// A key as key tools list it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct KeyRecord {
    /// Its name, if it is in a keystore.
    pub alias: Option<String>,
    /// Its account.
    pub soma_address: Address,
    /// Base64 of the flag byte and the public key.
    pub public_base64_key: String,
    /// Upper case, `ED25519`.
    pub key_scheme: String,
    /// The scheme's byte in front of keys and signatures.
    pub flag: u8,
}

impl KeyRecord {
    /// The record of a public key.
    pub fn new(key: &PublicKey, alias: Option<&str>) -> Self {
        let scheme = SignatureScheme::Ed25519;
        Self {
            alias: alias.map(str::to_owned),
            soma_address: key.address(),
            public_base64_key: key.to_string(),
            key_scheme: scheme.as_str().to_ascii_uppercase(),
            flag: scheme.flag(),
        }
    }
}

impl Keystore {
    /// The records of all keys, ordered by address.
    pub fn records(&self) -> Vec<KeyRecord> {
        self.iter().map(|(_, alias, key)| KeyRecord::new(&key.public_key(), Some(alias))).collect()
    }
}

/// A signature and all that went into it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SignedData {
    /// Who signed.
    pub soma_address: Address,
    /// Base64 of the bytes given.
    pub raw_tx_data: String,
    /// Six hex digits.
    pub intent: Intent,
    /// Base64 of the intent and the bytes.
    pub raw_intent_msg: String,
    /// Base64 of Blake2b-256 of that: what the key signed.
    pub digest: String,
    /// Base64 of flag, signature and public key.
    pub soma_signature: String,
}

/// Signs bytes under an intent. `data` is Base64; under the intent of
/// transactions it must be the BCS of one.
///
/// # Errors
/// [`Error::NotBase64`], [`Error::Unsignable`].
pub fn sign(key: &KeyPair, data: &str, intent: Intent) -> Result<SignedData> {
    let bytes = STANDARD.decode(data.trim()).map_err(|_| Error::NotBase64)?;
    if intent == Intent::TRANSACTION {
        TransactionData::from_bcs(&bytes).map_err(Error::Unsignable)?;
    }
    let message = [&intent.to_bytes(), &bytes[..]].concat();
    let digest = hash::blake2b256(&[&message]);
    Ok(SignedData {
        soma_address: key.address(),
        raw_tx_data: STANDARD.encode(&bytes),
        intent,
        raw_intent_msg: STANDARD.encode(&message),
        digest: STANDARD.encode(digest),
        soma_signature: key.sign_hash(&digest).to_string(),
    })
}

/// The record of a key given as Base64 or Bech32.
///
/// # Errors
/// [`Error::SecretKey`].
pub fn unpack(text: &str) -> Result<KeyRecord> {
    let key =
        KeyPair::from_encoded(text).map_err(|e| Error::SecretKey { reason: e.to_string() })?;
    Ok(KeyRecord::new(&key.public_key(), None))
}
