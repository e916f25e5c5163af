//! Carrying a prepared model through its steps, from wherever it stands.
//!
//! Every step follows the same order: look at the record, look at the chain,
//! and only then sign something new. The signed transaction is saved before
//! its first byte leaves; whoever comes later sends the same bytes. So a step
//! can be interrupted anywhere and run again, and pays once.

mod again;
mod ahead;
mod over;
mod rehearsal;
mod settle;

use std::time::Duration;

use soma_proto::{CheckpointDigest, KeyPair};
use soma_rpc::{Client, Executed};

pub(crate) use self::again::{Pauses, is_of_connection, is_over, is_permanent};
pub use self::over::close_update;
use self::settle::Half;
use crate::state::{Round, Sent, State, StateFile, Terms};
use crate::{
    Check, Error, Finding, Gas, Host, Network, Prepared, Report, Result, RevealOf, RevealWindow,
    Stage, Till, wait_until_open,
};

/// What all steps need.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_structs, reason = "a list of arguments with names")]
pub struct Session<'a> {
    /// The node.
    pub client: &'a Client,
    /// The owner's key.
    pub key: &'a KeyPair,
    /// The host of the weights.
    pub host: Host<'a>,
    /// Which coins pay.
    pub gas: Gas,
    /// Shared with whatever else takes coins of this owner at the same time.
    pub till: Till,
    /// How long to wait for a checkpoint.
    pub timeout: Duration,
}

/// Whether a signed reveal that is on file may leave this machine. Whoever
/// sees it knows the URL and the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "it stays or it goes")]
pub enum Disclosure {
    /// It stays here. What became of it is looked up by its digest.
    Withheld,
    /// It is sent if its window is open: by the word of the node that is asked,
    /// and not before the epoch after the commit that is on file.
    InWindow,
}

/// Tries of a reveal while a node answers, and yet tells nothing of the window: two minutes.
const BLIND_TRIES: u32 = 8;

/// A step that is done.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Done {
    /// The transaction's result; absent if the chain shows that the step was
    /// taken and the result is no longer to be had.
    pub executed: Option<Executed>,
    /// The epoch in which it was executed.
    pub epoch: u64,
    /// The window for the reveal, of a commit.
    pub window: Option<RevealWindow>,
    /// What the checks found, if any were made.
    pub report: Report,
}

/// Something that happens while a reveal is waited for.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// The window is not open yet.
    Waiting(&'a RevealWindow),
    /// A try failed and will be repeated after a pause.
    Retrying {
        /// What went wrong.
        error: &'a Error,
        /// How long until the next try.
        pause: Duration,
    },
}

