//! The three things done to whole files: seal, open, measure.

use std::fmt;

use crate::{
    Cipher, Digest, Error, Input, Key, Options, Output,
    pass::{self, Work},
};

/// What the network is told about a ciphertext: its size and its Blake2b-256.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Commitment {
    /// Length in bytes; plaintext and ciphertext are equally long.
    pub size: u64,
    /// Blake2b-256 of the ciphertext.
    pub digest: Digest,
}

impl Commitment {
    /// Compares the digest with the one expected of the input `name`, if any is.
    pub(crate) fn expect_digest(&self, expected: Option<Digest>, name: &str) -> Result<(), Error> {
        match expected {
            Some(expected) if expected != self.digest => {
                Err(Error::DigestMismatch { name: name.into(), expected, found: self.digest })
            }
            _ => Ok(()),
        }
    }
}

impl fmt::Display for Commitment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({} bytes)", self.digest, self.size)
    }
}

/// Encrypts `input` into `output` in one pass and measures the ciphertext on the way.
///
/// Use a key once: see [`Key`].
///
/// # Errors
/// [`Error::OutputExists`] before any work, if the output is there and
/// [`crate::Existing::Keep`] is in force; [`Error::InputTruncated`] or
/// [`Error::InputChanged`] if somebody wrote to the file meanwhile;
/// [`Error::Cancelled`]; and what the system reports. After any error, no output file
/// is left.
///
/// ```
/// use soma_crypto::{Input, Key, Options, Output, hash, seal};
///
/// let mut sealed = Vec::new();
/// let commitment = seal(
///     &Key::generate()?,
///     Input::reader("memory", &b"weights"[..]),
///     Output::writer("memory", &mut sealed),
///     &Options::new(),
/// )?;
/// assert_eq!((commitment.size, commitment.digest), (7, hash(&sealed)));
/// # Ok::<(), soma_crypto::Error>(())
/// ```
pub fn seal(
    key: &Key,
    input: Input<'_>,
    output: Output<'_>,
    options: &Options<'_>,
) -> Result<Commitment, Error> {
    let cipher = cipher(key, options)?;
    let source = input.into_source(options.chunk)?;
    let mut sink = output.into_sink(options)?;
    let commitment = pass::run(&source, Work::Seal(&cipher), Some(&mut sink), options)?;
    sink.finish()?;
    Ok(commitment)
}

/// Decrypts `input` into `output` in one pass and measures the ciphertext on the way.
///
/// With `expected`, an output file gets its name only if the ciphertext has that digest.
/// The size and digest returned are the ciphertext's.
///
/// # Errors
/// As [`seal`], and [`Error::DigestMismatch`]. A writer, unlike a file, has seen the
/// bytes by then.
pub fn open(
    key: &Key,
    input: Input<'_>,
    output: Output<'_>,
    expected: Option<Digest>,
    options: &Options<'_>,
) -> Result<Commitment, Error> {
    let cipher = cipher(key, options)?;
    let source = input.into_source(options.chunk)?;
    let mut sink = output.into_sink(options)?;
    let commitment = pass::run(&source, Work::Open(&cipher), Some(&mut sink), options)?;
    commitment.expect_digest(expected, source.name())?;
    sink.finish()?;
    Ok(commitment)
}

/// Size and Blake2b-256 of the bytes as they are.
///
/// # Errors
/// As [`seal`], without an output.
pub fn commitment(input: Input<'_>, options: &Options<'_>) -> Result<Commitment, Error> {
    let source = input.into_source(options.chunk)?;
    pass::run(&source, Work::Measure, None, options)
}

pub(crate) fn cipher(key: &Key, options: &Options<'_>) -> Result<Cipher, Error> {
    match options.backend {
        Some(backend) => Cipher::with_backend(key, backend),
        None => Ok(Cipher::new(key)),
    }
}
