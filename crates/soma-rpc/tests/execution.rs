//! No transaction is ever lost: the real client against a node that breaks off,
//! forgets to answer, or says nothing useful.

mod node;

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use node::{
    Checkpoints, Node, Wire, checkpoint, checkpointed, effects, executed, later, now, transfer,
};
use soma_proto::TransactionDigest;
use soma_proto::effects::{ExecutionFailure, ExecutionStatus};
use soma_proto::grpc::pb;
use soma_rpc::{Client, Code, Error};
use tokio::sync::{Notify, broadcast};
use tonic::Status;

const ENOUGH: Duration = Duration::from_secs(20);

/// Where the test pushes checkpoints into the node's stream.
fn stream()
-> (broadcast::Sender<pb::SubscribeCheckpointsResponse>, impl Fn() -> Checkpoints + Clone) {
    let (sender, _) = broadcast::channel(16);
    let source = sender.clone();
    let open = move || -> Checkpoints {
        let receiver = source.subscribe();
        futures::stream::unfold(receiver, |mut receiver| async {
            Some((Ok(receiver.recv().await.ok()?), receiver))
        })
        .boxed()
    };
    (sender, open)
}

fn answer(digest: TransactionDigest) -> Result<pb::ExecuteTransactionResponse, Status> {
    Ok(pb::ExecuteTransactionResponse { transaction: Some(executed(digest)) })
}

fn found(digest: TransactionDigest) -> Result<pb::GetTransactionResponse, Status> {
    Ok(pb::GetTransactionResponse { transaction: Some(checkpointed(digest, 77)) })
}

fn not_found<T>() -> Result<T, Status> {
    Err(Status::not_found("Transaction not found"))
}

/// The control: a node that does everything right.
#[tokio::test]
async fn a_good_node() {
    let transaction = transfer();
    let digest = transaction.digest();
    let (checkpoints, open) = stream();
    let running = Node {
        subscribe: now(move |_, _| Ok(open())),
        execute: now(move |_, request: pb::ExecuteTransactionRequest| {
            let sent = request.transaction.unwrap();
            assert_eq!(sent.digest, Some(digest.to_string()));
            assert_eq!(request.signatures.len(), 1);
            for height in 40..43 {
                let others = [TransactionDigest::new([height; 32])];
                checkpoints.send(checkpoint(u64::from(height), &others)).unwrap();
            }
            checkpoints.send(checkpoint(43, &[TransactionDigest::ZERO, digest])).unwrap();
            answer(digest)
        }),
        ..Node::default()
    }
    .start()
    .await;

    let result = running.client().execute_and_wait(&transaction, ENOUGH).await.unwrap();
    assert_eq!(result.digest, digest);
    assert!(result.effects.is_success());
    assert_eq!((result.checkpoint, result.timestamp_ms), (Some(43), Some(1_600_000_000_000)));
    assert_eq!(
        result.balance_changes.iter().map(|change| change.amount).collect::<Vec<_>>(),
        [-1_605, 5]
    );
    // The stream stands before anything is sent, and nothing else is asked.
    assert_eq!(running.log.names(), ["SubscribeCheckpoints", "ExecuteTransaction"]);
    assert_eq!(running.log.mask("ExecuteTransaction"), ["effects", "balance_changes"]);
    assert_eq!(
        running.log.mask("SubscribeCheckpoints"),
        ["transactions.digest", "sequence_number", "summary.timestamp"]
    );
}

#[tokio::test]
async fn a_failure_on_chain_is_a_result() {
    let transaction = transfer();
    let digest = transaction.digest();
    let running = Node {
        execute: now(move |_, _| {
            let failed = ExecutionStatus::Failure { error: ExecutionFailure::InsufficientGas };
            let mut transaction = executed(digest);
            transaction.effects = Some((&effects(digest, failed)).into());
            Ok(pb::ExecuteTransactionResponse { transaction: Some(transaction) })
        }),
        ..Node::default()
    }
    .start()
    .await;
    let result = running.client().execute(&transaction).await.unwrap();
    assert_eq!(result.effects.failure().unwrap().name(), "InsufficientGas");
}

