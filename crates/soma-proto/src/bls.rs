//! Validator keys: BLS12-381 with signatures in G1 and public keys in G2.
//!
//! A message is the intent, the BCS of the value and the epoch as eight bytes
//! little-endian; it is hashed to the curve by RFC 9380 with the tag
//! `BLS_SIG_BLS12381G1_XMD:SHA-256_SSWU_RO_NUL_`.

mod bitmap;

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use blst::BLST_ERROR;
use blst::min_sig::{AggregateSignature, PublicKey, SecretKey, Signature};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use zeroize::Zeroizing;

pub use self::bitmap::SignerBitmap;
use crate::signature::Intent;
use crate::{Address, Error, Result, bytes_field, raw_field};

/// Tag of the hash to the curve.
const DST: &[u8] = b"BLS_SIG_BLS12381G1_XMD:SHA-256_SSWU_RO_NUL_";

macro_rules! array {
    ($(#[$doc:meta])* $name:ident, $length:literal, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; $length]);

        impl $name {
            /// Length in bytes.
            pub const LENGTH: usize = $length;

            /// Wraps the bytes.
            pub const fn new(bytes: [u8; $length]) -> Self {
                Self(bytes)
            }

            /// Wraps a slice.
            ///
            /// # Errors
            /// [`Error::Length`] if its length is another.
            pub fn from_bytes(bytes: impl AsRef<[u8]>) -> Result<Self> {
                let bytes = bytes.as_ref();
                let array = bytes.try_into().map_err(|_| Error::Length {
                    what: $what,
                    expected: Self::LENGTH,
                    found: bytes.len(),
                })?;
                Ok(Self(array))
            }

            /// The bytes, borrowed.
            pub const fn inner(&self) -> &[u8; $length] {
                &self.0
            }

            /// The bytes as a slice.
            pub const fn as_bytes(&self) -> &[u8] {
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
                proptest::collection::vec(proptest::arbitrary::any::<u8>(), $length)
                    .prop_map(|bytes| Self::from_bytes(bytes).expect("the length is right"))
                    .boxed()
            }
        }
    };
}

macro_rules! key_text {
    ($name:ident, $what:literal) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&STANDARD.encode(self.0))
            }
        }

        impl FromStr for $name {
            type Err = Error;

            fn from_str(text: &str) -> Result<Self> {
                let bytes =
                    STANDARD.decode(text).map_err(|_| Error::text($what, "not standard Base64"))?;
                Self::from_bytes(bytes)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                raw_field::serialize(&self.0, serializer)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                raw_field::deserialize(deserializer).map(Self)
            }
        }
    };
}

array!(
    /// A validator's public key: a compressed point of G2.
    ///
    /// ```text
    /// bls-key = 96OCTET          ; no length in front
    /// ```
    ///
    /// Whether it is a point shows when it is used. Text: standard Base64.
    BlsPublicKey, 96, "BLS public key"
);
key_text!(BlsPublicKey, "BLS public key");

array!(
    /// A signature by one validator or by many: a compressed point of G1.
    ///
    /// ```text
    /// bls-signature = 48OCTET    ; no length in front
    /// ```
    ///
    /// Text: standard Base64.
    BlsSignature, 48, "BLS signature"
);
key_text!(BlsSignature, "BLS signature");

array!(
    /// A validator's name: its public key once more, in another shape.
    ///
    /// ```text
    /// authority-name = %x60 96OCTET
    /// ```
    ///
    /// Text: `k#` and 192 hex digits; read from hex with or without `0x`. In
    /// JSON: standard Base64.
    AuthorityName, 96, "validator name"
);

impl fmt::Display for AuthorityName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "k#{}", hex::encode(self.0))
    }
}

impl FromStr for AuthorityName {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("k#")).unwrap_or(text);
        let bytes =
            hex::decode(digits).map_err(|_| Error::text("validator name", "expected hex"))?;
        Self::from_bytes(bytes)
    }
}

impl Serialize for AuthorityName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.serialize_str(&STANDARD.encode(self.0))
        } else {
            bytes_field::serialize(&self.0, serializer)
        }
    }
}

impl<'de> Deserialize<'de> for AuthorityName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            let text = String::deserialize(deserializer)?;
            let bytes = STANDARD.decode(text).map_err(de::Error::custom)?;
            Self::from_bytes(bytes).map_err(de::Error::custom)
        } else {
            bytes_field::deserialize(deserializer).map(Self)
        }
    }
}

impl From<BlsPublicKey> for AuthorityName {
    fn from(key: BlsPublicKey) -> Self {
        Self(key.0)
    }
}

impl From<AuthorityName> for BlsPublicKey {
    fn from(name: AuthorityName) -> Self {
        Self(name.0)
    }
}

/// A validator's secret key. Wiped when dropped, never shown by `Debug`.
#[derive(Clone)]
pub struct BlsKeyPair(SecretKey);

