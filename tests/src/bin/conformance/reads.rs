//! Checks that only read, and need no money.

use soma_proto::grpc::mask::field_mask;
use soma_proto::grpc::pb;
use soma_proto::{Address, CheckpointDigest, ObjectId};
use tonic::Code;

use crate::node::Node;
use crate::report::{Finding, Report, expect, expect_eq, present, refused, status};

/// Runs them all.
pub(crate) async fn run(node: &mut Node, report: &mut Report) {
    report.record("service info names chain, version and height", service_info(node).await);
    report.record("balance of an unknown address is an explicit zero", zero_balance(node).await);
    report.record("balance refuses a malformed address", bad_address(node).await);
    report.record("object without a mask has id, version and digest", default_mask(node).await);
    report.record("object with an empty mask is empty", empty_mask(node).await);
    report.record("path owner.kind selects the whole owner", owner_kind(node).await);
    report.record("an unknown path is refused by name", bogus_path(node).await);
    report.record("the path * selects everything", star(node).await);
    report.record("an unknown object is not found", unknown_object(node).await);
    report.record("batches report errors item by item", batch(node).await);
    report.record("an unknown transaction is not found", unknown_transaction(node).await);
    report.record("object types are case-sensitive", object_type(node).await);
    report.record("an empty page token is refused", empty_token(node).await);
    report.record("checkpoint 0 has no predecessor and no fees", genesis(node).await);
    report.record("the newest checkpoint links to the one before", links(node).await);
    report.record("certificates decode", certificate(node).await);
    report.record("the epoch has protocol version and attributes", protocol(node).await);
    report.record("the system state is complete", system_state(node).await);
    report.record("an epoch far ahead is echoed", far_epoch(node).await);
    report.record("subscription headers come before any checkpoint", subscription(node).await);
    report.record("unknown targets and challenges are not found", targets(node).await);
}

async fn service_info(node: &mut Node) -> Finding {
    let info = node.ledger.get_service_info(pb::GetServiceInfoRequest {}).await.map_err(status)?;
    let info = info.into_inner();
    present("chain_id", info.chain_id)?
        .parse::<CheckpointDigest>()
        .map_err(|e| format!("chain_id: {e}"))?;
    expect(!present("chain", info.chain)?.is_empty(), "chain is empty")?;
    let server = present("server", info.server)?;
    expect(server.ends_with("/0.1.0"), format!("server is {server:?}"))?;
    present("epoch", info.epoch)?;
    present("checkpoint_height", info.checkpoint_height)?;
    present("timestamp", info.timestamp)?;
    present("lowest_available_checkpoint", info.lowest_available_checkpoint).map(drop)
}

async fn zero_balance(node: &mut Node) -> Finding {
    let owner = Some(Address::random().to_string());
    let answer = node.state.get_balance(pb::GetBalanceRequest { owner }).await.map_err(status)?;
    expect_eq("balance", answer.into_inner().balance, Some(0))
}

async fn bad_address(node: &mut Node) -> Finding {
    for owner in [None, Some("0xzz".to_owned()), Some("ab".to_owned())] {
        let request = pb::GetBalanceRequest { owner };
        refused(node.state.get_balance(request).await, Code::InvalidArgument)?;
    }
    Ok(())
}

async fn system_object(node: &mut Node, paths: Option<&[&str]>) -> Result<pb::Object, String> {
    let request = pb::GetObjectRequest {
        object_id: Some(ObjectId::SYSTEM_STATE.to_string()),
        version: None,
        read_mask: paths.map(field_mask),
    };
    let answer = node.ledger.get_object(request).await.map_err(status)?;
    present("object", answer.into_inner().object)
}

async fn default_mask(node: &mut Node) -> Finding {
    let object = system_object(node, None).await?;
    present("object_id", object.object_id.as_ref())?;
    present("version", object.version)?;
    present("digest", object.digest.as_ref())?;
    expect(object.owner.is_none() && object.contents.is_none(), "more fields than the default")
}

async fn empty_mask(node: &mut Node) -> Finding {
    expect_eq("object", system_object(node, Some(&[])).await?, pb::Object::default())
}

