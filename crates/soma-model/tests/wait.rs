//! Waiting for a window before a node that comes and goes.

use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use soma_crypto::Options;
use soma_model::state::{Sent, StateFile};
use soma_model::{
    Depth, Error, Event, Gas, Host, Preparation, Result, RevealOf, Scope, Session, Standing,
    StateFolder, Till, UntilLate, wait_until_late, wait_until_open,
};
use soma_proto::effects::{ExecutionFailure, ExecutionStatus};
use soma_proto::grpc::{ext, pb};
use soma_proto::params::SystemParameters;
use soma_proto::system_state::{Model, StakingPool};
use soma_proto::{
    CheckpointDigest, Commitment, KeyPair, Object, ObjectDigest, ObjectId, ObjectRef,
    TransactionData, TransactionDigest,
};
use soma_storage::{AddressPolicy, Storage};
use tonic::{Code, Status};

#[path = "../../soma-rpc/tests/node/mod.rs"]
mod node;

use node::{Node, now};

const ID: ObjectId = ObjectId::new([0x11; 32]);
/// How long a test may take that would never end if it failed.
const NEVER: Duration = Duration::from_secs(120);
/// Epochs that began long ago, milliseconds since 1970.
const LONG_AGO: u64 = 1_600_000_000_000;

fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis().try_into().unwrap()
}

/// A model committed in epoch 4, asked for in `epoch`.
fn committed(epoch: u64, start_ms: u64) -> ext::GetModelResponse {
    let model = Model {
        owner: KeyPair::from_bytes([1; 32]).address(),
        architecture_version: 1,
        weights_url_commitment: Commitment::new([2; 32]),
        weights_commitment: Commitment::new([3; 32]),
        commit_epoch: 4,
        weights_manifest: None,
        embedding: None,
        staking_pool: StakingPool::default(),
        commission_rate: 0,
        next_epoch_commission_rate: 0,
        pending_update: None,
    };
    ext::GetModelResponse {
        model_id: Some(ID.to_string()),
        status: Some("pending".to_owned()),
        model: Some((&model).into()),
        current_epoch: Some(epoch),
        epoch_start_timestamp_ms: Some(start_ms),
        epoch_duration_ms: Some(1_000),
        ..Default::default()
    }
}

fn running(epoch: u64) -> pb::GetEpochResponse {
    pb::GetEpochResponse { epoch: Some(pb::Epoch { epoch: Some(epoch), ..Default::default() }) }
}

fn unavailable<T>() -> Result<T, Status> {
    Err(Status::unavailable("the node restarts"))
}

fn word(event: Event<'_>) -> String {
    match event {
        Event::Waiting(window) => format!("waiting for {}", window.reveal_epoch),
        Event::Retrying { error: Error::Rpc(error), .. } => format!("{:?}", error.code().unwrap()),
        other => panic!("{other:?}"),
    }
}

async fn wait(node: Node) -> (Result<Standing>, Vec<String>) {
    let client = node.start().await.client();
    let mut told = Vec::new();
    let waited = wait_until_open(&client, &ID, |event| told.push(word(event)));
    (tokio::time::timeout(NEVER, waited).await.expect("it waits for ever"), told)
}

