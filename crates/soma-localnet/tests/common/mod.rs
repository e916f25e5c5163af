//! A network for a test, and the plain clients of its services.
#![allow(dead_code, reason = "each test file uses a part")]

use std::sync::atomic::{AtomicU64, Ordering};

use soma_localnet::{LocalNet, LocalNetConfig, account_keys};
use soma_proto::grpc::convert::execute_request;
use soma_proto::grpc::mask::{FULL_OBJECT, field_mask};
use soma_proto::grpc::pb;
use soma_proto::grpc::pb::ledger_service_client::LedgerServiceClient;
use soma_proto::grpc::pb::state_service_client::StateServiceClient;
use soma_proto::grpc::pb::subscription_service_client::SubscriptionServiceClient;
use soma_proto::grpc::pb::transaction_execution_service_client::TransactionExecutionServiceClient;
use soma_proto::{
    Address, KeyPair, Object, ObjectRef, SignedTransaction, TransactionData, TransactionKind,
};
use tonic::Status;
use tonic::transport::Channel;

/// An hour, so that no epoch ends by itself during a test.
pub(crate) const LONG_EPOCH_MS: u64 = 3_600_000;

/// A temporary network with free ports and small embeddings.
pub(crate) fn config() -> LocalNetConfig {
    LocalNetConfig::new()
        .with_free_ports()
        .with_epoch_duration_ms(LONG_EPOCH_MS)
        .with_embedding_dim(16)
}

/// Clients of one network.
#[derive(Clone, Debug)]
pub(crate) struct Clients {
    pub(crate) channel: Channel,
    pub(crate) ledger: LedgerServiceClient<Channel>,
    pub(crate) state: StateServiceClient<Channel>,
    pub(crate) execution: TransactionExecutionServiceClient<Channel>,
    pub(crate) subscription: SubscriptionServiceClient<Channel>,
}

pub(crate) async fn channel(url: &str) -> Channel {
    Channel::from_shared(url.to_owned()).unwrap().connect().await.unwrap()
}

impl Clients {
    pub(crate) async fn of(network: &LocalNet) -> Self {
        let channel = channel(network.rpc_url().unwrap()).await;
        Self {
            ledger: LedgerServiceClient::new(channel.clone()),
            state: StateServiceClient::new(channel.clone()),
            execution: TransactionExecutionServiceClient::new(channel.clone()),
            subscription: SubscriptionServiceClient::new(channel.clone()),
            channel,
        }
    }

    pub(crate) async fn balance(&self, owner: Address) -> u64 {
        let request = pb::GetBalanceRequest { owner: Some(owner.to_string()) };
        let answer = self.state.clone().get_balance(request).await.unwrap().into_inner();
        answer.balance.expect("a balance is always written")
    }

    pub(crate) async fn coins(&self, owner: Address) -> Vec<Object> {
        let request = pb::ListOwnedObjectsRequest {
            owner: Some(owner.to_string()),
            object_type: Some("Coin".to_owned()),
            page_size: Some(1000),
            read_mask: Some(field_mask(FULL_OBJECT)),
            ..Default::default()
        };
        let answer = self.state.clone().list_owned_objects(request).await.unwrap().into_inner();
        answer.objects.into_iter().map(|object| object.try_into().unwrap()).collect()
    }

    /// The largest coin.
    pub(crate) async fn coin(&self, owner: Address) -> ObjectRef {
        self.coins(owner).await[0].reference()
    }

    pub(crate) async fn execute(
        &self,
        transaction: &SignedTransaction,
        mask: &[&str],
    ) -> Result<pb::ExecutedTransaction, Status> {
        let request = execute_request(transaction, mask).unwrap();
        let answer = self.execution.clone().execute_transaction(request).await?;
        Ok(answer.into_inner().transaction.unwrap())
    }

    pub(crate) async fn object(&self, request: pb::GetObjectRequest) -> Result<pb::Object, Status> {
        let answer = self.ledger.clone().get_object(request).await?;
        Ok(answer.into_inner().object.unwrap())
    }

    pub(crate) async fn transaction(
        &self,
        digest: String,
        mask: &[&str],
    ) -> Result<pb::ExecutedTransaction, Status> {
        let request =
            pb::GetTransactionRequest { digest: Some(digest), read_mask: Some(field_mask(mask)) };
        let answer = self.ledger.clone().get_transaction(request).await?;
        Ok(answer.into_inner().transaction.unwrap())
    }
}

/// The first published account.
pub(crate) fn alice() -> KeyPair {
    let [alice, ..] = account_keys();
    alice
}

/// An address that nobody has used before.
pub(crate) fn fresh() -> Address {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let mut bytes = [7; 32];
    bytes[..8].copy_from_slice(&NEXT.fetch_add(1, Ordering::Relaxed).to_le_bytes());
    Address::new(bytes)
}

/// A signed payment from a coin that also pays the fees.
pub(crate) fn payment(from: &KeyPair, coin: ObjectRef, to: &[(Address, u64)]) -> SignedTransaction {
    let kind = TransactionKind::PayCoins {
        coins: vec![coin],
        amounts: Some(to.iter().map(|(_, amount)| *amount).collect()),
        recipients: to.iter().map(|(address, _)| *address).collect(),
    };
    TransactionData::new(kind, from.address(), vec![coin]).sign(from)
}
