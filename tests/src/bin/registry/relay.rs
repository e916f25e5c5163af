//! A relay in front of a node that counts what comes back.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

pub(crate) struct Relay {
    /// Where to connect instead of to the node.
    pub(crate) url: String,
    bytes: Arc<AtomicU64>,
}

impl Relay {
    /// Listens on a free port, for the node at `url`.
    pub(crate) async fn start(url: &str) -> io::Result<Self> {
        let node = url.trim_start_matches("http://").trim_end_matches('/').to_owned();
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let url = format!("http://{}", listener.local_addr()?);
        let bytes = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&bytes);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(relay(client, node.clone(), Arc::clone(&counter)));
            }
        });
        Ok(Self { url, bytes })
    }

    /// The bytes that the node answered since the last call.
    pub(crate) fn take(&self) -> u64 {
        self.bytes.swap(0, Ordering::Relaxed)
    }
}

async fn relay(client: TcpStream, node: String, bytes: Arc<AtomicU64>) -> io::Result<()> {
    let node = TcpStream::connect(node).await?;
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_node, mut to_node) = node.into_split();
    let asked = tokio::spawn(async move {
        tokio::io::copy(&mut from_client, &mut to_node).await?;
        to_node.shutdown().await
    });
    let mut buffer = vec![0; 64 << 10];
    loop {
        let length = from_node.read(&mut buffer).await?;
        if length == 0 {
            break;
        }
        bytes.fetch_add(length as u64, Ordering::Relaxed);
        to_client.write_all(&buffer[..length]).await?;
    }
    to_client.shutdown().await?;
    asked.await.map_err(io::Error::other)?
}
