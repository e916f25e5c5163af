//! `soma start localnet`.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::Serialize;
use soma_localnet::{LocalNet, LocalNetConfig, SMALL_EMBEDDING_DIM, account_addresses};
use soma_proto::{Address, CheckpointDigest};
use soma_wallet::ConfigDir;

use super::args::LocalnetArgs;
use crate::context::Context;
use crate::error::Result;
use crate::interrupt::Interrupts;
use crate::logging;
use crate::output::page::GREEN;
use crate::output::{Page, Report, format};

/// Runs the network until Ctrl-C.
pub(super) async fn run(args: LocalnetArgs, context: &Context) -> Result<()> {
    logging::start(Some(args.log_level.as_str()));
    let mut network = LocalNet::start(config(args)?).await?;
    let mut interrupts = Interrupts::listen()?;
    for warning in network.warnings() {
        context.out.warn(warning);
    }
    let report = ReadyReport::new(&network)?;
    context.out.print_line(&report)?;
    let ended = tokio::select! {
        ended = network.wait() => ended.map_err(Into::into),
        interrupted = interrupts.next() => interrupted,
    };
    let stopped = network.shutdown().await;
    ended?;
    stopped?;
    context.out.tell(&match report.kept {
        true => format!("Stopped; the chain is kept in {}", report.state_dir.display()),
        false => "Stopped; the chain was temporary and is gone".to_owned(),
    });
    Ok(())
}

/// Turns the flags into a configuration.
fn config(args: LocalnetArgs) -> Result<LocalNetConfig> {
    let at = |port| SocketAddr::new(args.host, port);
    let node = !args.no_full_node;
    let faucet = match args.with_faucet {
        Some(on) => SocketAddr::new(on.host.unwrap_or(args.host), on.port),
        None => at(soma_localnet::FAUCET_PORT),
    };
    let embedding_dim = match args.small_model {
        true => Some(SMALL_EMBEDDING_DIM),
        false => args.embedding_dim.map(u64::from),
    };
    let mut config = LocalNetConfig::new()
        .with_rpc(node.then(|| at(args.fullnode_rpc_port)))
        .with_faucet((node && !args.no_faucet).then_some(faucet))
        .with_scoring((!args.no_scoring).then(|| at(args.scoring_port)))
        .with_admin_port(args.admin_port)
        .with_files(args.files_dir.is_some().then(|| at(args.files_port)))
        .with_files_dir(args.files_dir)
        .with_data_ingestion_dir(args.data_ingestion_dir)
        .with_epoch_duration_ms(args.epoch_duration_ms)
        .with_embedding_dim(embedding_dim)
        .with_committee_size(args.committee_size.map(u32::from));
    if !args.force_regenesis {
        config = config.with_state_dir(state_dir(args.network_config)?);
    }
    Ok(config)
}

/// Where a kept network lives: in a folder of its own, beside the wallet by default.
/// The reference names a file in that place, so a file stands for its folder.
fn state_dir(named: Option<PathBuf>) -> Result<PathBuf> {
    let folder = match named {
        None => ConfigDir::from_env()?.path().to_owned(),
        Some(path) if path.extension().is_some_and(|end| end == "yaml" || end == "yml") => {
            path.parent().unwrap_or(Path::new(".")).to_owned()
        }
        Some(path) => path,
    };
    Ok(folder.join("localnet"))
}

/// What is told when the network answers.
#[derive(Serialize)]
struct ReadyReport {
    #[serde(skip_serializing_if = "Option::is_none")]
    rpc_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    faucet_url: Option<String>,
    admin_url: String,
    chain_id: CheckpointDigest,
    epoch: u64,
    epoch_duration_ms: u64,
    state_dir: PathBuf,
    pid: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    scoring_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    files_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    files_dir: Option<PathBuf>,
    embedding_dim: u64,
    kept: bool,
    accounts: Vec<Address>,
}

impl ReadyReport {
    fn new(network: &LocalNet) -> Result<Self> {
        Ok(Self {
            rpc_url: network.rpc_url().map(str::to_owned),
            faucet_url: network.faucet_url().map(str::to_owned),
            admin_url: network.admin_url().to_owned(),
            chain_id: network.chain_id(),
            epoch: network.epoch()?,
            epoch_duration_ms: network.epoch_duration_ms(),
            state_dir: network.state_dir().to_owned(),
            pid: std::process::id(),
            scoring_url: network.scoring_url().map(str::to_owned),
            files_url: network.files_url().map(str::to_owned),
            files_dir: network.files_dir().map(Path::to_owned),
            embedding_dim: network.embedding_dim(),
            kept: network.is_kept(),
            accounts: account_addresses().to_vec(),
        })
    }
}

impl Report for ReadyReport {
    fn text(&self, page: &mut Page) {
        page.painted("The network is ready", GREEN);
        let mut fields = Vec::new();
        let mut add = |name, value: Option<String>| fields.extend(value.map(|value| (name, value)));
        add("RPC", self.rpc_url.clone());
        add("faucet (gRPC)", self.faucet_url.clone());
        add("admin", Some(self.admin_url.clone()));
        add("scoring stub", self.scoring_url.clone());
        add("files", self.files_url.clone());
        add("files from", self.files_dir.as_ref().map(|dir| dir.display().to_string()));
        let length = std::time::Duration::from_millis(self.epoch_duration_ms);
        add("epoch", Some(format!("{}, {} long", self.epoch, format::duration(length))));
        add("embedding", Some(format!("{} numbers", self.embedding_dim)));
        add("chain", Some(self.chain_id.to_string()));
        let fate = if self.kept { "kept in" } else { "temporary, in" };
        add("state", Some(format!("{fate} {}", self.state_dir.display())));
        page.fields(&fields);
        page.heading("Accounts, the same on every local network; their keys are public");
        for (n, account) in self.accounts.iter().enumerate() {
            page.line(format!("  {n}  {account}"));
        }
        page.line("Ctrl-C stops it");
    }
}
