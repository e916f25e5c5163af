//! Whether registered models are what they claim to be, seen from outside.
//!
//! Everything here comes from strangers: URLs, sizes, headers and files. What
//! is fetched is bounded by the size on the chain and by a cap, hosts are held
//! to the [`Storage`]'s policy, and no foreign text is repeated as it is.

mod compare;
mod history;
mod markdown;

use std::collections::BTreeMap;
use std::num::NonZeroU64;
use std::time::Duration;

use serde::Serialize;
use soma_proto::system_state::ModelStatus;
use soma_proto::{Address, Commitment, ObjectId};
use soma_rpc::{Client, ModelFilter};
use soma_storage::{Storage, redacted};
use tokio::task::JoinSet;

pub use self::compare::compare;
pub use self::history::History;
use crate::hashing::Hashing;
use crate::remote::Look;
use crate::{
    Check, Depth, Finding, Measured, Report, Result, Scope, Standing, TypedUrl, embedding,
};

/// How models are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "a list of arguments with names")]
pub struct AuditOptions {
    /// How much of each file is fetched.
    pub depth: Depth,
    /// The largest file that is fetched, in bytes.
    pub largest: u64,
    /// Models that are looked at at the same time.
    pub at_once: usize,
    /// Whether the network is on this machine.
    pub scope: Scope,
    /// The length that the network wants embeddings to have.
    pub embedding_dim: u64,
    /// How long any step of a look may take, beside the bytes that it fetches.
    pub grace: Duration,
    /// How many bytes a second have to come from a host.
    pub least_rate: NonZeroU64,
}

impl AuditOptions {
    /// 1 TiB: more than any weights that are registered today, and an end for
    /// a host that sends whatever it likes.
    pub const LARGEST: u64 = 1 << 40;

    /// Two minutes: a host that needs longer for its first byte will do no
    /// validator any good.
    pub const GRACE: Duration = Duration::from_secs(120);

    /// 64 KiB a second: several files may have to share a slow line, but nobody
    /// is to hold a place for ever.
    pub const LEAST_RATE: NonZeroU64 = NonZeroU64::new(64 << 10).expect("it is not zero");

    fn look(&self) -> Look {
        Look { patience: Some((self.grace, self.least_rate)), ..Look::default() }
    }
}

/// What was found out about one model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Audited {
    /// The model.
    pub model_id: ObjectId,
    /// Who may act for it.
    pub owner: Address,
    /// `Committed`, `Active` or `Inactive`.
    #[serde(serialize_with = "text")]
    pub status: ModelStatus,
    /// Whether nothing is wrong with it.
    pub ok: bool,
    /// Where its weights are, without the query; once revealed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weights_url: Option<String>,
    /// Bytes, by the chain; once revealed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weights_size: Option<u64>,
    /// What was found.
    pub findings: Report,
}

/// What was found out about a registry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Audit {
    /// Whether nothing is wrong with any model.
    pub ok: bool,
    /// Models looked at.
    pub total: usize,
    /// Models with something wrong.
    pub faulty: usize,
    /// The models, by id.
    pub models: Vec<Audited>,
}

/// Looks at one model: its record, its host, its file.
///
/// The weights of a model that is not active are nobody's to fetch; of such a
/// one only the record is looked at.
pub async fn verify(storage: &Storage, standing: &Standing, options: &AuditOptions) -> Audited {
    examine(storage, standing, options, &options.look()).await
}

async fn examine(
    storage: &Storage,
    standing: &Standing,
    options: &AuditOptions,
    look: &Look,
) -> Audited {
    let model = &standing.model;
    let mut report = Report::default();
    let manifest = model.weights_manifest.as_ref();
    if let Some(shown) = manifest {
        let (url, manifest) = (shown.manifest.url(), &shown.manifest);
        if url.commitment() != model.weights_url_commitment {
            report.push(Finding::error(
                Check::UrlCommitment,
                "the URL is not the one that was committed to",
            ));
        }
        let commitment = Commitment::new(*manifest.checksum().inner());
        if commitment != model.weights_commitment {
            report.push(Finding::error(
                Check::WeightsCommitment,
                "the checksum is not the one that was committed to",
            ));
        }
        if let Some(numbers) = model.embedding.as_ref().map(soma_proto::Tensor::to_vec) {
            report.extend(embedding::check(&numbers, options.embedding_dim));
        }
        let weights = Measured { commitment, size: manifest.size() };
        if standing.status == ModelStatus::Active {
            report.extend(fetched(storage, url, &weights, shown, options, look).await);
        }
    } else if standing.status == ModelStatus::Active {
        report.push(Finding::error(Check::Status, "it is active and was never revealed"));
    }
    Audited {
        model_id: standing.id,
        owner: model.owner,
        status: standing.status,
        ok: report.is_ok(),
        weights_url: manifest.map(|shown| redacted(shown.manifest.url().as_url())),
        weights_size: manifest.map(|shown| shown.manifest.size()),
        findings: report,
    }
}

