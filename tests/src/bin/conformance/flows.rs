//! Checks that spend money from the faucet, and a whole registration.

use std::time::Duration;

use soma_proto::dialect::{CommitModel, RevealModel};
use soma_proto::grpc::bcs::admin_client::AdminClient;
use soma_proto::grpc::bcs::faucet_client::FaucetClient;
use soma_proto::grpc::bcs::{AdvanceEpochRequest, GasRequest};
use soma_proto::grpc::mask::field_mask;
use soma_proto::grpc::pb;
use soma_proto::{
    Address, Checksum, Commitment, DecryptionKey, KeyPair, Manifest, ModelWeightsManifest, Object,
    ObjectId, ObjectRef, SHANNONS_PER_SOMA, SignedTransaction, Tensor, TransactionData,
    TransactionKind, WeightsUrl,
};
use soma_rpc::{AuthChannel, ClientBuilder};
use tokio_stream::StreamExt as _;
use tonic::Code;

use crate::node::{Node, Target};
use crate::report::{Finding, Report, expect, expect_eq, present, refused, status};

/// How long a transaction may take to be in a checkpoint.
const CHECKPOINT_TIMEOUT: Duration = Duration::from_secs(60);

/// What executing a transaction gave.
struct Outcome {
    effects: pb::TransactionEffects,
    checkpoint: u64,
}

impl Outcome {
    fn failure(&self) -> pb::execution_error::ExecutionErrorKind {
        let status = self.effects.status.as_ref();
        status
            .and_then(|status| status.error.as_ref())
            .map(|error| error.kind())
            .unwrap_or_default()
    }

    fn is_success(&self) -> bool {
        self.effects.status.as_ref().is_some_and(|status| status.success == Some(true))
    }

    fn total_fee(&self) -> u64 {
        self.effects.fee.as_ref().and_then(|fee| fee.total_fee).unwrap_or_default()
    }
}

/// Runs what the services named in `target` allow.
pub(crate) async fn run(node: &mut Node, target: &Target, report: &mut Report) {
    let Some(faucet) = &target.faucet else {
        return report.skip("payments and models", "no --faucet to get money from");
    };
    report.record("the faucet takes addresses with and without 0x", faucet_forms(faucet).await);
    report.record("the faucet's coin is listed at once", faucet_coin(node, faucet).await);
    report.record("coins come in pages", pages(node, faucet).await);
    report.record("a transfer costs what the parameters say", transfer(node, faucet).await);
    report.record("a simulation changes nothing", simulation(node, faucet).await);
    report.record("a transaction sent twice is executed once", twice(node, faucet).await);
    report.record("a failed transaction is checkpointed too", failed(node, faucet).await);
    report.record(
        "a wrong, a missing and a foreign signature are refused",
        signatures(node, faucet).await,
    );
    report.record("a spent coin is refused", spent(node, faucet).await);
    report.record("another owner's coin is refused", foreign(node, faucet).await);
    report.record(
        "a commitment of 31 bytes is refused",
        short_commitment(node, faucet, target).await,
    );
    report.record("refused commits name the reason", refused_commits(node, faucet).await);
    let name = match target.reference {
        true => "a commit under ids in use takes their place",
        false => "ids in use are refused (L-10)",
    };
    report.record(name, ids_in_use(node, faucet, target).await);
    let Some(admin) = &target.admin else {
        return report.skip("a whole registration", "no --admin to move the epoch with");
    };
    report.record("the epoch moves, and the state with it", epoch(node, admin).await);
    report.record("commit, reveal, deactivate", registration(node, faucet, admin, target).await);
}

fn channel(url: &str) -> Result<AuthChannel, String> {
    Ok(ClientBuilder::new(url).channel().map_err(|e| e.to_string())?.0)
}

async fn request_gas(url: &str, recipient: String) -> Result<Vec<ObjectId>, tonic::Status> {
    let mut client = FaucetClient::new(channel(url).map_err(tonic::Status::unavailable)?);
    let answer = client.request_gas(GasRequest { recipient }).await?.into_inner();
    if answer.status != "Success" {
        return Err(tonic::Status::internal(answer.status));
    }
    let ids = answer.coins_sent.iter().map(|coin| coin.id.parse());
    ids.collect::<Result<_, _>>().map_err(|_| tonic::Status::internal("a coin id is malformed"))
}

async fn funded(url: &str) -> Result<KeyPair, String> {
    let key = KeyPair::generate();
    request_gas(url, key.address().to_string()).await.map_err(status)?;
    Ok(key)
}

