//! Which coins a transaction takes its money from, and which pay its fee.
//!
//! Pure functions over the coins of one account. A transaction that spends from
//! its own gas coin may use several: the chain merges them into the first one
//! before it does anything else.

use soma_proto::{Address, ObjectId, ObjectRef, TransactionData, TransactionKind};
use soma_rpc::Client;
use soma_rpc::gas::{self, Coin, FeeRates, NotEnough};

/// Coins that a payment to several accounts takes by itself.
const PAY_COINS: usize = 10;

/// A transaction with the coins that pay for it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Payment {
    /// What it does.
    pub kind: TransactionKind,
    /// The coins that pay the fee.
    pub gas: Vec<ObjectRef>,
}

impl Payment {
    /// The transaction, ready to be signed.
    pub fn into_transaction(self, sender: Address) -> TransactionData {
        TransactionData::new(self.kind, sender, self.gas)
    }
}

/// Why no payment could be made up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PaymentError {
    /// The coins do not suffice.
    #[error(transparent)]
    NotEnough(#[from] NotEnough),
    /// A coin that was named is not among the account's.
    #[error("{id} is not a coin of {owner}")]
    UnknownCoin {
        /// The coin.
        id: ObjectId,
        /// The account.
        owner: Address,
    },
    /// A coin that was named is kept for something else.
    #[error("coin {id} is set aside for the reveal of model {model}")]
    SetAside {
        /// The coin.
        id: ObjectId,
        /// The model.
        model: ObjectId,
    },
    /// A coin that was named more than once.
    #[error("coin {id} is named twice")]
    NamedTwice {
        /// The coin.
        id: ObjectId,
    },
    /// The one coin there is cannot be staked and pay at the same time.
    #[error(
        "all of a coin is to be staked on a model, and there is no other coin for the fee of {fee} shannons"
    )]
    NoOtherCoin {
        /// The fee in shannons.
        fee: u64,
    },
}

/// The coins of an account, and the fees in force.
#[derive(Clone, Debug)]
pub struct Purse {
    owner: Address,
    coins: Vec<Coin>,
    rates: FeeRates,
    /// Coins that are not among `coins`, and the models they are kept for.
    set_aside: Vec<(ObjectId, ObjectId)>,
}

/// Where stake goes.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_enums, reason = "there is nothing else to stake on")]
pub enum StakeTarget {
    /// To a model.
    Model(ObjectId),
    /// To a validator.
    Validator(Address),
}

impl StakeTarget {
    fn kind(self, coin_ref: ObjectRef, amount: Option<u64>) -> TransactionKind {
        match self {
            Self::Model(model_id) => {
                TransactionKind::AddStakeToModel { model_id, coin_ref, amount }
            }
            Self::Validator(address) => TransactionKind::AddStake { address, coin_ref, amount },
        }
    }
}

impl Purse {
    /// The coins of `owner`, and the fees in force.
    pub const fn new(owner: Address, coins: Vec<Coin>, rates: FeeRates) -> Self {
        Self { owner, coins, rates, set_aside: Vec::new() }
    }

    /// Asks the node for the coins of `owner` and the fees in force. Coins that
    /// are kept for reveals, each given with its model, stay out.
    ///
    /// # Errors
    /// [`soma_rpc::Error`].
    pub async fn ask(
        client: &Client,
        owner: Address,
        set_aside: &[(ObjectId, ObjectId)],
    ) -> soma_rpc::Result<Self> {
        let rates = FeeRates::from(&client.parameters().await?);
        Ok(Self::new(owner, client.coins(&owner).await?, rates).with_set_aside(set_aside))
    }

    /// Without coins that are kept for reveals, each given with its model.
    #[must_use]
    pub fn with_set_aside(mut self, set_aside: &[(ObjectId, ObjectId)]) -> Self {
        self.coins.retain(|coin| set_aside.iter().all(|(id, _)| *id != coin.reference.id()));
        self.set_aside = set_aside.to_vec();
        self
    }

