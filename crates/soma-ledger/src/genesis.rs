//! The first state of a chain (R-6.2 to, L-22).

use std::collections::BTreeMap;

use soma_proto::bls::{BlsKeyPair, BlsPublicKey, BlsSignature};
use soma_proto::effects::{
    EffectsObjectChange, ExecutionStatus, IdOperation, ObjectIn, ObjectOut, TransactionEffects,
    TransactionEffectsV1, TransactionFee,
};
use soma_proto::object::{StakedSoma, genesis_object_id};
use soma_proto::system_state::{
    EmissionPool, Model, ModelRegistry, PoolTokenExchangeRate, StakingPool, SystemParameters,
    SystemStateV1, TargetState, Validator, ValidatorMetadata, ValidatorSet,
};
use soma_proto::{
    Address, ModelWeightsManifest, Object, ObjectId, Owner, PublicKey, SHANNONS_PER_SOMA,
    SignedTransaction, Tensor, TransactionData, TransactionDigest, TransactionKind, hash,
};

use crate::execution::{Execution, StateChange, balance_changes};
use crate::state::{INITIAL_SHARED_VERSION, SYSTEM_STATE_ID, State};
use crate::{Counters, Error, Ledger, Result, validators};

/// All the money of a chain, in shannons: ten million SOMA.
pub const TOTAL_SUPPLY: u64 = 10_000_000 * SHANNONS_PER_SOMA;

/// Emission of a full epoch, in shannons.
pub const DEFAULT_EMISSION_PER_EPOCH: u64 = 1_370 * SHANNONS_PER_SOMA;

/// One coin of a local network's accounts, in shannons.
const LOCAL_COIN: u64 = 300_000 * SHANNONS_PER_SOMA;
/// Coins of each account of a local network.
const LOCAL_COINS: usize = 5;
/// What each validator of a local network stakes with itself, in shannons.
const LOCAL_STAKE: u64 = 20_000 * SHANNONS_PER_SOMA;
/// Length of an epoch of a local network.
const LOCAL_EPOCH_DURATION_MS: u64 = 60_000;
/// Length of an embedding on a local network: that of the published model.
const LOCAL_EMBEDDING_DIM: u64 = 2_048;
/// Commission of a validator at genesis, in basis points.
const COMMISSION_BPS: u64 = 200;

/// What a chain begins with.
#[derive(Clone, Debug)]
pub struct GenesisConfig {
    /// When the chain begins, milliseconds since 1970.
    pub timestamp_ms: u64,
    /// Parameters of epoch 0.
    pub parameters: SystemParameters,
    /// Shannons that a full epoch hands out.
    pub emission_per_epoch: u64,
    /// Coins and stakes, in the order of their ids. What is left of the supply
    /// becomes the emission pool.
    pub allocations: Vec<Allocation>,
    /// The first validators.
    pub validators: Vec<GenesisValidator>,
    /// Models that are active from the beginning. A usual chain has none; they
    /// are for trying out how software behaves when there are many.
    pub models: Vec<GenesisModel>,
}

/// A coin or a stake that exists from the beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allocation {
    /// Whose it is.
    pub owner: Address,
    /// Shannons.
    pub amount: u64,
    /// The validator with whom it is staked; a coin if absent.
    pub staked_with: Option<Address>,
}

/// A model that is active from the beginning. Unlike there, targets
/// are first drawn at the end of epoch 0, and it may have an embedding.
#[derive(Clone, Debug)]
pub struct GenesisModel {
    /// Its id; the pool of its stake has the hash of it.
    pub id: ObjectId,
    /// Who may act for it, and who owns the receipt for the stake.
    pub owner: Address,
    /// Shannons staked on it.
    pub stake: u64,
    /// Basis points.
    pub commission_rate: u64,
    /// Where the weights are and how to open them.
    pub manifest: ModelWeightsManifest,
    /// Its place among the others.
    pub embedding: Option<Tensor>,
}

