//! The kinds of transaction as messages. Their numbers there are not those of
//! the signed form.

use super::model::commitment;
use crate::dialect::{
    AddValidator, ChangeEpoch, CommitModel, CommitModelUpdate, ConsensusCommitPrologue,
    RevealModel, SubmitData, TransactionKind, UpdateValidatorMetadata,
};
use crate::grpc::convert::{
    At as _, address, each, list, message, object_id, parse_address, read_fields, text, timestamp,
    timestamp_ms, value,
};
use crate::grpc::pb;
use crate::grpc::pb::transaction_kind::Kind;
use crate::{Commitment, Error, Result, Tensor};

impl From<&TransactionKind> for Kind {
    fn from(kind: &TransactionKind) -> Self {
        match kind {
            TransactionKind::Genesis { objects } => Self::Genesis(pb::GenesisTransaction {
                objects: objects.iter().map(Into::into).collect(),
            }),
            TransactionKind::ConsensusCommitPrologueV1(prologue) => {
                Self::ConsensusCommitPrologue(prologue.into())
            }
            TransactionKind::ChangeEpoch(change) => Self::ChangeEpoch(change.into()),
            TransactionKind::AddValidator(validator) => Self::AddValidator(validator.into()),
            TransactionKind::RemoveValidator { pubkey_bytes } => {
                Self::RemoveValidator(pb::RemoveValidator {
                    pubkey_bytes: Some(pubkey_bytes.clone()),
                })
            }
            TransactionKind::ReportValidator { reportee } => {
                Self::ReportValidator(pb::ReportValidator { reportee: shown(reportee) })
            }
            TransactionKind::UndoReportValidator { reportee } => {
                Self::UndoReportValidator(pb::UndoReportValidator { reportee: shown(reportee) })
            }
            TransactionKind::UpdateValidatorMetadata(update) => {
                Self::UpdateValidatorMetadata(update.into())
            }
            TransactionKind::SetCommissionRate { new_rate } => {
                Self::SetCommissionRate(pb::SetCommissionRate { new_rate: Some(*new_rate) })
            }
            TransactionKind::TransferCoin { coin, amount, recipient } => {
                Self::TransferCoin(pb::TransferCoin {
                    coin: Some(coin.into()),
                    amount: *amount,
                    recipient: shown(recipient),
                })
            }
            TransactionKind::PayCoins { coins, amounts, recipients } => {
                Self::PayCoins(pb::PayCoins {
                    coins: coins.iter().map(Into::into).collect(),
                    amounts: amounts.clone().unwrap_or_default(),
                    recipients: recipients.iter().map(ToString::to_string).collect(),
                })
            }
            TransactionKind::TransferObjects { objects, recipient } => {
                Self::TransferObjects(pb::TransferObjects {
                    objects: objects.iter().map(Into::into).collect(),
                    recipient: shown(recipient),
                })
            }
            TransactionKind::AddStake { address, coin_ref, amount } => {
                Self::AddStake(pb::AddStake {
                    address: shown(address),
                    coin_ref: Some(coin_ref.into()),
                    amount: *amount,
                })
            }
            TransactionKind::WithdrawStake { staked_soma } => {
                Self::WithdrawStake(pb::WithdrawStake { staked_soma: Some(staked_soma.into()) })
            }
            TransactionKind::CommitModel(commit) => Self::CommitModel(commit.into()),
            TransactionKind::RevealModel(reveal) => Self::RevealModel(reveal.into()),
            TransactionKind::CommitModelUpdate(commit) => Self::CommitModelUpdate(commit.into()),
            TransactionKind::RevealModelUpdate(reveal) => Self::RevealModelUpdate(reveal.into()),
            TransactionKind::AddStakeToModel { model_id, coin_ref, amount } => {
                Self::AddStakeToModel(pb::AddStakeToModel {
                    model_id: shown(model_id),
                    coin_ref: Some(coin_ref.into()),
                    amount: *amount,
                })
            }
            TransactionKind::SetModelCommissionRate { model_id, new_rate } => {
                Self::SetModelCommissionRate(pb::SetModelCommissionRate {
                    model_id: shown(model_id),
                    new_rate: Some(*new_rate),
                })
            }
            TransactionKind::DeactivateModel { model_id } => {
                Self::DeactivateModel(pb::DeactivateModel { model_id: shown(model_id) })
            }
            TransactionKind::ReportModel { model_id } => {
                Self::ReportModel(pb::ReportModel { model_id: shown(model_id) })
            }
            TransactionKind::UndoReportModel { model_id } => {
                Self::UndoReportModel(pb::UndoReportModel { model_id: shown(model_id) })
            }
            TransactionKind::SubmitData(submission) => Self::SubmitData(submission.into()),
            TransactionKind::ClaimRewards { target_id } => {
                Self::ClaimRewards(pb::ClaimRewards { target_id: shown(target_id) })
            }
            TransactionKind::ReportSubmission { target_id, challenger } => {
                Self::ReportSubmission(pb::ReportSubmission {
                    target_id: shown(target_id),
                    challenger: challenger.as_ref().and_then(shown),
                })
            }
            TransactionKind::UndoReportSubmission { target_id } => {
                Self::UndoReportSubmission(pb::UndoReportSubmission { target_id: shown(target_id) })
            }
            TransactionKind::InitiateChallenge { target_id, bond_coin } => {
                Self::InitiateChallenge(pb::InitiateChallenge {
                    target_id: shown(target_id),
                    challenge_type: Some(CHALLENGE_TYPE.to_owned()),
                    model_id: None,
                    bond_coin: Some(bond_coin.into()),
                })
            }
            TransactionKind::ReportChallenge { challenge_id } => {
                Self::ReportChallenge(pb::ReportChallenge { challenge_id: shown(challenge_id) })
            }
            TransactionKind::UndoReportChallenge { challenge_id } => {
                Self::UndoReportChallenge(pb::UndoReportChallenge {
                    challenge_id: shown(challenge_id),
                })
            }
            TransactionKind::ClaimChallengeBond { challenge_id } => {
                Self::ClaimChallengeBond(pb::ClaimChallengeBond {
                    challenge_id: shown(challenge_id),
                })
            }
        }
    }
}

