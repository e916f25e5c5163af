//! Models, their manifests and their registry as messages.

use std::collections::BTreeMap;

use crate::dialect::{Model, ModelRegistry, PendingModelUpdate};
use crate::grpc::convert::{
    At as _, address, id_key, map, masked, message, optional, read_fields, reporters,
    reports_message, value,
};
use crate::grpc::mask::MaskTree;
use crate::grpc::{ext, pb};
use crate::{
    Checksum, Commitment, DecryptionKey, Error, Manifest, ModelWeightsManifest, ObjectId, Result,
    SubmissionManifest, Tensor,
};

impl From<&Model> for pb::Model {
    fn from(model: &Model) -> Self {
        Self {
            owner: Some(model.owner.to_string()),
            architecture_version: Some(model.architecture_version),
            weights_url_commitment: Some(model.weights_url_commitment.as_bytes().to_vec()),
            weights_commitment: Some(model.weights_commitment.as_bytes().to_vec()),
            commit_epoch: Some(model.commit_epoch),
            weights_manifest: model.weights_manifest.as_ref().map(Into::into),
            embedding: model.embedding.as_ref().map(Tensor::to_vec).unwrap_or_default(),
            staking_pool: Some((&model.staking_pool).into()),
            commission_rate: Some(model.commission_rate),
            next_epoch_commission_rate: Some(model.next_epoch_commission_rate),
            pending_update: model.pending_update.as_ref().map(Into::into),
        }
    }
}

impl TryFrom<pb::Model> for Model {
    type Error = Error;

    fn try_from(model: pb::Model) -> Result<Self> {
        Ok(read_fields!(model => Self {
            owner: address,
            architecture_version: value,
            weights_url_commitment: commitment,
            weights_commitment: commitment,
            commit_epoch: value,
            weights_manifest: optional,
            embedding: |list: Vec<f32>| Ok((!list.is_empty()).then(|| Tensor::vector(&list))),
            staking_pool: message,
            commission_rate: value,
            next_epoch_commission_rate: value,
            pending_update: optional,
        }))
    }
}

impl From<&PendingModelUpdate> for pb::PendingModelUpdate {
    fn from(update: &PendingModelUpdate) -> Self {
        Self {
            weights_url_commitment: Some(update.weights_url_commitment.as_bytes().to_vec()),
            weights_commitment: Some(update.weights_commitment.as_bytes().to_vec()),
            commit_epoch: Some(update.commit_epoch),
        }
    }
}

impl TryFrom<pb::PendingModelUpdate> for PendingModelUpdate {
    type Error = Error;

    fn try_from(update: pb::PendingModelUpdate) -> Result<Self> {
        Ok(read_fields!(update => Self {
            weights_url_commitment: commitment,
            weights_commitment: commitment,
            commit_epoch: value,
        }))
    }
}

impl From<&ModelRegistry> for pb::ModelRegistry {
    fn from(registry: &ModelRegistry) -> Self {
        registry_message(registry, &MaskTree::everything())
    }
}

/// Of the registry what the mask selects.
pub(crate) fn registry_message(registry: &ModelRegistry, mask: &MaskTree) -> pb::ModelRegistry {
    masked!(
        mask,
        pb::ModelRegistry {
            active_models: models_message(&registry.active_models),
            pending_models: models_message(&registry.pending_models),
            staking_pool_mappings: registry
                .staking_pool_mappings
                .iter()
                .map(|(pool, model)| (pool.to_string(), model.to_string()))
                .collect(),
            inactive_models: models_message(&registry.inactive_models),
            total_model_stake: Some(registry.total_model_stake),
            model_report_records: reports_message(&registry.model_report_records),
        }
    )
}

fn models_message(models: &BTreeMap<ObjectId, Model>) -> BTreeMap<String, pb::Model> {
    models.iter().map(|(id, model)| (id.to_string(), model.into())).collect()
}

impl TryFrom<pb::ModelRegistry> for ModelRegistry {
    type Error = Error;

