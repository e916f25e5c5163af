//! Whose turn it is to choose coins.

use std::sync::Arc;

use soma_proto::ObjectId;
use tokio::sync::{Mutex, OwnedMutexGuard};

use crate::{Result, StateFolder};

/// Shared by steps that are taken at the same time: no two of them choose the
/// same coin, and none takes a coin that is set aside for another model.
///
/// A transaction that is paid for by the coin of its own model waits for nobody.
#[derive(Clone, Debug, Default)]
pub struct Till {
    folder: Option<StateFolder>,
    turn: Arc<Mutex<()>>,
}

impl Till {
    /// A till that knows which coins are set aside: those that the state files
    /// of a folder name, read anew whenever coins are chosen.
    pub fn of(folder: StateFolder) -> Self {
        Self { folder: Some(folder), turn: Arc::default() }
    }

    /// Waits until nobody else chooses coins or sends what they pay for.
    pub(crate) async fn turn(&self) -> OwnedMutexGuard<()> {
        Arc::clone(&self.turn).lock_owned().await
    }

    /// The coins that are set aside.
    pub(crate) fn set_aside(&self) -> Result<Vec<ObjectId>> {
        let Some(folder) = &self.folder else { return Ok(Vec::new()) };
        Ok(folder.set_aside()?.into_iter().map(|(coin, _)| coin).collect())
    }
}
