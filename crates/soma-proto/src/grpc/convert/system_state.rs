//! The system state.

use std::collections::{BTreeMap, BTreeSet};

use super::checkpoint::{bls_key, bls_signature};
use super::read::{At, parse_address, parse_object_id};
use super::signature::public_key;
use super::{address, each, list, masked, message, object_id, read_fields, value};
use crate::dialect::ModelRegistry;
use crate::dialect::grpc::registry_message;
use crate::grpc::mask::MaskTree;
use crate::grpc::pb;
use crate::params::SystemParameters;
use crate::system_state::{
    EmissionPool, PoolTokenExchangeRate, StakingPool, SystemState, SystemStateV1, TargetState,
    Validator, ValidatorMetadata, ValidatorSet,
};
use crate::{Address, Error, ObjectId, Result, Tensor};

/// Of the system state what the mask selects, down to the second level.
///
/// Other nodes give a whole field for any path below it, so a client may
/// always ask narrowly. With many models it should: the registry alone can be
/// far larger than everything else.
pub fn system_state_message(state: &SystemState, mask: &MaskTree) -> pb::SystemState {
    let state = state.v1();
    masked!(
        mask,
        pb::SystemState {
            epoch: Some(state.epoch),
            epoch_start_timestamp_ms: Some(state.epoch_start_timestamp_ms),
            protocol_version: Some(state.protocol_version),
            parameters: Some(parameters_message(&state.parameters, mask.below("parameters"))),
            validators: Some(validators_message(&state.validators, mask.below("validators"))),
            validator_report_records: reports_message(&state.validator_report_records),
            emission_pool: Some(emission_message(
                &state.emission_pool,
                mask.below("emission_pool")
            )),
            model_registry: Some(registry_message(
                &state.model_registry,
                mask.below("model_registry")
            )),
            target_state: Some(target_state_message(
                &state.target_state,
                mask.below("target_state")
            )),
            submission_report_records: BTreeMap::new(),
            safe_mode: Some(state.safe_mode),
            safe_mode_accumulated_fees: Some(state.safe_mode_accumulated_fees),
            safe_mode_accumulated_emissions: Some(state.safe_mode_accumulated_emissions),
        }
    )
}

impl From<&SystemState> for pb::SystemState {
    fn from(state: &SystemState) -> Self {
        system_state_message(state, &MaskTree::everything())
    }
}

impl TryFrom<pb::SystemState> for SystemState {
    type Error = Error;

    fn try_from(state: pb::SystemState) -> Result<Self> {
        let target_state = match state.target_state {
            Some(target_state) => target_state.try_into().at("target_state")?,
            None => no_targets(),
        };
        let model_registry = match state.model_registry {
            Some(registry) => registry.try_into().at("model_registry")?,
            None => ModelRegistry::default(),
        };
        Ok(Self::V1(Box::new(SystemStateV1 {
            epoch: value(state.epoch).at("epoch")?,
            protocol_version: value(state.protocol_version).at("protocol_version")?,
            validators: message(state.validators).at("validators")?,
            parameters: message(state.parameters).at("parameters")?,
            epoch_start_timestamp_ms: value(state.epoch_start_timestamp_ms)
                .at("epoch_start_timestamp_ms")?,
            validator_report_records: map(state.validator_report_records, address_key, reporters)
                .at("validator_report_records")?,
            model_registry,
            emission_pool: message(state.emission_pool).at("emission_pool")?,
            target_state,
            safe_mode: state.safe_mode.unwrap_or_default(),
            safe_mode_accumulated_fees: state.safe_mode_accumulated_fees.unwrap_or_default(),
            safe_mode_accumulated_emissions: state
                .safe_mode_accumulated_emissions
                .unwrap_or_default(),
        })))
    }
}

