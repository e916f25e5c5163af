//! One-call methods for coins and stake.

use std::sync::Arc;

use pyo3::prelude::*;
use soma_model::payment::StakeTarget;
use soma_proto::{ObjectRef, TransactionKind};
use soma_rpc::Client;

use super::{SomaClient, step};
use crate::amount::Shannons;
use crate::arguments::{Account, Id};
use crate::error::{Error, Result};
use crate::wallet::Signer;
use crate::{kinds, runtime};

#[pymethods]
impl SomaClient {
    /// Sends an amount: an int of shannons, or a float or Decimal of SOMA.
    ///
    /// Raises Refused if the coins do not suffice, TransactionFailed if the
    /// chain says no.
    ///
    /// >>> await client.transfer_coin(signer, friend, 0.5)
    /// >>> await client.get_balance(friend)
    /// 500000000
    fn transfer_coin<'py>(
        &self,
        py: Python<'py>,
        signer: Signer,
        recipient: Account,
        amount: Shannons,
    ) -> PyResult<Bound<'py, PyAny>> {
        let services = Arc::clone(&self.services);
        runtime::future(py, async move {
            let node = &services.node;
            let key = signer.key(node).await?;
            let recipient = recipient.0;
            let kind = |coin, amount| TransactionKind::TransferCoin { coin, amount, recipient };
            let purse = step::purse(node, key.address()).await?;
            let payment = purse.spend(amount.amount, None, &[], kind)?;
            let data = payment.into_transaction(key.address());
            step::send(node, &key, data, "TransferCoin").await.map(drop)
        })
    }

    /// Gives objects away, each named by its id.
    ///
    /// >>> [coin, _] = await client.list_owned_objects(signer.address(), "coin")
    /// >>> await client.transfer_objects(signer, friend, [coin.id])
    /// >>> await client.get_balance(friend)
    /// 2000000000
    fn transfer_objects<'py>(
        &self,
        py: Python<'py>,
        signer: Signer,
        recipient: Account,
        object_ids: Vec<Id>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let services = Arc::clone(&self.services);
        runtime::future(py, async move {
            let node = &services.node;
            let mut objects = Vec::new();
            for Id(id) in object_ids {
                objects.push(reference(node, &id).await?);
            }
            let kind = TransactionKind::TransferObjects { objects, recipient: recipient.0 };
            step::run(node, &signer, kind).await.map(drop)
        })
    }

    /// Pays several addresses at once; as many amounts (int: shannons; float or
    /// Decimal: SOMA) as recipients.
    ///
    /// Raises ValueError for lists of unlike lengths; Refused, TransactionFailed.
    ///
    /// >>> await client.pay_coins(signer, [friend, signer.address()], [0.1, 0.2])
    /// >>> await client.get_balance(friend)
    /// 100000000
    fn pay_coins<'py>(
        &self,
        py: Python<'py>,
        signer: Signer,
        recipients: Vec<Account>,
        amounts: Vec<Shannons>,
    ) -> PyResult<Bound<'py, PyAny>> {
        kinds::check_pairs(recipients.len(), amounts.len())?;
        let services = Arc::clone(&self.services);
        runtime::future(py, async move {
            let node = &services.node;
            let key = signer.key(node).await?;
            let recipients: Vec<_> = recipients.into_iter().map(|recipient| recipient.0).collect();
            let amounts: Vec<_> = amounts.into_iter().map(|amount| amount.amount).collect();
            let purse = step::purse(node, key.address()).await?;
            let payment = purse.pay(recipients, amounts, &[], &[])?;
            let data = payment.into_transaction(key.address());
            step::send(node, &key, data, "PayCoins").await.map(drop)
        })
    }

    /// Stakes with a validator; all of the largest coin without an amount.
    ///
    /// Raises ValueError for an int below one SOMA, which was surely meant as
    /// SOMA; Refused, TransactionFailed.
    ///
    /// >>> await client.add_stake(signer, validator, 1.5)
    /// >>> len(await client.list_owned_objects(signer.address(), "staked_soma"))
    /// 1
    #[pyo3(signature = (signer, validator, amount = None))]
    fn add_stake<'py>(
        &self,
        py: Python<'py>,
        signer: Signer,
        validator: Account,
        amount: Option<Shannons>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let amount = amount.map(Shannons::as_stake).transpose()?;
        let services = Arc::clone(&self.services);
        runtime::future(py, async move {
            stake(&services.node, &signer, amount, StakeTarget::Validator(validator.0)).await
        })
    }

    /// Stakes on a model, committed or active; all of the largest coin without
    /// an amount, and then another coin pays the fee. Raises as :meth:`add_stake`.
    ///
    /// >>> model = await client.commit_model(signer, weights_url, encrypted_weights, 0)
    /// >>> await client.add_stake_to_model(signer, model, 0.2)
    /// >>> (await client.get_model(model)).summary.stake_balance
    /// 1200000000
    #[pyo3(signature = (signer, model_id, amount = None))]
    fn add_stake_to_model<'py>(
        &self,
        py: Python<'py>,
        signer: Signer,
        model_id: Id,
        amount: Option<Shannons>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let amount = amount.map(Shannons::as_stake).transpose()?;
        let services = Arc::clone(&self.services);
        runtime::future(py, async move {
            stake(&services.node, &signer, amount, StakeTarget::Model(model_id.0)).await
        })
    }

    /// Withdraws a stake with its rewards, as a new coin.
    ///
    /// >>> await client.add_stake(signer, validator, 1.5)
    /// >>> [receipt] = await client.list_owned_objects(signer.address(), "staked_soma")
    /// >>> await client.withdraw_stake(signer, receipt.id)
    fn withdraw_stake<'py>(
        &self,
        py: Python<'py>,
        signer: Signer,
        staked_soma_id: Id,
    ) -> PyResult<Bound<'py, PyAny>> {
        let services = Arc::clone(&self.services);
        runtime::future(py, async move {
            let staked_soma = reference(&services.node, &staked_soma_id.0).await?;
            let kind = TransactionKind::WithdrawStake { staked_soma };
            step::run(&services.node, &signer, kind).await.map(drop)
        })
    }
}

async fn stake(
    node: &Client,
    signer: &Signer,
    amount: Option<u64>,
    target: StakeTarget,
) -> Result<()> {
    let key = signer.key(node).await?;
    let payment = step::purse(node, key.address()).await?.stake(target, amount, None, &[])?;
    let what = payment.kind.name();
    step::send(node, &key, payment.into_transaction(key.address()), what).await.map(drop)
}

async fn reference(node: &Client, id: &soma_proto::ObjectId) -> Result<ObjectRef> {
    let unknown = || Error::Other(format!("ObjectNotFound: there is no object {id}"));
    Ok(node.object(id).await?.ok_or_else(unknown)?.reference())
}
