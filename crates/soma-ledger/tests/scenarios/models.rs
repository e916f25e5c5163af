//! D: models.

use soma_ledger::Execution;
use soma_proto::{Checksum, Commitment, Manifest, ObjectId, Tensor, TransactionKind};

use crate::world::*;

const DEACTIVATE: TransactionKind = TransactionKind::DeactivateModel { model_id: MODEL };
const REPORT: TransactionKind = TransactionKind::ReportModel { model_id: MODEL };
const UNDO_REPORT: TransactionKind = TransactionKind::UndoReportModel { model_id: MODEL };

fn set_commission(new_rate: u64) -> TransactionKind {
    TransactionKind::SetModelCommissionRate { model_id: MODEL, new_rate }
}

/// Commits one SOMA from coins of these balances.
fn committed(balances: &[u64]) -> (World, Vec<ObjectId>, Execution) {
    let mut world = World::new();
    let coins: Vec<_> = balances.iter().map(|balance| world.coin(ALICE, *balance)).collect();
    let done = world.send(ALICE, commit(SOMA), &coins);
    (world, coins, done)
}

/// Stakes on the model from a coin that also pays.
fn stake_from_gas(world: &mut World, balance: u64, amount: Option<u64>) -> (ObjectId, Execution) {
    let coin = world.coin(BOB, balance);
    let coin_ref = world.at(coin);
    let kind = TransactionKind::AddStakeToModel { model_id: MODEL, coin_ref, amount };
    (coin, world.send(BOB, kind, &[coin]))
}

#[test]
fn d01_commit() {
    let (world, coins, done) = committed(&[2_000_000_000]);
    assert!(world.is_pending());
    let receipt = receipt(&done);
    assert_eq!((receipt.pool_id, receipt.stake_activation_epoch), (POOL, 1));
    assert_eq!(receipt.principal, SOMA);
    assert_eq!(world.balance(coins[0]), Some(999_498_100));
    assert_eq!(fees(&done), (1000, 900, 500_000));
    assert_eq!(done.touched_models, [MODEL]);
}

#[test]
fn d02_coin_too_small() {
    let (world, coins, done) = committed(&[1_000_010_000]);
    assert_failed(&done, "InsufficientCoinBalance");
    assert_eq!(world.balance(coins[0]), Some(1_000_009_000));
    assert!(!world.is_pending());
}

#[test]
fn d03_smallest_coin_that_works() {
    let (world, coins, done) = committed(&[1_000_501_900]);
    assert_success(&done);
    assert_eq!(world.balance(coins[0]), None);
    let (_, _, done) = committed(&[1_000_501_899]);
    assert_failed(&done, "InsufficientCoinBalance");
}

#[test]
fn d04_two_coins() {
    let (world, coins, done) = committed(&[600_000_000, 600_000_000]);
    assert_success(&done);
    assert_eq!(world.balance(coins[0]), Some(199_498_100));
    assert_eq!(deleted(&done), coins[1..]);
}

#[test]
fn d05_wrong_values() {
    let good = commit_fields(SOMA);
    let mut architecture = good.clone();
    architecture.architecture_version = 999;
    let mut stake = good.clone();
    stake.stake_amount = 100;
    let mut commission = good.clone();
    commission.commission_rate = 10_001;
    let mut all = architecture.clone();
    (all.stake_amount, all.commission_rate) = (100, 10_001);
    let cases = [
        (architecture, "ModelArchitectureVersionMismatch"),
        (stake, "ModelMinStakeNotMet"),
        (commission, "ModelCommissionRateTooHigh"),
        (all, "ModelArchitectureVersionMismatch"),
    ];
    for (commit, name) in cases {
        let mut world = World::new();
        let coin = world.coin(ALICE, 2 * SOMA);
        let done = world.send(ALICE, TransactionKind::CommitModel(commit), &[coin]);
        assert_failed(&done, name);
    }
}

#[test]
fn d06_d07_commit_and_reveal() {
    let mut world = World::new();
    world.commit(5 * SOMA);
    world.advance();
    assert!(world.is_pending());
    assert_eq!(world.model_stake(), 0);

    let done = world.on_model(ALICE, reveal(URL));
    assert_success(&done);
    assert!(world.is_active());
    assert_eq!(world.model_pool().soma_balance, 5 * SOMA);
    assert_eq!(world.model_stake(), 5 * SOMA);
    assert_eq!(fees(&done), (1000, 600, 0));
}

