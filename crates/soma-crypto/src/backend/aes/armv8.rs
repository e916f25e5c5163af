//! The AES extension of ARMv8: a block in each register, eight in flight.

use std::arch::aarch64::*;

use super::schedule::{ROUNDS, Schedule};
use crate::Key;

/// Registers in flight: a pair of AES instructions takes 3 to 5 cycles and two or more
/// pairs can start in each on large cores.
const BLOCKS: usize = 8;
const BATCH: usize = 16 * BLOCKS;

/// Expands a key with the processor's S-box.
#[target_feature(enable = "aes,neon")]
pub(super) fn expand(key: &Key) -> Schedule {
    // AESE with a zero key is ShiftRows and SubBytes; with equal columns the shift
    // changes nothing.
    Schedule::expand(key, |word| {
        let columns = vreinterpretq_u8_u32(vdupq_n_u32(word));
        let substituted = vaeseq_u8(columns, vdupq_n_u8(0));
        vgetq_lane_u32::<0>(vreinterpretq_u32_u8(substituted))
    })
}

/// XORs the keystream from block `first` on into `data`.
#[target_feature(enable = "aes,neon")]
pub(super) fn apply(schedule: &Schedule, first: u128, data: &mut [u8]) {
    let keys = schedule.0.map(|key| load(&key));
    let mut counter = first;
    let (batches, tail) = data.as_chunks_mut::<BATCH>();
    for batch in batches {
        xor_batch(&keys, counter, batch);
        counter = counter.wrapping_add(BLOCKS as u128);
    }
    if !tail.is_empty() {
        let mut padded = [0; BATCH];
        padded[..tail.len()].copy_from_slice(tail);
        xor_batch(&keys, counter, &mut padded);
        tail.copy_from_slice(&padded[..tail.len()]);
    }
}

#[inline]
#[target_feature(enable = "aes,neon")]
fn xor_batch(keys: &[uint8x16_t; ROUNDS + 1], counter: u128, batch: &mut [u8; BATCH]) {
    let mut state: [uint8x16_t; BLOCKS] = std::array::from_fn(|i| {
        let block = counter.wrapping_add(i as u128).to_be_bytes();
        load(&block)
    });
    for key in &keys[..ROUNDS - 1] {
        for lane in &mut state {
            *lane = vaesmcq_u8(vaeseq_u8(*lane, *key));
        }
    }
    let (places, _) = batch.as_chunks_mut::<16>();
    for (lane, place) in state.into_iter().zip(places) {
        let last = veorq_u8(keys[ROUNDS], load(place));
        store(place, veorq_u8(vaeseq_u8(lane, keys[ROUNDS - 1]), last));
    }
}

#[inline]
#[target_feature(enable = "neon")]
fn load(bytes: &[u8; 16]) -> uint8x16_t {
    // SAFETY: the reference is valid for 16 bytes; the load needs no alignment.
    unsafe { vld1q_u8(bytes.as_ptr()) }
}

#[inline]
#[target_feature(enable = "neon")]
fn store(bytes: &mut [u8; 16], value: uint8x16_t) {
    // SAFETY: the reference is valid for 16 bytes; the store needs no alignment.
    unsafe { vst1q_u8(bytes.as_mut_ptr(), value) }
}
