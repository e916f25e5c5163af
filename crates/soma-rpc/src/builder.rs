//! How a client is set up: URL, credentials, time-outs, limits.

use std::fmt;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hyper_util::client::proxy::matcher::Matcher;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};
use tonic::{Request, Status};
use url::Url;

use crate::client::Client;
use crate::connector::Connector;
use crate::{Error, Result};

/// Five seconds for a connection, as the network's own client has it: a node
/// that needs longer for a handshake is of no use within an epoch.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// For calls that only read. A whole system state of tens of thousands of
/// models takes seconds over a slow line; nothing takes longer.
pub const READ_TIMEOUT: Duration = Duration::from_secs(30);

/// For plain execution: a node waits up to 90 s for finality before it gives up.
pub const EXECUTE_TIMEOUT: Duration = Duration::from_secs(100);

/// For execution and the checkpoint that follows, when the caller has no wish
/// of his own.
pub const WAIT_TIMEOUT: Duration = Duration::from_secs(60);

/// While an answer is awaited the node is asked this often whether it is alive.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(5);

/// A node that does not react to that for so long is gone.
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(20);

/// Bytes of an ordinary answer. Pages end at 512 KiB and transactions at
/// 256 KiB, so this is ample, and no node can fill our memory with less.
pub const MESSAGE_LIMIT: usize = 16 << 20;

/// Bytes of an answer that may hold the whole system state: 20,000 models with
/// embeddings of 2,048 numbers take 164 MB, beside exchange rates of every
/// pool for every epoch. The default of 4 MiB ends at 500 models.
pub const STATE_LIMIT: usize = 512 << 20;

/// The connection itself, with the credentials put on every call.
pub type AuthChannel = InterceptedService<Channel, Credentials>;

/// Sets a [`Client`] up.
///
/// ```
/// use soma_rpc::ClientBuilder;
///
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// let client = ClientBuilder::new("https://node.example")
///     .with_basic_auth("me", "secret")
///     .build()?;
/// assert_eq!(client.url(), "https://node.example/");
/// # Ok::<(), soma_rpc::Error>(())
/// # }).unwrap();
/// ```
#[derive(Clone)]
pub struct ClientBuilder {
    url: String,
    credentials: Option<(String, String)>,
    root_certificates: Vec<Vec<u8>>,
    read_timeout: Duration,
    state_limit: usize,
    extensions: bool,
}

impl ClientBuilder {
    /// A client of the node at `url`, for example `http://127.0.0.1:9000`.
    ///
    /// `https` is verified against the system's root certificates. A path is
    /// of no effect. A user name and password in the URL become basic auth.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            credentials: None,
            root_certificates: Vec::new(),
            read_timeout: READ_TIMEOUT,
            state_limit: STATE_LIMIT,
            extensions: true,
        }
    }

    /// Sends `authorization: Basic ...` with every call.
    #[must_use]
    pub fn with_basic_auth(mut self, user: impl Into<String>, password: impl Into<String>) -> Self {
        self.credentials = Some((user.into(), password.into()));
        self
    }

    /// Trusts one more root certificate (PEM), beside the system's.
    #[must_use]
    pub fn with_root_certificate(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.root_certificates.push(pem.into());
        self
    }

    /// Waits so long for an answer that only reads; [`READ_TIMEOUT`] by default.
    #[must_use]
    pub fn with_read_timeout(mut self, timeout: Duration) -> Self {
        self.read_timeout = timeout;
        self
    }

    /// Takes answers with system state up to so many bytes; [`STATE_LIMIT`] by default.
    #[must_use]
    pub fn with_state_limit(mut self, bytes: usize) -> Self {
        self.state_limit = bytes;
        self
    }

    /// Makes only the calls that every node of the network knows, at the cost
    /// of reading the whole system state where a smaller answer would do.
    #[must_use]
    pub fn with_public_calls_only(mut self) -> Self {
        self.extensions = false;
        self
    }

    /// Makes the client. Nothing is sent before the first call; needs a Tokio
    /// runtime around it.
    ///
    /// # Errors
    /// [`Error::Url`] if the URL cannot be that of a node, or if TLS cannot be
    /// set up for it.
    pub fn build(self) -> Result<Client> {
        let (channel, url) = self.channel()?;
        let client = Client::from_parts(channel, url, self.read_timeout, self.state_limit);
        if !self.extensions {
            client.forget_registry();
        }
        Ok(client)
    }

    /// The connection alone, for calls that [`Client`] does not make: a lazy
    /// channel for generated clients, and the URL as it may be shown.
    ///
    /// # Errors
    /// As [`ClientBuilder::build`].
    pub fn channel(&self) -> Result<(AuthChannel, String)> {
        let mut url = parse(&self.url)?;
        let from_url = (!url.username().is_empty()).then(|| {
            let decode = |text: &str| percent_decode(text);
            (decode(url.username()), decode(url.password().unwrap_or_default()))
        });
        let _ = url.set_username("");
        let _ = url.set_password(None);
        let shown = url.to_string();
        let refuse = |reason: String| Error::Url { url: shown.clone(), reason };

        let mut endpoint = Endpoint::from_shared(shown.clone())
            .and_then(|endpoint| endpoint.user_agent(concat!("soma/", env!("CARGO_PKG_VERSION"))))
            .map_err(|error| refuse(error.to_string()))?
            .http2_keep_alive_interval(KEEP_ALIVE_INTERVAL)
            .keep_alive_timeout(KEEP_ALIVE_TIMEOUT)
            .keep_alive_while_idle(false);
        if url.scheme() == "https" {
            let certificates = self.root_certificates.iter().map(Certificate::from_pem);
            let tls = ClientTlsConfig::new().with_native_roots().ca_certificates(certificates);
            endpoint = endpoint.tls_config(tls).map_err(|error| refuse(innermost(&error)))?;
        }
        let connector = Connector::new(CONNECT_TIMEOUT, Matcher::from_env());
        let channel = endpoint.connect_with_connector_lazy(connector);
        let credentials = Credentials::new(self.credentials.as_ref().or(from_url.as_ref()));
        Ok((InterceptedService::new(channel, credentials), shown))
    }

    pub(crate) fn read_timeout(&self) -> Duration {
        self.read_timeout
    }
}

