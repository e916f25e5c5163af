//! `soma wallet`: keys and addresses.

use std::io::{self, IsTerminal as _};
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use serde::Serialize;
use soma_proto::Address;
use soma_wallet::{Alias, CreatedKey, DerivationPath, Identity, NewKey, WordCount};
use zeroize::Zeroizing;

use crate::context::Context;
use crate::error::{Failure, Result};
use crate::output::page::YELLOW;
use crate::output::{Page, Report};
use crate::prompt;

/// Arguments of `soma wallet`.
#[derive(Debug, Args)]
pub(crate) struct WalletArgs {
    #[command(subcommand)]
    command: WalletCommand,
}

#[derive(Debug, Subcommand)]
enum WalletCommand {
    /// Show the active address.
    Active,
    /// List the addresses.
    List(ListArgs),
    New(NewArgs),
    /// Forget a key.
    Remove(IdentityArgs),
    /// Make another address the active one.
    Switch(IdentityArgs),
    Import(ImportArgs),
    Export(ExportArgs),
}

#[derive(Debug, Args)]
struct ListArgs {
    /// In the order of the aliases.
    #[arg(short, long)]
    sort_by_alias: bool,
}

/// Make a new key with a recovery phrase. It does not become the active one, unless
/// it is the first.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  soma -y wallet new --alias me
  soma wallet switch me")]
struct NewArgs {
    /// Its name: a letter, then letters, digits, `.`, `-`, `_`. Two random words if left out.
    #[arg(long)]
    alias: Option<Alias>,
    /// The kind of key.
    #[arg(long, value_name = "SCHEME", value_enum, default_value_t)]
    key_scheme: KeyScheme,
    /// Length of the recovery phrase.
    #[arg(long, default_value_t, value_name = "WORDS")]
    word_length: WordCount,
    /// Its place under the phrase.
    #[arg(long, default_value_t, value_name = "PATH")]
    derivation_path: DerivationPath,
}

/// The kinds of key that accounts can have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum KeyScheme {
    /// Ed25519.
    #[default]
    Ed25519,
}

#[derive(Debug, Args)]
struct IdentityArgs {
    /// Its address or alias.
    identity: Identity,
}

/// Take over a key, from its recovery phrase or its `somaprivkey...` text.
///
/// The secret is read from a prompt, from a file or from standard input, never from
/// an argument: arguments are visible to other users of the machine.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  soma wallet import --alias me --file phrase.txt
  pass show soma | soma wallet import --alias me")]
struct ImportArgs {
    /// A file that holds the secret.
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Its name; two random words if left out.
    #[arg(long)]
    alias: Option<Alias>,
    /// The key's place, if the secret is a phrase.
    #[arg(long, default_value_t, value_name = "PATH")]
    derivation_path: DerivationPath,
}

/// Show the secret key of an address. Whoever has it owns the account.
#[derive(Debug, Args)]
struct ExportArgs {
    /// Its address or alias; the active one if left out.
    identity: Option<Identity>,
}

/// Runs a command of the group.
pub(crate) fn run(args: WalletArgs, context: &Context) -> Result<()> {
    match args.command {
        WalletCommand::Active => active(context),
        WalletCommand::List(args) => list(&args, context),
        WalletCommand::New(args) => new(args, context),
        WalletCommand::Remove(args) => remove(&args, context),
        WalletCommand::Switch(args) => switch(&args, context),
        WalletCommand::Import(args) => import(args, context),
        WalletCommand::Export(args) => export(&args, context),
    }
}

fn active(context: &Context) -> Result<()> {
    let wallet = context.wallet()?;
    let address = wallet.active_address();
    let alias = address.and_then(|address| wallet.keystore().alias(&address).map(str::to_owned));
    context.out.print(&ActiveReport { address, alias })
}

fn list(args: &ListArgs, context: &Context) -> Result<()> {
    let wallet = context.wallet()?;
    let mut addresses: Vec<_> =
        wallet.keystore().iter().map(|(address, alias, _)| (alias.to_owned(), address)).collect();
    if args.sort_by_alias {
        addresses.sort();
    }
    context.out.print(&ListReport { active_address: wallet.active_address(), addresses })
}

fn new(args: NewArgs, context: &Context) -> Result<()> {
    let KeyScheme::Ed25519 = args.key_scheme;
    let key = NewKey { alias: args.alias, words: args.word_length, path: args.derivation_path };
    let created = match context.existing_wallet()? {
        Some(mut wallet) => wallet.new_key(key)?,
        // The first key: no other is made on the way, and it becomes the active one.
        None => context.create_wallet(key)?.1,
    };
    context.out.print(&KeyReport::from(created))
}

fn remove(args: &IdentityArgs, context: &Context) -> Result<()> {
    let mut wallet = context.wallet()?;
    let address = wallet.resolve(Some(&args.identity))?;
    wallet.keystore().key(&address)?;
    context.confirm(&format!("Forget the key of {address}? Without a copy its money is lost."))?;
    let removed = wallet.remove(&args.identity)?;
    if let Some(active) = removed.active {
        context.out.note(&format!("The active address is {active}"));
    }
    let alias_or_address = args.identity.to_string();
    context.out.print(&RemovedReport { alias_or_address, address: removed.address })
}

