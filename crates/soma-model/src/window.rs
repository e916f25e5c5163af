//! When a reveal may be sent.

use jiff::Timestamp;
use serde::Serialize;
use soma_rpc::EpochClock;

/// How long after its estimated end a window is still believed to be open: the
/// chain decides, the clock only ends a wait for a node that is gone.
pub(crate) const OVERTIME_MS: u64 = 60_000;

/// The one epoch in which a commit can be revealed, and its times as far as
/// they can be told beforehand.
///
/// An epoch lasts at least its duration; it may last longer, and a local
/// network may end one by hand. So the times are estimates, the epoch is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RevealWindow {
    /// The epoch after the one in which the commit was executed.
    pub reveal_epoch: u64,
    /// Estimated begin, milliseconds since 1970.
    pub opens_at_ms: u64,
    /// Estimated end, milliseconds since 1970.
    pub closes_at_ms: u64,
}

/// Where the clock stands against a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[expect(clippy::exhaustive_enums, reason = "time has no fourth part")]
pub enum Phase {
    /// Before it: a reveal fails and gives the key away.
    Early,
    /// In it.
    Open,
    /// After it: a first commit is slashed, an update is dropped.
    Missed,
}

/// A window's times as text (RFC 3339).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WindowTimes {
    /// Estimated begin.
    pub opens_at: String,
    /// Estimated end.
    pub closes_at: String,
}

impl RevealWindow {
    /// The window of a commit that was executed in `commit_epoch`.
    pub const fn new(commit_epoch: u64, clock: &EpochClock) -> Self {
        let reveal_epoch = commit_epoch.saturating_add(1);
        let start = clock.start_timestamp_ms;
        let opens_at_ms = if reveal_epoch >= clock.epoch {
            start.saturating_add((reveal_epoch - clock.epoch).saturating_mul(clock.duration_ms))
        } else {
            start.saturating_sub((clock.epoch - reveal_epoch).saturating_mul(clock.duration_ms))
        };
        let closes_at_ms = opens_at_ms.saturating_add(clock.duration_ms);
        Self { reveal_epoch, opens_at_ms, closes_at_ms }
    }

    /// Where an epoch stands against the window.
    pub const fn phase(&self, epoch: u64) -> Phase {
        if epoch < self.reveal_epoch {
            Phase::Early
        } else if epoch == self.reveal_epoch {
            Phase::Open
        } else {
            Phase::Missed
        }
    }

    /// Whether it must be over, whatever a node that is gone would say.
    pub(crate) const fn is_past_hope(&self, now_ms: u64) -> bool {
        now_ms > self.closes_at_ms.saturating_add(OVERTIME_MS)
    }

    /// The times as text.
    pub fn times(&self) -> WindowTimes {
        WindowTimes { opens_at: rfc3339(self.opens_at_ms), closes_at: rfc3339(self.closes_at_ms) }
    }
}

/// A time in milliseconds since 1970 as RFC 3339 in UTC. A time beyond the
/// year 9999 is shown as the last one before.
pub fn rfc3339(timestamp_ms: u64) -> String {
    i64::try_from(timestamp_ms)
        .ok()
        .and_then(|ms| Timestamp::from_millisecond(ms).ok())
        .unwrap_or(Timestamp::MAX)
        .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u64 = 86_400_000;

    fn clock(epoch: u64) -> EpochClock {
        // Epoch 10 began at the start of 2026.
        EpochClock {
            epoch,
            start_timestamp_ms: 1_767_225_600_000 + (epoch - 10) * DAY,
            duration_ms: DAY,
        }
    }

    #[test]
    fn the_window_is_the_epoch_after_the_commit() {
        for now in 10..15 {
            let window = RevealWindow::new(11, &clock(now));
            assert_eq!(window.reveal_epoch, 12);
            let times = window.times();
            assert_eq!(times.opens_at, "2026-01-03T00:00:00Z", "seen from epoch {now}");
            assert_eq!(times.closes_at, "2026-01-04T00:00:00Z");
        }
        let window = RevealWindow::new(11, &clock(10));
        let phases = [10, 11, 12, 13, 99].map(|epoch| window.phase(epoch));
        use Phase::{Early, Missed, Open};
        assert_eq!(phases, [Early, Early, Open, Missed, Missed]);
    }

    #[test]
    fn absurd_numbers_do_not_wrap() {
        let clock = EpochClock { epoch: 0, start_timestamp_ms: u64::MAX, duration_ms: u64::MAX };
        let window = RevealWindow::new(u64::MAX, &clock);
        assert_eq!(window.closes_at_ms, u64::MAX);
        assert!(window.times().opens_at.starts_with("9999-12-30"));
        let clock = EpochClock { epoch: u64::MAX, start_timestamp_ms: 5, duration_ms: 7 };
        assert_eq!(RevealWindow::new(0, &clock).opens_at_ms, 0);
    }
}
