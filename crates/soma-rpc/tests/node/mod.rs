//! A node in the test's own process that can be made to misbehave.
//!
//! Each call is answered by a function of the test, which hears how often the
//! call was made before. A call without a function is UNIMPLEMENTED.

#![allow(dead_code, reason = "not every suite needs everything")]

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use futures::future::BoxFuture;
use futures::stream::BoxStream;
use soma_proto::effects::{
    ExecutionStatus, TransactionEffects, TransactionEffectsV1, TransactionFee,
};
use soma_proto::grpc::{bcs, ext, pb};
use soma_proto::{
    Address, KeyPair, ObjectDigest, ObjectId, ObjectRef, SignedTransaction, TransactionData,
    TransactionDigest, TransactionKind,
};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::codec::CompressionEncoding::Zstd;
use tonic::{Request, Response, Status};

/// Answers the `n`-th call of its kind, counted from 0.
pub(crate) type Handler<Q, A> =
    Box<dyn Fn(usize, Q) -> BoxFuture<'static, Result<A, Status>> + Send + Sync>;

pub(crate) type Checkpoints = BoxStream<'static, Result<pb::SubscribeCheckpointsResponse, Status>>;

/// An answer that is ready at once.
pub(crate) fn now<Q: 'static, A: Send + 'static>(
    answer: impl Fn(usize, Q) -> Result<A, Status> + Send + Sync + 'static,
) -> Option<Handler<Q, A>> {
    Some(Box::new(move |n, request| {
        let answer = answer(n, request);
        Box::pin(async move { answer })
    }))
}

/// An answer that takes its time.
pub(crate) fn later<Q: 'static, A, F>(
    answer: impl Fn(usize, Q) -> F + Send + Sync + 'static,
) -> Option<Handler<Q, A>>
where
    F: Future<Output = Result<A, Status>> + Send + 'static,
{
    Some(Box::new(move |n, request| Box::pin(answer(n, request))))
}

#[derive(Default)]
pub(crate) struct Node {
    pub(crate) service_info: Option<Handler<pb::GetServiceInfoRequest, pb::GetServiceInfoResponse>>,
    pub(crate) objects: Option<Handler<pb::BatchGetObjectsRequest, pb::BatchGetObjectsResponse>>,
    pub(crate) object: Option<Handler<pb::GetObjectRequest, pb::GetObjectResponse>>,
    pub(crate) transaction: Option<Handler<pb::GetTransactionRequest, pb::GetTransactionResponse>>,
    pub(crate) checkpoint: Option<Handler<pb::GetCheckpointRequest, pb::GetCheckpointResponse>>,
    pub(crate) epoch: Option<Handler<pb::GetEpochRequest, pb::GetEpochResponse>>,
    pub(crate) owned: Option<Handler<pb::ListOwnedObjectsRequest, pb::ListOwnedObjectsResponse>>,
    pub(crate) balance: Option<Handler<pb::GetBalanceRequest, pb::GetBalanceResponse>>,
    pub(crate) execute:
        Option<Handler<pb::ExecuteTransactionRequest, pb::ExecuteTransactionResponse>>,
    pub(crate) simulate:
        Option<Handler<pb::SimulateTransactionRequest, pb::SimulateTransactionResponse>>,
    pub(crate) subscribe: Option<Handler<pb::SubscribeCheckpointsRequest, Checkpoints>>,
    pub(crate) model: Option<Handler<ext::GetModelRequest, ext::GetModelResponse>>,
    pub(crate) models: Option<Handler<ext::ListModelsRequest, ext::ListModelsResponse>>,
    pub(crate) pool: Option<Handler<ext::GetPoolRequest, ext::GetPoolResponse>>,
    pub(crate) gas: Option<Handler<bcs::GasRequest, bcs::GasResponse>>,
    pub(crate) advance: Option<Handler<bcs::AdvanceEpochRequest, bcs::AdvanceEpochResponse>>,
    /// Compresses answers of the state service, as the network does.
    pub(crate) zstd: bool,
    pub(crate) log: Log,
}

