//! One-call methods for models.

use std::path::PathBuf;
use std::sync::Arc;

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::PyString;
use soma_model::state::{Round, Terms};
use soma_model::{CommitPlan, Info, RevealOf, Standing, State, now_ms};
use soma_proto::system_state::ModelStatus;
use soma_proto::{ObjectId, TransactionData, TransactionKind};
use soma_rpc::{Executed, ModelFilter};

use super::inquire::effects;
use super::prepared::{self, Place};
use super::{SomaClient, step};
use crate::amount::Shannons;
use crate::arguments::{Account, Embedding, Id, Key, WeightsUrl};
use crate::error::{Error, Result};
use crate::kinds::{self, Reveal};
use crate::namespace::{class, shape};
use crate::request::TransactionRequest;
use crate::runtime;
use crate::wallet::Signer;
use crate::weights::Weights;

#[derive(serde::Serialize)]
struct ModelManifest {
    url: String,
    checksum: String,
    size: u64,
    decryption_key: String,
}

#[pymethods]
impl SomaClient {
    /// Commits to a new model and locks its stake; gives the model's id.
    ///
    /// ``encrypted_weights`` is what the URL serves: bytes, a buffer, a path or
    /// a binary file. ``commission_rate`` is in basis points (100 = 1 %, at
    /// most 10000). ``stake_amount`` is an int of shannons or a float or
    /// Decimal of SOMA; the network's minimum without it. The URL is committed
    /// to in its normal form. The ids are random.
    ///
    /// The model must be revealed in the next epoch, else half the stake is
    /// lost. With ``decryption_key`` (and ``embedding``) all that the reveal
    /// needs is written to a state file before anything is sent: to ``state``,
    /// or to the folder ``models`` of the wallet. Without the key there is no
    /// state file, and keeping key and URL is up to you.
    ///
    /// The answer is a str with ``staking_pool_id``, ``commit_epoch``,
    /// ``digest``, ``stake_id`` and ``state``. Raises Refused before anything
    /// is sent, ValueError for a stake in the wrong unit, TransactionFailed,
    /// OutcomeUnknown.
    ///
    /// >>> model = await client.commit_model(
    /// ...     signer, weights_url, encrypted_weights, 1000, stake_amount=1.0
    /// ... )
    /// >>> model.commit_epoch
    /// 0
    #[pyo3(signature = (signer, weights_url, encrypted_weights, commission_rate,
                        stake_amount = None, *, decryption_key = None, embedding = None,
                        state = None))]
    #[expect(clippy::too_many_arguments, reason = "the published client's arguments")]
    fn commit_model<'py>(
        &self,
        py: Python<'py>,
        signer: Signer,
        weights_url: WeightsUrl,
        encrypted_weights: Weights,
        commission_rate: u64,
        stake_amount: Option<Shannons>,
        decryption_key: Option<Key>,
        embedding: Option<Embedding>,
        state: Option<PathBuf>,
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
                let sealed_file = encrypted_weights.path().unwrap_or_default();
                let sealed = encrypted_weights.measure().await?;

                if let Some(Key(decryption_key)) = decryption_key {
                    let round = Round {
                        weights_file: PathBuf::new(),
                        plain_modified: None,
                        sealed_modified: None,
                        sealed_file,
                        weights_url: weights_url.0.normal().clone(),
                        decryption_key,
                        sealed: Some(sealed),
                        embedding: embedding.map(|embedding| embedding.0),
                        upload: None,
                        commit: None,
                        reveal: None,
                    };
                    let mut file = prepared::create(state, State::new(round, now_ms()))?;
                    let terms = Terms { stake_amount, commission_rate };
                    return prepared::commit(node, &signer, &mut file, Some(terms), false).await;
                }
                let plan = CommitPlan::new(
                    weights_url.0.normal().commitment(),
                    sealed.commitment,
                    stake_amount,
                )
                .with_commission_rate(commission_rate);
                let key = signer.key(node).await?;
                let prepared = plan.prepare(node, key.address(), &step::gas()?).await?.checked()?;
                let sent = step::send(node, &key, prepared.data, "CommitModel").await;
                let executed = sent.map_err(|error| with_model_id(error, &plan.ids.model_id))?;
                committed(&plan.ids.model_id, &plan.ids.staking_pool_id, &executed, None)
            }),
        )
    }

    /// Reveals a committed model in the epoch after its commit.
    ///
    /// ``encrypted_weights`` is what was committed to (only measured, not
    /// sent), ``decryption_key`` its key, ``embedding`` the vector that
    /// ``compute_loss`` gave: a sequence, a one-dimensional NumPy array or
    /// Torch tensor, or the path of a file.
    ///
    /// Owner, epoch, URL, checksum, key and embedding are checked first; Refused
    /// says all that is wrong, and then nothing has been sent. From a reveal on,
    /// URL and key are public.
    ///
    /// >>> model = await client.commit_model(signer, weights_url, encrypted_weights, 0)
    /// >>> await client.advance_epoch()
    /// 1
    /// >>> await client.reveal_model(
    /// ...     signer, model, weights_url, encrypted_weights, decryption_key, embedding
    /// ... )
    /// >>> (await client.get_model(model)).status
    /// 'Active'
    #[expect(clippy::too_many_arguments, reason = "the published client's arguments")]
    fn reveal_model<'py>(
        &self,
        py: Python<'py>,
        signer: Signer,
        model_id: Id,
        weights_url: WeightsUrl,
        encrypted_weights: Weights,
        decryption_key: Key,
        embedding: Embedding,
    ) -> PyResult<Bound<'py, PyAny>> {
        let rest = (model_id, weights_url, encrypted_weights, decryption_key, embedding);
        self.reveal(py, signer, rest, RevealOf::Registration)
    }

    /// Commits to new weights of an active model; encrypt them under a new key.
    ///
    /// Not revealed in the next epoch, the update is dropped and the old
    /// weights stay.
    ///
    /// >>> model = await client.commit_model(signer, weights_url, encrypted_weights, 0)
    /// >>> await client.advance_epoch()
    /// 1
    /// >>> await client.reveal_model(
    /// ...     signer, model, weights_url, encrypted_weights, decryption_key, embedding
    /// ... )
    /// >>> sealed, key = SomaClient.encrypt_weights(weights)
    /// >>> await client.commit_model_update(signer, model, weights_url + "?2", sealed)
    /// >>> (await client.get_model(model)).pending_update.commit_epoch
    /// 1
    fn commit_model_update<'py>(
        &self,
        py: Python<'py>,
        signer: Signer,
        model_id: Id,
        weights_url: WeightsUrl,
        encrypted_weights: Weights,
    ) -> PyResult<Bound<'py, PyAny>> {
        let services = Arc::clone(&self.services);
        runtime::future(py, async move {
            let sealed = encrypted_weights.measure().await?;
            let url = crate::arguments::Hash(weights_url.0.normal().commitment());
            let weights = crate::arguments::Hash(sealed.commitment);
            let kind = kinds::commit_model_update(model_id, url, weights);
            step::run(&services.node, &signer, kind).await.map(drop)
        })
    }

    /// Reveals new weights of an active model; arguments and checks as
    /// :meth:`reveal_model`.
    ///
    /// >>> model = await client.commit_model(signer, weights_url, encrypted_weights, 0)
    /// >>> await client.advance_epoch()
    /// 1
    /// >>> await client.reveal_model(
    /// ...     signer, model, weights_url, encrypted_weights, decryption_key, embedding
    /// ... )
    /// >>> sealed, key = SomaClient.encrypt_weights(weights)
    /// >>> await client.commit_model_update(signer, model, weights_url + "?2", sealed)
    /// >>> await client.advance_epoch()
    /// 2
    /// >>> await client.reveal_model_update(
    /// ...     signer, model, weights_url + "?2", sealed, key, embedding
    /// ... )
    #[expect(clippy::too_many_arguments, reason = "the published client's arguments")]
    fn reveal_model_update<'py>(
        &self,
        py: Python<'py>,
        signer: Signer,
        model_id: Id,
        weights_url: WeightsUrl,
        encrypted_weights: Weights,
        decryption_key: Key,
        embedding: Embedding,
    ) -> PyResult<Bound<'py, PyAny>> {
        let rest = (model_id, weights_url, encrypted_weights, decryption_key, embedding);
        self.reveal(py, signer, rest, RevealOf::Update)
    }

    /// Withdraws an active model from the competition, for good; no slash.
    ///
    /// >>> model = await client.commit_model(signer, weights_url, encrypted_weights, 0)
    /// >>> await client.advance_epoch()
    /// 1
    /// >>> await client.reveal_model(
    /// ...     signer, model, weights_url, encrypted_weights, decryption_key, embedding
    /// ... )
    /// >>> await client.deactivate_model(signer, model)
    /// >>> (await client.get_model(model)).status
    /// 'Inactive'
    fn deactivate_model<'py>(
        &self,
        py: Python<'py>,
        signer: Signer,
        model_id: Id,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.run(py, signer, kinds::deactivate_model(model_id))
    }

    /// Sets the commission of an active model in basis points (at most 10000),
    /// in force from the next epoch on.
    ///
    /// >>> model = await client.commit_model(signer, weights_url, encrypted_weights, 0)
    /// >>> await client.advance_epoch()
    /// 1
    /// >>> await client.reveal_model(
    /// ...     signer, model, weights_url, encrypted_weights, decryption_key, embedding
    /// ... )
    /// >>> await client.set_model_commission_rate(signer, model, 500)
    /// >>> (await client.get_model(model)).next_epoch_commission_rate
    /// 500
    fn set_model_commission_rate<'py>(
        &self,
        py: Python<'py>,
        signer: Signer,
        model_id: Id,
        new_rate: u64,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.run(py, signer, kinds::set_model_commission_rate(model_id, new_rate))
    }

    /// Reports a model whose weights cannot be had; for validators.
    ///
    /// >>> await client.report_model(signer, new_model_id())
    /// Traceback (most recent call last):
    /// soma.TransactionFailed: ReportModel failed: NotAValidator...
    fn report_model<'py>(
        &self,
        py: Python<'py>,
        signer: Signer,
        model_id: Id,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.run(py, signer, kinds::report_model(model_id))
    }

    /// Takes a report back; for validators.
    ///
    /// >>> await client.undo_report_model(signer, new_model_id())
    /// Traceback (most recent call last):
    /// soma.TransactionFailed: UndoReportModel failed: NotAValidator...
    fn undo_report_model<'py>(
        &self,
        py: Python<'py>,
        signer: Signer,
        model_id: Id,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.run(py, signer, kinds::undo_report_model(model_id))
    }

    /// Signs and sends a transaction and waits for its checkpoint; gives the
    /// effects.
    ///
    /// ``tx`` is a :class:`TransactionRequest` of a plain builder: the signer
    /// becomes the sender, coins are chosen, and what can be checked is checked.
    /// Or it is BCS(TransactionData), whose sender must be the signer; it is
    /// sent as it is.
    ///
    /// Raises Refused, TransactionFailed, OutcomeUnknown; ValueError for another
    /// sender.
    ///
    /// >>> tx = build_commit_model(new_model_id(), "ab" * 32, "cd" * 32, 1.0, 0, new_model_id())
    /// >>> effects = await client.submit(signer, tx)
    /// >>> effects.status, effects.transaction_fee.total_fee
    /// ('Success', 501900)
    fn submit<'py>(
        &self,
        py: Python<'py>,
        signer: Signer,
        tx: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let tx = if let Ok(request) = tx.cast::<TransactionRequest>() {
            Submission::Request(Box::new(request.get().clone()))
        } else if let Ok(bytes) = tx.extract::<Vec<u8>>() {
            let data = TransactionData::from_bcs(&bytes).map_err(Error::from)?;
            if data.sender() != signer.address() {
                let (sender, signer) = (data.sender(), signer.address());
                let text = format!("the transaction's sender is {sender}, the signer is {signer}");
                return Err(Error::argument(text).into());
            }
            Submission::Data(Box::new(data))
        } else {
            return Err(PyTypeError::new_err("submit takes a TransactionRequest or bytes"));
        };
        let services = Arc::clone(&self.services);
        runtime::future(py, async move {
            let node = &services.node;
            let executed = match tx {
                Submission::Request(request) => {
                    let TransactionRequest { mut kind, any_architecture } = *request;
                    if let (TransactionKind::CommitModel(commit), true) =
                        (&mut kind, any_architecture)
                    {
                        commit.architecture_version = node.architecture_version().await?;
                    }
                    step::run(node, &signer, kind).await?
                }
                Submission::Data(data) => {
                    let (key, what) = (signer.key(node).await?, data.kind().name());
                    step::send(node, &key, *data, what).await?
                }
            };
            effects(&executed.effects)
        })
    }

    /// Everything the chain knows of a model, with the fields of
    /// ``soma model info --json``: ``status`` (``"Committed"``, ``"Active"``,
    /// ``"Inactive"``), ``reveal_epoch``, ``weights_url`` and so on. A field
    /// that does not apply is absent. ``embedding=True`` adds the vector.
    ///
    /// Raises SomaError if there is no such model.
    ///
    /// >>> model = await client.commit_model(signer, weights_url, encrypted_weights, 0)
    /// >>> info = await client.get_model(model)
    /// >>> info.status, info.reveal_epoch, info.summary.stake_balance
    /// ('Committed', 1, 1000000000)
    #[pyo3(signature = (model_id, *, embedding = false))]
    fn get_model<'py>(
        &self,
        py: Python<'py>,
        model_id: Id,
        embedding: bool,
    ) -> PyResult<Bound<'py, PyAny>> {
        let services = Arc::clone(&self.services);
        runtime::future(py, async move {
            let standing = Standing::ask(&services.node, &model_id.0).await?;
            let info = Info::new(&standing);
            let info = if embedding { info.with_embedding(&standing) } else { info };
            Ok(Python::attach(|py| shape(py, &info).map(Bound::unbind))?)
        })
    }

    /// Models, active ones first, then committed, then inactive: of an owner,
    /// or with a status (``"committed"``, ``"active"``, ``"inactive"``).
    ///
    /// >>> model = await client.commit_model(signer, weights_url, encrypted_weights, 0)
    /// >>> [one] = await client.list_models(owner=signer.address())
    /// >>> one.model_id == model, one.status
    /// (True, 'Committed')
    #[pyo3(signature = (owner = None, status = None))]
    fn list_models<'py>(
        &self,
        py: Python<'py>,
        owner: Option<Account>,
        status: Option<&str>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let filter = ModelFilter {
            owner: owner.map(|owner| owner.0),
            status: status.map(model_status).transpose()?,
        };
        let services = Arc::clone(&self.services);
        runtime::future(py, async move {
            let list = soma_model::info::List::new(&services.node.models(&filter).await?);
            Ok(Python::attach(|py| shape(py, &list.models).map(Bound::unbind))?)
        })
    }

    /// Where the weights of models are: ``url``, ``checksum`` and
    /// ``decryption_key`` (hex), ``size`` (bytes). Takes a list of ids, or
    /// anything with ``model_ids``; models that are not revealed are left out.
    ///
    /// >>> model = await client.commit_model(signer, weights_url, encrypted_weights, 0)
    /// >>> await client.advance_epoch()
    /// 1
    /// >>> await client.reveal_model(
    /// ...     signer, model, weights_url, encrypted_weights, decryption_key, embedding
    /// ... )
    /// >>> [manifest] = await client.get_model_manifests([model])
    /// >>> manifest.url == weights_url, manifest.size == len(weights)
    /// (True, True)
    fn get_model_manifests<'py>(
        &self,
        py: Python<'py>,
        model_ids_or_target: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let ids = match model_ids_or_target.getattr_opt("model_ids")? {
            Some(ids) => ids,
            None => model_ids_or_target.clone(),
        };
        if ids.is_instance_of::<PyString>() {
            return Err(PyTypeError::new_err("give a list of model ids"));
        }
        let ids: Vec<Id> = ids.extract()?;
        let services = Arc::clone(&self.services);
        runtime::future(py, async move {
            let mut manifests = Vec::new();
            for Id(id) in ids {
                let found = services.node.model(&id).await?;
                let Some(weights) = found.and_then(|found| found.model.weights_manifest) else {
                    continue;
                };
                manifests.push(ModelManifest {
                    url: weights.manifest.url().as_str().to_owned(),
                    checksum: weights.manifest.checksum().to_string(),
                    size: weights.manifest.size(),
                    decryption_key: soma_proto::Commitment::new(*weights.decryption_key.as_bytes())
                        .to_hex(),
                });
            }
            Ok(Python::attach(|py| shape(py, &manifests).map(Bound::unbind))?)
        })
    }
}

