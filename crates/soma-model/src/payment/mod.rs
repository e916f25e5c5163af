//! The coins that pay: for a step of the owner's workflow, and for everything
//! else that an account does ([`Purse`]).

pub(crate) mod aside;
mod purse;
mod till;

use soma_proto::params::SystemParameters;
use soma_proto::{ObjectId, ObjectRef, TransactionKind};
use soma_rpc::gas::{self, Coin, Cost, FeeRates, NotEnough};

pub use self::purse::{Payment, PaymentError, Purse, StakeTarget};
pub use self::till::Till;
use crate::{Check, Finding, Report};

/// Which coins pay.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "coins are named or they are not")]
pub enum Gas {
    /// The smallest coin that suffices, else the fewest that do together.
    #[default]
    Automatic,
    /// These, in this order; the chain merges them into the first.
    Coins(Vec<ObjectId>),
    /// Chosen as by [`Gas::Automatic`], but with regard to coins that are set
    /// aside.
    Sparing {
        /// Pays alone if it is there and suffices.
        first: Option<ObjectId>,
        /// Never pay.
        never: Vec<ObjectId>,
    },
}

impl Gas {
    /// Any coin but those that are set aside, each with its model; for a step of
    /// `model`, its own before all others.
    pub fn sparing(set_aside: &[(ObjectId, ObjectId)], model: Option<&ObjectId>) -> Self {
        let own = set_aside.iter().find(|(_, of)| Some(of) == model).map(|(coin, _)| *coin);
        let never = set_aside.iter().map(|(coin, _)| *coin).collect();
        Self::Sparing { first: own, never }
    }
}

/// Chooses the coins for a step of the owner's workflow, none of which names a
/// coin of its own: a commit takes its stake out of the coins that pay.
/// Without a choice the report says what is missing.
pub fn choose(
    kind: &TransactionKind,
    parameters: &SystemParameters,
    coins: &[Coin],
    wanted: &Gas,
) -> (Option<Vec<ObjectRef>>, Report) {
    let cost = gas::cost(kind, FeeRates::from(parameters), |_| true, |_| None);
    let chosen = match wanted {
        Gas::Automatic => gas::choose(coins.iter().copied(), cost.needed())
            .map_err(|missing| lacking(&cost, &missing)),
        Gas::Coins(ids) => named(coins, ids, &cost),
        Gas::Sparing { first, never } => {
            let first = coins.iter().find(|coin| Some(coin.reference.id()) == *first);
            match first.filter(|coin| coin.balance >= cost.needed()) {
                Some(coin) => Ok(vec![*coin]),
                None => {
                    let free = coins.iter().filter(|coin| !never.contains(&coin.reference.id()));
                    gas::choose(free.copied(), cost.needed()).map_err(|missing| {
                        let finding = lacking(&cost, &missing);
                        match coins.iter().any(|coin| never.contains(&coin.reference.id())) {
                            true => finding.with_remedy(
                                "other coins are set aside for reveals; soma faucet gives coins on \
                                 a test network",
                            ),
                            false => finding,
                        }
                    })
                }
            }
        }
    };
    match chosen {
        Ok(coins) => (Some(coins.iter().map(|coin| coin.reference).collect()), Report::default()),
        Err(finding) => (None, Report::from_iter([finding])),
    }
}

fn named(coins: &[Coin], ids: &[ObjectId], cost: &Cost) -> Result<Vec<Coin>, Finding> {
    let mut chosen: Vec<Coin> = Vec::new();
    for id in ids {
        if chosen.iter().any(|coin| coin.reference.id() == *id) {
            return Err(Finding::error(Check::Coins, format!("coin {id} is named twice")));
        }
        let coin = coins.iter().find(|coin| coin.reference.id() == *id).ok_or_else(|| {
            Finding::error(Check::Coins, format!("{id} is not a coin of the sender"))
                .with_remedy("soma objects gas lists the coins")
        })?;
        chosen.push(*coin);
    }
    let present = chosen.iter().fold(0_u64, |sum, coin| sum.saturating_add(coin.balance));
    let needed = cost.needed();
    if present < needed || chosen.is_empty() {
        let missing = NotEnough { needed, present, coins: chosen.len(), mergeable: false };
        return Err(lacking(cost, &missing));
    }
    Ok(chosen)
}

