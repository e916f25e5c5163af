//! Models that are looked after, on real networks.
//!
//! Epochs last minutes and are ended by hand, so what happens depends on no
//! clock; what is waited for is an event.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use soma_crypto::Options;
use soma_localnet::{FileHost, LocalNet, LocalNetConfig, Uploads, account_keys};
use soma_model::payment::Purse;
use soma_model::state::Terms;
use soma_model::watch::{Event, Kind};
use soma_model::{
    Carried, Depth, Gas, Host, Preparation, RevealOf, Scope, Session, Stage, Standing, StateFile,
    StateFolder, Till, Watch,
};
use soma_proto::grpc::{ext, pb};
use soma_proto::params::SystemParameters;
use soma_proto::system_state::ModelStatus;
use soma_proto::{CheckpointDigest, KeyPair, ObjectId, TransactionData, TransactionKind};
use soma_rpc::Client;
use soma_storage::{AddressPolicy, RetryPolicy, Storage};
use tokio::runtime::Handle;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tonic::Status;

#[path = "../../soma-rpc/tests/node/mod.rs"]
mod node;

use node::{Node, now};

const TERMS: Terms = Terms { stake_amount: 1_000_000_000, commission_rate: 500 };
/// Long enough for any machine, and still a test that ends.
const PATIENCE: Duration = Duration::from_secs(60);
/// Long enough that no epoch ends by itself, short enough that a watch looks
/// at its nodes every few seconds.
const EPOCH_MS: u64 = 120_000;

/// An owner, the host of his weights, and his folder.
struct Owner {
    key: KeyPair,
    storage: Storage,
    host: FileHost,
    folder: tempfile::TempDir,
}

impl Owner {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let served = folder.path().join("served");
        let address = ([127, 0, 0, 1], 0).into();
        let host = FileHost::start(&served, address, Uploads::Refused).await.unwrap();
        let [key, ..] = account_keys();
        let storage = Storage::new(AddressPolicy::Any).unwrap().with_retry(RetryPolicy::NEVER);
        Self { key, storage, host, folder }
    }

    async fn network(&self, name: &str) -> LocalNet {
        let directory = self.folder.path().join(name);
        let fresh = (!directory.exists()).then_some(EPOCH_MS);
        let config = LocalNetConfig::new()
            .with_free_ports()
            .with_state_dir(directory)
            .with_epoch_duration_ms(fresh)
            .with_embedding_dim(3);
        LocalNet::start(config).await.unwrap()
    }

    fn states(&self) -> StateFolder {
        StateFolder::new(self.folder.path().join("models"))
    }

    fn served(&self, name: &str) -> PathBuf {
        self.host.directory().join(name)
    }

    fn preparation(&self, name: &str) -> Preparation {
        let json = br#"{"w":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}}"#;
        let mut plain = (json.len() as u64).to_le_bytes().to_vec();
        plain.extend(json);
        plain.extend([1, 2, 3, 4]);
        let weights_file = self.folder.path().join("weights.safetensors");
        fs::write(&weights_file, plain).unwrap();
        Preparation {
            weights_file,
            sealed_file: Some(self.folder.path().join(format!("{name}.local"))),
            url: format!("{}/{name}", self.host.url()).parse().unwrap(),
            embedding: Some(vec![0.5, -0.25, 1.0]),
            wallet: None,
        }
    }

    /// Prepares a model, uploads it and commits to it.
    async fn committed(&self, client: &Client, name: &str) -> StateFile {
        let mut file = self.preparation(name).run(&self.states(), None, &Options::new()).unwrap();
        fs::copy(&file.state.registration.sealed_file, self.served(name)).unwrap();
        self.session(client).commit(&mut file, TERMS).await.unwrap();
        file
    }

    fn session<'a>(&'a self, client: &'a Client) -> Session<'a> {
        Session {
            client,
            key: &self.key,
            host: Host { storage: &self.storage, scope: Scope::Local, depth: Depth::Header },
            gas: Gas::Automatic,
            till: Till::of(self.states()),
            timeout: PATIENCE,
        }
    }

    fn watch(&self, nodes: &[&LocalNet]) -> Watch {
        let nodes = nodes.iter().map(|node| client(node)).collect();
        let (keys, storage) = (vec![self.key.clone()], self.storage.clone());
        let mut watch = Watch::new(nodes, keys, storage, Scope::Local, self.states());
        watch.look_every = Some(Duration::from_secs(1));
        watch
    }
}

