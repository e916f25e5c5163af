//! Staking pools: shares, rates, and what a receipt is worth.
//!
//! A pool counts two totals, shannons and shares. Stake and withdrawals wait
//! in pending fields until the boundary of an epoch moves them into the
//! totals, although a withdrawal is paid at once. No total goes below zero:
//! where more would be taken than there is, as much as there is is taken.

use soma_proto::object::StakedSoma;
use soma_proto::system_state::{PoolTokenExchangeRate, StakingPool};

/// Basis points in a whole.
const BPS: u128 = 10_000;

/// `floor(amount * bps / 10000)`.
pub(crate) fn bps_of(amount: u64, bps: u64) -> u64 {
    saturate(u128::from(amount) * u128::from(bps) / BPS)
}

/// A number as `u64`, or the largest one if it does not fit.
pub(crate) fn saturate(number: u128) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

/// Shares that `amount` shannons are worth.
pub(crate) fn tokens(rate: PoolTokenExchangeRate, amount: u64) -> u64 {
    convert(rate.pool_token_amount, rate.soma_amount, amount)
}

/// Shannons that `tokens` shares are worth.
pub(crate) fn soma(rate: PoolTokenExchangeRate, tokens: u64) -> u64 {
    convert(rate.soma_amount, rate.pool_token_amount, tokens)
}

fn convert(to: u64, from: u64, amount: u64) -> u64 {
    if to == 0 || from == 0 {
        return amount;
    }
    saturate(u128::from(to) * u128::from(amount) / u128::from(from))
}

/// The rate that counts in `epoch`; `(0, 0)` stands for one to one.
pub(crate) fn rate_at(pool: &StakingPool, epoch: u64) -> PoolTokenExchangeRate {
    match pool.activation_epoch {
        Some(activation) if activation <= epoch => {
            let epoch = pool.deactivation_epoch.map_or(epoch, |end| end.min(epoch));
            let nearest = pool.exchange_rates.range(..=epoch).next_back();
            nearest.map(|(_, rate)| *rate).unwrap_or_default()
        }
        _ => PoolTokenExchangeRate::default(),
    }
}

/// Adds stake. A pool that is not active yet counts it at once.
pub(crate) fn add_stake(pool: &mut StakingPool, amount: u64) {
    pool.pending_stake = pool.pending_stake.saturating_add(amount);
    if pool.activation_epoch.is_none() {
        settle_stake(pool);
    }
}

/// Adds rewards.
pub(crate) fn add_rewards(pool: &mut StakingPool, amount: u64) {
    pool.soma_balance = pool.soma_balance.saturating_add(amount);
    pool.rewards_pool = pool.rewards_pool.saturating_add(amount);
}

/// Moves withdrawals out of the totals (R-4.4, part 1).
pub(crate) fn settle_withdrawals(pool: &mut StakingPool) {
    let soma = std::mem::take(&mut pool.pending_total_soma_withdraw);
    let tokens = std::mem::take(&mut pool.pending_pool_token_withdraw);
    pool.soma_balance = pool.soma_balance.saturating_sub(soma);
    pool.pool_token_balance = pool.pool_token_balance.saturating_sub(tokens);
}

/// Moves new stake into the totals (R-4.4, part 2).
pub(crate) fn settle_stake(pool: &mut StakingPool) {
    let rate = totals(pool);
    let stake = std::mem::take(&mut pool.pending_stake);
    pool.soma_balance = pool.soma_balance.saturating_add(stake);
    pool.pool_token_balance = if pool.soma_balance == stake && pool.pool_token_balance == 0 {
        stake
    } else {
        tokens(rate, pool.soma_balance)
    };
}

/// Stores the rate of a new epoch (R-4.4, part 3).
pub(crate) fn store_rate(pool: &mut StakingPool, epoch: u64) {
    pool.exchange_rates.insert(epoch, totals(pool));
}

/// Takes `bps` of the shannons away and returns how many that were. Shares,
/// rates and receipts stay.
pub(crate) fn slash(pool: &mut StakingPool, bps: u64) -> u64 {
    let amount = bps_of(pool.soma_balance, bps).min(pool.soma_balance);
    pool.soma_balance -= amount;
    amount
}

/// Withdraws a receipt from a pool that is not that of an inactive model, and
/// returns what is paid (R-4.5, L-11).
pub(crate) fn withdraw(pool: &mut StakingPool, receipt: &StakedSoma, epoch: u64) -> u64 {
    if receipt.stake_activation_epoch > epoch {
        return take_pending(pool, receipt.principal);
    }
    let (shares, payment) = value(pool, receipt, epoch);
    pool.rewards_pool -= payment - receipt.principal;
    pool.pending_total_soma_withdraw = pool.pending_total_soma_withdraw.saturating_add(payment);
    pool.pending_pool_token_withdraw = pool.pending_pool_token_withdraw.saturating_add(shares);
    if pool.deactivation_epoch.is_some() {
        settle_withdrawals(pool);
    }
    payment
}

/// Withdraws a receipt from the pool of an inactive model, and returns what is
/// paid (L-12). A receipt that counts from after the newest rate is paid like
/// pending stake even if it was given before the reveal and counted at once:
/// nothing in it tells, and the slash may have fallen on others.
pub(crate) fn withdraw_inactive_model(
    pool: &mut StakingPool,
    receipt: &StakedSoma,
    epoch: u64,
) -> u64 {
    let newest = pool.exchange_rates.last_key_value().map(|(epoch, _)| *epoch);
    let was_pending = newest.is_some_and(|newest| receipt.stake_activation_epoch > newest);
    if pool.activation_epoch.is_some() && was_pending {
        return take_pending(pool, receipt.principal);
    }
    let slashed = pool.soma_balance < pool.pool_token_balance;
    let (shares, full) = value(pool, receipt, epoch);
    let payment = if slashed {
        convert_floor(pool.soma_balance, shares, pool.pool_token_balance)
    } else {
        pool.rewards_pool -= full - receipt.principal;
        full
    };
    let payment = payment.min(pool.soma_balance);
    pool.soma_balance -= payment;
    pool.pool_token_balance = pool.pool_token_balance.saturating_sub(shares);
    payment
}

/// Shares of a receipt, and principal plus reward.
fn value(pool: &StakingPool, receipt: &StakedSoma, epoch: u64) -> (u64, u64) {
    let shares = tokens(rate_at(pool, receipt.stake_activation_epoch), receipt.principal);
    let worth = soma(rate_at(pool, epoch), shares);
    let reward = worth.saturating_sub(receipt.principal).min(pool.rewards_pool);
    (shares, receipt.principal.saturating_add(reward))
}

/// Takes stake that does not count yet. What is not pending was counted early,
/// because the pool was not active, and leaves the totals.
fn take_pending(pool: &mut StakingPool, principal: u64) -> u64 {
    let pending = principal.min(pool.pending_stake);
    pool.pending_stake -= pending;
    let counted = (principal - pending).min(pool.soma_balance);
    pool.soma_balance -= counted;
    pool.pool_token_balance = pool.pool_token_balance.saturating_sub(counted);
    pending + counted
}

fn convert_floor(amount: u64, part: u64, whole: u64) -> u64 {
    saturate(u128::from(amount) * u128::from(part) / u128::from(whole.max(1)))
}

const fn totals(pool: &StakingPool) -> PoolTokenExchangeRate {
    PoolTokenExchangeRate {
        soma_amount: pool.soma_balance,
        pool_token_amount: pool.pool_token_balance,
    }
}
