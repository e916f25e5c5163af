//! Small steps of an owner: the commission, and the end.

use soma_proto::{Address, ObjectId, TransactionKind};
use soma_rpc::Client;

use super::check_commission;
use super::owner::{self, Need};
use crate::{Gas, Network, Prepared, Report, Result, Standing};

/// A new commission, in force from the next epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "the chain takes nothing else")]
pub struct CommissionPlan {
    /// The model.
    pub model_id: ObjectId,
    /// Basis points.
    pub rate: u64,
}

impl CommissionPlan {
    /// Makes all checks but that of the coins.
    pub fn check(&self, standing: Option<&Standing>, sender: Address) -> Report {
        let mut report = Report::from_iter(check_commission(self.rate));
        owner::check(&self.model_id, standing, sender, Need::ACTIVE, &mut report);
        report
    }

    /// Asks the node, makes all checks and builds the transaction.
    ///
    /// # Errors
    /// As [`CommitPlan::prepare`](crate::CommitPlan::prepare).
    pub async fn prepare(&self, client: &Client, sender: Address, gas: &Gas) -> Result<Prepared> {
        let network = Network::ask(client).await?;
        let standing = client.model(&self.model_id).await?.map(Standing::from);
        let report = self.check(standing.as_ref(), sender);
        let kind = TransactionKind::SetModelCommissionRate {
            model_id: self.model_id,
            new_rate: self.rate,
        };
        Prepared::build(client, sender, kind, gas, network, report).await
    }
}

/// The end of a model, at once and for good; no slash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "the chain takes nothing else")]
pub struct DeactivatePlan {
    /// The model.
    pub model_id: ObjectId,
}

impl DeactivatePlan {
    /// Makes all checks but that of the coins.
    pub fn check(&self, standing: Option<&Standing>, sender: Address) -> Report {
        let mut report = Report::default();
        owner::check(&self.model_id, standing, sender, Need::ACTIVE, &mut report);
        report
    }

    /// Asks the node, makes all checks and builds the transaction.
    ///
    /// # Errors
    /// As [`CommitPlan::prepare`](crate::CommitPlan::prepare).
    pub async fn prepare(&self, client: &Client, sender: Address, gas: &Gas) -> Result<Prepared> {
        let network = Network::ask(client).await?;
        let standing = client.model(&self.model_id).await?.map(Standing::from);
        let report = self.check(standing.as_ref(), sender);
        let kind = TransactionKind::DeactivateModel { model_id: self.model_id };
        Prepared::build(client, sender, kind, gas, network, report).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{self, MODEL, OWNER};

    #[test]
    fn only_active_models_of_the_sender() {
        let plan = DeactivatePlan { model_id: MODEL };
        assert!(plan.check(Some(&testing::updating()), OWNER).is_ok());
        let committed = testing::committed();
        let report = plan.check(Some(&committed), Address::ZERO);
        let failures: Vec<_> = report.errors().map(|finding| finding.failure.unwrap()).collect();
        assert_eq!(failures, ["NotModelOwner", "ModelNotActive"]);
        let text = report.to_string();
        assert!(text.contains(&OWNER.to_string()) && text.contains(&Address::ZERO.to_string()));
        assert!(text.contains("is committed") && text.contains("reveal it first"), "{text}");
        assert_eq!(plan.check(None, OWNER).failure(), Some("ModelNotActive"));
    }

    #[test]
    fn the_rate_is_checked_with_the_rest() {
        let plan = CommissionPlan { model_id: MODEL, rate: 10_001 };
        let report = plan.check(None, OWNER);
        let failures: Vec<_> = report.errors().map(|finding| finding.failure.unwrap()).collect();
        assert_eq!(failures, ["ModelCommissionRateTooHigh", "ModelNotActive"]);
        let plan = CommissionPlan { model_id: MODEL, rate: 500 };
        assert_eq!(plan.check(Some(&testing::updating()), OWNER), Report::default());
    }
}
