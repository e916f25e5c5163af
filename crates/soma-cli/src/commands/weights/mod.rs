//! `soma weights`: encrypt, decrypt, hash and inspect files.

/// The files of a pass.
mod files;
/// What the commands print.
mod report;
/// What is left behind if a pass does not come to its end.
mod unfinished;

use std::io;
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use clap::{Args, Subcommand};
use soma_crypto::{Existing, Input, Key, Options, safetensors};
use soma_proto::{Commitment, WeightsUrl};

use crate::context::Context;
use crate::error::{Failure, Result};
use crate::interrupt;
use crate::parse;
use crate::progress::Progress;

use self::files::Destination;
use self::report::{
    Commitments, CommitmentsReport, FileCommitment, InspectReport, PassReport, TensorReport,
    UrlCommitment,
};
use self::unfinished::{Abandoned, Unfinished};

/// Arguments of `soma weights`.
#[derive(Debug, Args)]
pub(crate) struct WeightsArgs {
    #[command(subcommand)]
    command: WeightsCommand,
}

#[derive(Debug, Subcommand)]
enum WeightsCommand {
    Encrypt(EncryptArgs),
    Decrypt(DecryptArgs),
    Commitment(CommitmentArgs),
    Inspect(InspectArgs),
}

/// Encrypt a file under a fresh key and hash the result, in one pass.
///
/// AES-256-CTR from a zero counter, as validators decrypt it. The output appears
/// under its name only when it is complete. The commitment printed is the one that
/// `soma model commit` wants.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  soma weights encrypt weights.safetensors -o weights.enc --key-file model.key
  cat weights.safetensors | soma weights encrypt - -o weights.enc --json")]
struct EncryptArgs {
    /// The file, or `-` for standard input.
    input: PathBuf,
    /// Where to put the result, or `-` for standard output.
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// Write the key here before anything else, readable by you alone. Must not exist.
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// Use the key in this file, `-` for standard input. Never for two different files.
    #[arg(long, value_name = "FILE", conflicts_with = "key_file")]
    use_key_file: Option<String>,
    #[command(flatten)]
    pass: PassArgs,
}

/// Decrypt a file, and check it against its commitment.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Example:
  soma weights decrypt weights.enc -o weights.safetensors --key-file model.key \\
      --commitment $WEIGHTS_COMMITMENT")]
struct DecryptArgs {
    /// The file, or `-` for standard input.
    input: PathBuf,
    /// Where to put the result, or `-` for standard output.
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// The file with the key, `-` for standard input.
    #[arg(long, value_name = "FILE")]
    key_file: String,
    /// What the encrypted file must hash to, before the output gets its name.
    #[arg(long, value_name = "HEX32", value_parser = parse::hash)]
    commitment: Option<Commitment>,
    #[command(flatten)]
    pass: PassArgs,
}

/// How a file is gone through.
#[derive(Debug, Args)]
struct PassArgs {
    /// Replace an existing output.
    #[arg(long)]
    force: bool,
    /// Read the file instead of mapping it into memory. Files are always read at
    /// present, since that is as fast and a file cut short is then a plain error.
    #[arg(long)]
    no_mmap: bool,
    /// Number of threads; one per processor if left out.
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,
}

/// Print the Blake2b-256 of files or URLs, as `b2sum -l 256` does.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  soma weights commitment weights.enc other.enc
  soma weights commitment --url https://storage.example.com/weights.enc")]
struct CommitmentArgs {
    /// The files, `-` for standard input.
    #[arg(value_name = "FILE", required_unless_present = "url")]
    files: Vec<PathBuf>,
    /// A URL; it is brought to its normal form first, since that is what the chain hashes.
    #[arg(long, value_name = "URL")]
    url: Vec<String>,
}

/// Check the header of a safetensors file and show what is in it.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  soma weights inspect weights.safetensors
  soma weights inspect weights.enc --key-file model.key")]
struct InspectArgs {
    /// The file.
    file: PathBuf,
    /// The file with the key, `-` for standard input, if the file is encrypted.
    #[arg(long, value_name = "FILE")]
    key_file: Option<String>,
}

/// Runs a command of the group.
pub(crate) fn run(args: WeightsArgs, context: &Context) -> Result<()> {
    match args.command {
        WeightsCommand::Encrypt(args) => encrypt(args, context),
        WeightsCommand::Decrypt(args) => decrypt(args, context),
        WeightsCommand::Commitment(args) => commitment(args, context),
        WeightsCommand::Inspect(args) => inspect(args, context),
    }
}

