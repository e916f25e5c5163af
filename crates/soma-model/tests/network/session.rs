//! Steps that are interrupted and taken up again, on a real network.
//!
//! An interruption is played by putting the state file back to what it was at
//! that point; the network keeps what had reached it.

use std::fs;

use soma_crypto::Options;
use soma_localnet::account_keys;
use soma_model::state::Sent;
use soma_model::{
    Check, CommitPlan, Error, Event, Gas, RevealOf, Stage, Standing, StateFile, close_update,
};
use soma_proto::system_state::ModelStatus;
use soma_proto::{KeyPair, TransactionData, TransactionKind};
use tokio::sync::Notify;

use crate::world::{STAKE, TERMS, TIMEOUT, World, forget_epoch, refusal, reopen, written};

/// What it costs to make a coin of 32,000 shannons for the reveals out of a large
/// one: the base fee, two objects, a thousandth.
const ASIDE: u64 = 1_000 + 2 * 300 + 32;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_registration_and_an_update() {
    let world = World::new().await;
    let session = world.session();
    let mut file = world.prepared("one.enc");
    let before = world.balance().await;

    let done = session.commit(&mut file, TERMS).await.unwrap();
    assert_eq!((done.epoch, done.window.unwrap().reveal_epoch), (0, 1));
    assert_eq!(file.state.registration.stage(), Stage::Committed);
    let paid = before - world.balance().await;
    assert_eq!(paid, STAKE + 1_000 + 3 * 300 + STAKE / 2_000 + ASIDE);

    // Again, and again after a crash before the answer: the same transaction.
    let digest = done.executed.as_ref().unwrap().digest;
    for lost in [false, true] {
        if lost {
            forget_epoch(&mut file, RevealOf::Registration);
        }
        file = reopen(file);
        let again = session.commit(&mut file, TERMS).await.unwrap();
        assert_eq!(again.executed.unwrap().digest, digest);
        assert_eq!(before - world.balance().await, paid, "the stake is paid once");
    }

    // Too early: nothing is sent, nothing is on file.
    let early = refusal(session.reveal(&mut file, RevealOf::Registration).await.unwrap_err());
    assert_eq!(early.failure(), Some("ModelRevealEpochMismatch"));
    assert!(file.state.registration.reveal.is_none());

    // The epoch ends when it is heard that somebody waits for that.
    let waits = Notify::new();
    let revealed = async {
        tokio::join!(
            session.reveal_when_open(&mut file, RevealOf::Registration, |event| {
                if matches!(event, Event::Waiting(_)) {
                    waits.notify_one();
                }
            }),
            async {
                waits.notified().await;
                world.next_epoch().await;
            }
        )
    };
    let (revealed, ()) = tokio::time::timeout(TIMEOUT, revealed).await.unwrap();
    let revealed = revealed.unwrap();
    assert_eq!(revealed.epoch, 1);
    assert_eq!(world.status(&file).await, ModelStatus::Active);
    let paid = before - world.balance().await;

    forget_epoch(&mut file, RevealOf::Registration);
    file = reopen(file);
    assert_eq!(file.state.registration.stage(), Stage::RevealSigned);
    let again = session.resume(&mut file, |_| {}).await.unwrap().unwrap();
    assert_eq!(again.executed.unwrap().digest, revealed.executed.unwrap().digest);
    assert_eq!(before - world.balance().await, paid);
    assert!(session.resume(&mut file, |_| {}).await.unwrap().is_none(), "nothing is left to do");

    // New weights under a new key.
    assert!(matches!(session.commit_update(&mut file).await, Err(Error::NoUpdate { .. })));
    world.preparation("two.enc").run_update(&mut file, &Options::new()).unwrap();
    let done = session.commit_update(&mut file).await.unwrap();
    assert_eq!(done.window.unwrap().reveal_epoch, 2);
    forget_epoch(&mut file, RevealOf::Update);
    world.next_epoch().await;
    session.resume(&mut file, |_| {}).await.unwrap().unwrap();
    let standing = Standing::ask(&world.client, &file.state.model_id).await.unwrap();
    let shown = standing.model.weights_manifest.unwrap();
    assert_eq!(shown.decryption_key, file.state.update.as_ref().unwrap().decryption_key);
    assert_eq!(file.state.update.as_ref().unwrap().stage(), Stage::Revealed);
    assert!(written(file.path()).contains("soma-model-state/1"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_committed_update_keeps_its_key_until_it_is_over() {
    let world = World::new().await;
    let session = world.session();
    let mut file = world.prepared("one.enc");
    session.commit(&mut file, TERMS).await.unwrap();
    world.next_epoch().await;
    session.reveal(&mut file, RevealOf::Registration).await.unwrap();
    world.preparation("two.enc").run_update(&mut file, &Options::new()).unwrap();
    session.commit_update(&mut file).await.unwrap();

    // Before its window and in it, the chain does not let it go.
    let before = written(file.path());
    for _ in 0..2 {
        close_update(&world.client, &mut file).await.unwrap();
        let refused = world.preparation("three.enc").run_update(&mut file, &Options::new());
        assert!(matches!(refused, Err(Error::Stage { stage: Stage::Committed, .. })));
        assert_eq!(written(file.path()), before);
        world.next_epoch().await;
    }
    // Afterwards it does, and the key is only remembered.
    let missed = file.state.update.as_ref().unwrap().spent();
    close_update(&world.client, &mut file).await.unwrap();
    world.preparation("three.enc").run_update(&mut file, &Options::new()).unwrap();
    assert_eq!(file.state.spent, [file.state.registration.spent(), missed]);

    // Revealed by other means than the state file: not given up.
    session.commit_update(&mut file).await.unwrap();
    world.next_epoch().await;
    let plan = file.state.reveal_plan(RevealOf::Update).unwrap();
    let sender = world.owner.address();
    let prepared =
        plan.prepare(&world.client, &session.host, sender, &Gas::Automatic).await.unwrap();
    prepared.send(&world.client, &world.owner, TIMEOUT).await.unwrap();
    close_update(&world.client, &mut file).await.unwrap();
    assert_eq!(file.state.update.as_ref().unwrap().stage(), Stage::Revealed);

    // The word of another chain is worth nothing.
    file.update(|state| {
        state.chain_id = Some(soma_proto::CheckpointDigest::new([7; 32]));
        state.update.as_mut().unwrap().reveal = None;
    })
    .unwrap();
    let report = refusal(close_update(&world.client, &mut file).await.unwrap_err());
    assert_eq!(report.errors().map(|finding| finding.check).collect::<Vec<_>>(), [Check::Chain]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_update_whose_commit_can_never_be_executed_makes_room() {
    let world = World::new().await;
    let session = world.session();
    let sender = world.owner.address();
    let mut file = world.prepared("one.enc");
    session.commit(&mut file, TERMS).await.unwrap();
    world.next_epoch().await;
    session.reveal(&mut file, RevealOf::Registration).await.unwrap();
    world.preparation("two.enc").run_update(&mut file, &Options::new()).unwrap();
    let sign = async |file: &mut StateFile| {
        let plan = file.state.update_plan().unwrap();
        let prepared = plan.prepare(&world.client, sender, &Gas::Automatic).await.unwrap();
        let signed = prepared.data.sign(&world.owner);
        file.update(|state| {
            state.update.as_mut().unwrap().commit = Some(Sent::unsent(&signed));
        })
        .unwrap();
        signed
    };

    // As long as somebody could still send it, it is not given up.
    let signed = sign(&mut file).await;
    let before = written(file.path());
    close_update(&world.client, &mut file).await.unwrap();
    let refused = world.preparation("three.enc").run_update(&mut file, &Options::new());
    assert!(
        matches!(&refused, Err(error @ Error::Stage { stage: Stage::CommitSigned, .. })
            if error.to_string().contains("may still be executed")),
        "{refused:?}"
    );
    assert_eq!(written(file.path()), before);

    // Its coin moves on: it is prepared again, under the same key.
    let coin = signed.data.gas_payment()[0];
    let kind = TransactionKind::TransferCoin { coin, amount: Some(1), recipient: sender };
    let spend = TransactionData::new(kind, sender, vec![coin]).sign(&world.owner);
    world.client.execute_and_wait(&spend, TIMEOUT).await.unwrap();
    let key = file.state.update.as_ref().unwrap().decryption_key.clone();
    close_update(&world.client, &mut file).await.unwrap();
    let update = file.state.update.as_ref().unwrap();
    assert_eq!((update.stage(), &update.decryption_key), (Stage::Prepared, &key));
    assert!(world.client.transaction(&signed.digest()).await.unwrap().is_none(), "not sent");

    // Executed, and only the answer was lost: that is a commit.
    let signed = sign(&mut file).await;
    world.client.execute_and_wait(&signed, TIMEOUT).await.unwrap();
    close_update(&world.client, &mut file).await.unwrap();
    assert_eq!(file.state.update.as_ref().unwrap().stage(), Stage::Committed);
    assert_eq!(file.state.update.as_ref().unwrap().commit.as_ref().unwrap().epoch, Some(1));

    // Executed and failed: the model was not active yet.
    let mut late = world.prepared("late.enc");
    session.commit(&mut late, TERMS).await.unwrap();
    let update = late.state.registration.clone();
    late.update(|state| {
        state.update = Some(soma_model::state::Round { commit: None, reveal: None, ..update });
    })
    .unwrap();
    let kind = late.state.update_plan().unwrap().kind();
    let coin = world.client.coins(&sender).await.unwrap()[0].reference;
    let signed = TransactionData::new(kind, sender, vec![coin]).sign(&world.owner);
    let failed = world.client.execute_and_wait(&signed, TIMEOUT).await.unwrap();
    assert!(!failed.effects.is_success());
    late.update(|state| state.update.as_mut().unwrap().commit = Some(Sent::unsent(&signed)))
        .unwrap();
    close_update(&world.client, &mut late).await.unwrap();
    assert_eq!(late.state.update.as_ref().unwrap().stage(), Stage::Prepared);
    world.preparation("four.enc").run_update(&mut late, &Options::new()).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_was_signed_and_not_sent() {
    let world = World::new().await;
    let session = world.session();
    let mut file = world.prepared("one.enc");
    let plan = file.state.commit_plan(TERMS).unwrap();
    let sender = world.owner.address();
    let prepared = plan.prepare(&world.client, sender, &Gas::Automatic).await.unwrap();
    let signed = prepared.data.sign(&world.owner);
    file.update(|state| {
        state.terms = Some(TERMS);
        state.registration.commit = Some(Sent::unsent(&signed));
    })
    .unwrap();
    let done = session.commit(&mut file, TERMS).await.unwrap();
    assert_eq!(done.executed.unwrap().digest, signed.digest());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_whose_coin_is_gone_is_signed_anew() {
    let world = World::new().await;
    let session = world.session();
    let mut file = world.prepared("one.enc");
    let plan = file.state.commit_plan(TERMS).unwrap();
    let sender = world.owner.address();
    let prepared = plan.prepare(&world.client, sender, &Gas::Automatic).await.unwrap();
    let signed = prepared.data.sign(&world.owner);
    file.update(|state| state.registration.commit = Some(Sent::unsent(&signed))).unwrap();

    // Another machine spends the coin meanwhile.
    let coin = signed.data.gas_payment()[0];
    let kind = TransactionKind::TransferCoin { coin, amount: Some(1), recipient: sender };
    let spend = TransactionData::new(kind, sender, vec![coin]).sign(&world.owner);
    world.client.execute_and_wait(&spend, TIMEOUT).await.unwrap();

    let before = world.balance().await;
    let done = session.commit(&mut file, TERMS).await.unwrap();
    assert_ne!(done.executed.unwrap().digest, signed.digest());
    assert_eq!(before - world.balance().await, STAKE + 1_900 + STAKE / 2_000 + ASIDE);
    assert!(world.client.transaction(&signed.digest()).await.unwrap().is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_chain_has_already_is_taken_over() {
    let world = World::new().await;
    let session = world.session();
    let mut file = world.prepared("one.enc");
    let sender = world.owner.address();
    // Committed and revealed by other means than the state file.
    let plan = file.state.commit_plan(TERMS).unwrap();
    let prepared = plan.prepare(&world.client, sender, &Gas::Automatic).await.unwrap();
    prepared.send(&world.client, &world.owner, TIMEOUT).await.unwrap();
    let before = world.balance().await;
    let done = session.commit(&mut file, TERMS).await.unwrap();
    assert!(done.executed.is_none() && done.epoch == 0);
    assert_eq!(world.balance().await, before, "nothing was sent");
    assert_eq!(file.state.registration.stage(), Stage::Committed);

    world.next_epoch().await;
    let plan = file.state.reveal_plan(RevealOf::Registration).unwrap();
    let prepared =
        plan.prepare(&world.client, &session.host, sender, &Gas::Automatic).await.unwrap();
    prepared.send(&world.client, &world.owner, TIMEOUT).await.unwrap();
    let before = world.balance().await;
    let done = session.reveal(&mut file, RevealOf::Registration).await.unwrap();
    assert!(done.executed.is_none());
    assert_eq!(world.balance().await, before);
    assert_eq!(reopen(file).state.registration.stage(), Stage::Revealed);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reveal_on_file_is_not_sent_outside_its_window() {
    let world = World::new().await;
    let session = world.session();
    let mut file = world.prepared("one.enc");
    session.commit(&mut file, TERMS).await.unwrap();
    let kind = file.state.reveal_plan(RevealOf::Registration).unwrap().kind();
    let coin = world.client.coins(&world.owner.address()).await.unwrap()[0].reference;
    let signed = TransactionData::new(kind, world.owner.address(), vec![coin]).sign(&world.owner);
    file.update(|state| state.registration.reveal = Some(Sent::unsent(&signed))).unwrap();

    let early = session.reveal(&mut file, RevealOf::Registration).await.unwrap_err();
    assert_eq!(refusal(early).failure(), Some("ModelRevealEpochMismatch"));
    assert!(world.client.transaction(&signed.digest()).await.unwrap().is_none());

    world.next_epoch().await;
    let done = session.reveal(&mut file, RevealOf::Registration).await.unwrap();
    assert_eq!(done.executed.unwrap().digest, signed.digest());

    // Missed: told so, with what it costs, and at once.
    let mut late = world.prepared("late.enc");
    session.commit(&mut late, TERMS).await.unwrap();
    world.next_epoch().await;
    world.next_epoch().await;
    let missed = session.reveal_when_open(&mut late, RevealOf::Registration, |_| {}).await;
    assert_eq!(refusal(missed.unwrap_err()).failure(), Some("ModelNotPending"));
    assert_eq!(world.status(&late).await, ModelStatus::Inactive);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn coins_that_are_missing_are_waited_for() {
    let world = World::new().await;
    let session = world.session();
    let mut file = world.prepared("one.enc");
    session.commit(&mut file, TERMS).await.unwrap();
    let (owner, [_, friend, ..]) = (&world.owner, account_keys());
    let give = async |from: &KeyPair, to: &KeyPair| {
        let coins = world.client.coins(&from.address()).await.unwrap();
        let coins: Vec<_> = coins.iter().map(|coin| coin.reference).collect();
        let kind =
            TransactionKind::TransferObjects { objects: coins.clone(), recipient: to.address() };
        let paid = TransactionData::new(kind, from.address(), coins[..1].to_vec()).sign(from);
        let paid = world.client.execute_and_wait(&paid, TIMEOUT).await.unwrap();
        assert!(paid.effects.is_success(), "{:?}", paid.effects);
    };
    give(owner, &friend).await;
    assert_eq!(world.balance().await, 0);
    world.next_epoch().await;
    let missing = tokio::sync::Notify::new();
    let (revealed, ()) = tokio::join!(
        session.reveal_when_open(&mut file, RevealOf::Registration, |event| {
            if let Event::Retrying { error, .. } = event {
                assert_eq!(error.failure(), Some("InsufficientGas"), "{error}");
                missing.notify_one();
            }
        }),
        async {
            missing.notified().await;
            give(&friend, owner).await;
        }
    );
    assert_eq!(revealed.unwrap().epoch, 1);
    assert_eq!(world.status(&file).await, ModelStatus::Active);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plan_waits_for_its_window_and_its_host() {
    let world = World::new().await;
    let session = world.session();
    let mut file = world.prepared("one.enc");
    session.commit(&mut file, TERMS).await.unwrap();
    world.next_epoch().await;
    let (served, hidden) = (world.served("one.enc"), world.folder.path().join("hidden"));
    fs::rename(&served, &hidden).unwrap();
    let mut plan = file.state.reveal_plan(RevealOf::Registration).unwrap();
    let (host, sender, gas) = (session.host, world.owner.address(), Gas::Automatic);
    let mut tries = 0;
    let mut back = |event: Event<'_>| {
        if let Event::Retrying { error, .. } = event {
            assert!(error.to_string().contains("404"), "{error}");
            tries += 1;
            fs::rename(&hidden, &served).unwrap();
        }
    };
    let prepared = plan.prepare_when_open(&world.client, &host, sender, &gas, &mut back).await;
    assert!(prepared.unwrap().report.is_ok());
    // What stays wrong is told at once.
    plan.key = soma_proto::DecryptionKey::new([0; 32]);
    let prepared = plan.prepare_when_open(&world.client, &host, sender, &gas, &mut back).await;
    let report = prepared.unwrap().report;
    assert_eq!(report.errors().map(|finding| finding.check).collect::<Vec<_>>(), [Check::Key]);
    assert_eq!(tries, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_stake_before_the_reveal_is_rehearsed() {
    let world = World::new().await;
    let session = world.session();
    let before = world.balance().await;

    let mut file = world.prepared("one.enc");
    fs::remove_file(world.served("one.enc")).unwrap();
    file.update(|state| state.registration.embedding = Some(vec![0.0])).unwrap();
    let report = refusal(session.commit(&mut file, TERMS).await.unwrap_err());
    let checks: Vec<_> = report.errors().map(|finding| finding.check).collect();
    assert_eq!(checks, [Check::Embedding, Check::Embedding, Check::Host]);

    // Another file under the same URL.
    let mut file = world.prepared("two.enc");
    let length = fs::metadata(world.served("two.enc")).unwrap().len() as usize;
    fs::write(world.served("two.enc"), vec![0; length]).unwrap();
    let report = refusal(session.commit(&mut file, TERMS).await.unwrap_err());
    let checks: Vec<_> = report.errors().map(|finding| finding.check).collect();
    assert_eq!(checks, [Check::Key, Check::Host]);

    // Another chain, another owner.
    let mut file = world.prepared("three.enc");
    let [_, other, ..] = account_keys();
    file.update(|state| {
        state.chain_id = Some(soma_proto::CheckpointDigest::new([7; 32]));
        state.owner = Some(other.address());
    })
    .unwrap();
    let report = refusal(session.commit(&mut file, TERMS).await.unwrap_err());
    let checks: Vec<_> = report.errors().map(|finding| finding.check).collect();
    assert_eq!(checks, [Check::Chain, Check::Owner]);

    assert_eq!(world.balance().await, before, "nothing was sent");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ids_in_use_and_empty_purses() {
    let world = World::new().await;
    let mut file = world.prepared("one.enc");
    world.session().commit(&mut file, TERMS).await.unwrap();
    let url = file.state.registration.weights_url.commitment();
    let weights = file.state.registration.sealed.unwrap().commitment;
    let poor = KeyPair::from_bytes([9; 32]);
    let plan = CommitPlan::new(url, weights, STAKE)
        .with_model_id(file.state.model_id)
        .with_staking_pool_id(file.state.staking_pool_id);
    let refused = plan.prepare(&world.client, poor.address(), &Gas::Automatic).await;
    let report = refusal(refused.unwrap_err());
    let checks: Vec<_> = report.errors().map(|finding| finding.check).collect();
    assert_eq!(checks, [Check::ModelId, Check::PoolId, Check::Coins]);
    assert!(report.to_string().contains("InsufficientCoinBalance"), "{report}");
}
