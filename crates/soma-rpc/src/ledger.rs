//! Reads of the ledger: the node, objects, transactions, checkpoints, epochs.

use std::time::Duration;

use soma_proto::checkpoint::CertifiedCheckpointSummary;
use soma_proto::grpc::mask::{FULL_OBJECT, field_mask};
use soma_proto::grpc::pb;
use soma_proto::params::SystemParameters;
use soma_proto::system_state::SystemState;
use soma_proto::{CheckpointDigest, Object, ObjectId, TransactionDigest};
use tokio::time::Instant;
use tonic::Code;

use crate::answer::{Answer, Executed, millis};
use crate::{Client, Error, Result};

/// Objects asked for in one call of [`Client::objects`].
const BATCH: usize = 100;

/// What a node says about itself. Everything may be absent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServiceInfo {
    /// Digest of checkpoint 0, which identifies the chain.
    pub chain_id: Option<CheckpointDigest>,
    /// Name of the chain: `testnet`, `localnet`.
    pub chain: Option<String>,
    /// Epoch of the newest executed checkpoint.
    pub epoch: Option<u64>,
    /// Height of the newest executed checkpoint.
    pub checkpoint_height: Option<u64>,
    /// Its time, milliseconds since 1970.
    pub timestamp_ms: Option<u64>,
    /// First checkpoint not pruned.
    pub lowest_available_checkpoint: Option<u64>,
    /// First checkpoint whose objects are not pruned.
    pub lowest_available_checkpoint_objects: Option<u64>,
    /// Name and version of the node, for example `soma-node/0.1.0`.
    pub server: Option<String>,
}

impl ServiceInfo {
    /// The version in [`ServiceInfo::server`]: what follows the last slash.
    pub fn server_version(&self) -> Option<&str> {
        self.server.as_deref().map(|server| server.rsplit('/').next().unwrap_or(server))
    }
}

/// The running epoch and the rules in force, without validators and models.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct EpochInfo {
    /// The running epoch.
    pub epoch: u64,
    /// When it began, milliseconds since 1970.
    pub start_timestamp_ms: u64,
    /// Protocol version in force.
    pub protocol_version: u64,
    /// Parameters in force.
    pub parameters: SystemParameters,
}

impl EpochInfo {
    /// When the epoch is due to end, milliseconds since 1970.
    pub const fn due_end_ms(&self) -> u64 {
        self.start_timestamp_ms.saturating_add(self.parameters.epoch_duration_ms)
    }
}

impl Client {
    /// What the node says about itself.
    ///
    /// # Errors
    /// [`Error::Status`] and those of the connection.
    pub async fn service_info(&self) -> Result<ServiceInfo> {
        let call = "GetServiceInfo";
        let info =
            self.read(call, self.ledger().get_service_info(pb::GetServiceInfoRequest {})).await?;
        let chain_id =
            info.chain_id.as_deref().map(|text| Answer(call).parse("chain_id", Some(text)));
        Ok(ServiceInfo {
            chain_id: chain_id.transpose()?,
            chain: info.chain,
            epoch: info.epoch,
            checkpoint_height: info.checkpoint_height,
            timestamp_ms: info.timestamp.as_ref().and_then(millis),
            lowest_available_checkpoint: info.lowest_available_checkpoint,
            lowest_available_checkpoint_objects: info.lowest_available_checkpoint_objects,
            server: info.server,
        })
    }

    /// Digest of checkpoint 0, which identifies the chain.
    ///
    /// # Errors
    /// As [`Client::service_info`]; [`Error::Malformed`] if the node tells none.
    pub async fn chain_id(&self) -> Result<CheckpointDigest> {
        let info = self.service_info().await?;
        Answer("GetServiceInfo").need("chain_id", info.chain_id)
    }

    /// An object in its live version, or nothing.
    ///
    /// # Errors
    /// [`Error::Status`], [`Error::Malformed`] and those of the connection.
    pub async fn object(&self, id: &ObjectId) -> Result<Option<Object>> {
        self.object_version(id, None).await
    }

    /// An object in exactly this version, or nothing.
    ///
    /// # Errors
    /// As [`Client::object`].
    pub async fn object_at(&self, id: &ObjectId, version: u64) -> Result<Option<Object>> {
        self.object_version(id, Some(version)).await
    }

