//! What is tried again, and for how long: one rule for everything that reveals.

use std::time::Duration;

use soma_proto::ObjectId;
use soma_proto::system_state::ModelStatus;
use soma_rpc::Client;

use crate::network::now_ms;
use crate::{Check, Error, Finding, Phase, RevealWindow};

/// The first pause before a reveal that could not be sent is tried again.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// The longest such pause, and the shortest that it is in a short window.
const LONGEST_PAUSE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(30));
/// The longest pause is such a part of the window.
const PARTS: u32 = 20;

/// Whether a step that failed will fail again until somebody changes something.
/// Everything else may pass as long as a window is open: hosts come back, coins
/// come and are unlocked, nodes catch up.
pub(crate) fn is_permanent(error: &Error) -> bool {
    match error {
        Error::Rpc(error) => error.is_permanent(),
        Error::Refused(report) => report.errors().any(stays),
        // Such a transaction is over, and another coin may pay for the next one.
        Error::Failed(_) => !matches!(
            error.failure(),
            Some(
                "InsufficientGas"
                    | "InsufficientCoinBalance"
                    | "ObjectNotFound"
                    | "InvalidOwnership"
            )
        ),
        // A node that lags; a disk that is full, a file that is in use.
        Error::UnknownModel(_) | Error::File(_) => false,
        _ => true,
    }
}

/// Whether the outcome is only a matter of the connection.
pub(crate) fn is_of_connection(error: &Error) -> bool {
    matches!(
        error,
        Error::Rpc(error)
            if error.is_retriable() || matches!(error, soma_rpc::Error::OutcomeUnknown { .. })
    )
}

/// Whether nothing can come of a reveal any more: by the word of the node, else
/// by this machine's clock.
pub(crate) async fn is_over(client: &Client, id: &ObjectId, window: &RevealWindow) -> bool {
    let missed = |epoch| window.phase(epoch) == Phase::Missed;
    match client.model(id).await {
        Ok(Some(found)) => found.status == ModelStatus::Inactive || missed(found.clock.epoch),
        Ok(None) => client.epoch().await.is_ok_and(missed),
        Err(_) => window.is_past_hope(now_ms()),
    }
}

/// Pauses that double, up to a part of the window.
pub(crate) struct Pauses(Duration);

impl Pauses {
    pub(crate) const fn new() -> Self {
        Self(FIRST_PAUSE)
    }

    pub(crate) fn next(&mut self, window: Option<&RevealWindow>) -> Duration {
        let length = window
            .map_or(u64::MAX, |window| window.closes_at_ms.saturating_sub(window.opens_at_ms));
        let part = Duration::from_millis(length) / PARTS;
        let pause = self.0.min(part.clamp(LONGEST_PAUSE.0, LONGEST_PAUSE.1));
        self.0 = self.0.saturating_mul(2).min(LONGEST_PAUSE.1);
        pause
    }
}

/// Whether what a check found does not change by itself.
const fn stays(finding: &Finding) -> bool {
    !matches!(
        finding.check,
        // The last two are those of a node that lags; the window says when it ends.
        Check::Host | Check::Coins | Check::Disk | Check::Status | Check::Window
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Report;

    #[test]
    fn what_coins_hosts_and_nodes_mend_may_pass() {
        let refused =
            |checks: &[Check]| is_permanent(&Error::Refused(checks.iter().map(found).collect()));
        fn found(check: &Check) -> Finding {
            Finding::error(*check, "so it is")
        }
        assert!(!refused(&[Check::Host, Check::Coins, Check::Status, Check::Window]));
        for check in [Check::Owner, Check::Chain, Check::Key, Check::UrlCommitment] {
            assert!(refused(&[Check::Host, check]), "{check}");
        }
        let warned = Report::from_iter([Finding::warning(Check::Key, ""), found(&Check::Coins)]);
        assert!(!is_permanent(&Error::Refused(warned)));
        assert!(!is_permanent(&Error::UnknownModel(crate::testing::MODEL)));
    }

    #[test]
    fn pauses_fit_their_window() {
        let pauses = |length_ms: u64| {
            let window =
                RevealWindow { reveal_epoch: 5, opens_at_ms: 7, closes_at_ms: 7 + length_ms };
            let mut pauses = Pauses::new();
            [(); 8].map(|()| pauses.next(Some(&window)).as_millis())
        };
        assert_eq!(pauses(86_400_000), [500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]);
        assert_eq!(pauses(60_000), [500, 1_000, 2_000, 3_000, 3_000, 3_000, 3_000, 3_000]);
        assert_eq!(pauses(2_000), [100; 8]);
        assert_eq!(pauses(0), [100; 8]);
    }
}
