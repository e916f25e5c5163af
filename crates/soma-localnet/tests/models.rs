//! Models on a running network: life cycle, narrow reads, restarts, files of
//! checkpoints.

mod common;

use common::{Clients, alice, config};
use soma_localnet::{LocalNet, account_keys};
use soma_proto::grpc::ext;
use soma_proto::grpc::ext::registry_service_client::RegistryServiceClient;
use soma_proto::grpc::mask::field_mask;
use soma_proto::grpc::pb;
use soma_proto::system_state::SystemState;
use soma_proto::transaction::{CommitModel, CommitModelUpdate, RevealModel};
use soma_proto::{
    Checksum, Commitment, DecryptionKey, KeyPair, Manifest, ModelWeightsManifest, ObjectId, Tensor,
    TransactionData, TransactionKind, WeightsUrl,
};
use tonic::Code;
use tonic::transport::Channel;

const SOMA: u64 = 1_000_000_000;
const DIM: usize = 16;

fn url(n: u8) -> WeightsUrl {
    format!("http://127.0.0.1:9200/{n}.bin").parse().unwrap()
}

fn commit(model: ObjectId, pool: ObjectId, n: u8) -> TransactionKind {
    TransactionKind::CommitModel(CommitModel {
        model_id: model,
        weights_url_commitment: url(n).commitment(),
        weights_commitment: Commitment::new([n; 32]),
        architecture_version: 1,
        stake_amount: 3 * SOMA,
        commission_rate: 500,
        staking_pool_id: pool,
    })
}

fn reveal(model_id: ObjectId, n: u8) -> RevealModel {
    RevealModel {
        model_id,
        weights_manifest: ModelWeightsManifest {
            manifest: Manifest::new(url(n), Checksum::new([n; 32]), 4096),
            decryption_key: DecryptionKey::new([n; 32]),
        },
        embedding: Tensor::vector(&[f32::from(n); DIM]),
    }
}

struct World {
    network: LocalNet,
    clients: Clients,
    registry: RegistryServiceClient<Channel>,
}

impl World {
    async fn start(config: soma_localnet::LocalNetConfig) -> Self {
        let network = LocalNet::start(config).await.unwrap();
        let clients = Clients::of(&network).await;
        let registry = RegistryServiceClient::new(clients.channel.clone());
        Self { network, clients, registry }
    }

    /// Executes with the largest coin as gas; gives the name of the failure.
    async fn send(&self, key: &KeyPair, kind: TransactionKind) -> Result<(), String> {
        let gas = self.clients.coin(key.address()).await;
        let transaction = TransactionData::new(kind, key.address(), vec![gas]).sign(key);
        let executed = self.clients.execute(&transaction, &["effects"]).await.unwrap();
        match executed.effects.unwrap().status.unwrap().error {
            None => Ok(()),
            Some(error) => Err(error.kind().as_str_name().to_owned()),
        }
    }

    async fn model(&self, id: ObjectId) -> ext::GetModelResponse {
        let request = ext::GetModelRequest { model_id: Some(id.to_string()) };
        self.registry.clone().get_model(request).await.unwrap().into_inner()
    }

    async fn list(&self, request: ext::ListModelsRequest) -> ext::ListModelsResponse {
        self.registry.clone().list_models(request).await.unwrap().into_inner()
    }

    async fn system_state(&self) -> SystemState {
        let request = pb::GetEpochRequest {
            epoch: None,
            read_mask: Some(field_mask(&["system_state", "epoch"])),
        };
        let answer = self.clients.ledger.clone().get_epoch(request).await.unwrap().into_inner();
        answer.epoch.unwrap().system_state.unwrap().try_into().unwrap()
    }
}

