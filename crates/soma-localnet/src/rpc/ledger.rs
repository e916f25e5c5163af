//! `soma.rpc.LedgerService`: objects, transactions, checkpoints, epochs.

use std::str::FromStr;

use soma_proto::grpc::convert::{
    EpochView, epoch_message, object_message, parse_object_id, timestamp,
};
use soma_proto::grpc::mask::{self, MaskTree, Root};
use soma_proto::grpc::pb::get_checkpoint_request::CheckpointId;
use soma_proto::grpc::pb::ledger_service_server::LedgerService;
use soma_proto::grpc::pb::{get_object_result, get_transaction_result};
use soma_proto::grpc::status::{Violation, message_of};
use soma_proto::grpc::{google_rpc, pb};
use soma_proto::system_state::SystemState;
use soma_proto::{CheckpointDigest, ObjectId, TransactionDigest};
use tonic::{Code, Request, Response, Status};

use super::{CHAIN_NAME, Node, SERVER, failure, not_found, view};
use crate::store::{Snapshot, StoredCheckpoint, StoredTransaction};

#[tonic::async_trait]
impl LedgerService for Node {
    async fn get_service_info(
        &self,
        _request: Request<pb::GetServiceInfoRequest>,
    ) -> Result<Response<pb::GetServiceInfoResponse>, Status> {
        let head = self.executor.head();
        Ok(Response::new(pb::GetServiceInfoResponse {
            chain_id: Some(self.chain_id.to_string()),
            chain: Some(CHAIN_NAME.to_owned()),
            epoch: Some(head.epoch),
            checkpoint_height: Some(head.height),
            timestamp: Some(timestamp(head.timestamp_ms)),
            lowest_available_checkpoint: Some(0),
            lowest_available_checkpoint_objects: Some(0),
            server: Some(SERVER.to_owned()),
        }))
    }

    async fn get_object(
        &self,
        request: Request<pb::GetObjectRequest>,
    ) -> Result<Response<pb::GetObjectResponse>, Status> {
        let request = request.into_inner();
        let mask = object_mask(request.read_mask.as_ref())?;
        let id = object_id(request.object_id.as_deref(), 0)?;
        let object = find_object(&self.snapshot()?, &id, request.version, &mask)?;
        match object {
            Ok(object) => Ok(Response::new(pb::GetObjectResponse { object: Some(object) })),
            Err(missing) => Err(not_found(missing)),
        }
    }

    async fn batch_get_objects(
        &self,
        request: Request<pb::BatchGetObjectsRequest>,
    ) -> Result<Response<pb::BatchGetObjectsResponse>, Status> {
        let request = request.into_inner();
        let mask = object_mask(request.read_mask.as_ref())?;
        let mut wanted = Vec::with_capacity(request.requests.len());
        for (place, item) in request.requests.iter().enumerate() {
            wanted.push((object_id(item.object_id.as_deref(), place)?, item.version));
        }
        let snapshot = self.snapshot()?;
        let mut objects = Vec::with_capacity(wanted.len());
        for (id, version) in wanted {
            let result = match find_object(&snapshot, &id, version, &mask)? {
                Ok(object) => get_object_result::Result::Object(object),
                Err(missing) => {
                    get_object_result::Result::Error(message_of(Code::NotFound, missing))
                }
            };
            objects.push(pb::GetObjectResult { result: Some(result) });
        }
        Ok(Response::new(pb::BatchGetObjectsResponse { objects }))
    }

    async fn get_transaction(
        &self,
        request: Request<pb::GetTransactionRequest>,
    ) -> Result<Response<pb::GetTransactionResponse>, Status> {
        let request = request.into_inner();
        let mask = transaction_mask(request.read_mask.as_ref())?;
        let text = request.digest.ok_or_else(|| Violation::missing("digest"))?;
        let digest: TransactionDigest = digest(&text, "digest")?;
        let stored = self.snapshot()?.transaction(&digest).map_err(failure)?;
        let stored = stored.ok_or_else(|| not_found(no_transaction(&digest)))?;
        let transaction = Some(view::transaction(&stored, &mask));
        Ok(Response::new(pb::GetTransactionResponse { transaction }))
    }

    async fn batch_get_transactions(
        &self,
        request: Request<pb::BatchGetTransactionsRequest>,
    ) -> Result<Response<pb::BatchGetTransactionsResponse>, Status> {
        let request = request.into_inner();
        let mask = transaction_mask(request.read_mask.as_ref())?;
        let snapshot = self.snapshot()?;
        let mut transactions = Vec::with_capacity(request.digests.len());
        for (place, text) in request.digests.iter().enumerate() {
            let result = match find_transaction(&snapshot, text, place)? {
                Ok(stored) => {
                    get_transaction_result::Result::Transaction(view::transaction(&stored, &mask))
                }
                Err(error) => get_transaction_result::Result::Error(error),
            };
            transactions.push(pb::GetTransactionResult { result: Some(result) });
        }
        Ok(Response::new(pb::BatchGetTransactionsResponse { transactions }))
    }

    async fn get_checkpoint(
        &self,
        request: Request<pb::GetCheckpointRequest>,
    ) -> Result<Response<pb::GetCheckpointResponse>, Status> {
        let request = request.into_inner();
        let mask = MaskTree::validated(
            request.read_mask.as_ref(),
            mask::DEFAULT_CHECKPOINT,
            Root::Checkpoint,
        )?;
        let snapshot = self.snapshot()?;
        let checkpoint = find_checkpoint(&snapshot, request.checkpoint_id)?;
        let mut transactions = Vec::new();
        if mask.contains("transactions") || mask.contains("objects") {
            for executed in checkpoint.contents.transactions() {
                let stored = snapshot.transaction(&executed.transaction).map_err(failure)?;
                transactions.extend(stored);
            }
        }
        let mut objects = Vec::new();
        if mask.checkpoint_objects().is_some() {
            objects = view::objects(&snapshot, &transactions).map_err(failure)?;
        }
        let objects: Vec<_> = objects.iter().collect();
        let message = view::checkpoint(&checkpoint, &transactions, &objects, &mask);
        Ok(Response::new(pb::GetCheckpointResponse { checkpoint: Some(message) }))
    }