/// What the node was asked.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<Call>>>);

#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) name: &'static str,
    /// Paths of the read mask, if one was sent.
    pub(crate) mask: Option<Vec<String>>,
    pub(crate) authorization: Option<String>,
    pub(crate) accepts: Option<String>,
}

impl Log {
    pub(crate) fn calls(&self) -> Vec<Call> {
        self.0.lock().unwrap().clone()
    }

    pub(crate) fn names(&self) -> Vec<&'static str> {
        self.calls().iter().map(|call| call.name).collect()
    }

    pub(crate) fn count(&self, name: &str) -> usize {
        self.names().iter().filter(|found| **found == name).count()
    }

    /// The mask of the first call with this name.
    pub(crate) fn mask(&self, name: &str) -> Vec<String> {
        let calls = self.calls();
        let call = calls.iter().find(|call| call.name == name).expect("the call was made");
        call.mask.clone().expect("a mask was sent")
    }

    fn add(&self, call: Call) -> usize {
        let mut calls = self.0.lock().unwrap();
        calls.push(call);
        let name = calls[calls.len() - 1].name;
        calls.iter().filter(|call| call.name == name).count() - 1
    }
}

impl Node {
    async fn answer<Q, A>(
        &self,
        name: &'static str,
        mask: Option<Vec<String>>,
        handler: &Option<Handler<Q, A>>,
        request: Request<Q>,
    ) -> Result<Response<A>, Status> {
        let header =
            |name| request.metadata().get(name).map(|value| value.to_str().unwrap().to_owned());
        let (authorization, accepts) = (header("authorization"), header("grpc-accept-encoding"));
        let number = self.log.add(Call { name, mask, authorization, accepts });
        match handler {
            Some(handler) => handler(number, request.into_inner()).await.map(Response::new),
            None => Err(Status::unimplemented(format!("no {name} here"))),
        }
    }

    /// Serves on a free port of the loopback until the runtime ends.
    pub(crate) async fn start(self) -> Running {
        self.start_with(tonic::transport::Server::builder(), "http://127.0.0.1").await
    }

    pub(crate) async fn start_with(
        self,
        mut server: tonic::transport::Server,
        host: &str,
    ) -> Running {
        use bcs::{admin_server::AdminServer, faucet_server::FaucetServer};
        use ext::registry_service_server::RegistryServiceServer;
        use pb::ledger_service_server::LedgerServiceServer;
        use pb::state_service_server::StateServiceServer;
        use pb::subscription_service_server::SubscriptionServiceServer;
        use pb::transaction_execution_service_server::TransactionExecutionServiceServer;

        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let log = self.log.clone();
        let registry = self.model.is_some() || self.models.is_some() || self.pool.is_some();
        let zstd = self.zstd;
        let node = Arc::new(self);
        let mut state = StateServiceServer::from_arc(node.clone());
        if zstd {
            state = state.send_compressed(Zstd);
        }
        let router = server
            .add_service(LedgerServiceServer::from_arc(node.clone()))
            .add_service(state)
            .add_service(SubscriptionServiceServer::from_arc(node.clone()))
            .add_service(TransactionExecutionServiceServer::from_arc(node.clone()))
            .add_service(FaucetServer::from_arc(node.clone()))
            .add_service(AdminServer::from_arc(node.clone()))
            .add_optional_service(registry.then(|| RegistryServiceServer::from_arc(node)));
        tokio::spawn(router.serve_with_incoming(TcpListenerStream::new(listener)));
        Running { url: format!("{host}:{}", address.port()), address, log }
    }
}

pub(crate) struct Running {
    pub(crate) url: String,
    pub(crate) address: SocketAddr,
    pub(crate) log: Log,
}

impl Running {
    pub(crate) fn client(&self) -> soma_rpc::Client {
        soma_rpc::Client::new(&self.url).unwrap()
    }
}

/// A wire to the node that can be cut and is whole again for the next call.
pub(crate) struct Wire {
    pub(crate) url: String,
    cut: Arc<Notify>,
}

