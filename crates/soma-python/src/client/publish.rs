//! From a file of weights to a committed model in one call.

use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};
use soma_model::state::Terms;
use soma_model::{
    Begun, Depth, Done, Host, Publication, Report, RevealOf, Scope, Session, StateFile,
};
use soma_proto::{CheckpointDigest, KeyPair, ObjectId};
use soma_rpc::Client;
use soma_storage::{
    AddressPolicy, Addressing, Destination, Storage, Store, StoreOptions, UploadOptions, Uploaded,
    Url, Variables,
};

use super::{SomaClient, prepared, step};
use crate::amount::Shannons;
use crate::arguments::{Embedding, Id};
use crate::error::{Error, Result};
use crate::namespace::{class, to_python};
use crate::runtime;
use crate::wallet::Signer;
use crate::weights::{Progress, transferring};

#[pymethods]
impl SomaClient {
    /// Encrypts weights, uploads them, looks at them as a validator will, and commits to
    /// them; gives the id of the model.
    ///
    /// ``weights`` is a safetensors file. It is read once: encrypted, hashed and sent at
    /// the same time, without an encrypted file on this machine. ``to`` is
    /// ``s3://BUCKET/PREFIX``, ``gs://BUCKET/PREFIX``, ``az://CONTAINER/PREFIX``,
    /// ``file:///DIRECTORY``, ``https://HOST/FOLDER/`` for a host that takes PUT, or a
    /// URL presigned for PUT. Credentials are those of the store's own tools (``AWS_*``,
    /// ``~/.aws``, ``GOOGLE_*``, ``AZURE_*``). ``public_url`` says where others fetch
    /// the object, if that does not follow from ``to``; ``endpoint``, ``region`` and
    /// ``addressing`` (``"auto"``, ``"path"``, ``"host"``) are for stores that are
    /// compatible with S3.
    ///
    /// ``commission_rate`` is in basis points, ``stake_amount`` an int of shannons or a
    /// float or Decimal of SOMA; the network's minimum without it. With ``update``, the
    /// id of an active model, it gets new weights instead; its state file must be in the
    /// wallet's folder (:meth:`import_state` and :meth:`recover_model` bring it there).
    /// With ``wait`` the next epoch is waited for and the model revealed too; else
    /// :meth:`reveal_when_open` does that.
    ///
    /// ``parallel`` parts (8) of ``part_size`` bytes (chosen by the file's size) are sent
    /// at the same time, within ``memory`` bytes (192 MiB), at ``limit_rate`` bytes a
    /// second at most. ``progress`` hears of bytes that the store has confirmed.
    /// ``verify_url`` fetches the whole object again before anything is staked.
    ///
    /// Key, ids and progress are in a state file of the wallet's folder before they
    /// count. Cancelled or interrupted anywhere, the same call goes on there: it uploads
    /// what is missing and pays once; once the model is active it does nothing. With ``new``
    /// it begins anew and pays again. The key is made from the signer's key and
    /// the object's name, so that :meth:`recover_model` can find it again, or drawn with
    /// ``random_key``.
    ///
    /// The answer is a :class:`PublishedModel`, a str. Raises ValueError for a bad
    /// destination or file, OSError for a file that cannot be read, Refused before
    /// anything is sent or before anything is staked, TransportError and SomaError of the
    /// store, TransactionFailed, OutcomeUnknown.
    ///
    /// >>> model = await client.publish(
    /// ...     signer, weights_file, host, 1000, stake_amount=1.0, embedding=embedding
    /// ... )
    /// >>> model.commit_epoch, model.weights_size == len(weights)
    /// (0, True)
    /// >>> await client.advance_epoch()
    /// 1
    /// >>> (await client.reveal_when_open(model, signer)).epoch
    /// 1
    #[pyo3(signature = (signer, weights, to, commission_rate = 0, stake_amount = None, *,
                        embedding = None, wait = false, update = None, public_url = None,
                        endpoint = None, region = None, addressing = "auto", part_size = None,
                        parallel = None, memory = None, limit_rate = None, new = false,
                        random_key = false, verify_url = false, progress = None))]
    #[expect(clippy::too_many_arguments, reason = "all but three have defaults")]
    fn publish<'py>(
        &self,
        py: Python<'py>,
        signer: Signer,
        weights: PathBuf,
        to: &str,
        commission_rate: u64,
        stake_amount: Option<Shannons>,
        embedding: Option<Embedding>,
        wait: bool,
        update: Option<Id>,
        public_url: Option<&str>,
        endpoint: Option<&str>,
        region: Option<String>,
        addressing: &str,
        part_size: Option<u64>,
        parallel: Option<usize>,
        memory: Option<u64>,
        limit_rate: Option<NonZeroU64>,
        new: bool,
        random_key: bool,
        verify_url: bool,
        progress: Option<Progress>,
    ) -> PyResult<Bound<'py, PyAny>> {
        if update.is_some() && (stake_amount.is_some() || commission_rate != 0) {
            return Err(Error::argument("an update has no stake and no commission").into());
        }
        let default = UploadOptions::DEFAULT;
        let job = Job {
            signer,
            weights,
            destination: to.parse().map_err(Error::from)?,
            place: StoreOptions {
                public_url: public_url.map(|text| url("public_url", text)).transpose()?,
                endpoint: endpoint.map(|text| url("endpoint", text)).transpose()?,
                region,
                addressing: ways(addressing)?,
                limit_rate,
            },
            options: UploadOptions {
                part_size,
                in_flight: parallel.unwrap_or(default.in_flight),
                memory: memory.unwrap_or(default.memory),
            },
            embedding: embedding.map(|embedding| embedding.0),
            stake_amount: stake_amount.map(Shannons::as_stake).transpose()?,
            commission_rate,
            update: update.map(|id| id.0),
            begun: if new { Begun::Leave } else { Begun::Continue },
            random_key,
            verify_url,
            wait,
            progress,
        };
        let services = Arc::clone(&self.services);
        runtime::future(py, runtime::apart(move || async move { job.run(&services.node).await }))
    }
}

