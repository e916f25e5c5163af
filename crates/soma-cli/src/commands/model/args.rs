//! Arguments of `soma model`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use soma_proto::{Amount, Commitment, ObjectId};
use soma_wallet::Identity;

use crate::parse::{self, Embedding, Secret};
use crate::transact::TransactionArgs;

/// Arguments of `soma model`.
#[derive(Debug, Args)]
pub(crate) struct ModelArgs {
    #[command(flatten)]
    pub(super) transaction: TransactionArgs,
    #[command(subcommand)]
    pub(super) command: ModelCommand,
}

#[derive(Debug, Subcommand)]
// What has no text here has it on its arguments.
pub(super) enum ModelCommand {
    Commit(CommitArgs),
    Reveal(RevealArgs),
    UpdateCommit(UpdateCommitArgs),
    /// Reveal new weights that were committed to.
    ///
    /// Legal in the epoch after their commit only. The key must be a new one: that of
    /// the present weights is public.
    UpdateReveal(RevealArgs),
    Info(InfoArgs),
    List(ListArgs),
    SetCommissionRate(SetCommissionRateArgs),
    Deactivate(ModelIdArgs),
    Download(DownloadArgs),
    /// Make a fresh model id and a fresh pool id.
    NewId,
}

/// Commit to the weights of a new model, and stake on it.
///
/// The model has to be revealed in the next epoch, no earlier and no later. If
/// it is not, it goes inactive and half of its stake is destroyed. The stake and
/// the fee are taken out of the coin that pays for the transaction.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Example:
  soma model new-id
  soma weights encrypt weights.safetensors -o weights.enc --key-file model.key
  soma weights commitment --url https://storage.example.com/weights.enc
  soma model commit $MODEL_ID \\
      --weights-url-commitment $URL_COMMITMENT \\
      --weights-commitment $WEIGHTS_COMMITMENT \\
      --stake-amount 1 --commission-rate 1000 \\
      --staking-pool-id $POOL_ID")]
pub(super) struct CommitArgs {
    /// An unused id of your choice; a random one if left out.
    #[arg(value_parser = parse::full_object_id)]
    pub(super) model_id: Option<ObjectId>,
    /// Blake2b-256 of the URL of the encrypted weights, in normal form.
    #[arg(long, value_name = "HEX32", value_parser = parse::hash)]
    pub(super) weights_url_commitment: Commitment,
    /// Blake2b-256 of the encrypted weights.
    #[arg(long, value_name = "HEX32", value_parser = parse::hash)]
    pub(super) weights_commitment: Commitment,
    /// Stake in SOMA, at least the network's minimum.
    #[arg(long, value_name = "SOMA")]
    pub(super) stake_amount: Amount,
    /// An unused id of your choice for the model's stake pool; a random one if left out.
    #[arg(long, value_name = "OBJECT_ID", value_parser = parse::full_object_id)]
    pub(super) staking_pool_id: Option<ObjectId>,
    /// Commission in basis points: 100 = 1 %, at most 10000.
    #[arg(long, value_name = "BPS", default_value_t = 0)]
    pub(super) commission_rate: u64,
    /// Architecture of the model; asked from the network if left out.
    #[arg(long, value_name = "N")]
    pub(super) architecture_version: Option<u64>,
}

/// Reveal the weights that were committed to.
///
/// Legal in the epoch after the commit only. From then on the URL, the size, the
/// key and the embedding are public.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Example:
  soma model reveal $MODEL_ID \\
      --weights-url https://storage.example.com/weights.enc \\
      --weights-checksum $WEIGHTS_COMMITMENT --weights-size 4838736928 \\
      --decryption-key-file model.key --embedding-file embedding.json

