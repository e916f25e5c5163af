//! What answers hold: read masks, defaults, pages, errors.

mod common;

use common::{Clients, alice, config, fresh, payment};
use prost::Message as _;
use soma_localnet::LocalNet;
use soma_proto::grpc::convert::{execute_request, transaction_request};
use soma_proto::grpc::mask::field_mask;
use soma_proto::grpc::pb;
use soma_proto::grpc::status::violations;
use soma_proto::{ObjectId, TransactionData, TransactionKind};
use tonic::{Code, Status};

fn object_request(id: impl ToString, mask: Option<&[&str]>) -> pb::GetObjectRequest {
    pb::GetObjectRequest {
        object_id: Some(id.to_string()),
        version: None,
        read_mask: mask.map(field_mask),
    }
}

fn assert_field(status: &Status, field: &str) {
    assert_eq!(status.code(), Code::InvalidArgument, "{status}");
    assert_eq!(violations(status)[0].field, field, "{status}");
}

#[tokio::test]
async fn a_balance_of_zero_is_written() {
    let network = LocalNet::start(config()).await.unwrap();
    let mut clients = Clients::of(&network).await;
    let request = |owner: String| pb::GetBalanceRequest { owner: Some(owner) };
    let answer = clients.state.get_balance(request(fresh().to_string())).await.unwrap();
    assert_eq!(answer.into_inner().encode_to_vec(), [0x08, 0x00]);

    // Addresses are read strictly here: a short one needs its prefix.
    assert!(clients.state.get_balance(request("0x1".to_owned())).await.is_ok());
    let short = clients.state.get_balance(request("1".to_owned())).await.unwrap_err();
    assert_field(&short, "owner");
    let none = clients.state.get_balance(pb::GetBalanceRequest { owner: None }).await.unwrap_err();
    assert_field(&none, "owner");
    assert_eq!(none.message(), "");
    network.shutdown().await.unwrap();
}

#[tokio::test]
async fn an_object_holds_what_its_mask_selects() {
    let network = LocalNet::start(config()).await.unwrap();
    let clients = Clients::of(&network).await;
    let coin = clients.coins(alice().address()).await.remove(0);
    let full = pb::Object::from(&coin);
    let get = async |mask: Option<&[&str]>| clients.object(object_request(coin.id(), mask)).await;

    let by_default = get(None).await.unwrap();
    let expected = pb::Object {
        object_id: full.object_id.clone(),
        version: full.version,
        digest: full.digest.clone(),
        ..Default::default()
    };
    assert_eq!(by_default, expected);
    assert_eq!(get(Some(&[])).await.unwrap(), pb::Object::default());
    assert_eq!(get(Some(&["*"])).await.unwrap(), full);
    assert_eq!(get(Some(&["owner.kind"])).await.unwrap().owner, full.owner);
    let bogus = get(Some(&["bogus"])).await.unwrap_err();
    assert_field(&bogus, "read_mask");
    assert_eq!(bogus.message(), "invalid read_mask path: bogus");

    // Ids are read leniently: short, with and without prefix.
    let state = clients.object(object_request("5", Some(&["object_type", "owner"]))).await.unwrap();
    assert_eq!(state.object_type.as_deref(), Some("SystemState"));
    assert_eq!(clients.object(object_request("0x5", None)).await.unwrap().version, Some(1));
    let malformed = clients.object(object_request("xyz", None)).await.unwrap_err();
    assert_field(&malformed, "requests[0].object_id");
    let missing = clients.object(pb::GetObjectRequest::default()).await.unwrap_err();
    assert_field(&missing, "requests[0].object_id");
    let unknown = ObjectId::new([9; 32]);
    let absent = clients.object(object_request(unknown, None)).await.unwrap_err();
    assert_eq!(absent.code(), Code::NotFound);
    assert_eq!(absent.message(), format!("Object 0x{} not found", "09".repeat(32)));
    network.shutdown().await.unwrap();
}

