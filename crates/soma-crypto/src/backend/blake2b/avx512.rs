//! One stream in 256-bit registers with the instructions of AVX-512VL: a rotation is one
//! instruction of one cycle, so a round's chain is 24 cycles long.

use std::arch::x86_64::*;

use super::{
    BLOCK, IV_ROWS, rows,
    schedule::{Round, Schedule, each_round},
};

/// Compresses blocks; see [`super::HashKernel::compress`].
#[target_feature(enable = "avx2,avx512f,avx512vl")]
pub(super) fn compress(words: &mut [u64; 8], blocks: &[[u8; BLOCK]], before: u128, last: u64) {
    let Some(first) = blocks.first() else { return };
    let [low, high] = rows(words);
    let mut h = [load(low), load(high)];
    let mut total = before;
    let mut schedules = [Schedule::EMPTY; 2];
    let [now, next] = &mut schedules;
    let (mut now, mut next) = (now, next);
    now.fill(first);
    for (i, block) in blocks.iter().enumerate() {
        total = total.wrapping_add(BLOCK as u128);
        let counter = _mm256_set_epi64x(0, last as i64, (total >> 64) as i64, total as i64);
        let mut v = [h[0], h[1], load(&IV_ROWS[0]), _mm256_xor_si256(load(&IV_ROWS[1]), counter)];
        let ahead = blocks.get(i + 1).unwrap_or(block);
        macro_rules! step {
            ($r:literal) => {
                round(&mut v, now.round($r));
                if $r < 10 {
                    next.fill_round($r, ahead);
                }
            };
        }
        each_round!(step);
        (now, next) = (next, now);
        h[0] = _mm256_ternarylogic_epi64::<0x96>(h[0], v[0], v[2]);
        h[1] = _mm256_ternarylogic_epi64::<0x96>(h[1], v[1], v[3]);
    }
    store(low, h[0]);
    store(high, h[1]);
}

/// A round. For the diagonals, rows a, c and d turn and row b stays: b is the last to be
/// ready and the first to be needed, so a turn of it would lengthen the chain.
#[inline]
#[target_feature(enable = "avx2,avx512f,avx512vl")]
fn round(v: &mut [__m256i; 4], words: &Round) {
    mix(v, &words[0], &words[1]);
    v[0] = _mm256_permute4x64_epi64::<0x93>(v[0]);
    v[3] = _mm256_permute4x64_epi64::<0x4e>(v[3]);
    v[2] = _mm256_permute4x64_epi64::<0x39>(v[2]);
    mix(v, &words[2], &words[3]);
    v[0] = _mm256_permute4x64_epi64::<0x39>(v[0]);
    v[3] = _mm256_permute4x64_epi64::<0x4e>(v[3]);
    v[2] = _mm256_permute4x64_epi64::<0x93>(v[2]);
}

/// Four mixing functions side by side. The message is added to row a before row b is,
/// which keeps that addition out of the chain.
#[inline]
#[target_feature(enable = "avx2,avx512f,avx512vl")]
fn mix([a, b, c, d]: &mut [__m256i; 4], x: &[u64; 4], y: &[u64; 4]) {
    *a = _mm256_add_epi64(_mm256_add_epi64(*a, load(x)), *b);
    *d = _mm256_ror_epi64::<32>(_mm256_xor_si256(*d, *a));
    *c = _mm256_add_epi64(*c, *d);
    *b = _mm256_ror_epi64::<24>(_mm256_xor_si256(*b, *c));
    *a = _mm256_add_epi64(_mm256_add_epi64(*a, load(y)), *b);
    *d = _mm256_ror_epi64::<16>(_mm256_xor_si256(*d, *a));
    *c = _mm256_add_epi64(*c, *d);
    *b = _mm256_ror_epi64::<63>(_mm256_xor_si256(*b, *c));
}

#[inline]
#[target_feature(enable = "avx2")]
fn load(words: &[u64; 4]) -> __m256i {
    // SAFETY: the reference is valid for four words; the load needs no alignment.
    unsafe { _mm256_loadu_si256(words.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx2")]
fn store(words: &mut [u64; 4], row: __m256i) {
    // SAFETY: the reference is valid for four words; the store needs no alignment.
    unsafe { _mm256_storeu_si256(words.as_mut_ptr().cast(), row) }
}
