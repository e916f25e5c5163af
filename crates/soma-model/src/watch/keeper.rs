//! Looking after one model: what is known of it, and the steps for it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use soma_proto::system_state::ModelStatus;
use soma_proto::{Address, KeyPair, ObjectId};
use soma_rpc::{Client, EpochClock};
use tokio::sync::watch::Receiver;

use super::decide::{Decision, Past, Step, View, Waiting, decide};
use super::event::{Event, Kind};
use super::pace::{Pace, jitter};
use super::pulse::{Agreement, Pulse};
use super::sentinel::Served;
use super::{Shared, TRIES, Watch};
use crate::network::now_ms;
use crate::session::{is_of_connection, is_permanent};
use crate::state::StateFile;
use crate::{
    Check, Disclosure, Error, Finding, Gas, Host, Next, Report, Result, RevealOf, RevealWindow,
    Session, Stage, Standing, State, Status, with_causes,
};

/// How long a look at what is served may take.
const LOOK: Duration = Duration::from_secs(60);
/// The shortest and the longest time that a transaction is waited for before
/// the same one is sent again, perhaps to another node.
const SENDING_MS: (u64, u64) = (500, 60_000);
/// How long to wait after a file that cannot be used.
const IDLE: Duration = Duration::from_secs(1);
/// How long to wait for the turn of a look.
const LATER: Duration = Duration::from_millis(100);

/// Looks after the model of one state file.
pub(super) struct Keeper<'a> {
    pub(super) watch: &'a Watch,
    pub(super) shared: &'a Shared,
    pulse: Receiver<Arc<Pulse>>,
    pub(super) path: PathBuf,
    read: Option<Read>,
    standing: Option<Known>,
    /// Something was done since the chain was asked.
    stale: bool,
    /// Questions in a row that brought no standing.
    unanswered: u32,
    past: Past,
    /// The round and the commit that `past` is about.
    about: Option<(RevealOf, Option<u64>)>,
    told: Told,
    mode: Mode,
    /// Why it does not go on with what is under way.
    pub(super) given_up: Option<Error>,
    /// What went wrong last, while it may still pass.
    pub(super) trouble: Option<Error>,
    /// The window that the chain showed last.
    pub(super) window: Option<RevealWindow>,
}

/// What a keeper is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// To look after the model for good.
    Watch,
    /// To do what is due now: nothing waits for its turn.
    Once,
    /// To carry on what is under way, to its end: commits too, and without
    /// trying in vain.
    Resume,
}

/// A state as it was read.
struct Read {
    changed: Option<SystemTime>,
    state: Result<Arc<State>>,
}

/// What the chain said.
struct Known {
    /// The epoch in which it was asked.
    epoch: u64,
    standing: Option<Standing>,
}

/// What was told last, so that nothing is told twice.
#[derive(Default)]
struct Told {
    waiting: Option<Waiting>,
    trouble: Option<String>,
    ready: bool,
    lost: bool,
    sound: Option<bool>,
    reported_by: BTreeSet<Address>,
}

/// What a pass came to.
pub(super) enum Passed {
    /// Something was done: look again at once.
    Acted,
    /// Nothing can be done for so long, unless something changes.
    Rested(Duration),
    /// The state file is gone.
    Gone,
}

impl<'a> Keeper<'a> {
    pub(super) fn new(
        watch: &'a Watch,
        shared: &'a Shared,
        pulse: Receiver<Arc<Pulse>>,
        path: PathBuf,
        mode: Mode,
    ) -> Self {
        Self {
            watch,
            shared,
            pulse,
            path,
            read: None,
            standing: None,
            stale: false,
            unanswered: 0,
            past: Past::default(),
            about: None,
            told: Told::default(),
            mode,
            given_up: None,
            trouble: None,
            window: None,
        }
    }

    /// Looks after the model until its state file is gone; gives its path.
    pub(super) async fn keep(mut self) -> PathBuf {
        loop {
            match self.pass().await {
                Passed::Acted => {}
                Passed::Rested(pause) => self.rest(pause).await,
                Passed::Gone => return self.path,
            }
        }
    }

