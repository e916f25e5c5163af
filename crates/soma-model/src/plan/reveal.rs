//! The second step: publish URL, size, key and embedding.

use soma_proto::transaction::RevealModel;
use soma_proto::{
    Address, Checksum, Commitment, DecryptionKey, Manifest, ModelWeightsManifest, ObjectId, Tensor,
    TransactionData, TransactionKind,
};
use soma_rpc::Client;
use soma_storage::Storage;

use super::owner::{self, Need};
use crate::session::{Pauses, is_over, is_permanent};
use crate::{
    Check, Depth, Error, Event, Finding, Gas, Measured, Network, Phase, Prepared, Report, Result,
    RevealWindow, Scope, Standing, TypedUrl, embedding, remote, wait_until_open, window::rfc3339,
};

/// Below this part of a window, in percent, time is short.
const LITTLE_TIME: u64 = 10;

/// A reveal as it is wanted: of a first commit, or of an update.
///
/// It holds the key. From the moment a reveal is sent, even one that fails,
/// key and URL are known to others; that is why everything is checked here
/// first, and never by a dry run on a node.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RevealPlan {
    /// The model.
    pub model_id: ObjectId,
    /// Where the encrypted weights are.
    pub url: TypedUrl,
    /// Hash and size of the encrypted weights.
    pub weights: Measured,
    /// The AES-256 key.
    pub key: DecryptionKey,
    /// The vector that training gave.
    pub embedding: Vec<f32>,
    /// What is revealed.
    pub of: RevealOf,
    /// The epoch of the commit by the owner's own record. Whatever a node says,
    /// nothing is revealed before the next one.
    pub committed_in: Option<u64>,
}

/// Refuses to show a node a reveal that it would not execute: outside its
/// window that gives URL and key away. Anything else may be shown.
///
/// # Errors
/// [`Error::Refused`], [`Error::Rpc`].
pub async fn check_disclosure(client: &Client, data: &TransactionData, scope: Scope) -> Result<()> {
    let Some(plan) = RevealPlan::of_kind(data.kind()) else { return Ok(()) };
    let network = Network::ask(client).await?;
    let standing = client.model(&plan.model_id).await?.map(Standing::from);
    let report = plan.check(&network, standing.as_ref(), data.sender(), scope);
    if report.is_ok() { Ok(()) } else { Err(Error::Refused(report)) }
}

/// What is revealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "there are two kinds of commit")]
pub enum RevealOf {
    /// A first commit: the model becomes active.
    Registration,
    /// A commit to new weights of an active model.
    Update,
}

impl RevealOf {
    /// The word for it: `registration` or `update`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Registration => "registration",
            Self::Update => "update",
        }
    }
}

impl RevealPlan {
    /// A reveal of a first commit.
    pub const fn new(
        model_id: ObjectId,
        url: TypedUrl,
        weights: Measured,
        key: DecryptionKey,
        embedding: Vec<f32>,
    ) -> Self {
        let of = RevealOf::Registration;
        Self { model_id, url, weights, key, embedding, of, committed_in: None }
    }

    /// The reveal of an update instead.
    #[must_use]
    pub fn of_update(mut self) -> Self {
        self.of = RevealOf::Update;
        self
    }

    /// The plan that a transaction carries out, if it is a reveal.
    pub fn of_kind(kind: &TransactionKind) -> Option<Self> {
        let (reveal, of) = match kind {
            TransactionKind::RevealModel(reveal) => (reveal, RevealOf::Registration),
            TransactionKind::RevealModelUpdate(reveal) => (reveal, RevealOf::Update),
            _ => return None,
        };
        let ModelWeightsManifest { manifest, decryption_key } = &reveal.weights_manifest;
        let commitment = manifest.checksum().into();
        Some(Self {
            model_id: reveal.model_id,
            url: manifest.url().clone().into(),
            weights: Measured { commitment, size: manifest.size() },
            key: decryption_key.clone(),
            embedding: reveal.embedding.to_vec(),
            of,
            committed_in: None,
        })
    }

    /// The transaction's kind.
    pub fn kind(&self) -> TransactionKind {
        let checksum = Checksum::from(self.weights.commitment);
        let reveal = RevealModel {
            model_id: self.model_id,
            weights_manifest: ModelWeightsManifest {
                manifest: Manifest::new(self.url.normal().clone(), checksum, self.weights.size),
                decryption_key: self.key.clone(),
            },
            embedding: Tensor::vector(&self.embedding),
        };
        match self.of {
            RevealOf::Registration => TransactionKind::RevealModel(reveal),
            RevealOf::Update => TransactionKind::RevealModelUpdate(reveal),
        }
    }

