//! A ledger with the coins, validators and models that a scenario needs.

use soma_ledger::{Execution, GenesisConfig, GenesisValidator, Ledger, Parts, Rejection};
use soma_proto::bls::BlsKeyPair;
use soma_proto::object::StakedSoma;
use soma_proto::system_state::{Model, StakingPool, SystemStateV1};
use soma_proto::transaction::{ChangeEpoch, CommitModel, CommitModelUpdate, RevealModel};
use soma_proto::{
    Address, Checksum, Commitment, DecryptionKey, KeyPair, Manifest, ModelWeightsManifest, Object,
    ObjectId, ObjectRef, ObjectType, SignedTransaction, Tensor, TransactionData, TransactionDigest,
    TransactionKind, WeightsUrl,
};

/// Shannons in a SOMA.
pub(crate) const SOMA: u64 = 1_000_000_000;
/// Length of an epoch.
pub(crate) const EPOCH_MS: u64 = 60_000;
/// Length of an embedding.
pub(crate) const DIM: usize = 16;
/// The model that scenarios use.
pub(crate) const MODEL: ObjectId = ObjectId::new([0xaa; 32]);
/// The pool of that model.
pub(crate) const POOL: ObjectId = ObjectId::new([0xbb; 32]);
/// Where its weights are.
pub(crate) const URL: &str = "https://example.com/w.bin";
/// Hash of its weights.
pub(crate) const WEIGHTS: [u8; 32] = [7; 32];
/// Senders of transactions.
pub(crate) const ALICE: u8 = 1;
pub(crate) const BOB: u8 = 2;
pub(crate) const CAROL: u8 = 3;
/// Number of the key of the first validator; the others follow.
pub(crate) const VALIDATOR: u8 = 100;
/// Account of the faucet.
pub(crate) const FAUCET: u8 = 90;

pub(crate) struct World {
    pub(crate) ledger: Ledger,
    coins: u64,
    /// Shannons in coins that came out of nothing.
    minted: u128,
}

pub(crate) fn key(number: u8) -> KeyPair {
    KeyPair::from_bytes([number; 32])
}

pub(crate) fn address(number: u8) -> Address {
    key(number).address()
}

impl World {
    /// The default local network: one validator, five accounts, a faucet.
    pub(crate) fn new() -> Self {
        Self::with_validators(1)
    }

    /// A network with several validators of the default stake.
    pub(crate) fn with_validators(count: u8) -> Self {
        let accounts: Vec<_> = (10..15).map(address).collect();
        let validators = (0..count)
            .map(|n| {
                let key = key(VALIDATOR + n).public_key();
                let protocol_key = BlsKeyPair::from_bytes(&[n + 1; 32]).expect("a scalar");
                GenesisValidator::new(key.address(), &protocol_key, key, key)
            })
            .collect();
        let faucet = (count == 1).then(|| address(FAUCET));
        let accounts = if count == 1 { accounts } else { Vec::new() };
        let mut config = GenesisConfig::local(0, &accounts, faucet, validators);
        config.parameters.target_embedding_dim = DIM as u64;
        let (ledger, _) = Ledger::genesis(&config).expect("a genesis");
        Self { ledger, coins: 0, minted: 0 }
    }

    /// Validators with these stakes in SOMA, no commission, in the order of
    /// the numbers of their keys; all fees go to them. Their voting powers
    /// follow at the first boundary.
    pub(crate) fn with_stakes(stakes: &[u64]) -> Self {
        let mut world = Self::with_validators(stakes.len() as u8);
        world.edit(|parts| {
            parts.objects.retain(|object| object.object_type() != ObjectType::StakedSoma);
            let state = &mut parts.skeleton;
            state.parameters.validator_reward_allocation_bps = 10_000;
            for (n, stake) in stakes.iter().enumerate() {
                let address = address(VALIDATOR + n as u8);
                let validator = state
                    .validators
                    .validators
                    .iter_mut()
                    .find(|validator| validator.metadata.soma_address == address)
                    .expect("one of ours");
                validator.commission_rate = 0;
                validator.next_epoch_commission_rate = 0;
                validator.next_epoch_stake = stake * SOMA;
                validator.staking_pool.soma_balance = stake * SOMA;
                validator.staking_pool.pool_token_balance = stake * SOMA;
            }
        });
        world
    }

