//! Certified checkpoints of executions.
//!
//! A [`CheckpointBuilder`] follows a chain: it knows the last checkpoint, the
//! fees of the running epoch and a digest of all live objects, and turns lists
//! of executions into the next checkpoint, signed by the validators whose keys
//! it is given.

mod live;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use soma_proto::bls::{BlsKeyPair, BlsSignature, SignerBitmap};
use soma_proto::checkpoint::{
    AuthorityQuorumSignInfo, CertifiedCheckpointSummary, CheckpointCommitment, CheckpointContents,
    CheckpointContentsV1, CheckpointSummary, EndOfEpochData, ExecutionDigests,
};
use soma_proto::committee::Committee;
use soma_proto::effects::{ObjectOut, TransactionFee};
use soma_proto::merkle::{artifacts_digest, contents_digest};
use soma_proto::signature::{Intent, UserSignature};
use soma_proto::{CheckpointDigest, ObjectDigest, ObjectId, SignedTransaction, TransactionKind};

pub use self::live::LiveObjectSet;
use crate::execute::add_fees;
use crate::{Execution, Ledger, Result};

/// A checkpoint with its transactions.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Checkpoint {
    /// The header and the signature of the validators.
    pub certified: CertifiedCheckpointSummary,
    /// The transactions.
    pub contents: CheckpointContents,
}

impl Checkpoint {
    /// The header.
    pub const fn summary(&self) -> &CheckpointSummary {
        &self.certified.summary
    }
}

/// Where a chain stands; all that a builder needs to go on after a restart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tip {
    /// Height of the last checkpoint.
    pub sequence_number: u64,
    /// Its digest.
    pub digest: CheckpointDigest,
    /// When it was made, milliseconds since 1970.
    pub timestamp_ms: u64,
    /// Transactions since genesis.
    pub network_total_transactions: u64,
    /// Fees since the running epoch began, as far as they are in checkpoints.
    pub epoch_fees: TransactionFee,
    /// [`LiveObjectSet::to_bytes`].
    pub live_objects: [u8; 32],
}

/// Makes one checkpoint after the other.
#[derive(Clone, Debug)]
pub struct CheckpointBuilder {
    tip: Tip,
    live_objects: LiveObjectSet,
    committee: Committee,
}

impl CheckpointBuilder {
    /// Makes checkpoint 0 of the genesis that [`Ledger::genesis`] returned.
    pub fn genesis(
        ledger: &Ledger,
        genesis: &Execution,
        keys: &[BlsKeyPair],
    ) -> (Self, Checkpoint) {
        let mut live_objects = LiveObjectSet::default();
        live_objects.apply(&genesis.effects);
        let committee = committee(ledger);
        let contents = contents(std::slice::from_ref(genesis));
        let summary = CheckpointSummary {
            epoch: committee.epoch,
            sequence_number: 0,
            network_total_transactions: 1,
            content_digest: contents_digest(contents.transactions()),
            previous_digest: None,
            epoch_rolling_transaction_fees: TransactionFee::default(),
            timestamp_ms: ledger.system_state().epoch_start_timestamp_ms,
            checkpoint_commitments: Vec::new(),
            end_of_epoch_data: None,
            version_specific_data: Vec::new(),
        };
        let tip = Tip {
            sequence_number: 0,
            digest: summary.digest(),
            timestamp_ms: summary.timestamp_ms,
            network_total_transactions: 1,
            epoch_fees: TransactionFee::default(),
            live_objects: live_objects.to_bytes(),
        };
        let certified = certify(summary, &committee, keys);
        (Self { tip, live_objects, committee }, Checkpoint { certified, contents })
    }

    /// Goes on from a stored tip. `ledger` stands where the last checkpoint
    /// left it.
    ///
    /// # Errors
    /// [`Error::Accumulator`](crate::Error::Accumulator) if the stored set of
    /// live objects is not one.
    pub fn restore(tip: Tip, ledger: &Ledger) -> Result<Self> {
        let live_objects = LiveObjectSet::from_bytes(&tip.live_objects)?;
        Ok(Self { tip, live_objects, committee: committee(ledger) })
    }

