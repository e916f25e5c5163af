//! Questions that change nothing: the chain, epochs, objects, transactions.

use std::sync::Arc;
use std::time::Duration;

use pyo3::prelude::*;
use pyo3::types::PyDict;
use soma_model::check_disclosure;
use soma_proto::{ObjectType, SignedTransaction, TransactionData};

use super::{SomaClient, step};
use crate::arguments::{Account, Digest, Id};
use crate::error::{Error, Result};
use crate::namespace::{self, shape, shape_of};
use crate::runtime;

/// How often the epoch is asked for while it is waited for.
const EPOCH_INTERVAL: Duration = Duration::from_millis(250);

/// The version that nodes of this network's release answer with.
const API_VERSION: &str = "0.1.0";

/// The answer of the faucet.
#[derive(serde::Serialize)]
struct FaucetAnswer {
    status: &'static str,
    coins_sent: Vec<FaucetCoin>,
}

#[derive(serde::Serialize)]
struct FaucetCoin {
    amount: u64,
    id: String,
    transfer_tx_digest: String,
}

#[pymethods]
impl SomaClient {
    /// The chain's name: ``"localnet"``, ``"testnet"``.
    ///
    /// >>> await client.get_chain_identifier()
    /// 'localnet'
    fn get_chain_identifier<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let services = Arc::clone(&self.services);
        runtime::future(py, async move {
            let chain = services.node.service_info().await?.chain;
            chain.ok_or_else(|| Error::Other("the node does not name its chain".to_owned()))
        })
    }

    /// The node's name and version, for example ``"soma-node/0.1.0"``.
    ///
    /// >>> await client.get_server_version()
    /// 'soma-node/0.1.0'
    fn get_server_version<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let services = Arc::clone(&self.services);
        runtime::future(py, async move {
            let server = services.node.service_info().await?.server;
            server.ok_or_else(|| Error::Other("the node does not name itself".to_owned()))
        })
    }

    /// The protocol version in force.
    ///
    /// >>> await client.get_protocol_version()
    /// 1
    fn get_protocol_version<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let services = Arc::clone(&self.services);
        runtime::future(py, async move { Ok(services.node.protocol_version().await?) })
    }

    /// The architecture that new models are committed for.
    ///
    /// >>> await client.get_architecture_version()
    /// 1
    fn get_architecture_version<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let services = Arc::clone(&self.services);
        runtime::future(py, async move { Ok(services.node.architecture_version().await?) })
    }

    /// How many numbers an embedding has on this network.
    ///
    /// >>> len(embedding) == await client.get_embedding_dim()
    /// True
    fn get_embedding_dim<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let services = Arc::clone(&self.services);
        runtime::future(
            py,
            async move { Ok(services.node.parameters().await?.target_embedding_dim) },
        )
    }

    /// The smallest stake of a model, in shannons.
    ///
    /// >>> await client.get_model_min_stake()
    /// 1000000000
    fn get_model_min_stake<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let services = Arc::clone(&self.services);
        runtime::future(py, async move { Ok(services.node.parameters().await?.model_min_stake) })
    }

    /// Raises SomaError unless the node has the version that this client is for.
    ///
    /// >>> await client.check_api_version()
    fn check_api_version<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let services = Arc::clone(&self.services);
        runtime::future(py, async move {
            let info = services.node.service_info().await?;
            match info.server_version() {
                Some(API_VERSION) => Ok(()),
                found => {
                    let found = found.unwrap_or("none");
                    let text =
                        format!("this client is for version {API_VERSION}, the node has {found}");
                    Err(Error::Other(text))
                }
            }
        })
    }

    /// The whole system state: epoch, validators, parameters, registry.
    ///
    /// It grows with the number of models; :meth:`get_model`,
    /// :meth:`get_epoch` and :meth:`get_embedding_dim` ask for less.
    ///
    /// >>> state = await client.get_latest_system_state()
    /// >>> state.epoch, state.parameters.value_fee_bps
    /// (0, 10)
    fn get_latest_system_state<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let services = Arc::clone(&self.services);
        runtime::future(py, async move {
            let state = services.node.system_state().await?;
            Ok(Python::attach(|py| shape(py, state.v1()).map(Bound::unbind))?)
        })
    }

    /// An epoch, the running one by default.
    ///
    /// Fields: ``epoch``, ``first_checkpoint_id``, ``epoch_total_transactions``,
    /// ``reference_gas_price``, ``epoch_start_timestamp_ms``,
    /// ``end_of_epoch_info``; ``None`` where the node does not tell.
    /// ``epoch.epoch`` and ``epoch.protocolConfig`` are there for code written
    /// for earlier clients.
    ///
    /// >>> (await client.get_epoch()).epoch
    /// 0
    #[pyo3(signature = (epoch = None))]
    fn get_epoch<'py>(&self, py: Python<'py>, epoch: Option<u64>) -> PyResult<Bound<'py, PyAny>> {
        let services = Arc::clone(&self.services);
        runtime::future(py, async move {
            let record = services.node.epoch_record(epoch).await?;
            Ok(Python::attach(|py| epoch_shape(py, &record).map(Bound::unbind))?)
        })
    }

    /// Waits until the epoch after the running one has begun; gives its number.
    ///
    /// Raises EpochTimeout after ``timeout`` seconds.
    ///
    /// >>> await client.wait_for_next_epoch(timeout=0.1)
    /// Traceback (most recent call last):
    /// soma.EpochTimeout: epoch 0 was still running after 0.1 s
    #[pyo3(signature = (timeout = 120.0))]
    fn wait_for_next_epoch<'py>(
        &self,
        py: Python<'py>,
        timeout: f64,
    ) -> PyResult<Bound<'py, PyAny>> {
        let services = Arc::clone(&self.services);
        let limit = seconds(timeout)?;
        runtime::future(py, async move {
            let epoch = services.node.epoch().await?;
            match services.node.wait_for_epoch(epoch + 1, EPOCH_INTERVAL, limit).await {
                Err(soma_rpc::Error::Timeout { call: "GetEpoch", timeout: waited, .. })
                    if waited == limit =>
                {
                    Err(Error::EpochTimeout { epoch, seconds: timeout })
                }
                found => Ok(found?),
            }
        })
    }

    /// Ends the running epoch of a local network; gives the number of the next.
    ///
    /// Raises ServiceNotConfigured without ``admin_url``.
    ///
    /// >>> await client.advance_epoch()
    /// 1
    fn advance_epoch<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let services = Arc::clone(&self.services);
        runtime::future(py, async move { Ok(services.admin()?.advance_epoch().await?) })
    }

    /// The newest checkpoint's summary; its fields are under ``data``.
    ///
    /// >>> (await client.get_latest_checkpoint()).data.sequence_number > 0
    /// True
    fn get_latest_checkpoint<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.checkpoint(py, None)
    }

    /// A checkpoint's summary by its number; its fields are under ``data``.
    ///
    /// >>> (await client.get_checkpoint_summary(0)).data.epoch
    /// 0
    fn get_checkpoint_summary<'py>(
        &self,
        py: Python<'py>,
        sequence_number: u64,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.checkpoint(py, Some(sequence_number))
    }

    /// What an address has in coins: an int of shannons with ``.soma``.
    ///
    /// >>> balance = await client.get_balance(signer.address())
    /// >>> balance, balance.soma
    /// (4000000000, Decimal('4.000000000'))
    fn get_balance<'py>(&self, py: Python<'py>, address: Account) -> PyResult<Bound<'py, PyAny>> {
        let services = Arc::clone(&self.services);
        runtime::future(py, async move {
            let balance = services.node.balance(&address.0).await?;
            Ok(Python::attach(|py| {
                namespace::class(py, "Balance")?.call1((balance,)).map(Bound::unbind)
            })?)
        })
    }

    /// What an address owns: objects with ``id``, ``version`` and ``digest``,
    /// at most ``limit`` of them.
    ///
    /// ``object_type`` is ``coin``, ``staked_soma``, ``target``, ``challenge``
    /// or ``system_state``; ValueError for anything else.
    ///
    /// >>> [coin, _] = await client.list_owned_objects(signer.address(), "coin")
    /// >>> coin.id[:2], coin.data.object_type
    /// ('0x', 'Coin')
    #[pyo3(signature = (owner, object_type = None, limit = None))]
    fn list_owned_objects<'py>(
        &self,
        py: Python<'py>,
        owner: Account,
        object_type: Option<&str>,
        limit: Option<usize>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let object_type = object_type.map(object_type_of).transpose()?;
        let services = Arc::clone(&self.services);
        runtime::future(py, async move {
            const PAGE: usize = 1_000;
            let limit = limit.unwrap_or(usize::MAX);
            let mut objects = Vec::new();
            let mut next: Option<Vec<u8>> = None;
            while objects.len() < limit {
                let size = PAGE.min(limit - objects.len()) as u32;
                let page =
                    services.node.owned_page(&owner.0, object_type, size, next.as_deref()).await?;
                objects.extend(page.objects);
                match page.next {
                    Some(token) if Some(&token) != next.as_ref() => next = Some(token),
                    _ => break,
                }
            }
            objects.truncate(limit);
            Ok(Python::attach(|py| {
                let shapes =
                    objects.iter().map(|object| namespace::object(py, object).map(Bound::unbind));
                shapes.collect::<PyResult<Vec<_>>>()
            })?)
        })
    }

    /// An object by its id; SomaError if it does not exist.
    ///
    /// >>> [coin, _] = await client.list_owned_objects(signer.address(), "coin")
    /// >>> (await client.get_object(coin.id)).digest == coin.digest
    /// True
    fn get_object<'py>(&self, py: Python<'py>, object_id: Id) -> PyResult<Bound<'py, PyAny>> {
        self.object(py, object_id, None)
    }

    /// An object as it was at a version; SomaError if there was none.
    ///
    /// >>> [coin, _] = await client.list_owned_objects(signer.address(), "coin")
    /// >>> (await client.get_object_with_version(coin.id, coin.version)).id == coin.id
    /// True
    fn get_object_with_version<'py>(
        &self,
        py: Python<'py>,
        object_id: Id,
        version: u64,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.object(py, object_id, Some(version))
    }

    /// Asks the faucet for coins: ``status`` and ``coins_sent``, each with
    /// ``amount`` in shannons, ``id`` and ``transfer_tx_digest``.
    ///
    /// Raises ServiceNotConfigured without ``faucet_url``.
    ///
    /// >>> answer = await client.request_faucet(friend)
    /// >>> answer.status, answer.coins_sent[0].amount
    /// ('Success', 2000000000)
    fn request_faucet<'py>(&self, py: Python<'py>, address: &str) -> PyResult<Bound<'py, PyAny>> {
        let services = Arc::clone(&self.services);
        let address = address.parse::<soma_proto::Address>();
        runtime::future(py, async move {
            // As the faucet itself answers, so no argument error.
            let address = address.map_err(|error| Error::Other(error.to_string()))?;
            let coins = services.faucet()?.request(&address).await?;
            let answer = FaucetAnswer {
                status: "Success",
                coins_sent: coins
                    .iter()
                    .map(|coin| FaucetCoin {
                        amount: coin.amount,
                        id: coin.id.to_string(),
                        transfer_tx_digest: coin.transaction.to_string(),
                    })
                    .collect(),
            };
            Ok(Python::attach(|py| shape(py, &answer).map(Bound::unbind))?)
        })
    }

    /// Whether the scoring service is well; needs ``scoring_url``.
    ///
    /// >>> await client.scoring_health()
    /// True
    fn scoring_health<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let services = Arc::clone(&self.services);
        runtime::future(
            py,
            async move { Ok(soma_rpc::scoring_health(services.scoring_url()?).await?) },
        )
    }

    /// Executes BCS of a signed transaction and waits for its checkpoint; gives
    /// the effects, also of a transaction that the chain failed.
    ///
    /// Raises ValueError for bytes that are no signed transaction, SomaError if
    /// the node refuses it, OutcomeUnknown if after ``timeout`` seconds nobody
    /// knows what became of it.
    ///
    /// >>> [coin, _] = await client.list_owned_objects(signer.address(), "coin")
    /// >>> data = await client.build_transfer_coin(signer.address(), friend, coin, 5)
    /// >>> effects = await client.execute_transaction(signer.sign(data))
    /// >>> effects.status, effects.transaction_fee.total_fee
    /// ('Success', 1600)
    #[pyo3(signature = (tx_bytes, *, timeout = 60.0))]
    fn execute_transaction<'py>(
        &self,
        py: Python<'py>,
        tx_bytes: &[u8],
        timeout: f64,
    ) -> PyResult<Bound<'py, PyAny>> {
        let signed = SignedTransaction::from_bcs(tx_bytes).map_err(Error::from)?;
        let timeout = seconds(timeout)?;
        let services = Arc::clone(&self.services);
        runtime::future(py, async move {
            let executed = runtime::to_the_end(async move {
                Ok(services.node.execute_and_wait(&signed, timeout).await?)
            })
            .await?;
            effects(&executed.effects)
        })
    }

    /// What BCS(TransactionData) would do now; costs nothing, needs no signature.
    ///
    /// Raises ValueError for bytes that are no transaction, Refused for a reveal that
    /// the checks before a reveal refuse, outside its window above all: the node would
    /// learn URL and key too early. Nothing of it is sent then.
    ///
    /// >>> [coin, _] = await client.list_owned_objects(signer.address(), "coin")
    /// >>> data = await client.build_transfer_coin(signer.address(), friend, coin, 5)
    /// >>> (await client.simulate_transaction(data)).transaction_fee.total_fee
    /// 1600
    fn simulate_transaction<'py>(
        &self,
        py: Python<'py>,
        tx_data_bytes: &[u8],
    ) -> PyResult<Bound<'py, PyAny>> {
        let data = TransactionData::from_bcs(tx_data_bytes).map_err(Error::from)?;
        let services = Arc::clone(&self.services);
        runtime::future(py, async move {
            check_disclosure(&services.node, &data, step::scope(&services.node)).await?;
            effects(&services.node.simulate(&data).await?.effects)
        })
    }

    /// The effects of a transaction by its digest; SomaError if it is unknown.
    ///
    /// >>> model = await client.commit_model(signer, weights_url, encrypted_weights, 0)
    /// >>> (await client.get_transaction(model.digest)).executed_epoch
    /// 0
    fn get_transaction<'py>(&self, py: Python<'py>, digest: Digest) -> PyResult<Bound<'py, PyAny>> {
        let services = Arc::clone(&self.services);
        runtime::future(py, async move {
            let found = services.node.transaction(&digest.0).await?;
            let unknown = || Error::Other(format!("transaction {} not found", digest.0));
            effects(&found.ok_or_else(unknown)?.effects)
        })
    }
}

