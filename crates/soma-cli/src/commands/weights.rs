//! `soma weights`: encrypt, decrypt, hash and inspect files.

use std::io;
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use clap::{Args, Subcommand};
use serde::Serialize;
use soma_crypto::{Existing, Input, Key, Options, Output as Target, safetensors};
use soma_proto::{Commitment, WeightsUrl};
use zeroize::Zeroizing;

use crate::context::Context;
use crate::error::{Failure, Result};
use crate::interrupt;
use crate::output::{Page, Report, format};
use crate::parse;
use crate::progress::Progress;

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
    /// Use the key in this file. Never for two different files.
    #[arg(long, value_name = "FILE", conflicts_with = "key_file")]
    use_key_file: Option<PathBuf>,
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
    /// The file with the key.
    #[arg(long, value_name = "FILE")]
    key_file: PathBuf,
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
    /// The file with the key, if the file is encrypted.
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
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
    // Before a key file is made; the pass itself checks both again.
    refuse_existing(&args.output, args.pass.force)?;
    refuse_missing(&args.input)?;
    let key = match &args.use_key_file {
        Some(path) => read_key(path)?,
        None => Key::generate().map_err(|e| crypto(&e))?,
    };
    if let Some(path) = &args.key_file {
        write_key(path, &key)?;
    }
    let options = options(&args.pass, &args.input, "encrypting");
    let result = soma_crypto::seal(&key, input(&args.input), target(&args.output), &options);
    let sealed = match result {
        Ok(sealed) => sealed,
        Err(e) if e.is_broken_pipe() => return Ok(()),
        Err(e) => {
            let failure = crypto(&e);
            return Err(match &args.key_file {
                Some(path) => set_aside(path, failure),
                None => failure,
            });
        }
    };
    let shown = args.key_file.is_none() && args.use_key_file.is_none();
    let report = PassReport {
        input: args.input.display().to_string(),
        output: args.output.display().to_string(),
        size: sealed.size,
        commitment: Commitment::new(sealed.digest.into_inner()).to_hex(),
        decryption_key: shown.then(|| key.to_hex()),
        key_file: args.key_file.map(|path| path.display().to_string()),
    };
    print_beside(&args.output, &report, context)
}

fn decrypt(args: DecryptArgs, context: &Context) -> Result<()> {
    let key = read_key(&args.key_file)?;
    let options = options(&args.pass, &args.input, "decrypting");
    let expected = args.commitment.map(|commitment| commitment.into_inner().into());
    let opened =
        soma_crypto::open(&key, input(&args.input), target(&args.output), expected, &options);
    let opened = match opened {
        Ok(opened) => opened,
        Err(e) if e.is_broken_pipe() => return Ok(()),
        Err(e) => return Err(crypto(&e)),
    };
    let report = PassReport {
        input: args.input.display().to_string(),
        output: args.output.display().to_string(),
        size: opened.size,
        commitment: Commitment::new(opened.digest.into_inner()).to_hex(),
        decryption_key: None,
        key_file: None,
    };
    print_beside(&args.output, &report, context)
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
    let results = soma_crypto::commitments(args.files.iter().map(|path| input(path)), &options);
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
            Err(e) => faults.push(crypto(&e).report.message),
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
    let key = args.key_file.as_deref().map(read_key).transpose()?;
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

fn input(path: &Path) -> Input<'static> {
    match is_dash(path) {
        true => Input::reader("standard input", io::stdin()),
        false => Input::file(path),
    }
}

fn target(path: &Path) -> Target<'static> {
    match is_dash(path) {
        true => Target::writer("standard output", io::stdout()),
        false => Target::file(path),
    }
}

