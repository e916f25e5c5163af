//! Checkpoints: the chain's record of what was executed, in order.

use serde::{Deserialize, Serialize};

use crate::bls::{BlsSignature, SignerBitmap};
use crate::canonical::bcs_form;
use crate::committee::Committee;
use crate::effects::TransactionFee;
use crate::signature::UserSignature;
use crate::{
    CheckpointContentsDigest, CheckpointDigest, Digest, EffectsDigest, TransactionDigest, hash,
    merkle,
};

/// The header of a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "proptest", derive(proptest_derive::Arbitrary))]
pub struct CheckpointSummary {
    /// The epoch it belongs to.
    pub epoch: u64,
    /// Its height.
    pub sequence_number: u64,
    /// Transactions since genesis, those in this checkpoint included.
    pub network_total_transactions: u64,
    /// Merkle root over the transactions.
    pub content_digest: CheckpointContentsDigest,
    /// The checkpoint before; absent only in checkpoint 0.
    pub previous_digest: Option<CheckpointDigest>,
    /// Fees since the epoch began.
    pub epoch_rolling_transaction_fees: TransactionFee,
    /// Milliseconds since 1970, never decreasing.
    pub timestamp_ms: u64,
    /// Commitments to state.
    #[cfg_attr(feature = "proptest", proptest(strategy = "crate::arbitrary::vec()"))]
    pub checkpoint_commitments: Vec<CheckpointCommitment>,
    /// Present exactly in the last checkpoint of an epoch.
    pub end_of_epoch_data: Option<EndOfEpochData>,
    /// Empty.
    pub version_specific_data: Vec<u8>,
}

/// A commitment to state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "proptest", derive(proptest_derive::Arbitrary))]
#[non_exhaustive]
pub enum CheckpointCommitment {
    /// Over all live objects.
    #[serde(rename = "ECMHLiveObjectSetDigest")]
    LiveObjectSet(Digest),
    /// Over the objects written in the checkpoint.
    #[serde(rename = "CheckpointArtifactsDigest")]
    Artifacts(Digest),
}

/// What the next epoch begins with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "proptest", derive(proptest_derive::Arbitrary))]
pub struct EndOfEpochData {
    /// The committee of the next epoch.
    pub next_epoch_validator_committee: Committee,
    /// Its protocol version.
    pub next_epoch_protocol_version: u64,
    /// One live-object-set commitment.
    #[cfg_attr(feature = "proptest", proptest(strategy = "crate::arbitrary::vec()"))]
    pub epoch_commitments: Vec<CheckpointCommitment>,
}

/// A summary and the committee's signature under it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "proptest", derive(proptest_derive::Arbitrary))]
pub struct CertifiedCheckpointSummary {
    /// The summary.
    #[serde(rename = "data")]
    pub summary: CheckpointSummary,
    /// The aggregated signature.
    pub auth_signature: AuthorityQuorumSignInfo,
}

/// The aggregated signature of a quorum.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "proptest", derive(proptest_derive::Arbitrary))]
pub struct AuthorityQuorumSignInfo {
    /// Epoch of the committee.
    pub epoch: u64,
    /// The aggregated signature.
    pub signature: BlsSignature,
    /// Which members signed.
    pub signers_map: SignerBitmap,
}

/// The transactions of a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "proptest", derive(proptest_derive::Arbitrary))]
#[non_exhaustive]
pub enum CheckpointContents {
    /// The only version so far.
    V1(CheckpointContentsV1),
}

/// Version 1 of [`CheckpointContents`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "proptest", derive(proptest_derive::Arbitrary))]
pub struct CheckpointContentsV1 {
    /// In order of execution.
    #[cfg_attr(feature = "proptest", proptest(strategy = "crate::arbitrary::vec()"))]
    pub transactions: Vec<ExecutionDigests>,
    /// For each transaction its signatures; none for those of the system.
    #[cfg_attr(feature = "proptest", proptest(strategy = "crate::arbitrary::vec()"))]
    pub user_signatures: Vec<Vec<UserSignature>>,
}

/// A transaction and its effects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "proptest", derive(proptest_derive::Arbitrary))]
pub struct ExecutionDigests {
    /// The transaction.
    pub transaction: TransactionDigest,
    /// Its effects.
    pub effects: EffectsDigest,
}

bcs_form!(CheckpointSummary, CertifiedCheckpointSummary, CheckpointContents);

impl CheckpointSummary {
    /// Blake2b-256 over `CheckpointSummary::` and the BCS bytes.
    pub fn digest(&self) -> CheckpointDigest {
        CheckpointDigest::new(hash::named("CheckpointSummary", self))
    }
}

impl CheckpointContents {
    /// The Merkle root over the transactions. Signatures are not part of it.
    pub fn digest(&self) -> CheckpointContentsDigest {
        merkle::contents_digest(self.transactions())
    }

    /// The transactions, in order of execution.
    pub fn transactions(&self) -> &[ExecutionDigests] {
        let Self::V1(contents) = self;
        &contents.transactions
    }

    /// For each transaction its signatures.
    pub fn user_signatures(&self) -> &[Vec<UserSignature>] {
        let Self::V1(contents) = self;
        &contents.user_signatures
    }
}
