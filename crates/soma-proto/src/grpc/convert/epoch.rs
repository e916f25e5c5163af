//! Epochs and the attributes of the protocol.

use super::{masked, system_state_message, timestamp};
use crate::committee::Committee;
use crate::grpc::mask::MaskTree;
use crate::grpc::pb;
use crate::system_state::SystemState;

/// The attributes of protocol version 1, by name. They are constants of the
/// protocol and do not follow what a local network changes: the values in force
/// on a chain are the parameters in its system state.
pub const PROTOCOL_ATTRIBUTES: [(&str, &str); 42] = [
    ("base_fee", "1000"),
    ("buffer_stake_for_protocol_upgrade_bps", "5000"),
    ("challenger_bond_per_byte", "5"),
    ("consensus_bad_nodes_stake_threshold", "30"),
    ("consensus_commit_rate_estimation_window_size", "10"),
    ("consensus_gc_depth", "60"),
    ("consensus_max_num_transactions_in_block", "512"),
    ("consensus_max_transaction_size_bytes", "262144"),
    ("consensus_max_transactions_in_block_bytes", "524288"),
    ("epoch_duration_ms", "86400000"),
    ("execution_version", "0"),
    ("fee_adjustment_rate_bps", "1250"),
    ("initial_value_fee_bps", "10"),
    ("max_checkpoint_size_bytes", "31457280"),
    ("max_submission_data_size", "1048576"),
    ("max_transactions_per_checkpoint", "20000"),
    ("max_value_fee_bps", "50"),
    ("min_checkpoint_interval_ms", "200"),
    ("min_value_fee_bps", "1"),
    ("model_architecture_version", "1"),
    ("model_min_stake", "1000000000"),
    ("model_reveal_slash_rate_bps", "5000"),
    ("model_tally_slash_rate_bps", "9500"),
    ("mysticeti_num_leaders_per_round", "1"),
    ("reward_slashing_rate_bps", "5000"),
    ("submission_bond_per_byte", "10"),
    ("target_claimer_incentive_bps", "100"),
    ("target_difficulty_adjustment_rate_bps", "1000"),
    ("target_embedding_dim", "768"),
    ("target_epoch_fee_collection", "1000000000"),
    ("target_hits_ema_decay_bps", "7000"),
    ("target_hits_per_epoch", "16"),
    ("target_initial_distance_threshold", "2"),
    ("target_initial_targets_per_epoch", "20"),
    ("target_max_distance_threshold", "2"),
    ("target_min_distance_threshold", "0.1"),
    ("target_model_reward_share_bps", "3000"),
    ("target_models_per_target", "3"),
    ("target_reward_allocation_bps", "8000"),
    ("target_submitter_reward_share_bps", "6900"),
    ("validator_reward_allocation_bps", "7000"),
    ("write_object_fee", "300"),
];

/// What a node knows of an epoch. Leave out what the mask does not select.
#[derive(Clone, Copy, Debug, Default)]
pub struct EpochView<'a> {
    /// Its number.
    pub epoch: u64,
    /// Its validators.
    pub committee: Option<&'a Committee>,
    /// The state: live if the epoch is running, else that of its start.
    pub system_state: Option<&'a SystemState>,
    /// Its first checkpoint.
    pub first_checkpoint: Option<u64>,
    /// When it began, milliseconds since 1970.
    pub start_ms: Option<u64>,
    /// When it ended, milliseconds since 1970.
    pub end_ms: Option<u64>,
    /// The protocol version in force.
    pub protocol_version: Option<u64>,
}

/// Of an epoch what the mask selects. `last_checkpoint` is never filled.
pub fn epoch_message(epoch: &EpochView<'_>, mask: &MaskTree) -> pb::Epoch {
    masked!(
        mask,
        pb::Epoch {
            epoch: Some(epoch.epoch),
            committee: epoch.committee.map(Into::into),
            system_state: epoch
                .system_state
                .map(|s| system_state_message(s, mask.below("system_state"))),
            first_checkpoint: epoch.first_checkpoint,
            last_checkpoint: None,
            start: epoch.start_ms.map(timestamp),
            end: epoch.end_ms.map(timestamp),
            protocol_config: epoch
                .protocol_version
                .map(|version| protocol_config_message(version, mask.below("protocol_config"))),
        }
    )
}

/// Of the protocol's version and attributes what the mask selects.
pub fn protocol_config_message(protocol_version: u64, mask: &MaskTree) -> pb::ProtocolConfig {
    let attributes = PROTOCOL_ATTRIBUTES.map(|(key, value)| (key.to_owned(), value.to_owned()));
    masked!(
        mask,
        pb::ProtocolConfig {
            protocol_version: Some(protocol_version),
            feature_flags: Default::default(),
            attributes: attributes.into(),
        }
    )
}