#[tokio::test]
async fn a_model_lives_and_is_found_in_every_state() {
    let directory = tempfile::tempdir().unwrap();
    let files = directory.path().join("checkpoints");
    let kept = || {
        config()
            .with_state_dir(directory.path().join("chain"))
            .with_data_ingestion_dir(files.clone())
    };
    let mut world = World::start(kept()).await;
    let [alice, mallory, ..] = account_keys();
    let (model, pool) = (ObjectId::new([1; 32]), ObjectId::new([2; 32]));

    assert_eq!(world.model(model).await.status, None);
    world.send(&alice, commit(model, pool, 1)).await.unwrap();
    let committed = world.model(model).await;
    assert_eq!(committed.status.as_deref(), Some("pending"));
    assert_eq!(committed.current_epoch, Some(0));
    assert_eq!(committed.model.unwrap().commit_epoch, Some(0));
    // Ids in use are refused, and the pool is known.
    let again = world.send(&mallory, commit(model, ObjectId::new([3; 32]), 1)).await;
    assert_eq!(again, Err("INVALID_ARGUMENTS".to_owned()));
    let owner_of = async |id: ObjectId| {
        let request = ext::GetPoolRequest { staking_pool_id: Some(id.to_string()) };
        world.registry.clone().get_pool(request).await.unwrap().into_inner()
    };
    let found = owner_of(pool).await;
    assert_eq!((found.in_use, found.model_id), (Some(true), Some(model.to_string())));
    let validator = &world.system_state().await.v1().validators.validators[0].clone();
    let found = owner_of(validator.staking_pool.id).await;
    assert_eq!(found.validator, Some(validator.metadata.soma_address.to_string()));
    assert_eq!(owner_of(ObjectId::new([4; 32])).await.in_use, Some(false));

    let early = world.send(&alice, TransactionKind::RevealModel(reveal(model, 1))).await;
    assert_eq!(early, Err("MODEL_REVEAL_EPOCH_MISMATCH".to_owned()));
    world.network.advance_epoch().await.unwrap();
    let stolen = world.send(&mallory, TransactionKind::RevealModel(reveal(model, 1))).await;
    assert_eq!(stolen, Err("NOT_MODEL_OWNER".to_owned()));
    world.send(&alice, TransactionKind::RevealModel(reveal(model, 1))).await.unwrap();
    let update = TransactionKind::CommitModelUpdate(CommitModelUpdate {
        model_id: model,
        weights_url_commitment: url(2).commitment(),
        weights_commitment: Commitment::new([2; 32]),
    });
    world.send(&alice, update).await.unwrap();
    let state = world.system_state().await;
    let epoch_start = state.clone();
    world.network.shutdown().await.unwrap();

    // After a restart everything is where it was, and the window goes on.
    world = World::start(kept().with_epoch_duration_ms(None)).await;
    assert_eq!(world.system_state().await, state);
    let active = world.model(model).await;
    assert_eq!(active.status.as_deref(), Some("active"));
    let shown = active.model.unwrap();
    assert_eq!(shown.embedding, [1.0; DIM]);
    assert_eq!(soma_proto::system_state::Model::try_from(shown).unwrap(), {
        state.v1().model_registry.active_models[&model].clone()
    });
    world.network.advance_epoch().await.unwrap();
    world.send(&alice, TransactionKind::RevealModelUpdate(reveal(model, 2))).await.unwrap();
    assert_eq!(world.model(model).await.model.unwrap().embedding, [2.0; DIM]);
    // The state of the epoch before is that of its start, not of its end.
    let request = pb::GetEpochRequest {
        epoch: Some(1),
        read_mask: Some(field_mask(&["system_state.model_registry.pending_models"])),
    };
    let past = world.clients.ledger.clone().get_epoch(request).await.unwrap().into_inner();
    let past = past.epoch.unwrap().system_state.unwrap().model_registry.unwrap();
    assert_eq!(past.pending_models.len(), 1);
    assert!(epoch_start.v1().model_registry.pending_models.is_empty());

    let deactivate = TransactionKind::DeactivateModel { model_id: model };
    world.send(&alice, deactivate).await.unwrap();
    assert_eq!(world.model(model).await.status.as_deref(), Some("inactive"));

    // Every checkpoint is a file, and each begins with its own summary.
    let info = pb::GetServiceInfoRequest {};
    let height = world.clients.ledger.clone().get_service_info(info).await.unwrap();
    let height = height.into_inner().checkpoint_height.unwrap();
    for n in 0..=height {
        let bytes = std::fs::read(files.join(format!("{n}.chk"))).unwrap();
        assert_eq!(bytes[8..16], n.to_le_bytes(), "sequence number in {n}.chk");
    }
    assert_eq!(std::fs::read_dir(&files).unwrap().count() as u64, height + 1);
    world.network.shutdown().await.unwrap();

    // Files that are missing are written at the next start.
    let first = std::fs::read(files.join("1.chk")).unwrap();
    std::fs::remove_file(files.join("1.chk")).unwrap();
    let world = World::start(kept().with_epoch_duration_ms(None)).await;
    assert_eq!(std::fs::read(files.join("1.chk")).unwrap(), first);
    world.network.shutdown().await.unwrap();
}

