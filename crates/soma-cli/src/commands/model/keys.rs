//! Models that moved: found again after a machine was lost, or carried to another.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;
use soma_model::{
    Finding, Recovered, Recovery, RevealOf, StateFile, TypedUrl, embedding, transfer,
};
use soma_proto::{Address, ObjectId};
use soma_wallet::file::{self, Access};
use zeroize::Zeroizing;

use super::prepared;
use super::steps;
use crate::context::Context;
use crate::error::{Failure, Result};
use crate::output::page::{GREEN, YELLOW};
use crate::output::{Page, Report};
use crate::prompt;
use crate::transact::Sender;

/// Find models again whose state files are lost.
///
/// The recovery phrase (soma wallet import) and the URLs of the encrypted weights are
/// enough for weights that were prepared in a folder: the key is made from the wallet's
/// key and the object's name, the rest is on the chain and in the encrypted state beside
/// the object. What was found is written to new state files; `soma model resume` goes on.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Example:
  soma wallet import --file phrase.txt
  soma model recover https://storage.example.com/models/3f0c...9a
  soma model resume")]
pub(super) struct RecoverArgs {
    /// The URLs of encrypted weights; their last part is 64 hex digits.
    #[arg(value_name = "URL", required = true)]
    urls: Vec<String>,
    /// A file with the embedding, if it is not beside the object; forms as for `reveal`.
    #[arg(long, value_name = "FILE")]
    embedding_file: Option<String>,
}

/// Write the state of a model to a file, encrypted with a passphrase.
///
/// The passphrase is asked for, or read from a file or standard input: one line. The file
/// has the format of age (age-encryption.org). Once it is imported elsewhere, act there only.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Example:
  soma model export-state --out model.state.age")]
pub(super) struct ExportStateArgs {
    /// The state file; the newest one if left out.
    #[arg(long, value_name = "FILE")]
    state: Option<PathBuf>,
    /// Where to put the encrypted state; never overwritten.
    #[arg(short, long, value_name = "FILE")]
    out: PathBuf,
    /// A file whose first line is the passphrase, or `-` for standard input.
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
}

/// Read a state that `soma model export-state` has written.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Example:
  soma model import-state model.state.age")]
pub(super) struct ImportStateArgs {
    /// The encrypted state.
    #[arg(value_name = "FILE")]
    input: PathBuf,
    /// The state file to write; one in the configuration folder, named by the model's id,
    /// if left out.
    #[arg(long, value_name = "FILE")]
    state: Option<PathBuf>,
    /// A file whose first line is the passphrase, or `-` for standard input.
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
}

/// `soma model recover`.
pub(super) async fn recover(args: &RecoverArgs, context: &Context) -> Result<()> {
    let urls = args.urls.iter().map(|url| url.parse::<TypedUrl>());
    let urls: Vec<_> = urls
        .collect::<Result<_, _>>()
        .map_err(|e| Failure::usage(format!("the URL cannot be read: {e}")))?;
    let embedding = match &args.embedding_file {
        Some(file) => Some(embedding::read(file, std::io::stdin())?),
        None => None,
    };
    let sender = Sender::active(context).await?;
    let (_, storage) = steps::host_of(&sender)?;
    let keystore = sender.wallet.keystore();
    let mut keys: Vec<_> = keystore.iter().map(|(address, _, key)| (address, key)).collect();
    keys.sort_by_key(|(address, _)| *address != sender.address);
    let folder = prepared::folder(context)?;
    let recovery = Recovery {
        client: &sender.client,
        storage: &storage,
        keys: keys.into_iter().map(|(_, key)| key).collect(),
        folder: &folder,
        embedding,
    };
    let mut models = Vec::new();
    let mut failed = None;
    for url in &urls {
        // One that is not found does not stop the others.
        match recovery.run(url).await {
            Ok(found) => models.push(Entry::new(url, found)),
            Err(error) => {
                let failure = Failure::from(error);
                context.out.warn(&failure.report.message);
                failed = Some(failure);
            }
        }
    }
    context.out.print(&RecoverReport { active: sender.address, models })?;
    failed.map_or(Ok(()), Err)
}

/// `soma model export-state`.
pub(super) fn export_state(args: &ExportStateArgs, context: &Context) -> Result<()> {
    let file = prepared::open(args.state.as_deref(), context)?;
    let passphrase = passphrase(args.passphrase_file.as_deref(), Ask::Twice)?;
    let bytes = transfer::export(&file.state, &passphrase)?;
    file::create(&args.out, &bytes, Access::Owner)?;
    context.out.print(&Moved {
        model_id: file.state.model_id,
        state_file: file.path().to_owned(),
        exported_to: Some(args.out.clone()),
    })
}

