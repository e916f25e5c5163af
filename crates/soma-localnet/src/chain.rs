//! The chain as the executor holds it: the ledger, the newest checkpoint and
//! the keys that sign the next one.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use soma_ledger::checkpoint::{CheckpointBuilder, Tip};
use soma_ledger::{Counters, Execution, Ledger, Parts, TOTAL_SUPPLY};
use soma_proto::bls::BlsKeyPair;
use soma_proto::effects::TransactionFee;
use soma_proto::system_state::{Model, SystemState};
use soma_proto::{Digest, Object, ObjectId, TransactionKind};

use crate::accounts::ChainKeys;
use crate::executor::Head;
use crate::genesis::genesis_config;
use crate::hub::Published;
use crate::store::{
    ChainRow, Commit, Durability, EpochEnd, Genesis, Snapshot, StateRow, Store, StoredCheckpoint,
    StoredTransaction,
};
use crate::{Error, LocalNetConfig, Result, StateDir};

/// Validators of a fresh chain if nothing is said.
const DEFAULT_COMMITTEE_SIZE: u32 = 1;
/// A state with more models is not kept as that of a past epoch: it would be
/// encoded in vain, see `EPOCH_STATE_LIMIT` of the store.
const MAX_EPOCH_STATE_MODELS: usize = 2_000;

/// The live chain.
#[derive(Debug)]
pub(crate) struct Chain {
    ledger: Ledger,
    checkpoints: CheckpointBuilder,
    protocol_keys: Vec<BlsKeyPair>,
}

/// What the ledger and the checkpoints need on restart beside objects.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct LedgerRow {
    tip: Tip,
    epoch_fees: TransactionFee,
    slashed: u64,
    forgotten_rewards: u64,
}

/// A chain ready to run.
pub(crate) struct Opened {
    pub(crate) chain: Chain,
    pub(crate) store: Store,
    pub(crate) row: ChainRow,
    /// Settings that the existing chain ignores.
    pub(crate) warnings: Vec<String>,
}

/// Executed transactions in a signed checkpoint, not yet written.
#[derive(Debug)]
pub(crate) struct Sealed {
    executions: Vec<Execution>,
    transactions: Vec<Arc<StoredTransaction>>,
    checkpoint: StoredCheckpoint,
}

impl Chain {
    /// Opens the chain in the directory, or makes one.
    pub(crate) fn open(config: &LocalNetConfig, directory: &Path) -> Result<Opened> {
        if Store::exists(directory) {
            return Self::restore(config, directory);
        }
        let committee_size = config.committee_size.unwrap_or(DEFAULT_COMMITTEE_SIZE);
        let row = ChainRow {
            // Set below, when there is a checkpoint to take it from.
            chain_id: Digest::ZERO,
            seed: Digest::random().into_inner(),
            committee_size,
            faucet: config.faucet.is_some(),
        };
        let (chain, store, row) = Self::create(config, directory, row)?;
        Ok(Opened { chain, store, row, warnings: Vec::new() })
    }

    fn create(
        config: &LocalNetConfig,
        directory: &Path,
        mut row: ChainRow,
    ) -> Result<(Self, Store, ChainRow)> {
        let keys = ChainKeys::new(row.seed, row.committee_size);
        let (ledger, genesis) = Ledger::genesis(&genesis_config(config, &keys, row.faucet)?)
            .map_err(|error| {
                let most = if row.faucet { 3 } else { 7 };
                Error::Config(format!(
                    "no such chain can be made: {error} (at most {most} validators, and as many \
                     models as the rest pays for at 1 SOMA each)"
                ))
            })?;
        let protocol_keys = keys.protocol_keys();
        let (checkpoints, checkpoint) =
            CheckpointBuilder::genesis(&ledger, &genesis, &protocol_keys);
        row.chain_id = Digest::new(checkpoints.tip().digest.into_inner());
        let chain = Self { ledger, checkpoints, protocol_keys };
        let checkpoint =
            StoredCheckpoint { certified: checkpoint.certified, contents: checkpoint.contents };
        let sealed = Sealed::new(vec![genesis], checkpoint);
        let durability = match config.state {
            StateDir::Temporary => Durability::Unsynced,
            StateDir::Kept(_) => Durability::Synced,
        };
        let store = chain.with_commit(&sealed, |commit| {
            let state = chain.kept_state();
            let epoch =
                EpochEnd { committee: chain.checkpoints.committee(), state: state.as_ref() };
            Store::create(directory, durability, &Genesis { chain: &row, epoch, commit })
        })?;
        Ok((chain, store, row))
    }

