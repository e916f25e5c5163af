//! Values of the reference's own types: bytes, JSON and digests.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use soma_proto::bls::{AuthorityName, BlsSignature, authority_message};
use soma_proto::checkpoint::{CertifiedCheckpointSummary, CheckpointContents, CheckpointSummary};
use soma_proto::committee::Committee;
use soma_proto::effects::{ExecutionFailure, ExecutionStatus, TransactionEffects};
use soma_proto::merkle::InclusionProof;
use soma_proto::object::StakedSoma;
use soma_proto::signature::{Intent, MultiSigPublicKey, UserSignature};
use soma_proto::system_state::{SystemParameters, SystemState};
use soma_proto::target::{Challenge, Target};
use soma_proto::{Object, SignedTransaction, TransactionKind};

use crate::loader::{Entry, for_each, section};
use crate::same::same;

/// One validator's share of a certificate. It never leaves the validators, so
/// the crate itself has no use for it.
#[derive(Serialize, Deserialize)]
struct AuthoritySignInfo {
    epoch: u64,
    authority: AuthorityName,
    signature: BlsSignature,
}

#[test]
fn ledger_types() {
    for_each("ledger_types", 107, |entry| match entry.at("type").text() {
        "TransactionKind" => drop(check::<TransactionKind>(entry)),
        "ExecutionFailureStatus" => failure(entry),
        "ExecutionStatus" => drop(check::<ExecutionStatus>(entry)),
        "TransactionEffects" => {
            assert_eq!(check::<TransactionEffects>(entry).digest(), digest(entry).parse());
        }
        "StakedSomaV1" => drop(check::<StakedSoma>(entry)),
        "Object" => assert_eq!(check::<Object>(entry).digest(), digest(entry).parse()),
        "Committee" => drop(check::<Committee>(entry)),
        "CheckpointSummary" => {
            assert_eq!(check::<CheckpointSummary>(entry).digest(), digest(entry).parse());
        }
        "CertifiedCheckpointSummary" => certified(entry),
        "AuthoritySignInfo" => drop(check::<AuthoritySignInfo>(entry)),
        "CheckpointContents" => {
            assert_eq!(check::<CheckpointContents>(entry).digest(), digest(entry).parse());
        }
        "CheckpointInclusionProof" => {
            let root = entry.at("root_base58").parse();
            check::<InclusionProof>(entry).verify(&root).unwrap();
        }
        "SystemState" => {
            let state = check::<SystemState>(entry);
            assert_eq!(state.v1().parameters, SystemParameters::v1());
        }
        "TargetV1" => drop(check::<Target>(entry)),
        "ChallengeV1" => drop(check::<Challenge>(entry)),
        "MultiSigPublicKey" => {
            let key = check::<MultiSigPublicKey>(entry);
            assert_eq!(key.address(), entry.at("address").parse());
        }
        "flag 02 || BCS(MultiSig)" => multisig(entry),
        "Transaction" => check::<SignedTransaction>(entry).verify().unwrap(),
        other => panic!("no test for the type {other}"),
    });
}

/// Decodes, encodes again, and compares the JSON with the one given, both
/// ways.
fn check<T: Serialize + DeserializeOwned>(entry: Entry) -> T {
    let bytes = entry.at("bcs_hex").hex();
    let value: T = bcs::from_bytes(&bytes).unwrap();
    assert_eq!(hex::encode(bcs::to_bytes(&value).unwrap()), hex::encode(&bytes));

    let json = serde_json::to_value(&value).unwrap();
    let decoded = entry.at("decoded").0;
    assert!(same(&json, decoded), "ours:\n{json}\ntheirs:\n{decoded}");
    let from_json: T = serde_json::from_value(json).unwrap();
    assert_eq!(hex::encode(bcs::to_bytes(&from_json).unwrap()), hex::encode(&bytes));
    value
}

fn digest(entry: Entry) -> Entry {
    entry.at("digest_base58")
}

fn failure(entry: Entry) {
    let failure: ExecutionFailure = check(entry);
    let decoded = entry.at("decoded").0;
    let name = decoded
        .as_str()
        .or_else(|| decoded.as_object()?.keys().next().map(String::as_str))
        .expect("a name");
    assert_eq!(failure.name(), name);
    assert!(failure.to_string().starts_with(&format!("{name}: ")), "{failure}");
}

fn certified(entry: Entry) {
    let checkpoint: CertifiedCheckpointSummary = check(entry);
    let signers: Vec<u64> =
        entry.at("signer_indices").list().into_iter().map(Entry::number).collect();
    let found: Vec<u64> = checkpoint.auth_signature.signers_map.iter().map(u64::from).collect();
    assert_eq!(found, signers);
    let message = authority_message(Intent::CHECKPOINT, &checkpoint.summary, 5);
    assert_eq!(hex::encode(message), entry.at("signed_message_hex").text());

    let entries = section("ledger_types").list();
    let committee = entries.iter().find(|e| e.at("type").text() == "Committee").unwrap();
    let committee = Committee::from_bcs(&committee.at("bcs_hex").hex()).unwrap();
    committee.verify(&checkpoint).unwrap();
}

fn multisig(entry: Entry) {
    let bytes = entry.at("bcs_hex").hex();
    let signature = UserSignature::from_bytes(&bytes).unwrap();
    assert_eq!(signature.to_bytes(), bytes);
    let UserSignature::MultiSig(multisig) = signature else { panic!("another scheme") };
    let json = serde_json::to_value(&*multisig).unwrap();
    assert!(same(&json, entry.at("decoded").0), "{json}");
}
