//! The builders of the client: whole transactions as bytes, not signed.

use std::sync::Arc;

use pyo3::prelude::*;
use soma_model::RevealOf;
use soma_proto::{TransactionData, TransactionKind};

use super::pay::Purse;
use super::{Services, SomaClient};
use crate::amount::Shannons;
use crate::arguments::{Account, Embedding, Hash, Id, Key, Reference, WeightsUrl};
use crate::error::Result;
use crate::kinds::{self, Commit, Reveal};
use crate::runtime;

impl SomaClient {
    /// BCS(TransactionData) of a kind. Without `gas` the coin is chosen: the
    /// one the kind names if it covers everything, else another that does.
    fn build<'py>(
        &self,
        py: Python<'py>,
        sender: Account,
        kind: TransactionKind,
        gas: Option<Reference>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let services = Arc::clone(&self.services);
        runtime::future(py, async move { build(&services, sender, kind, gas).await })
    }
}

async fn build(
    services: &Services,
    sender: Account,
    kind: TransactionKind,
    gas: Option<Reference>,
) -> Result<Vec<u8>> {
    let gas = match gas {
        Some(coin) => vec![coin.0],
        None => Purse::ask(&services.node, sender.0).await?.gas_for(&kind)?,
    };
    Ok(TransactionData::new(kind, sender.0, gas).to_bcs())
}

