//! One stream in 256-bit registers with AVX2: three of the four rotations are byte
//! shuffles of one cycle, the fourth takes two, so a round's chain is 26 cycles long.

use std::arch::x86_64::*;

use super::{
    BLOCK, IV_ROWS, rows,
    schedule::{Round, Schedule, each_round},
};

/// Compresses blocks; see [`super::HashKernel::compress`].
#[target_feature(enable = "avx2")]
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
        h[0] = _mm256_xor_si256(h[0], _mm256_xor_si256(v[0], v[2]));
        h[1] = _mm256_xor_si256(h[1], _mm256_xor_si256(v[1], v[3]));
    }
    store(low, h[0]);
    store(high, h[1]);
}

/// A round. For the diagonals, rows a, c and d turn and row b stays: b is the last to be
/// ready and the first to be needed, so a turn of it would lengthen the chain.
#[inline]
#[target_feature(enable = "avx2")]
fn round(v: &mut [__m256i; 4], words: &Round) {
    mix(v, &words[0], &words[1]);
    v[0] = turn_left(v[0]);
    v[3] = swap(v[3]);
    v[2] = turn_right(v[2]);
    mix(v, &words[2], &words[3]);
    v[0] = turn_right(v[0]);
    v[3] = swap(v[3]);
    v[2] = turn_left(v[2]);
}

/// Four mixing functions side by side. The message is added to row a before row b is,
/// which keeps that addition out of the chain.
#[inline]
#[target_feature(enable = "avx2")]
fn mix([a, b, c, d]: &mut [__m256i; 4], x: &[u64; 4], y: &[u64; 4]) {
    *a = _mm256_add_epi64(_mm256_add_epi64(*a, load(x)), *b);
    *d = rotate::<32, 32>(_mm256_xor_si256(*d, *a));
    *c = _mm256_add_epi64(*c, *d);
    *b = rotate::<24, 40>(_mm256_xor_si256(*b, *c));
    *a = _mm256_add_epi64(_mm256_add_epi64(*a, load(y)), *b);
    *d = rotate::<16, 48>(_mm256_xor_si256(*d, *a));
    *c = _mm256_add_epi64(*c, *d);
    *b = rotate::<63, 1>(_mm256_xor_si256(*b, *c));
}

/// Rotates each word to the right. Written as shifts: the compiler knows which rotations
/// are byte shuffles, and places their constants better than a hand does.
#[inline]
#[target_feature(enable = "avx2")]
fn rotate<const RIGHT: i32, const LEFT: i32>(row: __m256i) -> __m256i {
    _mm256_or_si256(_mm256_srli_epi64::<RIGHT>(row), _mm256_slli_epi64::<LEFT>(row))
}

/// Lanes 3, 0, 1, 2. Two instructions, because one that moves any word anywhere takes
/// six cycles and more on processors without AVX-512.
#[inline]
#[target_feature(enable = "avx2")]
fn turn_left(row: __m256i) -> __m256i {
    _mm256_alignr_epi8::<8>(row, swap(row))
}

/// Lanes 1, 2, 3, 0.
#[inline]
#[target_feature(enable = "avx2")]
fn turn_right(row: __m256i) -> __m256i {
    _mm256_alignr_epi8::<8>(swap(row), row)
}

/// Lanes 2, 3, 0, 1.
#[inline]
#[target_feature(enable = "avx2")]
fn swap(row: __m256i) -> __m256i {
    _mm256_permute2x128_si256::<0x01>(row, row)
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
