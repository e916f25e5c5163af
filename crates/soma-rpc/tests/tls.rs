//! `https` is verified: the control is a node whose authority we trust, then
//! the same node and an authority that nobody knows.

mod node;

use node::{Node, Running, now};
use soma_proto::Address;
use soma_proto::grpc::pb;
use soma_rpc::{ClientBuilder, Error};
use tonic::transport::{Identity, Server, ServerTlsConfig};

const AUTHORITY: &str = include_str!("data/authority.pem");

async fn secure_node() -> Running {
    let identity = Identity::from_pem(include_str!("data/node.pem"), include_str!("data/node.key"));
    let server = Server::builder().tls_config(ServerTlsConfig::new().identity(identity)).unwrap();
    let node = Node {
        balance: now(|_, _| Ok(pb::GetBalanceResponse { balance: Some(3) })),
        ..Node::default()
    };
    node.start_with(server, "https://127.0.0.1").await
}

#[tokio::test]
async fn a_trusted_authority() {
    let running = secure_node().await;
    let client = ClientBuilder::new(&running.url).with_root_certificate(AUTHORITY).build().unwrap();
    assert_eq!(client.balance(&Address::ZERO).await.unwrap(), 3);
}

#[tokio::test]
async fn an_unknown_authority() {
    let running = secure_node().await;
    let error = running.client().balance(&Address::ZERO).await.unwrap_err();
    assert!(matches!(error, Error::Transport { .. }), "{error}");
    assert!(error.to_string().contains("UnknownIssuer"), "{error}");
    assert!(running.log.names().is_empty());
}

#[tokio::test]
async fn another_name_than_the_certificates() {
    let running = secure_node().await;
    let url = running.url.replace("127.0.0.1", "127.0.0.2");
    let client = ClientBuilder::new(url).with_root_certificate(AUTHORITY).build().unwrap();
    let error = client.balance(&Address::ZERO).await.unwrap_err();
    assert!(matches!(error, Error::Transport { .. }), "{error}");
    assert!(running.log.names().is_empty());
}
