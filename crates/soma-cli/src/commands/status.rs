//! `soma status`.

use clap::Args;
use serde::Serialize;
use soma_proto::{Address, CheckpointDigest};

use crate::context::{Context, block_on, client};
use crate::error::Result;
use crate::output::page::{GREEN, RED};
use crate::output::{Page, Report, format};

/// Show the network, the epoch and the active account.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Example:
  soma status --json")]
pub(crate) struct StatusArgs {}

/// Runs the command. A network that does not answer is a finding, not a failure.
pub(crate) fn run(_: StatusArgs, context: &Context) -> Result<()> {
    block_on(status(context))
}

async fn status(context: &Context) -> Result<()> {
    let wallet = context.existing_wallet()?;
    let environment = context.target(wallet.as_ref())?.environment;
    let client = client(&environment)?;
    let mut report = StatusReport {
        network: Some(environment.alias.clone()).filter(|alias| *alias != environment.rpc),
        rpc_url: environment.rpc.clone(),
        active_address: wallet.as_ref().and_then(soma_wallet::Wallet::active_address),
        ..StatusReport::default()
    };
    match client.service_info().await {
        Ok(info) => {
            report.server_reachable = true;
            report.server_version = info.server_version().map(str::to_owned);
            report.chain_id = info.chain_id;
            report.epoch = info.epoch;
        }
        Err(e) => report.problem = Some(e.to_string()),
    }
    if report.server_reachable {
        let epoch = client.epoch_info().await?;
        let parameters = &epoch.parameters;
        report.epoch = Some(epoch.epoch);
        report.protocol_version = Some(epoch.protocol_version);
        report.epoch_start_timestamp_ms = Some(epoch.start_timestamp_ms);
        report.epoch_duration_ms = Some(parameters.epoch_duration_ms);
        report.next_epoch_at = format::rfc3339(epoch.due_end_ms());
        report.next_epoch_ms = Some(epoch.due_end_ms());
        report.model_min_stake = Some(parameters.model_min_stake);
        report.embedding_dim = Some(parameters.target_embedding_dim);
        report.architecture_version = Some(parameters.model_architecture_version);
        if let Some(address) = report.active_address {
            report.balance = Some(client.balance(&address).await?);
        }
    }
    context.out.print(&report)
}

#[derive(Default, Serialize)]
struct StatusReport {
    #[serde(skip_serializing_if = "Option::is_none")]
    network: Option<String>,
    rpc_url: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    server_version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    chain_id: Option<CheckpointDigest>,
    #[serde(skip_serializing_if = "Option::is_none")]
    epoch: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    active_address: Option<Address>,
    #[serde(skip_serializing_if = "Option::is_none")]
    balance: Option<u64>,
    server_reachable: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    protocol_version: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    epoch_start_timestamp_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    epoch_duration_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_epoch_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    model_min_stake: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    embedding_dim: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    architecture_version: Option<u64>,
    #[serde(skip)]
    next_epoch_ms: Option<u64>,
    #[serde(skip)]
    problem: Option<String>,
}

impl Report for StatusReport {
    fn text(&self, page: &mut Page) {
        let network = self.network.as_deref().unwrap_or("no environment");
        match &self.problem {
            None => page.painted(format!("{network} at {} answers", self.rpc_url), GREEN),
            Some(problem) => {
                page.painted(format!("{network} at {} does not answer", self.rpc_url), RED);
                page.line(format!("  {problem}"));
            }
        }
        let mut fields = Vec::new();
        let mut add = |name, value: Option<String>| fields.extend(value.map(|value| (name, value)));
        add("server", self.server_version.clone());
        add("chain", self.chain_id.map(|id| id.to_string()));
        add("epoch", self.epoch.map(|epoch| epoch.to_string()));
        add("next epoch", self.next_epoch_ms.map(format::local_time));
        add("minimum stake", self.model_min_stake.map(format::exact));
        add("embedding", self.embedding_dim.map(|dim| format!("{dim} numbers")));
        add("architecture", self.architecture_version.map(|version| version.to_string()));
        add("active address", self.active_address.map(|address| address.to_string()));
        add("balance", self.balance.map(format::exact));
        page.fields(&fields);
    }
}
