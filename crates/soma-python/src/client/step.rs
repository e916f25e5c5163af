//! One transaction from what it is to do to what it did.

use soma_model::payment::Purse;
use soma_model::{
    CommissionPlan, CommitPlan, DeactivatePlan, Depth, Gas, Host, Prepared, RevealPlan, Scope,
    UpdatePlan,
};
use soma_proto::transaction::RevealModel;
use soma_proto::{Address, Commitment, KeyPair, TransactionData, TransactionKind};
use soma_rpc::{Client, Executed, WAIT_TIMEOUT};
use soma_storage::Storage;
use soma_wallet::Environment;

use super::prepared;
use crate::error::{Error, Result};
use crate::runtime;
use crate::wallet::Signer;

/// Checks what can be checked, chooses the coins, signs, sends, and waits for
/// the checkpoint.
///
/// # Errors
/// [`Error::Model`] with `Refused` before anything is sent; as [`send`].
pub(super) async fn run(node: &Client, signer: &Signer, kind: TransactionKind) -> Result<Executed> {
    let what = kind.name();
    let key = signer.key(node).await?;
    let (there, owner) = (node.clone(), key.clone());
    let data = runtime::apart(move || async move { prepare(&there, &owner, kind).await }).await?;
    send(node, &key, data, what).await
}

/// Signs and sends a transaction, and follows it to its end even if nobody
/// waits for it any more.
///
/// # Errors
/// [`Error::Failed`] if the chain fails it, [`Error::Rpc`].
pub(super) async fn send(
    node: &Client,
    key: &KeyPair,
    data: TransactionData,
    what: &'static str,
) -> Result<Executed> {
    let (node, signed) = (node.clone(), data.sign(key));
    let executed =
        runtime::to_the_end(async move { Ok(node.execute_and_wait(&signed, WAIT_TIMEOUT).await?) })
            .await?;
    if executed.effects.is_success() {
        Ok(executed)
    } else {
        Err(Error::Failed { what, executed: Box::new(executed) })
    }
}

async fn prepare(node: &Client, key: &KeyPair, kind: TransactionKind) -> Result<TransactionData> {
    use TransactionKind as K;
    let (sender, gas) = (key.address(), gas()?);
    let prepared = match kind {
        K::CommitModel(commit) => {
            let (url, weights) = (commit.weights_url_commitment, commit.weights_commitment);
            let plan = CommitPlan::new(url, weights, commit.stake_amount)
                .with_model_id(commit.model_id)
                .with_staking_pool_id(commit.staking_pool_id)
                .with_commission_rate(commit.commission_rate)
                .with_architecture_version(commit.architecture_version);
            plan.prepare(node, sender, &gas).await?
        }
        K::CommitModelUpdate(commit) => {
            let plan = UpdatePlan {
                model_id: commit.model_id,
                weights_url_commitment: commit.weights_url_commitment,
                weights_commitment: commit.weights_commitment,
            };
            plan.prepare(node, sender, &gas).await?
        }
        K::RevealModel(reveal) => prepare_reveal(node, sender, &plan_of(reveal)).await?,
        K::RevealModelUpdate(reveal) => {
            prepare_reveal(node, sender, &plan_of(reveal).of_update()).await?
        }
        K::SetModelCommissionRate { model_id, new_rate } => {
            CommissionPlan { model_id, rate: new_rate }.prepare(node, sender, &gas).await?
        }
        K::DeactivateModel { model_id } => {
            DeactivatePlan { model_id }.prepare(node, sender, &gas).await?
        }
        other => {
            let principal = match &other {
                K::WithdrawStake { staked_soma } => {
                    let receipt = node.object(&staked_soma.id()).await?;
                    let staked = receipt.and_then(|object| object.as_staked_soma());
                    staked.map_or(0, |staked| staked.principal)
                }
                _ => 0,
            };
            let payment = purse(node, sender).await?.pay_for_receipt(other, principal, &[])?;
            return Ok(payment.into_transaction(sender));
        }
    };
    Ok(prepared.checked()?.data)
}

/// Makes the checks that need no look at the host: the published client never
/// looks at it either, and an owner may reveal from behind a firewall.
pub(super) async fn prepare_reveal(
    node: &Client,
    sender: Address,
    plan: &RevealPlan,
) -> Result<Prepared> {
    let scope = scope(node);
    let storage = storage(scope)?;
    let host = Host { storage: &storage, scope, depth: Depth::Nothing };
    let gas = Gas::sparing(&prepared::set_aside()?, Some(&plan.model_id));
    Ok(plan.prepare(node, &host, sender, &gas).await?)
}

/// The coins of an account, without those that are set aside for reveals.
pub(super) async fn purse(node: &Client, owner: Address) -> Result<Purse> {
    Ok(Purse::ask(node, owner, &prepared::set_aside()?).await?)
}

/// Which coins pay for a step of the owner's workflow: any but those that are
/// set aside for reveals.
pub(super) fn gas() -> Result<Gas> {
    Ok(Gas::sparing(&prepared::set_aside()?, None))
}

fn plan_of(reveal: RevealModel) -> RevealPlan {
    let manifest = &reveal.weights_manifest.manifest;
    let checksum = manifest.checksum();
    let weights = soma_model::Measured {
        commitment: Commitment::new(*checksum.inner()),
        size: manifest.size(),
    };
    let url = manifest.url().clone().into();
    let key = reveal.weights_manifest.decryption_key.clone();
    RevealPlan::new(reveal.model_id, url, weights, key, reveal.embedding.to_vec())
}

/// Where the network is: on this machine, or out in the world.
pub(super) fn scope(node: &Client) -> Scope {
    let environment = Environment::new(node.url(), node.url());
    environment.map_or(Scope::Public, |environment| Scope::of(&environment))
}

/// Fetches from hosts of weights.
pub(super) fn storage(scope: Scope) -> Result<Storage> {
    Ok(Storage::new(scope.addresses())?)
}
