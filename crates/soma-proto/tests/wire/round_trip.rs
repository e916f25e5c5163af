//! Each wire type: encode and decode, in bytes and in JSON, and bytes that
//! must fail politely.

use std::fmt::Debug;

use proptest::prelude::*;
use serde::Serialize;
use serde::de::DeserializeOwned;
use soma_proto::bls::{AuthorityName, BlsPublicKey, BlsSignature, SignerBitmap};
use soma_proto::checkpoint::{CertifiedCheckpointSummary, CheckpointContents, CheckpointSummary};
use soma_proto::committee::Committee;
use soma_proto::effects::{ExecutionFailure, NodeError, TransactionEffects};
use soma_proto::merkle::InclusionProof;
use soma_proto::object::StakedSoma;
use soma_proto::signature::{Intent, MultiSigPublicKey, UserSignature};
use soma_proto::system_state::{Model, ModelRegistry, SystemState, Validator};
use soma_proto::target::{Challenge, Target};
use soma_proto::{
    Address, Checksum, Commitment, DecryptionKey, Digest, Manifest, ModelWeightsManifest, Object,
    ObjectId, ObjectRef, PublicKey, SignedTransaction, Tensor, TransactionData, TransactionDigest,
    TransactionKind, WeightsUrl,
};

/// What holds for every value of every wire type.
fn holds<T>(value: &T) -> Result<(), TestCaseError>
where
    T: Serialize + DeserializeOwned + PartialEq + Debug,
{
    let bytes = bcs::to_bytes(value).unwrap();
    prop_assert_eq!(&bcs::from_bytes::<T>(&bytes).unwrap(), value);

    let json = serde_json::to_string(value).unwrap();
    prop_assert_eq!(&serde_json::from_str::<T>(&json).unwrap(), value);

    let mut longer = bytes.clone();
    longer.push(0);
    prop_assert!(bcs::from_bytes::<T>(&longer).is_err(), "a byte too many was accepted");
    if let Some((_, shorter)) = bytes.split_last() {
        prop_assert!(bcs::from_bytes::<T>(shorter).is_err(), "a byte too few was accepted");
    }
    Ok(())
}

/// Bytes that hold no value must give an error, and no more than that; and
/// what is decoded survives another round.
fn fails_politely<T>(bytes: &[u8]) -> Result<(), TestCaseError>
where
    T: Serialize + DeserializeOwned + PartialEq + Debug,
{
    if let Ok(value) = bcs::from_bytes::<T>(bytes) {
        let again = bcs::to_bytes(&value).unwrap();
        prop_assert_eq!(bcs::from_bytes::<T>(&again).unwrap(), value);
    }
    Ok(())
}

macro_rules! wire_types {
    ($cases:literal: $($test:ident: $name:ty;)+) => {$(
        mod $test {
            use super::*;

            proptest! {
                #![proptest_config(ProptestConfig::with_cases($cases))]

                #[test]
                fn round_trip(value: $name) {
                    holds(&value)?;
                }

                #[test]
                fn damaged_bytes(value: $name, place: prop::sample::Index, byte: u8) {
                    let mut bytes = bcs::to_bytes(&value).unwrap();
                    let place = place.index(bytes.len());
                    bytes[place] = byte;
                    fails_politely::<$name>(&bytes)?;
                    bytes.truncate(place);
                    fails_politely::<$name>(&bytes)?;
                }

                #[test]
                fn random_bytes(bytes in prop::collection::vec(0..=9_u8, 0..200)) {
                    fails_politely::<$name>(&bytes)?;
                }
            }
        }
    )+};
}

wire_types! { 256:
    address: Address;
    object_id: ObjectId;
    object_ref: ObjectRef;
    digest: Digest;
    transaction_digest: TransactionDigest;
    commitment: Commitment;
    checksum: Checksum;
    decryption_key: DecryptionKey;
    public_key: PublicKey;
    bls_public_key: BlsPublicKey;
    bls_signature: BlsSignature;
    authority_name: AuthorityName;
    signer_bitmap: SignerBitmap;
    intent: Intent;
    user_signature: UserSignature;
    multisig_public_key: MultiSigPublicKey;
    weights_url: WeightsUrl;
    manifest: Manifest;
    model_weights_manifest: ModelWeightsManifest;
    tensor: Tensor;
    object: Object;
    staked_soma: StakedSoma;
    transaction_kind: TransactionKind;
    transaction_data: TransactionData;
    signed_transaction: SignedTransaction;
    node_error: NodeError;
    execution_failure: ExecutionFailure;
    transaction_effects: TransactionEffects;
    checkpoint_contents: CheckpointContents;
    inclusion_proof: InclusionProof;
    model: Model;
    target: Target;
    challenge: Challenge;
}

// The large ones.
wire_types! { 32:
    committee: Committee;
    validator: Validator;
    checkpoint_summary: CheckpointSummary;
    certified_checkpoint_summary: CertifiedCheckpointSummary;
    model_registry: ModelRegistry;
    system_state: SystemState;
}

proptest! {
    /// The whole-value readers take canonical bytes and nothing else.
    #[test]
    fn canonical_or_refused(data: SignedTransaction, place: prop::sample::Index, byte: u8) {
        let mut bytes = data.to_bcs();
        prop_assert_eq!(&SignedTransaction::from_bcs(&bytes).unwrap(), &data);
        let place = place.index(bytes.len());
        bytes[place] = byte;
        if let Ok(other) = SignedTransaction::from_bcs(&bytes) {
            prop_assert_eq!(other.to_bcs(), bytes);
        }
    }

    /// Texts of all kinds are read without a panic, and what is read prints
    /// to something that reads the same.
    #[test]
    fn texts(text in "(0x)?[0-9a-fA-F]{0,70}|[1-9A-HJ-NP-Za-km-z]{30,46}|\\PC{0,70}") {
        use soma_proto::{Amount, KeyPair};
        use soma_proto::signature::SignatureScheme;

        macro_rules! reads {
            ($($name:ty),+) => {$(
                if let Ok(value) = text.parse::<$name>() {
                    prop_assert_eq!(value.to_string().parse::<$name>().unwrap(), value);
                }
            )+};
        }
        reads!(
            Address, ObjectId, Digest, Commitment, Checksum, PublicKey, BlsPublicKey, BlsSignature,
            AuthorityName, Intent, UserSignature, WeightsUrl, SignatureScheme
        );
        if let Ok(amount) = text.parse::<Amount>() {
            let shown = amount.to_string();
            prop_assert_eq!(shown.trim_end_matches(" SOMA").parse::<Amount>().unwrap(), amount);
        }
        for key in [
            KeyPair::from_hex(&text),
            KeyPair::from_bech32(&text),
            KeyPair::from_base64(&text),
            KeyPair::from_encoded(&text),
        ].into_iter().flatten() {
            prop_assert_eq!(KeyPair::from_hex(&key.to_hex()).unwrap().address(), key.address());
        }
    }

    /// An amount that is shown reads back.
    #[test]
    fn amounts(shannons: u64) {
        use soma_proto::Amount;

        let amount = Amount::from_shannons(shannons);
        let shown = amount.to_string();
        let number = shown.strip_suffix(" SOMA").unwrap();
        prop_assert_eq!(number.parse::<Amount>().unwrap(), amount);
    }
}
