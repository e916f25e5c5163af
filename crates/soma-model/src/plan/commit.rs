//! The first step: commit to weights and lock the stake.

use serde::Serialize;
use soma_proto::transaction::CommitModel;
use soma_proto::{Address, Commitment, ObjectId, TransactionKind};
use soma_rpc::{Client, EpochClock, PoolOwner};

use super::check_commission;
use crate::{
    Check, Finding, Gas, Network, NewIds, Prepared, Report, Result, RevealWindow, Standing,
    new_ids, window::rfc3339,
};

/// Past this part of an epoch, in percent, a commit may be executed in the
/// next one.
const LATE_IN_EPOCH: u64 = 95;

/// A commit as it is wanted.
///
/// The commitments are those of the URL in normal form and of the *encrypted*
/// weights. Ids are drawn at random unless they are given.
///
/// ```
/// use soma_model::{CommitPlan, TypedUrl};
/// use soma_proto::Commitment;
///
/// let url: TypedUrl = "https://weights.example/3f9a".parse()?;
/// let plan = CommitPlan::new(url.normal().commitment(), Commitment::of("ciphertext"), 1_000_000_000)
///     .with_commission_rate(500);
/// assert_eq!(plan.commission_rate, 500);
/// # Ok::<(), soma_proto::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CommitPlan {
    /// Ids of the model and of its pool.
    pub ids: NewIds,
    /// Blake2b-256 of the URL in normal form.
    pub weights_url_commitment: Commitment,
    /// Blake2b-256 of the encrypted weights.
    pub weights_commitment: Commitment,
    /// Shannons.
    pub stake_amount: u64,
    /// Basis points.
    pub commission_rate: u64,
    /// The chain's, unless another is wanted.
    pub architecture_version: Option<u64>,
}

impl CommitPlan {
    /// A commit with fresh ids, no commission and the chain's architecture.
    pub fn new(
        weights_url_commitment: Commitment,
        weights_commitment: Commitment,
        stake_amount: u64,
    ) -> Self {
        Self {
            ids: new_ids(),
            weights_url_commitment,
            weights_commitment,
            stake_amount,
            commission_rate: 0,
            architecture_version: None,
        }
    }

    /// With this model id.
    #[must_use]
    pub const fn with_model_id(mut self, id: ObjectId) -> Self {
        self.ids.model_id = id;
        self
    }

    /// With this pool id.
    #[must_use]
    pub const fn with_staking_pool_id(mut self, id: ObjectId) -> Self {
        self.ids.staking_pool_id = id;
        self
    }

    /// With a commission in basis points.
    #[must_use]
    pub const fn with_commission_rate(mut self, rate: u64) -> Self {
        self.commission_rate = rate;
        self
    }

    /// With this architecture; the chain refuses all but its own.
    #[must_use]
    pub const fn with_architecture_version(mut self, version: u64) -> Self {
        self.architecture_version = Some(version);
        self
    }

    /// The transaction's kind on a chain with these parameters.
    pub fn kind(&self, network: &Network) -> TransactionKind {
        let chain = network.parameters.model_architecture_version;
        TransactionKind::CommitModel(CommitModel {
            model_id: self.ids.model_id,
            weights_url_commitment: self.weights_url_commitment,
            weights_commitment: self.weights_commitment,
            architecture_version: self.architecture_version.unwrap_or(chain),
            stake_amount: self.stake_amount,
            commission_rate: self.commission_rate,
            staking_pool_id: self.ids.staking_pool_id,
        })
    }

    /// Makes all checks but that of the coins. `model` and `pool` are what the
    /// chain has under the two ids.
    pub fn check(
        &self,
        network: &Network,
        model: Option<&Standing>,
        pool: Option<&PoolOwner>,
    ) -> Report {
        let parameters = &network.parameters;
        let mut report = Report::from_iter(check_commission(self.commission_rate));
        if self.stake_amount < parameters.model_min_stake {
            report.push(
                Finding::error(
                    Check::Stake,
                    format!(
                        "a stake of {} shannons is below the minimum of {}",
                        self.stake_amount, parameters.model_min_stake
                    ),
                )
                .with_remedy("raise --stake-amount; it is in SOMA, of 1000000000 shannons each")
                .with_failure("ModelMinStakeNotMet"),
            );
        }
        let chain = parameters.model_architecture_version;
        if let Some(version) = self.architecture_version.filter(|version| *version != chain) {
            report.push(
                Finding::error(
                    Check::Architecture,
                    format!("architecture version {version} was given, the network has {chain}"),
                )
                .with_remedy("leave the version out")
                .with_failure("ModelArchitectureVersionMismatch"),
            );
        }
        if let Some(standing) = model {
            report.push(
                Finding::error(
                    Check::ModelId,
                    format!(
                        "model id {} is in use by {} ({})",
                        standing.id, standing.model.owner, standing.status
                    ),
                )
                .with_remedy("leave the model id out, or take one from soma model new-id")
                .with_failure("InvalidArguments"),
            );
        }
        if let Some(owner) = pool {
            let owner = match owner {
                PoolOwner::Model(id) => format!("model {id}"),
                PoolOwner::Validator(address) => format!("validator {address}"),
                _ => "somebody else".to_owned(),
            };
            report.push(
                Finding::error(
                    Check::PoolId,
                    format!("pool id {} is in use by {owner}", self.ids.staking_pool_id),
                )
                .with_remedy("leave the pool id out, or take one from soma model new-id")
                .with_failure("InvalidArguments"),
            );
        }
        if self.weights_commitment == self.weights_url_commitment {
            report.push(
                Finding::error(Check::WeightsCommitment, "both commitments are the same")
                    .with_remedy("one is the hash of the URL, the other that of the file"),
            );
        }
        if network.percent_passed() >= LATE_IN_EPOCH {
            let epoch = network.clock.epoch;
            report.push(
                Finding::warning(
                    Check::Window,
                    format!(
                        "epoch {epoch} is nearly over; the commit may be executed in the next \
                         one, which moves the reveal to epoch {}",
                        epoch.saturating_add(2)
                    ),
                )
                .with_remedy("with --late that is as it should be; else wait for the next epoch"),
            );
        }
        report
    }