impl fmt::Debug for ClientBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientBuilder").finish_non_exhaustive()
    }
}

/// Puts the header of basic auth on each call.
#[derive(Clone)]
pub struct Credentials(Option<MetadataValue<Ascii>>);

impl Credentials {
    fn new(credentials: Option<&(String, String)>) -> Self {
        Self(credentials.map(|(user, password)| {
            let encoded = BASE64.encode(format!("{user}:{password}"));
            let mut value = MetadataValue::try_from(format!("Basic {encoded}"))
                .expect("Base64 is printable ASCII");
            value.set_sensitive(true);
            value
        }))
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").finish_non_exhaustive()
    }
}

impl Interceptor for Credentials {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(value) = &self.0 {
            request.metadata_mut().insert("authorization", value.clone());
        }
        Ok(request)
    }
}

fn parse(text: &str) -> Result<Url> {
    let refuse =
        |reason: &str| Error::Url { url: without_credentials(text), reason: reason.to_owned() };
    let mut url = Url::parse(text).map_err(|error| refuse(&error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(refuse("it must begin with http:// or https://"));
    }
    if url.host_str().is_none_or(str::is_empty) {
        return Err(refuse("it has no host"));
    }
    url.set_path("/");
    url.set_query(None);
    url.set_fragment(None);
    Ok(url)
}

/// For text that is no URL: what stands before an `@` may be a password.
fn without_credentials(text: &str) -> String {
    match text.rsplit_once('@') {
        Some((_, rest)) => format!("...@{rest}"),
        None => text.to_owned(),
    }
}

fn percent_decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let digits = tail.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        match digits.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) if *first == b'%' => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            _ => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The text of the deepest cause.
pub(crate) fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut cause = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_of_nodes() {
        for (text, shown) in [
            ("http://127.0.0.1:9000", "http://127.0.0.1:9000/"),
            ("https://node.example:443/gas?x=y#z", "https://node.example/"),
            ("HTTP://Node.Example", "http://node.example/"),
        ] {
            assert_eq!(parse(text).unwrap().as_str(), shown);
        }
        for text in [
            "",
            "127.0.0.1:9000",
            "node.example",
            "ftp://node.example",
            "unix:///socket",
            "http://",
        ] {
            assert!(matches!(parse(text), Err(Error::Url { .. })), "{text}");
        }
    }

    #[tokio::test]
    async fn credentials_are_sent_and_never_shown() {
        let builder = ClientBuilder::new("http://me:p%40ss@127.0.0.1:1/");
        assert!(!format!("{builder:?}").contains("p%40ss"));
        assert_eq!(builder.channel().unwrap().1, "http://127.0.0.1:1/");
        let error = ClientBuilder::new("me:secret@host").build().unwrap_err();
        assert!(!error.to_string().contains("secret"), "{error}");

        let pair = ("me".to_owned(), "p@ss".to_owned());
        let request = Credentials::new(Some(&pair)).call(Request::new(())).unwrap();
        let value = request.metadata().get("authorization").unwrap();
        // RFC 7617 form; the text is `printf 'me:p@ss' | base64`.
        assert_eq!(value.to_str().unwrap(), "Basic bWU6cEBzcw==");
        assert!(value.is_sensitive());
    }

    #[test]
    fn percent_signs() {
        assert_eq!(percent_decode("p%40ss%25"), "p@ss%");
        assert_eq!(percent_decode("100%"), "100%");
        assert_eq!(percent_decode("%zz"), "%zz");
    }
}
