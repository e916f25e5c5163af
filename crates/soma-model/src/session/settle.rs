//! What became of a step that was begun earlier.

use soma_proto::{ObjectRef, SignedTransaction, TransactionDigest};
use soma_rpc::{Client, Executed};

use super::{Disclosure, Done, Session, round};
use crate::state::{Sent, State, StateFile};
use crate::{Network, Phase, Report, Result, RevealOf, RevealWindow, Stage, Standing};

/// One of the two transactions of a round.
#[derive(Clone, Copy)]
pub(super) enum Half {
    Commit,
    Reveal,
}

impl Half {
    /// Puts a transaction on file. A new commit forgets the reveal of the old one.
    pub(super) fn put(self, state: &mut State, of: RevealOf, sent: Option<Sent>) {
        let Some(round) = state.round_mut(of) else { return };
        match self {
            Self::Commit => {
                round.commit = sent;
                round.reveal = None;
            }
            Self::Reveal => round.reveal = sent,
        }
    }

    /// Records the epoch in which the step was taken.
    pub(super) fn settle(self, state: &mut State, of: RevealOf, epoch: u64) {
        let Some(round) = state.round_mut(of) else { return };
        let sent = match self {
            Self::Commit => &mut round.commit,
            Self::Reveal => &mut round.reveal,
        };
        sent.get_or_insert(Sent::found(epoch)).epoch = Some(epoch);
    }
}

/// What became of a transaction.
enum Fate {
    Executed(Box<Executed>),
    /// Executed without effect, or never to be executed.
    Over,
}

/// What the chain says of a signed transaction that nobody sends it.
pub(super) enum Verdict {
    /// It was executed, with success.
    Executed(Box<Executed>),
    /// It was executed and failed, or it can never be executed any more.
    Over,
    /// Whoever has its bytes can still have it executed.
    Open,
}

/// Asks the chain what it knows of a signed transaction, without sending it.
///
/// Transactions do not expire, and locks on their coins do: so one is over only
/// if it was executed, or if a coin that is to pay for it has moved on.
pub(super) async fn verdict(client: &Client, transaction: &SignedTransaction) -> Result<Verdict> {
    let digest = transaction.digest();
    let judge = |executed: Executed| match executed.effects.is_success() {
        true => Verdict::Executed(Box::new(executed)),
        false => Verdict::Over,
    };
    if let Some(executed) = client.transaction(&digest).await? {
        return Ok(judge(executed));
    }
    for coin in transaction.data.gas_payment() {
        if has_moved(client, coin, digest).await? {
            // Then either the transaction moved it, or it is over.
            let known = client.transaction(&digest).await?;
            return Ok(known.map_or(Verdict::Over, judge));
        }
    }
    Ok(Verdict::Open)
}

/// Whether a coin is no longer what a transaction wants to pay with, and not by
/// that transaction.
async fn has_moved(client: &Client, coin: &ObjectRef, by: TransactionDigest) -> Result<bool> {
    // A node that lags shows an earlier version, which says nothing.
    Ok(client
        .object(&coin.id())
        .await?
        .is_none_or(|live| live.version() > coin.version() && live.previous_transaction != by))
}

