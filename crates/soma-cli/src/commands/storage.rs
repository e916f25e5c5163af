//! `soma storage`: stores for weights, tried out and tidied up.

use std::num::NonZeroU64;
use std::time::{Duration, SystemTime};

use clap::{Args, Subcommand, ValueEnum};
use serde::Serialize;
use soma_model::with_causes;
use soma_storage::{
    AddressPolicy, Addressing, Destination, Error, Storage, Store, StoreOptions, Trial, Unfinished,
    Url, Variables,
};

use crate::commands::model;
use crate::context::{Context, block_on};
use crate::error::{Failure, Result};
use crate::output::page::GREEN;
use crate::output::{Page, Report};
use crate::parse;

/// Arguments of `soma storage`.
#[derive(Debug, Args)]
pub(crate) struct StorageArgs {
    #[command(subcommand)]
    command: StorageCommand,
}

// What has no text here has it on its arguments.
#[derive(Debug, Subcommand)]
enum StorageCommand {
    Probe(ProbeArgs),
    Clean(CleanArgs),
}

/// Find out whether a store will do for weights.
///
/// Writes a small object, reads a range of it anonymously as a validator would, makes
/// sure that nobody can list the names of objects, and deletes it again.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  soma storage probe s3://my-bucket/models
  soma storage probe s3://my-bucket --endpoint https://$ACCOUNT.r2.cloudflarestorage.com \\
      --region auto --public-url https://weights.example.com/")]
struct ProbeArgs {
    /// s3://BUCKET/PREFIX, gs://BUCKET/PREFIX, az://CONTAINER/PREFIX,
    /// file:///DIRECTORY, or https://HOST/FOLDER/ for a host that takes PUT.
    #[arg(value_name = "DEST")]
    destination: Destination,
    #[command(flatten)]
    place: PlaceArgs,
}

/// Abort uploads that were begun and never finished; their parts cost money.
///
/// Only uploads of objects that `soma model publish` names, with 64 hex digits, and only
/// those that were begun a while ago: one of a colleague may be running. Those that a
/// state file of this wallet can still continue are left alone; if a state file cannot
/// be read, everything is.
#[derive(Debug, Args)]
struct CleanArgs {
    /// s3://BUCKET/PREFIX or file:///DIRECTORY. Other stores remove such parts by
    /// their own rules.
    #[arg(value_name = "DEST")]
    destination: Destination,
    /// Only list them.
    #[arg(long)]
    dry_run: bool,
    /// Leave uploads alone that are younger than this.
    #[arg(long, value_name = "AGE", default_value = "24h", value_parser = parse::duration)]
    older_than: Duration,
    #[command(flatten)]
    place: PlaceArgs,
}

