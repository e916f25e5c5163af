//! Arguments of `soma model`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use soma_model::Scope;
use soma_proto::{Amount, Commitment, ObjectId};
use soma_wallet::{Environment, Identity};

use super::audit::{AuditArgs, VerifyArgs};
use super::keys::{ExportStateArgs, ImportStateArgs, RecoverArgs};
use super::prepared::PrepareArgs;
use super::publish::PublishArgs;
use super::watch::WatchArgs;
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
    Publish(Box<PublishArgs>),
    Prepare(PrepareArgs),
    Commit(CommitArgs),
    Reveal(RevealArgs),
    UpdateCommit(UpdateCommitArgs),
    /// Reveal new weights that were committed to.
    ///
    /// Legal in the epoch after their commit only. The key must be a new one: that of
    /// the present weights is public.
    UpdateReveal(RevealArgs),
    Check(CheckArgs),
    /// Show where prepared models stand, what is next, and until when.
    Status(StateArgs),
    /// Carry on every registration and update that is under way.
    ///
    /// Finds out what became of signed transactions, waits for windows, reveals. All
    /// models at the same time: none waits for another. Running it again is always safe.
    Resume(StateArgs),
    Watch(WatchArgs),
    Recover(RecoverArgs),
    ExportState(ExportStateArgs),
    ImportState(ImportStateArgs),
    Info(InfoArgs),
    List(ListArgs),
    SetCommissionRate(SetCommissionRateArgs),
    Deactivate(ModelIdArgs),
    Download(DownloadArgs),
    Verify(VerifyArgs),
    Audit(AuditArgs),
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
The short way:
  soma model prepare --weights-file weights.safetensors --embedding-file embedding.json \\
      --weights-url https://storage.example.com/models/
  soma model commit --prepared --stake-amount 1 --commission-rate 1000
  soma model reveal --prepared --wait

By hand:
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
    /// Take everything from a state file of `soma model prepare`; the newest one
    /// if none is named.
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = "",
          value_parser = state_path,
          conflicts_with_all = ["model_id", "weights_url_commitment", "weights_commitment",
                                "staking_pool_id", "architecture_version"])]
    pub(super) prepared: Option<PathBuf>,
    /// Blake2b-256 of the URL of the encrypted weights, in normal form.
    #[arg(long, value_name = "HEX32", value_parser = parse::hash,
          required_unless_present = "prepared")]
    pub(super) weights_url_commitment: Option<Commitment>,
    /// Blake2b-256 of the encrypted weights.
    #[arg(long, value_name = "HEX32", value_parser = parse::hash,
          required_unless_present = "prepared")]
    pub(super) weights_commitment: Option<Commitment>,
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
    /// Wait until shortly before the end of the epoch: nobody who sees the hashes can
    /// then commit to them in time.
    #[arg(long)]
    pub(super) late: bool,
    #[command(flatten)]
    pub(super) rehearsal: RehearsalArgs,
}

/// How a step is tried out before it is taken; only with `--prepared`.
#[derive(Debug, Args)]
pub(super) struct RehearsalArgs {
    /// Fetch the whole file from its URL and compare its checksum first.
    #[arg(long, requires = "prepared")]
    pub(super) verify_url: bool,
    /// Set or replace the embedding in the state file first; forms as for `reveal`.
    #[arg(long, value_name = "FILE", requires = "prepared")]
    pub(super) embedding_file: Option<String>,
}

/// Make the checks of the reveal without sending anything.
///
/// Looks at what a state file holds, at the chain, and at the file at the URL as a
/// validator would. Without a state file, only at what a URL serves.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  soma model check --verify-url
  soma model check --weights-url https://storage.example.com/weights.enc \\
      --weights-checksum $WEIGHTS_COMMITMENT --weights-size 4838736928")]
pub(super) struct CheckArgs {
    /// The state file; the newest one if left out.
    #[arg(long, value_name = "FILE", conflicts_with = "weights_url")]
    pub(super) state: Option<PathBuf>,
    /// Where the encrypted weights are.
    #[arg(long, value_name = "URL", requires_all = ["weights_checksum", "weights_size"])]
    pub(super) weights_url: Option<String>,
    /// Blake2b-256 of the encrypted weights.
    #[arg(long, value_name = "HEX32", value_parser = parse::hash, requires = "weights_url")]
    pub(super) weights_checksum: Option<Commitment>,
    /// Size of the encrypted weights in bytes.
    #[arg(long, value_name = "BYTES", requires = "weights_url")]
    pub(super) weights_size: Option<u64>,
    /// Fetch the whole file and compare its checksum.
    #[arg(long)]
    pub(super) verify_url: bool,
}

