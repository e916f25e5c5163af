//! Reads of the model registry.
//!
//! The public calls give the registry only as a part of the whole system
//! state. A node of ours answers narrow questions too; another one says that
//! it does not know them, which is remembered, and then the state is read.

use std::collections::{BTreeMap, BTreeSet};

use soma_proto::grpc::{ext, pb};
use soma_proto::system_state::{Model, ModelStatus};
use soma_proto::{Address, Commitment, DecryptionKey, ObjectId};

use crate::answer::Answer;
use crate::{Client, Error, Result};

/// Models on a page of the narrow list.
const PAGE: u32 = 1_000;

/// The clock that registrations live by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EpochClock {
    /// The running epoch.
    pub epoch: u64,
    /// When it began, milliseconds since 1970.
    pub start_timestamp_ms: u64,
    /// How long an epoch lasts, in milliseconds.
    pub duration_ms: u64,
}

/// A model, where it stands, and the clock.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ModelRecord {
    /// Its id.
    pub id: ObjectId,
    /// The map that it sits in.
    pub status: ModelStatus,
    /// The model.
    pub model: Model,
    /// Validators that report it in the running epoch.
    pub reported_by: Vec<Address>,
    /// The clock at the time of the answer.
    pub clock: EpochClock,
}

/// What a list says of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ModelSummary {
    /// Its id.
    pub id: ObjectId,
    /// Who may act for it.
    pub owner: Address,
    /// Where it stands.
    pub status: ModelStatus,
    /// The architecture it was committed for.
    pub architecture_version: u64,
    /// Basis points.
    pub commission_rate: u64,
    /// The epoch of its commit.
    pub commit_epoch: u64,
    /// Shannons staked on it.
    pub stake_balance: u64,
    /// The epoch of a pending update's commit.
    pub update_commit_epoch: Option<u64>,
    /// Whether new weights are committed and not revealed.
    pub has_pending_update: bool,
    /// Its pool.
    pub staking_pool_id: ObjectId,
}

/// Which models to list; all that are set must hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ModelFilter {
    /// Only models of this address.
    pub owner: Option<Address>,
    /// Only models in this state.
    pub status: Option<ModelStatus>,
}

/// Who has a staking pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PoolOwner {
    /// A model.
    Model(ObjectId),
    /// A validator.
    Validator(Address),
    /// Somebody the node does not name.
    Unnamed,
}

/// A key that a reveal has published.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RevealedKey {
    /// The model.
    pub model: ObjectId,
    /// The key of its present weights.
    pub key: DecryptionKey,
    /// Blake2b-256 of these weights as they are encrypted.
    pub weights: Commitment,
}

impl Client {
    /// A model by its id, or nothing.
    ///
    /// # Errors
    /// [`Error::Status`](crate::Error::Status),
    /// [`Error::Malformed`](crate::Error::Malformed) and those of the connection.
    pub async fn model(&self, id: &ObjectId) -> Result<Option<ModelRecord>> {
        let call = "GetModel";
        if let Some(mut registry) = self.registry() {
            let request = ext::GetModelRequest { model_id: Some(id.to_string()) };
            match self.read(call, registry.get_model(request)).await {
                Ok(answer) => return model_record(id, answer),
                Err(error) if error.is_unimplemented() => self.forget_registry(),
                Err(error) => return Err(error),
            }
        }
        let state = self.raw_system_state().await?;
        model_in_state(id, &state)
    }

    /// Models: active, then committed, then inactive, each by id.
    ///
    /// # Errors
    /// As [`Client::model`].
    pub async fn models(&self, filter: &ModelFilter) -> Result<Vec<ModelSummary>> {
        match self.models_by_page(filter).await {
            Err(error) if error.is_unimplemented() => self.forget_registry(),
            Ok(Some(models)) => return Ok(models),
            Ok(None) => {}
            Err(error) => return Err(error),
        }
        models_in_state(filter, &self.raw_system_state().await?)
    }

    /// Those of these models that there were when an earlier epoch began, as they were
    /// then; nothing if the node has forgotten, or the epoch is not over.
    ///
    /// # Errors
    /// [`Error::Status`](crate::Error::Status),
    /// [`Error::Malformed`](crate::Error::Malformed) and those of the connection.
    pub async fn models_at(
        &self,
        epoch: u64,
        ids: &BTreeSet<ObjectId>,
    ) -> Result<Option<BTreeMap<ObjectId, Model>>> {
        let state = match self.past_system_state(epoch).await {
            // What no longer fits into a message is as good as forgotten.
            Err(Error::TooLarge { .. }) => None,
            state => state?,
        };
        state.map(|state| models_of_state(ids, &state)).transpose()
    }