#[tokio::test]
async fn lists_go_by_state_owner_and_page() {
    let world = World::start(config()).await;
    let [alice, bob, ..] = account_keys();
    let id = |n: u8| ObjectId::new([n; 32]);
    let pool = |n: u8| ObjectId::new([100 + n; 32]);
    for n in 1..=6 {
        let owner = if n % 2 == 0 { &bob } else { &alice };
        world.send(owner, commit(id(n), pool(n), n)).await.unwrap();
    }
    world.network.advance_epoch().await.unwrap();
    for n in [5, 4, 3] {
        let owner = if n % 2 == 0 { &bob } else { &alice };
        world.send(owner, TransactionKind::RevealModel(reveal(id(n), n))).await.unwrap();
    }
    let inactive = TransactionKind::DeactivateModel { model_id: id(3) };
    world.send(&alice, inactive).await.unwrap();

    let ids = |page: &ext::ListModelsResponse| -> Vec<String> {
        page.models.iter().map(|model| model.model_id.clone().unwrap()).collect()
    };
    let expect = |ns: &[u8]| -> Vec<String> { ns.iter().map(|n| id(*n).to_string()).collect() };
    let all = world.list(ext::ListModelsRequest::default()).await;
    assert_eq!(ids(&all), expect(&[4, 5, 1, 2, 6, 3]));
    assert_eq!((all.current_epoch, all.next_page_token.clone()), (Some(1), None));
    let five = &all.models[1];
    assert_eq!(five.owner, Some(alice.address().to_string()));
    assert_eq!((five.status.as_deref(), five.commission_rate), (Some("active"), Some(500)));
    assert_eq!((five.stake_balance, five.commit_epoch), (Some(3 * SOMA), Some(0)));
    assert_eq!(five.staking_pool_id, Some(pool(5).to_string()));

    let of_bob = Some(bob.address().to_string());
    let request = |owner: &Option<String>, status: &str, token| ext::ListModelsRequest {
        owner: owner.clone(),
        status: (!status.is_empty()).then(|| status.to_owned()),
        page_size: Some(2),
        page_token: token,
        with_keys: None,
    };
    for (owner, status, expected) in [
        (&None, "", &[4, 5, 1, 2, 6, 3][..]),
        (&None, "pending", &[1, 2, 6]),
        (&None, "inactive", &[3]),
        (&of_bob, "", &[4, 2, 6]),
        (&of_bob, "pending", &[2, 6]),
        (&of_bob, "inactive", &[]),
    ] {
        let mut found = Vec::new();
        let mut token = None;
        loop {
            let page = world.list(request(owner, status, token)).await;
            found.extend(ids(&page));
            token = page.next_page_token;
            if token.is_none() {
                break;
            }
        }
        assert_eq!(found, expect(expected), "{owner:?} {status}");
    }
    let odd = world.registry.clone().list_models(request(&None, "odd", None)).await.unwrap_err();
    assert_eq!(odd.code(), Code::InvalidArgument);

    // Two of the committed models are slashed at the next boundary, one by one.
    world.network.advance_epoch().await.unwrap();
    let all = world.list(ext::ListModelsRequest::default()).await;
    assert_eq!(ids(&all), expect(&[4, 5, 1, 2, 3, 6]));
    assert_eq!(all.models[2].stake_balance, Some(3 * SOMA / 2));
    // One more boundary, and the active models have made targets.
    world.network.shutdown().await.unwrap();
}

#[tokio::test]
async fn reports_by_the_validator_show_with_the_model() {
    let world = World::start(config()).await;
    let model = ObjectId::new([1; 32]);
    world.send(&alice(), commit(model, ObjectId::new([2; 32]), 1)).await.unwrap();
    world.network.advance_epoch().await.unwrap();
    world.send(&alice(), TransactionKind::RevealModel(reveal(model, 1))).await.unwrap();
    let validator = world.network.validator_key(0);
    world.send(&validator, TransactionKind::ReportModel { model_id: model }).await.unwrap();
    assert_eq!(world.model(model).await.reported_by, [validator.address().to_string()]);
    world.network.advance_epoch().await.unwrap();
    let slashed = world.model(model).await;
    assert_eq!(slashed.status.as_deref(), Some("inactive"));
    let balance = slashed.model.unwrap().staking_pool.unwrap().soma_balance;
    assert_eq!(balance, Some(3 * SOMA / 20));
    world.network.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_chain_may_begin_with_many_models() {
    const MODELS: u32 = 1_200;
    let directory = tempfile::tempdir().unwrap();
    let kept = || config().with_state_dir(directory.path()).with_genesis_models(MODELS);
    let world = World::start(kept()).await;
    let mut found = Vec::new();
    let mut page_token = None;
    loop {
        let page_size = Some(1_000);
        let page = world
            .list(ext::ListModelsRequest { page_size, page_token, ..Default::default() })
            .await;
        found.extend(page.models.into_iter().filter_map(|model| model.model_id));
        page_token = page.next_page_token;
        if page_token.is_none() {
            break;
        }
    }
    assert_eq!(found.len(), MODELS as usize);
    assert!(found.is_sorted());
    let first: ObjectId = found[0].parse().unwrap();
    let shown = world.model(first).await;
    assert_eq!(shown.status.as_deref(), Some("active"));
    assert_eq!(shown.model.unwrap().embedding.len(), DIM);

    // A whole life among them, with all money accounted for at the restart.
    let (model, pool) = (ObjectId::new([1; 32]), ObjectId::new([2; 32]));
    world.send(&alice(), commit(model, pool, 1)).await.unwrap();
    world.network.advance_epoch().await.unwrap();
    world.send(&alice(), TransactionKind::RevealModel(reveal(model, 1))).await.unwrap();
    let state = world.system_state().await;
    assert_eq!(state.v1().model_registry.active_models.len(), MODELS as usize + 1);
    world.network.shutdown().await.unwrap();
    let world = World::start(kept().with_epoch_duration_ms(None)).await;
    assert_eq!(world.system_state().await, state);
    world.network.shutdown().await.unwrap();
}
