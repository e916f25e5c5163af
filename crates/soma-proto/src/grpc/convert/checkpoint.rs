//! Checkpoints, certificates and committees.

use super::read::{text, timestamp_ms};
use super::signature::public_key;
use super::{
    At as _, ExecutedTransactionView, executed_transaction_message, invalid, list, masked, message,
    object_set_message, optional, read_fields, timestamp, value,
};
use crate::bls::{BlsPublicKey, BlsSignature};
use crate::checkpoint::{
    AuthorityQuorumSignInfo, CertifiedCheckpointSummary, CheckpointCommitment, CheckpointContents,
    CheckpointContentsV1, CheckpointSummary, EndOfEpochData, ExecutionDigests,
};
use crate::committee::{Authority, Committee, TOTAL_VOTING_POWER};
use crate::grpc::mask::MaskTree;
use crate::grpc::pb;
use crate::grpc::pb::checkpoint_commitment::CheckpointCommitmentKind;
use crate::signature::UserSignature;
use crate::{CheckpointDigest, Error, Object, Result};

/// The only version of contents.
const CONTENTS_VERSION: i32 = 1;

/// What a node knows of a checkpoint. Leave out what the mask does not select.
#[derive(Clone, Copy, Debug)]
pub struct CheckpointView<'a> {
    /// The digest of the summary.
    pub digest: CheckpointDigest,
    /// Summary and certificate.
    pub summary: &'a CertifiedCheckpointSummary,
    /// The contents.
    pub contents: Option<&'a CheckpointContents>,
    /// What was executed, in order; without objects.
    pub transactions: &'a [ExecutedTransactionView<'a>],
    /// Objects read and written by all transactions.
    pub objects: &'a [&'a Object],
}

/// Of a checkpoint what the mask selects.
pub fn checkpoint_message(checkpoint: &CheckpointView<'_>, mask: &MaskTree) -> pb::Checkpoint {
    let CertifiedCheckpointSummary { summary, auth_signature } = checkpoint.summary;
    masked!(
        mask,
        pb::Checkpoint {
            sequence_number: Some(summary.sequence_number),
            digest: Some(checkpoint.digest.to_string()),
            summary: Some(summary_message(summary, mask.below("summary"))),
            signature: Some(auth_signature.into()),
            contents: checkpoint.contents.map(|c| contents_message(c, mask.below("contents"))),
            transactions: {
                let mask = mask.below("transactions");
                let message = |executed| executed_transaction_message(executed, mask);
                checkpoint.transactions.iter().map(message).collect()
            },
            objects: mask
                .checkpoint_objects()
                .map(|mask| object_set_message(checkpoint.objects.iter().copied(), mask)),
        }
    )
}

/// Summary and certificate of a checkpoint.
///
/// # Errors
/// [`Error::Field`]. The certificate is not verified.
pub fn certified_summary(checkpoint: pb::Checkpoint) -> Result<CertifiedCheckpointSummary> {
    Ok(CertifiedCheckpointSummary {
        summary: message(checkpoint.summary).at("summary")?,
        auth_signature: message(checkpoint.signature).at("signature")?,
    })
}

/// Of a summary what the mask selects.
pub fn summary_message(summary: &CheckpointSummary, mask: &MaskTree) -> pb::CheckpointSummary {
    masked!(
        mask,
        pb::CheckpointSummary {
            digest: Some(summary.digest().to_string()),
            epoch: Some(summary.epoch),
            sequence_number: Some(summary.sequence_number),
            total_network_transactions: Some(summary.network_total_transactions),
            content_digest: Some(summary.content_digest.to_string()),
            previous_digest: summary.previous_digest.map(|digest| digest.to_string()),
            epoch_rolling_transaction_fees: Some((&summary.epoch_rolling_transaction_fees).into()),
            timestamp: Some(timestamp(summary.timestamp_ms)),
            commitments: summary.checkpoint_commitments.iter().map(Into::into).collect(),
            end_of_epoch_data: summary.end_of_epoch_data.as_ref().map(Into::into),
        }
    )
}

impl From<&CheckpointSummary> for pb::CheckpointSummary {
    fn from(summary: &CheckpointSummary) -> Self {
        summary_message(summary, &MaskTree::everything())
    }
}

impl TryFrom<pb::CheckpointSummary> for CheckpointSummary {
    type Error = Error;

