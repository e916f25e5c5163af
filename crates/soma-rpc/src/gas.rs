//! What a transaction costs, and which coins pay for it.
//!
//! Pure functions: balances and fee rates come in, a choice comes out. The
//! formulas are the network's (rules ): a base fee for every
//! execution, a fee per object written, and a share of the value moved, halved
//! for staking. Several gas coins are merged into the first one by the chain,
//! before anything else happens.

use soma_proto::effects::TransactionFee;
use soma_proto::params::SystemParameters;
use soma_proto::{ObjectId, ObjectRef, TransactionKind};

/// Coins one transaction may be paid from. The network has no such limit, but
/// a longer list is a wallet that wants its coins merged first.
pub const MAX_GAS_COINS: usize = 256;

const BASIS_POINTS: u128 = 10_000;

/// A coin of the sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Coin {
    /// Id, version and digest.
    pub reference: ObjectRef,
    /// Shannons.
    pub balance: u64,
}

/// The coins at hand do not suffice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not enough funds: {needed} shannons needed, {present} present in {coins} coins{}", if *mergeable { ", too many to be used at once" } else { "" })]
pub struct NotEnough {
    /// Shannons needed, the fee included.
    pub needed: u64,
    /// Shannons in all coins together.
    pub present: u64,
    /// Number of coins.
    pub coins: usize,
    /// The sum would do, but it is spread over more than [`MAX_GAS_COINS`]
    /// coins: merge some first.
    pub mergeable: bool,
}

impl NotEnough {
    /// Shannons that are missing.
    pub const fn missing(&self) -> u64 {
        self.needed.saturating_sub(self.present)
    }
}

/// The rates in force in an epoch; they move only at its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FeeRates {
    /// Shannons for every execution.
    pub base_fee: u64,
    /// Shannons for every object written.
    pub write_object_fee: u64,
    /// Basis points of the value moved.
    pub value_fee_bps: u64,
}

impl From<&SystemParameters> for FeeRates {
    fn from(parameters: &SystemParameters) -> Self {
        Self {
            base_fee: parameters.base_fee,
            write_object_fee: parameters.write_object_fee,
            value_fee_bps: parameters.value_fee_bps,
        }
    }
}

/// What a successful execution takes from the sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost {
    /// Shannons that leave the gas coin besides the fee: an amount sent, a
    /// stake. The whole balance if a coin is spent entirely: then there is no
    /// fixed need.
    pub from_gas: u64,
    /// The fee.
    pub fee: TransactionFee,
}

impl Cost {
    /// What the gas coins must hold together, in shannons.
    pub const fn needed(&self) -> u64 {
        self.from_gas.saturating_add(self.fee.total_fee)
    }
}

/// Chooses the coins that pay `needed` shannons.
///
/// The smallest single coin that covers it; else the fewest coins that do so
/// together, the largest first; ties go to the smaller id. The first coin is
/// the one that the chain merges the others into.
///
/// # Errors
/// [`NotEnough`], also when there is no coin at all.
pub fn choose(coins: impl IntoIterator<Item = Coin>, needed: u64) -> Result<Vec<Coin>, NotEnough> {
    let mut coins: Vec<Coin> = coins.into_iter().collect();
    coins.sort_by(|a, b| {
        b.balance.cmp(&a.balance).then_with(|| a.reference.id().cmp(&b.reference.id()))
    });

    let enough = coins.partition_point(|coin| coin.balance >= needed);
    if let Some(last) = enough.checked_sub(1) {
        let balance = coins[last].balance;
        let first_equal = coins.partition_point(|coin| coin.balance > balance);
        return Ok(vec![coins[first_equal]]);
    }
    let mut sum = 0_u64;
    let count = coins.iter().position(|coin| {
        sum = sum.saturating_add(coin.balance);
        sum >= needed
    });
    match count {
        Some(last) if last < MAX_GAS_COINS => {
            coins.truncate(last + 1);
            Ok(coins)
        }
        _ => Err(NotEnough {
            needed,
            present: coins.iter().fold(0, |sum, coin| sum.saturating_add(coin.balance)),
            coins: coins.len(),
            mergeable: count.is_some(),
        }),
    }
}

