//! The system state: validators, parameters, models, emission.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::bls::{BlsPublicKey, BlsSignature};
use crate::canonical::bcs_form;
pub use crate::dialect::{Model, ModelRegistry, ModelStatus, PendingModelUpdate};
pub use crate::params::SystemParameters;
use crate::{Address, ObjectId, PublicKey, Tensor, sorted_map};

/// Contents of the object `0x5`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "proptest", derive(proptest_derive::Arbitrary))]
#[non_exhaustive]
pub enum SystemState {
    /// The only version so far.
    V1(Box<SystemStateV1>),
}

bcs_form!(SystemState, Validator);

impl SystemState {
    /// The fields.
    pub fn v1(&self) -> &SystemStateV1 {
        let Self::V1(state) = self;
        state
    }
}

/// Version 1 of [`SystemState`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "proptest", derive(proptest_derive::Arbitrary))]
pub struct SystemStateV1 {
    /// The running epoch.
    pub epoch: u64,
    /// Protocol version in force.
    pub protocol_version: u64,
    /// The validators.
    pub validators: ValidatorSet,
    /// Parameters in force.
    pub parameters: SystemParameters,
    /// When the epoch began, milliseconds since 1970.
    pub epoch_start_timestamp_ms: u64,
    /// Reported validator to its reporters.
    #[serde(serialize_with = "sorted_map::serialize")]
    #[cfg_attr(feature = "proptest", proptest(strategy = "crate::arbitrary::map()"))]
    pub validator_report_records: BTreeMap<Address, BTreeSet<Address>>,
    /// All models.
    pub model_registry: ModelRegistry,
    /// Money still to be handed out.
    pub emission_pool: EmissionPool,
    /// How hard targets are.
    pub target_state: TargetState,
    /// Set after a failed epoch change.
    pub safe_mode: bool,
    /// Shannons, handed out by the next successful change.
    pub safe_mode_accumulated_fees: u64,
    /// Shannons, handed out by the next successful change.
    pub safe_mode_accumulated_emissions: u64,
}

/// Money still to be handed out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "proptest", derive(proptest_derive::Arbitrary))]
pub struct EmissionPool {
    /// Shannons left.
    pub balance: u64,
    /// Shannons handed out in a full epoch.
    pub emission_per_epoch: u64,
}

/// How hard targets are and what they pay.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "proptest", derive(proptest_derive::Arbitrary))]
pub struct TargetState {
    /// Shape `[1]`.
    pub distance_threshold: Tensor,
    /// Targets made in this epoch.
    pub targets_generated_this_epoch: u64,
    /// Targets filled in this epoch.
    pub hits_this_epoch: u64,
    /// Moving average of hits; 0 = no data yet.
    pub hits_ema: u64,
    /// Shannons.
    pub reward_per_target: u64,
}

/// The validators in all states.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "proptest", derive(proptest_derive::Arbitrary))]
pub struct ValidatorSet {
    /// Shannons staked with active validators.
    pub total_stake: u64,
    /// Active.
    #[cfg_attr(feature = "proptest", proptest(strategy = "crate::arbitrary::vec()"))]
    pub validators: Vec<Validator>,
    /// Joining with the next epoch.
    #[cfg_attr(feature = "proptest", proptest(strategy = "crate::arbitrary::vec()"))]
    pub pending_validators: Vec<Validator>,
    /// Places in `validators` that leave with the next epoch.
    #[cfg_attr(feature = "proptest", proptest(strategy = "crate::arbitrary::vec()"))]
    pub pending_removals: Vec<u64>,
    /// Pool to validator.
    #[serde(serialize_with = "sorted_map::serialize")]
    #[cfg_attr(feature = "proptest", proptest(strategy = "crate::arbitrary::map()"))]
    pub staking_pool_mappings: BTreeMap<ObjectId, Address>,
    /// Pool to validator that has left.
    #[serde(serialize_with = "sorted_map::serialize")]
    #[cfg_attr(feature = "proptest", proptest(strategy = "crate::arbitrary::map()"))]
    pub inactive_validators: BTreeMap<ObjectId, Validator>,
    /// Epochs that a validator has been below the threshold.
    #[serde(serialize_with = "sorted_map::serialize")]
    #[cfg_attr(feature = "proptest", proptest(strategy = "crate::arbitrary::map()"))]
    pub at_risk_validators: BTreeMap<Address, u64>,
}

