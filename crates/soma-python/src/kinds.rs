//! What transactions do, from the arguments of the builders.

use soma_model::{Measured, RevealOf, RevealPlan};
use soma_proto::transaction::{CommitModel, CommitModelUpdate};
use soma_proto::{ObjectRef, TransactionKind};

use crate::amount::Shannons;
use crate::arguments::{Account, Embedding, Hash, Id, Key, Reference, WeightsUrl};
use crate::error::{Error, Result};

/// The arguments of a reveal.
pub(crate) struct Reveal {
    pub(crate) model_id: Id,
    pub(crate) weights_url: WeightsUrl,
    pub(crate) weights_checksum: Hash,
    pub(crate) weights_size: u64,
    pub(crate) decryption_key: Key,
    pub(crate) embedding: Embedding,
}

impl Reveal {
    pub(crate) fn plan(self, of: RevealOf) -> RevealPlan {
        let weights = Measured { commitment: self.weights_checksum.0, size: self.weights_size };
        let plan = RevealPlan::new(
            self.model_id.0,
            self.weights_url.0,
            weights,
            self.decryption_key.0,
            self.embedding.0,
        );
        match of {
            RevealOf::Registration => plan,
            RevealOf::Update => plan.of_update(),
        }
    }

    pub(crate) fn kind(self, of: RevealOf) -> TransactionKind {
        self.plan(of).kind()
    }
}

/// The arguments of a commit.
pub(crate) struct Commit {
    pub(crate) model_id: Id,
    pub(crate) weights_url_commitment: Hash,
    pub(crate) weights_commitment: Hash,
    pub(crate) stake_amount: Shannons,
    pub(crate) commission_rate: u64,
    pub(crate) staking_pool_id: Id,
}

impl Commit {
    pub(crate) fn kind(self, architecture_version: u64) -> TransactionKind {
        TransactionKind::CommitModel(CommitModel {
            model_id: self.model_id.0,
            weights_url_commitment: self.weights_url_commitment.0,
            weights_commitment: self.weights_commitment.0,
            architecture_version,
            stake_amount: self.stake_amount.amount,
            commission_rate: self.commission_rate,
            staking_pool_id: self.staking_pool_id.0,
        })
    }
}

pub(crate) fn transfer_coin(
    recipient: Account,
    coin: Reference,
    amount: Option<Shannons>,
) -> TransactionKind {
    let amount = amount.map(|amount| amount.amount);
    TransactionKind::TransferCoin { coin: coin.0, amount, recipient: recipient.0 }
}

pub(crate) fn transfer_objects(recipient: Account, objects: Vec<Reference>) -> TransactionKind {
    TransactionKind::TransferObjects { objects: references(objects), recipient: recipient.0 }
}

/// # Errors
/// [`Error::Argument`] unless there are as many recipients as amounts.
pub(crate) fn pay_coins(
    recipients: Vec<Account>,
    amounts: Vec<Shannons>,
    coins: Vec<Reference>,
) -> Result<TransactionKind> {
    check_pairs(recipients.len(), amounts.len())?;
    Ok(TransactionKind::PayCoins {
        coins: references(coins),
        amounts: Some(amounts.iter().map(|amount| amount.amount).collect()),
        recipients: recipients.into_iter().map(|recipient| recipient.0).collect(),
    })
}

pub(crate) fn check_pairs(recipients: usize, amounts: usize) -> Result<()> {
    if recipients == amounts {
        Ok(())
    } else {
        Err(Error::argument(format!("{recipients} recipients, but {amounts} amounts")))
    }
}

pub(crate) fn add_stake(
    validator: Account,
    coin: Reference,
    amount: Option<Shannons>,
) -> TransactionKind {
    let amount = amount.map(|amount| amount.amount);
    TransactionKind::AddStake { address: validator.0, coin_ref: coin.0, amount }
}

pub(crate) fn add_stake_to_model(
    model_id: Id,
    coin: Reference,
    amount: Option<Shannons>,
) -> TransactionKind {
    let amount = amount.map(|amount| amount.amount);
    TransactionKind::AddStakeToModel { model_id: model_id.0, coin_ref: coin.0, amount }
}

pub(crate) fn withdraw_stake(staked_soma: Reference) -> TransactionKind {
    TransactionKind::WithdrawStake { staked_soma: staked_soma.0 }
}

pub(crate) fn commit_model_update(
    model_id: Id,
    weights_url_commitment: Hash,
    weights_commitment: Hash,
) -> TransactionKind {
    TransactionKind::CommitModelUpdate(CommitModelUpdate {
        model_id: model_id.0,
        weights_url_commitment: weights_url_commitment.0,
        weights_commitment: weights_commitment.0,
    })
}

pub(crate) fn deactivate_model(model_id: Id) -> TransactionKind {
    TransactionKind::DeactivateModel { model_id: model_id.0 }
}

pub(crate) fn report_model(model_id: Id) -> TransactionKind {
    TransactionKind::ReportModel { model_id: model_id.0 }
}

pub(crate) fn undo_report_model(model_id: Id) -> TransactionKind {
    TransactionKind::UndoReportModel { model_id: model_id.0 }
}

pub(crate) fn set_model_commission_rate(model_id: Id, new_rate: u64) -> TransactionKind {
    TransactionKind::SetModelCommissionRate { model_id: model_id.0, new_rate }
}

fn references(list: Vec<Reference>) -> Vec<ObjectRef> {
    list.into_iter().map(|reference| reference.0).collect()
}
