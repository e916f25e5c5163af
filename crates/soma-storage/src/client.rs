//! One HTTP client with our manners: no redirects, no surprises in errors.

use std::sync::Once;
use std::time::{Duration, Instant};

use bytes::Bytes;
use reqwest::header::{self, HeaderMap, HeaderName};
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use url::Url;

use crate::address::{PublicOnly, Refused, proxies_from_env, redacted};
use crate::{AddressPolicy, Error, Result, RetryPolicy};

/// Long enough for a slow handshake across the world.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);

/// How long nothing may move before a transfer counts as dead.
const STALL_TIMEOUT: Duration = Duration::from_secs(90);

/// How much longer a store may work on an object that it puts together from parts:
/// Amazon speaks of several minutes (API reference, CompleteMultipartUpload).
const ASSEMBLY: u32 = 10;

/// The least that must come of an answer, in bytes a second and over the stall
/// timeout: whoever sends less holds a connection for ever.
const LEAST_RATE: u64 = 1 << 10;

/// How long the beginning of an error answer may take.
const ERROR_TIMEOUT: Duration = Duration::from_secs(2);

/// How often progress is told.
const TICK: Duration = Duration::from_millis(100);

/// Characters of an error answer that are kept: enough for a store's code and message.
const KEPT_OF_BODY: usize = 300;

/// Bytes of an error answer that are read at most.
const READ_OF_BODY: usize = 4096;

/// Talks to stores over HTTP. Cheap to clone; clones share connections.
#[derive(Clone, Debug)]
pub struct Storage {
    /// For loopback hosts: never through a proxy.
    direct: reqwest::Client,
    /// For all others: through the proxy of the environment, if it names one.
    outward: reqwest::Client,
    policy: AddressPolicy,
    retry: RetryPolicy,
    stall_timeout: Duration,
    least_rate: u64,
}

impl Storage {
    /// A client that follows `policy`, [`RetryPolicy::DEFAULT`] and the proxy
    /// variables of the environment (`HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY`,
    /// `NO_PROXY`). Certificates are checked against the system's roots.
    ///
    /// # Errors
    /// [`Error::Setup`], for example if the system's roots cannot be read.
    pub fn new(policy: AddressPolicy) -> Result<Self> {
        install_crypto_provider();
        Ok(Self {
            direct: build(base(policy).no_proxy())?,
            outward: build(base(policy))?,
            policy,
            retry: RetryPolicy::DEFAULT,
            stall_timeout: STALL_TIMEOUT,
            least_rate: LEAST_RATE,
        })
    }

    /// Repeats failed requests by another policy.
    #[must_use]
    pub fn with_retry(mut self, retry: RetryPolicy) -> Self {
        self.retry = retry;
        self
    }

    /// Gives a transfer up when nothing has moved for so long; 90 s by default. A
    /// store that puts an object together from its parts has ten times as long.
    #[must_use]
    pub fn with_stall_timeout(mut self, timeout: Duration) -> Self {
        self.stall_timeout = timeout;
        self
    }

    /// The same for a request that a store works on for minutes: it may be silent for
    /// longer, and a byte now and then will do.
    pub(crate) fn patient(&self) -> Self {
        let stall_timeout = self.stall_timeout.saturating_mul(ASSEMBLY);
        Self { stall_timeout, least_rate: 0, ..self.clone() }
    }

    /// The policy in force.
    pub fn policy(&self) -> AddressPolicy {
        self.policy
    }

    /// How failed requests are repeated.
    pub fn retry(&self) -> RetryPolicy {
        self.retry
    }

    /// A request whose URL has passed the policy.
    pub(crate) fn request(&self, method: Method, url: &Url) -> Result<RequestBuilder> {
        self.policy.check(url)?;
        let client = if is_loopback(url) { &self.direct } else { &self.outward };
        let identity = header::HeaderValue::from_static("identity");
        Ok(client.request(method, url.clone()).header(header::ACCEPT_ENCODING, identity))
    }

    /// Sends a request with a body, for as long as it moves. `moved` tells how
    /// many bytes of it have gone, and `progress` hears of that.
    pub(crate) async fn send_body(
        &self,
        method: &'static str,
        url: &Url,
        request: RequestBuilder,
        moved: impl Fn() -> u64,
        mut progress: impl FnMut(u64),
    ) -> Result<Response> {
        let mut response = std::pin::pin!(request.send());
        let mut tick = tokio::time::interval(TICK);
        let (mut last, mut since) = (moved(), Instant::now());
        loop {
            tokio::select! {
                answered = &mut response => {
                    return answered.map_err(|error| transfer_error(method, url, moved(), error));
                }
                _ = tick.tick() => {}
            }
            let now = moved();
            progress(now);
            if now != last {
                (last, since) = (now, Instant::now());
            } else if since.elapsed() > self.stall_timeout {
                return Err(Error::Timeout { method, url: redacted(url), at: now });
            }
        }
    }

    /// Sends a request without body and waits for the headers of the answer.
    pub(crate) async fn send(
        &self,
        method: &'static str,
        url: &Url,
        request: RequestBuilder,
    ) -> Result<Response> {
        match tokio::time::timeout(self.stall_timeout, request.send()).await {
            Ok(sent) => sent.map_err(|error| transfer_error(method, url, 0, error)),
            Err(_) => Err(Error::Timeout { method, url: redacted(url), at: 0 }),
        }
    }
}

