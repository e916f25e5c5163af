//! AES-256-CTR that can start anywhere.

use std::fmt;

use crate::{Backend, Error, Key, backend::aes::Keystream};

/// Bytes in a block of AES.
const BLOCK: usize = 16;

/// AES-256 in counter mode with a zero initial counter (NIST SP 800-38A, 6.5).
///
/// The counter is the whole 128-bit block, big-endian, so nothing wraps at 2^32
/// blocks (64 GiB). Block `i` of the keystream is AES(key, `i`). Encryption and
/// decryption are the same operation, and any split of the stream gives the same
/// bytes, so callers may process chunks in any order or in parallel.
///
/// There is no authentication: a flipped bit goes through silently. What protects
/// the file is the digest of its ciphertext.
///
/// ```
/// use soma_crypto::{Cipher, Key};
///
/// let cipher = Cipher::new(&Key::from_bytes([7; 32]));
/// let mut whole = *b"one stream, many chunks";
/// let mut parts = whole;
/// cipher.apply(0, &mut whole)?;
/// cipher.apply(11, &mut parts[11..])?;
/// cipher.apply(0, &mut parts[..11])?;
/// assert_eq!(whole, parts);
/// # Ok::<(), soma_crypto::Error>(())
/// ```
pub struct Cipher {
    keystream: Keystream,
    backend: Backend,
}

impl Cipher {
    /// Expands `key` for the fastest backend of this machine, [`Backend::detect`].
    pub fn new(key: &Key) -> Self {
        let backend = Backend::detect();
        Self { keystream: Keystream::new(key, backend), backend }
    }

    /// Expands `key` for a backend of the caller's choice.
    ///
    /// # Errors
    /// [`Error::BackendUnavailable`] if this machine cannot run it,
    /// [`Error::BackendFault`] if it fails its known-answer test.
    pub fn with_backend(key: &Key, backend: Backend) -> Result<Self, Error> {
        if !backend.is_available() {
            return Err(Error::BackendUnavailable { backend });
        }
        if !backend.passes_known_answer() {
            return Err(Error::BackendFault { backend });
        }
        Ok(Self { keystream: Keystream::new(key, backend), backend })
    }

    /// Encrypts or decrypts `data` in place, as if it began `offset` bytes into the stream.
    ///
    /// `offset` need not fall on a 16-byte block.
    ///
    /// # Errors
    /// [`Error::RangeOverflow`] if `offset + data.len()` does not fit in a `u64`;
    /// `data` is then untouched.
    pub fn apply(&self, offset: u64, data: &mut [u8]) -> Result<(), Error> {
        let len = data.len() as u64;
        if offset.checked_add(len).is_none() {
            return Err(Error::RangeOverflow { offset, len });
        }
        self.apply_at(u128::from(offset), data);
        Ok(())
    }

    /// Encrypts or decrypts `source` into `destination`, as [`Cipher::apply`] does in place.
    ///
    /// # Errors
    /// [`Error::RangeOverflow`] as [`Cipher::apply`], and [`Error::LengthMismatch`]
    /// if the slices differ in length.
    pub fn apply_to(
        &self,
        offset: u64,
        source: &[u8],
        destination: &mut [u8],
    ) -> Result<(), Error> {
        if source.len() != destination.len() {
            return Err(Error::LengthMismatch {
                source_len: source.len(),
                destination_len: destination.len(),
            });
        }
        // In pieces that stay in the first-level cache between the copy and the cipher.
        const PIECE: usize = 16 * 1024;
        let mut at = offset;
        for (from, to) in source.chunks(PIECE).zip(destination.chunks_mut(PIECE)) {
            to.copy_from_slice(from);
            self.apply(at, to)?;
            at += from.len() as u64;
        }
        Ok(())
    }

    /// [`Cipher::apply`] for positions beyond a `u64`, in bytes; the stream is 2^132 bytes
    /// long, of which the first 2^128 can be named.
    pub fn apply_at(&self, position: u128, mut data: &mut [u8]) {
        let mut block = position / BLOCK as u128;
        let skip = (position % BLOCK as u128) as usize;
        if skip != 0 {
            let (head, rest) = data.split_at_mut(data.len().min(BLOCK - skip));
            let mut padded = [0; BLOCK];
            padded[skip..skip + head.len()].copy_from_slice(head);
            self.keystream.apply(block, &mut padded);
            head.copy_from_slice(&padded[skip..skip + head.len()]);
            data = rest;
            block = block.wrapping_add(1);
        }
        self.keystream.apply(block, data);
    }

    /// The backend in use.
    pub fn backend(&self) -> Backend {
        self.backend
    }
}

impl fmt::Debug for Cipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cipher({}, key hidden)", self.backend)
    }
}