    /// Pays for a kind that names no coin: the smallest coin that covers stake and
    /// fee, or the coins named in `gas`.
    ///
    /// # Errors
    /// [`PaymentError`].
    pub fn pay_for(
        &self,
        kind: TransactionKind,
        gas: &[ObjectId],
    ) -> Result<Payment, PaymentError> {
        self.pay_for_receipt(kind, 0, gas)
    }

    /// As [`pay_for`](Self::pay_for), for the withdrawal of a receipt that is worth
    /// `principal` shannons: the fee depends on it.
    ///
    /// # Errors
    /// [`PaymentError`].
    pub fn pay_for_receipt(
        &self,
        kind: TransactionKind,
        principal: u64,
        gas: &[ObjectId],
    ) -> Result<Payment, PaymentError> {
        let inputs: Vec<_> = kind.owned_inputs().iter().map(ObjectRef::id).collect();
        let worth = |id| self.coin(id).map_or(principal, |coin| coin.balance);
        let cost = gas::cost(&kind, self.rates, |_| false, |id| Some(worth(id)));
        let others = self.coins.iter().filter(|coin| !inputs.contains(&coin.reference.id()));
        let gas = match gas {
            [] => match gas::choose(others.copied(), cost.needed()) {
                Ok(chosen) => references(&chosen),
                // A coin that is given away as it is can pay for that itself.
                Err(e) => match kind.owned_inputs().first() {
                    Some(input) if self.coin(input.id()).is_ok() => vec![*input],
                    _ => return Err(e.into()),
                },
            },
            named => self.named(named)?,
        };
        self.covered(kind, gas, principal)
    }

    /// Moves `amount` out of a coin: `coin` if it is named, else the coins that pay
    /// the fee too. `kind` makes the transaction from the coin.
    ///
    /// # Errors
    /// [`PaymentError`].
    pub fn spend(
        &self,
        amount: u64,
        coin: Option<ObjectId>,
        gas: &[ObjectId],
        kind: impl Fn(ObjectRef, Option<u64>) -> TransactionKind,
    ) -> Result<Payment, PaymentError> {
        let Some(first) = self.coins.first() else {
            return Err(self.nothing(amount).into());
        };
        let from_gas = self.cost(&kind(first.reference, Some(amount)), |_| true).needed();
        let (source, gas) = match (coin, gas) {
            (None, []) => {
                let chosen = references(&gas::choose(self.coins.iter().copied(), from_gas)?);
                (chosen[0], chosen)
            }
            (None, named) => {
                let named = self.named(named)?;
                (named[0], named)
            }
            (Some(id), []) => {
                let coin = self.coin(id)?;
                let source = coin.reference;
                if coin.balance >= from_gas {
                    (source, vec![source])
                } else {
                    let fee = self.cost(&kind(source, Some(amount)), |_| false).needed();
                    match gas::choose(self.all_but(id), fee) {
                        Ok(chosen) => (source, references(&chosen)),
                        Err(_) if coin.balance < amount => {
                            return Err(shortage(coin, amount).into());
                        }
                        Err(_) => return Err(shortage(coin, from_gas).into()),
                    }
                }
            }
            (Some(id), named) => {
                let mut gas = self.named(named)?;
                // The others are merged into the first, which must be the one spent.
                if let Some(place) = named.iter().position(|other| *other == id) {
                    gas.swap(0, place);
                }
                (self.coin(id)?.reference, gas)
            }
        };
        self.covered(kind(source, Some(amount)), gas, 0)
    }

    /// Stakes `amount`, or all of a coin.
    ///
    /// # Errors
    /// [`PaymentError`].
    pub fn stake(
        &self,
        target: StakeTarget,
        amount: Option<u64>,
        coin: Option<ObjectId>,
        gas: &[ObjectId],
    ) -> Result<Payment, PaymentError> {
        if let Some(amount) = amount {
            return self.spend(amount, coin, gas, |coin, amount| target.kind(coin, amount));
        }
        let coin = match coin {
            Some(id) => self.coin(id)?,
            None => {
                let spare = self.coins.iter().filter(|c| !gas.contains(&c.reference.id()));
                *spare.max_by_key(|coin| coin.balance).ok_or_else(|| self.nothing(0))?
            }
        };
        let kind = target.kind(coin.reference, None);
        let gas = match (target, gas) {
            (_, [_, ..]) => self.named(gas)?,
            (StakeTarget::Validator(_), []) => vec![coin.reference],
            // On the reference network a coin cannot be staked on a model and pay too.
            (StakeTarget::Model(_), []) => {
                let fee = self.cost(&kind, |_| false).needed();
                let others = self.all_but(coin.reference.id());
                let chosen =
                    gas::choose(others, fee).map_err(|_| PaymentError::NoOtherCoin { fee })?;
                references(&chosen)
            }
        };
        self.covered(kind, gas, 0)
    }

