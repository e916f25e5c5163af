//! The boundary of an epoch.

mod models;

use soma_proto::effects::{
    EffectsObjectChange, ExecutionFailure, ExecutionStatus, IdOperation, ObjectIn, ObjectOut,
    TransactionEffects, TransactionEffectsV1, TransactionFee,
};
use soma_proto::object::derive_object_id;
use soma_proto::system_state::SystemStateV1;
use soma_proto::transaction::ChangeEpoch;
use soma_proto::{
    Address, Object, ObjectId, ObjectRef, SignedTransaction, Tensor, TransactionData,
    TransactionDigest, TransactionKind, hash,
};

use crate::execution::{Execution, StateChange, balance_changes};
use crate::state::SYSTEM_STATE_ID;
use crate::{Ledger, execute, pool, supply, targets, validators};

/// Basis points in a whole.
const BPS: u64 = 10_000;

/// The transaction that ends the running epoch. Its randomness is drawn from
/// the state, so that the ledger stays a function of its inputs.
pub(crate) fn next(ledger: &Ledger, timestamp_ms: u64) -> ChangeEpoch {
    let state = ledger.system_state();
    let seed =
        hash::blake2b256(&[b"epoch-randomness", ledger.state_reference().digest().as_bytes()]);
    ChangeEpoch {
        epoch: state.epoch.saturating_add(1),
        epoch_start_timestamp_ms: timestamp_ms,
        protocol_version: state.protocol_version,
        fees: ledger.counters.epoch_fees.total_fee,
        epoch_randomness: seed.to_vec(),
    }
}

/// Ends the running epoch.
pub(crate) fn change(ledger: &mut Ledger, change: ChangeEpoch) -> Execution {
    let kind = TransactionKind::ChangeEpoch(change.clone());
    let data = TransactionData::new(kind, Address::ZERO, Vec::new());
    let transaction = SignedTransaction::system(data);
    let digest = transaction.digest();

    let before = ledger.state.reference();
    let previous = ledger.state.previous();
    let version = before.version().saturating_add(1);
    let executed_epoch = ledger.system_state().epoch;
    let (status, boundary) = if executed_epoch.checked_add(1) == Some(change.epoch) {
        (ExecutionStatus::Success, advance(ledger, &change, version, digest))
    } else {
        enter_safe_mode(ledger.state.fields_mut(), &change);
        let error = ExecutionFailure::AdvancedToWrongEpoch;
        (ExecutionStatus::Failure { error }, Boundary::default())
    };
    ledger.counters.epoch_fees = TransactionFee::default();
    ledger.state.encode_all();
    let after = ObjectRef(SYSTEM_STATE_ID, version, ledger.state.digest_as(version, digest));
    ledger.state.settle(after, digest);

    let Boundary { mut created, touched_models, forgotten } = boundary;
    created.sort_by_key(Object::id);
    let state_change = StateChange { before: Some(before), after };
    let mut changed: Vec<_> = created.iter().map(creation).collect();
    changed.push(execute::state_entry(&state_change));
    changed.sort_by_key(|(id, _)| *id);
    let effects = TransactionEffects::V1(TransactionEffectsV1 {
        status,
        executed_epoch,
        transaction_fee: TransactionFee::default(),
        transaction_digest: digest,
        gas_object_index: None,
        dependencies: vec![previous],
        version,
        changed_objects: changed,
        unchanged_shared_objects: Vec::new(),
    });
    for object in &created {
        ledger.objects.insert(object.id(), object.clone());
    }
    Execution {
        transaction,
        effects,
        inputs: Vec::new(),
        deleted: Vec::new(),
        system_state: Some(state_change),
        touched_models,
        forgotten,
        balance_changes: balance_changes(std::iter::empty(), created.iter()),
        written: created,
    }
}

/// What a boundary does besides changing the system state.
#[derive(Default)]
struct Boundary {
    created: Vec<Object>,
    touched_models: Vec<ObjectId>,
    forgotten: Vec<ObjectId>,
}

/// The steps of, and what they create. Nothing in here can
/// fail; where a sum might overflow it stops at the largest number.
fn advance(
    ledger: &mut Ledger,
    change: &ChangeEpoch,
    version: u64,
    digest: TransactionDigest,
) -> Boundary {
    let state = ledger.state.fields_mut();
    let rewards = collect_rewards(state, change);
    adjust_value_fee(state, change.fees);
    let ending = state.epoch;
    state.epoch = change.epoch;
    let for_validators = pool::bps_of(rewards, state.parameters.validator_reward_allocation_bps);
    add_emission(state, rewards - for_validators);
    adjust_targets(state);
    let (commissions, paid) = validators::pay_rewards(state, for_validators);
    validators::advance(state);
    let (touched_models, slashed) = models::advance(state, ending);
    ledger.counters.slashed = ledger.counters.slashed.saturating_add(slashed);
    add_emission(state, for_validators.saturating_sub(paid));

    let mut created = Vec::new();
    for (n, commission) in (0..).zip(commissions) {
        let id = derive_object_id(&digest, n);
        let (receipt, owner) = (&commission.receipt, commission.owner);
        created.push(Object::staked_soma(id, version, receipt, owner, digest));
    }
    let forgotten = forget_targets(ledger, ending);
    let state = ledger.state.fields_mut();
    created.extend(targets::create(state, version, digest, created.len() as u64));
    Boundary { created, touched_models, forgotten }
}

