//! The `soma` command line: register, reveal and look after models on the SOMA
//! network.
//!
//! A command is parsed ([`cli`]), becomes calls to a library ([`commands`]),
//! and what these answer is printed ([`output`]). The rules of the network, the
//! checks before a transaction and the formats of files live in the libraries;
//! nothing is decided here but how to say it.

#![forbid(unsafe_code)]

/// The tree of commands and flags.
mod cli;
/// What each command does, one module per group.
mod commands;
/// What a command works with: wallet, environment, client, output.
mod context;
/// No memory on the disk.
mod dumps;
/// What is told when something goes wrong, and the exit code.
mod error;
/// Ctrl-C, and being asked to end.
mod interrupt;
/// Logs, on standard error.
mod logging;
/// Results on standard output, in text or JSON.
mod output;
/// How values are written on the command line.
mod parse;
/// Progress bars on standard error.
mod progress;
/// Questions on the terminal.
mod prompt;
/// From a kind of transaction to its result, or to a preview of it.
mod transact;

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().collect();
    let (command, output) = match cli::parse(&arguments) {
        Ok(parsed) => parsed,
        Err(stop) => return stop.exit(),
    };
    match commands::run(command, output) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => output.fail(&error),
    }
}