    /// Who has the staking pool with this id, if anybody.
    ///
    /// # Errors
    /// As [`Client::model`].
    pub async fn pool(&self, id: &ObjectId) -> Result<Option<PoolOwner>> {
        if let Some(mut registry) = self.registry() {
            let request = ext::GetPoolRequest { staking_pool_id: Some(id.to_string()) };
            match self.read("GetPool", registry.get_pool(request)).await {
                Ok(answer) => return pool_owner(&answer),
                Err(error) if error.is_unimplemented() => self.forget_registry(),
                Err(error) => return Err(error),
            }
        }
        pool_in_state(id, &self.raw_system_state().await?)
    }

    /// The keys that the models of `owner` have revealed.
    ///
    /// # Errors
    /// As [`Client::model`].
    pub async fn revealed_keys(&self, owner: &Address) -> Result<Vec<RevealedKey>> {
        let filter = ModelFilter { owner: Some(*owner), status: None };
        match self.summaries(&filter, true).await {
            Err(error) if error.is_unimplemented() => self.forget_registry(),
            Ok(Some(models)) => return models.iter().filter_map(revealed_key).collect(),
            Ok(None) => {}
            Err(error) => return Err(error),
        }
        keys_in_state(owner, &self.raw_system_state().await?)
    }

    /// Nothing if the node is known not to have the narrow list.
    async fn models_by_page(&self, filter: &ModelFilter) -> Result<Option<Vec<ModelSummary>>> {
        let Some(models) = self.summaries(filter, false).await? else { return Ok(None) };
        models.iter().map(model_summary).collect::<Result<_>>().map(Some)
    }

    async fn summaries(
        &self,
        filter: &ModelFilter,
        with_keys: bool,
    ) -> Result<Option<Vec<ext::ModelSummary>>> {
        let Some(mut registry) = self.registry() else { return Ok(None) };
        let mut models = Vec::new();
        let mut token = None;
        loop {
            let request = ext::ListModelsRequest {
                owner: filter.owner.map(|owner| owner.to_string()),
                status: filter.status.map(|status| status.chain_state().to_owned()),
                page_size: Some(PAGE),
                page_token: token.clone(),
                with_keys: with_keys.then_some(true),
            };
            let page = self.read("ListModels", registry.list_models(request)).await?;
            let empty = page.models.is_empty();
            models.extend(page.models);
            let next = page.next_page_token.filter(|token| !token.is_empty());
            if next.is_none() {
                return Ok(Some(models));
            }
            if empty && next == token {
                let reason = "the token of an empty page leads to the same page again";
                return Err(Answer("ListModels").malformed("next_page_token", reason));
            }
            token = next;
        }
    }
}

fn model_record(id: &ObjectId, answer: ext::GetModelResponse) -> Result<Option<ModelRecord>> {
    let read = Answer("GetModel");
    let Some(model) = answer.model else { return Ok(None) };
    let reported_by = answer.reported_by.iter().map(|text| read.parse("reported_by", Some(text)));
    Ok(Some(ModelRecord {
        id: *id,
        status: status(read, answer.status.as_deref())?,
        model: read.read("model", Some(model))?,
        reported_by: reported_by.collect::<Result<_>>()?,
        clock: EpochClock {
            epoch: read.need("current_epoch", answer.current_epoch)?,
            start_timestamp_ms: read
                .need("epoch_start_timestamp_ms", answer.epoch_start_timestamp_ms)?,
            duration_ms: read.need("epoch_duration_ms", answer.epoch_duration_ms)?,
        },
    }))
}

fn model_summary(summary: &ext::ModelSummary) -> Result<ModelSummary> {
    let read = Answer("ListModels");
    Ok(ModelSummary {
        id: read.parse("models.model_id", summary.model_id.as_deref())?,
        owner: read.parse("models.owner", summary.owner.as_deref())?,
        status: status(read, summary.status.as_deref())?,
        architecture_version: read
            .need("models.architecture_version", summary.architecture_version)?,
        commission_rate: read.need("models.commission_rate", summary.commission_rate)?,
        commit_epoch: read.need("models.commit_epoch", summary.commit_epoch)?,
        stake_balance: read.need("models.stake_balance", summary.stake_balance)?,
        update_commit_epoch: summary.update_commit_epoch,
        has_pending_update: summary
            .has_pending_update
            .unwrap_or(summary.update_commit_epoch.is_some()),
        staking_pool_id: read
            .parse("models.staking_pool_id", summary.staking_pool_id.as_deref())?,
    })
}

