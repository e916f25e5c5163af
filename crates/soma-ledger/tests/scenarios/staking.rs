//! C: staking with validators.

use soma_ledger::Execution;
use soma_proto::{Address, ObjectDigest, ObjectId, ObjectRef, TransactionData, TransactionKind};

use crate::world::*;

/// Stakes from a coin that also pays.
fn stake(world: &mut World, coin: ObjectId, validator: Address, amount: Option<u64>) -> Execution {
    let coin_ref = world.at(coin);
    world.send(ALICE, TransactionKind::AddStake { address: validator, coin_ref, amount }, &[coin])
}

/// A coin of `balance` from which `amount` is staked with the only validator.
fn staked(balance: u64, amount: Option<u64>) -> (World, ObjectId, Execution) {
    let mut world = World::new();
    let coin = world.coin(ALICE, balance);
    let done = stake(&mut world, coin, address(VALIDATOR), amount);
    (world, coin, done)
}

/// Alice stakes exactly `amount` with a validator; returns the receipt.
fn stake_exactly(world: &mut World, validator: u8, amount: u64) -> ObjectId {
    let coin = world.coin(ALICE, amount + amount / 1000 + 10_000);
    let done = stake(world, coin, address(validator), Some(amount));
    assert_success(&done);
    receipt_of(&done)
}

#[test]
fn c01_part_of_the_gas_coin() {
    let (world, coin, done) = staked(50_000_000, Some(10_000_000));
    let receipt = receipt(&done);
    assert_eq!((receipt.stake_activation_epoch, receipt.principal), (1, 10_000_000));
    assert_eq!(receipt.pool_id, world.pool(VALIDATOR).id);
    assert_eq!(world.balance(coin), Some(39_993_100));
    assert_eq!(fees(&done), (1000, 900, 5000));
}

#[test]
fn c02_whole_gas_coin() {
    let (world, coin, done) = staked(50_000_000, None);
    assert_eq!(receipt(&done).principal, 49_973_100);
    assert_eq!(world.balance(coin), None);
    assert_eq!(fees(&done), (1000, 900, 25_000));
}

#[test]
fn c03_almost_all() {
    let (world, coin, done) = staked(10_000_000, Some(9_990_000));
    assert_success(&done);
    assert_eq!(world.balance(coin), Some(3105));
    assert_eq!(fees(&done), (1000, 900, 4995));
}

#[test]
fn c04_too_small() {
    let (world, coin, done) = staked(5000, Some(4500));
    assert_failed(&done, "InsufficientCoinBalance");
    assert_eq!(world.balance(coin), Some(4000));
}

#[test]
fn c05_too_small_for_fees() {
    let (world, coin, done) = staked(1100, None);
    assert_failed(&done, "InsufficientCoinBalance");
    assert_eq!(world.balance(coin), Some(100));
}

#[test]
fn c06_no_such_validator() {
    let mut world = World::new();
    let coin = world.coin(ALICE, 50_000_000);
    let done = stake(&mut world, coin, address(BOB), Some(10_000_000));
    assert_failed(&done, "ValidatorNotFound");
    assert_eq!(world.balance(coin), Some(49_999_000));
}

#[test]
fn c07_nothing_to_stake() {
    let (_, _, done) = staked(50_000_000, Some(0));
    assert_failed(&done, "InvalidArguments");
    let mut world = World::new();
    let coin = world.coin(ALICE, 50_000_000);
    assert_failed(&stake(&mut world, coin, address(BOB), Some(0)), "ValidatorNotFound");
}

#[test]
fn c08_stake_joins_and_leaves_at_boundaries() {
    let mut world = World::with_stakes(&[100, 100]);
    let receipt = stake_exactly(&mut world, VALIDATOR, 60 * SOMA);
    assert_eq!(world.pool(VALIDATOR).soma_balance, 100 * SOMA);
    world.advance_with_fees(0);
    assert_eq!(world.pool(VALIDATOR).soma_balance, 160 * SOMA);
    assert_eq!(world.withdraw(ALICE, receipt), 60 * SOMA);
    assert_eq!(world.pool(VALIDATOR).soma_balance, 160 * SOMA);
    world.advance_with_fees(0);
    assert_eq!(world.pool(VALIDATOR).soma_balance, 100 * SOMA);
    assert_eq!(world.pool(VALIDATOR + 1).soma_balance, 100 * SOMA);
}

