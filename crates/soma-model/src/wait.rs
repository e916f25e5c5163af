//! Waiting for a reveal's window.

use std::time::Duration;

use soma_proto::ObjectId;
use soma_rpc::Client;

use crate::network::now_ms;
use crate::session::{Pauses, is_permanent};
use crate::window::OVERTIME_MS;
use crate::{Error, Event, Network, Phase, Result, Standing};

/// The longest pause between two questions: an epoch may end before its time.
const LONGEST: Duration = Duration::from_secs(10);
/// The shortest, when the epoch is due.
const SHORTEST: Duration = Duration::from_millis(200);

/// Waits until the model's window is open, asking the node for the epoch from
/// time to time. `tell` hears of the window before every pause, and of every
/// question that failed and will be asked again.
///
/// Gives the model as it stands then. It returns at once if the window is open
/// or over, or if nothing waits for a reveal.
///
/// # Errors
/// [`Error::UnknownModel`](crate::Error::UnknownModel) and
/// [`Error::Rpc`](crate::Error::Rpc) from the first question; later for what asking
/// again will not mend, or what has not mended until the window must be over.
pub async fn wait_until_open(
    client: &Client,
    id: &ObjectId,
    mut tell: impl FnMut(Event<'_>),
) -> Result<Standing> {
    let mut standing = Standing::ask(client, id).await?;
    loop {
        let Some(window) = standing.reveal_window() else { return Ok(standing) };
        if window.phase(standing.clock.epoch) != Phase::Early {
            return Ok(standing);
        }
        tell(Event::Waiting(&window));
        tokio::time::sleep(pause(window.opens_at_ms, now_ms())).await;
        let answer = match client.epoch().await {
            // Only now is the whole model worth asking for.
            Ok(epoch) if epoch == standing.clock.epoch => continue,
            Ok(_) => Standing::ask(client, id).await,
            Err(error) => Err(error.into()),
        };
        match answer {
            Ok(found) => standing = found,
            // One that does not know the model any more lags behind.
            Err(error) if !is_permanent(&error) && !window.is_past_hope(now_ms()) => {
                let pause = pause(window.opens_at_ms, now_ms());
                tell(Event::Retrying { error: &error, pause });
            }
            Err(error) => return Err(error),
        }
    }
}

/// Waits until the running epoch is so far gone that a commit is late in it;
/// see [`Network::late_ms`]. `tell` hears of that time before every pause, and of every
/// question that failed and will be asked again.
///
/// # Errors
/// [`Error::Rpc`](crate::Error::Rpc) from the first question; later for what asking again
/// will not mend, or what has not mended until the epoch must be over.
pub async fn wait_until_late(client: &Client, mut tell: impl FnMut(UntilLate<'_>)) -> Result<()> {
    let mut network = Network::ask(client).await?;
    let mut pauses = Pauses::new();
    loop {
        let late_ms = network.late_ms();
        let left = late_ms.saturating_sub(network.now_ms);
        if left == 0 {
            return Ok(());
        }
        tell(UntilLate::Waiting { until_ms: late_ms });
        // In small steps: a local network may end an epoch by hand.
        tokio::time::sleep(Duration::from_millis(left).min(LONGEST)).await;
        network = loop {
            match Network::ask(client).await {
                Ok(found) => break found,
                Err(Error::Rpc(error)) if error.is_retriable() && !is_over(&network) => {
                    let pause = pauses.next(None);
                    tell(UntilLate::Retrying { error: &error.into(), pause });
                    tokio::time::sleep(pause).await;
                }
                Err(error) => return Err(error),
            }
        };
        pauses = Pauses::new();
    }
}

/// What [`wait_until_late`] tells.
#[derive(Debug)]
#[non_exhaustive]
pub enum UntilLate<'a> {
    /// It waits for this time, in milliseconds since 1970.
    Waiting {
        /// When a commit is late.
        until_ms: u64,
    },
    /// The node did not answer; it is asked again.
    Retrying {
        /// What went wrong.
        error: &'a Error,
        /// How long it pauses.
        pause: Duration,
    },
}

/// Whether the epoch that was seen last must be over by this machine's clock.
fn is_over(network: &Network) -> bool {
    let clock = &network.clock;
    let end_ms = clock.start_timestamp_ms.saturating_add(clock.duration_ms);
    now_ms() > end_ms.saturating_add(OVERTIME_MS)
}

/// A tenth of what is left, so that the last questions come close together.
fn pause(opens_at_ms: u64, now_ms: u64) -> Duration {
    let left = Duration::from_millis(opens_at_ms.saturating_sub(now_ms));
    (left / 10).clamp(SHORTEST, LONGEST)
}

#[cfg(test)]
mod tests {
    use soma_proto::params::SystemParameters;
    use soma_rpc::EpochClock;

    use super::*;

    /// A node that is gone is not waited for longer than its epoch could last.
    #[test]
    fn an_epoch_is_over_by_the_clock_of_this_machine() {
        let epoch = |start_timestamp_ms| Network {
            clock: EpochClock { epoch: 4, start_timestamp_ms, duration_ms: 1_000 },
            parameters: SystemParameters::v1(),
            now_ms: 0,
        };
        assert!(is_over(&epoch(1_600_000_000_000)));
        assert!(is_over(&epoch(now_ms() - OVERTIME_MS - 2_000)));
        assert!(!is_over(&epoch(now_ms())));
    }

    #[test]
    fn pauses_shrink_towards_the_opening() {
        assert_eq!(pause(86_400_000, 0), LONGEST);
        assert_eq!(pause(30_000, 0), Duration::from_secs(3));
        assert_eq!(pause(1_000, 0), SHORTEST);
        assert_eq!(pause(0, 1_000), SHORTEST);
    }
}
