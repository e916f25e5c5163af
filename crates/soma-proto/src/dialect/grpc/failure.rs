//! The numbers of failures in messages. They are not those of the byte form,
//! and few of the values that a failure carries travel with them.

use crate::dialect::{ExecutionFailure, NodeError};
use crate::grpc::convert::{At as _, object_id};
use crate::grpc::pb;
use crate::grpc::pb::execution_error::{ErrorDetails, ExecutionErrorKind as Kind};
use crate::{Address, Error, ObjectId, ObjectType, Result, Tensor};

/// Writes both directions for failures that carry nothing, or nothing but
/// numbers and ids that do not travel.
macro_rules! kinds {
    (
        plain: $($plain:ident)+;
        zeroed: $($zeroed:ident { $($field:ident: $zero:expr),+ })+;
    ) => {
        fn kind_of(failure: &ExecutionFailure) -> Kind {
            match failure {
                $(ExecutionFailure::$plain => Kind::$plain,)+
                $(ExecutionFailure::$zeroed { .. } => Kind::$zeroed,)+
                ExecutionFailure::InvalidOwnership { .. } => Kind::InvalidOwnership,
                ExecutionFailure::ObjectNotFound { .. } => Kind::ObjectNotFound,
                ExecutionFailure::InvalidObjectType { .. } => Kind::InvalidObjectType,
                ExecutionFailure::InvalidArguments { .. } => Kind::InvalidArguments,
                ExecutionFailure::DuplicateValidatorMetadata { .. } => {
                    Kind::DuplicateValidatorMetadata
                }
                ExecutionFailure::InvalidProofOfPossession { .. } => Kind::InvalidProofOfPossession,
                ExecutionFailure::ExecutionCancelledDueToSharedObjectCongestion => {
                    Kind::SharedObjectCongestion
                }
                ExecutionFailure::SomaError(_) => Kind::OtherError,
            }
        }

        /// The failure of a kind that needs no details.
        fn without_details(kind: Kind) -> Option<ExecutionFailure> {
            Some(match kind {
                $(Kind::$plain => ExecutionFailure::$plain,)+
                $(Kind::$zeroed => ExecutionFailure::$zeroed { $($field: $zero),+ },)+
                Kind::SharedObjectCongestion => {
                    ExecutionFailure::ExecutionCancelledDueToSharedObjectCongestion
                }
                _ => return None,
            })
        }
    };
}

kinds! {
    plain:
        InsufficientGas InvalidTransactionType DuplicateValidator MissingProofOfPossession
        NotAValidator ValidatorAlreadyRemoved AdvancedToWrongEpoch ModelNotFound NotModelOwner
        ModelNotActive ModelNotPending ModelAlreadyInactive ModelRevealEpochMismatch
        ModelWeightsUrlMismatch ModelNoPendingUpdate ModelArchitectureVersionMismatch
        ModelCommissionRateTooHigh ModelMinStakeNotMet NoActiveModels TargetNotFound TargetNotOpen
        TargetNotFilled TargetAlreadyClaimed InsufficientEmissionBalance ChallengeAlreadyExists
        InvalidChallengeResult InvalidChallengeQuorum InsufficientCoinBalance CoinBalanceOverflow
        ValidatorNotFound StakingPoolNotFound CannotReportOneself ReportRecordNotFound
        InputObjectDeleted CertificateDenied;
    zeroed:
        TargetExpired { generation_epoch: 0, current_epoch: 0 }
        ChallengeWindowOpen { fill_epoch: 0, current_epoch: 0 }
        ModelNotInTarget { model_id: ObjectId::ZERO, target_id: ObjectId::ZERO }
        EmbeddingDimensionMismatch { expected: 0, actual: 0 }
        DistanceExceedsThreshold { score: Tensor::scalar(0.0), threshold: Tensor::scalar(0.0) }
        InsufficientBond { required: 0, provided: 0 }
        DataExceedsMaxSize { size: 0, max_size: 0 }
        ChallengeWindowClosed { fill_epoch: 0, current_epoch: 0 }
        InsufficientChallengerBond { required: 0, provided: 0 }
        ChallengeNotFound { challenge_id: ObjectId::ZERO }
        ChallengeNotPending { challenge_id: ObjectId::ZERO }
        ChallengeExpired { challenge_epoch: 0, current_epoch: 0 };
}

