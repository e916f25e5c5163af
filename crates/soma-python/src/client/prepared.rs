//! Models with a state file: prepared, committed, revealed, whatever happens
//! in between.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::PyString;
use soma_crypto::Existing;
use soma_model::state::Terms;
use soma_model::{
    Carried, Depth, Gas, Host, Preparation, RevealOf, Session, Standing, State, StateFile,
    StateFolder, Status, Till, Watch, close_update, embedding, with_causes,
};
use soma_proto::{KeyPair, ObjectId};
use soma_rpc::{Client, WAIT_TIMEOUT};
use soma_wallet::ConfigDir;

use super::models::committed;
use super::{SomaClient, step};
use crate::amount::Shannons;
use crate::arguments::{Embedding, WeightsUrl, text_path};
use crate::error::{Error, Result};
use crate::namespace::{made, shape};
use crate::runtime;
use crate::wallet::Signer;
use crate::weights::{Progress, reporting};

/// A state file: a path, the id of a model whose state is in the wallet's
/// folder, or what `commit_model` and `prepare_model` gave.
pub(crate) struct Place(pub(super) PathBuf);

impl<'a, 'py> FromPyObject<'a, 'py> for Place {
    type Error = PyErr;

    fn extract(value: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        if let Some(state) = value.getattr_opt("state")?.filter(|state| !state.is_none()) {
            return Ok(Self(state.extract()?));
        }
        if value.is_instance_of::<PyString>() {
            let text: String = value.extract()?;
            if text.starts_with("0x") {
                let id: ObjectId = text.parse().map_err(Error::from)?;
                return Ok(Self(folder()?.path_of(&id)));
            }
        }
        let path: PathBuf = value.extract()?;
        text_path(&path)?;
        Ok(Self(path))
    }
}

#[derive(serde::Serialize)]
struct Prepared<'a> {
    model_id: ObjectId,
    staking_pool_id: ObjectId,
    state: &'a Path,
    sealed_file: &'a Path,
    weights_url: &'a str,
    weights_url_commitment: String,
    weights_commitment: String,
    weights_size: u64,
}

#[derive(serde::Serialize)]
struct Revealed {
    model_id: ObjectId,
    epoch: u64,
    digest: Option<String>,
}

#[derive(serde::Serialize)]
struct Resumed<'a> {
    model_id: Option<ObjectId>,
    /// Whatever lies in the folder is told of, so it may be no text.
    state: Cow<'a, str>,
    revealed_epoch: Option<u64>,
    error: Option<String>,
}

impl<'a> Resumed<'a> {
    /// Nothing if nothing was under way.
    fn new(carried: &'a Carried) -> Option<Self> {
        let (revealed_epoch, error) = match &carried.outcome {
            Ok(None) => return None,
            Ok(epoch) => (*epoch, None),
            Err(error) => (None, Some(with_causes(error))),
        };
        Some(Self {
            model_id: carried.model_id,
            state: carried.path.to_string_lossy(),
            revealed_epoch,
            error,
        })
    }
}

#[derive(serde::Serialize)]
struct Stands {
    #[serde(flatten)]
    status: Option<Status>,
    state: String,
    error: Option<String>,
}