#[test]
fn d07_embedding_of_another_length() {
    let mut world = World::new();
    world.commit(5 * SOMA);
    world.advance();
    let mut fields = reveal_fields(URL);
    fields.embedding = Tensor::vector(&[0.5; 10]);
    let done = world.on_model(ALICE, TransactionKind::RevealModel(fields.clone()));
    assert_failed(&done, "EmbeddingDimensionMismatch");
    world.edit(|parts| parts.skeleton.parameters.target_embedding_dim = 10);
    assert_success(&world.on_model(ALICE, TransactionKind::RevealModel(fields)));
}

#[test]
fn d08_reveal_too_early() {
    let mut world = World::new();
    world.commit(SOMA);
    assert_failed(&world.on_model(ALICE, reveal(URL)), "ModelRevealEpochMismatch");
}

#[test]
fn d09_reveal_too_late() {
    let mut world = World::new();
    world.commit(SOMA);
    world.advance();
    world.advance();
    assert_failed(&world.on_model(ALICE, reveal(URL)), "ModelNotPending");
}

#[test]
fn d10_reveal_by_somebody_else() {
    let mut world = World::new();
    world.commit(SOMA);
    assert_failed(&world.on_model(BOB, reveal(URL)), "NotModelOwner");
    world.advance();
    assert_failed(&world.on_model(BOB, reveal(URL)), "NotModelOwner");
}

#[test]
fn d11_wrong_url_then_right() {
    let mut world = World::new();
    world.commit(SOMA);
    world.advance();
    let done = world.on_model(ALICE, reveal("https://example.com/other.bin"));
    assert_failed(&done, "ModelWeightsUrlMismatch");
    assert_success(&world.on_model(ALICE, reveal(URL)));
}

/// Commits to the hash of a URL as typed, and reveals that URL.
fn reveal_as_typed(url: &str) -> Execution {
    let mut world = World::new();
    let mut fields = commit_fields(SOMA);
    fields.weights_url_commitment = Commitment::of(url);
    assert_success(&world.on_model(ALICE, TransactionKind::CommitModel(fields)));
    world.advance();
    world.on_model(ALICE, reveal(url))
}

#[test]
fn d12_d13_hash_of_the_url_as_typed() {
    let done = reveal_as_typed("https://Example.com:443/a/../w.bin");
    assert_failed(&done, "ModelWeightsUrlMismatch");
    assert_failed(&reveal_as_typed("https://example.com"), "ModelWeightsUrlMismatch");
    assert_success(&reveal_as_typed("https://example.com/w.bin"));
    assert_success(&reveal_as_typed("https://example.com/"));
}

#[test]
fn d14_checksum_must_be_the_commitment() {
    let mut world = World::new();
    world.commit(SOMA);
    world.advance();
    let mut fields = reveal_fields(URL);
    let manifest = |checksum| Manifest::new(URL.parse().expect("a URL"), checksum, 0);
    fields.weights_manifest.manifest = manifest(Checksum::new([8; 32]));
    let done = world.on_model(ALICE, TransactionKind::RevealModel(fields.clone()));
    assert_failed(&done, "InvalidArguments");
    assert!(world.is_pending());
    fields.weights_manifest.manifest = manifest(Checksum::new(WEIGHTS));
    assert_success(&world.on_model(ALICE, TransactionKind::RevealModel(fields)));
}

#[test]
fn d14_embeddings_that_mean_nothing() {
    let mut world = World::new();
    world.commit(SOMA);
    world.advance();
    for value in [0.0, -0.0, f32::NAN, f32::INFINITY] {
        let mut fields = reveal_fields(URL);
        fields.embedding = Tensor::vector(&[value; DIM]);
        let done = world.on_model(ALICE, TransactionKind::RevealModel(fields));
        assert_failed(&done, "InvalidArguments");
    }
}

/// Ten SOMA committed in epoch 0 and not revealed: now epoch 2.
fn slashed() -> (World, ObjectId) {
    let mut world = World::new();
    let receipt = world.commit(10 * SOMA);
    world.advance();
    assert!(world.is_pending());
    let emission = world.state().emission_pool.balance;
    world.advance_with_fees(0);
    assert_eq!(world.state().emission_pool.balance, emission);
    (world, receipt)
}