    /// Several objects in their live versions, in the order asked for.
    ///
    /// # Errors
    /// As [`Client::object`].
    pub async fn objects(&self, ids: &[ObjectId]) -> Result<Vec<Option<Object>>> {
        use pb::get_object_result::Result as Found;

        let call = "BatchGetObjects";
        let mut objects = Vec::with_capacity(ids.len());
        for ids in ids.chunks(BATCH) {
            let one = |id: &ObjectId| pb::GetObjectRequest {
                object_id: Some(id.to_string()),
                ..Default::default()
            };
            let request = pb::BatchGetObjectsRequest {
                requests: ids.iter().map(one).collect(),
                read_mask: Some(field_mask(FULL_OBJECT)),
            };
            let answer = self.read(call, self.ledger().batch_get_objects(request)).await?;
            if answer.objects.len() != ids.len() {
                let reason = format!("asked for {}, got {}", ids.len(), answer.objects.len());
                return Err(Answer(call).malformed("objects", reason));
            }
            for result in answer.objects {
                objects.push(match Answer(call).need("objects.result", result.result)? {
                    Found::Object(object) => {
                        Some(Answer(call).read("objects.object", Some(object))?)
                    }
                    Found::Error(error) if error.code == Code::NotFound as i32 => None,
                    Found::Error(error) => {
                        return Err(
                            self.error(call, &tonic::Status::new(error.code.into(), error.message))
                        );
                    }
                });
            }
        }
        Ok(objects)
    }