#[pymethods]
impl SomaClient {
    /// Encrypts weights for a new model and puts all that commit and reveal
    /// need into a state file, the fresh key first.
    ///
    /// ``weights`` is a safetensors file; the ciphertext goes to ``out``, by
    /// default the same name ending in ``.enc``. The file is read once and in
    /// pieces. The state goes to ``state``, by default to the folder
    /// ``models`` of the wallet (``$SOMA_CONFIG_DIR`` or ``~/.soma/soma_config``).
    ///
    /// Gives a :class:`PreparedModel`. Upload its ``sealed_file``, then
    /// :meth:`commit_prepared`.
    ///
    /// Raises ValueError for a file that is no safetensors, Refused for an
    /// embedding that the network will not take.
    ///
    /// >>> prepared = await client.prepare_model(
    /// ...     weights_file, weights_url, out=served / "w.enc", embedding=embedding
    /// ... )
    /// >>> prepared.weights_size == len(weights)
    /// True
    #[pyo3(signature = (weights, weights_url, *, out = None, embedding = None, state = None,
                        overwrite = false, progress = None))]
    #[expect(clippy::too_many_arguments, reason = "all but two have defaults")]
    fn prepare_model<'py>(
        &self,
        py: Python<'py>,
        weights: PathBuf,
        weights_url: WeightsUrl,
        out: Option<PathBuf>,
        embedding: Option<Embedding>,
        state: Option<PathBuf>,
        overwrite: bool,
        progress: Option<Progress>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let services = Arc::clone(&self.services);
        runtime::future(py, async move {
            check_embedding(&services.node, embedding.as_ref()).await?;
            let preparation = preparation(weights, weights_url, out, embedding);
            state.as_deref().map_or(Ok(()), text_path)?;
            runtime::on_a_thread(move |stop| {
                let file = reporting(progress.as_ref(), &stop, |options| {
                    let options = options.clone().with_existing(existing(overwrite));
                    Ok(preparation.run(&folder()?, state, &options)?)
                })?;
                summary(&file, RevealOf::Registration)
            })
            .await
        })
    }

    /// Encrypts new weights for a model whose present ones are revealed, under
    /// a fresh key, into its state file. Arguments as :meth:`prepare_model`.
    ///
    /// >>> prepared = await client.prepare_model(
    /// ...     weights_file, weights_url, out=served / "weights.enc", embedding=embedding,
    /// ...     overwrite=True
    /// ... )
    /// >>> model = await client.commit_prepared(signer, prepared)
    /// >>> await client.advance_epoch()
    /// 1
    /// >>> revealed = await client.reveal_when_open(model, signer)
    /// >>> update = await client.prepare_model_update(
    /// ...     model, weights_file, weights_url, out=served / "weights.enc", overwrite=True
    /// ... )
    /// >>> update.model_id == model
    /// True
    #[pyo3(signature = (state, weights, weights_url, *, out = None, embedding = None,
                        overwrite = false, progress = None))]
    #[expect(clippy::too_many_arguments, reason = "all but three have defaults")]
    fn prepare_model_update<'py>(
        &self,
        py: Python<'py>,
        state: Place,
        weights: PathBuf,
        weights_url: WeightsUrl,
        out: Option<PathBuf>,
        embedding: Option<Embedding>,
        overwrite: bool,
        progress: Option<Progress>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let services = Arc::clone(&self.services);
        runtime::future(py, async move {
            check_embedding(&services.node, embedding.as_ref()).await?;
            let preparation = preparation(weights, weights_url, out, embedding);
            let mut file = StateFile::open(&state.0)?;
            close_update(&services.node, &mut file).await?;
            runtime::on_a_thread(move |stop| {
                reporting(progress.as_ref(), &stop, |options| {
                    let options = options.clone().with_existing(existing(overwrite));
                    Ok(preparation.run_update(&mut file, &options)?)
                })?;
                summary(&file, RevealOf::Update)
            })
            .await
        })
    }

    /// Commits to what was prepared, a new model or new weights; the id of the
    /// model, as :meth:`commit_model` gives it.
    ///
    /// Everything that the reveal will need is checked first, the file at the
    /// URL too unless ``check_host`` is false. ``commission_rate`` is in basis
    /// points, ``stake_amount`` an int of shannons or a float or Decimal of SOMA;
    /// neither matters to an update. The signed transaction is in the
    /// state file before it is sent: whatever interrupts this, calling it again
    /// goes on and pays once.
    ///
    /// >>> prepared = await client.prepare_model(
    /// ...     weights_file, weights_url, out=served / "weights.enc", embedding=embedding,
    /// ...     overwrite=True
    /// ... )
    /// >>> model = await client.commit_prepared(signer, prepared, 1000, stake_amount=1.0)
    /// >>> model.commit_epoch
    /// 0
    #[pyo3(signature = (signer, state, commission_rate = 0, stake_amount = None, *,
                        check_host = true))]
    fn commit_prepared<'py>(
        &self,
        py: Python<'py>,
        signer: Signer,
        state: Place,
        commission_rate: u64,
        stake_amount: Option<Shannons>,
        check_host: bool,
    ) -> PyResult<Bound<'py, PyAny>> {
        let stake_amount = stake_amount.map(Shannons::as_stake).transpose()?;
        let services = Arc::clone(&self.services);
        runtime::future(
            py,
            runtime::apart(move || async move {
                let node = &services.node;
                let stake_amount = match stake_amount {
                    Some(stake) => stake,
                    None => node.parameters().await?.model_min_stake,
                };
                let mut file = StateFile::open(&state.0)?;
                let terms = match file.state.current().0 {
                    RevealOf::Registration => Some(Terms { stake_amount, commission_rate }),
                    RevealOf::Update => None,
                };
                commit(node, &signer, &mut file, terms, check_host).await
            }),
        )
    }

    /// Waits for the window of a committed model's reveal, then reveals it;
    /// tries again what may pass as long as the window is open.
    ///
    /// ``state_or_id`` is a state file, a model's id, or what commit gave. The
    /// signer is the model's owner in the default wallet unless it is given.
    /// Calling it again after an interruption goes on where it was.
    ///
    /// Gives a :class:`RevealedModel`; ``None`` if nothing waits for a reveal.
    ///
    /// >>> prepared = await client.prepare_model(
    /// ...     weights_file, weights_url, out=served / "weights.enc", embedding=embedding,
    /// ...     overwrite=True
    /// ... )
    /// >>> model = await client.commit_prepared(signer, prepared)
    /// >>> await client.advance_epoch()
    /// 1
    /// >>> (await client.reveal_when_open(model, signer)).epoch
    /// 1
    #[pyo3(signature = (state_or_id, signer = None, *, check_host = true))]
    fn reveal_when_open<'py>(
        &self,
        py: Python<'py>,
        state_or_id: Place,
        signer: Option<Signer>,
        check_host: bool,
    ) -> PyResult<Bound<'py, PyAny>> {
        let services = Arc::clone(&self.services);
        runtime::future(
            py,
            runtime::apart(move || async move {
                let found =
                    carry_on(&services.node, &state_or_id.0, signer.as_ref(), check_host).await?;
                found.map(|revealed| made("RevealedModel", &revealed)).transpose()
            }),
        )
    }

    /// Carries on everything that is under way in the wallet's folder, as
    /// ``soma model resume`` does: settles transactions whose outcome is not
    /// known, waits for windows, reveals. All models at the same time: none
    /// waits for another. ``ended`` is called with each as soon as nothing more
    /// is done for it.
    ///
    /// Gives a list of objects with ``model_id``, ``state``, ``revealed_epoch``
    /// and ``error``, in the order in which they ended. A state file that cannot
    /// be read is one of them, without ``model_id``. Models with nothing under
    /// way are left out.
    ///
    /// Raises OSError if the folder cannot be read, TransportError if the node
    /// cannot be asked.
    ///
    /// >>> prepared = await client.prepare_model(
    /// ...     weights_file, weights_url, out=served / "weights.enc", embedding=embedding,
    /// ...     overwrite=True
    /// ... )
    /// >>> model = await client.commit_prepared(wallet, prepared)
    /// >>> await client.advance_epoch()
    /// 1
    /// >>> [one] = await client.resume()
    /// >>> one.model_id == model, one.revealed_epoch
    /// (True, 1)
    #[pyo3(signature = (signer = None, *, check_host = true, ended = None))]
    fn resume<'py>(
        &self,
        py: Python<'py>,
        signer: Option<Signer>,
        check_host: bool,
        ended: Option<Py<PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let services = Arc::clone(&self.services);
        runtime::future(
            py,
            runtime::apart(move || async move {
                resume(&services.node, signer.as_ref(), check_host, ended.as_ref()).await
            }),
        )
    }

    /// Where each prepared model stands and what is to be done next, as
    /// ``soma model status`` shows it: of one state file, or of all in the
    /// wallet's folder.
    ///
    /// Gives a list of objects with ``model_id``, ``state``, ``stage``, ``next``,
    /// ``error`` (a state file that cannot be read has nothing else but
    /// ``state``) and, where they apply, ``chain_status``, ``reveal_epoch``, ``opens_at``
    /// and ``deadline`` (RFC 3339, estimated).
    ///
    /// >>> prepared = await client.prepare_model(
    /// ...     weights_file, weights_url, out=served / "weights.enc", embedding=embedding,
    /// ...     overwrite=True
    /// ... )
    /// >>> [one] = await client.model_status()
    /// >>> one.model_id == prepared.model_id, one.stage, one.next
    /// (True, 'prepared', 'commit')
    #[pyo3(signature = (state = None))]
    fn model_status<'py>(
        &self,
        py: Python<'py>,
        state: Option<Place>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let services = Arc::clone(&self.services);
        runtime::future(py, async move {
            let found = standings(&services.node, state).await?;
            Ok(Python::attach(|py| shape(py, &found).map(Bound::unbind))?)
        })
    }
}

