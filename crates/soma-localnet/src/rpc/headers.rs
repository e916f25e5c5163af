//! The `x-soma-*` headers that every answer of the RPC port carries.

use axum::extract::State;
use axum::response::Response;
use http::HeaderValue;
use soma_proto::grpc::convert::timestamp;

use super::{CHAIN_NAME, Node, SERVER};

/// Adds them. In a stream they tell of the moment when it was opened.
pub(super) async fn add(State(node): State<Node>, mut response: Response) -> Response {
    let head = node.executor.head();
    let [a, b, c, d, ..] = *node.chain_id.inner();
    let values = [
        ("x-soma-chain-id", format!("{a:02x}{b:02x}{c:02x}{d:02x}")),
        ("x-soma-chain", CHAIN_NAME.to_owned()),
        ("x-soma-epoch", head.epoch.to_string()),
        ("x-soma-checkpoint-height", head.height.to_string()),
        ("x-soma-timestamp-ms", head.timestamp_ms.to_string()),
        ("x-soma-timestamp", timestamp(head.timestamp_ms).to_string()),
        ("x-soma-lowest-available-checkpoint", "0".to_owned()),
        ("x-soma-lowest-available-checkpoint-objects", "0".to_owned()),
        ("server", SERVER.to_owned()),
    ];
    for (name, value) in values {
        if let Ok(value) = HeaderValue::try_from(value) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}