#[test]
fn d15_unrevealed() {
    let (world, _) = slashed();
    assert!(world.is_inactive());
    assert_eq!(world.model_pool().soma_balance, 5 * SOMA);
    assert_eq!(world.model_pool().deactivation_epoch, Some(2));
    assert_eq!(world.model_stake(), 0);
    assert_eq!(world.ledger.counters().slashed, 5 * SOMA);
}

#[test]
fn d16_withdraw_after_the_slash() {
    let (mut world, receipt) = slashed();
    assert_eq!(world.withdraw(ALICE, receipt), 5 * SOMA);
    assert_eq!(world.model_pool().soma_balance, 0);
}

#[test]
fn d17_d18_delegated_stake() {
    let mut world = World::new();
    world.active_model(10 * SOMA);
    let receipt = world.stake_on_model(BOB, 20 * SOMA);
    assert_eq!(world.model_stake(), 30 * SOMA);
    assert_eq!(world.model_pool().soma_balance, 10 * SOMA);
    assert_eq!(world.model_pool().pending_stake, 20 * SOMA);
    world.advance();
    assert_eq!(world.model_pool().soma_balance, 30 * SOMA);
    assert_eq!(world.model_pool().pending_stake, 0);

    assert_eq!(world.withdraw(BOB, receipt), 20 * SOMA);
    assert_eq!(world.model_pool().soma_balance, 30 * SOMA);
    assert_eq!(world.model_stake(), 10 * SOMA);
    world.advance();
    assert_eq!(world.model_pool().soma_balance, 10 * SOMA);
    assert_eq!(world.model_stake(), 10 * SOMA);
}

#[test]
fn d19_stake_from_another_coin_on_a_pending_model() {
    let mut world = World::new();
    world.commit(SOMA);
    let (coin, gas) = (world.coin(BOB, 20 * SOMA), world.coin(BOB, SOMA));
    let coin_ref = world.at(coin);
    let amount = Some(5 * SOMA);
    let kind = TransactionKind::AddStakeToModel { model_id: MODEL, coin_ref, amount };
    let done = world.send(BOB, kind, &[gas]);
    assert_success(&done);
    assert_eq!(world.balance(coin), Some(15 * SOMA));
    assert_eq!(world.balance(gas), Some(997_497_800));
    assert_eq!(fees(&done), (1000, 1200, 2_500_000));
    assert_eq!(world.model_pool().soma_balance, 6 * SOMA);
    assert_eq!(world.model_pool().pending_stake, 0);
    assert_eq!(world.model_stake(), 0);
}

#[test]
fn d20_d21_reserve_of_one_write_less() {
    let mut world = World::new();
    world.commit(SOMA);
    let before = world.state().clone();
    let (coin, done) = stake_from_gas(&mut world, 10_006_700, Some(10_000_000));
    assert_failed(&done, "InsufficientGas");
    assert_eq!(world.balance(coin), Some(10_005_700));
    assert_eq!(*world.state(), before);

    let (_, done) = stake_from_gas(&mut world, 10_006_899, Some(10_000_000));
    assert_failed(&done, "InsufficientGas");
    let (coin, done) = stake_from_gas(&mut world, 10_006_900, Some(10_000_000));
    assert_success(&done);
    assert_eq!(world.balance(coin), None);
}

#[test]
fn d22_whole_gas_coin() {
    let mut world = World::new();
    world.commit(SOMA);
    let (coin, done) = stake_from_gas(&mut world, 50_000_000, None);
    assert_eq!(receipt(&done).principal, 49_973_100);
    assert_eq!(world.balance(coin), None);
}

#[test]
fn d23_models_that_take_no_stake() {
    let mut world = World::new();
    let (_, done) = stake_from_gas(&mut world, SOMA, Some(1000));
    assert_failed(&done, "ModelNotFound");
    let (mut world, _) = slashed();
    let (_, done) = stake_from_gas(&mut world, SOMA, Some(1000));
    assert_failed(&done, "ModelNotFound");
    let (_, done) = stake_from_gas(&mut world, SOMA, Some(0));
    assert_failed(&done, "InvalidArguments");
}