/// Everything that a publication is told.
struct Job {
    signer: Signer,
    weights: PathBuf,
    destination: Destination,
    place: StoreOptions,
    options: UploadOptions,
    embedding: Option<Vec<f32>>,
    stake_amount: Option<u64>,
    commission_rate: u64,
    update: Option<ObjectId>,
    begun: Begun,
    random_key: bool,
    verify_url: bool,
    wait: bool,
    progress: Option<Progress>,
}

impl Job {
    async fn run(self, node: &Client) -> Result<Py<PyAny>> {
        let key = self.signer.key(node).await?;
        let scope = step::scope(node);
        // The user named the store, so it may be at home; its public URL is read by
        // what the network allows.
        let at_home = Storage::new(AddressPolicy::Any)?;
        let storage = step::storage(scope)?;
        let stake_amount = match (self.stake_amount, self.update) {
            (Some(stake), _) => stake,
            (None, Some(_)) => 0,
            (None, None) => node.parameters().await?.model_min_stake,
        };
        let terms = Terms { stake_amount, commission_rate: self.commission_rate };
        let depth = if self.verify_url { Depth::Everything } else { Depth::Header };
        let host = Host { storage: &storage, scope, depth };
        let session = prepared::session(node, &key, host)?;
        let publication = self.publication(&at_home, scope, &key, node.chain_id().await?)?;

        let (file, of) = self.foreseen(&publication, &session, terms).await?;
        let (mut file, uploaded) = transferring(self.progress.as_ref(), async |teller| {
            let tell = |now: soma_storage::Progress| {
                // What it raised ends the transfer, wherever it waits.
                let _ = teller.tell(now.confirmed, Some(now.total));
            };
            Ok(publication.upload(file, of, tell).await?)
        })
        .await?;
        let committed = match of {
            RevealOf::Registration => session.commit(&mut file, terms).await?,
            RevealOf::Update => session.commit_update(&mut file).await?,
        };
        let revealed = session.reveal_published(&mut file, of, self.wait, |_| {}).await?;
        published(&file, of, uploaded.as_ref(), &committed, revealed.as_ref())
    }