    /// Waits so long, or for news of the nodes: what has changed since the pass
    /// began is still news.
    pub(super) async fn rest(&mut self, pause: Duration) {
        let pause = pause.max(Duration::from_millis(1));
        // Without a heart there is no watch any more.
        let _ = tokio::time::timeout(pause, self.pulse.changed()).await;
    }

    /// Looks once, and takes the step that is due.
    pub(super) async fn pass(&mut self) -> Passed {
        if !self.read_file() {
            self.set_alarm(false);
            return Passed::Gone;
        }
        let pulse = Arc::clone(&self.pulse.borrow_and_update());
        let rested = Passed::Rested(IDLE);
        let Some(state) = self.state().cloned() else { return rested };
        let Some(key) = self.key_of(&state) else {
            if self.mode == Mode::Resume {
                self.given_up = Some(no_key(&state));
                return rested;
            }
            let owner = state.owner.map(|owner| owner.to_string()).unwrap_or_default();
            self.trouble(Kind::Ignored, format!("it belongs to {owner}, who is not in the wallet"));
            return rested;
        };
        self.ask_chain(&pulse, &state).await;
        // That may have taken a while.
        let pulse = Arc::clone(&self.pulse.borrow_and_update());
        if self.standing.is_none() || pulse.votes.is_empty() {
            self.tell_waiting(Waiting::Network, "waiting for a node that answers".to_owned(), None);
            return rested;
        }
        let view = self.view(&pulse, &state);
        self.window = view.window.filter(|_| view.shown).or(self.window);
        if view.next == Next::Lost && state.gas_coin.is_some() {
            self.free_coin();
        }
        if self.mode == Mode::Resume && is_in_vain(&view) {
            return self.conclude(&view, &pulse, key).await;
        }
        let decision = decide(&view);
        self.report(&state, &view, &decision, &pulse);
        match decision.step {
            Step::Rest => {
                let pause = decision.wake_ms.saturating_sub(view.now_ms);
                Passed::Rested(Duration::from_millis(pause))
            }
            Step::Inspect => {
                let looks = &self.shared.looks;
                let _turn = match self.mode {
                    Mode::Once => looks.acquire().await.ok(),
                    // It may be needed for something else before its turn comes.
                    _ => match looks.try_acquire() {
                        Ok(turn) => Some(turn),
                        Err(_) => return Passed::Rested(LATER),
                    },
                };
                self.act(Step::Inspect, &view, &pulse, key).await;
                // A look changes nothing, and has asked the chain itself.
                Passed::Acted
            }
            step => {
                self.act(step, &view, &pulse, key).await;
                (self.read, self.stale) = (None, true);
                Passed::Acted
            }
        }
    }

    /// The epoch of the node that is farthest, if one answers.
    pub(super) fn epoch(&self) -> Option<u64> {
        self.pulse.borrow().clock().map(|clock| clock.epoch)
    }

    /// Failures in a row of what is under way.
    pub(super) fn failures(&self) -> u32 {
        self.past.failures
    }

    /// Reads the state file if it has changed; false if it is gone.
    fn read_file(&mut self) -> bool {
        let Ok(changed) = fs::metadata(&self.path).map(|metadata| metadata.modified().ok()) else {
            return false;
        };
        if self.read.as_ref().is_none_or(|read| read.changed != changed) {
            let state = StateFile::peek(&self.path).map(Arc::new);
            if let Err(error) = &state {
                let message = error.to_string();
                self.read = None;
                self.trouble(Kind::Ignored, message);
            }
            self.read = Some(Read { changed, state });
            self.stale = true;
        }
        true
    }

    fn state(&self) -> Option<&Arc<State>> {
        self.read.as_ref()?.state.as_ref().ok()
    }

    fn model_id(&self) -> Option<ObjectId> {
        self.state().map(|state| state.model_id)
    }

