//! The system state, its object, and how to take a change back.
//!
//! The state may hold tens of thousands of models, and every transaction that
//! uses it gives it a new digest. So it is never copied: changes go through
//! methods that note what was there before, and the bytes of each model are
//! kept, so that only the models a transaction touched are encoded again.

mod encoded;

use std::collections::{BTreeMap, BTreeSet};

use soma_proto::system_state::{Model, ModelRegistry, ModelStatus, SystemStateV1, Validator};
use soma_proto::{
    Address, Object, ObjectDigest, ObjectId, ObjectRef, ObjectType, Owner, TransactionDigest, hash,
};

use self::encoded::{EncodedModels, bcs, write_length};

/// The id of the object that holds the system state.
pub const SYSTEM_STATE_ID: ObjectId = {
    let mut bytes = [0; 32];
    bytes[31] = 5;
    ObjectId::new(bytes)
};

/// The version at which all shared objects are said to have become shared.
pub(crate) const INITIAL_SHARED_VERSION: u64 = 1;

/// Where a validator stands in the set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// In the list of active validators.
    Active(usize),
    /// In the list of those that join with the next epoch.
    Pending(usize),
    /// Among those that have left, under the id of its pool.
    Inactive(ObjectId),
}

/// The system state and the object around it.
#[derive(Clone, Debug)]
pub(crate) struct State {
    fields: SystemStateV1,
    version: u64,
    previous: TransactionDigest,
    digest: ObjectDigest,
    encoded: EncodedModels,
    undo: Vec<Undo>,
}

/// What one change replaced.
#[derive(Clone, Debug)]
enum Undo {
    Model(ObjectId, Option<(ModelStatus, Box<Model>)>),
    Validator(Place, Box<Validator>),
    Reports(ObjectId, Option<BTreeSet<Address>>),
    ModelStake(u64),
    NewPool(ObjectId),
}

impl State {
    /// A state that `previous` wrote in `version`.
    pub(crate) fn new(fields: SystemStateV1, version: u64, previous: TransactionDigest) -> Self {
        let encoded = EncodedModels::new(&fields.model_registry);
        let digest = ObjectDigest::ZERO;
        let mut state = Self { fields, version, previous, digest, encoded, undo: Vec::new() };
        state.digest = state.digest_as(version, previous);
        state
    }

    /// Takes back everything since the last [`State::settle`].
    pub(crate) fn revert(&mut self) {
        let touched = self.touched();
        while let Some(undo) = self.undo.pop() {
            match undo {
                Undo::Model(id, before) => {
                    self.take(&id);
                    if let Some((status, model)) = before {
                        self.map_mut(status).insert(id, *model);
                    }
                }
                Undo::Validator(place, validator) => {
                    if let Some(slot) = slot_mut(&mut self.fields, place) {
                        *slot = *validator;
                    }
                }
                Undo::Reports(id, before) => {
                    let records = &mut self.fields.model_registry.model_report_records;
                    records.remove(&id);
                    if let Some(reporters) = before {
                        records.insert(id, reporters);
                    }
                }
                Undo::ModelStake(before) => self.fields.model_registry.total_model_stake = before,
                Undo::NewPool(pool) => {
                    self.fields.model_registry.staking_pool_mappings.remove(&pool);
                }
            }
        }
        self.encode(&touched);
    }

    /// Makes everything since the last call final: the object now is what
    /// `previous` wrote in `version`.
    pub(crate) fn settle(&mut self, after: ObjectRef, previous: TransactionDigest) {
        self.undo.clear();
        self.version = after.version();
        self.digest = after.digest();
        self.previous = previous;
    }

    /// The fields, to be changed without a way back. The caller encodes the
    /// models afterwards.
    pub(crate) const fn fields_mut(&mut self) -> &mut SystemStateV1 {
        &mut self.fields
    }

    /// A model, to be changed.
    pub(crate) fn model_mut(&mut self, id: &ObjectId) -> Option<&mut Model> {
        let status = self.status(id)?;
        self.note_model(id);
        self.map_mut(status).get_mut(id)
    }