/// What a destination does not say of itself.
#[derive(Debug, Args)]
pub(crate) struct PlaceArgs {
    /// Where others fetch the objects, if that does not follow from the destination;
    /// with a slash at the end, the object's key is added.
    #[arg(long, value_name = "URL")]
    public_url: Option<Url>,
    /// The address of a compatible store.
    #[arg(long, value_name = "URL")]
    endpoint: Option<Url>,
    /// The region of an S3 bucket.
    #[arg(long, value_name = "REGION")]
    region: Option<String>,
    /// How an S3 bucket is addressed.
    #[arg(long, value_enum, default_value_t = AddressingArg::Auto)]
    addressing: AddressingArg,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum AddressingArg {
    /// As Amazon wants it for Amazon, in the path for everybody else.
    Auto,
    /// HOST/BUCKET/KEY.
    Path,
    /// BUCKET.HOST/KEY.
    Host,
}

impl PlaceArgs {
    /// The store at a destination; credentials come from the environment.
    pub(crate) fn open(
        &self,
        destination: &Destination,
        storage: &Storage,
        limit_rate: Option<NonZeroU64>,
    ) -> Result<Store> {
        let options = StoreOptions {
            public_url: self.public_url.clone(),
            endpoint: self.endpoint.clone(),
            region: self.region.clone(),
            addressing: match self.addressing {
                AddressingArg::Auto => Addressing::Automatic,
                AddressingArg::Path => Addressing::Path,
                AddressingArg::Host => Addressing::VirtualHost,
            },
            limit_rate,
        };
        Ok(Store::open(destination, &options, &Variables::process(), storage)?)
    }
}

/// Runs a command of the group.
pub(crate) fn run(args: StorageArgs, context: &Context) -> Result<()> {
    block_on(async {
        match args.command {
            StorageCommand::Probe(args) => probe(&args, context).await,
            StorageCommand::Clean(args) => clean(&args, context).await,
        }
    })
}

async fn probe(args: &ProbeArgs, context: &Context) -> Result<()> {
    // The user named the place, so it may be at home.
    let storage = Storage::new(AddressPolicy::Any)?;
    let store = args.place.open(&args.destination, &storage, None)?;
    let trials = store.examine(&storage).await?;
    let ok = trials.iter().all(|trial| trial.failure.is_none());
    let trials: Vec<_> = trials.iter().map(TrialReport::new).collect();
    let failed = trials.iter().find(|trial| !trial.ok);
    let failure = failed.map(|trial| {
        let message = trial.error.clone().unwrap_or_default();
        let failure = Failure::new("StoreUnfit", format!("{} failed: {message}", trial.trial));
        match trial.hint {
            Some(hint) => failure.with_hint(hint),
            None => failure,
        }
    });
    context.out.print(&ProbeReport { destination: args.destination.to_string(), ok, trials })?;
    failure.map_or(Ok(()), Err)
}

async fn clean(args: &CleanArgs, context: &Context) -> Result<()> {
    let storage = Storage::new(AddressPolicy::Any)?;
    let store = args.place.open(&args.destination, &storage, None)?;
    let under_way = model::uploads_under_way(context)?;
    let now = SystemTime::now();
    let mut uploads = Vec::new();
    for unfinished in store.unfinished().await? {
        let kept = match unfinished.name() {
            None => Some(Kept::OtherName),
            Some(name) if under_way.contains(&(name, unfinished.id.clone())) => {
                Some(Kept::OnRecord)
            }
            Some(_) if !unfinished.is_older_than(args.older_than, now) => Some(Kept::Young),
            Some(_) => None,
        };
        let aborted = kept.is_none() && !args.dry_run;
        if aborted {
            store.abort(&unfinished).await?;
        }
        let Unfinished { key, id, .. } = unfinished;
        uploads.push(UploadReport { key, id, kept, aborted });
    }
    context.out.print(&CleanReport { destination: args.destination.to_string(), uploads })
}

/// Why an upload is left alone.
#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
enum Kept {
    OnRecord,
    Young,
    OtherName,
}

#[derive(Serialize)]
struct TrialReport {
    trial: &'static str,
    ok: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'static str>,
}

impl TrialReport {
    fn new(trial: &Trial) -> Self {
        Self {
            trial: trial.what,
            ok: trial.failure.is_none(),
            error: trial.failure.as_ref().map(|error| with_causes(error)),
            hint: trial.failure.as_ref().and_then(Error::hint),
        }
    }
}

#[derive(Serialize)]
struct ProbeReport {
    destination: String,
    ok: bool,
    trials: Vec<TrialReport>,
}

impl Report for ProbeReport {
    fn text(&self, page: &mut Page) {
        for trial in &self.trials {
            let done = match trial.trial {
                "write" => "an object was written",
                "read" => "anybody can read a range of it by its URL",
                "list" => "nobody can list the names of objects",
                _ => "the object was deleted",
            };
            match &trial.error {
                None => page.line(format!("{:<7} ok      {done}", trial.trial)),
                Some(error) => page.line(format!("{:<7} failed  {error}", trial.trial)),
            }
        }
        if self.ok {
            page.painted(format!("{} will do", self.destination), GREEN);
        }
    }
}

#[derive(Serialize)]
struct UploadReport {
    key: String,
    id: String,
    /// Null for one that is aborted, or would be.
    kept: Option<Kept>,
    aborted: bool,
}

#[derive(Serialize)]
struct CleanReport {
    destination: String,
    uploads: Vec<UploadReport>,
}

impl Report for CleanReport {
    fn text(&self, page: &mut Page) {
        if self.uploads.is_empty() {
            page.line(format!("No unfinished uploads at {}", self.destination));
        }
        for upload in &self.uploads {
            let what = match upload.kept {
                Some(Kept::OnRecord) => "kept, a state file continues it",
                Some(Kept::Young) => "kept, it may be running still",
                Some(Kept::OtherName) => "kept, it is not of soma",
                None if upload.aborted => "aborted",
                None => "unfinished",
            };
            page.line(format!("{}: {what}", upload.key));
        }
    }
}