fn lacking(cost: &Cost, missing: &NotEnough) -> Finding {
    let message = format!(
        "{} shannons are needed ({} and a fee of {}), {} are present in {}: {} are missing",
        missing.needed,
        cost.from_gas,
        cost.fee.total_fee,
        missing.present,
        plural(missing.coins),
        missing.missing(),
    );
    let failure = if cost.from_gas == 0 { "InsufficientGas" } else { "InsufficientCoinBalance" };
    let remedy = if missing.mergeable {
        "soma merge-coins joins small coins"
    } else {
        "soma faucet gives coins on a test network"
    };
    Finding::error(Check::Coins, message).with_remedy(remedy).with_failure(failure)
}

fn plural(coins: usize) -> String {
    match coins {
        0 => "no coin".to_owned(),
        1 => "1 coin".to_owned(),
        many => format!("{many} coins"),
    }
}

#[cfg(test)]
mod tests {
    use soma_proto::ObjectDigest;

    use super::*;
    use crate::testing::MODEL;

    const KIND: TransactionKind = TransactionKind::DeactivateModel { model_id: MODEL };

    fn coin(id: u8, balance: u64) -> Coin {
        Coin { reference: ObjectRef(ObjectId::new([id; 32]), 1, ObjectDigest::ZERO), balance }
    }

    fn ids(payment: Option<Vec<ObjectRef>>) -> Vec<u8> {
        payment.unwrap().iter().map(|reference| reference.id().inner()[0]).collect()
    }

    #[test]
    fn named_coins_are_taken_in_their_order() {
        let coins = [coin(1, 1000), coin(2, 400), coin(3, 200)];
        let named =
            |ids: &[u8]| Gas::Coins(ids.iter().map(|id| ObjectId::new([*id; 32])).collect());
        let pay = |wanted: Gas| choose(&KIND, &SystemParameters::v1(), &coins, &wanted);
        // Base fee 1000 and two objects of 300 each.
        assert_eq!(ids(pay(Gas::Automatic).0), [1, 2, 3]);
        assert_eq!(ids(pay(named(&[3, 1, 2])).0), [3, 1, 2]);
        let (none, report) = pay(named(&[2, 1]));
        assert!(none.is_none());
        assert_eq!(report.failure(), Some("InsufficientGas"));
        assert!(report.to_string().contains("1400 are present in 2 coins: 200 are missing"));
        assert!(pay(named(&[1, 1, 2, 3])).1.to_string().contains("twice"));
        assert!(pay(named(&[9])).1.to_string().contains("not a coin of the sender"));
        assert!(pay(named(&[])).1.to_string().contains("no coin"));
    }

    #[test]
    fn coins_that_are_set_aside_pay_for_nothing_else() {
        let coins = [coin(1, 9_000), coin(2, 2_000), coin(3, 1_700)];
        let id = |id: u8| ObjectId::new([id; 32]);
        let pay = |first: Option<u8>, never: &[u8]| {
            let never = never.iter().map(|never| id(*never)).collect();
            let gas = Gas::Sparing { first: first.map(id), never };
            choose(&KIND, &SystemParameters::v1(), &coins, &gas)
        };
        assert_eq!(ids(pay(None, &[]).0), [3]);
        assert_eq!(ids(pay(None, &[3]).0), [2]);
        assert_eq!(ids(pay(Some(1), &[1, 3]).0), [1], "its own");
        assert_eq!(ids(pay(Some(9), &[3]).0), [2], "it is gone");
        let (none, report) = pay(None, &[1, 2, 3]);
        assert!(none.is_none() && report.to_string().contains("set aside"), "{report}");
    }
}