#[tokio::test]
async fn old_versions_stay_readable_until_the_object_is_deleted() {
    let network = LocalNet::start(config()).await.unwrap();
    let clients = Clients::of(&network).await;
    let alice = alice();
    let coins = clients.coins(alice.address()).await;
    let (gas, other) = (coins[0].reference(), coins[1].reference());
    clients.execute(&payment(&alice, gas, &[(fresh(), 1)]), &["effects"]).await.unwrap();
    let at = |id: ObjectId, version| pb::GetObjectRequest {
        version: Some(version),
        ..object_request(id, Some(&["*"]))
    };
    let old = clients.object(at(gas.id(), 1)).await.unwrap();
    assert_eq!(old, pb::Object::from(&coins[0]));
    let new = clients.object(at(gas.id(), 2)).await.unwrap();
    assert_eq!(new, clients.object(object_request(gas.id(), Some(&["*"]))).await.unwrap());
    let absent = clients.object(at(gas.id(), 3)).await.unwrap_err();
    let expected = format!("Object {} with version 3 not found", gas.id());
    assert_eq!((absent.code(), absent.message()), (Code::NotFound, expected.as_str()));

    // Merge the other coin away: it is gone, in all its versions.
    let gas = clients.coins(alice.address()).await;
    let gas = gas.iter().find(|coin| coin.id() == coins[0].id()).unwrap().reference();
    let kind = TransactionKind::PayCoins {
        coins: vec![gas, other],
        amounts: Some(vec![1]),
        recipients: vec![fresh()],
    };
    let merge = TransactionData::new(kind, alice.address(), vec![gas]).sign(&alice);
    clients.execute(&merge, &["effects"]).await.unwrap();
    for request in [object_request(other.id(), None), at(other.id(), 1)] {
        assert_eq!(clients.object(request).await.unwrap_err().code(), Code::NotFound);
    }

    // In a batch each item fails for itself; a bad id fails the call.
    let requests = vec![object_request(gas.id(), None), object_request(other.id(), None)];
    let batch = pb::BatchGetObjectsRequest { requests, read_mask: Some(field_mask(&["version"])) };
    let answer = clients.ledger.clone().batch_get_objects(batch).await.unwrap().into_inner();
    use pb::get_object_result::Result as Item;
    assert!(matches!(&answer.objects[0].result, Some(Item::Object(o)) if o.version == Some(3)));
    assert!(matches!(&answer.objects[1].result, Some(Item::Error(e)) if e.code == 5));
    let requests = vec![object_request(gas.id(), None), pb::GetObjectRequest::default()];
    let batch = pb::BatchGetObjectsRequest { requests, read_mask: None };
    let refused = clients.ledger.clone().batch_get_objects(batch).await.unwrap_err();
    assert_field(&refused, "requests[1].object_id");
    network.shutdown().await.unwrap();
}

