//! `soma model publish`: from a file of weights to a model, in one command.

use std::io;
use std::num::NonZeroU64;
use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use soma_localnet::FILES_PORT;
use soma_model::state::Terms;
use soma_model::{
    Begun, CommitTimes, Depth, Done, Publication, RevealOf, Scope, StateFile, embedding,
};
use soma_proto::{Amount, ObjectId, TransactionDigest};
use soma_storage::{AddressPolicy, Destination, Storage, UploadOptions, Uploaded};

use super::{prepared, steps};
use crate::commands::storage::PlaceArgs;
use crate::context::Context;
use crate::error::{Failure, Result};
use crate::output::page::GREEN;
use crate::output::{Page, Report, format};
use crate::parse;
use crate::progress::Progress;
use crate::transact::TransactionArgs;

/// Encrypt, upload, verify and commit in one command.
///
/// The weights are read once: encrypted, hashed and sent at the same time, without an
/// encrypted file on this machine. Before anything is staked, the public URL is read
/// as a validator will read it. Key, ids and progress are kept in a state file; after
/// an interruption, the same command goes on where it stopped.
///
/// Credentials are those of the store's own tools: AWS_* and ~/.aws, GOOGLE_* and the
/// application default credentials, AZURE_*.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  soma model publish weights.safetensors --to s3://my-bucket/models \\
      --stake-amount 1 --commission-rate 1000 --embedding-file embedding.json --wait
  soma model publish weights.safetensors --to s3://my-bucket \\
      --endpoint https://$ACCOUNT.r2.cloudflarestorage.com --region auto \\
      --public-url https://weights.example.com/ --stake-amount 1 --embedding-file e.json
  soma model publish new.safetensors --to gs://my-bucket --update $MODEL_ID \\
      --embedding-file new.json")]
pub(super) struct PublishArgs {
    /// The plain weights: a safetensors file.
    #[arg(value_name = "WEIGHTS")]
    weights: PathBuf,
    /// s3://BUCKET/PREFIX, gs://BUCKET/PREFIX, az://CONTAINER/PREFIX,
    /// file:///DIRECTORY, https://HOST/FOLDER/ for a host that takes PUT, or a URL
    /// presigned for PUT. On a local network, its file host if left out.
    #[arg(long = "to", value_name = "DEST")]
    destination: Option<Destination>,
    /// Stake in SOMA, at least the network's minimum.
    #[arg(
        long,
        value_name = "SOMA",
        required_unless_present = "update",
        conflicts_with = "update"
    )]
    stake_amount: Option<Amount>,
    /// Commission in basis points: 100 = 1 %, at most 10000.
    #[arg(long, value_name = "BPS", default_value_t = 0, conflicts_with = "update")]
    commission_rate: u64,
    /// A file with the embedding; forms as for `prepare`.
    #[arg(long, value_name = "FILE")]
    embedding_file: Option<String>,
    /// Wait for the next epoch and reveal, too.
    #[arg(long)]
    wait: bool,
    /// Publish new weights of this active model instead of a new model.
    #[arg(long, value_name = "MODEL_ID", value_parser = parse::full_object_id)]
    update: Option<ObjectId>,
    /// Begin anew and pay again, although these weights were published to this destination
    /// before, or are on their way there.
    #[arg(long)]
    new: bool,
    /// Draw the key at random instead of making it from the wallet's key and the
    /// object's name. It is then in the state file only.
    #[arg(long)]
    random_key: bool,
    /// Fetch the whole object from its URL and compare its checksum before the commit.
    #[arg(long)]
    verify_url: bool,
    #[command(flatten)]
    place: PlaceArgs,
    #[command(flatten)]
    upload: UploadArgs,
}

/// How the upload uses the machine.
#[derive(Debug, Args)]
struct UploadArgs {
    /// Bytes in a part; chosen by the size of the file if left out.
    #[arg(long, value_name = "SIZE", value_parser = parse::bytes)]
    part_size: Option<u64>,
    /// Parts that are sent at the same time.
    #[arg(long, value_name = "N", default_value_t = UploadOptions::DEFAULT.in_flight)]
    parallel: usize,
    /// Memory for parts; fewer are sent at the same time if it is too small for all.
    #[arg(long, value_name = "SIZE", default_value = "192MiB", value_parser = parse::bytes)]
    memory: u64,
    /// The most bytes to send a second.
    #[arg(long, value_name = "SIZE", value_parser = parse::rate)]
    limit_rate: Option<NonZeroU64>,
}