enum Submission {
    Request(Box<TransactionRequest>),
    Data(Box<TransactionData>),
}

impl SomaClient {
    /// A step that gives nothing back.
    fn run<'py>(
        &self,
        py: Python<'py>,
        signer: Signer,
        kind: TransactionKind,
    ) -> PyResult<Bound<'py, PyAny>> {
        let services = Arc::clone(&self.services);
        runtime::future(py, async move { step::run(&services.node, &signer, kind).await.map(drop) })
    }

    fn reveal<'py>(
        &self,
        py: Python<'py>,
        signer: Signer,
        (model_id, weights_url, weights, decryption_key, embedding): (
            Id,
            WeightsUrl,
            Weights,
            Key,
            Embedding,
        ),
        of: RevealOf,
    ) -> PyResult<Bound<'py, PyAny>> {
        let services = Arc::clone(&self.services);
        runtime::future(
            py,
            runtime::apart(move || async move {
                let node = &services.node;
                let sealed = weights.measure().await?;
                let reveal = Reveal {
                    model_id,
                    weights_url,
                    weights_checksum: crate::arguments::Hash(sealed.commitment),
                    weights_size: sealed.size,
                    decryption_key,
                    embedding,
                };
                let (plan, key) = (reveal.plan(of), signer.key(node).await?);
                let what = plan.kind().name();
                let prepared = step::prepare_reveal(node, key.address(), &plan).await?.checked()?;
                step::send(node, &key, prepared.data, what).await.map(drop)
            }),
        )
    }
}