/// Models that are looked at together.
#[derive(Clone, Debug, Default)]
#[expect(clippy::exhaustive_structs, reason = "two parts, and there is no third one")]
pub struct Registry {
    /// The models.
    pub models: Vec<Standing>,
    /// Which of them were first with what they have in common.
    pub history: History,
}

/// The models of the registry, or those with a status.
///
/// # Errors
/// [`Error::Rpc`](crate::Error::Rpc).
pub async fn registry(client: &Client, status: Option<ModelStatus>) -> Result<Registry> {
    let listed = client.models(&ModelFilter { owner: None, status }).await?;
    let mut models = Vec::with_capacity(listed.len());
    for summary in listed {
        // One may have gone since the list was made.
        models.extend(client.model(&summary.id).await?.map(Standing::from));
    }
    let history = History::ask(client, &models).await?;
    Ok(Registry { models, history })
}

/// Looks at all of them, several at once, and compares them with each other.
/// Their hashes share the lanes of the processor's registers.
/// `progress` hears of the number of models that are done. Dropped before its
/// end, it stops.
pub async fn audit(
    storage: &Storage,
    registry: Registry,
    options: &AuditOptions,
    mut progress: impl FnMut(usize),
) -> Audit {
    let Registry { models, history } = registry;
    let mut compared: BTreeMap<ObjectId, Report> = compare(&models, &history);
    let total = models.len();
    let look = Look { hashing: Some(Hashing::start()), ..options.look() };
    // Each on its own, so that one goes on while another one is opened.
    let mut looks = JoinSet::new();
    let mut waiting = models.into_iter();
    let mut models = Vec::with_capacity(total);
    loop {
        while looks.len() < options.at_once.max(1)
            && let Some(standing) = waiting.next()
        {
            let (storage, options, look) = (storage.clone(), *options, look.clone());
            looks.spawn(async move { examine(&storage, &standing, &options, &look).await });
        }
        let Some(looked) = looks.join_next().await else { break };
        let mut audited = match looked {
            Ok(audited) => audited,
            // Only a panic ends one early, and that one belongs to the caller.
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        };
        if let Some(report) = compared.remove(&audited.model_id) {
            audited.findings.extend(report);
            audited.ok = audited.findings.is_ok();
        }
        models.push(audited);
        progress(models.len());
    }
    models.sort_by_key(|audited| audited.model_id);
    let faulty = models.iter().filter(|audited| !audited.ok).count();
    Audit { ok: faulty == 0, total, faulty, models }
}

async fn fetched(
    storage: &Storage,
    url: &soma_proto::WeightsUrl,
    weights: &Measured,
    shown: &soma_proto::ModelWeightsManifest,
    options: &AuditOptions,
    look: &Look,
) -> Report {
    let mut report = TypedUrl::from(url.clone()).check(options.scope);
    // That it could be guessed no longer matters: it is public.
    report.findings.retain(|finding| finding.severity == crate::Severity::Error);
    if weights.size > options.largest {
        report.push(
            Finding::error(
                Check::Size,
                format!("{} bytes, more than the {} allowed", weights.size, options.largest),
            )
            .with_remedy("allow more"),
        );
    }
    if report.is_ok() {
        let key = Some(&shown.decryption_key);
        report.extend(look.check(storage, url.as_url(), weights, key, options.depth).await);
    }
    report
}

fn text<S: serde::Serializer>(status: &ModelStatus, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(status)
}