/// One of the first validators.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "the four addresses are named as in the metadata of a validator")]
pub struct GenesisValidator {
    /// Its account.
    pub address: Address,
    /// Signs checkpoints.
    pub protocol_key: BlsPublicKey,
    /// Shows that the account holds the protocol key.
    pub proof_of_possession: BlsSignature,
    /// Signs network traffic.
    pub network_key: PublicKey,
    /// Signs consensus blocks.
    pub worker_key: PublicKey,
    /// Basis points.
    pub commission_rate: u64,
    pub net_address: String,
    pub p2p_address: String,
    pub primary_address: String,
    pub proxy_address: String,
}

impl GenesisConfig {
    /// The genesis of our local network: epochs of a minute, embeddings of
    /// 2048 numbers, five coins of 300000 SOMA for each account and for the
    /// faucet if there is one, and for each validator one such coin and a
    /// stake of 20000 SOMA.
    pub fn local(
        timestamp_ms: u64,
        accounts: &[Address],
        faucet: Option<Address>,
        validators: Vec<GenesisValidator>,
    ) -> Self {
        let coin = |owner| Allocation { owner, amount: LOCAL_COIN, staked_with: None };
        let mut allocations: Vec<_> = accounts
            .iter()
            .chain(&faucet)
            .flat_map(|owner| std::iter::repeat_n(coin(*owner), LOCAL_COINS))
            .collect();
        for validator in &validators {
            let owner = validator.address;
            allocations.push(coin(owner));
            allocations.push(Allocation { owner, amount: LOCAL_STAKE, staked_with: Some(owner) });
        }
        let parameters = SystemParameters {
            epoch_duration_ms: LOCAL_EPOCH_DURATION_MS,
            target_embedding_dim: LOCAL_EMBEDDING_DIM,
            ..SystemParameters::v1()
        };
        Self {
            timestamp_ms,
            parameters,
            emission_per_epoch: DEFAULT_EMISSION_PER_EPOCH,
            allocations,
            validators,
            models: Vec::new(),
        }
    }
}

impl GenesisValidator {
    /// A validator on this machine with a commission of 2 %.
    pub fn new(
        address: Address,
        protocol_key: &BlsKeyPair,
        network_key: PublicKey,
        worker_key: PublicKey,
    ) -> Self {
        Self {
            address,
            protocol_key: protocol_key.public_key(),
            proof_of_possession: protocol_key.proof_of_possession(address),
            network_key,
            worker_key,
            commission_rate: COMMISSION_BPS,
            net_address: "/ip4/127.0.0.1/tcp/8080/http".to_owned(),
            p2p_address: "/ip4/127.0.0.1/udp/8084".to_owned(),
            primary_address: "/ip4/127.0.0.1/udp/8081".to_owned(),
            proxy_address: "/ip4/127.0.0.1/tcp/8082/http".to_owned(),
        }
    }
}

