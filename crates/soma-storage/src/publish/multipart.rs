//! An upload in parts: several under way, each repeated by itself, all of
//! them on record before they are sent.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;

use super::feed::{Feed, Part, Source};
use super::journal::{Journal, Saver};
use super::{Layout, Progress, Record, Uploaded};
use crate::retry::{jitter, repeat};
use crate::{Error, ObjectName, Result, Store};

/// How often progress is told.
const TICK: Duration = Duration::from_millis(100);

/// Sends the source in parts. With a record of an earlier run it goes on from
/// there; if the store has forgotten that upload, it begins again.
pub(super) async fn send(
    store: &Store,
    name: &ObjectName,
    source: &Arc<Source>,
    record: Option<Record>,
    layout: Layout,
    journal: Journal,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<Uploaded> {
    let mut saver = Saver::start(journal);
    let mut record = match record {
        Some(record) => record,
        None => Record::new(layout.part_size, &source.file),
    };
    record.check(&source.file)?;
    let resumed = record.upload_id().is_some();
    if !resumed {
        begin(store, name, &mut record, &mut saver).await?;
    }
    let mut run = Run { store, key: store.key(name), source, layout, progress };
    match run.finish(name, &mut record, &mut saver).await {
        Err(error) if resumed && run.is_forgotten(&error) => {
            begin(store, name, &mut record, &mut saver).await?;
            run.finish(name, &mut record, &mut saver).await
        }
        done => done,
    }
}

/// Begins at the first part, under a new id.
async fn begin(
    store: &Store,
    name: &ObjectName,
    record: &mut Record,
    saver: &mut Saver,
) -> Result<()> {
    let key = store.key(name);
    let id = repeat(store.storage().retry(), || store.begin(&key)).await?;
    record.restart(Some(id));
    saver.save_now(record.clone()).await
}

struct Run<'a> {
    store: &'a Store,
    key: String,
    source: &'a Arc<Source>,
    layout: Layout,
    progress: &'a mut (dyn FnMut(Progress) + Send),
}

impl Run<'_> {
    async fn finish(
        &mut self,
        name: &ObjectName,
        record: &mut Record,
        saver: &mut Saver,
    ) -> Result<Uploaded> {
        let sent = self.parts(record, saver).await;
        if let Err(error) = sent {
            // What has arrived is worth keeping; the first error is the one that counts.
            let _ = saver.save_now(record.clone()).await;
            return Err(error);
        }
        self.source.file.check_unchanged()?;
        saver.save_now(record.clone()).await?;
        let (marks, id) = record.marks().zip(record.upload_id()).ok_or(Error::Record)?;
        self.complete(name, id, &marks).await?;
        self.tell(record);
        let meter = self.store.meter();
        Ok(Uploaded {
            length: self.source.length(),
            digest: record.digest(),
            etag: None,
            read: meter.read(),
            sent: meter.sent(),
        })
    }

    /// Has the store put the object together. Where an answer was lost the store may
    /// still be at it, and know neither the upload any more nor the object yet: there
    /// are twice as many pauses for that as elsewhere.
    async fn complete(&self, name: &ObjectName, id: &str, marks: &[String]) -> Result<()> {
        let mut policy = self.store.storage().retry();
        policy.attempts = policy.attempts.saturating_mul(2).saturating_sub(1);
        let (mut failed, mut lost) = (0, None::<Error>);
        loop {
            let Err(error) = self.store.complete(&self.key, id, marks).await else { return Ok(()) };
            failed += 1;
            // A store that was silent for so long is not waited for once more.
            let last = failed >= policy.attempts || matches!(error, Error::Timeout { .. });
            // A repeated request fails for good where the first one has succeeded.
            if last || !error.is_retriable() {
                let there = self.store.length(name).await.ok().flatten();
                if there == Some(self.source.length()) {
                    return Ok(());
                }
            }
            let cause = if error.is_retriable() { &error } else { lost.as_ref().unwrap_or(&error) };
            let pause = policy.pause(failed, cause, jitter()).filter(|_| !last);
            let Some(pause) = pause else { return Err(error) };
            tokio::time::sleep(pause).await;
            if error.is_retriable() {
                lost = Some(error);
            }
        }
    }

    /// Sends what is missing: each part once its hash is on record.
    async fn parts(&mut self, record: &mut Record, saver: &mut Saver) -> Result<()> {
        let mut feed = Feed::start(
            Arc::clone(self.source),
            Arc::clone(self.store.meter()),
            record.pieces(),
            record.hasher(),
            usize::try_from(record.part_size()).unwrap_or(usize::MAX),
            self.layout.in_flight,
        );
        let buffers = feed.buffers().clone();
        let id = record.upload_id().ok_or(Error::Record)?.to_owned();
        let mut sending = FuturesUnordered::new();
        // Parts whose hashes are not on record yet, and how many of them the
        // record that is being saved has.
        let (mut waiting, mut covered) = (VecDeque::new(), 0);
        let (mut reading, mut unsaved) = (true, false);
        let mut tick = tokio::time::interval(TICK);
        while reading || !waiting.is_empty() || !sending.is_empty() {
            if unsaved && !saver.is_busy() {
                saver.save(record.clone());
                (unsaved, covered) = (false, waiting.len());
            }
            let has_room = waiting.len() + sending.len() < self.layout.in_flight;
            tokio::select! {
                part = feed.next(), if reading && has_room => {
                    match part.transpose()? {
                        None => reading = false,
                        Some(part) if !part.send => buffers.recycle(part.bytes),
                        Some(part) if record.hashed(&part) => {
                            waiting.push_back(part);
                            unsaved = true;
                        }
                        Some(part) => sending.push(self.part(id.clone(), part)),
                    }
                }
                Some(sent) = sending.next() => {
                    let (index, mark, bytes) = sent?;
                    record.arrived(index, mark);
                    buffers.recycle(bytes);
                    unsaved = true;
                }
                saved = saver.saved(), if saver.is_busy() => {
                    saved?;
                    let on_record = waiting.drain(..covered);
                    sending.extend(on_record.map(|part| self.part(id.clone(), part)));
                    covered = 0;
                }
                _ = tick.tick() => {}
            }
            self.tell(record);
        }
        if saver.is_busy() {
            saver.saved().await?;
        }
        Ok(())
    }

    /// Sends one part until it has arrived; the bytes stay at hand, so it is
    /// the same part every time.
    fn part(
        &self,
        id: String,
        part: Part,
    ) -> impl Future<Output = Result<(u64, String, Bytes)>> + Send + use<> {
        let (store, key) = (self.store.clone(), self.key.clone());
        async move {
            let Part { index, offset, bytes, .. } = part;
            let mark = repeat(store.storage().retry(), || {
                store.put_part(&key, &id, index, offset, bytes.clone())
            })
            .await?;
            Ok((index, mark, bytes))
        }
    }

    /// Whether the store has no upload of this name any more.
    fn is_forgotten(&self, error: &Error) -> bool {
        let unknown = match error {
            Error::Status { status: 404, .. } => true,
            // Parts that the store no longer has, or never had as it said.
            Error::Status { status: 400, body, .. } => {
                body.contains("InvalidPart") || body.contains("InvalidBlockList")
            }
            Error::File { source, .. } => source.kind() == std::io::ErrorKind::NotFound,
            _ => false,
        };
        unknown || self.store.has_lost(&self.key)
    }

    fn tell(&mut self, record: &Record) {
        let meter = self.store.meter();
        (self.progress)(Progress {
            total: self.source.length(),
            read: meter.read(),
            sent: meter.sent(),
            confirmed: record.confirmed(),
        });
    }
}