    /// The key of the owner, the first one if nobody has committed yet.
    fn key_of(&self, state: &State) -> Option<&'a KeyPair> {
        let mut keys = self.watch.keys.iter();
        match state.owner {
            Some(owner) => keys.find(|key| key.address() == owner),
            None => keys.next(),
        }
    }

    /// Asks for the model if there is news of it to be expected.
    async fn ask_chain(&mut self, pulse: &Pulse, state: &State) {
        let Some(clock) = pulse.clock() else { return };
        let current = self.standing.as_ref().is_some_and(|known| known.epoch >= clock.epoch);
        if current && !self.stale {
            return;
        }
        // Another one than what was shown led to in vain.
        let turns = self.unanswered.saturating_add(self.past.failures);
        let Some(node) = pulse.order(turns).first().map(|node| &self.watch.nodes[*node]) else {
            return;
        };
        let asked = node.model(&state.model_id);
        let patience = Pace::new(clock.duration_ms).patience();
        match tokio::time::timeout(patience, asked).await {
            Ok(Ok(record)) => {
                (self.unanswered, self.stale) = (0, false);
                let standing = record.map(Standing::from);
                // A node that lags is asked again.
                let epoch = standing.as_ref().map_or(clock.epoch, |found| found.clock.epoch);
                self.standing = Some(Known { epoch, standing });
            }
            // Whether the node is there is told by the pulse.
            _ => self.unanswered = self.unanswered.saturating_add(1),
        }
    }

    fn view(&mut self, pulse: &Pulse, state: &State) -> View {
        let standing = self.standing.as_ref().and_then(|known| known.standing.as_ref());
        let Status { next, stage, .. } = Status::new(state, standing);
        let (of, round) = state.current();
        let clock = pulse.clock();
        let committed = round.commit.as_ref().and_then(|commit| commit.epoch);
        let shown = standing.filter(|_| next.is_open()).and_then(Standing::reveal_window);
        let window = due(committed, standing, shown, clock).filter(|_| next.is_open());
        let served = standing.is_some_and(|standing| {
            self.mode != Mode::Resume
                && standing.status == ModelStatus::Active
                && standing.model.weights_manifest.is_some()
        });
        let about = Some((of, committed));
        if self.about != about {
            let inspected = self.past.inspected;
            self.past = Past { inspected, ..Past::default() };
            self.about = about;
            (self.told.ready, self.told.lost) = (false, false);
        }
        let reveal_epoch = window.map_or(0, |window| window.reveal_epoch);
        let turn = match self.mode {
            Mode::Watch => jitter(self.watch.seed, &state.model_id, reveal_epoch, 0),
            Mode::Once | Mode::Resume => 0.0,
        };
        let pace = Pace::new(clock.map_or(DAY_MS, |clock| clock.duration_ms));
        View {
            now_ms: pulse.time_ms(now_ms()),
            moment: Instant::now(),
            next,
            stage,
            window,
            shown: shown.is_some(),
            epoch: clock.map(|clock| clock.epoch),
            agreement: pulse.agreement(state.chain_id, reveal_epoch),
            served,
            pace,
            look_every: self.watch.look_every.unwrap_or(pace.inspection()),
            past: self.past,
            turn,
        }
    }

    /// Tells what is new.
    fn report(&mut self, state: &State, view: &View, decision: &Decision, pulse: &Pulse) {
        let (of, round) = state.current();
        let standing = self.standing.as_ref().and_then(|known| known.standing.clone());
        if let Some(percent) = decision.alarm {
            self.past.told_percent = percent;
            let cost = cost(of);
            let message =
                format!("{percent} % of the window are over and it is not revealed; {cost}");
            let mut event = self.event(Kind::Late, message).with_window(view.window.as_ref());
            event.percent = Some(percent);
            self.shared.tell(event);
        }
        let lost = view.next == Next::Lost;
        if lost && !self.told.lost {
            let inactive =
                standing.as_ref().is_some_and(|found| found.status == ModelStatus::Inactive);
            let message = match (round.stage(), of) {
                (Stage::Revealed, _) => {
                    "the model is inactive: deactivated, or reported as unavailable; whoever \
                     knows that moves its state file away"
                }
                (_, RevealOf::Registration) => {
                    "the window was missed: the model is inactive, half its stake is lost"
                }
                (_, RevealOf::Update) if inactive => "the model is inactive, and so is its update",
                (_, RevealOf::Update) => {
                    "the window was missed: the update is dropped, the old weights stay"
                }
            };
            self.told.lost = true;
            let event = self.event(Kind::Lost, message);
            self.shared.tell(event);
        }
        let reported: BTreeSet<Address> =
            standing.iter().flat_map(|standing| standing.reported_by.iter().copied()).collect();
        if reported != self.told.reported_by {
            if !reported.is_empty() {
                let validators: Vec<String> = reported.iter().map(ToString::to_string).collect();
                let message = format!(
                    "reported as unavailable by {}; with two thirds of the voting power behind \
                     that, 95 % of the stake are lost at the end of this epoch",
                    validators.join(", ")
                );
                let event = self.event(Kind::Reported, message);
                self.shared.tell(event);
            }
            self.told.reported_by = reported;
        }
        if decision.step == Step::Rest {
            let message = waiting_text(decision.waiting, of, view, pulse);
            self.tell_waiting(decision.waiting, message, view.window.as_ref());
        }
        let late = self.past.told_percent > 0 && view.window.is_some();
        let unsound = self.told.sound == Some(false) && view.served;
        self.set_alarm(late || lost || unsound || !self.told.reported_by.is_empty());
    }

    fn tell_waiting(&mut self, waiting: Waiting, message: String, window: Option<&RevealWindow>) {
        if self.told.waiting != Some(waiting) {
            self.told.waiting = Some(waiting);
            let event = self.event(Kind::Waiting, message).with_window(window);
            self.shared.tell(event);
        }
    }

    async fn act(&mut self, step: Step, view: &View, pulse: &Pulse, key: &'a KeyPair) {
        let Some(of) = self.state().map(|state| state.current().0) else { return };
        let node = pulse.order(self.past.failures).first().map(|node| &self.watch.nodes[*node]);
        let Some(node) = node else { return };
        let outcome = match step {
            Step::Rest => return,
            Step::Inspect => return self.inspect(view, node).await,
            Step::Settle => self.settle(view, node, key, of).await,
            Step::Rehearse => self.rehearse(view, node, key, of).await,
            Step::Reveal => self.reveal(view, node, key, of).await,
        };
        match outcome {
            Ok(()) => {
                (self.past.failures, self.past.again) = (0, None);
                self.told.trouble = None;
            }
            Err(error) => self.failed(view, error),
        }
    }

    /// Whatever failed is tried again after a pause, unless that is in vain.
    fn failed(&mut self, view: &View, error: Error) {
        self.past.failures = self.past.failures.saturating_add(1);
        let failures = self.past.failures;
        if self.mode == Mode::Resume && is_final(&error, view, failures) {
            self.given_up = Some(error);
            return;
        }
        let model = self.model_id().unwrap_or(ObjectId::ZERO);
        let chance = jitter(self.watch.seed, &model, now_ms(), u64::from(failures));
        let pause = Duration::from_millis(view.pace.pause_ms(failures, chance));
        self.past.again = Some(Instant::now() + pause);
        self.trouble(Kind::Retrying, in_one_line(&error));
        self.trouble = Some(error);
    }

    /// Takes the step that tells why nothing more can be done.
    async fn conclude(&mut self, view: &View, pulse: &Pulse, key: &'a KeyPair) -> Passed {
        if !view.pause().is_zero() {
            return Passed::Rested(view.pause());
        }
        let Some(of) = self.state().map(|state| state.current().0) else { return Passed::Acted };
        let node = pulse.order(self.past.failures).first().map(|node| &self.watch.nodes[*node]);
        let Some(node) = node else { return Passed::Rested(IDLE) };
        let tried = async {
            let mut file = StateFile::open(&self.path)?;
            let session = self.session(view, node, key);
            session.settle(&mut file, of, Disclosure::Withheld).await?;
            let (model, stage) = (file.state.model_id, file.state.current().1.stage());
            if stage == Stage::Revealed {
                return Ok(());
            }
            let mut report = session.check(&file).await?;
            if let Agreement::OtherChain(node) = view.agreement {
                let message =
                    format!("{} serves another chain than this model's", url(pulse, node));
                report.push(
                    Finding::error(Check::Chain, message)
                        .with_remedy("choose the environment it was committed in"),
                );
            }
            match report.is_ok() {
                true => Err(Error::Stage { what: "the nodes say different things", model, stage }),
                false => Err(Error::Refused(report)),
            }
        };
        if let Err(error) = tried.await {
            self.failed(view, error);
        }
        (self.read, self.stale) = (None, true);
        Passed::Acted
    }

    async fn settle(
        &mut self,
        view: &View,
        node: &Client,
        key: &KeyPair,
        of: RevealOf,
    ) -> Result<()> {
        let mut file = StateFile::open(&self.path)?;
        let session = self.session(view, node, key);
        match (self.mode, view.stage, of, file.state.terms) {
            (Mode::Resume, Stage::CommitSigned, RevealOf::Registration, Some(terms)) => {
                let _work = self.shared.work.acquire().await;
                session.commit(&mut file, terms).await?;
            }
            (Mode::Resume, Stage::CommitSigned, RevealOf::Update, _) => {
                let _work = self.shared.work.acquire().await;
                session.commit_update(&mut file).await?;
            }
            _ => session.settle(&mut file, of, disclosure(view)).await?,
        }
        let stage = file.state.round(of).map_or(view.stage, |round| round.stage());
        drop(file);
        if stage == view.stage {
            // Settled by what is on file, and yet the chain shows something else.
            let model = self.model_id().unwrap_or(ObjectId::ZERO);
            return Err(Error::Stage { what: "the chain does not show it", model, stage });
        }
        Ok(())
    }

    async fn rehearse(
        &mut self,
        view: &View,
        node: &Client,
        key: &KeyPair,
        of: RevealOf,
    ) -> Result<()> {
        let mut file = StateFile::open(&self.path)?;
        let mut pulse = self.pulse.clone();
        let work = self.make_ready(view, node, key, &mut file, of);
        let rehearsed = tokio::select! {
            rehearsed = work => rehearsed,
            // What is open need not be rehearsed.
            () = opened(&mut pulse, view) => return Ok(()),
        };
        drop(file);
        let report = rehearsed?;
        self.past.ready_ms = Some(view.now_ms);
        if !std::mem::replace(&mut self.told.ready, true) {
            let warnings: Vec<&str> =
                report.warnings().map(|finding| finding.message.as_str()).collect();
            let message = match warnings.as_slice() {
                [] => "the reveal is checked and signed".to_owned(),
                some => format!("the reveal is checked and signed; {}", some.join("; ")),
            };
            let event = self.event(Kind::Ready, message).with_window(view.window.as_ref());
            self.shared.tell(event);
        }
        Ok(())
    }

    async fn reveal(
        &mut self,
        view: &View,
        node: &Client,
        key: &KeyPair,
        of: RevealOf,
    ) -> Result<()> {
        let mut file = StateFile::open(&self.path)?;
        if file.state.gas_coin.is_none() {
            let aside = self.set_aside(view, node, key, &mut file);
            // Without a coin of its own it has to share one.
            let _ = tokio::time::timeout(view.pace.patience(), aside).await;
        }
        let session = self.session(view, node, key);
        let done = session.reveal(&mut file, of).await?;
        drop(file);
        self.past.told_percent = 0;
        let message = format!("revealed in epoch {}", done.epoch);
        let mut event = self.event(Kind::Revealed, message).with_window(view.window.as_ref());
        event.digest = done.executed.map(|executed| executed.digest);
        self.shared.tell(event);
        Ok(())
    }

    async fn inspect(&mut self, view: &View, node: &Client) {
        self.past.inspected = Some(view.moment);
        let Some(model) = self.model_id() else { return };
        // Reports and the weights themselves may have changed since the epoch began.
        if let Ok(Ok(found)) = tokio::time::timeout(view.pace.patience(), node.model(&model)).await
        {
            let epoch = found.as_ref().map_or(0, |record| record.clock.epoch);
            self.standing = Some(Known { epoch, standing: found.map(Standing::from) });
        }
        let standing = self.standing.as_ref().and_then(|known| known.standing.as_ref());
        let served =
            self.state().zip(standing).and_then(|(state, standing)| Served::new(state, standing));
        let Some(served) = served else { return };
        let seed = self.watch.seed;
        let chance = |place| jitter(seed, &model, view.now_ms, place);
        let mut pulse = self.pulse.clone();
        let look = tokio::time::timeout(LOOK, served.inspect(&self.watch.storage, chance));
        let report = tokio::select! {
            report = look => report.ok(),
            () = opened(&mut pulse, view) => return,
        };
        let comparable = served.is_comparable();
        let message = match report {
            Some(report) if report.is_ok() => None,
            Some(report) => Some(findings(&report)),
            None => Some(format!("the host gave no answer within {} s", LOOK.as_secs())),
        };
        let sound = message.is_none();
        if self.told.sound != Some(sound) {
            self.told.sound = Some(sound);
            let event = match message {
                None if comparable => self.event(Kind::Sound, "what the URL serves is in order"),
                None => self.event(
                    Kind::Sound,
                    "what the URL serves has the right length and beginning; no file is here to \
                     compare the rest with",
                ),
                Some(message) => self.event(Kind::Unsound, message),
            };
            self.shared.tell(event);
        }
    }

    async fn make_ready(
        &self,
        view: &View,
        node: &Client,
        key: &KeyPair,
        file: &mut StateFile,
        of: RevealOf,
    ) -> Result<Report> {
        let _work = self.shared.work.acquire().await;
        match self.set_aside(view, node, key, file).await {
            // Several coins may pay where none alone can be kept.
            Ok(()) | Err(Error::Refused(_)) => {}
            Err(error) => return Err(error),
        }
        self.session(view, node, key).rehearse_reveal(file, of).await
    }

    /// Sees to it that a coin is set aside.
    async fn set_aside(
        &self,
        view: &View,
        node: &Client,
        key: &KeyPair,
        file: &mut StateFile,
    ) -> Result<()> {
        let before = file.state.gas_coin;
        let coin = self.session(view, node, key).set_aside(file).await?;
        if before != Some(coin) {
            let event = self.event(Kind::SetAside, format!("coin {coin} will pay for its reveals"));
            self.shared.tell(event);
        }
        Ok(())
    }

    fn session<'s>(&'s self, view: &View, client: &'s Client, key: &'s KeyPair) -> Session<'s> {
        let Watch { storage, scope, depth, timeout, .. } = self.watch;
        let sending = (view.pace.grace_ms() / 2).clamp(SENDING_MS.0, SENDING_MS.1);
        // A try that goes on after the window gives the key away for nothing.
        let left = view.window.map_or(u64::MAX, |window| {
            window.closes_at_ms.saturating_sub(view.now_ms).max(SENDING_MS.0)
        });
        let sending = Duration::from_millis(sending.min(left));
        Session {
            client,
            key,
            host: Host { storage, scope: *scope, depth: *depth },
            gas: Gas::Automatic,
            till: self.shared.till.clone(),
            timeout: sending.min(*timeout),
        }
    }

    /// An inactive model is never revealed again: anybody may spend its coin.
    fn free_coin(&self) {
        let standing = self.standing.as_ref().and_then(|known| known.standing.as_ref());
        if standing.is_some_and(|standing| standing.status == ModelStatus::Inactive)
            && let Ok(mut file) = StateFile::open(&self.path)
        {
            // What cannot be written now is written another time.
            let _ = file.update(|state| state.gas_coin = None);
        }
    }

    fn event(&self, kind: Kind, message: impl Into<String>) -> Event {
        let event = Event::new(now_ms(), kind, message);
        match self.state() {
            Some(state) => event.of(state.model_id, state.current().0),
            None => event,
        }
    }

    /// Tells a trouble, unless it is the one that was told last.
    fn trouble(&mut self, kind: Kind, message: String) {
        if self.told.trouble.as_ref() == Some(&message) {
            return;
        }
        let told = match self.state() {
            Some(_) => message.clone(),
            None => format!("{}: {message}", self.path.display()),
        };
        let event = self.event(kind, told);
        self.shared.tell(event);
        self.told.trouble = Some(message);
    }

    fn set_alarm(&self, alarmed: bool) {
        let mut alarms = self.shared.alarms.lock().unwrap_or_else(PoisonError::into_inner);
        match alarmed {
            true => alarms.insert(self.path.clone()),
            false => alarms.remove::<Path>(&self.path),
        };
    }
}