fn client(node: &LocalNet) -> Client {
    Client::new(node.rpc_url().unwrap()).unwrap()
}

/// A watch in a task, its events, and a way to stop it.
struct Running {
    events: UnboundedReceiver<Event>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<Vec<PathBuf>>,
}

impl Running {
    fn start(watch: Watch) -> Self {
        let (send, events) = unbounded_channel();
        let (stop, stopped) = oneshot::channel::<()>();
        let task = tokio::task::spawn_blocking(move || {
            let tell = |event| drop(send.send(event));
            let stopped = async { drop(stopped.await) };
            Handle::current().block_on(watch.run(tell, stopped)).unwrap().alarms
        });
        Self { events, stop, task }
    }

    /// Waits for an event of this kind; gives it and all before it.
    async fn until(&mut self, kind: Kind) -> (Event, Vec<Event>) {
        self.until_that(|event| event.event == kind).await
    }

    async fn until_that(&mut self, wanted: impl Fn(&Event) -> bool) -> (Event, Vec<Event>) {
        let mut before = Vec::new();
        let found = tokio::time::timeout(PATIENCE, async {
            while let Some(event) = self.events.recv().await {
                if wanted(&event) {
                    return Some(event);
                }
                before.push(event);
            }
            None
        });
        match found.await {
            Ok(Some(event)) => (event, before),
            _ => panic!("it did not come; instead {before:#?}"),
        }
    }

    /// Stops it; gives its alarms and the events that were left.
    async fn stop(mut self) -> (Vec<PathBuf>, Vec<Event>) {
        let _ = self.stop.send(());
        let alarms = tokio::time::timeout(PATIENCE, self.task).await.unwrap().unwrap();
        let mut left = Vec::new();
        while let Ok(event) = self.events.try_recv() {
            left.push(event);
        }
        (alarms, left)
    }
}

async fn standing(client: &Client, id: &ObjectId) -> Standing {
    Standing::ask(client, id).await.unwrap()
}

/// What the state file says of a round.
fn stage(path: &Path, of: RevealOf) -> Stage {
    let file = StateFile::open(path).unwrap();
    file.state.round(of).unwrap().stage()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn from_the_commit_to_the_update() {
    let owner = Owner::new().await;
    let network = owner.network("a").await;
    let node = client(&network);
    let mut running = Running::start(owner.watch(&[&network]));
    running.until(Kind::NodeUp).await;

    // A commit that comes later is seen too.
    let file = owner.committed(&node, "one").await;
    let (path, id) = (file.path().to_owned(), file.state.model_id);
    drop(file);
    let (ready, before) = running.until(Kind::Ready).await;
    assert!(before.iter().all(|event| event.event != Kind::SetAside), "the commit did that");
    assert_eq!((ready.reveal_epoch, ready.alarm), (Some(1), false));
    assert_eq!(stage(&path, RevealOf::Registration), Stage::RevealSigned);
    assert_eq!(standing(&node, &id).await.status, ModelStatus::Committed, "signed, not sent");

    network.advance_epoch().await.unwrap();
    let (revealed, _) = running.until(Kind::Revealed).await;
    let signed = StateFile::open(&path).unwrap().state.registration.reveal.unwrap();
    assert_eq!(revealed.digest, signed.digest);
    assert_eq!(signed.epoch, Some(1));
    assert_eq!(standing(&node, &id).await.status, ModelStatus::Active);
    running.until(Kind::Sound).await;

    // The coin that was set aside paid, and pays for the update too.
    let file = StateFile::open(&path).unwrap();
    let coin = file.state.gas_coin.unwrap();
    let paid = node.transaction(&signed.digest.unwrap()).await.unwrap().unwrap();
    assert_eq!(paid.effects.gas_object().unwrap().0, coin);
    let mut file = file;
    owner.preparation("two").run_update(&mut file, &Options::new()).unwrap();
    fs::copy(&file.state.update.as_ref().unwrap().sealed_file, owner.served("two")).unwrap();
    owner.session(&node).commit_update(&mut file).await.unwrap();
    drop(file);
    let (_, before) = running.until(Kind::Ready).await;
    assert!(before.iter().all(|event| event.event != Kind::SetAside), "{before:#?}");
    network.advance_epoch().await.unwrap();
    let (revealed, _) = running.until(Kind::Revealed).await;
    assert_eq!(revealed.round, Some(RevealOf::Update));
    let paid = node.transaction(&revealed.digest.unwrap()).await.unwrap().unwrap();
    assert_eq!(paid.effects.gas_object().unwrap().0, coin);
    let (alarms, _) = running.stop().await;
    assert_eq!(alarms, Vec::<PathBuf>::new());
    network.shutdown().await.unwrap();
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy_folder(&entry.path(), &target),
            false => drop(fs::copy(entry.path(), target).unwrap()),
        }
    }
}

