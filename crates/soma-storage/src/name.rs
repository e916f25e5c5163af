//! Names of objects that nobody can guess.

use std::fmt;

use crate::{Error, Result};

/// The name of an uploaded object: 256 random bits, written as 64 hex digits.
///
/// The chain publishes the hash of a URL a day before the URL itself, and
/// hashes are quick to try; a name like this makes that hopeless.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ObjectName([u8; Self::LENGTH]);

impl ObjectName {
    /// Bytes in a name.
    pub const LENGTH: usize = 32;

    /// Takes a name from its 32 bytes, which should be random.
    pub const fn new(bytes: [u8; Self::LENGTH]) -> Self {
        Self(bytes)
    }

    /// Draws a name from the operating system.
    ///
    /// # Errors
    /// [`Error::Random`] if the system gives no randomness; there is no fallback.
    pub fn random() -> Result<Self> {
        let mut bytes = [0; Self::LENGTH];
        getrandom::fill(&mut bytes).map_err(|error| Error::Random { reason: error.to_string() })?;
        Ok(Self(bytes))
    }

    /// Finds the name at the end of a URL's path.
    pub fn of_url(url: &url::Url) -> Option<Self> {
        let text = url.path_segments()?.next_back()?;
        let mut bytes = [0; Self::LENGTH];
        let digits = text.as_bytes();
        if digits.len() != 2 * Self::LENGTH {
            return None;
        }
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = digit(pair[0])? << 4 | digit(pair[1])?;
        }
        Some(Self(bytes))
    }

    /// The bytes.
    pub const fn as_bytes(&self) -> &[u8; Self::LENGTH] {
        &self.0
    }
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// A lower-case hex digit, as [`ObjectName`] is written.
const fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_again_in_urls() {
        let name = ObjectName::random().unwrap();
        let text = name.to_string();
        assert_eq!((text.len(), text.to_lowercase()), (64, text.clone()));
        let url = |text: &str| format!("https://host.example/a/{text}").parse().unwrap();
        assert_eq!(ObjectName::of_url(&url(&text)), Some(name));
        for other in ["", "weights.enc", &text[1..], &text.replace(&text[..1], "G")] {
            assert_eq!(ObjectName::of_url(&url(other)), None, "{other}");
        }
        assert_ne!(ObjectName::random().unwrap(), name);
    }
}
