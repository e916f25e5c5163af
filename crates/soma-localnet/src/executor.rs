//! The one thread that changes the chain.
//!
//! Transactions wait in a queue. The thread takes all that wait, executes them
//! one after the other, puts them into one checkpoint, writes everything in one
//! durable commit, publishes the checkpoint, and only then answers. While it
//! waits for the disk the next batch gathers, so that concurrent callers share
//! a sync and a single caller pays for one.
//!
//! The clock is read here and nowhere below.

use std::collections::HashMap;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, PoisonError, RwLock};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use soma_ledger::{Checks, Execution, Rejection};
use soma_proto::{SignedTransaction, TransactionData, TransactionDigest};
use tokio::sync::oneshot;

use crate::chain::Chain;
use crate::hub::Hub;
use crate::ingestion::Ingestion;
use crate::store::{Store, StoredTransaction};
use crate::{Error, Result};

/// Requests that are looked at before what they changed is committed. Bounds
/// the transactions of a checkpoint, and how long the first of them waits.
const MAX_BATCH: usize = 512;
/// How long the thread sleeps at most before it looks at the clock again, so
/// that a clock that was set forward is noticed.
const MAX_SLEEP: Duration = Duration::from_secs(1);

/// Why a transaction has no effects.
#[derive(Clone, Debug)]
pub(crate) enum Refused {
    /// It was not executed, and it is the sender's fault.
    Rejected(Rejection),
    /// The network stopped or its database failed; the outcome may be unknown.
    Unavailable(String),
}

type Reply<T> = oneshot::Sender<Result<T, Refused>>;

enum Command {
    Execute(Box<SignedTransaction>, Reply<Arc<StoredTransaction>>),
    Simulate(Box<TransactionData>, Checks, Reply<Box<Execution>>),
    AdvanceEpoch(Reply<u64>),
    Stop,
}

/// What the newest checkpoint says, for those who need nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    /// Epoch of the newest checkpoint.
    pub(crate) epoch: u64,
    /// Its height.
    pub(crate) height: u64,
    /// Its time, milliseconds since 1970.
    pub(crate) timestamp_ms: u64,
}

/// The way to the thread.
#[derive(Clone, Debug)]
pub(crate) struct Executor {
    queue: Sender<Command>,
    head: Arc<RwLock<Head>>,
}

/// The running thread. It ends when it is told to or when the database fails.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) thread: thread::JoinHandle<()>,
    /// Yields when the thread ends: why, or nothing if it was told to.
    pub(crate) ended: oneshot::Receiver<Option<Error>>,
}

impl Executor {
    /// Starts the thread.
    pub(crate) fn start(
        chain: Chain,
        store: Arc<Store>,
        hub: Arc<Hub>,
        ingestion: Option<Ingestion>,
    ) -> Result<(Self, Running)> {
        let newest = store.snapshot()?.newest_checkpoint()?.certified.summary;
        let head = Arc::new(RwLock::new(Head {
            epoch: newest.epoch,
            height: newest.sequence_number,
            timestamp_ms: newest.timestamp_ms,
        }));
        let (queue, commands) = mpsc::channel();
        let (end, ended) = oneshot::channel();
        let worker = Worker { chain, store, hub, ingestion, commands, head: Arc::clone(&head) };
        let thread = thread::Builder::new()
            .name("soma-executor".to_owned())
            .spawn(move || drop(end.send(worker.run().err())))
            .map_err(|e| Error::io("start a thread for", "the executor", e))?;
        Ok((Self { queue, head }, Running { thread, ended }))
    }

    /// Executes a transaction whose signature has been verified, or gives the
    /// stored result of one that was executed before.
    pub(crate) async fn execute(
        &self,
        transaction: SignedTransaction,
    ) -> Result<Arc<StoredTransaction>, Refused> {
        self.ask(|reply| Command::Execute(Box::new(transaction), reply)).await
    }

    /// Executes without consequences.
    pub(crate) async fn simulate(
        &self,
        data: TransactionData,
        checks: Checks,
    ) -> Result<Box<Execution>, Refused> {
        self.ask(|reply| Command::Simulate(Box::new(data), checks, reply)).await
    }

