//! Random walks: twelve bytes make one step, a transaction or the end of an
//! epoch. Almost any step names things that exist, so that most of them get
//! past the checks and many succeed.

use soma_ledger::{Allocation, Checks, Execution, GenesisConfig, GenesisValidator, Ledger};
use soma_proto::bls::BlsKeyPair;
use soma_proto::transaction::{CommitModel, CommitModelUpdate, RevealModel};
use soma_proto::{
    Checksum, Commitment, DecryptionKey, KeyPair, Manifest, ModelWeightsManifest, Object, ObjectId,
    ObjectRef, ObjectType, SignedTransaction, Tensor, TransactionData, TransactionKind,
};

/// Bytes of a step.
pub(crate) const STEP_BYTES: usize = 12;
/// Shannons in a SOMA.
const SOMA: u64 = 1_000_000_000;
/// Accounts that pay each other. The last of them is a validator's; the other
/// validator's is the one after it.
const ACCOUNTS: u8 = 4;
/// Length of an embedding.
const DIM: usize = 4;
/// Length of an epoch.
const EPOCH_MS: u64 = 1000;

/// One step, not yet bound to what exists.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step(pub(crate) [u8; STEP_BYTES]);

/// What a step turned into.
pub(crate) enum Action {
    Send(Box<SignedTransaction>),
    EndEpoch { timestamp_ms: u64 },
}

fn key(account: u8) -> KeyPair {
    KeyPair::from_bytes([account + 1; 32])
}

/// A small chain: coins of many sizes, two validators, small numbers.
pub(crate) fn small_chain() -> (Ledger, Execution) {
    let validators: Vec<_> = (ACCOUNTS - 1..=ACCOUNTS)
        .map(|account| {
            let public_key = key(account).public_key();
            let protocol_key = BlsKeyPair::from_bytes(&[account + 1; 32]).expect("a scalar");
            let address = public_key.address();
            GenesisValidator::new(address, &protocol_key, public_key, public_key)
        })
        .collect();
    let mut config = GenesisConfig::local(0, &[], None, validators);
    config.parameters.epoch_duration_ms = EPOCH_MS;
    config.parameters.target_embedding_dim = DIM as u64;
    config.parameters.target_initial_targets_per_epoch = 2;
    for account in 0..ACCOUNTS {
        for amount in [0, 900, 1000, 1700, 50_000, SOMA, 3 * SOMA, 100 * SOMA] {
            let owner = key(account).address();
            config.allocations.push(Allocation { owner, amount, staked_with: None });
        }
    }
    Ledger::genesis(&config).expect("a genesis")
}

impl Step {
    /// Binds the step to what is there. Most choices fall on something that
    /// can work: the right owner, a large gas coin.
    pub(crate) fn bind(self, ledger: &Ledger) -> Action {
        let [action, sender, object, gas, more_gas, model, ..] = self.0;
        if action >= 232 {
            let length = if action >= 244 { EPOCH_MS } else { 1 };
            let start = ledger.system_state().epoch_start_timestamp_ms;
            return Action::EndEpoch { timestamp_ms: start + length };
        }
        let action = action % 18;
        let (model_id, owner) = choose_model(ledger, action, model);
        let willing = match action {
            8..=9 | 11..=14 => owner,
            15.. => Some(ACCOUNTS - 1 + gas % 2),
            _ => None,
        };
        let sender = key(willing.filter(|_| sender < 230).unwrap_or(sender % ACCOUNTS));
        let own: Vec<_> = ledger
            .objects()
            .filter(|object| object.owner.address() == Some(sender.address()))
            .collect();
        let of_type = |wanted| own.iter().copied().filter(move |o| o.object_type() == wanted);
        let coins: Vec<_> = of_type(ObjectType::Coin).collect();
        let receipts: Vec<_> = of_type(ObjectType::StakedSoma).collect();
        let kind = self.kind(action, model_id, &own, &coins, &receipts, object);
        let largest = coins.iter().max_by_key(|coin| coin.coin_balance());
        let coin = if gas < 200 { largest.map(|c| c.reference()) } else { pick(&coins, gas) };
        let mut payment: Vec<ObjectRef> = coin.into_iter().collect();
        if more_gas > 200 {
            payment.extend(pick(&coins, more_gas));
        }
        let data = TransactionData::new(kind, sender.address(), payment);
        Action::Send(Box::new(data.sign(&sender)))
    }