impl SomaClient {
    fn checkpoint<'py>(&self, py: Python<'py>, height: Option<u64>) -> PyResult<Bound<'py, PyAny>> {
        let services = Arc::clone(&self.services);
        runtime::future(py, async move {
            let found = services.node.checkpoint(height).await?;
            Ok(Python::attach(|py| {
                let fields = PyDict::new(py);
                fields.set_item("data", shape(py, &found.summary)?)?;
                fields.set_item("auth_signature", shape(py, &found.auth_signature)?)?;
                shape_of(&fields).map(Bound::unbind)
            })?)
        })
    }

    fn object<'py>(
        &self,
        py: Python<'py>,
        Id(id): Id,
        version: Option<u64>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let services = Arc::clone(&self.services);
        runtime::future(py, async move {
            let found = match version {
                Some(version) => services.node.object_at(&id, version).await?,
                None => services.node.object(&id).await?,
            };
            let unknown = || Error::Other(format!("ObjectNotFound: there is no object {id}"));
            let object = found.ok_or_else(unknown)?;
            Ok(Python::attach(|py| namespace::object(py, &object).map(Bound::unbind))?)
        })
    }
}

/// Effects, built with the interpreter locked.
pub(super) fn effects(effects: &soma_proto::effects::TransactionEffects) -> Result<Py<PyAny>> {
    Ok(Python::attach(|py| namespace::effects(py, effects).map(Bound::unbind))?)
}

