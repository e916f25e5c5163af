//! What hosts serve for registered models: fetched, verified, audited.
//!
//! Whoever registers a model chooses the URL. On a public network it must not lead into
//! our own, unless that is asked for.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::PyBytes;
use soma_crypto::Blake2b256;
use soma_model::audit::{self, AuditOptions};
use soma_model::{Depth, Scope, Standing};
use soma_proto::system_state::ModelStatus;
use soma_proto::{ModelWeightsManifest, ObjectId};
use soma_rpc::Client;
use soma_storage::{Expected, Storage, redacted};

use super::{SomaClient, step};
use crate::arguments::{Id, text_path};
use crate::error::{Error, Result};
use crate::namespace::{made, shape};
use crate::runtime;
use crate::weights::{Gathered, Progress, transferring};

/// Bytes of weights fetched in one request.
const FETCH_STEP: u64 = 8 << 20;

#[derive(serde::Serialize)]
struct Downloaded {
    output: PathBuf,
    size: u64,
    commitment: String,
}

#[pymethods]
impl SomaClient {
    /// The encrypted weights of a revealed model, fetched from their URL and
    /// verified against size and checksum.
    ///
    /// They are held once, in the bytes that are returned. What is too large for that,
    /// :meth:`download_model` puts into a file. ``allow_private`` fetches from private
    /// addresses and by plain http on a public network too.
    ///
    /// Raises SomaError if the weights are not revealed, not the committed ones or at a
    /// URL that must not be fetched, TransportError if the host does not answer.
    ///
    /// >>> model = await client.commit_model(signer, weights_url, encrypted_weights, 0)
    /// >>> await client.advance_epoch()
    /// 1
    /// >>> await client.reveal_model(
    /// ...     signer, model, weights_url, encrypted_weights, decryption_key, embedding
    /// ... )
    /// >>> await client.fetch_model(model) == encrypted_weights
    /// True
    #[pyo3(signature = (model_id, *, allow_private = false))]
    fn fetch_model<'py>(
        &self,
        py: Python<'py>,
        model_id: Id,
        allow_private: bool,
    ) -> PyResult<Bound<'py, PyAny>> {
        let services = Arc::clone(&self.services);
        runtime::future(
            py,
            runtime::apart(move || async move {
                let (storage, _) = storage(&services.node, allow_private)?;
                fetch(&storage, &revealed(&services.node, &model_id.0).await?).await
            }),
        )
    }

    /// Fetches the weights of a revealed model into a file, which gets its name only if
    /// size and checksum are those of the chain; with ``decrypt`` it is the plain
    /// weights, decrypted on their way to the disk. Memory does not grow with them.
    ///
    /// What was fetched before an interruption or a cancellation stays in ``.NAME.part``
    /// beside ``output``, and the same call goes on from there. ``progress`` hears of
    /// bytes that are there.
    ///
    /// Gives a :class:`DownloadedFile`. Raises FileExistsError if ``output`` is there and
    /// ``overwrite`` is not set, OSError for what cannot be written or what the disk has
    /// no room for, SomaError for files of more than ``max_size`` bytes (1 TiB), and as
    /// :meth:`fetch_model`, whose ``allow_private`` it takes.
    ///
    /// >>> model = await client.commit_model(signer, weights_url, encrypted_weights, 0)
    /// >>> await client.advance_epoch()
    /// 1
    /// >>> await client.reveal_model(
    /// ...     signer, model, weights_url, encrypted_weights, decryption_key, embedding
    /// ... )
    /// >>> done = await client.download_model(model, folder / "copy", decrypt=True)
    /// >>> (folder / "copy").read_bytes() == weights, done.size == len(weights)
    /// (True, True)
    #[pyo3(signature = (model_id, output, *, decrypt = false, overwrite = false,
                        max_size = None, allow_private = false, progress = None))]
    #[expect(clippy::too_many_arguments, reason = "all but two have defaults")]
    fn download_model<'py>(
        &self,
        py: Python<'py>,
        model_id: Id,
        output: PathBuf,
        decrypt: bool,
        overwrite: bool,
        max_size: Option<u64>,
        allow_private: bool,
        progress: Option<Progress>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let services = Arc::clone(&self.services);
        runtime::future(
            py,
            runtime::apart(move || async move {
                text_path(&output)?;
                if !overwrite && fs::symlink_metadata(&output).is_ok() {
                    return Err(soma_crypto::Error::OutputExists { path: output }.into());
                }
                let (storage, _) = storage(&services.node, allow_private)?;
                let weights = revealed(&services.node, &model_id.0).await?;
                let largest = max_size.unwrap_or(AuditOptions::LARGEST);
                let expected = expected(&weights).within(largest)?;
                let (size, commitment) = (expected.size, expected.digest.to_string());
                let progress = progress.as_ref();
                download(&storage, &weights, &expected, &output, decrypt, progress).await?;
                made("DownloadedFile", &Downloaded { output, size, commitment })
            }),
        )
    }

    /// Finds out whether a model's weights are what the chain says: compares size,
    /// checksum and commitments, decrypts with the revealed key and reads the header.
    /// Nothing is stored.
    ///
    /// ``header_only`` fetches the beginning of the file only and compares no checksum.
    /// Files of more than ``max_size`` bytes (1 TiB) are not fetched; ``allow_private``
    /// as :meth:`fetch_model`.
    ///
    /// Gives an object with ``model_id``, ``owner``, ``status``, ``ok``, ``findings``
    /// and, once revealed, ``weights_url`` and ``weights_size`` (bytes); a finding has
    /// ``severity``, ``check`` and ``message``. What is wrong with the model is no
    /// exception; SomaError if there is no such model.
    ///
    /// >>> model = await client.commit_model(signer, weights_url, encrypted_weights, 0)
    /// >>> await client.advance_epoch()
    /// 1
    /// >>> await client.reveal_model(
    /// ...     signer, model, weights_url, encrypted_weights, decryption_key, embedding
    /// ... )
    /// >>> found = await client.verify_model(model)
    /// >>> found.ok, found.findings
    /// (True, [])
    #[pyo3(signature = (model_id, *, header_only = false, max_size = None, allow_private = false))]
    fn verify_model<'py>(
        &self,
        py: Python<'py>,
        model_id: Id,
        header_only: bool,
        max_size: Option<u64>,
        allow_private: bool,
    ) -> PyResult<Bound<'py, PyAny>> {
        let services = Arc::clone(&self.services);
        runtime::future(
            py,
            runtime::apart(move || async move {
                let node = &services.node;
                let (storage, scope) = storage(node, allow_private)?;
                let options = options(node, header_only, max_size, scope, 1).await?;
                let standing = Standing::ask(node, &model_id.0).await?;
                let audited = audit::verify(&storage, &standing, &options).await;
                Ok(Python::attach(|py| shape(py, &audited).map(Bound::unbind))?)
            }),
        )
    }

    /// Verifies every model of the registry and compares them with each other: weights
    /// that cannot be fetched or are not the committed ones, copied commitments, keys
    /// that were used again.
    ///
    /// ``parallel`` models are looked at at the same time, ``active_only`` leaves out
    /// those that are not active; ``progress`` hears of models, not bytes. The rest as
    /// :meth:`verify_model`.
    ///
    /// Gives an object with ``ok``, ``total``, ``faulty``, ``models`` (as
    /// :meth:`verify_model` gives them) and ``markdown``, the report as text.
    ///
    /// >>> model = await client.commit_model(signer, weights_url, encrypted_weights, 0)
    /// >>> found = await client.audit_models()
    /// >>> found.ok, found.total, found.faulty
    /// (True, 1, 0)
    #[pyo3(signature = (*, active_only = false, header_only = false, max_size = None,
                        parallel = 8, allow_private = false, progress = None))]
    #[expect(clippy::too_many_arguments, reason = "all have defaults")]
    fn audit_models<'py>(
        &self,
        py: Python<'py>,
        active_only: bool,
        header_only: bool,
        max_size: Option<u64>,
        parallel: usize,
        allow_private: bool,
        progress: Option<Progress>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let services = Arc::clone(&self.services);
        runtime::future(
            py,
            runtime::apart(move || async move {
                let node = &services.node;
                let (storage, scope) = storage(node, allow_private)?;
                let options = options(node, header_only, max_size, scope, parallel).await?;
                let status = active_only.then_some(ModelStatus::Active);
                let registry = audit::registry(node, status).await?;
                let total = registry.models.len() as u64;
                let found = transferring(progress.as_ref(), async |teller| {
                    let told = |done: usize| {
                        // What it raised ends the audit.
                        let _ = teller.tell(done as u64, Some(total));
                    };
                    Ok(audit::audit(&storage, registry, &options, told).await)
                })
                .await?;
                Ok(Python::attach(|py| {
                    let shape = shape(py, &found)?;
                    shape.setattr("markdown", found.to_markdown())?;
                    Ok::<_, PyErr>(shape.unbind())
                })?)
            }),
        )
    }
}