impl From<&ExecutionFailure> for pb::ExecutionError {
    fn from(failure: &ExecutionFailure) -> Self {
        let error_details = match failure {
            ExecutionFailure::InvalidOwnership { object_id, .. }
            | ExecutionFailure::ObjectNotFound { object_id }
            | ExecutionFailure::InvalidObjectType { object_id, .. } => {
                Some(ErrorDetails::ObjectId(object_id.to_string()))
            }
            ExecutionFailure::InvalidArguments { reason: words }
            | ExecutionFailure::DuplicateValidatorMetadata { field: words }
            | ExecutionFailure::InvalidProofOfPossession { reason: words } => {
                Some(ErrorDetails::OtherError(words.clone()))
            }
            ExecutionFailure::DataExceedsMaxSize { .. } => {
                Some(ErrorDetails::OtherError(failure.to_string()))
            }
            ExecutionFailure::SomaError(error) => Some(ErrorDetails::OtherError(error.to_string())),
            _ => None,
        };
        Self {
            description: Some(failure.to_string()),
            kind: Some(kind_of(failure).into()),
            error_details,
        }
    }
}

impl TryFrom<pb::ExecutionError> for ExecutionFailure {
    type Error = Error;

    /// A kind that is absent or unknown becomes a fault in words.
    fn try_from(error: pb::ExecutionError) -> Result<Self> {
        let kind = error.kind();
        if let Some(failure) = without_details(kind) {
            return Ok(failure);
        }
        let (id, words) = match error.error_details {
            Some(ErrorDetails::ObjectId(id)) => (Some(id), None),
            Some(ErrorDetails::OtherError(words)) => (None, Some(words)),
            None => (None, None),
        };
        let words = words.or(error.description).unwrap_or_else(|| UNEXPLAINED.to_owned());
        Ok(match kind {
            Kind::InvalidOwnership => Self::InvalidOwnership {
                object_id: object_id(id).at("object_id")?,
                expected_owner: Address::ZERO,
                actual_owner: None,
            },
            Kind::ObjectNotFound => {
                Self::ObjectNotFound { object_id: object_id(id).at("object_id")? }
            }
            Kind::InvalidObjectType => Self::InvalidObjectType {
                object_id: object_id(id).at("object_id")?,
                expected_type: ObjectType::Coin,
                actual_type: ObjectType::Coin,
            },
            Kind::InvalidArguments => Self::InvalidArguments { reason: words },
            Kind::DuplicateValidatorMetadata => Self::DuplicateValidatorMetadata { field: words },
            Kind::InvalidProofOfPossession => Self::InvalidProofOfPossession { reason: words },
            _ => Self::SomaError(NodeError::generic(words)),
        })
    }
}

/// Stands for the words that a node did not send.
const UNEXPLAINED: &str = "the node gave no reason";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_read_and_written_under_its_number() {
        let mut known = 0;
        for number in 1..=56 {
            let Ok(kind) = Kind::try_from(number) else { continue };
            let error = pb::ExecutionError {
                description: Some("words".to_owned()),
                kind: Some(number),
                error_details: Some(match kind {
                    Kind::InvalidOwnership | Kind::ObjectNotFound | Kind::InvalidObjectType => {
                        ErrorDetails::ObjectId("0x5".to_owned())
                    }
                    _ => ErrorDetails::OtherError("details".to_owned()),
                }),
            };
            let failure = ExecutionFailure::try_from(error).unwrap();
            assert_eq!(pb::ExecutionError::from(&failure).kind, Some(number), "{failure:?}");
            known += 1;
        }
        assert_eq!(known, 55);
    }

    #[test]
    fn names_are_the_same_on_both_sides() {
        for (failure, name) in [
            (ExecutionFailure::ModelRevealEpochMismatch, "MODEL_REVEAL_EPOCH_MISMATCH"),
            (ExecutionFailure::ModelWeightsUrlMismatch, "MODEL_WEIGHTS_URL_MISMATCH"),
            (ExecutionFailure::InsufficientCoinBalance, "INSUFFICIENT_COIN_BALANCE"),
            (ExecutionFailure::SomaError(NodeError::UnexpectedOwnerType), "OTHER_ERROR"),
        ] {
            assert_eq!(pb::ExecutionError::from(&failure).kind().as_str_name(), name);
        }
    }

    #[test]
    fn an_object_at_fault_must_be_named_and_an_unknown_kind_is_words() {
        let error = |kind, error_details| pb::ExecutionError {
            description: Some("SomethingNew: why".to_owned()),
            kind,
            error_details,
        };
        let missing = ExecutionFailure::try_from(error(Some(3), None)).unwrap_err();
        assert_eq!(missing.to_string(), "object_id: missing");
        for kind in [None, Some(17), Some(999)] {
            assert_eq!(
                ExecutionFailure::try_from(error(kind, None)).unwrap(),
                ExecutionFailure::SomaError(NodeError::generic("SomethingNew: why")),
            );
        }
    }
}
