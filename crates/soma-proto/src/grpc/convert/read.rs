//! Helpers that read the fields of messages, and say which one is at fault.

use prost_types::Timestamp;

use crate::{Address, Error, ObjectId, ObjectType, Result};

/// The reason in [`Error::Field`] for a field that is not there.
pub(crate) const MISSING: &str = "missing";

/// Puts the name of a field in front of an error.
pub(crate) trait At<T> {
    /// Puts `field` in front of the error's path, or makes it the path.
    fn at(self, field: &str) -> Result<T>;
}

impl<T> At<T> for Result<T> {
    fn at(self, field: &str) -> Self {
        self.map_err(|error| within(field, error))
    }
}

fn within(parent: &str, error: Error) -> Error {
    match error {
        Error::Field { field, reason } if field.is_empty() => {
            Error::Field { field: parent.to_owned(), reason }
        }
        Error::Field { field, reason } if field.starts_with('[') => {
            Error::Field { field: format!("{parent}{field}"), reason }
        }
        Error::Field { field, reason } => {
            Error::Field { field: format!("{parent}.{field}"), reason }
        }
        other => Error::Field { field: parent.to_owned(), reason: reason_of(&other) },
    }
}

/// The text of an error and of what caused it.
fn reason_of(error: &Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

/// An error without a path; [`At::at`] gives it one.
pub(crate) fn invalid(reason: impl Into<String>) -> Error {
    Error::Field { field: String::new(), reason: reason.into() }
}

/// A field that must be there.
pub(crate) fn value<T>(field: Option<T>) -> Result<T> {
    field.ok_or_else(|| invalid(MISSING))
}

/// A message that must be there.
pub(crate) fn message<M, T: TryFrom<M, Error = Error>>(field: Option<M>) -> Result<T> {
    value(field)?.try_into()
}

/// A message that may be absent.
pub(crate) fn optional<M, T: TryFrom<M, Error = Error>>(field: Option<M>) -> Result<Option<T>> {
    field.map(TryInto::try_into).transpose()
}

/// A list of messages; the place of a bad one becomes a part of the path.
pub(crate) fn list<M, T: TryFrom<M, Error = Error>>(field: Vec<M>) -> Result<Vec<T>> {
    each(field, TryInto::try_into)
}

/// A list of values; the place of a bad one becomes a part of the path.
pub(crate) fn each<M, T>(field: Vec<M>, read: impl Fn(M) -> Result<T>) -> Result<Vec<T>> {
    field
        .into_iter()
        .enumerate()
        .map(|(place, element)| read(element).at(&format!("[{place}]")))
        .collect()
}

/// An address, read leniently.
pub(crate) fn address(field: Option<String>) -> Result<Address> {
    parse_address(&value(field)?)
}

/// An id, read leniently.
pub(crate) fn object_id(field: Option<String>) -> Result<ObjectId> {
    parse_object_id(&value(field)?)
}

/// Any value with a text form.
pub(crate) fn text<T: std::str::FromStr<Err = Error>>(field: Option<String>) -> Result<T> {
    value(field)?.parse()
}

/// Any value with a text form that may be absent.
pub(crate) fn optional_text<T: std::str::FromStr<Err = Error>>(
    field: Option<String>,
) -> Result<Option<T>> {
    field.map(|text| text.parse()).transpose()
}

/// The exact-case name of a type.
pub(crate) fn object_type(field: Option<String>) -> Result<ObjectType> {
    text(field)
}

/// Milliseconds since 1970.
pub(crate) fn timestamp_ms(field: Option<Timestamp>) -> Result<u64> {
    parse_timestamp(&value(field)?)
}

/// Reads an address as a node does in most requests: an optional `0x`, then 1
/// to 64 hex digits, padded with zeros on the left; `0x` alone is zero.
///
/// # Errors
/// [`Error::Text`].
pub fn parse_address(text: &str) -> Result<Address> {
    padded(text).parse()
}

/// Reads an id as a node does in most requests, see [`parse_address`].
///
/// # Errors
/// [`Error::Text`].
pub fn parse_object_id(text: &str) -> Result<ObjectId> {
    padded(text).parse()
}

/// Short text without prefix becomes prefixed text, which may be short.
fn padded(text: &str) -> String {
    if text.is_empty() || text.starts_with("0x") { text.to_owned() } else { format!("0x{text}") }
}

/// Milliseconds since 1970 as a message.
pub fn timestamp(milliseconds: u64) -> Timestamp {
    Timestamp {
        seconds: (milliseconds / 1_000) as i64,
        nanos: (milliseconds % 1_000) as i32 * 1_000_000,
    }
}

/// Milliseconds since 1970; what is finer is cut off.
///
/// # Errors
/// [`Error::Field`] for a time before 1970 or nanoseconds out of range.
pub fn parse_timestamp(timestamp: &Timestamp) -> Result<u64> {
    let seconds = u64::try_from(timestamp.seconds).map_err(|_| invalid("a time before 1970"))?;
    let nanos = u64::try_from(timestamp.nanos)
        .ok()
        .filter(|nanos| *nanos < 1_000_000_000)
        .ok_or_else(|| invalid("nanoseconds out of range"))?;
    seconds
        .checked_mul(1_000)
        .and_then(|milliseconds| milliseconds.checked_add(nanos / 1_000_000))
        .ok_or_else(|| invalid("a time too far away"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_and_bare_hex_is_padded() {
        let five = ObjectId::SYSTEM_STATE;
        for text in ["5", "0x5", "05", &five.to_string(), &five.to_string()[2..]] {
            assert_eq!(parse_object_id(text).unwrap(), five, "{text}");
        }
        assert_eq!(parse_address("0x").unwrap(), Address::ZERO);
        for text in ["", "0X5", "g", &"0".repeat(65)] {
            assert!(parse_address(text).is_err(), "{text}");
        }
    }

    #[test]
    fn times_keep_their_milliseconds() {
        for milliseconds in [0, 1, 999, 1_000, 1_764_000_000_123] {
            assert_eq!(parse_timestamp(&timestamp(milliseconds)).unwrap(), milliseconds);
        }
        assert!(parse_timestamp(&Timestamp { seconds: -1, nanos: 0 }).is_err());
        assert!(parse_timestamp(&Timestamp { seconds: 0, nanos: 1_000_000_000 }).is_err());
    }

    #[test]
    fn an_error_names_the_whole_path() {
        let error = each(vec![Some(1), None], value).at("coins").at("kind").unwrap_err();
        assert_eq!(error.to_string(), "kind.coins[1]: missing");
    }
}