/// The body of an answer, for as long as it comes at a bearable pace.
pub(crate) struct Body<'a> {
    storage: &'a Storage,
    method: &'static str,
    url: &'a Url,
    response: Response,
    /// Where the next byte belongs.
    at: u64,
    /// How long was waited for the bytes that are counted, and for how many.
    waited: Duration,
    counted: u64,
}

impl Storage {
    /// Reads the body of an answer; its first byte is byte `at` in errors.
    pub(crate) const fn body<'a>(
        &'a self,
        method: &'static str,
        url: &'a Url,
        response: Response,
        at: u64,
    ) -> Body<'a> {
        Body { storage: self, method, url, response, at, waited: Duration::ZERO, counted: 0 }
    }
}

impl Body<'_> {
    /// The next bytes; nothing at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>> {
        let Self { method, url, at, .. } = *self;
        let limit = self.storage.stall_timeout;
        let since = Instant::now();
        let next =
            tokio::time::timeout(limit.saturating_sub(self.waited), self.response.chunk()).await;
        let next = next.map_err(|_| Error::Timeout { method, url: redacted(url), at })?;
        let chunk = next.map_err(|error| transfer_error(method, url, at, error))?;
        let length = chunk.as_ref().map_or(0, Bytes::len) as u64;
        self.at += length;
        self.waited += since.elapsed();
        self.counted += length;
        if self.counted as f64 >= self.storage.least_rate as f64 * limit.as_secs_f64() {
            (self.waited, self.counted) = (Duration::ZERO, 0);
        }
        Ok(chunk)
    }
}

/// Lets an answer of 2xx through and turns every other one into an error.
pub(crate) async fn success(
    method: &'static str,
    url: &Url,
    response: Response,
) -> Result<Response> {
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    if status.is_redirection() {
        let location = location(url, response.headers()).unwrap_or_else(|| "?".to_owned());
        return Err(Error::Redirect {
            method,
            url: redacted(url),
            status: status.as_u16(),
            location,
        });
    }
    let retry_after = text(response.headers(), header::RETRY_AFTER)
        .and_then(|seconds| seconds.parse().ok())
        .map(Duration::from_secs);
    let body = beginning(response).await;
    Err(Error::Status { method, url: redacted(url), status: status.as_u16(), retry_after, body })
}

/// Whether the status is one that a store gives for "no such part".
pub(crate) fn is_unsatisfiable(response: &Response) -> bool {
    response.status() == StatusCode::RANGE_NOT_SATISFIABLE
}

/// Turns an error of the HTTP client into ours; `at` is in bytes.
pub(crate) fn transfer_error(
    method: &'static str,
    url: &Url,
    at: u64,
    error: reqwest::Error,
) -> Error {
    let error = error.without_url();
    let mut cause: &(dyn std::error::Error + 'static) = &error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
        if let Some(Refused { host, address }) = cause.downcast_ref() {
            return Error::PrivateAddress { host: host.clone(), address: *address };
        }
    }
    let cause = cause.to_string();
    let url = redacted(url);
    if error.is_connect() {
        Error::Connect { url, cause, source: error }
    } else if error.is_timeout() {
        Error::Timeout { method, url, at }
    } else {
        Error::Broken { method, url, at, cause, source: error }
    }
}

/// A header's text, if it is there and printable.
pub(crate) fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

/// The length the headers announce, in bytes. [`Response::content_length`]
/// speaks of the body, which a HEAD request has none of.
pub(crate) fn content_length(headers: &HeaderMap) -> Option<u64> {
    text(headers, header::CONTENT_LENGTH)?.parse().ok()
}

/// Where a redirect points, redacted.
pub(crate) fn location(base: &Url, headers: &HeaderMap) -> Option<String> {
    let target = base.join(text(headers, header::LOCATION)?).ok()?;
    Some(redacted(&target))
}

fn base(policy: AddressPolicy) -> reqwest::ClientBuilder {
    let builder = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        // Parts that go side by side must not share one connection.
        .http1_only()
        .connect_timeout(CONNECT_TIMEOUT)
        .user_agent(concat!("soma/", env!("CARGO_PKG_VERSION")));
    match policy {
        AddressPolicy::PublicHttps => {
            builder.dns_resolver(PublicOnly { proxies: proxies_from_env() })
        }
        AddressPolicy::Any => builder,
    }
}

fn build(builder: reqwest::ClientBuilder) -> Result<reqwest::Client> {
    builder.build().map_err(|source| {
        let mut cause: &(dyn std::error::Error + 'static) = &source;
        while let Some(deeper) = cause.source() {
            cause = deeper;
        }
        Error::Setup { cause: cause.to_string(), source }
    })
}

/// rustls wants one provider per process; ours is ring, unless the program chose another.
fn install_crypto_provider() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // Fails only if the program has installed one already, which is just as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        Some(url::Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

/// The first characters of an answer on one line, without control characters.
async fn beginning(mut response: Response) -> String {
    let mut bytes = Vec::new();
    let deadline = tokio::time::Instant::now() + ERROR_TIMEOUT;
    while let Ok(Ok(Some(chunk))) = tokio::time::timeout_at(deadline, response.chunk()).await {
        bytes.extend_from_slice(&chunk);
        if bytes.len() >= READ_OF_BODY {
            bytes.truncate(READ_OF_BODY);
            break;
        }
    }
    let text = String::from_utf8_lossy(&bytes);
    let words: Vec<_> = text
        .split(|c: char| c.is_whitespace() || c.is_control())
        .filter(|w| !w.is_empty())
        .collect();
    words.join(" ").chars().take(KEPT_OF_BODY).collect()
}