    async fn get_epoch(
        &self,
        request: Request<pb::GetEpochRequest>,
    ) -> Result<Response<pb::GetEpochResponse>, Status> {
        let request = request.into_inner();
        let mask =
            MaskTree::validated(request.read_mask.as_ref(), mask::DEFAULT_EPOCH, Root::Epoch)?;
        let epoch = epoch(&self.snapshot()?, request.epoch, &mask)?;
        Ok(Response::new(pb::GetEpochResponse { epoch: Some(epoch) }))
    }
}

fn object_mask(mask: Option<&prost_types::FieldMask>) -> Result<MaskTree, Violation> {
    MaskTree::validated(mask, mask::DEFAULT_OBJECT, Root::Object)
}

fn transaction_mask(mask: Option<&prost_types::FieldMask>) -> Result<MaskTree, Violation> {
    MaskTree::validated(mask, mask::DEFAULT_TRANSACTION, Root::ExecutedTransaction)
}

fn object_id(text: Option<&str>, place: usize) -> Result<ObjectId, Violation> {
    let field = format!("requests[{place}].object_id");
    let text = text.ok_or_else(|| Violation::missing(field.clone()))?;
    parse_object_id(text).map_err(|error| Violation::invalid(field, error.to_string()))
}

fn digest<T: FromStr>(text: &str, field: impl Into<String>) -> Result<T, Violation>
where
    T::Err: std::fmt::Display,
{
    text.parse().map_err(|error: T::Err| Violation::invalid(field, error.to_string()))
}

/// The object, or the text that says that there is none.
fn find_object(
    snapshot: &Snapshot,
    id: &ObjectId,
    version: Option<u64>,
    mask: &MaskTree,
) -> Result<Result<pb::Object, String>, Status> {
    let object = match version {
        Some(version) => snapshot.object_at(id, version),
        None => snapshot.object(id),
    };
    Ok(object.map_err(failure)?.map(|object| object_message(&object, mask)).ok_or_else(|| {
        match version {
            Some(version) => format!("Object {id} with version {version} not found"),
            None => format!("Object {id} not found"),
        }
    }))
}

fn find_transaction(
    snapshot: &Snapshot,
    text: &str,
    place: usize,
) -> Result<Result<StoredTransaction, google_rpc::Status>, Status> {
    let digest: TransactionDigest = match digest(text, format!("digests[{place}]")) {
        Ok(digest) => digest,
        Err(violation) => return Ok(Err(violation.to_message())),
    };
    let stored = snapshot.transaction(&digest).map_err(failure)?;
    Ok(stored.ok_or_else(|| message_of(Code::NotFound, no_transaction(&digest))))
}

fn no_transaction(digest: &TransactionDigest) -> String {
    format!("Transaction {digest} not found")
}

fn find_checkpoint(
    snapshot: &Snapshot,
    wanted: Option<CheckpointId>,
) -> Result<StoredCheckpoint, Status> {
    let (height, name) = match wanted {
        None => return snapshot.newest_checkpoint().map_err(failure),
        Some(CheckpointId::SequenceNumber(height)) => (Some(height), height.to_string()),
        Some(CheckpointId::Digest(text)) => {
            let digest: CheckpointDigest = digest(&text, "digest")?;
            (snapshot.height(&digest).map_err(failure)?, digest.to_string())
        }
    };
    let found = height.map(|height| snapshot.checkpoint(height)).transpose().map_err(failure)?;
    found.flatten().ok_or_else(|| not_found(format!("Checkpoint {name} not found")))
}

/// The running epoch is that of the live system state, so that an idle chain
/// does not lag behind itself.
fn epoch(snapshot: &Snapshot, wanted: Option<u64>, mask: &MaskTree) -> Result<pb::Epoch, Status> {
    let live = snapshot.state_row().map_err(failure)?.skeleton;
    let (running, protocol_version) = (live.epoch, live.protocol_version);
    let epoch = wanted.unwrap_or(running);
    let row = snapshot.epoch(epoch).map_err(failure)?;
    if row.is_none() && mask.contains("committee") {
        return Err(not_found(format!("Committee of epoch {epoch} not found")));
    }
    let system_state = match mask.child("system_state") {
        Some(mask) if row.is_some() && epoch == running => Some(if needs_models(mask) {
            snapshot.system_state().map_err(failure)?
        } else {
            SystemState::V1(Box::new(live))
        }),
        Some(_) if row.is_some() => snapshot.epoch_state(epoch).map_err(failure)?,
        _ => None,
    };
    let view = EpochView {
        epoch,
        committee: row.as_ref().map(|row| &row.committee),
        system_state: system_state.as_ref(),
        first_checkpoint: row.as_ref().map(|row| row.first_checkpoint),
        start_ms: row.as_ref().map(|row| row.start_ms),
        end_ms: row.as_ref().and_then(|row| row.end_ms),
        protocol_version: row.is_some().then_some(protocol_version),
    };
    Ok(epoch_message(&view, mask))
}

/// Whether the answer holds any of the maps that are kept apart from the rest.
fn needs_models(system_state: &MaskTree) -> bool {
    let maps = ["active_models", "pending_models", "inactive_models", "staking_pool_mappings"];
    system_state
        .child("model_registry")
        .is_some_and(|registry| maps.iter().any(|map| registry.contains(map)))
}
