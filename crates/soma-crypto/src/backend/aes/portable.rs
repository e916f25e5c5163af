//! The keystream by the `aes` crate, eight blocks at a time, on any machine.

use ::aes::{
    Aes256, Block,
    cipher::{BlockCipherEncrypt, KeyInit},
};

use crate::Key;

/// Blocks handed to the cipher in one call; the widest bitsliced backend takes eight.
const BATCH: usize = 8;
const BLOCK: usize = 16;

pub(crate) struct Keystream(Aes256);

impl Keystream {
    pub(crate) fn new(key: &Key) -> Self {
        Self(Aes256::new(key.as_bytes().into()))
    }

    pub(crate) fn apply(&self, first: u128, data: &mut [u8]) {
        let mut counter = first;
        for stretch in data.chunks_mut(BATCH * BLOCK) {
            let mut blocks = [Block::default(); BATCH];
            for block in &mut blocks {
                *block = counter.to_be_bytes().into();
                counter = counter.wrapping_add(1);
            }
            self.0.encrypt_blocks(&mut blocks);
            for (bytes, key) in stretch.chunks_mut(BLOCK).zip(&blocks) {
                bytes.iter_mut().zip(key).for_each(|(byte, key)| *byte ^= key);
            }
        }
    }
}
