//! Where all the money is.

use soma_proto::system_state::StakingPool;
use soma_proto::target::Target;
use soma_proto::{Object, ObjectType};

use crate::Ledger;

/// The money of a chain by the place it is in; all in shannons.
///
/// Paid withdrawals that a pool still counts are not in `validator_pools` and
/// `model_pools`: that money is in `coins` already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Supply {
    /// In coins.
    pub coins: u128,
    /// In the emission pool.
    pub emission_pool: u128,
    /// Kept back by safe mode.
    pub safe_mode: u128,
    /// In the pools of validators in all states.
    pub validator_pools: u128,
    /// In the pools of models in all states.
    pub model_pools: u128,
    /// In targets, forgotten ones included.
    pub targets: u128,
    /// Fees charged in this epoch and not handed out yet.
    pub fees: u128,
    /// Destroyed by slashing.
    pub slashed: u128,
}

impl Supply {
    pub(crate) fn of(ledger: &Ledger) -> Self {
        let state = ledger.system_state();
        let set = &state.validators;
        let validators = set
            .validators
            .iter()
            .chain(&set.pending_validators)
            .chain(set.inactive_validators.values());
        let targets: u128 = ledger.objects().filter_map(target_reward).map(u128::from).sum();
        Self {
            coins: ledger.objects().filter_map(Object::coin_balance).map(u128::from).sum(),
            emission_pool: u128::from(state.emission_pool.balance),
            safe_mode: u128::from(state.safe_mode_accumulated_fees)
                + u128::from(state.safe_mode_accumulated_emissions),
            validator_pools: validators.map(|validator| pool_total(&validator.staking_pool)).sum(),
            model_pools: state
                .model_registry
                .iter()
                .map(|(_, model)| pool_total(&model.staking_pool))
                .sum(),
            targets: targets + u128::from(ledger.counters.forgotten_rewards),
            fees: u128::from(ledger.counters.epoch_fees.total_fee),
            slashed: u128::from(ledger.counters.slashed),
        }
    }

    /// All of it. The same at every moment: ten million SOMA on a chain that
    /// began with [`GenesisConfig`](crate::GenesisConfig).
    pub const fn total(&self) -> u128 {
        let Self {
            coins,
            emission_pool,
            safe_mode,
            validator_pools,
            model_pools,
            targets,
            fees,
            slashed,
        } = *self;
        coins + emission_pool + safe_mode + validator_pools + model_pools + targets + fees + slashed
    }
}

/// The reward in a target, if the object is one.
pub(crate) fn target_reward(object: &Object) -> Option<u64> {
    if object.object_type() != ObjectType::Target {
        return None;
    }
    bcs::from_bytes::<Target>(object.inner()).ok().map(|target| target.reward_pool)
}

const fn pool_total(pool: &StakingPool) -> u128 {
    (pool.soma_balance as u128 + pool.pending_stake as u128)
        .saturating_sub(pool.pending_total_soma_withdraw as u128)
}
