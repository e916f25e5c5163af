//! VAES on 512-bit registers: four blocks in each, thirty-two in flight.

use std::arch::x86_64::*;

use super::{
    schedule::{ROUNDS, Schedule},
    x86,
};

/// Registers in flight: an AES round takes 3 to 5 cycles and one or two can start in each.
const LANES: usize = 8;
const BLOCKS: usize = 4 * LANES;
const BATCH: usize = 16 * BLOCKS;

/// XORs the keystream from block `first` on into `data`.
#[target_feature(enable = "vaes,avx512f,avx512bw")]
pub(super) fn apply(schedule: &Schedule, first: u128, data: &mut [u8]) {
    let keys = schedule.0.map(|key| _mm512_broadcast_i32x4(load_key(&key)));
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
#[target_feature(enable = "vaes,avx512f,avx512bw")]
fn xor_batch(keys: &[__m512i; ROUNDS + 1], counter: u128, batch: &mut [u8; BATCH]) {
    let mut state = counters(counter);
    for lane in &mut state {
        *lane = _mm512_xor_si512(*lane, keys[0]);
    }
    for key in &keys[1..ROUNDS] {
        for lane in &mut state {
            *lane = _mm512_aesenc_epi128(*lane, *key);
        }
    }
    let (places, _) = batch.as_chunks_mut::<64>();
    for (lane, place) in state.into_iter().zip(places) {
        // The last round XORs its key anyway: give it the key with the data in it.
        let last = _mm512_xor_si512(keys[ROUNDS], load(place));
        store(place, _mm512_aesenclast_epi128(lane, last));
    }
}

/// The counter blocks of one batch, big-endian.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn counters(first: u128) -> [__m512i; LANES] {
    let Some((high, low)) = x86::halves(first, BLOCKS as u64) else {
        let blocks = x86::carrying_counters::<BLOCKS>(first);
        let (lanes, _) = blocks.as_flattened().as_chunks::<64>();
        return std::array::from_fn(|i| load(&lanes[i]));
    };
    let reversed =
        _mm512_broadcast_i32x4(_mm_set_epi64x(0x0001_0203_0405_0607, 0x0809_0a0b_0c0d_0e0f));
    let base = _mm512_broadcast_i32x4(_mm_set_epi64x(high, low));
    let base = _mm512_add_epi64(base, _mm512_set_epi64(0, 3, 0, 2, 0, 1, 0, 0));
    std::array::from_fn(|i| {
        let step = 4 * i as i64;
        let step = _mm512_set_epi64(0, step, 0, step, 0, step, 0, step);
        _mm512_shuffle_epi8(_mm512_add_epi64(base, step), reversed)
    })
}

#[inline]
#[target_feature(enable = "avx512f")]
fn load_key(bytes: &[u8; 16]) -> __m128i {
    // SAFETY: the reference is valid for 16 bytes; the load needs no alignment.
    unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn load(bytes: &[u8; 64]) -> __m512i {
    // SAFETY: the reference is valid for 64 bytes; the load needs no alignment.
    unsafe { _mm512_loadu_si512(bytes.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn store(bytes: &mut [u8; 64], value: __m512i) {
    // SAFETY: the reference is valid for 64 bytes; the store needs no alignment.
    unsafe { _mm512_storeu_si512(bytes.as_mut_ptr().cast(), value) }
}
