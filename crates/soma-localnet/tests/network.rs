//! Starting, stopping, keeping; transactions, repeats, subscriptions, epochs.

mod common;

use std::time::Duration;

use common::{Clients, alice, config, fresh, payment};
use soma_localnet::{Error, LocalNet, account_addresses, account_keys};
use soma_proto::grpc::bcs::{
    AdvanceEpochRequest, GasRequest, HealthRequest, admin_client, faucet_client, scoring_client,
};
use soma_proto::grpc::mask::field_mask;
use soma_proto::grpc::pb;
use soma_proto::{ObjectId, TransactionData, TransactionKind};
use tonic::Code;

const SOMA: u64 = 1_000_000_000;

#[tokio::test]
async fn a_fresh_network_has_the_published_accounts() {
    let network = LocalNet::start(config()).await.unwrap();
    let clients = Clients::of(&network).await;
    for account in account_addresses() {
        assert_eq!(clients.balance(account).await, 5 * 300_000 * SOMA);
        let coins = clients.coins(account).await;
        let balances: Vec<_> = coins.iter().filter_map(|coin| coin.coin_balance()).collect();
        assert_eq!(balances, [300_000 * SOMA; 5]);
    }
    let info = clients.ledger.clone().get_service_info(pb::GetServiceInfoRequest {}).await;
    let info = info.unwrap().into_inner();
    assert_eq!(info.chain_id, Some(network.chain_id().to_string()));
    assert_eq!(info.chain.as_deref(), Some("localnet"));
    assert_eq!(info.server.as_deref(), Some("soma-node/0.1.0"));
    assert_eq!((info.epoch, info.checkpoint_height), (Some(0), Some(0)));

    let state_dir = network.state_dir().to_path_buf();
    assert!(state_dir.exists() && !network.is_kept());
    network.shutdown().await.unwrap();
    assert!(!state_dir.exists());
}

