//! One PUT for the whole object: presigned URLs, and hosts without parts.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use futures::{Stream, StreamExt as _};
use reqwest::{Body, Method, header};
use soma_crypto::{Blake2b256, HashState};
use url::Url;

use super::feed::{Feed, Part, Piece, Source};
use super::{Progress, Uploaded};
use crate::client::{success, text};
use crate::meter::{Meter, SLICE};
use crate::retry::rest;
use crate::{Error, Result, Storage};

/// Bytes encrypted and hashed at a time. There are no parts to be repeated, so
/// this only has to be large beside the hand-over between threads.
const CHUNK: usize = 1 << 20;

/// Chunks that wait for the connection.
const AHEAD: usize = 4;

/// Azure takes an object only if it is told which kind it is.
const AZURE_HOST: &str = ".blob.core.windows.net";

/// Sends the source to `url`, from the start again if it has to be repeated.
pub(super) async fn put(
    storage: &Storage,
    url: &Url,
    source: &Arc<Source>,
    meter: &Arc<Meter>,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<Uploaded> {
    let shared = Shared::default();
    let mut failed = 0;
    loop {
        match once(storage, url, source, meter, &shared, progress).await {
            Ok(uploaded) => return Ok(uploaded),
            Err(error) => {
                failed += 1;
                rest(storage.retry(), failed, error).await?;
            }
        }
    }
}

async fn once(
    storage: &Storage,
    url: &Url,
    source: &Arc<Source>,
    meter: &Arc<Meter>,
    shared: &Shared,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<Uploaded> {
    let total = source.length();
    let count = total.div_ceil(CHUNK as u64);
    let pieces = (0..count).map(|part| Piece { part, send: true, check: None });
    let feed =
        Feed::start(Arc::clone(source), Arc::clone(meter), pieces, Blake2b256::new(), CHUNK, AHEAD);
    shared.lock().restart();
    let moved = Arc::new(AtomicU64::new(0));
    let body = body(feed, shared.clone(), Arc::clone(meter), Arc::clone(&moved));
    let mut request = storage
        .request(Method::PUT, url)?
        .header(header::CONTENT_LENGTH, total)
        .header(header::CONTENT_TYPE, "application/octet-stream")
        .body(Body::wrap_stream(body));
    if url.host_str().is_some_and(|host| host.ends_with(AZURE_HOST)) {
        request = request.header("x-ms-blob-type", "BlockBlob");
    }
    let answered = {
        let tell =
            |_| progress(Progress { total, read: meter.read(), sent: meter.sent(), confirmed: 0 });
        storage.send_body("PUT", url, request, || moved.load(Ordering::Relaxed), tell).await
    };
    // What went wrong with the source explains what went wrong with the request.
    if let Some(fault) = shared.lock().fault.take() {
        return Err(fault);
    }
    let response = success("PUT", url, answered?).await?;
    source.file.check_unchanged()?;
    let sent = moved.load(Ordering::Relaxed);
    if sent != total {
        // A host that answers before it has everything has not stored it.
        return Err(Error::Truncated { url: crate::redacted(url), expected: total, found: sent });
    }
    progress(Progress { total, read: meter.read(), sent: meter.sent(), confirmed: total });
    Ok(Uploaded {
        length: total,
        digest: shared.lock().digest(),
        etag: text(response.headers(), header::ETAG).map(str::to_owned),
        read: meter.read(),
        sent: meter.sent(),
    })
}

/// The body belongs to the connection while it is sent; the two sides share this.
#[derive(Clone, Default)]
struct Shared(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    /// The hash of this try so far, and its chunk.
    last: Option<(u64, HashState)>,
    /// The furthest that any try before has come.
    furthest: Option<(u64, HashState)>,
    fault: Option<Error>,
}

impl State {
    fn restart(&mut self) {
        let further = |one: &(u64, HashState), other: &(u64, HashState)| one.0 >= other.0;
        if let Some(last) = self.last.take()
            && self.furthest.as_ref().is_none_or(|furthest| further(&last, furthest))
        {
            self.furthest = Some(last);
        }
    }

    /// Takes note of a chunk; false if a try before had another one there.
    fn hashed(&mut self, part: &Part) -> bool {
        let same = match &self.furthest {
            Some((index, end)) if *index == part.index => *end == part.end,
            _ => true,
        };
        self.last = Some((part.index, part.end.clone()));
        same
    }

    fn digest(&self) -> soma_crypto::Digest {
        match &self.last {
            Some((_, end)) => Blake2b256::restore_state(end).finalize(),
            None => soma_crypto::hash(b""),
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stops the body; the request then fails, and this says why.
    fn stop(&self, fault: Error) -> std::io::Error {
        let text = fault.to_string();
        self.lock().fault = Some(fault);
        std::io::Error::other(text)
    }
}

/// The source in slices that are counted as they go.
fn body(
    feed: Feed,
    shared: Shared,
    meter: Arc<Meter>,
    moved: Arc<AtomicU64>,
) -> impl Stream<Item = std::io::Result<Bytes>> + Send {
    struct Stand {
        feed: Feed,
        /// What is left of the chunk in hand.
        rest: Bytes,
        whole: Bytes,
    }
    let stand = Stand { feed, rest: Bytes::new(), whole: Bytes::new() };
    futures::stream::try_unfold(stand, move |mut stand| {
        let (shared, meter, moved) = (shared.clone(), Arc::clone(&meter), Arc::clone(&moved));
        async move {
            if stand.rest.is_empty() {
                stand.feed.recycle(std::mem::take(&mut stand.whole));
                let part = match stand.feed.next().await {
                    None => return Ok(None),
                    Some(Ok(part)) => part,
                    Some(Err(fault)) => return Err(shared.stop(fault)),
                };
                if !shared.lock().hashed(&part) {
                    return Err(shared.stop(Error::SourceChanged {
                        name: "the file".to_owned(),
                        what: "content",
                    }));
                }
                stand.rest = part.bytes.clone();
                stand.whole = part.bytes;
            }
            let slice = stand.rest.split_to(stand.rest.len().min(SLICE));
            meter.pass(slice.len()).await;
            moved.fetch_add(slice.len() as u64, Ordering::Relaxed);
            Ok(Some((slice, stand)))
        }
    })
    .boxed()
}