async fn balance(node: &mut Node, owner: Address) -> Result<u64, String> {
    let request = pb::GetBalanceRequest { owner: Some(owner.to_string()) };
    let answer = node.state.get_balance(request).await.map_err(status)?;
    present("balance", answer.into_inner().balance)
}

/// All coins, page by page, as references computed from their contents.
async fn coins(node: &mut Node, owner: Address, page_size: u32) -> Result<Vec<ObjectRef>, String> {
    let mut found = Vec::new();
    let mut page_token = None;
    loop {
        let request = pb::ListOwnedObjectsRequest {
            owner: Some(owner.to_string()),
            page_size: Some(page_size),
            page_token: page_token.take(),
            object_type: Some("Coin".to_owned()),
            read_mask: Some(field_mask(&[
                "object_id",
                "version",
                "digest",
                "object_type",
                "owner",
                "contents",
                "previous_transaction",
            ])),
        };
        let page = node.state.list_owned_objects(request).await.map_err(status)?.into_inner();
        for message in page.objects {
            let digest = message.digest.clone();
            let object = Object::try_from(message).map_err(|e| e.to_string())?;
            expect_eq("object digest", digest, Some(object.digest().to_string()))?;
            found.push(object.reference());
        }
        match page.next_page_token {
            Some(token) => page_token = Some(token),
            None => return Ok(found),
        }
    }
}

async fn first_coin(node: &mut Node, owner: Address) -> Result<ObjectRef, String> {
    coins(node, owner, 50).await?.first().copied().ok_or_else(|| "no coin".to_owned())
}

fn execute_request(signed: &SignedTransaction) -> pb::ExecuteTransactionRequest {
    pb::ExecuteTransactionRequest {
        transaction: Some(pb::Transaction::from(&signed.data)),
        signatures: signed.signatures.iter().map(pb::UserSignature::from).collect(),
        read_mask: Some(field_mask(&["digest", "effects", "balance_changes"])),
    }
}

/// Subscribes, executes, and waits for the transaction in the stream.
async fn execute(node: &mut Node, signed: &SignedTransaction) -> Result<Outcome, String> {
    let read_mask = Some(field_mask(&["transactions.digest", "sequence_number"]));
    let request = pb::SubscribeCheckpointsRequest { read_mask };
    let stream = node.subscription.subscribe_checkpoints(request).await.map_err(status)?;
    let mut stream = stream.into_inner();
    let answer = node.execution.execute_transaction(execute_request(signed)).await;
    let executed = present("transaction", answer.map_err(status)?.into_inner().transaction)?;
    let effects = present("effects", executed.effects)?;
    let digest = signed.digest().to_string();
    expect_eq("transaction digest in effects", effects.transaction_digest.as_ref(), Some(&digest))?;
    let search = async {
        while let Some(message) = stream.next().await {
            let message = message.map_err(status)?;
            let checkpoint = message.checkpoint.unwrap_or_default();
            if checkpoint.transactions.iter().any(|one| one.digest.as_ref() == Some(&digest)) {
                return present("cursor", message.cursor);
            }
        }
        Err("the stream ended".to_owned())
    };
    let checkpoint = tokio::time::timeout(CHECKPOINT_TIMEOUT, search)
        .await
        .map_err(|_| "not in a checkpoint in time".to_owned())??;
    Ok(Outcome { effects, checkpoint })
}

async fn send(node: &mut Node, key: &KeyPair, kind: TransactionKind) -> Result<Outcome, String> {
    let gas = first_coin(node, key.address()).await?;
    execute(node, &TransactionData::new(kind, key.address(), vec![gas]).sign(key)).await
}

fn transfer_kind(coin: ObjectRef, amount: u64) -> TransactionKind {
    TransactionKind::TransferCoin { coin, amount: Some(amount), recipient: Address::random() }
}

async fn signed_transfer(
    node: &mut Node,
    key: &KeyPair,
    amount: u64,
) -> Result<SignedTransaction, String> {
    let coin = first_coin(node, key.address()).await?;
    Ok(TransactionData::new(transfer_kind(coin, amount), key.address(), vec![coin]).sign(key))
}

async fn faucet_forms(url: &str) -> Finding {
    let address = Address::random();
    request_gas(url, address.to_string()).await.map_err(status)?;
    request_gas(url, format!("0x{address}")).await.map_err(status)?;
    refused(request_gas(url, "nobody".to_owned()).await, Code::InvalidArgument)
}

