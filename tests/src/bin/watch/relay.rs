//! A relay in front of the node, which can be cut.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Passes everything on, except while it is cut.
pub(crate) struct Relay {
    pub(crate) url: String,
    /// Until when it is cut.
    cut: Arc<watch::Sender<Option<Instant>>>,
}

impl Relay {
    pub(crate) async fn start(node_port: u16) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let url = format!("http://{}", listener.local_addr()?);
        let cut = Arc::new(watch::channel(None).0);
        let cuts = Arc::clone(&cut);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let mut cuts = cuts.subscribe();
                let is_cut = cuts.borrow().is_some_and(|until| Instant::now() < until);
                if is_cut {
                    continue;
                }
                tokio::spawn(async move {
                    tokio::select! {
                        _ = pass(client, node_port) => {}
                        _ = cuts.changed() => {}
                    }
                });
            }
        });
        Ok(Self { url, cut })
    }

    /// Breaks all connections and takes no new ones for a while.
    pub(crate) fn cut(&self, time: Duration) {
        self.cut.send_replace(Some(Instant::now() + time));
    }
}

async fn pass(mut client: TcpStream, node_port: u16) -> io::Result<()> {
    let mut node = TcpStream::connect(("127.0.0.1", node_port)).await?;
    tokio::io::copy_bidirectional(&mut client, &mut node).await?;
    Ok(())
}