impl Session<'_> {
    /// The commit of a round, if it stands or can still be made to stand.
    /// Nothing if there is none, or if the one on file can never be executed.
    pub(super) async fn settled_commit(
        &self,
        file: &mut StateFile,
        of: RevealOf,
    ) -> Result<Option<Done>> {
        let mut executed = None;
        let mut epoch = None;
        match round(file, of)?.commit.clone() {
            Some(Sent { epoch: Some(known), digest, .. }) => {
                epoch = Some(known);
                if let Some(digest) = digest {
                    executed = self.client.transaction(&digest).await?;
                }
            }
            Some(Sent { transaction: Some(transaction), .. }) => {
                if let Fate::Executed(result) = self.fate(&transaction).await? {
                    epoch = Some(result.effects.v1().executed_epoch);
                    executed = Some(*result);
                }
            }
            _ => {}
        }
        let epoch = match epoch {
            Some(epoch) => epoch,
            None => match self.commit_on_chain(file, of).await? {
                Some(epoch) => epoch,
                None => return Ok(None),
            },
        };
        if round(file, of)?.stage() < Stage::Committed {
            let owner = self.key.address();
            file.update(|state| {
                state.owner = Some(owner);
                Half::Commit.settle(state, of, epoch);
            })?;
        }
        let clock = Network::ask(self.client).await?.clock;
        let window = Some(RevealWindow::new(epoch, &clock));
        Ok(Some(Done { executed, epoch, window, report: Report::default() }))
    }

    /// The reveal of a round, if it stands already, or if the one on file may
    /// be sent now and then stands.
    ///
    /// That a node knows its digest is no leave to send it: anybody can say so.
    pub(super) async fn revealed(
        &self,
        file: &mut StateFile,
        of: RevealOf,
        disclosure: Disclosure,
    ) -> Result<Option<Done>> {
        let done =
            |executed, epoch| Done { executed, epoch, window: None, report: Report::default() };
        let sent = round(file, of)?.reveal.clone();
        let known = match sent.as_ref().and_then(|sent| sent.digest) {
            Some(digest) => self.client.transaction(&digest).await?,
            None => None,
        };
        if let Some(epoch) = sent.as_ref().and_then(|sent| sent.epoch) {
            return Ok(Some(done(known, epoch)));
        }
        let committed = round(file, of)?.commit.as_ref().and_then(|commit| commit.epoch);
        let may_send = match disclosure {
            Disclosure::Withheld => false,
            Disclosure::InWindow => {
                self.standing(file).await?.is_some_and(|standing| is_open(&standing, committed))
            }
        };
        let executed = match sent.and_then(|sent| sent.transaction).filter(|_| may_send) {
            Some(transaction) => match self.fate(&transaction).await? {
                Fate::Executed(executed) => Some(*executed),
                Fate::Over => None,
            },
            None => known.filter(|known| {
                let epoch = known.effects.v1().executed_epoch;
                known.effects.is_success() && committed.is_none_or(|commit| epoch > commit)
            }),
        };
        if let Some(executed) = executed {
            let epoch = executed.effects.v1().executed_epoch;
            file.update(|state| Half::Reveal.settle(state, of, epoch))?;
            return Ok(Some(done(Some(executed), epoch)));
        }
        // Revealed by other means: the manifest on the chain is the one on file.
        let Some(standing) = self.standing(file).await? else { return Ok(None) };
        let sealed = round(file, of)?.sealed.map(|sealed| sealed.commitment.into());
        let manifest = standing.model.weights_manifest.as_ref();
        let stands = manifest.is_some_and(|shown| Some(shown.manifest.checksum()) == sealed)
            && standing.model.owner == self.key.address();
        if !stands {
            return Ok(None);
        }
        let epoch = standing.clock.epoch;
        file.update(|state| {
            state.owner = Some(standing.model.owner);
            Half::Reveal.settle(state, of, epoch);
        })?;
        Ok(Some(done(None, epoch)))
    }

    /// The epoch of a commit that stands on the chain: the sender's own, under
    /// this id, to these hashes.
    async fn commit_on_chain(&self, file: &StateFile, of: RevealOf) -> Result<Option<u64>> {
        let round = round(file, of)?;
        let (Some(standing), Some(sealed)) = (self.standing(file).await?, round.sealed) else {
            return Ok(None);
        };
        let model = &standing.model;
        let (url, weights, epoch) = match (of, model.pending_update) {
            (RevealOf::Registration, _) => {
                (model.weights_url_commitment, model.weights_commitment, model.commit_epoch)
            }
            (RevealOf::Update, Some(update)) => {
                (update.weights_url_commitment, update.weights_commitment, update.commit_epoch)
            }
            (RevealOf::Update, None) => return Ok(None),
        };
        let ours = model.owner == self.key.address()
            && url == round.weights_url.commitment()
            && weights == sealed.commitment;
        Ok(ours.then_some(epoch))
    }

    async fn standing(&self, file: &StateFile) -> Result<Option<Standing>> {
        Ok(self.client.model(&file.state.model_id).await?.map(Standing::from))
    }

    /// Sends the same bytes again and tells what became of them.
    async fn fate(&self, transaction: &SignedTransaction) -> Result<Fate> {
        let error = match self.client.execute_and_wait(transaction, self.timeout).await {
            Ok(executed) if executed.effects.is_success() => {
                return Ok(Fate::Executed(Box::new(executed)));
            }
            Ok(_) => return Ok(Fate::Over),
            Err(error) if error.is_unreachable() => return Err(error.into()),
            Err(error) => error,
        };
        match verdict(self.client, transaction).await? {
            Verdict::Executed(executed) => Ok(Fate::Executed(executed)),
            Verdict::Over => Ok(Fate::Over),
            Verdict::Open => Err(error.into()),
        }
    }
}

/// Whether the window is open, by what a node says, for a commit that the state
/// file has in this epoch.
fn is_open(standing: &Standing, committed: Option<u64>) -> bool {
    let epoch = standing.clock.epoch;
    committed.is_none_or(|commit| epoch > commit)
        && standing.reveal_window().is_some_and(|window| window.phase(epoch) == Phase::Open)
}
