//! A store in the test's own process that can be made to misbehave.
//!
//! It speaks HTTP/1.1 over a raw socket, one request per connection, so that a
//! test decides about every byte and about how the connection ends.

#![allow(dead_code, reason = "each suite needs a part of it")]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use soma_storage::{RetryPolicy, Url};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// A request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    /// Names in lower case.
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
}

impl Request {
    /// First and last byte of a `Range: bytes=first-last` header.
    pub(crate) fn range(&self) -> Option<(usize, Option<usize>)> {
        let (first, last) = self.headers.get("range")?.strip_prefix("bytes=")?.split_once('-')?;
        Some((first.parse().ok()?, last.parse().ok()))
    }
}

/// What to send, and how to part.
pub(crate) struct Reply {
    pub(crate) bytes: Vec<u8>,
    pub(crate) end: End,
}

/// How the connection ends.
pub(crate) enum End {
    /// In order.
    Close,
    /// With a reset, as if the machine had died.
    Reset,
    /// Not at all: nothing more comes.
    Silence,
    /// Not at all: a byte comes now and then.
    Drip,
    /// In order, after more bytes, each piece of them after a pause.
    Later(Vec<(std::time::Duration, Vec<u8>)>),
}

/// An answer with a body and its length.
pub(crate) fn reply(status: &str, headers: &[(&str, &str)], body: &[u8]) -> Reply {
    let mut all = headers.to_vec();
    let length = body.len().to_string();
    all.push(("content-length", &length));
    raw(status, &all, body)
}

/// An answer with exactly these headers.
pub(crate) fn raw(status: &str, headers: &[(&str, &str)], body: &[u8]) -> Reply {
    let mut bytes = format!("HTTP/1.1 {status}\r\nconnection: close\r\n").into_bytes();
    for (name, value) in headers {
        bytes.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
    }
    bytes.extend_from_slice(b"\r\n");
    bytes.extend_from_slice(body);
    Reply { bytes, end: End::Close }
}

/// What a well-behaved host answers to GET and HEAD.
pub(crate) fn serve(request: &Request, file: &[u8]) -> Reply {
    if request.method == "HEAD" {
        let length = file.len().to_string();
        return raw("200 OK", &[("content-length", &length), ("etag", "\"v1\"")], b"");
    }
    match request.range() {
        None => reply("200 OK", &[("etag", "\"v1\"")], file),
        Some((first, _)) if first >= file.len() => reply("416 Range Not Satisfiable", &[], b""),
        Some((first, last)) => {
            let end = last.map_or(file.len(), |last| file.len().min(last + 1));
            let range = format!("bytes {first}-{}/{}", end - 1, file.len());
            reply("206 Partial Content", &[("content-range", &range)], &file[first..end])
        }
    }
}

/// A running store.
pub(crate) struct Server {
    pub(crate) url: Url,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    /// Answers the `n`-th request, counted from 0, with `answer(n, request)`.
    pub(crate) async fn start(
        answer: impl Fn(usize, &Request) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/weights", listener.local_addr().unwrap()).parse().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&requests);
        let answer = Arc::new(answer);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (seen, answer) = (Arc::clone(&seen), Arc::clone(&answer));
                tokio::spawn(async move {
                    let _ = converse(stream, &seen, &*answer).await;
                });
            }
        });
        Self { url, requests }
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }
}

/// Retries without waiting.
pub(crate) fn at_once(attempts: u32) -> RetryPolicy {
    RetryPolicy { attempts, first_pause: std::time::Duration::ZERO, ..RetryPolicy::DEFAULT }
}

/// Bytes with a period of 251, so that swapped blocks show.
pub(crate) fn painted(length: usize) -> Vec<u8> {
    (0..length).map(|i| (i % 251) as u8).collect()
}

async fn converse(
    mut stream: TcpStream,
    seen: &Mutex<Vec<Request>>,
    answer: &(dyn Fn(usize, &Request) -> Reply + Send + Sync),
) -> std::io::Result<()> {
    let mut bytes = Vec::new();
    let head = loop {
        if stream.read_buf(&mut bytes).await? == 0 {
            return Ok(());
        }
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end + 4;
        }
    };
    let text = String::from_utf8_lossy(&bytes[..head]).into_owned();
    let mut lines = text.lines();
    let mut first = lines.next().unwrap_or_default().split(' ').map(str::to_owned);
    let (method, path) = (first.next().unwrap_or_default(), first.next().unwrap_or_default());
    let header = |line: &str| {
        line.split_once(": ").map(|(name, value)| (name.to_lowercase(), value.to_owned()))
    };
    let headers: BTreeMap<_, _> = lines.filter_map(header).collect();
    let length = headers.get("content-length").and_then(|text| text.parse().ok()).unwrap_or(0);
    let mut body = bytes.split_off(head);
    while body.len() < length {
        if stream.read_buf(&mut body).await? == 0 {
            break;
        }
    }
    let request = Request { method, path, headers, body };
    let number = {
        let mut seen = seen.lock().unwrap();
        seen.push(request.clone());
        seen.len() - 1
    };
    let reply = answer(number, &request);
    stream.write_all(&reply.bytes).await?;
    stream.flush().await?;
    match reply.end {
        End::Close => stream.shutdown().await,
        End::Reset => {
            // What was written must arrive before the reset overtakes it.
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            stream.set_zero_linger()
        }
        End::Drip => loop {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            stream.write_all(b"x").await?;
        },
        End::Later(pieces) => {
            for (pause, piece) in pieces {
                tokio::time::sleep(pause).await;
                stream.write_all(&piece).await?;
            }
            stream.shutdown().await
        }
        End::Silence => {
            tokio::time::sleep(std::time::Duration::from_secs(60)).await;
            Ok(())
        }
    }
}
