//! When to try again, and after how long.

use std::time::Duration;

use crate::Error;

/// How often and how patiently to repeat a request that may succeed later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Tries in all, the first included; at least one is made.
    pub attempts: u32,
    /// The pause before the second try; it doubles from try to try.
    pub first_pause: Duration,
    /// No pause is longer, whatever the server asks for.
    pub longest_pause: Duration,
}

impl RetryPolicy {
    /// Five tries within about half a minute: long enough for a store that
    /// asks to slow down, short enough for a person who waits.
    pub const DEFAULT: Self = Self {
        attempts: 5,
        first_pause: Duration::from_millis(500),
        longest_pause: Duration::from_secs(15),
    };

    /// One try.
    pub const NEVER: Self = Self { attempts: 1, ..Self::DEFAULT };

    /// The pause after `failed` tries (counted from 1) and this error, or
    /// nothing if the error is for the caller.
    ///
    /// `jitter` from 0.0 to 1.0 spreads clients that failed together: the pause
    /// lies between half and all of the nominal one.
    pub fn pause(&self, failed: u32, error: &Error, jitter: f64) -> Option<Duration> {
        if failed >= self.attempts || !error.is_retriable() {
            return None;
        }
        let doubled = self.first_pause.saturating_mul(1 << (failed - 1).min(16));
        let nominal = doubled.min(self.longest_pause);
        let spread = nominal.mul_f64(0.5 + jitter.clamp(0.0, 1.0) / 2.0);
        Some(error.retry_after().map_or(spread, |asked| spread.max(asked.min(self.longest_pause))))
    }
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// Runs one try after another until one succeeds or the policy gives up.
///
/// Not an `AsyncFnMut`: a future that holds one is not known to be `Send`.
pub(crate) async fn repeat<T, F: Future<Output = Result<T, Error>>>(
    policy: RetryPolicy,
    mut attempt: impl FnMut() -> F,
) -> Result<T, Error> {
    let mut failed = 0;
    loop {
        let error = match attempt().await {
            Ok(value) => return Ok(value),
            Err(error) => error,
        };
        failed += 1;
        rest(policy, failed, error).await?;
    }
}

/// Waits before the next try after `failed` ones; gives the error back if
/// there is to be none.
pub(crate) async fn rest(policy: RetryPolicy, failed: u32, error: Error) -> Result<(), Error> {
    match policy.pause(failed, &error, jitter()) {
        Some(pause) => {
            tokio::time::sleep(pause).await;
            Ok(())
        }
        None => Err(error),
    }
}

/// The low digits of the clock: good enough to keep clients apart.
pub(crate) fn jitter() -> f64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    f64::from(now.map_or(0, |d| d.subsec_nanos() % 1_000)) / 1_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(status: u16, retry_after: Option<Duration>) -> Error {
        Error::Status {
            method: "GET",
            url: String::new(),
            status,
            retry_after,
            body: String::new(),
        }
    }

    #[test]
    fn pauses_double_up_to_the_longest() {
        let policy = RetryPolicy { attempts: 9, ..RetryPolicy::DEFAULT };
        let pauses: Vec<_> =
            (1..9).map(|n| policy.pause(n, &status(503, None), 1.0).unwrap().as_millis()).collect();
        assert_eq!(pauses, [500, 1000, 2000, 4000, 8000, 15000, 15000, 15000]);
        assert_eq!(policy.pause(1, &status(503, None), 0.0).unwrap().as_millis(), 250);
    }

    #[test]
    fn the_servers_wish_counts_within_bounds() {
        let policy = RetryPolicy::DEFAULT;
        let asked =
            |seconds| policy.pause(1, &status(503, Some(Duration::from_secs(seconds))), 1.0);
        assert_eq!(asked(3), Some(Duration::from_secs(3)));
        assert_eq!(asked(3600), Some(Duration::from_secs(15)));
    }

    #[test]
    fn what_cannot_get_better_is_not_repeated() {
        assert_eq!(RetryPolicy::DEFAULT.pause(1, &status(403, None), 1.0), None);
        assert_eq!(RetryPolicy::DEFAULT.pause(5, &status(503, None), 1.0), None);
        assert_eq!(RetryPolicy::NEVER.pause(1, &status(503, None), 1.0), None);
    }
}
