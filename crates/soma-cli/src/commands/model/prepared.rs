//! Steps of models that were prepared: everything comes from a state file.

use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use serde::Serialize;
use soma_crypto::{Existing, Options};
use soma_model::state::Terms;
use soma_model::{
    CommitTimes, Depth, Done, Event, Finding, Host, Measured, Preparation, RevealOf, Scope,
    Session, Severity, StateFile, StateFolder, Till, TypedUrl, close_update, companion, embedding,
    remote,
};
use soma_proto::{KeyPair, ObjectId};
use soma_storage::Storage;

use super::args::{CheckArgs, CommitArgs, RevealArgs, UpdateCommitArgs};
use super::steps;
use crate::context::Context;
use crate::error::{Failure, Result};
use crate::output::page::GREEN;
use crate::output::{Page, Report, format};
use crate::progress::Progress;
use crate::transact::{Outcome, Sender, TransactionArgs, Wrapped};

/// Encrypt weights under a fresh key that cannot be lost.
///
/// The key, the ids and the URL are written to a state file, readable by you alone
/// and synced to the disk, before anything is encrypted. `soma model commit
/// --prepared` and `soma model reveal --prepared` take everything from there.
///
/// In a folder the weights get a random name, and their key is made from this name
/// and the wallet's key. If this machine is lost, the recovery phrase and the host are
/// enough: `soma model recover` finds the rest.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  soma model prepare --weights-file weights.safetensors --embedding-file embedding.json \\
      --weights-url https://storage.example.com/models/
  soma model prepare --update --weights-file new.safetensors \\
      --weights-url https://storage.example.com/models/")]
pub(super) struct PrepareArgs {
    /// The plain weights: a safetensors file.
    #[arg(long, value_name = "FILE")]
    weights_file: PathBuf,
    /// Where the encrypted weights will be served: a folder, ending in `/`, in which
    /// they get a name that nobody can guess; or a URL of their own.
    #[arg(long, value_name = "URL")]
    weights_url: String,
    /// Where to put the encrypted weights; beside the plain ones, under their name in
    /// the folder or ending in `.enc`, if left out.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// A file with the embedding: a JSON list, one number a line, comma-separated
    /// numbers, or a one-dimensional .npy array; `-` for standard input;
    /// FILE.safetensors:TENSOR for a tensor.
    #[arg(long, value_name = "FILE")]
    embedding_file: Option<String>,
    /// The state file; one in the configuration folder, named by the model's id, if
    /// left out.
    #[arg(long, value_name = "FILE")]
    state: Option<PathBuf>,
    /// Prepare new weights of a model that is active already: the one of the state
    /// file, or of the newest one.
    #[arg(long)]
    update: bool,
    /// Draw the key at random instead of making it from the wallet's key. It is then
    /// in the state file and nowhere else. Always so for a URL of their own.
    #[arg(long)]
    random_key: bool,
    /// Replace an existing encrypted file.
    #[arg(long)]
    force: bool,
}

/// `soma model prepare`.
pub(super) async fn prepare(args: PrepareArgs, context: &Context) -> Result<()> {
    let url: TypedUrl = args
        .weights_url
        .parse()
        .map_err(|e: soma_proto::Error| Failure::usage(format!("--weights-url: {e}")))?;
    let numbers = match &args.embedding_file {
        Some(file) => Some(embedding::read(file, io::stdin())?),
        None => None,
    };
    if let Some(numbers) = &numbers {
        check_embedding(numbers, context).await?;
    }
    let wallet = wallet_for(&url, args.random_key, context)?;
    let existing = if args.force { Existing::Replace } else { Existing::Keep };
    let size = args.weights_file.metadata().map_or(0, |metadata| metadata.len());
    let progress = Progress::bytes("encrypting", size);
    let options = Options::new().with_existing(existing).with_progress(|now| {
        progress.set(now.done);
        ControlFlow::Continue(())
    });
    for finding in url.check(Scope::Local).findings {
        tell(&finding, context);
    }
    let preparation = Preparation {
        weights_file: args.weights_file,
        sealed_file: args.out,
        url,
        embedding: numbers,
        wallet,
    };
    let folder = folder(context)?;
    let (file, of) = if args.update {
        let mut file = StateFile::open(&args.state.map_or_else(|| folder.newest(), Ok)?)?;
        if file.state.update.is_some() {
            let environment = context.target_without_wallet()?.environment;
            close_update(&crate::context::client(&environment)?, &mut file).await?;
        }
        preparation.run_update(&mut file, &options)?;
        (file, RevealOf::Update)
    } else {
        (preparation.run(&folder, args.state, &options)?, RevealOf::Registration)
    };
    drop(options);
    drop(progress);
    context.out.print(&PrepareReport::new(&file, of))
}

