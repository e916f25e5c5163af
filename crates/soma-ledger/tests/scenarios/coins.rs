//! A: moving coins.

use soma_proto::{ObjectId, TransactionKind};

use crate::world::*;

fn transfer(world: &World, coin: ObjectId, amount: Option<u64>) -> TransactionKind {
    TransactionKind::TransferCoin { coin: world.at(coin), amount, recipient: address(BOB) }
}

fn pay(
    world: &World,
    coins: &[ObjectId],
    amounts: Option<&[u64]>,
    recipients: usize,
) -> TransactionKind {
    TransactionKind::PayCoins {
        coins: coins.iter().map(|id| world.at(*id)).collect(),
        amounts: amounts.map(<[u64]>::to_vec),
        recipients: (0..recipients).map(|n| address(BOB + n as u8)).collect(),
    }
}

/// Alice transfers from a coin that also pays.
struct FromGas {
    balance: u64,
    amount: Option<u64>,
    outcome: &'static str,
    /// What is left; none if the coin is gone.
    left: Option<u64>,
    received: Option<u64>,
    fees: (u64, u64, u64),
}

impl FromGas {
    #[track_caller]
    fn check(self) {
        let mut world = World::new();
        let coin = world.coin(ALICE, self.balance);
        let done = world.send(ALICE, transfer(&world, coin, self.amount), &[coin]);
        assert_eq!(outcome(&done), self.outcome);
        assert_eq!(fees(&done), self.fees);
        assert_eq!(world.balance(coin), self.left);
        let received: Vec<_> = all_created(&done);
        assert_eq!(received.first().and_then(|coin| coin.coin_balance()), self.received);
        for coin in received {
            assert_eq!(coin.owner.address(), Some(address(BOB)));
        }
        let (_, gas) = done.effects.gas_object().expect("a gas entry");
        assert_eq!(gas.is_some(), self.left.is_some(), "the entry may be of a deleted coin");
    }
}

#[test]
fn a01_part_of_the_gas_coin() {
    FromGas {
        balance: 10_000_000,
        amount: Some(500_000),
        outcome: "Success",
        left: Some(9_497_900),
        received: Some(500_000),
        fees: (1000, 600, 500),
    }
    .check();
}

#[test]
fn a02_half_of_the_gas_coin() {
    FromGas {
        balance: 10_000_000,
        amount: Some(5_000_000),
        outcome: "Success",
        left: Some(4_993_400),
        received: Some(5_000_000),
        fees: (1000, 600, 5000),
    }
    .check();
}

#[test]
fn a03_whole_gas_coin() {
    FromGas {
        balance: 5_000_000,
        amount: None,
        outcome: "Success",
        left: None,
        received: Some(4_993_400),
        fees: (1000, 600, 5000),
    }
    .check();
}

#[test]
fn a04_all_of_another_coin_changes_owner() {
    let mut world = World::new();
    let coin = world.coin(ALICE, 1_000_000);
    let gas = world.coin(ALICE, 10_000_000);
    let done = world.send(ALICE, transfer(&world, coin, Some(1_000_000)), &[gas]);
    assert_success(&done);
    assert_eq!(world.owner(coin), Some(address(BOB)));
    assert_eq!(world.balance(coin), Some(1_000_000));
    assert_eq!(done.effects.created().count(), 0);
    assert_eq!(world.balance(gas), Some(9_997_400));
    assert_eq!(fees(&done), (1000, 600, 1000));
}

#[test]
fn a05_part_of_another_coin() {
    let mut world = World::new();
    let coin = world.coin(ALICE, 1_000_000);
    let gas = world.coin(ALICE, 10_000_000);
    let done = world.send(ALICE, transfer(&world, coin, Some(400_000)), &[gas]);
    assert_eq!(created(&done).coin_balance(), Some(400_000));
    assert_eq!(world.balance(coin), Some(600_000));
    assert_eq!(world.balance(gas), Some(9_997_700));
    assert_eq!(fees(&done), (1000, 900, 400));
}

