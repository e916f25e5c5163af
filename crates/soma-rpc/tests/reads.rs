//! What a client may not take for granted when it reads: absent fields, pages,
//! compression, sizes, services that are not there.

mod node;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures::TryStreamExt as _;
use node::{Node, later, now};
use soma_proto::grpc::{bcs, ext, pb};
use soma_proto::params::SystemParameters;
use soma_proto::system_state::ModelStatus;
use soma_proto::{
    Address, Checksum, Commitment, DecryptionKey, Manifest, ModelWeightsManifest, Object, ObjectId,
    ObjectType, TransactionDigest,
};
use soma_rpc::{Admin, Client, ClientBuilder, Code, Error, Faucet, ModelFilter, PoolOwner};
use tonic::Status;

const OWNER: Address = Address::new([5; 32]);
const ID: ObjectId = ObjectId::new([0xab; 32]);

fn coin(n: u8, balance: u64) -> Object {
    Object::coin(ObjectId::new([n; 32]), 1, balance, OWNER, TransactionDigest::ZERO)
}

fn malformed(error: Error) -> String {
    match error {
        Error::Malformed { field, .. } => field,
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn a_balance_of_nothing_is_a_balance() {
    let running = Node {
        balance: now(|_, request: pb::GetBalanceRequest| {
            assert_eq!(request.owner, Some("05".repeat(32)));
            Ok(pb::GetBalanceResponse { balance: Some(0) })
        }),
        ..Node::default()
    }
    .start()
    .await;
    assert_eq!(running.client().balance(&OWNER).await.unwrap(), 0);
}

#[tokio::test]
async fn absent_fields_are_named() {
    let running = Node {
        balance: now(|_, _| Ok(pb::GetBalanceResponse { balance: None })),
        epoch: now(|_, _| Ok(pb::GetEpochResponse { epoch: Some(pb::Epoch::default()) })),
        object: now(|_, _| {
            let mut object = pb::Object::from(&coin(1, 1));
            // The number of an owner that is not known yet.
            object.owner.as_mut().unwrap().kind = Some(99);
            Ok(pb::GetObjectResponse { object: Some(object) })
        }),
        checkpoint: now(|_, _| {
            Ok(pb::GetCheckpointResponse { checkpoint: Some(pb::Checkpoint::default()) })
        }),
        service_info: now(|_, _| Ok(pb::GetServiceInfoResponse::default())),
        ..Node::default()
    }
    .start()
    .await;
    let client = running.client();
    assert_eq!(malformed(client.balance(&OWNER).await.unwrap_err()), "balance");
    assert_eq!(malformed(client.epoch().await.unwrap_err()), "epoch.epoch");
    assert_eq!(malformed(client.epoch_info().await.unwrap_err()), "epoch.system_state");
    assert_eq!(malformed(client.object(&ID).await.unwrap_err()), "object.owner.kind");
    assert_eq!(malformed(client.checkpoint(None).await.unwrap_err()), "checkpoint.summary");
    assert_eq!(malformed(client.chain_id().await.unwrap_err()), "chain_id");
    // Nothing of it is needed, so nothing of it is missed.
    assert_eq!(client.service_info().await.unwrap(), soma_rpc::ServiceInfo::default());
}

#[tokio::test]
async fn what_is_not_there_is_no_error() {
    let missing = |what: &'static str| Status::not_found(what);
    let running = Node {
        object: now(move |_, _| Err(missing("Object not found"))),
        transaction: now(move |_, _| Err(missing("Transaction not found"))),
        checkpoint: now(move |_, _| Err(missing("Checkpoint 9 not found"))),
        ..Node::default()
    }
    .start()
    .await;
    let client = running.client();
    assert_eq!(client.object(&ID).await.unwrap(), None);
    assert_eq!(client.transaction(&TransactionDigest::ZERO).await.unwrap(), None);
    let error = client.checkpoint(Some(9)).await.unwrap_err();
    assert!(error.is_not_found(), "{error}");
    assert_eq!(error.to_string(), "checkpoint 9 does not exist on this network");
}

#[tokio::test]
async fn every_read_sends_its_mask() {
    let running = Node::default().start().await;
    let client = running.client();
    for error in [
        client.object(&ID).await.unwrap_err(),
        client.objects(&[ID]).await.unwrap_err(),
        client.coins(&OWNER).await.unwrap_err(),
        client.transaction(&TransactionDigest::ZERO).await.unwrap_err(),
        client.checkpoint(None).await.unwrap_err(),
        client.parameters().await.unwrap_err(),
        client.architecture_version().await.unwrap_err(),
    ] {
        assert_eq!(error.code(), Some(Code::Unimplemented), "{error}");
    }
    let calls = running.log.calls();
    assert_eq!(calls.len(), 7);
    for call in calls {
        assert!(call.mask.is_some_and(|mask| !mask.is_empty()), "{}", call.name);
    }
}

/// Pages as no reference node sends them but any node may: short, empty in the
/// middle, and with tokens that mean nothing to us.
fn pages(
    n: usize,
    request: pb::ListOwnedObjectsRequest,
) -> Result<pb::ListOwnedObjectsResponse, Status> {
    assert_eq!(request.object_type.as_deref(), Some("Coin"));
    let tokens: [Option<&[u8]>; 4] = [None, Some(b"\0\xff"), Some(b"more"), Some(b"last")];
    assert_eq!(request.page_token.as_deref(), tokens[n]);
    let coins: &[Object] = match n {
        0 => &[coin(1, 10), coin(2, 20)],
        3 => &[coin(3, 30)],
        _ => &[],
    };
    let next_page_token = tokens.get(n + 1).copied().flatten().map(<[u8]>::to_vec);
    // A token of no bytes on the last page means that there is no other.
    let next_page_token = Some(next_page_token.unwrap_or_default());
    Ok(pb::ListOwnedObjectsResponse {
        objects: coins.iter().map(Into::into).collect(),
        next_page_token,
    })
}

#[tokio::test]
async fn empty_pages_are_not_the_end() {
    let running = Node { owned: now(pages), ..Node::default() }.start().await;
    let coins = running.client().coins(&OWNER).await.unwrap();
    assert_eq!(coins.iter().map(|coin| coin.balance).collect::<Vec<_>>(), [10, 20, 30]);
    // References are made from the contents, not copied.
    assert_eq!(coins[2].reference, coin(3, 30).reference());
    assert_eq!(running.log.count("ListOwnedObjects"), 4);
}

#[tokio::test]
async fn compressed_pages_are_read() {
    let running = Node { owned: now(pages), zstd: true, ..Node::default() }.start().await;
    let objects: Vec<_> =
        running.client().owned_objects(OWNER, Some(ObjectType::Coin)).try_collect().await.unwrap();
    assert_eq!(objects, [coin(1, 10), coin(2, 20), coin(3, 30)]);
    // What the node needs to see before it compresses.
    let accepts = running.log.calls()[0].accepts.clone();
    assert!(accepts.is_some_and(|encodings| encodings.contains("zstd")));
}

#[tokio::test]
async fn pages_that_lead_nowhere_end() {
    let running = Node {
        owned: now(|n, _| {
            assert!(n < 5, "asked without end");
            Ok(pb::ListOwnedObjectsResponse {
                objects: Vec::new(),
                next_page_token: Some(b"again".to_vec()),
            })
        }),
        ..Node::default()
    }
    .start()
    .await;
    assert_eq!(malformed(running.client().coins(&OWNER).await.unwrap_err()), "next_page_token");
}

fn epoch(state: pb::SystemState) -> Result<pb::GetEpochResponse, Status> {
    // One behind, as it may be right after a change.
    let epoch = pb::Epoch { epoch: Some(6), system_state: Some(state), ..Default::default() };
    Ok(pb::GetEpochResponse { epoch: Some(epoch) })
}

/// The fields of the narrow mask, and nothing else.
fn narrow_state() -> pb::SystemState {
    pb::SystemState {
        epoch: Some(7),
        epoch_start_timestamp_ms: Some(1_000),
        protocol_version: Some(1),
        parameters: Some((&SystemParameters::v1()).into()),
        ..Default::default()
    }
}

fn model(owner: Address) -> pb::Model {
    pb::Model {
        owner: Some(owner.to_string()),
        architecture_version: Some(1),
        weights_url_commitment: Some(vec![1; 32]),
        weights_commitment: Some(vec![2; 32]),
        commit_epoch: Some(6),
        staking_pool: Some(pb::StakingPool {
            id: Some(ObjectId::new([3; 32]).to_string()),
            soma_balance: Some(5_000),
            rewards_pool: Some(0),
            pool_token_balance: Some(5_000),
            pending_stake: Some(0),
            pending_total_soma_withdraw: Some(0),
            pending_pool_token_withdraw: Some(0),
            ..Default::default()
        }),
        commission_rate: Some(500),
        next_epoch_commission_rate: Some(500),
        ..Default::default()
    }
}

/// A whole state with one good model, and one that lacks almost everything:
/// what is not asked for does no harm.
fn whole_state() -> pb::SystemState {
    pb::SystemState {
        model_registry: Some(pb::ModelRegistry {
            // Without 0x, in upper case: the same id all the same.
            pending_models: BTreeMap::from([("AB".repeat(32), model(OWNER))]),
            inactive_models: BTreeMap::from([(
                format!("0x{}", "11".repeat(32)),
                pb::Model { owner: Some(Address::ZERO.to_string()), ..Default::default() },
            )]),
            model_report_records: BTreeMap::from([(
                "ab".repeat(32),
                pb::ReporterSet { reporters: vec![Address::new([8; 32]).to_string()] },
            )]),
            ..Default::default()
        }),
        validators: Some(pb::ValidatorSet {
            staking_pool_mappings: BTreeMap::from([(
                "44".repeat(32),
                Address::new([4; 32]).to_string(),
            )]),
            ..Default::default()
        }),
        ..narrow_state()
    }
}

#[tokio::test]
async fn parameters_come_without_the_rest() {
    // A node of ours sends the fields asked for; another one sends all it has.
    for state in [narrow_state(), whole_state()] {
        let running =
            Node { epoch: now(move |_, _| epoch(state.clone())), ..Node::default() }.start().await;
        let info = running.client().epoch_info().await.unwrap();
        assert_eq!((info.epoch, info.start_timestamp_ms, info.protocol_version), (7, 1_000, 1));
        assert_eq!(info.parameters, SystemParameters::v1());
        assert_eq!(info.due_end_ms(), 86_401_000);
        let mask = running.log.mask("GetEpoch");
        assert!(mask.contains(&"system_state.parameters".to_owned()), "{mask:?}");
        assert!(!mask.contains(&"system_state".to_owned()), "{mask:?}");
    }
}

#[tokio::test]
async fn without_a_registry_service_the_state_is_read_and_that_is_remembered() {
    let running = Node { epoch: now(|_, _| epoch(whole_state())), ..Node::default() }.start().await;
    let client = running.client();
    let record = client.model(&ID).await.unwrap().unwrap();
    assert_eq!((record.id, record.status), (ID, ModelStatus::Committed));
    assert_eq!(record.model.commission_rate, 500);
    assert_eq!(record.reported_by, [Address::new([8; 32])]);
    assert_eq!(
        (record.clock.epoch, record.clock.start_timestamp_ms, record.clock.duration_ms),
        (7, 1_000, 86_400_000)
    );
    assert_eq!(client.model(&ObjectId::new([9; 32])).await.unwrap(), None);

    let filter = ModelFilter { owner: Some(OWNER), status: None };
    let models = client.models(&filter).await.unwrap();
    assert_eq!(models.len(), 1);
    assert_eq!(
        (models[0].id, models[0].stake_balance, models[0].has_pending_update),
        (ID, 5_000, false)
    );

    let pool = |n: u8| ObjectId::new([n; 32]);
    assert_eq!(client.clone().pool(&pool(3)).await.unwrap(), Some(PoolOwner::Model(ID)));
    assert_eq!(
        client.pool(&pool(0x44)).await.unwrap(),
        Some(PoolOwner::Validator(Address::new([4; 32])))
    );
    assert_eq!(client.pool(&pool(0x55)).await.unwrap(), None);
    // The service is not mounted, so the node never sees the calls; the state
    // was read once for each question.
    assert_eq!(running.log.names(), ["GetEpoch"; 6]);
}

#[tokio::test]
async fn keys_that_were_revealed() {
    let weights = ModelWeightsManifest {
        manifest: Manifest::new(
            "https://weights.example/w".parse().unwrap(),
            Checksum::new([8; 32]),
            100,
        ),
        decryption_key: DecryptionKey::new([9; 32]),
    };
    let revealed = pb::Model { weights_manifest: Some((&weights).into()), ..model(OWNER) };
    let mut state = whole_state();
    let registry = state.model_registry.get_or_insert_default();
    registry.active_models.insert(ID.to_string(), revealed);
    let node = Node { epoch: now(move |_, _| epoch(state.clone())), ..Node::default() };
    let running = node.start().await;
    let client = running.client();
    let keys = client.revealed_keys(&OWNER).await.unwrap();
    assert_eq!(keys.len(), 1, "one of the two models has revealed nothing");
    assert_eq!((keys[0].model, keys[0].key.as_bytes()), (ID, &[9; 32]));
    assert_eq!(keys[0].weights, Commitment::new([8; 32]));
    assert_eq!(client.revealed_keys(&Address::ZERO).await.unwrap(), []);
}

/// Of an epoch that is not over a node would show the live state.
#[tokio::test]
async fn models_at_the_start_of_an_earlier_epoch() {
    let over = Some(prost_types::Timestamp { seconds: 1_700_000_000, nanos: 0 });
    let node = Node {
        epoch: now(move |_, request: pb::GetEpochRequest| {
            let mut answer = epoch(whole_state())?;
            let shown = answer.epoch.as_mut().unwrap();
            match request.epoch {
                Some(3) => shown.end = over,
                Some(4) => {}
                Some(5) => (shown.end, shown.system_state) = (over, None),
                _ => return Err(Status::not_found("no such epoch")),
            }
            Ok(answer)
        }),
        ..Node::default()
    };
    let running = node.start().await;
    let client = running.client();
    let ids = BTreeSet::from([ID, ObjectId::new([0xcd; 32])]);
    let found = client.models_at(3, &ids).await.unwrap().unwrap();
    assert_eq!(found.keys().collect::<Vec<_>>(), [&ID], "the other one was not there yet");
    assert_eq!(found[&ID].weights_commitment, Commitment::new([2; 32]));
    for epoch in [4, 5, 6] {
        assert_eq!(client.models_at(epoch, &ids).await.unwrap(), None, "epoch {epoch}");
    }
    let small = ClientBuilder::new(&running.url).with_state_limit(100).build().unwrap();
    assert_eq!(small.models_at(3, &ids).await.unwrap(), None);
}

#[tokio::test]
async fn a_service_that_answers_unimplemented_is_asked_once() {
    let running = Node {
        epoch: now(|_, _| epoch(whole_state())),
        model: now(|_, _| Err(Status::unimplemented("switched off"))),
        ..Node::default()
    }
    .start()
    .await;
    let client = running.client();
    for _ in 0..3 {
        assert!(client.model(&ID).await.unwrap().is_some());
    }
    assert_eq!(running.log.count("GetModel"), 1);
}

#[tokio::test]
async fn with_a_registry_service_the_state_is_left_alone() {
    let running = Node {
        model: now(|_, request: ext::GetModelRequest| {
            let found = request.model_id == Some(ID.to_string());
            Ok(ext::GetModelResponse {
                model_id: request.model_id,
                status: found.then(|| "pending".to_owned()),
                model: found.then(|| model(OWNER)),
                reported_by: Vec::new(),
                current_epoch: Some(7),
                epoch_start_timestamp_ms: Some(1_000),
                epoch_duration_ms: Some(60_000),
            })
        }),
        models: now(|n, request: ext::ListModelsRequest| {
            assert_eq!(request.status.as_deref(), Some("pending"));
            let summary = |n: usize| ext::ModelSummary {
                model_id: Some(ObjectId::new([n as u8; 32]).to_string()),
                owner: Some(OWNER.to_string()),
                status: Some("pending".to_owned()),
                architecture_version: Some(1),
                commission_rate: Some(0),
                commit_epoch: Some(6),
                stake_balance: Some(1),
                has_pending_update: Some(false),
                staking_pool_id: Some(ID.to_string()),
                ..Default::default()
            };
            let more = (n < 2).then(|| vec![n as u8]);
            Ok(ext::ListModelsResponse {
                models: vec![summary(n)],
                next_page_token: more,
                ..Default::default()
            })
        }),
        pool: now(|_, _| {
            Ok(ext::GetPoolResponse {
                in_use: Some(true),
                model_id: Some(ID.to_string()),
                ..Default::default()
            })
        }),
        ..Node::default()
    }
    .start()
    .await;
    let client = running.client();
    let record = client.model(&ID).await.unwrap().unwrap();
    assert_eq!((record.status, record.clock.duration_ms), (ModelStatus::Committed, 60_000));
    assert_eq!(client.model(&ObjectId::ZERO).await.unwrap(), None);
    let filter = ModelFilter { owner: None, status: Some(ModelStatus::Committed) };
    assert_eq!(client.models(&filter).await.unwrap().len(), 3);
    assert_eq!(client.pool(&ID).await.unwrap(), Some(PoolOwner::Model(ID)));
    assert_eq!(running.log.count("GetEpoch"), 0);
}

/// Six megabytes of system state: over the default of the network's own client.
#[tokio::test]
async fn large_states_are_read_and_limits_are_ours() {
    let running = Node {
        epoch: now(|_, _| {
            let mut state = whole_state();
            let big = pb::Model { embedding: vec![0.5; 1_500_000], ..model(OWNER) };
            state.model_registry.as_mut().unwrap().active_models.insert("cd".repeat(32), big);
            epoch(state)
        }),
        ..Node::default()
    }
    .start()
    .await;
    assert!(running.client().model(&ID).await.unwrap().is_some());
    let narrow = ClientBuilder::new(&running.url).with_state_limit(1 << 20).build().unwrap();
    let error = narrow.model(&ID).await.unwrap_err();
    assert!(matches!(error, Error::TooLarge { limit: 1_048_576, .. }), "{error:?}");
}

#[tokio::test]
async fn several_objects_come_in_order() {
    let running = Node {
        objects: now(|_, request: pb::BatchGetObjectsRequest| {
            use pb::get_object_result::Result as Found;
            let answer = |request: &pb::GetObjectRequest| {
                let id: ObjectId = request.object_id.as_deref().unwrap().parse().unwrap();
                let result = match id.as_bytes()[0] {
                    0 => Found::Error(soma_proto::grpc::status::message_of(
                        Code::NotFound,
                        "not found",
                    )),
                    n => Found::Object((&coin(n, u64::from(n))).into()),
                };
                pb::GetObjectResult { result: Some(result) }
            };
            Ok(pb::BatchGetObjectsResponse {
                objects: request.requests.iter().map(answer).collect(),
            })
        }),
        ..Node::default()
    }
    .start()
    .await;
    let ids: Vec<_> = (0..250).map(|n| ObjectId::new([n as u8; 32])).collect();
    let objects = running.client().objects(&ids).await.unwrap();
    assert_eq!(objects.len(), 250);
    assert_eq!(objects[0], None);
    assert_eq!(objects[249], Some(coin(249, 249)));
    assert_eq!(running.log.count("BatchGetObjects"), 3);
}

#[tokio::test]
async fn credentials_go_with_every_call() {
    let running = Node::default().start().await;
    let client =
        ClientBuilder::new(&running.url).with_basic_auth("Aladdin", "open sesame").build().unwrap();
    let _ = client.balance(&OWNER).await;
    let _ = client.epoch().await;
    for call in running.log.calls() {
        // The example of RFC 7617.
        assert_eq!(call.authorization.as_deref(), Some("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="));
    }
    let _ = running.client().epoch().await;
    assert_eq!(running.log.calls().pop().unwrap().authorization, None);
}

#[tokio::test]
async fn a_node_that_never_answers_is_not_waited_for() {
    let running =
        Node { balance: later(|_, _| futures::future::pending()), ..Node::default() }.start().await;
    let client = ClientBuilder::new(&running.url)
        .with_read_timeout(Duration::from_millis(100))
        .build()
        .unwrap();
    let error = client.balance(&OWNER).await.unwrap_err();
    assert!(matches!(error, Error::Timeout { call: "GetBalance", .. }), "{error}");
    assert!(error.is_retriable() && error.to_string().contains(&running.url));
}

#[tokio::test]
async fn the_next_epoch_is_waited_for_through_passing_troubles() {
    let running = Node {
        epoch: now(|n, _| match n {
            1 => Err(Status::unavailable("a moment")),
            n => Ok(pb::GetEpochResponse {
                epoch: Some(pb::Epoch { epoch: Some(4 + n as u64 / 2), ..Default::default() }),
            }),
        }),
        ..Node::default()
    }
    .start()
    .await;
    let client = running.client();
    let pause = Duration::from_millis(1);
    assert_eq!(client.wait_for_epoch(6, pause, Duration::from_secs(10)).await.unwrap(), 6);
    assert_eq!(running.log.mask("GetEpoch"), ["epoch"]);
    let error =
        client.wait_for_epoch(u64::MAX, pause, Duration::from_millis(50)).await.unwrap_err();
    assert!(matches!(error, Error::Timeout { .. }), "{error}");
}

#[tokio::test]
async fn versions_and_chain() {
    let running = Node {
        service_info: now(|_, _| {
            Ok(pb::GetServiceInfoResponse {
                chain_id: Some(TransactionDigest::new([3; 32]).to_string()),
                chain: Some("localnet".to_owned()),
                server: Some("soma-node/0.1.0".to_owned()),
                ..Default::default()
            })
        }),
        epoch: now(|_, _| {
            let config = pb::ProtocolConfig {
                protocol_version: Some(1),
                attributes: BTreeMap::from([(
                    "model_architecture_version".to_owned(),
                    "1".to_owned(),
                )]),
                ..Default::default()
            };
            Ok(pb::GetEpochResponse {
                epoch: Some(pb::Epoch { protocol_config: Some(config), ..Default::default() }),
            })
        }),
        ..Node::default()
    }
    .start()
    .await;
    let client = running.client();
    assert_eq!(client.service_info().await.unwrap().server_version(), Some("0.1.0"));
    assert_eq!(client.chain_id().await.unwrap().into_inner(), [3; 32]);
    assert_eq!(client.protocol_version().await.unwrap(), 1);
    assert_eq!(client.architecture_version().await.unwrap(), 1);
}

#[tokio::test]
async fn a_faucet_is_asked_until_it_is_enough() {
    let running = Node {
        gas: now(|n, request: bcs::GasRequest| {
            assert_eq!(request.recipient, "05".repeat(32));
            let coin = bcs::GasCoinInfo {
                amount: 2_000_000_000,
                id: ObjectId::new([n as u8; 32]).to_string(),
                transfer_tx_digest: TransactionDigest::ZERO.to_string(),
            };
            Ok(bcs::GasResponse { status: "Success".to_owned(), coins_sent: vec![coin] })
        }),
        advance: now(|_, _| Ok(bcs::AdvanceEpochResponse { epoch: 8 })),
        ..Node::default()
    }
    .start()
    .await;
    let faucet = Faucet::new(&running.url).unwrap();
    assert_eq!(faucet.request(&OWNER).await.unwrap()[0].id, ObjectId::ZERO);
    let mut heard = 0;
    let coins =
        faucet.request_amount(&OWNER, 5_000_000_000, |coins| heard += coins.len()).await.unwrap();
    assert_eq!((coins.len(), heard), (3, 3));
    assert_eq!(Admin::new(&running.url).unwrap().advance_epoch().await.unwrap(), 8);
}

#[tokio::test]
async fn a_dry_faucet_is_no_success() {
    let running = Node {
        gas: now(|n, _| {
            let status = if n == 0 { "Out of money\n" } else { "Success" };
            Ok(bcs::GasResponse { status: status.to_owned(), coins_sent: Vec::new() })
        }),
        ..Node::default()
    }
    .start()
    .await;
    let faucet = Faucet::new(&running.url).unwrap();
    let error = faucet.request_amount(&OWNER, 1, |_| {}).await.unwrap_err();
    assert_eq!(error.to_string(), "the faucet gave nothing: Out of money");
    let error = faucet.request_amount(&OWNER, 1, |_| {}).await.unwrap_err();
    assert!(matches!(error, Error::Faucet { .. }), "{error}");
}

#[tokio::test]
async fn connections_are_made_at_the_first_call() {
    let client = Client::new("http://127.0.0.1:1").unwrap();
    assert_eq!(client.url(), "http://127.0.0.1:1/");
    assert!(client.epoch().await.unwrap_err().is_unreachable());
}
