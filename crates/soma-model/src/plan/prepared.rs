//! A step that is ready to be signed, and sending it.

use std::time::Duration;

use soma_proto::{Address, KeyPair, ObjectRef, TransactionData, TransactionKind};
use soma_rpc::{Client, Executed};

use crate::{Error, Gas, Network, Report, Result, RevealPlan, payment};

/// A step with what its checks found.
///
/// It can be built although a check failed, for those who only want the bytes;
/// [`send`](Self::send) refuses it then.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// The transaction.
    pub data: TransactionData,
    /// What the checks found.
    pub report: Report,
    /// What they were made against.
    pub network: Network,
}

impl Prepared {
    /// Chooses the coins and builds the transaction.
    ///
    /// # Errors
    /// [`Error::Refused`] if the coins do not suffice, with all other findings
    /// too; [`Error::Rpc`].
    pub(super) async fn build(
        client: &Client,
        sender: Address,
        kind: TransactionKind,
        gas: &Gas,
        network: Network,
        mut report: Report,
    ) -> Result<Self> {
        let coins = client.coins(&sender).await?;
        let (payment, findings) = payment::choose(&kind, &network.parameters, &coins, gas);
        report.extend(findings);
        match payment {
            Some(payment) => Ok(Self::of(kind, sender, payment, network, report)),
            None => Err(Error::Refused(report)),
        }
    }

    /// The same step, paid for by coins that are chosen anew.
    ///
    /// # Errors
    /// As [`build`](Self::build).
    pub(crate) async fn paid_anew(self, client: &Client, gas: &Gas) -> Result<Self> {
        let (sender, kind) = (self.data.sender(), self.data.kind().clone());
        Self::build(client, sender, kind, gas, self.network, self.report).await
    }

    /// Gives itself back if no check failed.
    ///
    /// # Errors
    /// [`Error::Refused`].
    pub fn checked(self) -> Result<Self> {
        if self.report.is_ok() { Ok(self) } else { Err(Error::Refused(self.report)) }
    }

    /// Gives itself back if a node may try it out: whoever sees a reveal knows
    /// the URL and the key, so every check must hold first.
    ///
    /// # Errors
    /// [`Error::Refused`].
    pub fn disclosable(self) -> Result<Self> {
        match RevealPlan::of_kind(self.data.kind()) {
            Some(_) => self.checked(),
            None => Ok(self),
        }
    }

    /// Signs, sends, and waits for the checkpoint.
    ///
    /// # Errors
    /// [`Error::Refused`] before anything is sent; [`Error::Failed`] if the
    /// chain failed it; [`Error::Rpc`], where an unknown outcome is told apart.
    pub async fn send(self, client: &Client, key: &KeyPair, timeout: Duration) -> Result<Executed> {
        let prepared = self.checked()?;
        let executed = client.execute_and_wait(&prepared.data.sign(key), timeout).await?;
        if executed.effects.is_success() {
            Ok(executed)
        } else {
            Err(Error::Failed(Box::new(executed)))
        }
    }

    fn of(
        kind: TransactionKind,
        sender: Address,
        payment: Vec<ObjectRef>,
        network: Network,
        report: Report,
    ) -> Self {
        Self { data: TransactionData::new(kind, sender, payment), report, network }
    }
}
