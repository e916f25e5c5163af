//! Executing a transaction.
//!
//! Objects are changed in a [`Work`] beside the ledger and moved into it at
//! the end; the system state is changed in place and taken back if the
//! transaction fails.

mod coins;
mod model;
mod stake;
mod work;

use soma_proto::effects::{ExecutionFailure, TransactionFee};
use soma_proto::{
    Address, Object, ObjectId, ObjectRef, SignedTransaction, TransactionData, TransactionDigest,
    TransactionKind,
};

pub(crate) use self::work::state_entry;
use self::work::{Outcome, Work};
use crate::execution::Execution;
use crate::state::State;
use crate::{Ledger, Rejection, check, pool};

/// What a kind does, or why it cannot.
type Done = Result<(), ExecutionFailure>;

/// Most coins that a simulation lets pay.
const MAX_SIMULATED_GAS: usize = 100;
/// Id of the coin that a simulation makes up.
const PRETEND_COIN_ID: ObjectId = ObjectId::new([0xff; 32]);
/// Balance of that coin in shannons.
const PRETEND_BALANCE: u64 = 1_000_000_000_000_000_000;

/// Whether a simulation picks the sender's coins when none is given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "on and off")]
pub enum Checks {
    /// It does.
    #[default]
    Enabled,
    /// It makes a coin up.
    Disabled,
}

/// Executes a transaction that has passed all checks.
pub(crate) fn apply(ledger: &mut Ledger, transaction: &SignedTransaction) -> Execution {
    let digest = transaction.digest();
    let inputs = load(ledger, &transaction.data, None);
    let execution = run(ledger, transaction.clone(), digest, inputs);
    for object in &execution.written {
        ledger.objects.insert(object.id(), object.clone());
    }
    for id in &execution.deleted {
        ledger.objects.remove(id);
    }
    if let Some(change) = execution.system_state {
        ledger.state.settle(change.after, digest);
    }
    let fee = execution.effects.v1().transaction_fee;
    add_fees(&mut ledger.counters.epoch_fees, fee);
    execution
}

/// Executes a transaction and takes everything back.
pub(crate) fn simulate(
    ledger: &mut Ledger,
    data: &TransactionData,
    checks: Checks,
) -> Result<Execution, Rejection> {
    check::user_kind(data)?;
    let mut data = data.clone();
    let mut pretend = None;
    if data.gas_payment().is_empty() {
        let mut gas = match checks {
            Checks::Enabled => own_coins(ledger, &data),
            Checks::Disabled => Vec::new(),
        };
        if gas.is_empty() {
            let coin = pretend_coin(data.sender());
            gas.push(coin.reference());
            pretend = Some(coin);
        }
        data = TransactionData::new(data.kind().clone(), data.sender(), gas);
    }
    check::inputs(ledger, &data, pretend.as_ref())?;
    let inputs = load(ledger, &data, pretend);
    let digest = data.digest();
    let execution = run(ledger, SignedTransaction::new(data, Vec::new()), digest, inputs);
    ledger.state.revert();
    Ok(execution)
}

/// Adds the fees of one transaction to those of an epoch.
pub(crate) fn add_fees(sum: &mut TransactionFee, fee: TransactionFee) {
    sum.base_fee = sum.base_fee.saturating_add(fee.base_fee);
    sum.operation_fee = sum.operation_fee.saturating_add(fee.operation_fee);
    sum.value_fee = sum.value_fee.saturating_add(fee.value_fee);
    sum.total_fee = sum.total_fee.saturating_add(fee.total_fee);
}

