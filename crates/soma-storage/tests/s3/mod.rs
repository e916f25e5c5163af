//! A real S3 server in the test's own process: signatures are checked, objects
//! may be read by anybody, nothing else without credentials.

use std::path::Path;
use std::sync::{Arc, Mutex};

use hyper_util::rt::TokioIo;
use s3s::access::{S3Access, S3AccessContext};
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use s3s::{S3Result, s3_error};
use tokio::net::TcpListener;

pub(crate) const BUCKET: &str = "weights";
const ACCESS_KEY: &str = "AKIDEXAMPLE";
const SECRET_KEY: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

/// The right credentials, where programs look for them.
pub(crate) const VARIABLES: [(&str, &str); 2] =
    [("AWS_ACCESS_KEY_ID", ACCESS_KEY), ("AWS_SECRET_ACCESS_KEY", SECRET_KEY)];

/// A running server over a directory.
pub(crate) struct S3 {
    url: String,
    seen: Seen,
}

/// What was asked, as `METHOD QUERY` of requests about objects.
#[derive(Clone, Default)]
pub(crate) struct Seen(Arc<Mutex<Vec<String>>>);

impl S3 {
    pub(crate) async fn start(root: &Path) -> Self {
        std::fs::create_dir_all(root.join(BUCKET)).unwrap();
        let seen = Seen::default();
        let mut builder = S3ServiceBuilder::new(s3s_fs::FileSystem::new(root).unwrap());
        builder.set_auth(SimpleAuth::from_single(ACCESS_KEY, SECRET_KEY));
        builder.set_access(PublicReads(seen.clone()));
        let service = builder.build().into_shared();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move {
            loop {
                let (socket, _) = listener.accept().await.unwrap();
                let service = service.clone();
                tokio::spawn(async move {
                    let _ = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(socket), service)
                        .await;
                });
            }
        });
        Self { url, seen }
    }

    /// The address of the server.
    pub(crate) fn endpoint(&self) -> String {
        self.url.clone()
    }

    /// The parts that were asked to be stored, as they came.
    pub(crate) fn parts(&self) -> Vec<String> {
        let seen = self.seen.0.lock().unwrap();
        seen.iter().filter(|line| line.contains("partNumber=")).cloned().collect()
    }
}

struct PublicReads(Seen);

#[async_trait::async_trait]
impl S3Access for PublicReads {
    async fn check(&self, cx: &mut S3AccessContext<'_>) -> S3Result<()> {
        let line = format!("{} {}", cx.method(), cx.uri().query().unwrap_or_default());
        self.0.0.lock().unwrap().push(line);
        let reads = matches!(cx.s3_op().name(), "GetObject" | "HeadObject");
        match reads || cx.credentials().is_some() {
            true => Ok(()),
            false => Err(s3_error!(AccessDenied)),
        }
    }
}
