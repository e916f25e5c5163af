//! URLs in the one spelling that the chain hashes.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::{Commitment, Error, Result};

/// An absolute URL in normal form.
///
/// The normal form is what a WHATWG URL parser prints: scheme and host in
/// lower case, default port dropped, `/` after a bare host, dot segments
/// resolved, blanks and non-ASCII percent-encoded. The chain parses the URL of
/// a reveal in this way and hashes the result, so a commitment to any other
/// spelling can never be revealed.
///
/// ```
/// use soma_proto::WeightsUrl;
///
/// let url: WeightsUrl = "HTTPS://Example.com:443/a/../w.bin".parse()?;
/// assert_eq!(url.as_str(), "https://example.com/w.bin");
/// # Ok::<(), soma_proto::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WeightsUrl(url::Url);

impl WeightsUrl {
    /// The normal form.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The parsed URL.
    pub fn as_url(&self) -> &url::Url {
        &self.0
    }

    /// Blake2b-256 of the normal form.
    pub fn commitment(&self) -> Commitment {
        Commitment::of(self.as_str())
    }
}

impl FromStr for WeightsUrl {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let url = url::Url::parse(text).map_err(|e| Error::text("URL", e.to_string()))?;
        // Some `file:` URLs read differently when what was printed is read again.
        if url::Url::parse(url.as_str()).as_ref() != Ok(&url) {
            return Err(Error::text("URL", "it has no normal form"));
        }
        Ok(Self(url))
    }
}

impl fmt::Display for WeightsUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for WeightsUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WeightsUrl({self})")
    }
}

impl Serialize for WeightsUrl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for WeightsUrl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}