    /// Takes the ledger apart, changes it, and puts it together again.
    pub(crate) fn edit(&mut self, change: impl FnOnce(&mut Parts)) {
        let mut parts = self.parts();
        change(&mut parts);
        self.ledger = Ledger::restore(parts).expect("consistent parts");
    }

    /// The ledger taken apart.
    pub(crate) fn parts(&self) -> Parts {
        let ledger = &self.ledger;
        let models = ledger.system_state().model_registry.iter();
        Parts {
            objects: ledger.objects().cloned().collect(),
            skeleton: ledger.skeleton(),
            models: models.map(|(id, model)| (*id, model.clone())).collect(),
            state_version: ledger.state_reference().version(),
            state_previous_transaction: ledger.state_previous_transaction(),
            counters: *ledger.counters(),
        }
    }

    /// Gives somebody a coin out of nothing.
    pub(crate) fn coin(&mut self, owner: u8, balance: u64) -> ObjectId {
        self.coin_at(owner, balance, 1)
    }

    /// The same in a given version.
    pub(crate) fn coin_at(&mut self, owner: u8, balance: u64, version: u64) -> ObjectId {
        self.coins += 1;
        self.minted += u128::from(balance);
        let mut bytes = [0xc0; 32];
        bytes[24..].copy_from_slice(&self.coins.to_be_bytes());
        let id = ObjectId::new(bytes);
        let coin = Object::coin(id, version, balance, address(owner), TransactionDigest::ZERO);
        self.edit(|parts| parts.objects.push(coin));
        id
    }

    /// Reference of a live object.
    pub(crate) fn at(&self, id: ObjectId) -> ObjectRef {
        self.ledger.object(&id).expect("a live object").reference()
    }

    /// Signs and executes.
    pub(crate) fn send(
        &mut self,
        sender: u8,
        kind: TransactionKind,
        gas: &[ObjectId],
    ) -> Execution {
        self.try_send(sender, kind, gas).expect("not rejected")
    }

    /// Signs and executes, unless it is turned away.
    pub(crate) fn try_send(
        &mut self,
        sender: u8,
        kind: TransactionKind,
        gas: &[ObjectId],
    ) -> Result<Execution, Rejection> {
        let transaction = self.sign(sender, kind, gas);
        self.ledger.apply(&transaction)
    }

    /// Signs.
    pub(crate) fn sign(
        &self,
        sender: u8,
        kind: TransactionKind,
        gas: &[ObjectId],
    ) -> SignedTransaction {
        let gas = gas.iter().map(|id| self.at(*id)).collect();
        TransactionData::new(kind, address(sender), gas).sign(&key(sender))
    }

    /// Ends the epoch before it has run its length.
    pub(crate) fn advance(&mut self) -> Execution {
        let start = self.state().epoch_start_timestamp_ms;
        self.ledger.change_epoch(start + 1)
    }

    /// Ends the epoch when it has run its length.
    pub(crate) fn advance_in_full(&mut self) -> Execution {
        let start = self.state().epoch_start_timestamp_ms;
        self.ledger.change_epoch(start + EPOCH_MS)
    }

    /// Ends the epoch early as if `fees` had been charged in it.
    pub(crate) fn advance_with_fees(&mut self, fees: u64) -> Execution {
        let epoch = self.state().epoch + 1;
        self.change_to(epoch, fees)
    }

    /// Ends the epoch in full as if `fees` had been charged in it.
    pub(crate) fn advance_in_full_with_fees(&mut self, fees: u64) -> Execution {
        let epoch = self.state().epoch + 1;
        self.change(epoch, fees, EPOCH_MS)
    }

    /// Asks for a given epoch.
    pub(crate) fn change_to(&mut self, epoch: u64, fees: u64) -> Execution {
        self.change(epoch, fees, 1)
    }

    fn change(&mut self, epoch: u64, fees: u64, after_ms: u64) -> Execution {
        let epoch_start_timestamp_ms = self.state().epoch_start_timestamp_ms + after_ms;
        let change = ChangeEpoch {
            epoch,
            epoch_start_timestamp_ms,
            protocol_version: 1,
            fees,
            epoch_randomness: Vec::new(),
        };
        self.ledger.change_epoch_with(change)
    }

    pub(crate) fn state(&self) -> &SystemStateV1 {
        self.ledger.system_state()
    }

    /// All money but that of coins that came out of nothing: no transaction
    /// and no boundary changes it.
    pub(crate) fn supply(&self) -> u128 {
        self.ledger.supply().total() - self.minted
    }