    /// Pays several accounts, from the coins named or from up to ten others.
    ///
    /// # Errors
    /// [`PaymentError`].
    pub fn pay(
        &self,
        recipients: Vec<Address>,
        amounts: Vec<u64>,
        coins: &[ObjectId],
        gas: &[ObjectId],
    ) -> Result<Payment, PaymentError> {
        let kind = |coins: Vec<ObjectRef>| TransactionKind::PayCoins {
            coins,
            amounts: Some(amounts.clone()),
            recipients: recipients.clone(),
        };
        let chosen = match coins {
            [] => {
                let mut largest = self.coins.clone();
                largest.sort_by_key(|coin| std::cmp::Reverse(coin.balance));
                largest.truncate(PAY_COINS);
                let first = largest.first().ok_or_else(|| self.nothing(0))?.reference;
                let needed = self.cost(&kind(vec![first]), |_| true).needed();
                gas::choose(largest, needed)?
            }
            named => {
                self.named(named)?;
                let named: Result<Vec<_>, _> = named.iter().map(|id| self.coin(*id)).collect();
                let mut named = named?;
                // The first one pays the base fee before the others are added to it.
                named.sort_by_key(|coin| std::cmp::Reverse(coin.balance));
                named
            }
        };
        let coins = references(&chosen);
        let gas = match gas {
            [] => vec![coins[0]],
            named => self.named(named)?,
        };
        self.covered(kind(coins), gas, 0)
    }

    /// Joins up to [`gas::MAX_GAS_COINS`] coins, the largest first, into one. Gives
    /// nothing if there is nothing to join.
    ///
    /// # Errors
    /// [`PaymentError`].
    pub fn merge(&self, gas: &[ObjectId]) -> Result<Option<Payment>, PaymentError> {
        let gas = match gas {
            [] => {
                let mut coins = self.coins.clone();
                coins.sort_by_key(|coin| std::cmp::Reverse(coin.balance));
                coins.truncate(gas::MAX_GAS_COINS);
                references(&coins)
            }
            named => self.named(named)?,
        };
        let [first, _, ..] = gas.as_slice() else { return Ok(None) };
        // Given to its owner: all that costs is one written object.
        let kind =
            TransactionKind::TransferObjects { objects: vec![*first], recipient: self.owner };
        self.covered(kind, gas, 0).map(Some)
    }

    /// The coins that pay for a transaction that is built and not judged: the one that
    /// it takes an amount from, if that covers everything, else others. Whatever is wrong
    /// with it, the chain will say so.
    ///
    /// # Errors
    /// [`PaymentError::NotEnough`] if there is no coin at all.
    pub fn gas_for(&self, kind: &TransactionKind) -> Result<Vec<ObjectRef>, PaymentError> {
        let inputs: Vec<_> = kind.owned_inputs().iter().map(ObjectRef::id).collect();
        let named = inputs.iter().find_map(|id| self.coin(*id).ok());
        if let Some(coin) = named.filter(|_| names_amount(kind))
            && coin.balance >= self.cost(kind, |id| inputs.contains(&id)).needed()
        {
            return Ok(vec![coin.reference]);
        }
        let needed = self.cost(kind, |_| false).needed();
        let others = self.coins.iter().filter(|coin| !inputs.contains(&coin.reference.id()));
        match gas::choose(others.copied(), needed) {
            Ok(chosen) => Ok(references(&chosen)),
            Err(_) => {
                let any = named.or_else(|| self.coins.first().copied());
                Ok(vec![any.ok_or_else(|| self.nothing(needed))?.reference])
            }
        }
    }

