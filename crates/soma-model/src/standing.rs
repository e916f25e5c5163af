//! What the chain says of a model.

use soma_proto::system_state::{Model, ModelStatus};
use soma_proto::{Address, ObjectId};
use soma_rpc::{Client, EpochClock, ModelRecord};

use crate::{Error, Result, RevealWindow};

/// A model, where it stands, and the epoch that was running then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Its id.
    pub id: ObjectId,
    /// The registry's map that it sits in.
    pub status: ModelStatus,
    /// The model.
    pub model: Model,
    /// Validators that report it as unavailable in the running epoch.
    pub reported_by: Vec<Address>,
    /// The running epoch.
    pub clock: EpochClock,
}

impl Standing {
    /// Asks the node.
    ///
    /// # Errors
    /// [`Error::UnknownModel`], [`Error::Rpc`].
    pub async fn ask(client: &Client, id: &ObjectId) -> Result<Self> {
        client.model(id).await?.map(Self::from).ok_or(Error::UnknownModel(*id))
    }

    /// The window of whatever waits for its reveal: a first commit, or an
    /// update.
    pub fn reveal_window(&self) -> Option<RevealWindow> {
        let commit_epoch = match self.status {
            ModelStatus::Committed => self.model.commit_epoch,
            ModelStatus::Active => self.model.pending_update?.commit_epoch,
            _ => return None,
        };
        Some(RevealWindow::new(commit_epoch, &self.clock))
    }
}

impl From<ModelRecord> for Standing {
    fn from(record: ModelRecord) -> Self {
        let ModelRecord { id, status, model, reported_by, clock, .. } = record;
        Self { id, status, model, reported_by, clock }
    }
}
