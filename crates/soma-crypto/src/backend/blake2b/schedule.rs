//! Message words in the order in which the rounds want them.
//!
//! Ordering words inside vector registers takes the same port as turning the rows, which
//! is part of the chain. Written to memory by the scalar units one block ahead, they
//! cost the vector units plain loads.

use super::{BLOCK, portable::SIGMA};

/// The ordered words of one block. Rounds 10 and 11 repeat the first two.
#[repr(align(64))]
pub(super) struct Schedule([Round; 10]);

/// The words of a round by the step that adds them: the first and the second of each
/// column, then of each diagonal.
pub(super) type Round = [[u64; 4]; 4];

impl Schedule {
    pub(super) const EMPTY: Self = Self([[[0; 4]; 4]; 10]);

    /// Lays out the words of all rounds.
    #[inline(always)]
    pub(super) fn fill(&mut self, block: &[u8; BLOCK]) {
        (0..10).for_each(|r| self.fill_round(r, block));
    }

    /// Lays out the words of round `r`, below ten.
    #[inline(always)]
    pub(super) fn fill_round(&mut self, r: usize, block: &[u8; BLOCK]) {
        let (words, _) = block.as_chunks::<8>();
        let order = &SIGMA[r];
        for i in 0..4 {
            // In the diagonals row b stays in place, which shifts the others by a lane.
            let lane = (i + 1) % 4;
            for (step, lane, word) in [
                (0, i, order[2 * i]),
                (1, i, order[2 * i + 1]),
                (2, lane, order[2 * i + 8]),
                (3, lane, order[2 * i + 9]),
            ] {
                write(&mut self.0[r][step][lane], u64::from_le_bytes(words[word]));
            }
        }
    }

    /// The words of round `r`, below twelve.
    #[inline(always)]
    pub(super) fn round(&self, r: usize) -> &Round {
        &self.0[r % 10]
    }
}

/// Stores a word by itself: left to its own, the compiler would gather four of them in a
/// register first, with the very shuffles that are to be avoided.
#[inline(always)]
fn write(place: &mut u64, word: u64) {
    // SAFETY: `place` is a valid, aligned reference.
    unsafe { std::ptr::write_volatile(place, word) }
}

/// Runs `$step` for each round, its number a constant.
macro_rules! each_round {
    ($step:ident) => {
        $step!(0);
        $step!(1);
        $step!(2);
        $step!(3);
        $step!(4);
        $step!(5);
        $step!(6);
        $step!(7);
        $step!(8);
        $step!(9);
        $step!(10);
        $step!(11);
    };
}

pub(super) use each_round;
