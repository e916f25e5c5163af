//! The validator set at the boundary of an epoch (R-1.10, R-5.10, L-19).

use std::cmp::Reverse;

use soma_proto::committee::{QUORUM_THRESHOLD, TOTAL_VOTING_POWER};
use soma_proto::object::StakedSoma;
use soma_proto::system_state::{StakingPool, SystemStateV1, Validator, ValidatorSet};
use soma_proto::{Address, ObjectId};

use crate::pool;

/// No validator has more power than this, unless there are too few of them.
const POWER_CAP: u64 = 1_000;
/// Power with which a validator may join.
const JOINING_POWER: u64 = 12;
/// Power below which a validator is at risk.
const LOW_POWER: u64 = 8;
/// Power below which a validator leaves at once.
const VERY_LOW_POWER: u64 = 4;
/// Epochs that a validator may be at risk.
const GRACE_EPOCHS: u64 = 7;
/// Part of the reward that a reported validator loses, in basis points.
const REWARD_SLASHING_BPS: u64 = 5_000;

/// A receipt that a validator gets for its commission.
pub(crate) struct Commission {
    pub(crate) owner: Address,
    pub(crate) receipt: StakedSoma,
}

/// Hands `rewards` out by voting power and returns the receipts for
/// commissions, by validator, and how much was handed out.
pub(crate) fn pay_rewards(state: &mut SystemStateV1, rewards: u64) -> (Vec<Commission>, u64) {
    let shares = reward_shares(state, rewards);
    let mut commissions = Vec::new();
    let mut paid = 0_u64;
    for (validator, reward) in state.validators.validators.iter_mut().zip(shares) {
        let commission = pool::bps_of(reward, validator.commission_rate).min(reward);
        let pool = &mut validator.staking_pool;
        if commission > 0 {
            pool::add_stake(pool, commission);
            commissions.push(Commission {
                owner: validator.metadata.soma_address,
                receipt: StakedSoma {
                    pool_id: pool.id,
                    stake_activation_epoch: state.epoch,
                    principal: commission,
                },
            });
        }
        pool::add_rewards(pool, reward - commission);
        validator.next_epoch_stake = validator.next_epoch_stake.saturating_add(reward);
        paid = paid.saturating_add(reward);
    }
    commissions.sort_by_key(|commission| commission.owner);
    (commissions, paid)
}

/// What each active validator gets. Those that a quorum reports lose half,
/// which the others share by power.
fn reward_shares(state: &SystemStateV1, rewards: u64) -> Vec<u64> {
    let validators = &state.validators.validators;
    let share = |power: u64| pool::bps_of(rewards, power);
    let reported = |validator: &Validator| {
        state
            .validator_report_records
            .get(&validator.metadata.soma_address)
            .is_some_and(|reporters| power_of(&state.validators, reporters) >= QUORUM_THRESHOLD)
    };
    let penalties: Vec<_> = validators
        .iter()
        .map(|validator| match reported(validator) {
            true => Some(pool::bps_of(share(validator.voting_power), REWARD_SLASHING_BPS)),
            false => None,
        })
        .collect();
    let lost: u64 = penalties.iter().flatten().sum();
    let others: u64 = validators
        .iter()
        .zip(&penalties)
        .filter(|(_, penalty)| penalty.is_none())
        .map(|(validator, _)| validator.voting_power)
        .sum();
    validators
        .iter()
        .zip(&penalties)
        .map(|(validator, penalty)| {
            let power = validator.voting_power;
            match penalty {
                Some(penalty) => share(power) - penalty,
                None => {
                    let bonus = u128::from(lost) * u128::from(power) / u128::from(others.max(1));
                    share(power) + pool::saturate(bonus)
                }
            }
        })
        .collect()
}

/// Sum of the voting powers of some accounts.
pub(crate) fn power_of<'a>(
    set: &ValidatorSet,
    accounts: impl IntoIterator<Item = &'a Address>,
) -> u64 {
    let power = |account: &Address| {
        let of = |validator: &&Validator| validator.metadata.soma_address == *account;
        set.validators.iter().find(of).map_or(0, |validator| validator.voting_power)
    };
    accounts.into_iter().map(power).sum()
}

/// Moves the set into the epoch that `state` names already.
pub(crate) fn advance(state: &mut SystemStateV1) {
    let epoch = state.epoch;
    let set = &mut state.validators;
    for validator in &mut set.validators {
        validator.commission_rate = validator.next_epoch_commission_rate;
        settle(&mut validator.staking_pool);
        pool::store_rate(&mut validator.staking_pool, epoch);
    }
    for validator in &mut set.pending_validators {
        validator.commission_rate = validator.next_epoch_commission_rate;
        settle(&mut validator.staking_pool);
    }
    let mut removals = std::mem::take(&mut set.pending_removals);
    removals.sort_unstable();
    removals.dedup();
    for index in removals.into_iter().rev() {
        remove(state, index as usize);
    }
    apply_stake_rule(state);
    let set = &mut state.validators;
    for validator in &mut set.validators {
        apply_staged_metadata(validator);
    }
    assign_voting_power(set);
    set.total_stake = total_stake(&set.validators);
}