/// Writes both directions for a flat struct of numbers and scalar tensors.
macro_rules! parameters {
    (numbers: $($number:ident)+; scalars: $($scalar:ident)+;) => {
        fn parameters_message(parameters: &SystemParameters, mask: &MaskTree) -> pb::SystemParameters {
            masked!(mask, pb::SystemParameters {
                $($number: Some(parameters.$number),)+
                $($scalar: Some(parameters.$scalar.first()),)+
            })
        }

        impl TryFrom<pb::SystemParameters> for SystemParameters {
            type Error = Error;

            fn try_from(parameters: pb::SystemParameters) -> Result<Self> {
                Ok(read_fields!(parameters => Self {
                    $($number: value,)+
                    $($scalar: scalar,)+
                }))
            }
        }
    };
}

parameters! {
    numbers:
        epoch_duration_ms validator_reward_allocation_bps model_min_stake
        model_architecture_version model_reveal_slash_rate_bps model_tally_slash_rate_bps
        target_epoch_fee_collection base_fee write_object_fee value_fee_bps min_value_fee_bps
        max_value_fee_bps fee_adjustment_rate_bps target_models_per_target target_embedding_dim
        target_reward_allocation_bps target_hits_per_epoch target_hits_ema_decay_bps
        target_difficulty_adjustment_rate_bps target_initial_targets_per_epoch
        target_submitter_reward_share_bps target_model_reward_share_bps
        target_claimer_incentive_bps submission_bond_per_byte challenger_bond_per_byte
        max_submission_data_size;
    scalars:
        target_initial_distance_threshold target_max_distance_threshold
        target_min_distance_threshold;
}

impl From<&SystemParameters> for pb::SystemParameters {
    fn from(parameters: &SystemParameters) -> Self {
        parameters_message(parameters, &MaskTree::everything())
    }
}

fn emission_message(pool: &EmissionPool, mask: &MaskTree) -> pb::EmissionPool {
    masked!(
        mask,
        pb::EmissionPool {
            balance: Some(pool.balance),
            emission_per_epoch: Some(pool.emission_per_epoch),
        }
    )
}

impl TryFrom<pb::EmissionPool> for EmissionPool {
    type Error = Error;

    fn try_from(pool: pb::EmissionPool) -> Result<Self> {
        Ok(read_fields!(pool => Self { balance: value, emission_per_epoch: value }))
    }
}

fn target_state_message(state: &TargetState, mask: &MaskTree) -> pb::TargetState {
    masked!(
        mask,
        pb::TargetState {
            distance_threshold: Some(state.distance_threshold.first()),
            targets_generated_this_epoch: Some(state.targets_generated_this_epoch),
            hits_this_epoch: Some(state.hits_this_epoch),
            hits_ema: Some(state.hits_ema),
            reward_per_target: Some(state.reward_per_target),
        }
    )
}

impl TryFrom<pb::TargetState> for TargetState {
    type Error = Error;

    fn try_from(state: pb::TargetState) -> Result<Self> {
        Ok(read_fields!(state => Self {
            distance_threshold: scalar,
            targets_generated_this_epoch: value,
            hits_this_epoch: value,
            hits_ema: value,
            reward_per_target: value,
        }))
    }
}

fn validators_message(validators: &ValidatorSet, mask: &MaskTree) -> pb::ValidatorSet {
    masked!(
        mask,
        pb::ValidatorSet {
            total_stake: Some(validators.total_stake),
            validators: validators.validators.iter().map(Into::into).collect(),
            pending_validators: validators.pending_validators.iter().map(Into::into).collect(),
            pending_removals: validators
                .pending_removals
                .iter()
                .map(|place| *place as u32)
                .collect(),
            staking_pool_mappings: validators
                .staking_pool_mappings
                .iter()
                .map(|(pool, validator)| (pool.to_string(), validator.to_string()))
                .collect(),
            inactive_validators: validators
                .inactive_validators
                .iter()
                .map(|(pool, validator)| (pool.to_string(), validator.into()))
                .collect(),
            at_risk_validators: validators
                .at_risk_validators
                .iter()
                .map(|(validator, epochs)| (validator.to_string(), *epochs))
                .collect(),
        }
    )
}

impl TryFrom<pb::ValidatorSet> for ValidatorSet {
    type Error = Error;

