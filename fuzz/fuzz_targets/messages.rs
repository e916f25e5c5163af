//! Bytes to the messages of a call: refused, or values whose own messages are
//! read as the same values again; and read masks.
#![no_main]

use std::fmt::Debug;

use libfuzzer_sys::fuzz_target;
use prost::Message;
use prost_types::FieldMask;
use soma_proto::checkpoint::{CheckpointContents, CheckpointSummary};
use soma_proto::effects::TransactionEffects;
use soma_proto::grpc::convert::{execute_request, object_reference, signed_transaction};
use soma_proto::grpc::mask::{DEFAULT_TRANSACTION, MaskTree, Root};
use soma_proto::grpc::pb;
use soma_proto::signature::UserSignature;
use soma_proto::system_state::SystemState;
use soma_proto::{Object, TransactionData};

const ROOTS: [Root; 7] = [
    Root::Object,
    Root::ExecutedTransaction,
    Root::Checkpoint,
    Root::Epoch,
    Root::Target,
    Root::Challenge,
    Root::SimulateTransactionResponse,
];

fuzz_target!(|bytes: &[u8]| {
    reads_again::<pb::Transaction, TransactionData>(bytes);
    reads_again::<pb::UserSignature, UserSignature>(bytes);
    reads_again::<pb::TransactionEffects, TransactionEffects>(bytes);
    reads_again::<pb::SystemState, SystemState>(bytes);
    reads_again::<pb::CheckpointSummary, CheckpointSummary>(bytes);
    reads_again::<pb::CheckpointContents, CheckpointContents>(bytes);
    reads_again::<pb::Object, Object>(bytes);
    if let Ok(object) = pb::Object::decode(bytes) {
        let _ = object_reference(&object);
    }
    if let Ok(request) = pb::ExecuteTransactionRequest::decode(bytes) {
        execute(request);
    }
    if let Ok(mask) = FieldMask::decode(bytes) {
        for root in ROOTS {
            if let Ok(tree) = MaskTree::validated(Some(&mask), DEFAULT_TRANSACTION, root) {
                assert_eq!(tree, MaskTree::unvalidated(Some(&mask), DEFAULT_TRANSACTION));
            }
        }
    }
});

/// What is read from a message has a message, and that one reads the same. The
/// messages are compared, since a NaN does not equal itself.
fn reads_again<M, N>(bytes: &[u8])
where
    M: Message + Default + for<'a> From<&'a N>,
    N: TryFrom<M, Error: Debug>,
{
    let Some(native) = M::decode(bytes).ok().and_then(|message| N::try_from(message).ok()) else {
        return;
    };
    let first = M::from(&native).encode_to_vec();
    let message = M::decode(first.as_slice()).expect("our own message");
    let again = N::try_from(message).expect("our own message");
    assert_eq!(M::from(&again).encode_to_vec(), first);
}

/// A request as a node reads it, and as a client would send what it holds.
fn execute(request: pb::ExecuteTransactionRequest) {
    let Ok(signed) = signed_transaction(request.transaction, request.signatures) else { return };
    let _ = signed.verify();
    let sent = execute_request(&signed, &[]).expect("what came in a message fits into one");
    let received = signed_transaction(sent.transaction, sent.signatures).expect("our own message");
    assert_eq!(received.to_bcs(), signed.to_bcs());
}
