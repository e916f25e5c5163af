//! Why a transaction is not executed at all.

use soma_proto::{ObjectId, ObjectRef};

/// A transaction that is turned away before execution.
///
/// Nothing is charged and nothing is written; the same transaction may be
/// given again once its cause is gone.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Rejection {
    /// There is not exactly one signature.
    #[error("SignerSignatureNumberMismatch: expected 1 signature, found {found}")]
    SignerSignatureNumberMismatch {
        /// Signatures given.
        found: usize,
    },
    /// The signature is by a key that is not the sender's.
    #[error("SignerSignatureAbsent: no signature by the sender {sender}")]
    SignerSignatureAbsent {
        /// Who should have signed.
        sender: soma_proto::Address,
    },
    /// The signature does not hold.
    #[error("InvalidSignature: {reason}")]
    InvalidSignature {
        /// What is wrong with it.
        reason: String,
    },
    /// A kind that only the network itself may send (L-1).
    #[error("{kind} is a system transaction; clients cannot send it")]
    SystemTransaction {
        /// Name of the kind.
        kind: &'static str,
    },
    /// Longer than a block of the network has room for.
    #[error("the transaction has {found} bytes, the limit is {limit}")]
    TooLarge {
        /// Length in bytes.
        found: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// One object stands twice among the inputs, or twice among the gas coins.
    #[error("DuplicateObjectRefInput: object {id} is named twice")]
    DuplicateObjectRefInput {
        /// The object.
        id: ObjectId,
    },
    /// There is no such object, or not yet in this version.
    #[error("ObjectNotFound: object {} does not exist in version {}", .reference.id(), .reference.version())]
    ObjectNotFound {
        /// What was asked for.
        reference: ObjectRef,
    },
    /// The object has moved on to a newer version.
    #[error(
        "ObjectVersionUnavailableForConsumption: object {} was given in version {}, current is {current}",
        .reference.id(), .reference.version()
    )]
    ObjectVersionUnavailableForConsumption {
        /// What was asked for.
        reference: ObjectRef,
        /// The live version.
        current: u64,
    },
    /// There is no gas coin, or one of them cannot pay.
    #[error("GasPaymentError: {reason}")]
    GasPaymentError {
        /// What is wrong.
        reason: String,
    },
    /// The digest is not that of the live object.
    #[error("InvalidObjectDigest: object {id}: expected {expected}, found {found}")]
    InvalidObjectDigest {
        /// The object.
        id: ObjectId,
        /// Digest of the live object.
        expected: soma_proto::ObjectDigest,
        /// Digest given.
        found: soma_proto::ObjectDigest,
    },
    /// The object belongs to somebody else.
    #[error("IncorrectUserSignature: object {id} belongs to {owner}, not to the sender {sender}")]
    IncorrectUserSignature {
        /// The object.
        id: ObjectId,
        /// Whose it is.
        owner: soma_proto::Address,
        /// Who sent the transaction.
        sender: soma_proto::Address,
    },
    /// A shared object was given as an owned one.
    #[error("NotOwnedObjectError: object {id} is not owned by an account")]
    NotOwnedObjectError {
        /// The object.
        id: ObjectId,
    },
    /// Another transaction that uses the object is being executed. The ledger
    /// executes one at a time and never gives this; a node around it may.
    #[error("ObjectLockConflict: object {id} is in use by another transaction")]
    ObjectLockConflict {
        /// The object.
        id: ObjectId,
    },
}

/// Who can do something about a [`Rejection`]; the status of the RPC answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Category {
    /// The transaction can never be executed as it is.
    InvalidArgument,
    /// The transaction may become valid when another one is done.
    FailedPrecondition,
}

impl Rejection {
    /// The name that the network gives the error.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::SignerSignatureNumberMismatch { .. } => "SignerSignatureNumberMismatch",
            Self::SignerSignatureAbsent { .. } => "SignerSignatureAbsent",
            Self::InvalidSignature { .. } => "InvalidSignature",
            Self::SystemTransaction { .. } => "SystemTransaction",
            Self::TooLarge { .. } => "TooLarge",
            Self::DuplicateObjectRefInput { .. } => "DuplicateObjectRefInput",
            Self::ObjectNotFound { .. } => "ObjectNotFound",
            Self::ObjectVersionUnavailableForConsumption { .. } => {
                "ObjectVersionUnavailableForConsumption"
            }
            Self::GasPaymentError { .. } => "GasPaymentError",
            Self::InvalidObjectDigest { .. } => "InvalidObjectDigest",
            Self::IncorrectUserSignature { .. } => "IncorrectUserSignature",
            Self::NotOwnedObjectError { .. } => "NotOwnedObjectError",
            Self::ObjectLockConflict { .. } => "ObjectLockConflict",
        }
    }

    /// The status of the RPC answer.
    pub const fn category(&self) -> Category {
        match self {
            Self::ObjectLockConflict { .. } => Category::FailedPrecondition,
            _ => Category::InvalidArgument,
        }
    }

    /// Whether it is about the signature and not about the contents.
    pub const fn is_signature(&self) -> bool {
        matches!(
            self,
            Self::SignerSignatureNumberMismatch { .. }
                | Self::SignerSignatureAbsent { .. }
                | Self::InvalidSignature { .. }
        )
    }
}
