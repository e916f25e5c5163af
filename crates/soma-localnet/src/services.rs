//! The three small services beside the RPC port: faucet, admin and the scoring
//! stub. Their messages are BCS.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use soma_ledger::Rejection;
use soma_proto::grpc::bcs::{
    AdvanceEpochRequest, AdvanceEpochResponse, FAUCET_SUCCESS, GasCoinInfo, GasRequest,
    GasResponse, HealthRequest, HealthResponse, admin_server, faucet_server, scoring_server,
};
use soma_proto::{
    Address, KeyPair, ObjectRef, ObjectType, SHANNONS_PER_SOMA, TransactionData, TransactionKind,
};
use tokio::sync::Mutex;
use tonic::{Request, Response, Status};

use crate::executor::{Executor, Refused};
use crate::store::{OwnedKey, Store};

/// What a request to the faucet pays, in shannons.
pub const FAUCET_AMOUNT: u64 = 2 * SHANNONS_PER_SOMA;
/// How long an epoch change may take before the caller is told that it did not.
const ADVANCE_TIMEOUT: Duration = Duration::from_secs(120);

/// `/faucet.Faucet/RequestGas`.
pub(crate) fn faucet(executor: Executor, store: Arc<Store>, key: KeyPair) -> Router {
    let faucet = Faucet { executor, store, key: Mutex::new(key) };
    let service = faucet_server::FaucetServer::new(faucet);
    Router::new().route_service("/faucet.Faucet/{method}", service)
}

/// `/admin.Admin/AdvanceEpoch`.
pub(crate) fn admin(executor: Executor) -> Router {
    let service = admin_server::AdminServer::new(Admin { executor });
    Router::new().route_service("/admin.Admin/{method}", service)
}

/// `/scoring.Scoring/Health`; any other method, `Score` too, is UNIMPLEMENTED.
pub(crate) fn scoring() -> Router {
    let service = scoring_server::ScoringServer::new(Scoring);
    Router::new().route_service("/scoring.Scoring/{method}", service)
}

struct Faucet {
    executor: Executor,
    store: Arc<Store>,
    /// Locked while a request is served: two at once would spend one coin (L-18).
    key: Mutex<KeyPair>,
}

#[tonic::async_trait]
impl faucet_server::Faucet for Faucet {
    async fn request_gas(
        &self,
        request: Request<GasRequest>,
    ) -> Result<Response<GasResponse>, Status> {
        let text = request.into_inner().recipient;
        let recipient: Address = text
            .parse()
            .map_err(|error| Status::invalid_argument(format!("Invalid address: {error}")))?;
        let key = self.key.lock().await;
        let coin = self.largest_coin(key.address())?;
        let kind = TransactionKind::PayCoins {
            coins: vec![coin],
            amounts: Some(vec![FAUCET_AMOUNT]),
            recipients: vec![recipient],
        };
        let transaction = TransactionData::new(kind, key.address(), vec![coin]).sign(&key);
        let executed =
            self.executor.execute(transaction).await.map_err(|refused| match refused {
                Refused::Rejected(rejection) => internal(&rejection),
                Refused::Unavailable(reason) => Status::internal(reason),
            })?;
        if let Some(failure) = executed.effects.failure() {
            return Err(Status::internal(format!("the transfer failed: {failure}")));
        }
        let coins_sent = executed
            .effects
            .created()
            .map(|coin| GasCoinInfo {
                amount: FAUCET_AMOUNT,
                id: coin.reference.id().to_string(),
                transfer_tx_digest: executed.signed.digest().to_string(),
            })
            .collect();
        Ok(Response::new(GasResponse { status: FAUCET_SUCCESS.to_owned(), coins_sent }))
    }
}

impl Faucet {
    fn largest_coin(&self, owner: Address) -> Result<ObjectRef, Status> {
        let find = || {
            let snapshot = self.store.snapshot()?;
            let coin = Some(ObjectType::Coin);
            let keys = OwnedKey::first(&owner, coin)..=OwnedKey::last(&owner, coin);
            match snapshot.owned(keys, 1)?.first() {
                Some(key) => snapshot.object(&key.id()),
                None => Ok(None),
            }
        };
        let coin = find().map_err(|error: crate::Error| Status::internal(error.to_string()))?;
        coin.map(|coin| coin.reference())
            .ok_or_else(|| Status::internal("the faucet has no money left"))
    }
}

fn internal(rejection: &Rejection) -> Status {
    Status::internal(format!("the transfer was rejected: {rejection}"))
}

struct Admin {
    executor: Executor,
}

#[tonic::async_trait]
impl admin_server::Admin for Admin {
    async fn advance_epoch(
        &self,
        _request: Request<AdvanceEpochRequest>,
    ) -> Result<Response<AdvanceEpochResponse>, Status> {
        match tokio::time::timeout(ADVANCE_TIMEOUT, self.executor.advance_epoch()).await {
            Ok(Ok(epoch)) => Ok(Response::new(AdvanceEpochResponse { epoch })),
            Ok(Err(Refused::Rejected(rejection))) => Err(Status::internal(rejection.to_string())),
            Ok(Err(Refused::Unavailable(reason))) => Err(Status::internal(reason)),
            Err(_) => Err(Status::deadline_exceeded("the epoch did not end within 120 s")),
        }
    }
}

struct Scoring;

#[tonic::async_trait]
impl scoring_server::Scoring for Scoring {
    async fn health(
        &self,
        _request: Request<HealthRequest>,
    ) -> Result<Response<HealthResponse>, Status> {
        Ok(Response::new(HealthResponse { ok: true }))
    }
}
