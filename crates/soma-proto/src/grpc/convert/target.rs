//! Targets and challenges: a node shows them, nobody reads them back.

use super::masked;
use crate::ObjectId;
use crate::grpc::mask::MaskTree;
use crate::grpc::pb;
use crate::target::{Challenge, ChallengeStatus, Target, TargetStatus};

/// Of a target what the mask selects.
pub fn target_message(id: &ObjectId, target: &Target, mask: &MaskTree) -> pb::Target {
    let (status, fill_epoch) = match target.status {
        TargetStatus::Open => ("open", None),
        TargetStatus::Filled { fill_epoch } => ("filled", Some(fill_epoch)),
        TargetStatus::Claimed => ("claimed", None),
    };
    masked!(
        mask,
        pb::Target {
            id: Some(id.to_string()),
            embedding: target.embedding.to_vec(),
            model_ids: target.model_ids.iter().map(ToString::to_string).collect(),
            distance_threshold: Some(target.distance_threshold.first()),
            reward_pool: Some(target.reward_pool),
            generation_epoch: Some(target.generation_epoch),
            status: Some(status.to_owned()),
            fill_epoch: fill_epoch,
            submitter: target.submitter.map(|address| address.to_string()),
            winning_model_id: target.winning_model_id.map(|id| id.to_string()),
            winning_model_owner: target.winning_model_owner.map(|address| address.to_string()),
            bond_amount: Some(target.bond_amount),
        }
    )
}

/// Of a challenge what the mask selects.
pub fn challenge_message(challenge: &Challenge, mask: &MaskTree) -> pb::Challenge {
    let (status, verdict) = match challenge.status {
        ChallengeStatus::Pending => ("pending", None),
        ChallengeStatus::Resolved { challenger_lost: true } => {
            ("resolved", Some("challenger_lost"))
        }
        ChallengeStatus::Resolved { challenger_lost: false } => {
            ("resolved", Some("challenger_won"))
        }
    };
    masked!(
        mask,
        pb::Challenge {
            id: Some(challenge.id.to_string()),
            target_id: Some(challenge.target_id.to_string()),
            challenger: Some(challenge.challenger.to_string()),
            challenger_bond: Some(challenge.challenger_bond),
            challenge_epoch: Some(challenge.challenge_epoch),
            status: Some(status.to_owned()),
            verdict: verdict.map(ToOwned::to_owned),
            win_reason: None,
            distance_threshold: Some(challenge.distance_threshold.first()),
            winning_distance_score: Some(challenge.winning_distance_score.first()),
            winning_model_id: Some(challenge.winning_model_id.to_string()),
        }
    )
}