/// The id of a model that was just committed, with what belongs to it.
pub(super) fn committed(
    model_id: &ObjectId,
    pool_id: &ObjectId,
    executed: &Executed,
    state: Option<&Place>,
) -> Result<Py<PyAny>> {
    let receipt = executed.effects.created().find(|object| object.owner.address().is_some());
    Ok(Python::attach(|py| {
        let model = class(py, "CommittedModel")?.call1((model_id.to_string(),))?;
        model.setattr("staking_pool_id", pool_id.to_string())?;
        model.setattr("commit_epoch", executed.effects.v1().executed_epoch)?;
        model.setattr("digest", executed.digest.to_string())?;
        model.setattr("stake_id", receipt.map(|object| object.reference.id().to_string()))?;
        model.setattr("state", state.map(|place| place.0.clone().into_os_string()))?;
        Ok::<_, PyErr>(model.unbind())
    })?)
}

/// The ids of a commit are random, so nobody else could name the model.
fn with_model_id(error: Error, model: &ObjectId) -> Error {
    match error {
        Error::Rpc(soma_rpc::Error::OutcomeUnknown { digest, reason }) => {
            let reason = format!("{reason}; the id of the model is {model}");
            Error::Rpc(soma_rpc::Error::OutcomeUnknown { digest, reason })
        }
        error => error,
    }
}

fn model_status(word: &str) -> Result<ModelStatus> {
    Ok(match word.to_ascii_lowercase().as_str() {
        "committed" => ModelStatus::Committed,
        "active" => ModelStatus::Active,
        "inactive" => ModelStatus::Inactive,
        _ => {
            let text =
                format!("there is no status {word:?}; known are committed, active, inactive");
            return Err(Error::argument(text));
        }
    })
}