#[tokio::test]
async fn execution_answers_by_mask_and_with_true_digests() {
    let network = LocalNet::start(config()).await.unwrap();
    let clients = Clients::of(&network).await;
    let alice = alice();
    let bob = fresh();
    let coin = clients.coin(alice.address()).await;
    let transaction = payment(&alice, coin, &[(bob, 5)]);
    let digest = transaction.digest().to_string();

    let mut request = execute_request(&transaction, &[]).unwrap();
    request.read_mask = None;
    let by_default = clients.execution.clone().execute_transaction(request).await.unwrap();
    let by_default = by_default.into_inner().transaction.unwrap();
    assert!(by_default.effects.is_some());
    let expected = pb::ExecutedTransaction { effects: by_default.effects, ..Default::default() };
    assert_eq!(clients.execute(&transaction, &["effects"]).await.unwrap(), expected);

    let narrow = clients.execute(&transaction, &["effects.transaction_digest"]).await.unwrap();
    assert_eq!(narrow.digest, None);
    let effects = narrow.effects.unwrap();
    assert_eq!(effects.transaction_digest.as_deref(), Some(digest.as_str()));
    assert_eq!(effects.status, None);

    let all = clients.execute(&transaction, &["*"]).await.unwrap();
    assert_eq!(all.digest.as_deref(), Some(digest.as_str()));
    assert_eq!(all.transaction.unwrap().digest.as_deref(), Some(digest.as_str()));
    assert_eq!((all.checkpoint, all.timestamp), (None, None));
    let effects = all.effects.unwrap();
    assert!(effects.changed_objects.iter().all(|c| c.object_type.as_deref() == Some("Coin")));
    let amounts: Vec<_> = all.balance_changes.iter().map(|c| c.amount.clone().unwrap()).collect();
    let mut expected = [(bob.to_string(), "5"), (alice.address().to_string(), "-1605")];
    expected.sort();
    assert_eq!(amounts, expected.iter().map(|(_, amount)| *amount).collect::<Vec<_>>());
    // Gas coin before and after, and the new coin.
    let objects = all.objects.unwrap().objects;
    assert_eq!(objects.len(), 3);
    for object in &objects {
        let read: soma_proto::Object = object.clone().try_into().unwrap();
        assert_eq!(object.digest, Some(read.digest().to_string()));
    }

    // The plain path names the message, not the list in it.
    for (mask, expected) in
        [("objects", None), ("objects.objects", Some(3)), ("objects.objects.object_id", Some(3))]
    {
        let answer = clients.execute(&transaction, &[mask]).await.unwrap();
        assert_eq!(answer.objects.map(|set| set.objects.len()), expected, "{mask}");
    }
    assert_field(&clients.execute(&transaction, &["efects"]).await.unwrap_err(), "read_mask");

    let stored = ["digest", "effects", "checkpoint", "timestamp", "balance_changes", "objects"];
    let stored = clients.transaction(digest.clone(), &stored).await.unwrap();
    assert_eq!(stored.checkpoint, Some(1));
    assert!(stored.timestamp.is_some() && stored.objects.is_none());
    let absent = clients.transaction("1".repeat(32), &["digest"]).await.unwrap_err();
    let expected = format!("Transaction {} not found", "1".repeat(32));
    assert_eq!((absent.code(), absent.message()), (Code::NotFound, expected.as_str()));
    let malformed = clients.transaction("0".repeat(32), &["digest"]).await.unwrap_err();
    assert_field(&malformed, "digest");
    network.shutdown().await.unwrap();
}

