//! What belongs to one generation of the network.
//!
//! The network changed the steps of a registration several times. This module
//! holds all that would differ in another generation: the kinds of
//! transaction, the shape of a model, the names of failures and the order of
//! steps. The rest of the crate does not know them.
//!
//! The generation built here commits to the hashes of URL and ciphertext, and
//! reveals URL, checksum, size, key and embedding in the next epoch.

mod failure;
#[cfg(feature = "grpc")]
pub(crate) mod grpc;
mod kind;
mod model;
mod node_error;

pub use self::failure::ExecutionFailure;
pub use self::kind::{
    AddValidator, ChangeEpoch, CommitModel, CommitModelUpdate, ConsensusCommitPrologue,
    RevealModel, SubmitData, TransactionKind, UpdateValidatorMetadata,
};
pub use self::model::{Model, ModelRegistry, ModelStatus, PendingModelUpdate};
pub use self::node_error::NodeError;
