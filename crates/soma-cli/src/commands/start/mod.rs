//! `soma start`: a local network, or a faucet.

mod args;
mod faucet;
mod localnet;

pub(crate) use self::args::StartArgs;
use self::args::StartCommand;
use crate::context::Context;
use crate::error::{Failure, Result};

/// Runs a command of the group.
pub(crate) fn run(args: StartArgs, context: &Context) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|e| Failure::new("System", format!("cannot start: {e}")))?;
    match args.command {
        StartCommand::Localnet(args) => runtime.block_on(localnet::run(args, context)),
        StartCommand::Faucet(args) => runtime.block_on(faucet::run(args, context)),
    }
}
