//! Models at the boundary of an epoch.

use std::collections::BTreeSet;

use soma_proto::ObjectId;
use soma_proto::committee::QUORUM_THRESHOLD;
use soma_proto::system_state::{Model, SystemStateV1};

use crate::{pool, validators};

/// Moves the models into the epoch that `state` names already; `ending` is the
/// one before. Returns the models whose entries changed, by id, and the
/// shannons that slashing has destroyed.
pub(super) fn advance(state: &mut SystemStateV1, ending: u64) -> (Vec<ObjectId>, u64) {
    let mut touched: BTreeSet<ObjectId> = BTreeSet::new();
    let tally = slash_reported(state, &mut touched);
    let reveal = slash_unrevealed(state, ending, &mut touched);

    let epoch = state.epoch;
    let registry = &mut state.model_registry;
    let mut total = 0_u64;
    for model in registry.active_models.values_mut() {
        if model.pending_update.is_some_and(|update| update.commit_epoch < ending) {
            model.pending_update = None;
        }
        model.commission_rate = model.next_epoch_commission_rate;
        validators::settle(&mut model.staking_pool);
        pool::store_rate(&mut model.staking_pool, epoch);
        total = total.saturating_add(model.staking_pool.soma_balance);
    }
    for (id, model) in &mut registry.pending_models {
        let before = model.staking_pool.clone();
        validators::settle(&mut model.staking_pool);
        if model.staking_pool != before {
            touched.insert(*id);
        }
    }
    registry.total_model_stake = total;
    touched.extend(registry.active_models.keys());
    (touched.into_iter().collect(), tally.saturating_add(reveal))
}

/// Active models that a quorum of the new validators reports lose almost all.
/// All reports are wiped, quorum or not.
fn slash_reported(state: &mut SystemStateV1, touched: &mut BTreeSet<ObjectId>) -> u64 {
    let records = std::mem::take(&mut state.model_registry.model_report_records);
    let mut slashed = 0_u64;
    for (id, reporters) in records {
        if validators::power_of(&state.validators, &reporters) < QUORUM_THRESHOLD {
            continue;
        }
        if let Some(model) = state.model_registry.active_models.remove(&id) {
            let bps = state.parameters.model_tally_slash_rate_bps;
            slashed = slashed.saturating_add(retire(state, id, model, bps));
            touched.insert(id);
        }
    }
    slashed
}

/// Models whose epoch of reveal has passed lose half.
fn slash_unrevealed(
    state: &mut SystemStateV1,
    ending: u64,
    touched: &mut BTreeSet<ObjectId>,
) -> u64 {
    let pending = &mut state.model_registry.pending_models;
    let late: Vec<_> =
        pending.iter().filter(|(_, m)| m.commit_epoch < ending).map(|(id, _)| *id).collect();
    let mut slashed = 0_u64;
    for id in late {
        if let Some(model) = state.model_registry.pending_models.remove(&id) {
            let bps = state.parameters.model_reveal_slash_rate_bps;
            slashed = slashed.saturating_add(retire(state, id, model, bps));
            touched.insert(id);
        }
    }
    slashed
}

/// Settles the withdrawals of a model's pool, slashes it, and makes the model
/// inactive (L-12).
fn retire(state: &mut SystemStateV1, id: ObjectId, mut model: Model, bps: u64) -> u64 {
    let pool = &mut model.staking_pool;
    pool::settle_withdrawals(pool);
    let slashed = pool::slash(pool, bps);
    pool.deactivation_epoch = Some(state.epoch);
    state.model_registry.inactive_models.insert(id, model);
    slashed
}
