//! A commit to new weights of an active model.

use soma_proto::transaction::CommitModelUpdate;
use soma_proto::{Address, Commitment, ObjectId, TransactionKind};
use soma_rpc::Client;

use super::owner::{self, Need};
use crate::{
    Check, Finding, Gas, Network, Phase, Prepared, Report, Result, RevealWindow, Standing,
};

/// New weights as they are wanted. No stake is at risk: an update that is not
/// revealed is dropped, and the old weights stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "the chain takes nothing else")]
pub struct UpdatePlan {
    /// The model.
    pub model_id: ObjectId,
    /// Blake2b-256 of the new URL in normal form.
    pub weights_url_commitment: Commitment,
    /// Blake2b-256 of the new encrypted weights.
    pub weights_commitment: Commitment,
}

impl UpdatePlan {
    /// The transaction's kind.
    pub const fn kind(&self) -> TransactionKind {
        TransactionKind::CommitModelUpdate(CommitModelUpdate {
            model_id: self.model_id,
            weights_url_commitment: self.weights_url_commitment,
            weights_commitment: self.weights_commitment,
        })
    }

    /// Makes all checks but that of the coins.
    pub fn check(&self, standing: Option<&Standing>, sender: Address) -> Report {
        let mut report = Report::default();
        let found = owner::check(&self.model_id, standing, sender, Need::ACTIVE, &mut report);
        if self.weights_commitment == self.weights_url_commitment {
            report.push(
                Finding::error(Check::WeightsCommitment, "both commitments are the same")
                    .with_remedy("one is the hash of the URL, the other that of the file"),
            );
        }
        let Some(standing) = found else { return report };
        if standing.model.weights_commitment == self.weights_commitment {
            report.push(
                Finding::warning(
                    Check::WeightsCommitment,
                    "these are the encrypted weights that the model has already",
                )
                .with_remedy("new weights need a new key, so their ciphertext differs"),
            );
        }
        if let Some(pending) = &standing.model.pending_update {
            let window = RevealWindow::new(pending.commit_epoch, &standing.clock);
            report.push(match window.phase(standing.clock.epoch) {
                Phase::Open => Finding::warning(
                    Check::Window,
                    format!(
                        "the update committed in epoch {} can be revealed now and is given up",
                        pending.commit_epoch
                    ),
                ),
                _ => Finding::notice(
                    Check::Window,
                    format!("replaces the update committed in epoch {}", pending.commit_epoch),
                ),
            });
        }
        report
    }

    /// Asks the node, makes all checks and builds the transaction.
    ///
    /// # Errors
    /// As [`CommitPlan::prepare`](crate::CommitPlan::prepare).
    pub async fn prepare(&self, client: &Client, sender: Address, gas: &Gas) -> Result<Prepared> {
        self.prepare_after(Report::default(), client, sender, gas).await
    }

    /// As [`prepare`](Self::prepare), after checks that have found something
    /// already: all of it goes into one report.
    pub(crate) async fn prepare_after(
        &self,
        mut report: Report,
        client: &Client,
        sender: Address,
        gas: &Gas,
    ) -> Result<Prepared> {
        let network = Network::ask(client).await?;
        let standing = client.model(&self.model_id).await?.map(Standing::from);
        report.extend(self.check(standing.as_ref(), sender));
        Prepared::build(client, sender, self.kind(), gas, network, report).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{self, MODEL, OWNER};

    const PLAN: UpdatePlan = UpdatePlan {
        model_id: MODEL,
        weights_url_commitment: Commitment::new([1; 32]),
        weights_commitment: Commitment::new([2; 32]),
    };

    #[test]
    fn a_second_update_gives_the_first_one_up() {
        let mut standing = testing::updating();
        let report = PLAN.check(Some(&standing), OWNER);
        assert!(report.is_ok());
        assert!(report.warnings().next().unwrap().message.contains("given up"));
        standing.clock.epoch = 4;
        let report = PLAN.check(Some(&standing), OWNER);
        assert_eq!(report.warnings().count(), 0);
        assert!(report.findings[0].message.contains("replaces"));
        standing.model.pending_update = None;
        assert_eq!(PLAN.check(Some(&standing), OWNER), Report::default());
    }

    #[test]
    fn what_is_refused() {
        let committed = testing::committed();
        assert_eq!(PLAN.check(Some(&committed), OWNER).failure(), Some("ModelNotActive"));
        assert_eq!(PLAN.check(None, OWNER).failure(), Some("ModelNotActive"));
        let other = PLAN.check(Some(&testing::updating()), Address::ZERO);
        assert_eq!(other.failure(), Some("NotModelOwner"));
        let same = UpdatePlan { weights_commitment: Commitment::new([1; 32]), ..PLAN };
        assert!(!same.check(Some(&testing::updating()), OWNER).is_ok());
    }

    #[test]
    fn old_weights_again_deserve_a_look() {
        let mut standing = testing::updating();
        standing.model.pending_update = None;
        let plan = UpdatePlan { weights_commitment: standing.model.weights_commitment, ..PLAN };
        assert_eq!(plan.check(Some(&standing), OWNER).warnings().count(), 1);
    }
}
