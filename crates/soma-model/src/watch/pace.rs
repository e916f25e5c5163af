//! How fast things go: every time is a part of an epoch.

use std::time::Duration;

use soma_crypto::Blake2b256;
use soma_proto::ObjectId;

/// Parts of a window after which an unrevealed model is an alarm, in percent.
pub(super) const ALARMS: [u8; 4] = [25, 50, 75, 90];

/// The longest delay of a reveal after its window has opened.
const LONGEST_DELAY_MS: u64 = 600_000;
/// The longest time before a window in which the reveal is rehearsed again.
const LONGEST_LEAD_MS: u64 = 600_000;
/// The first pause after a failure is at least and at most so long.
const FIRST_PAUSE_MS: (u64, u64) = (50, 2_000);
/// Pauses grow to at least and at most so much.
const LAST_PAUSE_MS: (u64, u64) = (100, 60_000);
/// The nodes are asked at most and at least so often.
const POLL_MS: (u64, u64) = (20, 10_000);
/// A served file is looked at at most and at least so often.
const INSPECTION_MS: (u64, u64) = (10_000, 1_800_000);
/// How long a question to a node or a host may take, at least and at most.
const PATIENCE_MS: (u64, u64) = (1_000, 60_000);

/// Times as they follow from the length of an epoch.
///
/// A day and two seconds are both epochs: what is a minute in the one is a
/// blink in the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pace {
    /// How long an epoch lasts, in milliseconds.
    duration_ms: u64,
}

impl Pace {
    pub(super) const fn new(duration_ms: u64) -> Self {
        Self { duration_ms }
    }

    /// How long after its opening a window is used: within its first twentieth,
    /// so that not all owners come at once. `jitter` is in 0 to 1.
    pub(super) fn delay_ms(self, jitter: f64) -> u64 {
        part((self.duration_ms / 20).min(LONGEST_DELAY_MS), jitter)
    }

    /// How long before a window its reveal is rehearsed for the last time.
    pub(super) fn lead_ms(self) -> u64 {
        (self.duration_ms / 8).min(LONGEST_LEAD_MS)
    }

    /// How much of a window is given to nodes that do not answer: after it the
    /// others decide, since a dead node must not cost the stake.
    pub(super) const fn grace_ms(self) -> u64 {
        self.duration_ms / 4
    }

    /// The pause after the `failures`-th failure in a row; it doubles, and a
    /// half of it is left to chance.
    pub(super) fn pause_ms(self, failures: u32, jitter: f64) -> u64 {
        let first = (self.duration_ms / 400).clamp(FIRST_PAUSE_MS.0, FIRST_PAUSE_MS.1);
        let last = (self.duration_ms / 40).clamp(LAST_PAUSE_MS.0, LAST_PAUSE_MS.1);
        let doubled = first.saturating_mul(1 << failures.saturating_sub(1).min(20));
        let pause = doubled.min(last);
        pause / 2 + part(pause / 2, jitter)
    }

    /// How long to wait before the nodes are asked again, with `left_ms` until
    /// something is expected: a tenth of it, so that the last questions come
    /// close together.
    pub(super) fn poll_ms(self, left_ms: u64) -> u64 {
        let longest = (self.duration_ms / 20).clamp(POLL_MS.0, POLL_MS.1);
        let shortest = (self.duration_ms / 50).clamp(POLL_MS.0, 200);
        (left_ms / 10).clamp(shortest, longest.max(shortest))
    }

    /// How often a served file is looked at.
    pub(super) fn inspection(self) -> Duration {
        Duration::from_millis((self.duration_ms / 48).clamp(INSPECTION_MS.0, INSPECTION_MS.1))
    }

    /// How long one question to a node or a host may take.
    pub(super) fn patience(self) -> Duration {
        Duration::from_millis((self.duration_ms / 8).clamp(PATIENCE_MS.0, PATIENCE_MS.1))
    }
}

/// A number in 0 to 1 that looks random, and is the same for the same
/// arguments: a model that is asked about twice keeps its turn.
pub(super) fn jitter(seed: u64, model: &ObjectId, epoch: u64, place: u64) -> f64 {
    let mut hasher = Blake2b256::new();
    hasher.update(&seed.to_le_bytes());
    hasher.update(model.inner());
    hasher.update(&epoch.to_le_bytes());
    hasher.update(&place.to_le_bytes());
    let digest = hasher.finalize().into_inner();
    let number = u64::from_le_bytes(*digest.first_chunk().expect("a digest has 32 bytes"));
    // The upper 53 bits: as many as a float holds.
    (number >> 11) as f64 / (1_u64 << 53) as f64
}

fn part(whole: u64, of: f64) -> u64 {
    (whole as f64 * of.clamp(0.0, 1.0)) as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::MODEL;

    const DAY: Pace = Pace::new(86_400_000);
    const BLINK: Pace = Pace::new(2_000);

    #[test]
    fn a_day_and_a_blink() {
        assert_eq!((DAY.delay_ms(1.0), BLINK.delay_ms(1.0)), (600_000, 100));
        assert_eq!((DAY.delay_ms(0.0), BLINK.delay_ms(0.5)), (0, 50));
        assert_eq!((DAY.lead_ms(), BLINK.lead_ms()), (600_000, 250));
        assert_eq!((DAY.grace_ms(), BLINK.grace_ms()), (21_600_000, 500));
        assert_eq!((DAY.inspection().as_secs(), BLINK.inspection().as_secs()), (1_800, 10));
        assert_eq!((DAY.patience().as_secs(), BLINK.patience().as_secs()), (60, 1));
    }

    #[test]
    fn pauses_double_up_to_a_limit() {
        let pauses = |pace: Pace| [1, 2, 3, 99].map(|failures| pace.pause_ms(failures, 1.0));
        assert_eq!(pauses(DAY), [2_000, 4_000, 8_000, 60_000]);
        assert_eq!(pauses(BLINK), [50, 100, 100, 100]);
        assert_eq!(DAY.pause_ms(1, 0.0), 1_000);
    }

    #[test]
    fn questions_come_closer_together_towards_an_event() {
        let polls = |pace: Pace| [0, 1_000, 20_000, u64::MAX].map(|left| pace.poll_ms(left));
        assert_eq!(polls(DAY), [200, 200, 2_000, 10_000]);
        assert_eq!(polls(BLINK), [40, 100, 100, 100]);
        assert_eq!(polls(Pace::new(1)), [20, 20, 20, 20]);
    }

    #[test]
    fn chance_is_even_and_repeatable() {
        let numbers: Vec<f64> = (0..1_000).map(|n| jitter(7, &MODEL, 3, n)).collect();
        assert!(numbers.iter().all(|number| (0.0..1.0).contains(number)));
        let mean = numbers.iter().sum::<f64>() / 1_000.0;
        assert!((0.45..0.55).contains(&mean), "{mean}");
        assert_eq!(jitter(7, &MODEL, 3, 5), numbers[5]);
        assert_ne!(jitter(8, &MODEL, 3, 5), numbers[5]);
    }
}