/// `soma model publish`.
pub(super) async fn run(
    args: PublishArgs,
    flags: &TransactionArgs,
    context: &Context,
) -> Result<()> {
    if !flags.sends()? {
        return Err(Failure::usage("publish sends what it commits to; it has no preview"));
    }
    let depth = if args.verify_url { Depth::Everything } else { Depth::Header };
    let desk = prepared::Desk::new(depth, context).await?;
    let scope = desk.host().scope;
    let destination = match args.destination {
        Some(destination) => destination,
        None if scope == Scope::Local => {
            Destination::folder(&format!("http://127.0.0.1:{FILES_PORT}"))?
        }
        None => return Err(Failure::usage("--to is needed: where are the weights to go?")),
    };
    let numbers = match &args.embedding_file {
        Some(file) => Some(embedding::read(file, io::stdin())?),
        None => None,
    };
    // The user named the store, so it may be at home; its public URL is read by
    // what the network allows.
    let storage = Storage::new(AddressPolicy::Any)?;
    let store = args.place.open(&destination, &storage, args.upload.limit_rate)?;
    let publication = Publication {
        weights_file: args.weights,
        destination,
        store,
        embedding: numbers,
        options: UploadOptions {
            part_size: args.upload.part_size,
            in_flight: args.upload.parallel,
            memory: args.upload.memory,
        },
        scope,
        wallet: if args.random_key { None } else { Some(desk.sender.key()?.clone()) },
        owner: desk.sender.address,
        chain_id: desk.sender.client.chain_id().await?,
    };
    let begun = if args.new { Begun::Leave } else { Begun::Continue };
    let folder = prepared::folder(context)?;
    let (mut file, of) = match args.update {
        Some(model) => {
            let client = &desk.sender.client;
            let file = publication.open_update(client, &folder, model, begun).await?;
            (file, RevealOf::Update)
        }
        None => (publication.open(&folder, begun)?, RevealOf::Registration),
    };
    let terms = Terms {
        stake_amount: args.stake_amount.map_or(0, Amount::shannons),
        commission_rate: args.commission_rate,
    };
    let session = desk.session(flags)?;
    if let Err(error) = session.foresee_commit(&mut file, of, terms).await {
        publication.give_up(file, of)?;
        return Err(error.into());
    }
    let (mut file, uploaded) = upload(&publication, file, of, context).await?;
    let committed = match of {
        RevealOf::Registration => session.commit(&mut file, terms).await?,
        RevealOf::Update => session.commit_update(&mut file).await?,
    };
    let told = prepared::teller(context);
    let revealed = session.reveal_published(&mut file, of, args.wait, told).await?;
    let findings = committed.report.findings.iter();
    findings.for_each(|finding| prepared::tell(finding, context));
    context.out.print(&PublishReport::new(&file, of, uploaded, &committed, revealed.as_ref()))
}

/// The upload with its bar; what was interrupted can be continued.
async fn upload(
    publication: &Publication,
    file: StateFile,
    of: RevealOf,
    context: &Context,
) -> Result<(StateFile, Option<Uploaded>)> {
    let path = file.path().to_owned();
    let progress = Progress::upload();
    let result = publication.upload(file, of, |now| progress.upload_at(now)).await;
    drop(progress);
    result.map_err(|error| {
        context.out.note(&format!(
            "What has been uploaded is kept; the same command goes on with {}",
            path.display()
        ));
        error.into()
    })
}

#[derive(Serialize)]
struct PublishReport {
    model_id: ObjectId,
    staking_pool_id: ObjectId,
    weights_url: String,
    weights_url_commitment: String,
    weights_commitment: String,
    weights_size: u64,
    /// Bytes that this run read from the weights; null if they were up already.
    bytes_read: Option<u64>,
    /// Bytes that this run handed to connections, repeated ones included.
    bytes_sent: Option<u64>,
    commit_digest: Option<TransactionDigest>,
    #[serde(flatten)]
    times: Option<CommitTimes>,
    reveal_digest: Option<TransactionDigest>,
    revealed_epoch: Option<u64>,
    state_file: PathBuf,
    #[serde(skip)]
    of: RevealOf,
}

impl PublishReport {
    fn new(
        file: &StateFile,
        of: RevealOf,
        uploaded: Option<Uploaded>,
        committed: &Done,
        revealed: Option<&Done>,
    ) -> Self {
        let state = &file.state;
        let round = state.round(of).expect("it was just committed");
        let sealed = round.sealed.expect("what is committed is sealed");
        let digest = |done: &Done| done.executed.as_ref().map(|executed| executed.digest);
        Self {
            model_id: state.model_id,
            staking_pool_id: state.staking_pool_id,
            weights_url: round.weights_url.as_str().to_owned(),
            weights_url_commitment: round.weights_url.commitment().to_hex(),
            weights_commitment: sealed.commitment.to_hex(),
            weights_size: sealed.size,
            bytes_read: uploaded.as_ref().map(|uploaded| uploaded.read),
            bytes_sent: uploaded.as_ref().map(|uploaded| uploaded.sent),
            commit_digest: digest(committed),
            times: committed.window.map(|window| CommitTimes {
                commit_epoch: committed.epoch,
                reveal_epoch: window.reveal_epoch,
                reveal_opens_at: window.times().opens_at,
                reveal_closes_at: window.times().closes_at,
            }),
            reveal_digest: revealed.and_then(digest),
            revealed_epoch: revealed.map(|done| done.epoch),
            state_file: file.path().to_owned(),
            of,
        }
    }
}

impl Report for PublishReport {
    fn text(&self, page: &mut Page) {
        let mut fields = vec![
            ("model", self.model_id.to_string()),
            ("staking pool", self.staking_pool_id.to_string()),
            ("URL", self.weights_url.clone()),
            ("weights commitment", self.weights_commitment.clone()),
            ("size", format::exact_bytes(self.weights_size)),
        ];
        if let Some((read, sent)) = self.bytes_read.zip(self.bytes_sent) {
            fields.push(("read from disk", format::exact_bytes(read)));
            fields.push(("sent", format::exact_bytes(sent)));
        }
        fields.push(("state file", self.state_file.display().to_string()));
        page.fields(&fields);
        match (self.revealed_epoch, &self.times) {
            (Some(_), _) if self.of == RevealOf::Update => {
                page.painted(format!("{} has new weights", self.model_id), GREEN);
            }
            (Some(_), _) => page.painted(format!("{} is active", self.model_id), GREEN),
            (None, times) => {
                if let Some(times) = times {
                    steps::window(page, times);
                }
                page.line("The state file holds the key. Next: soma model resume");
            }
        }
    }
}
