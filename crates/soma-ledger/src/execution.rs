//! What a transaction did, with everything that a store has to keep.

use std::collections::BTreeMap;

use soma_proto::effects::TransactionEffects;
use soma_proto::{Address, Object, ObjectId, ObjectRef, SignedTransaction};

/// An executed transaction, successful or not.
///
/// The system state is large, so it is not among `written`: `system_state`
/// holds its new reference, `touched_models` the models that differ, and
/// [`Ledger::skeleton`](crate::Ledger::skeleton) all the rest of it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Execution {
    /// The transaction. That of a simulation has the gas coins that were
    /// chosen for it and no signatures.
    pub transaction: SignedTransaction,
    /// The effects.
    pub effects: TransactionEffects,
    /// The owned inputs as they were before, by id; those that did not change too.
    pub inputs: Vec<Object>,
    /// The objects created or changed, by id, without the system state.
    pub written: Vec<Object>,
    /// The objects deleted, by id.
    pub deleted: Vec<ObjectId>,
    /// The system state before and after, if it was written.
    pub system_state: Option<StateChange>,
    /// The models whose entry in the registry changed, by id.
    pub touched_models: Vec<ObjectId>,
    /// Old targets that the ledger has dropped without a trace on the chain
    /// (L-24), by id. Only an epoch change has any.
    pub forgotten: Vec<ObjectId>,
    /// Change of each account's coins, by account, without zeros.
    pub balance_changes: Vec<BalanceChange>,
}

/// The system state before and after.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StateChange {
    /// The reference before; absent at genesis.
    pub before: Option<ObjectRef>,
    /// The reference after.
    pub after: ObjectRef,
}

/// How the coins of an account changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BalanceChange {
    /// The account.
    pub address: Address,
    /// Shannons gained, negative if lost.
    pub amount: i128,
}

impl Execution {
    /// Whether the transaction did what it was to do.
    pub const fn is_success(&self) -> bool {
        self.effects.is_success()
    }
}

/// Sums up coins by account: what was there before counts negative.
pub(crate) fn balance_changes<'a>(
    before: impl Iterator<Item = &'a Object>,
    after: impl Iterator<Item = &'a Object>,
) -> Vec<BalanceChange> {
    let mut sums = BTreeMap::<Address, i128>::new();
    let signed = before.map(|object| (object, -1)).chain(after.map(|object| (object, 1)));
    for (object, sign) in signed {
        if let (Some(balance), Some(address)) = (object.coin_balance(), object.owner.address()) {
            *sums.entry(address).or_default() += sign * i128::from(balance);
        }
    }
    sums.retain(|_, amount| *amount != 0);
    sums.into_iter().map(|(address, amount)| BalanceChange { address, amount }).collect()
}
