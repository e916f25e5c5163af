//! Transactions without a sender: what the plain builders make.

use pyo3::prelude::*;
use soma_model::RevealOf;
use soma_proto::TransactionKind;

use crate::amount::Shannons;
use crate::arguments::{Account, Embedding, Hash, Id, Key, Reference, WeightsUrl};
use crate::kinds::{self, Commit, Reveal};

/// What a transaction is to do, without sender and gas.
///
/// Made by ``soma.build_*``, signed and sent by :meth:`SomaClient.submit`.
#[pyclass(module = "soma", frozen, eq)]
#[derive(Clone, PartialEq)]
pub(crate) struct TransactionRequest {
    pub(crate) kind: TransactionKind,
    /// Whether the architecture is the chain's, whatever that is.
    pub(crate) any_architecture: bool,
}

impl From<TransactionKind> for TransactionRequest {
    fn from(kind: TransactionKind) -> Self {
        Self { kind, any_architecture: false }
    }
}

#[pymethods]
impl TransactionRequest {
    /// The name of what it does, for example ``"CommitModelUpdate"``.
    ///
    /// >>> build_deactivate_model("0x" + "ab" * 32).kind
    /// 'DeactivateModel'
    #[getter]
    fn kind(&self) -> &'static str {
        self.kind.name()
    }

    /// No field is shown: a reveal holds the key.
    fn __repr__(&self) -> String {
        format!("TransactionRequest({})", self.kind.name())
    }
}

/// Moves ``amount`` out of a coin, or all of it.
///
/// >>> [coin, gas] = await client.list_owned_objects(signer.address(), "coin")
/// >>> effects = await client.submit(signer, build_transfer_coin(friend, coin, 0.5))
#[pyfunction]
#[pyo3(signature = (recipient, coin, amount = None))]
pub(crate) fn build_transfer_coin(
    recipient: Account,
    coin: Reference,
    amount: Option<Shannons>,
) -> TransactionRequest {
    kinds::transfer_coin(recipient, coin, amount).into()
}

/// Gives objects away.
///
/// >>> [coin, gas] = await client.list_owned_objects(signer.address(), "coin")
/// >>> effects = await client.submit(signer, build_transfer_objects(friend, [coin]))
#[pyfunction]
pub(crate) fn build_transfer_objects(
    recipient: Account,
    objects: Vec<Reference>,
) -> TransactionRequest {
    kinds::transfer_objects(recipient, objects).into()
}

/// Pays several addresses out of these coins; amounts as ints of shannons or
/// floats or Decimals of SOMA.
///
/// Raises ValueError unless there are as many amounts as recipients.
///
/// >>> [coin, gas] = await client.list_owned_objects(signer.address(), "coin")
/// >>> effects = await client.submit(signer, build_pay_coins([friend], [0.5], [coin]))
#[pyfunction]
pub(crate) fn build_pay_coins(
    recipients: Vec<Account>,
    amounts: Vec<Shannons>,
    coins: Vec<Reference>,
) -> PyResult<TransactionRequest> {
    Ok(kinds::pay_coins(recipients, amounts, coins)?.into())
}

/// Stakes ``amount`` out of a coin with a validator, or all of it.
///
/// >>> [coin, gas] = await client.list_owned_objects(signer.address(), "coin")
/// >>> effects = await client.submit(signer, build_add_stake(validator, coin, 0.5))
#[pyfunction]
#[pyo3(signature = (validator, coin, amount = None))]
pub(crate) fn build_add_stake(
    validator: Account,
    coin: Reference,
    amount: Option<Shannons>,
) -> TransactionRequest {
    kinds::add_stake(validator, coin, amount).into()
}

/// Stakes ``amount`` out of a coin on a model, or all of it.
///
/// >>> build_add_stake_to_model(new_model_id(), {"id": "0x" + "ab" * 32, "version": 1,
/// ...                          "digest": "1" * 32}, 0.5)
/// TransactionRequest(AddStakeToModel)
#[pyfunction]
#[pyo3(signature = (model_id, coin, amount = None))]
pub(crate) fn build_add_stake_to_model(
    model_id: Id,
    coin: Reference,
    amount: Option<Shannons>,
) -> TransactionRequest {
    kinds::add_stake_to_model(model_id, coin, amount).into()
}

/// Withdraws a stake with its rewards.
///
/// >>> await client.add_stake(signer, validator, 1.5)
/// >>> [receipt] = await client.list_owned_objects(signer.address(), "staked_soma")
/// >>> effects = await client.submit(signer, build_withdraw_stake(receipt))
#[pyfunction]
pub(crate) fn build_withdraw_stake(staked_soma: Reference) -> TransactionRequest {
    kinds::withdraw_stake(staked_soma).into()
}

