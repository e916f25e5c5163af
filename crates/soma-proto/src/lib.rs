//! The vocabulary of the SOMA network.
//!
//! Identifiers, amounts, keys, signatures, transactions, objects, effects and
//! checkpoints, with their BCS bytes, their digests and their text forms; and,
//! behind the feature `grpc`, the messages that carry them between a client
//! and a node. Everything here is a value: this crate does no IO, reads no
//! clock and knows no node.
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
