//! Random values: what a message says of a value is all that is read back, and
//! spoiled messages are refused politely.

use proptest::prelude::*;
use prost::Message;
use soma_proto::checkpoint::{CheckpointContents, CheckpointSummary};
use soma_proto::effects::TransactionEffects;
use soma_proto::grpc::convert::{certified_summary, transaction_request};
use soma_proto::grpc::pb;
use soma_proto::signature::UserSignature;
use soma_proto::system_state::SystemState;
use soma_proto::{Error, Object, TransactionData};

use crate::carried;

/// The message of a value, and that of what is read from it.
fn twice<N, M>(native: &N) -> Result<(M, M), Error>
where
    N: TryFrom<M, Error = Error>,
    M: for<'a> From<&'a N> + Message + Default,
{
    let first = M::from(native);
    let read = N::try_from(carried(&first))?;
    Ok((first, M::from(&read)))
}

/// Compares bytes, since a NaN does not equal itself.
fn same<M: Message>((first, second): &(M, M)) -> bool {
    first.encode_to_vec() == second.encode_to_vec()
}

/// Changes one byte, or cuts the rest off.
fn spoiled(mut bytes: Vec<u8>, place: prop::sample::Index, new: Option<u8>) -> Vec<u8> {
    if bytes.is_empty() {
        return bytes;
    }
    let place = place.index(bytes.len());
    match new {
        Some(new) => bytes[place] = new,
        None => bytes.truncate(place),
    }
    bytes
}

/// Reads a spoiled message; that it ends with a value or an error is the test.
fn read_spoiled<N, M>(native: &N, place: prop::sample::Index, new: Option<u8>)
where
    N: TryFrom<M>,
    M: for<'a> From<&'a N> + Message + Default,
{
    let bytes = spoiled(M::from(native).encode_to_vec(), place, new);
    if let Ok(message) = M::decode(bytes.as_slice()) {
        let _ = N::try_from(message);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn transactions(data: TransactionData) {
        let (mut first, mut second) = twice::<_, pb::Transaction>(&data).unwrap();
        // Shapes of tensors and absent lists do not travel, and so the digest
        // may change: that is when nothing must be sent.
        let survives = first.digest == second.digest;
        prop_assert_eq!(transaction_request(&data).is_ok(), survives);
        first.digest = None;
        second.digest = None;
        prop_assert!(same(&(first, second)));
    }

    #[test]
    fn objects(object: Object) {
        let read = Object::try_from(carried(&pb::Object::from(&object))).unwrap();
        prop_assert_eq!(read, object);
    }

    #[test]
    fn signatures(signature: UserSignature) {
        let read = UserSignature::try_from(carried(&pb::UserSignature::from(&signature))).unwrap();
        prop_assert_eq!(read, signature);
    }

    #[test]
    fn effects(effects: TransactionEffects) {
        let (mut first, mut second) = twice::<_, pb::TransactionEffects>(&effects).unwrap();
        for message in [&mut first, &mut second] {
            // Values that do not travel show in the words.
            if let Some(error) = message.status.as_mut().and_then(|status| status.error.as_mut()) {
                error.description = None;
                if error.kind() == pb::execution_error::ExecutionErrorKind::DataExceedsMaxSize {
                    error.error_details = None;
                }
            }
        }
        prop_assert!(same(&(first, second)));
    }

    #[test]
    fn system_states(state: SystemState) {
        prop_assert!(same(&twice::<_, pb::SystemState>(&state).unwrap()));
    }

    #[test]
    fn contents(contents: CheckpointContents) {
        prop_assert!(same(&twice::<_, pb::CheckpointContents>(&contents).unwrap()));
    }

    #[test]
    fn summaries(mut summary: CheckpointSummary) {
        if summary.end_of_epoch_data.is_some() {
            // A random committee does not have the right powers.
            let error = twice::<_, pb::CheckpointSummary>(&summary).unwrap_err().to_string();
            prop_assert!(error.starts_with("end_of_epoch_data.next_epoch_validator_committee"));
        }
        summary.end_of_epoch_data = None;
        summary.version_specific_data.clear();
        let message = pb::CheckpointSummary::from(&summary);
        prop_assert_eq!(CheckpointSummary::try_from(carried(&message)).unwrap(), summary);
    }

    #[test]
    fn spoiled_messages(
        data: TransactionData,
        effects: TransactionEffects,
        state: SystemState,
        contents: CheckpointContents,
        place: prop::sample::Index,
        new: Option<u8>,
    ) {
        read_spoiled::<_, pb::Transaction>(&data, place, new);
        read_spoiled::<_, pb::TransactionEffects>(&effects, place, new);
        read_spoiled::<_, pb::SystemState>(&state, place, new);
        read_spoiled::<_, pb::CheckpointContents>(&contents, place, new);
    }
}

#[test]
fn messages_without_fields_are_refused_by_name() {
    fn field<M: Default, N: TryFrom<M, Error = Error>>() -> String {
        match N::try_from(M::default()) {
            Err(Error::Field { field, reason }) => format!("{field}: {reason}"),
            Err(other) => panic!("{other} names no field"),
            Ok(_) => panic!("an empty message was read"),
        }
    }
    assert_eq!(field::<pb::Transaction, TransactionData>(), "kind: missing");
    assert_eq!(field::<pb::Object, Object>(), "object_id: missing");
    assert_eq!(field::<pb::TransactionEffects, TransactionEffects>(), "status: missing");
    assert_eq!(field::<pb::UserSignature, UserSignature>(), "scheme: missing");
    assert_eq!(field::<pb::SystemState, SystemState>(), "epoch: missing");
    let error = certified_summary(pb::Checkpoint::default()).unwrap_err();
    assert_eq!(error.to_string(), "summary: missing");
}