#[pymethods]
impl SomaClient {
    /// BCS(TransactionData) that moves ``amount`` out of a coin, or all of it.
    #[pyo3(signature = (sender, recipient, coin, amount = None, gas = None))]
    fn build_transfer_coin<'py>(
        &self,
        py: Python<'py>,
        sender: Account,
        recipient: Account,
        coin: Reference,
        amount: Option<Shannons>,
        gas: Option<Reference>,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.build(py, sender, kinds::transfer_coin(recipient, coin, amount), gas)
    }

    /// BCS(TransactionData) that gives objects away.
    #[pyo3(signature = (sender, recipient, objects, gas = None))]
    fn build_transfer_objects<'py>(
        &self,
        py: Python<'py>,
        sender: Account,
        recipient: Account,
        objects: Vec<Reference>,
        gas: Option<Reference>,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.build(py, sender, kinds::transfer_objects(recipient, objects), gas)
    }

    /// BCS(TransactionData) that pays several addresses out of these coins.
    #[pyo3(signature = (sender, recipients, amounts, coins, gas = None))]
    fn build_pay_coins<'py>(
        &self,
        py: Python<'py>,
        sender: Account,
        recipients: Vec<Account>,
        amounts: Vec<Shannons>,
        coins: Vec<Reference>,
        gas: Option<Reference>,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.build(py, sender, kinds::pay_coins(recipients, amounts, coins)?, gas)
    }

    /// BCS(TransactionData) that stakes with a validator.
    #[pyo3(signature = (sender, validator, coin, amount = None, gas = None))]
    fn build_add_stake<'py>(
        &self,
        py: Python<'py>,
        sender: Account,
        validator: Account,
        coin: Reference,
        amount: Option<Shannons>,
        gas: Option<Reference>,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.build(py, sender, kinds::add_stake(validator, coin, amount), gas)
    }

    /// BCS(TransactionData) that stakes on a model.
    #[pyo3(signature = (sender, model_id, coin, amount = None, gas = None))]
    fn build_add_stake_to_model<'py>(
        &self,
        py: Python<'py>,
        sender: Account,
        model_id: Id,
        coin: Reference,
        amount: Option<Shannons>,
        gas: Option<Reference>,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.build(py, sender, kinds::add_stake_to_model(model_id, coin, amount), gas)
    }

    /// BCS(TransactionData) that withdraws a stake.
    #[pyo3(signature = (sender, staked_soma, gas = None))]
    fn build_withdraw_stake<'py>(
        &self,
        py: Python<'py>,
        sender: Account,
        staked_soma: Reference,
        gas: Option<Reference>,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.build(py, sender, kinds::withdraw_stake(staked_soma), gas)
    }

    /// BCS(TransactionData) that commits to a new model; the architecture is
    /// the chain's.
    #[pyo3(signature = (sender, model_id, weights_url_commitment, weights_commitment,
                        stake_amount, commission_rate, staking_pool_id, gas = None))]
    #[expect(clippy::too_many_arguments, reason = "the published client's arguments")]
    fn build_commit_model<'py>(
        &self,
        py: Python<'py>,
        sender: Account,
        model_id: Id,
        weights_url_commitment: Hash,
        weights_commitment: Hash,
        stake_amount: Shannons,
        commission_rate: u64,
        staking_pool_id: Id,
        gas: Option<Reference>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let services = Arc::clone(&self.services);
        let commit = Commit {
            model_id,
            weights_url_commitment,
            weights_commitment,
            stake_amount,
            commission_rate,
            staking_pool_id,
        };
        runtime::future(py, async move {
            let architecture = services.node.architecture_version().await?;
            build(&services, sender, commit.kind(architecture), gas).await
        })
    }

    /// BCS(TransactionData) that reveals the first weights of a model.
    #[pyo3(signature = (sender, model_id, weights_url, weights_checksum, weights_size,
                        decryption_key, embedding, gas = None))]
    #[expect(clippy::too_many_arguments, reason = "the published client's arguments")]
    fn build_reveal_model<'py>(
        &self,
        py: Python<'py>,
        sender: Account,
        model_id: Id,
        weights_url: WeightsUrl,
        weights_checksum: Hash,
        weights_size: u64,
        decryption_key: Key,
        embedding: &Bound<'py, PyAny>,
        gas: Option<Reference>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let embedding = Embedding::unchecked(embedding)?;
        let reveal = Reveal {
            model_id,
            weights_url,
            weights_checksum,
            weights_size,
            decryption_key,
            embedding,
        };
        self.build(py, sender, reveal.kind(RevealOf::Registration), gas)
    }

    /// BCS(TransactionData) that commits to new weights of an active model.
    #[pyo3(signature = (sender, model_id, weights_url_commitment, weights_commitment, gas = None))]
    fn build_commit_model_update<'py>(
        &self,
        py: Python<'py>,
        sender: Account,
        model_id: Id,
        weights_url_commitment: Hash,
        weights_commitment: Hash,
        gas: Option<Reference>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let kind = kinds::commit_model_update(model_id, weights_url_commitment, weights_commitment);
        self.build(py, sender, kind, gas)
    }

    /// BCS(TransactionData) that reveals new weights of an active model.
    #[pyo3(signature = (sender, model_id, weights_url, weights_checksum, weights_size,
                        decryption_key, embedding, gas = None))]
    #[expect(clippy::too_many_arguments, reason = "the published client's arguments")]
    fn build_reveal_model_update<'py>(
        &self,
        py: Python<'py>,
        sender: Account,
        model_id: Id,
        weights_url: WeightsUrl,
        weights_checksum: Hash,
        weights_size: u64,
        decryption_key: Key,
        embedding: &Bound<'py, PyAny>,
        gas: Option<Reference>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let embedding = Embedding::unchecked(embedding)?;
        let reveal = Reveal {
            model_id,
            weights_url,
            weights_checksum,
            weights_size,
            decryption_key,
            embedding,
        };
        self.build(py, sender, reveal.kind(RevealOf::Update), gas)
    }

    /// BCS(TransactionData) that withdraws a model from the competition.
    #[pyo3(signature = (sender, model_id, gas = None))]
    fn build_deactivate_model<'py>(
        &self,
        py: Python<'py>,
        sender: Account,
        model_id: Id,
        gas: Option<Reference>,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.build(py, sender, kinds::deactivate_model(model_id), gas)
    }

    /// BCS(TransactionData) that sets a commission in basis points.
    #[pyo3(signature = (sender, model_id, new_rate, gas = None))]
    fn build_set_model_commission_rate<'py>(
        &self,
        py: Python<'py>,
        sender: Account,
        model_id: Id,
        new_rate: u64,
        gas: Option<Reference>,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.build(py, sender, kinds::set_model_commission_rate(model_id, new_rate), gas)
    }
}
