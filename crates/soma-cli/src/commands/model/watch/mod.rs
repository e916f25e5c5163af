//! `soma model watch`.

mod hook;
mod lines;
mod unit;

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use soma_model::watch::{Event, Outcome};
use soma_model::{Scope, Watch};
use soma_proto::{CheckpointDigest, KeyPair};
use soma_rpc::Client;
use soma_storage::Storage;
use soma_wallet::{Environment, Overrides, Target, Wallet};

use self::hook::Hook;
use self::lines::Lines;
use super::prepared;
use crate::context::{Context, client};
use crate::error::{Exit, Failure, Result};
use crate::interrupt::Interrupts;
use crate::output::format;
use crate::transact::TransactionArgs;

/// How long the nodes are asked at the start for the chain that they serve; one
/// that is down is no reason not to begin.
const FIRST_LOOK: Duration = Duration::from_secs(5);

/// Look after all models of this wallet, until Ctrl-C.
///
/// Every commit is seen, its reveal rehearsed and signed at once, and a coin set
/// aside for the fee. The reveal is sent early in its window, once every node that
/// answers agrees on the epoch, and again until it is executed. Then what the URL
/// serves is looked at from time to time, and whether validators report the model.
///
/// Prints a line for every change; a reader that is stuck does not hold it up. Exit code 4 if a model needs somebody at the
/// end: late with its reveal, lost, not served as it should be, or reported.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  soma model watch --rpc https://node-a.example.com --rpc https://node-b.example.com
  soma model watch --on-event 'test \"$SOMA_ALARM\" = 0 || mail -s \"$SOMA_MESSAGE\" me'
  soma model watch --once --json                  for cron, several times an epoch
  soma model watch --install                      as a service of this user

A command of --on-event finds the event as JSON on standard input, and in the
variables SOMA_EVENT, SOMA_ALARM (0 or 1), SOMA_MODEL_ID, SOMA_MESSAGE and
SOMA_PERCENT.")]
pub(in crate::commands::model) struct WatchArgs {
    /// A node to ask, instead of that of the environment; may be repeated. All that
    /// answer must agree before a reveal is sent; if one is gone another one is used.
    #[arg(long = "rpc", value_name = "URL")]
    rpc: Vec<String>,
    /// Look after the model of this state file only.
    #[arg(long, value_name = "FILE")]
    state: Option<PathBuf>,
    /// Do what is due now, and end.
    #[arg(long)]
    once: bool,
    /// Run this command for every event.
    #[arg(long, value_name = "COMMAND")]
    on_event: Option<String>,
    /// Write a systemd unit that does this from now on, and end.
    #[arg(long, conflicts_with = "once")]
    install: bool,
    /// Show that unit instead of writing it.
    #[arg(long, requires = "install")]
    print: bool,
}

/// Runs the command.
pub(super) async fn run(args: WatchArgs, flags: &TransactionArgs, context: &Context) -> Result<()> {
    if !flags.sends()? || !flags.gas.is_empty() {
        return Err(Failure::usage("watch sends what is due; it has no preview and chooses coins"));
    }
    let mut interrupts = Interrupts::listen()?;
    let wallet = context.wallet()?;
    let environments = environments(&args.rpc, &wallet, context)?;
    if args.install {
        return unit::install(&args, context);
    }
    let nodes = environments.iter().map(client).collect::<Result<Vec<_>>>()?;
    let chain = chain_of(&environments, &nodes).await?;
    let local = environments.iter().all(|environment| Scope::of(environment) == Scope::Local);
    let scope = if local { Scope::Local } else { Scope::Public };
    let chain = chain.unwrap_or_else(|| match scope {
        Scope::Local => "localnet".to_owned(),
        Scope::Public => String::new(),
    });
    let keys = keys(&wallet, &chain)?;
    let folder = prepared::folder(context)?;
    let mut watch = Watch::new(nodes, keys, Storage::new(scope.addresses())?, scope, folder);
    watch.only = args.state;
    watch.timeout = flags.timeout();

    let hook = args.on_event.map(Hook::start);
    let lines = Lines::start(context.out)?;
    let tell = |event: Event| {
        if let Some(hook) = &hook {
            hook.send(&event);
        }
        lines.send(event);
    };
    let outcome = match args.once {
        true => watch.once(tell).await?,
        false => {
            let stop = async {
                // Without a way to be told to stop it is better to go on.
                if interrupts.next().await.is_err() {
                    std::future::pending::<()>().await;
                }
            };
            watch.run(tell, stop).await?
        }
    };
    if let Some(hook) = hook {
        hook.finish().await;
    }
    let written = lines.finish();
    // A model that was lost is worse than a line that was.
    judge(&outcome).and(written)
}

/// The networks' nodes: those that are named, else that of the environment.
fn environments(urls: &[String], wallet: &Wallet, context: &Context) -> Result<Vec<Environment>> {
    let target = context.target(Some(wallet))?;
    if urls.is_empty() {
        return Ok(vec![target.environment]);
    }
    let by_url = |url: &String| {
        let flags = Overrides { rpc_url: Some(url.clone()), ..Overrides::default() };
        Target::resolve(Some(wallet.config()), &flags, &Overrides::default())
            .map(|target| target.environment)
    };
    Ok(urls.iter().map(by_url).collect::<Result<_, _>>()?)
}

/// The name of the chain, of the first node that answers. One that serves
/// another chain than the one on file stops us: money must not move there.
async fn chain_of(environments: &[Environment], nodes: &[Client]) -> Result<Option<String>> {
    let asked = nodes.iter().map(|node| tokio::time::timeout(FIRST_LOOK, node.service_info()));
    let answers = futures::future::join_all(asked).await;
    let mut name = None;
    for (environment, answer) in environments.iter().zip(answers) {
        let Ok(Ok(info)) = answer else { continue };
        if let Some(chain_id) = info.chain_id {
            let chain_id: CheckpointDigest = chain_id;
            environment.check_chain(chain_id)?;
        }
        name = name.or(info.chain);
    }
    Ok(name)
}

/// The keys of the wallet that may sign on this chain, the active one first.
pub(super) fn keys(wallet: &Wallet, chain: &str) -> Result<Vec<KeyPair>> {
    let active = wallet.resolve(None)?;
    let mut addresses = vec![active];
    addresses.extend(wallet.keystore().iter().map(|(address, ..)| address));
    let mut keys: Vec<KeyPair> = Vec::new();
    for address in addresses {
        match wallet.signer(&address, chain) {
            Ok(key) if keys.iter().all(|known| known.address() != address) => {
                keys.push(key.clone());
            }
            Ok(_) => {}
            // Of the others only those that can sign matter.
            Err(error) if address == active => return Err(error.into()),
            Err(_) => {}
        }
    }
    Ok(keys)
}

fn judge(outcome: &Outcome) -> Result<()> {
    if outcome.alarms.is_empty() {
        return Ok(());
    }
    let files: Vec<_> = outcome.alarms.iter().map(|path| path.display().to_string()).collect();
    let many = format::count(files.len(), "model");
    let message = format!("{many} to be looked after: {}", files.join(", "));
    let failure = Failure::new("Alarm", message).with_exit(Exit::Alarm);
    Err(failure.with_hint("soma model status and the events above say what it is"))
}

fn io_failure(what: &str, error: &io::Error) -> Failure {
    Failure::new("System", format!("{what}: {error}"))
}