    /// Adds a new model that is not revealed yet, and its pool.
    pub(crate) fn insert_pending(&mut self, id: ObjectId, model: Model) {
        self.note_model(&id);
        let pool = model.staking_pool.id;
        self.undo.push(Undo::NewPool(pool));
        self.fields.model_registry.staking_pool_mappings.insert(pool, id);
        self.fields.model_registry.pending_models.insert(id, model);
    }

    /// Moves a model to the map of another status.
    pub(crate) fn move_model(&mut self, id: &ObjectId, to: ModelStatus) {
        self.note_model(id);
        if let Some(model) = self.take(id) {
            self.map_mut(to).insert(*id, model);
        }
    }

    /// A validator, to be changed.
    pub(crate) fn validator_mut(&mut self, place: Place) -> Option<&mut Validator> {
        let before = Box::new(slot_mut(&mut self.fields, place)?.clone());
        self.undo.push(Undo::Validator(place, before));
        slot_mut(&mut self.fields, place)
    }

    /// Adds to the stake on active models.
    pub(crate) fn add_model_stake(&mut self, amount: u64) {
        let total = &mut self.fields.model_registry.total_model_stake;
        self.undo.push(Undo::ModelStake(*total));
        *total = total.saturating_add(amount);
    }

    /// Takes from the stake on active models, not below zero.
    pub(crate) fn sub_model_stake(&mut self, amount: u64) {
        let total = &mut self.fields.model_registry.total_model_stake;
        self.undo.push(Undo::ModelStake(*total));
        *total = total.saturating_sub(amount);
    }

    /// Changes the reporters of a model; an empty set is dropped.
    pub(crate) fn change_reports(
        &mut self,
        id: &ObjectId,
        change: impl FnOnce(&mut BTreeSet<Address>),
    ) {
        let records = &mut self.fields.model_registry.model_report_records;
        let before = records.remove(id);
        let mut reporters = before.clone().unwrap_or_default();
        change(&mut reporters);
        if !reporters.is_empty() {
            records.insert(*id, reporters);
        }
        self.undo.push(Undo::Reports(*id, before));
    }

    /// Encodes again what [`State::touched`] names.
    pub(crate) fn encode_touched(&mut self) {
        let touched = self.touched();
        self.encode(&touched);
    }

    /// Encodes all models again.
    pub(crate) fn encode_all(&mut self) {
        self.encoded = EncodedModels::new(&self.fields.model_registry);
    }

    /// The fields.
    pub(crate) const fn fields(&self) -> &SystemStateV1 {
        &self.fields
    }

    /// The reference of the object as last settled.
    pub(crate) const fn reference(&self) -> ObjectRef {
        ObjectRef(SYSTEM_STATE_ID, self.version, self.digest)
    }

    /// The transaction that wrote it last.
    pub(crate) const fn previous(&self) -> TransactionDigest {
        self.previous
    }

    /// The status of a model, if there is one.
    pub(crate) fn status(&self, id: &ObjectId) -> Option<ModelStatus> {
        let registry = &self.fields.model_registry;
        if registry.active_models.contains_key(id) {
            Some(ModelStatus::Active)
        } else if registry.pending_models.contains_key(id) {
            Some(ModelStatus::Committed)
        } else if registry.inactive_models.contains_key(id) {
            Some(ModelStatus::Inactive)
        } else {
            None
        }
    }

    /// The models changed since the last [`State::settle`], by id.
    pub(crate) fn touched(&self) -> Vec<ObjectId> {
        let ids: BTreeSet<_> = self
            .undo
            .iter()
            .filter_map(|undo| match undo {
                Undo::Model(id, _) => Some(*id),
                _ => None,
            })
            .collect();
        ids.into_iter().collect()
    }