    /// A payment, if its coins suffice: a transaction that fails costs the base fee.
    fn covered(
        &self,
        kind: TransactionKind,
        gas: Vec<ObjectRef>,
        principal: u64,
    ) -> Result<Payment, PaymentError> {
        let coins: Result<Vec<_>, _> = gas.iter().map(|coin| self.coin(coin.id())).collect();
        let worth = |id| self.coin(id).map_or(principal, |coin| coin.balance);
        gas::suffices(&kind, self.rates, &coins?, |id| Some(worth(id)))?;
        Ok(Payment { kind, gas })
    }

    /// What a kind costs; `is_gas` tells which of the coins it names pay too.
    fn cost(&self, kind: &TransactionKind, is_gas: impl Fn(ObjectId) -> bool) -> gas::Cost {
        gas::cost(kind, self.rates, is_gas, |id| self.coin(id).ok().map(|coin| coin.balance))
    }

    fn coin(&self, id: ObjectId) -> Result<Coin, PaymentError> {
        if let Some((_, model)) = self.set_aside.iter().find(|(coin, _)| *coin == id) {
            return Err(PaymentError::SetAside { id, model: *model });
        }
        let found = self.coins.iter().find(|coin| coin.reference.id() == id);
        found.copied().ok_or(PaymentError::UnknownCoin { id, owner: self.owner })
    }

    fn named(&self, ids: &[ObjectId]) -> Result<Vec<ObjectRef>, PaymentError> {
        if let Some(id) = ids.iter().enumerate().find(|(n, id)| ids[..*n].contains(id)) {
            return Err(PaymentError::NamedTwice { id: *id.1 });
        }
        ids.iter().map(|id| self.coin(*id).map(|coin| coin.reference)).collect()
    }

    fn all_but(&self, id: ObjectId) -> impl Iterator<Item = Coin> + '_ {
        self.coins.iter().copied().filter(move |coin| coin.reference.id() != id)
    }

    fn nothing(&self, needed: u64) -> NotEnough {
        NotEnough { needed, present: 0, coins: 0, mergeable: false }
    }
}

/// Whether the kind says how much leaves the coin that it names.
const fn names_amount(kind: &TransactionKind) -> bool {
    matches!(
        kind,
        TransactionKind::TransferCoin { amount: Some(_), .. }
            | TransactionKind::PayCoins { amounts: Some(_), .. }
            | TransactionKind::AddStake { amount: Some(_), .. }
            | TransactionKind::AddStakeToModel { amount: Some(_), .. }
    )
}

fn references(coins: &[Coin]) -> Vec<ObjectRef> {
    coins.iter().map(|coin| coin.reference).collect()
}

const fn shortage(coin: Coin, needed: u64) -> NotEnough {
    NotEnough { needed, present: coin.balance, coins: 1, mergeable: false }
}

#[cfg(test)]
mod tests {
    use soma_proto::ObjectDigest;

    use super::*;

    const OWNER: Address = Address::new([7; 32]);
    const EPOCH_0: FeeRates =
        FeeRates { base_fee: 1_000, write_object_fee: 300, value_fee_bps: 10 };

    fn id(n: usize) -> ObjectId {
        ObjectId::new([u8::try_from(n).unwrap(); 32])
    }

    fn purse(balances: &[u64]) -> Purse {
        let coins = balances.iter().enumerate().map(|(n, &balance)| Coin {
            reference: ObjectRef(id(n), 1, ObjectDigest::ZERO),
            balance,
        });
        Purse::new(OWNER, coins.collect(), EPOCH_0)
    }

    fn ids(references: &[ObjectRef]) -> Vec<ObjectId> {
        references.iter().map(ObjectRef::id).collect()
    }

    fn transfer(coin: ObjectRef, amount: Option<u64>) -> TransactionKind {
        TransactionKind::TransferCoin { coin, amount, recipient: OWNER }
    }

