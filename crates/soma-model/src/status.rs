//! Where each prepared model stands, and what is to be done next.

use serde::Serialize;
use soma_proto::ObjectId;
use soma_proto::system_state::ModelStatus;

use crate::{Phase, RevealOf, Stage, Standing, State, rfc3339};

/// Where a prepared model stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Status {
    /// The model.
    pub model_id: ObjectId,
    /// What is under way.
    #[serde(serialize_with = "round")]
    pub round: RevealOf,
    /// How far the state file says it has come.
    pub stage: Stage,
    /// The model's state on the chain: `Committed`, `Active`, `Inactive`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chain_status: Option<String>,
    /// What is to be done next.
    pub next: Next,
    /// The epoch for it, of a reveal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reveal_epoch: Option<u64>,
    /// From when on, RFC 3339, estimated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub opens_at: Option<String>,
    /// Until when, RFC 3339, estimated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deadline: Option<String>,
}

/// What is to be done next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Next {
    /// Encrypt the weights again: it was interrupted.
    Prepare,
    /// Commit.
    Commit,
    /// Find out what became of a transaction: run the step again.
    Settle,
    /// Wait until the window opens.
    Wait,
    /// Reveal, now.
    Reveal,
    /// Nothing: it is done.
    Nothing,
    /// Nothing: the window was missed or the model is inactive.
    Lost,
}

impl Next {
    /// Whether there is something to carry on without asking the owner.
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Settle | Self::Wait | Self::Reveal)
    }
}

impl Status {
    /// Compares a state with what the chain says; `None` for a model that is
    /// not there.
    pub fn new(state: &State, standing: Option<&Standing>) -> Self {
        let (of, round) = state.current();
        let stage = round.stage();
        let window = standing.and_then(Standing::reveal_window);
        let phase = standing.zip(window).map(|(standing, window)| {
            // Another update may be pending than the one on file.
            window.phase(standing.clock.epoch)
        });
        let inactive = standing.is_some_and(|standing| standing.status == ModelStatus::Inactive);
        // A window that is over, and no sign of a reveal.
        let dropped = standing.zip(round.commit.as_ref().and_then(|commit| commit.epoch));
        let dropped = dropped.is_some_and(|(standing, commit_epoch)| {
            let sealed = round.sealed.map(|sealed| sealed.commitment.into());
            let shown = standing.model.weights_manifest.as_ref();
            standing.clock.epoch > commit_epoch.saturating_add(1)
                && shown.map(|shown| shown.manifest.checksum()) != sealed
        });
        let next = match (stage, phase) {
            _ if inactive => Next::Lost,
            (Stage::Committed | Stage::RevealSigned, None) if dropped => Next::Lost,
            (Stage::Unsealed, _) => Next::Prepare,
            (Stage::Prepared, _) => Next::Commit,
            (Stage::Revealed, _) => Next::Nothing,
            (Stage::CommitSigned | Stage::RevealSigned, None | Some(Phase::Open)) => Next::Settle,
            (_, Some(Phase::Early)) => Next::Wait,
            (_, Some(Phase::Open)) => Next::Reveal,
            (_, Some(Phase::Missed)) => Next::Lost,
            // Committed by the record, and nothing waits on the chain yet.
            (Stage::Committed, None) => Next::Settle,
        };
        let window = window.filter(|_| next.is_open());
        Self {
            model_id: state.model_id,
            round: of,
            stage,
            chain_status: standing.map(|standing| standing.status.to_string()),
            next,
            reveal_epoch: window.map(|window| window.reveal_epoch),
            opens_at: window.map(|window| rfc3339(window.opens_at_ms)),
            deadline: window.map(|window| rfc3339(window.closes_at_ms)),
        }
    }
}

fn round<S: serde::Serializer>(of: &RevealOf, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(of.as_str())
}

#[cfg(test)]
mod tests {
    use soma_proto::Manifest;