async fn faucet_coin(node: &mut Node, url: &str) -> Finding {
    let address = Address::random();
    let mut sent = request_gas(url, address.to_string()).await.map_err(status)?;
    let mut listed: Vec<_> = coins(node, address, 50).await?.iter().map(ObjectRef::id).collect();
    sent.sort();
    listed.sort();
    expect_eq("coins", listed, sent)?;
    expect(balance(node, address).await? > 0, "no balance")
}

async fn pages(node: &mut Node, url: &str) -> Finding {
    let address = Address::random();
    for _ in 0..3 {
        request_gas(url, address.to_string()).await.map_err(status)?;
    }
    let all = coins(node, address, 5_000).await?;
    expect_eq("coins in pages of one", coins(node, address, 0).await?, all)
}

async fn transfer(node: &mut Node, url: &str) -> Finding {
    let key = funded(url).await?;
    let before = balance(node, key.address()).await?;
    let epoch = node.epoch(None, &["system_state.parameters", "epoch"]).await.map_err(status)?;
    let parameters = present("system_state", epoch.system_state)?.parameters;
    let parameters = present("parameters", parameters)?;
    let value = |field: Option<u64>| present("parameter", field);
    let fee = value(parameters.base_fee)?
        + 2 * value(parameters.write_object_fee)?
        + 500_000 * value(parameters.value_fee_bps)? / 10_000;
    let signed = signed_transfer(node, &key, 500_000).await?;
    let outcome = execute(node, &signed).await?;
    expect(outcome.is_success(), format!("failed with {:?}", outcome.failure()))?;
    expect_eq("fee", outcome.total_fee(), fee)?;
    expect_eq("balance", balance(node, key.address()).await?, before - 500_000 - fee)?;
    let request = pb::GetTransactionRequest {
        digest: Some(signed.digest().to_string()),
        read_mask: Some(field_mask(&[
            "digest",
            "effects",
            "checkpoint",
            "timestamp",
            "balance_changes",
        ])),
    };
    let found = node.ledger.get_transaction(request).await.map_err(status)?.into_inner();
    let found = present("transaction", found.transaction)?;
    expect_eq("checkpoint", found.checkpoint, Some(outcome.checkpoint))?;
    expect_eq("balance changes", found.balance_changes.len(), 2)
}

async fn simulation(node: &mut Node, url: &str) -> Finding {
    let key = funded(url).await?;
    let before = balance(node, key.address()).await?;
    let signed = signed_transfer(node, &key, 1_000).await?;
    let request = pb::SimulateTransactionRequest {
        transaction: Some(pb::Transaction::from(&signed.data)),
        read_mask: Some(field_mask(&["transaction.effects", "transaction.balance_changes"])),
        checks: None,
    };
    let answer = node.execution.simulate_transaction(request).await.map_err(status)?.into_inner();
    let simulated = present("transaction", answer.transaction)?;
    let effects = present("effects", simulated.effects)?;
    expect_eq("success", effects.status.and_then(|status| status.success), Some(true))?;
    expect_eq("balance", balance(node, key.address()).await?, before)
}

async fn twice(node: &mut Node, url: &str) -> Finding {
    let key = funded(url).await?;
    let signed = signed_transfer(node, &key, 1_000).await?;
    let first = execute(node, &signed).await?;
    let after = balance(node, key.address()).await?;
    let again = node.execution.execute_transaction(execute_request(&signed)).await;
    let again = present("transaction", again.map_err(status)?.into_inner().transaction)?;
    expect_eq(
        "version in effects",
        present("effects", again.effects)?.lamport_version,
        first.effects.lamport_version,
    )?;
    expect_eq("balance", balance(node, key.address()).await?, after)
}

async fn failed(node: &mut Node, url: &str) -> Finding {
    let key = funded(url).await?;
    let before = balance(node, key.address()).await?;
    let signed = signed_transfer(node, &key, u64::MAX / 2).await?;
    let outcome = execute(node, &signed).await?;
    expect_eq(
        "failure",
        outcome.failure(),
        pb::execution_error::ExecutionErrorKind::InsufficientCoinBalance,
    )?;
    expect(balance(node, key.address()).await? < before, "no base fee was charged")
}

