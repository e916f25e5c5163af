//! Which coins a transaction takes its money from, and which pay its fee.

use soma_proto::{Address, ObjectId, ObjectRef, TransactionData, TransactionKind};
use soma_rpc::Client;
use soma_rpc::gas::{self, Coin, FeeRates};

use crate::error::{Error, Result};

/// The coins of an account, and the fees in force.
pub(super) struct Purse {
    owner: Address,
    coins: Vec<Coin>,
    rates: FeeRates,
}

impl Purse {
    /// Asks the node.
    pub(super) async fn ask(node: &Client, owner: Address) -> Result<Self> {
        let rates = FeeRates::from(&node.parameters().await?);
        Ok(Self { owner, coins: node.coins(&owner).await?, rates })
    }

    /// Moves `amount` out of the coins that pay the fee too; `kind` makes the
    /// transaction from the first of them.
    pub(super) fn spend(
        &self,
        amount: u64,
        kind: impl Fn(Vec<ObjectRef>) -> TransactionKind,
    ) -> Result<TransactionData> {
        let any = self.coins.first().map(|coin| vec![coin.reference]).unwrap_or_default();
        let needed = match any.is_empty() {
            true => amount,
            false => self.cost(&kind(any), |_| true, None),
        };
        let chosen =
            gas::choose(self.coins.iter().copied(), needed).map_err(soma_rpc::Error::from)?;
        let gas: Vec<_> = chosen.iter().map(|coin| coin.reference).collect();
        Ok(TransactionData::new(kind(gas.clone()), self.owner, gas))
    }

    /// Stakes all of the largest coin. The others pay; if there is none, the
    /// coin itself where `alone` allows it.
    pub(super) fn spend_whole_coin(
        &self,
        alone: bool,
        kind: impl Fn(ObjectRef) -> TransactionKind,
    ) -> Result<TransactionData> {
        let largest = self.coins.iter().max_by_key(|coin| coin.balance);
        let Some(coin) = largest else { return Err(self.no_coin()) };
        let made = kind(coin.reference);
        match self.others(&made, None) {
            Ok(gas) => Ok(TransactionData::new(made, self.owner, gas)),
            Err(_) if alone => Ok(TransactionData::new(made, self.owner, vec![coin.reference])),
            Err(error) => Err(error),
        }
    }

    /// Pays for a kind from coins that it does not name. `principal` is the
    /// worth of a receipt among its inputs.
    pub(super) fn pay_for(
        &self,
        kind: TransactionKind,
        principal: Option<u64>,
    ) -> Result<TransactionData> {
        let gas = match self.others(&kind, principal) {
            Ok(gas) => gas,
            // A coin that is given away can pay for that itself.
            Err(error) => vec![self.named(&kind).ok_or(error)?.reference],
        };
        Ok(TransactionData::new(kind, self.owner, gas))
    }

    /// The gas of a transaction that is built and not judged: whatever is
    /// wrong with it, the chain will say so.
    pub(super) fn gas_for(&self, kind: &TransactionKind) -> Result<Vec<ObjectRef>> {
        let named = self.named(kind);
        if let Some(coin) = named.filter(|_| names_amount(kind)) {
            let is_input = |id| kind.owned_inputs().iter().any(|input| input.id() == id);
            if coin.balance >= self.cost(kind, is_input, None) {
                return Ok(vec![coin.reference]);
            }
        }
        match (self.others(kind, None), named, self.coins.first()) {
            (Ok(gas), ..) => Ok(gas),
            (Err(_), Some(coin), _) | (Err(_), None, Some(coin)) => Ok(vec![coin.reference]),
            (Err(_), None, None) => Err(self.no_coin()),
        }
    }

    /// Coins that the kind does not name and that cover what it costs then.
    fn others(&self, kind: &TransactionKind, principal: Option<u64>) -> Result<Vec<ObjectRef>> {
        let inputs: Vec<_> = kind.owned_inputs().iter().map(ObjectRef::id).collect();
        // A kind without coins of its own takes its money from those that pay.
        let needed = self.cost(kind, |_| false, principal);
        let others = self.coins.iter().filter(|coin| !inputs.contains(&coin.reference.id()));
        let chosen = gas::choose(others.copied(), needed).map_err(soma_rpc::Error::from)?;
        Ok(chosen.iter().map(|coin| coin.reference).collect())
    }

    /// The first coin of the owner that the kind names.
    fn named(&self, kind: &TransactionKind) -> Option<&Coin> {
        let inputs = kind.owned_inputs();
        inputs.iter().find_map(|input| self.coin(input.id()))
    }

    fn coin(&self, id: ObjectId) -> Option<&Coin> {
        self.coins.iter().find(|coin| coin.reference.id() == id)
    }

    fn cost(
        &self,
        kind: &TransactionKind,
        is_gas: impl Fn(ObjectId) -> bool,
        principal: Option<u64>,
    ) -> u64 {
        let worth = |id| self.coin(id).map(|coin| coin.balance).or(principal);
        gas::cost(kind, self.rates, is_gas, worth).needed()
    }

    fn no_coin(&self) -> Error {
        Error::Other(format!("InsufficientGas: {} has no coin to pay with", self.owner))
    }
}

/// Whether the kind says how much leaves the coin that it names.
fn names_amount(kind: &TransactionKind) -> bool {
    matches!(
        kind,
        TransactionKind::TransferCoin { amount: Some(_), .. }
            | TransactionKind::PayCoins { amounts: Some(_), .. }
            | TransactionKind::AddStake { amount: Some(_), .. }
            | TransactionKind::AddStakeToModel { amount: Some(_), .. }
    )
}
