//! `soma tx`.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::{Args, Subcommand};
use soma_proto::signature::UserSignature;
use soma_proto::{SignedTransaction, TransactionData, TransactionDigest};

use crate::context::{Context, block_on, client, client_on_chain};
use crate::error::{Failure, Result};
use crate::output::transaction::TransactionReport;
use crate::transact::{self, Sender, TransactionArgs};

/// Look at transactions, or execute prepared ones.
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    arg_required_else_help = true,
    after_long_help = "\
Examples:
  soma tx $DIGEST
  soma tx execute-combined-signed --signed-tx-bytes $BASE64"
)]
pub(crate) struct TxArgs {
    /// The transaction to show.
    digest: Option<TransactionDigest>,
    #[command(subcommand)]
    command: Option<TxCommand>,
}

#[derive(Debug, Subcommand)]
enum TxCommand {
    /// Show a transaction.
    Info(InfoArgs),
    /// Sign and execute a serialized transaction.
    ExecuteSerialized(ExecuteSerializedArgs),
    /// Execute a transaction with its signatures.
    ExecuteSigned(ExecuteSignedArgs),
    /// Execute a signed transaction.
    ExecuteCombinedSigned(ExecuteCombinedSignedArgs),
}

#[derive(Debug, Args)]
struct InfoArgs {
    /// The transaction.
    digest: TransactionDigest,
}

#[derive(Debug, Args)]
struct ExecuteSerializedArgs {
    /// Base64 of the BCS of the transaction.
    #[arg(value_name = "BASE64")]
    bytes: String,
    #[command(flatten)]
    transaction: TransactionArgs,
}

#[derive(Debug, Args)]
struct ExecuteSignedArgs {
    /// Base64 of the BCS of the transaction.
    #[arg(long, value_name = "BASE64")]
    tx_bytes: String,
    /// Base64 of flag, signature and public key; one for each signer.
    #[arg(long, value_name = "BASE64", required = true, num_args = 1..)]
    signatures: Vec<String>,
    /// Seconds to wait until the transaction is in a checkpoint.
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    timeout: u64,
}

#[derive(Debug, Args)]
struct ExecuteCombinedSignedArgs {
    /// Base64 of the BCS of the signed transaction.
    #[arg(long, value_name = "BASE64")]
    signed_tx_bytes: String,
    /// Seconds to wait until the transaction is in a checkpoint.
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    timeout: u64,
}

/// Runs a command of the group.
pub(crate) fn run(args: TxArgs, context: &Context) -> Result<()> {
    match (args.command, args.digest) {
        (Some(TxCommand::Info(InfoArgs { digest })), _) | (None, Some(digest)) => {
            block_on(info(&digest, context))
        }
        (Some(TxCommand::ExecuteSerialized(args)), _) => {
            block_on(execute_serialized(&args, context))
        }
        (Some(TxCommand::ExecuteSigned(args)), _) => {
            let data = transaction(&args.tx_bytes, "--tx-bytes")?;
            let signatures: Result<_> =
                args.signatures.iter().map(|text| signature(text)).collect();
            execute(&SignedTransaction::new(data, signatures?), args.timeout, context)
        }
        (Some(TxCommand::ExecuteCombinedSigned(args)), _) => {
            let bytes = base64(&args.signed_tx_bytes, "--signed-tx-bytes")?;
            let signed = SignedTransaction::from_bcs(&bytes)
                .map_err(|e| Failure::usage(format!("--signed-tx-bytes: {e}")))?;
            execute(&signed, args.timeout, context)
        }
        (None, None) => Err(Failure::usage("name a transaction")),
    }
}

async fn info(digest: &TransactionDigest, context: &Context) -> Result<()> {
    let target = context.target_without_wallet()?;
    let executed = client(&target.environment)?.transaction(digest).await?.ok_or_else(|| {
        Failure::new("TransactionNotFound", format!("there is no transaction {digest}"))
            .with_hint(format!("{} was asked; it may not be executed yet", target.environment.rpc))
    })?;
    context.out.print(&TransactionReport::new(&executed).with_timestamp(&executed))
}

async fn execute_serialized(args: &ExecuteSerializedArgs, context: &Context) -> Result<()> {
    let data = transaction(&args.bytes, "the transaction")?;
    let sender = Sender::new(context, context.wallet()?, data.sender()).await?;
    transact::print(&sender.run_data(data, &args.transaction).await?, context)
}

fn execute(signed: &SignedTransaction, timeout: u64, context: &Context) -> Result<()> {
    block_on(async {
        let (client, _) = client_on_chain(&context.target_without_wallet()?.environment).await?;
        let outcome = transact::execute(&client, signed, Duration::from_secs(timeout)).await?;
        transact::print(&outcome, context)
    })
}

fn base64(text: &str, what: &str) -> Result<Vec<u8>> {
    STANDARD.decode(text.trim()).map_err(|e| Failure::usage(format!("{what}: not Base64: {e}")))
}

fn transaction(text: &str, what: &str) -> Result<TransactionData> {
    TransactionData::from_bcs(&base64(text, what)?)
        .map_err(|e| Failure::usage(format!("{what}: {e}")))
}

fn signature(text: &str) -> Result<UserSignature> {
    UserSignature::from_bytes(&base64(text, "--signatures")?)
        .map_err(|e| Failure::usage(format!("--signatures: {e}")))
}