/// A failure that this release has no name for is still a failure.
#[tokio::test]
async fn an_unknown_kind_of_failure_is_a_failure() {
    let transaction = transfer();
    let digest = transaction.digest();
    let running = Node {
        execute: now(move |_, _| {
            let mut transaction = executed(digest);
            transaction.effects.as_mut().unwrap().status = Some(pb::ExecutionStatus {
                success: Some(false),
                error: Some(pb::ExecutionError {
                    kind: Some(9_999),
                    description: Some("new".into()),
                    ..Default::default()
                }),
            });
            Ok(pb::ExecuteTransactionResponse { transaction: Some(transaction) })
        }),
        ..Node::default()
    }
    .start()
    .await;
    let result = running.client().execute(&transaction).await.unwrap();
    assert!(!result.effects.is_success());
}

#[tokio::test]
async fn a_broken_stream_is_opened_again() {
    let transaction = transfer();
    let digest = transaction.digest();
    let (checkpoints, open) = stream();
    let running = Node {
        subscribe: now(move |n, _| match n {
            0 => Ok(futures::stream::iter([
                Ok(checkpoint(1, &[])),
                Err(Status::unavailable("going down")),
            ])
            .boxed()),
            _ => {
                let (stream, checkpoints) = (open(), checkpoints.clone());
                tokio::spawn(async move {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    checkpoints.send(checkpoint(9, &[digest])).unwrap();
                });
                Ok(stream)
            }
        }),
        execute: now(move |_, _| answer(digest)),
        transaction: now(|_, _| not_found()),
        ..Node::default()
    }
    .start()
    .await;
    let result = running.client().execute_and_wait(&transaction, ENOUGH).await.unwrap();
    assert_eq!(result.checkpoint, Some(9));
    assert_eq!(running.log.count("SubscribeCheckpoints"), 2);
    assert_eq!(running.log.count("ExecuteTransaction"), 1);
}

/// The checkpoint goes by between the old stream and the new one.
#[tokio::test]
async fn what_a_broken_stream_missed_is_looked_up() {
    let transaction = transfer();
    let digest = transaction.digest();
    let running = Node {
        subscribe: now(|_, _| Ok(futures::stream::iter([Ok(checkpoint(1, &[]))]).boxed())),
        execute: now(move |_, _| answer(digest)),
        transaction: now(move |n, _| if n == 0 { not_found() } else { found(digest) }),
        ..Node::default()
    }
    .start()
    .await;
    let result = running.client().execute_and_wait(&transaction, ENOUGH).await.unwrap();
    assert_eq!((result.checkpoint, result.timestamp_ms), (Some(77), Some(1_700_000_000_005)));
    assert_eq!(running.log.count("ExecuteTransaction"), 1);
}

#[tokio::test]
async fn a_node_without_subscriptions_is_asked_by_digest() {
    let transaction = transfer();
    let digest = transaction.digest();
    let running = Node {
        execute: now(move |_, _| answer(digest)),
        transaction: now(move |_, _| found(digest)),
        ..Node::default()
    }
    .start()
    .await;
    let result = running.client().execute_and_wait(&transaction, ENOUGH).await.unwrap();
    assert_eq!(result.checkpoint, Some(77));
    assert_eq!(running.log.count("SubscribeCheckpoints"), 1);
}

/// Headers that never come must not keep the transaction from being sent.
#[tokio::test]
async fn slow_headers_of_the_stream_are_done_without() {
    let transaction = transfer();
    let digest = transaction.digest();
    let running = Node {
        subscribe: later(|_, _| futures::future::pending()),
        execute: now(move |_, _| answer(digest)),
        transaction: now(move |_, _| found(digest)),
        ..Node::default()
    }
    .start()
    .await;
    let begun = Instant::now();
    let result =
        running.client().execute_and_wait(&transaction, Duration::from_secs(12)).await.unwrap();
    assert_eq!(result.checkpoint, Some(77));
    assert!(begun.elapsed() < Duration::from_secs(12));
}

