//! The clouds' requests through our own HTTP client.
//!
//! `object_store` speaks the dialects and signs; connections, time limits,
//! redirects, retries and what is counted are ours, the same as everywhere in
//! this crate.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::{Stream, StreamExt as _};
use http_body_util::BodyExt as _;
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpRequestBody,
    HttpResponse, HttpService,
};
use url::Url;

use crate::address::redacted;
use crate::client::success;
use crate::meter::{Meter, SLICE};
use crate::{Error, Result, Storage};

/// Answers of stores to everything but a download are short; a list of a
/// thousand objects is under a megabyte.
const LONGEST_ANSWER: usize = 8 << 20;

/// A cloud's own machines answer their metadata service at once; all others
/// have nothing at that address.
const METADATA_TIMEOUT: Duration = Duration::from_secs(2);
const METADATA_HOSTS: [&str; 3] = ["169.254.169.254", "169.254.170.2", "metadata.google.internal"];

/// Carries requests of `object_store`.
#[derive(Clone, Debug)]
pub(super) struct Wire {
    pub(super) storage: Storage,
    pub(super) meter: Arc<Meter>,
}

impl HttpConnector for Wire {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.clone()))
    }
}

#[async_trait]
impl HttpService for Wire {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        // Nothing up there may try again: that is decided where parts are counted.
        self.exchange(request)
            .await
            .map_err(|error| HttpError::new(HttpErrorKind::Unknown, Carried::new(error)))
    }
}

impl Wire {
    async fn exchange(&self, request: HttpRequest) -> Result<HttpResponse> {
        let (parts, body) = request.into_parts();
        let text = parts.uri.to_string();
        let url: Url = text.parse().map_err(|_| Error::Url {
            url: "the store's address".to_owned(),
            reason: "not a URL",
        })?;
        let method = name(&parts.method);
        if url.host_str().is_some_and(|host| METADATA_HOSTS.contains(&host)) {
            return self.ask_metadata(parts, body, &url).await;
        }
        let storage = match assembles(&parts.method, &url) {
            true => self.storage.patient(),
            false => self.storage.clone(),
        };
        let moved = Arc::new(AtomicU64::new(0));
        let sending = self.metered(body, Arc::clone(&moved));
        let request = storage.request(parts.method, &url)?.headers(parts.headers);
        let request = request.body(sending);
        let moved = || moved.load(Ordering::Relaxed);
        let response = storage.send_body(method, &url, request, moved, |_| {}).await?;
        answer(&storage, method, &url, success(method, &url, response).await?).await
    }

    /// Asks for credentials where only a cloud's own machines get an answer.
    async fn ask_metadata(
        &self,
        parts: http::request::Parts,
        body: HttpRequestBody,
        url: &Url,
    ) -> Result<HttpResponse> {
        let method = name(&parts.method);
        let bytes = body.collect().await.map(http_body_util::Collected::to_bytes);
        let request = self.storage.request(parts.method, url)?.headers(parts.headers);
        let request = request.body(bytes.unwrap_or_default());
        match tokio::time::timeout(METADATA_TIMEOUT, request.send()).await {
            Ok(Ok(response)) if response.status().is_success() => {
                answer(&self.storage, method, url, response).await
            }
            _ => Err(Error::NoCredentials),
        }
    }

    /// The body in slices that are counted as they go.
    fn metered(&self, body: HttpRequestBody, moved: Arc<AtomicU64>) -> reqwest::Body {
        if let Some(bytes) = body.as_bytes().filter(|bytes| bytes.len() <= SLICE) {
            return bytes.clone().into();
        }
        let meter = Arc::clone(&self.meter);
        let frames = body.into_data_stream().flat_map(|frame| match frame {
            Ok(bytes) => slices(bytes).map(Ok).left_stream(),
            Err(error) => futures::stream::once(std::future::ready(Err(error))).right_stream(),
        });
        reqwest::Body::wrap_stream(frames.then(move |slice| {
            let (meter, moved) = (Arc::clone(&meter), Arc::clone(&moved));
            async move {
                if let Ok(slice) = &slice {
                    meter.pass(slice.len()).await;
                    moved.fetch_add(slice.len() as u64, Ordering::Relaxed);
                }
                slice
            }
        }))
    }
}

/// Reads a whole answer.
async fn answer(
    storage: &Storage,
    method: &'static str,
    url: &Url,
    mut response: reqwest::Response,
) -> Result<HttpResponse> {
    let mut answer = http::Response::new(());
    *answer.status_mut() = response.status();
    *answer.headers_mut() = std::mem::take(response.headers_mut());
    let mut bytes = Vec::new();
    let mut body = storage.body(method, url, response, 0);
    while let Some(chunk) = body.next().await? {
        if bytes.len() + chunk.len() > LONGEST_ANSWER {
            return Err(Error::WrongLength {
                url: redacted(url),
                expected: LONGEST_ANSWER as u64,
                found: (bytes.len() + chunk.len()) as u64,
            });
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(answer.map(|()| Bytes::from(bytes).into()))
}

/// Whether a request has the store put an object together from its parts: S3 and
/// Google want a POST for that, Azure a list of blocks.
fn assembles(method: &http::Method, url: &Url) -> bool {
    url.query_pairs().any(|(key, value)| match *method {
        http::Method::POST => key == "uploadId",
        http::Method::PUT => key == "comp" && value == "blocklist",
        _ => false,
    })
}

/// Cuts bytes into slices without copying them.
pub(crate) fn slices(mut bytes: Bytes) -> impl Stream<Item = Bytes> + Send {
    futures::stream::iter(std::iter::from_fn(move || {
        let length = bytes.len().min(SLICE);
        (length > 0).then(|| bytes.split_to(length))
    }))
}

/// Brings one of our errors through `object_store` and out again whole.
struct Carried(Mutex<Option<Error>>);

impl Carried {
    fn new(error: Error) -> Self {
        Self(Mutex::new(Some(error)))
    }

    fn take(&self) -> Option<Error> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl std::error::Error for Carried {}

impl fmt::Display for Carried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("request failed")
    }
}

impl fmt::Debug for Carried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Carried")
    }
}

/// Our error out of `object_store`'s, or its own words.
pub(super) fn unwrapped(action: &'static str, shown: &str, error: object_store::Error) -> Error {
    let mut cause: &(dyn std::error::Error + 'static) = &error;
    loop {
        if let Some(ours) = cause.downcast_ref::<Carried>().and_then(Carried::take) {
            return ours;
        }
        match cause.source() {
            Some(deeper) => cause = deeper,
            None => break,
        }
    }
    let reason = cause.to_string();
    // Stores put some failures into an answer of 200, to keep the line open.
    let busy = reason.contains("InternalError") || reason.contains("SlowDown");
    let reason = reason.split_whitespace().collect::<Vec<_>>().join(" ");
    Error::Store { action, store: shown.to_owned(), reason, busy }
}

const fn name(method: &http::Method) -> &'static str {
    match *method {
        http::Method::GET => "GET",
        http::Method::HEAD => "HEAD",
        http::Method::PUT => "PUT",
        http::Method::POST => "POST",
        http::Method::DELETE => "DELETE",
        _ => "HTTP",
    }
}
