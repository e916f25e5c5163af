//! B: gas, and what is turned away.

use soma_ledger::{Category, SYSTEM_STATE_ID};
use soma_proto::effects::TransactionFee;
use soma_proto::transaction::ChangeEpoch;
use soma_proto::{ObjectDigest, ObjectId, ObjectRef, TransactionData, TransactionKind};

use crate::world::*;

fn transfer(coin: ObjectRef, amount: u64) -> TransactionKind {
    TransactionKind::TransferCoin { coin, amount: Some(amount), recipient: address(BOB) }
}

#[test]
fn b01_less_than_the_base_fee_changes_nothing() {
    let mut world = World::new();
    let coin = world.coin(ALICE, 500);
    let before = world.at(coin);
    let done = world.send(ALICE, transfer(before, 100), &[coin]);
    assert_eq!(outcome(&done), "InsufficientGas");
    assert_eq!(world.at(coin), before);
    assert!(done.effects.v1().changed_objects.is_empty());
    assert_eq!(done.effects.v1().gas_object_index, None);
    assert_eq!(done.effects.v1().version, 2);
    assert_eq!(done.effects.v1().transaction_fee, TransactionFee::default());
    assert_eq!(world.ledger.counters().epoch_fees, TransactionFee::default());

    let state = world.ledger.state_reference();
    let done = world.send(ALICE, commit(SOMA), &[coin]);
    assert_eq!(outcome(&done), "InsufficientGas");
    assert_eq!(done.effects.v1().unchanged_shared_objects[0].0, SYSTEM_STATE_ID);
    assert_eq!(world.ledger.state_reference(), state);
}

#[test]
fn b02_empty_coin() {
    let mut world = World::new();
    let coin = world.coin(ALICE, 0);
    let done = world.send(ALICE, transfer(world.at(coin), 0), &[coin]);
    assert_eq!(outcome(&done), "InsufficientGas");
    assert_eq!(fees(&done), (0, 0, 0));
}

#[test]
fn b03_one_above_the_base_fee() {
    let mut world = World::new();
    let coin = world.coin(ALICE, 1001);
    let done = world.send(ALICE, transfer(world.at(coin), 0), &[coin]);
    assert_failed(&done, "InsufficientCoinBalance");
    assert_eq!(world.balance(coin), Some(1));
}

#[test]
fn b04_second_deduction_undoes_the_kind() {
    let mut world = World::new();
    world.commit(SOMA);
    world.advance();
    let coin = world.coin(ALICE, 1500);
    let before = world.state().clone();
    let version = world.ledger.state_reference().version();
    let done = world.send(ALICE, reveal(URL), &[coin]);
    assert_failed(&done, "InsufficientGas");
    assert_eq!(world.balance(coin), Some(500));
    assert!(world.is_pending());
    assert_eq!(*world.state(), before);
    assert!(world.ledger.state_reference().version() > version);
    assert_eq!(world.ledger.state_object().digest(), world.ledger.state_reference().digest());
}

#[test]
fn b05_gas_coins_stay_merged_after_a_failure() {
    let mut world = World::new();
    let (a, b) = (world.coin(ALICE, 5_000_000), world.coin(ALICE, 3000));
    let done = world.send(ALICE, reveal(URL), &[a, b]);
    assert_failed(&done, "ModelNotPending");
    assert_eq!(world.balance(a), Some(5_002_000));
    assert_eq!(deleted(&done), [b]);
}

#[test]
fn b06_only_the_gas_list_is_merged() {
    let mut world = World::new();
    let (gas, other) = (world.coin(ALICE, 800), world.coin(ALICE, 700));
    let kind = TransactionKind::PayCoins {
        coins: vec![world.at(gas), world.at(other)],
        amounts: Some(vec![100, 100]),
        recipients: vec![address(BOB), address(CAROL)],
    };
    let done = world.send(ALICE, kind, &[gas]);
    assert_eq!(outcome(&done), "InsufficientGas");
    assert_eq!((world.balance(gas), world.balance(other)), (Some(800), Some(700)));
}

