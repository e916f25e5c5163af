//! A node in front of another one, by whose account it is another time.

use soma_proto::grpc::ext::registry_service_client::RegistryServiceClient;
use soma_proto::grpc::pb;
use soma_proto::grpc::pb::ledger_service_client::LedgerServiceClient;
use soma_proto::grpc::pb::state_service_client::StateServiceClient;
use tonic::transport::Channel;
use tonic::{Response, Status};

use crate::node::{Node, Running, later};

/// Passes questions on to the node at `url`. In the answers the newest checkpoint is of
/// `newest_ms`, and the running epoch began at `epoch_start_ms`.
pub(crate) async fn told(url: &str, newest_ms: u64, epoch_start_ms: u64) -> Running {
    let channel = Channel::from_shared(url.to_owned()).unwrap().connect_lazy();
    let ledger = LedgerServiceClient::new(channel.clone());
    let (info, epoch) = (ledger.clone(), ledger);
    let owned = StateServiceClient::new(channel.clone());
    let registry = RegistryServiceClient::new(channel);
    let (model, models, pool) = (registry.clone(), registry.clone(), registry);
    let node = Node {
        service_info: later(move |_, question| {
            let mut info = info.clone();
            async move {
                let mut answer = info.get_service_info(question).await?.into_inner();
                answer.timestamp = Some(timestamp(newest_ms));
                Ok(answer)
            }
        }),
        epoch: later(move |_, question| {
            let mut epoch = epoch.clone();
            async move {
                let mut answer: pb::GetEpochResponse =
                    epoch.get_epoch(question).await?.into_inner();
                let state = answer.epoch.as_mut().and_then(|epoch| epoch.system_state.as_mut());
                if let Some(state) = state {
                    state.epoch_start_timestamp_ms = Some(epoch_start_ms);
                }
                Ok(answer)
            }
        }),
        owned: later(move |_, question| {
            let mut owned = owned.clone();
            async move { inner(owned.list_owned_objects(question).await) }
        }),
        model: later(move |_, question| {
            let mut model = model.clone();
            async move { inner(model.get_model(question).await) }
        }),
        models: later(move |_, question| {
            let mut models = models.clone();
            async move { inner(models.list_models(question).await) }
        }),
        pool: later(move |_, question| {
            let mut pool = pool.clone();
            async move { inner(pool.get_pool(question).await) }
        }),
        ..Node::default()
    };
    node.start().await
}

fn inner<T>(answer: Result<Response<T>, Status>) -> Result<T, Status> {
    answer.map(Response::into_inner)
}

fn timestamp(ms: u64) -> prost_types::Timestamp {
    let (seconds, rest) = (ms / 1_000, ms % 1_000);
    let nanos = i32::try_from(rest * 1_000_000).unwrap();
    prost_types::Timestamp { seconds: i64::try_from(seconds).unwrap(), nanos }
}