async fn signatures(node: &mut Node, url: &str) -> Finding {
    let key = funded(url).await?;
    let signed = signed_transfer(node, &key, 1_000).await?;
    let mut missing = execute_request(&signed);
    missing.signatures.clear();
    refused(node.execution.execute_transaction(missing).await, Code::InvalidArgument)?;
    let foreign = signed.data.clone().sign(&KeyPair::generate());
    let request = execute_request(&foreign);
    refused(node.execution.execute_transaction(request).await, Code::InvalidArgument)?;
    let other = signed_transfer(node, &key, 1_001).await?;
    let mut wrong = execute_request(&signed);
    wrong.signatures = execute_request(&other).signatures;
    refused(node.execution.execute_transaction(wrong).await, Code::InvalidArgument)
}

async fn spent(node: &mut Node, url: &str) -> Finding {
    let key = funded(url).await?;
    let stale = signed_transfer(node, &key, 1_000).await?;
    let fresh = signed_transfer(node, &key, 2_000).await?;
    execute(node, &fresh).await?;
    let request = execute_request(&stale);
    refused(node.execution.execute_transaction(request).await, Code::InvalidArgument)
}

async fn foreign(node: &mut Node, url: &str) -> Finding {
    let (owner, thief) = (funded(url).await?, funded(url).await?);
    let coin = first_coin(node, owner.address()).await?;
    let gas = first_coin(node, thief.address()).await?;
    let data = TransactionData::new(transfer_kind(coin, 1), thief.address(), vec![gas]);
    let request = execute_request(&data.sign(&thief));
    match node.execution.execute_transaction(request).await {
        Ok(_) => Err("the call succeeded".to_owned()),
        // The public network retries first, and answers UNAVAILABLE in the end.
        Err(status) => expect(
            matches!(status.code(), Code::InvalidArgument | Code::Unavailable),
            format!("code {:?}", status.code()),
        ),
    }
}

fn commit(
    stake_amount: u64,
    commission_rate: u64,
    url: &WeightsUrl,
    weights: Commitment,
) -> CommitModel {
    CommitModel {
        model_id: ObjectId::random(),
        weights_url_commitment: url.commitment(),
        weights_commitment: weights,
        architecture_version: 1,
        stake_amount,
        commission_rate,
        staking_pool_id: ObjectId::random(),
    }
}

fn example_url() -> WeightsUrl {
    "https://weights.example.com/model.enc".parse().expect("the URL is well-formed")
}

async fn short_commitment(node: &mut Node, url: &str, target: &Target) -> Finding {
    let key = funded(url).await?;
    let gas = first_coin(node, key.address()).await?;
    let model = commit(SHANNONS_PER_SOMA, 0, &example_url(), Commitment::of("weights"));
    let data = TransactionData::new(TransactionKind::CommitModel(model), key.address(), vec![gas]);
    let mut request = execute_request(&data.sign(&key));
    let kind = request.transaction.as_mut().and_then(|one| one.kind.as_mut());
    if let Some(pb::transaction_kind::Kind::CommitModel(model)) =
        kind.and_then(|one| one.kind.as_mut())
    {
        model.weights_commitment = Some(vec![0; 31]);
    }
    let code = if target.reference { Code::Internal } else { Code::InvalidArgument };
    refused(node.execution.execute_transaction(request).await, code)
}

async fn refused_commits(node: &mut Node, url: &str) -> Finding {
    use pb::execution_error::ExecutionErrorKind as Kind;
    let key = funded(url).await?;
    let weights = Commitment::of("weights");
    let mut old = commit(SHANNONS_PER_SOMA, 0, &example_url(), weights);
    old.architecture_version = 999;
    for (model, expected) in [
        (old, Kind::ModelArchitectureVersionMismatch),
        (commit(100, 0, &example_url(), weights), Kind::ModelMinStakeNotMet),
        (
            commit(SHANNONS_PER_SOMA, 10_001, &example_url(), weights),
            Kind::ModelCommissionRateTooHigh,
        ),
        (commit(u64::MAX / 2, 0, &example_url(), weights), Kind::InsufficientCoinBalance),
    ] {
        let outcome = send(node, &key, TransactionKind::CommitModel(model)).await?;
        expect_eq("failure", outcome.failure(), expected)?;
    }
    Ok(())
}

async fn ids_in_use(node: &mut Node, url: &str, target: &Target) -> Finding {
    use pb::execution_error::ExecutionErrorKind as Kind;
    let judge = |outcome: Outcome| match target.reference {
        true => expect(outcome.is_success(), format!("failed with {:?}", outcome.failure())),
        false => expect_eq("failure", outcome.failure(), Kind::InvalidArguments),
    };
    let (first, second) = (funded(url).await?, funded(url).await?);
    let model = commit(SHANNONS_PER_SOMA, 0, &example_url(), Commitment::of("weights"));
    let kind = TransactionKind::CommitModel(model.clone());
    expect(send(node, &first, kind.clone()).await?.is_success(), "the first commit failed")?;
    judge(send(node, &second, kind).await?)?;
    let (third, same_pool) =
        (funded(url).await?, CommitModel { model_id: ObjectId::random(), ..model });
    judge(send(node, &third, TransactionKind::CommitModel(same_pool)).await?)
}

