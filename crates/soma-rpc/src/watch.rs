//! Watching checkpoints for one transaction.

use std::time::Duration;

use soma_proto::TransactionDigest;
use soma_proto::grpc::mask::field_mask;
use soma_proto::grpc::pb::{SubscribeCheckpointsRequest, SubscribeCheckpointsResponse};
use tokio::time::{Instant, sleep, timeout};
use tonic::{Code, Streaming};

use crate::answer::{Executed, millis};
use crate::client::was_not_sent;
use crate::{Client, Result};

const CALL: &str = "SubscribeCheckpoints";

/// A node sends the headers of the stream at once; a proxy in between may hold
/// them back until the first checkpoint, and then looking up has to do.
const HEADERS_TIMEOUT: Duration = Duration::from_secs(5);

/// How often a transaction is looked up although the stream is open: a stream
/// can lose what went by before it was opened, or be silently dead.
const LOOKUP_EVERY: Duration = Duration::from_secs(2);

/// How often it is looked up while there is no stream.
const LOOKUP_WITHOUT_STREAM: Duration = Duration::from_millis(500);

type Checkpoints = Streaming<SubscribeCheckpointsResponse>;

/// Where a transaction was found.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) checkpoint: u64,
    /// Milliseconds since 1970, if the node tells.
    pub(crate) timestamp_ms: Option<u64>,
    /// Its result, if it was looked up.
    pub(crate) executed: Option<Executed>,
}

/// A stream, or how to go on without one.
pub(crate) enum Stream {
    Open(Box<Checkpoints>),
    /// Lost or late; may be opened again.
    Lost,
    /// The node has no such service.
    None,
}

impl Client {
    /// Opens the stream and waits for its headers.
    ///
    /// # Errors
    /// Only if there is no connection at all: then nothing can be sent either.
    pub(crate) async fn open_stream(&self, deadline: Instant) -> Result<Stream> {
        let left = deadline.saturating_duration_since(Instant::now()) / 2;
        match self.subscribe(left.min(HEADERS_TIMEOUT)).await {
            Ok(stream) => Ok(stream),
            Err(status) if was_not_sent(&status) => Err(self.error(CALL, &status)),
            Err(_) => Ok(Stream::Lost),
        }
    }

    /// Watches until the transaction is in a checkpoint, however long it takes.
    pub(crate) async fn watch(&self, digest: &TransactionDigest, mut stream: Stream) -> Seen {
        let mut last_lookup = Instant::now();
        loop {
            let due = last_lookup
                + if matches!(stream, Stream::Open(_)) {
                    LOOKUP_EVERY
                } else {
                    LOOKUP_WITHOUT_STREAM
                };
            let left = due.saturating_duration_since(Instant::now());
            match &mut stream {
                Stream::Open(checkpoints) => match timeout(left, checkpoints.message()).await {
                    Ok(Ok(Some(message))) => {
                        if let Some(seen) = find(digest, &message) {
                            return seen;
                        }
                        if Instant::now() < due {
                            continue;
                        }
                    }
                    Ok(Ok(None) | Err(_)) => {
                        tracing::debug!(%digest, "the stream of checkpoints ended");
                        stream = Stream::Lost;
                    }
                    Err(_) => {}
                },
                Stream::Lost => {
                    sleep(left).await;
                    // First the stream, then the question, or a checkpoint could
                    // slip through between the two.
                    if let Ok(opened) = self.subscribe(HEADERS_TIMEOUT).await {
                        stream = opened;
                    }
                }
                Stream::None => sleep(left).await,
            }
            last_lookup = Instant::now();
            if let Ok(Some(executed)) = self.transaction(digest).await
                && let Some(checkpoint) = executed.checkpoint
            {
                return Seen {
                    checkpoint,
                    timestamp_ms: executed.timestamp_ms,
                    executed: Some(executed),
                };
            }
        }
    }

    async fn subscribe(&self, wait: Duration) -> Result<Stream, tonic::Status> {
        let mask = field_mask(&["transactions.digest", "sequence_number", "summary.timestamp"]);
        let request = SubscribeCheckpointsRequest { read_mask: Some(mask) };
        let mut client = self.subscription();
        match timeout(wait, client.subscribe_checkpoints(request)).await {
            Ok(Ok(response)) => Ok(Stream::Open(Box::new(response.into_inner()))),
            Ok(Err(status)) if status.code() == Code::Unimplemented => Ok(Stream::None),
            Ok(Err(status)) => Err(status),
            Err(_) => Ok(Stream::Lost),
        }
    }
}

/// The digest is compared as a value: a text in other than the usual form is
/// still the same digest.
fn find(digest: &TransactionDigest, message: &SubscribeCheckpointsResponse) -> Option<Seen> {
    let checkpoint = message.checkpoint.as_ref()?;
    let is_it = |text: &str| text.parse().ok() == Some(*digest);
    let found = checkpoint
        .transactions
        .iter()
        .any(|transaction| transaction.digest.as_deref().is_some_and(is_it));
    // Without a number the transaction is looked up instead.
    let number = message.cursor.or(checkpoint.sequence_number)?;
    let timestamp = checkpoint.summary.as_ref().and_then(|summary| summary.timestamp.as_ref());
    found.then(|| Seen {
        checkpoint: number,
        timestamp_ms: timestamp.and_then(millis),
        executed: None,
    })
}
