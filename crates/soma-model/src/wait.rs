//! Waiting for a reveal's window.

use std::time::Duration;

use soma_proto::ObjectId;
use soma_rpc::Client;

use crate::network::now_ms;
use crate::session::is_permanent;
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
/// see [`Network::late_ms`]. `tick` hears of that time before every pause.
///
/// # Errors
/// [`Error::Rpc`](crate::Error::Rpc) for what asking again will not mend.
pub async fn wait_until_late(client: &Client, mut tick: impl FnMut(u64)) -> Result<()> {
    loop {
        match Network::ask(client).await {
            Ok(network) => {
                let late_ms = network.late_ms();
                let Some(left) = late_ms.checked_sub(network.now_ms).filter(|left| *left > 0)
                else {
                    return Ok(());
                };
                tick(late_ms);
                // In small steps: a local network may end an epoch by hand.
                tokio::time::sleep(Duration::from_millis(left).min(LONGEST)).await;
            }
            Err(Error::Rpc(error)) if error.is_retriable() => {
                tokio::time::sleep(SHORTEST).await;
            }
            Err(error) => return Err(error),
        }
    }
}

/// A tenth of what is left, so that the last questions come close together.
fn pause(opens_at_ms: u64, now_ms: u64) -> Duration {
    let left = Duration::from_millis(opens_at_ms.saturating_sub(now_ms));
    (left / 10).clamp(SHORTEST, LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_shrink_towards_the_opening() {
        assert_eq!(pause(86_400_000, 0), LONGEST);
        assert_eq!(pause(30_000, 0), Duration::from_secs(3));
        assert_eq!(pause(1_000, 0), SHORTEST);
        assert_eq!(pause(0, 1_000), SHORTEST);
    }
}