impl Wire {
    pub(crate) async fn to(address: SocketAddr, cut: Arc<Notify>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let cutter = cut.clone();
        tokio::spawn(async move {
            loop {
                let (mut near, _) = listener.accept().await.unwrap();
                let cut = cutter.clone();
                tokio::spawn(async move {
                    let mut far = TcpStream::connect(address).await.unwrap();
                    tokio::select! {
                        _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
                        () = cut.notified() => {}
                    }
                });
            }
        });
        Self { url, cut }
    }

    pub(crate) fn cut(&self) {
        self.cut.notify_waiters();
    }
}

/// A signed transaction; which one does not matter here.
pub(crate) fn transfer() -> SignedTransaction {
    let key = KeyPair::from_bytes([1; 32]);
    let coin = ObjectRef(ObjectId::new([7; 32]), 3, ObjectDigest::new([8; 32]));
    let kind =
        TransactionKind::TransferCoin { coin, amount: Some(5), recipient: Address::new([9; 32]) };
    TransactionData::new(kind, key.address(), vec![coin]).sign(&key)
}

/// Effects of a transaction that changed nothing.
pub(crate) fn effects(digest: TransactionDigest, status: ExecutionStatus) -> TransactionEffects {
    TransactionEffects::V1(TransactionEffectsV1 {
        status,
        executed_epoch: 4,
        transaction_fee: TransactionFee::new(1_000, 600, 0),
        transaction_digest: digest,
        gas_object_index: None,
        dependencies: Vec::new(),
        version: 4,
        changed_objects: Vec::new(),
        unchanged_shared_objects: Vec::new(),
    })
}

/// A transaction as Execute answers it: without checkpoint and time, and with
/// a digest that says nothing.
pub(crate) fn executed(digest: TransactionDigest) -> pb::ExecutedTransaction {
    let change = |address: [u8; 32], amount: &str| pb::BalanceChange {
        address: Some(Address::new(address).to_string()),
        amount: Some(amount.to_owned()),
    };
    pb::ExecutedTransaction {
        digest: Some("11111111111111111111111111111111".to_owned()),
        effects: Some((&effects(digest, ExecutionStatus::Success)).into()),
        balance_changes: vec![change([1; 32], "-1605"), change([9; 32], "5")],
        ..Default::default()
    }
}

/// The same with its checkpoint, as GetTransaction answers it.
pub(crate) fn checkpointed(digest: TransactionDigest, checkpoint: u64) -> pb::ExecutedTransaction {
    pb::ExecutedTransaction {
        digest: Some(digest.to_string()),
        checkpoint: Some(checkpoint),
        timestamp: Some(prost_types::Timestamp { seconds: 1_700_000_000, nanos: 5_000_000 }),
        ..executed(digest)
    }
}

/// A message of the stream with these transactions.
pub(crate) fn checkpoint(
    height: u64,
    transactions: &[TransactionDigest],
) -> pb::SubscribeCheckpointsResponse {
    let one = |digest: &TransactionDigest| pb::ExecutedTransaction {
        digest: Some(digest.to_string()),
        ..Default::default()
    };
    pb::SubscribeCheckpointsResponse {
        cursor: Some(height),
        checkpoint: Some(pb::Checkpoint {
            sequence_number: Some(height),
            summary: Some(pb::CheckpointSummary {
                timestamp: Some(prost_types::Timestamp { seconds: 1_600_000_000, nanos: 0 }),
                ..Default::default()
            }),
            transactions: transactions.iter().map(one).collect(),
            ..Default::default()
        }),
    }
}

fn mask(mask: &Option<prost_types::FieldMask>) -> Option<Vec<String>> {
    mask.as_ref().map(|mask| mask.paths.clone())
}