/// Estimates the cost of a kind of transaction when it succeeds.
///
/// `is_gas` tells whether an object the kind names is among the gas coins.
/// `worth` gives what such an object is worth in shannons: the balance of a
/// coin, the principal of a receipt. It is asked only where the fee depends on
/// it; unknown worth counts as nothing. Fees are those of a first success: the
/// chain may delete a coin that ends at zero, which never makes it dearer.
pub fn cost(
    kind: &TransactionKind,
    rates: FeeRates,
    is_gas: impl Fn(ObjectId) -> bool,
    worth: impl Fn(ObjectId) -> Option<u64>,
) -> Cost {
    use TransactionKind as K;

    let worth = |reference: &ObjectRef| worth(reference.id()).unwrap_or_default();
    let full = rates.value_fee_bps;
    let half = rates.value_fee_bps / 2;
    let gas = |reference: &ObjectRef| is_gas(reference.id());

    // Shannons from the gas coin, objects written, value and its rate.
    let (from_gas, writes, value, bps) = match kind {
        K::TransferCoin { coin, amount, .. } => {
            let value = amount.unwrap_or_else(|| worth(coin));
            let all_of_it = amount.is_none_or(|amount| amount == worth(coin));
            match gas(coin) {
                true => (amount.unwrap_or_default(), 2, value, full),
                false => (0, if all_of_it { 2 } else { 3 }, value, full),
            }
        }
        K::PayCoins { coins, amounts, recipients } => {
            let recipients = recipients.len() as u64;
            let from_gas = coins.iter().any(&gas);
            match amounts {
                Some(amounts) => {
                    let sum =
                        amounts.iter().fold(0, |sum: u64, amount| sum.saturating_add(*amount));
                    let others = coins
                        .iter()
                        .filter(|coin| !gas(coin))
                        .fold(0, |sum: u64, coin| sum.saturating_add(worth(coin)));
                    if from_gas {
                        // The coins pay together; what the others lack comes from the gas coin.
                        (sum.saturating_sub(others), recipients + 1, sum, full)
                    } else {
                        (0, recipients + 2, sum, full)
                    }
                }
                None => (
                    0,
                    2,
                    coins.iter().fold(0, |sum: u64, coin| sum.saturating_add(worth(coin))),
                    full,
                ),
            }
        }
        K::TransferObjects { objects, .. } => {
            let gas_too = u64::from(!objects.iter().any(&gas));
            (0, objects.len() as u64 + gas_too, 0, full)
        }
        K::AddStake { coin_ref, amount, .. } | K::AddStakeToModel { coin_ref, amount, .. } => {
            let value = amount.unwrap_or_else(|| worth(coin_ref));
            let all_of_it = amount.is_none_or(|amount| amount == worth(coin_ref));
            match gas(coin_ref) {
                true => (amount.unwrap_or_default(), 3, value, half),
                false => (0, if all_of_it { 3 } else { 4 }, value, half),
            }
        }
        K::WithdrawStake { staked_soma } => (0, 3, worth(staked_soma), half),
        K::CommitModel(commit) => (commit.stake_amount, 3, commit.stake_amount, half),
        // The gas coin and the system state.
        kind if kind.uses_system_state() => (0, 2, 0, full),
        _ => (0, 1, 0, full),
    };
    let value_fee = u128::from(value) * u128::from(bps) / BASIS_POINTS;
    let value_fee = u64::try_from(value_fee).unwrap_or(u64::MAX);
    let operation_fee = rates.write_object_fee.saturating_mul(writes);
    let total_fee = rates.base_fee.saturating_add(operation_fee).saturating_add(value_fee);
    Cost {
        from_gas,
        fee: TransactionFee { base_fee: rates.base_fee, operation_fee, value_fee, total_fee },
    }
}

