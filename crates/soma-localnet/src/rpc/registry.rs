//! `soma.ext.RegistryService`: single models and pools, without the rest of
//! the system state. An addition of this node.

use soma_proto::grpc::convert::{model_summary, parse_address, parse_object_id};
use soma_proto::grpc::ext;
use soma_proto::grpc::ext::registry_service_server::RegistryService;
use soma_proto::grpc::status::Violation;
use soma_proto::system_state::{ModelStatus, SystemStateV1};
use soma_proto::{Address, Commitment, ObjectId};
use tonic::{Request, Response, Status};

use super::{Node, failure, page_size};
use crate::store::Snapshot;

#[tonic::async_trait]
impl RegistryService for Node {
    async fn get_model(
        &self,
        request: Request<ext::GetModelRequest>,
    ) -> Result<Response<ext::GetModelResponse>, Status> {
        let id = id(request.into_inner().model_id.as_deref(), "model_id")?;
        let snapshot = self.snapshot()?;
        let state = state(&snapshot)?;
        let model = snapshot.model(&id).map_err(failure)?;
        let reports = state.model_registry.model_report_records.get(&id);
        Ok(Response::new(ext::GetModelResponse {
            model_id: Some(id.to_string()),
            status: model.as_ref().map(|model| model.status().chain_state().to_owned()),
            model: model.as_ref().map(Into::into),
            reported_by: reports.into_iter().flatten().map(Address::to_string).collect(),
            current_epoch: Some(state.epoch),
            epoch_start_timestamp_ms: Some(state.epoch_start_timestamp_ms),
            epoch_duration_ms: Some(state.parameters.epoch_duration_ms),
        }))
    }

    async fn list_models(
        &self,
        request: Request<ext::ListModelsRequest>,
    ) -> Result<Response<ext::ListModelsResponse>, Status> {
        let request = request.into_inner();
        let owner = match &request.owner {
            Some(text) => {
                let read = parse_address(text);
                Some(read.map_err(|error| Violation::invalid("owner", error.to_string()))?)
            }
            None => None,
        };
        let only = request.status.as_deref().map(status).transpose()?;
        let from = match &request.page_token {
            Some(token) => read_token(token, only)?,
            None => (only.unwrap_or(ModelStatus::Active), ObjectId::ZERO),
        };

        let with_keys = request.with_keys.unwrap_or_default();
        let limit = page_size(request.page_size);
        let snapshot = self.snapshot()?;
        let ids = snapshot.model_ids(owner.as_ref(), from, only.is_some(), limit + 1);
        let mut models = Vec::new();
        let mut next_page_token = None;
        for id in ids.map_err(failure)? {
            let Some(model) = snapshot.model_outline(&id).map_err(failure)? else { continue };
            if models.len() == limit {
                next_page_token = Some(token(model.status(), &id));
                break;
            }
            let mut summary = model_summary(&id, &model);
            if let Some(weights) = model.weights_manifest.as_ref().filter(|_| with_keys) {
                let hex = |bytes: &[u8; 32]| Commitment::new(*bytes).to_hex();
                summary.decryption_key = Some(hex(weights.decryption_key.as_bytes()));
                summary.weights_checksum = Some(hex(weights.manifest.checksum().inner()));
            }
            models.push(summary);
        }
        let state = state(&snapshot)?;
        Ok(Response::new(ext::ListModelsResponse {
            models,
            next_page_token,
            current_epoch: Some(state.epoch),
            epoch_start_timestamp_ms: Some(state.epoch_start_timestamp_ms),
            epoch_duration_ms: Some(state.parameters.epoch_duration_ms),
        }))
    }

    async fn get_pool(
        &self,
        request: Request<ext::GetPoolRequest>,
    ) -> Result<Response<ext::GetPoolResponse>, Status> {
        let id = id(request.into_inner().staking_pool_id.as_deref(), "staking_pool_id")?;
        let snapshot = self.snapshot()?;
        let model = snapshot.pool_model(&id).map_err(failure)?;
        let validators = state(&snapshot)?.validators;
        let inactive = validators.inactive_validators.get(&id);
        let validator = validators
            .staking_pool_mappings
            .get(&id)
            .copied()
            .or_else(|| inactive.map(|validator| validator.metadata.soma_address));
        Ok(Response::new(ext::GetPoolResponse {
            staking_pool_id: Some(id.to_string()),
            in_use: Some(model.is_some() || validator.is_some()),
            model_id: model.map(|model| model.to_string()),
            validator: validator.map(|address| address.to_string()),
        }))
    }
}

fn state(snapshot: &Snapshot) -> Result<SystemStateV1, Status> {
    Ok(snapshot.state_row().map_err(failure)?.skeleton)
}

fn id(text: Option<&str>, field: &str) -> Result<ObjectId, Violation> {
    let text = text.ok_or_else(|| Violation::missing(field))?;
    parse_object_id(text).map_err(|error| Violation::invalid(field, error.to_string()))
}

fn status(word: &str) -> Result<ModelStatus, Violation> {
    ModelStatus::from_chain_state(word)
        .ok_or_else(|| Violation::invalid("status", "expected active, pending or inactive"))
}

/// State and id of the first model of the next page.
fn token(status: ModelStatus, id: &ObjectId) -> Vec<u8> {
    let state = ModelStatus::ALL.iter().position(|known| *known == status).unwrap_or_default();
    let mut token = vec![state as u8];
    token.extend_from_slice(id.as_bytes());
    token
}

fn read_token(
    token: &[u8],
    only: Option<ModelStatus>,
) -> Result<(ModelStatus, ObjectId), Violation> {
    let violation = || Violation::invalid("page_token", "not a token of this list");
    let (state, id) = token.split_first().ok_or_else(violation)?;
    let status = *ModelStatus::ALL.get(usize::from(*state)).ok_or_else(violation)?;
    if only.is_some_and(|only| only != status) {
        return Err(violation());
    }
    Ok((status, ObjectId::from_bytes(id).map_err(|_| violation())?))
}
