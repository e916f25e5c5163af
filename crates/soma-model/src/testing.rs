//! Models for the tests of this crate.

use soma_proto::system_state::{Model, ModelStatus, PendingModelUpdate, StakingPool};
use soma_proto::{
    Address, Checksum, Commitment, DecryptionKey, Manifest, ModelWeightsManifest, ObjectId, Tensor,
    WeightsUrl,
};
use soma_rpc::EpochClock;

use crate::Standing;

pub(crate) const OWNER: Address = Address::new([0xaa; 32]);
pub(crate) const MODEL: ObjectId = ObjectId::new([0x11; 32]);
pub(crate) const POOL: ObjectId = ObjectId::new([0x22; 32]);
pub(crate) const WEIGHTS: Commitment = Commitment::new([0x33; 32]);

/// The URL that was committed to.
pub(crate) fn url() -> WeightsUrl {
    "https://weights.example/qkz7tm3w5vxhc2drnb4ypfga6l".parse().unwrap()
}

/// Epoch 5 began with the year 2026 and lasts a minute.
pub(crate) const fn clock() -> EpochClock {
    EpochClock { epoch: 5, start_timestamp_ms: 1_767_225_600_000, duration_ms: 60_000 }
}

/// Committed in epoch 4, so its window is open.
pub(crate) fn committed() -> Standing {
    let model = Model {
        owner: OWNER,
        architecture_version: 1,
        weights_url_commitment: url().commitment(),
        weights_commitment: WEIGHTS,
        commit_epoch: 4,
        weights_manifest: None,
        embedding: None,
        staking_pool: StakingPool { id: POOL, soma_balance: 1_000_000_000, ..Default::default() },
        commission_rate: 1000,
        next_epoch_commission_rate: 1000,
        pending_update: None,
    };
    Standing {
        id: MODEL,
        status: ModelStatus::Committed,
        model,
        reported_by: Vec::new(),
        clock: clock(),
    }
}

/// Revealed long ago, with an update committed in epoch 4.
pub(crate) fn updating() -> Standing {
    let mut standing = committed();
    standing.status = ModelStatus::Active;
    let model = &mut standing.model;
    model.commit_epoch = 1;
    model.pending_update = Some(PendingModelUpdate {
        weights_url_commitment: model.weights_url_commitment,
        weights_commitment: model.weights_commitment,
        commit_epoch: 4,
    });
    let old: WeightsUrl = "https://weights.example/old".parse().unwrap();
    model.weights_url_commitment = old.commitment();
    model.weights_commitment = Commitment::new([0x44; 32]);
    model.weights_manifest = Some(ModelWeightsManifest {
        manifest: Manifest::new(old, Checksum::new([0x44; 32]), 100),
        decryption_key: DecryptionKey::new([0x55; 32]),
    });
    model.embedding = Some(Tensor::vector(&[0.5, -1.0]));
    standing
}
