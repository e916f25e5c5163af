//! The rules and the clock that a step is checked against.

use std::time::{SystemTime, UNIX_EPOCH};

use soma_proto::params::SystemParameters;
use soma_rpc::{Client, EpochClock};

use crate::Result;

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
}

/// The time on this machine, milliseconds since 1970.
pub(crate) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