fn is_unavailable<T: std::fmt::Debug>(result: Result<T>) -> bool {
    match result {
        Err(Error::Rpc(error)) => error.code() == Some(Code::Unavailable),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn what_fails_is_told_and_asked_again() {
    let start = now_ms();
    let node = Node {
        // Unavailable when the epoch has changed, too.
        model: now(move |n, _| match n {
            0 => Ok(committed(4, start)),
            1 => unavailable(),
            _ => Ok(committed(5, start)),
        }),
        epoch: now(|n, _| match n {
            0 => Ok(running(4)),
            1 => unavailable(),
            _ => Ok(running(5)),
        }),
        ..Node::default()
    };
    let (standing, told) = wait(node).await;
    assert_eq!(standing.unwrap().clock.epoch, 5);
    let waiting = "waiting for 5";
    assert_eq!(told, [waiting, waiting, "Unavailable", waiting, "Unavailable", waiting]);
}

/// Several nodes may answer under one name, and one of them lag behind.
#[tokio::test]
async fn a_model_that_was_there_is_asked_for_again() {
    let start = now_ms();
    let node = Node {
        model: now(move |n, _| match n {
            0 => Ok(committed(4, start)),
            1 => Ok(ext::GetModelResponse::default()),
            _ => Ok(committed(5, start)),
        }),
        epoch: now(|_, _| Ok(running(5))),
        ..Node::default()
    };
    let client = node.start().await.client();
    let mut unknown = 0;
    let waited = wait_until_open(&client, &ID, |event| {
        let again = matches!(event, Event::Retrying { error: Error::UnknownModel(ID), .. });
        unknown += usize::from(again);
    });
    let standing = tokio::time::timeout(NEVER, waited).await.expect("it waits for ever");
    assert_eq!((standing.unwrap().clock.epoch, unknown), (5, 1));
}

/// A coin that another payment holds for a moment, and a node that lags: the
/// signed reveal on file is sent again until it is executed.
#[tokio::test]
async fn a_locked_coin_is_waited_for() {
    for (unknown, words) in [(0, [false, true, true]), (3, [true; 3])] {
        let told = revealed_at_last(unknown).await;
        let found = ["on this network", "locked", "version"]
            .map(|word| told.iter().any(|text| text.contains(word)));
        assert_eq!(found, words, "{told:#?}");
    }
}

/// What is told while a node does not know the model for some answers, then finds the coin
/// locked, then in another version, and then executes the reveal that is on file.
async fn revealed_at_last(unknown: usize) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let mut file = prepared(folder.path());
    let key = KeyPair::from_bytes([1; 32]);
    let coin =
        Object::coin(ObjectId::new([8; 32]), 1, 1_000_000, key.address(), TransactionDigest::ZERO);
    let kind = file.state.reveal_plan(RevealOf::Registration).unwrap().kind();
    let signed = TransactionData::new(kind, key.address(), vec![coin.reference()]).sign(&key);
    file.update(|state| state.registration.reveal = Some(Sent::unsent(&signed))).unwrap();
    let (digest, start) = (signed.digest(), now_ms());
    let executions = Arc::new(AtomicUsize::new(0));
    let known = Arc::clone(&executions);
    let node = Node {
        model: now(move |n, _| match n {
            n if n < unknown => Ok(ext::GetModelResponse::default()),
            _ => Ok(ext::GetModelResponse {
                epoch_duration_ms: Some(86_400_000),
                ..committed(5, start)
            }),
        }),
        object: now(move |_, _| Ok(pb::GetObjectResponse { object: Some((&coin).into()) })),
        execute: now(move |n, _| {
            executions.store(n, Ordering::SeqCst);
            match n {
                0 => Err(Status::failed_precondition("the coin is locked")),
                1 => Err(Status::invalid_argument("the coin has another version")),
                _ => {
                    Ok(pb::ExecuteTransactionResponse { transaction: Some(node::executed(digest)) })
                }
            }
        }),
        transaction: now(move |_, _| match known.load(Ordering::SeqCst) {
            0 | 1 => Err(Status::not_found("no such transaction")),
            _ => {
                Ok(pb::GetTransactionResponse { transaction: Some(node::checkpointed(digest, 9)) })
            }
        }),
        ..running_in(5)
    };
    let client = node.start().await.client();
    let storage = Storage::new(AddressPolicy::Any).unwrap();
    let session = Session {
        client: &client,
        key: &key,
        host: Host { storage: &storage, scope: Scope::Local, depth: Depth::Nothing },
        gas: Gas::Automatic,
        till: Till::default(),
        timeout: Duration::from_secs(30),
    };
    let mut told = Vec::new();
    let revealed = session.reveal_when_open(&mut file, RevealOf::Registration, |event| {
        if let Event::Retrying { error, .. } = event {
            told.push(error.to_string());
        }
    });
    let revealed = tokio::time::timeout(NEVER, revealed).await.expect("it hangs");
    assert_eq!(revealed.unwrap().executed.unwrap().digest, digest);
    told
}

#[tokio::test]
async fn a_node_that_is_gone_is_not_waited_for_for_ever() {
    let node = Node {
        model: now(|_, _| Ok(committed(4, LONG_AGO))),
        epoch: now(|_, _| unavailable()),
        ..Node::default()
    };
    let (standing, told) = wait(node).await;
    assert!(is_unavailable(standing));
    assert_eq!(told, ["waiting for 5"]);
}

/// A state file whose commit was executed in epoch 4.
fn prepared(folder: &std::path::Path) -> StateFile {
    let json = br#"{"w":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}"#;
    let mut plain = (json.len() as u64).to_le_bytes().to_vec();
    plain.extend(json);
    plain.push(1);
    let weights_file = folder.join("weights.safetensors");
    fs::write(&weights_file, plain).unwrap();
    let preparation = Preparation {
        weights_file,
        sealed_file: Some(folder.join("weights.enc")),
        url: "https://weights.example/a".parse().unwrap(),
        embedding: None,
        wallet: None,
    };
    let mut file = preparation.run(&StateFolder::new(folder), None, &Options::new()).unwrap();
    file.update(|state| state.registration.commit = Some(Sent::found(4))).unwrap();
    file
}

#[tokio::test]
async fn waiting_for_the_end_of_an_epoch_tells_what_fails_and_asks_again() {
    let parameters = SystemParameters { epoch_duration_ms: 1_000, ..SystemParameters::v1() };
    // The epoch begins when it is asked for, however long that takes.
    let began = OnceLock::new();
    let answer = move || {
        let state = pb::SystemState {
            epoch: Some(4),
            epoch_start_timestamp_ms: Some(*began.get_or_init(now_ms)),
            protocol_version: Some(1),
            parameters: Some((&parameters).into()),
            ..Default::default()
        };
        let epoch = pb::Epoch { epoch: Some(4), system_state: Some(state), ..Default::default() };
        pb::GetEpochResponse { epoch: Some(epoch) }
    };
    let node = Node {
        service_info: now(|_, _| Ok(service_info())),
        epoch: now(move |n, _| match n {
            1 => unavailable(),
            _ => Ok(answer()),
        }),
        ..Node::default()
    };
    let client = node.start().await.client();
    let mut failures = Vec::new();
    let waited = wait_until_late(&client, |event| {
        if let UntilLate::Retrying { error: Error::Rpc(error), .. } = event {
            failures.push(error.code());
        }
    });
    tokio::time::timeout(NEVER, waited).await.expect("it waits for ever").unwrap();
    assert_eq!(failures, [Some(Code::Unavailable)]);
}

/// A node of a chain, in this epoch.
fn running_in(epoch: u64) -> Node {
    let state = pb::SystemState {
        epoch: Some(epoch),
        epoch_start_timestamp_ms: Some(now_ms()),
        protocol_version: Some(1),
        parameters: Some((&SystemParameters::v1()).into()),
        ..Default::default()
    };
    Node {
        service_info: now(|_, _| Ok(service_info())),
        epoch: now(move |_, _| {
            Ok(pb::GetEpochResponse {
                epoch: Some(pb::Epoch {
                    epoch: Some(epoch),
                    system_state: Some(state.clone()),
                    ..Default::default()
                }),
            })
        }),
        ..Node::default()
    }
}

fn service_info() -> pb::GetServiceInfoResponse {
    pb::GetServiceInfoResponse {
        chain_id: Some(CheckpointDigest::new([7; 32]).to_string()),
        ..Default::default()
    }
}

/// The reveal is on file; whether it is sent is seen at the node.
#[tokio::test]
async fn no_claim_of_a_node_draws_a_reveal_out_early() {
    let folder = tempfile::tempdir().unwrap();
    let mut file = prepared(folder.path());
    let key = KeyPair::from_bytes([1; 32]);
    let kind = file.state.reveal_plan(RevealOf::Registration).unwrap().kind();
    let coin = ObjectRef(ObjectId::new([8; 32]), 1, ObjectDigest::ZERO);
    let signed = TransactionData::new(kind, key.address(), vec![coin]).sign(&key);
    file.update(|state| state.registration.reveal = Some(Sent::unsent(&signed))).unwrap();
    let digest = signed.digest();
    let storage = Storage::new(AddressPolicy::Any).unwrap();
    // The commit on file is one of epoch 4.
    for (committed_in, epoch, knows, sent) in
        [(4, 4, false, 0), (4, 4, true, 0), (3, 4, false, 0), (3, 4, true, 0), (4, 5, false, 1)]
    {
        let node = Node {
            model: now(move |_, _| {
                let mut answer = committed(epoch, now_ms());
                answer.model.as_mut().unwrap().commit_epoch = Some(committed_in);
                Ok(answer)
            }),
            transaction: now(move |_, _| match knows {
                true => {
                    let status =
                        ExecutionStatus::Failure { error: ExecutionFailure::ModelNotPending };
                    let effects = node::effects(digest, status);
                    Ok(pb::GetTransactionResponse {
                        transaction: Some(pb::ExecutedTransaction {
                            effects: Some((&effects).into()),
                            ..node::checkpointed(digest, 9)
                        }),
                    })
                }
                false => Err(Status::not_found("no such transaction")),
            }),
            ..running_in(epoch)
        };
        let node = node.start().await;
        let client = node.client();
        let session = Session {
            client: &client,
            key: &key,
            host: Host { storage: &storage, scope: Scope::Local, depth: Depth::Nothing },
            gas: Gas::Automatic,
            till: Till::default(),
            timeout: Duration::from_secs(5),
        };
        let claim = format!("committed in {committed_in}, now {epoch}, known: {knows}");
        let revealed = session.reveal(&mut file, RevealOf::Registration).await;
        assert!(revealed.is_err(), "{claim}: there is nothing to reveal it with");
        assert_eq!(node.log.count("ExecuteTransaction"), sent, "{claim}");
        assert_eq!(node.log.count("SimulateTransaction"), 0, "{claim}");
    }
}

#[tokio::test]
async fn a_session_remembers_the_window_it_waits_for() {
    let folder = tempfile::tempdir().unwrap();
    let mut file = prepared(folder.path());
    let state = pb::SystemState {
        epoch: Some(4),
        epoch_start_timestamp_ms: Some(LONG_AGO),
        protocol_version: Some(1),
        parameters: Some((&SystemParameters::v1()).into()),
        ..Default::default()
    };
    let node = Node {
        service_info: now(|_, _| Ok(service_info())),
        // It goes away after a first look at the chain.
        epoch: now(move |n, _| match n {
            0 => Ok(pb::GetEpochResponse {
                epoch: Some(pb::Epoch {
                    epoch: Some(4),
                    system_state: Some(state.clone()),
                    ..Default::default()
                }),
            }),
            _ => unavailable(),
        }),
        model: now(|n, _| if n < 2 { Ok(committed(4, LONG_AGO)) } else { unavailable() }),
        ..Node::default()
    };
    let client = node.start().await.client();
    let storage = Storage::new(AddressPolicy::Any).unwrap();
    let session = Session {
        client: &client,
        key: &KeyPair::from_bytes([1; 32]),
        host: Host { storage: &storage, scope: Scope::Local, depth: Depth::Header },
        gas: Gas::Automatic,
        till: Till::default(),
        timeout: Duration::from_secs(5),
    };
    let revealed = session.reveal_when_open(&mut file, RevealOf::Registration, |_| {});
    assert!(is_unavailable(tokio::time::timeout(NEVER, revealed).await.expect("it hangs")));
}
