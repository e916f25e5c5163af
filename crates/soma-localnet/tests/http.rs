//! What goes on below gRPC: headers, paths, browsers, health, reflection,
//! compression.

mod common;

use common::{Clients, config};
use soma_localnet::LocalNet;
use soma_proto::grpc::pb;
use soma_proto::grpc::pb::state_service_client::StateServiceClient;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tonic::Code;
use tonic::codec::CompressionEncoding;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

/// One HTTP/1.1 exchange; gives the status and the whole answer.
async fn exchange(network: &LocalNet, request: &[u8]) -> (u16, Vec<u8>) {
    let address = network.rpc_url().unwrap().strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    let status = std::str::from_utf8(&answer[9..12]).unwrap().parse().unwrap();
    (status, answer)
}

fn post(path: &str, fields: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {}\r\n{fields}\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

const INFO: &str = "/soma.rpc.LedgerService/GetServiceInfo";

#[tokio::test]
async fn every_answer_tells_of_the_chain() {
    let network = LocalNet::start(config()).await.unwrap();
    let mut clients = Clients::of(&network).await;
    network.advance_epoch().await.unwrap();
    let answer = clients.ledger.get_service_info(pb::GetServiceInfoRequest {}).await.unwrap();
    let headers = answer.metadata().clone();
    let text = |name: &str| headers.get(name).unwrap().to_str().unwrap().to_owned();
    let id = network.chain_id().into_inner();
    let short = format!("{:02x}{:02x}{:02x}{:02x}", id[0], id[1], id[2], id[3]);
    assert_eq!(text("x-soma-chain-id"), short);
    assert_eq!(text("x-soma-chain"), "localnet");
    assert_eq!((text("x-soma-epoch"), text("x-soma-checkpoint-height")), ("0".into(), "1".into()));
    assert_eq!(text("server"), "soma-node/0.1.0");
    assert_eq!(text("x-soma-lowest-available-checkpoint"), "0");
    assert_eq!(text("x-soma-lowest-available-checkpoint-objects"), "0");
    let milliseconds: u64 = text("x-soma-timestamp-ms").parse().unwrap();
    let time = answer.into_inner().timestamp.unwrap();
    assert_eq!(soma_proto::grpc::convert::parse_timestamp(&time).unwrap(), milliseconds);
    let rfc3339 = text("x-soma-timestamp");
    let expected = if milliseconds.is_multiple_of(1000) { 20 } else { 24 };
    assert!(rfc3339.ends_with('Z') && rfc3339.len() == expected, "{rfc3339}");

    // Errors and streams carry them too.
    let refused = clients.ledger.get_object(pb::GetObjectRequest::default()).await.unwrap_err();
    assert!(refused.metadata().contains_key("x-soma-chain-id"));
    let stream = clients
        .subscription
        .subscribe_checkpoints(pb::SubscribeCheckpointsRequest::default())
        .await
        .unwrap();
    assert_eq!(stream.metadata().get("x-soma-checkpoint-height").unwrap(), "1");
    network.shutdown().await.unwrap();
}

#[tokio::test]
async fn unknown_services_are_404_and_unknown_methods_unimplemented() {
    let network = LocalNet::start(config()).await.unwrap();
    let (status, answer) = exchange(&network, &post("/soma.rpc.Nonsense/Call", "", b"")).await;
    assert_eq!(status, 404);
    assert!(!String::from_utf8_lossy(&answer).contains("grpc-status"));

    let channel = common::channel(network.rpc_url().unwrap()).await;
    let mut grpc = tonic::client::Grpc::new(channel);
    for path in ["/soma.rpc.LedgerService/Nonsense", "/soma.rpc.Nonsense/Call"] {
        grpc.ready().await.unwrap();
        let codec = tonic_prost::ProstCodec::<(), ()>::default();
        let path = http::uri::PathAndQuery::from_static(path);
        let refused = grpc.unary(tonic::Request::new(()), path, codec).await.unwrap_err();
        assert_eq!(refused.code(), Code::Unimplemented, "{refused}");
    }
    network.shutdown().await.unwrap();
}

#[tokio::test]
async fn browsers_are_served() {
    let network = LocalNet::start(config()).await.unwrap();
    // An empty request in a frame: flag and length.
    let frame = [0u8; 5];
    let web = "content-type: application/grpc-web+proto\r\norigin: http://example.com\r\n";
    let (status, answer) = exchange(&network, &post(INFO, web, &frame)).await;
    let text = String::from_utf8_lossy(&answer).to_lowercase();
    assert_eq!(status, 200);
    assert!(text.contains("content-type: application/grpc-web+proto"), "{text}");
    assert!(text.contains("access-control-allow-origin: *"), "{text}");
    assert!(text.contains("localnet") && text.contains("grpc-status:0"), "{text}");

    let (status, _) = exchange(&network, &post(INFO, "content-type: text/plain\r\n", &frame)).await;
    assert_eq!(status, 400);
    let get = format!(
        "GET {INFO} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/grpc-web\r\n\r\n"
    );
    assert_eq!(exchange(&network, get.as_bytes()).await.0, 405);
    let preflight = format!(
        "OPTIONS {INFO} HTTP/1.1\r\nhost: x\r\nconnection: close\r\norigin: http://example.com\r\n\
         access-control-request-method: POST\r\naccess-control-request-headers: x-grpc-web\r\n\r\n"
    );
    let (status, answer) = exchange(&network, preflight.as_bytes()).await;
    let text = String::from_utf8_lossy(&answer).to_lowercase();
    assert_eq!(status, 200);
    assert!(text.contains("access-control-allow-methods: get,post"), "{text}");
    network.shutdown().await.unwrap();
}

#[tokio::test]
async fn health_and_reflection_answer() {
    let network = LocalNet::start(config()).await.unwrap();
    let channel = common::channel(network.rpc_url().unwrap()).await;
    let mut health = HealthClient::new(channel.clone());
    for service in [
        "",
        "soma.rpc.LedgerService",
        "soma.rpc.StateService",
        "soma.rpc.TransactionExecutionService",
        "soma.rpc.SubscriptionService",
    ] {
        let request = HealthCheckRequest { service: service.to_owned() };
        let status = health.check(request).await.unwrap().into_inner().status;
        assert_eq!(status, 1, "{service} is serving");
    }
    let unknown = HealthCheckRequest { service: "nonsense".to_owned() };
    assert_eq!(health.check(unknown).await.unwrap_err().code(), Code::NotFound);

    use tonic_reflection::pb::v1::ServerReflectionRequest;
    use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
    use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
    use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
    let ask =
        |message| ServerReflectionRequest { host: String::new(), message_request: Some(message) };
    let requests = vec![
        ask(MessageRequest::ListServices(String::new())),
        ask(MessageRequest::FileContainingSymbol("soma.rpc.SystemState".to_owned())),
        ask(MessageRequest::FileContainingSymbol("google.rpc.Status".to_owned())),
        ask(MessageRequest::FileContainingSymbol("google.protobuf.Timestamp".to_owned())),
    ];
    let mut reflection = ServerReflectionClient::new(channel);
    let answers = reflection.server_reflection_info(futures::stream::iter(requests)).await.unwrap();
    let mut answers = answers.into_inner();
    let first = answers.message().await.unwrap().unwrap().message_response.unwrap();
    let MessageResponse::ListServicesResponse(list) = first else { panic!("{first:?}") };
    let names: Vec<_> = list.service.iter().map(|service| service.name.as_str()).collect();
    for name in ["soma.rpc.LedgerService", "soma.ext.RegistryService", "grpc.health.v1.Health"] {
        assert!(names.contains(&name), "{name} in {names:?}");
    }
    for _ in 0..3 {
        let answer = answers.message().await.unwrap().unwrap().message_response.unwrap();
        assert!(matches!(answer, MessageResponse::FileDescriptorResponse(_)), "{answer:?}");
    }
    network.shutdown().await.unwrap();
}

#[tokio::test]
async fn state_answers_are_compressed_for_those_who_accept_it() {
    let network = LocalNet::start(config()).await.unwrap();
    let channel = common::channel(network.rpc_url().unwrap()).await;
    let request = || pb::GetBalanceRequest { owner: Some("0x1".to_owned()) };
    let mut plain = StateServiceClient::new(channel.clone());
    let answer = plain.get_balance(request()).await.unwrap();
    assert!(!answer.metadata().contains_key("grpc-encoding"));
    let mut compressed =
        StateServiceClient::new(channel).accept_compressed(CompressionEncoding::Zstd);
    let answer = compressed.get_balance(request()).await.unwrap();
    assert_eq!(answer.metadata().get("grpc-encoding").unwrap(), "zstd");
    assert_eq!(answer.into_inner().balance, Some(0));
    network.shutdown().await.unwrap();
}