    #[test]
    fn the_coin_that_is_spent_pays_the_fee_too() {
        // Scenario A1: 500 000 cost 2 100 more.
        let payment = purse(&[502_099, 502_100]).spend(500_000, None, &[], transfer).unwrap();
        assert_eq!(ids(&payment.gas), [id(1)]);
        assert_eq!(ids(&payment.kind.owned_inputs()), [id(1)]);
        let payment = purse(&[300_000, 202_100]).spend(500_000, None, &[], transfer).unwrap();
        assert_eq!(ids(&payment.gas), [id(0), id(1)]);
        assert_eq!(ids(&payment.kind.owned_inputs()), [id(0)]);
        let error = purse(&[300_000, 202_099]).spend(500_000, None, &[], transfer).unwrap_err();
        assert!(matches!(error, PaymentError::NotEnough(short) if short.missing() == 1));
    }

    #[test]
    fn a_named_coin_that_is_too_small_lets_another_one_pay() {
        // Scenario A4: all of a coin of 1 000 000 costs 2 600 from another one.
        let purse = purse(&[1_000_000, 2_600]);
        let payment = purse.spend(1_000_000, Some(id(0)), &[], transfer).unwrap();
        assert_eq!(ids(&payment.gas), [id(1)]);
        assert_eq!(ids(&payment.kind.owned_inputs()), [id(0)]);
        let payment = purse.spend(900_000, Some(id(0)), &[], transfer).unwrap();
        assert_eq!(ids(&payment.gas), [id(0)]);
    }

    #[test]
    fn a_coin_staked_whole_on_a_model_does_not_pay() {
        let model = StakeTarget::Model(id(99));
        let payment = purse(&[50_000_000, 30_000]).stake(model, None, None, &[]).unwrap();
        assert_eq!(ids(&payment.kind.owned_inputs()), [id(0)]);
        assert_eq!(ids(&payment.gas), [id(1)]);
        let error = purse(&[50_000_000]).stake(model, None, None, &[]).unwrap_err();
        assert!(matches!(error, PaymentError::NoOtherCoin { fee: 26_900 }), "{error}");
        let validator = StakeTarget::Validator(OWNER);
        let payment = purse(&[50_000_000]).stake(validator, None, None, &[]).unwrap();
        assert_eq!(ids(&payment.gas), [id(0)]);
    }

    #[test]
    fn paying_takes_the_coins_that_are_needed() {
        // Scenario A11: 100, 200 and 300 cost 2 200.
        let recipients = vec![OWNER; 3];
        let amounts = vec![100, 200, 300];
        let payment = purse(&[2_000, 2_800, 2_799])
            .pay(recipients.clone(), amounts.clone(), &[], &[])
            .unwrap();
        assert_eq!(ids(&payment.gas), [id(1)]);
        let payment =
            purse(&[1_000, 2_000]).pay(recipients, amounts, &[id(0), id(1)], &[]).unwrap();
        assert_eq!(ids(&payment.kind.owned_inputs()), [id(1), id(0)]);
        assert_eq!(ids(&payment.gas), [id(1)]);
    }

    #[test]
    fn merging_gives_the_largest_coin_to_its_owner() {
        assert!(purse(&[5_000]).merge(&[]).unwrap().is_none());
        let payment = purse(&[5_000, 9_000, 7_000]).merge(&[]).unwrap().unwrap();
        assert_eq!(ids(&payment.gas), [id(1), id(2), id(0)]);
        assert_eq!(ids(&payment.kind.owned_inputs()), [id(1)]);
    }

    #[test]
    fn a_coin_that_is_given_away_pays_only_if_no_other_can() {
        let give = |purse: &Purse| TransactionKind::TransferObjects {
            objects: vec![purse.coins[0].reference],
            recipient: OWNER,
        };
        let both = purse(&[10_000, 10_000]);
        assert_eq!(ids(&both.pay_for(give(&both), &[]).unwrap().gas), [id(1)]);
        let one = purse(&[10_000]);
        assert_eq!(ids(&one.pay_for(give(&one), &[]).unwrap().gas), [id(0)]);
    }