#[test]
fn d24_deactivate() {
    let mut world = World::new();
    world.active_model(10 * SOMA);
    let receipt = world.stake_on_model(BOB, 5 * SOMA);
    world.advance();
    assert_success(&world.on_model(ALICE, DEACTIVATE));
    assert!(world.is_inactive());
    assert_eq!(world.model_pool().soma_balance, 15 * SOMA);
    assert_eq!(world.model_pool().deactivation_epoch, Some(2));
    assert_eq!(world.model_stake(), 0);
    assert_eq!(world.withdraw(BOB, receipt), 5 * SOMA);
    assert_eq!(world.model_pool().soma_balance, 10 * SOMA);
}

#[test]
fn d25_only_the_owner() {
    let mut world = World::new();
    world.active_model(SOMA);
    for kind in [set_commission(1), DEACTIVATE, commit_update(URL, WEIGHTS)] {
        assert_failed(&world.on_model(BOB, kind), "NotModelOwner");
    }
}

#[test]
fn d26_commission() {
    let mut world = World::new();
    let done = world.on_model(ALICE, set_commission(10_001));
    assert_failed(&done, "ModelCommissionRateTooHigh");
    world.active_model(SOMA);
    assert_success(&world.on_model(ALICE, set_commission(1000)));
    let rates = |world: &World| {
        let model = world.model();
        (model.commission_rate, model.next_epoch_commission_rate)
    };
    assert_eq!(rates(&world), (0, 1000));
    world.advance();
    assert_eq!(rates(&world), (1000, 1000));
    let done = world.on_model(ALICE, set_commission(10_001));
    assert_failed(&done, "ModelCommissionRateTooHigh");
}

#[test]
fn d27_pending_is_not_active() {
    let mut world = World::new();
    world.commit(SOMA);
    for (sender, kind) in [(ALICE, set_commission(1)), (ALICE, DEACTIVATE), (VALIDATOR, REPORT)] {
        assert_failed(&world.on_model(sender, kind), "ModelNotActive");
    }
}

const NEW_URL: &str = "https://example.com/w2.bin";
const NEW_WEIGHTS: [u8; 32] = [8; 32];

#[test]
fn d28_update() {
    let mut world = World::new();
    world.active_model(SOMA);
    let before = world.model().clone();
    assert_success(&world.on_model(ALICE, commit_update(NEW_URL, NEW_WEIGHTS)));
    assert_eq!(world.model().weights_commitment, before.weights_commitment);
    world.advance();
    assert_success(&world.on_model(ALICE, reveal_update(NEW_URL, NEW_WEIGHTS)));

    let model = world.model();
    assert_eq!(model.weights_url_commitment, Commitment::of(NEW_URL));
    assert_eq!(model.weights_commitment, Commitment::new(NEW_WEIGHTS));
    let manifest = model.weights_manifest.as_ref().map(|m| m.manifest.url().as_str());
    assert_eq!(manifest, Some(NEW_URL));
    assert_ne!(model.embedding, before.embedding);
    assert_eq!(model.pending_update, None);
    assert_eq!(model.commit_epoch, 0);
    assert_eq!(model.owner, before.owner);
    assert_eq!(model.commission_rate, before.commission_rate);
}

#[test]
fn d29_update_too_early_or_never_committed() {
    let mut world = World::new();
    world.active_model(SOMA);
    let reveal = reveal_update(NEW_URL, NEW_WEIGHTS);
    assert_failed(&world.on_model(ALICE, reveal.clone()), "ModelNoPendingUpdate");
    assert_success(&world.on_model(ALICE, commit_update(NEW_URL, NEW_WEIGHTS)));
    assert_failed(&world.on_model(ALICE, reveal), "ModelRevealEpochMismatch");
}

