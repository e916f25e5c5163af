//! An upload in parts: several under way, each repeated by itself, all of
//! them on record before they count.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;

use super::feed::{Feed, Part, Source};
use super::journal::{Journal, Saver};
use super::{Layout, Progress, Record, Uploaded};
use crate::retry::repeat;
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
    let resumed = record.is_some();
    let mut record = match record {
        Some(record) => record,
        None => begin(store, name, source, layout, &mut saver).await?,
    };
    record.check(&source.file)?;
    let mut run = Run { store, key: store.key(name), source, layout, progress };
    match run.finish(name, &mut record, &mut saver).await {
        Err(error) if resumed && run.is_forgotten(&error) => {
            let mut record = begin(store, name, source, layout, &mut saver).await?;
            run.finish(name, &mut record, &mut saver).await
        }
        done => done,
    }
}

async fn begin(
    store: &Store,
    name: &ObjectName,
    source: &Source,
    layout: Layout,
    saver: &mut Saver,
) -> Result<Record> {
    let key = store.key(name);
    let id = repeat(store.storage().retry(), || store.begin(&key)).await?;
    let record = Record::new(id, layout.part_size, &source.file);
    saver.save_now(record.clone()).await?;
    Ok(record)
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
        let marks = record.marks().ok_or(Error::Record)?;
        let (store, key, id) = (self.store, &self.key, record.upload_id());
        let completed = repeat(store.storage().retry(), || store.complete(key, id, &marks)).await;
        if let Err(error) = completed {
            // An answer that was lost looks like this when the request is repeated.
            let there = store.length(name).await.ok().flatten();
            if there != Some(self.source.length()) {
                return Err(error);
            }
        }
        self.tell(record);
        let meter = store.meter();
        Ok(Uploaded {
            length: self.source.length(),
            digest: record.digest(),
            etag: None,
            read: meter.read(),
            sent: meter.sent(),
        })
    }

    /// Sends what is missing.
    async fn parts(&mut self, record: &mut Record, saver: &mut Saver) -> Result<()> {
        let mut feed = Feed::start(
            Arc::clone(self.source),
            Arc::clone(self.store.meter()),
            record.pieces(),
            record.hasher(),
            usize::try_from(record.part_size()).unwrap_or(usize::MAX),
            self.layout.in_flight,
        );
        let id = record.upload_id().to_owned();
        let mut sending = FuturesUnordered::new();
        let mut reading = true;
        let mut unsaved = false;
        let mut tick = tokio::time::interval(TICK);
        while reading || !sending.is_empty() {
            if unsaved && !saver.is_busy() {
                saver.save(record.clone());
                unsaved = false;
            }
            tokio::select! {
                part = feed.next(), if reading && sending.len() < self.layout.in_flight => {
                    match part.transpose()? {
                        None => reading = false,
                        Some(part) if part.send => {
                            record.hashed(&part);
                            sending.push(self.part(id.clone(), part));
                        }
                        Some(part) => feed.recycle(part.bytes),
                    }
                }
                Some(sent) = sending.next() => {
                    let (index, mark, bytes) = sent?;
                    record.arrived(index, mark);
                    feed.recycle(bytes);
                    unsaved = true;
                }
                saved = saver.saved(), if saver.is_busy() => saved?,
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
            Error::Status { status: 400, body, .. } => body.contains("InvalidPart"),
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