    /// Puts an existing chain together again and checks that it fits.
    fn restore(config: &LocalNetConfig, directory: &Path) -> Result<Opened> {
        let store = Store::open(directory)?;
        let damaged = |reason| Error::Damaged { path: store.path().to_path_buf(), reason };
        let read = || Self::read(&store.snapshot()?);
        let (chain, row) = read().map_err(|error| match error {
            Error::Store(reason) => damaged(reason),
            other => other,
        })?;
        if config.epoch_duration_ms.is_some() {
            return Err(Error::Config(format!(
                "{} holds a chain already, whose epochs last {} ms; the length of an epoch can be \
                 chosen for a fresh chain only",
                directory.display(),
                chain.ledger.system_state().parameters.epoch_duration_ms,
            )));
        }
        let warnings = ignored(config, &chain, &row);
        Ok(Opened { chain, store, row, warnings })
    }

    /// The chain in a database, if everything in it fits together.
    pub(crate) fn read(snapshot: &Snapshot) -> Result<(Self, ChainRow)> {
        let row = snapshot.chain()?;
        let stored: LedgerRow = snapshot.ledger()?;
        let state = snapshot.state_row()?;
        let counters = Counters {
            epoch_fees: stored.epoch_fees,
            slashed: stored.slashed,
            forgotten_rewards: stored.forgotten_rewards,
        };
        let SystemState::V1(fields) = snapshot.system_state()? else {
            return Err(Error::Store("the system state has an unknown version".to_owned()));
        };
        let wrong = |what: String| Error::Store(what);
        let ledger = Ledger::restore(Parts {
            objects: snapshot.objects()?,
            skeleton: *fields,
            models: Vec::new(),
            state_version: state.version,
            state_previous_transaction: state.previous_transaction,
            counters,
        })
        .map_err(|error| wrong(error.to_string()))?;
        if ledger.state_reference().digest() != state.digest {
            return Err(wrong("the system state does not have the digest it should".to_owned()));
        }
        let total = ledger.supply().total();
        if total != u128::from(TOTAL_SUPPLY) {
            return Err(wrong(format!("{total} shannons in all instead of {TOTAL_SUPPLY}")));
        }
        let newest = snapshot.newest_checkpoint()?.certified.summary;
        let (height, digest) = (newest.sequence_number, newest.digest());
        if stored.tip.digest != digest || snapshot.height(&digest)? != Some(height) {
            return Err(wrong(format!("checkpoint {height} does not have the digest it should")));
        }
        let checkpoints = CheckpointBuilder::restore(stored.tip, &ledger)
            .map_err(|error| wrong(error.to_string()))?;
        let protocol_keys = ChainKeys::new(row.seed, row.committee_size).protocol_keys();
        Ok((Self { ledger, checkpoints, protocol_keys }, row))
    }

    /// The ledger, to execute something.
    pub(crate) const fn ledger_mut(&mut self) -> &mut Ledger {
        &mut self.ledger
    }

    /// Puts executions into a checkpoint and signs it.
    pub(crate) fn seal(&mut self, executions: Vec<Execution>, timestamp_ms: u64) -> Sealed {
        let checkpoint =
            self.checkpoints.build(&executions, timestamp_ms, &self.ledger, &self.protocol_keys);
        let checkpoint =
            StoredCheckpoint { certified: checkpoint.certified, contents: checkpoint.contents };
        Sealed::new(executions, checkpoint)
    }

    /// Writes what was sealed last.
    pub(crate) fn commit(&self, store: &Store, sealed: &Sealed) -> Result<()> {
        self.with_commit(sealed, |commit| store.commit(&commit))
    }

    /// The ledger.
    pub(crate) const fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// When the newest checkpoint was made, milliseconds since 1970.
    pub(crate) const fn newest_timestamp_ms(&self) -> u64 {
        self.checkpoints.tip().timestamp_ms
    }

