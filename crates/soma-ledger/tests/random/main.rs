//! What must hold on every path that a chain can take.

#![allow(missing_docs, reason = "the names of the tests say what they check")]

mod mirror;
mod steps;

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use soma_ledger::{Execution, Ledger, TOTAL_SUPPLY};
use soma_proto::effects::{ObjectIn, ObjectOut};
use soma_proto::system_state::{Model, SystemState, SystemStateV1};
use soma_proto::{
    KeyPair, Object, ObjectId, ObjectRef, TransactionData, TransactionDigest, TransactionKind,
};

use self::mirror::Mirror;
use self::steps::{STEP_BYTES, Step, small_chain, take};

fn walk(length: usize) -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec(any::<[u8; STEP_BYTES]>().prop_map(Step), length)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    /// No money comes or goes, failures do nothing but charge, and the store's
    /// deltas rebuild the ledger.
    #[test]
    fn invariants_hold(steps in walk(150)) {
        let (mut ledger, genesis) = small_chain();
        let mut mirror = Mirror::new(&ledger, &genesis);
        for step in steps {
            let before = Before::of(&ledger);
            let Some(done) = take(&mut ledger, step) else { continue };
            prop_assert_eq!(ledger.supply().total(), u128::from(TOTAL_SUPPLY));
            let state = SystemState::V1(Box::new(ledger.system_state().clone()));
            let object = ledger.state_object();
            prop_assert_eq!(object.inner(), bcs::to_bytes(&state).expect("a BCS form"));
            prop_assert_eq!(object.reference(), ledger.state_reference());
            check_effects(&ledger, &done, &before)?;
            check_slashes(&ledger, &before)?;
            if !done.is_success() {
                check_failure(&ledger, &done, &before.state)?;
            }
            mirror.follow(&ledger, &done);
        }
        mirror.check(&ledger);
    }

    /// The same inputs give the same state, bit by bit.
    #[test]
    fn same_input_same_state(steps in walk(100)) {
        let run = |steps: &[Step]| {
            let (mut ledger, _) = small_chain();
            let digests: Vec<_> = steps
                .iter()
                .filter_map(|step| take(&mut ledger, *step))
                .map(|done| done.effects.digest())
                .collect();
            (digests, ledger.state_reference())
        };
        prop_assert_eq!(run(&steps), run(&steps));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    /// Whatever a transaction says, it is turned away or executed.
    #[test]
    fn arbitrary_transactions(kind: TransactionKind, seed: [u8; 32], fast_gas: bool) {
        let (mut ledger, _) = small_chain();
        let sender = if fast_gas { KeyPair::from_bytes([1; 32]) } else { KeyPair::from_bytes(seed) };
        let gas = ledger.coins_of(&sender.address()).first().map(|coin| coin.reference());
        let data = TransactionData::new(kind, sender.address(), gas.into_iter().collect());
        let _ = ledger.simulate(&data, soma_ledger::Checks::Disabled);
        let _ = ledger.apply(&data.sign(&sender));
        ledger.change_epoch(u64::MAX);
        prop_assert_eq!(ledger.supply().total(), u128::from(TOTAL_SUPPLY));
    }
}

/// What there was before a step.
struct Before {
    state: SystemStateV1,
    state_previous: TransactionDigest,
    slashed: u64,
}

impl Before {
    fn of(ledger: &Ledger) -> Self {
        Self {
            state: ledger.system_state().clone(),
            state_previous: ledger.state_previous_transaction(),
            slashed: ledger.counters().slashed,
        }
    }