/// L-14 holds for updates too, against what the update committed to.
#[test]
fn update_that_does_not_match_can_be_tried_again() {
    let mut world = World::new();
    world.active_model(SOMA);
    assert_success(&world.on_model(ALICE, commit_update(NEW_URL, NEW_WEIGHTS)));
    world.advance();
    let before = world.model().clone();
    let vector = |length, value| Tensor::vector(&vec![value; length]);
    let good = (NEW_WEIGHTS, vector(DIM, -0.25));
    let cases = [
        ((WEIGHTS, vector(DIM, -0.25)), "InvalidArguments"),
        ((NEW_WEIGHTS, vector(DIM - 1, -0.25)), "EmbeddingDimensionMismatch"),
        ((NEW_WEIGHTS, vector(DIM + 1, -0.25)), "EmbeddingDimensionMismatch"),
        ((NEW_WEIGHTS, vector(DIM, 0.0)), "InvalidArguments"),
        ((NEW_WEIGHTS, vector(DIM, f32::NAN)), "InvalidArguments"),
        ((NEW_WEIGHTS, vector(DIM, f32::NEG_INFINITY)), "InvalidArguments"),
        // The checksum is looked at first, then the length.
        ((WEIGHTS, vector(0, 0.0)), "InvalidArguments"),
        ((NEW_WEIGHTS, vector(DIM - 1, f32::NAN)), "EmbeddingDimensionMismatch"),
    ];
    let reveal = |(weights, embedding): (_, Tensor)| {
        let TransactionKind::RevealModelUpdate(mut fields) = reveal_update(NEW_URL, weights) else {
            unreachable!("the kind that was asked for")
        };
        fields.embedding = embedding;
        TransactionKind::RevealModelUpdate(fields)
    };
    for (values, name) in cases {
        let done = world.on_model(ALICE, reveal(values.clone()));
        assert_failed(&done, name);
        assert!(world.model().pending_update.is_some(), "{values:?}");
        assert_eq!(*world.model(), before, "{values:?}");
    }
    assert_success(&world.on_model(ALICE, reveal(good)));
    assert_eq!(world.model().pending_update, None);
    assert_eq!(world.model().weights_commitment, Commitment::new(NEW_WEIGHTS));
}

#[test]
fn d30_update_expires() {
    let mut world = World::new();
    world.active_model(SOMA);
    let weights = world.model().weights_commitment;
    assert_success(&world.on_model(ALICE, commit_update(NEW_URL, NEW_WEIGHTS)));
    world.advance();
    assert!(world.model().pending_update.is_some());
    world.advance();
    assert_eq!(world.model().pending_update, None);
    assert!(world.is_active());
    assert_eq!(world.model().weights_commitment, weights);
    assert_eq!(world.model_pool().soma_balance, SOMA);
}

#[test]
fn d31_second_update_counts() {
    let mut world = World::new();
    world.active_model(SOMA);
    assert_success(&world.on_model(ALICE, commit_update(URL, WEIGHTS)));
    assert_success(&world.on_model(ALICE, commit_update(NEW_URL, NEW_WEIGHTS)));
    world.advance();
    let done = world.on_model(ALICE, reveal_update(URL, WEIGHTS));
    assert_failed(&done, "ModelWeightsUrlMismatch");
    assert_success(&world.on_model(ALICE, reveal_update(NEW_URL, NEW_WEIGHTS)));
}

#[test]
fn d32_committing_again_moves_the_window() {
    let mut world = World::new();
    world.active_model(SOMA);
    assert_success(&world.on_model(ALICE, commit_update(URL, WEIGHTS)));
    world.advance();
    assert_success(&world.on_model(ALICE, commit_update(NEW_URL, NEW_WEIGHTS)));
    let reveal = reveal_update(NEW_URL, NEW_WEIGHTS);
    assert_failed(&world.on_model(ALICE, reveal.clone()), "ModelRevealEpochMismatch");
    world.advance();
    assert_success(&world.on_model(ALICE, reveal));
}

/// An active model of ten SOMA, with receipts that are worth something.
struct Reported {
    world: World,
    /// The owner's.
    own: ObjectId,
    /// Bob's, for four SOMA that did not count yet when the epoch ended.
    pending: ObjectId,
}

/// Some validators report a model, and the epoch ends.
fn reported(mut world: World, by: &[u8]) -> Reported {
    let own = world.active_model(10 * SOMA);
    let pending = world.stake_on_model(BOB, 4 * SOMA);
    for reporter in by {
        assert_success(&world.on_model(*reporter, REPORT));
    }
    assert!(world.is_active());
    let supply = world.supply();
    world.advance();
    assert_eq!(world.supply(), supply);
    assert!(world.state().model_registry.model_report_records.is_empty());
    Reported { world, own, pending }
}