    fn kind(
        self,
        action: u8,
        model_id: ObjectId,
        own: &[&Object],
        coins: &[&Object],
        receipts: &[&Object],
        object: u8,
    ) -> TransactionKind {
        let [_, _, _, _, _, model, pool, ..] = self.0;
        let recipient = key(pool % ACCOUNTS).address();
        let coin = coins.get(usize::from(object) % coins.len().max(1)).copied();
        let balance = coin.and_then(Object::coin_balance).unwrap_or(0);
        let coin = coin.map_or_else(nothing, Object::reference);
        let amount = self.amount(balance);
        match action {
            0 => TransactionKind::TransferCoin { coin, amount, recipient },
            1 => {
                let coins = [pick(coins, object), pick(coins, model)];
                TransactionKind::PayCoins {
                    coins: coins.into_iter().flatten().collect(),
                    amounts: amount.map(|amount| vec![amount, u64::from(pool)]),
                    recipients: vec![recipient; if amount.is_some() { 2 } else { 1 }],
                }
            }
            2 => TransactionKind::TransferObjects {
                objects: pick(own, object).into_iter().collect(),
                recipient,
            },
            3 => {
                let address = key(ACCOUNTS - 1 + pool % 2).address();
                TransactionKind::AddStake { address, coin_ref: coin, amount }
            }
            4 | 5 => TransactionKind::WithdrawStake {
                staked_soma: pick(receipts, object).unwrap_or(coin),
            },
            6 | 7 => TransactionKind::CommitModel(CommitModel {
                model_id,
                weights_url_commitment: Commitment::of(url(0)),
                weights_commitment: Commitment::new([0; 32]),
                architecture_version: 1,
                stake_amount: amount.unwrap_or(SOMA),
                commission_rate: u64::from(pool) * 50,
                staking_pool_id: ObjectId::new([pool % 16 + 100; 32]),
            }),
            8 | 9 => TransactionKind::RevealModel(reveal(model_id, pool % 8 / 7)),
            10 => TransactionKind::AddStakeToModel { model_id, coin_ref: coin, amount },
            11 => TransactionKind::CommitModelUpdate(CommitModelUpdate {
                model_id,
                weights_url_commitment: Commitment::of(url(1)),
                weights_commitment: Commitment::new([1; 32]),
            }),
            12 => TransactionKind::RevealModelUpdate(reveal(model_id, 1)),
            13 => TransactionKind::SetModelCommissionRate { model_id, new_rate: balance % 11_000 },
            14 if pool < 100 => TransactionKind::DeactivateModel { model_id },
            14 | 15 => TransactionKind::UndoReportModel { model_id },
            _ => TransactionKind::ReportModel { model_id },
        }
    }

    fn amount(self, balance: u64) -> Option<u64> {
        let [.., style, a, b, c, d] = self.0;
        let raw = u64::from(u32::from_le_bytes([a, b, c, d]));
        match style % 10 {
            0 => None,
            1 => Some(0),
            2 => Some(balance),
            3 => Some(balance.saturating_sub(1000 + raw % 2000)),
            4 => Some(balance / 2),
            5 => Some(u64::MAX - raw % 3),
            6 => Some(SOMA + raw % SOMA),
            7 => Some(SOMA),
            _ => Some(raw),
        }
    }
}

/// Does a step, or nothing if the transaction is turned away. A transaction is
/// simulated first, which must foretell its effects and change nothing.
pub(crate) fn take(ledger: &mut Ledger, step: Step) -> Option<Execution> {
    let transaction = match step.bind(ledger) {
        Action::EndEpoch { timestamp_ms } => return Some(ledger.change_epoch(timestamp_ms)),
        Action::Send(transaction) => transaction,
    };
    let state = ledger.state_reference();
    let has_gas = !transaction.data.gas_payment().is_empty();
    let foretold = ledger.simulate(&transaction.data, Checks::Enabled);
    assert_eq!(ledger.state_reference(), state);
    assert_eq!(ledger.state_object().digest(), state.digest());
    let done = ledger.apply(&transaction);
    if has_gas {
        let effects =
            |result: &Result<Execution, _>| result.as_ref().ok().map(|e| e.effects.clone());
        assert_eq!(effects(&foretold), effects(&done));
    }
    done.ok()
}

/// A model in a status that suits the action, and the account of its owner; any
/// id if there is none.
fn choose_model(ledger: &Ledger, action: u8, choice: u8) -> (ObjectId, Option<u8>) {
    let registry = &ledger.system_state().model_registry;
    let suitable: Vec<_> = match action {
        8..=9 => registry.pending_models.iter().collect(),
        10 if choice.is_multiple_of(2) => registry.pending_models.iter().collect(),
        10..=17 => registry.active_models.iter().collect(),
        _ => Vec::new(),
    };
    if suitable.is_empty() || choice > 240 {
        return (ObjectId::new([choice % 16 + 1; 32]), None);
    }
    let (id, model) = suitable[usize::from(choice) % suitable.len()];
    (*id, (0..ACCOUNTS).find(|account| key(*account).address() == model.owner))
}

fn pick(objects: &[&Object], choice: u8) -> Option<ObjectRef> {
    objects.get(usize::from(choice) % objects.len().max(1)).map(|object| object.reference())
}

fn nothing() -> ObjectRef {
    ObjectRef(ObjectId::ZERO, 1, soma_proto::ObjectDigest::ZERO)
}

fn url(version: u8) -> String {
    format!("https://example.com/{version}.bin")
}

fn reveal(model_id: ObjectId, version: u8) -> RevealModel {
    let url = url(version).parse().expect("a URL");
    RevealModel {
        model_id,
        weights_manifest: ModelWeightsManifest {
            manifest: Manifest::new(url, Checksum::new([version; 32]), 1),
            decryption_key: DecryptionKey::new([3; 32]),
        },
        embedding: Tensor::vector(&[1.0; DIM]),
    }
}