    /// What the boundary of an epoch has destroyed, by the status that a model
    /// was in: what the pools of models that became inactive have lost. A
    /// model that its owner retires loses nothing and does not show.
    fn slashes(&self, ledger: &Ledger) -> [(&'static str, u64); 2] {
        let now = &ledger.system_state().model_registry;
        let lost = |models: &BTreeMap<ObjectId, Model>| {
            models
                .iter()
                .filter_map(|(id, model)| Some((&model.staking_pool, now.inactive_models.get(id)?)))
                .map(|(pool, retired)| {
                    let settled = pool.soma_balance - pool.pending_total_soma_withdraw;
                    settled - retired.staking_pool.soma_balance
                })
                .sum()
        };
        let registry = &self.state.model_registry;
        [("reported", lost(&registry.active_models)), ("late", lost(&registry.pending_models))]
    }
}

/// What was slashed is counted.
fn check_slashes(ledger: &Ledger, before: &Before) -> Result<(), TestCaseError> {
    let [(_, reported), (_, late)] = before.slashes(ledger);
    prop_assert_eq!(ledger.counters().slashed, before.slashed + reported + late);
    Ok(())
}

/// Effects and ledger tell the same.
fn check_effects(ledger: &Ledger, done: &Execution, before: &Before) -> Result<(), TestCaseError> {
    let effects = done.effects.v1();
    let kind = done.transaction.data.kind();
    let uses_state = kind.uses_system_state() || kind.is_system();
    let dependencies: BTreeSet<_> = done
        .inputs
        .iter()
        .map(|object| object.previous_transaction)
        .chain(uses_state.then_some(before.state_previous))
        .collect();
    prop_assert!(effects.dependencies.iter().eq(&dependencies));
    let mut last = None;
    for (id, change) in &effects.changed_objects {
        prop_assert!(last < Some(*id), "changes are sorted by id");
        last = Some(*id);
        let reference = if *id == soma_ledger::SYSTEM_STATE_ID {
            Some(ledger.state_reference())
        } else {
            ledger.object(id).map(|object| object.reference())
        };
        match &change.output_state {
            ObjectOut::ObjectWrite(digest, _) => {
                let live = reference.expect("a written object is live");
                prop_assert_eq!(live.digest(), *digest);
                prop_assert_eq!(live.version(), effects.version);
            }
            _ => prop_assert_eq!(reference, None),
        }
        if let ObjectIn::Exist((version, _), _) = &change.input_state {
            prop_assert!(*version < effects.version);
        }
    }
    let fee = effects.transaction_fee;
    prop_assert_eq!(fee.total_fee, fee.base_fee + fee.operation_fee + fee.value_fee);
    if done.is_success() && !kind.is_system() {
        // A gas coin that the last deduction used up still counted as written.
        let written = done.effects.created().count() + done.effects.mutated().count();
        let used_up = done.effects.gas_object().is_some_and(|(_, after)| after.is_none());
        prop_assert_eq!(fee.base_fee, 1000);
        prop_assert_eq!(fee.operation_fee, 300 * (written as u64 + u64::from(used_up)));
        prop_assert_eq!(fee.value_fee, value_fee(done, &before.state));
    }
    Ok(())
}

/// The value fee, from the inputs alone.
fn value_fee(done: &Execution, before: &SystemStateV1) -> u64 {
    let data = &done.transaction.data;
    let gas: Vec<_> = data.gas_payment().iter().map(ObjectRef::id).collect();
    let input = |id: ObjectId| done.inputs.iter().find(|object| object.id() == id);
    let balance = |id: ObjectId| input(id).and_then(Object::coin_balance).unwrap_or(0);
    let merged = |coin: &ObjectRef| match gas.iter().position(|id| *id == coin.id()) {
        Some(0) => gas.iter().map(|id| balance(*id)).sum(),
        Some(_) => 0,
        None => balance(coin.id()),
    };
    let full = before.parameters.value_fee_bps;
    let (value, bps) = match data.kind() {
        TransactionKind::TransferCoin { coin, amount, .. } => {
            (amount.unwrap_or_else(|| merged(coin)), full)
        }
        TransactionKind::PayCoins { amounts: Some(amounts), .. } => (amounts.iter().sum(), full),
        TransactionKind::PayCoins { coins, .. } => (coins.iter().map(merged).sum(), full),
        TransactionKind::AddStake { coin_ref, amount, .. }
        | TransactionKind::AddStakeToModel { coin_ref, amount, .. } => {
            (amount.unwrap_or_else(|| merged(coin_ref)), full / 2)
        }
        TransactionKind::CommitModel(commit) => (commit.stake_amount, full / 2),
        TransactionKind::WithdrawStake { staked_soma } => {
            let receipt = input(staked_soma.id()).and_then(Object::as_staked_soma);
            (receipt.expect("it was withdrawn").principal, full / 2)
        }
        _ => (0, 0),
    };
    (u128::from(value) * u128::from(bps) / 10_000) as u64
}

/// A failure charges the base fee and touches the gas coins and the version of
/// the system state, nothing else.
fn check_failure(
    ledger: &Ledger,
    done: &Execution,
    before: &SystemStateV1,
) -> Result<(), TestCaseError> {
    prop_assert_eq!(ledger.system_state(), before);
    prop_assert_eq!(done.effects.created().count(), 0);
    prop_assert!(done.touched_models.is_empty());
    let fee = done.effects.v1().transaction_fee;
    prop_assert_eq!(fee.total_fee, fee.base_fee);
    let lost: i128 = done.balance_changes.iter().map(|change| change.amount).sum();
    prop_assert_eq!(lost, -i128::from(fee.base_fee));
    let gas: Vec<_> =
        done.transaction.data.gas_payment().iter().map(|reference| reference.id()).collect();
    for object in done.written.iter().map(|object| object.id()).chain(done.deleted.clone()) {
        prop_assert!(gas.contains(&object));
    }
    Ok(())
}

/// What the walks must meet, so that they are worth walking: every kind
/// succeeds, and it fails in these ways.
#[rustfmt::skip]
const OUTCOMES: &[(&str, &[&str])] = &[
    ("ChangeEpoch", &["Success"]),
    ("TransferCoin", &["Success", "InsufficientGas", "InsufficientCoinBalance", "ObjectNotFound"]),
    ("PayCoins", &["Success", "InsufficientGas", "InsufficientCoinBalance"]),
    ("TransferObjects", &["Success", "InsufficientGas", "ObjectNotFound"]),
    ("AddStake", &["Success", "InsufficientGas", "InsufficientCoinBalance", "ObjectNotFound",
        "InvalidArguments", "ValidatorNotFound"]),
    ("WithdrawStake", &["Success", "InsufficientGas", "ObjectNotFound", "InvalidObjectType"]),
    ("AddStakeToModel", &["Success", "InsufficientGas", "InsufficientCoinBalance",
        "ObjectNotFound", "InvalidArguments", "ModelNotFound"]),
    ("CommitModel", &["Success", "InsufficientGas", "InsufficientCoinBalance", "InvalidArguments",
        "ModelMinStakeNotMet", "ModelCommissionRateTooHigh"]),
    ("RevealModel", &["Success", "InsufficientGas", "ModelNotPending", "NotModelOwner",
        "ModelRevealEpochMismatch", "ModelWeightsUrlMismatch"]),
    ("CommitModelUpdate", &["Success", "InsufficientGas", "ModelNotActive", "NotModelOwner"]),
    ("RevealModelUpdate", &["Success", "InsufficientGas", "ModelNotActive", "NotModelOwner",
        "ModelNoPendingUpdate", "ModelRevealEpochMismatch"]),
    ("SetModelCommissionRate", &["Success", "InsufficientGas", "ModelNotActive", "NotModelOwner",
        "ModelCommissionRateTooHigh"]),
    ("DeactivateModel", &["Success", "InsufficientGas", "ModelNotActive"]),
    ("ReportModel", &["Success", "InsufficientGas", "NotAValidator", "ModelNotActive"]),
    ("UndoReportModel", &["Success", "InsufficientGas", "NotAValidator", "ModelNotActive",
        "ReportRecordNotFound"]),
];

#[test]
fn walks_reach_every_outcome() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut seen = BTreeMap::<_, u32>::new();
    let mut slashed = BTreeMap::<_, u32>::new();
    for _ in 0..60 {
        let steps = walk(150).new_tree(&mut runner).expect("steps").current();
        let (mut ledger, _) = small_chain();
        for step in steps {
            let before = Before::of(&ledger);
            let Some(done) = take(&mut ledger, step) else { continue };
            let outcome = done.effects.failure().map_or("Success", |failure| failure.name());
            *seen.entry((done.transaction.data.kind().name(), outcome)).or_default() += 1;
            for (why, _) in before.slashes(&ledger).into_iter().filter(|(_, lost)| *lost > 0) {
                *slashed.entry(why).or_default() += 1;
            }
        }
    }
    for (kind, outcomes) in OUTCOMES {
        for outcome in *outcomes {
            assert!(seen.contains_key(&(*kind, *outcome)), "{kind}, {outcome}: {seen:#?}");
        }
    }
    // One report would do if the other validator had left; that is rare.
    for why in ["late", "reported"] {
        assert!(slashed.get(why).is_some_and(|times| *times >= 5), "{why}: {slashed:?}");
    }
}
