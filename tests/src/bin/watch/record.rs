//! What the chain has on record, and the judgement on it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::Deserialize;
use soma_proto::checkpoint::{CertifiedCheckpointSummary, CheckpointContents};
use soma_proto::effects::TransactionEffects;
use soma_proto::{Object, ObjectId, SignedTransaction, TransactionKind};

use crate::Result;

/// For how long the node must be there in a window at least, in milliseconds.
const USABLE_MS: u64 = 500;
/// The same on a machine that is slow to start a node, in such starts.
const USABLE_STARTS: u64 = 3;

/// A window in which the node was there for less than this, in milliseconds,
/// proves nothing: nobody could have revealed in it.
pub(crate) fn usable_ms(start_ms: u64, epoch_ms: u64) -> u64 {
    USABLE_MS.max(USABLE_STARTS * start_ms).min(epoch_ms / 4)
}

/// A checkpoint as the network writes it.
#[derive(Deserialize)]
struct Checkpoint {
    summary: CertifiedCheckpointSummary,
    #[expect(dead_code, reason = "it has its place in the bytes")]
    contents: CheckpointContents,
    transactions: Vec<Executed>,
}

#[derive(Deserialize)]
struct Executed {
    transaction: SignedTransaction,
    effects: TransactionEffects,
    #[expect(dead_code, reason = "they have their place in the bytes")]
    objects: (Vec<Object>, Vec<Object>),
}

/// One step of a model.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    model: ObjectId,
    what: What,
    epoch: u64,
    time_ms: u64,
    good: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Commit,
    UpdateCommit,
    Reveal,
    NewEpoch,
}

/// Reads all checkpoints, in their order.
pub(crate) fn read(folder: &Path) -> Result<Vec<Entry>> {
    let mut entries = Vec::new();
    for height in 0.. {
        let Ok(bytes) = fs::read(folder.join(format!("{height}.chk"))) else { break };
        let checkpoint: Checkpoint = bcs::from_bytes(&bytes)?;
        for Executed { transaction, effects, .. } in checkpoint.transactions {
            let (model, what) = match transaction.data.kind() {
                TransactionKind::CommitModel(commit) => (commit.model_id, What::Commit),
                TransactionKind::CommitModelUpdate(commit) => (commit.model_id, What::UpdateCommit),
                TransactionKind::RevealModel(reveal)
                | TransactionKind::RevealModelUpdate(reveal) => (reveal.model_id, What::Reveal),
                TransactionKind::ChangeEpoch(_) => (ObjectId::ZERO, What::NewEpoch),
                _ => continue,
            };
            entries.push(Entry {
                model,
                what,
                epoch: effects.v1().executed_epoch,
                time_ms: checkpoint.summary.summary.timestamp_ms,
                good: effects.is_success(),
            });
        }
    }
    Ok(entries)
}

/// What the record shows.
#[derive(Debug, Default)]
pub(crate) struct Judged {
    registrations: u32,
    updates: u32,
    reveals: u32,
    /// Sent in the epoch of their commit or before.
    early: Vec<Entry>,
    /// Sent in their window, and failed.
    failed: Vec<Entry>,
    /// Commits whose window passed without a reveal.
    missed: Vec<Entry>,
    /// The same, in windows in which nobody could have revealed.
    unusable: Vec<Entry>,
    /// From the beginning of the window to the reveal, sorted.
    delays_ms: Vec<u64>,
}

/// Holds every reveal against its commit, where the node was `up` at these times.
pub(crate) fn judge(record: &[Entry], up: &[(u64, u64)], usable_ms: u64) -> Judged {
    let mut judged = Judged::default();
    let mut open: BTreeMap<ObjectId, Entry> = BTreeMap::new();
    // An epoch begins when the one before ends.
    let begins: BTreeMap<u64, u64> = record
        .iter()
        .filter(|entry| entry.what == What::NewEpoch)
        .map(|entry| (entry.epoch + 1, entry.time_ms))
        .collect();
    for entry in record {
        match entry.what {
            What::Commit | What::UpdateCommit if entry.good => {
                match entry.what {
                    What::Commit => judged.registrations += 1,
                    _ => judged.updates += 1,
                }
                open.insert(entry.model, *entry);
            }
            What::Reveal => match open.get(&entry.model) {
                Some(commit) if entry.epoch <= commit.epoch => judged.early.push(*entry),
                Some(_) if entry.good => {
                    open.remove(&entry.model);
                    judged.reveals += 1;
                    let begin = begins.get(&entry.epoch).copied().unwrap_or(entry.time_ms);
                    judged.delays_ms.push(entry.time_ms.saturating_sub(begin));
                }
                _ => judged.failed.push(*entry),
            },
            What::NewEpoch => {
                // What was committed in the epoch before this one is too late now.
                let late: Vec<Entry> =
                    open.values().filter(|commit| commit.epoch < entry.epoch).copied().collect();
                for commit in late {
                    open.remove(&commit.model);
                    let begin = begins.get(&entry.epoch).copied().unwrap_or_default();
                    let there: u64 = up
                        .iter()
                        .map(|(from, to)| entry.time_ms.min(*to).saturating_sub(begin.max(*from)))
                        .sum();
                    match there < usable_ms {
                        true => judged.unusable.push(commit),
                        false => judged.missed.push(commit),
                    }
                }
            }
            _ => {}
        }
    }
    judged.delays_ms.sort_unstable();
    judged
}

impl Judged {
    pub(crate) fn print(&self) {
        let at = |percent: usize| {
            let last = self.delays_ms.len().saturating_sub(1);
            self.delays_ms.get(last * percent / 100).copied().unwrap_or_default()
        };
        println!(
            "on the chain: {} registrations and {} updates committed, {} revealed, {} early, {} missed, \
             {} without a usable window, {} failed in their window",
            self.registrations,
            self.updates,
            self.reveals,
            self.early.len(),
            self.missed.len(),
            self.unusable.len(),
            self.failed.len()
        );
        println!(
            "from the beginning of a window to its reveal: median {} ms, 90 % {} ms, most {} ms",
            at(50),
            at(90),
            at(100)
        );
        for entry in self.early.iter().chain(&self.missed).chain(&self.failed) {
            println!("  {entry:?}");
        }
    }

    /// Nothing early, nothing missed, and enough that it could have been.
    ///
    /// Every model has its registration, and in 50 epochs an update of its own.
    pub(crate) fn is_good(&self, models: u32, epochs: u64) -> bool {
        let rounds = u32::try_from(epochs / 50).unwrap_or(u32::MAX);
        let committed = self.registrations + self.updates;
        self.early.is_empty()
            && self.missed.is_empty()
            && self.registrations == models
            && self.updates >= models.saturating_mul(rounds)
            && self.unusable.len() * 20 <= committed as usize
    }
}
