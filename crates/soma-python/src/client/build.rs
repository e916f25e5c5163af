//! The builders of the client: whole transactions as bytes, not signed.

use std::sync::Arc;

use pyo3::prelude::*;
use soma_model::RevealOf;
use soma_proto::{TransactionData, TransactionKind};

use super::{Services, SomaClient, step};
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
        None => step::purse(&services.node, sender.0).await?.gas_for(&kind)?,
    };
    Ok(TransactionData::new(kind, sender.0, gas).to_bcs())
}

#[pymethods]
impl SomaClient {
    /// BCS(TransactionData) that moves ``amount`` out of a coin, or all of it.
    ///
    /// >>> [coin, gas] = await client.list_owned_objects(signer.address(), "coin")
    /// >>> data = await client.build_transfer_coin(signer.address(), friend, coin, 5)
    /// >>> effects = await client.submit(signer, data)
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
    ///
    /// >>> [coin, gas] = await client.list_owned_objects(signer.address(), "coin")
    /// >>> data = await client.build_transfer_objects(signer.address(), friend, [coin])
    /// >>> effects = await client.submit(signer, data)
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

    /// BCS(TransactionData) that pays several addresses out of these coins; as
    /// many amounts (int: shannons; float or Decimal: SOMA) as recipients.
    ///
    /// >>> [coin, gas] = await client.list_owned_objects(signer.address(), "coin")
    /// >>> data = await client.build_pay_coins(signer.address(), [friend], [5], [coin])
    /// >>> effects = await client.submit(signer, data)
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
    ///
    /// >>> [coin, gas] = await client.list_owned_objects(signer.address(), "coin")
    /// >>> data = await client.build_add_stake(signer.address(), validator, coin, 0.5)
    /// >>> effects = await client.submit(signer, data)
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
    ///
    /// >>> model = await client.commit_model(signer, weights_url, encrypted_weights, 0)
    /// >>> [coin, *_] = await client.list_owned_objects(signer.address(), "coin")
    /// >>> data = await client.build_add_stake_to_model(signer.address(), model, coin, 0.5)
    /// >>> effects = await client.submit(signer, data)
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
    ///
    /// >>> await client.add_stake(signer, validator, 1.5)
    /// >>> [receipt] = await client.list_owned_objects(signer.address(), "staked_soma")
    /// >>> data = await client.build_withdraw_stake(signer.address(), receipt)
    /// >>> effects = await client.submit(signer, data)
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
    /// the chain's. ``stake_amount`` is an int of shannons or a float or Decimal
    /// of SOMA, ``commission_rate`` in basis points.
    ///
    /// >>> data = await client.build_commit_model(
    /// ...     signer.address(), new_model_id(), SomaClient.commitment(weights_url.encode()),
    /// ...     SomaClient.commitment(encrypted_weights), 1.0, 1000, new_model_id()
    /// ... )
    /// >>> effects = await client.submit(signer, data)
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

    /// BCS(TransactionData) that reveals the first weights of a model;
    /// ``weights_size`` in bytes. Sent before its time it gives the key away.
    ///
    /// >>> model = await client.commit_model(signer, weights_url, encrypted_weights, 0)
    /// >>> await client.advance_epoch()
    /// 1
    /// >>> data = await client.build_reveal_model(
    /// ...     signer.address(), model, weights_url, SomaClient.commitment(encrypted_weights),
    /// ...     len(encrypted_weights), decryption_key, embedding
    /// ... )
    /// >>> effects = await client.submit(signer, data)
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
    ///
    /// >>> model = await client.commit_model(signer, weights_url, encrypted_weights, 0)
    /// >>> await client.advance_epoch()
    /// 1
    /// >>> await client.reveal_model(
    /// ...     signer, model, weights_url, encrypted_weights, decryption_key, embedding
    /// ... )
    /// >>> data = await client.build_commit_model_update(
    /// ...     signer.address(), model, SomaClient.commitment(weights_url.encode()), "cd" * 32
    /// ... )
    /// >>> effects = await client.submit(signer, data)
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

    /// BCS(TransactionData) that reveals new weights of an active model;
    /// ``weights_size`` in bytes. Sent before its time it gives the key away.
    ///
    /// >>> model = await client.commit_model(signer, weights_url, encrypted_weights, 0)
    /// >>> await client.advance_epoch()
    /// 1
    /// >>> await client.reveal_model(
    /// ...     signer, model, weights_url, encrypted_weights, decryption_key, embedding
    /// ... )
    /// >>> sealed, key = SomaClient.encrypt_weights(weights)
    /// >>> await client.commit_model_update(signer, model, weights_url, sealed)
    /// >>> await client.advance_epoch()
    /// 2
    /// >>> data = await client.build_reveal_model_update(
    /// ...     signer.address(), model, weights_url, SomaClient.commitment(sealed),
    /// ...     len(sealed), key, embedding
    /// ... )
    /// >>> effects = await client.submit(signer, data)
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
    ///
    /// >>> model = await client.commit_model(signer, weights_url, encrypted_weights, 0)
    /// >>> await client.advance_epoch()
    /// 1
    /// >>> await client.reveal_model(
    /// ...     signer, model, weights_url, encrypted_weights, decryption_key, embedding
    /// ... )
    /// >>> data = await client.build_deactivate_model(signer.address(), model)
    /// >>> effects = await client.submit(signer, data)
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
    ///
    /// >>> model = await client.commit_model(signer, weights_url, encrypted_weights, 0)
    /// >>> await client.advance_epoch()
    /// 1
    /// >>> await client.reveal_model(
    /// ...     signer, model, weights_url, encrypted_weights, decryption_key, embedding
    /// ... )
    /// >>> data = await client.build_set_model_commission_rate(signer.address(), model, 500)
    /// >>> effects = await client.submit(signer, data)
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

    /// BCS(TransactionData) by which a validator reports a model whose weights
    /// cannot be had.
    ///
    /// >>> data = await client.build_report_model(signer.address(), new_model_id())
    /// >>> len(data) > 0
    /// True
    #[pyo3(signature = (sender, model_id, gas = None))]
    fn build_report_model<'py>(
        &self,
        py: Python<'py>,
        sender: Account,
        model_id: Id,
        gas: Option<Reference>,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.build(py, sender, kinds::report_model(model_id), gas)
    }

    /// BCS(TransactionData) by which a validator takes its report back.
    ///
    /// >>> data = await client.build_undo_report_model(signer.address(), new_model_id())
    /// >>> len(data) > 0
    /// True
    #[pyo3(signature = (sender, model_id, gas = None))]
    fn build_undo_report_model<'py>(
        &self,
        py: Python<'py>,
        sender: Account,
        model_id: Id,
        gas: Option<Reference>,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.build(py, sender, kinds::undo_report_model(model_id), gas)
    }
}