    fn try_from(summary: pb::CheckpointSummary) -> Result<Self> {
        Ok(Self {
            epoch: value(summary.epoch).at("epoch")?,
            sequence_number: value(summary.sequence_number).at("sequence_number")?,
            network_total_transactions: value(summary.total_network_transactions)
                .at("total_network_transactions")?,
            content_digest: text(summary.content_digest).at("content_digest")?,
            previous_digest: super::read::optional_text(summary.previous_digest)
                .at("previous_digest")?,
            epoch_rolling_transaction_fees: message(summary.epoch_rolling_transaction_fees)
                .at("epoch_rolling_transaction_fees")?,
            timestamp_ms: timestamp_ms(summary.timestamp).at("timestamp")?,
            checkpoint_commitments: list(summary.commitments).at("commitments")?,
            end_of_epoch_data: optional(summary.end_of_epoch_data).at("end_of_epoch_data")?,
            version_specific_data: Vec::new(),
        })
    }
}

impl From<&CheckpointCommitment> for pb::CheckpointCommitment {
    fn from(commitment: &CheckpointCommitment) -> Self {
        let (kind, digest) = match commitment {
            CheckpointCommitment::LiveObjectSet(digest) => {
                (CheckpointCommitmentKind::EcmhLiveObjectSet, digest)
            }
            CheckpointCommitment::Artifacts(digest) => {
                (CheckpointCommitmentKind::CheckpointArtifacts, digest)
            }
        };
        Self { kind: Some(kind.into()), digest: Some(digest.to_string()) }
    }
}

impl TryFrom<pb::CheckpointCommitment> for CheckpointCommitment {
    type Error = Error;

    fn try_from(commitment: pb::CheckpointCommitment) -> Result<Self> {
        let kind = commitment.kind();
        let digest = text(commitment.digest).at("digest")?;
        match kind {
            CheckpointCommitmentKind::EcmhLiveObjectSet => Ok(Self::LiveObjectSet(digest)),
            CheckpointCommitmentKind::CheckpointArtifacts => Ok(Self::Artifacts(digest)),
            CheckpointCommitmentKind::Unknown => Err(invalid("missing or unknown")).at("kind"),
        }
    }
}

impl From<&EndOfEpochData> for pb::EndOfEpochData {
    fn from(data: &EndOfEpochData) -> Self {
        Self {
            next_epoch_validator_committee: Some((&data.next_epoch_validator_committee).into()),
            next_epoch_protocol_version: Some(data.next_epoch_protocol_version),
            epoch_commitments: data.epoch_commitments.iter().map(Into::into).collect(),
        }
    }
}

impl TryFrom<pb::EndOfEpochData> for EndOfEpochData {
    type Error = Error;

    fn try_from(data: pb::EndOfEpochData) -> Result<Self> {
        Ok(read_fields!(data => Self {
            next_epoch_validator_committee: message,
            next_epoch_protocol_version: value,
            epoch_commitments: list,
        }))
    }
}

impl From<&Committee> for pb::ValidatorCommittee {
    fn from(committee: &Committee) -> Self {
        let members = committee.voting_rights.iter().map(|(name, weight)| {
            let metadata = |authority: &Authority| pb::ValidatorNetworkMetadata {
                consensus_address: Some(authority.address.clone()),
                hostname: Some(authority.hostname.clone()),
                protocol_key: Some(authority.protocol_key.as_bytes().to_vec()),
                network_key: Some(authority.network_key.as_bytes().to_vec()),
            };
            pb::ValidatorCommitteeMember {
                authority_key: Some(name.as_bytes().to_vec()),
                weight: Some(*weight),
                network_metadata: committee.authorities.get(name).map(metadata),
            }
        });
        Self { epoch: Some(committee.epoch), members: members.collect() }
    }
}

impl TryFrom<pb::ValidatorCommittee> for Committee {
    type Error = Error;

    fn try_from(committee: pb::ValidatorCommittee) -> Result<Self> {
        let epoch = value(committee.epoch).at("epoch")?;
        let members: Vec<Authority> = list(committee.members).at("members")?;
        let power = members.iter().try_fold(0_u64, |sum, member| sum.checked_add(member.stake));
        if power != Some(TOTAL_VOTING_POWER) {
            let reason = format!("the weights do not add up to {TOTAL_VOTING_POWER}");
            return Err(invalid(reason)).at("members");
        }
        let count = members.len();
        let committee = Self::from_authorities(epoch, members);
        if committee.voting_rights.len() != count {
            return Err(invalid("a member occurs twice")).at("members");
        }
        Ok(committee)
    }
}

