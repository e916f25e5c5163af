//! One PUT for the whole object: presigned URLs, and hosts without parts.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use futures::{Stream, StreamExt as _};
use reqwest::{Body, Method, header};
use soma_crypto::Digest;
use tokio::sync::mpsc;
use url::Url;

use super::feed::{Buffers, Feed, Source};
use super::journal::{Journal, Saver};
use super::{Progress, Record, Uploaded};
use crate::client::{success, text};
use crate::meter::{Meter, SLICE};
use crate::retry::rest;
use crate::{Error, Result, Storage};

/// Azure takes an object only if it is told which kind it is.
const AZURE_HOST: &str = ".blob.core.windows.net";

/// An object on its way to a host that takes it as a whole.
pub(super) struct Whole<'a> {
    pub(super) storage: &'a Storage,
    pub(super) url: &'a Url,
    pub(super) source: &'a Arc<Source>,
    pub(super) meter: &'a Arc<Meter>,
    /// Buffers beside those of the feed.
    pub(super) ahead: usize,
}

impl Whole<'_> {
    /// Sends it, from the start again if it has to be repeated. Each try reads
    /// and hashes on its own and ends at the first part that is not the one of
    /// an earlier try, or of an earlier run by the record. What is new in the
    /// record goes through the journal before it is sent.
    pub(super) async fn put(
        &self,
        mut record: Record,
        journal: Option<Journal>,
        progress: &mut (dyn FnMut(Progress) + Send),
    ) -> Result<Uploaded> {
        record.check(&self.source.file)?;
        record.restart(None);
        let mut kept = Kept { record, saver: journal.map(Saver::start) };
        let mut failed = 0;
        loop {
            match self.once(&mut kept, progress).await {
                Ok(uploaded) => return Ok(uploaded),
                Err(error) => {
                    failed += 1;
                    rest(self.storage.retry(), failed, error).await?;
                }
            }
        }
    }

    async fn once(
        &self,
        kept: &mut Kept,
        progress: &mut (dyn FnMut(Progress) + Send),
    ) -> Result<Uploaded> {
        let (storage, url, meter) = (self.storage, self.url, self.meter);
        let total = self.source.length();
        let feed = Feed::start(
            Arc::clone(self.source),
            Arc::clone(meter),
            kept.record.pieces(),
            kept.record.hasher(),
            usize::try_from(kept.record.part_size()).unwrap_or(usize::MAX),
            self.ahead,
        );
        let moved = Arc::new(AtomicU64::new(0));
        let (parts, received) = mpsc::channel(1);
        let body = body(received, feed.buffers().clone(), Arc::clone(meter), Arc::clone(&moved));
        let mut request = storage
            .request(Method::PUT, url)?
            .header(header::CONTENT_LENGTH, total)
            .header(header::CONTENT_TYPE, "application/octet-stream")
            .body(Body::wrap_stream(body));
        if url.host_str().is_some_and(|host| host.ends_with(AZURE_HOST)) {
            request = request.header("x-ms-blob-type", "BlockBlob");
        }
        let so_far = |confirmed| {
            let (read, sent) = (meter.read(), meter.sent());
            Progress { total, read, sent, confirmed }
        };
        let at = || moved.load(Ordering::Relaxed);
        let (answered, digest) = {
            // If one of the two fails the other is dropped, and with it the connection.
            let mut reading = pin!(kept.pass_on(feed, parts, total));
            let tell = |_| progress(so_far(0));
            let mut sending = pin!(storage.send_body("PUT", url, request, at, tell));
            let mut digest = None;
            loop {
                tokio::select! {
                    // What is wrong with the source explains what is wrong with the request.
                    biased;
                    read = &mut reading, if digest.is_none() => digest = Some(read?),
                    answered = &mut sending => {
                        // Nothing is not waited for by anybody; all else has gone by now.
                        if total == 0 && digest.is_none() {
                            digest = Some(reading.await?);
                        }
                        break (answered, digest);
                    }
                }
            }
        };
        let response = success("PUT", url, answered?).await?;
        self.source.file.check_unchanged()?;
        let sent = at();
        let Some(digest) = digest.filter(|_| sent == total) else {
            // A host that answers before it has everything has not stored it.
            let url = crate::redacted(url);
            return Err(Error::Truncated { url, expected: total, found: sent });
        };
        progress(so_far(total));
        Ok(Uploaded {
            length: total,
            digest,
            etag: text(response.headers(), header::ETAG).map(str::to_owned),
            read: meter.read(),
            sent: meter.sent(),
        })
    }
}

/// What all tries share: what was ever sent.
struct Kept {
    record: Record,
    saver: Option<Saver>,
}

impl Kept {
    /// Hands parts over to the connection, each once it is on record; gives the
    /// digest of all of them after the last.
    async fn pass_on(
        &mut self,
        mut feed: Feed,
        parts: mpsc::Sender<Bytes>,
        total: u64,
    ) -> Result<Digest> {
        while let Some(part) = feed.next().await {
            let part = part?;
            if self.record.hashed(&part)
                && let Some(saver) = &mut self.saver
            {
                saver.save_now(self.record.clone()).await?;
            }
            let end = part.offset + part.bytes.len() as u64;
            // Of an empty file there is nothing to hand over.
            if !part.bytes.is_empty() && parts.send(part.bytes).await.is_err() {
                break;
            }
            if end == total {
                return Ok(part.digest);
            }
        }
        // Without the rest of its body the request fails by itself, and knows why.
        drop(parts);
        std::future::pending().await
    }
}

/// The parts in slices that are counted as they go.
fn body(
    parts: mpsc::Receiver<Bytes>,
    buffers: Buffers,
    meter: Arc<Meter>,
    moved: Arc<AtomicU64>,
) -> impl Stream<Item = Result<Bytes, Infallible>> + Send {
    struct Stand {
        parts: mpsc::Receiver<Bytes>,
        /// What is left of the part in hand.
        rest: Bytes,
        whole: Bytes,
        /// The one before; the connection may still hold slices of it.
        before: Bytes,
    }
    let stand = Stand { parts, rest: Bytes::new(), whole: Bytes::new(), before: Bytes::new() };
    futures::stream::unfold(stand, move |mut stand| {
        let (buffers, meter, moved) = (buffers.clone(), Arc::clone(&meter), Arc::clone(&moved));
        async move {
            while stand.rest.is_empty() {
                let part = stand.parts.recv().await?;
                let over = std::mem::replace(&mut stand.before, stand.whole);
                if !over.is_empty() {
                    buffers.recycle(over);
                }
                stand.rest = part.clone();
                stand.whole = part;
            }
            let slice = stand.rest.split_to(stand.rest.len().min(SLICE));
            meter.pass(slice.len()).await;
            moved.fetch_add(slice.len() as u64, Ordering::Relaxed);
            Some((Ok(slice), stand))
        }
    })
    .boxed()
}