/// Nobody in the wallet can sign for the owner.
fn no_key(state: &State) -> Error {
    let owner = match state.owner {
        Some(owner) => format!("it belongs to {owner}, who is not in the wallet"),
        None => "there is no key in the wallet that may sign on this network".to_owned(),
    };
    let finding = Finding::error(Check::Owner, owner)
        .with_remedy("soma wallet import takes a key or a phrase in");
    Error::Refused(Report::from_iter([finding]))
}

/// The window of the commit that is on file, or of the one that the chain shows
/// if that is later. A node that knows of neither cannot hide it.
fn due(
    committed: Option<u64>,
    standing: Option<&Standing>,
    shown: Option<RevealWindow>,
    clock: Option<EpochClock>,
) -> Option<RevealWindow> {
    let on_file = committed.and_then(|epoch| {
        let clock = shown.and(standing).map(|standing| standing.clock).or(clock)?;
        Some(RevealWindow::new(epoch, &clock))
    });
    on_file.into_iter().chain(shown).max_by_key(|window| window.reveal_epoch)
}

/// Whether a reveal on file may be sent to find out what becomes of it.
fn disclosure(view: &View) -> Disclosure {
    match view.stage == Stage::RevealSigned && view.may_send() {
        true => Disclosure::InWindow,
        false => Disclosure::Withheld,
    }
}