/// The key that the weights' key is made from, where the phrase is to be enough.
fn wallet_for(url: &TypedUrl, random: bool, context: &Context) -> Result<Option<KeyPair>> {
    if random || !url.is_folder() {
        if !random {
            context.out.note(
                "The key is random, since the object's name is yours; in a folder (a URL that \
                 ends in /) the recovery phrase could give it again",
            );
        }
        return Ok(None);
    }
    let wallet = context.wallet()?;
    let address = wallet.resolve(None)?;
    Ok(Some(wallet.keystore().key(&address)?.clone()))
}

/// `soma model commit --prepared`.
pub(super) async fn commit(
    args: CommitArgs,
    flags: &TransactionArgs,
    context: &Context,
) -> Result<()> {
    let mut file = open(args.prepared.as_deref(), context)?;
    set_embedding(&mut file, RevealOf::Registration, args.rehearsal.embedding_file.as_deref())?;
    let terms =
        Terms { stake_amount: args.stake_amount.shannons(), commission_rate: args.commission_rate };
    let desk = Desk::new(depth(args.rehearsal.verify_url), context).await?;
    if args.late {
        steps::wait_until_late(&desk.sender, context).await?;
    }
    if !flags.sends()? {
        let plan = file.state.commit_plan(terms).ok_or_else(unsealed)?;
        let sender = &desk.sender;
        let prepared = plan.prepare(&sender.client, sender.address, &sender.gas(flags)?).await?;
        return preview(sender, prepared, flags, context).await;
    }
    let session = desk.session(flags)?;
    let done = session.commit(&mut file, terms).await;
    let report = StepReport::new(&file, Step::Commit, done, context)?;
    context.out.print(&report)?;
    report.finish()
}

/// `soma model update-commit --prepared`.
pub(super) async fn update_commit(
    args: UpdateCommitArgs,
    flags: &TransactionArgs,
    context: &Context,
) -> Result<()> {
    let mut file = open(args.prepared.as_deref(), context)?;
    set_embedding(&mut file, RevealOf::Update, args.rehearsal.embedding_file.as_deref())?;
    let desk = Desk::new(depth(args.rehearsal.verify_url), context).await?;
    if args.late {
        steps::wait_until_late(&desk.sender, context).await?;
    }
    if !flags.sends()? {
        let plan = file.state.update_plan().ok_or_else(unsealed)?;
        let sender = &desk.sender;
        let prepared = plan.prepare(&sender.client, sender.address, &sender.gas(flags)?).await?;
        return preview(sender, prepared, flags, context).await;
    }
    let session = desk.session(flags)?;
    let done = session.commit_update(&mut file).await;
    let report = StepReport::new(&file, Step::UpdateCommit, done, context)?;
    context.out.print(&report)?;
    report.finish()
}

/// `soma model reveal --prepared`, `soma model update-reveal --prepared`.
pub(super) async fn reveal(
    args: RevealArgs,
    of: RevealOf,
    flags: &TransactionArgs,
    context: &Context,
) -> Result<()> {
    let mut file = open(args.prepared.as_deref(), context)?;
    set_embedding(&mut file, of, args.embedding_file.as_deref())?;
    if let Some(embedding) = args.embedding {
        put_embedding(&mut file, of, embedding.0)?;
    }
    let desk = Desk::new(depth(args.verify_url), context).await?;
    if !flags.sends()? {
        let plan = file.state.reveal_plan(of).ok_or_else(unsealed)?;
        let (sender, host) = (&desk.sender, desk.host());
        let prepared =
            plan.prepare(&sender.client, &host, sender.address, &sender.gas(flags)?).await?;
        return preview(sender, prepared, flags, context).await;
    }
    let session = desk.session(flags)?;
    let done = match args.wait {
        true => session.reveal_when_open(&mut file, of, teller(context)).await,
        false => session.reveal(&mut file, of).await,
    };
    let step = match of {
        RevealOf::Registration => Step::Reveal,
        RevealOf::Update => Step::UpdateReveal,
    };
    let report = StepReport::new(&file, step, done, context)?;
    context.out.print(&report)?;
    report.finish()
}