    fn publication(
        &self,
        storage: &Storage,
        scope: Scope,
        key: &KeyPair,
        chain_id: CheckpointDigest,
    ) -> Result<Publication> {
        let variables = Variables::process();
        let store = Store::open(&self.destination, &self.place, &variables, storage)?;
        Ok(Publication {
            weights_file: self.weights.clone(),
            destination: self.destination.clone(),
            store,
            embedding: self.embedding.clone(),
            options: self.options,
            scope,
            wallet: (!self.random_key).then(|| key.clone()),
            owner: key.address(),
            chain_id,
        })
    }

    /// The state file, once the commit is foreseen to succeed. If it is not, or nobody
    /// waits any more, what was put on file is taken back.
    async fn foreseen(
        &self,
        publication: &Publication,
        session: &Session<'_>,
        terms: Terms,
    ) -> Result<(StateFile, RevealOf)> {
        let folder = prepared::folder()?;
        let (file, of) = match self.update {
            Some(model) => {
                let client = session.client;
                let file = publication.open_update(client, &folder, model, self.begun).await?;
                (file, RevealOf::Update)
            }
            None => (publication.open(&folder, self.begun)?, RevealOf::Registration),
        };
        let mut tried = Tried { publication, of, file: Some(file) };
        if let Some(file) = &mut tried.file {
            session.foresee_commit(file, of, terms).await?;
        }
        let file = tried.file.take().ok_or_else(|| Error::Other("no state file".to_owned()))?;
        Ok((file, of))
    }
}

/// A publication that may go no further than its checks.
struct Tried<'a> {
    publication: &'a Publication,
    of: RevealOf,
    file: Option<StateFile>,
}

impl Drop for Tried<'_> {
    fn drop(&mut self) {
        if let Some(file) = self.file.take() {
            // A file that stays is taken up by the next publication of these weights.
            let _ = self.publication.give_up(file, self.of);
        }
    }
}

#[derive(serde::Serialize)]
struct Attributes<'a> {
    staking_pool_id: ObjectId,
    state: &'a Path,
    weights_url: &'a str,
    weights_url_commitment: String,
    weights_commitment: String,
    weights_size: u64,
    bytes_read: Option<u64>,
    bytes_sent: Option<u64>,
    commit_epoch: u64,
    digest: Option<String>,
    revealed_epoch: Option<u64>,
    reveal_digest: Option<String>,
    findings: &'a Report,
}

fn published(
    file: &StateFile,
    of: RevealOf,
    uploaded: Option<&Uploaded>,
    committed: &Done,
    revealed: Option<&Done>,
) -> Result<Py<PyAny>> {
    let missing = || Error::Other("the weights are not published".to_owned());
    let round = file.state.round(of).ok_or_else(missing)?;
    let sealed = round.sealed.ok_or_else(missing)?;
    let digest = |done: &Done| done.executed.as_ref().map(|executed| executed.digest.to_string());
    let attributes = Attributes {
        staking_pool_id: file.state.staking_pool_id,
        state: file.path(),
        weights_url: round.weights_url.as_str(),
        weights_url_commitment: round.weights_url.commitment().to_hex(),
        weights_commitment: sealed.commitment.to_hex(),
        weights_size: sealed.size,
        bytes_read: uploaded.map(|uploaded| uploaded.read),
        bytes_sent: uploaded.map(|uploaded| uploaded.sent),
        commit_epoch: committed.epoch,
        digest: digest(committed),
        revealed_epoch: revealed.map(|done| done.epoch),
        reveal_digest: revealed.and_then(digest),
        findings: &committed.report,
    };
    Ok(Python::attach(|py| {
        let model = class(py, "PublishedModel")?.call1((file.state.model_id.to_string(),))?;
        for (name, value) in to_python(py, &attributes)?.cast_into::<PyDict>()? {
            model.setattr(name.cast::<PyString>()?, value)?;
        }
        Ok::<_, PyErr>(model.unbind())
    })?)
}

/// Its text may hold a password or a signature, so no error repeats it.
fn url(name: &str, text: &str) -> Result<Url> {
    text.parse().map_err(|error| Error::argument(format!("{name} is no URL: {error}")))
}

fn ways(text: &str) -> Result<Addressing> {
    match text {
        "auto" => Ok(Addressing::Automatic),
        "path" => Ok(Addressing::Path),
        "host" => Ok(Addressing::VirtualHost),
        _ => Err(Error::argument(format!("addressing is auto, path or host, not {text}"))),
    }
}