impl Session<'_> {
    /// Commits to the prepared weights of a new model. Done already, it says
    /// so; interrupted, it goes on.
    ///
    /// Before stake is put at risk the reveal is rehearsed on this machine:
    /// the file must be up, open with the key and fit the network.
    ///
    /// # Errors
    /// [`Error::Stage`], [`Error::Refused`], [`Error::Failed`], [`Error::Rpc`],
    /// [`Error::File`].
    pub async fn commit(&self, file: &mut StateFile, terms: Terms) -> Result<Done> {
        self.commit_round(file, RevealOf::Registration, Some(terms)).await
    }

    /// Commits to the prepared new weights of an active model.
    ///
    /// # Errors
    /// [`Error::NoUpdate`]; as [`Session::commit`].
    pub async fn commit_update(&self, file: &mut StateFile) -> Result<Done> {
        self.commit_round(file, RevealOf::Update, None).await
    }

    /// Reveals committed weights; the window must be open.
    ///
    /// # Errors
    /// [`Error::NoUpdate`]; as [`Session::commit`].
    pub async fn reveal(&self, file: &mut StateFile, of: RevealOf) -> Result<Done> {
        self.check_chain(file).await?;
        if let Some(done) = self.revealed(file, of, Disclosure::InWindow).await? {
            return Ok(done);
        }
        if self.settled_commit(file, of).await?.is_none() {
            return Err(stage(file, of, "cannot reveal"));
        }
        let plan = file.state.reveal_plan(of).expect("what is committed is sealed");
        let (sender, gas) = (self.key.address(), self.reveal_gas(file)?);
        let prepared = plan.prepare(self.client, &self.host, sender, &gas).await?.checked()?;
        let own = file.state.gas_coin;
        if prepared.data.gas_payment().iter().all(|coin| Some(coin.id()) == own) {
            return self.sign_and_send(file, of, Half::Reveal, prepared).await;
        }
        // Coins that others may want too; by now they may have been spent.
        let _turn = self.till.turn(self.timeout).await;
        let prepared = prepared.paid_anew(self.client, &self.reveal_gas(file)?).await?;
        self.sign_and_send(file, of, Half::Reveal, prepared).await
    }

    /// Waits for the window, then reveals; what may go away by itself is tried
    /// again as long as the window is open: a host or a node that is down or lags
    /// behind, coins that are missing or locked.
    ///
    /// # Errors
    /// As [`Session::reveal`]: at once for what stays wrong, for anything else when
    /// the window is over.
    pub async fn reveal_when_open(
        &self,
        file: &mut StateFile,
        of: RevealOf,
        mut tell: impl FnMut(Event<'_>),
    ) -> Result<Done> {
        let mut pauses = Pauses::new();
        let mut window: Option<RevealWindow> = None;
        let id = file.state.model_id;
        let mut blind = 0;
        loop {
            let result = self.wait_and_reveal(file, of, &mut window, &mut tell).await;
            let error = match result {
                Err(error) if !is_permanent(&error) => error,
                result => return result,
            };
            let is_over = match &window {
                Some(window) => is_over(self.client, &id, window).await,
                // What is committed to may be in its window already.
                None if is_of_connection(&error) => false,
                None => {
                    blind += 1;
                    round(file, of)?.commit.is_none() || blind > BLIND_TRIES
                }
            };
            if is_over {
                return Err(error);
            }
            let pause = pauses.next(window.as_ref());
            tell(Event::Retrying { error: &error, pause });
            tokio::time::sleep(pause).await;
        }
    }

    /// Carries on whatever is under way: settles a commit that was signed,
    /// waits for the window, reveals. Nothing if there is nothing under way.
    ///
    /// # Errors
    /// As [`Session::reveal`].
    pub async fn resume(
        &self,
        file: &mut StateFile,
        tell: impl FnMut(Event<'_>),
    ) -> Result<Option<Done>> {
        let (of, round) = file.state.current();
        match (round.stage(), of, file.state.terms) {
            (Stage::Unsealed | Stage::Prepared | Stage::Revealed, ..) => return Ok(None),
            (Stage::CommitSigned, RevealOf::Registration, Some(terms)) => {
                self.commit(file, terms).await?;
            }
            (Stage::CommitSigned, RevealOf::Update, _) => {
                self.commit_update(file).await?;
            }
            _ => {}
        }
        self.reveal_when_open(file, of, tell).await.map(Some)
    }

    async fn commit_round(
        &self,
        file: &mut StateFile,
        of: RevealOf,
        terms: Option<Terms>,
    ) -> Result<Done> {
        let found = self.check_ground(file).await?;
        if round(file, of)?.stage() == Stage::Unsealed {
            return Err(stage(file, of, "cannot commit"));
        }
        if found.is_ok() {
            self.note_chain(file).await?;
            if let Some(done) = self.settled_commit(file, of).await? {
                return Ok(done);
            }
        } else if round(file, of)?.commit.is_some() {
            // What was signed for one chain must not reach another one.
            return Err(Error::Refused(found));
        }
        // Nothing of an earlier try can be executed any more.
        let sender = self.key.address();
        let prepared = self.plan_commit(file, of, terms, found).await?.checked()?;
        file.update(|state| {
            state.owner = Some(sender);
            state.terms = terms.or(state.terms);
        })?;
        let clock = prepared.network.clock;
        let _turn = self.till.turn(self.timeout).await;
        let prepared = self.pay_for_commit(file, prepared).await?;
        let done = self.sign_and_send(file, of, Half::Commit, prepared).await?;
        Ok(Done { window: Some(RevealWindow::new(done.epoch, &clock)), ..done })
    }

    async fn wait_and_reveal(
        &self,
        file: &mut StateFile,
        of: RevealOf,
        window: &mut Option<RevealWindow>,
        tell: &mut impl FnMut(Event<'_>),
    ) -> Result<Done> {
        self.check_chain(file).await?;
        // What fails while the window is open is tried again, and a node that goes away
        // is not waited for for ever: so the window has to be known first.
        let on_file = round(file, of)?.commit.as_ref().and_then(|sent| sent.epoch);
        if let (None, Some(epoch)) = (&window, on_file) {
            *window = Some(RevealWindow::new(epoch, &Network::ask(self.client).await?.clock));
        }
        if let Some(done) = self.revealed(file, of, Disclosure::InWindow).await? {
            return Ok(done);
        }
        let Some(committed) = self.settled_commit(file, of).await? else {
            return Err(stage(file, of, "cannot reveal"));
        };
        *window = committed.window;
        let standing = wait_until_open(self.client, &file.state.model_id, tell).await?;
        *window = standing.reveal_window().or(*window);
        self.reveal(file, of).await
    }

    /// Puts a transaction on file, then sends it, then records its epoch.
    async fn sign_and_send(
        &self,
        file: &mut StateFile,
        of: RevealOf,
        half: Half,
        prepared: Prepared,
    ) -> Result<Done> {
        let signed = prepared.data.sign(self.key);
        file.update(|state| half.put(state, of, Some(Sent::unsent(&signed))))?;
        let executed = self.client.execute_and_wait(&signed, self.timeout).await?;
        if !executed.effects.is_success() {
            return Err(Error::Failed(Box::new(executed)));
        }
        let epoch = executed.effects.v1().executed_epoch;
        file.update(|state| half.settle(state, of, epoch))?;
        Ok(Done { executed: Some(executed), epoch, window: None, report: prepared.report })
    }

    /// Refuses a state file of another chain or owner.
    pub(crate) async fn check_chain(&self, file: &mut StateFile) -> Result<()> {
        let found = self.check_ground(file).await?;
        if !found.is_ok() {
            return Err(Error::Refused(found));
        }
        self.note_chain(file).await
    }

    async fn note_chain(&self, file: &mut StateFile) -> Result<()> {
        if file.state.chain_id.is_none() {
            let chain = self.client.chain_id().await?;
            file.update(|state| state.chain_id = Some(chain))?;
        }
        Ok(())
    }
}

/// A finding if the model is for another chain.
fn foreign_chain(state: &State, chain: CheckpointDigest) -> Option<Finding> {
    let expected = state.chain_id.filter(|expected| *expected != chain)?;
    let message = format!("the model is for chain {expected}, the node serves {chain}");
    let remedy = "choose the environment it was committed in, or prepare it anew";
    Some(Finding::error(Check::Chain, message).with_remedy(remedy))
}

fn round(file: &StateFile, of: RevealOf) -> Result<&Round> {
    file.state.round(of).ok_or(Error::NoUpdate { model: file.state.model_id })
}

fn stage(file: &StateFile, of: RevealOf, what: &'static str) -> Error {
    match round(file, of) {
        Ok(round) => Error::Stage { what, model: file.state.model_id, stage: round.stage() },
        Err(error) => error,
    }
}
