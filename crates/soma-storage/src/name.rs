//! Names of objects that nobody can guess.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::{Error, Result};

/// The name of an uploaded object: 256 random bits, written as 64 hex digits.
///
/// The chain publishes the hash of a URL a day before the URL itself, and
/// hashes are quick to try; a name like this makes that hopeless.
///
/// ```
/// use soma_storage::{ObjectName, Url};
///
/// let name = ObjectName::random()?;
/// let url: Url = format!("https://weights.example/models/{name}").parse()?;
/// assert_eq!(ObjectName::of_url(&url), Some(name));
/// assert_eq!(name.to_string().parse::<ObjectName>()?, name);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
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
        url.path_segments()?.next_back()?.parse().ok()
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
        let read = || {
            let mut bytes = [0; Self::LENGTH];
            let (pairs, []) = text.as_bytes().as_chunks::<2>() else { return None };
            if pairs.len() != Self::LENGTH {
                return None;
            }
            for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
                *byte = digit(*high)? << 4 | digit(*low)?;
            }
            Some(Self(bytes))
        };
        read().ok_or_else(|| Error::Name { text: text.chars().take(80).collect() })
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

impl Serialize for ObjectName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ObjectName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
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
        let others = [
            String::new(),
            "weights.enc".to_owned(),
            text[1..].to_owned(),
            text.replace(&text[..1], "G"),
            "AB".repeat(32),
            format!("{text}/"),
            format!("{text}.enc"),
            format!("{text}00"),
        ];
        for other in others {
            assert_eq!(ObjectName::of_url(&url(&other)), None, "{other}");
        }
        assert_ne!(ObjectName::random().unwrap(), name);
    }
}