/// Steps 2 to 4: what there is to hand out.
fn collect_rewards(state: &mut SystemStateV1, change: &ChangeEpoch) -> u64 {
    let kept = std::mem::take(&mut state.safe_mode_accumulated_fees)
        .saturating_add(std::mem::take(&mut state.safe_mode_accumulated_emissions));
    state.safe_mode = false;
    let length = state.parameters.epoch_duration_ms;
    let end = state.epoch_start_timestamp_ms.saturating_add(length);
    state.epoch_start_timestamp_ms = change.epoch_start_timestamp_ms;
    let mut rewards = change.fees.saturating_add(kept);
    if change.epoch_start_timestamp_ms >= end {
        rewards = rewards.saturating_add(take_emission(state));
    }
    rewards
}

///
fn enter_safe_mode(state: &mut SystemStateV1, change: &ChangeEpoch) {
    let emission = take_emission(state);
    state.safe_mode = true;
    state.epoch = state.epoch.saturating_add(1);
    state.epoch_start_timestamp_ms = change.epoch_start_timestamp_ms;
    let fees = &mut state.safe_mode_accumulated_fees;
    *fees = fees.saturating_add(change.fees);
    let emissions = &mut state.safe_mode_accumulated_emissions;
    *emissions = emissions.saturating_add(emission);
}

fn take_emission(state: &mut SystemStateV1) -> u64 {
    let pool = &mut state.emission_pool;
    let amount = pool.emission_per_epoch.min(pool.balance);
    pool.balance -= amount;
    amount
}

fn add_emission(state: &mut SystemStateV1, amount: u64) {
    let pool = &mut state.emission_pool;
    pool.balance = pool.balance.saturating_add(amount);
}

/// a busy epoch raises the fee on value, a quiet one lowers it.
fn adjust_value_fee(state: &mut SystemStateV1, fees: u64) {
    let parameters = &mut state.parameters;
    let target = u128::from(parameters.target_epoch_fee_collection.max(1));
    let reached = pool::saturate(u128::from(fees) * u128::from(BPS) / target);
    let fee = parameters.value_fee_bps;
    let step = |gap: u64| {
        pool::bps_of(fee, gap).min(pool::bps_of(fee, parameters.fee_adjustment_rate_bps))
    };
    parameters.value_fee_bps = if reached > BPS {
        fee.saturating_add(step(reached - BPS)).min(parameters.max_value_fee_bps)
    } else {
        fee.saturating_sub(step(BPS - reached)).max(parameters.min_value_fee_bps)
    };
}

///
fn adjust_targets(state: &mut SystemStateV1) {
    let parameters = &state.parameters;
    let target = &mut state.target_state;
    let hits = target.hits_this_epoch;
    let decay = parameters.target_hits_ema_decay_bps;
    target.hits_ema = match target.hits_ema {
        0 => hits,
        ema => pool::saturate(
            (u128::from(decay) * u128::from(ema)
                + u128::from(BPS.saturating_sub(decay)) * u128::from(hits))
                / u128::from(BPS),
        ),
    };
    let rate = parameters.target_difficulty_adjustment_rate_bps as f32 / BPS as f32;
    let factor = match target.hits_ema {
        0 => 1.0,
        ema if ema > parameters.target_hits_per_epoch => 1.0 - rate,
        ema if ema < parameters.target_hits_per_epoch => 1.0 + rate,
        _ => 1.0,
    };
    if factor != 1.0 {
        let threshold = (target.distance_threshold.first() * factor)
            .min(parameters.target_max_distance_threshold.first())
            .max(parameters.target_min_distance_threshold.first());
        target.distance_threshold = Tensor::scalar(threshold);
    }
    target.targets_generated_this_epoch = 0;
    target.hits_this_epoch = 0;
    let emission = state.emission_pool.emission_per_epoch;
    let per_epoch = pool::bps_of(emission, parameters.target_reward_allocation_bps);
    target.reward_per_target = per_epoch / parameters.target_initial_targets_per_epoch.max(1);
}

/// Drops the targets that are older than the epoch that ends (L-24).
fn forget_targets(ledger: &mut Ledger, ending: u64) -> Vec<ObjectId> {
    let old: Vec<_> = ledger
        .objects
        .values()
        .filter(|object| targets::generation(object).is_some_and(|epoch| epoch < ending))
        .map(|object| (object.id(), supply::target_reward(object).unwrap_or(0)))
        .collect();
    for (id, reward) in &old {
        ledger.objects.remove(id);
        let counter = &mut ledger.counters.forgotten_rewards;
        *counter = counter.saturating_add(*reward);
    }
    old.into_iter().map(|(id, _)| id).collect()
}

fn creation(object: &Object) -> (ObjectId, EffectsObjectChange) {
    let change = EffectsObjectChange {
        input_state: ObjectIn::NotExist,
        output_state: ObjectOut::ObjectWrite(object.digest(), object.owner),
        id_operation: IdOperation::Created,
    };
    (object.id(), change)
}
