//! `soma demo`: a whole registration on an embedded network.

mod report;
mod story;
mod weights;

use std::path::PathBuf;

use clap::Args;

use crate::context::Context;
use crate::error::{Failure, Result};
use crate::interrupt::Interrupts;

/// Register a model on an embedded network, from the file to the reveal.
///
/// Starts a network on free ports with a wallet of its own, encrypts the weights,
/// hosts, commits and reveals them, replaces them, and at the end does what a
/// validator does: fetches the URL, compares size and checksum, decrypts, and
/// compares with the file. Nothing is left behind.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  soma demo
  soma demo weights.safetensors --json")]
pub(crate) struct DemoArgs {
    /// A safetensors file; 64 MiB are generated if left out.
    #[arg(value_name = "WEIGHTS")]
    weights: Option<PathBuf>,
}

/// Runs the command.
pub(crate) fn run(args: DemoArgs, context: &Context) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|e| Failure::new("System", format!("cannot start: {e}")))?;
    runtime.block_on(async {
        let mut interrupts = Interrupts::listen()?;
        tokio::select! {
            told = story::tell(args.weights, context.out) => told,
            _ = interrupts.next() => Err(Failure::new("Aborted", "interrupted; nothing is left behind")),
        }
    })
}