    /// Makes all checks that need neither coins nor the host of the weights.
    pub fn check(
        &self,
        network: &Network,
        standing: Option<&Standing>,
        sender: Address,
        scope: Scope,
    ) -> Report {
        let mut report = Report::default();
        let need = match self.of {
            RevealOf::Registration => Need::COMMITTED,
            RevealOf::Update => Need::ACTIVE,
        };
        let found = owner::check(&self.model_id, standing, sender, need, &mut report);
        if let Some(standing) = found {
            match self.committed(standing) {
                Some(committed) => self.check_against(&committed, network, &mut report),
                None => report.push(
                    Finding::error(Check::Status, "no update waits for a reveal")
                        .with_remedy(
                            "commit to it first, or again: one that was not revealed is dropped",
                        )
                        .with_failure("ModelNoPendingUpdate"),
                ),
            }
            self.check_key(standing, &mut report);
        }
        report.extend(self.url.check(scope));
        if self.weights.size == 0 {
            report.push(Finding::error(Check::Size, "the weights have no bytes"));
        }
        report.extend(embedding::check(&self.embedding, network.parameters.target_embedding_dim));
        report
    }

    /// Asks the node and the host of the weights, makes all checks and builds
    /// the transaction. Nothing secret leaves this machine.
    ///
    /// # Errors
    /// As [`CommitPlan::prepare`](crate::CommitPlan::prepare). What the host
    /// does wrong is in the report.
    pub async fn prepare(
        &self,
        client: &Client,
        host: &Host<'_>,
        sender: Address,
        gas: &Gas,
    ) -> Result<Prepared> {
        let network = Network::ask(client).await?;
        let standing = client.model(&self.model_id).await?.map(Standing::from);
        let mut report = self.check(&network, standing.as_ref(), sender, host.scope);
        let url = self.url.normal().as_url();
        report.extend(
            remote::check_committed(host.storage, url, &self.weights, &self.key, host.depth).await,
        );
        Prepared::build(client, sender, self.kind(), gas, network, report).await
    }