#[tokio::test]
async fn two_networks_in_one_process_are_two_chains() {
    let a = LocalNet::start(config()).await.unwrap();
    let b = LocalNet::start(config()).await.unwrap();
    assert_ne!(a.chain_id(), b.chain_id());
    let (on_a, on_b) = (Clients::of(&a).await, Clients::of(&b).await);
    let bob = fresh();
    let coin = on_a.coin(alice().address()).await;
    let payment = payment(&alice(), coin, &[(bob, 5)]);
    on_a.execute(&payment, &["effects"]).await.unwrap();
    assert_eq!((on_a.balance(bob).await, on_b.balance(bob).await), (5, 0));
    a.shutdown().await.unwrap();
    b.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_repeated_transaction_gives_the_stored_effects_and_is_charged_once() {
    let network = LocalNet::start(config()).await.unwrap();
    let clients = Clients::of(&network).await;
    let (alice, bob) = (alice(), fresh());
    let coin = clients.coin(alice.address()).await;
    let good = payment(&alice, coin, &[(bob, 1_000)]);
    let first = clients.execute(&good, &["*"]).await.unwrap();
    let before = clients.balance(alice.address()).await;

    assert_eq!(clients.execute(&good, &["*"]).await.unwrap(), first);
    network.advance_epoch().await.unwrap();
    assert_eq!(clients.execute(&good, &["*"]).await.unwrap(), first);
    assert_eq!(clients.balance(alice.address()).await, before);
    assert_eq!(clients.balance(bob).await, 1_000);

    // The signature is looked at first, even if the effects are there.
    let mut forged = good.clone();
    forged.signatures = payment(&alice, coin, &[(bob, 1_001)]).signatures;
    let refused = clients.execute(&forged, &["effects"]).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert!(refused.message().starts_with("Invalid user signature:"), "{}", refused.message());

    // Another transaction from the spent version is refused and names it.
    let late = payment(&alice, coin, &[(bob, 2_000)]);
    let refused = clients.execute(&late, &["effects"]).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert!(refused.message().contains("ObjectVersionUnavailableForConsumption"));

    // A failure is final under its digest too.
    let coin = clients.coin(alice.address()).await;
    let poor = payment(&alice, coin, &[(bob, 10_000_000 * SOMA)]);
    let failed = clients.execute(&poor, &["effects", "balance_changes"]).await.unwrap();
    let status = failed.effects.as_ref().unwrap().status.clone().unwrap();
    assert_eq!(status.success, Some(false));
    assert_eq!(status.error.unwrap().kind().as_str_name(), "INSUFFICIENT_COIN_BALANCE");
    assert_eq!(clients.execute(&poor, &["effects", "balance_changes"]).await.unwrap(), failed);
    network.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_duplicates_share_one_execution() {
    let network = LocalNet::start(config()).await.unwrap();
    let clients = Clients::of(&network).await;
    let (alice, bob) = (alice(), fresh());
    let coin = clients.coin(alice.address()).await;
    let transaction = payment(&alice, coin, &[(bob, 7)]);
    let calls = (0..32).map(|_| {
        let (clients, transaction) = (clients.clone(), transaction.clone());
        tokio::spawn(async move { clients.execute(&transaction, &["effects"]).await.unwrap() })
    });
    let answers = futures::future::join_all(calls.collect::<Vec<_>>()).await;
    let first = answers[0].as_ref().unwrap();
    assert!(answers.iter().all(|answer| answer.as_ref().unwrap() == first));
    assert_eq!(clients.balance(bob).await, 7);
    network.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_kept_chain_goes_on_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let kept = || config().with_epoch_duration_ms(None).with_state_dir(directory.path());
    let fresh_chain = config().with_state_dir(directory.path());
    let network = LocalNet::start(fresh_chain).await.unwrap();
    let (chain_id, bob) = (network.chain_id(), fresh());
    let clients = Clients::of(&network).await;
    let coin = clients.coin(alice().address()).await;
    let transaction = payment(&alice(), coin, &[(bob, 42), (bob, 43)]);
    let executed = clients.execute(&transaction, &["*"]).await.unwrap();
    network.advance_epoch().await.unwrap();
    let all = ["digest", "effects", "checkpoint", "timestamp", "balance_changes"];
    let digest = executed.digest.clone().unwrap();
    let stored = clients.transaction(digest.clone(), &all).await.unwrap();
    assert_eq!(stored.checkpoint, Some(1));

    let refused = LocalNet::start(kept()).await.unwrap_err();
    assert!(matches!(refused, Error::Locked { .. }), "{refused}");
    network.shutdown().await.unwrap();

    let network = LocalNet::start(kept()).await.unwrap();
    assert_eq!((network.chain_id(), network.epoch().unwrap()), (chain_id, 1));
    let clients = Clients::of(&network).await;
    assert_eq!(clients.balance(bob).await, 85);
    assert_eq!(clients.transaction(digest, &all).await.unwrap(), stored);
    assert_eq!(clients.execute(&transaction, &["*"]).await.unwrap(), executed);
    // The validators go on signing, and heights go on counting.
    assert_eq!(network.advance_epoch().await.unwrap(), 2);
    let newest = clients.ledger.clone().get_checkpoint(pb::GetCheckpointRequest::default()).await;
    let newest = newest.unwrap().into_inner().checkpoint.unwrap();
    assert_eq!(newest.sequence_number, Some(3));
    network.shutdown().await.unwrap();

    let refused = LocalNet::start(kept().with_epoch_duration_ms(5_000)).await.unwrap_err();
    assert!(matches!(refused, Error::Config(_)), "{refused}");
    let network = LocalNet::start(kept().with_committee_size(3)).await.unwrap();
    assert!(network.warnings()[0].contains("committee"), "{:?}", network.warnings());
    network.shutdown().await.unwrap();
}

#[tokio::test]
async fn state_that_is_not_ours_is_refused_and_left_alone() {
    for bytes in [&b""[..], b"not a database at all, but long enough to be looked at"] {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("chain.redb");
        std::fs::write(&file, bytes).unwrap();
        let refused = LocalNet::start(config().with_state_dir(directory.path())).await.unwrap_err();
        assert!(matches!(refused, Error::Foreign { .. }), "{refused}");
        assert!(refused.to_string().contains("chain.redb"), "{refused}");
        assert_eq!(std::fs::read(&file).unwrap(), bytes);
    }
}

#[tokio::test]
async fn a_taken_port_stops_the_start_and_names_port_and_flag() {
    let network = LocalNet::start(config()).await.unwrap();
    let taken = network.rpc_url().unwrap().strip_prefix("http://").unwrap().parse().unwrap();
    let rpc: std::net::SocketAddr = taken;
    let refused = LocalNet::start(config().with_rpc(rpc)).await.unwrap_err();
    let text = refused.to_string();
    assert!(text.contains(&rpc.to_string()) && text.contains("--fullnode-rpc-port"), "{text}");
    network.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_subscriber_gets_every_later_checkpoint_in_order() {
    let network = LocalNet::start(config()).await.unwrap();
    let clients = Clients::of(&network).await;
    let subscribe =
        |mask: &[&str]| pb::SubscribeCheckpointsRequest { read_mask: Some(field_mask(mask)) };
    // On an idle chain the headers come at once, and nothing else.
    let mask = subscribe(&["transactions.digest", "sequence_number"]);
    let opening = clients.subscription.clone();
    let opened = tokio::time::timeout(Duration::from_secs(5), async move {
        let mut opening = opening;
        opening.subscribe_checkpoints(mask).await
    });
    let mut stream = opened.await.expect("headers without a checkpoint").unwrap().into_inner();
    let mut bare_client = clients.subscription.clone();
    let mut bare = bare_client
        .subscribe_checkpoints(pb::SubscribeCheckpointsRequest { read_mask: None })
        .await
        .unwrap()
        .into_inner();
    let nothing = tokio::time::timeout(Duration::from_millis(50), stream.message()).await;
    assert!(nothing.is_err(), "a message without a checkpoint: {nothing:?}");

    let alice = alice();
    for height in 1..=20 {
        let coin = clients.coin(alice.address()).await;
        // Every second one fails: failures are in checkpoints as well.
        let amount = if height % 2 == 0 { 10_000_000 * SOMA } else { 1 };
        let transaction = payment(&alice, coin, &[(fresh(), amount)]);
        clients.execute(&transaction, &["effects"]).await.unwrap();
        let message = stream.message().await.unwrap().unwrap();
        assert_eq!(message.cursor, Some(height));
        let checkpoint = message.checkpoint.unwrap();
        assert_eq!(checkpoint.sequence_number, Some(height));
        assert_eq!(checkpoint.digest, None);
        let digests: Vec<_> =
            checkpoint.transactions.iter().filter_map(|t| t.digest.clone()).collect();
        assert_eq!(digests, [transaction.digest().to_string()]);
        let plain = bare.message().await.unwrap().unwrap();
        assert_eq!(plain.cursor, Some(height));
        assert_eq!(plain.checkpoint, Some(pb::Checkpoint::default()));
    }
    network.shutdown().await.unwrap();
    assert!(matches!(stream.message().await, Ok(None)), "the stream ends cleanly");
}

#[tokio::test]
async fn a_reader_that_is_too_slow_is_dropped_and_its_stream_ends() {
    let network = LocalNet::start(config()).await.unwrap();
    let clients = Clients::of(&network).await;
    let mut client = clients.subscription.clone();
    // Large messages, so that the transport's own buffers fill up as well.
    let everything = pb::SubscribeCheckpointsRequest { read_mask: Some(field_mask(&["*"])) };
    let mut stream = client.subscribe_checkpoints(everything).await.unwrap().into_inner();
    let mut published = 0;
    let alice = alice();
    let outputs: Vec<_> = (0..48).map(|_| (fresh(), 1)).collect();
    // A control: the network itself does not slow down for the reader.
    for _ in 0..330 {
        let coin = clients.coin(alice.address()).await;
        clients.execute(&payment(&alice, coin, &outputs), &["effects"]).await.unwrap();
        published += 1;
    }
    let mut cursors = Vec::new();
    while let Some(message) = stream.message().await.expect("ends with status OK") {
        cursors.push(message.cursor.unwrap());
    }
    assert!(cursors.len() < published, "all {published} were delivered");
    assert!(cursors.iter().copied().eq(1..=cursors.len() as u64), "a gap in {cursors:?}");
    network.shutdown().await.unwrap();
}

#[tokio::test]
async fn an_idle_epoch_ends_by_the_clock() {
    let network = LocalNet::start(config().with_epoch_duration_ms(200)).await.unwrap();
    let reached = async {
        while network.epoch().unwrap() < 3 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), reached).await.unwrap();
    let clients = Clients::of(&network).await;
    let mut last = 0;
    for epoch in 0..3 {
        let request = pb::GetEpochRequest {
            epoch: Some(epoch),
            read_mask: Some(field_mask(&["start", "end", "first_checkpoint"])),
        };
        let row = clients.ledger.clone().get_epoch(request).await.unwrap().into_inner();
        let row = row.epoch.unwrap();
        assert_eq!(row.first_checkpoint, Some(if epoch == 0 { 0 } else { epoch + 1 }));
        let ms = |time: Option<prost_types::Timestamp>| {
            soma_proto::grpc::convert::parse_timestamp(&time.unwrap()).unwrap()
        };
        let (start, end) = (ms(row.start), ms(row.end));
        assert!(end >= start + 200 && start >= last, "epoch {epoch}: {start} to {end}");
        last = end;
    }
    network.shutdown().await.unwrap();
}

#[tokio::test]
async fn the_small_services_answer() {
    let network = LocalNet::start(config()).await.unwrap();
    let clients = Clients::of(&network).await;

    let channel = common::channel(network.faucet_url().unwrap()).await;
    let faucet = faucet_client::FaucetClient::new(channel);
    let bob = fresh();
    for recipient in [bob.to_string(), format!("0x{bob}")] {
        let answer = faucet.clone().request_gas(GasRequest { recipient }).await.unwrap();
        let answer = answer.into_inner();
        assert_eq!((answer.status.as_str(), answer.coins_sent.len()), ("Success", 1));
        let coin = &answer.coins_sent[0];
        assert_eq!(coin.amount, 2_000_000_000);
        let id: ObjectId = coin.id.parse().unwrap();
        assert!(clients.coins(bob).await.iter().any(|coin| coin.id() == id));
        assert!(
            clients.transaction(coin.transfer_tx_digest.clone(), &["checkpoint"]).await.is_ok()
        );
    }
    assert_eq!(clients.balance(bob).await, 4_000_000_000);
    let bad = faucet.clone().request_gas(GasRequest { recipient: "bob".to_owned() }).await;
    let bad = bad.unwrap_err();
    assert_eq!(bad.code(), Code::InvalidArgument);
    assert!(bad.message().starts_with("Invalid address:"), "{}", bad.message());

    // Requests at the same time are served one after the other (L-18).
    let many = (0..20).map(|_| {
        let mut faucet = faucet.clone();
        async move { faucet.request_gas(GasRequest { recipient: bob.to_string() }).await }
    });
    assert!(futures::future::join_all(many).await.iter().all(Result::is_ok));
    assert_eq!(clients.balance(bob).await, 44_000_000_000);

    let channel = common::channel(network.admin_url()).await;
    let mut admin = admin_client::AdminClient::new(channel);
    let advanced = admin.advance_epoch(AdvanceEpochRequest {}).await.unwrap().into_inner();
    assert_eq!((advanced.epoch, network.epoch().unwrap()), (1, 1));

    let channel = common::channel(network.scoring_url().unwrap()).await;
    let mut scoring = scoring_client::ScoringClient::new(channel);
    assert!(scoring.health(HealthRequest {}).await.unwrap().into_inner().ok);
    network.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_network_without_services_has_none() {
    let config = config().with_faucet(None).with_scoring(None).with_files(None);
    let network = LocalNet::start(config).await.unwrap();
    assert_eq!((network.faucet_url(), network.scoring_url()), (None, None));
    assert_eq!(network.files_url(), None);
    network.shutdown().await.unwrap();
}

#[tokio::test]
async fn more_validators_than_money_are_refused() {
    for (config, fits, too_many) in [(config(), 3, 4), (config().with_faucet(None), 7, 8)] {
        let network = LocalNet::start(config.clone().with_committee_size(fits)).await.unwrap();
        assert_eq!(network.advance_epoch().await.unwrap(), 1);
        network.shutdown().await.unwrap();
        let refused = LocalNet::start(config.with_committee_size(too_many)).await.unwrap_err();
        assert!(matches!(refused, Error::Config(_)), "{refused}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_at_the_same_time_share_checkpoints() {
    let directory = tempfile::tempdir().unwrap();
    let network = LocalNet::start(config().with_state_dir(directory.path())).await.unwrap();
    let clients = Clients::of(&network).await;
    let calls: Vec<_> = account_keys()
        .into_iter()
        .map(|key| {
            let clients = clients.clone();
            tokio::spawn(async move {
                let coins = clients.coins(key.address()).await;
                let calls = coins.iter().map(|coin| {
                    let kind = TransactionKind::TransferCoin {
                        coin: coin.reference(),
                        amount: Some(1),
                        recipient: fresh(),
                    };
                    let data = TransactionData::new(kind, key.address(), vec![coin.reference()]);
                    let transaction = data.sign(&key);
                    let clients = clients.clone();
                    async move { clients.execute(&transaction, &["effects"]).await }
                });
                futures::future::join_all(calls).await
            })
        })
        .collect();
    let mut executed = 0;
    for call in calls {
        for answer in call.await.unwrap() {
            let effects = answer.unwrap().effects.unwrap();
            assert_eq!(effects.status.unwrap().success, Some(true));
            executed += 1;
        }
    }
    assert_eq!(executed, 25);
    let info = clients.ledger.clone().get_service_info(pb::GetServiceInfoRequest {}).await;
    let height = info.unwrap().into_inner().checkpoint_height.unwrap();
    assert!((1..=25).contains(&height), "{height} checkpoints");
    let request = pb::GetCheckpointRequest {
        read_mask: Some(field_mask(&["summary.total_network_transactions"])),
        ..Default::default()
    };
    let newest = clients.ledger.clone().get_checkpoint(request).await.unwrap().into_inner();
    let total = newest.checkpoint.unwrap().summary.unwrap().total_network_transactions;
    assert_eq!(total, Some(1 + 25));
    network.shutdown().await.unwrap();
}

#[tokio::test]
async fn checkpoints_of_two_chains_are_not_mixed() {
    let folder = tempfile::tempdir().unwrap();
    let files = || {
        let entries = std::fs::read_dir(folder.path().join("checkpoints")).unwrap();
        let mut files: Vec<_> = entries
            .map(|entry| entry.unwrap().path())
            .map(|path| (path.clone(), std::fs::read(path).unwrap()))
            .collect();
        files.sort();
        files
    };
    let start = |state: &str| {
        let config = config()
            .with_epoch_duration_ms(None)
            .with_state_dir(folder.path().join(state))
            .with_data_ingestion_dir(folder.path().join("checkpoints"));
        LocalNet::start(config)
    };
    let network = start("one").await.unwrap();
    network.advance_epoch().await.unwrap();
    network.shutdown().await.unwrap();
    let written = files();
    assert!(written.len() >= 2);

    let error = start("two").await.unwrap_err();
    assert!(matches!(error, Error::ForeignCheckpoints { .. }), "{error}");
    assert!(error.to_string().contains("0.chk"), "{error}");
    // The first files may have been read and removed.
    std::fs::remove_file(folder.path().join("checkpoints/0.chk")).unwrap();
    start("two").await.unwrap_err();
    assert_eq!(files(), written[1..], "nothing was added");

    start("one").await.unwrap().shutdown().await.unwrap();
    assert_eq!(files()[..written.len()], written);
}
