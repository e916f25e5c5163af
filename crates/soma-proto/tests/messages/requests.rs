//! Transactions in requests: what is read leniently and what is refused.

use soma_proto::grpc::convert::{
    execute_request, signed_transaction, simulated_transaction, transaction_request,
};
use soma_proto::grpc::pb;
use soma_proto::grpc::pb::transaction_kind::Kind;
use soma_proto::grpc::status::{Violation, violations};
use soma_proto::{
    Address, KeyPair, ObjectDigest, ObjectId, ObjectRef, TransactionData, TransactionKind,
};
use tonic::{Code, Status};

fn key() -> KeyPair {
    KeyPair::from_bytes([7; 32])
}

fn transfer(amount: Option<u64>) -> TransactionData {
    let coin = ObjectRef(ObjectId::new([3; 32]), 1, ObjectDigest::new([4; 32]));
    let kind = TransactionKind::TransferCoin { coin, amount, recipient: Address::new([5; 32]) };
    TransactionData::new(kind, key().address(), vec![coin])
}

/// The violation after `change` has spoiled a good request.
fn refused(change: impl FnOnce(&mut pb::TransferCoin)) -> Violation {
    let mut message = transaction_request(&transfer(Some(1))).unwrap();
    let Some(Kind::TransferCoin(transfer)) = &mut message.kind.as_mut().unwrap().kind else {
        panic!("it is a transfer");
    };
    change(transfer);
    simulated_transaction(Some(message)).unwrap_err()
}

#[test]
fn a_signed_transaction_goes_there_unchanged() {
    for amount in [None, Some(0), Some(1)] {
        let signed = transfer(amount).sign(&key());
        let request = execute_request(&signed, &["effects"]).unwrap();
        assert_eq!(request.read_mask.unwrap().paths, ["effects"]);
        assert_eq!(signed_transaction(request.transaction, request.signatures), Ok(signed));
    }
}

#[test]
fn ids_are_written_with_prefix_and_addresses_without() {
    let message = transaction_request(&transfer(None)).unwrap();
    assert_eq!(message.sender(), key().address().to_string());
    assert!(!message.sender().starts_with("0x"));
    assert_eq!(message.gas_payment[0].object_id(), format!("0x{}", "03".repeat(32)));
}

#[test]
fn both_spellings_and_short_ids_are_read() {
    let mut message = transaction_request(&transfer(None)).unwrap();
    message.sender = Some(format!("0x{}", key().address()));
    message.gas_payment[0].object_id = Some("03".repeat(32));
    message.digest = Some("not looked at".to_owned());
    assert_eq!(simulated_transaction(Some(message)), Ok(transfer(None)));

    let mut message = transaction_request(&transfer(None)).unwrap();
    message.gas_payment[0].object_id = Some("5".to_owned());
    let read = simulated_transaction(Some(message)).unwrap();
    assert_eq!(read.gas_payment()[0].id(), ObjectId::SYSTEM_STATE);
}

#[test]
fn a_missing_transaction_has_an_empty_text() {
    let status = Status::from(simulated_transaction(None).unwrap_err());
    assert_eq!((status.code(), status.message()), (Code::InvalidArgument, ""));
    assert_eq!(violations(&status), [Violation::missing("transaction")]);
}

#[test]
fn the_field_at_fault_is_named() {
    let missing = refused(|transfer| transfer.recipient = None);
    assert_eq!(missing.field, "transaction.kind.transfer_coin.recipient");
    assert_eq!(missing.reason, pb::ErrorReason::FieldMissing);
    let text = "invalid transaction: kind.transfer_coin.recipient: missing";
    assert_eq!(Status::from(missing).message(), text);

    let malformed = refused(|transfer| transfer.coin.as_mut().unwrap().digest = Some("0".into()));
    assert_eq!(malformed.field, "transaction.kind.transfer_coin.coin.digest");
    assert_eq!(malformed.reason, pb::ErrorReason::FieldInvalid);

    let mut message = transaction_request(&transfer(None)).unwrap();
    message.gas_payment.push(pb::ObjectReference::default());
    let second = simulated_transaction(Some(message)).unwrap_err();
    assert_eq!(second.field, "transaction.gas_payment[1].object_id");

    let mut message = transaction_request(&transfer(None)).unwrap();
    message.kind = Some(pb::TransactionKind { kind: None });
    let empty = simulated_transaction(Some(message)).unwrap_err();
    assert_eq!(empty.field, "transaction.kind");
}

#[test]
fn a_signature_must_be_complete() {
    let request = execute_request(&transfer(None).sign(&key()), &[]).unwrap();
    let good = request.signatures[0].clone();
    let refused = |signature: pb::UserSignature| {
        let signatures = vec![good.clone(), signature];
        signed_transaction(request.transaction.clone(), signatures).unwrap_err().field
    };
    let mut signature = good.clone();
    signature.scheme = None;
    assert_eq!(refused(signature), "signatures[1].scheme");
    for (spoil, field) in [
        (pb::SimpleSignature { scheme: Some(1), ..simple(&good) }, "scheme"),
        (pb::SimpleSignature { scheme: None, ..simple(&good) }, "scheme"),
        (pb::SimpleSignature { signature: Some(vec![0; 63]), ..simple(&good) }, "signature"),
        (pb::SimpleSignature { public_key: None, ..simple(&good) }, "public_key"),
    ] {
        let signature = Some(pb::user_signature::Signature::Simple(spoil));
        let refused = refused(pb::UserSignature { signature, ..good.clone() });
        assert_eq!(refused, format!("signatures[1].simple.{field}"));
    }
}

fn simple(signature: &pb::UserSignature) -> pb::SimpleSignature {
    match &signature.signature {
        Some(pb::user_signature::Signature::Simple(simple)) => simple.clone(),
        other => panic!("{other:?} is not by one key"),
    }
}

#[test]
fn what_messages_cannot_say_is_not_sent() {
    let kind = TransactionKind::PayCoins { coins: vec![], amounts: None, recipients: vec![] };
    let data = TransactionData::new(kind, key().address(), vec![]);
    let error = transaction_request(&data).unwrap_err().to_string();
    assert!(error.contains("PayCoins"), "{error}");
}
