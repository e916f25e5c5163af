//! Sending transactions, so that nobody ever has to guess what became of one.
//!
//! A transaction's digest is known before it is sent, and a node that is sent
//! the same transaction twice answers with the first result. So whatever goes
//! wrong after the first byte has left is settled by asking for the digest, or
//! by sending the very same bytes again, and only when the time is up without
//! an answer is the outcome called unknown.

use std::time::Duration;

use soma_proto::grpc::convert::{execute_request, transaction_request};
use soma_proto::grpc::mask::field_mask;
use soma_proto::grpc::pb;
use soma_proto::{SignedTransaction, TransactionData, TransactionDigest};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tonic::{Code, Status};

use crate::answer::{Answer, Executed, Simulated};
use crate::builder::EXECUTE_TIMEOUT;
use crate::client::was_not_sent;
use crate::watch::Seen;
use crate::{Client, Error, Result};

const CALL: &str = "ExecuteTransaction";

/// The first pause before a transaction is sent again; it doubles.
const FIRST_PAUSE: Duration = Duration::from_millis(200);

/// The longest such pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// How long the answer to a transaction that was seen in a checkpoint may take
/// before its result is looked up.
const GRACE: Duration = Duration::from_secs(1);

/// The last question before an outcome is called unknown.
const LAST_LOOKUP: Duration = Duration::from_secs(2);

/// What one request brought.
enum Delivery {
    Executed(Box<Executed>),
    /// The node will not have it; it was not executed by this request.
    Refused(Error),
    /// There was no connection.
    NotSent(Error),
    /// It may have been executed. `lasting` is set if the answer will hardly
    /// change by asking again.
    Unknown {
        error: Error,
        lasting: bool,
    },
}

impl Client {
    /// Runs a transaction on the node's state without sending it: no
    /// signature, no lock, no fee.
    ///
    /// Never do this with a reveal before its window is open: the node learns
    /// the URL and the key.
    ///
    /// # Errors
    /// [`Error::Status`] if it would be refused, [`Error::Unsendable`],
    /// [`Error::Malformed`] and those of the connection.
    pub async fn simulate(&self, data: &TransactionData) -> Result<Simulated> {
        let call = "SimulateTransaction";
        let request = pb::SimulateTransactionRequest {
            transaction: Some(transaction_request(data).map_err(unsendable)?),
            read_mask: Some(field_mask(&["transaction.effects", "transaction.balance_changes"])),
            checks: None,
        };
        let answer = self.read(call, self.execution().simulate_transaction(request)).await?;
        let transaction = Answer(call).need("transaction", answer.transaction)?;
        Ok(Simulated {
            effects: Answer(call).read("transaction.effects", transaction.effects)?,
            balance_changes: Answer(call).balance_changes(transaction.balance_changes)?,
        })
    }

    /// Executes a transaction; does not wait for its checkpoint. A failure on
    /// chain is no error here: see [`Executed::effects`]. Sending a transaction
    /// that was executed before gives its first result.
    ///
    /// # Errors
    /// [`Error::Transport`] if nothing was sent, [`Error::Status`] if the node
    /// refused it: both are safe to try again. [`Error::OutcomeUnknown`] if it
    /// was sent and nobody knows. [`Error::Unsendable`].
    pub async fn execute(&self, transaction: &SignedTransaction) -> Result<Executed> {
        self.deliver(transaction, Instant::now() + EXECUTE_TIMEOUT).await
    }

    /// Executes a transaction and waits until it is in a checkpoint, so that
    /// whatever is read next sees what it did.
    ///
    /// The node's stream of checkpoints is opened first and watched for the
    /// digest; where it is not to be had, or breaks, the transaction is looked
    /// up from time to time instead.
    ///
    /// # Errors
    /// As [`Client::execute`]; [`Error::OutcomeUnknown`] also if it was
    /// executed and is in no checkpoint when `timeout` ends.
    pub async fn execute_and_wait(
        &self,
        transaction: &SignedTransaction,
        timeout: Duration,
    ) -> Result<Executed> {
        let digest = transaction.digest();
        // Nothing is sent if it could not be; the stream comes before the first byte.
        execute_request(transaction, EXECUTE_MASK).map_err(unsendable)?;
        let deadline = Instant::now() + timeout;
        let stream = self.open_stream(deadline).await?;

        let mut watch = std::pin::pin!(self.watch(&digest, stream));
        let mut deliver = std::pin::pin!(self.deliver(transaction, deadline));
        let mut executed: Option<Executed> = None;
        let mut seen: Option<Seen> = None;
        let mut delivering = true;
        let mut answer_due = deadline;
        loop {
            tokio::select! {
                delivered = &mut deliver, if delivering && executed.is_none() => match delivered {
                    Ok(result) => executed = Some(result),
                    // Already in a checkpoint, so only the answer was lost.
                    Err(_) if seen.is_some() => (delivering, answer_due) = (false, Instant::now()),
                    Err(error) => return Err(error),
                },
                found = &mut watch, if seen.is_none() => {
                    answer_due = deadline.min(Instant::now() + GRACE);
                    executed = executed.or_else(|| found.executed.clone());
                    seen = Some(found);
                }
                () = sleep_until(answer_due), if seen.is_some() && executed.is_none() => {
                    return self.settle(&digest, "it is in a checkpoint, but its result cannot be read").await;
                }
                () = sleep_until(deadline) => {
                    let waited = timeout.as_secs_f64();
                    return self.settle(&digest, &match executed {
                        Some(_) => format!("it was executed, but is in no checkpoint after {waited} s"),
                        None => format!("no answer within {waited} s"),
                    }).await;
                }
            }
            if let (Some(executed), Some(seen)) = (&executed, &seen) {
                return Ok(Executed {
                    checkpoint: Some(seen.checkpoint),
                    timestamp_ms: seen.timestamp_ms.or(executed.timestamp_ms),
                    ..executed.clone()
                });
            }
        }
    }