    /// A transaction that was executed, or nothing. Checkpoint, time and
    /// balance changes are there once its checkpoint is indexed.
    ///
    /// # Errors
    /// [`Error::Status`], [`Error::Malformed`] and those of the connection.
    pub async fn transaction(&self, digest: &TransactionDigest) -> Result<Option<Executed>> {
        let call = "GetTransaction";
        let request = pb::GetTransactionRequest {
            digest: Some(digest.to_string()),
            read_mask: Some(field_mask(&[
                "digest",
                "effects",
                "checkpoint",
                "timestamp",
                "balance_changes",
            ])),
        };
        match self.read(call, self.ledger().get_transaction(request)).await {
            Ok(answer) => Answer(call).executed(digest, answer.transaction).map(Some),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// A checkpoint by height, or the newest.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Status`], [`Error::Malformed`] and those
    /// of the connection.
    pub async fn checkpoint(&self, height: Option<u64>) -> Result<CertifiedCheckpointSummary> {
        let call = "GetCheckpoint";
        let request = pb::GetCheckpointRequest {
            read_mask: Some(field_mask(&["summary", "signature"])),
            checkpoint_id: height.map(pb::get_checkpoint_request::CheckpointId::SequenceNumber),
        };
        let answer = match self.read(call, self.ledger().get_checkpoint(request)).await {
            Err(error) if error.is_not_found() => {
                let what = height.map_or_else(
                    || "a checkpoint".to_owned(),
                    |height| format!("checkpoint {height}"),
                );
                return Err(Error::NotFound { what });
            }
            answer => answer?,
        };
        let checkpoint = Answer(call).need("checkpoint", answer.checkpoint)?;
        Ok(CertifiedCheckpointSummary {
            summary: Answer(call).read("checkpoint.summary", checkpoint.summary)?,
            auth_signature: Answer(call).read("checkpoint.signature", checkpoint.signature)?,
        })
    }

    /// The number of the running epoch: the cheapest question there is.
    /// Right after a change it may lag by one for a moment.
    ///
    /// # Errors
    /// [`Error::Status`], [`Error::Malformed`] and those of the connection.
    pub async fn epoch(&self) -> Result<u64> {
        let epoch = self.get_epoch(&["epoch"]).await?;
        Answer("GetEpoch").need("epoch.epoch", epoch.epoch)
    }

    /// The running epoch and the rules in force. Nodes that know narrow masks
    /// send a few hundred bytes; others send the whole system state.
    ///
    /// # Errors
    /// As [`Client::epoch`].
    pub async fn epoch_info(&self) -> Result<EpochInfo> {
        let epoch = self
            .get_epoch(&[
                "epoch",
                "system_state.epoch",
                "system_state.epoch_start_timestamp_ms",
                "system_state.protocol_version",
                "system_state.parameters",
            ])
            .await?;
        let answer = Answer("GetEpoch");
        let state = answer.need("epoch.system_state", epoch.system_state)?;
        Ok(EpochInfo {
            epoch: answer.need("epoch.system_state.epoch", state.epoch)?,
            start_timestamp_ms: answer.need(
                "epoch.system_state.epoch_start_timestamp_ms",
                state.epoch_start_timestamp_ms,
            )?,
            protocol_version: answer
                .need("epoch.system_state.protocol_version", state.protocol_version)?,
            parameters: answer.read("epoch.system_state.parameters", state.parameters)?,
        })
    }

    /// The parameters in force; see [`Client::epoch_info`].
    ///
    /// # Errors
    /// As [`Client::epoch`].
    pub async fn parameters(&self) -> Result<SystemParameters> {
        Ok(self.epoch_info().await?.parameters)
    }

    /// The whole system state: every validator, every model ever registered.
    ///
    /// # Errors
    /// As [`Client::epoch`]; [`Error::TooLarge`].
    pub async fn system_state(&self) -> Result<SystemState> {
        let state = self.raw_system_state().await?;
        Answer("GetEpoch").read("epoch.system_state", Some(state))
    }

    /// The protocol version in force.
    ///
    /// # Errors
    /// As [`Client::epoch`].
    pub async fn protocol_version(&self) -> Result<u64> {
        let epoch = self.get_epoch(&["epoch", "protocol_config.protocol_version"]).await?;
        let config = Answer("GetEpoch").need("epoch.protocol_config", epoch.protocol_config)?;
        Answer("GetEpoch").need("epoch.protocol_config.protocol_version", config.protocol_version)
    }

    /// The architecture that a new model must be committed for.
    ///
    /// # Errors
    /// As [`Client::epoch`].
    pub async fn architecture_version(&self) -> Result<u64> {
        const KEY: &str = "model_architecture_version";
        let answer = Answer("GetEpoch");
        let epoch = self.get_epoch(&["epoch", "protocol_config"]).await?;
        let config = answer.need("epoch.protocol_config", epoch.protocol_config)?;
        let field = format!("epoch.protocol_config.attributes[{KEY}]");
        let text = answer.need(&field, config.attributes.get(KEY))?;
        text.parse().map_err(|_| answer.malformed(field, "not a number"))
    }

    /// Waits until the running epoch is `epoch` or later, asking every
    /// `interval`; gives the epoch found. Failed reads are taken for passing
    /// troubles and asked again.
    ///
    /// # Errors
    /// [`Error::Timeout`], or the last failure if there was nothing else.
    pub async fn wait_for_epoch(
        &self,
        epoch: u64,
        interval: Duration,
        timeout: Duration,
    ) -> Result<u64> {
        let deadline = Instant::now() + timeout;
        loop {
            let found = self.epoch().await;
            match found {
                Ok(found) if found >= epoch => return Ok(found),
                Err(error) if !error.is_retriable() || Instant::now() >= deadline => {
                    return Err(error);
                }
                Ok(_) if Instant::now() >= deadline => {
                    return Err(Error::Timeout {
                        call: "GetEpoch",
                        url: self.url().to_owned(),
                        timeout,
                    });
                }
                _ => tokio::time::sleep_until((Instant::now() + interval).min(deadline)).await,
            }
        }
    }

    /// The system state as it came, not yet converted.
    pub(crate) async fn raw_system_state(&self) -> Result<pb::SystemState> {
        let epoch = self.get_epoch(&["system_state", "epoch"]).await?;
        Answer("GetEpoch").need("epoch.system_state", epoch.system_state)
    }

    /// The system state at the start of an epoch that is over, if the node still has it.
    pub(crate) async fn past_system_state(&self, epoch: u64) -> Result<Option<pb::SystemState>> {
        let found = match self.epoch_with(Some(epoch), &["system_state", "epoch", "end"]).await {
            Err(error) if error.is_not_found() => return Ok(None),
            found => found?,
        };
        // Of the running epoch it would be the live state.
        Ok(found.end.and(found.system_state))
    }

    async fn get_epoch(&self, mask: &[&str]) -> Result<pb::Epoch> {
        self.epoch_with(None, mask).await
    }

    async fn epoch_with(&self, epoch: Option<u64>, mask: &[&str]) -> Result<pb::Epoch> {
        let request = pb::GetEpochRequest { epoch, read_mask: Some(field_mask(mask)) };
        let answer = self.read("GetEpoch", self.ledger_for_state().get_epoch(request)).await?;
        Answer("GetEpoch").need("epoch", answer.epoch)
    }

    async fn object_version(&self, id: &ObjectId, version: Option<u64>) -> Result<Option<Object>> {
        let call = "GetObject";
        let request = pb::GetObjectRequest {
            object_id: Some(id.to_string()),
            version,
            read_mask: Some(field_mask(FULL_OBJECT)),
        };
        // The system state is an object too.
        match self.read(call, self.ledger_for_state().get_object(request)).await {
            Ok(answer) => Answer(call).read("object", answer.object).map(Some),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }
}