    /// Waits for the window, then as [`prepare`](Self::prepare). What may go away by
    /// itself, such as a host that is down or coins that are missing, is tried again
    /// as long as the window is open; then, or for what stays wrong, it is as it is.
    ///
    /// # Errors
    /// As [`wait_until_open`] and [`prepare`](Self::prepare).
    pub async fn prepare_when_open(
        &self,
        client: &Client,
        host: &Host<'_>,
        sender: Address,
        gas: &Gas,
        mut tell: impl FnMut(Event<'_>),
    ) -> Result<Prepared> {
        let standing = wait_until_open(client, &self.model_id, &mut tell).await?;
        let window = standing.reveal_window();
        let mut pauses = Pauses::new();
        loop {
            let found = self.prepare(client, host, sender, gas).await;
            let refused = match &found {
                Ok(prepared) if prepared.report.is_ok() => return found,
                Ok(prepared) => Some(Error::Refused(prepared.report.clone())),
                Err(_) => None,
            };
            let Some(error) = refused.as_ref().or(found.as_ref().err()) else { return found };
            let Some(window) = window.filter(|_| !is_permanent(error)) else { return found };
            if is_over(client, &self.model_id, &window).await {
                return found;
            }
            let pause = pauses.next(Some(&window));
            tell(Event::Retrying { error, pause });
            tokio::time::sleep(pause).await;
        }
    }

    /// What the chain holds of the commit that this reveals.
    fn committed(&self, standing: &Standing) -> Option<Committed> {
        let model = &standing.model;
        match self.of {
            RevealOf::Registration => Some(Committed {
                epoch: model.commit_epoch,
                url: model.weights_url_commitment,
                weights: model.weights_commitment,
            }),
            RevealOf::Update => model.pending_update.map(|update| Committed {
                epoch: update.commit_epoch,
                url: update.weights_url_commitment,
                weights: update.weights_commitment,
            }),
        }
    }

    fn check_against(&self, committed: &Committed, network: &Network, report: &mut Report) {
        self.check_window(committed.epoch, network, report);
        let url = self.url.normal();
        if url.commitment() != committed.url {
            report.push(
                Finding::error(
                    Check::UrlCommitment,
                    format!(
                        "the URL {url} hashes to {}, the commitment is {}",
                        url.commitment().to_hex(),
                        committed.url.to_hex()
                    ),
                )
                .with_remedy("give the URL that was committed to; the window stays open for it")
                .with_failure("ModelWeightsUrlMismatch"),
            );
        }
        if self.weights.commitment != committed.weights {
            report.push(
                Finding::error(
                    Check::WeightsCommitment,
                    format!(
                        "the checksum is {}, the commitment to the weights is {}",
                        self.weights.commitment.to_hex(),
                        committed.weights.to_hex()
                    ),
                )
                .with_remedy("give the checksum of the encrypted file that was committed to")
                .with_failure("InvalidArguments"),
            );
        }
    }

    fn check_window(&self, shown_epoch: u64, network: &Network, report: &mut Report) {
        // An update that was committed once more is later than the record.
        let commit_epoch = self.committed_in.map_or(shown_epoch, |own| own.max(shown_epoch));
        const FAILURE: &str = "ModelRevealEpochMismatch";
        let now = network.clock.epoch;
        let window = RevealWindow::new(commit_epoch, &network.clock);
        let epochs =
            format!("committed in epoch {commit_epoch}, now is epoch {now}: the reveal belongs");
        match window.phase(now) {
            Phase::Early => report.push(
                Finding::error(
                    Check::Window,
                    format!(
                        "{epochs} into epoch {}, from about {} on",
                        window.reveal_epoch,
                        rfc3339(window.opens_at_ms)
                    ),
                )
                .with_remedy("wait for the next epoch, or use --wait")
                .with_failure(FAILURE),
            ),
            Phase::Missed => {
                let cost = match self.of {
                    RevealOf::Registration => "the model goes inactive and half its stake is lost",
                    RevealOf::Update => "the update is dropped, the old weights stay",
                };
                report.push(
                    Finding::error(
                        Check::Window,
                        format!(
                            "{epochs} into epoch {}, which is over; {cost}",
                            window.reveal_epoch
                        ),
                    )
                    .with_failure(FAILURE),
                );
            }
            Phase::Open if network.percent_passed() > 100 - LITTLE_TIME => {
                report.push(
                    Finding::warning(
                        Check::Window,
                        format!("the window closes at about {}", rfc3339(window.closes_at_ms)),
                    )
                    .with_remedy("reveal it now"),
                );
            }
            Phase::Open => {}
        }
    }

    /// A key that is public already opens the new weights for everybody.
    fn check_key(&self, standing: &Standing, report: &mut Report) {
        let current = standing.model.weights_manifest.as_ref();
        if current.is_some_and(|weights| weights.decryption_key == self.key) {
            report.push(
                Finding::error(
                    Check::Key,
                    "this is the key of the present weights, which everybody knows",
                )
                .with_remedy("encrypt the new weights under a new key and commit to them again"),
            );
        }
    }
}

/// The host of the weights, and how to look at it.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_structs, reason = "a list of arguments with names")]
pub struct Host<'a> {
    /// Fetches from it.
    pub storage: &'a Storage,
    /// Where the network is.
    pub scope: Scope,
    /// How much is fetched.
    pub depth: Depth,
}

struct Committed {
    epoch: u64,
    url: Commitment,
    weights: Commitment,
}

#[cfg(test)]
mod tests {
    use soma_proto::params::SystemParameters;
    use soma_proto::system_state::ModelStatus;

    use super::*;
    use crate::testing::{self, MODEL, OWNER, WEIGHTS};

    fn network() -> Network {
        let clock = testing::clock();
        let mut parameters = SystemParameters::v1();
        parameters.target_embedding_dim = 2;
        Network { clock, parameters, now_ms: clock.start_timestamp_ms + 1_000 }
    }

    fn plan() -> RevealPlan {
        let weights = Measured { commitment: WEIGHTS, size: 100 };
        let key = DecryptionKey::new([0x66; 32]);
        RevealPlan::new(MODEL, testing::url().into(), weights, key, vec![0.5, -0.5])
    }