#[test]
fn b07_b08_one_coin_twice_in_the_gas_list() {
    let mut world = World::new();
    let (gas, other) = (world.coin(ALICE, SOMA), world.coin(ALICE, SOMA));
    for coin in [other, gas] {
        let kind = transfer(world.at(coin), 1);
        assert_eq!(rejection(world.try_send(ALICE, kind, &[gas, gas])), "DuplicateObjectRefInput");
        assert_eq!(world.balance(gas), Some(SOMA));
    }
}

#[test]
fn b09_no_gas() {
    let mut world = World::new();
    let coin = world.coin(ALICE, SOMA);
    assert_eq!(
        rejection(world.try_send(ALICE, transfer(world.at(coin), 1), &[])),
        "GasPaymentError"
    );
}

#[test]
fn b10_gas_that_does_not_exist() {
    let mut world = World::new();
    let coin = world.coin(ALICE, SOMA);
    let nothing = ObjectRef(ObjectId::new([0x77; 32]), 1, ObjectDigest::new([1; 32]));
    let data = TransactionData::new(transfer(world.at(coin), 1), address(ALICE), vec![nothing]);
    assert_eq!(rejection(world.ledger.apply(&data.sign(&key(ALICE)))), "ObjectNotFound");
}

#[test]
fn b11_old_version_stays_rejected() {
    let mut world = World::new();
    let coin = world.coin(ALICE, SOMA);
    let old = world.at(coin);
    assert_success(&world.send(ALICE, transfer(old, 1), &[coin]));
    for _ in 0..2 {
        let data = TransactionData::new(transfer(old, 2), address(ALICE), vec![old]);
        let error = world.ledger.apply(&data.sign(&key(ALICE))).expect_err("an old version");
        assert_eq!(error.name(), "ObjectVersionUnavailableForConsumption");
        assert_eq!(error.category(), Category::InvalidArgument);
        world.advance();
    }
}

/// The stored effects are the business of whoever stores them; the ledger only
/// promises not to move money twice.
#[test]
fn b12_same_transaction_again() {
    let mut world = World::new();
    let coin = world.coin(ALICE, SOMA);
    let transaction = world.sign(ALICE, transfer(world.at(coin), 1000), &[coin]);
    let first = world.ledger.apply(&transaction).expect("not rejected");
    assert_eq!(first.transaction.digest(), transaction.digest());
    let left = world.balance(coin);
    assert_eq!(
        rejection(world.ledger.apply(&transaction)),
        "ObjectVersionUnavailableForConsumption"
    );
    assert_eq!(world.balance(coin), left);
}

#[test]
fn b13_one_coin_two_transactions() {
    let mut world = World::new();
    let coin = world.coin(ALICE, SOMA);
    let gas = [world.coin(ALICE, SOMA), world.coin(ALICE, SOMA)];
    let [first, second] = gas.map(|gas| world.sign(ALICE, transfer(world.at(coin), 5), &[gas]));
    assert_success(&world.ledger.apply(&first).expect("not rejected"));
    assert_eq!(rejection(world.ledger.apply(&second)), "ObjectVersionUnavailableForConsumption");
    assert_eq!(world.balance(gas[1]), Some(SOMA));
}

#[test]
fn b14_somebody_elses_coin() {
    let mut world = World::new();
    let (coin, gas) = (world.coin(BOB, SOMA), world.coin(ALICE, SOMA));
    let kind = transfer(world.at(coin), 1);
    assert_eq!(rejection(world.try_send(ALICE, kind, &[gas])), "IncorrectUserSignature");
}

