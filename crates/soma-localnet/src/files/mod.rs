//! A small file host: ciphertext needs a URL before it can be revealed.
//!
//! `GET` and `HEAD` with ranges, `PUT` for uploads, `DELETE`. It never lists a
//! directory and never leaves it. An upload streams into a temporary file, is
//! synced and then renamed, so that a name always stands for whole bytes.

mod incoming;
mod path;
mod range;

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use bytes::BytesMut;
use futures::{StreamExt as _, TryStreamExt as _};
use http::header::{
    ACCEPT_RANGES, ALLOW, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, IF_NONE_MATCH,
    IF_RANGE, RANGE,
};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _, AsyncWriteExt as _, BufWriter};

use self::incoming::Incoming;
use self::range::Wanted;
use crate::serve::{self, Server};
use crate::{Error, Result};

/// Bytes read from or written to disk at a time.
const BLOCK: usize = 512 << 10;

/// Whether a host takes files from clients.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Uploads {
    /// `PUT` and `DELETE` work.
    #[default]
    Allowed,
    /// They are answered with 405.
    Refused,
}

/// A running file host. It stops when dropped.
#[derive(Debug)]
pub struct FileHost {
    server: Server,
    directory: PathBuf,
}

impl FileHost {
    /// Serves `directory` on `address`; port 0 takes a free one.
    ///
    /// The directory is created if it is missing.
    ///
    /// # Errors
    /// [`Error::PortTaken`], [`Error::Bind`], [`Error::Io`].
    pub async fn start(directory: &Path, address: SocketAddr, uploads: Uploads) -> Result<Self> {
        Self::start_as(directory, address, uploads, "--port").await
    }

    /// As [`FileHost::start`]; `flag` is what chooses another port.
    pub(crate) async fn start_as(
        directory: &Path,
        address: SocketAddr,
        uploads: Uploads,
        flag: &'static str,
    ) -> Result<Self> {
        fs::create_dir_all(directory).map_err(|e| Error::io("create", directory, e))?;
        let directory = directory.canonicalize().map_err(|e| Error::io("open", directory, e))?;
        // Only who has the port has a say about what is in the directory.
        let listener = serve::bind("file host", flag, address).await?;
        let incoming = match uploads {
            Uploads::Allowed => Some(Incoming::open(&directory)?),
            Uploads::Refused => None,
        };
        let host = Arc::new(Host { root: directory.clone(), incoming });
        let router = Router::new().fallback(answer).with_state(host);
        let server = Server::start(listener, router).map_err(|source| Error::Bind {
            service: "file host",
            address,
            source,
        })?;
        Ok(Self { server, directory })
    }

    /// The URL of the host, without a slash at the end.
    pub fn url(&self) -> String {
        format!("http://{}", self.server.address())
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// What it serves.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Stops it; calls in progress get half a second.
    pub async fn stop(self) {
        self.server.stop().await;
    }
}

struct Host {
    root: PathBuf,
    /// Absent if uploads are refused.
    incoming: Option<Incoming>,
}

async fn answer(State(host): State<Arc<Host>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let result = match (parts.method, &host.incoming) {
        (Method::GET, _) => host.get(parts.uri.path(), &parts.headers, true).await,
        (Method::HEAD, _) => host.get(parts.uri.path(), &parts.headers, false).await,
        (Method::PUT, Some(incoming)) => {
            host.put(parts.uri.path(), &parts.headers, body, incoming).await
        }
        (Method::DELETE, Some(_)) => host.delete(parts.uri.path()),
        (_, incoming) => {
            let may_write = incoming.is_some();
            let allowed = if may_write { "GET, HEAD, PUT, DELETE" } else { "GET, HEAD" };
            Ok((StatusCode::METHOD_NOT_ALLOWED, [(ALLOW, allowed)]).into_response())
        }
    };
    result.unwrap_or_else(|error| failure(&error))
}

impl Host {
    async fn get(&self, path: &str, headers: &HeaderMap, with_body: bool) -> io::Result<Response> {
        let path = path::relative(path)
            .and_then(|relative| path::existing(&self.root, &relative))
            .ok_or(io::ErrorKind::NotFound)?;
        // A pipe would block when opened, so look before.
        if !fs::metadata(&path)?.is_file() {
            return Err(io::ErrorKind::NotFound.into());
        }
        let file = fs::File::open(&path)?;
        let metadata = file.metadata()?;
        let (size, etag) = (metadata.len(), etag(&metadata));
        let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());

        let mut response = Response::new(Body::empty());
        let fields = response.headers_mut();
        fields.insert(ETAG, etag.clone());
        fields.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        if text(IF_NONE_MATCH).is_some_and(|tags| matches_tag(tags, &etag)) {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            return Ok(response);
        }

