//! `SomaClient`: one connection to a node and to the services beside it.

mod build;
mod files;
mod inquire;
mod models;
mod money;
mod moved;
mod prepared;
mod publish;
mod served;
mod step;

use std::sync::Arc;
use std::time::Duration;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use soma_rpc::{Admin, Client, Faucet};
use soma_storage::Url;
use soma_wallet::Environment;
use tokio::net::TcpStream;

use crate::error::{Error, Result};
use crate::runtime;

/// How long a service beside the node may take to accept a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A client of a SOMA node.
///
/// Name the node by URL, or a network by name: ``chain="localnet"`` or
/// ``chain="testnet"``. It can be awaited, or entered by ``async with``.
///
/// >>> client = await SomaClient(rpc_url)
/// >>> await client.get_chain_identifier()
/// 'localnet'
///
/// In the examples of the methods, as in the guide, ``signer`` is a key pair
/// with two coins of 2 SOMA, ``weights_file`` a safetensors file,
/// ``encrypted_weights`` what ``weights_url`` serves, from the folder
/// ``served``; ``host`` is the URL of that folder, which takes uploads; and the
/// epoch is 0.
///
/// The node is called at the first request; the other services must answer at
/// once. Every method that asks the network returns a future of the running
/// asyncio loop.
///
/// Cancelling it stops the work. A transaction that was already on its way is
/// followed to its end all the same, as long as the interpreter lives. A step
/// with a state file stops where it is: what was signed is in the file, and the
/// same call, :meth:`resume` or the ``soma`` command find out what became of it
/// and go on with that very transaction, so that nothing is paid twice.
///
/// Raises ValueError for bad URLs and combinations of arguments, TransportError
/// if a service beside the node is not there.
#[pyclass(module = "soma", frozen)]
pub(crate) struct SomaClient {
    services: Arc<Services>,
}

/// The connections; cheap to share between tasks.
pub(crate) struct Services {
    pub(crate) node: Client,
    faucet: Option<Faucet>,
    admin: Option<Admin>,
    scoring_url: Option<String>,
    /// What must be there when the client is awaited.
    beside: Vec<String>,
}

impl Services {
    fn faucet(&self) -> Result<&Faucet> {
        self.faucet.as_ref().ok_or(Error::NotConfigured("faucet_url"))
    }

    fn admin(&self) -> Result<&Admin> {
        self.admin.as_ref().ok_or(Error::NotConfigured("admin_url"))
    }

    fn scoring_url(&self) -> Result<&str> {
        self.scoring_url.as_deref().ok_or(Error::NotConfigured("scoring_url"))
    }

    /// Looks whether the services beside the node are there.
    async fn connect(&self) -> Result<()> {
        for url in &self.beside {
            reach(url).await?;
        }
        Ok(())
    }
}

#[pymethods]
impl SomaClient {
    #[new]
    #[pyo3(signature = (rpc_url = None, scoring_url = None, admin_url = None, faucet_url = None,
                        *, chain = None))]
    fn new(
        rpc_url: Option<String>,
        scoring_url: Option<String>,
        admin_url: Option<String>,
        faucet_url: Option<String>,
        chain: Option<&str>,
    ) -> PyResult<Self> {
        let urls = Urls { rpc_url, scoring_url, admin_url, faucet_url }.with_chain(chain)?;
        let Some(rpc_url) = urls.rpc_url else {
            return Err(PyValueError::new_err("give rpc_url or chain"));
        };
        // Connections are made inside the runtime that drives them.
        let _runtime = pyo3_async_runtimes::tokio::get_runtime().enter();
        let beside = [&urls.faucet_url, &urls.admin_url, &urls.scoring_url];
        let services = Services {
            node: Client::new(rpc_url).map_err(Error::from)?,
            beside: beside.into_iter().flatten().cloned().collect(),
            faucet: urls.faucet_url.map(Faucet::new).transpose().map_err(Error::from)?,
            admin: urls.admin_url.map(Admin::new).transpose().map_err(Error::from)?,
            scoring_url: urls.scoring_url,
        };
        Ok(Self { services: Arc::new(services) })
    }

    /// Connects to the services beside the node; gives the client itself.
    fn __await__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        Self::__aenter__(slf)?.call_method0("__await__")
    }

    fn __aenter__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let client = slf.clone().unbind();
        let services = Arc::clone(&slf.get().services);
        runtime::future(slf.py(), async move {
            services.connect().await?;
            Ok(client)
        })
    }

    #[pyo3(signature = (exc_type = None, exc_value = None, traceback = None))]
    fn __aexit__<'py>(
        &self,
        py: Python<'py>,
        exc_type: Option<&Bound<'py, PyAny>>,
        exc_value: Option<&Bound<'py, PyAny>>,
        traceback: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let _ = (exc_type, exc_value, traceback);
        runtime::future(py, async { Ok(false) })
    }

    fn __repr__(&self) -> String {
        format!("SomaClient({})", self.services.node.url())
    }
}

struct Urls {
    rpc_url: Option<String>,
    scoring_url: Option<String>,
    admin_url: Option<String>,
    faucet_url: Option<String>,
}

impl Urls {
    /// Fills in what a network's name says.
    fn with_chain(self, chain: Option<&str>) -> Result<Self> {
        let Some(chain) = chain else { return Ok(self) };
        if self.rpc_url.is_some() || self.faucet_url.is_some() {
            return Err(Error::argument("give either chain, or rpc_url and faucet_url"));
        }
        let environment = match chain {
            "localnet" | "local" => Environment::localnet(),
            "testnet" => Environment::testnet(),
            other => {
                return Err(Error::argument(format!(
                    "there is no chain {other:?}; known are localnet and testnet"
                )));
            }
        };
        let text = |url: soma_wallet::Result<&'static str>| url.ok().map(str::to_owned);
        Ok(Self {
            rpc_url: Some(environment.rpc.clone()),
            faucet_url: text(environment.faucet_url()),
            admin_url: self.admin_url.or_else(|| text(environment.admin_url())),
            scoring_url: self.scoring_url.or_else(|| text(environment.scoring_url())),
        })
    }
}

/// Fails unless something listens at `url`. Services behind TLS may be behind
/// a proxy too, so those are only called when they are needed.
async fn reach(url: &str) -> Result<()> {
    let parsed: Url = url.parse().map_err(|_| Error::argument(format!("{url} is no URL")))?;
    if parsed.scheme() != "http" {
        return Ok(());
    }
    let host = parsed.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
    let port = parsed.port_or_known_default().unwrap_or(80);
    let unreachable = |cause: String| {
        let url = url.to_owned();
        Error::Rpc(soma_rpc::Error::Transport { call: "Connect", url, cause })
    };
    match tokio::time::timeout(CONNECT_TIMEOUT, TcpStream::connect((host, port))).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(unreachable(error.to_string())),
        Err(_) => Err(unreachable("no answer".to_owned())),
    }
}