    /// Looks a transaction up for the last time; it must be in a checkpoint.
    async fn settle(&self, digest: &TransactionDigest, otherwise: &str) -> Result<Executed> {
        let reason = match timeout(LAST_LOOKUP, self.transaction(digest)).await {
            Ok(Ok(Some(executed))) if executed.checkpoint.is_some() => return Ok(executed),
            Ok(Err(error)) => format!("{otherwise}; looking it up failed too: {error}"),
            _ => otherwise.to_owned(),
        };
        Err(Error::OutcomeUnknown { digest: *digest, reason })
    }

    /// Sends a transaction until its result is known or the time is up.
    async fn deliver(
        &self,
        transaction: &SignedTransaction,
        deadline: Instant,
    ) -> Result<Executed> {
        let digest = transaction.digest();
        let request = execute_request(transaction, EXECUTE_MASK).map_err(unsendable)?;
        let mut pause = FIRST_PAUSE;
        // Why the outcome of an earlier request is not known.
        let mut doubt: Option<(Error, bool)> = None;
        let unknown = |error: &Error| Error::OutcomeUnknown { digest, reason: error.to_string() };
        loop {
            match (self.send_once(&digest, request.clone(), deadline).await, doubt.take()) {
                (Delivery::Executed(executed), _) => return Ok(*executed),
                (Delivery::NotSent(error) | Delivery::Refused(error), None) => return Err(error),
                (Delivery::NotSent(_), Some(earlier)) => doubt = Some(earlier),
                (Delivery::Refused(error), Some(_)) => {
                    // The first request may have got through after all.
                    return match self.lookup(&digest, deadline).await {
                        Some(executed) => Ok(executed),
                        None => Err(unknown(&error)),
                    };
                }
                (Delivery::Unknown { error, lasting }, earlier) => {
                    let repeated = lasting && earlier.is_some_and(|(_, lasting)| lasting);
                    if let Some(executed) = self.lookup(&digest, deadline).await {
                        return Ok(executed);
                    }
                    if repeated {
                        return Err(unknown(&error));
                    }
                    doubt = Some((error, lasting));
                }
            }
            if let Some((error, _)) = doubt.as_ref().filter(|_| Instant::now() + pause >= deadline)
            {
                return match timeout(LAST_LOOKUP, self.transaction(&digest)).await {
                    Ok(Ok(Some(executed))) => Ok(executed),
                    _ => Err(unknown(error)),
                };
            }
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn send_once(
        &self,
        digest: &TransactionDigest,
        request: pb::ExecuteTransactionRequest,
        deadline: Instant,
    ) -> Delivery {
        let mut client = self.execution();
        let left = deadline.saturating_duration_since(Instant::now());
        match timeout(left, client.execute_transaction(request)).await {
            Ok(Ok(response)) => {
                match Answer(CALL).executed(digest, response.into_inner().transaction) {
                    Ok(executed) => Delivery::Executed(Box::new(executed)),
                    Err(error) => Delivery::Unknown { error, lasting: true },
                }
            }
            Ok(Err(status)) => self.judge(&status),
            Err(_) => {
                let error =
                    Error::Timeout { call: CALL, url: self.url().to_owned(), timeout: left };
                Delivery::Unknown { error, lasting: false }
            }
        }
    }

    /// What a status says about the transaction.
    fn judge(&self, status: &Status) -> Delivery {
        let error = self.error(CALL, status);
        if was_not_sent(status) {
            return Delivery::NotSent(error);
        }
        match (&error, status.code()) {
            // The library's own: the connection broke.
            (Error::Transport { .. }, _) => Delivery::Unknown { error, lasting: false },
            (
                _,
                Code::InvalidArgument
                | Code::FailedPrecondition
                | Code::NotFound
                | Code::PermissionDenied
                | Code::Unauthenticated
                | Code::Unimplemented,
            ) => Delivery::Refused(error),
            (
                _,
                Code::Unavailable
                | Code::AlreadyExists
                | Code::DeadlineExceeded
                | Code::ResourceExhausted,
            ) => Delivery::Unknown { error, lasting: false },
            _ => Delivery::Unknown { error, lasting: true },
        }
    }

    /// The result of a transaction, if it can be had at once.
    async fn lookup(&self, digest: &TransactionDigest, deadline: Instant) -> Option<Executed> {
        let left = deadline.saturating_duration_since(Instant::now()).max(LAST_LOOKUP);
        timeout(left, self.transaction(digest)).await.ok()?.ok()?
    }
}

/// Objects are not asked for: the system state is among them.
const EXECUTE_MASK: &[&str] = &["effects", "balance_changes"];

fn unsendable(error: soma_proto::Error) -> Error {
    Error::Unsendable { reason: error.to_string() }
}
