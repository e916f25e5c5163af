//! The round keys of AES-256 (FIPS 197, 5.2), for the kernels that hold their own.

use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::Key;

/// Rounds of AES-256.
pub(super) const ROUNDS: usize = 14;

/// The initial key and one for each round, as bytes. Wiped on drop.
#[derive(Zeroize, ZeroizeOnDrop)]
pub(super) struct Schedule(pub(super) [[u8; 16]; ROUNDS + 1]);

impl Schedule {
    /// Expands `key`. `sub_word` puts the S-box over each byte of a word; the caller has
    /// an instruction for it, so no table is looked up by secret bytes.
    #[inline(always)]
    pub(super) fn expand(key: &Key, sub_word: impl Fn(u32) -> u32) -> Self {
        let mut words = [0u32; 4 * (ROUNDS + 1)];
        let (given, _) = key.as_bytes().as_chunks::<4>();
        for (word, bytes) in words.iter_mut().zip(given) {
            *word = u32::from_le_bytes(*bytes);
        }
        let mut constant = 1;
        for i in 8..words.len() {
            let before = words[i - 1];
            words[i] = words[i - 8]
                ^ match i % 8 {
                    // Words are little-endian here, so RotWord turns the other way.
                    0 => sub_word(before).rotate_right(8) ^ constant,
                    4 => sub_word(before),
                    _ => before,
                };
            if i % 8 == 0 {
                constant <<= 1;
            }
        }
        let mut schedule = Self([[0; 16]; ROUNDS + 1]);
        let bytes = schedule.0.as_flattened_mut().chunks_exact_mut(4);
        for (bytes, word) in bytes.zip(words) {
            bytes.copy_from_slice(&word.to_le_bytes());
        }
        words.zeroize();
        schedule
    }
}