    /// Ends the epoch now. Gives the number of the new one.
    pub(crate) async fn advance_epoch(&self) -> Result<u64, Refused> {
        self.ask(Command::AdvanceEpoch).await
    }

    /// Tells the thread to end after the batch it is busy with.
    pub(crate) fn stop(&self) {
        // If the thread is gone there is nothing to stop.
        let _ = self.queue.send(Command::Stop);
    }

    /// The newest checkpoint.
    pub(crate) fn head(&self) -> Head {
        *self.head.read().unwrap_or_else(PoisonError::into_inner)
    }

    async fn ask<T>(&self, command: impl FnOnce(Reply<T>) -> Command) -> Result<T, Refused> {
        let gone = || Refused::Unavailable("the network is stopping".to_owned());
        let (reply, answer) = oneshot::channel();
        self.queue.send(command(reply)).map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }
}

struct Worker {
    chain: Chain,
    store: Arc<Store>,
    hub: Arc<Hub>,
    ingestion: Option<Ingestion>,
    commands: Receiver<Command>,
    head: Arc<RwLock<Head>>,
}

/// What has been executed but not committed.
#[derive(Default)]
struct Batch {
    executions: Vec<Execution>,
    /// Place of each transaction in `executions`.
    places: HashMap<TransactionDigest, usize>,
    /// Who waits for which place.
    waiting: Vec<(usize, Reply<Arc<StoredTransaction>>)>,
    advancing: Vec<Reply<u64>>,
    stop: bool,
}

impl Worker {
    fn run(mut self) -> Result<()> {
        loop {
            let mut batch = Batch::default();
            self.gather(&mut batch)?;
            let now = self.now_ms();
            let epoch_ends = now >= self.chain.epoch_deadline_ms() || !batch.advancing.is_empty();
            if epoch_ends {
                batch.executions.push(self.chain.ledger_mut().change_epoch(now));
            }
            if !batch.executions.is_empty() {
                self.commit(batch.executions, now, batch.waiting, batch.advancing)?;
            }
            if batch.stop {
                return Ok(());
            }
        }
    }

    /// Waits for work or for the end of the epoch, and executes what waits.
    fn gather(&mut self, batch: &mut Batch) -> Result<()> {
        let left = self.chain.epoch_deadline_ms().saturating_sub(self.now_ms());
        let first = self.commands.recv_timeout(Duration::from_millis(left).min(MAX_SLEEP));
        let mut next = match first {
            Ok(command) => Some(command),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => Some(Command::Stop),
        };
        let mut seen = 0;
        while let Some(command) = next {
            seen += 1;
            match command {
                Command::Execute(transaction, reply) => self.execute(batch, &transaction, reply)?,
                Command::Simulate(data, checks, reply) => {
                    let result = self.chain.ledger_mut().simulate(&data, checks);
                    // A caller who has gone away does not need the answer.
                    let _ = reply.send(result.map(Box::new).map_err(Refused::Rejected));
                }
                Command::AdvanceEpoch(reply) => batch.advancing.push(reply),
                Command::Stop => batch.stop = true,
            }
            let full = batch.stop || seen >= MAX_BATCH;
            next = if full { None } else { self.commands.try_recv().ok() };
        }
        Ok(())
    }

    fn execute(
        &mut self,
        batch: &mut Batch,
        transaction: &SignedTransaction,
        reply: Reply<Arc<StoredTransaction>>,
    ) -> Result<()> {
        let digest = transaction.digest();
        if let Some(place) = batch.places.get(&digest) {
            batch.waiting.push((*place, reply));
            return Ok(());
        }
        if let Some(stored) = self.store.snapshot()?.transaction(&digest)? {
            let _ = reply.send(Ok(Arc::new(stored)));
            return Ok(());
        }
        match self.chain.ledger_mut().apply(transaction) {
            Ok(execution) => {
                let place = batch.executions.len();
                batch.executions.push(execution);
                batch.places.insert(digest, place);
                batch.waiting.push((place, reply));
            }
            Err(rejection) => {
                let _ = reply.send(Err(Refused::Rejected(rejection)));
            }
        }
        Ok(())
    }