#[tokio::test]
async fn what_cannot_be_executed_is_refused_at_once() {
    let network = LocalNet::start(config()).await.unwrap();
    let clients = Clients::of(&network).await;
    let alice = alice();
    let [_, mallory, ..] = soma_localnet::account_keys();
    let coin = clients.coin(alice.address()).await;
    let theirs = clients.coin(mallory.address()).await;
    let good = payment(&alice, coin, &[(fresh(), 1)]);

    let mut cases = Vec::new();
    let mut unsigned = good.clone();
    unsigned.signatures.clear();
    cases.push((unsigned, "Invalid user signature: SignerSignatureNumberMismatch"));
    let mut foreign = good.clone();
    foreign.signatures = good.data.clone().sign(&mallory).signatures;
    cases.push((foreign, "Invalid user signature: SignerSignatureAbsent"));
    let gone = soma_proto::ObjectRef(ObjectId::new([3; 32]), 1, coin.digest());
    cases.push((payment(&alice, gone, &[(fresh(), 1)]), "ObjectNotFound"));
    cases.push((payment(&alice, theirs, &[(fresh(), 1)]), "IncorrectUserSignature"));
    let forged = soma_proto::ObjectRef(coin.id(), coin.version(), theirs.digest());
    cases.push((payment(&alice, forged, &[(fresh(), 1)]), "InvalidObjectDigest"));
    let kind = TransactionKind::TransferCoin { coin, amount: Some(1), recipient: fresh() };
    let no_gas = TransactionData::new(kind, alice.address(), Vec::new()).sign(&alice);
    cases.push((no_gas, "GasPaymentError"));
    for (transaction, text) in cases {
        let refused = clients.execute(&transaction, &["effects"]).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{refused}");
        assert!(refused.message().starts_with(text), "{text}: {}", refused.message());
    }
    // Nothing was charged, and no checkpoint was made.
    assert_eq!(clients.balance(alice.address()).await, 1_500_000_000_000_000);
    let nothing = pb::ExecuteTransactionRequest::default();
    let refused = clients.execution.clone().execute_transaction(nothing).await.unwrap_err();
    assert_eq!((refused.code(), refused.message()), (Code::InvalidArgument, ""));
    assert_field(&refused, "transaction");
    network.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_simulation_answers_one_level_higher_and_changes_nothing() {
    let network = LocalNet::start(config()).await.unwrap();
    let clients = Clients::of(&network).await;
    let alice = alice();
    let coin = clients.coin(alice.address()).await;
    let kind = TransactionKind::TransferCoin { coin, amount: Some(9), recipient: fresh() };
    let data = TransactionData::new(kind, alice.address(), vec![coin]);
    let simulate = async |mask: Option<&[&str]>| {
        let request = pb::SimulateTransactionRequest {
            transaction: Some(transaction_request(&data).unwrap()),
            read_mask: mask.map(field_mask),
            checks: None,
        };
        clients.execution.clone().simulate_transaction(request).await.unwrap().into_inner()
    };
    let all = simulate(None).await.transaction.unwrap();
    assert!(all.transaction.is_some() && all.objects.is_some());
    assert_eq!((all.digest, all.checkpoint, all.timestamp), (None, None, None));
    assert!(all.signatures.is_empty());
    assert_eq!(all.effects.as_ref().unwrap().status.as_ref().unwrap().success, Some(true));
    let narrow = simulate(Some(&["transaction.effects", "nonsense", "transaction.objects"])).await;
    let narrow = narrow.transaction.unwrap();
    assert_eq!(narrow.effects, all.effects);
    assert!(narrow.transaction.is_none() && narrow.objects.is_none());
    assert_eq!(simulate(Some(&["effects"])).await.transaction, None);
    assert_eq!(clients.coin(alice.address()).await, coin);

    // What the executor refuses is INTERNAL here.
    let gone = soma_proto::ObjectRef(ObjectId::new([3; 32]), 1, coin.digest());
    let bad = payment(&alice, gone, &[(fresh(), 1)]);
    let request = pb::SimulateTransactionRequest {
        transaction: Some(transaction_request(&bad.data).unwrap()),
        ..Default::default()
    };
    let refused = clients.execution.clone().simulate_transaction(request).await.unwrap_err();
    assert_eq!(refused.code(), Code::Internal);
    network.shutdown().await.unwrap();
}

#[tokio::test]
async fn pages_join_without_gaps_in_falling_order_of_balance() {
    let network = LocalNet::start(config()).await.unwrap();
    let clients = Clients::of(&network).await;
    let (alice, bob) = (alice(), fresh());
    // 1,200 coins, several of each amount.
    for batch in 0..4 {
        let coin = clients.coin(alice.address()).await;
        let outputs: Vec<_> = (0..300).map(|n| (bob, 1 + (n * 7 + batch) % 100)).collect();
        clients.execute(&payment(&alice, coin, &outputs), &["effects"]).await.unwrap();
    }
    let list = async |size: Option<u32>, token: Option<Vec<u8>>, ty: Option<&str>| {
        let request = pb::ListOwnedObjectsRequest {
            owner: Some(bob.to_string()),
            page_size: size,
            page_token: token,
            read_mask: Some(field_mask(&["*"])),
            object_type: ty.map(str::to_owned),
        };
        clients.state.clone().list_owned_objects(request).await.map(tonic::Response::into_inner)
    };
    for size in [None, Some(7), Some(999), Some(5_000)] {
        let mut found = Vec::new();
        let mut token = None;
        loop {
            let page = list(size, token, None).await.unwrap();
            assert!(!page.objects.is_empty(), "an empty page ends clients' loops");
            found.extend(page.objects.into_iter().map(|o| {
                let object: soma_proto::Object = o.try_into().unwrap();
                (std::cmp::Reverse(object.coin_balance().unwrap()), object.id())
            }));
            token = page.next_page_token;
            if token.is_none() {
                break;
            }
        }
        assert_eq!(found.len(), 1_200, "{size:?}");
        assert!(found.is_sorted() && found.windows(2).all(|pair| pair[0] != pair[1]));
    }
    // 0 counts as 1, more than 1,000 as 1,000, nothing as 50.
    for (size, expected) in [(Some(0), 1), (Some(5_000), 1_000), (None, 50)] {
        assert_eq!(list(size, None, None).await.unwrap().objects.len(), expected, "{size:?}");
    }
    assert_field(&list(None, None, Some("coin")).await.unwrap_err(), "object_type");
    assert_field(&list(None, Some(Vec::new()), None).await.unwrap_err(), "page_token");
    let token = list(Some(1), None, None).await.unwrap().next_page_token;
    assert_field(&list(Some(1), token, Some("Coin")).await.unwrap_err(), "page_token");
    assert_eq!(list(None, None, Some("StakedSoma")).await.unwrap().objects, []);

    let by_default = pb::ListOwnedObjectsRequest {
        owner: Some(format!("0x{bob}")),
        page_size: Some(1),
        ..Default::default()
    };
    let page = clients.state.clone().list_owned_objects(by_default).await.unwrap().into_inner();
    let object = &page.objects[0];
    assert_eq!(object.object_type.as_deref(), Some("Coin"));
    assert!(object.object_id.is_some() && object.version.is_some() && object.digest.is_none());
    let none = pb::ListOwnedObjectsRequest::default();
    assert_field(&clients.state.clone().list_owned_objects(none).await.unwrap_err(), "owner");
    network.shutdown().await.unwrap();
}

#[tokio::test]
async fn checkpoints_are_found_by_height_and_digest() {
    let network = LocalNet::start(config()).await.unwrap();
    let clients = Clients::of(&network).await;
    let coin = clients.coin(alice().address()).await;
    let transaction = payment(&alice(), coin, &[(fresh(), 1)]);
    clients.execute(&transaction, &["effects"]).await.unwrap();
    use pb::get_checkpoint_request::CheckpointId;
    let get = async |id: Option<CheckpointId>, mask: Option<&[&str]>| {
        let request =
            pb::GetCheckpointRequest { checkpoint_id: id, read_mask: mask.map(field_mask) };
        let answer = clients.ledger.clone().get_checkpoint(request).await?;
        Ok::<_, Status>(answer.into_inner().checkpoint.unwrap())
    };
    let newest = get(None, None).await.unwrap();
    let digest = newest.digest.clone().unwrap();
    let expected = pb::Checkpoint {
        sequence_number: Some(1),
        digest: Some(digest.clone()),
        ..Default::default()
    };
    assert_eq!(newest, expected);
    assert_eq!(get(Some(CheckpointId::Digest(digest.clone())), None).await.unwrap(), newest);

    let all = get(Some(CheckpointId::SequenceNumber(1)), Some(&["*"])).await.unwrap();
    let genesis = get(Some(CheckpointId::SequenceNumber(0)), Some(&["*"])).await.unwrap();
    let summary = all.summary.clone().unwrap();
    assert_eq!(summary.previous_digest, genesis.digest);
    assert_eq!(genesis.digest, Some(network.chain_id().to_string()));
    assert_eq!(all.transactions.len(), 1);
    assert_eq!(all.transactions[0].digest, Some(transaction.digest().to_string()));
    assert_eq!(all.transactions[0].checkpoint, Some(1));
    assert!(all.transactions[0].objects.is_none());
    assert_eq!(all.objects.as_ref().unwrap().objects.len(), 3);
    assert_eq!(get(None, Some(&["objects"])).await.unwrap().objects, all.objects);
    // The certificate holds, by the rules of the network.
    let certified = soma_proto::grpc::convert::certified_summary(all.clone()).unwrap();
    assert_eq!(certified.summary.digest().to_string(), digest);
    let contents: soma_proto::checkpoint::CheckpointContents =
        all.contents.clone().unwrap().try_into().unwrap();
    assert_eq!(contents.transactions()[0].transaction, transaction.digest());
    assert_eq!(contents.user_signatures()[0], transaction.signatures);

    let absent = get(Some(CheckpointId::SequenceNumber(7)), None).await.unwrap_err();
    assert_eq!((absent.code(), absent.message()), (Code::NotFound, "Checkpoint 7 not found"));
    let malformed = get(Some(CheckpointId::Digest("x".to_owned())), None).await.unwrap_err();
    assert_field(&malformed, "digest");
    assert_field(&get(None, Some(&["transactions.bogus"])).await.unwrap_err(), "read_mask");
    network.shutdown().await.unwrap();
}

#[tokio::test]
async fn epochs_answer_by_mask() {
    let network = LocalNet::start(config()).await.unwrap();
    let clients = Clients::of(&network).await;
    let get = async |epoch: Option<u64>, mask: Option<&[&str]>| {
        let request = pb::GetEpochRequest { epoch, read_mask: mask.map(field_mask) };
        let answer = clients.ledger.clone().get_epoch(request).await?;
        Ok::<_, Status>(answer.into_inner().epoch.unwrap())
    };
    let genesis = get(None, Some(&["system_state"])).await.unwrap().system_state.unwrap();
    network.advance_epoch().await.unwrap();
    let by_default = get(None, None).await.unwrap();
    assert_eq!(by_default.epoch, Some(1));
    let members = by_default.committee.unwrap().members;
    assert_eq!(members.iter().map(|member| member.weight.unwrap()).sum::<u64>(), 10_000);
    assert!(by_default.system_state.is_none() && by_default.last_checkpoint.is_none());
    let protocol = by_default.protocol_config.unwrap();
    assert_eq!((protocol.protocol_version, protocol.attributes.len()), (Some(1), 0));

    let config = get(None, Some(&["epoch", "protocol_config"])).await.unwrap();
    let attributes = config.protocol_config.unwrap().attributes;
    assert_eq!(attributes["model_architecture_version"], "1");
    assert_eq!(attributes["target_embedding_dim"], "768");

    // The whole state, as the published client wants it, and single fields.
    let whole = get(None, Some(&["system_state", "epoch"])).await.unwrap().system_state.unwrap();
    let state: soma_proto::system_state::SystemState = whole.clone().try_into().unwrap();
    assert_eq!(state.v1().epoch, 1);
    assert_eq!(state.v1().parameters.target_embedding_dim, 16);
    let narrow = get(None, Some(&["system_state.epoch", "system_state.parameters"])).await.unwrap();
    let narrow = narrow.system_state.unwrap();
    assert_eq!((narrow.epoch, narrow.parameters), (Some(1), whole.parameters));
    assert!(narrow.validators.is_none() && narrow.model_registry.is_none());

    // A past epoch: the state at its start.
    network.advance_epoch().await.unwrap();
    let first = get(Some(0), Some(&["system_state"])).await.unwrap();
    assert_eq!(first.system_state, Some(genesis));
    let past = get(Some(1), Some(&["system_state", "start", "end"])).await.unwrap();
    assert_eq!(past.system_state, Some(whole));
    assert!(past.start.is_some() && past.end.is_some());

    // An unknown epoch is echoed, unless its committee is wanted.
    let unknown = get(Some(99), Some(&["epoch", "start", "first_checkpoint"])).await.unwrap();
    assert_eq!(unknown, pb::Epoch { epoch: Some(99), ..Default::default() });
    assert_eq!(get(Some(99), None).await.unwrap_err().code(), Code::NotFound);
    network.shutdown().await.unwrap();
}

#[tokio::test]
async fn targets_and_challenges_are_asked_for_in_vain() {
    let network = LocalNet::start(config()).await.unwrap();
    let mut state = Clients::of(&network).await.state;
    let targets = state.list_targets(pb::ListTargetsRequest::default()).await.unwrap();
    assert_eq!(targets.into_inner(), pb::ListTargetsResponse::default());
    let open =
        pb::ListTargetsRequest { status_filter: Some("OPEN".to_owned()), ..Default::default() };
    assert!(state.list_targets(open.clone()).await.is_ok());
    let odd = pb::ListTargetsRequest { status_filter: Some("odd".to_owned()), ..open };
    assert_field(&state.list_targets(odd).await.unwrap_err(), "status_filter");
    let challenges = state.list_challenges(pb::ListChallengesRequest::default()).await.unwrap();
    assert_eq!(challenges.into_inner(), pb::ListChallengesResponse::default());
    let target =
        |id: &str| pb::GetTargetRequest { target_id: Some(id.to_owned()), read_mask: None };
    assert_eq!(state.get_target(target("0x77")).await.unwrap_err().code(), Code::NotFound);
    assert_field(&state.get_target(target("0x5")).await.unwrap_err(), "target_id");
    let challenge =
        pb::GetChallengeRequest { challenge_id: Some("0x77".to_owned()), read_mask: None };
    assert_eq!(state.get_challenge(challenge).await.unwrap_err().code(), Code::NotFound);
    network.shutdown().await.unwrap();
}