    /// When the epoch ends, milliseconds since 1970.
    pub(crate) const fn epoch_deadline_ms(&self) -> u64 {
        let state = self.ledger.system_state();
        state.epoch_start_timestamp_ms.saturating_add(state.parameters.epoch_duration_ms)
    }

    /// Gathers what a commit writes.
    fn with_commit<T>(
        &self,
        sealed: &Sealed,
        write: impl FnOnce(Commit<'_, LedgerRow>) -> Result<T>,
    ) -> Result<T> {
        let counters = self.ledger.counters();
        let ledger = LedgerRow {
            tip: *self.checkpoints.tip(),
            epoch_fees: counters.epoch_fees,
            slashed: counters.slashed,
            forgotten_rewards: counters.forgotten_rewards,
        };
        let state = StateRow {
            version: self.ledger.state_reference().version(),
            digest: self.ledger.state_reference().digest(),
            previous_transaction: self.ledger.state_previous_transaction(),
            skeleton: self.ledger.skeleton(),
        };
        let registry = &self.ledger.system_state().model_registry;
        let touched = sealed.executions.iter().flat_map(|execution| &execution.touched_models);
        let models: BTreeMap<ObjectId, &Model> =
            touched.filter_map(|id| Some((*id, registry.get(id)?))).collect();

        let whole = if sealed.ends_epoch() { self.kept_state() } else { None };
        let epoch_end = sealed
            .ends_epoch()
            .then(|| EpochEnd { committee: self.checkpoints.committee(), state: whole.as_ref() });
        write(Commit {
            executions: &sealed.executions,
            transactions: &sealed.transactions,
            checkpoint: &sealed.checkpoint,
            state: &state,
            ledger: &ledger,
            models: &models,
            epoch_end,
        })
    }
}

impl Chain {
    /// The whole state, to be kept for an epoch that begins, unless that is too long.
    fn kept_state(&self) -> Option<SystemState> {
        let state = self.ledger.system_state();
        (state.model_registry.iter().count() <= MAX_EPOCH_STATE_MODELS)
            .then(|| SystemState::V1(Box::new(state.clone())))
    }
}

impl Sealed {
    fn new(executions: Vec<Execution>, checkpoint: StoredCheckpoint) -> Self {
        let stored = |execution| Arc::new(StoredTransaction::new(execution, &checkpoint));
        let transactions = executions.iter().map(stored).collect();
        Self { executions, transactions, checkpoint }
    }

    /// What the checkpoint says of itself.
    pub(crate) const fn head(&self) -> Head {
        let summary = &self.checkpoint.certified.summary;
        Head {
            epoch: summary.epoch,
            height: summary.sequence_number,
            timestamp_ms: summary.timestamp_ms,
        }
    }

    /// For the subscribers.
    pub(crate) fn into_published(self) -> Published {
        let mut objects: Vec<Object> = Vec::new();
        for execution in self.executions {
            objects.extend(execution.inputs);
            objects.extend(execution.written);
        }
        objects.sort_by_key(|object| (object.id(), object.version()));
        objects.dedup_by_key(|object| (object.id(), object.version()));
        Published { checkpoint: self.checkpoint, transactions: self.transactions, objects }
    }

    fn ends_epoch(&self) -> bool {
        self.executions.last().is_some_and(|last| {
            matches!(last.transaction.data.kind(), TransactionKind::ChangeEpoch(_))
        })
    }
}

/// What was asked for that an existing chain decides otherwise.
fn ignored(config: &LocalNetConfig, chain: &Chain, row: &ChainRow) -> Vec<String> {
    let mut warnings = Vec::new();
    let mut compare = |what: &str, asked: Option<u64>, has: u64| {
        if let Some(asked) = asked.filter(|asked| *asked != has) {
            warnings.push(format!(
                "the {what} of this chain is {has}; {asked} can be chosen for a fresh chain only"
            ));
        }
    };
    let size = config.committee_size.map(u64::from);
    compare("committee size", size, u64::from(row.committee_size));
    let dim = chain.ledger.system_state().parameters.target_embedding_dim;
    compare("embedding length", config.embedding_dim, dim);
    if config.faucet.is_some() && !row.faucet {
        warnings.push(
            "this chain was made without a faucet account; its faucet has nothing to give"
                .to_owned(),
        );
    }
    warnings
}
