//! The life of a model: commit, reveal, update, commission, reports.

use soma_proto::effects::ExecutionFailure;
use soma_proto::system_state::{Model, ModelStatus, PendingModelUpdate, StakingPool};
use soma_proto::transaction::{CommitModel, CommitModelUpdate, RevealModel};
use soma_proto::{Address, Commitment, ObjectId};

use super::coins::{invalid, rest_after};
use super::stake::new_receipt;
use super::work::Work;
use super::{Done, Fees};
use crate::pool;
use crate::state::State;

/// Highest commission, in basis points.
const MAX_COMMISSION_BPS: u64 = 10_000;

/// `CommitModel`. The stake comes out of the coin that pays.
pub(super) fn commit(work: &mut Work, state: &mut State, commit: &CommitModel, fees: Fees) -> Done {
    let parameters = &state.fields().parameters;
    if commit.architecture_version != parameters.model_architecture_version {
        return Err(ExecutionFailure::ModelArchitectureVersionMismatch);
    }
    if commit.stake_amount < parameters.model_min_stake {
        return Err(ExecutionFailure::ModelMinStakeNotMet);
    }
    if commit.commission_rate > MAX_COMMISSION_BPS {
        return Err(ExecutionFailure::ModelCommissionRateTooHigh);
    }
    let stake = commit.stake_amount;
    let rest = rest_after(work.gas_balance(), u128::from(stake), fees.reserve(3))?;
    if state.status(&commit.model_id).is_some() {
        return Err(invalid("the model id is in use"));
    }
    if is_pool(state, &commit.staking_pool_id) {
        return Err(invalid("the staking pool id is in use"));
    }
    let model = Model {
        owner: work.sender,
        architecture_version: commit.architecture_version,
        weights_url_commitment: commit.weights_url_commitment,
        weights_commitment: commit.weights_commitment,
        commit_epoch: state.fields().epoch,
        weights_manifest: None,
        embedding: None,
        staking_pool: StakingPool {
            id: commit.staking_pool_id,
            soma_balance: stake,
            pool_token_balance: stake,
            ..StakingPool::default()
        },
        commission_rate: commit.commission_rate,
        next_epoch_commission_rate: commit.commission_rate,
        pending_update: None,
    };
    work.set_balance(&work.gas_id(), rest);
    work.create_receipt(&new_receipt(state, commit.staking_pool_id, stake));
    state.insert_pending(commit.model_id, model);
    Ok(())
}

/// `RevealModel`.
pub(super) fn reveal(work: &Work, state: &mut State, reveal: &RevealModel) -> Done {
    let id = &reveal.model_id;
    let pending = state.fields().model_registry.pending_models.get(id);
    let model = pending.ok_or(ExecutionFailure::ModelNotPending)?;
    owned_by(model, work.sender)?;
    let committed = PendingModelUpdate {
        weights_url_commitment: model.weights_url_commitment,
        weights_commitment: model.weights_commitment,
        commit_epoch: model.commit_epoch,
    };
    check_reveal(state, &committed, reveal)?;

    let epoch = state.fields().epoch;
    let model = state.model_mut(id).ok_or(ExecutionFailure::ModelNotPending)?;
    model.weights_manifest = Some(reveal.weights_manifest.clone());
    model.embedding = Some(reveal.embedding.clone());
    model.staking_pool.activation_epoch = Some(epoch);
    pool::store_rate(&mut model.staking_pool, epoch);
    let stake = model.staking_pool.soma_balance;
    state.add_model_stake(stake);
    state.move_model(id, ModelStatus::Active);
    Ok(())
}

/// `CommitModelUpdate`.
pub(super) fn commit_update(work: &Work, state: &mut State, commit: &CommitModelUpdate) -> Done {
    let epoch = state.fields().epoch;
    let model = own_active(work, state, &commit.model_id)?;
    model.pending_update = Some(PendingModelUpdate {
        weights_url_commitment: commit.weights_url_commitment,
        weights_commitment: commit.weights_commitment,
        commit_epoch: epoch,
    });
    Ok(())
}

/// `RevealModelUpdate`.
pub(super) fn reveal_update(work: &Work, state: &mut State, reveal: &RevealModel) -> Done {
    let model = active(state, &reveal.model_id)?;
    owned_by(model, work.sender)?;
    let update = model.pending_update.ok_or(ExecutionFailure::ModelNoPendingUpdate)?;
    check_reveal(state, &update, reveal)?;

    let model = own_active(work, state, &reveal.model_id)?;
    model.weights_url_commitment = update.weights_url_commitment;
    model.weights_commitment = update.weights_commitment;
    model.weights_manifest = Some(reveal.weights_manifest.clone());
    model.embedding = Some(reveal.embedding.clone());
    model.pending_update = None;
    Ok(())
}