/// Fetches from hosts that strangers chose.
fn storage(node: &Client, allow_private: bool) -> Result<(Storage, Scope)> {
    let scope = if allow_private { Scope::Local } else { step::scope(node) };
    Ok((step::storage(scope)?, scope))
}

async fn options(
    node: &Client,
    header_only: bool,
    max_size: Option<u64>,
    scope: Scope,
    at_once: usize,
) -> Result<AuditOptions> {
    Ok(AuditOptions {
        depth: if header_only { Depth::Header } else { Depth::Everything },
        largest: max_size.unwrap_or(AuditOptions::LARGEST),
        at_once,
        scope,
        embedding_dim: node.parameters().await?.target_embedding_dim,
        grace: AuditOptions::GRACE,
        least_rate: AuditOptions::LEAST_RATE,
    })
}

/// What a model has revealed of its weights.
async fn revealed(node: &Client, id: &ObjectId) -> Result<ModelWeightsManifest> {
    let standing = Standing::ask(node, id).await?;
    let missing = || Error::Other(format!("the weights of model {id} are not revealed"));
    standing.model.weights_manifest.ok_or_else(missing)
}

fn expected(weights: &ModelWeightsManifest) -> Expected {
    let digest = (*weights.manifest.checksum().inner()).into();
    Expected { size: weights.manifest.size(), digest }
}

