//! A hash stream that was put aside.

use std::fmt;

use super::Blake2b256;
use crate::{Error, backend::blake2b::BLOCK};

/// The state of a [`Blake2b256`] between two bytes of its stream.
///
/// It holds up to 128 bytes of what was hashed last, so it is as secret as the input.
///
/// Layout of [`HashState::to_bytes`], integers little-endian:
///
/// | bytes | content |
/// | --- | --- |
/// | 0 | version, 1 |
/// | 1..65 | chaining value, eight words |
/// | 65..81 | bytes compressed so far, a multiple of 128 |
/// | 81 | bytes waiting, 0 to 128 |
/// | 82..210 | the bytes waiting, then zeros |
#[derive(Clone, PartialEq, Eq)]
pub struct HashState {
    pub(super) words: [u64; 8],
    pub(super) compressed: u128,
    pub(super) buffer: [u8; BLOCK],
    pub(super) buffered: usize,
}

const VERSION: u8 = 1;

impl HashState {
    /// Bytes in a stored state.
    pub const LENGTH: usize = 1 + 64 + 16 + 1 + BLOCK;

    /// Reads what [`HashState::to_bytes`] wrote.
    ///
    /// # Errors
    /// [`Error::HashStateBytes`] if the length, the version or the counts are not
    /// those of a state this crate could have written.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        Self::parse(bytes).ok_or(Error::HashStateBytes)
    }

    /// The state as bytes, always [`HashState::LENGTH`] of them.
    pub fn to_bytes(&self) -> [u8; Self::LENGTH] {
        let mut bytes = [0; Self::LENGTH];
        bytes[0] = VERSION;
        for (bytes, word) in bytes[1..65].chunks_exact_mut(8).zip(self.words) {
            bytes.copy_from_slice(&word.to_le_bytes());
        }
        bytes[65..81].copy_from_slice(&self.compressed.to_le_bytes());
        bytes[81] = self.buffered as u8;
        bytes[82..].copy_from_slice(&self.buffer);
        bytes
    }

    /// Bytes taken in until the state was exported.
    pub fn count(&self) -> u128 {
        self.compressed + self.buffered as u128
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let (&version, bytes) = bytes.split_first()?;
        let (words_bytes, bytes) = bytes.split_first_chunk::<64>()?;
        let (compressed, bytes) = bytes.split_first_chunk::<16>()?;
        let (&buffered, bytes) = bytes.split_first()?;
        let buffer: [u8; BLOCK] = bytes.try_into().ok()?;
        let compressed = u128::from_le_bytes(*compressed);
        let buffered = usize::from(buffered);

        let mut words = [0; 8];
        for (word, bytes) in words.iter_mut().zip(words_bytes.as_chunks::<8>().0) {
            *word = u64::from_le_bytes(*bytes);
        }
        // Only an empty stream has nothing waiting: the last block always waits.
        let started = compressed > 0;
        let legal = version == VERSION
            && buffered <= BLOCK
            && compressed.is_multiple_of(BLOCK as u128)
            && compressed < u128::MAX - (BLOCK as u128)
            && (!started || buffered > 0)
            && (started || words == super::INITIAL)
            && buffer[buffered..].iter().all(|byte| *byte == 0);
        legal.then_some(Self { words, compressed, buffer, buffered })
    }
}

impl fmt::Debug for HashState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HashState(after {} bytes)", self.count())
    }
}

impl From<&Blake2b256> for HashState {
    fn from(hasher: &Blake2b256) -> Self {
        hasher.export_state()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash;

    #[test]
    fn every_cut_resumes() {
        let bytes: Vec<u8> = (0..400u32).map(|i| (i % 251) as u8).collect();
        for cut in 0..=bytes.len() {
            let mut hasher = Blake2b256::new();
            hasher.update(&bytes[..cut]);
            let saved = hasher.export_state().to_bytes();
            let state = HashState::from_bytes(&saved).unwrap();
            assert_eq!(state.count(), cut as u128);
            let mut hasher = Blake2b256::restore_state(&state);
            hasher.update(&bytes[cut..]);
            assert_eq!(hasher.finalize(), hash(&bytes), "cut at {cut}");
        }
    }

    #[test]
    fn damaged_states_are_refused() {
        let mut hasher = Blake2b256::new();
        hasher.update(&[9; 200]);
        let good = hasher.export_state().to_bytes();
        assert!(HashState::from_bytes(&good).is_ok());
        for (position, value) in [(0, 2), (65, 1), (81, 129), (81, 0), (209, 1)] {
            let mut bad = good;
            bad[position] = value;
            let refused = HashState::from_bytes(&bad);
            assert!(matches!(refused, Err(Error::HashStateBytes)), "byte {position}");
        }
        assert!(HashState::from_bytes(&good[1..]).is_err());
        assert!(HashState::from_bytes(&[]).is_err());
        assert!(HashState::from_bytes(&[1; HashState::LENGTH + 1]).is_err());
    }
}