/// An open stream that shows nothing: the transaction had been executed before.
#[tokio::test]
async fn a_transaction_of_yesterday_is_found_although_the_stream_is_silent() {
    let transaction = transfer();
    let digest = transaction.digest();
    let (_checkpoints, open) = stream();
    let running = Node {
        subscribe: now(move |_, _| Ok(open())),
        execute: now(move |_, _| answer(digest)),
        transaction: now(move |_, _| found(digest)),
        ..Node::default()
    }
    .start()
    .await;
    let result = running.client().execute_and_wait(&transaction, ENOUGH).await.unwrap();
    assert_eq!(result.checkpoint, Some(77));
}

#[tokio::test]
async fn a_message_without_cursor_has_its_height_inside() {
    let transaction = transfer();
    let digest = transaction.digest();
    let running = Node {
        subscribe: now(move |_, _| {
            let mut message = checkpoint(31, &[digest]);
            message.cursor = None;
            message.checkpoint.as_mut().unwrap().summary = None;
            Ok(futures::stream::iter([Ok(message)]).chain(futures::stream::pending()).boxed())
        }),
        execute: now(move |_, _| answer(digest)),
        ..Node::default()
    }
    .start()
    .await;
    let result = running.client().execute_and_wait(&transaction, ENOUGH).await.unwrap();
    assert_eq!((result.checkpoint, result.timestamp_ms), (Some(31), None));
}

/// The control for all that follows: nothing listens, nothing was sent.
#[tokio::test]
async fn nobody_there_means_nothing_sent() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let client = Client::new(&url).unwrap();
    for error in [
        client.execute_and_wait(&transfer(), ENOUGH).await.unwrap_err(),
        client.execute(&transfer()).await.unwrap_err(),
        client.epoch().await.unwrap_err(),
    ] {
        assert!(
            matches!(&error, Error::Transport { url: shown, .. } if *shown == format!("{url}/")),
            "{error}"
        );
        assert!(error.is_retriable() && error.is_unreachable());
        assert!(error.to_string().to_lowercase().contains("refused"), "{error}");
    }
}

#[tokio::test]
async fn a_refusal_is_final_and_keeps_the_nodes_words() {
    let (_checkpoints, open) = stream();
    let running = Node {
        subscribe: now(move |_, _| Ok(open())),
        execute: now(|_, _| {
            use soma_proto::grpc::status::Violation;
            let mut violation =
                Violation::invalid("signatures[0]", "Invalid user signature: of somebody else");
            violation.description.push_str("\n\x1b[2Jgone");
            Err(violation.into())
        }),
        ..Node::default()
    }
    .start()
    .await;
    let error = running.client().execute_and_wait(&transfer(), ENOUGH).await.unwrap_err();
    let Error::Status { code, message, field, .. } = &error else { panic!("{error:?}") };
    assert_eq!(*code, Code::InvalidArgument);
    assert_eq!(message, "Invalid user signature: of somebody else [2Jgone");
    assert_eq!(field.as_deref(), Some("signatures[0]"));
    assert!(!error.is_retriable());
    assert_eq!(running.log.count("ExecuteTransaction"), 1);
}

/// The wire is cut after the node has executed and before it has answered.
#[tokio::test]
async fn a_lost_answer_is_looked_up_by_digest() {
    let transaction = transfer();
    let digest = transaction.digest();
    let cut = Arc::new(Notify::new());
    let scissors = cut.clone();
    let running = Node {
        execute: later(move |n, _| {
            let scissors = scissors.clone();
            async move {
                assert_eq!(n, 0, "it was executed; nothing is to be sent again");
                scissors.notify_waiters();
                futures::future::pending().await
            }
        }),
        transaction: now(move |_, _| found(digest)),
        ..Node::default()
    }
    .start()
    .await;
    let wire = Wire::to(running.address, cut).await;
    let client = Client::new(&wire.url).unwrap();
    let result = client.execute(&transaction).await.unwrap();
    assert_eq!((result.digest, result.checkpoint), (digest, Some(77)));
}