    fn commit(
        &mut self,
        executions: Vec<Execution>,
        now: u64,
        waiting: Vec<(usize, Reply<Arc<StoredTransaction>>)>,
        advancing: Vec<Reply<u64>>,
    ) -> Result<()> {
        let sealed = self.chain.seal(executions, now);
        if let Err(error) = self.chain.commit(&self.store, &sealed) {
            // The ledger is ahead of the disk now, so nothing more can be executed.
            let text = format!("{error}; whether the transaction is executed is unknown");
            for (_, reply) in waiting {
                let _ = reply.send(Err(Refused::Unavailable(text.clone())));
            }
            for reply in advancing {
                let _ = reply.send(Err(Refused::Unavailable(text.clone())));
            }
            return Err(error);
        }
        let head = sealed.head();
        self.write_file(head.height);

        *self.head.write().unwrap_or_else(PoisonError::into_inner) = head;
        let published = Arc::new(sealed.into_published());
        self.hub.publish(&published);
        for (place, reply) in waiting {
            let _ = reply.send(Ok(Arc::clone(&published.transactions[place])));
        }
        let epoch = self.chain.ledger().system_state().epoch;
        for reply in advancing {
            let _ = reply.send(Ok(epoch));
        }
        Ok(())
    }

    /// A file that cannot be written does not stop the chain; the next start
    /// writes what is missing.
    fn write_file(&self, height: u64) {
        let Some(ingestion) = &self.ingestion else { return };
        let written = self.store.snapshot().and_then(|snapshot| ingestion.write(&snapshot, height));
        if let Err(error) = written {
            tracing::warn!(%error, height, "cannot write the checkpoint file");
        }
    }

    /// The wall clock, except that the chain's time never goes back.
    fn now_ms(&self) -> u64 {
        wall_clock_ms().max(self.chain.newest_timestamp_ms())
    }
}

/// Milliseconds since 1970 by the system's clock.
pub(crate) fn wall_clock_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use soma_ledger::Ledger;
    use soma_proto::{Address, TransactionKind};

    use super::*;
    use crate::LocalNetConfig;
    use crate::accounts::account_keys;
    use crate::chain::Opened;

    /// Executes payments until one is not acknowledged; gives how many were.
    async fn pay_until_refused(executor: &Executor, ledger: &Ledger) -> (u64, Refused) {
        let [alice, ..] = account_keys();
        let mut coin = ledger.coins_of(&alice.address())[0].reference();
        let mut paid = 0;
        loop {
            let recipient = Address::new([9; 32]);
            let kind = TransactionKind::TransferCoin { coin, amount: Some(1), recipient };
            let data = TransactionData::new(kind, alice.address(), vec![coin]);
            match executor.execute(data.sign(&alice)).await {
                Ok(stored) => {
                    coin = stored.effects.gas_object().unwrap().1.unwrap().reference;
                    paid += 1;
                }
                Err(refused) => return (paid, refused),
            }
        }
    }

    #[tokio::test]
    async fn a_disk_that_fails_ends_the_chain_and_the_callers_are_told() {
        let directory = tempfile::tempdir().unwrap();
        let config = LocalNetConfig::new().with_state_dir(directory.path());
        Chain::open(&config, directory.path()).unwrap().store.close();
        let store = Arc::new(Store::open_failing(directory.path(), 200).unwrap());
        let (chain, _) = Chain::read(&store.snapshot().unwrap()).unwrap();
        let ledger = chain.ledger().clone();
        let hub = Arc::new(Hub::new());
        let (executor, running) = Executor::start(chain, Arc::clone(&store), hub, None).unwrap();

        let (paid, refused) = pay_until_refused(&executor, &ledger).await;
        let Refused::Unavailable(text) = refused else { panic!("{refused:?}") };
        assert!(paid > 0 && text.contains("unknown"), "{paid} paid: {text}");
        assert!(matches!(running.ended.await, Ok(Some(Error::Store(_)))));
        let (more, refused) = pay_until_refused(&executor, &ledger).await;
        assert!(more == 0 && matches!(refused, Refused::Unavailable(_)), "{refused:?}");
        store.close();

        // After a restart everything acknowledged is there.
        let Opened { store, .. } = Chain::open(&config, directory.path()).unwrap();
        let balance = store.snapshot().unwrap().balance(&Address::new([9; 32])).unwrap();
        assert!(balance == paid || balance == paid + 1, "{balance}, {paid} acknowledged");
    }
}
