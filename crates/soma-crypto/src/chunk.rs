//! Chunks: how a long stream is cut, and the pure functions on one piece of it.

use crate::{Cipher, Error};

/// How many bytes one step of a pass takes.
///
/// A multiple of 4 KiB from 4 KiB to 64 MiB. It changes speed and memory, never the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ChunkSize(usize);

impl ChunkSize {
    /// 1 MiB: the hash takes a millisecond for it, long beside the hand-over between
    /// threads, and a chunk still fits the second-level cache of current processors.
    pub const DEFAULT: Self = Self(1 << 20);

    /// 128 KiB: eight lanes of this fit the second-level cache of current processors.
    pub(crate) const LANE: Self = Self(128 << 10);

    /// The smallest step, a page.
    pub const SMALLEST: Self = Self(4 << 10);

    /// The largest step.
    pub const LARGEST: Self = Self(64 << 20);

    /// Takes a number of bytes.
    ///
    /// # Errors
    /// [`Error::ChunkSize`] unless it is a multiple of 4 KiB within the bounds.
    pub const fn new(bytes: usize) -> Result<Self, Error> {
        let whole_pages = bytes.is_multiple_of(Self::SMALLEST.0);
        if whole_pages && bytes >= Self::SMALLEST.0 && bytes <= Self::LARGEST.0 {
            Ok(Self(bytes))
        } else {
            Err(Error::ChunkSize { found: bytes })
        }
    }

    /// The number of bytes.
    pub const fn bytes(self) -> usize {
        self.0
    }
}

impl Default for ChunkSize {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// Encrypts one piece of a file in place; `offset` is where it begins, in bytes.
///
/// The result depends on nothing else, so a part of an upload can be made again, in any
/// order and on any thread, and comes out the same.
///
/// # Errors
/// [`Error::RangeOverflow`] if the piece would end beyond 2^64 bytes.
pub fn seal_chunk(cipher: &Cipher, offset: u64, chunk: &mut [u8]) -> Result<(), Error> {
    cipher.apply(offset, chunk)
}

/// Decrypts one piece of a file in place; the inverse of [`seal_chunk`].
///
/// Nothing is authenticated here: check the digest of the whole ciphertext.
///
/// # Errors
/// [`Error::RangeOverflow`] if the piece would end beyond 2^64 bytes.
pub fn open_chunk(cipher: &Cipher, offset: u64, chunk: &mut [u8]) -> Result<(), Error> {
    cipher.apply(offset, chunk)
}
