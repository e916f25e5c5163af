//! Several streams side by side: word `i` of all of them in one register.
//!
//! Side by side nothing waits for anything, so the speed is set by the number of vector
//! instructions, not by the length of a chain.

use std::arch::x86_64::*;

use super::{
    BLOCK,
    portable::{IV, SIGMA},
    schedule::each_round,
};

/// Word `i` of the chaining values of `N` streams.
pub(super) type Words<const N: usize> = [[u64; N]; 8];

macro_rules! kernel {
    (
        $(#[$doc:meta])*
        $name:ident, $features:literal, $streams:literal, $row:ty,
        $set:ident, $add:ident, $xor:ident, $rotate:ident, $load:ident, $store:ident,
        $transpose:ident
    ) => {
        $(#[$doc])*
        ///
        /// Folds `blocks` of each stream, none the last of its stream, into `words`.
        /// `before` are the bytes folded in earlier. All streams have as many blocks.
        #[target_feature(enable = $features)]
        pub(super) fn $name(
            words: &mut Words<$streams>,
            blocks: [&[[u8; BLOCK]]; $streams],
            mut before: [u64; $streams],
        ) {
            #[inline]
            #[target_feature(enable = $features)]
            fn mix(
                v: &mut [$row; 16],
                [a, b, c, d]: [usize; 4],
                x: $row,
                y: $row,
            ) {
                v[a] = $add($add(v[a], x), v[b]);
                v[d] = $rotate::<32, 32>($xor(v[d], v[a]));
                v[c] = $add(v[c], v[d]);
                v[b] = $rotate::<24, 40>($xor(v[b], v[c]));
                v[a] = $add($add(v[a], y), v[b]);
                v[d] = $rotate::<16, 48>($xor(v[d], v[a]));
                v[c] = $add(v[c], v[d]);
                v[b] = $rotate::<63, 1>($xor(v[b], v[c]));
            }

            let mut h = words.each_ref().map(|word| $load(word));
            for i in 0..blocks[0].len() {
                before = before.map(|bytes| bytes.wrapping_add(BLOCK as u64));
                let m = $transpose(blocks.map(|stream| &stream[i]));
                let mut v = [$set(0); 16];
                v[..8].copy_from_slice(&h);
                for (row, word) in v[8..].iter_mut().zip(IV) {
                    *row = $set(word as i64);
                }
                v[12] = $xor(v[12], $load(&before));
                macro_rules! step {
                    ($r:literal) => {
                        let s = &SIGMA[$r % 10];
                        mix(&mut v, [0, 4, 8, 12], m[s[0]], m[s[1]]);
                        mix(&mut v, [1, 5, 9, 13], m[s[2]], m[s[3]]);
                        mix(&mut v, [2, 6, 10, 14], m[s[4]], m[s[5]]);
                        mix(&mut v, [3, 7, 11, 15], m[s[6]], m[s[7]]);
                        mix(&mut v, [0, 5, 10, 15], m[s[8]], m[s[9]]);
                        mix(&mut v, [1, 6, 11, 12], m[s[10]], m[s[11]]);
                        mix(&mut v, [2, 7, 8, 13], m[s[12]], m[s[13]]);
                        mix(&mut v, [3, 4, 9, 14], m[s[14]], m[s[15]]);
                    };
                }
                each_round!(step);
                for (i, word) in h.iter_mut().enumerate() {
                    *word = $xor(*word, $xor(v[i], v[i + 8]));
                }
            }
            for (word, row) in words.iter_mut().zip(h) {
                $store(word, row);
            }
        }
    };
}

kernel! {
    /// Eight streams in 512-bit registers.
    avx512_by_8, "avx512f", 8, __m512i,
    _mm512_set1_epi64, _mm512_add_epi64, _mm512_xor_si512, rotate_512, load_8, store_8,
    transpose_8
}

kernel! {
    /// Four streams in 256-bit registers, with the rotations of AVX-512VL.
    avx512_by_4, "avx2,avx512f,avx512vl", 4, __m256i,
    _mm256_set1_epi64x, _mm256_add_epi64, _mm256_xor_si256, rotate_256, load_4, store_4,
    transpose_4
}

kernel! {
    /// Four streams in 256-bit registers.
    avx2_by_4, "avx2", 4, __m256i,
    _mm256_set1_epi64x, _mm256_add_epi64, _mm256_xor_si256, rotate_avx2, load_4, store_4,
    transpose_4
}

#[inline]
#[target_feature(enable = "avx512f")]
fn rotate_512<const RIGHT: i32, const LEFT: i32>(row: __m512i) -> __m512i {
    _mm512_ror_epi64::<RIGHT>(row)
}

#[inline]
#[target_feature(enable = "avx512f,avx512vl")]
fn rotate_256<const RIGHT: i32, const LEFT: i32>(row: __m256i) -> __m256i {
    _mm256_ror_epi64::<RIGHT>(row)
}

#[inline]
#[target_feature(enable = "avx2")]
fn rotate_avx2<const RIGHT: i32, const LEFT: i32>(row: __m256i) -> __m256i {
    _mm256_or_si256(_mm256_srli_epi64::<RIGHT>(row), _mm256_slli_epi64::<LEFT>(row))
}

/// The sixteen message words of eight streams, one register per word.
#[inline]
#[target_feature(enable = "avx512f")]
fn transpose_8(blocks: [&[u8; BLOCK]; 8]) -> [__m512i; 16] {
    let mut words = [_mm512_setzero_si512(); 16];
    for half in 0..2 {
        let r = blocks.map(|block| load_bytes_8(block, half));
        for odd in 0..2 {
            let pair = |i: usize| match odd {
                0 => _mm512_unpacklo_epi64(r[i], r[i + 1]),
                _ => _mm512_unpackhi_epi64(r[i], r[i + 1]),
            };
            let (t0, t1, t2, t3) = (pair(0), pair(2), pair(4), pair(6));
            let s0 = _mm512_shuffle_i64x2::<0x88>(t0, t1);
            let s1 = _mm512_shuffle_i64x2::<0xdd>(t0, t1);
            let s2 = _mm512_shuffle_i64x2::<0x88>(t2, t3);
            let s3 = _mm512_shuffle_i64x2::<0xdd>(t2, t3);
            let at = 8 * half + odd;
            words[at] = _mm512_shuffle_i64x2::<0x88>(s0, s2);
            words[at + 2] = _mm512_shuffle_i64x2::<0x88>(s1, s3);
            words[at + 4] = _mm512_shuffle_i64x2::<0xdd>(s0, s2);
            words[at + 6] = _mm512_shuffle_i64x2::<0xdd>(s1, s3);
        }
    }
    words
}

/// The sixteen message words of four streams, one register per word.
#[inline]
#[target_feature(enable = "avx2")]
fn transpose_4(blocks: [&[u8; BLOCK]; 4]) -> [__m256i; 16] {
    let mut words = [_mm256_setzero_si256(); 16];
    for quarter in 0..4 {
        let r = blocks.map(|block| load_bytes_4(block, quarter));
        let even = [_mm256_unpacklo_epi64(r[0], r[1]), _mm256_unpacklo_epi64(r[2], r[3])];
        let odd = [_mm256_unpackhi_epi64(r[0], r[1]), _mm256_unpackhi_epi64(r[2], r[3])];
        let at = 4 * quarter;
        words[at] = _mm256_permute2x128_si256::<0x20>(even[0], even[1]);
        words[at + 1] = _mm256_permute2x128_si256::<0x20>(odd[0], odd[1]);
        words[at + 2] = _mm256_permute2x128_si256::<0x31>(even[0], even[1]);
        words[at + 3] = _mm256_permute2x128_si256::<0x31>(odd[0], odd[1]);
    }
    words
}

/// Half `half` (0 or 1) of a block.
#[inline]
#[target_feature(enable = "avx512f")]
fn load_bytes_8(block: &[u8; BLOCK], half: usize) -> __m512i {
    let bytes = &block.as_chunks::<64>().0[half];
    // SAFETY: the reference is valid for 64 bytes; the load needs no alignment.
    unsafe { _mm512_loadu_si512(bytes.as_ptr().cast()) }
}

/// Quarter `quarter` (0 to 3) of a block.
#[inline]
#[target_feature(enable = "avx2")]
fn load_bytes_4(block: &[u8; BLOCK], quarter: usize) -> __m256i {
    let bytes = &block.as_chunks::<32>().0[quarter];
    // SAFETY: the reference is valid for 32 bytes; the load needs no alignment.
    unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn load_8(words: &[u64; 8]) -> __m512i {
    // SAFETY: the reference is valid for eight words; the load needs no alignment.
    unsafe { _mm512_loadu_si512(words.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn store_8(words: &mut [u64; 8], row: __m512i) {
    // SAFETY: the reference is valid for eight words; the store needs no alignment.
    unsafe { _mm512_storeu_si512(words.as_mut_ptr().cast(), row) }
}

#[inline]
#[target_feature(enable = "avx2")]
fn load_4(words: &[u64; 4]) -> __m256i {
    // SAFETY: the reference is valid for four words; the load needs no alignment.
    unsafe { _mm256_loadu_si256(words.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx2")]
fn store_4(words: &mut [u64; 4], row: __m256i) {
    // SAFETY: the reference is valid for four words; the store needs no alignment.
    unsafe { _mm256_storeu_si256(words.as_mut_ptr().cast(), row) }
}