    /// Makes the next checkpoint of all executions since the last one, in
    /// their order.
    ///
    /// The change of an epoch must be the last of them; it makes the checkpoint
    /// the last of its epoch. `ledger` stands behind the last execution.
    /// `timestamp_ms` is in milliseconds since 1970; a value before that of the
    /// last checkpoint is replaced by it. Keys that are not in the committee of
    /// the epoch are passed over; without a quorum of keys the certificate does
    /// not verify.
    pub fn build(
        &mut self,
        executions: &[Execution],
        timestamp_ms: u64,
        ledger: &Ledger,
        keys: &[BlsKeyPair],
    ) -> Checkpoint {
        for execution in executions {
            self.live_objects.apply(&execution.effects);
            add_fees(&mut self.tip.epoch_fees, execution.effects.v1().transaction_fee);
        }
        let ends_epoch = executions.last().is_some_and(|last| is_epoch_change(&last.transaction));
        let next_committee = ends_epoch.then(|| committee(ledger));
        let contents = contents(executions);
        let total = self.tip.network_total_transactions + executions.len() as u64;
        let summary = CheckpointSummary {
            epoch: self.committee.epoch,
            sequence_number: self.tip.sequence_number + 1,
            network_total_transactions: total,
            content_digest: contents_digest(contents.transactions()),
            previous_digest: Some(self.tip.digest),
            epoch_rolling_transaction_fees: self.tip.epoch_fees,
            timestamp_ms: timestamp_ms.max(self.tip.timestamp_ms),
            checkpoint_commitments: vec![CheckpointCommitment::Artifacts(artifacts_digest(
                &artifacts(executions),
            ))],
            end_of_epoch_data: next_committee.as_ref().map(|committee| EndOfEpochData {
                next_epoch_validator_committee: committee.clone(),
                next_epoch_protocol_version: ledger.system_state().protocol_version,
                epoch_commitments: vec![CheckpointCommitment::LiveObjectSet(
                    self.live_objects.digest(),
                )],
            }),
            version_specific_data: Vec::new(),
        };
        self.tip = Tip {
            sequence_number: summary.sequence_number,
            digest: summary.digest(),
            timestamp_ms: summary.timestamp_ms,
            network_total_transactions: total,
            epoch_fees: if ends_epoch { TransactionFee::default() } else { self.tip.epoch_fees },
            live_objects: self.live_objects.to_bytes(),
        };
        let certified = certify(summary, &self.committee, keys);
        if let Some(committee) = next_committee {
            self.committee = committee;
        }
        Checkpoint { certified, contents }
    }

    /// Where the chain stands.
    pub const fn tip(&self) -> &Tip {
        &self.tip
    }

    /// The validators that sign the next checkpoint.
    pub const fn committee(&self) -> &Committee {
        &self.committee
    }
}

/// Whether this is the transaction that ends an epoch.
const fn is_epoch_change(transaction: &SignedTransaction) -> bool {
    matches!(transaction.data.kind(), TransactionKind::ChangeEpoch(_))
}

fn committee(ledger: &Ledger) -> Committee {
    let state = ledger.system_state();
    Committee::from_validators(state.epoch, &state.validators.validators)
}

fn contents(executions: &[Execution]) -> CheckpointContents {
    let digests = |execution: &Execution| ExecutionDigests {
        transaction: execution.effects.v1().transaction_digest,
        effects: execution.effects.digest(),
    };
    CheckpointContents::V1(CheckpointContentsV1 {
        transactions: executions.iter().map(digests).collect(),
        user_signatures: executions.iter().map(user_signatures).collect(),
    })
}

/// The signatures of a user's transaction; none for one of the system.
fn user_signatures(execution: &Execution) -> Vec<UserSignature> {
    let transaction = &execution.transaction;
    if transaction.data.kind().is_system() {
        return Vec::new();
    }
    transaction.signatures.clone()
}

/// The last state of every object written, by id.
fn artifacts(executions: &[Execution]) -> Vec<(ObjectId, u64, ObjectDigest)> {
    let mut states = BTreeMap::new();
    for execution in executions {
        let effects = execution.effects.v1();
        for (id, change) in &effects.changed_objects {
            let digest = match change.output_state {
                ObjectOut::ObjectWrite(digest, _) => digest,
                _ => ObjectDigest::DELETED,
            };
            states.insert(*id, (effects.version, digest));
        }
    }
    states.into_iter().map(|(id, (version, digest))| (id, version, digest)).collect()
}

/// Signs a header for the committee.
fn certify(
    summary: CheckpointSummary,
    committee: &Committee,
    keys: &[BlsKeyPair],
) -> CertifiedCheckpointSummary {
    let signers: BTreeMap<u32, &BlsKeyPair> = keys
        .iter()
        .filter_map(|key| committee.index_of(&key.name()).map(|index| (index, key)))
        .collect();
    let signatures: Vec<_> = signers
        .values()
        .map(|key| key.sign_in_epoch(Intent::CHECKPOINT, &summary, summary.epoch))
        .collect();
    let signature = BlsSignature::aggregate(&signatures)
        .unwrap_or(BlsSignature::new([0; BlsSignature::LENGTH]));
    let signers_map: SignerBitmap = signers.into_keys().collect();
    let auth_signature = AuthorityQuorumSignInfo { epoch: summary.epoch, signature, signers_map };
    CertifiedCheckpointSummary { summary, auth_signature }
}
