//! Staking with validators and on models, and getting the money back.

use soma_proto::effects::ExecutionFailure;
use soma_proto::object::StakedSoma;
use soma_proto::system_state::{ModelStatus, SystemStateV1};
use soma_proto::{Address, ObjectId, ObjectRef};

use super::coins::{all_but, invalid, rest_after};
use super::work::Work;
use super::{Done, Fees};
use crate::pool;
use crate::state::{Place, State};

/// `AddStake`.
pub(super) fn add(
    work: &mut Work,
    state: &mut State,
    validator: Address,
    coin: &ObjectRef,
    amount: Option<u64>,
    fees: Fees,
) -> Done {
    let stake = Stake::from_coin(work, &coin.id(), amount, fees.reserve(3), fees.reserve(3))?;
    let place =
        find_validator(state.fields(), &validator).ok_or(ExecutionFailure::ValidatorNotFound)?;
    stake.not_zero()?;
    let validator = state.validator_mut(place).ok_or(ExecutionFailure::ValidatorNotFound)?;
    validator.next_epoch_stake = validator.next_epoch_stake.saturating_add(stake.amount);
    pool::add_stake(&mut validator.staking_pool, stake.amount);
    let pool_id = validator.staking_pool.id;
    stake.take(work, state, pool_id);
    Ok(())
}

/// `AddStakeToModel`. Of a coin that pays for itself it asks one write less
/// than is charged (L-9).
pub(super) fn add_to_model(
    work: &mut Work,
    state: &mut State,
    model: &ObjectId,
    coin: &ObjectRef,
    amount: Option<u64>,
    fees: Fees,
) -> Done {
    let stake = Stake::from_coin(work, &coin.id(), amount, fees.reserve(2), fees.reserve(3))?;
    stake.not_zero()?;
    let status = state.status(model);
    if !matches!(status, Some(ModelStatus::Active | ModelStatus::Committed)) {
        return Err(ExecutionFailure::ModelNotFound);
    }
    if status == Some(ModelStatus::Active) {
        state.add_model_stake(stake.amount);
    }
    let model = state.model_mut(model).ok_or(ExecutionFailure::ModelNotFound)?;
    pool::add_stake(&mut model.staking_pool, stake.amount);
    let pool_id = model.staking_pool.id;
    stake.take(work, state, pool_id);
    Ok(())
}

/// `WithdrawStake`.
pub(super) fn withdraw(work: &mut Work, state: &mut State, receipt: &ObjectRef) -> Done {
    let id = receipt.id();
    let receipt = work.owned_receipt(&id)?;
    let payment = match find_pool(state, &receipt.pool_id) {
        Some(Found::Validator(place)) => withdraw_from_validator(state, place, &receipt),
        Some(Found::Model(model, status)) => withdraw_from_model(state, &model, status, &receipt),
        None => None,
    };
    let payment = payment.ok_or(ExecutionFailure::StakingPoolNotFound)?;
    work.delete(&id);
    work.create_coin(payment, work.sender);
    Ok(())
}

fn withdraw_from_validator(state: &mut State, place: Place, receipt: &StakedSoma) -> Option<u64> {
    let epoch = state.fields().epoch;
    let validator = state.validator_mut(place)?;
    let payment = pool::withdraw(&mut validator.staking_pool, receipt, epoch);
    validator.next_epoch_stake = validator.next_epoch_stake.saturating_sub(payment);
    Some(payment)
}

fn withdraw_from_model(
    state: &mut State,
    model: &ObjectId,
    status: ModelStatus,
    receipt: &StakedSoma,
) -> Option<u64> {
    let epoch = state.fields().epoch;
    let pool = &mut state.model_mut(model)?.staking_pool;
    let payment = match status {
        ModelStatus::Active | ModelStatus::Committed => pool::withdraw(pool, receipt, epoch),
        _ => pool::withdraw_inactive_model(pool, receipt, epoch),
    };
    if status == ModelStatus::Active {
        state.sub_model_stake(payment);
    }
    Some(payment)
}

/// Money on its way from a coin into a pool.
struct Stake {
    coin: ObjectId,
    amount: u64,
    rest: u64,
}

impl Stake {
    /// Reads the coin. If it is the one that pays, it must keep `reserve` next
    /// to an amount, or `whole_reserve` if all of it is staked.
    fn from_coin(
        work: &Work,
        coin: &ObjectId,
        amount: Option<u64>,
        reserve: u128,
        whole_reserve: u128,
    ) -> Result<Self, ExecutionFailure> {
        let balance = work.owned_coin(coin)?;
        let (amount, rest) = match (amount, work.is_gas(coin)) {
            (Some(amount), true) => (amount, rest_after(balance, u128::from(amount), reserve)?),
            (Some(amount), false) => (amount, rest_after(balance, u128::from(amount), 0)?),
            (None, true) => all_but(u128::from(balance), whole_reserve)?,
            (None, false) => (balance, 0),
        };
        Ok(Self { coin: *coin, amount, rest })
    }

    fn not_zero(&self) -> Done {
        if self.amount == 0 {
            return Err(invalid("the amount to stake is 0"));
        }
        Ok(())
    }

    /// Takes the money out of the coin and makes the receipt.
    fn take(&self, work: &mut Work, state: &State, pool_id: ObjectId) {
        if self.rest == 0 && !work.is_gas(&self.coin) {
            work.delete(&self.coin);
        } else {
            work.set_balance(&self.coin, self.rest);
        }
        work.create_receipt(&new_receipt(state, pool_id, self.amount));
    }
}

/// A receipt that counts from the next epoch.
pub(super) fn new_receipt(state: &State, pool_id: ObjectId, principal: u64) -> StakedSoma {
    let stake_activation_epoch = state.fields().epoch.saturating_add(1);
    StakedSoma { pool_id, stake_activation_epoch, principal }
}

/// An active or a joining validator.
fn find_validator(fields: &SystemStateV1, address: &Address) -> Option<Place> {
    let set = &fields.validators;
    let position = |list: &[soma_proto::system_state::Validator]| {
        list.iter().position(|validator| validator.metadata.soma_address == *address)
    };
    position(&set.validators)
        .map(Place::Active)
        .or_else(|| position(&set.pending_validators).map(Place::Pending))
}

enum Found {
    Validator(Place),
    Model(ObjectId, ModelStatus),
}

/// The pool with this id. One that is registered under the id but has another
/// does not count (L-13).
fn find_pool(state: &State, pool: &ObjectId) -> Option<Found> {
    let fields = state.fields();
    let set = &fields.validators;
    let current = set.staking_pool_mappings.get(pool).and_then(|a| find_validator(fields, a));
    let place = current
        .or_else(|| set.inactive_validators.contains_key(pool).then_some(Place::Inactive(*pool)));
    if let Some(place) = place {
        let validator = match place {
            Place::Active(index) => set.validators.get(index),
            Place::Pending(index) => set.pending_validators.get(index),
            Place::Inactive(id) => set.inactive_validators.get(&id),
        };
        let same = validator.is_some_and(|validator| validator.staking_pool.id == *pool);
        return same.then_some(Found::Validator(place));
    }
    let registry = &fields.model_registry;
    let id = registry.staking_pool_mappings.get(pool)?;
    let model = registry.get(id)?;
    let status = state.status(id)?;
    (model.staking_pool.id == *pool).then_some(Found::Model(*id, status))
}
