//! What is turned away before it is executed, case by case.

use soma_ledger::{Category, Rejection};
use soma_proto::{
    Object, ObjectDigest, ObjectId, ObjectRef, ObjectType, Owner, TransactionData, TransactionKind,
};

use crate::world::*;

const DUPLICATE: &str = "DuplicateObjectRefInput";
const NOT_FOUND: &str = "ObjectNotFound";
const OLD_VERSION: &str = "ObjectVersionUnavailableForConsumption";
const GAS: &str = "GasPaymentError";
const DIGEST: &str = "InvalidObjectDigest";
const NOT_YOURS: &str = "IncorrectUserSignature";
const NOT_OWNED: &str = "NotOwnedObjectError";

/// Bytes that a transaction may have.
const MAX_BYTES: usize = 262_144;

fn older(reference: ObjectRef) -> ObjectRef {
    ObjectRef(reference.id(), reference.version() - 1, reference.digest())
}

fn newer(reference: ObjectRef) -> ObjectRef {
    ObjectRef(reference.id(), reference.version() + 1, reference.digest())
}

fn wrong_digest(reference: ObjectRef) -> ObjectRef {
    ObjectRef(reference.id(), reference.version(), ObjectDigest::new([0xdd; 32]))
}

fn transfer(coin: ObjectRef) -> TransactionKind {
    TransactionKind::TransferCoin { coin, amount: Some(1), recipient: address(BOB) }
}

fn transfer_objects(objects: &[ObjectRef]) -> TransactionKind {
    TransactionKind::TransferObjects { objects: objects.to_vec(), recipient: address(BOB) }
}

fn pay(coins: &[ObjectRef]) -> TransactionKind {
    let (coins, recipients) = (coins.to_vec(), vec![address(BOB)]);
    TransactionKind::PayCoins { coins, amounts: Some(vec![1]), recipients }
}

/// What Alice can name.
struct Named {
    world: World,
    /// Two coins of hers in version 3.
    coin: ObjectRef,
    gas: ObjectRef,
    /// Her receipt for the stake of a model.
    receipt: ObjectRef,
    /// A coin of Bob's.
    bobs: ObjectRef,
    /// A coin that was deleted.
    deleted: ObjectRef,
    /// A shared object, an immutable coin, the system state.
    target: ObjectRef,
    immutable: ObjectRef,
    state: ObjectRef,
}

impl Named {
    fn new() -> Self {
        let mut world = World::new();
        let receipt = world.active_model(SOMA);
        world.advance();
        let (first, second) = (world.coin(ALICE, SOMA), world.coin(ALICE, SOMA));
        let deleted = world.at(second);
        let kind = transfer(world.at(first));
        assert_success(&world.send(ALICE, kind, &[first, second]));
        let mut fixed = Object::coin(
            ObjectId::new([0x1f; 32]),
            3,
            SOMA,
            address(ALICE),
            soma_proto::TransactionDigest::ZERO,
        );
        fixed.owner = Owner::Immutable;
        let immutable = fixed.reference();
        world.edit(|parts| parts.objects.push(fixed));
        let [coin, gas] = [(), ()].map(|()| world.coin_at(ALICE, SOMA, 3));
        let bobs = world.coin_at(BOB, SOMA, 3);
        let target = world.ledger.objects().find(|o| o.object_type() == ObjectType::Target);
        let target = target.expect("a model is active").reference();
        let state = world.ledger.state_reference();
        let [coin, gas, bobs, receipt] = [coin, gas, bobs, receipt].map(|id| world.at(id));
        Self { world, coin, gas, receipt, bobs, deleted, target, immutable, state }
    }

    /// Alice sends it, and nothing comes of it.
    #[track_caller]
    fn check(&mut self, kind: TransactionKind, gas: &[ObjectRef], name: &str) {
        let ledger = &mut self.world.ledger;
        let before: Vec<_> = ledger.objects().map(Object::reference).collect();
        let counters = *ledger.counters();
        let data = TransactionData::new(kind, address(ALICE), gas.to_vec());
        let rejection = match ledger.apply(&data.sign(&key(ALICE))) {
            Ok(execution) => panic!("executed instead of {name}: {}", outcome(&execution)),
            Err(rejection) => rejection,
        };
        assert_eq!(rejection.name(), name, "{rejection}");
        assert_eq!(rejection.category(), Category::InvalidArgument);
        assert_eq!(ledger.state_reference(), self.state);
        assert_eq!(*ledger.counters(), counters);
        assert!(ledger.objects().map(Object::reference).eq(before));
    }
}