/// Withdrawals and new stake of a live pool.
pub(crate) fn settle(pool: &mut StakingPool) {
    pool::settle_withdrawals(pool);
    pool::settle_stake(pool);
}

/// Gives every active validator its power; all together have 10000.
pub(crate) fn assign_voting_power(set: &mut ValidatorSet) {
    let count = set.validators.len() as u64;
    if count == 0 {
        return;
    }
    let cap = TOTAL_VOTING_POWER.div_ceil(count).clamp(POWER_CAP, TOTAL_VOTING_POWER);
    let total = total_stake(&set.validators);
    let mut order: Vec<_> = set.validators.iter_mut().collect();
    order.sort_by_key(|validator| {
        (Reverse(validator.staking_pool.soma_balance), validator.metadata.soma_address)
    });
    let mut left = TOTAL_VOTING_POWER;
    for validator in &mut order {
        let power = raw_power(validator.staking_pool.soma_balance, total).min(cap);
        validator.voting_power = power;
        left = left.saturating_sub(power);
    }
    let (each, mut extra) = (left / count, left % count);
    for validator in order {
        validator.voting_power += each;
        if extra > 0 {
            validator.voting_power += 1;
            extra -= 1;
        }
    }
}

/// Removes validators with too little stake and lets strong ones in. The last
/// active one stays whatever it has.
fn apply_stake_rule(state: &mut SystemStateV1) {
    let set = &mut state.validators;
    let total = total_stake(&set.validators).saturating_add(total_stake(&set.pending_validators));
    for index in (0..set.validators.len()).rev() {
        let set = &mut state.validators;
        let validator = &set.validators[index];
        let address = validator.metadata.soma_address;
        let power = raw_power(validator.staking_pool.soma_balance, total);
        if power >= LOW_POWER {
            set.at_risk_validators.remove(&address);
            continue;
        }
        let epochs = set.at_risk_validators.entry(address).or_default();
        *epochs += 1;
        let out = power < VERY_LOW_POWER || *epochs > GRACE_EPOCHS;
        if out && state.validators.validators.len() > 1 {
            remove(state, index);
        }
    }
    let epoch = state.epoch;
    let set = &mut state.validators;
    let (joining, waiting): (Vec<_>, Vec<_>) =
        std::mem::take(&mut set.pending_validators).into_iter().partition(|validator| {
            raw_power(validator.staking_pool.soma_balance, total) >= JOINING_POWER
        });
    set.pending_validators = waiting;
    for mut validator in joining {
        validator.staking_pool.activation_epoch = Some(epoch);
        pool::store_rate(&mut validator.staking_pool, epoch);
        set.validators.push(validator);
    }
}

/// Takes an active validator out of the set.
fn remove(state: &mut SystemStateV1, index: usize) {
    let set = &mut state.validators;
    if index >= set.validators.len() {
        return;
    }
    let mut validator = set.validators.remove(index);
    let address = validator.metadata.soma_address;
    validator.staking_pool.deactivation_epoch = Some(state.epoch);
    set.at_risk_validators.remove(&address);
    let pool: ObjectId = validator.staking_pool.id;
    set.inactive_validators.insert(pool, validator);
    state.validator_report_records.remove(&address);
    for reporters in state.validator_report_records.values_mut() {
        reporters.remove(&address);
    }
    state.validator_report_records.retain(|_, reporters| !reporters.is_empty());
}

fn apply_staged_metadata(validator: &mut Validator) {
    fn apply<T>(value: &mut T, staged: &mut Option<T>) {
        if let Some(staged) = staged.take() {
            *value = staged;
        }
    }
    let metadata = &mut validator.metadata;
    apply(&mut metadata.protocol_pubkey, &mut metadata.next_epoch_protocol_pubkey);
    apply(&mut metadata.network_pubkey, &mut metadata.next_epoch_network_pubkey);
    apply(&mut metadata.worker_pubkey, &mut metadata.next_epoch_worker_pubkey);
    apply(&mut metadata.proof_of_possession, &mut metadata.next_epoch_proof_of_possession);
    apply(&mut metadata.net_address, &mut metadata.next_epoch_net_address);
    apply(&mut metadata.p2p_address, &mut metadata.next_epoch_p2p_address);
    apply(&mut metadata.primary_address, &mut metadata.next_epoch_primary_address);
    apply(&mut metadata.proxy_address, &mut metadata.next_epoch_proxy_address);
}

fn total_stake(validators: &[Validator]) -> u64 {
    validators
        .iter()
        .fold(0, |sum, validator| sum.saturating_add(validator.staking_pool.soma_balance))
}

fn raw_power(stake: u64, total: u64) -> u64 {
    if total == 0 {
        return 0;
    }
    pool::saturate(u128::from(stake) * u128::from(TOTAL_VOTING_POWER) / u128::from(total))
}
