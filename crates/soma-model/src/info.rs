//! What is shown of models.

use serde::{Serialize, Serializer};
use soma_proto::system_state::ModelStatus;
use soma_proto::{Address, Checksum, Commitment, ObjectId, WeightsUrl};
use soma_rpc::ModelSummary as Listed;

use crate::{Standing, WindowTimes};

/// A model in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Its id.
    pub model_id: ObjectId,
    /// Who may act for it.
    pub owner: Address,
    /// `Committed`, `Active` or `Inactive`.
    #[serde(serialize_with = "text")]
    pub status: ModelStatus,
    /// The architecture it was committed for.
    pub architecture_version: u64,
    /// Basis points.
    pub commission_rate: u64,
    /// The epoch in which its commit was executed.
    pub commit_epoch: u64,
    /// Shannons.
    pub stake_balance: u64,
    /// Whether new weights are committed and not revealed.
    pub has_pending_update: bool,
}

impl From<&Standing> for Summary {
    fn from(standing: &Standing) -> Self {
        let model = &standing.model;
        Self {
            model_id: standing.id,
            owner: model.owner,
            status: standing.status,
            architecture_version: model.architecture_version,
            commission_rate: model.commission_rate,
            commit_epoch: model.commit_epoch,
            stake_balance: model.staking_pool.soma_balance,
            has_pending_update: model.pending_update.is_some(),
        }
    }
}

impl From<&Listed> for Summary {
    fn from(listed: &Listed) -> Self {
        Self {
            model_id: listed.id,
            owner: listed.owner,
            status: listed.status,
            architecture_version: listed.architecture_version,
            commission_rate: listed.commission_rate,
            commit_epoch: listed.commit_epoch,
            stake_balance: listed.stake_balance,
            has_pending_update: listed.has_pending_update,
        }
    }
}

/// All models asked for: `{"models": [...]}`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct List {
    /// Active, then committed, then inactive, each by id.
    pub models: Vec<Summary>,
}

impl List {
    /// Sorts what a node listed.
    pub fn new(listed: &[Listed]) -> Self {
        let mut models: Vec<_> = listed.iter().map(Summary::from).collect();
        models.sort_by_key(|model| (model.status, model.model_id));
        Self { models }
    }

    /// How many of them are in a state.
    pub fn count(&self, status: ModelStatus) -> usize {
        self.models.iter().filter(|model| model.status == status).count()
    }
}

/// Everything the chain knows of a model.
///
/// Serialized it has the names of its fields; those that are absent are left
/// out, except `pending_update`, which is then `null`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Info {
    /// Its id.
    pub model_id: ObjectId,
    /// `Committed`, `Active` or `Inactive`.
    #[serde(serialize_with = "text")]
    pub status: ModelStatus,
    /// What lists show of it.
    pub summary: Summary,
    /// The registry that it sits in: `pending`, `active` or `inactive`.
    pub chain_state: &'static str,
    /// Its stake pool.
    pub staking_pool_id: ObjectId,
    /// Basis points, in force from the next epoch.
    pub next_epoch_commission_rate: u64,
    /// Blake2b-256 of the URL in normal form.
    #[serde(serialize_with = "hex")]
    pub weights_url_commitment: Commitment,
    /// Blake2b-256 of the encrypted weights.
    #[serde(serialize_with = "hex")]
    pub weights_commitment: Commitment,
    /// Where the encrypted weights are; once revealed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weights_url: Option<WeightsUrl>,
    /// Blake2b-256 of what the URL serves; once revealed.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "optional_text")]
    pub weights_checksum: Option<Checksum>,
    /// Bytes; once revealed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weights_size: Option<u64>,
    /// 64 hex digits, public once revealed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decryption_key: Option<String>,
    /// Numbers in its embedding; once revealed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub embedding_dim: Option<usize>,
    /// The one epoch for the reveal that it waits for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reveal_epoch: Option<u64>,
    /// The estimated times of that epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reveal_window: Option<WindowTimes>,
    /// Committed new weights.
    pub pending_update: Option<PendingUpdate>,
    /// The running epoch.
    pub current_epoch: u64,
    /// Validators that report it as unavailable in the running epoch.
    pub reported_by: Vec<Address>,
    /// The vector itself, if it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub embedding: Option<Vec<f32>>,
}

/// Committed new weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct PendingUpdate {
    /// The epoch in which the update's commit was executed.
    pub commit_epoch: u64,
    /// Blake2b-256 of the new URL in normal form.
    #[serde(serialize_with = "hex")]
    pub weights_url_commitment: Commitment,
    /// Blake2b-256 of the new encrypted weights.
    #[serde(serialize_with = "hex")]
    pub weights_commitment: Commitment,
}