/// Nothing for a model that has revealed nothing.
fn revealed_key(summary: &ext::ModelSummary) -> Option<Result<RevealedKey>> {
    let read = Answer("ListModels");
    let key = summary.decryption_key.as_deref()?;
    let weights = summary.weights_checksum.as_deref();
    let hash = |field, text: Option<&str>| {
        let text = read.need(field, text)?;
        let reason = "expected 64 hex digits";
        Commitment::from_hex_or_base58(text).map_err(|_| read.malformed(field, reason))
    };
    Some((|| {
        let key = hash("models.decryption_key", Some(key))?;
        Ok(RevealedKey {
            model: read.parse("models.model_id", summary.model_id.as_deref())?,
            key: DecryptionKey::new(*key.inner()),
            weights: hash("models.weights_checksum", weights)?,
        })
    })())
}

fn keys_in_state(owner: &Address, state: &pb::SystemState) -> Result<Vec<RevealedKey>> {
    let read = Answer("GetEpoch");
    let field = "epoch.system_state.model_registry";
    let Some(registry) = &state.model_registry else { return Ok(Vec::new()) };
    let mut keys = Vec::new();
    for (id, model) in maps(registry).into_iter().flat_map(|(_, models)| models) {
        if model.weights_manifest.is_none()
            || read.parse::<Address>(field, model.owner.as_deref())? != *owner
        {
            continue;
        }
        let model: Model = read.read(field, Some(model.clone()))?;
        if let Some(weights) = model.weights_manifest {
            keys.push(RevealedKey {
                model: read.parse(field, Some(id))?,
                weights: weights.manifest.checksum().into(),
                key: weights.decryption_key,
            });
        }
    }
    Ok(keys)
}

fn pool_owner(answer: &ext::GetPoolResponse) -> Result<Option<PoolOwner>> {
    let read = Answer("GetPool");
    if !read.need("in_use", answer.in_use)? {
        return Ok(None);
    }
    Ok(Some(match (answer.model_id.as_deref(), answer.validator.as_deref()) {
        (Some(model), _) => PoolOwner::Model(read.parse("model_id", Some(model))?),
        (None, Some(validator)) => PoolOwner::Validator(read.parse("validator", Some(validator))?),
        (None, None) => PoolOwner::Unnamed,
    }))
}

fn status(read: Answer, text: Option<&str>) -> Result<ModelStatus> {
    ModelStatus::from_chain_state(read.need("status", text)?)
        .ok_or_else(|| read.malformed("status", "expected active, pending or inactive"))
}

/// The three maps in the order of a list.
fn maps(registry: &pb::ModelRegistry) -> [(ModelStatus, &BTreeMap<String, pb::Model>); 3] {
    [
        (ModelStatus::Active, &registry.active_models),
        (ModelStatus::Committed, &registry.pending_models),
        (ModelStatus::Inactive, &registry.inactive_models),
    ]
}

/// Only the model asked for is converted: a field missing elsewhere does no harm.
fn model_in_state(id: &ObjectId, state: &pb::SystemState) -> Result<Option<ModelRecord>> {
    let read = Answer("GetEpoch");
    let field = "epoch.system_state.model_registry";
    let Some(registry) = &state.model_registry else { return Ok(None) };
    let found =
        maps(registry).into_iter().find_map(|(status, models)| Some((status, by_id(models, id)?)));
    let Some((status, model)) = found else { return Ok(None) };
    let reporters = by_id(&registry.model_report_records, id);
    let reporters = reporters.map_or(&[][..], |set| &set.reporters);
    let reported_by = reporters.iter().map(|text| read.parse(field, Some(text)));
    let duration = state.parameters.as_ref().and_then(|parameters| parameters.epoch_duration_ms);
    Ok(Some(ModelRecord {
        id: *id,
        status,
        model: read.read(field, Some(model.clone()))?,
        reported_by: reported_by.collect::<Result<_>>()?,
        clock: EpochClock {
            epoch: read.need("epoch.system_state.epoch", state.epoch)?,
            start_timestamp_ms: read.need(
                "epoch.system_state.epoch_start_timestamp_ms",
                state.epoch_start_timestamp_ms,
            )?,
            duration_ms: read.need("epoch.system_state.parameters.epoch_duration_ms", duration)?,
        },
    }))
}

