//! What each command does, one module per group.

pub(crate) mod completions;
pub(crate) mod keytool;
pub(crate) mod wallet;
pub(crate) mod weights;

use crate::cli::{Cli, Command};
use crate::context::Context;
use crate::error::Result;
use crate::output::Output;

/// Runs a parsed command line.
pub(crate) fn run(cli: Cli, output: Output) -> Result<()> {
    let context = Context::new(cli.global, output);
    match cli.command {
        Command::Weights(args) => weights::run(args, &context),
        Command::Wallet(args) => wallet::run(args, &context),
        Command::Keytool(args) => keytool::run(args, &context),
        Command::Completions(args) => completions::run(args),
    }
}
