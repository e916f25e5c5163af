//! Hands new checkpoints to those who wait for them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use soma_proto::Object;
use tokio::sync::mpsc;

use crate::store::{StoredCheckpoint, StoredTransaction};

/// Checkpoints that a subscriber may leave unread before it is dropped.
pub(crate) const BUFFERED: usize = 256;
/// Subscribers at a time.
pub(crate) const MAX_SUBSCRIBERS: usize = 1024;

/// A checkpoint with everything that a subscriber may ask for.
#[derive(Debug)]
pub(crate) struct Published {
    pub(crate) checkpoint: StoredCheckpoint,
    /// In order of execution.
    pub(crate) transactions: Vec<Arc<StoredTransaction>>,
    /// Inputs and outputs of all transactions, by id and version, each once.
    pub(crate) objects: Vec<Object>,
}

/// The subscribers.
#[derive(Debug)]
pub(crate) struct Hub {
    /// `None` once the network stops.
    subscribers: Mutex<Option<Vec<mpsc::Sender<Arc<Published>>>>>,
}

/// Why there is no subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// There are [`MAX_SUBSCRIBERS`] already.
    Full,
    /// The network is stopping.
    Closed,
}

impl Hub {
    pub(crate) fn new() -> Self {
        Self { subscribers: Mutex::new(Some(Vec::new())) }
    }

    /// Registers a subscriber. It gets every checkpoint from now on, in order
    /// and without gaps; if it leaves too many unread, its stream ends.
    pub(crate) fn subscribe(&self) -> Result<mpsc::Receiver<Arc<Published>>, Refused> {
        let mut guard = self.lock();
        let subscribers = guard.as_mut().ok_or(Refused::Closed)?;
        subscribers.retain(|subscriber| !subscriber.is_closed());
        if subscribers.len() >= MAX_SUBSCRIBERS {
            return Err(Refused::Full);
        }
        let (sender, receiver) = mpsc::channel(BUFFERED);
        subscribers.push(sender);
        Ok(receiver)
    }

    /// Hands a checkpoint to all. Never waits for a slow one.
    pub(crate) fn publish(&self, checkpoint: &Arc<Published>) {
        if let Some(subscribers) = self.lock().as_mut() {
            subscribers.retain(|subscriber| subscriber.try_send(Arc::clone(checkpoint)).is_ok());
        }
    }

    /// Ends all streams.
    pub(crate) fn close(&self) {
        self.lock().take();
    }

    fn lock(&self) -> MutexGuard<'_, Option<Vec<mpsc::Sender<Arc<Published>>>>> {
        self.subscribers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_room_for_so_many_and_room_is_given_back() {
        let hub = Hub::new();
        let mut subscriptions: Vec<_> =
            (0..MAX_SUBSCRIBERS).map(|_| hub.subscribe().unwrap()).collect();
        assert_eq!(hub.subscribe().unwrap_err(), Refused::Full);
        subscriptions.pop();
        let another = hub.subscribe().unwrap();
        assert_eq!(hub.subscribe().unwrap_err(), Refused::Full);
        drop(another);
        hub.close();
        assert_eq!(hub.subscribe().unwrap_err(), Refused::Closed);
        // A closed hub ends the streams.
        assert!(subscriptions[0].blocking_recv().is_none());
    }
}
