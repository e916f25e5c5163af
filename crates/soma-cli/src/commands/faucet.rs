//! `soma faucet`.

use clap::Args;
use serde::Serialize;
use soma_proto::{Address, Amount, ObjectId, TransactionDigest};
use soma_rpc::{Faucet, FaucetCoin};
use soma_wallet::Identity;

use crate::context::{Context, block_on};
use crate::error::Result;
use crate::output::{Page, Report, format};
use crate::parse;

/// Ask the faucet of a test network for money.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  soma faucet
  soma faucet --address me --amount 10")]
pub(crate) struct FaucetArgs {
    /// Who gets it; the active address if left out.
    #[arg(long, value_name = "IDENTITY")]
    address: Option<Identity>,
    /// The faucet; that of the environment if left out.
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// Ask again until at least this much was sent.
    #[arg(long, value_name = "SOMA", value_parser = parse::positive_amount)]
    amount: Option<Amount>,
}

/// Runs the command.
pub(crate) fn run(args: FaucetArgs, context: &Context) -> Result<()> {
    block_on(async {
        let address = context.account(args.address.as_ref())?;
        let url = match &args.url {
            Some(url) => url.clone(),
            None => context.target_without_wallet()?.faucet_url()?.to_owned(),
        };
        let faucet = Faucet::new(url)?;
        context.out.note(&format!("Asking {} for {address}", faucet.url()));
        // Without an amount one request is enough, whatever it brings.
        let amount = args.amount.map_or(1, Amount::shannons);
        let coins = faucet.request_amount(&address, amount, |_| {}).await?;
        let coins_sent = coins.iter().map(CoinReport::from).collect();
        context.out.print(&FaucetReport { status: "Success", address, coins_sent })
    })
}

#[derive(Serialize)]
struct FaucetReport {
    status: &'static str,
    address: Address,
    coins_sent: Vec<CoinReport>,
}

#[derive(Serialize)]
struct CoinReport {
    amount: u64,
    id: ObjectId,
    transfer_tx_digest: TransactionDigest,
}

impl From<&FaucetCoin> for CoinReport {
    fn from(coin: &FaucetCoin) -> Self {
        Self { amount: coin.amount, id: coin.id, transfer_tx_digest: coin.transaction }
    }
}

impl Report for FaucetReport {
    fn text(&self, page: &mut Page) {
        for coin in &self.coins_sent {
            page.line(format!("{} in coin {}", format::exact(coin.amount), coin.id));
            page.line(format!("  transaction {}", coin.transfer_tx_digest));
        }
    }
}
