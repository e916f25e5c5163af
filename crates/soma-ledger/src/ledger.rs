//! The ledger: what it holds, and the calls that change and read it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use soma_proto::effects::TransactionFee;
use soma_proto::system_state::{Model, ModelStatus, SystemStateV1};
use soma_proto::transaction::ChangeEpoch;
use soma_proto::{
    Address, Object, ObjectId, ObjectRef, ObjectType, SignedTransaction, TransactionData,
    TransactionDigest,
};

use crate::execute::{self, Checks};
use crate::state::{SYSTEM_STATE_ID, State};
use crate::{Error, Execution, GenesisConfig, Rejection, Result, Supply, check, epoch, genesis};

/// The live state of a chain.
#[derive(Clone, Debug)]
pub struct Ledger {
    /// All live objects but the system state.
    pub(crate) objects: BTreeMap<ObjectId, Object>,
    pub(crate) state: State,
    pub(crate) counters: Counters,
}

/// What a ledger knows that no object says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// Fees charged since the epoch began.
    pub epoch_fees: TransactionFee,
    /// Shannons that slashing has destroyed (L-20).
    pub slashed: u64,
    /// Shannons in targets that were forgotten (L-24).
    pub forgotten_rewards: u64,
}

/// A ledger taken apart, as a store keeps it.
#[derive(Clone, Debug)]
pub struct Parts {
    /// All live objects but the system state, in any order.
    pub objects: Vec<Object>,
    /// The system state; models that it holds are taken as well.
    pub skeleton: SystemStateV1,
    /// The models.
    pub models: Vec<(ObjectId, Model)>,
    /// Version of the system state.
    pub state_version: u64,
    /// The transaction that wrote the system state last.
    pub state_previous_transaction: TransactionDigest,
    /// The counters.
    pub counters: Counters,
}

impl Ledger {
    /// The first state of a chain, and what made it.
    ///
    /// # Errors
    /// [`Error::Supply`], [`Error::NoValidators`], [`Error::UnknownValidator`].
    pub fn genesis(config: &GenesisConfig) -> Result<(Self, Execution)> {
        genesis::build(config)
    }

    /// Puts a ledger together again.
    ///
    /// Compare [`Ledger::state_reference`] with the reference stored last: if
    /// they are equal, nothing of the system state was lost.
    ///
    /// # Errors
    /// [`Error::UnexpectedObject`] if an id stands twice; [`Error::Overflow`]
    /// if all money together is more than a `u64` holds.
    pub fn restore(parts: Parts) -> Result<Self> {
        let Parts {
            objects,
            skeleton,
            models,
            state_version,
            state_previous_transaction,
            counters,
        } = parts;
        let mut by_id = BTreeMap::new();
        for object in objects {
            let id = object.id();
            if id == SYSTEM_STATE_ID || by_id.insert(id, object).is_some() {
                return Err(Error::UnexpectedObject { id });
            }
        }
        let mut fields = skeleton;
        let registry = &mut fields.model_registry;
        for (id, model) in models {
            registry.staking_pool_mappings.insert(model.staking_pool.id, id);
            match model.status() {
                ModelStatus::Active => registry.active_models.insert(id, model),
                ModelStatus::Committed => registry.pending_models.insert(id, model),
                _ => registry.inactive_models.insert(id, model),
            };
        }
        let state = State::new(fields, state_version, state_previous_transaction);
        let ledger = Self { objects: by_id, state, counters };
        let total = ledger.supply().total();
        if total > u128::from(u64::MAX) {
            return Err(Error::Overflow { total });
        }
        Ok(ledger)
    }

    /// Executes a transaction.
    ///
    /// A transaction that fails is an [`Execution`] too: it was charged the
    /// base fee. The ledger does not remember transactions. The caller looks
    /// the digest up among those already executed, and answers with the stored
    /// effects instead of calling this again; a transaction whose
    /// first execution wrote nothing would be executed twice otherwise.
    ///
    /// # Errors
    /// [`Rejection`]: nothing was executed, charged or written.
    pub fn apply(&mut self, transaction: &SignedTransaction) -> Result<Execution, Rejection> {
        self.check(transaction)?;
        Ok(execute::apply(self, transaction))
    }

    /// Executes a transaction and takes everything back.
    ///
    /// If there are no gas coins and `checks` are on, up to 100 of the sender's
    /// coins pay; if he has none, or checks are off, a coin of 10^18 shannons
    /// with an id of 32 bytes `ff` is made up.
    ///
    /// # Errors
    /// [`Rejection`] for everything but signatures.
    pub fn simulate(
        &mut self,
        data: &TransactionData,
        checks: Checks,
    ) -> Result<Execution, Rejection> {
        execute::simulate(self, data, checks)
    }

    /// Ends the epoch. The next one begins at `timestamp_ms`,
    /// milliseconds since 1970; if that is before the full length of the epoch
    /// has passed, no emission is paid.
    pub fn change_epoch(&mut self, timestamp_ms: u64) -> Execution {
        let change = epoch::next(self, timestamp_ms);
        epoch::change(self, change)
    }

    /// Ends the epoch with a given transaction. If it names another epoch than
    /// the next one, it fails, and the network goes into safe mode.
    pub fn change_epoch_with(&mut self, change: ChangeEpoch) -> Execution {
        epoch::change(self, change)
    }

    /// Whether the transaction would be executed.
    ///
    /// # Errors
    /// The first reason why not.
    pub fn check(&self, transaction: &SignedTransaction) -> Result<(), Rejection> {
        check::signed(transaction)?;
        check::inputs(self, &transaction.data, None)
    }

    /// A live object other than the system state.
    pub fn object(&self, id: &ObjectId) -> Option<&Object> {
        self.objects.get(id)
    }

    /// All live objects but the system state, by id.
    pub fn objects(&self) -> impl ExactSizeIterator<Item = &Object> {
        self.objects.values()
    }

    /// The coins of an account, largest first. Looks at every object.
    pub fn coins_of(&self, owner: &Address) -> Vec<&Object> {
        let mut coins: Vec<_> = self
            .objects
            .values()
            .filter(|object| {
                object.object_type() == ObjectType::Coin && object.owner.address() == Some(*owner)
            })
            .collect();
        coins.sort_by_key(|coin| (std::cmp::Reverse(coin.coin_balance()), coin.id()));
        coins
    }

    /// The system state.
    pub const fn system_state(&self) -> &SystemStateV1 {
        self.state.fields()
    }

    /// The system state without its models: the three maps of models and the
    /// map of their pools are empty. With the models it makes the whole again.
    pub fn skeleton(&self) -> SystemStateV1 {
        self.state.skeleton()
    }

    /// Id, version and digest of the object that holds the system state.
    pub const fn state_reference(&self) -> ObjectRef {
        self.state.reference()
    }

    /// The transaction that wrote the system state last.
    pub const fn state_previous_transaction(&self) -> TransactionDigest {
        self.state.previous()
    }

    /// The object that holds the system state. Copies all of it.
    pub fn state_object(&self) -> Object {
        self.state.object()
    }

    /// What no object says.
    pub const fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Where all the money is. Looks at every object and every pool.
    pub fn supply(&self) -> Supply {
        Supply::of(self)
    }
}
