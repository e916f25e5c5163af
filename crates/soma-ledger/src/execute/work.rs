//! The objects of one transaction while it is executed.

use std::collections::{BTreeMap, BTreeSet};

use soma_proto::effects::{
    EffectsObjectChange, ExecutionFailure, ExecutionStatus, IdOperation, ObjectIn, ObjectOut,
    TransactionEffects, TransactionEffectsV1, TransactionFee, UnchangedSharedKind,
};
use soma_proto::object::{StakedSoma, derive_object_id};
use soma_proto::{
    Address, Object, ObjectId, ObjectRef, ObjectType, Owner, SignedTransaction, TransactionData,
    TransactionDigest,
};

use crate::execution::{Execution, StateChange, balance_changes};
use crate::state::{INITIAL_SHARED_VERSION, SYSTEM_STATE_ID, State};

/// Objects before and during a transaction.
#[derive(Debug)]
pub(super) struct Work {
    pub(super) sender: Address,
    digest: TransactionDigest,
    /// Version of everything that is written.
    version: u64,
    uses_state: bool,
    gas: Vec<ObjectId>,
    /// The owned inputs as they were.
    before: BTreeMap<ObjectId, Object>,
    /// What is there now.
    live: BTreeMap<ObjectId, Object>,
    /// Created or changed so far; some may be deleted again.
    written: BTreeSet<ObjectId>,
    created: u64,
}

/// How a transaction ended.
#[derive(Debug)]
pub(super) enum Outcome {
    /// The gas coin could not pay the base fee (L-5).
    NotStarted,
    /// It was charged the base fee, nothing else.
    Failed { error: ExecutionFailure, fee: TransactionFee },
    /// It did what it was to do.
    Succeeded { fee: TransactionFee },
}

impl Work {
    /// Begins with the owned inputs.
    pub(super) fn new(
        state: &State,
        data: &TransactionData,
        digest: TransactionDigest,
        inputs: Vec<Object>,
    ) -> Self {
        let uses_state = data.kind().uses_system_state();
        let state_version = uses_state.then(|| state.reference().version());
        let newest = inputs.iter().map(Object::version).chain(state_version).max();
        let before: BTreeMap<_, _> =
            inputs.into_iter().map(|object| (object.id(), object)).collect();
        Self {
            sender: data.sender(),
            digest,
            version: newest.unwrap_or(0).saturating_add(1),
            uses_state,
            gas: data.gas_payment().iter().map(ObjectRef::id).collect(),
            live: before.clone(),
            before,
            written: BTreeSet::new(),
            created: 0,
        }
    }

    /// Merges all gas coins into the first.
    pub(super) fn smash(&mut self) {
        let others: Vec<_> = self.gas.iter().skip(1).copied().collect();
        let mut sum = self.gas_balance();
        for id in others {
            sum = sum.saturating_add(self.delete(&id));
        }
        self.set_balance(&self.gas_id(), sum);
    }

    /// Takes a fee from the gas coin, which is deleted if nothing is left. The
    /// caller has made sure that it can pay.
    pub(super) fn charge(&mut self, fee: u64) {
        let id = self.gas_id();
        match self.gas_balance().saturating_sub(fee) {
            0 => {
                self.delete(&id);
            }
            rest => self.set_balance(&id, rest),
        }
    }

    /// Undoes everything but smashing and the base fee.
    pub(super) fn restart(&mut self, base_fee: u64) {
        self.live = self.before.clone();
        self.written.clear();
        self.created = 0;
        self.smash();
        self.charge(base_fee);
    }

    /// Creates a coin.
    pub(super) fn create_coin(&mut self, balance: u64, owner: Address) {
        let id = self.next_id();
        self.insert(Object::coin(id, self.version, balance, owner, self.digest));
    }

    /// Creates a receipt for the sender.
    pub(super) fn create_receipt(&mut self, receipt: &StakedSoma) {
        let id = self.next_id();
        self.insert(Object::staked_soma(id, self.version, receipt, self.sender, self.digest));
    }

