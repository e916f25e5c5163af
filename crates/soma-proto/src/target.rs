//! Targets and challenges: read by this project, never filled by it.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::canonical::bcs_form;
use crate::{Address, Commitment, Manifest, ObjectId, Tensor};

/// A target that models compete for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "proptest", derive(proptest_derive::Arbitrary))]
#[allow(missing_docs, reason = "the names say it")]
pub struct Target {
    pub embedding: Tensor,
    #[cfg_attr(feature = "proptest", proptest(strategy = "crate::arbitrary::vec()"))]
    pub model_ids: Vec<ObjectId>,
    pub distance_threshold: Tensor,
    /// Shannons.
    pub reward_pool: u64,
    pub generation_epoch: u64,
    pub status: TargetStatus,
    pub submitter: Option<Address>,
    pub winning_model_id: Option<ObjectId>,
    pub winning_model_owner: Option<Address>,
    /// Shannons.
    pub bond_amount: u64,
    pub winning_data_manifest: Option<Manifest>,
    pub winning_data_commitment: Option<Commitment>,
    pub winning_embedding: Option<Tensor>,
    pub winning_distance_score: Option<Tensor>,
    pub challenger: Option<Address>,
    pub challenge_id: Option<ObjectId>,
    #[cfg_attr(feature = "proptest", proptest(strategy = "crate::arbitrary::map()"))]
    pub submission_reports: BTreeMap<Address, Option<Address>>,
}

/// Where a target stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "proptest", derive(proptest_derive::Arbitrary))]
#[non_exhaustive]
pub enum TargetStatus {
    /// Waiting for a submission.
    Open,
    /// A submission was accepted.
    Filled {
        /// When.
        fill_epoch: u64,
    },
    /// The reward was taken.
    Claimed,
}

/// A challenge to a submission.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "proptest", derive(proptest_derive::Arbitrary))]
#[allow(missing_docs, reason = "the names say it")]
pub struct Challenge {
    pub id: ObjectId,
    pub target_id: ObjectId,
    pub challenger: Address,
    /// Shannons.
    pub challenger_bond: u64,
    pub challenge_epoch: u64,
    pub status: ChallengeStatus,
    #[cfg_attr(feature = "proptest", proptest(strategy = "crate::arbitrary::vec()"))]
    pub model_ids: Vec<ObjectId>,
    pub target_embedding: Tensor,
    pub distance_threshold: Tensor,
    pub winning_model_id: ObjectId,
    pub winning_data_manifest: Manifest,
    pub winning_data_commitment: Commitment,
    pub winning_embedding: Tensor,
    pub winning_distance_score: Tensor,
    #[cfg_attr(feature = "proptest", proptest(strategy = "crate::arbitrary::set()"))]
    pub challenge_reports: BTreeSet<Address>,
}

/// Where a challenge stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "proptest", derive(proptest_derive::Arbitrary))]
#[non_exhaustive]
pub enum ChallengeStatus {
    /// Not decided.
    Pending,
    /// Decided.
    Resolved {
        /// Whether the challenger was wrong.
        challenger_lost: bool,
    },
}

bcs_form!(Target, Challenge);
