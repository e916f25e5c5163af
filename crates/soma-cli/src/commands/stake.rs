//! `soma stake` and `soma unstake`.

use clap::Args;
use soma_model::payment;
use soma_proto::{Address, Amount, ObjectId, TransactionKind};

use crate::context::{Context, block_on};
use crate::error::{Failure, Result};
use crate::parse;
use crate::transact::{self, Sender, TransactionArgs};

/// Stake on a model or a validator. The stake counts from the next epoch on.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  soma stake --model $MODEL_ID --amount 0.2
  soma stake --validator $ADDRESS --coin $COIN_ID")]
pub(crate) struct StakeArgs {
    #[command(flatten)]
    target: StakeTarget,
    /// How much; all of a coin if left out.
    #[arg(long, value_name = "SOMA", value_parser = parse::positive_amount)]
    amount: Option<Amount>,
    /// The coin to take it from; chosen for you if left out.
    #[arg(long, value_name = "COIN_ID")]
    coin: Option<ObjectId>,
    #[command(flatten)]
    transaction: TransactionArgs,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct StakeTarget {
    /// The model, committed or active; it may be somebody else's.
    #[arg(long, value_name = "MODEL_ID", value_parser = parse::full_object_id)]
    model: Option<ObjectId>,
    /// The validator.
    #[arg(long, value_name = "ADDRESS")]
    validator: Option<Address>,
}

/// Withdraw stake and its rewards, as a new coin.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Example:
  soma objects list --type staked_soma
  soma unstake $STAKED_COIN_ID")]
pub(crate) struct UnstakeArgs {
    /// The receipt for the stake.
    #[arg(value_name = "STAKED_COIN_ID")]
    staked_coin_id: ObjectId,
    #[command(flatten)]
    transaction: TransactionArgs,
}

/// Runs `soma stake`.
pub(crate) fn run(args: StakeArgs, context: &Context) -> Result<()> {
    let target = match (args.target.model, args.target.validator) {
        (Some(model), _) => payment::StakeTarget::Model(model),
        (None, Some(validator)) => payment::StakeTarget::Validator(validator),
        (None, None) => return Err(Failure::usage("name a --model or a --validator")),
    };
    block_on(async {
        let sender = Sender::active(context).await?;
        let amount = args.amount.map(Amount::shannons);
        let purse = sender.purse().await?;
        let payment = purse.stake(target, amount, args.coin, &args.transaction.gas)?;
        transact::print(&sender.run(payment, &args.transaction).await?, context)
    })
}

/// Runs `soma unstake`.
pub(crate) fn run_unstake(args: UnstakeArgs, context: &Context) -> Result<()> {
    block_on(async {
        let sender = Sender::active(context).await?;
        let id = args.staked_coin_id;
        let receipt = sender.client.object(&id).await?.ok_or_else(|| {
            Failure::new("ObjectNotFound", format!("there is no object {id}"))
                .with_hint("soma objects list --type staked_soma shows your receipts")
        })?;
        let kind = TransactionKind::WithdrawStake { staked_soma: receipt.reference() };
        let purse = sender.purse().await?;
        let principal = receipt.as_staked_soma().map_or(0, |staked| staked.principal);
        let payment = purse.pay_for_receipt(kind, principal, &args.transaction.gas)?;
        transact::print(&sender.run(payment, &args.transaction).await?, context)
    })
}