/// Settles, waits and reveals, whatever the state file asks for.
async fn carry_on(
    node: &Client,
    path: &Path,
    signer: Option<&Signer>,
    check_host: bool,
) -> Result<Option<Revealed>> {
    let mut file = StateFile::open(path)?;
    let key = match signer {
        Some(signer) => signer.key(node).await?,
        None => Signer::of_default_wallet(file.state.owner)?.key(node).await?,
    };
    let scope = step::scope(node);
    let storage = step::storage(scope)?;
    let host = Host { storage: &storage, scope, depth: depth(check_host) };
    let session = session(node, &key, host)?;
    let done = session.resume(&mut file, |_| {}).await?;
    Ok(done.map(|done| Revealed {
        model_id: file.state.model_id,
        epoch: done.epoch,
        digest: done.executed.map(|executed| executed.digest.to_string()),
    }))
}

/// Carries on all that is under way in the folder; tells `ended` of each model
/// as soon as it is done with.
async fn resume(
    node: &Client,
    signer: Option<&Signer>,
    check_host: bool,
    ended: Option<&Py<PyAny>>,
) -> Result<Py<PyAny>> {
    let folder = folder()?;
    let keys = match signer {
        Some(signer) => vec![signer.key(node).await?],
        None => keys(node, &folder).await?,
    };
    let scope = step::scope(node);
    let mut watch = Watch::new(vec![node.clone()], keys, step::storage(scope)?, scope, folder);
    watch.depth = depth(check_host);
    let mut raised = None;
    let tell = |carried: &Carried| {
        let (Some(ended), Some(resumed)) = (ended, Resumed::new(carried)) else { return };
        let told = Python::attach(|py| ended.call1(py, (shape(py, &resumed)?,)).map(drop));
        raised = raised.take().or(told.err());
    };
    let carried = watch.resume(|_| {}, tell).await?;
    if let Some(error) = raised {
        return Err(error.into());
    }
    let results: Vec<_> = carried.iter().filter_map(Resumed::new).collect();
    Ok(Python::attach(|py| shape(py, &results).map(Bound::unbind))?)
}