/// Whether nothing is left but to say why.
const fn is_in_vain(view: &View) -> bool {
    matches!(view.next, Next::Lost) || matches!(view.agreement, Agreement::OtherChain(_))
}

/// Whether trying again is in vain, after so many failures.
fn is_final(error: &Error, view: &View, failures: u32) -> bool {
    let may_be_open = view.window.is_some() && !matches!(view.agreement, Agreement::Over(_));
    match error {
        // Nothing is at risk yet, so nobody waits for a host or for coins.
        Error::Refused(_) if view.window.is_none() => true,
        error if is_of_connection(error) => false,
        // The chain shows something else than the file: another node may know better.
        Error::Stage { .. } => failures >= TRIES && !may_be_open,
        error => is_permanent(error) || (failures >= TRIES && !may_be_open),
    }
}

/// An epoch of the public network, as long as none is known.
const DAY_MS: u64 = 86_400_000;

/// Ends when the nodes agree that the window is open.
async fn opened(pulse: &mut Receiver<Arc<Pulse>>, view: &View) {
    let Some(window) = view.window else { return std::future::pending().await };
    let open = |pulse: &Arc<Pulse>| {
        matches!(pulse.agreement(None, window.reveal_epoch), Agreement::Full | Agreement::Silent(_))
    };
    if pulse.wait_for(open).await.is_err() {
        std::future::pending().await
    }
}

