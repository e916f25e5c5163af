//! Clients against servers in one process, without a connection.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use futures::executor::block_on;
use soma_proto::grpc::bcs::{
    AdvanceEpochRequest, AdvanceEpochResponse, FAUCET_SUCCESS, GasCoinInfo, GasRequest,
    GasResponse, HealthRequest, HealthResponse, admin_client, admin_server, faucet_client,
    faucet_server, scoring_client, scoring_server,
};
use tonic::codegen::{Service, http};
use tonic::{Code, Request, Response, Status, async_trait};

struct Node;

#[async_trait]
impl faucet_server::Faucet for Node {
    async fn request_gas(
        &self,
        request: Request<GasRequest>,
    ) -> Result<Response<GasResponse>, Status> {
        let recipient = request.into_inner().recipient;
        if recipient.is_empty() {
            return Err(Status::invalid_argument("Invalid address: empty"));
        }
        let coin = GasCoinInfo { amount: 2, id: "0x5".to_owned(), transfer_tx_digest: recipient };
        let status = FAUCET_SUCCESS.to_owned();
        Ok(Response::new(GasResponse { status, coins_sent: vec![coin] }))
    }
}

#[async_trait]
impl admin_server::Admin for Node {
    async fn advance_epoch(
        &self,
        _: Request<AdvanceEpochRequest>,
    ) -> Result<Response<AdvanceEpochResponse>, Status> {
        Ok(Response::new(AdvanceEpochResponse { epoch: 7 }))
    }
}

#[async_trait]
impl scoring_server::Scoring for Node {
    async fn health(&self, _: Request<HealthRequest>) -> Result<Response<HealthResponse>, Status> {
        Ok(Response::new(HealthResponse { ok: true }))
    }
}

/// Writes down path and content types of every call that passes.
#[derive(Clone)]
struct Watched<S> {
    inner: S,
    seen: Arc<Mutex<Vec<String>>>,
}

impl<S, B> Service<http::Request<B>> for Watched<S>
where
    S: Service<http::Request<B>, Response = http::Response<tonic::body::Body>, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = Infallible;
    type Future = tonic::codegen::BoxFuture<S::Response, Infallible>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        let content_type = |headers: &http::HeaderMap| {
            headers["content-type"].to_str().expect("content types are text").to_owned()
        };
        let seen = self.seen.clone();
        let line = format!("{} {}", request.uri().path(), content_type(request.headers()));
        let answer = self.inner.call(request);
        Box::pin(async move {
            let answer = answer.await?;
            let line = format!("{line} {}", content_type(answer.headers()));
            seen.lock().expect("nobody panics with the lock").push(line);
            Ok(answer)
        })
    }
}

fn watched<S>(inner: S) -> Watched<S> {
    Watched { inner, seen: Arc::default() }
}

#[test]
fn paths_and_content_types_are_those_of_the_network() {
    let faucet = watched(faucet_server::FaucetServer::new(Node));
    let request = GasRequest { recipient: "a".to_owned() };
    let response =
        block_on(faucet_client::FaucetClient::new(faucet.clone()).request_gas(request)).unwrap();
    assert_eq!(response.into_inner().coins_sent[0].transfer_tx_digest, "a");
    let line = "/faucet.Faucet/RequestGas application/grpc application/grpc";
    assert_eq!(*faucet.seen.lock().unwrap(), [line]);

    let admin = watched(admin_server::AdminServer::new(Node));
    let mut client = admin_client::AdminClient::new(admin.clone());
    let response = block_on(client.advance_epoch(AdvanceEpochRequest {})).unwrap();
    assert_eq!(response.into_inner(), AdvanceEpochResponse { epoch: 7 });
    let line = "/admin.Admin/AdvanceEpoch application/grpc application/grpc";
    assert_eq!(*admin.seen.lock().unwrap(), [line]);

    let scoring = watched(scoring_server::ScoringServer::new(Node));
    let mut client = scoring_client::ScoringClient::new(scoring.clone());
    assert!(block_on(client.health(HealthRequest {})).unwrap().into_inner().ok);
    let line = "/scoring.Scoring/Health application/grpc application/grpc";
    assert_eq!(*scoring.seen.lock().unwrap(), [line]);
}

#[test]
fn errors_come_through() {
    let server = faucet_server::FaucetServer::new(Node);
    let mut client = faucet_client::FaucetClient::new(server);
    let error = block_on(client.request_gas(GasRequest { recipient: String::new() })).unwrap_err();
    assert_eq!(error.code(), Code::InvalidArgument);
    assert_eq!(error.message(), "Invalid address: empty");
}
