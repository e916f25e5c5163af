//! The node under test: raw clients, as any program would use them.

use std::process::{Child, Command, Stdio};

use serde_json::Value;
use soma_proto::grpc::mask::field_mask;
use soma_proto::grpc::pb;
use soma_proto::grpc::pb::ledger_service_client::LedgerServiceClient;
use soma_proto::grpc::pb::state_service_client::StateServiceClient;
use soma_proto::grpc::pb::subscription_service_client::SubscriptionServiceClient;
use soma_proto::grpc::pb::transaction_execution_service_client::TransactionExecutionServiceClient;
use tonic::Status;
use tonic::transport::{Channel, Endpoint};

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
    pub(crate) ledger: LedgerServiceClient<Channel>,
    pub(crate) state: StateServiceClient<Channel>,
    pub(crate) execution: TransactionExecutionServiceClient<Channel>,
    pub(crate) subscription: SubscriptionServiceClient<Channel>,
}

impl Node {
    /// Opens one connection for all services.
    pub(crate) async fn connect(url: &str) -> Result<Self, Box<dyn std::error::Error>> {
        let channel = Endpoint::from_shared(url.to_owned())?.connect().await?;
        Ok(Self {
            ledger: LedgerServiceClient::new(channel.clone())
                .max_decoding_message_size(MAX_MESSAGE_BYTES),
            state: StateServiceClient::new(channel.clone())
                .max_decoding_message_size(MAX_MESSAGE_BYTES),
            execution: TransactionExecutionServiceClient::new(channel.clone())
                .max_decoding_message_size(MAX_MESSAGE_BYTES),
            subscription: SubscriptionServiceClient::new(channel)
                .max_decoding_message_size(MAX_MESSAGE_BYTES),
        })
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

/// A network of our own in a process of its own, ended on drop.
pub(crate) struct OwnNetwork {
    process: Child,
    pub(crate) target: Target,
}

impl OwnNetwork {
    /// Starts `soma start localnet` on free ports and waits until it is ready.
    pub(crate) fn start(binary: &str) -> Result<Self, Box<dyn std::error::Error>> {
        let mut process = Command::new(binary)
            .args(["start", "localnet", "--force-regenesis", "--json"])
            .args(["--epoch-duration-ms", "86400000", "--embedding-dim", "4"])
            .args(["--fullnode-rpc-port", "0", "--with-faucet=127.0.0.1:0"])
            .args(["--scoring-port", "0", "--admin-port", "0"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let mut line = String::new();
        let stdout = process.stdout.as_mut().ok_or("the network has no output")?;
        std::io::BufRead::read_line(&mut std::io::BufReader::new(stdout), &mut line)?;
        let ready: Value = serde_json::from_str(&line)?;
        let url = |name: &str| ready[name].as_str().map(str::to_owned);
        let target = Target {
            rpc: url("rpc_url").ok_or("the network did not name its URL")?,
            faucet: url("faucet_url"),
            admin: url("admin_url"),
            reference: false,
        };
        Ok(Self { process, target })
    }
}

impl Drop for OwnNetwork {
    fn drop(&mut self) {
        // Nothing is kept, so nothing needs an orderly end.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