/// Builds the first state, the transaction that made it, and its effects.
pub(crate) fn build(config: &GenesisConfig) -> Result<(Ledger, Execution)> {
    if config.validators.is_empty() {
        return Err(Error::NoValidators);
    }
    let amounts = config.allocations.iter().map(|allocation| allocation.amount);
    let stakes = config.models.iter().map(|model| model.stake);
    let allocated: u128 = amounts.chain(stakes).map(u128::from).sum();
    let emission_balance = u64::try_from(allocated)
        .ok()
        .and_then(|allocated| TOTAL_SUPPLY.checked_sub(allocated))
        .ok_or(Error::Supply { allocated, supply: TOTAL_SUPPLY })?;

    let mut ids = (0..).map(genesis_object_id);
    let mut set = validator_set(&config.validators, &mut ids);
    let mut objects = Vec::new();
    for (allocation, id) in config.allocations.iter().zip(&mut ids) {
        objects.push(first_object(allocation, id, &mut set)?);
    }
    let mut registry = ModelRegistry::default();
    for (model, id) in config.models.iter().zip(&mut ids) {
        objects.push(first_model(model, id, &config.parameters, &mut registry));
    }
    validators::assign_voting_power(&mut set);
    let fields = SystemStateV1 {
        epoch: 0,
        protocol_version: 1,
        validators: set,
        parameters: config.parameters.clone(),
        epoch_start_timestamp_ms: config.timestamp_ms,
        validator_report_records: BTreeMap::new(),
        model_registry: registry,
        emission_pool: EmissionPool {
            balance: emission_balance,
            emission_per_epoch: config.emission_per_epoch,
        },
        target_state: TargetState {
            distance_threshold: config.parameters.target_initial_distance_threshold.clone(),
            targets_generated_this_epoch: 0,
            hits_this_epoch: 0,
            hits_ema: 0,
            reward_per_target: 0,
        },
        safe_mode: false,
        safe_mode_accumulated_fees: 0,
        safe_mode_accumulated_emissions: 0,
    };
    Ok(finish(objects, fields))
}

/// The validators by address, each with the id of its pool.
fn validator_set(
    validators: &[GenesisValidator],
    ids: &mut impl Iterator<Item = ObjectId>,
) -> ValidatorSet {
    let mut sorted: Vec<_> = validators.iter().collect();
    sorted.sort_by_key(|validator| validator.address);
    let mut set = ValidatorSet::default();
    for (validator, pool) in sorted.into_iter().zip(ids) {
        set.staking_pool_mappings.insert(pool, validator.address);
        set.validators.push(first_validator(validator, pool));
    }
    set
}

fn first_validator(validator: &GenesisValidator, pool: ObjectId) -> Validator {
    Validator {
        metadata: ValidatorMetadata {
            soma_address: validator.address,
            protocol_pubkey: validator.protocol_key,
            network_pubkey: validator.network_key,
            worker_pubkey: validator.worker_key,
            net_address: validator.net_address.clone(),
            p2p_address: validator.p2p_address.clone(),
            primary_address: validator.primary_address.clone(),
            proxy_address: validator.proxy_address.clone(),
            proof_of_possession: validator.proof_of_possession,
            next_epoch_protocol_pubkey: None,
            next_epoch_network_pubkey: None,
            next_epoch_net_address: None,
            next_epoch_p2p_address: None,
            next_epoch_primary_address: None,
            next_epoch_worker_pubkey: None,
            next_epoch_proof_of_possession: None,
            next_epoch_proxy_address: None,
        },
        voting_power: 0,
        staking_pool: StakingPool {
            id: pool,
            activation_epoch: Some(0),
            exchange_rates: BTreeMap::from([(0, PoolTokenExchangeRate::default())]),
            ..StakingPool::default()
        },
        commission_rate: validator.commission_rate,
        next_epoch_stake: 0,
        next_epoch_commission_rate: validator.commission_rate,
    }
}

/// The coin or the receipt of an allocation, as it is before execution.
fn first_object(allocation: &Allocation, id: ObjectId, set: &mut ValidatorSet) -> Result<Object> {
    let &Allocation { owner, amount, staked_with } = allocation;
    let previous = TransactionDigest::ZERO;
    let Some(address) = staked_with else {
        return Ok(Object::coin(id, 0, amount, owner, previous));
    };
    let validator = set
        .validators
        .iter_mut()
        .find(|validator| validator.metadata.soma_address == address)
        .ok_or(Error::UnknownValidator { address })?;
    let pool = &mut validator.staking_pool;
    pool.soma_balance += amount;
    pool.pool_token_balance += amount;
    validator.next_epoch_stake += amount;
    set.total_stake += amount;
    let receipt = StakedSoma { pool_id: pool.id, stake_activation_epoch: 0, principal: amount };
    Ok(Object::staked_soma(id, 0, &receipt, owner, previous))
}

