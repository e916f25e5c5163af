//! `soma keytool`: single keys, without a wallet.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::{Args, Subcommand};
use serde::Serialize;
use soma_proto::signature::Intent;
use soma_wallet::keytool::{self, KeyRecord, SignedData};
use soma_wallet::{
    Alias, ConfigDir, DerivationPath, Identity, Keystore, Mnemonic, WordCount, secret,
};
use zeroize::Zeroizing;

use super::wallet::KeyScheme;
use crate::context::Context;
use crate::error::{Failure, Result};
use crate::output::{Page, Report};
use crate::parse::Secret;
use crate::prompt;

/// Arguments of `soma keytool`.
#[derive(Debug, Args)]
pub(crate) struct KeytoolArgs {
    /// Keystore to use instead of that of the wallet.
    #[arg(long, global = true, value_name = "FILE")]
    keystore_path: Option<PathBuf>,
    #[command(subcommand)]
    command: KeytoolCommand,
}

#[derive(Debug, Subcommand)]
enum KeytoolCommand {
    /// Make a key and write it to ADDRESS.key in the current directory.
    Generate(GenerateArgs),
    /// Put a key into the keystore.
    Import(ImportArgs),
    /// Show a secret key.
    Export(ExportArgs),
    /// List the keys of the keystore.
    List(ListArgs),
    /// Rename a key.
    UpdateAlias(UpdateAliasArgs),
    /// Show the key in a file.
    Show(ShowArgs),
    /// Show the key in a Base64 text.
    Unpack(UnpackArgs),
    /// Sign data.
    Sign(SignArgs),
}

#[derive(Debug, Args)]
#[command(after_long_help = "\
Example:
  soma keytool generate ed25519")]
struct GenerateArgs {
    /// The kind of key.
    scheme: KeyScheme,
    /// The key's place under the phrase.
    #[arg(default_value_t)]
    path: DerivationPath,
    /// Length of the recovery phrase.
    #[arg(default_value_t)]
    word_length: WordCount,
}

#[derive(Debug, Args)]
struct ImportArgs {
    /// Recovery phrase or `somaprivkey...` text; `-` reads it from standard input.
    secret: Secret,
    /// The kind of key.
    scheme: KeyScheme,
    /// The key's place, if the secret is a phrase.
    #[arg(default_value_t)]
    path: DerivationPath,
    /// Its name; two random words if left out.
    #[arg(long)]
    alias: Option<Alias>,
}

#[derive(Debug, Args)]
struct ExportArgs {
    /// Its address or alias.
    #[arg(long, value_name = "IDENTITY")]
    key_identity: Identity,
}

#[derive(Debug, Args)]
struct ListArgs {
    /// In the order of the aliases.
    #[arg(short, long)]
    sort_by_alias: bool,
}

#[derive(Debug, Args)]
struct UpdateAliasArgs {
    /// The present name.
    old: String,
    /// The new name; two random words if left out.
    new: Option<Alias>,
}

#[derive(Debug, Args)]
struct ShowArgs {
    /// The file.
    file: PathBuf,
}

#[derive(Debug, Args)]
struct UnpackArgs {
    /// Base64 of a flag byte and 32 key bytes.
    base64: Secret,
}

#[derive(Debug, Args)]
#[command(after_long_help = "\
Example:
  soma keytool sign --address me --data $(soma send --to $TO --amount 1 \\
      --serialize-unsigned-transaction)")]
struct SignArgs {
    /// Who signs.
    #[arg(long, value_name = "IDENTITY")]
    address: Identity,
    /// Base64 of the BCS of a transaction.
    #[arg(long, value_name = "BASE64")]
    data: String,
    /// Base64 of the three intent bytes; those of a transaction if left out.
    #[arg(long, value_name = "BASE64")]
    intent: Option<String>,
}

/// Runs a command of the group.
pub(crate) fn run(args: KeytoolArgs, context: &Context) -> Result<()> {
    let store = args.keystore_path.as_deref();
    match args.command {
        KeytoolCommand::Generate(args) => generate(&args, context),
        KeytoolCommand::Import(args) => import(args, store, context),
        KeytoolCommand::Export(args) => export(&args, store, context),
        KeytoolCommand::List(args) => list(&args, store, context),
        KeytoolCommand::UpdateAlias(args) => update_alias(args, store, context),
        KeytoolCommand::Show(args) => {
            let key = secret::read_key_file(&args.file)?;
            print_record(KeyRecord::new(&key.public_key(), None), None, context)
        }
        KeytoolCommand::Unpack(args) => {
            print_record(keytool::unpack(args.base64.expose())?, None, context)
        }
        KeytoolCommand::Sign(args) => sign(&args, store, context),
    }
}

fn generate(args: &GenerateArgs, context: &Context) -> Result<()> {
    let KeyScheme::Ed25519 = args.scheme;
    let mnemonic = Mnemonic::generate(args.word_length)?;
    let key = mnemonic.key(&args.path);
    let path = secret::write_key_file(Path::new("."), &key)?;
    context.out.note(&format!("The key is in {}", path.display()));
    print_record(KeyRecord::new(&key.public_key(), None), Some(mnemonic.phrase()), context)
}