#[test]
fn a06_more_than_the_coin_holds() {
    FromGas {
        balance: 10_000_000,
        amount: Some(20_000_000),
        outcome: "InsufficientCoinBalance",
        left: Some(9_999_000),
        received: None,
        fees: (1000, 0, 0),
    }
    .check();
}

#[test]
fn a07_nothing_left_for_fees() {
    FromGas {
        balance: 10_000,
        amount: Some(9000),
        outcome: "InsufficientCoinBalance",
        left: Some(9000),
        received: None,
        fees: (1000, 0, 0),
    }
    .check();
}

#[test]
fn a08_base_fee_makes_it_too_small() {
    FromGas {
        balance: 5000,
        amount: Some(4500),
        outcome: "InsufficientCoinBalance",
        left: Some(4000),
        received: None,
        fees: (1000, 0, 0),
    }
    .check();
}

#[test]
fn a09_gas_coin_ends_at_zero() {
    FromGas {
        balance: 101_700,
        amount: Some(100_000),
        outcome: "Success",
        left: None,
        received: Some(100_000),
        fees: (1000, 600, 100),
    }
    .check();
}

#[test]
fn a10_smallest_whole_gas_coin() {
    FromGas {
        balance: 1602,
        amount: None,
        outcome: "Success",
        left: None,
        received: Some(1),
        fees: (1000, 600, 1),
    }
    .check();
    FromGas {
        balance: 1601,
        amount: None,
        outcome: "InsufficientCoinBalance",
        left: Some(601),
        received: None,
        fees: (1000, 0, 0),
    }
    .check();
}

#[test]
fn a11_pay_three() {
    let mut world = World::new();
    let coin = world.coin(ALICE, 50_000_000);
    let done = world.send(ALICE, pay(&world, &[coin], Some(&[100, 200, 300]), 3), &[coin]);
    let paid: Vec<_> = all_created(&done)
        .into_iter()
        .map(|coin| (coin.coin_balance(), coin.owner.address()))
        .collect();
    let expected = [100, 200, 300].map(Some).into_iter();
    let owners = [BOB, BOB + 1, BOB + 2].map(|n| Some(address(n)));
    assert_eq!(paid, expected.zip(owners).collect::<Vec<_>>());
    assert_eq!(world.balance(coin), Some(49_997_200));
    assert_eq!(fees(&done), (1000, 1200, 0));
}

#[test]
fn a12_pay_from_three_coins() {
    let mut world = World::new();
    let coins = [world.coin(ALICE, 5_000_000), world.coin(ALICE, 1000), world.coin(ALICE, 1000)];
    let done = world.send(ALICE, pay(&world, &coins, Some(&[500, 1500]), 2), &coins[..1]);
    assert_success(&done);
    assert_eq!(world.balance(coins[0]), Some(4_998_098));
    assert_eq!(deleted(&done), coins[1..]);
    assert_eq!(fees(&done), (1000, 900, 2));
}

#[test]
fn a13_pay_all_of_one_coin() {
    let mut world = World::new();
    let coin = world.coin(ALICE, 3_000_000);
    let done = world.send(ALICE, pay(&world, &[coin], None, 1), &[coin]);
    assert_eq!(created(&done).coin_balance(), Some(2_995_400));
    assert_eq!(deleted(&done), [coin]);
    assert_eq!(fees(&done), (1000, 600, 3000));
}

#[test]
fn a14_pay_all_of_three_coins() {
    let mut world = World::new();
    let coins = [world.coin(ALICE, 3_000_000), world.coin(ALICE, 1000), world.coin(ALICE, 1000)];
    let done = world.send(ALICE, pay(&world, &coins, None, 1), &coins[..1]);
    assert_eq!(created(&done).coin_balance(), Some(2_997_398));
    assert_eq!(deleted(&done), coins);
    assert_eq!(fees(&done), (1000, 600, 3002));
}

#[test]
fn a15_listed_coins_lack_the_reserve() {
    let mut world = World::new();
    let coins = [world.coin(ALICE, 6207), world.coin(ALICE, 3000)];
    let done = world.send(ALICE, pay(&world, &coins, Some(&[4000, 4000]), 2), &coins[..1]);
    assert_failed(&done, "InsufficientCoinBalance");
    assert_eq!(world.balance(coins[0]), Some(5207));
    assert_eq!(world.balance(coins[1]), Some(3000));
    assert_eq!(world.at(coins[1]).version(), 1);
}

