//! AES-NI on 128-bit registers: a block in each, eight in flight.

use std::arch::x86_64::*;

use super::{
    schedule::{ROUNDS, Schedule},
    x86,
};

/// Registers in flight: an AES round takes 3 or 4 cycles and two can start in each.
const BLOCKS: usize = 8;
const BATCH: usize = 16 * BLOCKS;

/// XORs the keystream from block `first` on into `data`.
#[target_feature(enable = "aes,avx")]
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
#[target_feature(enable = "aes,avx")]
fn xor_batch(keys: &[__m128i; ROUNDS + 1], counter: u128, batch: &mut [u8; BATCH]) {
    let mut state = counters(counter);
    for lane in &mut state {
        *lane = _mm_xor_si128(*lane, keys[0]);
    }
    for key in &keys[1..ROUNDS] {
        for lane in &mut state {
            *lane = _mm_aesenc_si128(*lane, *key);
        }
    }
    let (places, _) = batch.as_chunks_mut::<16>();
    for (lane, place) in state.into_iter().zip(places) {
        // The last round XORs its key anyway: give it the key with the data in it.
        let last = _mm_xor_si128(keys[ROUNDS], load(place));
        store(place, _mm_aesenclast_si128(lane, last));
    }
}

/// The counter blocks of one batch, big-endian.
#[inline]
#[target_feature(enable = "avx")]
fn counters(first: u128) -> [__m128i; BLOCKS] {
    let Some((high, low)) = x86::halves(first, BLOCKS as u64) else {
        return x86::carrying_counters::<BLOCKS>(first).map(|block| load(&block));
    };
    let reversed = _mm_set_epi64x(0x0001_0203_0405_0607, 0x0809_0a0b_0c0d_0e0f);
    let base = _mm_set_epi64x(high, low);
    std::array::from_fn(|i| {
        _mm_shuffle_epi8(_mm_add_epi64(base, _mm_set_epi64x(0, i as i64)), reversed)
    })
}

#[inline]
#[target_feature(enable = "avx")]
fn load(bytes: &[u8; 16]) -> __m128i {
    // SAFETY: the reference is valid for 16 bytes; the load needs no alignment.
    unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx")]
fn store(bytes: &mut [u8; 16], value: __m128i) {
    // SAFETY: the reference is valid for 16 bytes; the store needs no alignment.
    unsafe { _mm_storeu_si128(bytes.as_mut_ptr().cast(), value) }
}