The checksum is the weights commitment of the commit. An embedding has as many
numbers as `soma status --json` says in `embedding_dim`.")]
pub(super) struct RevealArgs {
    /// The model.
    #[arg(value_parser = parse::full_object_id)]
    pub(super) model_id: ObjectId,
    /// Where the encrypted weights are.
    #[arg(long, value_name = "URL")]
    pub(super) weights_url: String,
    /// Blake2b-256 of the encrypted weights.
    #[arg(long, value_name = "HEX32", value_parser = parse::hash,
          required_unless_present = "weights_file")]
    pub(super) weights_checksum: Option<Commitment>,
    /// Size of the encrypted weights in bytes.
    #[arg(long, value_name = "BYTES", required_unless_present = "weights_file")]
    pub(super) weights_size: Option<u64>,
    /// The encrypted weights, to take checksum and size from.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["weights_checksum", "weights_size"])]
    pub(super) weights_file: Option<PathBuf>,
    /// The AES-256 key. Visible to other users of this machine: a file is safer.
    #[arg(long, value_name = "HEX32", required_unless_present = "decryption_key_file")]
    pub(super) decryption_key: Option<Secret>,
    /// A file that holds the key as hex, or `-` for standard input.
    #[arg(long, value_name = "FILE", conflicts_with = "decryption_key")]
    pub(super) decryption_key_file: Option<String>,
    /// The embedding: comma-separated numbers.
    #[arg(long, value_name = "F32,F32,...", allow_hyphen_values = true,
          required_unless_present = "embedding_file", value_parser = parse::embedding)]
    pub(super) embedding: Option<Embedding>,
    /// A file with the embedding: a JSON list, one number a line, comma-separated
    /// numbers, or a one-dimensional .npy array; `-` for standard input;
    /// FILE.safetensors:TENSOR for a tensor.
    #[arg(long, value_name = "FILE", conflicts_with = "embedding")]
    pub(super) embedding_file: Option<String>,
    /// Fetch the whole file and compare its checksum before anything is sent.
    #[arg(long)]
    pub(super) verify_url: bool,
    /// If the epoch of the commit is still running, wait for the next one.
    #[arg(long)]
    pub(super) wait: bool,
}

/// Commit to new weights of an active model.
///
/// A second commit in the same epoch replaces the first. If it is not revealed in
/// the next epoch it is dropped and the old weights stay; no stake is lost.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Example:
  soma model update-commit $MODEL_ID \\
      --weights-url-commitment $URL_COMMITMENT \\
      --weights-commitment $WEIGHTS_COMMITMENT")]
pub(super) struct UpdateCommitArgs {
    /// The model.
    #[arg(value_parser = parse::full_object_id)]
    pub(super) model_id: ObjectId,
    /// Blake2b-256 of the URL of the encrypted weights, in normal form.
    #[arg(long, value_name = "HEX32", value_parser = parse::hash)]
    pub(super) weights_url_commitment: Commitment,
    /// Blake2b-256 of the encrypted weights.
    #[arg(long, value_name = "HEX32", value_parser = parse::hash)]
    pub(super) weights_commitment: Commitment,
}

/// Show a model.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Example:
  soma model info $MODEL_ID --json")]
pub(super) struct InfoArgs {
    /// The model.
    pub(super) model_id: ObjectId,
    /// Show the embedding too.
    #[arg(long)]
    pub(super) embedding: bool,
}

/// List models: active ones first, then committed, then inactive.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Example:
  soma model list --mine --status committed")]
pub(super) struct ListArgs {
    /// Models of the active account only.
    #[arg(long, conflicts_with = "owner")]
    pub(super) mine: bool,
    /// Models of this account only.
    #[arg(long, value_name = "IDENTITY")]
    pub(super) owner: Option<Identity>,
    /// Models of this status only.
    #[arg(long, value_enum)]
    pub(super) status: Option<StatusFilter>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum StatusFilter {
    /// Waiting for the reveal.
    Committed,
    /// Competing.
    Active,
    /// Slashed or deactivated.
    Inactive,
}

/// Set the commission of an active model, in force from the next epoch.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Example:
  soma model set-commission-rate $MODEL_ID --commission-rate 500")]
pub(super) struct SetCommissionRateArgs {
    /// The model.
    #[arg(value_parser = parse::full_object_id)]
    pub(super) model_id: ObjectId,
    /// Commission in basis points: 100 = 1 %, at most 10000.
    #[arg(long, value_name = "BPS")]
    pub(super) commission_rate: u64,
}

/// Take an active model out of the competition, at once and for good.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Example:
  soma model deactivate $MODEL_ID")]
pub(super) struct ModelIdArgs {
    /// The model.
    #[arg(value_parser = parse::full_object_id)]
    pub(super) model_id: ObjectId,
}

/// Fetch and verify the encrypted weights of an active model.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Example:
  soma model download $MODEL_ID --decrypt -o weights.safetensors")]
pub(super) struct DownloadArgs {
    /// The model.
    pub(super) model_id: ObjectId,
    /// Where to put the file; <MODEL_ID>.weights if left out.
    #[arg(short, long, value_name = "FILE")]
    pub(super) output: Option<PathBuf>,
    /// Decrypt with the revealed key.
    #[arg(long)]
    pub(super) decrypt: bool,
    /// Replace an existing file.
    #[arg(long)]
    pub(super) force: bool,
}