/// Puts a model into the registry; gives the receipt for its stake.
fn first_model(
    model: &GenesisModel,
    id: ObjectId,
    parameters: &SystemParameters,
    registry: &mut ModelRegistry,
) -> Object {
    let pool = ObjectId::new(hash::blake2b256(&[model.id.as_bytes()]));
    let entry = Model {
        owner: model.owner,
        architecture_version: parameters.model_architecture_version,
        weights_url_commitment: model.manifest.manifest.url().commitment(),
        weights_commitment: model.manifest.manifest.checksum().into(),
        commit_epoch: 0,
        weights_manifest: Some(model.manifest.clone()),
        embedding: model.embedding.clone(),
        staking_pool: StakingPool {
            id: pool,
            activation_epoch: Some(0),
            soma_balance: model.stake,
            pool_token_balance: model.stake,
            exchange_rates: BTreeMap::from([(0, PoolTokenExchangeRate::default())]),
            ..StakingPool::default()
        },
        commission_rate: model.commission_rate,
        next_epoch_commission_rate: model.commission_rate,
        pending_update: None,
    };
    registry.staking_pool_mappings.insert(pool, model.id);
    registry.active_models.insert(model.id, entry);
    registry.total_model_stake += model.stake;
    let receipt = StakedSoma { pool_id: pool, stake_activation_epoch: 0, principal: model.stake };
    Object::staked_soma(id, 0, &receipt, model.owner, TransactionDigest::ZERO)
}

/// Makes the transaction, and the objects as it leaves them.
fn finish(mut objects: Vec<Object>, fields: SystemStateV1) -> (Ledger, Execution) {
    const VERSION: u64 = 1;
    let mut before = objects.clone();
    let state = State::new(fields, 0, TransactionDigest::ZERO);
    let mut state_object = state.object();
    state_object.owner = Owner::Shared { initial_shared_version: 0 };
    before.push(state_object);
    let kind = TransactionKind::Genesis { objects: before };
    let data = TransactionData::new(kind, Address::ZERO, Vec::new());
    let transaction = SignedTransaction::system(data);
    let digest = transaction.digest();

    for object in &mut objects {
        object.data.version = VERSION;
        object.previous_transaction = digest;
    }
    objects.sort_by_key(Object::id);
    let state = State::new(state.fields().clone(), VERSION, digest);
    let shared = Owner::Shared { initial_shared_version: INITIAL_SHARED_VERSION };
    let mut changed: Vec<_> = objects
        .iter()
        .map(|object| (object.id(), object.digest(), object.owner))
        .chain([(SYSTEM_STATE_ID, state.reference().digest(), shared)])
        .map(|(id, digest, owner)| (id, created(ObjectOut::ObjectWrite(digest, owner))))
        .collect();
    changed.sort_by_key(|(id, _)| *id);
    let effects = TransactionEffects::V1(TransactionEffectsV1 {
        status: ExecutionStatus::Success,
        executed_epoch: 0,
        transaction_fee: TransactionFee::default(),
        transaction_digest: digest,
        gas_object_index: None,
        dependencies: Vec::new(),
        version: VERSION,
        changed_objects: changed,
        unchanged_shared_objects: Vec::new(),
    });
    let execution = Execution {
        transaction,
        effects,
        inputs: Vec::new(),
        system_state: Some(StateChange { before: None, after: state.reference() }),
        deleted: Vec::new(),
        touched_models: state.fields().model_registry.active_models.keys().copied().collect(),
        forgotten: Vec::new(),
        balance_changes: balance_changes(std::iter::empty(), objects.iter()),
        written: objects.clone(),
    };
    let objects = objects.into_iter().map(|object| (object.id(), object)).collect();
    (Ledger { objects, state, counters: Counters::default() }, execution)
}

const fn created(output_state: ObjectOut) -> EffectsObjectChange {
    EffectsObjectChange {
        input_state: ObjectIn::NotExist,
        output_state,
        id_operation: IdOperation::Created,
    }
}
