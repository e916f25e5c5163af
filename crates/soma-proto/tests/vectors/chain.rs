//! Objects, derived ids, Merkle trees and a whole genesis.

use soma_proto::checkpoint::{CertifiedCheckpointSummary, CheckpointContents, ExecutionDigests};
use soma_proto::committee::Committee;
use soma_proto::effects::TransactionEffects;
use soma_proto::merkle::{InclusionProof, artifacts_digest, contents_digest};
use soma_proto::object::{derive_object_id, genesis_object_id};
use soma_proto::signature::UserSignature;
use soma_proto::system_state::SystemState;
use soma_proto::{Object, ObjectId, ObjectType, Owner, SignedTransaction, TransactionKind};

use crate::loader::{Entry, for_each, section};

#[test]
fn objects() {
    for_each("objects", 5, |entry| {
        let owner = match entry.at("owner").list().as_slice() {
            [kind, address] if kind.text() == "AddressOwner" => {
                Owner::AddressOwner(address.parse())
            }
            [kind, version] if kind.text() == "Shared" => {
                Owner::Shared { initial_shared_version: version.number() }
            }
            [kind] if kind.text() == "Immutable" => Owner::Immutable,
            other => panic!("unknown owner of {} parts", other.len()),
        };
        let inner = entry.at("contents_without_id_hex").hex();
        let object = Object::new(
            entry.at("object_id").parse(),
            entry.at("object_type").parse(),
            entry.at("version").number(),
            &inner,
            owner,
            entry.at("previous_transaction").parse(),
        );
        let bytes = entry.at("object_bcs_hex").hex();
        assert_eq!(hex::encode(object.to_bcs()), hex::encode(&bytes));
        assert_eq!(Object::from_bcs(&bytes).unwrap(), object);
        assert_eq!(object.digest().to_string(), entry.at("digest_base58").text());
        assert_eq!(object.inner(), inner);
        assert_eq!(object.id(), entry.at("object_id").parse());
    });
}

#[test]
fn derive_id() {
    for_each("derive_id", 2, |entry| {
        let digest = entry.at("tx_digest_base58").parse();
        let id = derive_object_id(&digest, entry.at("creation_num").number());
        assert_eq!(id.to_string(), entry.at("object_id").text());
    });
}

fn leaves(entry: Entry) -> Vec<ExecutionDigests> {
    entry
        .at("leaves")
        .list()
        .into_iter()
        .map(|pair| match pair.list().as_slice() {
            [transaction, effects] => {
                ExecutionDigests { transaction: transaction.parse(), effects: effects.parse() }
            }
            _ => panic!("a leaf is a pair"),
        })
        .collect()
}

#[test]
fn contents_digests() {
    for_each("contents_digests", 6, |entry| {
        let leaves = leaves(entry);
        let root = contents_digest(&leaves);
        assert_eq!(root.to_string(), entry.at("contents_digest_base58").text());
        for index in 0..leaves.len() {
            let proof = InclusionProof::new(&leaves, index).unwrap();
            proof.verify(&root).unwrap();
            let moved = InclusionProof { leaf_index: proof.leaf_index + 1, ..proof };
            moved.verify(&root).unwrap_err();
        }
        assert_eq!(InclusionProof::new(&leaves, leaves.len()), None);
    });
}

#[test]
fn artifacts() {
    let section = section("artifacts");
    let states: Vec<_> = section
        .at("states")
        .list()
        .into_iter()
        .map(|state| match state.list().as_slice() {
            [id, version, digest] => (id.parse(), version.number(), digest.parse()),
            _ => panic!("a state has three parts"),
        })
        .collect();
    let digest = artifacts_digest(&states);
    assert_eq!(digest.to_string(), section.at("artifacts_digest_base58").text());
}

#[test]
fn genesis() {
    type Genesis = (
        CertifiedCheckpointSummary,
        CheckpointContents,
        SignedTransaction,
        TransactionEffects,
        Vec<Object>,
    );

    let section = section("genesis");
    let blob: Vec<u8> = bcs::from_bytes(&section.at("blob_hex").hex()).unwrap();
    let genesis: Genesis = bcs::from_bytes(&blob).unwrap();
    assert_eq!(hex::encode(bcs::to_bytes(&genesis).unwrap()), hex::encode(&blob));
    let (checkpoint, contents, transaction, effects, objects) = genesis;

    assert_eq!(transaction.digest().to_string(), section.at("transaction_digest_base58").text());
    assert_eq!(effects.digest().to_string(), section.at("effects_digest_base58").text());
    assert_eq!(contents.digest().to_string(), section.at("contents_digest_base58").text());
    let checkpoint_digest = checkpoint.summary.digest();
    assert_eq!(checkpoint_digest.to_string(), section.at("checkpoint_digest_base58").text());
    assert_eq!(
        hex::encode(&checkpoint_digest.as_bytes()[..4]),
        section.at("chain_identifier_short").text()
    );
    assert_eq!(checkpoint.summary.content_digest, contents.digest());
    assert_eq!(transaction.signatures, [UserSignature::SYSTEM]);
    assert_eq!(effects.v1().transaction_digest, transaction.digest());

    let listed = section.at("objects").list();
    assert_eq!(listed.len(), objects.len());
    for (object, entry) in objects.iter().zip(&listed) {
        assert_eq!(object.id().to_string(), entry.at("object_id").text());
        assert_eq!(object.version(), entry.at("version").number());
        assert_eq!(object.digest().to_string(), entry.at("digest_base58").text());
        assert_eq!(object.previous_transaction, transaction.digest());
    }
    println!("genesis: {} objects hold", objects.len());

    // The chain's own rules: the committee of the state signed the checkpoint,
    // and ids that nobody chose count up from zero.
    let state = objects.iter().find(|o| o.id() == ObjectId::SYSTEM_STATE).unwrap();
    assert_eq!(state.object_type(), ObjectType::SystemState);
    let state = SystemState::from_bcs(state.inner()).unwrap();
    let committee = Committee::from_validators(0, &state.v1().validators.validators);
    committee.verify(&checkpoint).unwrap();

    let TransactionKind::Genesis { objects: before } = transaction.data.kind() else {
        panic!("another kind of transaction");
    };
    assert_eq!(before.len(), objects.len());
    let pools = state.v1().validators.validators.len() as u64;
    assert_eq!(state.v1().validators.validators[0].staking_pool.id, genesis_object_id(0));
    assert!(before.iter().any(|object| object.id() == genesis_object_id(pools)));
}
