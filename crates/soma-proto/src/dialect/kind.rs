//! The kinds of transaction.

use serde::{Deserialize, Serialize};

use crate::canonical::bcs_form;
use crate::{
    Address, Commitment, Digest, ModelWeightsManifest, Object, ObjectId, ObjectRef,
    SubmissionManifest, Tensor,
};

/// What a transaction does. BCS writes the index of the variant, then its
/// fields in the order given here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "proptest", derive(proptest_derive::Arbitrary))]
#[non_exhaustive]
pub enum TransactionKind {
    /// Creates the chain's first objects.
    Genesis {
        /// The objects before execution: version 0, no previous transaction.
        #[cfg_attr(feature = "proptest", proptest(strategy = "crate::arbitrary::vec()"))]
        objects: Vec<Object>,
    },
    /// Marks a consensus commit.
    ConsensusCommitPrologueV1(ConsensusCommitPrologue),
    /// Ends an epoch.
    ChangeEpoch(ChangeEpoch),
    /// Asks to join the validators.
    AddValidator(AddValidator),
    /// Asks to leave the validators.
    RemoveValidator {
        /// BLS public key.
        pubkey_bytes: ByteString,
    },
    /// Reports a validator.
    ReportValidator {
        /// The reported validator.
        reportee: Address,
    },
    /// Takes a report back.
    UndoReportValidator {
        /// The reported validator.
        reportee: Address,
    },
    /// Stages a validator's metadata for the next epoch.
    UpdateValidatorMetadata(UpdateValidatorMetadata),
    /// Stages a validator's commission for the next epoch.
    SetCommissionRate {
        /// Basis points.
        new_rate: u64,
    },
    /// Moves a coin or a part of it.
    TransferCoin {
        /// The coin.
        coin: ObjectRef,
        /// Shannons; all of the coin if absent.
        amount: Option<u64>,
        /// Who receives it.
        recipient: Address,
    },
    /// Pays several recipients from several coins.
    PayCoins {
        /// The coins that pay.
        #[cfg_attr(feature = "proptest", proptest(strategy = "crate::arbitrary::vec()"))]
        coins: Vec<ObjectRef>,
        /// Shannons for each recipient; everything to one if absent.
        amounts: Option<Vec<u64>>,
        /// Who is paid.
        #[cfg_attr(feature = "proptest", proptest(strategy = "crate::arbitrary::vec()"))]
        recipients: Vec<Address>,
    },
    /// Gives objects away.
    TransferObjects {
        /// The objects.
        #[cfg_attr(feature = "proptest", proptest(strategy = "crate::arbitrary::vec()"))]
        objects: Vec<ObjectRef>,
        /// Who receives them.
        recipient: Address,
    },
    /// Stakes with a validator.
    AddStake {
        /// The validator.
        address: Address,
        /// The coin that is staked.
        coin_ref: ObjectRef,
        /// Shannons; all of the coin if absent.
        amount: Option<u64>,
    },
    /// Turns a receipt for stake back into a coin.
    WithdrawStake {
        /// The receipt.
        staked_soma: ObjectRef,
    },
    /// Commits to a new model.
    CommitModel(CommitModel),
    /// Reveals a committed model.
    RevealModel(RevealModel),
    /// Commits to new weights of an active model.
    CommitModelUpdate(CommitModelUpdate),
    /// Reveals committed new weights.
    RevealModelUpdate(RevealModel),
    /// Stakes on a model.
    AddStakeToModel {
        /// The model.
        model_id: ObjectId,
        /// The coin that is staked.
        coin_ref: ObjectRef,
        /// Shannons; all of the coin if absent.
        amount: Option<u64>,
    },
    /// Stages a model's commission for the next epoch.
    SetModelCommissionRate {
        /// The model.
        model_id: ObjectId,
        /// Basis points.
        new_rate: u64,
    },
    /// Takes a model out of the competition for good.
    DeactivateModel {
        /// The model.
        model_id: ObjectId,
    },
    /// A validator reports that a model's weights are unavailable.
    ReportModel {
        /// The model.
        model_id: ObjectId,
    },
    /// Takes such a report back.
    UndoReportModel {
        /// The model.
        model_id: ObjectId,
    },
    /// Submits data to a target.
    SubmitData(SubmitData),
    /// Claims the reward of a target.
    ClaimRewards {
        /// The target.
        target_id: ObjectId,
    },
    /// A validator reports a submission.
    ReportSubmission {
        /// The target.
        target_id: ObjectId,
        /// Who challenged it, if anybody.
        challenger: Option<Address>,
    },
    /// Takes such a report back.
    UndoReportSubmission {
        /// The target.
        target_id: ObjectId,
    },
    /// Challenges a submission.
    InitiateChallenge {
        /// The target.
        target_id: ObjectId,
        /// The coin that is put at stake.
        bond_coin: ObjectRef,
    },
    /// A validator reports a challenge.
    ReportChallenge {
        /// The challenge.
        challenge_id: ObjectId,
    },
    /// Takes such a report back.
    UndoReportChallenge {
        /// The challenge.
        challenge_id: ObjectId,
    },
    /// Claims the bond of a challenge.
    ClaimChallengeBond {
        /// The challenge.
        challenge_id: ObjectId,
    },
}

