//! Models and their registry.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::canonical::bcs_form;
use crate::system_state::StakingPool;
use crate::{Address, Commitment, ModelWeightsManifest, ObjectId, Tensor, sorted_map};

/// A registered model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "proptest", derive(proptest_derive::Arbitrary))]
pub struct Model {
    /// Who may act for it.
    pub owner: Address,
    /// The architecture it was committed for.
    pub architecture_version: u64,
    /// Blake2b-256 of the URL in normal form.
    pub weights_url_commitment: Commitment,
    /// Blake2b-256 of the encrypted weights.
    pub weights_commitment: Commitment,
    /// The epoch in which the commit was executed. An update does not change it.
    pub commit_epoch: u64,
    /// Where the weights are and how to open them; absent until revealed.
    pub weights_manifest: Option<ModelWeightsManifest>,
    /// Absent until revealed.
    pub embedding: Option<Tensor>,
    /// The stake on it.
    pub staking_pool: StakingPool,
    /// Basis points.
    pub commission_rate: u64,
    /// Basis points, in force from the next epoch.
    pub next_epoch_commission_rate: u64,
    /// Committed new weights that are not revealed yet.
    pub pending_update: Option<PendingModelUpdate>,
}

/// Committed new weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "proptest", derive(proptest_derive::Arbitrary))]
pub struct PendingModelUpdate {
    /// Blake2b-256 of the new URL in normal form.
    pub weights_url_commitment: Commitment,
    /// Blake2b-256 of the new encrypted weights.
    pub weights_commitment: Commitment,
    /// The epoch in which the update commit was executed.
    pub commit_epoch: u64,
}

/// All models. The map that a model sits in is its state.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "proptest", derive(proptest_derive::Arbitrary))]
pub struct ModelRegistry {
    /// Revealed and competing.
    #[serde(serialize_with = "sorted_map::serialize")]
    #[cfg_attr(feature = "proptest", proptest(strategy = "crate::arbitrary::map()"))]
    pub active_models: BTreeMap<ObjectId, Model>,
    /// Committed, not revealed.
    #[serde(serialize_with = "sorted_map::serialize")]
    #[cfg_attr(feature = "proptest", proptest(strategy = "crate::arbitrary::map()"))]
    pub pending_models: BTreeMap<ObjectId, Model>,
    /// Pool to model.
    #[serde(serialize_with = "sorted_map::serialize")]
    #[cfg_attr(feature = "proptest", proptest(strategy = "crate::arbitrary::map()"))]
    pub staking_pool_mappings: BTreeMap<ObjectId, ObjectId>,
    /// Deactivated or slashed.
    #[serde(serialize_with = "sorted_map::serialize")]
    #[cfg_attr(feature = "proptest", proptest(strategy = "crate::arbitrary::map()"))]
    pub inactive_models: BTreeMap<ObjectId, Model>,
    /// Shannons on active models.
    pub total_model_stake: u64,
    /// Model to the validators that report it in this epoch.
    #[serde(serialize_with = "sorted_map::serialize")]
    #[cfg_attr(feature = "proptest", proptest(strategy = "crate::arbitrary::map()"))]
    pub model_report_records: BTreeMap<ObjectId, BTreeSet<Address>>,
}

/// Where a model stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum ModelStatus {
    /// Revealed and competing.
    Active,
    /// Committed; to be revealed in the epoch after the commit.
    Committed,
    /// Deactivated or slashed, for good.
    Inactive,
}

impl ModelStatus {
    /// All of them, in the order of lists.
    pub const ALL: [Self; 3] = [Self::Active, Self::Committed, Self::Inactive];

    /// Reads the registry's own word; nothing for another one.
    pub fn from_chain_state(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.chain_state() == word)
    }

    /// The registry's own word: `active`, `pending` or `inactive`.
    pub const fn chain_state(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Committed => "pending",
            Self::Inactive => "inactive",
        }
    }
}

impl fmt::Display for ModelStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Active => "Active",
            Self::Committed => "Committed",
            Self::Inactive => "Inactive",
        })
    }
}

bcs_form!(Model, ModelRegistry);

impl Model {
    /// Where the model stands, read off its own fields.
    pub const fn status(&self) -> ModelStatus {
        if self.staking_pool.deactivation_epoch.is_some() {
            ModelStatus::Inactive
        } else if self.weights_manifest.is_some() {
            ModelStatus::Active
        } else {
            ModelStatus::Committed
        }
    }
}

impl ModelRegistry {
    /// The model with this id, in whichever state.
    pub fn get(&self, id: &ObjectId) -> Option<&Model> {
        self.active_models
            .get(id)
            .or_else(|| self.pending_models.get(id))
            .or_else(|| self.inactive_models.get(id))
    }

    /// All models: active, then committed, then inactive, each by id.
    pub fn iter(&self) -> impl Iterator<Item = (&ObjectId, &Model)> {
        self.active_models.iter().chain(&self.pending_models).chain(&self.inactive_models)
    }
}
