//! What can be done for a reveal before its window is open: everything but
//! sending it.

use soma_proto::{ObjectId, TransactionData};
use soma_rpc::gas::{self, Coin, FeeRates};

use super::settle::Half;
use super::{Disclosure, Session, round, stage};
use crate::payment::aside::{self, Aside};
use crate::state::{Sent, StateFile};
use crate::{
    Check, Error, Finding, Gas, Network, Phase, Prepared, Report, Result, RevealOf, RevealWindow,
    Severity,
};

impl Session<'_> {
    /// Finds out what became of signed transactions, without signing or
    /// beginning anything new. A commit is sent again; a reveal as `disclosure`
    /// allows.
    ///
    /// # Errors
    /// [`Error::Refused`] for another chain or owner; [`Error::Stage`] if a
    /// commit was signed that can never be executed any more; [`Error::Rpc`],
    /// [`Error::File`].
    pub async fn settle(
        &self,
        file: &mut StateFile,
        of: RevealOf,
        disclosure: Disclosure,
    ) -> Result<()> {
        self.check_chain(file).await?;
        if self.revealed(file, of, disclosure).await?.is_some() {
            return Ok(());
        }
        match self.settled_commit(file, of).await? {
            Some(_) => Ok(()),
            None => Err(stage(file, of, "its signed commit was not executed and never will be")),
        }
    }

    /// Makes all checks of a reveal before its window is open, and signs it
    /// into the state file, so that nothing is left but to send it. Run again,
    /// it keeps the signed one as long as the coin that pays is as it was.
    ///
    /// # Errors
    /// As [`Session::reveal`]; [`Error::Stage`] if nothing is committed.
    pub async fn rehearse_reveal(&self, file: &mut StateFile, of: RevealOf) -> Result<Report> {
        self.check_chain(file).await?;
        let commit = round(file, of)?.commit.as_ref().and_then(|commit| commit.epoch);
        let (Some(plan), Some(commit_epoch)) = (file.state.reveal_plan(of), commit) else {
            return Err(stage(file, of, "cannot rehearse the reveal"));
        };
        let gas = self.reveal_gas(file)?;
        let prepared = plan.prepare(self.client, &self.host, self.key.address(), &gas).await;
        // That the window is not open is no news.
        let timeless = |mut report: Report| {
            report.findings.retain(|finding| finding.check != Check::Window);
            report
        };
        let mut prepared = match prepared {
            Err(Error::Refused(report)) => return Err(Error::Refused(timeless(report))),
            prepared => prepared?,
        };
        let window = RevealWindow::new(commit_epoch, &prepared.network.clock);
        if window.phase(prepared.network.clock.epoch) == Phase::Early {
            prepared.report = timeless(prepared.report);
        }
        let prepared = prepared.checked()?;
        let signed = prepared.data.sign(self.key);
        let on_file = round(file, of)?.reveal.as_ref().and_then(|reveal| reveal.digest);
        if on_file != Some(signed.digest()) {
            file.update(|state| Half::Reveal.put(state, of, Some(Sent::unsent(&signed))))?;
        }
        Ok(prepared.report)
    }

    /// Sees to it that a coin is set aside for the fee of the model's reveals:
    /// the one on file as long as it suffices, else a small one, else a piece
    /// of a large one, which takes a transaction.
    ///
    /// # Errors
    /// [`Error::Refused`] if there is no coin for it; [`Error::Failed`],
    /// [`Error::Rpc`], [`Error::File`].
    pub async fn set_aside(&self, file: &mut StateFile) -> Result<ObjectId> {
        self.check_chain(file).await?;
        let _turn = self.till.turn(self.timeout).await;
        match self.keep_coin(file, 0).await? {
            Ok(coin) => Ok(coin),
            Err(missing) => Err(Error::Refused(Report::from_iter([missing]))),
        }
    }

    /// Sets a coin aside for the reveal, and pays for the commit with others;
    /// whoever named coins decides himself. It must be this session's turn.
    pub(super) async fn pay_for_commit(
        &self,
        file: &mut StateFile,
        prepared: Prepared,
    ) -> Result<Prepared> {
        if let Gas::Coins(_) = self.gas {
            return Ok(prepared);
        }
        let rates = FeeRates::from(&prepared.network.parameters);
        let need = gas::cost(prepared.data.kind(), rates, |_| true, |_| None).needed();
        let missing = self.keep_coin(file, need).await?.err();
        let own = file.state.gas_coin;
        let never = self.never()?.into_iter().chain(own).collect();
        let without = Gas::Sparing { first: None, never };
        let mut prepared = match prepared.clone().paid_anew(self.client, &without).await {
            // Rather this commit than the next reveal: that one can still be provided for.
            Err(Error::Refused(_)) if own.is_some() => {
                prepared.paid_anew(self.client, &self.commit_gas(file)?).await?
            }
            paid => paid?,
        };
        if let Some(missing) = missing {
            prepared.report.push(Finding { severity: Severity::Warning, ..missing });
        }
        Ok(prepared)
    }

    /// Keeps the coin on file, or sets one aside of those that are not needed to
    /// pay `need` shannons; or says what is missing.
    async fn keep_coin(
        &self,
        file: &mut StateFile,
        need: u64,
    ) -> Result<Result<ObjectId, Finding>> {
        let rates = FeeRates::from(&Network::ask(self.client).await?.parameters);
        let fee = aside::reveal_fee(rates);
        let coins = self.client.coins(&self.key.address()).await?;
        let model = file.state.model_id;
        let of_others = self.till.set_aside()?.into_iter().filter(|(_, of)| *of != model);
        let of_others: Vec<ObjectId> = of_others.map(|(coin, _)| coin).collect();
        let taken = self.never()?;
        // Two that name one coin give it up: it could pay for one of them only.
        let kept = |coin: &&Coin| {
            let id = coin.reference.id();
            Some(id) == file.state.gas_coin && !of_others.contains(&id)
        };
        if let Some(coin) = coins.iter().find(kept).filter(|coin| coin.balance >= fee) {
            return Ok(Ok(coin.reference.id()));
        }
        let free: Vec<Coin> =
            coins.into_iter().filter(|coin| !taken.contains(&coin.reference.id())).collect();
        let id = match aside::choose(&free, rates, need) {
            Some(Aside::Coin(id)) => id,
            Some(Aside::Piece(coin, amount)) => self.split(&coin, amount).await?,
            None => {
                let message = format!(
                    "no coin can be set aside for the fee of the reveal: {fee} shannons must be \
                     there in its window"
                );
                return Ok(Err(Finding::error(Check::Coins, message)
                    .with_remedy("soma faucet gives coins on a test network")
                    .with_failure("InsufficientGas")));
            }
        };
        file.update(|state| state.gas_coin = Some(id))?;
        Ok(Ok(id))
    }

    /// The coins for a reveal: the one that is set aside for it before others.
    pub(super) fn reveal_gas(&self, file: &StateFile) -> Result<Gas> {
        if let Gas::Coins(_) = self.gas {
            return Ok(self.gas.clone());
        }
        Ok(Gas::Sparing { first: file.state.gas_coin, never: self.never()? })
    }

    /// The coins for a commit: any but those that are set aside for other models.
    pub(crate) fn commit_gas(&self, file: &StateFile) -> Result<Gas> {
        if let Gas::Coins(_) = self.gas {
            return Ok(self.gas.clone());
        }
        let own = file.state.gas_coin;
        let never = self.never()?.into_iter().filter(|coin| Some(*coin) != own).collect();
        Ok(Gas::Sparing { first: None, never })
    }

    /// Coins that are set aside.
    fn never(&self) -> Result<Vec<ObjectId>> {
        let mut never: Vec<_> = self.till.set_aside()?.into_iter().map(|(coin, _)| coin).collect();
        if let Gas::Sparing { never: others, .. } = &self.gas {
            never.extend(others);
        }
        Ok(never)
    }

    /// Makes a coin of `amount` out of a larger one.
    async fn split(&self, coin: &Coin, amount: u64) -> Result<ObjectId> {
        let sender = self.key.address();
        let kind = aside::piece(coin, amount, sender);
        let signed = TransactionData::new(kind, sender, vec![coin.reference]).sign(self.key);
        let executed = self.client.execute_and_wait(&signed, self.timeout).await?;
        let created = executed.effects.created().next().map(|object| object.reference.id());
        created.ok_or_else(|| Error::Failed(Box::new(executed)))
    }
}