/// A byte string with its length in front.
type ByteString = Vec<u8>;

/// A mark that consensus puts before the transactions of a commit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "proptest", derive(proptest_derive::Arbitrary))]
pub struct ConsensusCommitPrologue {
    /// Epoch of the commit.
    pub epoch: u64,
    /// Consensus round.
    pub round: u64,
    /// Set when one round has several commits.
    pub sub_dag_index: Option<u64>,
    /// Consensus time, milliseconds since 1970.
    pub commit_timestamp_ms: u64,
    /// Digest of the commit.
    pub consensus_commit_digest: Digest,
    /// Digest of further consensus state.
    pub additional_state_digest: Digest,
}

/// The transaction that ends an epoch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "proptest", derive(proptest_derive::Arbitrary))]
pub struct ChangeEpoch {
    /// The epoch that begins.
    pub epoch: u64,
    /// When it begins, milliseconds since 1970.
    pub epoch_start_timestamp_ms: u64,
    /// Protocol version in force from then on.
    pub protocol_version: u64,
    /// Fees charged in the epoch that ends, in shannons.
    pub fees: u64,
    /// Random bytes of the new epoch.
    pub epoch_randomness: ByteString,
}

/// A request to join the validators. Addresses are the BCS of a string that
/// holds a multiaddress.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "proptest", derive(proptest_derive::Arbitrary))]
pub struct AddValidator {
    /// BLS public key, 96 bytes.
    pub pubkey_bytes: ByteString,
    /// Ed25519 public key, 32 bytes.
    pub network_pubkey_bytes: ByteString,
    /// Ed25519 public key, 32 bytes.
    pub worker_pubkey_bytes: ByteString,
    /// BLS signature, 48 bytes.
    pub proof_of_possession: ByteString,
    /// Where the validator is reached.
    pub net_address: ByteString,
    /// Peer-to-peer address.
    pub p2p_address: ByteString,
    /// Address of the primary.
    pub primary_address: ByteString,
    /// Address of the proxy.
    pub proxy_address: ByteString,
}

/// Values for the next epoch; those absent stay as they are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "proptest", derive(proptest_derive::Arbitrary))]
pub struct UpdateValidatorMetadata {
    /// Where the validator is reached.
    pub next_epoch_network_address: Option<ByteString>,
    /// Peer-to-peer address.
    pub next_epoch_p2p_address: Option<ByteString>,
    /// Address of the primary.
    pub next_epoch_primary_address: Option<ByteString>,
    /// Address of the proxy.
    pub next_epoch_proxy_address: Option<ByteString>,
    /// BLS public key, 96 bytes.
    pub next_epoch_protocol_pubkey: Option<ByteString>,
    /// Ed25519 public key, 32 bytes.
    pub next_epoch_worker_pubkey: Option<ByteString>,
    /// Ed25519 public key, 32 bytes.
    pub next_epoch_network_pubkey: Option<ByteString>,
    /// BLS signature, 48 bytes.
    pub next_epoch_proof_of_possession: Option<ByteString>,
}

/// First phase of a registration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "proptest", derive(proptest_derive::Arbitrary))]
pub struct CommitModel {
    /// Chosen by the owner, unused so far.
    pub model_id: ObjectId,
    /// Blake2b-256 of the URL in normal form.
    pub weights_url_commitment: Commitment,
    /// Blake2b-256 of the encrypted weights.
    pub weights_commitment: Commitment,
    /// Must be the chain's.
    pub architecture_version: u64,
    /// Shannons, taken out of the first gas coin.
    pub stake_amount: u64,
    /// Basis points, at most 10000.
    pub commission_rate: u64,
    /// Chosen by the owner, unused so far.
    pub staking_pool_id: ObjectId,
}

/// Second phase of a registration or of an update.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "proptest", derive(proptest_derive::Arbitrary))]
pub struct RevealModel {
    /// The model.
    pub model_id: ObjectId,
    /// Where the weights are and how to open them.
    pub weights_manifest: ModelWeightsManifest,
    /// The model's place among the others.
    pub embedding: Tensor,
}

