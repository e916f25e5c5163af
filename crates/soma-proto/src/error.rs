//! What can be wrong with bytes or text from outside.

/// A value that could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Text that is not the wanted form, for example a short digest.
    #[error("invalid {what}: {reason}")]
    Text {
        /// The kind of value, for example `address`.
        what: &'static str,
        /// What is wrong with it. Never the text itself when it may be secret.
        reason: String,
    },
    /// A byte string of the wrong length.
    #[error("invalid {what}: expected {expected} bytes, found {found}")]
    Length {
        /// The kind of value.
        what: &'static str,
        /// Bytes wanted.
        expected: usize,
        /// Bytes given.
        found: usize,
    },
    /// Bytes that are not the canonical BCS of the wanted type.
    #[error("invalid BCS of {what}")]
    Bcs {
        /// The type wanted.
        what: &'static str,
        /// The decoder's reason.
        #[source]
        source: bcs::Error,
    },
    /// A decodable value whose re-encoding differs from the bytes given, for
    /// example a URL that is not in normal form.
    #[error("{what} is not in canonical form: decoding and encoding it again changes its bytes")]
    NotCanonical {
        /// The type wanted.
        what: &'static str,
    },
    /// A signature that does not hold.
    #[error("invalid signature: {0}")]
    Signature(&'static str),
    /// A checkpoint certificate that does not hold.
    #[error("invalid certificate of checkpoint {sequence_number}: {reason}")]
    Certificate {
        /// The checkpoint.
        sequence_number: u64,
        /// What is wrong.
        reason: &'static str,
    },
    /// A message that lacks a field or holds an unusable one.
    #[error("{field}: {reason}")]
    Field {
        /// Path of the field, for example `transaction.kind`.
        field: String,
        /// What is wrong with it.
        reason: String,
    },
}

/// Shorthand for results of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    pub(crate) fn text(what: &'static str, reason: impl Into<String>) -> Self {
        Self::Text { what, reason: reason.into() }
    }
}