/// Reads the fields of a kind whose names are the same on both sides.
macro_rules! read_kind {
    ($message:ident, $variant:ident { $($field:ident: $read:expr),+ $(,)? }) => {{
        let read = || Ok(read_fields!($message => TransactionKind::$variant { $($field: $read),+ }));
        read()
    }};
}

impl TryFrom<Kind> for TransactionKind {
    type Error = Error;

    fn try_from(kind: Kind) -> Result<Self> {
        let name = field_name(&kind);
        read(kind).at(name)
    }
}

fn read(kind: Kind) -> Result<TransactionKind> {
    match kind {
        Kind::Genesis(m) => read_kind!(m, Genesis { objects: list }),
        Kind::ConsensusCommitPrologue(m) => {
            m.try_into().map(TransactionKind::ConsensusCommitPrologueV1)
        }
        Kind::ChangeEpoch(m) => m.try_into().map(TransactionKind::ChangeEpoch),
        Kind::AddValidator(m) => m.try_into().map(TransactionKind::AddValidator),
        Kind::RemoveValidator(m) => read_kind!(m, RemoveValidator { pubkey_bytes: value }),
        Kind::ReportValidator(m) => read_kind!(m, ReportValidator { reportee: address }),
        Kind::UndoReportValidator(m) => read_kind!(m, UndoReportValidator { reportee: address }),
        Kind::UpdateValidatorMetadata(m) => Ok(TransactionKind::UpdateValidatorMetadata(m.into())),
        Kind::SetCommissionRate(m) => read_kind!(m, SetCommissionRate { new_rate: value }),
        Kind::TransferCoin(m) => {
            read_kind!(m, TransferCoin { coin: message, amount: Ok, recipient: address })
        }
        Kind::PayCoins(m) => read_kind!(
            m,
            PayCoins {
                coins: list,
                amounts: |amounts| Ok(Some(amounts)),
                recipients: |texts| each(texts, |text: String| parse_address(&text)),
            }
        ),
        Kind::TransferObjects(m) => {
            read_kind!(m, TransferObjects { objects: list, recipient: address })
        }
        Kind::AddStake(m) => {
            read_kind!(m, AddStake { address: address, coin_ref: message, amount: Ok })
        }
        Kind::WithdrawStake(m) => read_kind!(m, WithdrawStake { staked_soma: message }),
        Kind::CommitModel(m) => m.try_into().map(TransactionKind::CommitModel),
        Kind::RevealModel(m) => m.try_into().map(TransactionKind::RevealModel),
        Kind::CommitModelUpdate(m) => m.try_into().map(TransactionKind::CommitModelUpdate),
        Kind::RevealModelUpdate(m) => m.try_into().map(TransactionKind::RevealModelUpdate),
        Kind::AddStakeToModel(m) => {
            read_kind!(m, AddStakeToModel { model_id: object_id, coin_ref: message, amount: Ok })
        }
        Kind::SetModelCommissionRate(m) => {
            read_kind!(m, SetModelCommissionRate { model_id: object_id, new_rate: value })
        }
        Kind::DeactivateModel(m) => read_kind!(m, DeactivateModel { model_id: object_id }),
        Kind::ReportModel(m) => read_kind!(m, ReportModel { model_id: object_id }),
        Kind::UndoReportModel(m) => read_kind!(m, UndoReportModel { model_id: object_id }),
        Kind::SubmitData(m) => m.try_into().map(TransactionKind::SubmitData),
        Kind::ClaimRewards(m) => read_kind!(m, ClaimRewards { target_id: object_id }),
        Kind::ReportSubmission(m) => read_kind!(
            m,
            ReportSubmission {
                target_id: object_id,
                challenger: |text: Option<String>| text
                    .map(|text| parse_address(&text))
                    .transpose(),
            }
        ),
        Kind::UndoReportSubmission(m) => {
            read_kind!(m, UndoReportSubmission { target_id: object_id })
        }
        Kind::InitiateChallenge(m) => {
            read_kind!(m, InitiateChallenge { target_id: object_id, bond_coin: message })
        }
        Kind::ReportChallenge(m) => read_kind!(m, ReportChallenge { challenge_id: object_id }),
        Kind::UndoReportChallenge(m) => {
            read_kind!(m, UndoReportChallenge { challenge_id: object_id })
        }
        Kind::ClaimChallengeBond(m) => {
            read_kind!(m, ClaimChallengeBond { challenge_id: object_id })
        }
    }
}