        // A part of another state of the file is of no use to who resumes.
        let same = headers.get(IF_RANGE).is_none_or(|tag| *tag == etag);
        let range = if same { text(RANGE) } else { None };
        let (start, length) = match range::parse(range, size) {
            Wanted::Whole => (0, size),
            Wanted::Part { start, length } => {
                let value = format!("bytes {start}-{}/{size}", start + length - 1);
                fields.insert(CONTENT_RANGE, ascii(value));
                *response.status_mut() = StatusCode::PARTIAL_CONTENT;
                (start, length)
            }
            Wanted::Unsatisfiable => {
                fields.insert(CONTENT_RANGE, ascii(format!("bytes */{size}")));
                *response.status_mut() = StatusCode::RANGE_NOT_SATISFIABLE;
                return Ok(response);
            }
        };
        let fields = response.headers_mut();
        fields.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
        fields.insert(CONTENT_LENGTH, HeaderValue::from(length));
        if with_body {
            *response.body_mut() = stream(file.into(), start, length).await?;
        }
        Ok(response)
    }

    async fn put(
        &self,
        path: &str,
        headers: &HeaderMap,
        body: Body,
        incoming: &Incoming,
    ) -> io::Result<Response> {
        let relative = path::relative(path).ok_or(io::ErrorKind::InvalidInput)?;
        if !path::may_create(&self.root, &relative) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let target = self.root.join(relative);
        let existed = target.exists();
        if existed && headers.get(IF_NONE_MATCH).is_some_and(|tags| tags == "*") {
            return Ok(StatusCode::PRECONDITION_FAILED.into_response());
        }

        // The path is removed again if the client goes away and this future is dropped.
        let (file, temporary) = incoming.file()?.into_parts();
        let mut writer = BufWriter::with_capacity(BLOCK, tokio::fs::File::from_std(file));
        let mut frames = body.into_data_stream();
        while let Some(frame) = frames.try_next().await.map_err(io::Error::other)? {
            writer.write_all(&frame).await?;
        }
        writer.flush().await?;
        let file = writer.into_inner().into_std().await;

        let finish = move || {
            file.sync_all()?;
            let parent = target.parent().unwrap_or(&target);
            fs::create_dir_all(parent)?;
            temporary.persist(&target)?;
            // The name is as durable as the bytes only once its directory is.
            fs::File::open(parent)?.sync_all()?;
            file.metadata()
        };
        let metadata = tokio::task::spawn_blocking(finish).await.map_err(io::Error::other)??;
        let status = if existed { StatusCode::OK } else { StatusCode::CREATED };
        Ok((status, [(ETAG, etag(&metadata))]).into_response())
    }

    fn delete(&self, path: &str) -> io::Result<Response> {
        let relative = path::relative(path).ok_or(io::ErrorKind::NotFound)?;
        if !path::may_create(&self.root, &relative) {
            return Err(io::ErrorKind::NotFound.into());
        }
        fs::remove_file(self.root.join(relative))?;
        Ok(StatusCode::NO_CONTENT.into_response())
    }
}

/// `length` bytes from `start`. A file that turns out shorter ends the
/// connection rather than the body, so that nobody takes it for complete.
async fn stream(mut file: tokio::fs::File, start: u64, length: u64) -> io::Result<Body> {
    file.seek(io::SeekFrom::Start(start)).await?;
    let blocks = futures::stream::try_unfold((file, length), async |(mut file, left)| {
        if left == 0 {
            return Ok(None);
        }
        let want = usize::try_from(left).unwrap_or(BLOCK).min(BLOCK);
        let mut block = BytesMut::with_capacity(want);
        while block.len() < want {
            let room = (want - block.len()) as u64;
            if (&mut file).take(room).read_buf(&mut block).await? == 0 {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof));
            }
        }
        Ok(Some((block.freeze(), (file, left - want as u64))))
    });
    Ok(Body::from_stream(blocks.boxed()))
}

/// Changes whenever the file is replaced or written.
fn etag(metadata: &fs::Metadata) -> HeaderValue {
    let changed = metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    let nanos = changed.unwrap_or_default().as_nanos();
    ascii(format!("\"{nanos:x}-{:x}\"", metadata.len()))
}

fn matches_tag(tags: &str, etag: &HeaderValue) -> bool {
    tags == "*"
        || tags
            .split(',')
            .any(|tag| tag.trim().trim_start_matches("W/").as_bytes() == etag.as_bytes())
}

fn ascii(text: String) -> HeaderValue {
    HeaderValue::try_from(text).expect("digits and punctuation are header text")
}

fn failure(error: &io::Error) -> Response {
    let status = match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied => StatusCode::NOT_FOUND,
        io::ErrorKind::InvalidInput => StatusCode::BAD_REQUEST,
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            StatusCode::INSUFFICIENT_STORAGE
        }
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    };
    if status.is_server_error() {
        tracing::warn!(%error, "file host");
    }
    let text = if status == StatusCode::BAD_REQUEST {
        "not a usable file name\n".to_owned()
    } else {
        format!("{}\n", status.canonical_reason().unwrap_or("error"))
    };
    (status, text).into_response()
}
