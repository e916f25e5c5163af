//! VAES on 256-bit registers: two blocks in each, sixteen in flight.

use std::arch::x86_64::*;

use super::{
    schedule::{ROUNDS, Schedule},
    x86,
};

/// Registers in flight: an AES round takes 3 or 4 cycles and two can start in each. The
/// other eight registers hold a round key, the data and the counter's constants.
const LANES: usize = 8;
const BLOCKS: usize = 2 * LANES;
const BATCH: usize = 16 * BLOCKS;

/// XORs the keystream from block `first` on into `data`.
#[target_feature(enable = "vaes,avx2")]
pub(super) fn apply(schedule: &Schedule, first: u128, data: &mut [u8]) {
    let keys = schedule.0.map(|key| _mm256_broadcastsi128_si256(load_key(&key)));
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
#[target_feature(enable = "vaes,avx2")]
fn xor_batch(keys: &[__m256i; ROUNDS + 1], counter: u128, batch: &mut [u8; BATCH]) {
    let mut state = counters(counter);
    for lane in &mut state {
        *lane = _mm256_xor_si256(*lane, keys[0]);
    }
    for key in &keys[1..ROUNDS] {
        for lane in &mut state {
            *lane = _mm256_aesenc_epi128(*lane, *key);
        }
    }
    let (places, _) = batch.as_chunks_mut::<32>();
    for (lane, place) in state.into_iter().zip(places) {
        // The last round XORs its key anyway: give it the key with the data in it.
        let last = _mm256_xor_si256(keys[ROUNDS], load(place));
        store(place, _mm256_aesenclast_epi128(lane, last));
    }
}

/// The counter blocks of one batch, big-endian.
#[inline]
#[target_feature(enable = "avx2")]
fn counters(first: u128) -> [__m256i; LANES] {
    let Some((high, low)) = x86::halves(first, BLOCKS as u64) else {
        let blocks = x86::carrying_counters::<BLOCKS>(first);
        let (lanes, _) = blocks.as_flattened().as_chunks::<32>();
        return std::array::from_fn(|i| load(&lanes[i]));
    };
    let reversed =
        _mm256_broadcastsi128_si256(_mm_set_epi64x(0x0001_0203_0405_0607, 0x0809_0a0b_0c0d_0e0f));
    let base = _mm256_broadcastsi128_si256(_mm_set_epi64x(high, low));
    std::array::from_fn(|i| {
        let step = 2 * i as i64;
        let step = _mm256_set_epi64x(0, step + 1, 0, step);
        _mm256_shuffle_epi8(_mm256_add_epi64(base, step), reversed)
    })
}

#[inline]
#[target_feature(enable = "avx2")]
fn load_key(bytes: &[u8; 16]) -> __m128i {
    // SAFETY: the reference is valid for 16 bytes; the load needs no alignment.
    unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx2")]
fn load(bytes: &[u8; 32]) -> __m256i {
    // SAFETY: the reference is valid for 32 bytes; the load needs no alignment.
    unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx2")]
fn store(bytes: &mut [u8; 32], value: __m256i) {
    // SAFETY: the reference is valid for 32 bytes; the store needs no alignment.
    unsafe { _mm256_storeu_si256(bytes.as_mut_ptr().cast(), value) }
}