fn import(args: ImportArgs, store: Option<&Path>, context: &Context) -> Result<()> {
    let KeyScheme::Ed25519 = args.scheme;
    let typed;
    let text = match args.secret.expose() {
        "-" => {
            typed = prompt::secret_line("Recovery phrase or somaprivkey text")
                .map_err(|e| Failure::new("Input", format!("cannot read the secret: {e}")))?;
            typed.as_str()
        }
        text => text,
    };
    let key = secret::parse(text, &args.path)?;
    let public = key.public_key();
    let alias = keystore(store, context)?.add(key, args.alias)?;
    print_record(KeyRecord::new(&public, Some(alias.as_str())), None, context)
}

fn export(args: &ExportArgs, store: Option<&Path>, context: &Context) -> Result<()> {
    let keystore = keystore(store, context)?;
    let address = keystore.resolve(&args.key_identity)?;
    let key = keystore.key(&address)?;
    context.confirm_secret(&format!("Show the secret key of {address}?"))?;
    context.out.print(&ExportReport {
        exported_private_key: key.to_bech32(),
        key: KeyRecord::new(&key.public_key(), keystore.alias(&address)),
    })
}

fn list(args: &ListArgs, store: Option<&Path>, context: &Context) -> Result<()> {
    let mut records = keystore(store, context)?.records();
    if args.sort_by_alias {
        records.sort_by(|a, b| a.alias.cmp(&b.alias));
    }
    context.out.print(&ListReport(records))
}

fn update_alias(args: UpdateAliasArgs, store: Option<&Path>, context: &Context) -> Result<()> {
    let new = keystore(store, context)?.rename(&args.old, args.new)?;
    context.out.print(&AliasReport { old_alias: args.old, new_alias: new.to_string() })
}

fn sign(args: &SignArgs, store: Option<&Path>, context: &Context) -> Result<()> {
    let keystore = keystore(store, context)?;
    let address = keystore.resolve(&args.address)?;
    let intent = match &args.intent {
        None => Intent::TRANSACTION,
        Some(text) => {
            let wrong = || Failure::usage("--intent: expected Base64 of three bytes");
            let bytes = STANDARD.decode(text.trim()).map_err(|_| wrong())?;
            Intent::from_bytes(&bytes).map_err(|_| wrong())?
        }
    };
    let signed = keytool::sign(keystore.key(&address)?, &args.data, intent)?;
    context.out.print(&SignedReport(signed))
}

/// The keystore that was named, else that of the wallet, else that of the config
/// directory, there or not.
fn keystore(path: Option<&Path>, context: &Context) -> Result<Keystore> {
    let path = match (path, context.existing_wallet()?) {
        (Some(path), _) => path.to_owned(),
        (None, Some(wallet)) => wallet.config().keystore().to_owned(),
        (None, None) => {
            let dir = ConfigDir::from_env()?;
            dir.create()?;
            dir.keystore()
        }
    };
    Ok(Keystore::open(path)?)
}

fn print_record(
    record: KeyRecord,
    mnemonic: Option<Zeroizing<String>>,
    context: &Context,
) -> Result<()> {
    context.out.print(&RecordReport { record, mnemonic })
}

#[derive(Serialize)]
struct RecordReport {
    #[serde(flatten)]
    record: KeyRecord,
    #[serde(skip_serializing_if = "Option::is_none")]
    mnemonic: Option<Zeroizing<String>>,
}

impl Report for RecordReport {
    fn text(&self, page: &mut Page) {
        record_fields(page, &self.record);
        if let Some(mnemonic) = &self.mnemonic {
            page.fields(&[("phrase", phrase_for_text(mnemonic))]);
        }
    }
}

fn record_fields(page: &mut Page, record: &KeyRecord) {
    page.fields(&[
        ("alias", record.alias.clone().unwrap_or_else(|| "-".to_owned())),
        ("address", record.soma_address.to_string()),
        ("public key", record.public_base64_key.clone()),
        ("scheme", record.key_scheme.to_lowercase()),
    ]);
}

fn phrase_for_text(phrase: &str) -> String {
    match std::io::IsTerminal::is_terminal(&std::io::stdout()) {
        true => phrase.to_owned(),
        false => "not shown: this is no terminal".to_owned(),
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ExportReport {
    exported_private_key: Zeroizing<String>,
    key: KeyRecord,
}

impl Report for ExportReport {
    fn text(&self, page: &mut Page) {
        record_fields(page, &self.key);
        page.fields(&[("secret key", self.exported_private_key.to_string())]);
    }
}

#[derive(Serialize)]
#[serde(transparent)]
struct ListReport(Vec<KeyRecord>);

impl Report for ListReport {
    fn text(&self, page: &mut Page) {
        let rows: Vec<_> = self
            .0
            .iter()
            .map(|record| {
                [
                    record.alias.clone().unwrap_or_default(),
                    record.soma_address.to_string(),
                    record.public_base64_key.clone(),
                ]
            })
            .collect();
        page.table(["alias", "address", "public key"], &rows);
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AliasReport {
    old_alias: String,
    new_alias: String,
}

impl Report for AliasReport {
    fn text(&self, page: &mut Page) {
        page.line(format!("{} is now called {}", self.old_alias, self.new_alias));
    }
}

#[derive(Serialize)]
#[serde(transparent)]
struct SignedReport(SignedData);

impl Report for SignedReport {
    fn text(&self, page: &mut Page) {
        let signed = &self.0;
        page.fields(&[
            ("address", signed.soma_address.to_string()),
            ("digest", signed.digest.clone()),
            ("signature", signed.soma_signature.clone()),
        ]);
    }
}
