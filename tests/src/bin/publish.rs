//! What encrypting on the way costs: `soma model publish` beside the two things that
//! it does at the same time.
//!
//! The store is the local network's file host, so nothing waits for a line. Every run is
//! a process of its own, timed from its start; the contestants take turns, so that a
//! noisy machine disturbs all alike.

#![forbid(unsafe_code)]

use std::error::Error;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

use serde_json::Value;
use soma_crypto::InputFile;
use soma_storage::{
    AddressPolicy, Destination, ObjectName, Source, Storage, Store, StoreOptions, UploadOptions,
    Variables,
};
use soma_tests::OwnNetwork;

const USAGE: &str = "usage: publish --soma PATH [--mib N] [--rounds N] [--dir DIR]";

/// The larger of sealing and uploading may be exceeded by so much.
const LIMIT: f64 = 1.15;

const MIB: u64 = 1 << 20;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

#[tokio::main]
async fn main() -> ExitCode {
    soma_tests::exit_code(run().await)
}

async fn run() -> Result<bool> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    // A contestant: this program in a process of its own.
    if let [word, file, folder] = words.as_slice()
        && word == "upload"
    {
        return upload(file.as_ref(), folder).await.map(|()| true);
    }
    let plan = Plan::parse(&words)?;
    let folder = tempfile::Builder::new().prefix("bench-publish-").tempdir_in(&plan.dir)?;
    let bench = Bench::prepare(&plan, folder.path())?;
    bench.race(&plan)
}

/// The plain upload: the same bytes by the same crate, encrypted before.
async fn upload(file: &Path, folder: &str) -> Result<()> {
    let destination: Destination = folder.parse()?;
    let storage = Storage::new(AddressPolicy::Any)?;
    let (options, variables) = (StoreOptions::default(), Variables::default());
    let store = Store::open(&destination, &options, &variables, &storage)?;
    let source = Source::plain(InputFile::open(file)?);
    let nowhere = Box::new(|_: &_| Ok(()));
    let name = ObjectName::random()?;
    store.upload(&name, source, None, &UploadOptions::DEFAULT, nowhere, |_| {}).await?;
    Ok(())
}

/// What the command line asks for.
struct Plan {
    soma: String,
    mib: u64,
    rounds: usize,
    dir: PathBuf,
}

impl Plan {
    fn parse(words: &[String]) -> Result<Self> {
        let dir = std::env::temp_dir();
        let mut plan = Self { soma: String::new(), mib: 2048, rounds: 5, dir };
        for pair in words.chunks(2) {
            let [flag, value] = pair else { return Err(USAGE.into()) };
            match flag.as_str() {
                "--soma" => plan.soma.clone_from(value),
                "--mib" => plan.mib = value.parse()?,
                "--rounds" => plan.rounds = value.parse::<usize>()?.max(1),
                "--dir" => plan.dir = value.into(),
                _ => return Err(USAGE.into()),
            }
        }
        if plan.soma.is_empty() { Err(USAGE.into()) } else { Ok(plan) }
    }
}

/// A network with its file host, an owner, and the weights.
struct Bench<'a> {
    soma: &'a str,
    folder: &'a Path,
    network: OwnNetwork,
}

impl<'a> Bench<'a> {
    fn prepare(plan: &'a Plan, folder: &'a Path) -> Result<Self> {
        let served = folder.join("served");
        let served = served.to_str().ok_or("the folder's name is not text")?;
        let flags = ["--epoch-duration-ms", "86400000", "--files-port", "0", "--files-dir", served];
        let network = OwnNetwork::start(&plan.soma, &flags)?;
        let bench = Self { soma: &plan.soma, folder, network };
        weights(&folder.join("plain"), plan.mib * MIB)?;
        bench.ask(&["-y", "wallet", "new", "--alias", "me"])?;
        let length = bench.ask(&["status"])?["embedding_dim"].as_u64().ok_or("no embedding_dim")?;
        let numbers = vec!["0.1"; usize::try_from(length)?].join(",");
        fs::write(folder.join("embedding.json"), format!("[{numbers}]"))?;
        Ok(bench)
    }

    /// `soma` with these words.
    fn soma(&self, words: &[&str]) -> Result<Command> {
        let mut command = Command::new(self.soma);
        command
            .args(words)
            .arg("--json")
            .current_dir(self.folder)
            .env("SOMA_CONFIG_DIR", self.folder.join("config"))
            .env("SOMA_RPC_URL", self.network.url("rpc_url")?)
            .env("SOMA_FAUCET_URL", self.network.url("faucet_url")?);
        Ok(command)
    }