/// The wire is cut before the node has done anything: the same bytes are sent again.
#[tokio::test]
async fn a_lost_request_is_sent_again_unchanged() {
    let transaction = transfer();
    let digest = transaction.digest();
    let cut = Arc::new(Notify::new());
    let scissors = cut.clone();
    let first = std::sync::Mutex::new(None::<pb::ExecuteTransactionRequest>);
    let running = Node {
        execute: later(move |n, request: pb::ExecuteTransactionRequest| {
            let mut first = first.lock().unwrap();
            let same = first.get_or_insert_with(|| request.clone()) == &request;
            let scissors = scissors.clone();
            async move {
                assert!(same);
                if n == 0 {
                    scissors.notify_waiters();
                    futures::future::pending::<()>().await;
                }
                answer(digest)
            }
        }),
        transaction: now(move |_, _| not_found()),
        ..Node::default()
    }
    .start()
    .await;
    let wire = Wire::to(running.address, cut).await;
    let result = Client::new(&wire.url).unwrap().execute(&transaction).await.unwrap();
    assert_eq!(result.digest, digest);
    assert_eq!(running.log.names(), ["ExecuteTransaction", "GetTransaction", "ExecuteTransaction"]);
}

/// The wire is cut while both the stream and the answer are awaited.
#[tokio::test]
async fn a_cut_in_the_middle_of_waiting() {
    let transaction = transfer();
    let digest = transaction.digest();
    let cut = Arc::new(Notify::new());
    let running = Node {
        subscribe: now(|_, _| Ok(futures::stream::pending().boxed())),
        execute: later(move |_, _| async move {
            tokio::time::sleep(Duration::from_secs(2)).await;
            answer(digest)
        }),
        transaction: now(move |n, _| if n < 2 { not_found() } else { found(digest) }),
        ..Node::default()
    }
    .start()
    .await;
    let wire = Wire::to(running.address, cut).await;
    let client = Client::new(&wire.url).unwrap();
    let waiting = tokio::spawn(async move { client.execute_and_wait(&transaction, ENOUGH).await });
    while running.log.count("ExecuteTransaction") == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    wire.cut();
    assert_eq!(waiting.await.unwrap().unwrap().checkpoint, Some(77));
}

#[tokio::test]
async fn an_outcome_that_nobody_knows_is_said_to_be_unknown() {
    let transaction = transfer();
    let digest = transaction.digest();
    let running = Node {
        execute: now(|_, _| Err(Status::unavailable("no finality within 90 s"))),
        transaction: now(|_, _| not_found()),
        ..Node::default()
    }
    .start()
    .await;
    let begun = Instant::now();
    let error =
        running.client().execute_and_wait(&transaction, Duration::from_secs(2)).await.unwrap_err();
    assert!(
        matches!(&error, Error::OutcomeUnknown { digest: found, .. } if *found == digest),
        "{error}"
    );
    assert!(error.to_string().contains(&digest.to_string()) && !error.is_retriable());
    assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
    assert!(running.log.count("ExecuteTransaction") > 1 && running.log.count("GetTransaction") > 1);
}

#[tokio::test]
async fn executed_but_in_no_checkpoint_is_unknown_too() {
    let transaction = transfer();
    let digest = transaction.digest();
    let running = Node {
        subscribe: now(|_, _| Ok(futures::stream::pending().boxed())),
        execute: now(move |_, _| answer(digest)),
        transaction: now(move |_, _| {
            Ok(pb::GetTransactionResponse { transaction: Some(executed(digest)) })
        }),
        ..Node::default()
    }
    .start()
    .await;
    let error =
        running.client().execute_and_wait(&transaction, Duration::from_secs(5)).await.unwrap_err();
    let Error::OutcomeUnknown { reason, .. } = error else { panic!("{error}") };
    assert!(reason.contains("executed"), "{reason}");
}

