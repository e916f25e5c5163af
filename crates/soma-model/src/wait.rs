//! Waiting for a reveal's window.

use std::time::Duration;

use soma_proto::ObjectId;
use soma_rpc::Client;

use crate::network::now_ms;
use crate::{Phase, Result, RevealWindow, Standing};

/// The longest pause between two questions: an epoch may end before its time.
const LONGEST: Duration = Duration::from_secs(10);
/// The shortest, when the epoch is due.
const SHORTEST: Duration = Duration::from_millis(200);

/// Waits until the model's window is open, asking the node for the epoch from
/// time to time; failed questions are asked again. `tick` hears of the window
/// before every pause.
///
/// Gives the model as it stands then. It returns at once if the window is open
/// or over, or if nothing waits for a reveal.
///
/// # Errors
/// [`Error::UnknownModel`](crate::Error::UnknownModel), and
/// [`Error::Rpc`](crate::Error::Rpc) for what asking again will not mend.
pub async fn wait_until_open(
    client: &Client,
    id: &ObjectId,
    mut tick: impl FnMut(&RevealWindow),
) -> Result<Standing> {
    let mut standing = Standing::ask(client, id).await?;
    loop {
        let Some(window) = standing.reveal_window() else { return Ok(standing) };
        if window.phase(standing.clock.epoch) != Phase::Early {
            return Ok(standing);
        }
        tick(&window);
        tokio::time::sleep(pause(window.opens_at_ms, now_ms())).await;
        match client.epoch().await {
            // Only now is the whole model worth asking for.
            Ok(epoch) if epoch == standing.clock.epoch => {}
            Ok(_) => standing = Standing::ask(client, id).await?,
            Err(error) if error.is_retriable() => {}
            Err(error) => return Err(error.into()),
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
