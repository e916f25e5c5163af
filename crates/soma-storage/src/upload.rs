//! One file, one PUT.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use futures::Stream;
use reqwest::{Body, Method, header};
use soma_crypto::{Blake2b256, Digest};
use tokio::fs::File;
use tokio::io::AsyncReadExt as _;
use url::Url;

use crate::address::redacted;
use crate::client::{success, text, transfer_error};
use crate::retry::repeat;
use crate::{Error, Result, Storage};

/// Bytes read at a time: large enough that system calls do not show.
const CHUNK: usize = 256 * 1024;

/// How often progress is told.
const TICK: Duration = Duration::from_millis(100);

/// What arrived at the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Uploaded {
    /// Bytes sent.
    pub length: u64,
    /// Blake2b-256 of the very bytes that were sent.
    pub digest: Digest,
    /// The store's word for this version, if it gave one.
    pub etag: Option<String>,
}

impl Storage {
    /// Sends a file with one PUT, streaming; memory does not grow with the file.
    ///
    /// `progress` hears of bytes handed to the connection, from 0 again if the
    /// request is repeated. The file is opened anew for each try; one that
    /// changes while it is sent is refused. A store takes at most what it
    /// takes in one request, often 5 GiB.
    ///
    /// # Errors
    /// [`Error::File`], [`Error::FileChanged`], [`Error::Status`],
    /// [`Error::Redirect`], and those of the policy and of the connection.
    pub async fn put_file(
        &self,
        url: &Url,
        path: &Path,
        mut progress: impl FnMut(u64) + Send,
    ) -> Result<Uploaded> {
        repeat(self.retry(), async || self.put_once(url, path, &mut progress).await).await
    }

    async fn put_once(
        &self,
        url: &Url,
        path: &Path,
        progress: &mut (dyn FnMut(u64) + Send),
    ) -> Result<Uploaded> {
        let file = File::open(path).await.map_err(Error::file("open", path))?;
        let (length, modified) = stat(&file, path).await?;
        let sent = Shared::default();
        let request = self
            .request(Method::PUT, url)?
            .header(header::CONTENT_LENGTH, length)
            .header(header::CONTENT_TYPE, "application/octet-stream")
            .body(Body::wrap_stream(chunks(file, length, sent.clone())));

        let mut response = std::pin::pin!(request.send());
        let mut tick = tokio::time::interval(TICK);
        let (mut last, mut moved) = (0, Instant::now());
        let answered = loop {
            tokio::select! {
                answered = &mut response => break answered,
                _ = tick.tick() => {}
            }
            let count = sent.lock().count;
            progress(count);
            if count != last {
                (last, moved) = (count, Instant::now());
            } else if moved.elapsed() > self.stall_timeout() {
                return Err(Error::Timeout { method: "PUT", url: redacted(url), at: count });
            }
        };
        let count = sent.lock().count;
        if let Some(fault) = sent.lock().fault.take() {
            return Err(match fault {
                Fault::Short => {
                    Error::FileChanged { path: path.to_owned(), expected: length, found: count }
                }
                Fault::Io(error) => Error::file("read", path)(error),
            });
        }
        let answered = answered.map_err(|error| transfer_error("PUT", url, count, error))?;
        let response = success("PUT", url, answered).await?;
        let again = File::open(path).await.map_err(Error::file("open", path))?;
        let (found, touched) = stat(&again, path).await?;
        if found != length || touched != modified || count != length {
            return Err(Error::FileChanged { path: path.to_owned(), expected: length, found });
        }
        progress(count);
        let digest = std::mem::take(&mut sent.lock().hasher).finalize();
        Ok(Uploaded {
            length,
            digest,
            etag: text(response.headers(), header::ETAG).map(str::to_owned),
        })
    }
}

/// What the body has given so far; the body belongs to the connection while
/// it is sent, so the two sides share this.
#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Sent>>);

#[derive(Default)]
struct Sent {
    count: u64,
    hasher: Blake2b256,
    fault: Option<Fault>,
}

enum Fault {
    /// The file ended early.
    Short,
    Io(std::io::Error),
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Sent> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The first `length` bytes of the file.
fn chunks(
    file: File,
    length: u64,
    sent: Shared,
) -> impl Stream<Item = std::io::Result<Bytes>> + Send {
    futures::stream::try_unfold((file, sent), move |(mut file, sent)| async move {
        let left = length - sent.lock().count;
        if left == 0 {
            return Ok(None);
        }
        let mut chunk = vec![0; CHUNK.min(usize::try_from(left).unwrap_or(CHUNK))];
        let read = file.read(&mut chunk).await;
        let stop = |fault, message: &str| {
            sent.lock().fault = Some(fault);
            Err(std::io::Error::other(message.to_owned()))
        };
        match read {
            Ok(0) => return stop(Fault::Short, "the file is shorter than it was"),
            Err(error) => {
                let message = error.to_string();
                return stop(Fault::Io(error), &message);
            }
            Ok(count) => chunk.truncate(count),
        }
        let mut state = sent.lock();
        state.count += chunk.len() as u64;
        state.hasher.update(&chunk);
        drop(state);
        Ok(Some((Bytes::from(chunk), (file, sent))))
    })
}

async fn stat(file: &File, path: &Path) -> Result<(u64, Option<SystemTime>)> {
    let found = file.metadata().await.map_err(Error::file("read", path))?;
    Ok((found.len(), found.modified().ok()))
}
