//! How values are written on the command line.
//!
//! Each function is a parser for one flag or argument; its error says what was
//! expected and what was found, and clap adds the name of the flag.

use std::time::Duration;

use soma_proto::{Amount, Commitment, DecryptionKey, ObjectId};

/// A commitment or checksum: 32 bytes in hex or Base58.
pub(crate) fn hash(text: &str) -> Result<Commitment, String> {
    Commitment::from_hex_or_base58(text).map_err(|_| not_32_bytes(text))
}

/// A key, under the rules of [`hash()`]. The text never appears in the error.
pub(crate) fn key(secret: &Secret) -> Result<DecryptionKey, String> {
    let text = secret.expose().trim();
    DecryptionKey::from_hex_or_base58(text).map_err(|_| not_32_bytes(text))
}

/// An object id with all of its digits: a cut-off paste would name another object.
pub(crate) fn full_object_id(text: &str) -> Result<ObjectId, String> {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    if digits.len() < 64 {
        return Err(format!(
            "a command that writes wants all 64 hex digits of an id, found {}",
            digits.chars().count()
        ));
    }
    text.parse().map_err(|e: soma_proto::Error| e.to_string())
}

/// A positive amount in SOMA.
pub(crate) fn positive_amount(text: &str) -> Result<Amount, String> {
    let amount: Amount = text.parse().map_err(|e: soma_proto::Error| e.to_string())?;
    if amount.shannons() == 0 {
        return Err("must be more than 0".to_owned());
    }
    Ok(amount)
}

/// A number of bytes: `8388608`, `8M`, `8MB` and `8MiB` are the same.
pub(crate) fn bytes(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let shift = match text[digits.len()..].to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 10,
        "m" | "mb" | "mib" => 20,
        "g" | "gb" | "gib" => 30,
        _ => return Err("expected a number of bytes, such as 64MiB".to_owned()),
    };
    let count: u64 = digits.parse().map_err(|_| "expected a whole number of bytes".to_owned())?;
    count.checked_mul(1 << shift).ok_or_else(|| "that is too much".to_owned())
}

/// A number of bytes a second, as [`bytes`].
pub(crate) fn rate(text: &str) -> Result<std::num::NonZeroU64, String> {
    std::num::NonZeroU64::new(bytes(text)?).ok_or_else(|| "must be more than 0".to_owned())
}

/// A time span: `90s`, `24h`, `7d`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let span = || -> Result<Duration, jiff::Error> {
        let span: jiff::Span = text.parse()?;
        Duration::try_from(span.to_duration(jiff::SpanRelativeTo::days_are_24_hours())?)
    };
    span().map_err(|_| "expected a time, such as 90s, 24h or 7d".to_owned())
}

/// The numbers of an embedding. A type of its own, since clap takes a bare `Vec`
/// for a repeated flag.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Embedding(pub(crate) Vec<f32>);

/// Comma-separated 32-bit floats, blanks around them allowed.
pub(crate) fn embedding(text: &str) -> Result<Embedding, soma_model::Error> {
    soma_model::embedding::parse(text).map(Embedding)
}

/// A secret as it was typed. Not shown by `Debug`, and never echoed by clap,
/// since nothing is parsed there.
#[derive(Clone)]
pub(crate) struct Secret(zeroize::Zeroizing<String>);

impl Secret {
    /// The text.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(zeroize::Zeroizing::new(text))
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// Says how long the text was, and not what it was.
fn not_32_bytes(text: &str) -> String {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    let hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    let found = match digits.len() {
        length if hex && length % 2 == 0 => format!("{} bytes", length / 2),
        length if hex => format!("{length} hex digits"),
        _ => format!("{} characters that are not hex", digits.chars().count()),
    };
    format!("expected 32 bytes as 64 hex digits, 0x optional; found {found}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "0e5751c026e543b2e8ab2eb06099daa1d1e5df47778f7787faab45cdf12fe3a8";

    #[test]
    fn a_short_id_is_refused_where_it_is_written() {
        assert!(full_object_id("0x5").unwrap_err().contains("found 1"));
        assert!(full_object_id(HEX).is_ok());
        assert!(full_object_id(&format!("0x{HEX}")).is_ok());
    }

    #[test]
    fn sizes_have_units() {
        for (text, count) in [("5", 5), ("8M", 8 << 20), ("8mb", 8 << 20), ("64MiB", 64 << 20)] {
            assert_eq!(bytes(text), Ok(count), "{text}");
        }
        for text in ["", "M", "-1", "1.5M", "1T", "99999999999G", "8 M"] {
            assert!(bytes(text).is_err(), "{text}");
        }
        assert!(rate("0").is_err());
    }

    #[test]
    fn hashes_say_how_long_they_were() {
        assert!(hash(HEX).is_ok());
        assert!(hash("abcd").unwrap_err().contains("found 2 bytes"));
        assert!(hash("abc").unwrap_err().contains("found 3 hex digits"));
        assert!(hash("xyz").unwrap_err().contains("found 3 characters"));
    }

    #[test]
    fn a_key_is_not_echoed() {
        assert!(!key(&"deadbeef".into()).unwrap_err().contains("deadbeef"));
    }

    #[test]
    fn embeddings_are_lists_of_finite_numbers() {
        assert_eq!(embedding("-0.1, 2 ,3e-1").unwrap(), Embedding(vec![-0.1, 2.0, 0.3]));
        for wrong in ["", " ", "1,,2", "1,NaN", "inf", "1,x", "--json"] {
            assert!(embedding(wrong).is_err(), "{wrong:?}");
        }
    }
}
