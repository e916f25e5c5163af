//! `soma start faucet`: gives coins out of the wallet's active account.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::Serialize;
use soma_proto::grpc::bcs::faucet_server::{Faucet, FaucetServer};
use soma_proto::grpc::bcs::{FAUCET_SUCCESS, GasCoinInfo, GasRequest, GasResponse};
use soma_proto::{Address, KeyPair, TransactionData, TransactionKind};
use soma_rpc::{Client, WAIT_TIMEOUT};
use soma_wallet::{ConfigDir, Wallet};
use tokio::net::TcpListener;
use tokio::sync::Mutex;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};

use super::args::FaucetArgs;
use crate::context::{Context, client_on_chain};
use crate::error::{Failure, Result, with_causes};
use crate::interrupt::Interrupts;
use crate::logging;
use crate::output::page::GREEN;
use crate::output::{Page, Report, format};

/// Runs the faucet until Ctrl-C.
pub(super) async fn run(args: FaucetArgs, context: &Context) -> Result<()> {
    logging::start(Some("info"));
    let wallet = match &args.config_dir {
        Some(folder) => Wallet::open(&ConfigDir::at(folder).client_yaml())?,
        None => context.wallet()?,
    };
    let target = context.target(Some(&wallet))?;
    let (client, chain) = client_on_chain(&target.environment).await?;
    let payer = wallet.resolve(None)?;
    let key = wallet.signer(&payer, &chain)?.clone();

    let address = SocketAddr::new(args.host, args.port);
    let listener = TcpListener::bind(address).await.map_err(|e| {
        Failure::new("PortTaken", format!("cannot listen on {address}: {e}"))
            .with_hint("choose another port with --port")
    })?;
    let address = listener.local_addr().unwrap_or(address);
    let mut interrupts = Interrupts::listen()?;
    let purse = Purse {
        client,
        key: Mutex::new(key),
        amount: args.amount,
        num_coins: usize::from(args.num_coins),
    };
    context.out.print_line(&ReadyReport {
        faucet_url: format!("http://{address}"),
        rpc_url: target.environment.rpc,
        address: payer,
        amount: args.amount,
        num_coins: args.num_coins,
        config: wallet.config().path().to_owned(),
        pid: std::process::id(),
    })?;
    tonic::transport::Server::builder()
        .add_service(FaucetServer::new(purse))
        .serve_with_incoming_shutdown(TcpIncoming::from(listener), async {
            let _ = interrupts.next().await;
        })
        .await
        .map_err(|e| Failure::from_error("System", &e))
}

struct Purse {
    client: Client,
    /// Locked while a request is served: two at once would spend one coin.
    key: Mutex<KeyPair>,
    amount: u64,
    num_coins: usize,
}

#[tonic::async_trait]
impl Faucet for Purse {
    async fn request_gas(
        &self,
        request: Request<GasRequest>,
    ) -> Result<Response<GasResponse>, Status> {
        let recipient: Address = request
            .into_inner()
            .recipient
            .parse()
            .map_err(|e| Status::invalid_argument(format!("Invalid address: {e}")))?;
        let key = self.key.lock().await;
        let failed = |e: soma_rpc::Error| Status::internal(with_causes(&e));
        let coins = self.client.coins(&key.address()).await.map_err(failed)?;
        let coin = coins
            .iter()
            .max_by_key(|coin| coin.balance)
            .ok_or_else(|| Status::internal("the faucet has no money left"))?
            .reference;
        let kind = TransactionKind::PayCoins {
            coins: vec![coin],
            amounts: Some(vec![self.amount; self.num_coins]),
            recipients: vec![recipient; self.num_coins],
        };
        let signed = TransactionData::new(kind, key.address(), vec![coin]).sign(&key);
        let executed = self.client.execute_and_wait(&signed, WAIT_TIMEOUT).await.map_err(failed)?;
        if let Some(failure) = executed.effects.failure() {
            return Err(Status::internal(format!("the transfer failed: {failure}")));
        }
        let coins_sent = executed
            .effects
            .created()
            .map(|coin| GasCoinInfo {
                amount: self.amount,
                id: coin.reference.id().to_string(),
                transfer_tx_digest: executed.digest.to_string(),
            })
            .collect();
        Ok(Response::new(GasResponse { status: FAUCET_SUCCESS.to_owned(), coins_sent }))
    }
}

#[derive(Serialize)]
struct ReadyReport {
    faucet_url: String,
    rpc_url: String,
    address: Address,
    amount: u64,
    num_coins: u16,
    config: PathBuf,
    pid: u32,
}

impl Report for ReadyReport {
    fn text(&self, page: &mut Page) {
        page.painted("The faucet is ready", GREEN);
        page.fields(&[
            ("faucet (gRPC)", self.faucet_url.clone()),
            ("node", self.rpc_url.clone()),
            ("pays from", self.address.to_string()),
            (
                "gives",
                format!(
                    "{} of {}",
                    format::count(usize::from(self.num_coins), "coin"),
                    format::exact(self.amount)
                ),
            ),
        ]);
        page.line("Ctrl-C stops it");
    }
}
