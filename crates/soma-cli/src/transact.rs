//! From a kind of transaction to its result, or to a preview of it.

use clap::Args;
use soma_proto::ObjectId;

/// Flags of every command that changes the chain.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Transaction options")]
pub(crate) struct TransactionArgs {
    /// Build the transaction, print its digest, and stop.
    #[arg(long, global = true)]
    pub(crate) tx_digest: bool,
    /// Try the transaction out on the node without signing it.
    #[arg(long, global = true)]
    pub(crate) simulate: bool,
    /// Build the transaction, print it as Base64, and stop.
    #[arg(long, global = true, conflicts_with = "serialize_signed_transaction")]
    pub(crate) serialize_unsigned_transaction: bool,
    /// Build and sign the transaction, print it as Base64, and stop.
    #[arg(long, global = true)]
    pub(crate) serialize_signed_transaction: bool,
    /// A coin that pays the fee; may be repeated. Chosen for you if left out.
    #[arg(long, global = true, value_name = "COIN_ID")]
    pub(crate) gas: Vec<ObjectId>,
    /// Seconds to wait until the transaction is in a checkpoint.
    #[arg(long, global = true, value_name = "SECONDS", default_value_t = 60)]
    pub(crate) timeout: u64,
}