    /// Gives an object to somebody else.
    pub(super) fn give(&mut self, id: &ObjectId, owner: Address) {
        if let Some(object) = self.live.get_mut(id) {
            object.owner = Owner::AddressOwner(owner);
            self.written.insert(*id);
        }
    }

    /// Sets the balance of a coin.
    pub(super) fn set_balance(&mut self, id: &ObjectId, balance: u64) {
        if let Some(object) = self.live.get_mut(id) {
            object.set_inner(&balance.to_le_bytes());
            self.written.insert(*id);
        }
    }

    /// Deletes an object and returns its balance, if it was a coin.
    pub(super) fn delete(&mut self, id: &ObjectId) -> u64 {
        self.live.remove(id).and_then(|object| object.coin_balance()).unwrap_or(0)
    }

    /// The object as it is now.
    pub(super) fn get(&self, id: &ObjectId) -> Option<&Object> {
        self.live.get(id)
    }

    /// An object that the sender owns.
    pub(super) fn owned(&self, id: &ObjectId) -> Result<&Object, ExecutionFailure> {
        let object_id = *id;
        let object = self.get(id).ok_or(ExecutionFailure::ObjectNotFound { object_id })?;
        let actual_owner = object.owner.address();
        if actual_owner != Some(self.sender) {
            let expected_owner = self.sender;
            return Err(ExecutionFailure::InvalidOwnership {
                object_id,
                expected_owner,
                actual_owner,
            });
        }
        Ok(object)
    }

    /// The balance of a coin that the sender owns.
    pub(super) fn owned_coin(&self, id: &ObjectId) -> Result<u64, ExecutionFailure> {
        let object = self.owned(id)?;
        object.coin_balance().ok_or_else(|| wrong_type(object, ObjectType::Coin))
    }

    /// A receipt that the sender owns.
    pub(super) fn owned_receipt(&self, id: &ObjectId) -> Result<StakedSoma, ExecutionFailure> {
        let object = self.owned(id)?;
        object.as_staked_soma().ok_or_else(|| wrong_type(object, ObjectType::StakedSoma))
    }

    /// Whether the object is there.
    pub(super) fn is_live(&self, id: &ObjectId) -> bool {
        self.live.contains_key(id)
    }

    /// Whether the object is a gas coin that was merged into the first.
    pub(super) fn is_smashed(&self, id: &ObjectId) -> bool {
        self.gas.iter().skip(1).any(|gas| gas == id)
    }

    /// Whether the object is the coin that pays.
    pub(super) fn is_gas(&self, id: &ObjectId) -> bool {
        *id == self.gas_id()
    }

    /// The coin that pays.
    pub(super) fn gas_id(&self) -> ObjectId {
        self.gas.first().copied().unwrap_or_default()
    }

    /// What the coin that pays holds.
    pub(super) fn gas_balance(&self) -> u64 {
        self.get(&self.gas_id()).and_then(Object::coin_balance).unwrap_or(0)
    }

    /// Objects that are written and alive, the system state among them
    ///
    pub(super) fn written_count(&self) -> u64 {
        let objects = self.written.iter().filter(|id| self.is_live(id)).count() as u64;
        objects + u64::from(self.uses_state)
    }