fn seconds(timeout: f64) -> Result<Duration> {
    Duration::try_from_secs_f64(timeout)
        .map_err(|_| Error::argument(format!("timeout is a number of seconds, not {timeout}")))
}

fn object_type_of(name: &str) -> Result<ObjectType> {
    Ok(match name {
        "coin" => ObjectType::Coin,
        "staked_soma" => ObjectType::StakedSoma,
        "target" => ObjectType::Target,
        "challenge" => ObjectType::Challenge,
        "system_state" => ObjectType::SystemState,
        other => {
            return Err(Error::argument(format!(
                "Unknown object type {other:?}; known are coin, staked_soma, target, \
                 challenge, system_state"
            )));
        }
    })
}

fn epoch_shape<'py>(
    py: Python<'py>,
    record: &soma_rpc::EpochRecord,
) -> PyResult<Bound<'py, PyAny>> {
    let config = PyDict::new(py);
    config
        .set_item("protocolVersion", record.protocol_version.map(|version| version.to_string()))?;
    let number = namespace::class(py, "EpochNumber")?.call1((record.epoch,))?;
    number.setattr("epoch", record.epoch.to_string())?;
    number.setattr("protocolConfig", shape_of(&config)?)?;

    let end = match (record.last_checkpoint, record.end_timestamp_ms) {
        (None, None) => None,
        (last, ended) => {
            let end = PyDict::new(py);
            end.set_item("last_checkpoint_id", last)?;
            end.set_item("epoch_end_timestamp_ms", ended)?;
            end.set_item("reference_gas_price", py.None())?;
            Some(shape_of(&end)?)
        }
    };
    let fields = PyDict::new(py);
    fields.set_item("epoch", number)?;
    fields.set_item("first_checkpoint_id", record.first_checkpoint)?;
    fields.set_item("epoch_total_transactions", py.None())?;
    fields.set_item("reference_gas_price", py.None())?;
    fields.set_item("epoch_start_timestamp_ms", record.start_timestamp_ms)?;
    fields.set_item("end_of_epoch_info", end)?;
    shape_of(&fields)
}
