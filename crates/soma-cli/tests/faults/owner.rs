//! Owners of models, a network inside the test, and what must always hold.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use soma_crypto::{Key, Options, safetensors};
use soma_localnet::{FileHost, LocalNet, LocalNetConfig, Uploads, account_keys};
use soma_model::state::{Round, Sent, Terms};
use soma_model::{
    Depth, Gas, Host, ObjectName, Preparation, RevealOf, Scope, Session, Stage, Standing, State,
    StateFile, StateFolder, Till, companion,
};
use soma_proto::system_state::ModelStatus;
use soma_proto::{KeyPair, TransactionData, TransactionKind};
use soma_rpc::{Admin, Client, Executed};
use soma_storage::{AddressPolicy, Storage};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::node::Node;

/// The stake of every model, in shannons.
const STAKE: u64 = 1_000_000_000;

/// Small coins that an owner begins with, and what is in each, in shannons: enough for
/// the fees of many reveals, so that none has to be made.
const SMALL_COINS: (usize, u64) = (8, 150_000);

/// A network that never leaves its epoch by itself, a host of files, and a folder.
pub(crate) struct World {
    pub(crate) runtime: Runtime,
    pub(crate) client: Client,
    storage: Storage,
    served: PathBuf,
    folder: TempDir,
    host: FileHost,
    pub(crate) network: Network,
}

/// The network of a world.
pub(crate) enum Network {
    /// Inside this process.
    Inside(Box<LocalNet>),
    /// In a process of its own, behind a relay.
    Beside(Box<Node>),
}

impl World {
    /// A world whose network is inside this process.
    pub(crate) fn new() -> Self {
        Self::with(|runtime, _| {
            let config = LocalNetConfig::new()
                .with_free_ports()
                .with_epoch_duration_ms(86_400_000)
                .with_embedding_dim(3);
            Network::Inside(Box::new(runtime.block_on(LocalNet::start(config)).unwrap()))
        })
    }

    /// A world whose network can be killed and cut off.
    pub(crate) fn with_node() -> Self {
        Self::with(|_, folder| Network::Beside(Box::new(Node::start(folder.join("network")))))
    }

    fn with(network: impl FnOnce(&Runtime, &Path) -> Network) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let served = folder.path().join("served");
        let runtime = Runtime::new().unwrap();
        let network = network(&runtime, folder.path());
        let address = ([127, 0, 0, 1], 0).into();
        let host = runtime.block_on(FileHost::start(&served, address, Uploads::Refused)).unwrap();
        let url = match &network {
            Network::Inside(network) => network.rpc_url().unwrap().to_owned(),
            Network::Beside(node) => node.relay.quiet_url.clone(),
        };
        let client = runtime.block_on(async { Client::new(url).unwrap() });
        let storage = Storage::new(AddressPolicy::Any).unwrap();
        Self { runtime, client, storage, served, folder, host, network }
    }

    /// Where the commands find the node.
    fn rpc_url(&self) -> &str {
        match &self.network {
            Network::Inside(network) => network.rpc_url().unwrap(),
            Network::Beside(node) => &node.relay.url,
        }
    }

    /// The folder in which encrypted weights are served.
    fn weights_url(&self) -> String {
        format!("{}/", self.host.url())
    }

    pub(crate) fn next_epoch(&self) {
        match &self.network {
            Network::Inside(network) => {
                self.runtime.block_on(network.advance_epoch()).unwrap();
            }
            Network::Beside(node) => {
                let url = node.admin_url();
                let advance = async { Admin::new(url).unwrap().advance_epoch().await };
                self.runtime.block_on(advance).unwrap();
            }
        }
    }

    fn executed(&self, sent: Option<&Sent>) -> Option<Executed> {
        let digest = sent?.digest?;
        self.runtime.block_on(self.client.transaction(&digest)).unwrap()
    }
}

/// A step of the short way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Prepare,
    Commit,
    Reveal,
    PrepareUpdate,
    UpdateCommit,
    UpdateReveal,
}

impl Step {
    pub(crate) const ALL: [Self; 6] = [
        Self::Prepare,
        Self::Commit,
        Self::Reveal,
        Self::PrepareUpdate,
        Self::UpdateCommit,
        Self::UpdateReveal,
    ];
}

/// An account with a wallet of its own and money.
pub(crate) struct Owner {
    pub(crate) key: KeyPair,
    home: PathBuf,
    before: u64,
}

