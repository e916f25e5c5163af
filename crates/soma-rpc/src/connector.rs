//! TCP connections, straight or through the proxy of the environment.
//!
//! `HTTPS_PROXY` or `ALL_PROXY` (for `https` nodes), `HTTP_PROXY` (for `http`
//! ones) and `NO_PROXY` are read as curl reads them. The connection is a
//! tunnel (HTTP CONNECT, RFC 9110 9.3.6), so TLS ends at the node, not at the
//! proxy. Loopback hosts are never reached through a proxy. Only proxies with
//! an `http` URL are supported.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::future::BoxFuture;
use http::Uri;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::client::proxy::matcher::Matcher;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tower::Service;

type BoxError = Box<dyn StdError + Send + Sync>;

/// There was no connection, so nothing can have been sent over it.
#[derive(Debug)]
pub(crate) struct NotConnected(BoxError);

impl fmt::Display for NotConnected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no connection")
    }
}

impl StdError for NotConnected {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&*self.0)
    }
}

#[derive(Clone)]
pub(crate) struct Connector {
    http: HttpConnector,
    proxies: Arc<Matcher>,
    timeout: Duration,
}

impl Connector {
    pub(crate) fn new(timeout: Duration, proxies: Matcher) -> Self {
        let mut http = HttpConnector::new();
        http.enforce_http(false);
        http.set_nodelay(true);
        Self { http, proxies: Arc::new(proxies), timeout }
    }
}

impl Service<Uri> for Connector {
    type Response = TokioIo<TcpStream>;
    type Error = NotConnected;
    type Future = BoxFuture<'static, Result<Self::Response, NotConnected>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), NotConnected>> {
        self.http.poll_ready(context).map_err(|error| NotConnected(error.into()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connector = self.clone();
        Box::pin(async move {
            let timeout = connector.timeout;
            match tokio::time::timeout(timeout, connector.connect(uri)).await {
                Ok(connected) => connected.map_err(NotConnected),
                Err(_) => Err(NotConnected(
                    format!("no connection within {} s", timeout.as_secs_f64()).into(),
                )),
            }
        })
    }
}

impl Connector {
    async fn connect(mut self, uri: Uri) -> Result<TokioIo<TcpStream>, BoxError> {
        let proxy = if is_loopback(&uri) { None } else { self.proxies.intercept(&uri) };
        let Some(proxy) = proxy else { return Ok(self.http.call(uri).await?) };
        if proxy.uri().scheme_str() != Some("http") {
            let scheme = proxy.uri().scheme_str().unwrap_or("?");
            return Err(format!(
                "the proxy of the environment is of kind {scheme}; only http proxies are supported"
            )
            .into());
        }
        let mut tunnel = Tunnel::new(proxy.uri().clone(), self.http);
        if let Some(credentials) = proxy.basic_auth() {
            tunnel = tunnel.with_auth(credentials.clone());
        }
        Ok(tunnel.call(with_port(uri)?).await?)
    }
}

/// The tunnel's own guess for a missing port is 443, whatever the scheme.
fn with_port(uri: Uri) -> Result<Uri, BoxError> {
    let (Some(host), None) = (uri.host(), uri.port()) else { return Ok(uri) };
    let port = if uri.scheme_str() == Some("http") { 80 } else { 443 };
    let authority = format!("{host}:{port}");
    let mut parts = uri.into_parts();
    parts.authority = Some(authority.parse()?);
    Ok(Uri::from_parts(parts)?)
}

fn is_loopback(uri: &Uri) -> bool {
    let host = uri.host().unwrap_or_default();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || bare.parse().is_ok_and(|address: std::net::IpAddr| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_hosts() {
        for text in
            ["http://127.0.0.1:9000", "http://localhost", "http://[::1]:1", "http://127.8.0.1/"]
        {
            assert!(is_loopback(&text.parse().unwrap()), "{text}");
        }
        for text in ["http://10.0.0.1", "https://localhost.example", "http://[2606::1]"] {
            assert!(!is_loopback(&text.parse().unwrap()), "{text}");
        }
    }

    #[test]
    fn a_tunnel_knows_its_port() {
        let port = |text: &str| with_port(text.parse().unwrap()).unwrap().port_u16();
        assert_eq!(port("http://node.example/"), Some(80));
        assert_eq!(port("https://node.example/"), Some(443));
        assert_eq!(port("https://node.example:9443/"), Some(9443));
        assert_eq!(port("https://[2606::1]/"), Some(443));
    }

    /// A proxy that opens one tunnel to nowhere; gives the request it got.
    async fn proxy(
        answer: &'static str,
    ) -> (std::net::SocketAddr, tokio::task::JoinHandle<String>) {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let heard = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await.unwrap());
            }
            stream.write_all(answer.as_bytes()).await.unwrap();
            String::from_utf8(head).unwrap()
        });
        (address, heard)
    }

    async fn connect(proxies: Matcher, uri: &str) -> Result<TokioIo<TcpStream>, NotConnected> {
        Connector::new(Duration::from_secs(5), proxies).call(uri.parse().unwrap()).await
    }

    #[tokio::test]
    async fn nodes_are_reached_through_a_tunnel() {
        for (uri, target) in [
            ("https://node.invalid/", "node.invalid:443"),
            ("http://node.invalid/", "node.invalid:80"),
        ] {
            let (address, heard) = proxy("HTTP/1.1 200 OK\r\n\r\n").await;
            let matcher =
                Matcher::builder().all(format!("http://Aladdin:open%20sesame@{address}")).build();
            connect(matcher, uri).await.unwrap();
            let head = heard.await.unwrap();
            assert!(head.starts_with(&format!("CONNECT {target} HTTP/1.1\r\n")), "{head}");
            // The example of RFC 7617.
            assert!(
                head.contains("Proxy-Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n"),
                "{head}"
            );
        }
    }

    #[tokio::test]
    async fn a_proxy_that_refuses_is_no_connection() {
        let (address, _heard) = proxy("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n").await;
        let matcher = Matcher::builder().all(format!("http://{address}")).build();
        let error = connect(matcher, "https://node.invalid/").await.unwrap_err();
        assert!(error.source().unwrap().to_string().contains("proxy authorization required"));
    }

    #[tokio::test]
    async fn loopback_and_excepted_hosts_are_reached_straight() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let uri = format!("http://{}/", listener.local_addr().unwrap());
        // Nothing listens at the proxy's address.
        let matcher = || Matcher::builder().all("http://127.0.0.1:1");
        connect(matcher().build(), &uri).await.unwrap();
        let error = connect(matcher().build(), "http://node.invalid/").await.unwrap_err();
        assert!(error.source().unwrap().to_string().contains("tunnel"));
        let error = connect(matcher().no("node.invalid").build(), "http://node.invalid/")
            .await
            .unwrap_err();
        assert!(!error.source().unwrap().to_string().contains("tunnel"));
    }

    #[tokio::test]
    async fn other_kinds_of_proxy_are_named() {
        let matcher = Matcher::builder().all("socks5://127.0.0.1:1").build();
        let error = connect(matcher, "https://node.invalid/").await.unwrap_err();
        assert!(error.source().unwrap().to_string().contains("socks5"));
    }
}
