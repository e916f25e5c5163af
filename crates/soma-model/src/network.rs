//! The rules and the clock that a step is checked against.

use std::time::{SystemTime, UNIX_EPOCH};

use soma_proto::params::SystemParameters;
use soma_rpc::{Client, EpochClock};

use crate::{Check, Finding, Result};

/// Milliseconds by which clocks may differ before it is worth a word.
const SKEW_MS: u64 = 10_000;
/// How late an epoch may end before a clock is suspected.
const LATE_MS: u64 = 60_000;
/// The time that a late commit has at least, if its epoch is long enough.
const LATE_LEAD_MS: u64 = 30_000;

/// Parameters in force, the running epoch, and the time on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Network {
    /// The running epoch.
    pub clock: EpochClock,
    /// Parameters in force.
    pub parameters: SystemParameters,
    /// The time on this machine, milliseconds since 1970.
    pub now_ms: u64,
}

impl Network {
    /// Asks the node, and this machine for the time.
    ///
    /// # Errors
    /// [`Error::Rpc`](crate::Error::Rpc).
    pub async fn ask(client: &Client) -> Result<Self> {
        let info = client.epoch_info().await?;
        let clock = EpochClock {
            epoch: info.epoch,
            start_timestamp_ms: info.start_timestamp_ms,
            duration_ms: info.parameters.epoch_duration_ms,
        };
        Ok(Self { clock, parameters: info.parameters, now_ms: now_ms() })
    }

    /// The part of the running epoch that has passed, in percent, at most 100.
    pub fn percent_passed(&self) -> u64 {
        let passed = self.now_ms.saturating_sub(self.clock.start_timestamp_ms);
        let duration = u128::from(self.clock.duration_ms.max(1));
        u64::try_from(u128::from(passed) * 100 / duration).unwrap_or(100).min(100)
    }

    /// Compares the clock of this machine with that of the chain, as far as
    /// the chain gives one away: `newest_ms` is the time of a checkpoint that
    /// is there already, milliseconds since 1970.
    ///
    /// The chain's epochs decide when a reveal is legal, never this machine's
    /// clock; but waiting, `--late` and all times that are shown go by it.
    pub fn check_clock(&self, newest_ms: Option<u64>) -> Option<Finding> {
        let remedy = "let the system set its clock, for example by timedatectl set-ntp true";
        let behind = newest_ms.unwrap_or(0).saturating_sub(self.now_ms);
        if behind > SKEW_MS {
            let seconds = behind / 1000;
            let message = format!("the clock of this machine is {seconds} s behind the chain's");
            return Some(Finding::warning(Check::Clock, message).with_remedy(remedy));
        }
        let clock = &self.clock;
        let end = clock.start_timestamp_ms.saturating_add(clock.duration_ms);
        let over = self.now_ms.saturating_sub(end);
        (over > LATE_MS.max(clock.duration_ms / 10)).then(|| {
            let message = format!(
                "epoch {} should have ended {} s ago: the clock of this machine is ahead, or the \
                 network is late",
                clock.epoch,
                over / 1000
            );
            Finding::warning(Check::Clock, message).with_remedy(remedy)
        })
    }

    /// From when on a commit is late in the running epoch, milliseconds since
    /// 1970: so late that nobody who sees its hashes can commit to them in the
    /// same epoch, and hardly so late that it slips into the next.
    pub fn late_ms(&self) -> u64 {
        let clock = &self.clock;
        let lead = (clock.duration_ms / 200).max(LATE_LEAD_MS.min(clock.duration_ms / 4));
        clock.start_timestamp_ms.saturating_add(clock.duration_ms - lead)
    }
}

/// The time on this machine, milliseconds since 1970.
pub fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    fn at(now_ms: u64) -> Network {
        Network { clock: testing::clock(), parameters: SystemParameters::v1(), now_ms }
    }

    #[test]
    fn clocks_that_differ() {
        let start = testing::clock().start_timestamp_ms;
        assert_eq!(at(start).check_clock(Some(start + 9_000)), None);
        assert_eq!(at(start + 119_000).check_clock(None), None);
        let behind = at(start).check_clock(Some(start + 75_000)).unwrap();
        assert_eq!(behind.check, Check::Clock);
        assert!(behind.message.contains("75 s behind"), "{behind:?}");
        assert!(behind.remedy.unwrap().contains("set its clock"));
        let ahead = at(start + 200_000).check_clock(Some(start)).unwrap();
        assert!(ahead.message.contains("ended 140 s ago"), "{ahead:?}");
    }

    #[test]
    fn late_is_late_in_epochs_of_any_length() {
        let late = |duration_ms| {
            let mut network = at(0);
            network.clock.duration_ms = duration_ms;
            network.clock.start_timestamp_ms = 0;
            network.late_ms()
        };
        assert_eq!(late(86_400_000), 86_400_000 - 432_000);
        assert_eq!(late(600_000), 570_000);
        assert_eq!(late(60_000), 45_000);
        assert_eq!(late(0), 0);
    }
}