#[test]
fn inputs_that_are_not_what_they_are_said_to_be() {
    let mut named = Named::new();
    let Named { coin, gas, receipt, bobs, deleted, target, immutable, state, .. } = named;
    let nothing = ObjectRef(ObjectId::new([0x77; 32]), 1, ObjectDigest::new([1; 32]));
    let withdraw = |staked_soma| TransactionKind::WithdrawStake { staked_soma };
    #[rustfmt::skip]
    let cases: Vec<(TransactionKind, Vec<ObjectRef>, &str)> = vec![
        // Row 6: twice among the arguments, twice among the gas coins, or named
        // although the kind uses it anyway.
        (pay(&[coin, coin]), vec![gas], DUPLICATE),
        (transfer_objects(&[receipt, coin, receipt]), vec![gas], DUPLICATE),
        (pay(&[coin, older(coin)]), vec![gas], DUPLICATE),
        (transfer(coin), vec![gas, older(gas)], DUPLICATE),
        (withdraw(state), vec![gas], DUPLICATE),
        (withdraw(receipt), vec![state], DUPLICATE),
        // Row 8: not there, not yet there, not there any more.
        (transfer(nothing), vec![gas], NOT_FOUND),
        (transfer(coin), vec![gas, nothing], NOT_FOUND),
        (transfer(newer(coin)), vec![gas], NOT_FOUND),
        (transfer(coin), vec![newer(gas)], NOT_FOUND),
        (transfer(deleted), vec![gas], NOT_FOUND),
        (transfer(coin), vec![deleted], NOT_FOUND),
        (transfer_objects(&[newer(state)]), vec![gas], NOT_FOUND),
        // Row 9.
        (transfer(older(coin)), vec![gas], OLD_VERSION),
        (transfer(coin), vec![older(gas)], OLD_VERSION),
        (transfer_objects(&[coin, older(receipt)]), vec![gas], OLD_VERSION),
        // Rows 10 and 11.
        (transfer(coin), vec![], GAS),
        (transfer(coin), vec![receipt], GAS),
        (transfer(coin), vec![gas, receipt], GAS),
        (withdraw(receipt), vec![receipt], GAS),
        (transfer(coin), vec![state], GAS),
        (transfer(coin), vec![target], GAS),
        (transfer(coin), vec![immutable], GAS),
        // Row 13.
        (transfer(wrong_digest(coin)), vec![gas], DIGEST),
        (transfer(coin), vec![wrong_digest(gas)], DIGEST),
        (transfer(coin), vec![gas, wrong_digest(bobs)], DIGEST),
        (transfer_objects(&[wrong_digest(state)]), vec![gas], DIGEST),
        // Row 14.
        (transfer(bobs), vec![gas], NOT_YOURS),
        (transfer(coin), vec![bobs], NOT_YOURS),
        (pay(&[coin, bobs]), vec![gas], NOT_YOURS),
        // Row 15.
        (transfer_objects(&[state]), vec![gas], NOT_OWNED),
        (transfer_objects(&[target]), vec![gas], NOT_OWNED),
        (transfer_objects(&[coin, immutable]), vec![gas], NOT_OWNED),
        (transfer(immutable), vec![gas], NOT_OWNED),
        // Whose row comes first: 6 before 8, 8 before 10, 11 before 13, the
        // arguments before the gas coins, 9 last.
        (pay(&[nothing, nothing]), vec![gas], DUPLICATE),
        (transfer(nothing), vec![], NOT_FOUND),
        (transfer(wrong_digest(coin)), vec![receipt], GAS),
        (transfer(wrong_digest(bobs)), vec![gas], DIGEST),
        (transfer(bobs), vec![wrong_digest(gas)], NOT_YOURS),
        (transfer(older(coin)), vec![bobs], NOT_YOURS),
    ];
    for (kind, payment, name) in cases {
        named.check(kind, &payment, name);
    }
}

/// A coin that pays and is an argument is looked at in both places (L-3).
#[test]
fn gas_coin_named_by_two_references() {
    let mut named = Named::new();
    let coin = named.coin;
    type Change = fn(ObjectRef) -> ObjectRef;
    let changes: [(Change, &str); 3] =
        [(wrong_digest, DIGEST), (older, OLD_VERSION), (newer, NOT_FOUND)];
    for (change, name) in changes {
        named.check(transfer(coin), &[change(coin)], name);
        named.check(transfer(change(coin)), &[coin], name);
        named.check(pay(&[coin]), &[change(coin)], name);
        named.check(transfer_objects(&[coin]), &[named.gas, change(coin)], name);
    }
    let data = TransactionData::new(transfer(coin), address(ALICE), vec![coin]);
    let done = named.world.ledger.apply(&data.sign(&key(ALICE))).expect("equal references");
    assert_success(&done);
}

/// A transaction of 3600 references is too large; the last one that fits is
/// looked at like any other.
#[test]
fn size_of_a_transaction() {
    let mut named = Named::new();
    let objects = |count: u64| -> Vec<_> {
        (0..count)
            .map(|n| {
                let mut id = [0x77; 32];
                id[..8].copy_from_slice(&n.to_be_bytes());
                ObjectRef(ObjectId::new(id), 1, ObjectDigest::ZERO)
            })
            .collect()
    };
    let gas = [named.gas];
    let signed = |count| {
        let kind = transfer_objects(&objects(count));
        TransactionData::new(kind, address(ALICE), gas.to_vec()).sign(&key(ALICE))
    };
    let fitting = (3500..3600).rev().find(|count| signed(*count).to_bcs().len() <= MAX_BYTES);
    let fitting = fitting.expect("3500 references of 73 bytes fit");
    named.check(transfer_objects(&objects(3600)), &gas, "TooLarge");
    named.check(transfer_objects(&objects(fitting + 1)), &gas, "TooLarge");
    named.check(transfer_objects(&objects(fitting)), &gas, NOT_FOUND);

    let too_large = signed(3600);
    let error = named.world.ledger.apply(&too_large).expect_err("too large");
    assert_eq!(error, Rejection::TooLarge { found: too_large.to_bcs().len(), limit: MAX_BYTES });
    // Whoever did not sign it learns nothing about its contents.
    let mut unsigned = too_large;
    unsigned.signatures.clear();
    let error = named.world.ledger.apply(&unsigned).expect_err("not signed");
    assert_eq!(error.name(), "SignerSignatureNumberMismatch");
}
