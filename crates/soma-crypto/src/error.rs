//! What can go wrong, sorted by who can put it right.

use std::{io, path::PathBuf};

use crate::{Backend, Digest, HashKernel};

/// An error of this crate.
///
/// No variant carries key material. [`Error::is_input_fault`] tells a file that
/// changed or was cut short from a fault of the surroundings.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    // The caller's to fix.
    /// A key is 32 bytes; this one had another length.
    #[error("a key is 32 bytes long, this one has {found}")]
    KeyLength {
        /// Number of bytes given.
        found: usize,
    },
    /// A key's text is 64 hex digits with an optional `0x`. The text is not shown.
    #[error("a key is written as 64 hex digits with an optional 0x")]
    KeyText,
    /// A digest's text is 64 hex digits with an optional `0x`.
    #[error("a digest is written as 64 hex digits with an optional 0x")]
    DigestText,
    /// The bytes are no state that [`crate::HashState::to_bytes`] wrote.
    #[error("not a saved hash state")]
    HashStateBytes,
    /// Chunks are a multiple of 4 KiB between 4 KiB and 64 MiB.
    #[error("a chunk is a multiple of 4 KiB from 4 KiB to 64 MiB, not {found} bytes")]
    ChunkSize {
        /// Number of bytes given.
        found: usize,
    },
    /// `offset + len` does not fit in 64 bits.
    #[error("the range of {len} bytes at byte {offset} ends beyond 2^64")]
    RangeOverflow {
        /// First byte of the range.
        offset: u64,
        /// Length of the range in bytes.
        len: u64,
    },
    /// Source and destination of one operation differ in length.
    #[error("source holds {source_len} bytes, destination {destination_len}")]
    LengthMismatch {
        /// Length of the source in bytes.
        source_len: usize,
        /// Length of the destination in bytes.
        destination_len: usize,
    },
    /// The processor lacks what this backend needs.
    #[error("this machine cannot run the {backend} backend")]
    BackendUnavailable {
        /// The backend asked for.
        backend: Backend,
    },
    /// The processor lacks what this hash kernel needs.
    #[error("this machine cannot run the {kernel} hash kernel")]
    KernelUnavailable {
        /// The kernel asked for.
        kernel: HashKernel,
    },
    /// The output exists and [`crate::Existing::Keep`] was in force.
    #[error("{} exists already", path.display())]
    OutputExists {
        /// The output.
        path: PathBuf,
    },
    /// The output is a directory.
    #[error("{} is a directory", path.display())]
    OutputIsDirectory {
        /// The output.
        path: PathBuf,
    },
    /// The progress callback asked to stop.
    #[error("cancelled after {done} bytes")]
    Cancelled {
        /// Bytes hashed until then.
        done: u64,
    },

    // Wrong data.
    /// The ciphertext is not the one that was committed to.
    #[error("digest mismatch in {name}: expected {expected}, found {found}")]
    DigestMismatch {
        /// The input.
        name: String,
        /// What the caller expected.
        expected: Digest,
        /// What the bytes hash to.
        found: Digest,
    },
    /// The file ended before the size it had when it was opened.
    #[error(
        "{name} was cut short while it was read: it had {expected} bytes, now it ends at {found}"
    )]
    InputTruncated {
        /// The input.
        name: String,
        /// Size in bytes when it was opened.
        expected: u64,
        /// Where it ends now, in bytes.
        found: u64,
    },
    /// The file's size or time of change moved while it was read.
    #[error("{name} was changed while it was read ({what})")]
    InputChanged {
        /// The input.
        name: String,
        /// What changed: `size` or `modification time`.
        what: &'static str,
    },

    // The surroundings.
    /// Opening an input failed.
    #[error("cannot open {}", path.display())]
    Open {
        /// The input.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// Reading failed; `offset` is in bytes from the start.
    #[error("cannot read {name} at byte {offset}")]
    Read {
        /// The input.
        name: String,
        /// First byte that could not be read.
        offset: u64,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// Creating the output's temporary file failed.
    #[error("cannot create a file beside {}", path.display())]
    Create {
        /// The output.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// Writing failed; `offset` is in bytes from the start.
    #[error("cannot write {name} at byte {offset}")]
    Write {
        /// The output.
        name: String,
        /// First byte that could not be written.
        offset: u64,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The finished file could not be flushed or given its name.
    #[error("cannot put {} in place", path.display())]
    Persist {
        /// The output.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The system's random generator failed; no key was made.
    #[error("the system's random generator failed: {reason}")]
    Random {
        /// What the generator said.
        reason: String,
    },
    /// A backend gave a wrong answer to its known-answer test.
    #[error("the {backend} backend fails its known-answer test on this machine")]
    BackendFault {
        /// The backend at fault.
        backend: Backend,
    },
}

impl Error {
    /// Whether the input itself is to blame: cut short, changed, or not the committed bytes.
    pub fn is_input_fault(&self) -> bool {
        matches!(
            self,
            Self::DigestMismatch { .. } | Self::InputTruncated { .. } | Self::InputChanged { .. }
        )
    }

    /// Whether the caller asked for the stop.
    pub fn is_cancelled(&self) -> bool {
        matches!(self, Self::Cancelled { .. })
    }

    /// Whether the output's reader went away (a closed pipe).
    pub fn is_broken_pipe(&self) -> bool {
        matches!(self, Self::Write { source, .. } if source.kind() == io::ErrorKind::BrokenPipe)
    }
}