fn encrypt(args: EncryptArgs, context: &Context) -> Result<()> {
    // Before a key file is made; the pass itself checks some of it again.
    let destination = Destination::of(&args.output);
    let used = args.use_key_file.as_deref().map(Path::new);
    destination.refuse_input_and_key(&args.input, args.key_file.as_deref().or(used))?;
    destination.refuse_existing(args.pass.force)?;
    let (input, len) = files::open(&args.input)?;
    let key = match &args.use_key_file {
        Some(file) => read_key(file, &args.input)?,
        None => Key::generate().map_err(|e| crypto(&e, true))?,
    };
    let unfinished = Unfinished::default();
    let progress = Progress::bytes("encrypting", len);
    let options = options(&args.pass, progress, &destination, &unfinished, context)?;
    if let Some(path) = &args.key_file {
        unfinished.write_key(path, &key)?;
    }
    let sealed = match soma_crypto::seal(&key, input, destination.output(), &options) {
        Ok(sealed) => sealed,
        Err(e) if e.is_broken_pipe() => {
            drop(options);
            let place = unfinished.set_key_aside();
            let place = place.map(|place| format!("; {place}")).unwrap_or_default();
            context.out.warn(&format!("the stream is cut off, its reader went away{place}"));
            return Ok(());
        }
        Err(e) if never_began(&e) => {
            unfinished.remove_key();
            return Err(crypto(&e, true));
        }
        Err(e) => {
            return Err(with_place(crypto(&e, destination.is_file()), unfinished.set_key_aside()));
        }
    };
    unfinished.finished();
    drop(options);
    let shown = args.key_file.is_none() && args.use_key_file.is_none();
    let report = PassReport {
        input: args.input.display().to_string(),
        output: args.output.display().to_string(),
        size: sealed.size,
        commitment: Commitment::new(sealed.digest.into_inner()).to_hex(),
        decryption_key: shown.then(|| key.to_hex()),
        key_file: args.key_file.map(|path| path.display().to_string()),
    };
    print_beside(&destination, &report, context)
}

fn decrypt(args: DecryptArgs, context: &Context) -> Result<()> {
    let destination = Destination::of(&args.output);
    destination.refuse_input_and_key(&args.input, Some(Path::new(&args.key_file)))?;
    destination.refuse_existing(args.pass.force)?;
    let (input, len) = files::open(&args.input)?;
    let key = read_key(&args.key_file, &args.input)?;
    let unfinished = Unfinished::default();
    let progress = Progress::bytes("decrypting", len);
    let options = options(&args.pass, progress, &destination, &unfinished, context)?;
    let expected = args.commitment.map(|commitment| commitment.into_inner().into());
    let opened = soma_crypto::open(&key, input, destination.output(), expected, &options);
    let opened = match opened {
        Ok(opened) => opened,
        Err(e) if e.is_broken_pipe() => return Ok(()),
        Err(e) => return Err(crypto(&e, destination.is_file())),
    };
    unfinished.finished();
    drop(options);
    let report = PassReport {
        input: args.input.display().to_string(),
        output: args.output.display().to_string(),
        size: opened.size,
        commitment: Commitment::new(opened.digest.into_inner()).to_hex(),
        decryption_key: None,
        key_file: None,
    };
    print_beside(&destination, &report, context)
}

fn commitment(args: CommitmentArgs, context: &Context) -> Result<()> {
    let mut urls = Vec::new();
    for given in &args.url {
        let url: WeightsUrl = given.parse().map_err(|e: soma_proto::Error| {
            Failure::usage(format!("--url {given}: {e}"))
                .with_hint("an absolute URL is needed, for example https://host/weights.enc")
        })?;
        if url.as_str() != given {
            context.out.note(&format!("{given} is {url} in normal form"));
        }
        urls.push(UrlCommitment { commitment: url.commitment().to_hex(), url });
    }

    let progress = Progress::bytes("hashing", args.files.iter().map(|path| len(path)).sum());
    let options = watched(Options::new(), &progress);
    let inputs = args.files.iter().map(|path| match files::is_dash(path) {
        true => Input::reader("standard input", io::stdin()),
        false => Input::file(path),
    });
    let results = soma_crypto::commitments(inputs, &options);
    drop(options);
    drop(progress);

    let mut files = Vec::new();
    let mut faults = Vec::new();
    for (path, result) in args.files.iter().zip(results) {
        match result {
            Ok(found) => files.push(FileCommitment {
                file: path.display().to_string(),
                size: found.size,
                commitment: Commitment::new(found.digest.into_inner()).to_hex(),
            }),
            Err(e) => faults.push(crypto(&e, true).report.message),
        }
    }
    context.out.print(&CommitmentsReport { commitments: Commitments { files, urls } })?;
    // One bad file does not stop the others, but it shows in the exit code.
    match faults.is_empty() {
        true => Ok(()),
        false => Err(Failure::new("File", faults.join("\n"))),
    }
}

