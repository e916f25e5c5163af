//! Chooses how to fold the blocks of several streams at once.

use super::{BLOCK, HashKernel, Position};

/// The most streams any kernel takes side by side.
pub(crate) const WIDEST: usize = 8;

/// One stream's part of a step: its chaining value, the blocks to fold into it, and the
/// bytes folded in earlier.
pub(crate) struct Run<'a> {
    pub(crate) words: &'a mut [u64; 8],
    pub(crate) blocks: &'a [[u8; BLOCK]],
    pub(crate) before: u128,
}

impl HashKernel {
    /// How many streams side by side fill the registers of this kernel.
    pub(crate) fn width(self) -> usize {
        match self {
            Self::Avx512 => WIDEST,
            Self::Avx2 => 4,
            Self::Portable => 1,
        }
    }

    /// Folds the blocks of several streams, none the last of its stream.
    ///
    /// Every run has as many blocks as the first.
    pub(crate) fn compress_many(self, runs: &mut [Run<'_>]) {
        let mut rest = runs;
        while !rest.is_empty() {
            let (now, later) = rest.split_at_mut(self.step(rest.len()));
            match now {
                [run] => self.compress(run.words, run.blocks, Position::after(run.before)),
                _ => self.compress_side_by_side(now),
            }
            rest = later;
        }
    }

    /// How many of `left` streams to take next. Half-filled registers still beat one
    /// stream after the other from three in eight and two in four on.
    fn step(self, left: usize) -> usize {
        match self.width() {
            8 if left > 4 => left.min(8),
            4 | 8 if left > 1 => left.min(4),
            _ => 1,
        }
    }

    #[cfg(target_arch = "x86_64")]
    fn compress_side_by_side(self, runs: &mut [Run<'_>]) {
        use super::lanes;

        assert!(self.is_available());
        match (self, runs.len()) {
            (Self::Avx512, 5..) => together::<8>(runs, |words, blocks, before| {
                // SAFETY: AVX-512F was found: this kernel needs it and is available.
                unsafe { lanes::avx512_by_8(words, blocks, before) }
            }),
            (Self::Avx512, _) => together::<4>(runs, |words, blocks, before| {
                // SAFETY: AVX2, AVX-512F and AVX-512VL were found, as above.
                unsafe { lanes::avx512_by_4(words, blocks, before) }
            }),
            _ => together::<4>(runs, |words, blocks, before| {
                // SAFETY: AVX2 was found: this kernel needs it and is available.
                unsafe { lanes::avx2_by_4(words, blocks, before) }
            }),
        }
    }

    #[cfg(not(target_arch = "x86_64"))]
    fn compress_side_by_side(self, runs: &mut [Run<'_>]) {
        for run in runs {
            self.compress(run.words, run.blocks, Position::after(run.before));
        }
    }
}

/// Lays up to `N` streams side by side, calls `kernel`, and takes them apart again.
/// Empty seats repeat the first stream; what comes of them is dropped.
#[cfg(target_arch = "x86_64")]
fn together<const N: usize>(
    runs: &mut [Run<'_>],
    kernel: impl Fn(&mut [[u64; N]; 8], [&[[u8; BLOCK]]; N], [u64; N]),
) {
    let seat = |i: usize| if i < runs.len() { i } else { 0 };
    let mut words: [[u64; N]; 8] =
        std::array::from_fn(|word| std::array::from_fn(|i| runs[seat(i)].words[word]));
    let blocks = std::array::from_fn(|i| runs[seat(i)].blocks);
    // The upper half of the counter would need a stream of 2^64 bytes.
    let before = std::array::from_fn(|i| runs[seat(i)].before as u64);
    kernel(&mut words, blocks, before);
    for (i, run) in runs.iter_mut().enumerate() {
        for (word, side_by_side) in run.words.iter_mut().zip(&words) {
            *word = side_by_side[i];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_of_streams_agrees_with_one_after_the_other() {
        for kernel in HashKernel::available() {
            for count in 1..=20 {
                let blocks: Vec<[[u8; BLOCK]; 3]> = (0..count)
                    .map(|i| {
                        let byte = |j, k| (i * 31 + j * 89 + k * 37) as u8;
                        std::array::from_fn(|j| std::array::from_fn(|k| byte(j, k)))
                    })
                    .collect();
                let before = |i: usize| (i * BLOCK * 1_000_003) as u128;
                let mut expected: Vec<[u64; 8]> = (0..count as u64).map(|i| [i; 8]).collect();
                let mut words = expected.clone();
                for (i, words) in expected.iter_mut().enumerate() {
                    let position = Position::after(before(i));
                    HashKernel::Portable.compress(words, &blocks[i], position);
                }
                let words_and_blocks = words.iter_mut().zip(&blocks).enumerate();
                let mut runs: Vec<_> = words_and_blocks
                    .map(|(i, (words, blocks))| Run { words, blocks, before: before(i) })
                    .collect();
                kernel.compress_many(&mut runs);
                assert_eq!(words, expected, "{kernel}, {count} streams");
            }
        }
    }
}
