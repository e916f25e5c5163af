//! The compression function of Blake2b (RFC 7693, 3.2) in several ways.
//!
//! A stream of Blake2b is one chain of additions, XORs and rotations: each block needs
//! the one before, and within a block each half round the one before. What a kernel can
//! do is to keep everything else (loading and ordering the message) out of that chain's
//! way. `docs/performance.md` has the count of cycles.

mod portable;
mod side_by_side;

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "x86_64")]
mod lanes;
#[cfg(target_arch = "x86_64")]
mod schedule;

use std::{fmt, sync::OnceLock};

pub(crate) use portable::IV;
pub(crate) use side_by_side::Run;

/// Bytes in a block of Blake2b.
pub(crate) const BLOCK: usize = 128;

/// Every kernel, the fastest first.
const ALL: [HashKernel; 3] = [HashKernel::Avx512, HashKernel::Avx2, HashKernel::Portable];

/// A way to compute one stream of Blake2b. All of them give the same digests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum HashKernel {
    /// x86-64 with AVX-512VL: a rotation is one instruction.
    Avx512,
    /// x86-64 with AVX2.
    Avx2,
    /// Plain Rust.
    Portable,
}

/// Where in its stream a run of blocks stands.
#[derive(Clone, Copy)]
pub(crate) struct Position {
    /// Bytes before the first of the blocks.
    before: u128,
    /// All ones in the last block of a stream, else zero.
    last: u64,
}

impl Position {
    /// After `before` bytes, with more to come after the blocks.
    pub(crate) fn after(before: u128) -> Self {
        Self { before, last: 0 }
    }

    /// The last block, padded with zeros, of a stream of `total` bytes.
    pub(crate) fn last(total: u128) -> Self {
        Self { before: total.wrapping_sub(BLOCK as u128), last: u64::MAX }
    }
}

impl HashKernel {
    /// The fastest kernel of this machine that agrees with the portable one; found once.
    pub fn detect() -> Self {
        static DETECTED: OnceLock<HashKernel> = OnceLock::new();
        *DETECTED.get_or_init(|| {
            Self::available().find(|kernel| kernel.agrees_with_portable()).unwrap_or(Self::Portable)
        })
    }

    /// The kernels this machine can run, the fastest first. Never empty.
    pub fn available() -> impl Iterator<Item = Self> {
        ALL.into_iter().filter(|kernel| kernel.is_available())
    }

    /// Whether this machine can run the kernel.
    #[cfg(target_arch = "x86_64")]
    pub fn is_available(self) -> bool {
        match self {
            Self::Avx512 => {
                Self::Avx2.is_available()
                    && is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512vl")
            }
            Self::Avx2 => is_x86_feature_detected!("avx2"),
            Self::Portable => true,
        }
    }

    /// Whether this machine can run the kernel.
    #[cfg(not(target_arch = "x86_64"))]
    pub fn is_available(self) -> bool {
        self == Self::Portable
    }

    /// The kernel's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Avx512 => "avx512",
            Self::Avx2 => "avx2",
            Self::Portable => "portable",
        }
    }

    /// Folds `blocks` into the chaining value `words`.
    ///
    /// # Panics
    /// If the kernel is not available here; callers have checked.
    pub(crate) fn compress(
        self,
        words: &mut [u64; 8],
        blocks: &[[u8; BLOCK]],
        Position { before, last }: Position,
    ) {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => {
                assert!(self.is_available());
                // SAFETY: AVX-512F and AVX-512VL were just found.
                unsafe { avx512::compress(words, blocks, before, last) }
            }
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => {
                assert!(self.is_available());
                // SAFETY: AVX2 was just found.
                unsafe { avx2::compress(words, blocks, before, last) }
            }
            _ => portable::compress(words, blocks, before, last),
        }
    }

    /// Compares the kernel with the portable one on a few blocks and both kinds of end.
    fn agrees_with_portable(self) -> bool {
        let blocks: [[u8; BLOCK]; 3] =
            std::array::from_fn(|i| std::array::from_fn(|j| (i * 89 + j * 37) as u8));
        let before = u128::from(u64::MAX) - 200;
        [Position::after(before), Position::last(before)].into_iter().all(|position| {
            let (mut ours, mut theirs) = (IV, IV);
            self.compress(&mut ours, &blocks, position);
            Self::Portable.compress(&mut theirs, &blocks, position);
            ours == theirs
        })
    }
}

/// The initialisation vector as the two rows that it fills.
#[cfg(target_arch = "x86_64")]
const IV_ROWS: [[u64; 4]; 2] = [[IV[0], IV[1], IV[2], IV[3]], [IV[4], IV[5], IV[6], IV[7]]];

/// The chaining value as the two rows that it fills.
#[cfg(target_arch = "x86_64")]
fn rows(words: &mut [u64; 8]) -> [&mut [u64; 4]; 2] {
    let (low, high) = words.split_at_mut(4);
    let expected = "eight words are two rows";
    [low.try_into().expect(expected), high.try_into().expect(expected)]
}

impl fmt::Display for HashKernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_available_kernel_agrees_with_the_portable_one() {
        for kernel in HashKernel::available() {
            assert!(kernel.agrees_with_portable(), "{kernel}");
        }
    }
}
