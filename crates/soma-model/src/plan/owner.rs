//! Checks that several steps share.

use soma_proto::system_state::ModelStatus;
use soma_proto::{Address, ObjectId};

use crate::{Check, Finding, Report, Standing};

/// What a step needs of a model.
#[derive(Clone, Copy)]
pub(super) struct Need {
    /// The state it must be in.
    pub(super) status: ModelStatus,
    /// The chain's name for any other state.
    pub(super) failure: &'static str,
    /// What to do about an unexpected state, if that is known.
    pub(super) remedy: fn(ModelStatus) -> Option<&'static str>,
}

impl Need {
    /// An active model.
    pub(super) const ACTIVE: Self = Self {
        status: ModelStatus::Active,
        failure: "ModelNotActive",
        remedy: |status| match status {
            ModelStatus::Committed => Some("reveal it first"),
            _ => Some("a new registration needs a new model id"),
        },
    };

    /// A committed model.
    pub(super) const COMMITTED: Self = Self {
        status: ModelStatus::Committed,
        failure: "ModelNotPending",
        remedy: |status| match status {
            ModelStatus::Active => Some("new weights go through update-commit and update-reveal"),
            _ => Some("a new registration needs a new model id"),
        },
    };
}

/// Looks at state and owner. Gives the model back if the state is right.
pub(super) fn check<'a>(
    id: &ObjectId,
    standing: Option<&'a Standing>,
    sender: Address,
    need: Need,
    report: &mut Report,
) -> Option<&'a Standing> {
    let Some(standing) = standing else {
        report.push(
            Finding::error(Check::Status, format!("there is no model {id} on this network"))
                .with_remedy("soma model list shows the models there are")
                .with_failure(need.failure),
        );
        return None;
    };
    if standing.model.owner != sender {
        report.push(
            Finding::error(
                Check::Owner,
                format!("the model belongs to {}, the sender is {sender}", standing.model.owner),
            )
            .with_remedy("soma wallet switch chooses the sender")
            .with_failure("NotModelOwner"),
        );
    }
    if standing.status != need.status {
        let mut finding = Finding::error(
            Check::Status,
            format!(
                "the model is {}, this step needs a model that is {}",
                word(standing.status),
                word(need.status)
            ),
        )
        .with_failure(need.failure);
        if let Some(remedy) = (need.remedy)(standing.status) {
            finding = finding.with_remedy(remedy);
        }
        report.push(finding);
        return None;
    }
    Some(standing)
}

fn word(status: ModelStatus) -> String {
    status.to_string().to_lowercase()
}