async fn owner_kind(node: &mut Node) -> Finding {
    let object = system_object(node, Some(&["owner.kind"])).await?;
    let owner = present("owner", object.owner)?;
    expect_eq("owner.version", owner.version, Some(1))?;
    expect(object.object_id.is_none(), "object_id was not asked for")
}

async fn bogus_path(node: &mut Node) -> Finding {
    let request = pb::GetObjectRequest {
        object_id: Some(ObjectId::SYSTEM_STATE.to_string()),
        version: None,
        read_mask: Some(field_mask(&["bogus"])),
    };
    match node.ledger.get_object(request).await {
        Ok(_) => Err("the call succeeded".to_owned()),
        Err(status) => {
            expect_eq("code", status.code(), Code::InvalidArgument)?;
            expect_eq("message", status.message(), "invalid read_mask path: bogus")
        }
    }
}

async fn star(node: &mut Node) -> Finding {
    let object = system_object(node, Some(&["*"])).await?;
    present("contents", object.contents)?;
    present("owner", object.owner)?;
    present("previous_transaction", object.previous_transaction).map(drop)
}

async fn unknown_object(node: &mut Node) -> Finding {
    let request = pb::GetObjectRequest {
        object_id: Some(ObjectId::random().to_string()),
        ..Default::default()
    };
    refused(node.ledger.get_object(request).await, Code::NotFound)?;
    refused(node.ledger.get_object(pb::GetObjectRequest::default()).await, Code::InvalidArgument)
}

async fn batch(node: &mut Node) -> Finding {
    let one = |id: ObjectId| pb::GetObjectRequest {
        object_id: Some(id.to_string()),
        ..Default::default()
    };
    let requests = vec![one(ObjectId::SYSTEM_STATE), one(ObjectId::random())];
    let request = pb::BatchGetObjectsRequest { requests, read_mask: None };
    let answer = node.ledger.batch_get_objects(request).await.map_err(status)?.into_inner();
    match answer.objects.as_slice() {
        [found, missing] => {
            use pb::get_object_result::Result::{Error, Object};
            expect(matches!(found.result, Some(Object(_))), "the first item is no object")?;
            match &missing.result {
                Some(Error(error)) => expect_eq("code", error.code, Code::NotFound as i32),
                other => Err(format!("the second item is {other:?}")),
            }
        }
        other => Err(format!("{} items for 2 requests", other.len())),
    }
}

async fn unknown_transaction(node: &mut Node) -> Finding {
    let ask = |digest: &str| pb::GetTransactionRequest {
        digest: Some(digest.to_owned()),
        read_mask: None,
    };
    let nobody = "4vJ9JU1bJJE96FWSJKvHsmmFADCg4gpZQff4P3bkLKi";
    refused(node.ledger.get_transaction(ask(nobody)).await, Code::NotFound)?;
    refused(node.ledger.get_transaction(ask("0O")).await, Code::InvalidArgument)
}

fn owned(address: Address) -> pb::ListOwnedObjectsRequest {
    pb::ListOwnedObjectsRequest { owner: Some(address.to_string()), ..Default::default() }
}

async fn object_type(node: &mut Node) -> Finding {
    let mut request = owned(Address::random());
    request.object_type = Some("Coin".to_owned());
    let answer = node.state.list_owned_objects(request.clone()).await.map_err(status)?;
    let answer = answer.into_inner();
    expect(answer.objects.is_empty() && answer.next_page_token.is_none(), "not an empty page")?;
    request.object_type = Some("coin".to_owned());
    refused(node.state.list_owned_objects(request).await, Code::InvalidArgument)
}

async fn empty_token(node: &mut Node) -> Finding {
    let mut request = owned(Address::random());
    request.page_token = Some(Vec::new());
    refused(node.state.list_owned_objects(request).await, Code::InvalidArgument)
}

async fn checkpoint(
    node: &mut Node,
    number: Option<u64>,
    paths: &[&str],
) -> Result<pb::Checkpoint, String> {
    use pb::get_checkpoint_request::CheckpointId;
    let request = pb::GetCheckpointRequest {
        checkpoint_id: number.map(CheckpointId::SequenceNumber),
        read_mask: Some(field_mask(paths)),
    };
    let answer = node.ledger.get_checkpoint(request).await.map_err(status)?;
    present("checkpoint", answer.into_inner().checkpoint)
}

