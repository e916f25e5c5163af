//! What the demonstration tells: line by line in text, at the end in JSON.

use std::time::{Duration, Instant};

use serde::Serialize;
use soma_proto::{Address, CheckpointDigest, Commitment, ObjectId, WeightsUrl};
use soma_rpc::Executed;

use crate::error::Result;
use crate::output::page::{GREEN, RED};
use crate::output::transaction::TransactionReport;
use crate::output::{Output, Page, Report, format};

/// The steps so far, and the clock.
pub(super) struct Teller {
    out: Output,
    begun: Instant,
    lap: Instant,
    steps: Vec<Step>,
}

impl Teller {
    /// Starts the clock.
    pub(super) fn new(out: Output) -> Self {
        let now = Instant::now();
        Self { out, begun: now, lap: now, steps: Vec::new() }
    }

    /// Tells a step that is done; it took the time since the one before.
    pub(super) fn step(&mut self, name: &'static str, text: impl Into<String>) -> Result<()> {
        self.tell(name, text.into(), None, None)
    }

    /// Tells a step that was a transaction; `balance` is what the owner has now.
    pub(super) fn transaction(
        &mut self,
        name: &'static str,
        text: impl Into<String>,
        executed: &Executed,
        balance: u64,
    ) -> Result<()> {
        self.tell(name, text.into(), Some(TransactionReport::new(executed)), Some(balance))
    }

    /// The steps, and how long all of them took.
    pub(super) fn finish(self) -> (Vec<Step>, f64) {
        (self.steps, milliseconds(self.begun.elapsed()))
    }

    fn tell(
        &mut self,
        step: &'static str,
        text: String,
        transaction: Option<TransactionReport>,
        balance: Option<u64>,
    ) -> Result<()> {
        let took = self.lap.elapsed();
        self.lap = Instant::now();
        if !self.out.is_json() {
            self.out.print(&Line { step, text: &text, took })?;
        }
        let duration_ms = milliseconds(took);
        self.steps.push(Step { step, text, duration_ms, transaction, balance });
        Ok(())
    }
}

fn milliseconds(span: Duration) -> f64 {
    (span.as_secs_f64() * 1e6).round() / 1e3
}

/// One step.
#[derive(Serialize)]
pub(super) struct Step {
    step: &'static str,
    text: String,
    duration_ms: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    transaction: Option<TransactionReport>,
    /// Shannons of the owner afterwards.
    #[serde(skip_serializing_if = "Option::is_none")]
    balance: Option<u64>,
}

#[derive(Serialize)]
struct Line<'a> {
    step: &'static str,
    text: &'a str,
    took: Duration,
}

impl Report for Line<'_> {
    fn text(&self, page: &mut Page) {
        let Self { step, text, took } = self;
        page.line(format!("{:>9}  {step:<14} {text}", format::duration(*took)));
    }
}

/// Encrypted weights as they were published.
#[derive(Clone, Serialize)]
pub(super) struct Published {
    pub(super) url: WeightsUrl,
    pub(super) url_commitment: String,
    pub(super) commitment: String,
    pub(super) size: u64,
    /// Public since the reveal.
    pub(super) decryption_key: String,
}

impl Published {
    /// Both commitments in the form of the documents.
    pub(super) fn new(url: WeightsUrl, commitment: Commitment, size: u64, key: String) -> Self {
        let url_commitment = url.commitment().to_hex();
        let commitment = commitment.to_hex();
        Self { url, url_commitment, commitment, size, decryption_key: key }
    }
}

/// Something that has to hold at the end.
#[derive(Serialize)]
pub(super) struct Held {
    pub(super) check: &'static str,
    pub(super) held: bool,
}

/// The network that the demonstration ran on.
#[derive(Serialize)]
pub(super) struct NetworkReport {
    pub(super) rpc_url: String,
    pub(super) faucet_url: String,
    pub(super) files_url: String,
    pub(super) chain_id: CheckpointDigest,
    pub(super) epoch: u64,
    pub(super) embedding_dim: u64,
}

/// The one document.
#[derive(Serialize)]
pub(super) struct DemoReport {
    /// The model's status at the end, in lower case.
    pub(super) status: String,
    pub(super) model_id: ObjectId,
    pub(super) staking_pool_id: ObjectId,
    pub(super) owner: Address,
    pub(super) balance: u64,
    pub(super) stake_balance: u64,
    pub(super) network: NetworkReport,
    pub(super) weights: Published,
    pub(super) updated_weights: Published,
    pub(super) steps: Vec<Step>,
    pub(super) checks: Vec<Held>,
    pub(super) duration_ms: f64,
}

impl DemoReport {
    /// Whether everything held.
    pub(super) fn holds(&self) -> bool {
        self.status == "active" && self.checks.iter().all(|check| check.held)
    }
}

impl Report for DemoReport {
    fn text(&self, page: &mut Page) {
        page.blank();
        for Held { check, held } in &self.checks {
            match held {
                true => page.painted(format!("  holds: {check}"), GREEN),
                false => page.painted(format!("  FAILS: {check}"), RED),
            }
        }
        let colour = if self.holds() { GREEN } else { RED };
        let took = format::duration(Duration::from_secs_f64(self.duration_ms / 1e3));
        page.painted(
            format!("{} is {}; all of it took {took}", self.model_id, self.status),
            colour,
        );
    }
}