#[test]
fn b15_signatures() {
    let mut world = World::new();
    let coin = world.coin(ALICE, SOMA);
    let mut transaction = world.sign(ALICE, transfer(world.at(coin), 1), &[coin]);
    let good = transaction.signatures.clone();

    transaction.signatures = vec![key(BOB).sign_transaction(&transaction.data)];
    assert_eq!(rejection(world.ledger.apply(&transaction)), "SignerSignatureAbsent");
    transaction.signatures = Vec::new();
    assert_eq!(rejection(world.ledger.apply(&transaction)), "SignerSignatureNumberMismatch");
    transaction.signatures = vec![good[0].clone(), good[0].clone()];
    assert_eq!(rejection(world.ledger.apply(&transaction)), "SignerSignatureNumberMismatch");

    let other = world.sign(ALICE, transfer(world.at(coin), 2), &[coin]);
    transaction.signatures = other.signatures;
    assert_eq!(rejection(world.ledger.apply(&transaction)), "InvalidSignature");
    transaction.signatures = good;
    assert_success(&world.ledger.apply(&transaction).expect("not rejected"));
}

#[test]
fn b16_system_kinds() {
    let mut world = World::new();
    let coin = world.coin(ALICE, SOMA);
    let change = TransactionKind::ChangeEpoch(ChangeEpoch {
        epoch: 1,
        epoch_start_timestamp_ms: 1,
        protocol_version: 1,
        fees: 0,
        epoch_randomness: Vec::new(),
    });
    for kind in [change, TransactionKind::Genesis { objects: Vec::new() }] {
        let error = world.try_send(ALICE, kind, &[coin]).expect_err("a system kind");
        assert_eq!(error.name(), "SystemTransaction");
        assert_eq!(error.category(), Category::InvalidArgument);
    }
    assert_eq!(world.state().epoch, 0);
}

#[test]
fn b17_one_version_above_all_inputs() {
    let mut world = World::new();
    world.edit(|parts| parts.state_version = 40);
    let coin = world.coin_at(ALICE, 50_000_000, 3);
    let gas = world.coin_at(ALICE, 50_000_000, 7);
    let kind = TransactionKind::AddStake {
        address: address(VALIDATOR),
        coin_ref: world.at(coin),
        amount: Some(10_000_000),
    };
    let done = world.send(ALICE, kind, &[gas]);
    assert_success(&done);
    assert_eq!(done.effects.v1().version, 41);
    assert!(done.written.iter().all(|object| object.version() == 41));
    assert_eq!(world.ledger.state_reference().version(), 41);
}

#[test]
fn b18_exactly_the_base_fee() {
    let mut world = World::new();
    world.active_model(SOMA);
    let coin = world.coin(ALICE, 1000);
    let done = world.send(ALICE, TransactionKind::DeactivateModel { model_id: MODEL }, &[coin]);
    assert_failed(&done, "InsufficientGas");
    assert_eq!(deleted(&done), [coin]);
    assert!(world.is_active());
}

#[test]
fn merged_coin_is_gone_for_the_kind() {
    let mut world = World::new();
    let (a, b) = (world.coin(ALICE, SOMA), world.coin(ALICE, SOMA));
    let done = world.send(ALICE, transfer(world.at(b), 1), &[a, b]);
    assert_failed(&done, "ObjectNotFound");
    assert_eq!(world.balance(a), Some(2 * SOMA - 1000));
}

