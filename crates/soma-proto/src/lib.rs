//! The vocabulary of the SOMA network.
//!
//! Identifiers, amounts, keys, signatures, transactions, objects, effects and
//! checkpoints, with their BCS bytes, their digests and their text forms; and,
//! behind the feature `grpc`, the messages that carry them between a client
//! and a node. Everything here is a value: this crate does no IO, reads no
//! clock and knows no node.
//!
//! ```
//! use soma_proto::transaction::CommitModel;
//! use soma_proto::{
//!     Amount, Commitment, KeyPair, ObjectId, ObjectRef, SignedTransaction, TransactionData,
//!     TransactionKind, WeightsUrl,
//! };
//!
//! # fn main() -> soma_proto::Result<()> {
//! let owner = KeyPair::generate();
//! let coin = ObjectRef(
//!     "0x6cdbcf76159b729c1fff4417e8753367fcc5292c466006948d7f541f1fbdae90".parse()?,
//!     7,
//!     "8S5q9YTYo5ztiVpoq8id6E6i5c3EXA1ZAxxxM5WHDtyT".parse()?,
//! );
//!
//! // A promise: these weights, encrypted, will be at this place.
//! let url: WeightsUrl = "https://example.com/weights.enc".parse()?;
//! let kind = TransactionKind::CommitModel(CommitModel {
//!     model_id: ObjectId::random(),
//!     weights_url_commitment: url.commitment(),
//!     weights_commitment: Commitment::of(b"the encrypted weights"),
//!     architecture_version: 1,
//!     stake_amount: "1.5".parse::<Amount>()?.shannons(),
//!     commission_rate: 1000, // basis points
//!     staking_pool_id: ObjectId::random(),
//! });
//! let signed = TransactionData::new(kind, owner.address(), vec![coin]).sign(&owner);
//!
//! // The receiving side takes bytes that have no second spelling, and checks
//! // who signed them.
//! let bytes = signed.to_bcs();
//! let received = SignedTransaction::from_bcs(&bytes)?;
//! received.verify()?;
//! assert_eq!(received.digest(), signed.digest());
//! # Ok(())
//! # }
//! ```
//!
//! # Bytes and texts
//!
//! Every type derives serde's traits so that `bcs` writes the network's bytes
//! and `serde_json` its JSON. `from_bcs` and `to_bcs` are the same for whole
//! values, with one more check: bytes that are decodable but not what encoding
//! gives back are refused. The byte grammar stands with each type, in ABNF
//! with `uleb` for a length or count in ULEB128.
//!
//! | module | what is in it |
//! | --- | --- |
//! | [`transaction`], [`signature`] | what users sign, and how |
//! | [`object`], [`system_state`], [`target`] | what the chain keeps |
//! | [`effects`] | what a transaction did, and why one failed |
//! | [`checkpoint`], [`committee`], [`merkle`], [`bls`] | what was executed, and who vouches for it |
//! | [`dialect`] | all of the above that another generation of the network has otherwise |
//!
//! # What is verified
//!
//! [`SignedTransaction::verify`] checks a signature by the rules of the network
//! (Ed25519 after ZIP-215, or several keys with weights).
//! [`CheckpointVerifier`](committee::CheckpointVerifier) follows a chain of
//! certified checkpoints from a committee that is trusted, and
//! [`InclusionProof`](merkle::InclusionProof) ties a transaction to one of them.
//!
//! # Features
//!
//! None is on by default.
//!
//! * `grpc`: generated messages, clients, servers, and conversions.
//! * `proptest`: strategies that produce random values of the types.

#![forbid(unsafe_code)]

pub mod bls;
pub mod checkpoint;
pub mod committee;
pub mod dialect;
pub mod effects;
#[cfg(feature = "grpc")]
pub mod grpc;
pub mod hash;
pub mod merkle;
pub mod object;
pub mod params;
pub mod signature;
pub mod system_state;
pub mod target;
pub mod transaction;

mod amount;
#[cfg(feature = "proptest")]
mod arbitrary;
mod byte_buf;
mod bytes_field;
mod canonical;
mod checksum;
mod error;
mod id;
mod keypair;
mod manifest;
mod raw_field;
mod sorted_map;
mod tensor;
mod weights_url;

pub use self::amount::{Amount, SHANNONS_PER_SOMA};
pub use self::checksum::Checksum;
pub use self::error::{Error, Result};
pub use self::id::{
    Address, CheckpointContentsDigest, CheckpointDigest, Commitment, Digest, EffectsDigest,
    ObjectDigest, ObjectId, TransactionDigest,
};
pub use self::keypair::{KeyPair, PublicKey};
pub use self::manifest::{
    DecryptionKey, Manifest, Metadata, ModelWeightsManifest, SubmissionManifest,
};
pub use self::object::{Object, ObjectRef, ObjectType, Owner};
pub use self::tensor::Tensor;
pub use self::transaction::{SignedTransaction, TransactionData, TransactionKind};
pub use self::weights_url::WeightsUrl;