    /// Asks the node, makes all checks and builds the transaction.
    ///
    /// # Errors
    /// [`Error::Refused`](crate::Error::Refused) if the coins do not suffice,
    /// [`Error::Rpc`](crate::Error::Rpc). Other findings are in the report.
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
        let model = client.model(&self.ids.model_id).await?.map(Standing::from);
        let pool = client.pool(&self.ids.staking_pool_id).await?;
        report.extend(self.check(&network, model.as_ref(), pool.as_ref()));
        Prepared::build(client, sender, self.kind(&network), gas, network, report).await
    }
}

/// When a commit can be revealed, as it is shown beside its result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CommitTimes {
    /// The epoch in which it was executed.
    pub commit_epoch: u64,
    /// The next one.
    pub reveal_epoch: u64,
    /// Estimated begin of that epoch, RFC 3339.
    pub reveal_opens_at: String,
    /// Estimated end of that epoch, RFC 3339.
    pub reveal_closes_at: String,
}

impl CommitTimes {
    /// The times of a commit that was executed in `commit_epoch`: the epoch
    /// in its effects, never one read before.
    pub fn new(commit_epoch: u64, clock: &EpochClock) -> Self {
        let window = RevealWindow::new(commit_epoch, clock);
        Self {
            commit_epoch,
            reveal_epoch: window.reveal_epoch,
            reveal_opens_at: rfc3339(window.opens_at_ms),
            reveal_closes_at: rfc3339(window.closes_at_ms),
        }
    }
}

#[cfg(test)]
mod tests {
    use soma_proto::params::SystemParameters;

    use super::*;
    use crate::testing::{self, MODEL, POOL, WEIGHTS};

    fn network() -> Network {
        let clock = testing::clock();
        Network { clock, parameters: SystemParameters::v1(), now_ms: clock.start_timestamp_ms }
    }

    fn plan() -> CommitPlan {
        CommitPlan::new(testing::url().commitment(), WEIGHTS, 1_000_000_000)
            .with_model_id(MODEL)
            .with_staking_pool_id(POOL)
    }

    #[test]
    fn a_good_plan() {
        let report = plan().check(&network(), None, None);
        assert_eq!(report, Report::default());
        let TransactionKind::CommitModel(commit) = plan().kind(&network()) else { panic!() };
        assert_eq!(commit.architecture_version, 1);
        assert_eq!((commit.model_id, commit.staking_pool_id), (MODEL, POOL));
    }

    #[test]
    fn everything_wrong_at_once() {
        let mut plan = plan().with_commission_rate(10_001).with_architecture_version(2);
        plan.stake_amount = 999_999_999;
        plan.weights_commitment = plan.weights_url_commitment;
        let mut network = network();
        network.now_ms += 58_000;
        let standing = testing::committed();
        let pool = PoolOwner::Model(MODEL);
        let report = plan.check(&network, Some(&standing), Some(&pool));
        let failures: Vec<_> = report.errors().map(|finding| finding.failure).collect();
        assert_eq!(
            failures,
            [
                Some("ModelCommissionRateTooHigh"),
                Some("ModelMinStakeNotMet"),
                Some("ModelArchitectureVersionMismatch"),
                Some("InvalidArguments"),
                Some("InvalidArguments"),
                None,
            ]
        );
        assert_eq!(report.failure(), Some("ModelCommissionRateTooHigh"));
        let text = report.to_string();
        assert_eq!(text.lines().count(), 6, "{text}");
        assert!(text.contains("100.01 %") && text.contains("500 is 5 %"), "{text}");
        let warning = report.warnings().next().unwrap();
        assert!(warning.message.contains("epoch 7"), "{}", warning.message);
    }

    #[test]
    fn a_high_commission_is_a_warning() {
        for (rate, warnings, errors) in
            [(5_000, 0, 0), (5_001, 1, 0), (10_000, 1, 0), (10_001, 0, 1)]
        {
            let report = plan().with_commission_rate(rate).check(&network(), None, None);
            assert_eq!((report.warnings().count(), report.errors().count()), (warnings, errors));
        }
    }

    #[test]
    fn times_beside_the_result() {
        let times = CommitTimes::new(5, &testing::clock());
        assert_eq!(
            serde_json::to_value(times).unwrap(),
            serde_json::json!({
                "commit_epoch": 5,
                "reveal_epoch": 6,
                "reveal_opens_at": "2026-01-01T00:01:00Z",
                "reveal_closes_at": "2026-01-01T00:02:00Z",
            })
        );
    }

    #[test]
    fn ids_are_drawn_unless_given() {
        let one = CommitPlan::new(Commitment::ZERO, WEIGHTS, 1);
        let two = CommitPlan::new(Commitment::ZERO, WEIGHTS, 1);
        assert_ne!(one.ids.model_id, two.ids.model_id);
        assert_ne!(one.ids.staking_pool_id, one.ids.model_id);
    }
}
