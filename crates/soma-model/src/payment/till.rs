//! Whose turn it is to choose coins.

use std::sync::Arc;
use std::time::Duration;

use soma_proto::ObjectId;
use soma_wallet::file::{self, Lock};
use tokio::sync::{Mutex, OwnedMutexGuard};

use crate::{Result, StateFolder};

/// How often another process is asked whether it is done.
const ASK: Duration = Duration::from_millis(50);
/// Stands for the coins of the folder's owner in the name of a lock.
const COINS: &str = "coins";

/// Shared by steps that are taken at the same time: no two of them choose the
/// same coin, and none takes a coin that is set aside for another model. Other
/// processes with the same folder wait for their turn as well.
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

    /// Waits until nobody else chooses coins or sends what they pay for, at most for
    /// `patience`. Then the turn is taken all the same: a coin that two want fails one
    /// of them, and a window that is missed is worse.
    pub(crate) async fn turn(&self, patience: Duration) -> Turn {
        let both = async {
            let within = Arc::clone(&self.turn).lock_owned().await;
            Turn { _within: Some(within), _among: self.lock().await }
        };
        tokio::time::timeout(patience, both).await.unwrap_or_default()
    }

    /// The folder with the state files of the wallet, if the till knows it.
    pub(crate) const fn folder(&self) -> Option<&StateFolder> {
        self.folder.as_ref()
    }

    /// The coins that are set aside, each with its model.
    pub(crate) fn set_aside(&self) -> Result<Vec<(ObjectId, ObjectId)>> {
        self.folder.as_ref().map_or(Ok(Vec::new()), StateFolder::set_aside)
    }

    /// Holds other processes off, where there are locks.
    async fn lock(&self) -> Option<Lock> {
        let folder = self.folder.as_ref()?.path();
        file::create_private_folder(folder).ok()?;
        loop {
            match Lock::acquire_within(&folder.join(COINS), Duration::ZERO) {
                Ok(lock) => return Some(lock),
                Err(soma_wallet::Error::Locked { .. }) => tokio::time::sleep(ASK).await,
                Err(_) => return None,
            }
        }
    }
}

/// A turn, until it is dropped.
#[derive(Debug, Default)]
pub(crate) struct Turn {
    _within: Option<OwnedMutexGuard<()>>,
    _among: Option<Lock>,
}
