//! Looking after all models of a wallet, from the commit on and for good.
//!
//! Between commit and reveal lies a day in which the owner may sleep and his
//! node may die; then comes one epoch in which the reveal has to be sent, or
//! half the stake is gone. And it must not be sent a moment too early, since
//! that gives the key away. A [`Watch`] does that: it rehearses each reveal as
//! soon as it sees the commit, signs it, sets a coin aside for its fee, and
//! sends it early in the window, once every node that answers agrees that the
//! window is open. Later it looks at what is served: a model that validators
//! report as unavailable loses 95 % of its stake.
//!
//! What is to be done at a moment is a pure function, `decide`; time and
//! chance are its arguments. Around it: the pulse (what the nodes say), one
//! keeper for each model (what is known of it, and its steps), the sentinel
//! (what is served). Nothing is kept in memory that a restart would miss: state
//! files and the chain say where things stand.

mod decide;
mod event;
mod keeper;
mod pace;
mod pulse;
mod resume;
mod sentinel;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::future::LocalBoxFuture;
use futures::stream::FuturesUnordered;
use futures::{FutureExt as _, StreamExt as _};
use soma_proto::KeyPair;
use soma_rpc::Client;
use soma_storage::Storage;
use tokio::sync::{Semaphore, mpsc, watch};

pub use self::event::{Event, Kind};
use self::keeper::{Keeper, Mode, Passed};
use self::pace::Pace;
use self::pulse::Pulse;
pub use self::resume::Carried;
use crate::network::now_ms;
use crate::{Depth, Result, Scope, StateFolder, Till};

/// How often nodes are asked before the first of them has answered.
const FIRST_POLL: Duration = Duration::from_millis(500);
/// How often at most while a node does not answer.
const SILENT_POLL_MS: u64 = 20_000;
/// Tries of one step in a single pass.
const TRIES: u32 = 5;
/// Reveals that are rehearsed, and commits that are made, at the same time.
const AT_ONCE: usize = 8;
/// Looks at what is served at the same time: after a start all are due, and a reveal may
/// be, too.
const LOOKS_AT_ONCE: usize = 2;

/// Looks after the models of a folder of state files.
#[derive(Debug)]
#[non_exhaustive]
pub struct Watch {
    /// The nodes; all that answer have to agree before a reveal is sent.
    pub nodes: Vec<Client>,
    /// The keys of the owners. The first one stands for an owner that is not
    /// known yet.
    pub keys: Vec<KeyPair>,
    /// Fetches from the hosts of the weights.
    pub storage: Storage,
    /// Where the network is.
    pub scope: Scope,
    /// How much is fetched from the host before a reveal.
    pub depth: Depth,
    /// The state files. New ones are noticed.
    pub folder: StateFolder,
    /// This state file only.
    pub only: Option<PathBuf>,
    /// How long to wait at most until a transaction is in a checkpoint.
    pub timeout: Duration,
    /// How often what is served is looked at; as the length of an epoch
    /// suggests if absent.
    pub look_every: Option<Duration>,
    /// Where chance comes from; two watches with the same seed take the same
    /// turns.
    pub seed: u64,
}

/// How a watch ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Outcome {
    /// State files of models that somebody has to look after.
    pub alarms: Vec<PathBuf>,
}

/// What the keepers share.
struct Shared {
    events: mpsc::UnboundedSender<Event>,
    till: Till,
    /// For steps that load network and host, and can wait.
    work: Semaphore,
    /// For looks at what is served, which can wait longest.
    looks: Semaphore,
    alarms: Mutex<BTreeSet<PathBuf>>,
}

impl Shared {
    fn new(watch: &Watch) -> (Self, mpsc::UnboundedReceiver<Event>) {
        let (events, told) = mpsc::unbounded_channel();
        let shared = Self {
            events,
            till: Till::of(watch.folder.clone()),
            work: Semaphore::new(AT_ONCE),
            looks: Semaphore::new(LOOKS_AT_ONCE),
            alarms: Mutex::default(),
        };
        (shared, told)
    }

    fn tell(&self, event: Event) {
        // Nobody listens any more only when the watch has ended.
        let _ = self.events.send(event);
    }

    fn outcome(&self) -> Outcome {
        let alarms = self.alarms.lock().unwrap_or_else(PoisonError::into_inner);
        Outcome { alarms: alarms.iter().cloned().collect() }
    }
}

impl Watch {
    /// A watch over all models of `folder`, with chance of its own.
    pub fn new(
        nodes: Vec<Client>,
        keys: Vec<KeyPair>,
        storage: Storage,
        scope: Scope,
        folder: StateFolder,
    ) -> Self {
        let random = soma_proto::ObjectId::random();
        let seed = u64::from_le_bytes(*random.inner().first_chunk().expect("32 bytes"));
        let timeout = soma_rpc::WAIT_TIMEOUT;
        Self {
            nodes,
            keys,
            storage,
            scope,
            depth: Depth::Header,
            folder,
            only: None,
            timeout,
            look_every: None,
            seed,
        }
    }

