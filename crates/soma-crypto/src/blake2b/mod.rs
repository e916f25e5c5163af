//! Blake2b with a 32-byte output, unkeyed (RFC 7693): the network's commitments.

mod lanes;
mod state;

pub(crate) use lanes::Lanes;
pub use lanes::{hash_many, update_many};
pub use state::HashState;

use crate::{
    Digest, Error,
    backend::blake2b::{BLOCK, HashKernel, IV, Position, Run},
};

/// The initial chaining value: the fractions of SHA-512's square roots with the parameter
/// block (digest length 32, no key, fanout 1, depth 1) folded into the first word.
const INITIAL: [u64; 8] = {
    let mut words = IV;
    words[0] ^= 0x0101_0020;
    words
};

/// Blake2b-256 of bytes that are all at hand.
///
/// ```
/// let empty = soma_crypto::hash(b"");
/// assert_eq!(&empty.to_string()[..16], "0e5751c026e543b2");
/// ```
pub fn hash(bytes: &[u8]) -> Digest {
    let mut hasher = Blake2b256::new();
    hasher.update(bytes);
    hasher.finalize()
}

/// A streaming Blake2b-256, whose state can be saved and taken up again.
///
/// ```
/// use soma_crypto::{Blake2b256, HashState};
///
/// let mut hasher = Blake2b256::new();
/// hasher.update(b"the first fifty gigabytes");
/// let saved = hasher.export_state().to_bytes();
///
/// // After the interruption:
/// let mut hasher = Blake2b256::restore_state(&HashState::from_bytes(&saved)?);
/// hasher.update(b", and the rest");
/// assert_eq!(hasher.finalize(), soma_crypto::hash(b"the first fifty gigabytes, and the rest"));
/// # Ok::<(), soma_crypto::Error>(())
/// ```
#[derive(Clone)]
pub struct Blake2b256 {
    kernel: HashKernel,
    words: [u64; 8],
    /// Bytes compressed so far; always a multiple of the block.
    compressed: u128,
    /// What came after them. A full block stays here until it is known not to be the last.
    buffer: [u8; BLOCK],
    buffered: usize,
}

impl Blake2b256 {
    /// An empty stream.
    pub fn new() -> Self {
        Self::with(HashKernel::detect())
    }

    /// An empty stream by a kernel of the caller's choice, for tests and benches.
    ///
    /// # Errors
    /// [`Error::KernelUnavailable`] if this machine cannot run it.
    pub fn with_kernel(kernel: HashKernel) -> Result<Self, Error> {
        if kernel.is_available() {
            Ok(Self::with(kernel))
        } else {
            Err(Error::KernelUnavailable { kernel })
        }
    }

    /// Takes up a stream where [`Blake2b256::export_state`] left it.
    pub fn restore_state(state: &HashState) -> Self {
        Self {
            kernel: HashKernel::detect(),
            words: state.words,
            compressed: state.compressed,
            buffer: state.buffer,
            buffered: state.buffered,
        }
    }

    /// Appends bytes to the stream.
    pub fn update(&mut self, bytes: &[u8]) {
        let bytes = self.top_up(bytes);
        // The last block, even a full one, waits: it is compressed differently at the end.
        let whole = bytes.len().saturating_sub(1) / BLOCK;
        let (now, rest) = bytes.split_at(whole * BLOCK);
        let kernel = self.kernel;
        let Run { words, blocks, before } = self.run(now.as_chunks().0);
        kernel.compress(words, blocks, Position::after(before));
        self.buffer[..rest.len()].copy_from_slice(rest);
        self.buffered += rest.len();
    }

    /// The digest of all bytes so far.
    pub fn finalize(mut self) -> Digest {
        self.buffer[self.buffered..].fill(0);
        let position = Position::last(self.count());
        self.kernel.compress(&mut self.words, &[self.buffer], position);
        let mut bytes = [0; Digest::LENGTH];
        for (bytes, word) in bytes.chunks_exact_mut(8).zip(self.words) {
            bytes.copy_from_slice(&word.to_le_bytes());
        }
        Digest::new(bytes)
    }

    /// The state in a form that can be stored; hashing may go on.
    pub fn export_state(&self) -> HashState {
        let mut buffer = [0; BLOCK];
        buffer[..self.buffered].copy_from_slice(&self.buffer[..self.buffered]);
        HashState {
            words: self.words,
            compressed: self.compressed,
            buffer,
            buffered: self.buffered,
        }
    }

    /// Bytes taken in so far.
    pub fn count(&self) -> u128 {
        self.compressed + self.buffered as u128
    }

    fn with(kernel: HashKernel) -> Self {
        Self { kernel, words: INITIAL, compressed: 0, buffer: [0; BLOCK], buffered: 0 }
    }

    /// Fills a block that was begun, and compresses it once more bytes follow. Returns
    /// the bytes left over; unless there are none, nothing is waiting then.
    fn top_up<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        if self.buffered == 0 {
            return bytes;
        }
        let (head, rest) = bytes.split_at(bytes.len().min(BLOCK - self.buffered));
        self.buffer[self.buffered..self.buffered + head.len()].copy_from_slice(head);
        self.buffered += head.len();
        if !rest.is_empty() {
            let position = Position::after(self.compressed);
            self.kernel.compress(&mut self.words, &[self.buffer], position);
            self.compressed += BLOCK as u128;
            self.buffered = 0;
        }
        rest
    }

    /// Counts `blocks` as compressed and says how to compress them; the caller does it.
    fn run<'a>(&'a mut self, blocks: &'a [[u8; BLOCK]]) -> Run<'a> {
        let before = self.compressed;
        self.compressed += (blocks.len() * BLOCK) as u128;
        Run { words: &mut self.words, blocks, before }
    }
}

impl Default for Blake2b256 {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for Blake2b256 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Blake2b256({} bytes)", self.count())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7693 has no vector for 32 bytes; this one is of the reference `b2sum -l 256`.
    #[test]
    fn abc() {
        assert_eq!(
            hash(b"abc").to_string(),
            "bddd813c634239723171ef3fee98579b94964e3bb1cb3e427262c8c068d52319"
        );
    }
}