impl BlsKeyPair {
    /// Reads a secret scalar, 32 bytes big-endian.
    ///
    /// # Errors
    /// [`Error::Length`]; [`Error::Text`] if it is zero or not below the order
    /// of the group.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        if bytes.len() != 32 {
            return Err(Error::Length { what: "BLS key", expected: 32, found: bytes.len() });
        }
        SecretKey::from_bytes(bytes).map(Self).map_err(|_| Error::text("BLS key", "not a scalar"))
    }

    /// A new key from the operating system's generator.
    ///
    /// # Panics
    /// If the operating system has no randomness to give.
    pub fn generate() -> Self {
        let mut material = Zeroizing::new([0; 32]);
        getrandom::fill(&mut *material).expect("the operating system provides randomness");
        Self(SecretKey::key_gen(&*material, &[]).expect("32 bytes are enough for a key"))
    }

    /// The public key.
    pub fn public_key(&self) -> BlsPublicKey {
        BlsPublicKey(self.0.sk_to_pk().to_bytes())
    }

    /// The name that goes with the public key.
    pub fn name(&self) -> AuthorityName {
        self.public_key().into()
    }

    /// Signs bytes as they are.
    pub fn sign(&self, message: &[u8]) -> BlsSignature {
        BlsSignature(self.0.sign(message, DST, &[]).to_bytes())
    }

    /// Signs `value` on behalf of the validators of `epoch`.
    pub fn sign_in_epoch<T: Serialize>(
        &self,
        intent: Intent,
        value: &T,
        epoch: u64,
    ) -> BlsSignature {
        self.sign(&authority_message(intent, value, epoch))
    }

    /// Shows that the owner of `address` holds this key.
    pub fn proof_of_possession(&self, address: Address) -> BlsSignature {
        self.sign(&possession_message(&self.public_key(), address))
    }

    /// The secret scalar, big-endian.
    pub fn secret_bytes(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.0.to_bytes())
    }
}

impl fmt::Debug for BlsKeyPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlsKeyPair").field("public_key", &self.public_key()).finish_non_exhaustive()
    }
}

impl BlsSignature {
    /// Adds up signatures, usually over one message.
    ///
    /// # Errors
    /// [`Error::Signature`] if there is none or one is not a point.
    pub fn aggregate(signatures: &[Self]) -> Result<Self> {
        let parts: Vec<_> = signatures.iter().map(|s| s.to_point()).collect::<Result<_>>()?;
        let parts: Vec<_> = parts.iter().collect();
        AggregateSignature::aggregate(&parts, true)
            .map(|sum| Self(sum.to_signature().to_bytes()))
            .map_err(|_| Error::Signature("nothing to aggregate, or not a point of the group"))
    }

    /// Checks that `key` signed `message`.
    ///
    /// # Errors
    /// [`Error::Signature`].
    pub fn verify(&self, message: &[u8], key: &BlsPublicKey) -> Result<()> {
        self.verify_all(message, std::slice::from_ref(key))
    }

    /// Checks that the holders of `keys` all signed `message`. The keys are
    /// trusted to be points of their group, as their proofs of possession say.
    ///
    /// # Errors
    /// [`Error::Signature`].
    pub fn verify_all(&self, message: &[u8], keys: &[BlsPublicKey]) -> Result<()> {
        let keys: Vec<_> = keys.iter().map(|key| key.to_point()).collect::<Result<_>>()?;
        let keys: Vec<_> = keys.iter().collect();
        accept(self.to_point()?.fast_aggregate_verify(true, message, DST, &keys))
    }

    /// Checks that this is the proof that the owner of `address` holds `key`,
    /// and that `key` is a usable key.
    ///
    /// # Errors
    /// [`Error::Signature`].
    pub fn verify_possession(&self, key: &BlsPublicKey, address: Address) -> Result<()> {
        let message = possession_message(key, address);
        accept(self.to_point()?.verify(true, &message, DST, &[], &key.to_point()?, true))
    }

    fn to_point(self) -> Result<Signature> {
        Signature::from_bytes(&self.0).map_err(|_| Error::Signature("not a point of the curve"))
    }
}

impl BlsPublicKey {
    /// Checks that it is a point of its group other than the neutral one.
    ///
    /// # Errors
    /// [`Error::Signature`].
    pub fn validate(&self) -> Result<()> {
        self.to_point()?.validate().map_err(|_| Error::Signature("not a usable BLS key"))
    }

    fn to_point(self) -> Result<PublicKey> {
        PublicKey::from_bytes(&self.0).map_err(|_| Error::Signature("not a usable BLS key"))
    }
}

/// What validators sign: intent, BCS of the value, epoch.
pub fn authority_message<T: Serialize>(intent: Intent, value: &T, epoch: u64) -> Vec<u8> {
    let mut message = intent.to_bytes().to_vec();
    bcs::serialize_into(&mut message, value).expect("values of this crate have a BCS form");
    message.extend_from_slice(&epoch.to_le_bytes());
    message
}

fn possession_message(key: &BlsPublicKey, address: Address) -> Vec<u8> {
    let value = [key.as_bytes(), address.as_bytes()].concat();
    authority_message(Intent::PROOF_OF_POSSESSION, &value, 0)
}

fn accept(result: BLST_ERROR) -> Result<()> {
    match result {
        BLST_ERROR::BLST_SUCCESS => Ok(()),
        _ => Err(Error::Signature("it does not match keys and content")),
    }
}