/// The name of the field that holds the kind, for errors.
const fn field_name(kind: &Kind) -> &'static str {
    match kind {
        Kind::Genesis(_) => "genesis",
        Kind::ConsensusCommitPrologue(_) => "consensus_commit_prologue",
        Kind::ChangeEpoch(_) => "change_epoch",
        Kind::AddValidator(_) => "add_validator",
        Kind::RemoveValidator(_) => "remove_validator",
        Kind::ReportValidator(_) => "report_validator",
        Kind::UndoReportValidator(_) => "undo_report_validator",
        Kind::UpdateValidatorMetadata(_) => "update_validator_metadata",
        Kind::SetCommissionRate(_) => "set_commission_rate",
        Kind::TransferCoin(_) => "transfer_coin",
        Kind::PayCoins(_) => "pay_coins",
        Kind::TransferObjects(_) => "transfer_objects",
        Kind::AddStake(_) => "add_stake",
        Kind::WithdrawStake(_) => "withdraw_stake",
        Kind::CommitModel(_) => "commit_model",
        Kind::RevealModel(_) => "reveal_model",
        Kind::CommitModelUpdate(_) => "commit_model_update",
        Kind::RevealModelUpdate(_) => "reveal_model_update",
        Kind::AddStakeToModel(_) => "add_stake_to_model",
        Kind::SetModelCommissionRate(_) => "set_model_commission_rate",
        Kind::DeactivateModel(_) => "deactivate_model",
        Kind::ReportModel(_) => "report_model",
        Kind::UndoReportModel(_) => "undo_report_model",
        Kind::SubmitData(_) => "submit_data",
        Kind::ClaimRewards(_) => "claim_rewards",
        Kind::InitiateChallenge(_) => "initiate_challenge",
        Kind::ReportSubmission(_) => "report_submission",
        Kind::UndoReportSubmission(_) => "undo_report_submission",
        Kind::ReportChallenge(_) => "report_challenge",
        Kind::UndoReportChallenge(_) => "undo_report_challenge",
        Kind::ClaimChallengeBond(_) => "claim_challenge_bond",
    }
}

