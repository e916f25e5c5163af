//! What the x86-64 kernels share: the key expansion, and counters that carry.

use std::arch::x86_64::*;

use super::schedule::Schedule;
use crate::Key;

/// Expands a key with the processor's S-box.
#[target_feature(enable = "aes,sse2")]
pub(super) fn expand(key: &Key) -> Schedule {
    // Lane 0 of the result is SubWord of lane 1 of the operand; all lanes are equal here.
    Schedule::expand(key, |word| {
        let lanes = _mm_set1_epi32(word as i32);
        _mm_cvtsi128_si32(_mm_aeskeygenassist_si128::<0>(lanes)) as u32
    })
}

/// The 128-bit counter split for vector arithmetic on its low half, or `None` if that
/// half would carry within the next `blocks` blocks.
#[inline(always)]
pub(super) fn halves(counter: u128, blocks: u64) -> Option<(i64, i64)> {
    let (high, low) = ((counter >> 64) as u64, counter as u64);
    low.checked_add(blocks)?;
    Some((high as i64, low as i64))
}

/// Counter blocks one by one, for the batch in which the low half carries.
#[cold]
pub(super) fn carrying_counters<const BLOCKS: usize>(first: u128) -> [[u8; 16]; BLOCKS] {
    std::array::from_fn(|i| first.wrapping_add(i as u128).to_be_bytes())
}
