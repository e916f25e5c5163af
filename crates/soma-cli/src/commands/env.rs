//! `soma env`: networks that the wallet knows.

use clap::{Args, Subcommand};
use serde::Serialize;
use soma_proto::CheckpointDigest;
use soma_wallet::{BasicAuth, Environment};

use super::wallet::SwitchReport;
use crate::context::{Context, block_on, client};
use crate::error::{Failure, Result};
use crate::output::{Page, Report};
use crate::parse::Secret;

/// Arguments of `soma env`.
#[derive(Debug, Args)]
pub(crate) struct EnvArgs {
    #[command(subcommand)]
    command: EnvCommand,
}

#[derive(Debug, Subcommand)]
enum EnvCommand {
    /// Show the active environment.
    Active,
    /// List the environments.
    List,
    /// Add an environment, after asking its node which chain it is.
    New(NewArgs),
    /// Make another environment the active one.
    Switch(AliasArgs),
    /// Ask the node which chain it is, and keep the answer.
    ChainId,
    /// Forget an environment.
    Remove(AliasArgs),
}

#[derive(Debug, Args)]
#[command(after_long_help = "\
Example:
  soma env new --alias mine --rpc http://192.168.1.5:9000")]
struct NewArgs {
    /// Its name.
    #[arg(long)]
    alias: String,
    /// URL of its node.
    #[arg(long, value_name = "URL")]
    rpc: String,
    /// User name and password, if the node wants them.
    #[arg(long, value_name = "USER:PASSWORD")]
    basic_auth: Option<Secret>,
}

#[derive(Debug, Args)]
struct AliasArgs {
    /// Its name.
    alias: String,
}

/// Runs a command of the group.
pub(crate) fn run(args: EnvArgs, context: &Context) -> Result<()> {
    match args.command {
        EnvCommand::Active => active(context),
        EnvCommand::List => list(context),
        EnvCommand::New(args) => block_on(new(args, context)),
        EnvCommand::Switch(args) => switch(&args, context),
        EnvCommand::ChainId => block_on(chain_id(context)),
        EnvCommand::Remove(args) => remove(&args, context),
    }
}

fn active(context: &Context) -> Result<()> {
    let wallet = context.wallet()?;
    let alias = wallet.config().active_env().ok().map(|env| env.alias.clone());
    context.out.print(&ActiveReport(alias))
}

fn list(context: &Context) -> Result<()> {
    let wallet = context.wallet()?;
    let config = wallet.config();
    context.out.print(&ListReport {
        envs: config.envs().iter().map(EnvReport::from).collect(),
        active: config.active_env().ok().map(|env| env.alias.clone()),
    })
}

async fn new(args: NewArgs, context: &Context) -> Result<()> {
    let mut wallet = context.wallet()?;
    let auth = args.basic_auth.as_ref().map(|text| text.expose().parse::<BasicAuth>());
    let env = Environment::new(args.alias, args.rpc)?.with_basic_auth(auth.transpose()?);
    if wallet.config().envs().iter().any(|other| other.alias == env.alias) {
        return Err(soma_wallet::Error::EnvironmentExists { alias: env.alias }.into());
    }
    let chain_id = client(&env)?.chain_id().await?;
    let alias = env.alias.clone();
    wallet.config_mut().add_env(env.with_chain_id(chain_id))?;
    context.out.print(&NewReport { alias, chain_id })
}

fn switch(args: &AliasArgs, context: &Context) -> Result<()> {
    let env = context.wallet()?.config_mut().switch_env(&args.alias)?;
    context.out.print(&SwitchReport { address: None, env: Some(env) })
}

async fn chain_id(context: &Context) -> Result<()> {
    let mut wallet = context.wallet()?;
    let environment = context.target(Some(&wallet))?.environment;
    let info = client(&environment)?.service_info().await?;
    let chain_id = info
        .chain_id
        .ok_or_else(|| Failure::new("Malformed", "the node does not say which chain it is"))?;
    // An address given by a variable may be that of no environment.
    if wallet.config().env(&environment.alias).is_ok() {
        wallet.config_mut().set_chain_id(&environment.alias, chain_id)?;
    }
    let server_version = info.server_version().map(str::to_owned);
    context.out.print(&ChainIdReport { chain_id, server_version })
}

fn remove(args: &AliasArgs, context: &Context) -> Result<()> {
    let alias = context.wallet()?.config_mut().remove_env(&args.alias)?;
    context.out.print(&RemovedReport { alias })
}

#[derive(Serialize)]
#[serde(transparent)]
struct ActiveReport(Option<String>);

impl Report for ActiveReport {
    fn text(&self, page: &mut Page) {
        page.line(self.0.as_deref().unwrap_or("No environment is active"));
    }
}

#[derive(Serialize)]
struct EnvReport {
    alias: String,
    rpc: String,
    /// User name and three stars.
    basic_auth: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    chain_id: Option<CheckpointDigest>,
}

impl From<&Environment> for EnvReport {
    fn from(env: &Environment) -> Self {
        Self {
            alias: env.alias.clone(),
            rpc: env.rpc.clone(),
            basic_auth: env.basic_auth.as_ref().map(BasicAuth::to_string),
            chain_id: env.chain_id,
        }
    }
}

#[derive(Serialize)]
struct ListReport {
    envs: Vec<EnvReport>,
    active: Option<String>,
}

impl Report for ListReport {
    fn text(&self, page: &mut Page) {
        let rows: Vec<_> = self
            .envs
            .iter()
            .map(|env| {
                let mark = if Some(&env.alias) == self.active.as_ref() { "*" } else { "" };
                let chain = env.chain_id.map_or_else(String::new, |id| id.to_string());
                [mark.to_owned(), env.alias.clone(), env.rpc.clone(), chain]
            })
            .collect();
        page.table(["", "alias", "RPC", "chain"], &rows);
    }
}

#[derive(Serialize)]
struct NewReport {
    alias: String,
    chain_id: CheckpointDigest,
}

impl Report for NewReport {
    fn text(&self, page: &mut Page) {
        page.line(format!("Added {}, chain {}", self.alias, self.chain_id));
    }
}

#[derive(Serialize)]
struct ChainIdReport {
    chain_id: CheckpointDigest,
    server_version: Option<String>,
}

impl Report for ChainIdReport {
    fn text(&self, page: &mut Page) {
        page.fields(&[
            ("chain", self.chain_id.to_string()),
            ("server", self.server_version.clone().unwrap_or_else(|| "-".to_owned())),
        ]);
    }
}

#[derive(Serialize)]
struct RemovedReport {
    alias: String,
}

impl Report for RemovedReport {
    fn text(&self, page: &mut Page) {
        page.line(format!("Removed {}", self.alias));
    }
}
