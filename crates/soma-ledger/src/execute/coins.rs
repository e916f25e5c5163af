//! Moving coins and other objects.

use soma_proto::effects::ExecutionFailure;
use soma_proto::{Address, ObjectId, ObjectRef};

use super::work::Work;
use super::{Done, Fees};
use crate::pool;

/// `TransferCoin`.
pub(super) fn transfer(
    work: &mut Work,
    coin: &ObjectRef,
    amount: Option<u64>,
    recipient: Address,
    fees: Fees,
) -> Done {
    let id = coin.id();
    let balance = work.owned_coin(&id)?;
    match (amount, work.is_gas(&id)) {
        (Some(amount), true) => {
            let rest = rest_after(balance, u128::from(amount), fees.reserve(2))?;
            work.set_balance(&id, rest);
            work.create_coin(amount, recipient);
        }
        (Some(amount), false) if amount == balance => work.give(&id, recipient),
        (Some(amount), false) => {
            let rest = rest_after(balance, u128::from(amount), 0)?;
            work.set_balance(&id, rest);
            work.create_coin(amount, recipient);
        }
        (None, true) => {
            let (moved, kept) = all_but(u128::from(balance), fees.reserve(2))?;
            work.set_balance(&id, kept);
            work.create_coin(moved, recipient);
        }
        (None, false) => work.give(&id, recipient),
    }
    Ok(())
}

/// `PayCoins` with amounts.
pub(super) fn pay(
    work: &mut Work,
    coins: &[ObjectRef],
    amounts: &[u64],
    recipients: &[Address],
    fees: Fees,
) -> Done {
    some_of_both(coins, recipients)?;
    if amounts.len() != recipients.len() {
        return Err(invalid("amounts and recipients differ in number"));
    }
    let coins = Listed::of(work, coins)?;
    let paid: u128 = amounts.iter().map(|amount| u128::from(*amount)).sum();
    // The reserve is asked of the listed coins even if another coin pays.
    let reserve = fees.reserve(recipients.len() as u64 + 1);
    if coins.sum < paid + reserve {
        return Err(ExecutionFailure::InsufficientCoinBalance);
    }
    coins.merge(work, pool::saturate(coins.sum - paid));
    for (amount, recipient) in amounts.iter().zip(recipients) {
        work.create_coin(*amount, *recipient);
    }
    Ok(())
}

/// `PayCoins` without amounts: everything to one recipient.
pub(super) fn pay_all(
    work: &mut Work,
    coins: &[ObjectRef],
    recipients: &[Address],
    fees: Fees,
) -> Done {
    some_of_both(coins, recipients)?;
    let [recipient] = recipients else {
        return Err(invalid("paying everything needs exactly one recipient"));
    };
    let coins = Listed::of(work, coins)?;
    if coins.has_gas {
        let (moved, kept) = all_but(coins.sum, fees.reserve(2))?;
        coins.merge(work, kept);
        work.create_coin(moved, *recipient);
    } else {
        coins.merge(work, pool::saturate(coins.sum));
        work.give(&coins.keeper, *recipient);
    }
    Ok(())
}

/// `TransferObjects`.
pub(super) fn transfer_objects(work: &mut Work, objects: &[ObjectRef], recipient: Address) -> Done {
    if objects.is_empty() {
        return Err(invalid("there is no object to transfer"));
    }
    for object in objects {
        work.owned(&object.id())?;
    }
    for object in objects {
        work.give(&object.id(), recipient);
    }
    Ok(())
}

/// What is left of a coin after `amount`, if it can keep `reserve` too.
pub(super) fn rest_after(
    balance: u64,
    amount: u128,
    reserve: u128,
) -> Result<u64, ExecutionFailure> {
    let balance = u128::from(balance);
    if balance < amount + reserve {
        return Err(ExecutionFailure::InsufficientCoinBalance);
    }
    Ok(pool::saturate(balance - amount))
}

/// Splits a sum into what moves and the `reserve` that stays; something has
/// to move.
pub(super) fn all_but(sum: u128, reserve: u128) -> Result<(u64, u64), ExecutionFailure> {
    if sum <= reserve {
        return Err(ExecutionFailure::InsufficientCoinBalance);
    }
    Ok((pool::saturate(sum - reserve), pool::saturate(reserve)))
}

pub(super) fn invalid(reason: &str) -> ExecutionFailure {
    ExecutionFailure::InvalidArguments { reason: reason.to_owned() }
}

fn some_of_both(coins: &[ObjectRef], recipients: &[Address]) -> Done {
    if coins.is_empty() {
        return Err(invalid("there is no coin to pay with"));
    }
    if recipients.is_empty() {
        return Err(invalid("there is no recipient"));
    }
    Ok(())
}

/// The coins of a `PayCoins` without those that smashing deleted (L-4).
struct Listed {
    ids: Vec<ObjectId>,
    sum: u128,
    /// The coin into which the others are merged: the gas coin if it is
    /// listed, else the first.
    keeper: ObjectId,
    has_gas: bool,
}

impl Listed {
    fn of(work: &Work, coins: &[ObjectRef]) -> Result<Self, ExecutionFailure> {
        let mut ids = Vec::new();
        let mut sum = 0;
        for coin in coins {
            let id = coin.id();
            if work.is_smashed(&id) {
                continue;
            }
            sum += u128::from(work.owned_coin(&id)?);
            ids.push(id);
        }
        let gas = ids.iter().find(|id| work.is_gas(id)).copied();
        let keeper = gas.or_else(|| ids.first().copied());
        let keeper = keeper.ok_or(ExecutionFailure::InsufficientCoinBalance)?;
        Ok(Self { ids, sum, keeper, has_gas: gas.is_some() })
    }

    /// Leaves `balance` in one coin and deletes the others.
    fn merge(&self, work: &mut Work, balance: u64) {
        for id in &self.ids {
            if *id != self.keeper {
                work.delete(id);
            }
        }
        work.set_balance(&self.keeper, balance);
    }
}