    fn try_from(registry: pb::ModelRegistry) -> Result<Self> {
        Ok(read_fields!(registry => Self {
            active_models: |models| map(models, id_key, TryInto::try_into),
            pending_models: |models| map(models, id_key, TryInto::try_into),
            staking_pool_mappings: |pools| map(pools, id_key, id_key),
            inactive_models: |models| map(models, id_key, TryInto::try_into),
            total_model_stake: value,
            model_report_records: |records| map(records, id_key, reporters),
        }))
    }
}

impl From<&ModelWeightsManifest> for pb::ModelWeightsManifest {
    fn from(weights: &ModelWeightsManifest) -> Self {
        Self {
            manifest: Some((&weights.manifest).into()),
            decryption_key: Some(weights.decryption_key.as_bytes().to_vec()),
        }
    }
}

impl TryFrom<pb::ModelWeightsManifest> for ModelWeightsManifest {
    type Error = Error;

    fn try_from(weights: pb::ModelWeightsManifest) -> Result<Self> {
        let key = |bytes: Option<Vec<u8>>| DecryptionKey::from_bytes(&value(bytes)?);
        Ok(read_fields!(weights => Self { manifest: message, decryption_key: key }))
    }
}

impl From<&SubmissionManifest> for pb::SubmissionManifest {
    fn from(submission: &SubmissionManifest) -> Self {
        Self { manifest: Some((&submission.manifest).into()) }
    }
}

impl TryFrom<pb::SubmissionManifest> for SubmissionManifest {
    type Error = Error;

    fn try_from(submission: pb::SubmissionManifest) -> Result<Self> {
        Ok(read_fields!(submission => Self { manifest: message }))
    }
}

impl From<&Manifest> for pb::Manifest {
    fn from(manifest: &Manifest) -> Self {
        let metadata = pb::MetadataV1 {
            checksum: Some(manifest.checksum().inner().to_vec()),
            size: Some(manifest.size()),
        };
        let manifest = pb::ManifestV1 {
            url: Some(manifest.url().to_string()),
            metadata: Some(pb::Metadata { version: Some(pb::metadata::Version::V1(metadata)) }),
        };
        Self { version: Some(pb::manifest::Version::V1(manifest)) }
    }
}

impl TryFrom<pb::Manifest> for Manifest {
    type Error = Error;

    /// The URL is put into normal form.
    fn try_from(manifest: pb::Manifest) -> Result<Self> {
        let pb::manifest::Version::V1(manifest) = value(manifest.version).at("version")?;
        let url = value(manifest.url).and_then(|text| text.parse()).at("v1.url")?;
        let metadata = value(manifest.metadata).at("v1.metadata")?;
        let pb::metadata::Version::V1(metadata) =
            value(metadata.version).at("v1.metadata.version")?;
        let checksum = value(metadata.checksum).and_then(|bytes| Checksum::from_bytes(&bytes));
        let checksum = checksum.at("v1.metadata.v1.checksum")?;
        let size = value(metadata.size).at("v1.metadata.v1.size")?;
        Ok(Self::new(url, checksum, size))
    }
}

/// A line of the list of models that the extension service gives.
pub fn model_summary(id: &ObjectId, model: &Model) -> ext::ModelSummary {
    ext::ModelSummary {
        model_id: Some(id.to_string()),
        owner: Some(model.owner.to_string()),
        status: Some(model.status().chain_state().to_owned()),
        architecture_version: Some(model.architecture_version),
        commission_rate: Some(model.commission_rate),
        commit_epoch: Some(model.commit_epoch),
        stake_balance: Some(model.staking_pool.soma_balance),
        has_pending_update: Some(model.pending_update.is_some()),
        staking_pool_id: Some(model.staking_pool.id.to_string()),
        update_commit_epoch: model.pending_update.map(|update| update.commit_epoch),
        decryption_key: None,
        weights_checksum: None,
    }
}

/// A commitment of 32 raw bytes.
pub(super) fn commitment(field: Option<Vec<u8>>) -> Result<Commitment> {
    Commitment::from_bytes(value(field)?)
}
