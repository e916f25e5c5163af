//! The secret: 32 bytes that leave memory when they are dropped.

use std::fmt;

use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::{Error, blake2b};

/// A key of AES-256.
///
/// The initial counter is fixed at zero, so **one key serves one plaintext**: two
/// files under one key give away their XOR. [`Key::generate`] is the usual way to
/// get one. A key is neither `Copy` nor `Clone`, is wiped on drop, and its `Debug`
/// shows the fingerprint only.
///
/// ```
/// use soma_crypto::Key;
///
/// let key = Key::generate()?;
/// let text = key.to_hex();
/// assert_eq!(Key::from_hex(&text)?.fingerprint(), key.fingerprint());
/// # Ok::<(), soma_crypto::Error>(())
/// ```
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct Key([u8; Self::LENGTH]);

impl Key {
    /// Bytes in a key.
    pub const LENGTH: usize = 32;

    /// Draws a fresh key from the operating system.
    ///
    /// # Errors
    /// [`Error::Random`] if the system gives no randomness; there is no fallback.
    pub fn generate() -> Result<Self, Error> {
        let mut bytes = Zeroizing::new([0; Self::LENGTH]);
        getrandom::fill(bytes.as_mut_slice())
            .map_err(|error| Error::Random { reason: error.to_string() })?;
        Ok(Self(*bytes))
    }

    /// Takes a key from its 32 bytes.
    pub fn from_bytes(bytes: [u8; Self::LENGTH]) -> Self {
        Self(bytes)
    }

    /// Takes a key from a slice.
    ///
    /// # Errors
    /// [`Error::KeyLength`] unless the slice holds exactly 32 bytes.
    pub fn from_slice(bytes: &[u8]) -> Result<Self, Error> {
        let bytes = bytes.try_into().map_err(|_| Error::KeyLength { found: bytes.len() })?;
        Ok(Self(bytes))
    }

    /// Reads 64 hex digits of either case, with an optional `0x`.
    ///
    /// # Errors
    /// [`Error::KeyText`] for anything else; the error does not repeat the text.
    pub fn from_hex(text: &str) -> Result<Self, Error> {
        let digits = text.strip_prefix("0x").unwrap_or(text);
        let mut bytes = Zeroizing::new([0; Self::LENGTH]);
        hex::decode_to_slice(digits, bytes.as_mut_slice()).map_err(|_| Error::KeyText)?;
        Ok(Self(*bytes))
    }

    /// The key as 64 lower-case hex digits, wiped when dropped.
    pub fn to_hex(&self) -> Zeroizing<String> {
        Zeroizing::new(hex::encode(self.0))
    }

    /// The 32 bytes.
    pub fn as_bytes(&self) -> &[u8; Self::LENGTH] {
        &self.0
    }

    /// Eight hex digits that tell keys apart without giving them away.
    ///
    /// The first four bytes of Blake2b-256 over `soma-key-fingerprint` and the key.
    pub fn fingerprint(&self) -> String {
        let mut hasher = blake2b::Blake2b256::new();
        hasher.update(b"soma-key-fingerprint");
        hasher.update(&self.0);
        hex::encode(&hasher.finalize().as_bytes()[..4])
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({}..)", self.fingerprint())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

    #[test]
    fn text_forms() {
        let key = Key::from_hex(HEX).unwrap();
        assert_eq!(key.as_bytes()[..4], [0, 1, 2, 3]);
        assert_eq!(key.to_hex().as_str(), HEX);
        let upper = format!("0x{}", HEX.to_uppercase());
        assert_eq!(Key::from_hex(&upper).unwrap().as_bytes(), key.as_bytes());
    }

    #[test]
    fn bad_texts_are_refused_and_not_repeated() {
        for text in ["", "0x", "00", &HEX[1..], &format!("{HEX}00"), &HEX.replace('0', "g")] {
            let error = Key::from_hex(text).unwrap_err();
            assert!(matches!(error, Error::KeyText));
            assert!(text.len() < 8 || !format!("{error} {error:?}").contains(text));
        }
    }

    #[test]
    fn debug_hides_the_bytes() {
        let shown = format!("{:?}", Key::from_hex(HEX).unwrap());
        assert_eq!(shown.len(), "Key(12345678..)".len());
        assert!(!shown.contains("0001") && !shown.contains("1e1f"));
    }

    #[test]
    fn fresh_keys_differ() {
        let (a, b) = (Key::generate().unwrap(), Key::generate().unwrap());
        assert_ne!(a.as_bytes(), b.as_bytes());
        assert_ne!(a.as_bytes(), &[0; Key::LENGTH]);
    }
}