impl TryFrom<pb::ValidatorCommitteeMember> for Authority {
    type Error = Error;

    fn try_from(member: pb::ValidatorCommitteeMember) -> Result<Self> {
        let network = value(member.network_metadata).at("network_metadata")?;
        let address = value(network.consensus_address).at("network_metadata.consensus_address");
        let hostname = value(network.hostname).at("network_metadata.hostname");
        let protocol_key = public_key(network.protocol_key).at("network_metadata.protocol_key");
        let network_key = public_key(network.network_key).at("network_metadata.network_key");
        Ok(Self {
            stake: value(member.weight).at("weight")?,
            address: address?,
            hostname: hostname?,
            protocol_key: protocol_key?,
            network_key: network_key?,
            authority_key: bls_key(member.authority_key).at("authority_key")?,
        })
    }
}

impl From<&AuthorityQuorumSignInfo> for pb::ValidatorAggregatedSignature {
    fn from(signature: &AuthorityQuorumSignInfo) -> Self {
        Self {
            epoch: Some(signature.epoch),
            signature: Some(signature.signature.as_bytes().to_vec()),
            bitmap: signature.signers_map.iter().collect(),
        }
    }
}

impl TryFrom<pb::ValidatorAggregatedSignature> for AuthorityQuorumSignInfo {
    type Error = Error;

    fn try_from(signature: pb::ValidatorAggregatedSignature) -> Result<Self> {
        Ok(Self {
            epoch: value(signature.epoch).at("epoch")?,
            signature: bls_signature(signature.signature).at("signature")?,
            signers_map: signature.bitmap.into_iter().collect(),
        })
    }
}

/// Of contents what the mask selects.
pub fn contents_message(contents: &CheckpointContents, mask: &MaskTree) -> pb::CheckpointContents {
    let none = Vec::new();
    let info = |(place, digests): (usize, &ExecutionDigests)| pb::CheckpointedTransactionInfo {
        transaction: Some(digests.transaction.to_string()),
        effects: Some(digests.effects.to_string()),
        signatures: contents
            .user_signatures()
            .get(place)
            .unwrap_or(&none)
            .iter()
            .map(Into::into)
            .collect(),
    };
    masked!(
        mask,
        pb::CheckpointContents {
            digest: Some(contents.digest().to_string()),
            version: Some(CONTENTS_VERSION),
            transactions: contents.transactions().iter().enumerate().map(info).collect(),
        }
    )
}

impl From<&CheckpointContents> for pb::CheckpointContents {
    fn from(contents: &CheckpointContents) -> Self {
        contents_message(contents, &MaskTree::everything())
    }
}

impl TryFrom<pb::CheckpointContents> for CheckpointContents {
    type Error = Error;

    fn try_from(contents: pb::CheckpointContents) -> Result<Self> {
        if value(contents.version).at("version")? != CONTENTS_VERSION {
            return Err(invalid("unknown version")).at("version");
        }
        let infos: Vec<Info> = list(contents.transactions).at("transactions")?;
        let (transactions, user_signatures) =
            infos.into_iter().map(|info| (info.0, info.1)).unzip();
        Ok(Self::V1(CheckpointContentsV1 { transactions, user_signatures }))
    }
}

struct Info(ExecutionDigests, Vec<UserSignature>);

impl TryFrom<pb::CheckpointedTransactionInfo> for Info {
    type Error = Error;

    fn try_from(info: pb::CheckpointedTransactionInfo) -> Result<Self> {
        let transaction = text(info.transaction).at("transaction")?;
        let effects = text(info.effects).at("effects")?;
        let signatures = list(info.signatures).at("signatures")?;
        Ok(Self(ExecutionDigests { transaction, effects }, signatures))
    }
}

/// A BLS key of 96 raw bytes.
pub(super) fn bls_key(field: Option<Vec<u8>>) -> Result<BlsPublicKey> {
    BlsPublicKey::from_bytes(value(field)?)
}

/// A BLS signature of 48 raw bytes.
pub(super) fn bls_signature(field: Option<Vec<u8>>) -> Result<BlsSignature> {
    BlsSignature::from_bytes(value(field)?)
}
