//! `soma localnet`: steer a running local network.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use serde::Serialize;
use soma_localnet::{FileHost, Uploads};
use soma_proto::CheckpointDigest;
use soma_rpc::{Admin, scoring_health};
use tokio::net::TcpStream;

use crate::context::{Context, block_on, client};
use crate::error::Result;
use crate::interrupt::Interrupts;
use crate::output::page::GREEN;
use crate::output::{Page, Report};

/// Arguments of `soma localnet`.
#[derive(Debug, Args)]
pub(crate) struct LocalnetArgs {
    #[command(subcommand)]
    command: LocalnetCommand,
}

#[derive(Debug, Subcommand)]
enum LocalnetCommand {
    /// End the running epoch now.
    AdvanceEpoch(AdvanceEpochArgs),
    /// Show which services of the network answer.
    Status,
    Serve(ServeArgs),
}

#[derive(Debug, Args)]
struct AdvanceEpochArgs {
    /// The admin service; that of the environment if left out.
    #[arg(long, value_name = "URL")]
    admin_url: Option<String>,
}

/// Serve a directory, with ranges and uploads, until Ctrl-C.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Example:
  soma localnet serve served &
  curl -T weights.enc http://127.0.0.1:9200/weights.enc")]
struct ServeArgs {
    /// The directory; created if it is missing.
    dir: PathBuf,
    /// Port to listen on; 0 takes a free one.
    #[arg(long, default_value_t = 9200)]
    port: u16,
    /// Address to listen on.
    #[arg(long, value_name = "IP", default_value = "127.0.0.1")]
    host: IpAddr,
}

/// How long the node may lag behind the admin service.
const SETTLE: Duration = Duration::from_secs(30);
/// How long a service may take to answer that it is there.
const KNOCK: Duration = Duration::from_secs(2);

/// Runs a command of the group.
pub(crate) fn run(args: LocalnetArgs, context: &Context) -> Result<()> {
    block_on(async {
        match args.command {
            LocalnetCommand::AdvanceEpoch(args) => advance_epoch(args, context).await,
            LocalnetCommand::Status => status(context).await,
            LocalnetCommand::Serve(args) => serve(args, context).await,
        }
    })
}

async fn advance_epoch(args: AdvanceEpochArgs, context: &Context) -> Result<()> {
    let target = context.target_without_wallet()?;
    let epoch = match args.admin_url {
        // It may belong to a network of which we know nothing else.
        Some(url) => Admin::new(url)?.advance_epoch().await?,
        None => {
            let epoch = Admin::new(target.admin_url()?)?.advance_epoch().await?;
            let node = client(&target.environment)?;
            node.wait_for_epoch(epoch, Duration::from_millis(20), SETTLE).await?
        }
    };
    context.out.print(&EpochReport { epoch })
}

async fn status(context: &Context) -> Result<()> {
    let target = context.target_without_wallet()?;
    let environment = &target.environment;
    let info = client(environment)?.service_info().await.ok();
    let mut services = vec![ServiceReport {
        service: "rpc",
        url: environment.rpc.clone(),
        reachable: info.is_some(),
    }];
    for (service, url) in [("faucet", target.faucet_url()), ("admin", target.admin_url())] {
        if let Ok(url) = url {
            let reachable = knock(url).await;
            services.push(ServiceReport { service, url: url.to_owned(), reachable });
        }
    }
    if let Ok(url) = environment.scoring_url() {
        let reachable = scoring_health(url).await.unwrap_or(false);
        services.push(ServiceReport { service: "scoring", url: url.to_owned(), reachable });
    }
    context.out.print(&StatusReport {
        chain_id: info.as_ref().and_then(|info| info.chain_id),
        epoch: info.as_ref().and_then(|info| info.epoch),
        services,
    })
}

/// Whether somebody listens at a URL.
async fn knock(url: &str) -> bool {
    let Ok(addresses) =
        url::Url::parse(url).map_err(drop).and_then(|url| url.socket_addrs(|| None).map_err(drop))
    else {
        return false;
    };
    let connect = tokio::time::timeout(KNOCK, TcpStream::connect(&addresses[..]));
    matches!(connect.await, Ok(Ok(_)))
}

async fn serve(args: ServeArgs, context: &Context) -> Result<()> {
    let address = SocketAddr::new(args.host, args.port);
    let mut interrupts = Interrupts::listen()?;
    let host = FileHost::start(&args.dir, address, Uploads::Allowed).await?;
    context.out.print_line(&ServeReport {
        url: host.url(),
        dir: host.directory().to_owned(),
        pid: std::process::id(),
    })?;
    interrupts.next().await?;
    host.stop().await;
    Ok(())
}

#[derive(Serialize)]
struct EpochReport {
    epoch: u64,
}

impl Report for EpochReport {
    fn text(&self, page: &mut Page) {
        page.line(format!("Epoch {} has begun", self.epoch));
    }
}

#[derive(Serialize)]
struct ServiceReport {
    service: &'static str,
    url: String,
    reachable: bool,
}

#[derive(Serialize)]
struct StatusReport {
    #[serde(skip_serializing_if = "Option::is_none")]
    chain_id: Option<CheckpointDigest>,
    #[serde(skip_serializing_if = "Option::is_none")]
    epoch: Option<u64>,
    services: Vec<ServiceReport>,
}

impl Report for StatusReport {
    fn text(&self, page: &mut Page) {
        if let (Some(chain), Some(epoch)) = (&self.chain_id, self.epoch) {
            page.line(format!("Chain {chain}, epoch {epoch}"));
        }
        let rows: Vec<_> = self
            .services
            .iter()
            .map(|service| {
                let state = if service.reachable { "answers" } else { "does not answer" };
                [service.service.to_owned(), service.url.clone(), state.to_owned()]
            })
            .collect();
        page.table(["service", "URL", "state"], &rows);
    }
}

#[derive(Serialize)]
struct ServeReport {
    url: String,
    dir: PathBuf,
    pid: u32,
}

impl Report for ServeReport {
    fn text(&self, page: &mut Page) {
        page.painted(format!("Serving {} at {}", self.dir.display(), self.url), GREEN);
        page.line("Ctrl-C stops it");
    }
}
