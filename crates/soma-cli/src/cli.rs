//! The tree of commands and flags.
//!
//! The arguments of a command stand beside what it does, in [`crate::commands`];
//! here they are put together, parsed, and usage errors are told in our form.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{ArgAction, Args, CommandFactory as _, Parser, Subcommand};

use crate::commands::{
    completions, demo, env, faucet, keytool, localnet, model, money, objects, stake, start, status,
    storage, tx, wallet, weights,
};
use crate::error::Failure;
use crate::output::{Mode, Output, write_stdout};

const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), " (", env!("SOMA_REVISION"), ")");

const EXAMPLES: &str = "\
Examples:
  soma demo                          the whole of a registration, on a network of its own
  soma start localnet                a network on this machine, until Ctrl-C
  soma -y wallet new --alias me      a wallet with one key
  soma faucet                        money for it
  soma model commit --help           how a model is registered

Environment:
  SOMA_CONFIG_DIR    where wallet and network are kept (default ~/.soma/soma_config)
  SOMA_ENV           environment to use, as --client.env
  SOMA_RPC_URL, SOMA_FAUCET_URL, SOMA_ADMIN_URL
                     services to use instead of those of the environment
  RUST_LOG           log filter; logs go to standard error
  NO_COLOR, CLICOLOR, CLICOLOR_FORCE
                     whether there is colour";

/// Register, reveal and look after models on the SOMA network.
#[derive(Debug, Parser)]
#[command(
    name = "soma",
    version = VERSION,
    after_long_help = EXAMPLES,
    propagate_version = true,
    infer_long_args = false,
    max_term_width = 100
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: GlobalArgs,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Flags that every command takes.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct GlobalArgs {
    /// Print one JSON document instead of text.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Wallet configuration to use instead of client.yaml in the config directory.
    #[arg(long = "client.config", global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Environment to use for this command only.
    #[arg(long = "client.env", global = true, value_name = "ALIAS")]
    pub(crate) env: Option<String>,
    /// Create a missing wallet without asking, and answer other questions with yes.
    #[arg(short = 'y', long, global = true, action = ArgAction::SetTrue)]
    pub(crate) yes: bool,
}

/// What `soma` can do. What has no text here has it on its arguments.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Commit, reveal, update and look at models.
    Model(model::ModelArgs),
    /// Encrypt, decrypt, hash and inspect weight files.
    Weights(weights::WeightsArgs),
    /// Try out and tidy up stores for weights.
    Storage(storage::StorageArgs),
    Stake(stake::StakeArgs),
    Unstake(stake::UnstakeArgs),

    /// Keys and addresses of the wallet.
    Wallet(wallet::WalletArgs),
    /// Single keys, without a wallet.
    Keytool(keytool::KeytoolArgs),
    /// Networks that the wallet knows.
    Env(env::EnvArgs),

    Faucet(faucet::FaucetArgs),
    Balance(money::BalanceArgs),
    Send(money::SendArgs),
    Transfer(money::TransferArgs),
    Pay(money::PayArgs),
    MergeCoins(money::MergeCoinsArgs),

    Status(status::StatusArgs),
    /// Look at objects.
    Objects(objects::ObjectsArgs),
    Tx(tx::TxArgs),

    /// Start a local network or a faucet.
    Start(start::StartArgs),
    /// Steer a running local network.
    Localnet(localnet::LocalnetArgs),
    Demo(demo::DemoArgs),
    Completions(completions::CompletionsArgs),
}

/// Parsing ended without a command: help, version, or a usage error.
#[derive(Debug)]
pub(crate) struct Stop {
    error: clap::Error,
    json: bool,
}

/// Parses the command line; the first argument is the program's name.
pub(crate) fn parse(arguments: &[OsString]) -> Result<(Cli, Output), Stop> {
    match Cli::try_parse_from(arguments) {
        Ok(cli) => {
            let mode = if cli.global.json { Mode::Json } else { Mode::Text };
            Ok((cli, Output::new(mode)))
        }
        Err(error) => {
            // The flag was not parsed; usage errors are told in its form all the same.
            let json = arguments.iter().skip(1).any(|argument| argument == "--json");
            Err(Stop { error, json })
        }
    }
}

/// The tree, for completion scripts.
pub(crate) fn tree() -> clap::Command {
    Cli::command()
}

impl Stop {
    /// Prints what there is to say and gives the exit code: 0 after help and
    /// version, 2 after a usage error.
    pub(crate) fn exit(self) -> ExitCode {
        match self.error.kind() {
            // Of a subcommand, clap would print the version under another name.
            ErrorKind::DisplayVersion => match write_stdout(format!("soma {VERSION}\n").as_bytes())
            {
                Ok(()) => ExitCode::SUCCESS,
                Err(_) => ExitCode::FAILURE,
            },
            ErrorKind::DisplayHelp | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
                let _ = self.error.print();
                ExitCode::from(u8::try_from(self.error.exit_code()).unwrap_or(2))
            }
            _ => {
                let (message, hint) = told(&self.error.render().to_string());
                let mode = if self.json { Mode::Json } else { Mode::Text };
                let mut failure = Failure::usage(message);
                failure.report.hint = hint;
                Output::new(mode).fail(&failure)
            }
        }
    }
}

/// Splits clap's text into the error and what helps.
fn told(text: &str) -> (String, Option<String>) {
    let text = text.trim();
    let text = text.strip_prefix("error: ").unwrap_or(text);
    let (message, rest) = match text.split_once("\n\n") {
        Some((message, rest)) => (message, rest),
        None => (text, ""),
    };
    let lines: Vec<_> = rest.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let hint = lines.join("\n");
    (message.trim_end().to_owned(), (!hint.is_empty()).then_some(hint))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_line(line: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(line.split(' '))
    }

    #[test]
    fn the_tree_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn global_flags_stand_anywhere() {
        for line in ["soma --json model list", "soma model --json list", "soma model list --json"] {
            assert!(parse_line(line).unwrap().global.json, "{line}");
        }
        for line in ["soma -y wallet new", "soma wallet -y new", "soma wallet new -y"] {
            assert!(parse_line(line).unwrap().global.yes, "{line}");
        }
        let line = "soma model list --client.env testnet --client.config /x.yaml";
        let global = parse_line(line).unwrap().global;
        assert_eq!(global.env.as_deref(), Some("testnet"));
        assert_eq!(global.config, Some("/x.yaml".into()));
    }

    #[test]
    fn an_embedding_may_begin_with_a_minus_sign() {
        let id = "11".repeat(32);
        for embedding in ["--embedding -0.1,0.2", "--embedding=-0.1,0.2", "--embedding -.5"] {
            let line = format!(
                "soma model reveal {id} --weights-url http://h/w --weights-checksum {id} \
                 --weights-size 5 --decryption-key {id} {embedding}"
            );
            assert!(parse_line(&line).is_ok(), "{embedding}");
        }
    }

    #[test]
    fn an_unknown_command_gets_a_suggestion() {
        let error = parse_line("soma modle list").unwrap_err();
        let (message, hint) = told(&error.render().to_string());
        assert_eq!(message, "unrecognized subcommand 'modle'");
        assert!(hint.unwrap().contains("'model'"));
        assert_eq!(error.exit_code(), 2);
    }
}