impl From<&ConsensusCommitPrologue> for pb::ConsensusCommitPrologue {
    fn from(prologue: &ConsensusCommitPrologue) -> Self {
        Self {
            epoch: Some(prologue.epoch),
            round: Some(prologue.round),
            sub_dag_index: prologue.sub_dag_index,
            commit_timestamp: Some(timestamp(prologue.commit_timestamp_ms)),
            consensus_commit_digest: shown(&prologue.consensus_commit_digest),
            additional_state_digest: shown(&prologue.additional_state_digest),
        }
    }
}

impl TryFrom<pb::ConsensusCommitPrologue> for ConsensusCommitPrologue {
    type Error = Error;

    fn try_from(prologue: pb::ConsensusCommitPrologue) -> Result<Self> {
        Ok(Self {
            epoch: value(prologue.epoch).at("epoch")?,
            round: value(prologue.round).at("round")?,
            sub_dag_index: prologue.sub_dag_index,
            commit_timestamp_ms: timestamp_ms(prologue.commit_timestamp).at("commit_timestamp")?,
            consensus_commit_digest: text(prologue.consensus_commit_digest)
                .at("consensus_commit_digest")?,
            additional_state_digest: text(prologue.additional_state_digest)
                .at("additional_state_digest")?,
        })
    }
}

impl From<&ChangeEpoch> for pb::ChangeEpoch {
    fn from(change: &ChangeEpoch) -> Self {
        Self {
            epoch: Some(change.epoch),
            epoch_start_timestamp: Some(timestamp(change.epoch_start_timestamp_ms)),
            protocol_version: Some(change.protocol_version),
            fees: Some(change.fees),
            epoch_randomness: Some(change.epoch_randomness.clone()),
        }
    }
}

impl TryFrom<pb::ChangeEpoch> for ChangeEpoch {
    type Error = Error;

    fn try_from(change: pb::ChangeEpoch) -> Result<Self> {
        Ok(Self {
            epoch: value(change.epoch).at("epoch")?,
            epoch_start_timestamp_ms: timestamp_ms(change.epoch_start_timestamp)
                .at("epoch_start_timestamp")?,
            protocol_version: value(change.protocol_version).at("protocol_version")?,
            fees: value(change.fees).at("fees")?,
            epoch_randomness: value(change.epoch_randomness).at("epoch_randomness")?,
        })
    }
}

/// Writes both directions for structs of byte strings with the same names.
macro_rules! byte_strings {
    ($name:ident { $($field:ident),+ $(,)? }) => {
        impl From<&$name> for pb::$name {
            fn from(strings: &$name) -> Self {
                Self { $($field: Some(strings.$field.clone())),+ }
            }
        }

        impl TryFrom<pb::$name> for $name {
            type Error = Error;

            fn try_from(strings: pb::$name) -> Result<Self> {
                Ok(read_fields!(strings => Self { $($field: value),+ }))
            }
        }
    };
    ($name:ident { $($field:ident?),+ $(,)? }) => {
        impl From<&$name> for pb::$name {
            fn from(strings: &$name) -> Self {
                Self { $($field: strings.$field.clone()),+ }
            }
        }

        impl From<pb::$name> for $name {
            fn from(strings: pb::$name) -> Self {
                Self { $($field: strings.$field),+ }
            }
        }
    };
}

byte_strings!(AddValidator {
    pubkey_bytes,
    network_pubkey_bytes,
    worker_pubkey_bytes,
    proof_of_possession,
    net_address,
    p2p_address,
    primary_address,
    proxy_address,
});

byte_strings!(UpdateValidatorMetadata {
    next_epoch_network_address?,
    next_epoch_p2p_address?,
    next_epoch_primary_address?,
    next_epoch_proxy_address?,
    next_epoch_protocol_pubkey?,
    next_epoch_worker_pubkey?,
    next_epoch_network_pubkey?,
    next_epoch_proof_of_possession?,
});

