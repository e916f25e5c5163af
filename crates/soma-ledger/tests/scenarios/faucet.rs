//! F: the faucet's payments, and genesis.

use soma_ledger::{Execution, SYSTEM_STATE_ID};
use soma_proto::{ObjectId, ObjectType, TransactionKind};

use crate::world::*;

/// What a faucet pays.
const PAYMENT: u64 = 2_000_000_000;

/// Pays somebody as a faucet does; returns the faucet's coin and the new one.
pub(crate) fn request(world: &mut World, recipient: u8) -> (ObjectId, ObjectId) {
    let (from, done) = pay(world, recipient);
    assert_success(&done);
    (from, created(&done).id())
}

fn pay(world: &mut World, recipient: u8) -> (ObjectId, Execution) {
    let coin = world.ledger.coins_of(&address(FAUCET))[0].id();
    let kind = TransactionKind::PayCoins {
        coins: vec![world.at(coin)],
        amounts: Some(vec![PAYMENT]),
        recipients: vec![address(recipient)],
    };
    let done = world.send(FAUCET, kind, &[coin]);
    (coin, done)
}

#[test]
fn f01_one_request() {
    let mut world = World::new();
    let (from, coin) = request(&mut world, ALICE);
    assert_eq!(world.balance(coin), Some(PAYMENT));
    assert_eq!(world.owner(coin), Some(address(ALICE)));
    assert_eq!(world.balance(from), Some(299_997_997_998_400));
}

#[test]
fn f02_two_requests() {
    let mut world = World::new();
    let (_, first) = request(&mut world, ALICE);
    let (_, second) = request(&mut world, ALICE);
    assert_ne!(first, second);
    assert_eq!(world.ledger.coins_of(&address(ALICE)).len(), 2);
}

#[test]
fn f04_one_payment_is_enough_for_a_commit() {
    let mut world = World::new();
    let (_, coin) = request(&mut world, ALICE);
    assert_success(&world.send(ALICE, commit(SOMA), &[coin]));
    assert_eq!(world.balance(coin), Some(999_498_100));
    let mut second = commit_fields(SOMA);
    second.model_id = ObjectId::new([1; 32]);
    second.staking_pool_id = ObjectId::new([2; 32]);
    let done = world.send(ALICE, TransactionKind::CommitModel(second), &[coin]);
    assert_failed(&done, "InsufficientCoinBalance");
    assert_eq!(world.balance(coin), Some(999_497_100));
}

#[test]
fn f05_genesis_holds_the_whole_supply() {
    let world = World::new();
    let supply = world.ledger.supply();
    assert_eq!(supply.total(), 10_000_000 * u128::from(SOMA));
    assert_eq!(supply.emission_pool, 680_000 * u128::from(SOMA));
    let count = |wanted| world.ledger.objects().filter(|o| o.object_type() == wanted).count();
    assert_eq!((count(ObjectType::Coin), count(ObjectType::StakedSoma)), (31, 1));
    assert_eq!(world.ledger.state_reference().version(), 1);
    assert_eq!(world.ledger.state_object().id(), SYSTEM_STATE_ID);
    let validator = &world.state().validators.validators[0];
    assert_eq!(validator.voting_power, 10_000);
    assert_eq!((validator.commission_rate, validator.next_epoch_commission_rate), (200, 200));
    let pool = &validator.staking_pool;
    assert_eq!((pool.soma_balance, pool.pool_token_balance), (20_000 * SOMA, 20_000 * SOMA));
    assert_eq!(validator.next_epoch_stake, 20_000 * SOMA);
    assert_eq!(pool.activation_epoch, Some(0));
}