/// `soma model check`.
pub(super) async fn check(
    args: &CheckArgs,
    flags: &TransactionArgs,
    context: &Context,
) -> Result<()> {
    let desk = Desk::new(depth(args.verify_url), context).await?;
    let (model_id, findings) = match (&args.weights_url, args.weights_checksum, args.weights_size) {
        (Some(url), Some(commitment), Some(size)) => {
            let url: TypedUrl = url
                .parse()
                .map_err(|e: soma_proto::Error| Failure::usage(format!("--weights-url: {e}")))?;
            let host = desk.host();
            let mut report = url.check(host.scope);
            let weights = Measured { commitment, size };
            let url = url.normal().as_url();
            report.extend(remote::check(host.storage, url, &weights, None, host.depth).await);
            (None, report)
        }
        _ => {
            let file = open(args.state.as_deref(), context)?;
            (Some(file.state.model_id), desk.session(flags)?.check(&file).await?)
        }
    };
    let ok = findings.is_ok();
    context.out.print(&CheckReport { ok, model_id, findings: findings.clone() })?;
    match ok {
        true => Ok(()),
        false => Err(soma_model::Error::Refused(findings).into()),
    }
}

/// The sender and the way to the weights' host.
pub(super) struct Desk {
    pub(super) sender: Sender,
    pub(super) storage: Storage,
    pub(super) scope: Scope,
    depth: Depth,
    till: Till,
}

impl Desk {
    pub(super) async fn new(depth: Depth, context: &Context) -> Result<Self> {
        let sender = Sender::active(context).await?;
        let (scope, storage) = steps::host_of(&sender)?;
        let till = Till::of(folder(context)?);
        Ok(Self { sender, storage, scope, depth, till })
    }

    pub(super) fn host(&self) -> Host<'_> {
        Host { storage: &self.storage, scope: self.scope, depth: self.depth }
    }

    pub(super) fn session(&self, flags: &TransactionArgs) -> Result<Session<'_>> {
        Ok(Session {
            client: &self.sender.client,
            key: self.sender.key()?,
            host: self.host(),
            gas: self.sender.gas(flags)?,
            till: self.till.clone(),
            timeout: flags.timeout(),
        })
    }
}

/// The folder of the state files.
pub(super) fn folder(context: &Context) -> Result<StateFolder> {
    Ok(folder_beside(&context.config_path()?))
}

/// The folder of the state files of the wallet with this configuration file.
pub(crate) fn folder_beside(config: &Path) -> StateFolder {
    let parent = config.parent().unwrap_or(Path::new("."));
    StateFolder::new(soma_wallet::ConfigDir::at(parent).models())
}

/// The state file that is meant: an empty name stands for the newest one.
pub(super) fn open(path: Option<&Path>, context: &Context) -> Result<StateFile> {
    match path.filter(|path| !path.as_os_str().is_empty()) {
        Some(path) => Ok(StateFile::open(path)?),
        None => Ok(StateFile::open(&folder(context)?.newest()?)?),
    }
}

const fn depth(verify_url: bool) -> Depth {
    if verify_url { Depth::Everything } else { Depth::Header }
}

fn unsealed() -> Failure {
    Failure::new("Stage", "the weights are not encrypted yet").with_hint("run soma model prepare")
}

pub(super) fn tell(finding: &Finding, context: &Context) {
    match finding.severity {
        Severity::Notice => context.out.note(&finding.message),
        _ => context.out.warn(&finding.message),
    }
}