    fn ask(&self, words: &[&str]) -> Result<Value> {
        let output = self.soma(words)?.output()?;
        if !output.status.success() {
            let reason = String::from_utf8_lossy(&output.stderr).into_owned();
            return Err(format!("{}: {reason}", words.join(" ")).into());
        }
        Ok(serde_json::from_slice(&output.stdout)?)
    }

    fn race(&self, plan: &Plan) -> Result<bool> {
        let host = format!("{}/", self.network.url("files_url")?.trim_end_matches('/'));
        let seal = ["weights", "encrypt", "plain", "-o", "sealed", "--key-file", "key", "--force"];
        let publish = ["model", "publish", "plain", "--to", &host, "--new", "--stake-amount", "1"];
        let publish = [&publish[..], &["--embedding-file", "embedding.json"]].concat();
        let ourselves = std::env::current_exe()?;
        let mut times = [const { Vec::new() }; 3];
        // The first round brings programs and weights into memory.
        for round in 0..=plan.rounds {
            let sealed = self.time(self.soma(&seal)?)?;
            let mut upload = Command::new(&ourselves);
            upload.args(["upload", "sealed", &host]).current_dir(self.folder);
            let uploaded = self.time(upload)?;
            fs::remove_file(self.folder.join("sealed"))?;
            fs::remove_file(self.folder.join("key"))?;
            self.ask(&["faucet"])?;
            let published = self.time(self.soma(&publish)?)?;
            if round > 0 {
                let all = [sealed, uploaded, published];
                times.iter_mut().zip(all).for_each(|(times, time)| times.push(time));
            }
        }
        let [seal, upload, publish] = times.map(|mut times: Vec<f64>| {
            times.sort_by(f64::total_cmp);
            times[times.len() / 2]
        });
        println!("{}, {} threads", processor(), std::thread::available_parallelism()?);
        println!("{} MiB, medians of {} rounds", plan.mib, plan.rounds);
        println!("  seal to disk           {seal:8.3} s");
        println!("  upload what was sealed {upload:8.3} s");
        println!("  publish                {publish:8.3} s");
        let ratio = publish / seal.max(upload);
        let verdict = if ratio <= LIMIT { "holds" } else { "MISSED" };
        println!("  -> publish over the larger: {ratio:.2} (at most {LIMIT}: {verdict})");
        Ok(ratio <= LIMIT)
    }

    /// Runs to the end, in seconds, on a machine like the one before had it.
    fn time(&self, mut command: Command) -> Result<f64> {
        self.settle()?;
        let start = Instant::now();
        let output = command.stdout(Stdio::null()).stderr(Stdio::piped()).output()?;
        let elapsed = start.elapsed().as_secs_f64();
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
        }
        Ok(elapsed)
    }

    /// Removes what was served, brings what was written to the disk now instead of while
    /// somebody is timed, and uses as many pages as the next one will need once: a
    /// virtual machine may have given them back to its host.
    fn settle(&self) -> Result<()> {
        for entry in fs::read_dir(self.folder.join("served"))? {
            let path = entry?.path();
            if path.is_file() {
                fs::remove_file(path)?;
            }
        }
        let scratch = self.folder.join("scratch");
        io::copy(&mut File::open(self.folder.join("plain"))?, &mut File::create(&scratch)?)?;
        fs::remove_file(scratch)?;
        let status = Command::new("sync").status()?;
        if status.success() { Ok(()) } else { Err(format!("sync: {status}").into()) }
    }
}

/// Weights that do not compress and do not repeat.
fn weights(path: &Path, length: u64) -> Result<()> {
    let header =
        format!(r#"{{"weight":{{"dtype":"U8","shape":[{length}],"data_offsets":[0,{length}]}}}}"#);
    let mut file = BufWriter::with_capacity(1 << 20, File::create(path)?);
    file.write_all(&(header.len() as u64).to_le_bytes())?;
    file.write_all(header.as_bytes())?;
    let mut state = length | 1;
    for _ in 0..length / 8 {
        // Xorshift (Marsaglia 2003): anything that is not constant will do.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        file.write_all(&state.to_le_bytes())?;
    }
    file.flush()?;
    Ok(())
}

fn processor() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with("model name"));
    let name = line.and_then(|line| line.split_once(':'));
    name.map_or_else(|| "unknown processor".into(), |(_, name)| name.trim().into())
}