/// `soma model import-state`.
pub(super) fn import_state(args: &ImportStateArgs, context: &Context) -> Result<()> {
    let passphrase = passphrase(args.passphrase_file.as_deref(), Ask::Once)?;
    let state = transfer::import_file(&args.input, &passphrase)?;
    let path = match &args.state {
        Some(path) => path.clone(),
        None => prepared::folder(context)?.path_of(&state.model_id),
    };
    let file = StateFile::create(&path, state)?;
    let moved = Moved {
        model_id: file.state.model_id,
        state_file: file.path().to_owned(),
        exported_to: None,
    };
    context.out.print(&moved)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Ask {
    Once,
    /// A slip would lose the file.
    Twice,
}

/// The passphrase: the first line of a file or of standard input, or asked for.
fn passphrase(file: Option<&Path>, ask: Ask) -> Result<Zeroizing<String>> {
    const LIMIT: u64 = 4096;
    let line = |text: &str| Zeroizing::new(text.lines().next().unwrap_or_default().to_owned());
    if let Some(path) = file.filter(|path| path.as_os_str() != "-") {
        let io = |source| soma_model::Error::Io { action: "read", path: path.to_owned(), source };
        let mut text = Zeroizing::new(String::with_capacity(LIMIT as usize));
        File::open(path).and_then(|f| f.take(LIMIT).read_to_string(&mut text)).map_err(io)?;
        return Ok(line(&text));
    }
    let read = |prompt: &str| {
        prompt::secret_line(prompt)
            .map_err(|e| Failure::new("System", format!("cannot read the passphrase: {e}")))
    };
    let first = line(&read("Passphrase")?);
    if ask == Ask::Twice && prompt::has_terminal() && line(&read("Once more")?) != first {
        return Err(Failure::new("Passphrase", "the passphrases differ; nothing was written"));
    }
    Ok(first)
}

#[derive(Serialize)]
struct Entry {
    model_id: ObjectId,
    owner: Address,
    weights_url: String,
    /// What waits for its reveal.
    #[serde(skip_serializing_if = "Option::is_none")]
    waiting: Option<&'static str>,
    has_embedding: bool,
    state_file: PathBuf,
    findings: Vec<Finding>,
}

impl Entry {
    fn new(url: &TypedUrl, found: Recovered) -> Self {
        Self {
            model_id: found.state.model_id,
            owner: found.owner,
            weights_url: url.normal().as_str().to_owned(),
            waiting: found.of.map(|of| match of {
                RevealOf::Registration => "registration",
                RevealOf::Update => "update",
            }),
            has_embedding: found.state.current().1.embedding.is_some(),
            state_file: found.path,
            findings: found.report.findings,
        }
    }
}

#[derive(Serialize)]
struct RecoverReport {
    #[serde(skip)]
    active: Address,
    models: Vec<Entry>,
}

impl Report for RecoverReport {
    fn text(&self, page: &mut Page) {
        for model in &self.models {
            page.painted(format!("Found {}", model.model_id), GREEN);
            page.fields(&[
                ("owner", model.owner.to_string()),
                ("waits for a reveal", model.waiting.unwrap_or("no").to_owned()),
                ("state file", model.state_file.display().to_string()),
            ]);
            for finding in &model.findings {
                page.painted(finding.message.clone(), YELLOW);
                if let Some(remedy) = &finding.remedy {
                    page.line(format!("    {remedy}"));
                }
            }
            if model.owner != self.active {
                page.line(format!("soma wallet switch {} makes its owner the sender", model.owner));
            }
        }
        if self.models.iter().any(|model| model.waiting.is_some()) {
            page.line("Next: soma model resume");
        }
    }
}

#[derive(Serialize)]
struct Moved {
    model_id: ObjectId,
    state_file: PathBuf,
    #[serde(skip_serializing_if = "Option::is_none")]
    exported_to: Option<PathBuf>,
}

impl Report for Moved {
    fn text(&self, page: &mut Page) {
        page.fields(&[
            ("model", self.model_id.to_string()),
            ("state file", self.state_file.display().to_string()),
        ]);
        match &self.exported_to {
            Some(path) => page.line(format!(
                "{} holds its state; import it on the other machine and act there only",
                path.display()
            )),
            None => page.line("Imported; soma model status shows what is next"),
        }
    }
}
