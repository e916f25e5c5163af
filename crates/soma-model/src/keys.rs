//! Keys that can be found again: made from the wallet's secret and the name of
//! the object that holds the encrypted weights.
//!
//! HKDF-SHA256 (RFC 5869) is one-way, so a key that a reveal has published
//! tells nothing of the wallet. The name is 32 random bytes, so no key serves
//! twice. The derivation is described in `docs/keys.md`.

use std::fmt;
use std::str::FromStr;

use hkdf::Hkdf;
use sha2::Sha256;
use soma_proto::{DecryptionKey, KeyPair, WeightsUrl};
use zeroize::Zeroizing;

use crate::{Error, Result, TypedUrl};

/// What the key of weights is derived for. The number is that of the
/// derivation: another one would need another number.
const WEIGHTS_KEY: &[u8] = b"soma-weights-key/1";
/// What the identity that opens a companion is derived for.
const COMPANION: &[u8] = b"soma-state-companion/1";

/// The name of an object in a store: 32 random bytes, in URLs 64 hex digits.
///
/// It does two things. Nobody can guess it from the hash of the URL, which is
/// public a day before the reveal; and together with the wallet it gives the
/// key, so that phrase and store suffice to go on after a machine is lost.
///
/// ```
/// use soma_model::{ObjectName, TypedUrl};
///
/// let name = ObjectName::random()?;
/// let folder: TypedUrl = "https://weights.example/models/".parse()?;
/// let url = name.in_folder(&folder);
/// assert_eq!(url.normal().as_str(), format!("https://weights.example/models/{name}"));
/// assert_eq!(ObjectName::of(url.normal()), Some(name));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ObjectName([u8; Self::LENGTH]);

impl ObjectName {
    /// Length in bytes.
    pub const LENGTH: usize = 32;

    /// No object's name.
    pub(crate) const ZERO: Self = Self([0; Self::LENGTH]);

    /// Draws a fresh name from the operating system.
    ///
    /// # Errors
    /// [`Error::Weights`] if the system gives no randomness.
    pub fn random() -> Result<Self> {
        let mut bytes = [0; Self::LENGTH];
        getrandom::fill(&mut bytes).map_err(|error| {
            Error::Weights(soma_crypto::Error::Random { reason: error.to_string() })
        })?;
        Ok(Self(bytes))
    }

    /// The name in a URL: its last part, if that is one.
    pub fn of(url: &WeightsUrl) -> Option<Self> {
        url.as_url().path_segments()?.next_back()?.parse().ok()
    }

    /// The URL of the object in a folder.
    ///
    /// # Panics
    /// If `folder` is none: see [`TypedUrl::is_folder`].
    pub fn in_folder(&self, folder: &TypedUrl) -> TypedUrl {
        assert!(folder.is_folder(), "the URL of a folder ends in a slash");
        let url = format!("{}{self}", folder.normal());
        url.parse().expect("hex digits after a slash keep a URL in normal form")
    }

    /// The bytes.
    pub const fn as_bytes(&self) -> &[u8; Self::LENGTH] {
        &self.0
    }
}

impl FromStr for ObjectName {
    type Err = Error;

    /// Reads 64 lower-case hex digits: another spelling would be another URL.
    fn from_str(text: &str) -> Result<Self> {
        let mut bytes = [0; Self::LENGTH];
        let lower = !text.bytes().any(|byte| byte.is_ascii_uppercase());
        match hex::decode_to_slice(text, &mut bytes) {
            Ok(()) if lower => Ok(Self(bytes)),
            _ => Err(Error::ObjectName { text: text.chars().take(80).collect() }),
        }
    }
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ObjectName({self})")
    }
}

/// The AES-256 key of the weights that are stored under `name`.
///
/// Use a name once: whoever encrypts two files under one name encrypts them
/// under one key.
pub fn weights_key(wallet: &KeyPair, name: &ObjectName) -> DecryptionKey {
    DecryptionKey::new(*derive(wallet, name, WEIGHTS_KEY))
}

/// The age identity that opens the companion of the object called `name`.
pub(crate) fn companion_identity(wallet: &KeyPair, name: &ObjectName) -> age::x25519::Identity {
    const PREFIX: bech32::Hrp = bech32::Hrp::parse_unchecked("age-secret-key-");
    let secret = derive(wallet, name, COMPANION);
    let text = bech32::encode_upper::<bech32::Bech32>(PREFIX, secret.as_slice());
    let text = Zeroizing::new(text.expect("32 bytes fit into a Bech32 text"));
    text.parse().expect("any 32 bytes are an X25519 secret")
}

fn derive(wallet: &KeyPair, name: &ObjectName, purpose: &[u8]) -> Zeroizing<[u8; 32]> {
    let secret = wallet.secret_bytes();
    let mut derived = Zeroizing::new([0; 32]);
    Hkdf::<Sha256>::new(Some(name.as_bytes()), secret.as_slice())
        .expand(purpose, derived.as_mut_slice())
        .expect("32 bytes are not too many for HKDF-SHA256");
    derived
}

#[cfg(test)]
mod tests {
    use age::secrecy::ExposeSecret as _;

    use super::*;

    /// Expected values: RFC 5869 and BIP-173 written down in Python with the
    /// standard library's `hmac`, over the secret 00 01 .. 1f.
    #[test]
    fn derivation_is_hkdf_sha256() {
        let wallet = KeyPair::from_bytes(std::array::from_fn(|place| place as u8));
        let name: ObjectName = "ab".repeat(32).parse().unwrap();
        let key = weights_key(&wallet, &name);
        assert_eq!(
            hex::encode(key.as_bytes()),
            "7f8cb806825677f84d04ba8b6d275512643cf19986e380c393959ff00ae12217"
        );
        assert_eq!(
            companion_identity(&wallet, &name).to_string().expose_secret(),
            "AGE-SECRET-KEY-1PRY7W74AD29F7T0CSSU535DPJHT8JAE0WC77DG9GL6DMRVPJELUSJMED9C"
        );
        let other = ObjectName::random().unwrap();
        assert_ne!(weights_key(&wallet, &other), key);
        assert_ne!(weights_key(&KeyPair::from_bytes([9; 32]), &name), key);
    }

    #[test]
    fn names_in_urls() {
        let hex = "0f".repeat(32);
        let of = |url: &str| ObjectName::of(&url.parse().unwrap());
        assert_eq!(of(&format!("https://a.example/b/{hex}")).unwrap().to_string(), hex);
        for other in [
            "https://a.example/".to_owned(),
            "https://a.example/weights.enc".to_owned(),
            format!("https://a.example/{}", hex.to_uppercase()),
            format!("https://a.example/{hex}/"),
            format!("https://a.example/{hex}.enc"),
            format!("https://a.example/{hex}00"),
        ] {
            assert_eq!(of(&other), None, "{other}");
        }
    }
}
