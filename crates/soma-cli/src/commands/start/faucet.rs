//! `soma start faucet`: gives coins out of the wallet's active account.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::Serialize;
use soma_proto::Address;
use soma_proto::grpc::bcs::faucet_server::{Faucet, FaucetServer};
use soma_proto::grpc::bcs::{FAUCET_SUCCESS, GasCoinInfo, GasRequest, GasResponse};
use soma_rpc::WAIT_TIMEOUT;
use soma_wallet::{ConfigDir, Wallet};
use tokio::net::TcpListener;
use tokio::sync::Mutex;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};

use super::args::FaucetArgs;
use crate::context::Context;
use crate::error::{Failure, Result};
use crate::interrupt::Interrupts;
use crate::logging;
use crate::output::page::GREEN;
use crate::output::{Page, Report, format};
use crate::transact::Sender;

/// Runs the faucet until Ctrl-C.
pub(super) async fn run(args: FaucetArgs, context: &Context) -> Result<()> {
    logging::start(Some("info"));
    let wallet = match &args.config_dir {
        Some(folder) => Wallet::open(&ConfigDir::at(folder).client_yaml())?,
        None => context.wallet()?,
    };
    let payer = wallet.resolve(None)?;
    let sender = Sender::new(context, wallet, payer).await?;
    sender.key()?;

    let address = SocketAddr::new(args.host, args.port);
    let listener = TcpListener::bind(address).await.map_err(|e| {
        Failure::new("PortTaken", format!("cannot listen on {address}: {e}"))
            .with_hint("choose another port with --port")
    })?;
    let address = listener.local_addr().unwrap_or(address);
    let mut interrupts = Interrupts::listen()?;
    context.out.print_line(&ReadyReport {
        faucet_url: format!("http://{address}"),
        rpc_url: sender.target.environment.rpc.clone(),
        address: payer,
        amount: args.amount,
        num_coins: args.num_coins,
        config: sender.wallet.config().path().to_owned(),
        pid: std::process::id(),
    })?;
    let giver = Giver {
        sender: Mutex::new(sender),
        amount: args.amount,
        num_coins: usize::from(args.num_coins),
    };
    tonic::transport::Server::builder()
        .add_service(FaucetServer::new(giver))
        .serve_with_incoming_shutdown(TcpIncoming::from(listener), async {
            let _ = interrupts.next().await;
        })
        .await
        .map_err(|e| Failure::from_error("System", &e))
}

struct Giver {
    /// Locked while a request is served: two at once would spend one coin.
    sender: Mutex<Sender>,
    amount: u64,
    num_coins: usize,
}

impl Giver {
    /// Gives the recipient its coins. What cannot be paid is not sent: it would cost a fee.
    async fn give(&self, recipient: Address) -> Result<Vec<GasCoinInfo>> {
        let sender = self.sender.lock().await;
        let recipients = vec![recipient; self.num_coins];
        let amounts = vec![self.amount; self.num_coins];
        let payment = sender.purse().await?.pay(recipients, amounts, &[], &[])?;
        let signed = payment.into_transaction(sender.address).sign(sender.key()?);
        let executed = sender.client.execute_and_wait(&signed, WAIT_TIMEOUT).await?;
        if let Some(failure) = executed.effects.failure() {
            return Err(Failure::on_chain(failure, executed.digest));
        }
        let given = executed.effects.created().map(|coin| GasCoinInfo {
            amount: self.amount,
            id: coin.reference.id().to_string(),
            transfer_tx_digest: executed.digest.to_string(),
        });
        Ok(given.collect())
    }
}

#[tonic::async_trait]
impl Faucet for Giver {
    async fn request_gas(
        &self,
        request: Request<GasRequest>,
    ) -> Result<Response<GasResponse>, Status> {
        let recipient: Address = request
            .into_inner()
            .recipient
            .parse()
            .map_err(|e| Status::invalid_argument(format!("Invalid address: {e}")))?;
        let failed = |e: Failure| Status::internal(e.report.message);
        let coins_sent = self.give(recipient).await.map_err(failed)?;
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
