//! Saving the record beside the work, on a thread that may wait for the disk.

use std::error::Error as StdError;
use std::sync::mpsc as blocking;
use std::thread;

use tokio::sync::mpsc;

use super::Record;
use crate::{Error, Result};

/// What a [`Journal`] may fail with.
pub type JournalError = Box<dyn StdError + Send + Sync>;

/// Saves the record of an upload durably before it returns.
///
/// It is called on a thread of its own, with one record at a time. Records
/// that come while one is being saved are merged into the next.
pub type Journal = Box<dyn FnMut(&Record) -> Result<(), JournalError> + Send>;

/// A thread that saves one record after the other.
pub(super) struct Saver {
    records: Option<blocking::Sender<Record>>,
    results: mpsc::UnboundedReceiver<Result<(), JournalError>>,
    thread: Option<thread::JoinHandle<()>>,
    busy: bool,
}

impl Saver {
    pub(super) fn start(mut journal: Journal) -> Self {
        let (records, received) = blocking::channel::<Record>();
        let (saved, results) = mpsc::unbounded_channel();
        let thread = thread::spawn(move || {
            for record in received {
                let result = journal(&record);
                if saved.send(result).is_err() {
                    return;
                }
            }
        });
        Self { records: Some(records), results, thread: Some(thread), busy: false }
    }

    /// Whether a record is being saved.
    pub(super) const fn is_busy(&self) -> bool {
        self.busy
    }

    /// Gives a record to be saved; the saver must not be busy.
    pub(super) fn save(&mut self, record: Record) {
        if let Some(records) = &self.records {
            // If the thread is gone, the wait for its answer tells.
            let _ = records.send(record);
        }
        self.busy = true;
    }

    /// Waits until the record is saved.
    pub(super) async fn saved(&mut self) -> Result<()> {
        let result = self.results.recv().await;
        self.busy = false;
        match result {
            Some(Ok(())) => Ok(()),
            Some(Err(source)) => Err(Error::Journal { source }),
            None => Err(Error::Journal { source: "the thread that saves is gone".into() }),
        }
    }

    /// Saves a record and waits for it, after one that is being saved.
    pub(super) async fn save_now(&mut self, record: Record) -> Result<()> {
        if self.busy {
            self.saved().await?;
        }
        self.save(record);
        self.saved().await
    }
}

/// Ends the thread, and with it what the journal holds: a lock, for example.
impl Drop for Saver {
    fn drop(&mut self) {
        self.records = None;
        if let Some(thread) = self.thread.take() {
            // A panic in the journal has been told by the channel.
            let _ = thread.join();
        }
    }
}