/// Each byte goes from its request into the bytes that are returned, past the hash.
async fn fetch(storage: &Storage, weights: &ModelWeightsManifest) -> Result<Py<PyBytes>> {
    let (url, expected) = (weights.manifest.url().as_url(), expected(weights));
    let mut gathered = Python::attach(Gathered::new)?;
    let mut hasher = Blake2b256::new();
    let mut at = 0;
    while at < expected.size {
        let part = storage.fetch_range(url, at..expected.size.min(at + FETCH_STEP)).await;
        let part = part.map_err(Error::Served)?;
        if part.is_empty() {
            let url = redacted(url);
            let (expected, found) = (expected.size, at);
            return Err(soma_storage::Error::Truncated { url, expected, found }.into());
        }
        hasher.update(&part);
        gathered.write_all(&part).map_err(|error| Error::Other(error.to_string()))?;
        at += part.len() as u64;
    }
    let found = hasher.finalize();
    if found != expected.digest {
        let (url, expected) = (redacted(url), expected.digest);
        return Err(soma_storage::Error::DigestMismatch { url, expected, found }.into());
    }
    Python::attach(|py| Ok(gathered.finish(py)?.unbind()))
}

async fn download(
    storage: &Storage,
    weights: &ModelWeightsManifest,
    expected: &Expected,
    output: &Path,
    decrypt: bool,
    progress: Option<&Progress>,
) -> Result<()> {
    let url = weights.manifest.url().as_url();
    transferring(progress, async |teller| {
        let tell = |done: u64| {
            // What it raised ends the transfer, wherever it waits.
            let _ = teller.tell(done, Some(expected.size));
        };
        if decrypt {
            let key = soma_crypto::Key::from_bytes(*weights.decryption_key.as_bytes());
            storage.download_decrypted(url, output, expected, &key, tell).await
        } else {
            storage.download(url, output, expected, tell).await
        }
        .map(drop)
        .map_err(Error::Served)
    })
    .await
}
