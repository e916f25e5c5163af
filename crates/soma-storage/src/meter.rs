//! What goes out: counted, and held to a rate.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// Bytes that go out at a time when they are counted: small enough for an even
/// flow, large enough that the counting does not show.
pub(crate) const SLICE: usize = 64 << 10;

/// Counts the bytes of an upload at its stations, and paces them.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    read: AtomicU64,
    sent: AtomicU64,
    pace: Option<Pace>,
}

#[derive(Debug)]
struct Pace {
    /// Bytes a second.
    rate: u64,
    /// When the next byte may go.
    next: Mutex<Option<Instant>>,
}

impl Meter {
    /// A meter that lets at most `rate` bytes a second through.
    pub(crate) fn new(rate: Option<std::num::NonZeroU64>) -> Self {
        let pace = rate.map(|rate| Pace { rate: rate.get(), next: Mutex::new(None) });
        Self { pace, ..Self::default() }
    }

    pub(crate) fn add_read(&self, bytes: u64) {
        self.read.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Bytes read from the source.
    pub(crate) fn read(&self) -> u64 {
        self.read.load(Ordering::Relaxed)
    }

    /// Bytes handed to connections, repeated ones included.
    pub(crate) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Counts bytes that are about to go, after the wait they have to make.
    pub(crate) async fn pass(&self, bytes: usize) {
        if let Some(pace) = &self.pace {
            let at = pace.claim(bytes as u64, Instant::now());
            tokio::time::sleep_until(at).await;
        }
        self.sent.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}

impl Pace {
    /// When these bytes may go: after those claimed before them. Time in which
    /// nothing went is not made up for.
    fn claim(&self, bytes: u64, now: Instant) -> Instant {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let at = next.map_or(now, |next| next.max(now));
        let takes = Duration::from_secs_f64(bytes as f64 / self.rate as f64);
        *next = Some(at + takes);
        at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_follow_each_other_at_the_rate() {
        let pace = Pace { rate: 1000, next: Mutex::new(None) };
        let start = Instant::now();
        assert_eq!(pace.claim(500, start), start);
        assert_eq!(pace.claim(250, start), start + Duration::from_millis(500));
        assert_eq!(pace.claim(1, start), start + Duration::from_millis(750));
        // After a pause the rate holds from then on.
        let later = start + Duration::from_secs(60);
        assert_eq!(pace.claim(1000, later), later);
        assert_eq!(pace.claim(1, later), later + Duration::from_secs(1));
    }
}