/// Tells once what is waited for, and every failed try.
pub(super) fn teller(context: &Context) -> impl FnMut(Event<'_>) + '_ {
    let mut told = false;
    move |event| match event {
        Event::Waiting(window) if !std::mem::replace(&mut told, true) => {
            let opens = format::local_time(window.opens_at_ms);
            context.out.note(&format!("Waiting for epoch {}, due {opens}", window.reveal_epoch));
        }
        Event::Retrying { error, pause } => tell_retry(error, pause, context),
        _ => {}
    }
}

/// Says that a question will be asked again.
pub(super) fn tell_retry(error: &soma_model::Error, pause: Duration, context: &Context) {
    context.out.warn(&format!("{error}; trying again in {}", format::duration(pause)));
}

/// Looks at the embedding before hours of encrypting, if a network can be asked.
async fn check_embedding(numbers: &[f32], context: &Context) -> Result<()> {
    let dim = async {
        let target = context.target_without_wallet().ok()?;
        let client = crate::context::client(&target.environment).ok()?;
        Some(client.parameters().await.ok()?.target_embedding_dim)
    };
    let Some(dim) = dim.await else {
        context.out.warn("no network could be asked for the length of the embedding");
        return Ok(());
    };
    let report = embedding::check(numbers, dim);
    match report.is_ok() {
        true => Ok(()),
        false => Err(soma_model::Error::Refused(report).into()),
    }
}

fn set_embedding(file: &mut StateFile, of: RevealOf, argument: Option<&str>) -> Result<()> {
    let Some(argument) = argument else { return Ok(()) };
    put_embedding(file, of, embedding::read(argument, io::stdin())?)
}

fn put_embedding(file: &mut StateFile, of: RevealOf, numbers: Vec<f32>) -> Result<()> {
    Ok(file.update(|state| state.set_embedding(of, numbers))?)
}

async fn preview(
    sender: &Sender,
    prepared: soma_model::Prepared,
    flags: &TransactionArgs,
    context: &Context,
) -> Result<()> {
    context.out.print(&sender.run_step(prepared, flags, context).await?.wrap_bytes())
}

#[derive(Serialize)]
struct PrepareReport {
    model_id: ObjectId,
    staking_pool_id: ObjectId,
    weights_url: String,
    weights_url_commitment: String,
    weights_commitment: String,
    weights_size: u64,
    sealed_file: PathBuf,
    /// The state for a recovery, encrypted, to be stored beside the object.
    #[serde(skip_serializing_if = "Option::is_none")]
    companion_file: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    companion_url: Option<String>,
    state_file: PathBuf,
    embedding_dim: Option<usize>,
    #[serde(skip)]
    of: RevealOf,
}

impl PrepareReport {
    fn new(file: &StateFile, of: RevealOf) -> Self {
        let state = &file.state;
        let round = state.round(of).expect("it was just prepared");
        let sealed = round.sealed.expect("it was just sealed");
        let companion_file = companion::path(&round.sealed_file);
        let companion_file = companion_file.is_file().then_some(companion_file);
        let companion_url = companion::url(round.weights_url.as_url()).to_string();
        Self {
            model_id: state.model_id,
            staking_pool_id: state.staking_pool_id,
            weights_url: round.weights_url.as_str().to_owned(),
            weights_url_commitment: round.weights_url.commitment().to_hex(),
            weights_commitment: sealed.commitment.to_hex(),
            weights_size: sealed.size,
            sealed_file: round.sealed_file.clone(),
            companion_url: companion_file.is_some().then_some(companion_url),
            companion_file,
            state_file: file.path().to_owned(),
            embedding_dim: round.embedding.as_ref().map(Vec::len),
            of,
        }
    }
}

impl Report for PrepareReport {
    fn text(&self, page: &mut Page) {
        page.fields(&[
            ("model", self.model_id.to_string()),
            ("staking pool", self.staking_pool_id.to_string()),
            ("URL", self.weights_url.clone()),
            ("URL commitment", self.weights_url_commitment.clone()),
            ("weights commitment", self.weights_commitment.clone()),
            ("size", format::exact_bytes(self.weights_size)),
            ("encrypted file", self.sealed_file.display().to_string()),
            ("state file", self.state_file.display().to_string()),
        ]);
        if let Some((file, url)) = self.companion_file.as_ref().zip(self.companion_url.as_ref()) {
            page.fields(&[
                ("state, encrypted", file.display().to_string()),
                ("to be served at", url.clone()),
            ]);
            page.line("The state file holds the key. Next: serve both encrypted files at their URLs, then");
        } else {
            page.line(
                "The state file holds the key. Next: serve the encrypted file at the URL, then",
            );
        }
        page.line(match self.of {
            RevealOf::Registration => "  soma model commit --prepared --stake-amount <SOMA>",
            RevealOf::Update => "  soma model update-commit --prepared",
        });
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    Commit,
    UpdateCommit,
    Reveal,
    UpdateReveal,
}

/// A step that was taken, now or earlier.
#[derive(Serialize)]
struct StepReport {
    model_id: ObjectId,
    /// The transaction; null if the chain shows it as taken by other means.
    inner: Option<Wrapped>,
    #[serde(skip_serializing_if = "Option::is_none")]
    staking_pool_id: Option<ObjectId>,
    #[serde(flatten)]
    times: Option<CommitTimes>,
    #[serde(skip_serializing_if = "Option::is_none")]
    revealed_epoch: Option<u64>,
    state_file: PathBuf,
    #[serde(skip)]
    step: Step,
}

impl StepReport {
    fn new(
        file: &StateFile,
        step: Step,
        done: soma_model::Result<Done>,
        context: &Context,
    ) -> Result<Self> {
        let (executed, window, epoch, findings) = match done {
            Ok(done) => (done.executed, done.window, Some(done.epoch), done.report.findings),
            Err(soma_model::Error::Failed(executed)) => (Some(*executed), None, None, Vec::new()),
            Err(error) => return Err(error.into()),
        };
        findings.iter().for_each(|finding| tell(finding, context));
        let is_commit = matches!(step, Step::Commit | Step::UpdateCommit);
        Ok(Self {
            model_id: file.state.model_id,
            inner: executed.map(|executed| Outcome::Executed(Box::new(executed)).wrap_bytes()),
            staking_pool_id: (step == Step::Commit).then_some(file.state.staking_pool_id),
            times: window.zip(epoch).map(|(window, epoch)| CommitTimes {
                commit_epoch: epoch,
                reveal_epoch: window.reveal_epoch,
                reveal_opens_at: window.times().opens_at,
                reveal_closes_at: window.times().closes_at,
            }),
            revealed_epoch: epoch.filter(|_| !is_commit),
            state_file: file.path().to_owned(),
            step,
        })
    }

    fn finish(&self) -> Result<()> {
        self.inner.as_ref().map_or(Ok(()), steps::finish)
    }
}

impl Report for StepReport {
    fn text(&self, page: &mut Page) {
        match &self.inner {
            Some(inner) => inner.text(page),
            None => page.line("The chain shows that this was done already"),
        }
        if self.inner.as_ref().is_some_and(|inner| inner.0.failure().is_some()) {
            return;
        }
        page.blank();
        page.fields(&[
            ("model", self.model_id.to_string()),
            ("state file", self.state_file.display().to_string()),
        ]);
        if let Some(times) = &self.times {
            steps::window(page, times);
        }
        match self.step {
            Step::Commit => page.line("Next: soma model reveal --prepared --wait"),
            Step::UpdateCommit => page.line("Next: soma model update-reveal --prepared --wait"),
            Step::Reveal => page.painted(format!("{} is active", self.model_id), GREEN),
            Step::UpdateReveal => {
                page.painted(format!("{} has new weights", self.model_id), GREEN);
            }
        }
    }
}

#[derive(Serialize)]
struct CheckReport {
    ok: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    model_id: Option<ObjectId>,
    findings: soma_model::Report,
}

impl Report for CheckReport {
    fn text(&self, page: &mut Page) {
        for finding in &self.findings.findings {
            let word = match finding.severity {
                Severity::Error => "error",
                Severity::Warning => "warning",
                _ => "notice",
            };
            page.line(format!("{word}: {}: {}", finding.check, finding.message));
            if let Some(remedy) = &finding.remedy {
                page.line(format!("    {remedy}"));
            }
        }
        if self.ok {
            page.painted("Everything that can be checked is in order", GREEN);
        }
    }
}
