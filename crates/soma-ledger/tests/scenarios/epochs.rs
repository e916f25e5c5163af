//! E: epochs, fees, emission.

use soma_proto::target::Target;
use soma_proto::{ObjectType, TransactionKind};

use crate::faucet::request;
use crate::world::*;

#[test]
fn e01_first_epoch_in_full() {
    let mut world = World::new();
    let done = world.advance_in_full();
    assert_success(&done);
    assert_eq!(world.state().emission_pool.balance, 679_041 * SOMA);
    assert_eq!(receipt(&done).principal, 19_180_000_000);
    assert_eq!(world.pool(VALIDATOR).soma_balance, 20_959 * SOMA);
    assert_eq!(world.state().parameters.value_fee_bps, 9);
    assert_eq!(world.state().target_state.reward_per_target, 54_800_000_000);
    assert_eq!(world.ledger.supply().total(), 10_000_000 * u128::from(SOMA));
}

#[test]
fn e02_e03_e04_three_epochs_cut_short() {
    let mut world = World::new();
    let (_, coin) = request(&mut world, ALICE);
    assert_success(&world.send(ALICE, commit(SOMA), &[coin]));
    assert_eq!(world.ledger.counters().epoch_fees.total_fee, 2_503_500);
    let done = world.advance();
    assert_eq!(receipt(&done).principal, 35_049);
    assert_eq!(world.pool(VALIDATOR).soma_balance, 20_000_001_752_450);
    assert_eq!(world.state().emission_pool.balance, 680_000_000_751_050);
    assert_eq!(world.state().parameters.value_fee_bps, 9);

    assert_success(&world.send(ALICE, reveal(URL), &[coin]));
    let done = world.advance();
    let created = all_created(&done);
    assert_eq!(created[0].as_staked_soma().map(|receipt| receipt.principal), Some(22));
    assert_eq!(created.len(), 21);
    assert_eq!(world.pool(VALIDATOR).soma_balance, 20_000_001_752_450 + 1120);
    assert_eq!(world.state().emission_pool.balance, 678_904_000_751_530);
    assert_eq!(world.state().parameters.value_fee_bps, 8);
    assert_eq!(world.state().target_state.targets_generated_this_epoch, 20);
    for object in &created[1..] {
        assert_eq!(object.object_type(), ObjectType::Target);
        let target: Target = bcs::from_bytes(object.inner()).expect("a target");
        assert_eq!(target.model_ids, [MODEL]);
        assert_eq!(target.reward_pool, 54_800_000_000);
        assert_eq!(target.generation_epoch, 2);
        assert_eq!(target.embedding.shape(), [DIM as u64]);
    }

    let done = world.advance();
    assert_eq!(all_created(&done).len(), 20);
    assert!(all_created(&done).iter().all(|object| object.object_type() == ObjectType::Target));
    assert_eq!(world.state().emission_pool.balance, 677_808_000_751_530);
    assert_eq!(world.state().parameters.value_fee_bps, 7);
    assert_eq!(done.forgotten, []);
    assert_eq!(world.ledger.supply().total(), 10_000_000 * u128::from(SOMA));

    // The first targets are older than the previous epoch now.
    let done = world.advance();
    assert_eq!(done.forgotten.len(), 20);
    assert_eq!(world.ledger.counters().forgotten_rewards, 20 * 54_800_000_000);
    assert_eq!(world.ledger.supply().total(), 10_000_000 * u128::from(SOMA));
}

#[test]
fn e05_fee_of_an_idle_network() {
    let mut world = World::new();
    let mut seen = vec![world.state().parameters.value_fee_bps];
    for _ in 0..10 {
        world.advance();
        seen.push(world.state().parameters.value_fee_bps);
    }
    assert_eq!(seen, [10, 9, 8, 7, 7, 7, 7, 7, 7, 7, 7]);
}