impl Owner {
    /// One of the five accounts that a local network begins with.
    pub(crate) fn new(world: &World, number: usize) -> Self {
        let key = account_keys()[number].clone();
        world.runtime.block_on(make_small_coins(&world.client, &key));
        let home = world.folder.path().join(format!("owner-{number}"));
        fs::create_dir_all(&home).unwrap();
        fs::write(home.join("secret"), key.to_hex().as_bytes()).unwrap();
        let before = world.runtime.block_on(world.client.balance(&key.address())).unwrap();
        let owner = Self { key, home, before };
        let mut import = owner.command(world, &owner.home);
        import.args(["-y", "wallet", "import", "--file"]).arg(owner.home.join("secret"));
        let output = import.output().unwrap();
        assert!(output.status.success(), "{output:?}");
        owner
    }

    fn command(&self, world: &World, folder: &Path) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_soma"));
        command
            .current_dir(folder)
            .env_clear()
            .env("SOMA_CONFIG_DIR", self.home.join("config"))
            .env("SOMA_RPC_URL", world.rpc_url());
        command
    }

    /// What was paid must be one stake for each model and the fees of its four
    /// transactions: whatever was paid twice would be missing.
    pub(crate) fn settle(&self, world: &World, models: &[Model]) {
        let fee = |sent: Option<&Sent>| {
            let executed = world.executed(sent).expect("it is on file and on the chain");
            assert!(executed.effects.is_success());
            executed.effects.v1().transaction_fee.total_fee
        };
        let mut paid = 0;
        for model in models {
            let state = model.state().expect("it is there");
            let update = state.update.as_ref().expect("it was made");
            let rounds = [&state.registration, update];
            paid += STAKE;
            for round in rounds {
                paid += fee(round.commit.as_ref()) + fee(round.reveal.as_ref());
            }
        }
        let now = world.runtime.block_on(world.client.balance(&self.key.address())).unwrap();
        assert_eq!(self.before - now, paid, "one stake for each of {} models", models.len());
    }
}

/// Divides a coin, so that every commit finds a small one to set aside.
async fn make_small_coins(client: &Client, key: &KeyPair) {
    let (count, amount) = SMALL_COINS;
    let owner = key.address();
    let coin = client.coins(&owner).await.unwrap()[0].reference;
    let (amounts, recipients) = (Some(vec![amount; count]), vec![owner; count]);
    let kind = TransactionKind::PayCoins { coins: vec![coin], amounts, recipients };
    let signed = TransactionData::new(kind, owner, vec![coin]).sign(key);
    let executed = client.execute_and_wait(&signed, Duration::from_secs(60)).await.unwrap();
    assert!(executed.effects.is_success());
}

/// A model with a folder of its own: weights, embedding, state.
#[derive(Clone)]
pub(crate) struct Model {
    folder: PathBuf,
}