/// Commits to a new model.
///
/// ``weights_url_commitment`` is Blake2b-256 of the URL in normal form,
/// ``weights_commitment`` of the encrypted weights; ``stake_amount`` is an int of
/// shannons or a float or Decimal of SOMA, ``commission_rate`` in basis points.
/// Without ``architecture_version`` it is the chain's.
///
/// >>> commitments = SomaClient.commitment(weights_url.encode()), "cd" * 32
/// >>> tx = build_commit_model(new_model_id(), *commitments, 1.0, 1000, new_model_id())
/// >>> effects = await client.submit(signer, tx)
#[pyfunction]
#[pyo3(signature = (model_id, weights_url_commitment, weights_commitment, stake_amount,
                    commission_rate, staking_pool_id, architecture_version = None))]
pub(crate) fn build_commit_model(
    model_id: Id,
    weights_url_commitment: Hash,
    weights_commitment: Hash,
    stake_amount: Shannons,
    commission_rate: u64,
    staking_pool_id: Id,
    architecture_version: Option<u64>,
) -> TransactionRequest {
    let commit = Commit {
        model_id,
        weights_url_commitment,
        weights_commitment,
        stake_amount,
        commission_rate,
        staking_pool_id,
    };
    TransactionRequest {
        kind: commit.kind(architecture_version.unwrap_or_default()),
        any_architecture: architecture_version.is_none(),
    }
}

/// Commits to new weights of an active model.
///
/// ``weights_url_commitment`` is Blake2b-256 of the URL in normal form,
/// ``weights_commitment`` of the encrypted weights; both are 64 hex digits or
/// Base58. Raises ValueError for anything else.
///
/// >>> from soma import SomaClient, build_commit_model_update
/// >>> url = SomaClient.commitment(b"https://storage.example.com/w2.enc")
/// >>> weights = SomaClient.commitment(b"the encrypted weights")
/// >>> build_commit_model_update("0x" + "ab" * 32, url, weights)
/// TransactionRequest(CommitModelUpdate)
#[pyfunction]
pub(crate) fn build_commit_model_update(
    model_id: Id,
    weights_url_commitment: Hash,
    weights_commitment: Hash,
) -> TransactionRequest {
    kinds::commit_model_update(model_id, weights_url_commitment, weights_commitment).into()
}

macro_rules! reveal {
    ($(#[$doc:meta])* $name:ident, $of:expr) => {
        $(#[$doc])*
        #[pyfunction]
        pub(crate) fn $name(
            model_id: Id,
            weights_url: WeightsUrl,
            weights_checksum: Hash,
            weights_size: u64,
            decryption_key: Key,
            embedding: Embedding,
        ) -> TransactionRequest {
            let reveal = Reveal {
                model_id,
                weights_url,
                weights_checksum,
                weights_size,
                decryption_key,
                embedding,
            };
            reveal.kind($of).into()
        }
    };
}

reveal! {
    /// Reveals the first weights of a committed model.
    ///
    /// ``weights_checksum`` is Blake2b-256 of the encrypted file, ``weights_size``
    /// its bytes, ``embedding`` the vector that training gave. Raises ValueError
    /// for an empty embedding and for numbers that are not finite.
    ///
    /// >>> build_reveal_model("0x" + "ab" * 32, weights_url, "cd" * 32, 7, decryption_key, embedding)
    /// TransactionRequest(RevealModel)
    build_reveal_model, RevealOf::Registration
}

reveal! {
    /// Reveals new weights of an active model; arguments as
    /// :func:`build_reveal_model`, ``weights_size`` in bytes.
    ///
    /// >>> build_reveal_model_update(
    /// ...     "0x" + "ab" * 32, weights_url, "cd" * 32, 7, decryption_key, embedding
    /// ... )
    /// TransactionRequest(RevealModelUpdate)
    build_reveal_model_update, RevealOf::Update
}

/// Withdraws a model from the competition.
///
/// >>> build_deactivate_model("0x" + "ab" * 32)
/// TransactionRequest(DeactivateModel)
#[pyfunction]
pub(crate) fn build_deactivate_model(model_id: Id) -> TransactionRequest {
    kinds::deactivate_model(model_id).into()
}

/// Sets a commission in basis points, in force from the next epoch on.
///
/// >>> build_set_model_commission_rate("0x" + "ab" * 32, 500)
/// TransactionRequest(SetModelCommissionRate)
#[pyfunction]
pub(crate) fn build_set_model_commission_rate(model_id: Id, new_rate: u64) -> TransactionRequest {
    kinds::set_model_commission_rate(model_id, new_rate).into()
}