/// A service whose calls go to the functions of the test; those behind
/// an exclamation mark are needed by none.
macro_rules! service {
    ($service:path {
        $([$stream:ident = $item:ty])?
        $($call:ident($request:ty) -> $answer:ty, $name:literal, $handler:ident, $mask:expr;)*
        $(! $gone:ident($gone_request:ty) -> $gone_answer:ty;)*
    }) => {
        #[tonic::async_trait]
        impl $service for Node {
            $(type $stream = $item;)?
            $(async fn $call(&self, request: Request<$request>) -> Result<Response<$answer>, Status> {
                let mask: fn(&$request) -> Option<Vec<String>> = $mask;
                let mask = mask(request.get_ref());
                self.answer($name, mask, &self.$handler, request).await
            })*
            $(async fn $gone(&self, _: Request<$gone_request>) -> Result<Response<$gone_answer>, Status> {
                Err(Status::unimplemented(stringify!($gone)))
            })*
        }
    };
}

service!(pb::ledger_service_server::LedgerService {
    get_service_info(pb::GetServiceInfoRequest) -> pb::GetServiceInfoResponse, "GetServiceInfo", service_info, |_| None;
    get_object(pb::GetObjectRequest) -> pb::GetObjectResponse, "GetObject", object, |r| mask(&r.read_mask);
    get_transaction(pb::GetTransactionRequest) -> pb::GetTransactionResponse, "GetTransaction", transaction, |r| mask(&r.read_mask);
    get_checkpoint(pb::GetCheckpointRequest) -> pb::GetCheckpointResponse, "GetCheckpoint", checkpoint, |r| mask(&r.read_mask);
    get_epoch(pb::GetEpochRequest) -> pb::GetEpochResponse, "GetEpoch", epoch, |r| mask(&r.read_mask);
    batch_get_objects(pb::BatchGetObjectsRequest) -> pb::BatchGetObjectsResponse, "BatchGetObjects", objects, |r| mask(&r.read_mask);
    ! batch_get_transactions(pb::BatchGetTransactionsRequest) -> pb::BatchGetTransactionsResponse;
});

service!(pb::state_service_server::StateService {
    list_owned_objects(pb::ListOwnedObjectsRequest) -> pb::ListOwnedObjectsResponse, "ListOwnedObjects", owned, |r| mask(&r.read_mask);
    get_balance(pb::GetBalanceRequest) -> pb::GetBalanceResponse, "GetBalance", balance, |_| None;
    ! get_target(pb::GetTargetRequest) -> pb::GetTargetResponse;
    ! list_targets(pb::ListTargetsRequest) -> pb::ListTargetsResponse;
    ! get_challenge(pb::GetChallengeRequest) -> pb::GetChallengeResponse;
    ! list_challenges(pb::ListChallengesRequest) -> pb::ListChallengesResponse;
});

service!(pb::transaction_execution_service_server::TransactionExecutionService {
    execute_transaction(pb::ExecuteTransactionRequest) -> pb::ExecuteTransactionResponse, "ExecuteTransaction", execute, |r| mask(&r.read_mask);
    simulate_transaction(pb::SimulateTransactionRequest) -> pb::SimulateTransactionResponse, "SimulateTransaction", simulate, |r| mask(&r.read_mask);
});

service!(pb::subscription_service_server::SubscriptionService {
    [SubscribeCheckpointsStream = Checkpoints]
    subscribe_checkpoints(pb::SubscribeCheckpointsRequest) -> Checkpoints, "SubscribeCheckpoints", subscribe, |r| mask(&r.read_mask);
});

service!(ext::registry_service_server::RegistryService {
    get_model(ext::GetModelRequest) -> ext::GetModelResponse, "GetModel", model, |_| None;
    list_models(ext::ListModelsRequest) -> ext::ListModelsResponse, "ListModels", models, |_| None;
    get_pool(ext::GetPoolRequest) -> ext::GetPoolResponse, "GetPool", pool, |_| None;
});

service!(bcs::faucet_server::Faucet {
    request_gas(bcs::GasRequest) -> bcs::GasResponse, "RequestGas", gas, |_| None;
});

service!(bcs::admin_server::Admin {
    advance_epoch(bcs::AdvanceEpochRequest) -> bcs::AdvanceEpochResponse, "AdvanceEpoch", advance, |_| None;
});
