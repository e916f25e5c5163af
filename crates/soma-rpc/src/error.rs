//! What can go wrong between us and a node, sorted by who can put it right.

use std::time::Duration;

use soma_proto::TransactionDigest;
use tonic::Code;

use crate::gas::NotEnough;

/// An error of this crate.
///
/// [`Error::is_retriable`] tells what may go away by itself; nothing that
/// could send a transaction twice is among it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    // The caller's to fix.
    /// The URL of the node cannot be used.
    #[error("cannot use {url} as a node's URL: {reason}")]
    Url {
        /// The URL, without credentials.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The coins at hand do not suffice.
    #[error(transparent)]
    NotEnough(#[from] NotEnough),
    /// A transaction that the network's messages cannot carry.
    #[error("the transaction cannot be sent: {reason}")]
    Unsendable {
        /// What stands in the way.
        reason: String,
    },
    /// The value asked for is not there.
    #[error("{what} does not exist on this network")]
    NotFound {
        /// What was asked for.
        what: String,
    },

    // The node's.
    /// The node refused or failed; its own words.
    #[error("{call}: {} ({})", if message.is_empty() { "the node gave no reason" } else { message }, code_name(*code))]
    Status {
        /// The call, for example `ExecuteTransaction`.
        call: &'static str,
        /// The gRPC status.
        code: Code,
        /// The server's text, control characters removed.
        message: String,
        /// The field of the request at fault, if the server named one.
        field: Option<String>,
    },
    /// An answer that lacks a field or holds an unusable one.
    #[error("{call}: unusable answer: {field}: {reason}")]
    Malformed {
        /// The call.
        call: &'static str,
        /// Path of the field, for example `transaction.effects.status`.
        field: String,
        /// What is wrong with it.
        reason: String,
    },
    /// An answer larger than the limit set when the client was built.
    #[error("{call}: the answer exceeds the limit of {limit} bytes")]
    TooLarge {
        /// The call.
        call: &'static str,
        /// Bytes allowed.
        limit: usize,
    },
    /// The faucet answered, but not with success.
    #[error("the faucet gave nothing: {status}")]
    Faucet {
        /// The faucet's own word.
        status: String,
    },

    // The link's.
    /// No connection, or a broken one.
    #[error("{call}: cannot reach {url}: {cause}")]
    Transport {
        /// The call.
        call: &'static str,
        /// The URL that was tried, without credentials.
        url: String,
        /// The innermost reason, for example `Connection refused`.
        cause: String,
    },
    /// No answer in time. Nothing was to be changed by the call.
    #[error("{call}: {url} gave no answer within {} s", timeout.as_secs_f64())]
    Timeout {
        /// The call.
        call: &'static str,
        /// The URL, without credentials.
        url: String,
        /// How long was waited.
        timeout: Duration,
    },
    /// A transaction was sent and nobody knows what became of it. It may be
    /// executed later, or never. Look it up by its digest, or send the very
    /// same transaction again; never build another in its place blindly.
    #[error("the outcome of transaction {digest} is unknown: {reason}")]
    OutcomeUnknown {
        /// The transaction.
        digest: TransactionDigest,
        /// Why it could not be found out.
        reason: String,
    },
}

impl Error {
    /// Whether the same call may succeed a little later, and may be repeated
    /// without harm.
    pub fn is_retriable(&self) -> bool {
        match self {
            Self::Transport { .. } | Self::Timeout { .. } => true,
            Self::Status { code, .. } => {
                matches!(code, Code::Unavailable | Code::ResourceExhausted | Code::DeadlineExceeded)
            }
            _ => false,
        }
    }

    /// Whether the same call fails until somebody changes something here: the URL, the
    /// transaction. Everything else may pass: a coin is unlocked, a node catches up, a
    /// proxy in front of it is put right.
    pub const fn is_permanent(&self) -> bool {
        matches!(self, Self::Url { .. } | Self::Unsendable { .. })
    }

    /// The gRPC status, if the node gave one.
    pub fn code(&self) -> Option<Code> {
        match self {
            Self::Status { code, .. } => Some(*code),
            _ => None,
        }
    }

    /// Whether the thing asked for is not there.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::NotFound { .. }) || self.code() == Some(Code::NotFound)
    }

    /// Whether the node does not know the call.
    pub fn is_unimplemented(&self) -> bool {
        self.code() == Some(Code::Unimplemented)
    }

    /// Whether nothing answered at the other end: refused, unresolvable, cut off.
    pub fn is_unreachable(&self) -> bool {
        matches!(self, Self::Transport { .. } | Self::Timeout { .. })
    }

    /// What to do next, where there is something to say.
    pub fn hint(&self) -> Option<&'static str> {
        Some(match self {
            Self::Url { .. } => "give a URL such as http://127.0.0.1:9000 or https://host",
            Self::NotEnough(NotEnough { mergeable: true, .. }) => {
                "soma merge-coins joins small coins"
            }
            Self::NotEnough(_) => {
                "soma faucet gives coins on a test network; soma merge-coins joins small ones"
            }
            Self::Transport { .. } | Self::Timeout { .. } => {
                "is the network running? soma start localnet starts a local one; soma env list shows the URLs"
            }
            Self::Status { code: Code::Unavailable, .. } => {
                "the node is not ready; try again in a moment"
            }
            Self::Status { code: Code::FailedPrecondition, .. } => {
                "another transaction holds one of the objects until the end of the epoch"
            }
            Self::Malformed { .. } => "the node may speak another version of the protocol",
            Self::OutcomeUnknown { .. } => "soma tx info <DIGEST> settles it",
            _ => return None,
        })
    }
}

/// Shorthand for results of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The name of a status as the gRPC documents write it.
pub const fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}
