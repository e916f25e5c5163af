//! What can go wrong between us and a store, sorted by who can put it right.

use std::io;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use soma_crypto::Digest;

/// An error of this crate.
///
/// URLs are shown without query, fragment and credentials: a signed URL is a
/// secret. [`Error::is_retriable`] tells what may go away by itself,
/// [`Error::hint`] what to do about the rest.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    // The caller's to fix.
    /// The URL cannot be used here at all.
    #[error("cannot use {url}: {reason}")]
    Url {
        /// The URL, redacted.
        url: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The host lives on an address that the [`AddressPolicy`](crate::AddressPolicy) forbids.
    #[error("{host} is at {address}, which is not a public address")]
    PrivateAddress {
        /// Host of the URL.
        host: String,
        /// The address it has.
        address: IpAddr,
    },
    /// A destination that cannot be used.
    #[error("cannot upload to {text}: {reason}")]
    Destination {
        /// The destination, without what may be secret.
        text: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The name of an object that none of ours has.
    #[error("{text} is not the name of an object: expected 64 lower-case hex digits")]
    Name {
        /// Its beginning.
        text: String,
    },
    /// Parts too small for the file, or larger than stores take; in bytes.
    #[error("parts of {found} bytes will not do: this file needs {least} to {most}")]
    PartSize {
        /// The size asked for.
        found: u64,
        /// The smallest that stores take for this file.
        least: u64,
        /// The largest that stores take.
        most: u64,
    },
    /// Not enough memory allowed for a single part; in bytes.
    #[error("{given} bytes of memory are too few for these parts: {least} are needed")]
    Memory {
        /// The memory allowed.
        given: u64,
        /// The memory needed.
        least: u64,
    },
    /// A cloud was asked without credentials.
    #[error("no credentials for this store")]
    NoCredentials,
    /// Another process is downloading to the same place.
    #[error("{} is being written by another download", path.display())]
    Busy {
        /// The unfinished file.
        path: PathBuf,
    },

    /// A file that is larger than the caller allows, by what strangers say of it; in
    /// bytes.
    #[error("the file has {size} bytes, more than the {largest} allowed")]
    TooLarge {
        /// Its size.
        size: u64,
        /// The largest allowed.
        largest: u64,
    },
    /// A disk without room for a file; in bytes.
    #[error("{needed} bytes are needed for {}, {free} are free", path.display())]
    NoRoom {
        /// The unfinished file.
        path: PathBuf,
        /// What is missing of it.
        needed: u64,
        /// What is free.
        free: u64,
    },

    // The other side's.
    /// An answer whose status means failure.
    #[error("{method} {url} was answered with {status}{}", detail(body))]
    Status {
        /// The request's method.
        method: &'static str,
        /// The URL, redacted.
        url: String,
        /// The HTTP status.
        status: u16,
        /// How long the server asks to wait, if it said so.
        retry_after: Option<Duration>,
        /// The beginning of the answer's text, control characters removed.
        body: String,
    },
    /// The store points elsewhere. Redirects are not followed.
    #[error("{method} {url} was answered with a redirect ({status}) to {location}")]
    Redirect {
        /// The request's method.
        method: &'static str,
        /// The URL, redacted.
        url: String,
        /// The HTTP status.
        status: u16,
        /// The new place, redacted, or a question mark.
        location: String,
    },
    /// Anybody can see the names of the objects, so they are no secret.
    #[error("{url} lists the names of its objects to anybody")]
    Listed {
        /// The list's URL, redacted.
        url: String,
    },
    /// A ranged request got the whole object, or another part of it.
    #[error("{url} does not serve byte ranges: {reason}")]
    NoRanges {
        /// The URL, redacted.
        url: String,
        /// What the answer lacked.
        reason: String,
    },
    /// The object has another length than it should have, in bytes.
    #[error("{url} holds {found} bytes, expected {expected}")]
    WrongLength {
        /// The URL, redacted.
        url: String,
        /// Bytes expected.
        expected: u64,
        /// Bytes offered.
        found: u64,
    },
    /// The bytes are not the ones committed to.
    #[error("digest mismatch at {url}: expected {expected}, found {found}")]
    DigestMismatch {
        /// The URL, redacted.
        url: String,
        /// The digest expected.
        expected: Digest,
        /// The digest of what came.
        found: Digest,
    },

    /// A store that fails in its own words.
    #[error("cannot {action} {store}: {reason}")]
    Store {
        /// What was tried, for example `begin an upload to`.
        action: &'static str,
        /// The destination, without what may be secret.
        store: String,
        /// The reason.
        reason: String,
        /// Whether the store asks to be left in peace for a moment.
        busy: bool,
    },

    // The link's.
    /// No connection.
    #[error("cannot connect to {url}: {cause}")]
    Connect {
        /// The URL, redacted.
        url: String,
        /// The innermost reason.
        cause: String,
        /// The chain of causes.
        #[source]
        source: reqwest::Error,
    },
    /// Nothing moved for too long, or hardly anything.
    #[error("{method} {url}: too little came for too long, stopped at byte {at}")]
    Timeout {
        /// The request's method.
        method: &'static str,
        /// The URL, redacted.
        url: String,
        /// Bytes moved until then.
        at: u64,
    },
    /// The connection broke in the middle.
    #[error("{method} {url} broke off at byte {at}: {cause}")]
    Broken {
        /// The request's method.
        method: &'static str,
        /// The URL, redacted.
        url: String,
        /// Bytes moved until then.
        at: u64,
        /// The innermost reason.
        cause: String,
        /// The chain of causes.
        #[source]
        source: reqwest::Error,
    },
    /// The answer ended before its announced end.
    #[error("{url} ended at byte {found} of {expected}")]
    Truncated {
        /// The URL, redacted.
        url: String,
        /// Bytes expected.
        expected: u64,
        /// Bytes that came.
        found: u64,
    },

    // This machine's.
    /// A local file failed.
    #[error("cannot {action} {}", path.display())]
    File {
        /// What was tried: `open`, `read`, `write`, `create`, `rename`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The file is not the one this upload was begun with.
    #[error("{name} has changed since its upload began: its {what} is another")]
    SourceChanged {
        /// The file.
        name: String,
        /// What shows it: `size`, `modification time`, `content`.
        what: &'static str,
    },
    /// The file being uploaded cannot be read, or changed underneath.
    #[error(transparent)]
    Source(#[from] soma_crypto::Error),
    /// The record of an upload is not one that this crate wrote.
    #[error("the record of the upload is damaged")]
    Record,
    /// The record of an upload could not be saved.
    #[error("cannot save how far the upload has come")]
    Journal {
        /// The cause.
        source: crate::JournalError,
    },
    /// The operating system gives no randomness.
    #[error("the system gives no random numbers: {reason}")]
    Random {
        /// The system's reason.
        reason: String,
    },
    /// The HTTP client could not be made.
    #[error("cannot set up HTTP: {cause}")]
    Setup {
        /// The innermost reason.
        cause: String,
        /// The chain of causes.
        #[source]
        source: reqwest::Error,
    },
}

impl Error {
    /// Whether the same request may succeed a little later.
    pub fn is_retriable(&self) -> bool {
        match self {
            Self::Status { status, .. } => {
                matches!(status, 408 | 425 | 429 | 500 | 502 | 503 | 504)
            }
            Self::Store { busy, .. } => *busy,
            Self::Connect { .. }
            | Self::Timeout { .. }
            | Self::Broken { .. }
            | Self::Truncated { .. } => true,
            _ => false,
        }
    }

    /// What to do next, where there is something to say.
    pub fn hint(&self) -> Option<&'static str> {
        Some(match self {
            Self::Url { .. } => "give an absolute https URL without user name",
            Self::PrivateAddress { .. } => {
                "weights must be reachable by everybody; local addresses are for a local network"
            }
            Self::Status { status: 401 | 403, .. } => {
                "the store refuses anonymous access: make the object public, or check the upload's credentials"
            }
            Self::Status { status: 404 | 410, .. } => "upload the file first, or correct the URL",
            Self::Status { status: 405, .. } => "this host takes no uploads by PUT",
            Self::Status { status: 413, .. } => {
                "the store takes no objects of this size in one request"
            }
            Self::Status { status: 429 | 500.., .. } => "the store is in trouble: try again later",
            Self::Redirect { .. } => {
                "use the final URL: redirects are not followed; a bucket of another region answers so, too: give its region"
            }
            Self::Listed { .. } => {
                "allow anonymous reads of objects, but no anonymous lists: the name of an object is a secret until its reveal"
            }
            Self::NoRanges { .. } => {
                "validators fetch in ranges: choose a host that answers a Range request with 206"
            }
            Self::WrongLength { .. } | Self::DigestMismatch { .. } => {
                "the object is not the committed one: upload the right file again"
            }
            Self::Connect { .. } => "check the host name, the network and the proxy settings",
            Self::Timeout { .. } | Self::Broken { .. } | Self::Truncated { .. } => {
                "run the command again: it goes on where it stopped"
            }
            Self::TooLarge { .. } => "allow more if you expect a file of this size",
            Self::NoRoom { .. } => "make room, or name another place for the file",
            Self::SourceChanged { .. } => {
                "put the old file back, or begin anew: one key must never encrypt two files"
            }
            Self::Source(error) if error.is_input_fault() => {
                "leave the file alone while it is sent, and start again"
            }
            Self::Destination { .. } => {
                "give s3://BUCKET/PREFIX, gs://, az://, file:///DIRECTORY, https://HOST/FOLDER/ or a URL presigned for PUT"
            }
            Self::NoCredentials => {
                "set the variables or files of the store's own tools: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY or ~/.aws, GOOGLE_APPLICATION_CREDENTIALS, AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY"
            }
            Self::Store { busy: true, .. } => "the store is in trouble: try again later",
            _ => return None,
        })
    }

    /// How long the server asked to wait before the next try.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Status { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    pub(crate) fn file(
        action: &'static str,
        path: &std::path::Path,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File { action, path, source }
    }
}

/// Shorthand for results of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

fn detail(body: &str) -> String {
    if body.is_empty() { String::new() } else { format!(": {body}") }
}
