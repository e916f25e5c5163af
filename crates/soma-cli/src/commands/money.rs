//! `soma balance`, `send`, `transfer`, `pay` and `merge-coins`.

use clap::Args;
use serde::Serialize;
use soma_proto::{Address, Amount, ObjectId, TransactionKind};
use soma_rpc::gas::Coin;
use soma_wallet::Identity;

use crate::context::{Context, block_on, client};
use crate::error::{Failure, Result};
use crate::output::{Page, Report, format};
use crate::parse;
use crate::transact::{self, Sender, TransactionArgs};

/// Show the balance of an account.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Example:
  soma balance me --with-coins")]
pub(crate) struct BalanceArgs {
    /// Its address or alias; the active one if left out.
    identity: Option<Identity>,
    /// List the coins.
    #[arg(long)]
    with_coins: bool,
}

/// Send an amount to an account.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Example:
  soma send --to $ADDRESS --amount 1.5")]
pub(crate) struct SendArgs {
    /// Who receives it.
    #[arg(long, value_name = "IDENTITY")]
    to: Identity,
    /// How much.
    #[arg(long, value_name = "SOMA", value_parser = parse::positive_amount)]
    amount: Amount,
    /// The coin to take it from; chosen for you if left out.
    #[arg(long, value_name = "COIN_ID")]
    coin: Option<ObjectId>,
    #[command(flatten)]
    transaction: TransactionArgs,
}

/// Give an object to an account.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Example:
  soma transfer --to $ADDRESS --object-id $STAKED_COIN_ID")]
pub(crate) struct TransferArgs {
    /// Who receives it.
    #[arg(long, value_name = "IDENTITY")]
    to: Identity,
    /// The object; its owner sends it.
    #[arg(long, value_name = "ID", value_parser = parse::full_object_id)]
    object_id: ObjectId,
    #[command(flatten)]
    transaction: TransactionArgs,
}

/// Pay several accounts at once.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Example:
  soma pay --recipients $A $B --amounts 1 0.5")]
pub(crate) struct PayArgs {
    /// Who is paid.
    #[arg(long, value_name = "IDENTITY", required = true, num_args = 1..)]
    recipients: Vec<Identity>,
    /// How much each, in the same order.
    #[arg(long, value_name = "SOMA", required = true, num_args = 1..,
          value_parser = parse::positive_amount)]
    amounts: Vec<Amount>,
    /// The coins that pay; up to ten of yours if left out.
    #[arg(long, value_name = "COIN_ID", num_args = 1..)]
    coins: Vec<ObjectId>,
    #[command(flatten)]
    transaction: TransactionArgs,
}

/// Join many coins into one, up to 256 at a time.
#[derive(Debug, Args)]
pub(crate) struct MergeCoinsArgs {
    #[command(flatten)]
    transaction: TransactionArgs,
}

/// Runs `soma balance`.
pub(crate) fn run_balance(args: BalanceArgs, context: &Context) -> Result<()> {
    block_on(async {
        let address = context.account(args.identity.as_ref())?;
        let client = client(&context.target_without_wallet()?.environment)?;
        let coins = client.coins(&address).await?;
        context.out.print(&BalanceReport {
            address,
            total_balance: coins.iter().map(|coin| coin.balance).sum(),
            coin_count: coins.len(),
            coins: args.with_coins.then(|| coins.iter().map(id_and_balance).collect()),
        })
    })
}

/// Runs `soma send`.
pub(crate) fn run_send(args: SendArgs, context: &Context) -> Result<()> {
    block_on(async {
        let sender = Sender::active(context).await?;
        let recipient = sender.wallet.resolve(Some(&args.to))?;
        let payment = sender.purse().await?.spend(
            args.amount.shannons(),
            args.coin,
            &args.transaction.gas,
            |coin, amount| TransactionKind::TransferCoin { coin, amount, recipient },
        )?;
        transact::print(&sender.run(payment, &args.transaction).await?, context)
    })
}

/// Runs `soma transfer`. The sender is whoever owns the object.
pub(crate) fn run_transfer(args: TransferArgs, context: &Context) -> Result<()> {
    block_on(async {
        let wallet = context.wallet()?;
        let recipient = wallet.resolve(Some(&args.to))?;
        let client = client(&context.target(Some(&wallet))?.environment)?;
        let object = client.object(&args.object_id).await?.ok_or_else(|| {
            Failure::new("ObjectNotFound", format!("there is no object {}", args.object_id))
        })?;
        let owner = object.owner.address().ok_or_else(|| {
            Failure::new("InvalidOwnership", format!("nobody owns {} alone", args.object_id))
        })?;
        let sender = Sender::new(context, wallet, owner).await?;
        sender.key()?;
        let objects = vec![object.reference()];
        let kind = TransactionKind::TransferObjects { objects, recipient };
        transact::print(&sender.run_kind(kind, &args.transaction).await?, context)
    })
}

/// Runs `soma pay`.
pub(crate) fn run_pay(args: PayArgs, context: &Context) -> Result<()> {
    if args.recipients.len() != args.amounts.len() {
        return Err(Failure::usage(format!(
            "--recipients has {} values, --amounts has {}",
            args.recipients.len(),
            args.amounts.len()
        )));
    }
    block_on(async {
        let sender = Sender::active(context).await?;
        let recipients: Result<Vec<_>, _> =
            args.recipients.iter().map(|who| sender.wallet.resolve(Some(who))).collect();
        let amounts = args.amounts.iter().map(|amount| amount.shannons()).collect();
        let purse = sender.purse().await?;
        let payment = purse.pay(recipients?, amounts, &args.coins, &args.transaction.gas)?;
        transact::print(&sender.run(payment, &args.transaction).await?, context)
    })
}

/// Runs `soma merge-coins`.
pub(crate) fn run_merge_coins(args: MergeCoinsArgs, context: &Context) -> Result<()> {
    block_on(async {
        let sender = Sender::active(context).await?;
        match sender.purse().await?.merge(&args.transaction.gas)? {
            Some(payment) => {
                transact::print(&sender.run(payment, &args.transaction).await?, context)
            }
            None => context.out.print(&NothingReport(())),
        }
    })
}

fn id_and_balance(coin: &Coin) -> (ObjectId, u64) {
    (coin.reference.id(), coin.balance)
}

#[derive(Serialize)]
struct BalanceReport {
    address: Address,
    total_balance: u64,
    coin_count: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    coins: Option<Vec<(ObjectId, u64)>>,
}

impl Report for BalanceReport {
    fn text(&self, page: &mut Page) {
        page.line(format!("{} has {}", self.address, format::exact(self.total_balance)));
        page.line(format!("  in {}", format::count(self.coin_count, "coin")));
        if let Some(coins) = &self.coins {
            let rows: Vec<_> = coins
                .iter()
                .map(|(id, balance)| [id.to_string(), format::exact(*balance)])
                .collect();
            page.table(["coin", "balance"], &rows);
        }
    }
}

/// There was nothing to merge.
#[derive(Serialize)]
#[serde(transparent)]
struct NothingReport(());

impl Report for NothingReport {
    fn text(&self, page: &mut Page) {
        page.line("Nothing to do: there are not two coins to join");
    }
}
