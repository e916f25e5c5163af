//! Models that moved: found again after a machine was lost, or carried to another.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use pyo3::prelude::*;
use soma_model::{Recovery, Report, RevealOf, StateFile, transfer};
use soma_proto::{Address, ObjectId};
use soma_wallet::file;
use zeroize::Zeroizing;

use super::prepared::{self, Place};
use super::{SomaClient, step};
use crate::arguments::{Embedding, WeightsUrl};
use crate::error::{Error, Result};
use crate::namespace::made;
use crate::runtime::{self, Stop};
use crate::wallet::Signer;

#[derive(serde::Serialize)]
struct RecoveredModel<'a> {
    model_id: ObjectId,
    owner: Address,
    state: PathBuf,
    weights_url: &'a str,
    /// What waits for its reveal.
    waiting: Option<&'static str>,
    has_embedding: bool,
    findings: &'a Report,
}

#[derive(serde::Serialize)]
struct ImportedModel<'a> {
    model_id: ObjectId,
    state: &'a Path,
}

#[pymethods]
impl SomaClient {
    /// Finds a model again whose state file is lost, by the URL of its encrypted weights.
    ///
    /// The key is made from the owner's key and the object's name (64 hex digits, as
    /// :meth:`publish` and the ``soma`` command name objects in a folder); the rest is on
    /// the chain and in the encrypted state beside the object. ``signer`` is the owner,
    /// or a wallet of which all keys are tried; the default wallet without it. The
    /// ``embedding`` is needed only where no state lies beside the object. What was
    /// found is written to a new state file in the wallet's folder.
    ///
    /// Gives a :class:`RecoveredModel`, with which :meth:`reveal_when_open` goes on.
    /// Raises SomaError if nothing is found, FileExistsError if there is a state file
    /// already, TransportError if host or node do not answer.
    ///
    /// >>> import os
    /// >>> model = await client.publish(signer, weights_file, host, embedding=embedding)
    /// >>> os.remove(model.state)
    /// >>> found = await client.recover_model(model.weights_url, signer, embedding=embedding)
    /// >>> found.model_id == model, found.waiting
    /// (True, 'registration')
    #[pyo3(signature = (weights_url, signer = None, *, embedding = None))]
    fn recover_model<'py>(
        &self,
        py: Python<'py>,
        weights_url: WeightsUrl,
        signer: Option<Signer>,
        embedding: Option<Embedding>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let services = Arc::clone(&self.services);
        runtime::future(
            py,
            runtime::apart(move || async move {
                let signer = match signer {
                    Some(signer) => signer,
                    None => Signer::of_default_wallet(None)?,
                };
                let storage = step::storage(step::scope(&services.node))?;
                let folder = prepared::folder()?;
                let recovery = Recovery {
                    client: &services.node,
                    storage: &storage,
                    keys: signer.keys(),
                    folder: &folder,
                    embedding: embedding.map(|embedding| embedding.0),
                };
                let found = recovery.run(&weights_url.0).await?;
                made(
                    "RecoveredModel",
                    &RecoveredModel {
                        model_id: found.state.model_id,
                        owner: found.owner,
                        state: found.path,
                        weights_url: weights_url.0.normal().as_str(),
                        waiting: found.of.map(RevealOf::as_str),
                        has_embedding: found.state.current().1.embedding.is_some(),
                        findings: &found.report,
                    },
                )
            }),
        )
    }

    /// Writes the state of a model to a file, encrypted with a passphrase; awaitable.
    ///
    /// ``state`` is a state file, a model's id, or what prepare, commit or publish gave;
    /// ``output`` is never overwritten. The file has the format of age
    /// (age-encryption.org) and takes about a second and 256 MiB of memory to make. Once
    /// it is imported elsewhere, act there only.
    ///
    /// Raises ValueError for a passphrase of fewer than 12 characters, FileExistsError,
    /// SomaError for a state that cannot be used.
    ///
    /// >>> prepared = await client.prepare_model(weights_file, weights_url)
    /// >>> await SomaClient.export_state(prepared, folder / "state.age", "a long passphrase")
    #[staticmethod]
    fn export_state<'py>(
        py: Python<'py>,
        state: Place,
        output: PathBuf,
        passphrase: String,
    ) -> PyResult<Bound<'py, PyAny>> {
        let passphrase = Zeroizing::new(passphrase);
        runtime::future(
            py,
            runtime::on_a_thread(move |stop| {
                let file = StateFile::open(&state.0)?;
                let bytes = transfer::export(&file.state, &passphrase)?;
                wanted(&stop)?;
                Ok(file::create(&output, &bytes, file::Access::Owner)?)
            }),
        )
    }

    /// Reads a state that :meth:`export_state` or ``soma model export-state`` has written
    /// into a state file: ``state``, or one in the wallet's folder; awaitable.
    ///
    /// Gives an :class:`ImportedModel`. Raises ValueError for another passphrase or
    /// another kind of file, FileExistsError if there is a state file already.
    ///
    /// >>> import os
    /// >>> prepared = await client.prepare_model(weights_file, weights_url)
    /// >>> await SomaClient.export_state(prepared, folder / "state.age", "a long passphrase")
    /// >>> os.remove(prepared.state)
    /// >>> imported = await SomaClient.import_state(folder / "state.age", "a long passphrase")
    /// >>> imported.model_id == prepared.model_id, imported.state == prepared.state
    /// (True, True)
    #[staticmethod]
    #[pyo3(signature = (source, passphrase, *, state = None))]
    fn import_state<'py>(
        py: Python<'py>,
        source: PathBuf,
        passphrase: String,
        state: Option<PathBuf>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let passphrase = Zeroizing::new(passphrase);
        runtime::future(
            py,
            runtime::on_a_thread(move |stop| {
                let found = transfer::import_file(&source, &passphrase)?;
                wanted(&stop)?;
                let file = prepared::create(state, found)?;
                let model_id = file.state.model_id;
                made("ImportedModel", &ImportedModel { model_id, state: file.path() })
            }),
        )
    }
}

/// Nothing is written once nobody waits for it.
fn wanted(stop: &Stop) -> Result<()> {
    if stop.is_set() { Err(Error::Other("cancelled".to_owned())) } else { Ok(()) }
}