/// `SetModelCommissionRate`.
pub(super) fn set_commission(work: &Work, state: &mut State, id: &ObjectId, new_rate: u64) -> Done {
    if new_rate > MAX_COMMISSION_BPS {
        return Err(ExecutionFailure::ModelCommissionRateTooHigh);
    }
    own_active(work, state, id)?.next_epoch_commission_rate = new_rate;
    Ok(())
}

/// `DeactivateModel`.
pub(super) fn deactivate(work: &Work, state: &mut State, id: &ObjectId) -> Done {
    let epoch = state.fields().epoch;
    let pool = &mut own_active(work, state, id)?.staking_pool;
    pool::settle_withdrawals(pool);
    pool.deactivation_epoch = Some(epoch);
    let stake = pool.soma_balance;
    state.sub_model_stake(stake);
    state.change_reports(id, |reporters| reporters.clear());
    state.move_model(id, ModelStatus::Inactive);
    Ok(())
}

/// `ReportModel`.
pub(super) fn report(work: &Work, state: &mut State, id: &ObjectId) -> Done {
    from_validator(work, state)?;
    active(state, id)?;
    let reporter = work.sender;
    state.change_reports(id, |reporters| {
        reporters.insert(reporter);
    });
    Ok(())
}

/// `UndoReportModel`.
pub(super) fn undo_report(work: &Work, state: &mut State, id: &ObjectId) -> Done {
    from_validator(work, state)?;
    active(state, id)?;
    let reporter = work.sender;
    let records = &state.fields().model_registry.model_report_records;
    if !records.get(id).is_some_and(|reporters| reporters.contains(&reporter)) {
        return Err(ExecutionFailure::ReportRecordNotFound);
    }
    state.change_reports(id, |reporters| {
        reporters.remove(&reporter);
    });
    Ok(())
}

/// Compares a reveal with what was committed: the network's checks, then ours
/// (L-14).
fn check_reveal(state: &State, committed: &PendingModelUpdate, reveal: &RevealModel) -> Done {
    let fields = state.fields();
    if committed.commit_epoch.checked_add(1) != Some(fields.epoch) {
        return Err(ExecutionFailure::ModelRevealEpochMismatch);
    }
    let manifest = &reveal.weights_manifest.manifest;
    if manifest.url().commitment() != committed.weights_url_commitment {
        return Err(ExecutionFailure::ModelWeightsUrlMismatch);
    }
    if Commitment::from(manifest.checksum()) != committed.weights_commitment {
        return Err(invalid("the checksum is not the weights commitment"));
    }
    let expected = fields.parameters.target_embedding_dim;
    let actual = reveal.embedding.len() as u64;
    if actual != expected {
        return Err(ExecutionFailure::EmbeddingDimensionMismatch { expected, actual });
    }
    if !reveal.embedding.is_finite() || reveal.embedding.is_all_zero() {
        return Err(invalid("the embedding is all zero or not finite"));
    }
    Ok(())
}

fn active<'a>(state: &'a State, id: &ObjectId) -> Result<&'a Model, ExecutionFailure> {
    state.fields().model_registry.active_models.get(id).ok_or(ExecutionFailure::ModelNotActive)
}

/// An active model of the sender, to be changed.
fn own_active<'a>(
    work: &Work,
    state: &'a mut State,
    id: &ObjectId,
) -> Result<&'a mut Model, ExecutionFailure> {
    owned_by(active(state, id)?, work.sender)?;
    state.model_mut(id).ok_or(ExecutionFailure::ModelNotActive)
}

fn owned_by(model: &Model, sender: Address) -> Done {
    if model.owner != sender {
        return Err(ExecutionFailure::NotModelOwner);
    }
    Ok(())
}

fn from_validator(work: &Work, state: &State) -> Done {
    let active = &state.fields().validators.validators;
    if active.iter().any(|validator| validator.metadata.soma_address == work.sender) {
        return Ok(());
    }
    Err(ExecutionFailure::NotAValidator)
}

fn is_pool(state: &State, pool: &ObjectId) -> bool {
    let fields = state.fields();
    let set = &fields.validators;
    set.staking_pool_mappings.contains_key(pool)
        || set.inactive_validators.contains_key(pool)
        || set.pending_validators.iter().any(|validator| validator.staking_pool.id == *pool)
        || fields.model_registry.staking_pool_mappings.contains_key(pool)
}
