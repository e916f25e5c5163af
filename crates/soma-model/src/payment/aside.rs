//! Which coin is kept for the fee of a reveal.

use soma_proto::{Address, ObjectId, TransactionKind};
use soma_rpc::gas::{self, Coin, Cost, FeeRates};

/// A coin that is set aside is made for so many reveals.
const REVEALS: u64 = 20;
/// A coin of at most so many times that is set aside as it is.
const SMALL: u64 = 5;

/// A coin to be set aside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Aside {
    /// This one, as it is.
    Coin(ObjectId),
    /// A piece of this one, of so many shannons.
    Piece(Coin, u64),
}

/// The fee of a reveal, in shannons: of a transaction that writes two objects.
pub(crate) fn reveal_fee(rates: FeeRates) -> u64 {
    rates.base_fee.saturating_add(rates.write_object_fee.saturating_mul(2))
}

/// The transaction that makes a piece of `amount` shannons out of a coin.
pub(crate) fn piece(coin: &Coin, amount: u64, owner: Address) -> TransactionKind {
    TransactionKind::PayCoins {
        coins: vec![coin.reference],
        amounts: Some(vec![amount]),
        recipients: vec![owner],
    }
}

/// Chooses the coin among those that are free: a small one, else a piece of the
/// largest one, else that one itself. What is left must cover `need` shannons,
/// which are to be paid next. Nothing if that cannot be.
pub(crate) fn choose(free: &[Coin], rates: FeeRates, need: u64) -> Option<Aside> {
    let fee = reveal_fee(rates);
    let wanted = fee.saturating_mul(REVEALS);
    let covered = |left: Vec<Coin>| need == 0 || gas::choose(left, need).is_ok();
    let without = |id: ObjectId| -> Vec<Coin> {
        free.iter().filter(|coin| coin.reference.id() != id).copied().collect()
    };
    let mut small: Vec<&Coin> = free
        .iter()
        .filter(|coin| (fee..=wanted.saturating_mul(SMALL)).contains(&coin.balance))
        .collect();
    small.sort_by_key(|coin| (coin.balance, coin.reference.id()));
    if let Some(coin) = small.into_iter().find(|coin| covered(without(coin.reference.id()))) {
        return Some(Aside::Coin(coin.reference.id()));
    }
    let largest = free.iter().max_by_key(|coin| (coin.balance, coin.reference.id()))?;
    for amount in [wanted, fee] {
        let left = largest.balance.checked_sub(cost(largest, amount, rates).needed());
        let Some(left) = left else { continue };
        let mut coins = without(largest.reference.id());
        coins.push(Coin { balance: left, ..*largest });
        if covered(coins) {
            return Some(Aside::Piece(*largest, amount));
        }
    }
    let spare = largest.balance >= fee && covered(without(largest.reference.id()));
    spare.then_some(Aside::Coin(largest.reference.id()))
}

fn cost(coin: &Coin, amount: u64, rates: FeeRates) -> Cost {
    // Who gets it does not matter.
    let kind = piece(coin, amount, Address::new([0; 32]));
    gas::cost(&kind, rates, |_| true, |_| Some(coin.balance))
}

#[cfg(test)]
mod tests {
    use soma_proto::{ObjectDigest, ObjectRef};

    use super::*;

    const RATES: FeeRates = FeeRates { base_fee: 1_000, write_object_fee: 300, value_fee_bps: 10 };
    /// A base fee and two objects.
    const FEE: u64 = 1_600;
    /// Twenty fees, and what it costs to make a coin of them: a base fee, two
    /// objects, a thousandth.
    const PIECE: u64 = 20 * FEE;
    const PIECE_COST: u64 = PIECE + 1_600 + 32;

    fn coin(id: u8, balance: u64) -> Coin {
        Coin { reference: ObjectRef(ObjectId::new([id; 32]), 1, ObjectDigest::ZERO), balance }
    }

    fn kept(id: u8) -> Option<Aside> {
        Some(Aside::Coin(ObjectId::new([id; 32])))
    }

    #[test]
    fn a_small_coin_is_kept_and_a_large_one_divided() {
        let large = coin(9, 5_000_000_000);
        assert_eq!(choose(&[large, coin(1, 90_000), coin(2, FEE)], RATES, 0), kept(2));
        assert_eq!(choose(&[large, coin(1, 160_000), coin(2, FEE - 1)], RATES, 0), kept(1));
        let piece = Some(Aside::Piece(large, PIECE));
        assert_eq!(choose(&[large, coin(1, 160_001)], RATES, 0), piece);
        assert_eq!(choose(&[], RATES, 0), None);
        assert_eq!(choose(&[coin(1, FEE - 1)], RATES, 0), None);
    }

    #[test]
    fn what_is_to_be_paid_next_comes_first() {
        let need = 1_000_000_000;
        let exact = coin(1, need);
        assert_eq!(choose(&[exact], RATES, need), None);
        assert_eq!(choose(&[exact, coin(2, FEE)], RATES, need), kept(2));
        // The small one is needed too.
        assert_eq!(choose(&[coin(1, need - 1), coin(2, FEE + 1)], RATES, need), None);
        let enough = coin(1, need + PIECE_COST);
        assert_eq!(choose(&[enough], RATES, need), Some(Aside::Piece(enough, PIECE)));
        let less = coin(1, need + PIECE_COST - 1);
        assert_eq!(choose(&[less], RATES, need), Some(Aside::Piece(less, FEE)));
        // A fee, and what it costs to make a coin of it: nothing for a thousandth.
        let least = need + FEE + 1_600 + 1;
        assert_eq!(choose(&[coin(1, least)], RATES, need), Some(Aside::Piece(coin(1, least), FEE)));
        assert_eq!(choose(&[coin(1, least - 1)], RATES, need), None);
    }
}