/// Withdraws from a gas coin of one SOMA, and checks payment and fees.
#[track_caller]
fn withdraw(world: &mut World, receipt: ObjectId, paid: u64, expected: (u64, u64, u64)) {
    let gas = world.coin(ALICE, SOMA);
    let kind = TransactionKind::WithdrawStake { staked_soma: world.at(receipt) };
    let done = world.send(ALICE, kind, &[gas]);
    assert_success(&done);
    assert_eq!(created(&done).coin_balance(), Some(paid));
    assert_eq!(fees(&done), expected);
}

#[test]
fn c09_withdraw_in_the_same_epoch() {
    let mut world = World::new();
    let receipt = stake_exactly(&mut world, VALIDATOR, SOMA);
    assert_eq!(world.pool(VALIDATOR).pending_stake, SOMA);
    withdraw(&mut world, receipt, SOMA, (1000, 900, 500_000));
    assert_eq!(world.pool(VALIDATOR).pending_stake, 0);
}

#[test]
fn c10_no_reward_in_the_first_epoch() {
    let mut world = World::new();
    let receipt = stake_exactly(&mut world, VALIDATOR, SOMA);
    world.advance();
    withdraw(&mut world, receipt, SOMA, (1000, 900, 400_000));
}

/// The whole table: one validator of 20000 SOMA, epochs of full length, fees
/// left out of account.
#[test]
fn c11_rewards_on_the_default_network() {
    let mut world = World::new();
    let receipt = stake_exactly(&mut world, VALIDATOR, SOMA);
    let boundaries = [
        (20_960_000_000_000, 20_019_274_282_204, 679_041_000_000_000, 9),
        (21_919_000_000_000, 20_036_807_288_444, 678_082_000_000_000, 8),
    ];
    for (soma, tokens, emission, bps) in boundaries {
        let done = world.advance_in_full_with_fees(0);
        let commission = receipt_on_boundary(&done);
        assert_eq!(commission.principal, 19_180_000_000);
        assert_eq!(commission.stake_activation_epoch, world.state().epoch);
        check_totals(&world, soma, tokens, emission, bps);
    }
    withdraw(&mut world, receipt, 1_044_838_739, (1000, 900, 400_000));
    assert_eq!(world.pool(VALIDATOR).pending_pool_token_withdraw, 955_118_047);
    world.advance_in_full_with_fees(0);
    check_totals(&world, 22_876_955_161_261, 20_052_664_289_770, 677_123_000_000_000, 7);
}

fn receipt_on_boundary(done: &Execution) -> soma_proto::object::StakedSoma {
    let first = &all_created(done)[0];
    assert_eq!(first.owner.address(), Some(address(VALIDATOR)));
    first.as_staked_soma().expect("a receipt")
}

#[track_caller]
fn check_totals(world: &World, soma: u64, tokens: u64, emission: u64, bps: u64) {
    let pool = world.pool(VALIDATOR);
    assert_eq!((pool.soma_balance, pool.pool_token_balance), (soma, tokens));
    assert_eq!(world.state().emission_pool.balance, emission);
    assert_eq!(world.state().parameters.value_fee_bps, bps);
}

#[test]
fn c12_withdraw_from_a_validator_that_has_left() {
    let mut world = World::with_stakes(&[100, 100]);
    let receipt = stake_exactly(&mut world, VALIDATOR, 100 * SOMA);
    world.advance_with_fees(0);
    world.advance_with_fees(80 * SOMA);
    world.edit(|parts| {
        let set = &mut parts.skeleton.validators;
        let first = address(VALIDATOR);
        let place = set.validators.iter().position(|v| v.metadata.soma_address == first);
        set.pending_removals.push(place.expect("one of ours") as u64);
    });
    world.advance_with_fees(0);
    assert_eq!(world.state().validators.validators.len(), 1);
    assert_eq!(world.withdraw(ALICE, receipt), 123_336_000_000);
    assert_eq!(world.pool(VALIDATOR).soma_balance, 123_336_000_000);
}

#[test]
fn c13_a_coin_is_no_receipt() {
    let mut world = World::new();
    let (coin, gas) = (world.coin(ALICE, SOMA), world.coin(ALICE, SOMA));
    let kind = TransactionKind::WithdrawStake { staked_soma: world.at(coin) };
    assert_failed(&world.send(ALICE, kind, &[gas]), "InvalidObjectType");
}