/// Steps 1 to 5 of. The state keeps its changes, not yet settled.
fn run(
    ledger: &mut Ledger,
    transaction: SignedTransaction,
    digest: TransactionDigest,
    inputs: Vec<Object>,
) -> Execution {
    let state = &mut ledger.state;
    let data = &transaction.data;
    let parameters = &state.fields().parameters;
    let base_fee = parameters.base_fee;
    let write_fee = parameters.write_object_fee;

    let mut work = Work::new(state, data, digest, inputs);
    work.smash();
    let value_fee = value_fee(&work, data.kind(), parameters.value_fee_bps);
    if work.gas_balance() < base_fee {
        return work.finish(state, transaction, Outcome::NotStarted);
    }
    work.charge(base_fee);
    let failed = |mut work: Work, state: &mut State, transaction, error| {
        state.revert();
        work.restart(base_fee);
        let fee = TransactionFee::new(base_fee, 0, 0);
        work.finish(state, transaction, Outcome::Failed { error, fee })
    };
    if !work.is_live(&work.gas_id()) {
        return failed(work, state, transaction, ExecutionFailure::InsufficientGas);
    }
    let fees = Fees { value: value_fee, write: write_fee };
    if let Err(error) = run_kind(&mut work, state, transaction.data.kind(), fees) {
        return failed(work, state, transaction, error);
    }
    let operation_fee = write_fee.saturating_mul(work.written_count());
    let rest = operation_fee.checked_add(value_fee).filter(|fee| *fee <= work.gas_balance());
    let Some(rest) = rest else {
        return failed(work, state, transaction, ExecutionFailure::InsufficientGas);
    };
    work.charge(rest);
    state.encode_touched();
    let fee = TransactionFee::new(base_fee, operation_fee, value_fee);
    work.finish(state, transaction, Outcome::Succeeded { fee })
}

/// The fees that a kind must leave in a coin which pays for itself.
#[derive(Clone, Copy, Debug)]
struct Fees {
    /// Value fee of this transaction.
    value: u64,
    /// Fee of one written object.
    write: u64,
}

impl Fees {
    /// The value fee and the fee for `writes` objects; in 128 bits, where no
    /// sum with an amount can overflow (L-7).
    fn reserve(self, writes: u64) -> u128 {
        u128::from(self.value) + u128::from(self.write) * u128::from(writes)
    }
}

fn run_kind(work: &mut Work, state: &mut State, kind: &TransactionKind, fees: Fees) -> Done {
    match kind {
        TransactionKind::TransferCoin { coin, amount, recipient } => {
            coins::transfer(work, coin, *amount, *recipient, fees)
        }
        TransactionKind::PayCoins { coins, amounts, recipients } => match amounts {
            Some(amounts) => coins::pay(work, coins, amounts, recipients, fees),
            None => coins::pay_all(work, coins, recipients, fees),
        },
        TransactionKind::TransferObjects { objects, recipient } => {
            coins::transfer_objects(work, objects, *recipient)
        }
        TransactionKind::AddStake { address, coin_ref, amount } => {
            stake::add(work, state, *address, coin_ref, *amount, fees)
        }
        TransactionKind::WithdrawStake { staked_soma } => stake::withdraw(work, state, staked_soma),
        TransactionKind::AddStakeToModel { model_id, coin_ref, amount } => {
            stake::add_to_model(work, state, model_id, coin_ref, *amount, fees)
        }
        TransactionKind::CommitModel(commit) => model::commit(work, state, commit, fees),
        TransactionKind::RevealModel(reveal) => model::reveal(work, state, reveal),
        TransactionKind::CommitModelUpdate(commit) => model::commit_update(work, state, commit),
        TransactionKind::RevealModelUpdate(reveal) => model::reveal_update(work, state, reveal),
        TransactionKind::SetModelCommissionRate { model_id, new_rate } => {
            model::set_commission(work, state, model_id, *new_rate)
        }
        TransactionKind::DeactivateModel { model_id } => model::deactivate(work, state, model_id),
        TransactionKind::ReportModel { model_id } => model::report(work, state, model_id),
        TransactionKind::UndoReportModel { model_id } => model::undo_report(work, state, model_id),
        _ => Err(ExecutionFailure::InvalidTransactionType),
    }
}

/// The value fee, after smashing and before the base fee. Coins that
/// smashing deleted do not count (L-4).
fn value_fee(work: &Work, kind: &TransactionKind, full_bps: u64) -> u64 {
    let half_bps = full_bps / 2;
    let balance = |coin: &ObjectRef| work.get(&coin.id()).and_then(Object::coin_balance);
    let (value, bps): (u128, u64) = match kind {
        TransactionKind::TransferCoin { coin, amount, .. } => {
            (amount.or_else(|| balance(coin)).unwrap_or_default().into(), full_bps)
        }
        TransactionKind::PayCoins { amounts: Some(amounts), .. } => {
            (amounts.iter().map(|amount| u128::from(*amount)).sum(), full_bps)
        }
        TransactionKind::PayCoins { coins, amounts: None, .. } => {
            (coins.iter().filter_map(balance).map(u128::from).sum(), full_bps)
        }
        TransactionKind::AddStake { coin_ref, amount, .. }
        | TransactionKind::AddStakeToModel { coin_ref, amount, .. } => {
            (amount.or_else(|| balance(coin_ref)).unwrap_or_default().into(), half_bps)
        }
        TransactionKind::CommitModel(commit) => (commit.stake_amount.into(), half_bps),
        TransactionKind::WithdrawStake { staked_soma } => {
            let receipt = work.get(&staked_soma.id()).and_then(Object::as_staked_soma);
            (receipt.map_or(0, |receipt| receipt.principal).into(), half_bps)
        }
        _ => (0, 0),
    };
    pool::saturate(value.saturating_mul(bps.into()) / 10_000)
}