/// A second node of the same chain is played by a copy of it: it is in the
/// epoch of the commit until it is moved on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_sent_before_every_node_agrees() {
    let owner = Owner::new().await;
    let network = owner.network("a").await;
    let file = owner.committed(&client(&network), "one").await;
    let (path, id) = (file.path().to_owned(), file.state.model_id);
    drop(file);
    network.shutdown().await.unwrap();
    copy_folder(&owner.folder.path().join("a"), &owner.folder.path().join("b"));
    let (ahead, behind) = (owner.network("a").await, owner.network("b").await);
    assert_eq!(ahead.chain_id(), behind.chain_id());
    ahead.advance_epoch().await.unwrap();

    let mut running = Running::start(owner.watch(&[&ahead, &behind]));
    let slow = behind.rpc_url().unwrap();
    let (_, before) = running
        .until_that(|event| event.event == Kind::Waiting && event.message.contains(slow))
        .await;
    assert!(before.iter().all(|event| event.event != Kind::Revealed), "{before:#?}");
    assert_eq!(standing(&client(&ahead), &id).await.status, ModelStatus::Committed);
    assert!(stage(&path, RevealOf::Registration) < Stage::Revealed);

    behind.advance_epoch().await.unwrap();
    running.until(Kind::Revealed).await;
    let at = [standing(&client(&ahead), &id).await, standing(&client(&behind), &id).await];
    assert!(at.iter().any(|standing| standing.status == ModelStatus::Active));
    running.stop().await;
    ahead.shutdown().await.unwrap();
    behind.shutdown().await.unwrap();
}

/// A node of this chain that says it is in `epoch`, and knows nothing else.
fn liar(chain: CheckpointDigest, epoch: u64) -> Node {
    let parameters = SystemParameters { epoch_duration_ms: EPOCH_MS, ..SystemParameters::v1() };
    let state = pb::SystemState {
        epoch: Some(epoch),
        epoch_start_timestamp_ms: Some(now_ms()),
        protocol_version: Some(1),
        parameters: Some((&parameters).into()),
        ..Default::default()
    };
    let running = pb::GetEpochResponse {
        epoch: Some(pb::Epoch {
            epoch: Some(epoch),
            system_state: Some(state),
            ..Default::default()
        }),
    };
    Node {
        service_info: now(move |_, _| {
            Ok(pb::GetServiceInfoResponse {
                chain_id: Some(chain.to_string()),
                ..Default::default()
            })
        }),
        epoch: now(move |_, _| Ok(running.clone())),
        transaction: now(|_, _| Err(Status::not_found("no such transaction"))),
        ..Node::default()
    }
}

fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis().try_into().unwrap()
}

/// What a node says of a model that waits for its reveal, in an epoch.
fn shown(standing: &Standing, epoch: u64) -> ext::GetModelResponse {
    ext::GetModelResponse {
        model_id: Some(standing.id.to_string()),
        status: Some("pending".to_owned()),
        model: Some((&standing.model).into()),
        current_epoch: Some(epoch),
        epoch_start_timestamp_ms: Some(now_ms()),
        epoch_duration_ms: Some(EPOCH_MS),
        ..Default::default()
    }
}