#[test]
fn c14_receipt_that_does_not_exist() {
    let mut world = World::new();
    let gas = world.coin(ALICE, SOMA);
    let staked_soma = ObjectRef(ObjectId::new([0x77; 32]), 1, ObjectDigest::new([1; 32]));
    let kind = TransactionKind::WithdrawStake { staked_soma };
    let data = TransactionData::new(kind, address(ALICE), vec![world.at(gas)]);
    assert_eq!(rejection(world.ledger.apply(&data.sign(&key(ALICE)))), "ObjectNotFound");
}

#[test]
fn c15_genesis_receipt() {
    let mut world = World::new();
    let receipt = world
        .ledger
        .objects()
        .find(|object| object.as_staked_soma().is_some())
        .expect("the validator's receipt")
        .id();
    assert_eq!(world.withdraw(VALIDATOR, receipt), 20_000 * SOMA);
}

/// The table of the rules' section on pools, in SOMA: one pool without
/// commission, fees left out of account.
#[test]
fn worked_example_of_a_pool() {
    let mut world = World::with_stakes(&[100]);
    let totals = |world: &World| {
        let pool = world.pool(VALIDATOR);
        (pool.soma_balance, pool.pool_token_balance, pool.rewards_pool)
    };
    let soma = |soma, tokens, rewards| (soma * SOMA, tokens * SOMA, rewards * SOMA);

    let a = stake_exactly(&mut world, VALIDATOR, 100 * SOMA);
    assert_eq!(totals(&world), soma(100, 100, 0));
    world.advance_with_fees(0);
    assert_eq!(totals(&world), soma(200, 200, 0));
    world.advance_with_fees(30 * SOMA);
    assert_eq!(totals(&world), soma(230, 200, 30));
    let b = stake_exactly(&mut world, VALIDATOR, 46 * SOMA);
    world.advance_with_fees(0);
    assert_eq!(totals(&world), soma(276, 240, 30));
    assert_eq!(world.withdraw(ALICE, a), 115 * SOMA);
    assert_eq!(totals(&world), soma(276, 240, 15));
    world.advance_with_fees(0);
    assert_eq!(totals(&world), soma(161, 140, 15));
    assert_eq!(world.withdraw(ALICE, b), 46 * SOMA);
    world.advance_with_fees(0);
    assert_eq!(totals(&world), soma(115, 100, 15));
    let c = stake_exactly(&mut world, VALIDATOR, 7);
    world.advance_with_fees(0);
    assert_eq!(totals(&world), (115_000_000_007, 100_000_000_006, 15 * SOMA));
    assert_eq!(world.withdraw(ALICE, c), 7);
    assert_eq!(world.pool(VALIDATOR).rewards_pool, 15 * SOMA);
}

#[test]
fn voting_power() {
    let cases: [(&[u64], &[u64]); 4] = [
        (&[100, 100, 50], &[3778, 3778, 2444]),
        (&[100, 100, 100, 100], &[2500, 2500, 2500, 2500]),
        (&[100, 200, 300, 400], &[1500, 2500, 3000, 3000]),
        (&[5], &[10_000]),
    ];
    for (stakes, powers) in cases {
        let mut world = World::with_stakes(stakes);
        world.advance_with_fees(0);
        let found: Vec<_> =
            (0..stakes.len()).map(|n| world.voting_power(VALIDATOR + n as u8)).collect();
        assert_eq!(found, powers, "{stakes:?}");
    }
}

#[test]
fn weak_validators_leave_but_not_the_last() {
    // Of 1000000: 3/10000 leaves at once, 7/10000 after more than seven epochs.
    let mut world = World::with_stakes(&[1_000_000, 300, 700]);
    world.advance_with_fees(0);
    assert_eq!(world.state().validators.validators.len(), 2);
    for _ in 0..6 {
        world.advance_with_fees(0);
    }
    assert_eq!(world.state().validators.validators.len(), 2);
    world.advance_with_fees(0);
    assert_eq!(world.state().validators.validators.len(), 1);

    let mut world = World::new();
    let receipt = world.ledger.objects().find(|object| object.as_staked_soma().is_some());
    let receipt = receipt.expect("the validator's receipt").id();
    world.withdraw(VALIDATOR, receipt);
    world.advance_with_fees(0);
    world.advance_with_fees(0);
    assert_eq!(world.voting_power(VALIDATOR), 10_000);
}