/// The live objects that the transaction names, each once.
fn load(ledger: &Ledger, data: &TransactionData, pretend: Option<Object>) -> Vec<Object> {
    let owned = data.kind().owned_inputs();
    let mut inputs: Vec<_> = owned
        .iter()
        .chain(data.gas_payment())
        .filter_map(|reference| ledger.objects.get(&reference.id()).cloned())
        .chain(pretend)
        .collect();
    inputs.sort_by_key(Object::id);
    inputs.dedup_by_key(|object| object.id());
    inputs
}

fn own_coins(ledger: &Ledger, data: &TransactionData) -> Vec<ObjectRef> {
    let owned = data.kind().owned_inputs();
    let unused = |coin: &&Object| owned.iter().all(|reference| reference.id() != coin.id());
    let coins = ledger.coins_of(&data.sender());
    coins.into_iter().filter(unused).take(MAX_SIMULATED_GAS).map(Object::reference).collect()
}

fn pretend_coin(owner: Address) -> Object {
    Object::coin(PRETEND_COIN_ID, 1, PRETEND_BALANCE, owner, TransactionDigest::ZERO)
}

#[cfg(test)]
mod tests {
    use soma_proto::KeyPair;
    use soma_proto::bls::BlsKeyPair;

    use super::*;
    use crate::{GenesisConfig, GenesisValidator};

    /// The checks let no such transaction through; execution does not rely on
    /// them.
    #[test]
    fn objects_of_others_are_not_touched() {
        let [alice, bob, validator] = [1, 2, 3].map(|n| KeyPair::from_bytes([n; 32]));
        let public_key = validator.public_key();
        let protocol_key = BlsKeyPair::from_bytes(&[4; 32]).expect("a scalar");
        let address = public_key.address();
        let validators =
            vec![GenesisValidator::new(address, &protocol_key, public_key, public_key)];
        let accounts = [alice.address(), bob.address()];
        let config = GenesisConfig::local(0, &accounts, None, validators);
        let (mut ledger, _) = Ledger::genesis(&config).expect("a genesis");

        let recipient = alice.address();
        let coin = ledger.coins_of(&bob.address())[0].reference();
        let receipt = ledger.objects().find(|object| object.as_staked_soma().is_some());
        let staked_soma = receipt.expect("the validator's").reference();
        let amount = Some(1000);
        let kinds = [
            TransactionKind::TransferCoin { coin, amount, recipient },
            TransactionKind::PayCoins {
                coins: vec![coin],
                amounts: Some(vec![1000]),
                recipients: vec![recipient],
            },
            TransactionKind::TransferObjects { objects: vec![coin], recipient },
            TransactionKind::AddStake { address, coin_ref: coin, amount },
            TransactionKind::AddStakeToModel { model_id: ObjectId::ZERO, coin_ref: coin, amount },
            TransactionKind::WithdrawStake { staked_soma },
        ];
        let theirs = [coin, staked_soma].map(|reference| ledger.object(&reference.id()).cloned());
        for kind in kinds {
            let name = kind.name();
            let gas = ledger.coins_of(&alice.address())[0].reference();
            let done = apply(
                &mut ledger,
                &TransactionData::new(kind, alice.address(), vec![gas]).sign(&alice),
            );
            let failure = done.effects.failure().map(ExecutionFailure::name);
            assert_eq!(failure, Some("InvalidOwnership"), "{name}");
        }
        let after = [coin, staked_soma].map(|reference| ledger.object(&reference.id()).cloned());
        assert_eq!(after, theirs);
    }
}
