//! Account keys: Ed25519 (RFC 8032) and their text forms.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bech32::primitives::decode::CheckedHrpstring;
use bech32::{Bech32, Hrp};
use ed25519_dalek::{Signer as _, SigningKey};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::{Zeroize as _, Zeroizing};

use crate::signature::{SignatureScheme, UserSignature};
use crate::{Address, Error, Result, TransactionData, hash, raw_field};

/// The part of a secret key text before the separator.
const SECRET_PREFIX: Hrp = Hrp::parse_unchecked("somaprivkey");
/// Name of the value in errors.
const WHAT: &str = "secret key";

/// An Ed25519 public key as it travels.
///
/// ```text
/// public-key = 32OCTET          ; no length in front
/// ```
///
/// Any 32 bytes will do: whether they are a point of the curve shows when a
/// signature is checked. `Display` and `FromStr` are standard Base64 of the
/// flag byte `00` and the key; in JSON the flag is absent.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey([u8; 32]);

impl PublicKey {
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
    pub fn from_bytes(bytes: impl AsRef<[u8]>) -> Result<Self> {
        let bytes = bytes.as_ref();
        let array = bytes.try_into().map_err(|_| Error::Length {
            what: "public key",
            expected: Self::LENGTH,
            found: bytes.len(),
        })?;
        Ok(Self(array))
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

    /// The account of the key: Blake2b-256 over the flag byte and the key.
    pub fn address(&self) -> Address {
        Address::new(hash::blake2b256(&[&[SignatureScheme::Ed25519.flag()], &self.0]))
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&encode_flagged(&self.0))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({self})")
    }
}

impl FromStr for PublicKey {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        decode_flagged(text, "public key").map(|bytes| Self(*bytes))
    }
}

impl Serialize for PublicKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        raw_field::serialize(&self.0, serializer)
    }
}

impl<'de> Deserialize<'de> for PublicKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        raw_field::deserialize(deserializer).map(Self)
    }
}

/// The secret key of an account: a 32-byte seed of RFC 8032.
///
/// Wiped when dropped, and never shown by `Debug`.
///
/// ```
/// use soma_proto::KeyPair;
///
/// let key = KeyPair::from_bytes([1; 32]);
/// assert_eq!(
///     key.address().to_string(),
///     "29dfbf688abce7ab43bb8e70cae158ae961196e721440f515482f8ba1684390f",
/// );
/// let text = key.to_bech32();
/// assert_eq!(KeyPair::from_bech32(&text)?.address(), key.address());
/// # Ok::<(), soma_proto::Error>(())
/// ```
#[derive(Clone)]
pub struct KeyPair(SigningKey);

impl KeyPair {
    /// Length of the secret in bytes.
    pub const SECRET_LENGTH: usize = 32;

    /// The key of a seed.
    pub fn from_bytes(seed: [u8; 32]) -> Self {
        let seed = Zeroizing::new(seed);
        Self(SigningKey::from_bytes(&seed))
    }

    /// The key of a seed in a slice.
    ///
    /// # Errors
    /// [`Error::Length`] unless it holds exactly 32 bytes.
    pub fn from_slice(seed: &[u8]) -> Result<Self> {
        let seed = seed.try_into().map_err(|_| Error::Length {
            what: WHAT,
            expected: Self::SECRET_LENGTH,
            found: seed.len(),
        })?;
        Ok(Self::from_bytes(seed))
    }

    /// Reads 64 hex digits of any case, with or without `0x`.
    ///
    /// # Errors
    /// [`Error::Length`] or [`Error::Text`], never with the text in it.
    pub fn from_hex(text: &str) -> Result<Self> {
        let digits = text.strip_prefix("0x").unwrap_or(text);
        let bytes = hex::decode(digits)
            .map(Zeroizing::new)
            .map_err(|_| Error::text(WHAT, "expected 64 hex digits, with or without 0x"))?;
        Self::from_slice(&bytes)
    }

    /// Reads the text `somaprivkey1...` (BIP-173), all lower or all upper case.
    ///
    /// # Errors
    /// [`Error::Text`] or [`Error::Length`], never with the text in it.
    pub fn from_bech32(text: &str) -> Result<Self> {
        let fail = |reason: &str| Error::text(WHAT, reason);
        let parsed = CheckedHrpstring::new::<Bech32>(text)
            .map_err(|_| fail("not a Bech32 text, or its checksum does not hold"))?;
        if parsed.hrp() != SECRET_PREFIX {
            return Err(fail("expected a text that begins with somaprivkey1"));
        }
        let bytes: Zeroizing<Vec<u8>> = Zeroizing::new(parsed.byte_iter().collect());
        let key = Self::from_flagged(&bytes)?;
        // Bits left over at the end must be zero, else two texts mean one key.
        if !key.to_bech32().eq_ignore_ascii_case(text) {
            return Err(fail("not in canonical form"));
        }
        Ok(key)
    }