fn models_in_state(filter: &ModelFilter, state: &pb::SystemState) -> Result<Vec<ModelSummary>> {
    let read = Answer("GetEpoch");
    let field = "epoch.system_state.model_registry";
    let Some(registry) = &state.model_registry else { return Ok(Vec::new()) };
    let mut summaries = Vec::new();
    for (status, models) in maps(registry) {
        if filter.status.is_some_and(|wanted| wanted != status) {
            continue;
        }
        let start = summaries.len();
        for (key, model) in models {
            let owner: Address = read.parse(field, model.owner.as_deref())?;
            if filter.owner.is_some_and(|wanted| wanted != owner) {
                continue;
            }
            let id: ObjectId = read.parse(field, Some(key))?;
            let pool =
                read.need(&format!("{field}[{id}].staking_pool"), model.staking_pool.as_ref())?;
            let need = |name: &str, value| read.need(&format!("{field}[{id}].{name}"), value);
            summaries.push(ModelSummary {
                id,
                owner,
                status,
                architecture_version: need("architecture_version", model.architecture_version)?,
                commission_rate: need("commission_rate", model.commission_rate)?,
                commit_epoch: need("commit_epoch", model.commit_epoch)?,
                stake_balance: need("staking_pool.soma_balance", pool.soma_balance)?,
                update_commit_epoch: model
                    .pending_update
                    .as_ref()
                    .and_then(|update| update.commit_epoch),
                has_pending_update: model.pending_update.is_some(),
                staking_pool_id: read.parse(field, pool.id.as_deref())?,
            });
        }
        // The keys may come in two forms of text, so their order says little.
        summaries[start..].sort_by_key(|summary| summary.id);
    }
    Ok(summaries)
}

fn pool_in_state(id: &ObjectId, state: &pb::SystemState) -> Result<Option<PoolOwner>> {
    let read = Answer("GetEpoch");
    if let Some(registry) = &state.model_registry {
        if let Some(model) = by_id(&registry.staking_pool_mappings, id) {
            return Ok(Some(PoolOwner::Model(
                read.parse("model_registry.staking_pool_mappings", Some(model))?,
            )));
        }
        for (_, models) in maps(registry) {
            let pool = |model: &pb::Model| {
                model.staking_pool.as_ref().and_then(|pool| pool.id.as_deref()?.parse().ok())
            };
            if let Some((key, _)) = models.iter().find(|(_, model)| pool(model) == Some(*id)) {
                return Ok(Some(PoolOwner::Model(read.parse("model_registry", Some(key))?)));
            }
        }
    }
    let Some(validators) = &state.validators else { return Ok(None) };
    if let Some(address) = by_id(&validators.staking_pool_mappings, id) {
        return Ok(Some(PoolOwner::Validator(
            read.parse("validators.staking_pool_mappings", Some(address))?,
        )));
    }
    Ok(by_id(&validators.inactive_validators, id).map(|_| PoolOwner::Unnamed))
}

fn models_of_state(
    ids: &BTreeSet<ObjectId>,
    state: &pb::SystemState,
) -> Result<BTreeMap<ObjectId, Model>> {
    let read = Answer("GetEpoch");
    let field = "epoch.system_state.model_registry";
    let mut found = BTreeMap::new();
    let Some(registry) = &state.model_registry else { return Ok(found) };
    for (key, model) in maps(registry).into_iter().flat_map(|(_, models)| models) {
        let id: ObjectId = read.parse(field, Some(key))?;
        if ids.contains(&id) {
            found.insert(id, read.read(field, Some(model.clone()))?);
        }
    }
    Ok(found)
}

/// Looks a key up by value: ids come with `0x` and without.
fn by_id<'a, T>(map: &'a BTreeMap<String, T>, id: &ObjectId) -> Option<&'a T> {
    let text = id.to_string();
    map.get(&text).or_else(|| map.get(text.trim_start_matches("0x"))).or_else(|| {
        map.iter().find(|(key, _)| key.parse().ok() == Some(*id)).map(|(_, value)| value)
    })
}
