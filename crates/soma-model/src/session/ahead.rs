//! What can be done for a reveal before its window is open: everything but
//! sending it.

use soma_proto::{ObjectId, TransactionData, TransactionKind};
use soma_rpc::gas::{self, Coin, FeeRates};

use super::settle::Half;
use super::{Session, round, stage};
use crate::state::{Sent, StateFile};
use crate::{Check, Error, Finding, Gas, Network, Phase, Report, Result, RevealOf, RevealWindow};

/// A coin that is set aside is made for so many reveals.
const REVEALS: u64 = 20;
/// A coin of at most so many times that is set aside as it is.
const SMALL: u64 = 5;

impl Session<'_> {
    /// Finds out what became of signed transactions, without signing or
    /// beginning anything new. A reveal is sent again in its window only.
    ///
    /// # Errors
    /// [`Error::Refused`] for another chain or owner; [`Error::Stage`] if a
    /// commit was signed that can never be executed any more; [`Error::Rpc`],
    /// [`Error::File`].
    pub async fn settle(&self, file: &mut StateFile, of: RevealOf) -> Result<()> {
        self.check_chain(file).await?;
        if self.revealed(file, of).await?.is_some() {
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
        let gas = self.reveal_gas(file);
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
    /// of a large one, which takes a transaction. `taken` are coins that are
    /// set aside for others.
    ///
    /// # Errors
    /// [`Error::Refused`] if there is no coin for it; [`Error::Failed`],
    /// [`Error::Rpc`], [`Error::File`].
    pub async fn set_aside(&self, file: &mut StateFile, taken: &[ObjectId]) -> Result<ObjectId> {
        self.check_chain(file).await?;
        let rates = FeeRates::from(&Network::ask(self.client).await?.parameters);
        let fee = rates.base_fee.saturating_add(rates.write_object_fee.saturating_mul(2));
        let coins = self.client.coins(&self.key.address()).await?;
        let kept = |coin: &&Coin| Some(coin.reference.id()) == file.state.gas_coin;
        if let Some(coin) = coins.iter().find(kept).filter(|coin| coin.balance >= fee) {
            return Ok(coin.reference.id());
        }
        let free: Vec<Coin> =
            coins.into_iter().filter(|coin| !taken.contains(&coin.reference.id())).collect();
        let wanted = fee.saturating_mul(REVEALS);
        let small = gas::choose(free.iter().copied(), fee)
            .ok()
            .and_then(|chosen| <[Coin; 1]>::try_from(chosen).ok())
            .filter(|[coin]| coin.balance <= wanted.saturating_mul(SMALL));
        let id = match small {
            Some([coin]) => coin.reference.id(),
            None => self.split(&free, wanted, rates, fee).await?,
        };
        file.update(|state| state.gas_coin = Some(id))?;
        Ok(id)
    }

    /// The coins for a reveal: the one that is set aside for it before others.
    pub(super) fn reveal_gas(&self, file: &StateFile) -> Gas {
        match (&self.gas, file.state.gas_coin) {
            (Gas::Automatic, first) => Gas::Sparing { first, never: Vec::new() },
            (Gas::Sparing { never, .. }, first @ Some(_)) => {
                Gas::Sparing { first, never: never.clone() }
            }
            (gas, _) => gas.clone(),
        }
    }

    /// Makes a coin of `amount` out of the largest one; if that cannot be, the
    /// largest one itself has to do.
    async fn split(
        &self,
        free: &[Coin],
        amount: u64,
        rates: FeeRates,
        fee: u64,
    ) -> Result<ObjectId> {
        let largest = free.iter().max_by_key(|coin| (coin.balance, coin.reference.id()));
        let Some(largest) = largest.filter(|coin| coin.balance >= fee) else {
            let message = format!("no coin is left for the reveal's fee of {fee} shannons");
            let finding = Finding::error(Check::Coins, message)
                .with_remedy("soma faucet gives coins on a test network")
                .with_failure("InsufficientGas");
            return Err(Error::Refused(Report::from_iter([finding])));
        };
        let sender = self.key.address();
        let kind = TransactionKind::PayCoins {
            coins: vec![largest.reference],
            amounts: Some(vec![amount]),
            recipients: vec![sender],
        };
        let cost = gas::cost(&kind, rates, |_| true, |_| Some(largest.balance));
        if largest.balance < cost.needed() {
            return Ok(largest.reference.id());
        }
        let signed = TransactionData::new(kind, sender, vec![largest.reference]).sign(self.key);
        let executed = self.client.execute_and_wait(&signed, self.timeout).await?;
        let created = executed.effects.created().next().map(|object| object.reference.id());
        created.ok_or_else(|| Error::Failed(Box::new(executed)))
    }
}
