//! Starting a network, holding it, stopping it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::Router;
use soma_proto::{CheckpointDigest, KeyPair};
use tokio::net::TcpListener;

use crate::accounts::ChainKeys;
use crate::chain::{Chain, Opened};
use crate::executor::{Executor, Refused, Running};
use crate::hub::Hub;
use crate::ingestion::Ingestion;
use crate::rpc::{self, Node};
use crate::serve::{self, Server};
use crate::store::Store;
use crate::{Error, FileHost, LocalNetConfig, Result, StateDir, Uploads, services};

/// A running network. Dropped, it stops as well, but does not wait for calls
/// in progress.
#[derive(Debug)]
pub struct LocalNet {
    rpc: Option<Endpoint>,
    faucet: Option<Endpoint>,
    scoring: Option<Endpoint>,
    admin: Endpoint,
    files: Option<(FileHost, String)>,
    chain_id: CheckpointDigest,
    keys: ChainKeys,
    state_dir: PathBuf,
    epoch_duration_ms: u64,
    embedding_dim: u64,
    warnings: Vec<String>,
    hub: Arc<Hub>,
    executor: Executor,
    running: Option<Running>,
    store: Arc<Store>,
    /// Removed when dropped; absent for a chain that is kept.
    temporary: Option<tempfile::TempDir>,
}

/// A service and how others reach it.
#[derive(Debug)]
struct Endpoint {
    server: Server,
    url: String,
}

/// Sockets, bound before anything is written: a port that is taken must not
/// leave half a network behind.
struct Listeners {
    rpc: Option<TcpListener>,
    faucet: Option<TcpListener>,
    scoring: Option<TcpListener>,
    admin: TcpListener,
}

impl LocalNet {
    /// Starts a network; when this returns it answers.
    ///
    /// # Errors
    /// [`Error::PortTaken`] and [`Error::Bind`] for sockets; [`Error::Locked`],
    /// [`Error::Foreign`] and [`Error::Damaged`] for the state of a kept chain;
    /// [`Error::Config`] for a configuration that makes no network or does not
    /// fit the existing chain; [`Error::Io`] for files.
    pub async fn start(config: LocalNetConfig) -> Result<Self> {
        let listeners = Listeners::bind(&config).await?;
        let (state_dir, temporary) = match &config.state {
            StateDir::Kept(directory) => (directory.clone(), None),
            StateDir::Temporary => {
                let temporary = tempfile::Builder::new().prefix("soma-localnet-").tempdir();
                let temporary =
                    temporary.map_err(|e| Error::io("create", std::env::temp_dir(), e))?;
                (temporary.path().to_path_buf(), Some(temporary))
            }
        };
        let files = match config.files {
            Some(address) => {
                let default = state_dir.join("files");
                let directory = config.files_dir.as_deref().unwrap_or(&default);
                let uploads = Uploads::Allowed;
                let host = FileHost::start_as(directory, address, uploads, "--files-port").await?;
                let url = url(host.address());
                Some((host, url))
            }
            None => None,
        };

        let (opening, directory) = (config.clone(), state_dir.clone());
        let opened = blocking(move || Chain::open(&opening, &directory)).await??;
        let Opened { chain, store, row, warnings } = opened;
        let keys = ChainKeys::new(row.seed, row.committee_size);
        let parameters = &chain.ledger().system_state().parameters;
        let (epoch_duration_ms, embedding_dim) =
            (parameters.epoch_duration_ms, parameters.target_embedding_dim);
        let ingestion = match &config.data_ingestion_dir {
            Some(directory) => Some(Ingestion::open(directory, &store.snapshot()?)?),
            None => None,
        };

        let (store, hub) = (Arc::new(store), Arc::new(Hub::new()));
        let chain_id = CheckpointDigest::new(row.chain_id.into_inner());
        let (executor, running) =
            Executor::start(chain, Arc::clone(&store), Arc::clone(&hub), ingestion)?;
        let node = Node {
            store: Arc::clone(&store),
            executor: executor.clone(),
            hub: Arc::clone(&hub),
            chain_id,
        };
        let faucet = |_: ()| services::faucet(executor.clone(), Arc::clone(&store), keys.faucet());
        Ok(Self {
            rpc: match listeners.rpc {
                Some(listener) => Some(Endpoint::start(listener, rpc::router(node).await)?),
                None => None,
            },
            faucet: listeners
                .faucet
                .map(|listener| Endpoint::start(listener, faucet(())))
                .transpose()?,
            scoring: listeners
                .scoring
                .map(|listener| Endpoint::start(listener, services::scoring()))
                .transpose()?,
            admin: Endpoint::start(listeners.admin, services::admin(executor.clone()))?,
            files,
            chain_id,
            keys,
            state_dir,
            epoch_duration_ms,
            embedding_dim,
            warnings,
            hub,
            executor,
            running: Some(running),
            store,
            temporary,
        })
    }

    /// Ends the epoch now, as the admin service does. Gives the new one.
    ///
    /// # Errors
    /// [`Error::Stopped`] if the network is stopping or its database failed.
    pub async fn advance_epoch(&self) -> Result<u64> {
        self.executor.advance_epoch().await.map_err(|refused| match refused {
            Refused::Unavailable(reason) => Error::Store(reason),
            Refused::Rejected(_) => Error::Stopped,
        })
    }