/// The keys of those who own what is under way. One that the default wallet
/// does not have is missed by its models alone.
async fn keys(node: &Client, folder: &StateFolder) -> Result<Vec<KeyPair>> {
    let states = folder.read()?.into_iter().filter_map(|(_, state)| state.ok());
    let owners: BTreeSet<_> = states.map(|state| state.owner).collect();
    let mut keys = Vec::new();
    for owner in owners {
        let Ok(signer) = Signer::of_default_wallet(owner) else { continue };
        match signer.key(node).await {
            Ok(key) => keys.push(key),
            Err(error @ Error::Rpc(_)) => return Err(error),
            Err(_) => {}
        }
    }
    Ok(keys)
}

/// Where the models of one state file, or of all in the folder, stand.
async fn standings(node: &Client, place: Option<Place>) -> Result<Vec<Stands>> {
    let states = match place {
        Some(Place(path)) => {
            let state = StateFile::peek(&path)?;
            vec![(path, Ok(state))]
        }
        None => folder()?.read()?,
    };
    let mut found = Vec::new();
    for (path, state) in states {
        let path = path.to_string_lossy().into_owned();
        found.push(match state {
            Ok(state) => {
                let standing = node.model(&state.model_id).await?.map(Standing::from);
                let status = Some(Status::new(&state, standing.as_ref()));
                Stands { status, error: None, state: path }
            }
            Err(error) => Stands { status: None, error: Some(with_causes(&error)), state: path },
        });
    }
    Ok(found)
}