/// Gas is A and B, so B is merged into A before anything else (L-4).
#[test]
fn payments_skip_merged_coins() {
    struct Case {
        /// Indices into A, B and a third coin.
        coins: &'static [usize],
        amounts: Option<u64>,
        paid: u64,
        /// What A, B and the third coin hold afterwards.
        left: [Option<u64>; 3],
        fees: (u64, u64, u64),
    }
    let cases = [
        // A holds 5 003 000 after merging and 5 002 000 after the base fee.
        Case {
            coins: &[0, 1],
            amounts: Some(2_000_000),
            paid: 2_000_000,
            left: [Some(2_999_400), None, Some(10_000)],
            fees: (1000, 600, 2000),
        },
        // Of the merged sum, of which 3 000 are B's, 5 003 are the value fee.
        Case {
            coins: &[0, 1],
            amounts: None,
            paid: 4_996_397,
            left: [None, None, Some(10_000)],
            fees: (1000, 600, 5003),
        },
        Case {
            coins: &[1, 0, 2],
            amounts: Some(2_000_000),
            paid: 2_000_000,
            left: [Some(3_009_400), None, None],
            fees: (1000, 600, 2000),
        },
        Case {
            coins: &[1, 2, 0],
            amounts: None,
            paid: 5_006_387,
            left: [None, None, None],
            fees: (1000, 600, 5013),
        },
        // The third coin alone pays: of what B held nothing counts.
        Case {
            coins: &[1, 2],
            amounts: Some(9000),
            paid: 9000,
            left: [Some(5_001_091), None, Some(1000)],
            fees: (1000, 900, 9),
        },
        Case {
            coins: &[1, 2],
            amounts: None,
            paid: 10_000,
            left: [Some(5_001_390), None, Some(10_000)],
            fees: (1000, 600, 10),
        },
    ];
    for Case { coins, amounts, paid, left, fees: expected } in cases {
        let mut world = World::new();
        let all = [5_000_000, 3000, 10_000].map(|balance| world.coin(ALICE, balance));
        let kind = TransactionKind::PayCoins {
            coins: coins.iter().map(|index| world.at(all[*index])).collect(),
            amounts: amounts.map(|amount| vec![amount]),
            recipients: vec![address(BOB)],
        };
        let done = world.send(ALICE, kind, &all[..2]);
        assert_success(&done);
        assert_eq!(fees(&done), expected, "{coins:?} {amounts:?}");
        assert_eq!(all.map(|coin| world.balance(coin)), left, "{coins:?} {amounts:?}");
        let received: Vec<_> =
            world.ledger.coins_of(&address(BOB)).iter().map(|coin| coin.coin_balance()).collect();
        assert_eq!(received, [Some(paid)], "{coins:?} {amounts:?}");
    }
}

/// Nothing is left to pay with if all listed coins were merged.
#[test]
fn payments_from_merged_coins_alone_fail() {
    for amounts in [Some(vec![1]), None] {
        let mut world = World::new();
        let (a, b) = (world.coin(ALICE, SOMA), world.coin(ALICE, SOMA));
        let (coins, recipients) = (vec![world.at(b)], vec![address(BOB)]);
        let kind = TransactionKind::PayCoins { coins, amounts, recipients };
        let done = world.send(ALICE, kind, &[a, b]);
        assert_failed(&done, "InsufficientCoinBalance");
        assert_eq!(world.balance(a), Some(2 * SOMA - 1000));
    }
}

#[test]
fn sums_beyond_64_bits_are_refused() {
    let mut world = World::new();
    let coin = world.coin(ALICE, SOMA);
    let done = world.send(ALICE, transfer(world.at(coin), u64::MAX), &[coin]);
    assert_failed(&done, "InsufficientCoinBalance");
    let kind = TransactionKind::PayCoins {
        coins: vec![world.at(coin)],
        amounts: Some(vec![u64::MAX, u64::MAX]),
        recipients: vec![address(BOB); 2],
    };
    assert_failed(&world.send(ALICE, kind, &[coin]), "InsufficientCoinBalance");
    assert_failed(&world.send(ALICE, commit(u64::MAX), &[coin]), "InsufficientCoinBalance");
}

#[test]
fn kinds_of_others_are_not_executed() {
    let mut world = World::new();
    let coin = world.coin(ALICE, 10_000);
    let kind = TransactionKind::SetCommissionRate { new_rate: 1 };
    assert_failed(&world.send(ALICE, kind, &[coin]), "InvalidTransactionType");
    assert_eq!(world.balance(coin), Some(9000));
}