/// One validator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "proptest", derive(proptest_derive::Arbitrary))]
pub struct Validator {
    /// Who and where it is.
    pub metadata: ValidatorMetadata,
    /// Share of 10000.
    pub voting_power: u64,
    /// The stake with it.
    pub staking_pool: StakingPool,
    /// Basis points.
    pub commission_rate: u64,
    /// Shannons in the next epoch.
    pub next_epoch_stake: u64,
    /// Basis points in the next epoch.
    pub next_epoch_commission_rate: u64,
}

/// Who and where a validator is, now and from the next epoch on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "proptest", derive(proptest_derive::Arbitrary))]
pub struct ValidatorMetadata {
    /// Its account.
    pub soma_address: Address,
    /// Signs checkpoints.
    pub protocol_pubkey: BlsPublicKey,
    /// Signs network traffic.
    pub network_pubkey: PublicKey,
    /// Signs consensus blocks.
    pub worker_pubkey: PublicKey,
    /// Multiaddress.
    pub net_address: String,
    /// Multiaddress.
    pub p2p_address: String,
    /// Multiaddress.
    pub primary_address: String,
    /// Multiaddress.
    pub proxy_address: String,
    /// Shows that the validator holds the protocol key.
    pub proof_of_possession: BlsSignature,
    /// From the next epoch on.
    pub next_epoch_protocol_pubkey: Option<BlsPublicKey>,
    /// From the next epoch on.
    pub next_epoch_network_pubkey: Option<PublicKey>,
    /// From the next epoch on.
    pub next_epoch_net_address: Option<String>,
    /// From the next epoch on.
    pub next_epoch_p2p_address: Option<String>,
    /// From the next epoch on.
    pub next_epoch_primary_address: Option<String>,
    /// From the next epoch on.
    pub next_epoch_worker_pubkey: Option<PublicKey>,
    /// From the next epoch on.
    pub next_epoch_proof_of_possession: Option<BlsSignature>,
    /// From the next epoch on.
    pub next_epoch_proxy_address: Option<String>,
}

/// Stake on a validator or a model.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "proptest", derive(proptest_derive::Arbitrary))]
pub struct StakingPool {
    /// Its id.
    pub id: ObjectId,
    /// Absent = not active yet.
    pub activation_epoch: Option<u64>,
    /// Present = inactive.
    pub deactivation_epoch: Option<u64>,
    /// Shannons: stake and rewards as of the last boundary.
    pub soma_balance: u64,
    /// The part of `soma_balance` that is undistributed rewards.
    pub rewards_pool: u64,
    /// Shares issued.
    pub pool_token_balance: u64,
    /// Epoch to rate.
    #[cfg_attr(feature = "proptest", proptest(strategy = "crate::arbitrary::map()"))]
    #[serde(serialize_with = "sorted_map::by_epoch::serialize")]
    pub exchange_rates: BTreeMap<u64, PoolTokenExchangeRate>,
    /// Shannons that join at the boundary.
    pub pending_stake: u64,
    /// Shannons paid out that leave the totals at the boundary.
    pub pending_total_soma_withdraw: u64,
    /// Shares that leave the totals at the boundary.
    pub pending_pool_token_withdraw: u64,
}

/// How many shannons how many shares are worth.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "proptest", derive(proptest_derive::Arbitrary))]
pub struct PoolTokenExchangeRate {
    /// Shannons.
    pub soma_amount: u64,
    /// Shares.
    pub pool_token_amount: u64,
}