    /// Balance of a coin; none if it is gone.
    pub(crate) fn balance(&self, id: ObjectId) -> Option<u64> {
        self.ledger.object(&id).and_then(Object::coin_balance)
    }

    /// Owner of an object.
    pub(crate) fn owner(&self, id: ObjectId) -> Option<Address> {
        self.ledger.object(&id).and_then(|object| object.owner.address())
    }

    /// The model of the scenario, in whichever state.
    pub(crate) fn model(&self) -> &Model {
        self.state().model_registry.get(&MODEL).expect("a model")
    }

    pub(crate) fn model_pool(&self) -> &StakingPool {
        &self.model().staking_pool
    }

    pub(crate) fn model_stake(&self) -> u64 {
        self.state().model_registry.total_model_stake
    }

    pub(crate) fn is_pending(&self) -> bool {
        self.state().model_registry.pending_models.contains_key(&MODEL)
    }

    pub(crate) fn is_active(&self) -> bool {
        self.state().model_registry.active_models.contains_key(&MODEL)
    }

    pub(crate) fn is_inactive(&self) -> bool {
        self.state().model_registry.inactive_models.contains_key(&MODEL)
    }

    /// The pool of the validator with this number.
    pub(crate) fn pool(&self, validator: u8) -> &StakingPool {
        let of = address(validator);
        let set = &self.state().validators;
        let all = set.validators.iter().chain(set.inactive_validators.values());
        let validator = all.into_iter().find(|v| v.metadata.soma_address == of);
        &validator.expect("one of ours").staking_pool
    }

    pub(crate) fn voting_power(&self, validator: u8) -> u64 {
        let of = address(validator);
        let set = &self.state().validators.validators;
        let found = set.iter().find(|v| v.metadata.soma_address == of);
        found.expect("one of ours").voting_power
    }

    /// Alice commits the model with this stake; returns her receipt.
    pub(crate) fn commit(&mut self, stake: u64) -> ObjectId {
        let gas = self.coin(ALICE, stake + stake / 1000 + 10_000);
        let done = self.send(ALICE, commit(stake), &[gas]);
        assert_success(&done);
        receipt_of(&done)
    }

    /// Alice reveals it.
    pub(crate) fn reveal(&mut self) {
        let gas = self.coin(ALICE, 10_000);
        let done = self.send(ALICE, reveal(URL), &[gas]);
        assert_success(&done);
    }

    /// An active model in epoch 1 with this stake; returns Alice's receipt.
    pub(crate) fn active_model(&mut self, stake: u64) -> ObjectId {
        let receipt = self.commit(stake);
        self.advance();
        self.reveal();
        receipt
    }

    /// Somebody stakes on the model; returns the receipt.
    pub(crate) fn stake_on_model(&mut self, staker: u8, amount: u64) -> ObjectId {
        let coin = self.coin(staker, amount);
        let gas = self.coin(staker, SOMA);
        let coin_ref = self.at(coin);
        let kind = TransactionKind::AddStakeToModel { model_id: MODEL, coin_ref, amount: None };
        let done = self.send(staker, kind, &[gas]);
        assert_success(&done);
        receipt_of(&done)
    }

    /// Withdraws a receipt and returns what was paid.
    pub(crate) fn withdraw(&mut self, owner: u8, receipt: ObjectId) -> u64 {
        let gas = self.coin(owner, 10_000 * SOMA);
        let kind = TransactionKind::WithdrawStake { staked_soma: self.at(receipt) };
        let done = self.send(owner, kind, &[gas]);
        assert_success(&done);
        assert!(self.ledger.object(&receipt).is_none());
        created(&done).coin_balance().expect("a coin")
    }

    /// A transaction on the model from a fresh gas coin.
    pub(crate) fn on_model(&mut self, sender: u8, kind: TransactionKind) -> Execution {
        let gas = self.coin(sender, 10 * SOMA);
        self.send(sender, kind, &[gas])
    }
}

/// Commit of the scenario's model.
pub(crate) fn commit(stake_amount: u64) -> TransactionKind {
    TransactionKind::CommitModel(commit_fields(stake_amount))
}

pub(crate) fn commit_fields(stake_amount: u64) -> CommitModel {
    CommitModel {
        model_id: MODEL,
        weights_url_commitment: Commitment::of(URL),
        weights_commitment: Commitment::new(WEIGHTS),
        architecture_version: 1,
        stake_amount,
        commission_rate: 0,
        staking_pool_id: POOL,
    }
}

