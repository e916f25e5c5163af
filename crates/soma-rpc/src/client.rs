//! The client: one connection, and how every call is made over it.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use soma_proto::grpc::ext::registry_service_client::RegistryServiceClient;
use soma_proto::grpc::pb::ledger_service_client::LedgerServiceClient;
use soma_proto::grpc::pb::state_service_client::StateServiceClient;
use soma_proto::grpc::pb::subscription_service_client::SubscriptionServiceClient;
use soma_proto::grpc::pb::transaction_execution_service_client::TransactionExecutionServiceClient;
use soma_proto::grpc::status::violations;
use tonic::codec::CompressionEncoding::Zstd;
use tonic::{Code, Response, Status};

use crate::builder::{AuthChannel, MESSAGE_LIMIT, innermost};
use crate::connector::NotConnected;
use crate::{ClientBuilder, Error, Result};

/// A client of one node. Cheap to clone; clones share the connection.
///
/// Every call sends a read mask with exactly the fields it needs, takes
/// zstd-compressed answers, and treats every field of an answer as possibly
/// absent.
#[derive(Clone)]
pub struct Client {
    channel: AuthChannel,
    shared: Arc<Shared>,
}

struct Shared {
    url: String,
    read_timeout: Duration,
    state_limit: usize,
    /// Set once the node has said that it has no registry service.
    no_registry: AtomicBool,
}

impl Client {
    /// A client of the node at `url` with the defaults of [`ClientBuilder`].
    /// Nothing is sent before the first call.
    ///
    /// # Errors
    /// As [`ClientBuilder::build`].
    pub fn new(url: impl Into<String>) -> Result<Self> {
        ClientBuilder::new(url).build()
    }

    /// The node's URL, without credentials.
    pub fn url(&self) -> &str {
        &self.shared.url
    }

    pub(crate) fn from_parts(
        channel: AuthChannel,
        url: String,
        read_timeout: Duration,
        state_limit: usize,
    ) -> Self {
        let no_registry = AtomicBool::new(false);
        let shared = Arc::new(Shared { url, read_timeout, state_limit, no_registry });
        Self { channel, shared }
    }

    pub(crate) fn ledger(&self) -> LedgerServiceClient<AuthChannel> {
        LedgerServiceClient::new(self.channel.clone())
            .accept_compressed(Zstd)
            .max_decoding_message_size(MESSAGE_LIMIT)
    }

    /// For answers that may hold the whole system state.
    pub(crate) fn ledger_for_state(&self) -> LedgerServiceClient<AuthChannel> {
        self.ledger().max_decoding_message_size(self.shared.state_limit)
    }

    pub(crate) fn state(&self) -> StateServiceClient<AuthChannel> {
        StateServiceClient::new(self.channel.clone())
            .accept_compressed(Zstd)
            .max_decoding_message_size(MESSAGE_LIMIT)
    }

    pub(crate) fn execution(&self) -> TransactionExecutionServiceClient<AuthChannel> {
        TransactionExecutionServiceClient::new(self.channel.clone())
            .accept_compressed(Zstd)
            .max_decoding_message_size(MESSAGE_LIMIT)
    }

    pub(crate) fn subscription(&self) -> SubscriptionServiceClient<AuthChannel> {
        SubscriptionServiceClient::new(self.channel.clone())
            .accept_compressed(Zstd)
            .max_decoding_message_size(MESSAGE_LIMIT)
    }

    /// The service of narrow reads, unless the node is known not to have it.
    pub(crate) fn registry(&self) -> Option<RegistryServiceClient<AuthChannel>> {
        if self.shared.no_registry.load(Ordering::Relaxed) {
            return None;
        }
        let client = RegistryServiceClient::new(self.channel.clone());
        Some(client.accept_compressed(Zstd).max_decoding_message_size(MESSAGE_LIMIT))
    }

    /// Remembers that the node has no service of narrow reads.
    pub(crate) fn forget_registry(&self) {
        self.shared.no_registry.store(true, Ordering::Relaxed);
    }

    pub(crate) fn read_timeout(&self) -> Duration {
        self.shared.read_timeout
    }

    /// Makes a call that only reads.
    pub(crate) async fn read<T>(
        &self,
        call: &'static str,
        answer: impl Future<Output = Result<Response<T>, Status>>,
    ) -> Result<T> {
        within(self.read_timeout(), call, self.url(), answer).await
    }

    /// Turns a status into an error of ours.
    pub(crate) fn error(&self, call: &'static str, status: &Status) -> Error {
        error_of(call, self.url(), status)
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("url", &self.shared.url).finish_non_exhaustive()
    }
}

/// Waits for an answer, but not for ever.
pub(crate) async fn within<T>(
    timeout: Duration,
    call: &'static str,
    url: &str,
    answer: impl Future<Output = Result<Response<T>, Status>>,
) -> Result<T> {
    match tokio::time::timeout(timeout, answer).await {
        Ok(Ok(response)) => Ok(response.into_inner()),
        Ok(Err(status)) => Err(error_of(call, url, &status)),
        Err(_) => Err(Error::Timeout { call, url: url.to_owned(), timeout }),
    }
}

/// A status made by the library carries a cause or speaks of our own limits;
/// all others are the node's.
pub(crate) fn error_of(call: &'static str, url: &str, status: &Status) -> Error {
    if let Some(cause) = std::error::Error::source(status) {
        return Error::Transport { call, url: url.to_owned(), cause: innermost(cause) };
    }
    if let (Code::OutOfRange, Some(limit)) = (status.code(), own_limit(status.message())) {
        return Error::TooLarge { call, limit };
    }
    let field = violations(status)
        .into_iter()
        .map(|violation| violation.field)
        .find(|field| !field.is_empty());
    Error::Status { call, code: status.code(), message: one_line(status.message()), field }
}

/// Whether the call failed before there was a connection to send it over.
pub(crate) fn was_not_sent(status: &Status) -> bool {
    let mut cause = std::error::Error::source(status);
    while let Some(error) = cause {
        if error.is::<NotConnected>() || error.is::<tonic::ConnectError>() {
            return true;
        }
        cause = error.source();
    }
    false
}

/// The limit in the library's complaint about a message that is too long.
fn own_limit(message: &str) -> Option<usize> {
    let text = message.split_once("message length too large")?.1;
    let limit = text.split_once("the limit is: ")?.1;
    limit.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

/// A server's text on one line and without control characters: it goes to terminals.
fn one_line(text: &str) -> String {
    let words: Vec<_> = text
        .split(|c: char| c.is_whitespace() || c.is_control())
        .filter(|w| !w.is_empty())
        .collect();
    words.join(" ")
}