fn switch(args: &IdentityArgs, context: &Context) -> Result<()> {
    let address = context.wallet()?.switch(&args.identity)?;
    context.out.print(&SwitchReport { address: Some(address), env: None })
}

fn import(args: ImportArgs, context: &Context) -> Result<()> {
    let secret = match &args.file {
        Some(path) => std::fs::read_to_string(path)
            .map(Zeroizing::new)
            .map_err(|e| Failure::new("File", format!("cannot read {}: {e}", path.display())))?,
        None => prompt::secret_line("Recovery phrase or somaprivkey text")
            .map_err(|e| Failure::new("Input", format!("cannot read the secret: {e}")))?,
    };
    let mut wallet = context.wallet_or_empty()?;
    let created = wallet.import(&secret, &args.derivation_path, args.alias)?;
    context.out.print(&KeyReport::from(created))
}

fn export(args: &ExportArgs, context: &Context) -> Result<()> {
    let wallet = context.wallet()?;
    let address = wallet.resolve(args.identity.as_ref())?;
    let key = wallet.keystore().key(&address)?;
    context.confirm_secret(&format!("Show the secret key of {address}?"))?;
    context.out.print(&ExportReport {
        alias: wallet.keystore().alias(&address).map(str::to_owned),
        address,
        key_scheme: KEY_SCHEME,
        private_key: key.to_bech32(),
    })
}

/// The kind of key in JSON.
const KEY_SCHEME: &str = "ED25519";

#[derive(Serialize)]
#[serde(transparent)]
struct ActiveReport {
    address: Option<Address>,
    #[serde(skip)]
    alias: Option<String>,
}

impl Report for ActiveReport {
    fn text(&self, page: &mut Page) {
        match self.address {
            Some(address) => {
                page.line(format!("{} {address}", self.alias.as_deref().unwrap_or("-")));
            }
            None => page.line("The wallet has no key"),
        }
    }
}

#[derive(Serialize)]
struct ListReport {
    active_address: Option<Address>,
    addresses: Vec<(String, Address)>,
}

impl Report for ListReport {
    fn text(&self, page: &mut Page) {
        let rows: Vec<_> = self
            .addresses
            .iter()
            .map(|(alias, address)| {
                let mark = if Some(*address) == self.active_address { "*" } else { "" };
                [mark.to_owned(), alias.clone(), address.to_string()]
            })
            .collect();
        page.table(["", "alias", "address"], &rows);
    }
}

#[derive(Serialize)]
struct KeyReport {
    alias: String,
    address: Address,
    key_scheme: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    recovery_phrase: Option<Zeroizing<String>>,
}

impl From<CreatedKey> for KeyReport {
    fn from(created: CreatedKey) -> Self {
        Self {
            alias: created.alias.to_string(),
            address: created.address,
            key_scheme: KEY_SCHEME,
            recovery_phrase: created.phrase,
        }
    }
}

impl Report for KeyReport {
    fn text(&self, page: &mut Page) {
        let mut fields = vec![
            ("alias", self.alias.clone()),
            ("address", self.address.to_string()),
            ("key scheme", self.key_scheme.to_lowercase()),
        ];
        match &self.recovery_phrase {
            // A phrase that went into a pipe would lie in somebody's log.
            Some(phrase) if io::stdout().is_terminal() => {
                fields.push(("recovery phrase", phrase.to_string()));
                page.fields(&fields);
                page.painted("The phrase is shown only now: write it down.", YELLOW);
            }
            Some(_) => {
                fields.push(("recovery phrase", "not shown: this is no terminal".to_owned()));
                page.fields(&fields);
            }
            None => page.fields(&fields),
        }
    }
}

#[derive(Serialize)]
struct RemovedReport {
    alias_or_address: String,
    address: Address,
}

impl Report for RemovedReport {
    fn text(&self, page: &mut Page) {
        page.line(format!("Removed the key of {}", self.address));
    }
}

/// What became active, of an address and an environment.
#[derive(Serialize)]
pub(super) struct SwitchReport {
    pub(super) address: Option<Address>,
    pub(super) env: Option<String>,
}

impl Report for SwitchReport {
    fn text(&self, page: &mut Page) {
        if let Some(address) = self.address {
            page.line(format!("The active address is {address}"));
        }
        if let Some(env) = &self.env {
            page.line(format!("The active environment is {env}"));
        }
    }
}

#[derive(Serialize)]
struct ExportReport {
    alias: Option<String>,
    address: Address,
    key_scheme: &'static str,
    #[serde(rename = "privateKey")]
    private_key: Zeroizing<String>,
}

impl Report for ExportReport {
    fn text(&self, page: &mut Page) {
        page.fields(&[
            ("alias", self.alias.clone().unwrap_or_default()),
            ("address", self.address.to_string()),
            ("secret key", self.private_key.to_string()),
        ]);
    }
}