/// Reveal of the scenario's model.
pub(crate) fn reveal(url: &str) -> TransactionKind {
    TransactionKind::RevealModel(reveal_fields(url))
}

pub(crate) fn reveal_fields(url: &str) -> RevealModel {
    let url: WeightsUrl = url.parse().expect("a URL");
    RevealModel {
        model_id: MODEL,
        weights_manifest: ModelWeightsManifest {
            manifest: Manifest::new(url, Checksum::new(WEIGHTS), 4096),
            decryption_key: DecryptionKey::new([9; 32]),
        },
        embedding: Tensor::vector(&[0.5; DIM]),
    }
}

/// Commit of an update with other weights.
pub(crate) fn commit_update(url: &str, weights: [u8; 32]) -> TransactionKind {
    TransactionKind::CommitModelUpdate(CommitModelUpdate {
        model_id: MODEL,
        weights_url_commitment: Commitment::of(url),
        weights_commitment: Commitment::new(weights),
    })
}

/// Reveal of an update with other weights.
pub(crate) fn reveal_update(url: &str, weights: [u8; 32]) -> TransactionKind {
    let parsed: WeightsUrl = url.parse().expect("a URL");
    let mut fields = reveal_fields(url);
    fields.weights_manifest.manifest = Manifest::new(parsed, Checksum::new(weights), 8192);
    fields.embedding = Tensor::vector(&[-0.25; DIM]);
    TransactionKind::RevealModelUpdate(fields)
}

/// Base, operation and value fee; the total is compared with their sum.
pub(crate) fn fees(execution: &Execution) -> (u64, u64, u64) {
    let fee = execution.effects.v1().transaction_fee;
    assert_eq!(fee.total_fee, fee.base_fee + fee.operation_fee + fee.value_fee);
    (fee.base_fee, fee.operation_fee, fee.value_fee)
}

/// Name of the failure; `Success` if there is none.
pub(crate) fn outcome(execution: &Execution) -> &'static str {
    execution.effects.failure().map_or("Success", |failure| failure.name())
}

#[track_caller]
pub(crate) fn assert_success(execution: &Execution) {
    assert_eq!(outcome(execution), "Success", "{:?}", execution.effects.failure());
}

/// A failure that was charged the base fee and changed nothing but the gas
/// coin and the version of the system state.
#[track_caller]
pub(crate) fn assert_failed(execution: &Execution, name: &str) {
    assert_eq!(outcome(execution), name, "{:?}", execution.effects.failure());
    assert_eq!(fees(execution), (1000, 0, 0));
    assert_eq!(execution.effects.created().count(), 0);
    assert_eq!(execution.touched_models, []);
}

/// Name of the rejection.
pub(crate) fn rejection(result: Result<Execution, Rejection>) -> &'static str {
    match result {
        Ok(execution) => panic!("executed: {}", outcome(&execution)),
        Err(rejection) => rejection.name(),
    }
}

/// The objects that a transaction created, in the order of creation.
pub(crate) fn all_created(execution: &Execution) -> Vec<&Object> {
    let digest = execution.transaction.digest();
    (0..execution.effects.created().count() as u64)
        .map(|n| {
            let id = soma_proto::object::derive_object_id(&digest, n);
            let object = execution.written.iter().find(|object| object.id() == id);
            object.expect("created objects are numbered without gaps")
        })
        .collect()
}

/// The only object that a transaction created.
#[track_caller]
pub(crate) fn created(execution: &Execution) -> &Object {
    let all = all_created(execution);
    assert_eq!(all.len(), 1);
    all[0]
}

/// The receipt that a transaction created.
pub(crate) fn receipt_of(execution: &Execution) -> ObjectId {
    let receipt = created(execution);
    assert_eq!(receipt.object_type(), ObjectType::StakedSoma);
    receipt.id()
}

/// Pool, activation and principal of the receipt that a transaction created.
pub(crate) fn receipt(execution: &Execution) -> StakedSoma {
    created(execution).as_staked_soma().expect("a receipt")
}

/// Ids of the deleted objects.
pub(crate) fn deleted(execution: &Execution) -> Vec<ObjectId> {
    execution.effects.deleted().map(|reference| reference.id()).collect()
}
