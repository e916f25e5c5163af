//! Values of the reference, as messages and back.

use std::fmt::Debug;

use prost::Message;
use soma_proto::checkpoint::{CertifiedCheckpointSummary, CheckpointContents, CheckpointSummary};
use soma_proto::committee::Committee;
use soma_proto::effects::{ExecutionFailure, ExecutionStatus, TransactionEffects};
use soma_proto::grpc::convert::{certified_summary, transaction_request};
use soma_proto::grpc::pb;
use soma_proto::signature::UserSignature;
use soma_proto::system_state::SystemState;
use soma_proto::{
    Error, Object, SignedTransaction, TransactionData, TransactionDigest, TransactionKind,
};

use crate::carried;
use crate::loader::for_each;

/// The number of each kind in messages, at the place of its number in bytes.
const KIND_NUMBERS: [u64; 31] = [
    1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 28,
    29, 26, 30, 31, 32,
];

#[test]
fn transactions() {
    for_each("transactions", 40, |entry| {
        let signed = SignedTransaction::from_bcs(&entry.at("signed_tx_bcs_hex").hex()).unwrap();
        let message = carried(&transaction_request(&signed.data).unwrap());
        assert_eq!(message.digest(), entry.at("tx_digest_base58").text());
        let data = TransactionData::try_from(message).unwrap();
        assert_eq!(data.to_bcs(), entry.at("tx_data_bcs_hex").hex());
        for signature in &signed.signatures {
            round_trip::<UserSignature, pb::UserSignature>(signature);
        }
    });
}

#[test]
fn ledger_types() {
    for_each("ledger_types", 107, |entry| {
        let bytes = entry.at("bcs_hex").hex();
        match entry.at("type").text() {
            "TransactionKind" => kind(&TransactionKind::from_bcs(&bytes).unwrap(), bytes[0]),
            "ExecutionFailureStatus" => failure(&bcs::from_bytes(&bytes).unwrap()),
            "ExecutionStatus" => {
                let status = bcs::from_bytes(&bytes).unwrap();
                round_trip::<ExecutionStatus, pb::ExecutionStatus>(&status);
            }
            "TransactionEffects" => {
                let effects = TransactionEffects::from_bcs(&bytes).unwrap();
                round_trip::<_, pb::TransactionEffects>(&effects);
            }
            "Object" => {
                round_trip::<_, pb::Object>(&Object::from_bcs(&bytes).unwrap());
            }
            "Committee" => {
                let committee = Committee::from_bcs(&bytes).unwrap();
                round_trip::<_, pb::ValidatorCommittee>(&committee);
            }
            "CheckpointSummary" => {
                let summary = CheckpointSummary::from_bcs(&bytes).unwrap();
                round_trip::<_, pb::CheckpointSummary>(&summary);
            }
            "CertifiedCheckpointSummary" => certified(&bytes),
            "CheckpointContents" => {
                let contents = CheckpointContents::from_bcs(&bytes).unwrap();
                round_trip::<_, pb::CheckpointContents>(&contents);
            }
            "SystemState" => {
                let state = SystemState::from_bcs(&bytes).unwrap();
                round_trip::<_, pb::SystemState>(&state);
            }
            "flag 02 || BCS(MultiSig)" => {
                let signature = UserSignature::from_bytes(&bytes).unwrap();
                round_trip::<_, pb::UserSignature>(&signature);
            }
            "Transaction" => signed(&SignedTransaction::from_bcs(&bytes).unwrap()),
            // Shown by a node but never read back, or not a message at all.
            "StakedSomaV1"
            | "AuthoritySignInfo"
            | "CheckpointInclusionProof"
            | "TargetV1"
            | "ChallengeV1"
            | "MultiSigPublicKey" => {}
            other => panic!("no case for {other}"),
        }
    });
}

/// Native to message to bytes to message to native is the same value.
fn round_trip<N, M>(native: &N)
where
    N: TryFrom<M, Error = Error> + PartialEq + Debug,
    M: for<'a> From<&'a N> + Message + Default,
{
    assert_eq!(N::try_from(carried(&M::from(native))).unwrap(), *native);
}

fn kind(kind: &TransactionKind, number_in_bytes: u8) {
    let message = pb::TransactionKind::from(kind);
    let mut wire = message.encode_to_vec().into_iter();
    // The first varint is the number of the field and three bits of wire type.
    let low = u64::from(wire.next().unwrap());
    let key = if low < 0x80 { low } else { (low & 0x7f) | (u64::from(wire.next().unwrap()) << 7) };
    assert_eq!(key >> 3, KIND_NUMBERS[usize::from(number_in_bytes)]);
    let read = TransactionKind::try_from(carried(&message)).unwrap();
    match kind {
        // The one kind with a form that messages lack.
        TransactionKind::PayCoins { amounts: None, coins, recipients } => assert_eq!(
            read,
            TransactionKind::PayCoins {
                coins: coins.clone(),
                amounts: Some(Vec::new()),
                recipients: recipients.clone(),
            }
        ),
        _ => assert_eq!(read, *kind),
    }
}

/// The name travels, and of the values an object id and words.
fn failure(failure: &ExecutionFailure) {
    let message = carried(&pb::ExecutionError::from(failure));
    assert_eq!(message.description(), failure.to_string());
    let kind = message.kind().as_str_name().replace('_', "");
    let name = match failure.name() {
        "ExecutionCancelledDueToSharedObjectCongestion" => "SharedObjectCongestion",
        "SomaError" => "OtherError",
        name => name,
    };
    assert_eq!(kind, name.to_ascii_uppercase());
    let read = ExecutionFailure::try_from(message).unwrap();
    assert_eq!(read.name(), failure.name());
    match (failure, &read) {
        (
            ExecutionFailure::InvalidOwnership { object_id: sent, .. },
            ExecutionFailure::InvalidOwnership { object_id: found, .. },
        )
        | (
            ExecutionFailure::ObjectNotFound { object_id: sent },
            ExecutionFailure::ObjectNotFound { object_id: found },
        )
        | (
            ExecutionFailure::InvalidObjectType { object_id: sent, .. },
            ExecutionFailure::InvalidObjectType { object_id: found, .. },
        ) => assert_eq!(found, sent),
        (
            ExecutionFailure::InvalidArguments { .. }
            | ExecutionFailure::DuplicateValidatorMetadata { .. }
            | ExecutionFailure::InvalidProofOfPossession { .. },
            _,
        ) => assert_eq!(read, *failure),
        _ => {}
    }
}

fn certified(bytes: &[u8]) {
    let checkpoint = CertifiedCheckpointSummary::from_bcs(bytes).unwrap();
    let message = carried(&pb::Checkpoint {
        summary: Some((&checkpoint.summary).into()),
        signature: Some((&checkpoint.auth_signature).into()),
        ..Default::default()
    });
    assert_eq!(certified_summary(message).unwrap(), checkpoint);
}

fn signed(transaction: &SignedTransaction) {
    let message = carried(&transaction_request(&transaction.data).unwrap());
    let digest: TransactionDigest = message.digest().parse().unwrap();
    assert_eq!(digest, transaction.digest());
    assert_eq!(TransactionData::try_from(message).unwrap(), transaction.data);
}