/// The model of ten SOMA has lost all but half a SOMA; stake that did not
/// count yet has lost nothing.
fn check_tally_slash(reported: impl Fn() -> Reported) {
    for owner_first in [true, false] {
        let Reported { mut world, own, pending } = reported();
        assert!(world.is_inactive());
        assert_eq!(world.model_stake(), 0);
        let pool = world.model_pool();
        assert_eq!((pool.soma_balance, pool.pending_stake), (SOMA / 2, 4 * SOMA));
        assert_eq!(pool.deactivation_epoch, Some(2));
        assert_eq!(world.ledger.counters().slashed, 9 * SOMA + SOMA / 2);

        let supply = world.supply();
        let mut withdrawals = [(ALICE, own, SOMA / 2), (BOB, pending, 4 * SOMA)];
        if !owner_first {
            withdrawals.reverse();
        }
        for (owner, receipt, paid) in withdrawals {
            assert_eq!(world.withdraw(owner, receipt), paid);
        }
        let pool = world.model_pool();
        assert_eq!((pool.soma_balance, pool.pending_stake), (0, 0));
        assert_eq!(world.supply(), supply);
    }
}

#[test]
fn d33_quorum_of_reports() {
    check_tally_slash(|| {
        reported(World::with_stakes(&[100, 100, 50]), &[VALIDATOR, VALIDATOR + 1])
    });
}

#[test]
fn d34_too_few_reports() {
    let Reported { world, .. } = reported(World::with_stakes(&[100, 100, 50]), &[VALIDATOR + 2]);
    assert!(world.is_active());
    assert_eq!(world.model_pool().soma_balance, 14 * SOMA);
    assert_eq!(world.ledger.counters().slashed, 0);
}

#[test]
fn d35_the_only_validator_is_a_quorum() {
    check_tally_slash(|| reported(World::new(), &[VALIDATOR]));
}

/// Stake from before the reveal and stake from after it, given in one epoch,
/// have receipts that do not differ. L-12 pays both like stake that was still
/// pending: after a slash at the next boundary whoever comes first gets all
/// that was pending, and the other what is left of the total. Ten SOMA
/// committed, ten given before, ten after; by who withdraws in which order.
#[test]
fn stake_around_a_reveal_is_paid_in_turn() {
    const OWNER: usize = 0;
    const EARLY: usize = 1;
    const LATE: usize = 2;
    let orders = [
        ([OWNER, EARLY, LATE], [SOMA / 2, 10 * SOMA, SOMA / 2]),
        ([OWNER, LATE, EARLY], [SOMA / 2, 10 * SOMA, SOMA / 2]),
        ([EARLY, OWNER, LATE], [10 * SOMA, SOMA / 2, SOMA / 2]),
        ([LATE, OWNER, EARLY], [10 * SOMA, SOMA / 2, SOMA / 2]),
        ([EARLY, LATE, OWNER], [10 * SOMA, SOMA, 0]),
        ([LATE, EARLY, OWNER], [10 * SOMA, SOMA, 0]),
    ];
    for (order, paid) in orders {
        let mut world = World::new();
        let own = world.commit(10 * SOMA);
        world.advance();
        let early = world.stake_on_model(BOB, 10 * SOMA);
        world.reveal();
        let late = world.stake_on_model(CAROL, 10 * SOMA);
        let fields = |receipt| world.ledger.object(&receipt).and_then(|o| o.as_staked_soma());
        assert_eq!(fields(early), fields(late));
        assert_success(&world.on_model(VALIDATOR, REPORT));
        let supply = world.supply();
        world.advance();
        let pool = world.model_pool();
        assert_eq!((pool.soma_balance, pool.pending_stake), (SOMA, 10 * SOMA));

        let receipts = [(ALICE, own), (BOB, early), (CAROL, late)];
        let found = order.map(|who| world.withdraw(receipts[who].0, receipts[who].1));
        assert_eq!(found, paid, "{order:?}");
        let pool = world.model_pool();
        assert_eq!((pool.soma_balance, pool.pending_stake), (0, 0));
        assert_eq!(world.supply(), supply);
    }
}

#[test]
fn d36_only_validators_report() {
    let mut world = World::new();
    world.active_model(SOMA);
    assert_failed(&world.on_model(BOB, REPORT), "NotAValidator");
    assert_failed(&world.on_model(BOB, UNDO_REPORT), "NotAValidator");
}

#[test]
fn d37_undo() {
    let mut world = World::new();
    world.active_model(SOMA);
    assert_success(&world.on_model(VALIDATOR, REPORT));
    assert_success(&world.on_model(VALIDATOR, REPORT));
    assert_success(&world.on_model(VALIDATOR, UNDO_REPORT));
    assert!(world.state().model_registry.model_report_records.is_empty());
    assert_failed(&world.on_model(VALIDATOR, UNDO_REPORT), "ReportRecordNotFound");
}