/// A node that knows nothing of the model, and then claims that its window is
/// open, hears nothing of the reveal as long as another node says otherwise.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_lies_gets_no_reveal() {
    let owner = Owner::new().await;
    let network = owner.network("a").await;
    let honest = client(&network);
    let mut file = owner.committed(&honest, "one").await;
    let (path, id) = (file.path().to_owned(), file.state.model_id);
    owner.session(&honest).rehearse_reveal(&mut file, RevealOf::Registration).await.unwrap();
    drop(file);
    assert_eq!(stage(&path, RevealOf::Registration), Stage::RevealSigned);

    let known = standing(&honest, &id).await;
    let evil = Node {
        model: now(move |n, _| match n {
            0 => Ok(ext::GetModelResponse::default()),
            _ => Ok(shown(&known, 1)),
        }),
        ..liar(network.chain_id(), 1)
    };
    let evil = evil.start().await;
    let mut watch = owner.watch(&[&network]);
    watch.nodes.insert(0, evil.client());
    let mut running = Running::start(watch);
    running.until(Kind::Ready).await;
    assert_eq!(evil.log.count("ExecuteTransaction"), 0);
    assert_eq!(standing(&honest, &id).await.status, ModelStatus::Committed);

    // It does not keep the others from doing it either.
    network.advance_epoch().await.unwrap();
    running.until(Kind::Revealed).await;
    assert_eq!(standing(&honest, &id).await.status, ModelStatus::Active);
    running.stop().await;
    network.shutdown().await.unwrap();
}

/// A resumption that can only say why it does not go on sends nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_of_another_chain_holds_a_signed_reveal_back() {
    let owner = Owner::new().await;
    let network = owner.network("a").await;
    let honest = client(&network);
    let mut file = owner.committed(&honest, "one").await;
    let (path, id) = (file.path().to_owned(), file.state.model_id);
    owner.session(&honest).rehearse_reveal(&mut file, RevealOf::Registration).await.unwrap();
    drop(file);
    network.advance_epoch().await.unwrap();
    let other = liar(CheckpointDigest::new([7; 32]), 1).start().await;
    let mut watch = owner.watch(&[&network]);
    watch.nodes.push(other.client());

    let (mut ended, task) = resume(watch);
    let (_, outcome) = next(&mut ended).await;
    let error = outcome.unwrap_err();
    assert!(error.contains(&other.url) && error.contains("another chain"), "{error}");
    assert_eq!(task.await.unwrap(), 1);
    assert_eq!(stage(&path, RevealOf::Registration), Stage::RevealSigned);
    assert_eq!(standing(&honest, &id).await.status, ModelStatus::Committed);
    network.shutdown().await.unwrap();
}