    use super::*;
    use crate::state::{Round, Sent};
    use crate::{Measured, testing};

    fn round(commit: Option<Sent>, reveal: Option<Sent>) -> Round {
        Round {
            weights_file: "/w".into(),
            plain_modified: None,
            sealed_modified: None,
            sealed_file: "/w.enc".into(),
            upload: None,
            weights_url: testing::url(),
            decryption_key: soma_proto::DecryptionKey::new([6; 32]),
            sealed: Some(Measured { commitment: testing::WEIGHTS, size: 100 }),
            embedding: None,
            commit,
            reveal,
        }
    }

    fn unsettled() -> Sent {
        Sent { digest: None, transaction: None, epoch: None }
    }

    #[test]
    fn a_registration_from_beginning_to_end() {
        let mut state = State::new(round(None, None), 0);
        let next = |state: &State, standing: Option<&Standing>| Status::new(state, standing).next;
        let mut standing = testing::committed();

        assert_eq!(next(&state, None), Next::Commit);
        state.registration.commit = Some(unsettled());
        assert_eq!(next(&state, None), Next::Settle);
        standing.clock.epoch = 4;
        assert_eq!(next(&state, Some(&standing)), Next::Wait);
        state.registration.commit = Some(Sent::found(4));
        let status = Status::new(&state, Some(&standing));
        assert_eq!((status.next, status.reveal_epoch), (Next::Wait, Some(5)));
        assert_eq!(status.opens_at.as_deref(), Some("2026-01-01T00:01:00Z"));
        assert_eq!(status.deadline.as_deref(), Some("2026-01-01T00:02:00Z"));
        standing.clock.epoch = 5;
        assert_eq!(next(&state, Some(&standing)), Next::Reveal);
        state.registration.reveal = Some(unsettled());
        assert_eq!(next(&state, Some(&standing)), Next::Settle);
        standing.clock.epoch = 6;
        assert_eq!(next(&state, Some(&standing)), Next::Lost);
        state.registration.reveal = Some(Sent::found(5));
        standing.status = ModelStatus::Active;
        assert_eq!(next(&state, Some(&standing)), Next::Nothing);
        standing.status = ModelStatus::Inactive;
        assert_eq!(next(&state, Some(&standing)), Next::Lost);
        state.registration.sealed = None;
        assert_eq!(next(&state, None), Next::Prepare);
    }

    #[test]
    fn an_update_that_was_dropped_is_lost() {
        let mut state = State::new(round(Some(Sent::found(1)), Some(Sent::found(2))), 0);
        state.update = Some(round(Some(Sent::found(4)), None));
        let mut standing = testing::updating();
        let status = Status::new(&state, Some(&standing));
        assert_eq!((status.next, status.round), (Next::Reveal, RevealOf::Update));
        standing.model.pending_update = None;
        assert_eq!(Status::new(&state, Some(&standing)).next, Next::Settle, "a node that lags");
        standing.clock.epoch = 6;
        assert_eq!(Status::new(&state, Some(&standing)).next, Next::Lost);
        state.update.as_mut().unwrap().reveal = Some(unsettled());
        assert_eq!(Status::new(&state, Some(&standing)).next, Next::Lost, "it came too late");
        standing.model.weights_manifest.as_mut().unwrap().manifest =
            Manifest::new(testing::url(), testing::WEIGHTS.into(), 100);
        assert_eq!(Status::new(&state, Some(&standing)).next, Next::Settle, "it was revealed");
        state.update.as_mut().unwrap().reveal = None;
        standing.model.weights_manifest = testing::updating().model.weights_manifest;
        let json = serde_json::to_value(Status::new(&state, Some(&standing))).unwrap();
        assert_eq!(
            json,
            serde_json::json!({
                "model_id": state.model_id,
                "round": "update",
                "stage": "committed",
                "chain_status": "Active",
                "next": "lost",
            })
        );
    }
}
