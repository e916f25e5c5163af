//! Parameters of the protocol.

use serde::{Deserialize, Serialize};

use crate::Tensor;

/// Parameters in force on a chain. Units are in the names; amounts are shannons.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "proptest", derive(proptest_derive::Arbitrary))]
#[allow(missing_docs, reason = "the names say it; the rules that use them explain them")]
pub struct SystemParameters {
    pub epoch_duration_ms: u64,
    pub validator_reward_allocation_bps: u64,
    pub model_min_stake: u64,
    pub model_architecture_version: u64,
    pub model_reveal_slash_rate_bps: u64,
    pub model_tally_slash_rate_bps: u64,
    pub target_epoch_fee_collection: u64,
    pub base_fee: u64,
    pub write_object_fee: u64,
    pub value_fee_bps: u64,
    pub min_value_fee_bps: u64,
    pub max_value_fee_bps: u64,
    pub fee_adjustment_rate_bps: u64,
    pub target_models_per_target: u64,
    pub target_embedding_dim: u64,
    pub target_initial_distance_threshold: Tensor,
    pub target_reward_allocation_bps: u64,
    pub target_hits_per_epoch: u64,
    pub target_hits_ema_decay_bps: u64,
    pub target_difficulty_adjustment_rate_bps: u64,
    pub target_max_distance_threshold: Tensor,
    pub target_min_distance_threshold: Tensor,
    pub target_initial_targets_per_epoch: u64,
    pub target_submitter_reward_share_bps: u64,
    pub target_model_reward_share_bps: u64,
    pub target_claimer_incentive_bps: u64,
    pub submission_bond_per_byte: u64,
    pub challenger_bond_per_byte: u64,
    pub max_submission_data_size: u64,
}

impl SystemParameters {
    /// The values of protocol version 1.
    pub fn v1() -> Self {
        Self {
            epoch_duration_ms: 86_400_000,
            validator_reward_allocation_bps: 7_000,
            model_min_stake: 1_000_000_000,
            model_architecture_version: 1,
            model_reveal_slash_rate_bps: 5_000,
            model_tally_slash_rate_bps: 9_500,
            target_epoch_fee_collection: 1_000_000_000,
            base_fee: 1_000,
            write_object_fee: 300,
            value_fee_bps: 10,
            min_value_fee_bps: 1,
            max_value_fee_bps: 50,
            fee_adjustment_rate_bps: 1_250,
            target_models_per_target: 3,
            target_embedding_dim: 768,
            target_initial_distance_threshold: Tensor::scalar(2.0),
            target_reward_allocation_bps: 8_000,
            target_hits_per_epoch: 16,
            target_hits_ema_decay_bps: 7_000,
            target_difficulty_adjustment_rate_bps: 1_000,
            target_max_distance_threshold: Tensor::scalar(2.0),
            target_min_distance_threshold: Tensor::scalar(0.1),
            target_initial_targets_per_epoch: 20,
            target_submitter_reward_share_bps: 6_900,
            target_model_reward_share_bps: 3_000,
            target_claimer_incentive_bps: 100,
            submission_bond_per_byte: 10,
            challenger_bond_per_byte: 5,
            max_submission_data_size: 1_048_576,
        }
    }
}