impl Model {
    pub(crate) fn new(owner: &Owner, number: usize) -> Self {
        let folder = owner.home.join(format!("model-{number}"));
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("embedding"), "0.5\n-0.25\n1\n").unwrap();
        for (name, fill) in [("first", 1), ("second", 2)] {
            let header = br#"{"w":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}}"#;
            let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
            bytes.extend_from_slice(header);
            bytes.extend_from_slice(&[fill; 4]);
            fs::write(folder.join(name), bytes).unwrap();
        }
        Self { folder }
    }

    /// The command of a step. It is the same one after an interruption.
    pub(crate) fn command(&self, world: &World, owner: &Owner, step: Step) -> Command {
        let mut command = owner.command(world, &self.folder);
        command.args(["model", "--json"]);
        let url = world.weights_url();
        let prepare = ["--weights-url", &url, "--embedding-file", "embedding", "--state", "s.json"];
        let prepared = ["--prepared", "s.json"];
        match step {
            Step::Prepare => command.args(["prepare", "--weights-file", "first"]).args(prepare),
            Step::PrepareUpdate => {
                command.args(["prepare", "--update", "--weights-file", "second"]).args(prepare)
            }
            Step::Commit => command.args(["commit", "--stake-amount", "1"]).args(prepared),
            Step::UpdateCommit => command.arg("update-commit").args(prepared),
            Step::Reveal => command.arg("reveal").args(prepared),
            Step::UpdateReveal => command.arg("update-reveal").args(prepared),
        };
        command
    }

    /// Takes a step inside the test: the way that costs least, where nobody interrupts.
    pub(crate) fn take(&self, world: &World, owner: &Owner, step: Step) {
        let path = self.folder.join("s.json");
        let preparation = |weights: &str| Preparation {
            weights_file: self.folder.join(weights),
            sealed_file: None,
            url: world.weights_url().parse().unwrap(),
            embedding: Some(vec![0.5, -0.25, 1.0]),
            wallet: Some(owner.key.clone()),
        };
        let options = Options::new();
        if step == Step::Prepare {
            let folder = StateFolder::new(&self.folder);
            preparation("first").run(&folder, Some(path), &options).unwrap();
            return;
        }
        let mut file = StateFile::open(&path).unwrap();
        let host = Host { storage: &world.storage, scope: Scope::Local, depth: Depth::Header };
        let (client, key, gas) = (&world.client, &owner.key, Gas::Automatic);
        let (till, timeout) = (Till::default(), Duration::from_secs(60));
        let session = Session { client, key, host, gas, till, timeout };
        let terms = Terms { stake_amount: STAKE, commission_rate: 0 };
        let done = world.runtime.block_on(async {
            match step {
                Step::Prepare | Step::PrepareUpdate => {
                    preparation("second").run_update(&mut file, &options).map(|()| None)
                }
                Step::Commit => session.commit(&mut file, terms).await.map(Some),
                Step::UpdateCommit => session.commit_update(&mut file).await.map(Some),
                Step::Reveal => session.reveal(&mut file, RevealOf::Registration).await.map(Some),
                Step::UpdateReveal => session.reveal(&mut file, RevealOf::Update).await.map(Some),
            }
        });
        done.unwrap_or_else(|error| panic!("{step:?}: {error}"));
    }

    /// Puts what is prepared on the host.
    pub(crate) fn upload(&self, world: &World) {
        let state = self.state().expect("it is prepared");
        let sealed = &state.current().1.sealed_file;
        for path in [sealed.clone(), companion::path(sealed)] {
            fs::copy(&path, world.served.join(path.file_name().unwrap())).unwrap();
        }
    }

    /// The state on file. A file that is there can be read: it never is half written.
    pub(crate) fn state(&self) -> Option<State> {
        let mut states = StateFolder::new(&self.folder).read().unwrap();
        assert!(states.len() <= 1, "one model, one state");
        states.pop().map(|(path, state)| {
            state.unwrap_or_else(|error| panic!("{}: {error}", path.display()))
        })
    }

    /// What must hold whenever the process dies: nothing has its final name that is
    /// not whole, and no encrypted file is without its key.
    pub(crate) fn check_files(&self, owner: &Owner) {
        let state = self.state();
        let of = |name: &str| {
            let rounds = state.iter().flat_map(|s| [Some(&s.registration), s.update.as_ref()]);
            let mut rounds = rounds.flatten();
            let found = rounds.find(|round| round.weights_url.as_str().ends_with(name));
            found.unwrap_or_else(|| panic!("{name} was encrypted and its key is gone"))
        };
        for entry in fs::read_dir(&self.folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            if let Some(object) = name.strip_suffix(".state") {
                let object: ObjectName = object.parse().unwrap();
                let bytes = fs::read(&path).unwrap();
                let kept = companion::open(&bytes, &object, &owner.key);
                assert!(kept.is_some(), "{name} is not whole");
            } else if name.parse::<ObjectName>().is_ok() {
                let key = Key::from_bytes(*of(name).decryption_key.as_bytes());
                safetensors::inspect_file(&path, Some(&key)).unwrap();
            }
        }
    }

    /// Whether the chain has executed the transaction that is under way, while the
    /// state file does not know yet: the answer was lost.
    pub(crate) fn has_lost_answer(&self, world: &World) -> bool {
        let Some(state) = self.state() else { return false };
        let round = state.current().1;
        let sent = match round.stage() {
            Stage::CommitSigned => round.commit.as_ref(),
            Stage::RevealSigned => round.reveal.as_ref(),
            _ => return false,
        };
        world.executed(sent).is_some()
    }

    /// Whether a transaction is signed and its outcome is not on file.
    pub(crate) fn is_under_way(&self) -> bool {
        let stage = self.state().map(|state| state.current().1.stage());
        matches!(stage, Some(Stage::CommitSigned | Stage::RevealSigned))
    }

    /// The model is active with its second weights, and everything that is needed for
    /// that is on file.
    pub(crate) fn check_active(&self, world: &World) {
        let state = self.state().expect("it is there");
        let standing = Standing::ask(&world.client, &state.model_id);
        let standing = world.runtime.block_on(standing).unwrap();
        assert_eq!(standing.status, ModelStatus::Active);
        let weights = standing.model.weights_manifest.expect("an active model has weights");
        let update: &Round = state.update.as_ref().expect("it was made");
        assert_eq!(update.stage(), Stage::Revealed);
        assert_eq!(weights.manifest.url(), &update.weights_url);
        assert_eq!(weights.decryption_key, update.decryption_key);
    }
}