    fn missing(payment: Result<Payment, PaymentError>) -> u64 {
        match payment {
            Err(PaymentError::NotEnough(short)) => short.missing(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn named_coins_must_suffice() {
        let mine = purse(&[502_100, 100, 2_600, 1_900]);
        // Scenario A1: 500 000 cost 2 100.
        let spend = |amount, coin: Option<usize>, gas: &[usize]| {
            let gas: Vec<_> = gas.iter().copied().map(id).collect();
            mine.spend(amount, coin.map(id), &gas, transfer)
        };
        spend(500_000, None, &[0]).unwrap();
        assert_eq!(missing(spend(500_000, None, &[1, 2])), 500_000 + 2_100 - 2_700);
        assert_eq!(missing(spend(500_001, None, &[0])), 1);
        assert_eq!(missing(spend(502_101, Some(0), &[])), 1, "whoever pays the fee");
        assert_eq!(missing(spend(101, Some(1), &[0])), 1);
        // A fifth of the coin: 1000, three objects, 502.
        assert_eq!(missing(spend(502_099, Some(0), &[3])), 502);
        // The coin that is spent is the one that the others are merged into.
        let payment = spend(502_100, Some(0), &[2, 0]).unwrap();
        assert_eq!(ids(&payment.gas), [id(0), id(2)]);
        let twice = spend(1, None, &[0, 0]);
        assert!(matches!(twice, Err(PaymentError::NamedTwice { .. })));

        let pay = |coins: &[usize], gas: &[usize]| {
            let all = |list: &[usize]| list.iter().copied().map(id).collect::<Vec<_>>();
            mine.pay(vec![OWNER], vec![100], &all(coins), &all(gas))
        };
        pay(&[3], &[]).unwrap();
        assert_eq!(missing(pay(&[1], &[])), 1_600);
        assert_eq!(missing(pay(&[1], &[0])), 600, "the fee is asked of the coins that pay");
        pay(&[0], &[3]).unwrap();

        let stake = |coin: usize, gas: usize| {
            mine.stake(StakeTarget::Model(id(99)), None, Some(id(coin)), &[id(gas)])
        };
        stake(1, 2).unwrap();
        assert_eq!(missing(stake(0, 3)), 251);
        let merged = purse(&[100, 200]).merge(&[id(0), id(1)]);
        assert!(matches!(merged, Err(PaymentError::NotEnough(short)) if short.missing() == 1_000));
    }

    #[test]
    fn what_is_built_only_is_paid_by_the_coin_it_names_if_that_suffices() {
        let purse = purse(&[502_100, 9_000]);
        let gas = |coin: usize, amount| {
            ids(&purse.gas_for(&transfer(purse.coins[coin].reference, amount)).unwrap())
        };
        assert_eq!(gas(0, Some(500_000)), [id(0)]);
        assert_eq!(gas(0, Some(500_001)), [id(1)]);
        assert_eq!(gas(0, None), [id(1)]);
        assert_eq!(gas(1, Some(8_000)), [id(0)], "the other one can pay");
        let kind = transfer(purse.coins[0].reference, Some(1));
        let empty = Purse::new(OWNER, Vec::new(), EPOCH_0);
        assert!(matches!(empty.gas_for(&kind), Err(PaymentError::NotEnough(_))));
        // What is set aside is not taken, whatever happens.
        let none = purse.clone().with_set_aside(&[(id(0), id(99)), (id(1), id(98))]);
        assert!(none.gas_for(&kind).is_err());
    }

    #[test]
    fn coins_of_others_are_not_found() {
        let error = purse(&[5]).merge(&[id(0), id(9)]).unwrap_err();
        assert!(matches!(error, PaymentError::UnknownCoin { .. }));
    }

    #[test]
    fn coins_that_are_set_aside_are_left_alone() {
        let purse = purse(&[20_000, 600_000, 700_000]).with_set_aside(&[(id(1), id(99))]);
        let payment = purse.spend(500_000, None, &[], transfer).unwrap();
        assert_eq!(ids(&payment.gas), [id(2)]);
        assert_eq!(ids(&purse.merge(&[]).unwrap().unwrap().gas), [id(2), id(0)]);
        let error = purse.spend(500_000, Some(id(1)), &[], transfer).unwrap_err();
        assert!(error.to_string().contains("set aside"), "{error}");
        assert!(purse.spend(750_000, None, &[], transfer).is_err());
    }
}
