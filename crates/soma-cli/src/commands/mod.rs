//! What each command does, one module per group.

pub(crate) mod completions;
pub(crate) mod demo;
pub(crate) mod env;
pub(crate) mod faucet;
pub(crate) mod keytool;
pub(crate) mod localnet;
pub(crate) mod model;
pub(crate) mod money;
pub(crate) mod objects;
pub(crate) mod stake;
pub(crate) mod start;
pub(crate) mod status;
pub(crate) mod storage;
pub(crate) mod tx;
pub(crate) mod wallet;
pub(crate) mod weights;

use crate::cli::{Cli, Command};
use crate::context::Context;
use crate::dumps;
use crate::error::Result;
use crate::logging;
use crate::output::Output;

/// Runs a parsed command line.
pub(crate) fn run(cli: Cli, output: Output) -> Result<()> {
    if !matches!(cli.command, Command::Start(_)) {
        logging::start(None);
        dumps::forbid();
    }
    let context = Context::new(cli.global, output);
    match cli.command {
        Command::Model(args) => model::run(args, &context),
        Command::Weights(args) => weights::run(args, &context),
        Command::Storage(args) => storage::run(args, &context),
        Command::Stake(args) => stake::run(args, &context),
        Command::Unstake(args) => stake::run_unstake(args, &context),
        Command::Wallet(args) => wallet::run(args, &context),
        Command::Keytool(args) => keytool::run(args, &context),
        Command::Env(args) => env::run(args, &context),
        Command::Faucet(args) => faucet::run(args, &context),
        Command::Balance(args) => money::run_balance(args, &context),
        Command::Send(args) => money::run_send(args, &context),
        Command::Transfer(args) => money::run_transfer(args, &context),
        Command::Pay(args) => money::run_pay(args, &context),
        Command::MergeCoins(args) => money::run_merge_coins(args, &context),
        Command::Status(args) => status::run(args, &context),
        Command::Objects(args) => objects::run(args, &context),
        Command::Tx(args) => tx::run(args, &context),
        Command::Start(args) => start::run(args, &context),
        Command::Localnet(args) => localnet::run(args, &context),
        Command::Demo(args) => demo::run(args, &context),
        Command::Completions(args) => completions::run(args),
    }
}