    /// Waits until the network ends by itself, which it does only when its
    /// database fails. Cancelling the wait changes nothing.
    ///
    /// # Errors
    /// Why it ended.
    pub async fn wait(&mut self) -> Result<()> {
        let Some(running) = &mut self.running else { return Err(Error::Stopped) };
        let ended = (&mut running.ended).await;
        self.running = None;
        match ended {
            Ok(Some(error)) => Err(error),
            Ok(None) => Ok(()),
            Err(_) => Err(Error::Store("the executor thread panicked".to_owned())),
        }
    }

    /// Stops: streams end, calls in progress get half a second, the database is
    /// closed, and a temporary chain is removed.
    ///
    /// # Errors
    /// What stopped the network before, if something did.
    pub async fn shutdown(mut self) -> Result<()> {
        self.hub.close();
        let endpoints = [self.rpc.take(), self.faucet.take(), self.scoring.take()];
        let mut servers: Vec<Server> =
            endpoints.into_iter().flatten().map(|endpoint| endpoint.server).collect();
        servers.push(self.admin.server);
        let files = async {
            if let Some((files, _)) = self.files {
                files.stop().await;
            }
        };
        tokio::join!(files, futures::future::join_all(servers.into_iter().map(Server::stop)));

        self.executor.stop();
        let mut result = Ok(());
        if let Some(Running { thread, ended }) = self.running {
            if let Ok(Some(error)) = ended.await {
                result = Err(error);
            }
            // A panic has been reported by the thread itself.
            let _ = blocking(move || thread.join().is_ok()).await?;
        }
        let (store, temporary) = (self.store, self.temporary);
        blocking(move || {
            store.close();
            if let Some(directory) = temporary {
                let path = directory.path().to_path_buf();
                directory.close().map_err(|e| Error::io("remove", path, e))?;
            }
            Ok(())
        })
        .await??;
        result
    }

    /// URL of the RPC services.
    pub fn rpc_url(&self) -> Option<&str> {
        self.rpc.as_ref().map(|endpoint| endpoint.url.as_str())
    }

    /// URL of the faucet.
    pub fn faucet_url(&self) -> Option<&str> {
        self.faucet.as_ref().map(|endpoint| endpoint.url.as_str())
    }

    /// URL of the scoring stub.
    pub fn scoring_url(&self) -> Option<&str> {
        self.scoring.as_ref().map(|endpoint| endpoint.url.as_str())
    }

    /// URL of the admin service.
    pub fn admin_url(&self) -> &str {
        &self.admin.url
    }

    /// URL of the file host, without a slash at the end.
    pub fn files_url(&self) -> Option<&str> {
        self.files.as_ref().map(|(_, url)| url.as_str())
    }

    /// What the file host serves.
    pub fn files_dir(&self) -> Option<&Path> {
        self.files.as_ref().map(|(host, _)| host.directory())
    }

    /// Digest of the first checkpoint.
    pub const fn chain_id(&self) -> CheckpointDigest {
        self.chain_id
    }

    /// The running epoch.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn epoch(&self) -> Result<u64> {
        Ok(self.store.snapshot()?.state_row()?.skeleton.epoch)
    }

    /// Length of an epoch.
    pub const fn epoch_duration_ms(&self) -> u64 {
        self.epoch_duration_ms
    }

    /// Number of values that an embedding has on this chain.
    pub const fn embedding_dim(&self) -> u64 {
        self.embedding_dim
    }

    /// Where the chain lives.
    pub fn state_dir(&self) -> &Path {
        &self.state_dir
    }

    /// Whether the chain outlives this process.
    pub const fn is_kept(&self) -> bool {
        self.temporary.is_none()
    }

    /// What the user should know: settings that an existing chain ignores.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// The account key of a validator, counted from 0 (L-21).
    pub fn validator_key(&self, index: u32) -> KeyPair {
        self.keys.validator_account(index)
    }
}

impl Listeners {
    async fn bind(config: &LocalNetConfig) -> Result<Self> {
        let optional = async |service, flag, address: Option<SocketAddr>| match address {
            Some(address) => serve::bind(service, flag, address).await.map(Some),
            None => Ok(None),
        };
        Ok(Self {
            rpc: optional("RPC", "--fullnode-rpc-port", config.rpc).await?,
            faucet: optional("faucet", "--with-faucet=PORT", config.faucet).await?,
            scoring: optional("scoring", "--no-scoring", config.scoring).await?,
            admin: serve::bind("admin", "--admin-port", config.admin).await?,
        })
    }
}

impl Endpoint {
    fn start(listener: TcpListener, router: Router) -> Result<Self> {
        let server = Server::start(listener, router)
            .map_err(|e| Error::io("use", "a socket that was just opened", e))?;
        let url = url(server.address());
        Ok(Self { server, url })
    }
}

/// How this machine reaches the address.
fn url(mut address: SocketAddr) -> String {
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    format!("http://{address}")
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(|_| Error::Stopped)
}