async fn genesis(node: &mut Node) -> Finding {
    let first = checkpoint(node, Some(0), &["summary", "signature"]).await?;
    let summary = present("summary", first.summary)?;
    expect(summary.previous_digest.is_none(), "it has a previous digest")?;
    expect_eq("epoch", summary.epoch, Some(0))?;
    expect_eq("transactions", summary.total_network_transactions, Some(1))?;
    let fees = present("fees", summary.epoch_rolling_transaction_fees)?;
    expect_eq("total fee", fees.total_fee, Some(0))
}

async fn links(node: &mut Node) -> Finding {
    let newest = checkpoint(node, None, &["sequence_number", "summary"]).await?;
    let number = present("sequence_number", newest.sequence_number)?;
    let Some(before) = number.checked_sub(1) else { return Ok(()) };
    let previous = checkpoint(node, Some(before), &["digest"]).await?;
    let summary = present("summary", newest.summary)?;
    expect_eq("previous digest", summary.previous_digest, previous.digest)
}

async fn certificate(node: &mut Node) -> Finding {
    let newest = checkpoint(node, None, &["summary", "signature"]).await?;
    let signature = present("signature", newest.signature)?;
    expect_eq("epoch", signature.epoch, present("summary", newest.summary)?.epoch)?;
    let bytes = present("signature bytes", signature.signature)?;
    soma_proto::bls::BlsSignature::from_bytes(&bytes).map_err(|e| e.to_string())?;
    expect(!signature.bitmap.is_empty(), "nobody signed")
}

async fn protocol(node: &mut Node) -> Finding {
    let epoch = node.epoch(None, &["epoch", "protocol_config"]).await.map_err(status)?;
    present("epoch", epoch.epoch)?;
    let config = present("protocol_config", epoch.protocol_config)?;
    expect_eq("protocol version", config.protocol_version, Some(1))?;
    let architecture = config.attributes.get("model_architecture_version").map(String::as_str);
    expect_eq("model_architecture_version", architecture, Some("1"))?;
    let stake = config.attributes.get("model_min_stake").map(String::as_str);
    expect_eq("model_min_stake", stake, Some("1000000000"))
}

async fn system_state(node: &mut Node) -> Finding {
    let epoch = node.epoch(None, &["system_state", "epoch"]).await.map_err(status)?;
    let message = present("system_state", epoch.system_state)?;
    let state = soma_proto::system_state::SystemState::try_from(message);
    let state = state.map_err(|e| e.to_string())?;
    let state = state.v1();
    let power: u64 = state.validators.validators.iter().map(|one| one.voting_power).sum();
    expect_eq("sum of voting powers", power, 10_000)?;
    expect(state.parameters.target_embedding_dim > 0, "no embedding length")
}

async fn far_epoch(node: &mut Node) -> Finding {
    let far = u64::from(u32::MAX);
    let epoch = node.epoch(Some(far), &["epoch"]).await.map_err(status)?;
    expect_eq("epoch", epoch.epoch, Some(far))?;
    refused(node.epoch(Some(far), &["committee"]).await, Code::NotFound)
}

async fn subscription(node: &mut Node) -> Finding {
    let request = pb::SubscribeCheckpointsRequest { read_mask: None };
    let headers = node.subscription.subscribe_checkpoints(request);
    match tokio::time::timeout(std::time::Duration::from_secs(5), headers).await {
        Ok(answer) => answer.map(drop).map_err(status),
        Err(_) => Err("no headers within 5 s".to_owned()),
    }
}

async fn targets(node: &mut Node) -> Finding {
    let target_id = Some(ObjectId::random().to_string());
    let request = pb::GetTargetRequest { target_id, read_mask: None };
    refused(node.state.get_target(request).await, Code::NotFound)?;
    let challenge_id = Some(ObjectId::random().to_string());
    let request = pb::GetChallengeRequest { challenge_id, read_mask: None };
    refused(node.state.get_challenge(request).await, Code::NotFound)
}