    /// Builds the effects. The state is what the transaction has left of it.
    pub(super) fn finish(
        mut self,
        state: &State,
        transaction: SignedTransaction,
        outcome: Outcome,
    ) -> Execution {
        let (status, fee, started) = match outcome {
            Outcome::NotStarted => {
                (failure(ExecutionFailure::InsufficientGas), TransactionFee::default(), false)
            }
            Outcome::Failed { error, fee } => (failure(error), fee, true),
            Outcome::Succeeded { fee } => (ExecutionStatus::Success, fee, true),
        };
        if !started {
            self.live = self.before.clone();
            self.written.clear();
        }
        let written = self.stamp();
        let deleted: Vec<_> = self.before.keys().filter(|id| !self.is_live(id)).copied().collect();
        let before_state = state.reference();
        let system_state = (self.uses_state && started).then(|| StateChange {
            before: Some(before_state),
            after: ObjectRef(
                SYSTEM_STATE_ID,
                self.version,
                state.digest_as(self.version, self.digest),
            ),
        });

        let mut changed: Vec<_> = written
            .iter()
            .map(|object| {
                let output = ObjectOut::ObjectWrite(object.digest(), object.owner);
                self.change(object.id(), output)
            })
            .chain(deleted.iter().map(|id| self.change(*id, ObjectOut::NotExist)))
            .chain(system_state.map(|change| state_entry(&change)))
            .collect();
        changed.sort_by_key(|(id, _)| *id);
        let gas_id = self.gas_id();
        let gas_object_index =
            changed.iter().position(|(id, _)| *id == gas_id).map(|index| index as u32);
        let unchanged_shared_objects = if self.uses_state && !started {
            let kind =
                UnchangedSharedKind::ReadOnlyRoot(before_state.version(), before_state.digest());
            vec![(SYSTEM_STATE_ID, kind)]
        } else {
            Vec::new()
        };

        let effects = TransactionEffects::V1(TransactionEffectsV1 {
            status,
            executed_epoch: state.fields().epoch,
            transaction_fee: fee,
            transaction_digest: self.digest,
            gas_object_index,
            dependencies: self.dependencies(state),
            version: self.version,
            changed_objects: changed,
            unchanged_shared_objects,
        });
        let touched_models = if system_state.is_some() { state.touched() } else { Vec::new() };
        Execution {
            transaction,
            effects,
            balance_changes: balance_changes(self.before.values(), self.live.values()),
            inputs: self.before.into_values().collect(),
            written,
            deleted,
            system_state,
            touched_models,
            forgotten: Vec::new(),
        }
    }

    /// Gives every written object its version and its transaction.
    fn stamp(&mut self) -> Vec<Object> {
        let mut written = Vec::new();
        for id in &self.written {
            if let Some(object) = self.live.get_mut(id) {
                object.data.version = self.version;
                object.previous_transaction = self.digest;
                written.push(object.clone());
            }
        }
        written
    }

    fn change(&self, id: ObjectId, output_state: ObjectOut) -> (ObjectId, EffectsObjectChange) {
        let input_state = match self.before.get(&id) {
            Some(object) => ObjectIn::Exist((object.version(), object.digest()), object.owner),
            None => ObjectIn::NotExist,
        };
        let id_operation = match (input_state, output_state) {
            (ObjectIn::NotExist, _) => IdOperation::Created,
            (_, ObjectOut::NotExist) => IdOperation::Deleted,
            _ => IdOperation::None,
        };
        (id, EffectsObjectChange { input_state, output_state, id_operation })
    }

    /// The transactions that wrote the inputs.
    fn dependencies(&self, state: &State) -> Vec<TransactionDigest> {
        let objects = self.before.values().map(|object| object.previous_transaction);
        let set: BTreeSet<_> = objects.chain(self.uses_state.then(|| state.previous())).collect();
        set.into_iter().collect()
    }

    fn next_id(&mut self) -> ObjectId {
        let id = derive_object_id(&self.digest, self.created);
        self.created += 1;
        id
    }

    fn insert(&mut self, object: Object) {
        self.written.insert(object.id());
        self.live.insert(object.id(), object);
    }
}

/// The change of the system state as effects list it.
pub(crate) const fn state_entry(change: &StateChange) -> (ObjectId, EffectsObjectChange) {
    let owner = Owner::Shared { initial_shared_version: INITIAL_SHARED_VERSION };
    let (input_state, id_operation) = match change.before {
        Some(before) => {
            (ObjectIn::Exist((before.version(), before.digest()), owner), IdOperation::None)
        }
        None => (ObjectIn::NotExist, IdOperation::Created),
    };
    let output_state = ObjectOut::ObjectWrite(change.after.digest(), owner);
    (SYSTEM_STATE_ID, EffectsObjectChange { input_state, output_state, id_operation })
}

const fn failure(error: ExecutionFailure) -> ExecutionStatus {
    ExecutionStatus::Failure { error }
}

fn wrong_type(object: &Object, expected_type: ObjectType) -> ExecutionFailure {
    ExecutionFailure::InvalidObjectType {
        object_id: object.id(),
        expected_type,
        actual_type: object.object_type(),
    }
}