    fn try_from(validators: pb::ValidatorSet) -> Result<Self> {
        Ok(read_fields!(validators => Self {
            total_stake: value,
            validators: list,
            pending_validators: list,
            pending_removals: |places: Vec<u32>| Ok(places.into_iter().map(u64::from).collect()),
            staking_pool_mappings: |texts| map(texts, id_key, address_key),
            inactive_validators: |texts| map(texts, id_key, TryInto::try_into),
            at_risk_validators: |texts| map(texts, address_key, Ok),
        }))
    }
}

impl From<&Validator> for pb::Validator {
    fn from(validator: &Validator) -> Self {
        let metadata = &validator.metadata;
        let bytes = |bytes: &[u8]| Some(bytes.to_vec());
        Self {
            soma_address: Some(metadata.soma_address.to_string()),
            protocol_pubkey: bytes(metadata.protocol_pubkey.as_bytes()),
            network_pubkey: bytes(metadata.network_pubkey.as_bytes()),
            worker_pubkey: bytes(metadata.worker_pubkey.as_bytes()),
            net_address: Some(metadata.net_address.clone()),
            p2p_address: Some(metadata.p2p_address.clone()),
            primary_address: Some(metadata.primary_address.clone()),
            proxy_address: Some(metadata.proxy_address.clone()).filter(|text| !text.is_empty()),
            voting_power: Some(validator.voting_power),
            commission_rate: Some(validator.commission_rate),
            next_epoch_stake: Some(validator.next_epoch_stake),
            next_epoch_commission_rate: Some(validator.next_epoch_commission_rate),
            staking_pool: Some((&validator.staking_pool).into()),
            next_epoch_protocol_pubkey: metadata
                .next_epoch_protocol_pubkey
                .and_then(|key| bytes(key.as_bytes())),
            next_epoch_network_pubkey: metadata
                .next_epoch_network_pubkey
                .and_then(|key| bytes(key.as_bytes())),
            next_epoch_worker_pubkey: metadata
                .next_epoch_worker_pubkey
                .and_then(|key| bytes(key.as_bytes())),
            next_epoch_net_address: metadata.next_epoch_net_address.clone(),
            next_epoch_p2p_address: metadata.next_epoch_p2p_address.clone(),
            next_epoch_primary_address: metadata.next_epoch_primary_address.clone(),
            next_epoch_proxy_address: metadata.next_epoch_proxy_address.clone(),
            proof_of_possession: bytes(metadata.proof_of_possession.as_bytes()),
            next_epoch_proof_of_possession: metadata
                .next_epoch_proof_of_possession
                .and_then(|proof| bytes(proof.as_bytes())),
        }
    }
}

impl TryFrom<pb::Validator> for Validator {
    type Error = Error;

    fn try_from(validator: pb::Validator) -> Result<Self> {
        let metadata = read_fields!(validator => ValidatorMetadata {
            soma_address: address,
            protocol_pubkey: bls_key,
            network_pubkey: public_key,
            worker_pubkey: public_key,
            net_address: value,
            p2p_address: value,
            primary_address: value,
            proxy_address: |text: Option<String>| Ok(text.unwrap_or_default()),
            proof_of_possession: bls_signature,
            next_epoch_protocol_pubkey: |key| present(key, bls_key),
            next_epoch_network_pubkey: |key| present(key, public_key),
            next_epoch_net_address: Ok,
            next_epoch_p2p_address: Ok,
            next_epoch_primary_address: Ok,
            next_epoch_worker_pubkey: |key| present(key, public_key),
            next_epoch_proof_of_possession: |proof| present(proof, bls_signature),
            next_epoch_proxy_address: Ok,
        });
        Ok(Self {
            metadata,
            voting_power: value(validator.voting_power).at("voting_power")?,
            staking_pool: message(validator.staking_pool).at("staking_pool")?,
            commission_rate: value(validator.commission_rate).at("commission_rate")?,
            next_epoch_stake: value(validator.next_epoch_stake).at("next_epoch_stake")?,
            next_epoch_commission_rate: value(validator.next_epoch_commission_rate)
                .at("next_epoch_commission_rate")?,
        })
    }
}