/// A node that never answers at all.
#[tokio::test]
async fn silence_ends_when_the_time_is_up() {
    let running = Node {
        execute: later(|_, _| futures::future::pending()),
        transaction: later(|_, _| futures::future::pending()),
        ..Node::default()
    }
    .start()
    .await;
    let begun = Instant::now();
    let error =
        running.client().execute_and_wait(&transfer(), Duration::from_secs(1)).await.unwrap_err();
    assert!(matches!(error, Error::OutcomeUnknown { .. }), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
}

/// It was seen in a checkpoint, but Execute keeps its answer to itself.
#[tokio::test]
async fn a_transaction_seen_in_a_checkpoint_needs_no_answer() {
    let transaction = transfer();
    let digest = transaction.digest();
    let (checkpoints, open) = stream();
    let running = Node {
        subscribe: now(move |_, _| Ok(open())),
        execute: later(move |_, _| {
            checkpoints.send(checkpoint(77, &[digest])).unwrap();
            futures::future::pending()
        }),
        transaction: now(move |_, _| found(digest)),
        ..Node::default()
    }
    .start()
    .await;
    let begun = Instant::now();
    let result = running.client().execute_and_wait(&transaction, ENOUGH).await.unwrap();
    assert_eq!(result.checkpoint, Some(77));
    assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
}

/// An answer about another transaction, or without effects, proves nothing.
#[tokio::test]
async fn an_answer_that_cannot_be_read_is_looked_up() {
    let transaction = transfer();
    let digest = transaction.digest();
    for wrong in [executed(TransactionDigest::ZERO), pb::ExecutedTransaction::default()] {
        let running = Node {
            execute: now(move |_, _| {
                Ok(pb::ExecuteTransactionResponse { transaction: Some(wrong.clone()) })
            }),
            transaction: now(move |n, _| if n == 0 { not_found() } else { found(digest) }),
            ..Node::default()
        }
        .start()
        .await;
        let result = running.client().execute(&transaction).await.unwrap();
        assert_eq!(result.digest, digest);
    }
}

/// A fault inside the node will hardly go away: two tries, then the truth.
#[tokio::test]
async fn a_lasting_fault_is_not_repeated_for_ever() {
    let running = Node {
        execute: now(|_, _| Err(Status::internal("disk on fire"))),
        transaction: now(|_, _| not_found()),
        ..Node::default()
    }
    .start()
    .await;
    let error = running.client().execute(&transfer()).await.unwrap_err();
    let Error::OutcomeUnknown { reason, .. } = error else { panic!("{error}") };
    assert!(reason.contains("disk on fire"), "{reason}");
    assert_eq!(running.log.count("ExecuteTransaction"), 2);
}

/// Refused after a doubtful first try: the first may still have got through.
#[tokio::test]
async fn a_refusal_after_a_doubt_is_no_refusal() {
    let running = Node {
        execute: now(|n, _| match n {
            0 => Err(Status::unavailable("busy")),
            _ => Err(Status::failed_precondition("locked")),
        }),
        transaction: now(|_, _| not_found()),
        ..Node::default()
    }
    .start()
    .await;
    let error = running.client().execute(&transfer()).await.unwrap_err();
    assert!(matches!(error, Error::OutcomeUnknown { .. }), "{error}");
}

#[tokio::test]
async fn what_messages_cannot_carry_is_not_sent() {
    use soma_proto::{Address, KeyPair, TransactionData, TransactionKind};
    let running = Node::default().start().await;
    let key = KeyPair::from_bytes([1; 32]);
    let kind = TransactionKind::PayCoins {
        coins: Vec::new(),
        amounts: None,
        recipients: vec![Address::ZERO],
    };
    let transaction = TransactionData::new(kind, key.address(), Vec::new()).sign(&key);
    let error = running.client().execute_and_wait(&transaction, ENOUGH).await.unwrap_err();
    assert!(matches!(error, Error::Unsendable { .. }), "{error}");
    assert!(running.log.names().is_empty());
}

#[tokio::test]
async fn a_simulation_asks_one_level_higher() {
    let transaction = transfer();
    let digest = transaction.digest();
    let running = Node {
        simulate: now(move |_, _| {
            Ok(pb::SimulateTransactionResponse { transaction: Some(executed(digest)) })
        }),
        ..Node::default()
    }
    .start()
    .await;
    let result = running.client().simulate(&transaction.data).await.unwrap();
    assert!(result.effects.is_success());
    assert_eq!(result.balance_changes.len(), 2);
    assert_eq!(
        running.log.mask("SimulateTransaction"),
        ["transaction.effects", "transaction.balance_changes"]
    );
}