/// First phase of an update.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "proptest", derive(proptest_derive::Arbitrary))]
pub struct CommitModelUpdate {
    /// The model.
    pub model_id: ObjectId,
    /// Blake2b-256 of the new URL in normal form.
    pub weights_url_commitment: Commitment,
    /// Blake2b-256 of the new encrypted weights.
    pub weights_commitment: Commitment,
}

/// Data submitted to a target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "proptest", derive(proptest_derive::Arbitrary))]
pub struct SubmitData {
    /// The target.
    pub target_id: ObjectId,
    /// Blake2b-256 of the data.
    pub data_commitment: Commitment,
    /// Where the data is.
    pub data_manifest: SubmissionManifest,
    /// The model that scored it.
    pub model_id: ObjectId,
    /// Embedding of the data.
    pub embedding: Tensor,
    /// Distance from the target, shape `[1]`.
    pub distance_score: Tensor,
    /// The coin that is put at stake.
    pub bond_coin: ObjectRef,
}

bcs_form!(TransactionKind);

impl TransactionKind {
    /// The name of the kind, as in its declaration.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Genesis { .. } => "Genesis",
            Self::ConsensusCommitPrologueV1(_) => "ConsensusCommitPrologueV1",
            Self::ChangeEpoch(_) => "ChangeEpoch",
            Self::AddValidator(_) => "AddValidator",
            Self::RemoveValidator { .. } => "RemoveValidator",
            Self::ReportValidator { .. } => "ReportValidator",
            Self::UndoReportValidator { .. } => "UndoReportValidator",
            Self::UpdateValidatorMetadata(_) => "UpdateValidatorMetadata",
            Self::SetCommissionRate { .. } => "SetCommissionRate",
            Self::TransferCoin { .. } => "TransferCoin",
            Self::PayCoins { .. } => "PayCoins",
            Self::TransferObjects { .. } => "TransferObjects",
            Self::AddStake { .. } => "AddStake",
            Self::WithdrawStake { .. } => "WithdrawStake",
            Self::CommitModel(_) => "CommitModel",
            Self::RevealModel(_) => "RevealModel",
            Self::CommitModelUpdate(_) => "CommitModelUpdate",
            Self::RevealModelUpdate(_) => "RevealModelUpdate",
            Self::AddStakeToModel { .. } => "AddStakeToModel",
            Self::SetModelCommissionRate { .. } => "SetModelCommissionRate",
            Self::DeactivateModel { .. } => "DeactivateModel",
            Self::ReportModel { .. } => "ReportModel",
            Self::UndoReportModel { .. } => "UndoReportModel",
            Self::SubmitData(_) => "SubmitData",
            Self::ClaimRewards { .. } => "ClaimRewards",
            Self::ReportSubmission { .. } => "ReportSubmission",
            Self::UndoReportSubmission { .. } => "UndoReportSubmission",
            Self::InitiateChallenge { .. } => "InitiateChallenge",
            Self::ReportChallenge { .. } => "ReportChallenge",
            Self::UndoReportChallenge { .. } => "UndoReportChallenge",
            Self::ClaimChallengeBond { .. } => "ClaimChallengeBond",
        }
    }

    /// Whether only the network itself may send it.
    pub const fn is_system(&self) -> bool {
        matches!(
            self,
            Self::Genesis { .. } | Self::ConsensusCommitPrologueV1(_) | Self::ChangeEpoch(_)
        )
    }

    /// Whether it takes the system state as an input (and writes it).
    pub const fn uses_system_state(&self) -> bool {
        !matches!(
            self,
            Self::Genesis { .. }
                | Self::ConsensusCommitPrologueV1(_)
                | Self::TransferCoin { .. }
                | Self::PayCoins { .. }
                | Self::TransferObjects { .. }
        )
    }

    /// The owned objects it names, in its own order.
    pub fn owned_inputs(&self) -> Vec<ObjectRef> {
        match self {
            Self::TransferCoin { coin, .. } => vec![*coin],
            Self::PayCoins { coins, .. } => coins.clone(),
            Self::TransferObjects { objects, .. } => objects.clone(),
            Self::AddStake { coin_ref, .. } | Self::AddStakeToModel { coin_ref, .. } => {
                vec![*coin_ref]
            }
            Self::WithdrawStake { staked_soma } => vec![*staked_soma],
            Self::SubmitData(SubmitData { bond_coin, .. })
            | Self::InitiateChallenge { bond_coin, .. } => vec![*bond_coin],
            _ => Vec::new(),
        }
    }
}