impl From<&StakingPool> for pb::StakingPool {
    fn from(pool: &StakingPool) -> Self {
        Self {
            id: Some(pool.id.to_string()),
            activation_epoch: pool.activation_epoch,
            deactivation_epoch: pool.deactivation_epoch,
            soma_balance: Some(pool.soma_balance),
            rewards_pool: Some(pool.rewards_pool),
            pool_token_balance: Some(pool.pool_token_balance),
            exchange_rates: pool
                .exchange_rates
                .iter()
                .map(|(epoch, rate)| (*epoch, rate.into()))
                .collect(),
            pending_stake: Some(pool.pending_stake),
            pending_total_soma_withdraw: Some(pool.pending_total_soma_withdraw),
            pending_pool_token_withdraw: Some(pool.pending_pool_token_withdraw),
        }
    }
}

impl TryFrom<pb::StakingPool> for StakingPool {
    type Error = Error;

    fn try_from(pool: pb::StakingPool) -> Result<Self> {
        Ok(read_fields!(pool => Self {
            id: object_id,
            activation_epoch: Ok,
            deactivation_epoch: Ok,
            soma_balance: value,
            rewards_pool: value,
            pool_token_balance: value,
            exchange_rates: |rates| map(rates, |epoch: u64| Ok(epoch), TryInto::try_into),
            pending_stake: value,
            pending_total_soma_withdraw: value,
            pending_pool_token_withdraw: value,
        }))
    }
}

impl From<&PoolTokenExchangeRate> for pb::PoolTokenExchangeRate {
    fn from(rate: &PoolTokenExchangeRate) -> Self {
        Self {
            soma_amount: Some(rate.soma_amount),
            pool_token_amount: Some(rate.pool_token_amount),
        }
    }
}

impl TryFrom<pb::PoolTokenExchangeRate> for PoolTokenExchangeRate {
    type Error = Error;

    fn try_from(rate: pb::PoolTokenExchangeRate) -> Result<Self> {
        Ok(read_fields!(rate => Self { soma_amount: value, pool_token_amount: value }))
    }
}

/// Reports by the text of what they are about.
pub(crate) fn reports_message<K: ToString>(
    records: &BTreeMap<K, BTreeSet<Address>>,
) -> BTreeMap<String, pb::ReporterSet> {
    records
        .iter()
        .map(|(about, reporters)| {
            let reporters = reporters.iter().map(ToString::to_string).collect();
            (about.to_string(), pb::ReporterSet { reporters })
        })
        .collect()
}

/// The addresses that made a report.
pub(crate) fn reporters(set: pb::ReporterSet) -> Result<BTreeSet<Address>> {
    let reporters = each(set.reporters, address_key).at("reporters")?;
    Ok(reporters.into_iter().collect())
}

/// Reads a map; the key of a bad entry becomes a part of the path.
pub(crate) fn map<A, B, K, V>(
    entries: BTreeMap<A, B>,
    key: impl Fn(A) -> Result<K>,
    value: impl Fn(B) -> Result<V>,
) -> Result<BTreeMap<K, V>>
where
    A: ToString,
    K: Ord,
{
    entries
        .into_iter()
        .map(|(name, entry)| {
            let path = format!("[{}]", name.to_string());
            Ok((key(name).at(&path)?, value(entry).at(&path)?))
        })
        .collect()
}

/// A key that is an id.
pub(crate) fn id_key(text: String) -> Result<ObjectId> {
    parse_object_id(&text)
}

/// A key or an element that is an address.
fn address_key(text: String) -> Result<Address> {
    parse_address(&text)
}

/// A single number becomes a tensor of one.
fn scalar(field: Option<f32>) -> Result<Tensor> {
    value(field).map(Tensor::scalar)
}

/// Reads bytes that may be absent.
fn present<T>(
    field: Option<Vec<u8>>,
    read: impl Fn(Option<Vec<u8>>) -> Result<T>,
) -> Result<Option<T>> {
    if field.is_some() { read(field).map(Some) } else { Ok(None) }
}

/// Stands for a target state that a node does not send.
fn no_targets() -> TargetState {
    TargetState {
        distance_threshold: Tensor::scalar(0.0),
        targets_generated_this_epoch: 0,
        hits_this_epoch: 0,
        hits_ema: 0,
        reward_per_target: 0,
    }
}