fn inspect(args: InspectArgs, context: &Context) -> Result<()> {
    let key = args.key_file.as_deref().map(|file| read_key(file, &args.file)).transpose()?;
    let header = safetensors::inspect_file(&args.file, key.as_ref()).map_err(|e| {
        let failure = Failure::from_error("InvalidSafetensors", &e);
        let (name, found) = (args.file.display().to_string(), failure.report.message);
        let message = if found.contains(&name) { found } else { format!("{name}: {found}") };
        let hint = match key {
            Some(_) => "is it the key of this file, and is the file complete?",
            None => "if the file is encrypted, name its key with --key-file",
        };
        Failure::new("InvalidSafetensors", message).with_hint(hint)
    })?;
    context.out.print(&InspectReport {
        file: args.file.display().to_string(),
        size: len(&args.file),
        parameters: header.parameters,
        tensors: header
            .tensors
            .into_iter()
            .map(|tensor| TensorReport {
                name: tensor.name,
                dtype: tensor.dtype.name(),
                shape: tensor.shape,
                bytes: tensor.bytes,
            })
            .collect(),
        metadata: header.metadata,
    })
}

/// Length for progress bars: 0 where it is not known.
fn len(path: &Path) -> u64 {
    path.metadata().map(|metadata| metadata.len()).unwrap_or(0)
}

/// The options of a pass that can be interrupted.
fn options(
    args: &PassArgs,
    progress: Progress,
    destination: &Destination,
    unfinished: &Unfinished,
    context: &Context,
) -> Result<Options<'static>> {
    let existing = if args.force { Existing::Replace } else { Existing::Keep };
    let options = Options::new().with_existing(existing);
    let options = match args.threads {
        Some(threads) => options.with_threads(threads),
        None => options,
    };
    let (is_file, out, left) = (destination.is_file(), context.out, unfinished.clone());
    let stop = interrupt::flag(move || {
        out.fail(&match left.abandon() {
            Abandoned::Complete => Failure::new("Aborted", "interrupted; the output is complete"),
            Abandoned::Cut(place) => with_place(interrupted(is_file), place),
        });
    })?;
    let noted = unfinished.clone();
    let output = destination.path().to_owned();
    let options = options.with_temporary(move |path| noted.note_temporary(path, &output));
    Ok(options.with_progress(move |now| {
        progress.set(now.done);
        match stop.load(Ordering::Relaxed) {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    }))
}

fn watched<'a>(options: Options<'a>, progress: &'a Progress) -> Options<'a> {
    options.with_progress(|now| {
        progress.set(now.done);
        ControlFlow::Continue(())
    })
}

/// Reads the key in a file, or on standard input if the file beside it is not there.
fn read_key(file: &str, beside: &Path) -> Result<Key> {
    if files::is_dash(Path::new(file)) && files::is_dash(beside) {
        return Err(Failure::usage("standard input cannot hold both the key and the file"));
    }
    let key = soma_model::read_key(file, io::stdin())?;
    Ok(Key::from_bytes(*key.as_bytes()))
}

/// Whether a pass failed before it encrypted anything.
fn never_began(error: &soma_crypto::Error) -> bool {
    use soma_crypto::Error;
    matches!(error, Error::Open { .. } | Error::Create { .. } | Error::OutputIsDirectory { .. })
}

/// A failure as it is told; of an output that is a file, nothing is left.
fn crypto(error: &soma_crypto::Error, is_file: bool) -> Failure {
    use soma_crypto::Error;
    match error {
        Error::OutputExists { .. } => {
            Failure::from_error("OutputExists", error).with_hint("--force replaces it")
        }
        Error::DigestMismatch { .. } => {
            Failure::from_error("DigestMismatch", error).with_hint(match is_file {
                true => "it is not the file that was committed to; nothing was written",
                false => "it is not the file that was committed to; do not use what was written",
            })
        }
        Error::InputTruncated { .. } | Error::InputChanged { .. } => {
            Failure::from_error("InputChanged", error).with_hint(match is_file {
                true => "nothing was written; run it again when nobody writes to the file",
                false => "do not use what was written; run it again when nobody writes to the file",
            })
        }
        Error::Cancelled { .. } => interrupted(is_file),
        _ => Failure::from_error("File", error),
    }
}

fn interrupted(is_file: bool) -> Failure {
    Failure::new(
        "Aborted",
        match is_file {
            true => "interrupted; nothing was written",
            false => "interrupted; what was written is cut off",
        },
    )
}

/// Adds to a failure where the key is.
fn with_place(failure: Failure, place: Option<String>) -> Failure {
    let lines: Vec<_> = failure.report.hint.clone().into_iter().chain(place).collect();
    match lines.is_empty() {
        true => failure,
        false => failure.with_hint(lines.join("\n")),
    }
}

/// Prints a result; to standard error if standard output holds the output itself.
fn print_beside(destination: &Destination, report: &PassReport, context: &Context) -> Result<()> {
    match destination.holds_stdout() {
        true => context.out.print_to_stderr(report),
        false => context.out.print(report),
    }
}