#[test]
fn a16_reserve_is_asked_although_another_coin_pays() {
    let mut world = World::new();
    let coin = world.coin(ALICE, 5000);
    let gas = world.coin(ALICE, 10_000_000);
    let done = world.send(ALICE, pay(&world, &[coin], Some(&[5000]), 1), &[gas]);
    assert_failed(&done, "InsufficientCoinBalance");
    assert_eq!(world.balance(gas), Some(9_999_000));
}

#[test]
fn a17_another_coin_pays() {
    let mut world = World::new();
    let coin = world.coin(ALICE, 10_000);
    let gas = world.coin(ALICE, 10_000_000);
    let done = world.send(ALICE, pay(&world, &[coin], Some(&[5000]), 1), &[gas]);
    assert_eq!(created(&done).coin_balance(), Some(5000));
    assert_eq!(world.balance(coin), Some(5000));
    assert_eq!(world.balance(gas), Some(9_998_095));
    assert_eq!(fees(&done), (1000, 900, 5));
}

#[test]
fn a18_payments_that_make_no_sense() {
    let cases: [(bool, Option<&[u64]>, usize); 3] =
        [(true, None, 2), (true, Some(&[1, 2]), 3), (false, Some(&[1]), 1)];
    for (with_coin, amounts, recipients) in cases {
        let mut world = World::new();
        let gas = world.coin(ALICE, 10_000_000);
        let coins = if with_coin { vec![gas] } else { Vec::new() };
        let done = world.send(ALICE, pay(&world, &coins, amounts, recipients), &[gas]);
        assert_failed(&done, "InvalidArguments");
        assert_eq!(world.balance(gas), Some(9_999_000));
    }
}

#[test]
fn a19_pay_nothing() {
    let mut world = World::new();
    let coin = world.coin(ALICE, 50_000_000);
    let done = world.send(ALICE, pay(&world, &[coin], Some(&[0]), 1), &[coin]);
    assert_eq!(created(&done).coin_balance(), Some(0));
    assert_eq!(fees(&done), (1000, 600, 0));
}

#[test]
fn a20_transfer_two_objects() {
    let mut world = World::new();
    let gas = world.coin(ALICE, 10_000_000);
    let objects = [world.coin(ALICE, 5), world.coin(ALICE, 6)];
    let kind = TransactionKind::TransferObjects {
        objects: objects.iter().map(|id| world.at(*id)).collect(),
        recipient: address(BOB),
    };
    let done = world.send(ALICE, kind, &[gas]);
    assert_success(&done);
    assert_eq!(objects.map(|id| world.owner(id)), [Some(address(BOB)); 2]);
    assert_eq!(fees(&done), (1000, 900, 0));
}

#[test]
fn a21_transfer_the_gas_coin() {
    let mut world = World::new();
    let gas = world.coin(ALICE, 10_000_000);
    let objects = vec![world.at(gas)];
    let kind = TransactionKind::TransferObjects { objects, recipient: address(BOB) };
    let done = world.send(ALICE, kind, &[gas]);
    assert_eq!(world.owner(gas), Some(address(BOB)));
    assert_eq!(world.balance(gas), Some(9_998_700));
    assert_eq!(fees(&done), (1000, 300, 0));
}

#[test]
fn a22_receipt_belongs_to_whoever_holds_it() {
    let mut world = World::new();
    let receipt = world.commit(2 * SOMA);
    let kind = TransactionKind::TransferObjects {
        objects: vec![world.at(receipt)],
        recipient: address(BOB),
    };
    let gas = world.coin(ALICE, 10_000_000);
    assert_success(&world.send(ALICE, kind, &[gas]));
    let gas = world.coin(BOB, SOMA);
    let kind = TransactionKind::WithdrawStake { staked_soma: world.at(receipt) };
    let done = world.send(BOB, kind, &[gas]);
    assert_eq!(created(&done).owner.address(), Some(address(BOB)));
    assert_eq!(created(&done).coin_balance(), Some(2 * SOMA));
}