/// A state file for a model that is about to be committed.
///
/// # Errors
/// [`Error::Model`] if there is one at `path` already.
pub(super) fn create(path: Option<PathBuf>, state: State) -> Result<StateFile> {
    let path = match path {
        Some(path) => path,
        None => folder()?.path_of(&state.model_id),
    };
    text_path(&path)?;
    Ok(StateFile::create(&path, state)?)
}

/// Commits to what a state file holds. It can be interrupted anywhere and run
/// again, so it needs no task of its own.
pub(super) async fn commit(
    node: &Client,
    signer: &Signer,
    file: &mut StateFile,
    terms: Option<Terms>,
    check_host: bool,
) -> Result<Py<PyAny>> {
    let key = signer.key(node).await?;
    let scope = step::scope(node);
    let storage = step::storage(scope)?;
    let host = Host { storage: &storage, scope, depth: depth(check_host) };
    let session = session(node, &key, host)?;
    let done = match terms {
        Some(terms) => session.commit(file, terms).await?,
        None => session.commit_update(file).await?,
    };
    let place = Place(file.path().to_owned());
    let (model, pool) = (file.state.model_id, file.state.staking_pool_id);
    match &done.executed {
        Some(executed) => committed(&model, &pool, executed, Some(&place)),
        None => Err(Error::Other(format!(
            "model {model} was committed in epoch {} already; the transaction is no longer to be had",
            done.epoch
        ))),
    }
}

/// A session that leaves alone what is set aside for other models.
pub(super) fn session<'a>(
    client: &'a Client,
    key: &'a KeyPair,
    host: Host<'a>,
) -> Result<Session<'a>> {
    let till = Till::of(folder()?);
    Ok(Session { client, key, host, gas: Gas::Automatic, till, timeout: WAIT_TIMEOUT })
}

/// Coins that are set aside for reveals, each with its model.
pub(super) fn set_aside() -> Result<Vec<(ObjectId, ObjectId)>> {
    match ConfigDir::from_env() {
        Ok(wallet) => Ok(StateFolder::new(wallet.models()).set_aside()?),
        // Without a home there is no folder, and nothing in it.
        Err(_) => Ok(Vec::new()),
    }
}

/// The folder with the states of the default wallet.
pub(super) fn folder() -> Result<StateFolder> {
    let folder = StateFolder::new(ConfigDir::from_env()?.models());
    text_path(folder.path())?;
    Ok(folder)
}

fn preparation(
    weights: PathBuf,
    url: WeightsUrl,
    out: Option<PathBuf>,
    embedding: Option<Embedding>,
) -> Preparation {
    let embedding = embedding.map(|embedding| embedding.0);
    Preparation { weights_file: weights, sealed_file: out, url: url.0, embedding, wallet: None }
}

async fn check_embedding(node: &Client, embedding: Option<&Embedding>) -> Result<()> {
    let Some(Embedding(numbers)) = embedding else { return Ok(()) };
    let report = embedding::check(numbers, node.parameters().await?.target_embedding_dim);
    if report.is_ok() { Ok(()) } else { Err(soma_model::Error::Refused(report).into()) }
}

const fn existing(overwrite: bool) -> Existing {
    if overwrite { Existing::Replace } else { Existing::Keep }
}

const fn depth(check_host: bool) -> Depth {
    if check_host { Depth::Header } else { Depth::Nothing }
}

fn summary(file: &StateFile, of: RevealOf) -> Result<Py<PyAny>> {
    let missing = || Error::Other("the weights are not prepared".to_owned());
    let round = file.state.round(of).ok_or_else(missing)?;
    let sealed = round.sealed.ok_or_else(missing)?;
    let prepared = Prepared {
        model_id: file.state.model_id,
        staking_pool_id: file.state.staking_pool_id,
        state: file.path(),
        sealed_file: &round.sealed_file,
        weights_url: round.weights_url.as_str(),
        weights_url_commitment: round.weights_url.commitment().to_hex(),
        weights_commitment: sealed.commitment.to_hex(),
        weights_size: sealed.size,
    };
    made("PreparedModel", &prepared)
}