    /// Looks after the models until `stop` ends. `tell` hears of everything
    /// that changes. The future stays on its thread.
    ///
    /// # Errors
    /// [`Error::Io`](crate::Error::Io) if the folder cannot be read at the
    /// beginning. Everything else is an event: a watch does not end by itself.
    pub async fn run(
        &self,
        mut tell: impl FnMut(Event),
        stop: impl Future<Output = ()>,
    ) -> Result<Outcome> {
        let mut known = self.paths()?;
        let (shared, mut told) = Shared::new(self);
        let (beat, pulse) = watch::channel(Arc::new(Pulse::default()));
        let mut heart = pin!(self.heart(&beat, &shared));
        let mut stop = pin!(stop);
        let mut keepers = FuturesUnordered::new();
        for path in &known {
            keepers.push(self.keep(&shared, pulse.clone(), path.clone()));
        }
        let mut news = pulse.clone();
        loop {
            tokio::select! {
                () = &mut stop => break,
                () = &mut heart => {}
                Some(event) = told.recv() => tell(event),
                Some(gone) = keepers.next(), if !keepers.is_empty() => {
                    known.remove(&gone);
                }
                // New files are looked for with every beat.
                Ok(()) = news.changed() => {
                    for path in self.paths().unwrap_or_default() {
                        if known.insert(path.clone()) {
                            keepers.push(self.keep(&shared, pulse.clone(), path));
                        }
                    }
                }
            }
        }
        while let Ok(event) = told.try_recv() {
            tell(event);
        }
        Ok(shared.outcome())
    }

    /// Looks at all models once and does what is due now; waits for nothing
    /// but for the steps themselves.
    ///
    /// # Errors
    /// As [`Watch::run`].
    pub async fn once(&self, mut tell: impl FnMut(Event)) -> Result<Outcome> {
        let paths = self.paths()?;
        let (shared, mut told) = Shared::new(self);
        let taken = Pulse::take(&self.nodes, None).await;
        compare(&Pulse::default(), &taken, &shared);
        let (_beat, pulse) = watch::channel(Arc::new(taken));
        let mut passes = Vec::new();
        for path in paths {
            passes.push(self.pass(&shared, pulse.clone(), path));
        }
        futures::future::join_all(passes).await;
        while let Ok(event) = told.try_recv() {
            tell(event);
        }
        Ok(shared.outcome())
    }

    /// Looks after one model.
    fn keep<'a>(
        &'a self,
        shared: &'a Shared,
        pulse: watch::Receiver<Arc<Pulse>>,
        path: PathBuf,
    ) -> LocalBoxFuture<'a, PathBuf> {
        Keeper::new(self, shared, pulse, path, Mode::Watch).keep().boxed_local()
    }

    /// Does for one model what is due now.
    fn pass<'a>(
        &'a self,
        shared: &'a Shared,
        pulse: watch::Receiver<Arc<Pulse>>,
        path: PathBuf,
    ) -> LocalBoxFuture<'a, ()> {
        let mut keeper = Keeper::new(self, shared, pulse, path, Mode::Once);
        let work = async move {
            loop {
                match keeper.pass().await {
                    Passed::Acted => {}
                    Passed::Rested(pause) if (1..TRIES).contains(&keeper.failures()) => {
                        tokio::time::sleep(pause.max(Duration::from_millis(1))).await;
                    }
                    Passed::Rested(_) | Passed::Gone => return,
                }
            }
        };
        work.boxed_local()
    }

    /// The state files there are.
    fn paths(&self) -> Result<BTreeSet<PathBuf>> {
        match &self.only {
            Some(path) => Ok(BTreeSet::from([path.clone()])),
            None => Ok(self.folder.paths()?.into_iter().collect()),
        }
    }

    /// Asks the nodes again and again.
    async fn heart(&self, beat: &watch::Sender<Arc<Pulse>>, shared: &Shared) {
        loop {
            let before = beat.borrow().clone();
            let pace = before.clock().map(|clock| Pace::new(clock.duration_ms));
            let pulse = Pulse::take(&self.nodes, pace).await;
            compare(&before, &pulse, shared);
            let silent = pulse.votes.iter().any(|vote| vote.answer.is_err());
            let pause = match pulse.clock() {
                None => FIRST_POLL,
                Some(clock) => {
                    let due = clock.start_timestamp_ms.saturating_add(clock.duration_ms);
                    let left = due.saturating_sub(pulse.time_ms(now_ms()));
                    let left = if silent { left.min(SILENT_POLL_MS) } else { left };
                    Duration::from_millis(Pace::new(clock.duration_ms).poll_ms(left))
                }
            };
            beat.send_replace(Arc::new(pulse));
            tokio::time::sleep(pause).await;
        }
    }
}

/// Tells which nodes have come and gone.
fn compare(before: &Pulse, now: &Pulse, shared: &Shared) {
    for (place, vote) in now.votes.iter().enumerate() {
        let was_up = before.votes.get(place).map(|vote| vote.answer.is_ok());
        let event = match &vote.answer {
            Ok(answer) if was_up != Some(true) => {
                let message = format!("{} answers, in epoch {}", vote.url, answer.clock.epoch);
                Event::new(now_ms(), Kind::NodeUp, message)
            }
            Err(error) if was_up != Some(false) => {
                let message = format!("{} does not answer: {error}", vote.url);
                Event::new(now_ms(), Kind::NodeDown, message)
            }
            _ => continue,
        };
        shared.tell(event);
    }
}