    /// Reads standard Base64 of the flag byte and the seed: an entry of a
    /// keystore file.
    ///
    /// # Errors
    /// [`Error::Text`] or [`Error::Length`], never with the text in it.
    pub fn from_base64(text: &str) -> Result<Self> {
        decode_flagged(text, WHAT).map(|seed| Self::from_bytes(*seed))
    }

    /// Reads [Bech32](Self::from_bech32) or [Base64](Self::from_base64),
    /// whichever it is, with blanks around it: the contents of a key file.
    ///
    /// # Errors
    /// [`Error::Text`] or [`Error::Length`], never with the text in it.
    pub fn from_encoded(text: &str) -> Result<Self> {
        let text = text.trim();
        let prefix = SECRET_PREFIX.as_str();
        match text.get(..prefix.len()) {
            Some(start) if start.eq_ignore_ascii_case(prefix) => Self::from_bech32(text),
            _ => Self::from_base64(text),
        }
    }

    /// A new key from the operating system's generator.
    ///
    /// # Panics
    /// If the operating system has no randomness to give.
    pub fn generate() -> Self {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).expect("the operating system provides randomness");
        let key = Self::from_bytes(seed);
        seed.zeroize();
        key
    }

    /// The public key.
    pub fn public_key(&self) -> PublicKey {
        PublicKey(self.0.verifying_key().to_bytes())
    }

    /// The account of the key.
    pub fn address(&self) -> Address {
        self.public_key().address()
    }

    /// Signs a transaction. Its sender is not compared with the key.
    pub fn sign_transaction(&self, data: &TransactionData) -> UserSignature {
        self.sign_hash(&data.signing_hash())
    }

    /// Signs a hash that [`TransactionData::signing_hash`] has made.
    pub fn sign_hash(&self, hash: &[u8; 32]) -> UserSignature {
        UserSignature::Ed25519 {
            signature: self.0.sign(hash).to_bytes(),
            public_key: self.public_key(),
        }
    }

    /// The seed.
    pub fn secret_bytes(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.0.to_bytes())
    }

    /// The seed as 64 lower-case hex digits.
    pub fn to_hex(&self) -> Zeroizing<String> {
        Zeroizing::new(hex::encode(*self.secret_bytes()))
    }

    /// The text `somaprivkey1...`, 71 characters.
    pub fn to_bech32(&self) -> Zeroizing<String> {
        let text = bech32::encode::<Bech32>(SECRET_PREFIX, &*flagged(&self.secret_bytes()));
        Zeroizing::new(text.expect("33 bytes fit into a Bech32 text"))
    }

    /// Standard Base64 of the flag byte and the seed, 44 characters.
    pub fn to_base64(&self) -> Zeroizing<String> {
        Zeroizing::new(encode_flagged(&self.secret_bytes()))
    }

    fn from_flagged(bytes: &[u8]) -> Result<Self> {
        Self::from_slice(strip_flag(bytes, WHAT)?)
    }
}

impl fmt::Debug for KeyPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyPair").field("public_key", &self.public_key()).finish_non_exhaustive()
    }
}

fn flagged(key: &[u8; 32]) -> Zeroizing<[u8; 33]> {
    let mut bytes = Zeroizing::new([0; 33]);
    bytes[0] = SignatureScheme::Ed25519.flag();
    bytes[1..].copy_from_slice(key);
    bytes
}

fn strip_flag<'a>(bytes: &'a [u8], what: &'static str) -> Result<&'a [u8]> {
    match bytes.split_first() {
        Some((&flag, _)) if bytes.len() == 33 && flag != SignatureScheme::Ed25519.flag() => {
            Err(Error::text(what, format!("scheme {flag:#04x} is not Ed25519")))
        }
        Some((_, key)) if key.len() == 32 => Ok(key),
        _ => Err(Error::Length { what, expected: 33, found: bytes.len() }),
    }
}

fn encode_flagged(key: &[u8; 32]) -> String {
    STANDARD.encode(*flagged(key))
}

fn decode_flagged(text: &str, what: &'static str) -> Result<Zeroizing<[u8; 32]>> {
    let bytes = STANDARD
        .decode(text)
        .map(Zeroizing::new)
        .map_err(|_| Error::text(what, "not standard Base64"))?;
    let mut key = Zeroizing::new([0; 32]);
    key.copy_from_slice(strip_flag(&bytes, what)?);
    Ok(key)
}