    /// The state without its models: the three maps and the map of their pools
    /// are empty.
    pub(crate) fn skeleton(&self) -> SystemStateV1 {
        let fields = &self.fields;
        let registry = &fields.model_registry;
        SystemStateV1 {
            epoch: fields.epoch,
            protocol_version: fields.protocol_version,
            validators: fields.validators.clone(),
            parameters: fields.parameters.clone(),
            epoch_start_timestamp_ms: fields.epoch_start_timestamp_ms,
            validator_report_records: fields.validator_report_records.clone(),
            model_registry: ModelRegistry {
                total_model_stake: registry.total_model_stake,
                model_report_records: registry.model_report_records.clone(),
                ..ModelRegistry::default()
            },
            emission_pool: fields.emission_pool,
            target_state: fields.target_state.clone(),
            safe_mode: fields.safe_mode,
            safe_mode_accumulated_fees: fields.safe_mode_accumulated_fees,
            safe_mode_accumulated_emissions: fields.safe_mode_accumulated_emissions,
        }
    }

    /// The object as last settled. Copies the whole state.
    pub(crate) fn object(&self) -> Object {
        let pieces = self.encoded.pieces(&self.fields);
        let mut inner = Vec::with_capacity(pieces.len());
        for piece in pieces.iter() {
            inner.extend_from_slice(piece);
        }
        Object::new(
            SYSTEM_STATE_ID,
            ObjectType::SystemState,
            self.version,
            &inner,
            Owner::Shared { initial_shared_version: INITIAL_SHARED_VERSION },
            self.previous,
        )
    }

    /// The digest that the object has if `previous` writes it in `version`.
    ///
    /// Hashes the pieces one after the other instead of building the object:
    /// the cost is one pass of Blake2b over the encoded state.
    pub(crate) fn digest_as(&self, version: u64, previous: TransactionDigest) -> ObjectDigest {
        let pieces = self.encoded.pieces(&self.fields);
        let mut head = vec![ObjectType::SystemState as u8];
        head.extend_from_slice(&version.to_le_bytes());
        write_length(&mut head, ObjectId::LENGTH + pieces.len());
        head.extend_from_slice(SYSTEM_STATE_ID.as_bytes());
        let owner = Owner::Shared { initial_shared_version: INITIAL_SHARED_VERSION };
        let tail = bcs(&(owner, previous));

        let mut all: Vec<&[u8]> = vec![b"Object::", &head];
        all.extend(pieces.iter());
        all.push(&tail);
        ObjectDigest::new(hash::blake2b256(&all))
    }

    fn note_model(&mut self, id: &ObjectId) {
        let noted = |undo: &Undo| matches!(undo, Undo::Model(noted, _) if noted == id);
        if self.undo.iter().any(noted) {
            return;
        }
        let before = self
            .status(id)
            .zip(self.fields.model_registry.get(id).map(|model| Box::new(model.clone())));
        self.undo.push(Undo::Model(*id, before));
    }

    fn take(&mut self, id: &ObjectId) -> Option<Model> {
        let registry = &mut self.fields.model_registry;
        registry
            .active_models
            .remove(id)
            .or_else(|| registry.pending_models.remove(id))
            .or_else(|| registry.inactive_models.remove(id))
    }

    const fn map_mut(&mut self, status: ModelStatus) -> &mut BTreeMap<ObjectId, Model> {
        let registry = &mut self.fields.model_registry;
        match status {
            ModelStatus::Active => &mut registry.active_models,
            ModelStatus::Committed => &mut registry.pending_models,
            _ => &mut registry.inactive_models,
        }
    }

    fn encode(&mut self, ids: &[ObjectId]) {
        self.encoded.update(&self.fields.model_registry, ids);
    }
}

fn slot_mut(fields: &mut SystemStateV1, place: Place) -> Option<&mut Validator> {
    match place {
        Place::Active(index) => fields.validators.validators.get_mut(index),
        Place::Pending(index) => fields.validators.pending_validators.get_mut(index),
        Place::Inactive(pool) => fields.validators.inactive_validators.get_mut(&pool),
    }
}
