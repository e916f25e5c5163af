//! What a watch tells.

use serde::{Serialize, Serializer};
use soma_proto::{ObjectId, TransactionDigest};

use crate::{RevealOf, RevealWindow, rfc3339};

/// Something that changed. It holds nothing secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Event {
    /// When, by this machine's clock, milliseconds since 1970; RFC 3339 when
    /// serialized.
    #[serde(rename = "time", serialize_with = "time")]
    pub at_ms: u64,
    /// What kind of change.
    pub event: Kind,
    /// Whether somebody has to look after it.
    pub alarm: bool,
    /// The model, if it concerns one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model_id: Option<ObjectId>,
    /// What of it, for people.
    pub message: String,
    /// What is to be revealed.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "round")]
    pub round: Option<RevealOf>,
    /// The epoch of the reveal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reveal_epoch: Option<u64>,
    /// The estimated begin of that epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub opens_at: Option<String>,
    /// The estimated end of that epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub closes_at: Option<String>,
    /// How much of the window is over, in percent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub percent: Option<u8>,
    /// The transaction.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<TransactionDigest>,
}

/// Kinds of change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Kind {
    /// A node answers, or answers again.
    NodeUp,
    /// A node does not answer.
    NodeDown,
    /// What a model waits for.
    Waiting,
    /// A coin was set aside for the fee of the reveal.
    SetAside,
    /// The reveal was rehearsed and is signed.
    Ready,
    /// Something failed and will be tried again.
    Retrying,
    /// A part of the window is over and the model is not revealed.
    Late,
    /// The reveal was executed.
    Revealed,
    /// The window was missed, or the model is inactive.
    Lost,
    /// What the URL serves is in order.
    Sound,
    /// What the URL serves is not in order.
    Unsound,
    /// Validators report the model as unavailable.
    Reported,
    /// A file that cannot be used, or a model of somebody else.
    Ignored,
}

impl Kind {
    /// Its name, as in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NodeUp => "node_up",
            Self::NodeDown => "node_down",
            Self::Waiting => "waiting",
            Self::SetAside => "set_aside",
            Self::Ready => "ready",
            Self::Retrying => "retrying",
            Self::Late => "late",
            Self::Revealed => "revealed",
            Self::Lost => "lost",
            Self::Sound => "sound",
            Self::Unsound => "unsound",
            Self::Reported => "reported",
            Self::Ignored => "ignored",
        }
    }
}

impl Event {
    pub(super) fn new(at_ms: u64, event: Kind, message: impl Into<String>) -> Self {
        let alarm = matches!(event, Kind::Late | Kind::Lost | Kind::Unsound | Kind::Reported);
        Self {
            at_ms,
            event,
            alarm,
            model_id: None,
            message: message.into(),
            round: None,
            reveal_epoch: None,
            opens_at: None,
            closes_at: None,
            percent: None,
            digest: None,
        }
    }

    pub(super) fn of(mut self, model: ObjectId, round: RevealOf) -> Self {
        self.model_id = Some(model);
        self.round = Some(round);
        self
    }

    pub(super) fn with_window(mut self, window: Option<&RevealWindow>) -> Self {
        self.reveal_epoch = window.map(|window| window.reveal_epoch);
        self.opens_at = window.map(|window| rfc3339(window.opens_at_ms));
        self.closes_at = window.map(|window| rfc3339(window.closes_at_ms));
        self
    }
}

fn time<S: Serializer>(at_ms: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&rfc3339(*at_ms))
}

fn round<S: Serializer>(of: &Option<RevealOf>, serializer: S) -> Result<S::Ok, S::Error> {
    of.map(RevealOf::as_str).serialize(serializer)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::testing::MODEL;

    #[test]
    fn what_programs_read() {
        let window = RevealWindow { reveal_epoch: 5, opens_at_ms: 0, closes_at_ms: 60_000 };
        let mut event = Event::new(1_500, Kind::Late, "not revealed")
            .of(MODEL, RevealOf::Update)
            .with_window(Some(&window));
        event.percent = Some(25);
        assert_eq!(
            serde_json::to_value(event).unwrap(),
            json!({
                "time": "1970-01-01T00:00:01.5Z",
                "event": "late",
                "alarm": true,
                "model_id": MODEL,
                "message": "not revealed",
                "round": "update",
                "reveal_epoch": 5,
                "opens_at": "1970-01-01T00:00:00Z",
                "closes_at": "1970-01-01T00:01:00Z",
                "percent": 25,
            })
        );
        let plain = serde_json::to_value(Event::new(0, Kind::NodeUp, "up")).unwrap();
        assert_eq!(plain.as_object().unwrap().len(), 4);
        assert_eq!(plain["event"], Kind::NodeUp.as_str());
    }
}
