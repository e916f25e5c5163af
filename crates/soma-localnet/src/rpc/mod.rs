//! The RPC port: everything a client asks a node.
//!
//! Reads go to a snapshot of the database, writes to the executor. What an
//! answer holds follows the read mask of the request.

mod execution;
mod headers;
mod ledger;
mod registry;
mod state;
mod subscription;
mod view;

use std::sync::Arc;

use axum::Router;
use axum::middleware::map_response_with_state;
use http::Method;
use soma_proto::CheckpointDigest;
use soma_proto::grpc::ext::registry_service_server::RegistryServiceServer;
use soma_proto::grpc::pb::ledger_service_server::LedgerServiceServer;
use soma_proto::grpc::pb::state_service_server::StateServiceServer;
use soma_proto::grpc::pb::subscription_service_server::SubscriptionServiceServer;
use soma_proto::grpc::pb::transaction_execution_service_server::TransactionExecutionServiceServer;
use soma_proto::grpc::{FILE_DESCRIPTOR_SET, status};
use tonic::codec::CompressionEncoding;
use tonic::{Code, Status};
use tonic_health::ServingStatus;
use tonic_web::GrpcWebLayer;
use tower::Layer as _;
use tower_http::cors::{Any, CorsLayer};

use crate::Error;
use crate::executor::Executor;
use crate::hub::Hub;
use crate::store::{Snapshot, Store};

/// The chain's name.
pub(crate) const CHAIN_NAME: &str = "localnet";
/// Software and version; clients compare what follows the slash with theirs.
pub(crate) const SERVER: &str = "soma-node/0.1.0";
/// Entries of a page if the request names no number, and at most.
const DEFAULT_PAGE: u32 = 50;
const MAX_PAGE: u32 = 1000;
/// Bytes of encoded entries after which a page ends early.
const PAGE_BYTES: usize = 512 << 10;

/// What the services work with.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) store: Arc<Store>,
    pub(crate) executor: Executor,
    pub(crate) hub: Arc<Hub>,
    pub(crate) chain_id: CheckpointDigest,
}

impl Node {
    fn snapshot(&self) -> Result<Snapshot, Status> {
        self.store.snapshot().map_err(failure)
    }
}

/// All services of the RPC port.
///
/// An unknown service is a plain 404, an unknown method of a known service is
/// UNIMPLEMENTED; clients tell a missing service by the former.
pub(crate) async fn router(node: Node) -> Router {
    let web = GrpcWebLayer::new();
    let state = StateServiceServer::new(node.clone()).send_compressed(CompressionEncoding::Zstd);
    let (health, health_service) = tonic_health::server::health_reporter();
    for name in [
        "soma.rpc.LedgerService",
        "soma.rpc.StateService",
        "soma.rpc.TransactionExecutionService",
        "soma.rpc.SubscriptionService",
    ] {
        health.set_service_status(name, ServingStatus::Serving).await;
    }
    let reflection = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    const REFLECTION: &str = "the descriptors were written by our own code generator";
    let reflection_v1 = reflection().build_v1().expect(REFLECTION);
    let reflection_v1alpha = reflection().build_v1alpha().expect(REFLECTION);

    let cors = CorsLayer::new()
        .allow_origin(Any)
        .allow_headers(Any)
        .expose_headers(Any)
        .allow_methods([Method::GET, Method::POST]);
    Router::new()
        .route_service(
            "/soma.rpc.LedgerService/{method}",
            web.layer(LedgerServiceServer::new(node.clone())),
        )
        .route_service("/soma.rpc.StateService/{method}", web.layer(state))
        .route_service(
            "/soma.rpc.TransactionExecutionService/{method}",
            web.layer(TransactionExecutionServiceServer::new(node.clone())),
        )
        .route_service(
            "/soma.rpc.SubscriptionService/{method}",
            web.layer(SubscriptionServiceServer::new(node.clone())),
        )
        .route_service(
            "/soma.ext.RegistryService/{method}",
            web.layer(RegistryServiceServer::new(node.clone())),
        )
        .route_service("/grpc.health.v1.Health/{method}", web.layer(health_service))
        .route_service("/grpc.reflection.v1.ServerReflection/{method}", web.layer(reflection_v1))
        .route_service(
            "/grpc.reflection.v1alpha.ServerReflection/{method}",
            web.layer(reflection_v1alpha),
        )
        .layer(map_response_with_state(node, headers::add))
        .layer(cors)
}

/// What a client sees when the node itself is at fault.
fn failure(error: Error) -> Status {
    match error {
        Error::Stopped => Status::unavailable("the network is stopping"),
        other => {
            tracing::error!(error = %other, "request failed");
            status::status(Code::Internal, other.to_string())
        }
    }
}

fn not_found(what: impl Into<String>) -> Status {
    status::status(Code::NotFound, what)
}

/// The number of entries that a page may have.
fn page_size(requested: Option<u32>) -> usize {
    requested.unwrap_or(DEFAULT_PAGE).clamp(1, MAX_PAGE) as usize
}