/// A node whose clock is wrong for a moment, just when something fails.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_false_time_puts_nothing_off() {
    let owner = Owner::new().await;
    let network = owner.network("a").await;
    let honest = client(&network);
    drop(owner.committed(&honest, "one").await);
    let hidden = owner.folder.path().join("hidden");
    fs::rename(owner.served("one"), &hidden).unwrap();
    let (chain, wrong) = (network.chain_id(), Arc::new(AtomicBool::new(true)));
    let is_wrong = Arc::clone(&wrong);
    let node = Node {
        service_info: now(move |_, _| {
            // The year 2099.
            let seconds = match is_wrong.load(Ordering::SeqCst) {
                true => 4_070_908_800,
                false => i64::try_from(now_ms() / 1_000).unwrap(),
            };
            Ok(pb::GetServiceInfoResponse {
                chain_id: Some(chain.to_string()),
                timestamp: Some(prost_types::Timestamp { seconds, nanos: 0 }),
                ..Default::default()
            })
        }),
        ..liar(chain, 0)
    };
    let node = node.start().await;
    let mut watch = owner.watch(&[&network]);
    watch.nodes.push(node.client());
    let mut running = Running::start(watch);
    let (retrying, _) = running.until(Kind::Retrying).await;
    assert!(retrying.message.contains("404"), "{retrying:?}");
    wrong.store(false, Ordering::SeqCst);
    fs::rename(&hidden, owner.served("one")).unwrap();
    running.until(Kind::Ready).await;
    running.stop().await;
    network.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_or_reported_model_is_an_alarm() {
    let owner = Owner::new().await;
    let network = owner.network("a").await;
    let node = client(&network);
    let file = owner.committed(&node, "one").await;
    let (path, id) = (file.path().to_owned(), file.state.model_id);
    drop(file);
    network.advance_epoch().await.unwrap();
    let mut running = Running::start(owner.watch(&[&network]));
    running.until(Kind::Revealed).await;
    running.until(Kind::Sound).await;

    // The length is right and the header opens, but not every byte is right.
    let good = fs::read(owner.served("one")).unwrap();
    let mut bad = good.clone();
    *bad.last_mut().unwrap() ^= 1;
    fs::write(owner.served("one"), &bad).unwrap();
    let (unsound, _) = running.until(Kind::Unsound).await;
    assert!(unsound.alarm && unsound.message.contains("are not those of"), "{unsound:?}");
    fs::write(owner.served("one"), &good).unwrap();
    running.until(Kind::Sound).await;
    fs::remove_file(owner.served("one")).unwrap();
    let (unsound, _) = running.until(Kind::Unsound).await;
    assert!(unsound.message.contains("404"), "{unsound:?}");
    fs::write(owner.served("one"), &good).unwrap();
    running.until(Kind::Sound).await;

    let validator = network.validator_key(0);
    let coin = node.coins(&validator.address()).await.unwrap()[0].reference;
    let report = TransactionKind::ReportModel { model_id: id };
    let report = TransactionData::new(report, validator.address(), vec![coin]).sign(&validator);
    assert!(node.execute(&report).await.unwrap().effects.is_success());
    let (reported, _) = running.until(Kind::Reported).await;
    assert!(reported.alarm && reported.message.contains(&validator.address().to_string()));
    network.advance_epoch().await.unwrap();
    let (lost, _) = running.until(Kind::Lost).await;
    assert!(lost.alarm && lost.message.contains("inactive"), "{lost:?}");
    let (alarms, _) = running.stop().await;
    assert_eq!(alarms, [path]);
    network.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_pass_does_what_is_due() {
    let owner = Owner::new().await;
    let network = owner.network("a").await;
    let node = client(&network);
    let once = async || {
        let mut kinds = Vec::new();
        let outcome = owner.watch(&[&network]).once(|event| kinds.push(event.event)).await;
        (outcome.unwrap().alarms, kinds)
    };
    let seen = owner.committed(&node, "seen").await;
    let path = seen.path().to_owned();
    drop(seen);
    let (alarms, kinds) = once().await;
    assert_eq!(alarms, Vec::<PathBuf>::new());
    assert_eq!(kinds, [Kind::NodeUp, Kind::Ready, Kind::Waiting]);
    // A commit whose state file knows of no coin.
    StateFile::open(&path).unwrap().update(|state| state.gas_coin = None).unwrap();
    let (_, kinds) = once().await;
    assert_eq!(kinds, [Kind::NodeUp, Kind::SetAside, Kind::Ready, Kind::Waiting]);
    let (_, kinds) = once().await;
    assert_eq!(kinds, [Kind::NodeUp, Kind::Ready, Kind::Waiting], "the coin is kept");

    // A foreign payment moves the coin on: the reveal is signed anew.
    let coin = StateFile::open(&path).unwrap().state.gas_coin.unwrap();
    let reference = node.object(&coin).await.unwrap().unwrap().reference();
    let kind = TransactionKind::TransferObjects {
        objects: vec![reference],
        recipient: network.validator_key(0).address(),
    };
    let others = node.coins(&owner.key.address()).await.unwrap();
    let gas = others.iter().find(|other| other.reference.id() != coin).unwrap().reference;
    let stolen = TransactionData::new(kind, owner.key.address(), vec![gas]).sign(&owner.key);
    assert!(node.execute(&stolen).await.unwrap().effects.is_success());
    network.advance_epoch().await.unwrap();
    let (alarms, kinds) = once().await;
    assert!(alarms.is_empty() && kinds.contains(&Kind::Revealed), "{kinds:?}");
    assert_eq!(stage(&path, RevealOf::Registration), Stage::Revealed);

    // A window that nobody used. Its coin is free again, that of the other model is not.
    let file = owner.committed(&node, "lost").await;
    assert!(file.state.gas_coin.is_some());
    let lost = file.path().to_owned();
    drop(file);
    let kept = StateFile::open(&path).unwrap().state;
    network.advance_epoch().await.unwrap();
    network.advance_epoch().await.unwrap();
    let (alarms, kinds) = once().await;
    assert_eq!(alarms, [lost]);
    assert!(kinds.contains(&Kind::Lost) && kinds.contains(&Kind::Sound), "{kinds:?}");
    let aside = owner.states().set_aside().unwrap();
    assert_eq!(aside, [(kept.gas_coin.unwrap(), kept.model_id)]);
    network.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_that_is_down_is_told_early_and_waited_for() {
    let owner = Owner::new().await;
    let network = owner.network("a").await;
    let node = client(&network);
    let file = owner.committed(&node, "one").await;
    drop(file);
    let hidden = owner.folder.path().join("hidden");
    fs::rename(owner.served("one"), &hidden).unwrap();
    let mut running = Running::start(owner.watch(&[&network]));
    let (retrying, _) = running.until(Kind::Retrying).await;
    assert!(retrying.message.contains("404"), "{retrying:?}");
    network.advance_epoch().await.unwrap();
    running.until_that(|event| event.message.contains("turn of the reveal")).await;
    fs::rename(&hidden, owner.served("one")).unwrap();
    // What nothing can be compared with is not called in order.
    fs::remove_file(owner.folder.path().join("one.local")).unwrap();
    fs::remove_file(owner.folder.path().join("weights.safetensors")).unwrap();
    running.until(Kind::Revealed).await;
    let (sound, _) = running.until(Kind::Sound).await;
    assert!(sound.message.contains("no file is here"), "{sound:?}");
    let (alarms, _) = running.stop().await;
    assert!(alarms.is_empty());
    network.shutdown().await.unwrap();
}

/// The owner trains on, into the same file: what is served is still right.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_weights_in_the_same_place_are_no_alarm() {
    let owner = Owner::new().await;
    let network = owner.network("a").await;
    let node = client(&network);
    let file = owner.committed(&node, "one").await;
    let (path, weights) = (file.path().to_owned(), file.state.registration.weights_file.clone());
    let sealed = file.state.registration.sealed_file.clone();
    drop(file);
    fs::remove_file(&sealed).unwrap();
    network.advance_epoch().await.unwrap();
    let mut running = Running::start(owner.watch(&[&network]));
    running.until(Kind::Revealed).await;
    let (sound, _) = running.until(Kind::Sound).await;
    assert!(sound.message.contains("in order"), "{sound:?}");

    // As long as the plain file is as it was, it tells.
    let good = fs::read(owner.served("one")).unwrap();
    let mut bad = good.clone();
    *bad.last_mut().unwrap() ^= 1;
    fs::write(owner.served("one"), &bad).unwrap();
    let (unsound, _) = running.until(Kind::Unsound).await;
    assert!(unsound.message.contains("weights.safetensors"), "{unsound:?}");
    fs::write(owner.served("one"), &good).unwrap();
    running.until(Kind::Sound).await;
    running.stop().await;

    let looked = async || {
        let mut running = Running::start(owner.watch(&[&network]));
        let seen = [Kind::Sound, Kind::Unsound];
        let (event, _) = running.until_that(|event| seen.contains(&event.event)).await;
        running.stop().await;
        event
    };
    let written = fs::metadata(&weights).unwrap().modified().unwrap();
    let mut trained = fs::read(&weights).unwrap();
    *trained.last_mut().unwrap() ^= 1;
    fs::write(&weights, trained).unwrap();
    let later = written + Duration::from_secs(1);
    fs::File::options().write(true).open(&weights).unwrap().set_modified(later).unwrap();
    let event = looked().await;
    assert!(event.event == Kind::Sound && event.message.contains("no file is here"), "{event:?}");

    // So for another model that is encrypted into the same file.
    fs::write(&sealed, vec![7; good.len()]).unwrap();
    let event = looked().await;
    assert!(event.event == Kind::Sound && event.message.contains("no file is here"), "{event:?}");
    fs::remove_file(&sealed).unwrap();

    // So for an update that is encrypted there.
    let mut file = StateFile::open(&path).unwrap();
    let update = Preparation { sealed_file: Some(sealed), ..owner.preparation("two") };
    update.run_update(&mut file, &Options::new()).unwrap();
    drop(file);
    let event = looked().await;
    assert!(event.event == Kind::Sound && event.message.contains("no file is here"), "{event:?}");
    network.shutdown().await.unwrap();
}

/// What a resumption tells of a model when it is done with it.
type Ended = (Option<ObjectId>, Result<Option<u64>, String>);

fn resume(watch: Watch) -> (UnboundedReceiver<Ended>, JoinHandle<usize>) {
    let (send, ended) = unbounded_channel();
    let task = tokio::task::spawn_blocking(move || {
        let ended = |carried: &Carried| {
            let outcome = carried.outcome.as_ref().map(|epoch| *epoch);
            drop(send.send((carried.model_id, outcome.map_err(ToString::to_string))));
        };
        Handle::current().block_on(watch.resume(|_| {}, ended)).unwrap().len()
    });
    (ended, task)
}

async fn next(ended: &mut UnboundedReceiver<Ended>) -> Ended {
    tokio::time::timeout(PATIENCE, ended.recv()).await.expect("it did not come").unwrap()
}

/// All coins of the owner become one, and no model has one of its own.
async fn only_one_coin(owner: &Owner, node: &Client) {
    for (path, _) in owner.states().read().unwrap() {
        StateFile::open(&path).unwrap().update(|state| state.gas_coin = None).unwrap();
    }
    let purse = Purse::ask(node, owner.key.address(), &[]).await.unwrap();
    let payment = purse.merge(&[]).unwrap().unwrap();
    let merged = payment.into_transaction(owner.key.address()).sign(&owner.key);
    assert!(node.execute_and_wait(&merged, PATIENCE).await.unwrap().effects.is_success());
    assert_eq!(node.coins(&owner.key.address()).await.unwrap().len(), 1);
}

/// Five models: two are due, one has lost its host, one is due an epoch later,
/// one state cannot be read. None of them waits for another.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_under_way_is_carried_on_at_the_same_time() {
    let owner = Owner::new().await;
    let network = owner.network("a").await;
    let node = client(&network);
    let mut ids = Vec::new();
    for name in ["gone", "one", "two"] {
        ids.push(owner.committed(&node, name).await.state.model_id);
    }
    fs::remove_file(owner.served("gone")).unwrap();
    network.advance_epoch().await.unwrap();
    let later = owner.committed(&node, "later").await.state.model_id;
    let prepared = owner.preparation("idle").run(&owner.states(), None, &Options::new()).unwrap();
    let idle = prepared.state.model_id;
    drop(prepared);
    only_one_coin(&owner, &node).await;
    fs::write(owner.states().path().join("broken.json"), "{").unwrap();

    let (mut ended, task) = resume(owner.watch(&[&network]));
    let (mut revealed, mut failed) = (Vec::new(), Vec::new());
    for _ in 0..4 {
        match next(&mut ended).await {
            (Some(id), Ok(None)) => assert_eq!(id, idle),
            (Some(id), Ok(Some(epoch))) => revealed.push((epoch, id)),
            (id, Err(error)) => failed.push((id, error)),
            other => panic!("{other:?}"),
        }
    }
    revealed.sort();
    let mut due = [(1, ids[1]), (1, ids[2])];
    due.sort();
    assert_eq!(revealed, due, "with one coin between them");
    assert!(matches!(&failed[..], [(None, error)] if error.contains("damaged")), "{failed:?}");

    // The host comes back for none; the later one is not held up by that.
    network.advance_epoch().await.unwrap();
    let mut last = [next(&mut ended).await, next(&mut ended).await];
    last.sort_by_key(|(id, _)| *id != Some(later));
    assert_eq!(last[0], (Some(later), Ok(Some(2))));
    assert!(
        matches!(&last[1], (id, Err(error)) if *id == Some(ids[0])
        && error.contains("ModelNotPending")),
        "{last:?}"
    );
    assert_eq!(task.await.unwrap(), 6);
    assert_eq!(standing(&node, &later).await.status, ModelStatus::Active);
    network.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_carried_on_is_told_at_once() {
    let owner = Owner::new().await;
    let network = owner.network("a").await;
    let node = client(&network);
    let change = async |name: &str, change: fn(&mut soma_model::State)| {
        let mut file = owner.committed(&node, name).await;
        file.update(change).unwrap();
        file.state.model_id
    };
    let foreign = change("foreign", |state| {
        state.chain_id = Some(soma_proto::CheckpointDigest::new([7; 32]));
    });
    let foreign = foreign.await;
    let stranger = change("stranger", |state| {
        state.owner = Some(KeyPair::from_bytes([9; 32]).address());
    });
    let stranger = stranger.await;
    let wrong = change("wrong", |state| {
        state.registration.decryption_key = soma_proto::DecryptionKey::new([0; 32]);
    });
    let wrong = wrong.await;
    let (mut ended, task) = resume(owner.watch(&[&network]));
    for _ in 0..3 {
        let (id, outcome) = next(&mut ended).await;
        let error = outcome.unwrap_err();
        let word = match id {
            id if id == Some(foreign) => "chain",
            id if id == Some(stranger) => "not in the wallet",
            id if id == Some(wrong) => "key",
            other => panic!("{other:?}"),
        };
        assert!(error.contains(word), "{error}");
    }
    assert_eq!(task.await.unwrap(), 3);
    network.shutdown().await.unwrap();
}