fn is_dash(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// Length for progress bars: 0 where it is not known.
fn len(path: &Path) -> u64 {
    path.metadata().map(|metadata| metadata.len()).unwrap_or(0)
}

fn options(args: &PassArgs, input: &Path, label: &'static str) -> Options<'static> {
    let existing = if args.force { Existing::Replace } else { Existing::Keep };
    let options = Options::new().with_existing(existing);
    let options = match args.threads {
        Some(threads) => options.with_threads(threads),
        None => options,
    };
    let progress = Progress::bytes(label, len(input));
    let stop = interrupt::flag();
    options.with_progress(move |now| {
        progress.set(now.done);
        match stop.load(Ordering::Relaxed) {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    })
}

fn watched<'a>(options: Options<'a>, progress: &'a Progress) -> Options<'a> {
    options.with_progress(|now| {
        progress.set(now.done);
        ControlFlow::Continue(())
    })
}

fn refuse_existing(output: &Path, force: bool) -> Result<()> {
    if force || is_dash(output) || !output.is_file() {
        return Ok(());
    }
    let path = output.to_owned();
    Err(crypto(&soma_crypto::Error::OutputExists { path }))
}

fn refuse_missing(input: &Path) -> Result<()> {
    if is_dash(input) {
        return Ok(());
    }
    match std::fs::File::open(input) {
        Ok(_) => Ok(()),
        Err(source) => Err(crypto(&soma_crypto::Error::Open { path: input.to_owned(), source })),
    }
}

fn read_key(path: &Path) -> Result<Key> {
    let read = std::fs::read_to_string(path).map(Zeroizing::new);
    let text = read.map_err(|e| {
        Failure::new("File", format!("cannot read the key file {}: {e}", path.display()))
    })?;
    Key::from_hex(text.trim()).map_err(|e| {
        Failure::new("InvalidKey", format!("{}: {e}", path.display()))
            .with_hint("a key file holds 64 hex digits")
    })
}

/// Writes the key where only its owner can read it; never over another file.
fn write_key(path: &Path, key: &Key) -> Result<()> {
    let mut line = key.to_hex();
    line.push('\n');
    soma_wallet::file::create(path, line.as_bytes(), soma_wallet::file::Access::Owner).map_err(
        |e| {
            Failure::from_error("File", &e)
                .with_hint("a key file is never overwritten: choose another name")
        },
    )
}

/// Gives the key of an output that was never finished a name that says so.
fn set_aside(path: &Path, failure: Failure) -> Failure {
    let mut name = path.as_os_str().to_owned();
    name.push(".incomplete");
    match std::fs::rename(path, &name) {
        Ok(()) => failure.with_hint(format!("the key is in {}", Path::new(&name).display())),
        Err(e) => failure.with_hint(format!("the key in {} opens nothing ({e})", path.display())),
    }
}

fn crypto(error: &soma_crypto::Error) -> Failure {
    use soma_crypto::Error;
    match error {
        Error::OutputExists { .. } => {
            Failure::from_error("OutputExists", error).with_hint("--force replaces it")
        }
        Error::DigestMismatch { .. } => Failure::from_error("DigestMismatch", error)
            .with_hint("it is not the file that was committed to; nothing was written"),
        Error::InputTruncated { .. } | Error::InputChanged { .. } => {
            Failure::from_error("InputChanged", error)
                .with_hint("nothing was written; run it again when nobody writes to the file")
        }
        Error::Cancelled { .. } => Failure::new("Aborted", "interrupted; nothing was written"),
        _ => Failure::from_error("File", error),
    }
}

/// Prints a result; to standard error if the output itself is standard output.
fn print_beside(output: &Path, report: &PassReport, context: &Context) -> Result<()> {
    match is_dash(output) {
        true => context.out.print_to_stderr(report),
        false => context.out.print(report),
    }
}

#[derive(Serialize)]
struct PassReport {
    input: String,
    output: String,
    size: u64,
    commitment: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    decryption_key: Option<Zeroizing<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_file: Option<String>,
}

impl Report for PassReport {
    fn text(&self, page: &mut Page) {
        let mut fields = vec![
            ("output", self.output.clone()),
            ("size", format::exact_bytes(self.size)),
            ("commitment", self.commitment.clone()),
        ];
        if let Some(key) = &self.decryption_key {
            fields.push(("decryption key", key.to_string()));
        }
        if let Some(path) = &self.key_file {
            fields.push(("key file", path.clone()));
        }
        page.fields(&fields);
    }
}

#[derive(Serialize)]
struct FileCommitment {
    file: String,
    size: u64,
    commitment: String,
}

#[derive(Serialize)]
struct UrlCommitment {
    url: WeightsUrl,
    commitment: String,
}

struct Commitments {
    files: Vec<FileCommitment>,
    urls: Vec<UrlCommitment>,
}

impl Serialize for Commitments {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeSeq as _;
        let mut list = serializer.serialize_seq(Some(self.files.len() + self.urls.len()))?;
        self.files.iter().try_for_each(|file| list.serialize_element(file))?;
        self.urls.iter().try_for_each(|url| list.serialize_element(url))?;
        list.end()
    }
}

#[derive(Serialize)]
struct CommitmentsReport {
    commitments: Commitments,
}

impl Report for CommitmentsReport {
    fn text(&self, page: &mut Page) {
        for file in &self.commitments.files {
            page.line(checksum_line(&file.commitment, &file.file));
        }
        for url in &self.commitments.urls {
            page.line(checksum_line(&url.commitment, url.url.as_str()));
        }
    }
}

/// A line as `b2sum` prints it: a name with a newline or a backslash is escaped,
/// and a backslash in front says so.
fn checksum_line(digest: &str, name: &str) -> String {
    if name.contains(['\\', '\n', '\r']) {
        let name = name.replace('\\', "\\\\").replace('\n', "\\n").replace('\r', "\\r");
        return format!("\\{digest}  {name}");
    }
    format!("{digest}  {name}")
}

#[derive(Serialize)]
struct TensorReport {
    name: String,
    dtype: &'static str,
    shape: Vec<u64>,
    bytes: u64,
}

#[derive(Serialize)]
struct InspectReport {
    file: String,
    size: u64,
    tensors: Vec<TensorReport>,
    parameters: u64,
    metadata: std::collections::BTreeMap<String, String>,
}

impl Report for InspectReport {
    fn text(&self, page: &mut Page) {
        page.heading(format!("{}: valid safetensors", self.file));
        page.fields(&[
            ("size", format::exact_bytes(self.size)),
            ("tensors", self.tensors.len().to_string()),
            ("parameters", self.parameters.to_string()),
        ]);
        let rows: Vec<_> = self
            .tensors
            .iter()
            .map(|tensor| {
                let shape: Vec<_> = tensor.shape.iter().map(u64::to_string).collect();
                let name = format::printable(&tensor.name);
                [name, tensor.dtype.to_owned(), shape.join(" x "), tensor.bytes.to_string()]
            })
            .collect();
        page.table(["tensor", "dtype", "shape", "bytes"], &rows);
        for (name, value) in &self.metadata {
            page.line(format!("  {} = {}", format::printable(name), format::printable(value)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::checksum_line;

    /// What GNU coreutils 9.4 prints.
    #[test]
    fn names_are_escaped_as_b2sum_does() {
        assert_eq!(checksum_line("00", "a b"), "00  a b");
        assert_eq!(checksum_line("00", "a\nb"), "\\00  a\\nb");
        assert_eq!(checksum_line("00", "a\\b"), "\\00  a\\\\b");
    }
}