async fn advance(url: &str) -> Result<u64, String> {
    let mut client = AdminClient::new(channel(url)?);
    Ok(client.advance_epoch(AdvanceEpochRequest {}).await.map_err(status)?.into_inner().epoch)
}

async fn epoch(node: &mut Node, admin: &str) -> Finding {
    let before = node.current_epoch().await.map_err(status)?;
    let now = advance(admin).await?;
    expect(now > before, format!("epoch {before}, then {now}"))?;
    expect(node.current_epoch().await.map_err(status)? >= now, "the state lags behind")
}

async fn registration(node: &mut Node, faucet: &str, admin: &str, target: &Target) -> Finding {
    use pb::execution_error::ExecutionErrorKind as Kind;
    let key = funded(faucet).await?;
    let url = example_url();
    let weights = Commitment::of("encrypted weights");
    let model = commit(SHANNONS_PER_SOMA, 500, &url, weights);
    let model_id = model.model_id;
    let outcome = send(node, &key, TransactionKind::CommitModel(model)).await?;
    expect(outcome.is_success(), format!("commit: {:?}", outcome.failure()))?;

    let parameters =
        node.epoch(None, &["system_state.parameters", "epoch"]).await.map_err(status)?;
    let parameters = present("system_state", parameters.system_state)?.parameters;
    let dimension = present("parameters", parameters)?.target_embedding_dim.unwrap_or_default();
    let reveal = |url: &WeightsUrl, checksum: Checksum, dimension: u64| {
        TransactionKind::RevealModel(RevealModel {
            model_id,
            weights_manifest: ModelWeightsManifest {
                manifest: Manifest::new(url.clone(), checksum, 17),
                decryption_key: DecryptionKey::new([7; 32]),
            },
            embedding: Tensor::vector(&vec![0.5; usize::try_from(dimension).unwrap_or_default()]),
        })
    };
    let right = reveal(&url, weights.into(), dimension);

    let outcome = send(node, &key, right.clone()).await?;
    expect_eq("reveal in the commit epoch", outcome.failure(), Kind::ModelRevealEpochMismatch)?;
    advance(admin).await?;
    let other: WeightsUrl = "https://weights.example.com/other".parse().map_err(|_| "bad URL")?;
    let outcome = send(node, &key, reveal(&other, weights.into(), dimension)).await?;
    expect_eq("reveal of another URL", outcome.failure(), Kind::ModelWeightsUrlMismatch)?;
    let thief = funded(faucet).await?;
    let outcome = send(node, &thief, right.clone()).await?;
    expect_eq("reveal by another owner", outcome.failure(), Kind::NotModelOwner)?;
    let wrong = reveal(&url, Checksum::new([1; 32]), dimension);
    let outcome = if target.reference {
        // The public network never compares the checksum. It takes an embedding
        // of any length too, but its validators stop at the next epoch then.
        send(node, &key, wrong).await?
    } else {
        let outcome = send(node, &key, wrong).await?;
        expect_eq("reveal of another checksum (L-14)", outcome.failure(), Kind::InvalidArguments)?;
        let outcome = send(node, &key, reveal(&url, weights.into(), dimension + 1)).await?;
        let expected = Kind::EmbeddingDimensionMismatch;
        expect_eq("reveal of a longer embedding (L-14)", outcome.failure(), expected)?;
        send(node, &key, right.clone()).await?
    };
    expect(outcome.is_success(), format!("reveal: {:?}", outcome.failure()))?;
    expect_eq("fee of the reveal", outcome.total_fee(), 1_600)?;
    let outcome = send(node, &key, right).await?;
    expect_eq("second reveal", outcome.failure(), Kind::ModelNotPending)?;

    let outcome = send(node, &thief, TransactionKind::DeactivateModel { model_id }).await?;
    expect_eq("deactivation by another owner", outcome.failure(), Kind::NotModelOwner)?;
    let outcome = send(node, &key, TransactionKind::DeactivateModel { model_id }).await?;
    expect(outcome.is_success(), format!("deactivate: {:?}", outcome.failure()))
}