/// Whether a payment can succeed: the gas coins, merged into the first, hold
/// what they must, and so does a coin that the kind takes an amount from.
/// `worth` is as for [`cost`].
///
/// # Errors
/// [`NotEnough`], of the coins that are short.
pub fn suffices(
    kind: &TransactionKind,
    rates: FeeRates,
    gas: &[Coin],
    worth: impl Fn(ObjectId) -> Option<u64>,
) -> Result<(), NotEnough> {
    use TransactionKind as K;

    fn sum(balances: impl Iterator<Item = u64>) -> u64 {
        balances.fold(0, u64::saturating_add)
    }
    let paid = sum(gas.iter().map(|coin| coin.balance));
    let payer = gas.first().map(|coin| coin.reference.id());
    let is_payer = |id| Some(id) == payer;
    let worth = |id| {
        // What is merged into the first coin is gone when the kind is run.
        match gas.iter().position(|coin| coin.reference.id() == id) {
            Some(0) => Some(paid),
            Some(_) => Some(0),
            None => worth(id),
        }
    };
    let cost = cost(kind, rates, is_payer, worth);
    let fee = cost.fee.total_fee;
    let hold = |needed: u64, present, coins| match present < needed {
        true => Err(NotEnough { needed, present, coins, mergeable: false }),
        false => Ok(()),
    };
    let one = |coin: &ObjectRef, needed| hold(needed, worth(coin.id()).unwrap_or_default(), 1);
    let needed = match kind {
        K::TransferCoin { coin, amount: Some(amount), .. }
        | K::AddStake { coin_ref: coin, amount: Some(amount), .. }
        | K::AddStakeToModel { coin_ref: coin, amount: Some(amount), .. } => {
            if !is_payer(coin.id()) {
                one(coin, *amount)?;
            }
            cost.needed()
        }
        // Something has to move besides the fee.
        K::TransferCoin { coin, amount: None, .. }
        | K::AddStake { coin_ref: coin, amount: None, .. }
        | K::AddStakeToModel { coin_ref: coin, amount: None, .. } => {
            fee.saturating_add(u64::from(is_payer(coin.id())))
        }
        K::PayCoins { coins, amounts: Some(amounts), .. } => {
            let amounts = sum(amounts.iter().copied());
            let listed = sum(coins.iter().map(|coin| worth(coin.id()).unwrap_or_default()));
            if coins.iter().any(|coin| is_payer(coin.id())) {
                hold(amounts.saturating_add(fee), listed, coins.len())?;
                // Charged before the coins are merged; nothing left is no coin (L-6).
                rates.base_fee.saturating_add(1)
            } else {
                // They are asked for the fee too, but for the base fee and the
                // coin that pays.
                let spared = rates.base_fee.saturating_add(rates.write_object_fee);
                let reserve = fee.saturating_sub(spared);
                hold(amounts.saturating_add(reserve), listed, coins.len())?;
                fee
            }
        }
        _ => cost.needed(),
    };
    hold(needed, paid, gas.len())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use soma_proto::transaction::CommitModel;
    use soma_proto::{Address, Commitment, ObjectDigest};

    use super::*;

    const EPOCH_0: FeeRates =
        FeeRates { base_fee: 1_000, write_object_fee: 300, value_fee_bps: 10 };

    fn id(n: u8) -> ObjectId {
        ObjectId::new([n; 32])
    }

    fn reference(n: u8) -> ObjectRef {
        ObjectRef(id(n), 1, ObjectDigest::ZERO)
    }

    fn coins(balances: &[u64]) -> Vec<Coin> {
        (0..).zip(balances).map(|(n, &balance)| Coin { reference: reference(n), balance }).collect()
    }

    fn chosen(balances: &[u64], needed: u64) -> Vec<u64> {
        choose(coins(balances), needed).unwrap().iter().map(|coin| coin.balance).collect()
    }

    #[test]
    fn the_smallest_single_coin_that_suffices() {
        assert_eq!(chosen(&[10, 50, 30, 20], 20), [20]);
        assert_eq!(chosen(&[10, 50, 30, 20], 21), [30]);
        assert_eq!(chosen(&[10, 50, 30, 20], 0), [10]);
    }

    #[test]
    fn else_the_fewest_coins_the_largest_first() {
        assert_eq!(chosen(&[10, 50, 30, 20], 51), [50, 30]);
        assert_eq!(chosen(&[10, 50, 30, 20], 110), [50, 30, 20, 10]);
    }

    #[test]
    fn ties_go_to_the_smaller_id() {
        let one = choose(coins(&[5, 7, 7, 5]), 6).unwrap();
        assert_eq!(one[0].reference.id(), id(1));
    }

    #[test]
    fn what_is_missing_is_told() {
        let error = choose(coins(&[10, 50]), 100).unwrap_err();
        assert_eq!((error.needed, error.present, error.coins, error.missing()), (100, 60, 2, 40));
        assert!(!error.mergeable);
        assert_eq!(choose(Vec::new(), 0).unwrap_err().coins, 0);
    }

    #[test]
    fn a_wallet_of_crumbs_is_to_be_merged_first() {
        let error =
            choose(vec![Coin { reference: reference(1), balance: 1 }; 300], 257).unwrap_err();
        assert!(error.mergeable);
        assert_eq!(
            choose(vec![Coin { reference: reference(1), balance: 1 }; 300], 256).unwrap().len(),
            256
        );
    }

    proptest! {
        /// Against all subsets: no smaller choice pays, and none is paid short.
        #[test]
        fn the_choice_is_minimal(balances in prop::collection::vec(0_u64..50, 0..8), needed in 1_u64..200) {
            let best = (1_u32..1 << balances.len())
                .filter(|set| (0..balances.len()).filter(|i| set & (1 << i) != 0).map(|i| balances[i]).sum::<u64>() >= needed)
                .map(u32::count_ones)
                .min();
            match choose(coins(&balances), needed) {
                Ok(choice) => {
                    prop_assert_eq!(Some(choice.len() as u32), best);
                    prop_assert!(choice.iter().map(|coin| coin.balance).sum::<u64>() >= needed);
                    if choice.len() == 1 {
                        let smallest = balances.iter().copied().filter(|b| *b >= needed).min();
                        prop_assert_eq!(Some(choice[0].balance), smallest);
                    }
                }
                Err(error) => {
                    prop_assert_eq!(best, None);
                    prop_assert_eq!(error.present, balances.iter().sum::<u64>());
                }
            }
        }
    }

    fn judge(kind: &TransactionKind, gas: &[(u8, u64)], others: &[(u8, u64)]) -> Option<u64> {
        let gas: Vec<_> =
            gas.iter().map(|&(n, balance)| Coin { reference: reference(n), balance }).collect();
        let worth =
            |object| others.iter().find(|(n, _)| id(*n) == object).map(|(_, balance)| *balance);
        suffices(kind, EPOCH_0, &gas, worth).err().map(|short| short.missing())
    }

    /// The scenarios of the network's rules, to the shannon.
    #[test]
    fn payments_that_are_just_enough() {
        let recipient = Address::ZERO;
        let send = |amount| TransactionKind::TransferCoin { coin: reference(1), amount, recipient };
        // A17: 101 700 pay for 100 000.
        assert_eq!(judge(&send(Some(100_000)), &[(1, 101_700)], &[]), None);
        assert_eq!(judge(&send(Some(100_000)), &[(1, 101_699)], &[]), Some(1));
        // Several coins are merged first.
        assert_eq!(judge(&send(Some(100_000)), &[(1, 1), (2, 101_699)], &[]), None);
        assert_eq!(judge(&send(Some(100_000)), &[(2, 101_699), (1, 1)], &[]), Some(100_000));
        // A4 and A5: another coin pays; the amount is the coin's own affair.
        assert_eq!(judge(&send(Some(1_000_000)), &[(2, 2_600)], &[(1, 1_000_000)]), None);
        assert_eq!(judge(&send(Some(1_000_000)), &[(2, 2_599)], &[(1, 1_000_000)]), Some(1));
        assert_eq!(judge(&send(Some(1_000_001)), &[(2, 9_999)], &[(1, 1_000_000)]), Some(1));
        assert_eq!(judge(&send(None), &[(1, 1_602)], &[]), None);
        assert_eq!(judge(&send(None), &[(1, 1_601)], &[]), Some(1));

        let pay = |coins: &[u8], amounts: &[u64]| TransactionKind::PayCoins {
            coins: coins.iter().copied().map(reference).collect(),
            amounts: Some(amounts.to_vec()),
            recipients: vec![recipient; amounts.len()],
        };
        // 500 and 1500 cost 1000, three objects, and 2.
        let some = pay(&[1, 2], &[500, 1_500]);
        assert_eq!(judge(&some, &[(1, 1_001)], &[(2, 2_901)]), None);
        assert_eq!(judge(&some, &[(1, 1_001)], &[(2, 2_900)]), Some(1));
        assert_eq!(judge(&some, &[(1, 1_000)], &[(2, 9_999)]), Some(1));
        assert_eq!(judge(&some, &[(3, 2_202)], &[(1, 1), (2, 2_901)]), None);
        assert_eq!(judge(&some, &[(3, 2_201)], &[(1, 1), (2, 2_901)]), Some(1));
        assert_eq!(judge(&some, &[(3, 2_202)], &[(1, 1), (2, 2_900)]), Some(1));
        assert_eq!(judge(&some, &[], &[(1, 1), (2, 2_901)]), Some(2_202));
    }

    fn fee(kind: &TransactionKind, gas: u8, worth: u64) -> (u64, u64, u64) {
        let cost = cost(kind, EPOCH_0, |object| object == id(gas), |_| Some(worth));
        assert_eq!(cost.fee.base_fee, 1_000);
        assert_eq!(cost.fee.total_fee, 1_000 + cost.fee.operation_fee + cost.fee.value_fee);
        (cost.from_gas, cost.fee.operation_fee, cost.fee.value_fee)
    }

    /// The scenarios A1 to A21, C1 and D1 of the network's rules.
    #[test]
    fn fees_of_the_scenarios() {
        let recipient = Address::ZERO;
        let send = |amount| TransactionKind::TransferCoin { coin: reference(1), amount, recipient };
        assert_eq!(fee(&send(Some(500_000)), 1, 10_000_000), (500_000, 600, 500));
        assert_eq!(fee(&send(Some(5_000_000)), 1, 10_000_000), (5_000_000, 600, 5_000));
        assert_eq!(fee(&send(None), 1, 5_000_000), (0, 600, 5_000));
        assert_eq!(fee(&send(Some(1_000_000)), 2, 1_000_000), (0, 600, 1_000));
        assert_eq!(fee(&send(Some(400_000)), 2, 1_000_000), (0, 900, 400));
        assert_eq!(fee(&send(Some(100_000)), 1, 101_700), (100_000, 600, 100));

        let pay = |coins: &[u8], amounts: &[u64]| TransactionKind::PayCoins {
            coins: coins.iter().copied().map(reference).collect(),
            amounts: Some(amounts.to_vec()),
            recipients: vec![recipient; amounts.len()],
        };
        assert_eq!(fee(&pay(&[1], &[100, 200, 300]), 1, 50_000_000), (600, 1_200, 0));
        assert_eq!(fee(&pay(&[1, 2, 3], &[500, 1_500]), 1, 1_000), (0, 900, 2));
        assert_eq!(fee(&pay(&[1], &[5_000]), 2, 10_000), (0, 900, 5));

        let objects = |n: &[u8]| TransactionKind::TransferObjects {
            objects: n.iter().copied().map(reference).collect(),
            recipient,
        };
        assert_eq!(fee(&objects(&[2, 3]), 1, 0), (0, 900, 0));
        assert_eq!(fee(&objects(&[1]), 1, 0), (0, 300, 0));

        let stake = |amount| TransactionKind::AddStake {
            address: recipient,
            coin_ref: reference(1),
            amount,
        };
        assert_eq!(fee(&stake(Some(10_000_000)), 1, 50_000_000), (10_000_000, 900, 5_000));
        assert_eq!(fee(&stake(None), 1, 50_000_000), (0, 900, 25_000));
        let stake = TransactionKind::AddStakeToModel {
            model_id: id(9),
            coin_ref: reference(1),
            amount: Some(5_000_000_000),
        };
        assert_eq!(fee(&stake, 2, 20_000_000_000), (0, 1_200, 2_500_000));
        let withdraw = TransactionKind::WithdrawStake { staked_soma: reference(3) };
        assert_eq!(fee(&withdraw, 1, 1_000_000_000), (0, 900, 500_000));

        let commit = TransactionKind::CommitModel(CommitModel {
            model_id: id(9),
            weights_url_commitment: Commitment::ZERO,
            weights_commitment: Commitment::ZERO,
            architecture_version: 1,
            stake_amount: 1_000_000_000,
            commission_rate: 0,
            staking_pool_id: id(8),
        });
        assert_eq!(fee(&commit, 1, 0), (1_000_000_000, 900, 500_000));
        assert_eq!(fee(&TransactionKind::DeactivateModel { model_id: id(9) }, 1, 0), (0, 600, 0));
    }

    /// Scenario E11 of the network's rules: the half of 7 is 3.
    #[test]
    fn the_halved_rate_is_rounded_down() {
        let rates = FeeRates { value_fee_bps: 7, ..EPOCH_0 };
        let withdraw = TransactionKind::WithdrawStake { staked_soma: reference(3) };
        assert_eq!(
            cost(&withdraw, rates, |_| false, |_| Some(1_000_000_000)).fee.value_fee,
            300_000
        );
    }

    #[test]
    fn absurd_amounts_do_not_wrap() {
        let send = TransactionKind::TransferCoin {
            coin: reference(1),
            amount: Some(u64::MAX),
            recipient: Address::ZERO,
        };
        assert_eq!(cost(&send, EPOCH_0, |_| true, |_| None).needed(), u64::MAX);
    }
}
