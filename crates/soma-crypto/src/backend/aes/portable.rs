//! The keystream by the `aes` crate, a batch of blocks at a time, on any machine.

use ::aes::{
    Aes256, Block,
    cipher::{BlockCipherEncrypt, KeyInit},
};

use crate::Key;

/// Blocks handed to the cipher in one call: a multiple of what any of its backends takes
/// at once.
const BLOCKS: usize = 32;
const BATCH: usize = 16 * BLOCKS;

pub(super) struct Keystream(Aes256);

impl Keystream {
    pub(super) fn new(key: &Key) -> Self {
        Self(Aes256::new(key.as_bytes().into()))
    }

    pub(super) fn apply(&self, first: u128, data: &mut [u8]) {
        let mut counter = first;
        let (batches, tail) = data.as_chunks_mut::<BATCH>();
        for batch in batches {
            self.xor_batch(counter, batch);
            counter = counter.wrapping_add(BLOCKS as u128);
        }
        if !tail.is_empty() {
            let mut padded = [0; BATCH];
            padded[..tail.len()].copy_from_slice(tail);
            self.xor_batch(counter, &mut padded);
            tail.copy_from_slice(&padded[..tail.len()]);
        }
    }

    fn xor_batch(&self, first: u128, batch: &mut [u8; BATCH]) {
        let mut blocks: [Block; BLOCKS] =
            std::array::from_fn(|i| first.wrapping_add(i as u128).to_be_bytes().into());
        self.0.encrypt_blocks(&mut blocks);
        let (places, _) = batch.as_chunks_mut::<16>();
        for (place, key) in places.iter_mut().zip(blocks) {
            let mixed = u128::from_ne_bytes(*place) ^ u128::from_ne_bytes(key.into());
            *place = mixed.to_ne_bytes();
        }
    }
}
