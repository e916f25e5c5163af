//! What a network is started with.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

/// Port of the RPC services.
pub const RPC_PORT: u16 = 9000;
/// Port of the faucet.
pub const FAUCET_PORT: u16 = 9123;
/// Port of the scoring stub.
pub const SCORING_PORT: u16 = 9124;
/// Port of the admin service.
pub const ADMIN_PORT: u16 = 9125;
/// Port of the file host.
pub const FILES_PORT: u16 = 9200;

/// Embedding length of a small-model network.
pub const SMALL_EMBEDDING_DIM: u64 = 16;

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// Where a chain lives.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StateDir {
    /// In a directory of its own that is removed when the network stops. There
    /// is nothing to lose there, so commits are not synced to disk.
    Temporary,
    /// In this directory. An existing chain goes on; commits are synced.
    Kept(PathBuf),
}

/// What a network is started with: a fresh, temporary chain on the usual ports
/// of loopback unless told otherwise.
///
/// ```
/// use soma_localnet::LocalNetConfig;
///
/// let config = LocalNetConfig::new().with_free_ports().with_epoch_duration_ms(10_000);
/// # let _ = config;
/// ```
#[derive(Clone, Debug)]
pub struct LocalNetConfig {
    pub(crate) state: StateDir,
    pub(crate) rpc: Option<SocketAddr>,
    pub(crate) faucet: Option<SocketAddr>,
    pub(crate) scoring: Option<SocketAddr>,
    pub(crate) admin: SocketAddr,
    pub(crate) files: Option<SocketAddr>,
    pub(crate) files_dir: Option<PathBuf>,
    pub(crate) data_ingestion_dir: Option<PathBuf>,
    pub(crate) epoch_duration_ms: Option<u64>,
    pub(crate) embedding_dim: Option<u64>,
    pub(crate) committee_size: Option<u32>,
    pub(crate) genesis_models: u32,
}

impl Default for LocalNetConfig {
    fn default() -> Self {
        Self::new()
    }
}

impl LocalNetConfig {
    /// A temporary chain with all services on their usual ports.
    pub fn new() -> Self {
        let at = |port| SocketAddr::new(LOOPBACK, port);
        Self {
            state: StateDir::Temporary,
            rpc: Some(at(RPC_PORT)),
            faucet: Some(at(FAUCET_PORT)),
            scoring: Some(at(SCORING_PORT)),
            admin: at(ADMIN_PORT),
            files: Some(at(FILES_PORT)),
            files_dir: None,
            data_ingestion_dir: None,
            epoch_duration_ms: None,
            embedding_dim: None,
            committee_size: None,
            genesis_models: 0,
        }
    }

    /// Keeps the chain in a directory.
    pub fn with_state_dir(mut self, directory: impl Into<PathBuf>) -> Self {
        self.state = StateDir::Kept(directory.into());
        self
    }

    /// Takes a free port for every service that is on.
    pub fn with_free_ports(mut self) -> Self {
        self.admin.set_port(0);
        let services = [&mut self.rpc, &mut self.faucet, &mut self.scoring, &mut self.files];
        for address in services.into_iter().flatten() {
            address.set_port(0);
        }
        self
    }

    /// Where the RPC services listen; `None` turns them off.
    pub fn with_rpc(mut self, address: impl Into<Option<SocketAddr>>) -> Self {
        self.rpc = address.into();
        self
    }

    /// Where the faucet listens. `None` turns it off, and a fresh chain then
    /// gives it no money.
    pub fn with_faucet(mut self, address: impl Into<Option<SocketAddr>>) -> Self {
        self.faucet = address.into();
        self
    }

    /// Where the scoring stub listens; `None` turns it off.
    pub fn with_scoring(mut self, address: impl Into<Option<SocketAddr>>) -> Self {
        self.scoring = address.into();
        self
    }

    /// Port of the admin service, always on loopback.
    pub fn with_admin_port(mut self, port: u16) -> Self {
        self.admin.set_port(port);
        self
    }

    /// Where the file host listens; `None` turns it off.
    pub fn with_files(mut self, address: impl Into<Option<SocketAddr>>) -> Self {
        self.files = address.into();
        self
    }

    /// What the file host serves; without it a folder `files` beside the chain.
    pub fn with_files_dir(mut self, directory: impl Into<Option<PathBuf>>) -> Self {
        self.files_dir = directory.into();
        self
    }

    /// Writes every checkpoint into this directory, as BCS in `<height>.chk`.
    pub fn with_data_ingestion_dir(mut self, directory: impl Into<Option<PathBuf>>) -> Self {
        self.data_ingestion_dir = directory.into();
        self
    }

    /// Length of an epoch of a fresh chain. Refused for an existing one.
    pub fn with_epoch_duration_ms(mut self, milliseconds: impl Into<Option<u64>>) -> Self {
        self.epoch_duration_ms = milliseconds.into();
        self
    }

    /// Embedding length of a fresh chain; an existing one keeps its own.
    pub fn with_embedding_dim(mut self, length: impl Into<Option<u64>>) -> Self {
        self.embedding_dim = length.into();
        self
    }

    /// Number of validators of a fresh chain; an existing one keeps its own.
    pub fn with_committee_size(mut self, validators: impl Into<Option<u32>>) -> Self {
        self.committee_size = validators.into();
        self
    }

    /// Lets a fresh chain begin with this many active models of the last
    /// published account, to see how software behaves when there are many.
    /// With the usual embeddings each takes 8 KiB; small ones make a chain with
    /// tens of thousands of models quick.
    pub fn with_genesis_models(mut self, models: u32) -> Self {
        self.genesis_models = models;
        self
    }
}