#[derive(Debug, Args)]
pub(super) struct StateArgs {
    /// This state file only.
    #[arg(long, value_name = "FILE")]
    pub(super) state: Option<PathBuf>,
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
    #[arg(value_parser = parse::full_object_id, required_unless_present = "prepared")]
    pub(super) model_id: Option<ObjectId>,
    /// Take everything from a state file of `soma model prepare`; the newest one
    /// if none is named.
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = "",
          value_parser = state_path,
          conflicts_with_all = ["model_id", "weights_url", "weights_checksum", "weights_size",
                                "weights_file", "decryption_key", "decryption_key_file"])]
    pub(super) prepared: Option<PathBuf>,
    /// Where the encrypted weights are.
    #[arg(long, value_name = "URL", required_unless_present = "prepared")]
    pub(super) weights_url: Option<String>,
    /// Blake2b-256 of the encrypted weights.
    #[arg(long, value_name = "HEX32", value_parser = parse::hash,
          required_unless_present_any = ["weights_file", "prepared"])]
    pub(super) weights_checksum: Option<Commitment>,
    /// Size of the encrypted weights in bytes.
    #[arg(long, value_name = "BYTES", required_unless_present_any = ["weights_file", "prepared"])]
    pub(super) weights_size: Option<u64>,
    /// The encrypted weights, to take checksum and size from.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["weights_checksum", "weights_size"])]
    pub(super) weights_file: Option<PathBuf>,
    /// The AES-256 key. Visible to other users of this machine: a file is safer.
    #[arg(long, value_name = "HEX32", required_unless_present_any = ["decryption_key_file", "prepared"])]
    pub(super) decryption_key: Option<Secret>,
    /// A file that holds the key as hex, or `-` for standard input.
    #[arg(long, value_name = "FILE", conflicts_with = "decryption_key")]
    pub(super) decryption_key_file: Option<String>,
    /// The embedding: comma-separated numbers.
    #[arg(long, value_name = "F32,F32,...", allow_hyphen_values = true,
          required_unless_present_any = ["embedding_file", "prepared"], value_parser = parse::embedding)]
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
    ///
    /// What may pass is tried again as long as that lasts: a host that is down,
    /// missing coins.
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
    #[arg(value_parser = parse::full_object_id, required_unless_present = "prepared")]
    pub(super) model_id: Option<ObjectId>,
    /// Take everything from a state file of `soma model prepare`; the newest one
    /// if none is named.
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = "",
          value_parser = state_path,
          conflicts_with_all = ["model_id", "weights_url_commitment", "weights_commitment"])]
    pub(super) prepared: Option<PathBuf>,
    /// Blake2b-256 of the URL of the encrypted weights, in normal form.
    #[arg(long, value_name = "HEX32", value_parser = parse::hash,
          required_unless_present = "prepared")]
    pub(super) weights_url_commitment: Option<Commitment>,
    /// Blake2b-256 of the encrypted weights.
    #[arg(long, value_name = "HEX32", value_parser = parse::hash,
          required_unless_present = "prepared")]
    pub(super) weights_commitment: Option<Commitment>,
    /// Wait until shortly before the end of the epoch: nobody who sees the hashes can
    /// then commit to them in time.
    #[arg(long)]
    pub(super) late: bool,
    #[command(flatten)]
    pub(super) rehearsal: RehearsalArgs,
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
    #[command(flatten)]
    pub(super) bounds: Bounds,
}

/// What is taken from strangers, and from where.
#[derive(Debug, Args)]
pub(super) struct Bounds {
    /// Fetch no larger files.
    #[arg(long, value_name = "SIZE", default_value = "1024GiB", value_parser = parse::bytes)]
    pub(super) max_size: u64,
    /// Fetch from private addresses and by plain http on a public network, too.
    #[arg(long)]
    pub(super) allow_private: bool,
}

impl Bounds {
    /// Where a network is, or is said to be.
    pub(super) fn scope(&self, environment: &Environment) -> Scope {
        if self.allow_private { Scope::Local } else { Scope::of(environment) }
    }
}

/// The path of a state file. Empty stands for the newest one, which is why the
/// usual parser of paths will not do.
#[expect(clippy::unnecessary_wraps, reason = "clap wants a result")]
fn state_path(text: &str) -> Result<PathBuf, std::convert::Infallible> {
    Ok(PathBuf::from(text))
}