impl Info {
    /// The view of a model, without its embedding.
    pub fn new(standing: &Standing) -> Self {
        let model = &standing.model;
        let revealed = model.weights_manifest.as_ref();
        let window = standing.reveal_window();
        Self {
            model_id: standing.id,
            status: standing.status,
            summary: Summary::from(standing),
            chain_state: standing.status.chain_state(),
            staking_pool_id: model.staking_pool.id,
            next_epoch_commission_rate: model.next_epoch_commission_rate,
            weights_url_commitment: model.weights_url_commitment,
            weights_commitment: model.weights_commitment,
            weights_url: revealed.map(|weights| weights.manifest.url().clone()),
            weights_checksum: revealed.map(|weights| weights.manifest.checksum()),
            weights_size: revealed.map(|weights| weights.manifest.size()),
            decryption_key: revealed.map(|weights| {
                // Public: it stands on the chain.
                Commitment::new(*weights.decryption_key.as_bytes()).to_hex()
            }),
            embedding_dim: model.embedding.as_ref().map(|embedding| embedding.len()),
            reveal_epoch: window.map(|window| window.reveal_epoch),
            reveal_window: window.map(|window| window.times()),
            pending_update: model.pending_update.map(|update| PendingUpdate {
                commit_epoch: update.commit_epoch,
                weights_url_commitment: update.weights_url_commitment,
                weights_commitment: update.weights_commitment,
            }),
            current_epoch: standing.clock.epoch,
            reported_by: standing.reported_by.clone(),
            embedding: None,
        }
    }

    /// With the vector, if it is revealed.
    #[must_use]
    pub fn with_embedding(mut self, standing: &Standing) -> Self {
        self.embedding = standing.model.embedding.as_ref().map(|embedding| embedding.to_vec());
        self
    }
}

fn text<S: Serializer>(value: &impl ToString, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&value.to_string())
}

fn optional_text<S: Serializer>(
    value: &Option<impl ToString>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    value.as_ref().map(ToString::to_string).serialize(serializer)
}

fn hex<S: Serializer>(value: &Commitment, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&value.to_hex())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::testing;

    #[test]
    fn a_committed_model() {
        let standing = testing::committed();
        assert_eq!(
            serde_json::to_value(Info::new(&standing)).unwrap(),
            json!({
                "model_id": format!("0x{}", "11".repeat(32)),
                "status": "Committed",
                "summary": {
                    "model_id": format!("0x{}", "11".repeat(32)),
                    "owner": "aa".repeat(32),
                    "status": "Committed",
                    "architecture_version": 1,
                    "commission_rate": 1000,
                    "commit_epoch": 4,
                    "stake_balance": 1_000_000_000,
                    "has_pending_update": false,
                },
                "chain_state": "pending",
                "staking_pool_id": format!("0x{}", "22".repeat(32)),
                "next_epoch_commission_rate": 1000,
                "weights_url_commitment": testing::url().commitment().to_hex(),
                "weights_commitment": "33".repeat(32),
                "reveal_epoch": 5,
                "reveal_window": {
                    "opens_at": "2026-01-01T00:00:00Z",
                    "closes_at": "2026-01-01T00:01:00Z",
                },
                "pending_update": null,
                "current_epoch": 5,
                "reported_by": [],
            })
        );
    }

    #[test]
    fn an_active_model_with_an_update() {
        let standing = testing::updating();
        let info = serde_json::to_value(Info::new(&standing).with_embedding(&standing)).unwrap();
        assert_eq!(info["status"], "Active");
        assert_eq!(info["chain_state"], "active");
        assert_eq!(info["weights_url"], "https://weights.example/old");
        assert_eq!(info["weights_checksum"], "44".repeat(32));
        assert_eq!(info["weights_size"], 100);
        assert_eq!(info["decryption_key"], "55".repeat(32));
        assert_eq!(info["embedding_dim"], 2);
        assert_eq!(info["embedding"], json!([0.5, -1.0]));
        assert_eq!(info["reveal_epoch"], 5);
        assert_eq!(
            info["pending_update"],
            json!({
                "commit_epoch": 4,
                "weights_url_commitment": testing::url().commitment().to_hex(),
                "weights_commitment": "33".repeat(32),
            })
        );
        assert_eq!(info["summary"]["has_pending_update"], true);
    }

    #[test]
    fn an_inactive_model_waits_for_nothing() {
        let mut standing = testing::updating();
        standing.status = ModelStatus::Inactive;
        let info = serde_json::to_value(Info::new(&standing)).unwrap();
        assert_eq!(info["status"], "Inactive");
        assert!(info.get("reveal_epoch").is_none() && info.get("reveal_window").is_none());
    }
}
