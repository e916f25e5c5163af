//! Completion scripts for shells.

use clap::Args;
use clap_complete::Shell;

use crate::cli;
use crate::error::Result;
use crate::output::write_stdout;

/// Write a completion script to standard output.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Example:
  soma completions bash > ~/.local/share/bash-completion/completions/soma")]
pub(crate) struct CompletionsArgs {
    /// The shell.
    shell: Shell,
}

/// Writes the script.
pub(crate) fn run(args: CompletionsArgs) -> Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut cli::tree(), "soma", &mut script);
    write_stdout(&script)
}
