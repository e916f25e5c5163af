//! A network inside the test or beside it, and a host of files.

use std::fs;
use std::path::{Path, PathBuf};

use soma_localnet::{FileHost, LocalNet, LocalNetConfig, Uploads};
use soma_model::ObjectName;
use soma_model::state::Sent;
use soma_rpc::{Admin, Client, Executed};
use soma_storage::{AddressPolicy, Storage};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::node::Node;

/// A network that never leaves its epoch by itself, a host of files, and a folder.
pub(crate) struct World {
    pub(crate) runtime: Runtime,
    pub(crate) client: Client,
    pub(crate) storage: Storage,
    /// What the host serves.
    pub(crate) served: PathBuf,
    pub(crate) folder: TempDir,
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
        let host = runtime.block_on(FileHost::start(&served, address, Uploads::Allowed)).unwrap();
        let url = match &network {
            Network::Inside(network) => network.rpc_url().unwrap().to_owned(),
            Network::Beside(node) => node.relay.quiet_url.clone(),
        };
        let client = runtime.block_on(async { Client::new(url).unwrap() });
        let storage = Storage::new(AddressPolicy::Any).unwrap();
        Self { runtime, client, storage, served, folder, host, network }
    }

    /// Where the commands find the node.
    pub(crate) fn rpc_url(&self) -> &str {
        match &self.network {
            Network::Inside(network) => network.rpc_url().unwrap(),
            Network::Beside(node) => &node.relay.url,
        }
    }

    /// The folder in which encrypted weights are served.
    pub(crate) fn weights_url(&self) -> String {
        format!("{}/", self.host.url())
    }

    pub(crate) fn host_port(&self) -> u16 {
        self.host.address().port()
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

    /// The store has so many objects, each with a state beside it, and nothing that is
    /// half written.
    pub(crate) fn check_store(&self, objects: usize) {
        let entries = fs::read_dir(&self.served).unwrap();
        let names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        let whole = names.iter().filter(|name| name.parse::<ObjectName>().is_ok()).count();
        let beside = names.iter().filter(|name| name.ends_with(".state")).count();
        assert_eq!((whole, beside), (objects, objects));
        assert!(!names.iter().any(|name| name.ends_with(".incomplete")), "{names:?}");
    }

    pub(crate) fn executed(&self, sent: Option<&Sent>) -> Option<Executed> {
        let digest = sent?.digest?;
        self.runtime.block_on(self.client.transaction(&digest)).unwrap()
    }
}
