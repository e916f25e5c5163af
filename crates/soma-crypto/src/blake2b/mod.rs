//! Blake2b with a 32-byte output, unkeyed (RFC 7693): the network's commitments.

mod lanes;
mod portable;
mod state;

pub(crate) use lanes::Lanes;
pub use lanes::hash_many;
pub use state::HashState;

use crate::Digest;

/// Bytes in a block of Blake2b.
pub(crate) const BLOCK: usize = 128;

/// The initial chaining value: the fractions of SHA-512's square roots with the parameter
/// block (digest length 32, no key, fanout 1, depth 1) folded into the first word.
const INITIAL: [u64; 8] = {
    let mut words = portable::IV;
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
        Self { words: INITIAL, compressed: 0, buffer: [0; BLOCK], buffered: 0 }
    }

    /// Takes up a stream where [`Blake2b256::export_state`] left it.
    pub fn restore_state(state: &HashState) -> Self {
        Self {
            words: state.words,
            compressed: state.compressed,
            buffer: state.buffer,
            buffered: state.buffered,
        }
    }

    /// Appends bytes to the stream.
    pub fn update(&mut self, mut bytes: &[u8]) {
        if self.buffered > 0 {
            let take = bytes.len().min(BLOCK - self.buffered);
            let (head, rest) = bytes.split_at(take);
            self.buffer[self.buffered..self.buffered + take].copy_from_slice(head);
            self.buffered += take;
            bytes = rest;
            if bytes.is_empty() {
                return;
            }
            compress(&mut self.words, &[self.buffer], self.compressed);
            self.compressed += BLOCK as u128;
            self.buffered = 0;
        }
        // The last block, even a full one, waits: it is compressed differently at the end.
        let bulk = bytes.len().saturating_sub(1) / BLOCK;
        let (blocks, _) = bytes.as_chunks::<BLOCK>();
        compress(&mut self.words, &blocks[..bulk], self.compressed);
        self.compressed += (bulk * BLOCK) as u128;
        let rest = &bytes[bulk * BLOCK..];
        self.buffer[..rest.len()].copy_from_slice(rest);
        self.buffered = rest.len();
    }

    /// The digest of all bytes so far.
    pub fn finalize(mut self) -> Digest {
        self.buffer[self.buffered..].fill(0);
        let total = self.compressed + self.buffered as u128;
        portable::compress_last(&mut self.words, &self.buffer, total);
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

/// Compresses blocks that are not the last; `before` bytes were compressed earlier.
fn compress(words: &mut [u64; 8], blocks: &[[u8; BLOCK]], before: u128) {
    portable::compress(words, blocks, before);
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