    fn failures(report: &Report) -> Vec<Option<&'static str>> {
        report.errors().map(|finding| finding.failure).collect()
    }

    #[test]
    fn a_good_reveal() {
        let report = plan().check(&network(), Some(&testing::committed()), OWNER, Scope::Public);
        assert_eq!(report, Report::default());
        let TransactionKind::RevealModel(reveal) = plan().kind() else { panic!() };
        assert_eq!(reveal.weights_manifest.manifest.size(), 100);
        let update = plan().of_update();
        let report = update.check(&network(), Some(&testing::updating()), OWNER, Scope::Public);
        assert_eq!(report, Report::default());
        assert!(matches!(update.kind(), TransactionKind::RevealModelUpdate(_)));
    }

    #[test]
    fn everything_wrong_at_once() {
        let mut plan = plan();
        plan.url = "http://weights.example/other#x".parse().unwrap();
        plan.weights = Measured { commitment: Commitment::ZERO, size: 0 };
        plan.embedding = vec![0.0];
        let mut network = network();
        network.clock.epoch = 4;
        let standing = testing::committed();
        let report = plan.check(&network, Some(&standing), Address::ZERO, Scope::Public);
        assert_eq!(
            failures(&report),
            [
                Some("NotModelOwner"),
                Some("ModelRevealEpochMismatch"),
                Some("ModelWeightsUrlMismatch"),
                Some("InvalidArguments"),
                None, // plain http
                None, // no bytes
                Some("EmbeddingDimensionMismatch"),
                Some("InvalidArguments"), // all zero
            ]
        );
        assert_eq!(report.warnings().count(), 2, "the fragment and the short name");
        let text = report.to_string();
        let both = [testing::url().commitment(), plan.url.normal().commitment()];
        assert!(both.iter().all(|hash| text.contains(&hash.to_hex())), "{text}");
        assert!(!text.contains("6666"), "never the key: {text}");
    }

    #[test]
    fn the_window() {
        let standing = testing::committed();
        let mut at = network();
        let mut check = |epoch, into| {
            at.clock.epoch = epoch;
            at.now_ms = at.clock.start_timestamp_ms + into;
            plan().check(&at, Some(&standing), OWNER, Scope::Public)
        };
        let early = check(4, 0);
        assert_eq!(failures(&early), [Some("ModelRevealEpochMismatch")]);
        assert!(early.to_string().contains("epoch 5, from about 2026-01-01T00:01:00Z on"));
        assert_eq!(check(5, 53_000), Report::default());
        assert_eq!(check(5, 59_000).warnings().count(), 1);
        let late = check(6, 0);
        assert_eq!(failures(&late), [Some("ModelRevealEpochMismatch")]);
        assert!(late.to_string().contains("half its stake"));
    }

    #[test]
    fn a_url_in_another_spelling_is_the_same_url() {
        let mut plan = plan();
        let typed = testing::url().as_str().replace("https://weights", "HTTPS://Weights");
        plan.url = typed.parse().unwrap();
        let report = plan.check(&network(), Some(&testing::committed()), OWNER, Scope::Public);
        assert!(report.is_ok());
        assert!(report.findings[0].message.contains("normal form"));
    }

    #[test]
    fn other_states() {
        let check = |plan: &RevealPlan, standing: &Standing| {
            failures(&plan.check(&network(), Some(standing), OWNER, Scope::Public))
        };
        assert_eq!(check(&plan(), &testing::updating()), [Some("ModelNotPending")]);
        assert_eq!(check(&plan().of_update(), &testing::committed()), [Some("ModelNotActive")]);
        let mut gone = testing::committed();
        gone.status = ModelStatus::Inactive;
        assert_eq!(check(&plan(), &gone), [Some("ModelNotPending")]);
        let mut quiet = testing::updating();
        quiet.model.pending_update = None;
        assert_eq!(check(&plan().of_update(), &quiet), [Some("ModelNoPendingUpdate")]);
        let none = plan().check(&network(), None, OWNER, Scope::Public);
        assert_eq!(failures(&none), [Some("ModelNotPending")]);
    }

    #[test]
    fn the_present_key_is_refused_for_an_update() {
        let mut plan = plan().of_update();
        plan.key = DecryptionKey::new([0x55; 32]);
        let report = plan.check(&network(), Some(&testing::updating()), OWNER, Scope::Public);
        assert_eq!(failures(&report), [None]);
        assert_eq!(report.findings[0].check, Check::Key);
    }

    #[test]
    fn debug_hides_the_key() {
        assert!(!format!("{:?}", plan()).contains("102, 102"));
        assert!(!format!("{:?}", plan()).contains("6666"));
    }
}
