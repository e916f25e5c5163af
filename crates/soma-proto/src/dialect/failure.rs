//! Why a transaction failed.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::NodeError;
use crate::{Address, ObjectId, ObjectType, Tensor};

/// Writes the enum, the names of its variants and their texts from one list.
macro_rules! failures {
    ($(
        #[doc = $doc:literal]
        $name:ident $({ $($field:ident: $ty:ty = $field_doc:literal),+ })?
            => $text:literal $(, $arg:expr)?;
    )+) => {
        /// Why the chain failed a transaction. The order is that of the numbers
        /// on the wire; another release of the network may add to it.
        #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
                #[serde(rename = "ExecutionFailureStatus")]
        #[non_exhaustive]
        pub enum ExecutionFailure {
            $(
                #[doc = $doc]
                $name $({ $(#[doc = $field_doc] $field: $ty),+ })?,
            )+
            /// A fault that has no name of its own.
            SomaError(NodeError),
        }

        impl ExecutionFailure {
            /// The name, for people and programs alike.
            pub const fn name(&self) -> &'static str {
                match self {
                    $(Self::$name $({ $($field: _),+ })? => stringify!($name),)+
                    Self::SomaError(_) => "SomaError",
                }
            }
        }

        #[cfg(feature = "proptest")]
        impl proptest::arbitrary::Arbitrary for ExecutionFailure {
            type Parameters = ();
            type Strategy = proptest::strategy::BoxedStrategy<Self>;

            fn arbitrary_with((): ()) -> Self::Strategy {
                use proptest::arbitrary::any;
                use proptest::strategy::{Strategy as _, Union};

                let variants = vec![
                    $(
                        any::<($($($ty,)+)?)>()
                            .prop_map(|($($($field,)+)?)| Self::$name $({ $($field),+ })?)
                            .boxed(),
                    )+
                    any::<NodeError>().prop_map(Self::SomaError).boxed(),
                ];
                Union::new(variants).boxed()
            }
        }

        impl fmt::Display for ExecutionFailure {
            /// Begins with the name.
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}: ", self.name())?;
                match self {
                    $(Self::$name $({ $($field),+ })? => write!(f, $text $(, $arg)?),)+
                    Self::SomaError(error) => write!(f, "{error}"),
                }
            }
        }
    };
}

