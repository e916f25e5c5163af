//! Bytes to a certified checkpoint, its contents and proofs.
#![no_main]

use libfuzzer_sys::fuzz_target;
use soma_proto::checkpoint::{CertifiedCheckpointSummary, CheckpointContents};
use soma_proto::merkle::InclusionProof;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(checkpoint) = CertifiedCheckpointSummary::from_bcs(bytes) {
        assert_eq!(checkpoint.to_bcs(), bytes);
        if let Some(end) = &checkpoint.summary.end_of_epoch_data {
            let _ = end.next_epoch_validator_committee.verify(&checkpoint);
        }
    }
    if let Ok(contents) = CheckpointContents::from_bcs(bytes) {
        assert_eq!(contents.to_bcs(), bytes);
        let digest = contents.digest();
        let transactions = contents.transactions();
        if let Some(proof) = InclusionProof::new(transactions, transactions.len() / 2) {
            proof.verify(&digest).expect("a proof just made holds");
        }
    }
    if let Ok(proof) = InclusionProof::from_bcs(bytes) {
        let _ = proof.verify(&Default::default());
    }
});