impl From<&CommitModel> for pb::CommitModel {
    fn from(commit: &CommitModel) -> Self {
        Self {
            model_id: shown(&commit.model_id),
            weights_url_commitment: raw(&commit.weights_url_commitment),
            weights_commitment: raw(&commit.weights_commitment),
            architecture_version: Some(commit.architecture_version),
            stake_amount: Some(commit.stake_amount),
            commission_rate: Some(commit.commission_rate),
            staking_pool_id: shown(&commit.staking_pool_id),
        }
    }
}

impl TryFrom<pb::CommitModel> for CommitModel {
    type Error = Error;

    fn try_from(commit: pb::CommitModel) -> Result<Self> {
        Ok(read_fields!(commit => Self {
            model_id: object_id,
            weights_url_commitment: commitment,
            weights_commitment: commitment,
            architecture_version: value,
            stake_amount: value,
            commission_rate: value,
            staking_pool_id: object_id,
        }))
    }
}

impl From<&CommitModelUpdate> for pb::CommitModelUpdate {
    fn from(commit: &CommitModelUpdate) -> Self {
        Self {
            model_id: shown(&commit.model_id),
            weights_url_commitment: raw(&commit.weights_url_commitment),
            weights_commitment: raw(&commit.weights_commitment),
        }
    }
}

impl TryFrom<pb::CommitModelUpdate> for CommitModelUpdate {
    type Error = Error;

    fn try_from(commit: pb::CommitModelUpdate) -> Result<Self> {
        Ok(read_fields!(commit => Self {
            model_id: object_id,
            weights_url_commitment: commitment,
            weights_commitment: commitment,
        }))
    }
}

/// A reveal is one type here and two messages of the same fields there.
macro_rules! reveal {
    ($message:ident) => {
        impl From<&RevealModel> for pb::$message {
            fn from(reveal: &RevealModel) -> Self {
                Self {
                    model_id: shown(&reveal.model_id),
                    weights_manifest: Some((&reveal.weights_manifest).into()),
                    embedding: reveal.embedding.to_vec(),
                }
            }
        }

        impl TryFrom<pb::$message> for RevealModel {
            type Error = Error;

            fn try_from(reveal: pb::$message) -> Result<Self> {
                Ok(read_fields!(reveal => Self {
                    model_id: object_id,
                    weights_manifest: message,
                    embedding: vector,
                }))
            }
        }
    };
}

reveal!(RevealModel);
reveal!(RevealModelUpdate);

impl From<&SubmitData> for pb::SubmitData {
    fn from(submission: &SubmitData) -> Self {
        Self {
            target_id: shown(&submission.target_id),
            data_commitment: raw(&submission.data_commitment),
            data_manifest: Some((&submission.data_manifest).into()),
            model_id: shown(&submission.model_id),
            embedding: submission.embedding.to_vec(),
            distance_score: Some(submission.distance_score.first()),
            bond_coin: Some((&submission.bond_coin).into()),
        }
    }
}

impl TryFrom<pb::SubmitData> for SubmitData {
    type Error = Error;

    fn try_from(submission: pb::SubmitData) -> Result<Self> {
        Ok(read_fields!(submission => Self {
            target_id: object_id,
            data_commitment: commitment,
            data_manifest: message,
            model_id: object_id,
            embedding: vector,
            distance_score: |score| value(score).map(Tensor::scalar),
            bond_coin: message,
        }))
    }
}

/// Written by clients, ignored by nodes.
const CHALLENGE_TYPE: &str = "Fraud";

/// The text of a value.
fn shown(value: &impl ToString) -> Option<String> {
    Some(value.to_string())
}

/// The bytes of a commitment.
fn raw(commitment: &Commitment) -> Option<Vec<u8>> {
    Some(commitment.as_bytes().to_vec())
}

/// A list of numbers as a tensor of one dimension.
fn vector(list: Vec<f32>) -> Result<Tensor> {
    Ok(Tensor::vector(&list))
}