#[test]
fn e06_fee_of_a_busy_network() {
    let mut world = World::new();
    let mut seen = Vec::new();
    for _ in 0..18 {
        world.advance_with_fees(2 * SOMA);
        seen.push(world.state().parameters.value_fee_bps);
    }
    assert_eq!(seen, [11, 12, 13, 14, 15, 16, 18, 20, 22, 24, 27, 30, 33, 37, 41, 46, 50, 50]);
    // Where it turns, in shannons.
    let turns = [(900_099_999, 9), (900_100_000, 10), (1_099_999_999, 10), (1_100_000_000, 11)];
    for (fees, bps) in turns {
        let mut world = World::new();
        world.advance_with_fees(fees);
        assert_eq!(world.state().parameters.value_fee_bps, bps, "{fees}");
    }
}

#[test]
fn e07_wrong_epoch() {
    let mut world = World::new();
    assert_eq!(outcome(&world.change_to(5, 0)), "AdvancedToWrongEpoch");
    assert!(world.state().safe_mode);
    assert_eq!(world.state().epoch, 1);
}

#[test]
fn e08_leaving_safe_mode() {
    let mut world = World::new();
    world.change_to(9, 5000);
    assert_eq!(world.state().safe_mode_accumulated_fees, 5000);
    assert_eq!(world.state().safe_mode_accumulated_emissions, 1370 * SOMA);
    assert_eq!(world.state().parameters.value_fee_bps, 10);
    let (emission, pool) =
        (world.state().emission_pool.balance, world.pool(VALIDATOR).soma_balance);
    assert_success(&world.change_to(2, 1000));
    let state = world.state();
    assert!(!state.safe_mode);
    assert_eq!(state.safe_mode_accumulated_fees, 0);
    assert_eq!(state.safe_mode_accumulated_emissions, 0);
    assert_eq!(world.pool(VALIDATOR).soma_balance - pool, 959_000_004_200);
    assert_eq!(state.emission_pool.balance - emission, 411_000_001_800);
}

#[test]
fn e09_safe_mode_twice() {
    let mut world = World::new();
    world.change_to(9, 1000);
    world.change_to(9, 2000);
    assert_eq!(world.state().safe_mode_accumulated_fees, 3000);
    assert_eq!(world.state().safe_mode_accumulated_emissions, 2740 * SOMA);
    assert_eq!(world.state().epoch, 2);
}

#[test]
fn e10_rewards_by_power() {
    let stakes = [100, 200, 300, 400];
    let mut world = World::with_stakes(&stakes);
    world.advance_with_fees(0);
    world.advance_with_fees(100 * SOMA);
    let rewards: Vec<_> = (0..4)
        .map(|n| world.pool(VALIDATOR + n).soma_balance - stakes[n as usize] * SOMA)
        .collect();
    assert_eq!(rewards, [15 * SOMA, 25 * SOMA, 30 * SOMA, 30 * SOMA]);
}

#[test]
fn e11_fees_after_three_epochs() {
    let mut world = World::new();
    for _ in 0..3 {
        world.advance();
    }
    let coin = world.coin(ALICE, 2 * SOMA);
    let done = world.send(ALICE, commit(SOMA), &[coin]);
    assert_eq!(fees(&done), (1000, 900, 300_000));
}

#[test]
fn e12_failures_pay_too() {
    let mut world = World::new();
    let coin = world.coin(ALICE, SOMA);
    for _ in 0..4 {
        assert_failed(&world.send(ALICE, reveal(URL), &[coin]), "ModelNotPending");
    }
    let done = world.advance();
    let TransactionKind::ChangeEpoch(change) = done.transaction.data.kind() else {
        panic!("a change of epoch");
    };
    assert_eq!(change.fees, 4000);
}

#[test]
fn reports_of_validators_cost_half_of_the_reward() {
    let mut world = World::with_stakes(&[100, 100, 100, 100]);
    world.advance_with_fees(0);
    world.edit(|parts| {
        let reporters = (1..4).map(|n| address(VALIDATOR + n)).collect();
        parts.skeleton.validator_report_records.insert(address(VALIDATOR), reporters);
    });
    world.advance_with_fees(120 * SOMA);
    let rewards: Vec<_> =
        (0..4).map(|n| world.pool(VALIDATOR + n).soma_balance - 100 * SOMA).collect();
    assert_eq!(rewards, [15 * SOMA, 35 * SOMA, 35 * SOMA, 35 * SOMA]);
}