/// What it costs not to reveal.
const fn cost(of: RevealOf) -> &'static str {
    match of {
        RevealOf::Registration => "at its end half the stake is lost",
        RevealOf::Update => "at its end the update is dropped",
    }
}

fn url(pulse: &Pulse, node: usize) -> &str {
    pulse.votes.get(node).map_or("?", |vote| vote.url.as_str())
}

fn waiting_text(waiting: Waiting, of: RevealOf, view: &View, pulse: &Pulse) -> String {
    let url = |node| url(pulse, node);
    let epoch = view.window.map_or(0, |window| window.reveal_epoch);
    let what = match of {
        RevealOf::Registration => "the reveal",
        RevealOf::Update => "the reveal of the update",
    };
    match waiting {
        Waiting::Commit => "waiting for its commit".to_owned(),
        Waiting::Outcome => "waiting to learn what became of a signed transaction".to_owned(),
        Waiting::Window => format!("waiting for epoch {epoch}, the window of {what}"),
        Waiting::Chain(node) => {
            format!("waiting: {} serves another chain than this model's", url(node))
        }
        Waiting::Node(node) => {
            format!("waiting until {} has reached epoch {epoch} too", url(node))
        }
        Waiting::Grace(node) => {
            format!("waiting for an answer of {}, for a quarter of the window", url(node))
        }
        Waiting::Network => "waiting for a node that answers".to_owned(),
        Waiting::Turn => format!("waiting for the turn of {what} in epoch {epoch}"),
        Waiting::Look => "nothing is under way; looking after what its URL serves".to_owned(),
        Waiting::Nothing => "nothing to wait for".to_owned(),
    }
}

/// The errors of a look, in one line.
fn findings(report: &Report) -> String {
    let texts: Vec<&str> = report.errors().map(|finding| finding.message.as_str()).collect();
    texts.join("; ")
}

/// An error and its causes in one line.
fn in_one_line(error: &Error) -> String {
    with_causes(error).replace('\n', "; ")
}
