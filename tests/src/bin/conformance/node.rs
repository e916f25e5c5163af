//! The node under test: raw clients, as any program would use them.

use soma_proto::grpc::mask::field_mask;
use soma_proto::grpc::pb;
use soma_proto::grpc::pb::ledger_service_client::LedgerServiceClient;
use soma_proto::grpc::pb::state_service_client::StateServiceClient;
use soma_proto::grpc::pb::subscription_service_client::SubscriptionServiceClient;
use soma_proto::grpc::pb::transaction_execution_service_client::TransactionExecutionServiceClient;
use soma_rpc::{AuthChannel, ClientBuilder};
use tonic::Status;

/// Largest answer that is read: a whole system state can be long.
const MAX_MESSAGE_BYTES: usize = 256 << 20;

/// Where the node is, and what else may be asked.
#[derive(Clone, Debug, Default)]
pub(crate) struct Target {
    pub(crate) rpc: String,
    pub(crate) faucet: Option<String>,
    pub(crate) admin: Option<String>,
    /// Expect the public network's rules where the local network is stricter.
    pub(crate) reference: bool,
}

/// One client for each service.
#[derive(Clone)]
pub(crate) struct Node {
    pub(crate) ledger: LedgerServiceClient<AuthChannel>,
    pub(crate) state: StateServiceClient<AuthChannel>,
    pub(crate) execution: TransactionExecutionServiceClient<AuthChannel>,
    pub(crate) subscription: SubscriptionServiceClient<AuthChannel>,
}

impl Node {
    /// Opens one connection for all services, as our client does: `https`
    /// against the system's root certificates, basic auth from the URL, and
    /// the proxy of the environment.
    pub(crate) async fn connect(url: &str) -> Result<Self, String> {
        let (channel, shown) = ClientBuilder::new(url).channel().map_err(|e| e.to_string())?;
        let mut node = Self {
            ledger: LedgerServiceClient::new(channel.clone())
                .max_decoding_message_size(MAX_MESSAGE_BYTES),
            state: StateServiceClient::new(channel.clone())
                .max_decoding_message_size(MAX_MESSAGE_BYTES),
            execution: TransactionExecutionServiceClient::new(channel.clone())
                .max_decoding_message_size(MAX_MESSAGE_BYTES),
            subscription: SubscriptionServiceClient::new(channel)
                .max_decoding_message_size(MAX_MESSAGE_BYTES),
        };
        let asked = node.ledger.get_service_info(pb::GetServiceInfoRequest {}).await;
        asked.map_err(|status| format!("cannot reach {shown}: {}", with_causes(&status)))?;
        Ok(node)
    }

    /// The epoch message under these paths, of one epoch or of the current one.
    pub(crate) async fn epoch(
        &mut self,
        epoch: Option<u64>,
        paths: &[&str],
    ) -> Result<pb::Epoch, Status> {
        let request = pb::GetEpochRequest { epoch, read_mask: Some(field_mask(paths)) };
        let answer = self.ledger.get_epoch(request).await?.into_inner();
        answer.epoch.ok_or_else(|| Status::internal("answer without epoch"))
    }

    /// The running epoch, as the live system state has it.
    pub(crate) async fn current_epoch(&mut self) -> Result<u64, Status> {
        let epoch = self.epoch(None, &["system_state.epoch", "epoch"]).await?;
        epoch
            .system_state
            .and_then(|state| state.epoch)
            .ok_or_else(|| Status::internal("system state without epoch"))
    }
}

fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(deeper) = cause {
        text = format!("{text}: {deeper}");
        cause = deeper.source();
    }
    text
}