#[test]
fn d38_undone_report_does_nothing() {
    let mut world = World::new();
    world.active_model(SOMA);
    assert_success(&world.on_model(VALIDATOR, REPORT));
    assert_success(&world.on_model(VALIDATOR, UNDO_REPORT));
    world.advance();
    assert!(world.is_active());
    assert_eq!(world.model_pool().soma_balance, SOMA);
}

#[test]
fn d39_ids_in_use() {
    let mut world = World::new();
    world.commit(SOMA);
    let mut same_model = commit_fields(SOMA);
    same_model.staking_pool_id = ObjectId::new([1; 32]);
    let mut same_pool = commit_fields(SOMA);
    same_pool.model_id = ObjectId::new([1; 32]);
    let mut validator_pool = same_pool.clone();
    validator_pool.staking_pool_id = world.pool(VALIDATOR).id;
    let kinds = [same_model, same_pool, validator_pool].map(TransactionKind::CommitModel);
    for kind in &kinds {
        assert_failed(&world.on_model(BOB, kind.clone()), "InvalidArguments");
    }
    world.advance();
    world.advance();
    assert!(world.is_inactive());
    for kind in kinds {
        assert_failed(&world.on_model(BOB, kind), "InvalidArguments");
    }
}

#[test]
fn d40_withdraw_in_the_epoch_of_the_commit() {
    let mut world = World::new();
    let receipt = world.commit(SOMA);
    assert_eq!(world.withdraw(ALICE, receipt), SOMA);
    assert_eq!(world.model_pool().soma_balance, 0);
    assert_eq!(world.model_pool().pool_token_balance, 0);
    world.advance();
    world.reveal();
    assert!(world.is_active());
    assert_eq!(world.model_stake(), 0);
    // Targets can be drawn although no model has stake.
    world.advance();
    assert_eq!(world.state().target_state.targets_generated_this_epoch, 20);
}

/// Ten SOMA committed and ten delegated in epoch 0.
fn delegated_while_pending() -> (World, ObjectId, ObjectId) {
    let mut world = World::new();
    let own = world.commit(10 * SOMA);
    let delegated = world.stake_on_model(BOB, 10 * SOMA);
    world.advance();
    (world, own, delegated)
}

#[test]
fn d41_slash_is_shared() {
    let (mut world, own, delegated) = delegated_while_pending();
    world.advance();
    assert_eq!(world.model_pool().soma_balance, 10 * SOMA);
    assert_eq!(world.withdraw(ALICE, own), 5 * SOMA);
    assert_eq!(world.withdraw(BOB, delegated), 5 * SOMA);
    assert_eq!(world.model_pool().soma_balance, 0);
}

#[test]
fn d42_slash_can_be_dodged() {
    let (mut world, own, delegated) = delegated_while_pending();
    assert_eq!(world.withdraw(ALICE, own), 10 * SOMA);
    world.advance();
    assert_eq!(world.model_pool().soma_balance, 5 * SOMA);
    assert_eq!(world.model_pool().pending_total_soma_withdraw, 0);
    assert_eq!(world.withdraw(BOB, delegated), 5 * SOMA);
    assert_eq!(world.model_pool().soma_balance, 0);
}

#[test]
fn d43_stake_that_was_pending_at_the_deactivation() {
    for withdraw_later in [false, true] {
        let mut world = World::new();
        let own = world.active_model(10 * SOMA);
        world.advance();
        let receipt = world.stake_on_model(BOB, 5 * SOMA);
        assert_success(&world.on_model(ALICE, DEACTIVATE));
        if withdraw_later {
            world.advance();
        }
        assert_eq!(world.withdraw(BOB, receipt), 5 * SOMA);
        assert_eq!(world.withdraw(ALICE, own), 10 * SOMA);
        let pool = world.model_pool();
        assert_eq!((pool.soma_balance, pool.pending_stake), (0, 0));
    }
}

#[test]
fn d44_reveal_after_withdrawing() {
    let mut world = World::new();
    let receipt = world.commit(10 * SOMA);
    world.advance();
    assert_eq!(world.withdraw(ALICE, receipt), 10 * SOMA);
    world.reveal();
    assert_eq!(world.model_stake(), 10 * SOMA);
    world.advance();
    assert_eq!(world.model_stake(), 0);
}