failures! {
    /// The first gas coin cannot pay the base fee.
    InsufficientGas => "the gas coin cannot pay the fee";
    /// An input belongs to somebody else.
    InvalidOwnership {
        object_id: ObjectId = "The object.",
        expected_owner: Address = "Who should own it.",
        actual_owner: Option<Address> = "Who does, if it is an account."
    } => "object {object_id} belongs to {}, not to {expected_owner}", owner_text(actual_owner);
    /// An input does not exist.
    ObjectNotFound { object_id: ObjectId = "The object." } => "object {object_id} does not exist";
    /// An input is of another type.
    InvalidObjectType {
        object_id: ObjectId = "The object.",
        expected_type: ObjectType = "Type wanted.",
        actual_type: ObjectType = "Type found."
    } => "object {object_id} is a {actual_type}, not a {expected_type}";
    /// The kind of transaction is not allowed here.
    InvalidTransactionType => "this kind of transaction is not allowed";
    /// The values given make no sense.
    InvalidArguments { reason: String = "What is wrong with them." } => "{reason}";
    /// The sender is a validator already.
    DuplicateValidator => "already a validator";
    /// Another validator uses this value.
    DuplicateValidatorMetadata { field: String = "The value that is taken." } => "another validator uses the same {field}";
    /// A new protocol key came without its proof.
    MissingProofOfPossession => "the new protocol key has no proof of possession";
    /// The proof for the protocol key does not hold.
    InvalidProofOfPossession { reason: String = "What is wrong with it." } => "{reason}";
    /// Only validators may do this.
    NotAValidator => "the sender is not a validator";
    /// The validator is leaving already.
    ValidatorAlreadyRemoved => "the validator is already leaving";
    /// The epoch given is not the next one.
    AdvancedToWrongEpoch => "not the next epoch";
    /// No such model, or not one that can be used so.
    ModelNotFound => "no such model, or not one that takes stake";
    /// The sender does not own the model.
    NotModelOwner => "the sender does not own the model";
    /// The model is not active.
    ModelNotActive => "the model is not active";
    /// The model is not waiting for its reveal.
    ModelNotPending => "the model is not waiting for a reveal";
    /// The model is inactive already.
    ModelAlreadyInactive => "the model is already inactive";
    /// A reveal belongs into the epoch after the commit.
    ModelRevealEpochMismatch => "a reveal belongs into the epoch after its commit";
    /// The URL is not the one committed to.
    ModelWeightsUrlMismatch => "the hash of the URL is not the one committed to";
    /// No update waits for its reveal.
    ModelNoPendingUpdate => "no update is waiting for a reveal";
    /// The architecture is not the network's.
    ModelArchitectureVersionMismatch => "the architecture version is not the network's";
    /// The commission is above 10000 basis points.
    ModelCommissionRateTooHigh => "the commission is above 10000 basis points";
    /// The stake is below the minimum.
    ModelMinStakeNotMet => "the stake is below the minimum for a model";
    /// There is no model to choose from.
    NoActiveModels => "no model is active";
    /// The target does not exist.
    TargetNotFound => "no such target";
    /// The target was filled already.
    TargetNotOpen => "the target is not open";
    /// The target is of an earlier epoch.
    TargetExpired {
        generation_epoch: u64 = "When it was made.",
        current_epoch: u64 = "The running epoch."
    } => "the target is of epoch {generation_epoch}, now is {current_epoch}";
    /// Nothing was submitted to the target.
    TargetNotFilled => "the target is not filled";
    /// The submission may still be challenged.
    ChallengeWindowOpen {
        fill_epoch: u64 = "When the target was filled.",
        current_epoch: u64 = "The running epoch."
    } => "filled in epoch {fill_epoch}, may be challenged in epoch {current_epoch}";
    /// The reward was claimed already.
    TargetAlreadyClaimed => "the reward was already claimed";
    /// The model does not compete for this target.
    ModelNotInTarget {
        model_id: ObjectId = "The model.",
        target_id: ObjectId = "The target."
    } => "model {model_id} does not compete for target {target_id}";
    /// The embedding has another length.
    EmbeddingDimensionMismatch {
        expected: u64 = "Numbers wanted.",
        actual: u64 = "Numbers given."
    } => "expected {expected} numbers, found {actual}";
    /// The distance is too large.
    DistanceExceedsThreshold {
        score: Tensor = "Distance given.",
        threshold: Tensor = "Distance allowed."
    } => "{} is too far", distances(score, threshold);
    /// The bond coin is too small.
    InsufficientBond {
        required: u64 = "Shannons wanted.",
        provided: u64 = "Shannons in the coin."
    } => "{required} shannons needed, {provided} provided";
    /// The data is too large.
    DataExceedsMaxSize {
        size: u64 = "Bytes given.",
        max_size: u64 = "Bytes allowed."
    } => "{size} bytes, at most {max_size} are allowed";
    /// Nothing is left to be emitted.
    InsufficientEmissionBalance => "the emission pool is too small";
    /// It is too late for a challenge.
    ChallengeWindowClosed {
        fill_epoch: u64 = "When the target was filled.",
        current_epoch: u64 = "The running epoch."
    } => "filled in epoch {fill_epoch}, now is {current_epoch}";
    /// The challenger's coin is too small.
    InsufficientChallengerBond {
        required: u64 = "Shannons wanted.",
        provided: u64 = "Shannons in the coin."
    } => "{required} shannons needed, {provided} provided";
    /// The challenge does not exist.
    ChallengeNotFound { challenge_id: ObjectId = "The challenge." } => "no challenge {challenge_id}";
    /// The challenge was decided already.
    ChallengeNotPending { challenge_id: ObjectId = "The challenge." } => "challenge {challenge_id} is decided";
    /// The submission is challenged already.
    ChallengeAlreadyExists => "the submission is already challenged";
    /// The challenge is of an earlier epoch.
    ChallengeExpired {
        challenge_epoch: u64 = "When it was made.",
        current_epoch: u64 = "The running epoch."
    } => "the challenge is of epoch {challenge_epoch}, now is {current_epoch}";
    /// The outcome of the challenge is not possible.
    InvalidChallengeResult => "not a possible outcome";
    /// Too few validators agree on the challenge.
    InvalidChallengeQuorum => "too few validators agree";
    /// The coins hold less than is to be spent.
    InsufficientCoinBalance => "the coins hold less than is to be spent";
    /// A balance would not fit into 64 bits.
    CoinBalanceOverflow => "a balance would be too large";
    /// No such validator.
    ValidatorNotFound => "no such validator";
    /// No such staking pool.
    StakingPoolNotFound => "no such staking pool";
    /// A validator cannot report itself.
    CannotReportOneself => "a validator cannot report itself";
    /// There is no report to take back.
    ReportRecordNotFound => "no report to take back";
    /// An input was deleted before.
    InputObjectDeleted => "an input was deleted";
    /// The network refuses this transaction.
    CertificateDenied => "the network refuses this transaction";
    /// Too many transactions wanted the same shared object.
    ExecutionCancelledDueToSharedObjectCongestion => "cancelled, too many transactions use the same object";
}

fn owner_text(owner: &Option<Address>) -> String {
    owner.map_or_else(|| "nobody".to_owned(), |address| address.to_string())
}

fn distances(score: &Tensor, threshold: &Tensor) -> String {
    format!("{} (at most {})", score.first(), threshold.first())
}
