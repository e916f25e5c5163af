//! What users sign, and the signatures themselves.

mod ed25519;
mod multisig;

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

pub use self::multisig::{MultiSig, MultiSigPublicKey};
use crate::{Address, Error, PublicKey, Result, byte_buf};

/// What a signature is for: scope, version and application.
///
/// ```text
/// intent = scope version application
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Intent([u8; 3]);

impl Intent {
    /// A user's transaction.
    pub const TRANSACTION: Self = Self([0, 0, 1]);
    /// The summary of a checkpoint, signed by the committee.
    pub const CHECKPOINT: Self = Self([7, 0, 1]);
    /// A validator's proof that it holds its protocol key.
    pub const PROOF_OF_POSSESSION: Self = Self([8, 0, 1]);

    /// Highest scope in use.
    const LAST_SCOPE: u8 = 8;

    /// Reads the three bytes.
    ///
    /// # Errors
    /// [`Error::Length`], or [`Error::Text`] for a scope, version or
    /// application that does not exist.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        match *bytes {
            [scope, version, application] => {
                if scope > Self::LAST_SCOPE || version != 0 || application > 1 {
                    return Err(Error::text("intent", "unknown scope, version or application"));
                }
                Ok(Self([scope, version, application]))
            }
            _ => Err(Error::Length { what: "intent", expected: 3, found: bytes.len() }),
        }
    }

    /// The three bytes.
    pub const fn to_bytes(self) -> [u8; 3] {
        self.0
    }
}

impl fmt::Display for Intent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Intent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Intent({self})")
    }
}

impl FromStr for Intent {
    type Err = Error;

    /// Reads six hex digits, with or without `0x`.
    fn from_str(text: &str) -> Result<Self> {
        let digits = text.strip_prefix("0x").unwrap_or(text);
        let bytes = hex::decode(digits).map_err(|_| Error::text("intent", "expected hex"))?;
        Self::from_bytes(&bytes)
    }
}

impl Serialize for Intent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            self.0.serialize(serializer)
        }
    }
}

impl<'de> Deserialize<'de> for Intent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
        } else {
            let bytes = <[u8; 3]>::deserialize(deserializer)?;
            Self::from_bytes(&bytes).map_err(de::Error::custom)
        }
    }
}

/// The kinds of keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SignatureScheme {
    /// One account key.
    Ed25519,
    /// A validator's key. Never valid under a transaction.
    Bls12381,
    /// Several account keys with weights.
    MultiSig,
}

impl SignatureScheme {
    /// The byte in front of keys and signatures of this kind.
    pub const fn flag(self) -> u8 {
        match self {
            Self::Ed25519 => 0,
            Self::Bls12381 => 1,
            Self::MultiSig => 2,
        }
    }

    /// The name in texts.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ed25519 => "ed25519",
            Self::Bls12381 => "bls12381",
            Self::MultiSig => "multisig",
        }
    }
}

impl fmt::Display for SignatureScheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for SignatureScheme {
    type Err = Error;

    /// Reads the lower-case name.
    fn from_str(text: &str) -> Result<Self> {
        [Self::Ed25519, Self::Bls12381, Self::MultiSig]
            .into_iter()
            .find(|scheme| scheme.as_str() == text)
            .ok_or_else(|| Error::text("key scheme", "expected ed25519, bls12381 or multisig"))
    }
}

/// A signature under a transaction.
///
/// ```text
/// signature = uleb (ed25519 / multisig)   ; length, then one of them
/// ed25519   = %x00 64OCTET 32OCTET        ; signature, public key
/// multisig  = %x02 *OCTET                 ; BCS of MultiSig
/// ```
///
/// `Display`, `FromStr` and JSON: standard Base64 of what follows the length.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum UserSignature {
    /// By one key.
    Ed25519 {
        /// The signature of RFC 8032.
        signature: [u8; 64],
        /// The key it is by.
        public_key: PublicKey,
    },
    /// By several keys.
    MultiSig(Box<MultiSig>),
}

impl UserSignature {
    /// What stands under a transaction of the network itself: 97 zero bytes.
    pub const SYSTEM: Self =
        Self::Ed25519 { signature: [0; 64], public_key: PublicKey::new([0; 32]) };

    /// Length in bytes of a signature by one key.
    pub const ED25519_LENGTH: usize = 97;

    /// Reads flag and signature.
    ///
    /// # Errors
    /// [`Error::Length`]; [`Error::Signature`] for a flag that users cannot
    /// use; [`Error::Bcs`] or [`Error::NotCanonical`] for a bad multisig.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        match bytes.split_first() {
            Some((0, rest)) => {
                let length = || Error::Length {
                    what: "signature",
                    expected: Self::ED25519_LENGTH,
                    found: bytes.len(),
                };
                let (signature, key) = rest.split_first_chunk::<64>().ok_or_else(length)?;
                let key: [u8; 32] = key.try_into().map_err(|_| length())?;
                Ok(Self::Ed25519 { signature: *signature, public_key: PublicKey::new(key) })
            }
            Some((2, rest)) => Ok(Self::MultiSig(Box::new(MultiSig::from_bcs(rest)?))),
            Some(_) => Err(Error::Signature("unknown scheme")),
            None => {
                Err(Error::Length { what: "signature", expected: Self::ED25519_LENGTH, found: 0 })
            }
        }
    }

    /// Flag and signature.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![self.scheme().flag()];
        match self {
            Self::Ed25519 { signature, public_key } => {
                bytes.extend_from_slice(signature);
                bytes.extend_from_slice(public_key.as_bytes());
            }
            Self::MultiSig(multisig) => bytes.extend_from_slice(&multisig.to_bcs()),
        }
        bytes
    }

    /// The kind of signature.
    pub const fn scheme(&self) -> SignatureScheme {
        match self {
            Self::Ed25519 { .. } => SignatureScheme::Ed25519,
            Self::MultiSig(_) => SignatureScheme::MultiSig,
        }
    }

    /// The account that signed, if the signature holds.
    pub fn address(&self) -> Address {
        match self {
            Self::Ed25519 { public_key, .. } => public_key.address(),
            Self::MultiSig(multisig) => multisig.public_key.address(),
        }
    }

    /// Checks that `sender` signed `hash`, which
    /// [`TransactionData::signing_hash`](crate::TransactionData::signing_hash)
    /// has made.
    ///
    /// Single signatures are checked by the rules of ZIP-215: points may have
    /// several encodings, the equation is multiplied by the cofactor.
    ///
    /// # Errors
    /// [`Error::Signature`] with the reason.
    pub fn verify(&self, hash: &[u8; 32], sender: Address) -> Result<()> {
        if self.address() != sender {
            return Err(Error::Signature("the key is not the sender's"));
        }
        match self {
            Self::Ed25519 { signature, public_key } => ed25519::verify(public_key, hash, signature),
            Self::MultiSig(multisig) => multisig.verify(hash),
        }
    }
}

impl fmt::Display for UserSignature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&STANDARD.encode(self.to_bytes()))
    }
}

impl fmt::Debug for UserSignature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UserSignature({self})")
    }
}

impl FromStr for UserSignature {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let bytes =
            STANDARD.decode(text).map_err(|_| Error::text("signature", "not standard Base64"))?;
        Self::from_bytes(&bytes)
    }
}

impl Serialize for UserSignature {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            serializer.serialize_bytes(&self.to_bytes())
        }
    }
}

impl<'de> Deserialize<'de> for UserSignature {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
        } else {
            let bytes = byte_buf::deserialize(deserializer)?;
            Self::from_bytes(&bytes).map_err(de::Error::custom)
        }
    }
}
