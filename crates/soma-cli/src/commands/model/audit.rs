//! `soma model verify` and `soma model audit`.

use std::fs;
use std::num::NonZeroU64;
use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use soma_model::audit::{self, Audit, AuditOptions, Audited};
use soma_model::{Depth, Severity, Standing};
use soma_proto::ObjectId;
use soma_proto::system_state::ModelStatus;
use soma_rpc::Client;
use soma_storage::Storage;

use super::args::Bounds;
use crate::context::{Context, client};
use crate::error::{Failure, Result};
use crate::output::page::{GREEN, RED};
use crate::output::{Page, Report, format};
use crate::parse;
use crate::progress::Progress;

/// Find out whether a model's weights are what the chain says.
///
/// Compares size, checksum and commitments, decrypts with the revealed key and reads
/// the header of the weights. Nothing is stored.
#[derive(Debug, Args)]
pub(super) struct VerifyArgs {
    /// The model.
    model_id: ObjectId,
    #[command(flatten)]
    look: LookArgs,
}

/// Verify every model of the registry, and compare them with each other.
///
/// Tells about weights that cannot be fetched or are not the committed ones, copied
/// commitments and keys that were used again. Exits with 1 if anything is wrong.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  soma model audit
  soma model audit --header-only --json
  soma model audit --markdown audit.md")]
pub(super) struct AuditArgs {
    /// Write the report as Markdown, too.
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
    /// Look at active models only.
    #[arg(long)]
    active_only: bool,
    /// Models that are looked at at the same time.
    #[arg(long, value_name = "N", default_value_t = 8)]
    parallel: usize,
    #[command(flatten)]
    look: LookArgs,
}

/// How far a look goes.
#[derive(Debug, Args)]
struct LookArgs {
    /// Fetch the beginning of each file only: its checksum is not compared.
    #[arg(long)]
    header_only: bool,
    /// Bytes that have to come from a host each second; a slower one counts as one that
    /// does not answer.
    #[arg(long, value_name = "SIZE", default_value = "64KiB", value_parser = parse::rate)]
    min_rate: NonZeroU64,
    #[command(flatten)]
    bounds: Bounds,
}

/// `soma model verify`.
pub(super) async fn verify(args: &VerifyArgs, context: &Context) -> Result<()> {
    let look = Look::new(&args.look, 1, context).await?;
    let standing = Standing::ask(&look.client, &args.model_id).await?;
    let audited = audit::verify(&look.storage, &standing, &look.options).await;
    let faulty = usize::from(!audited.ok);
    context.out.print(&VerifyReport(audited))?;
    verdict(faulty)
}

/// `soma model audit`.
pub(super) async fn audit(args: &AuditArgs, context: &Context) -> Result<()> {
    let look = Look::new(&args.look, args.parallel, context).await?;
    let status = args.active_only.then_some(ModelStatus::Active);
    let registry = audit::registry(&look.client, status).await?;
    let progress = Progress::items("auditing", registry.models.len() as u64);
    let told = |done: usize| progress.set(done as u64);
    let found = audit::audit(&look.storage, registry, &look.options, told).await;
    drop(progress);
    if let Some(path) = &args.markdown {
        fs::write(path, found.to_markdown()).map_err(|error| {
            Failure::new("Io", format!("cannot write {}: {error}", path.display()))
        })?;
    }
    let faulty = found.faulty;
    context.out.print(&AuditReport(found))?;
    verdict(faulty)
}

/// Everything that a look needs.
struct Look {
    client: Client,
    storage: Storage,
    options: AuditOptions,
}

impl Look {
    async fn new(args: &LookArgs, at_once: usize, context: &Context) -> Result<Self> {
        let environment = context.target_without_wallet()?.environment;
        let client = client(&environment)?;
        let scope = args.bounds.scope(&environment);
        let options = AuditOptions {
            depth: if args.header_only { Depth::Header } else { Depth::Everything },
            largest: args.bounds.max_size,
            at_once,
            scope,
            embedding_dim: client.parameters().await?.target_embedding_dim,
            grace: AuditOptions::GRACE,
            least_rate: args.min_rate,
        };
        Ok(Self { client, storage: Storage::new(scope.addresses())?, options })
    }
}

fn verdict(faulty: usize) -> Result<()> {
    match faulty {
        0 => Ok(()),
        count => Err(Failure::new(
            "AuditFailed",
            format!("something is wrong with {}", format::count(count, "model")),
        )),
    }
}

#[derive(Serialize)]
#[serde(transparent)]
struct VerifyReport(Audited);

impl Report for VerifyReport {
    fn text(&self, page: &mut Page) {
        tell(page, &self.0);
    }
}

#[derive(Serialize)]
#[serde(transparent)]
struct AuditReport(Audit);

impl Report for AuditReport {
    fn text(&self, page: &mut Page) {
        for model in self.0.models.iter().filter(|model| !model.findings.findings.is_empty()) {
            tell(page, model);
        }
        let summary = format!(
            "{}, {} with something wrong",
            format::count(self.0.total, "model"),
            self.0.faulty
        );
        page.painted(summary, if self.0.ok { GREEN } else { RED });
    }
}

fn tell(page: &mut Page, model: &Audited) {
    let verdict = if model.ok { "good" } else { "wrong" };
    page.line(format!("{} {}: {verdict}", model.model_id, model.status));
    for finding in &model.findings.findings {
        let word = match finding.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
            _ => "notice",
        };
        page.line(format!("  {word}: {}: {}", finding.check, finding.message));
    }
}
