//! What commands cost on a network with many models.
//!
//! A network that begins with `--models` active models runs in this process;
//! the commands run as a user runs them, each in a process of its own. Once
//! through a relay that counts what the node answers, which must stay small
//! however many models there are; then, with `--time`, several times directly,
//! which must stay below a tenth of a second.

#![forbid(unsafe_code)]

mod relay;

use std::error::Error;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use soma_localnet::{FAUCET_AMOUNT, LocalNet, LocalNetConfig};
use soma_proto::{Address, ObjectId};
use soma_rpc::{Client, Faucet, ModelFilter};

use crate::relay::Relay;

const USAGE: &str = "usage: registry --soma PATH [--models N] [--embedding-dim N] [--time]";

/// What the median run of a command may take.
const TIME_LIMIT: Duration = Duration::from_millis(100);

/// What a node may answer to one command, in bytes: room for one model with an
/// embedding of the public network's length, not for two dozen.
const BYTE_LIMIT: u64 = 64 << 10;

const RUNS: usize = 21;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

#[derive(Default)]
struct Options {
    soma: String,
    models: u32,
    embedding_dim: Option<u64>,
    time: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    soma_tests::exit_code(run().await)
}

fn options() -> Result<Options> {
    let mut options = Options { models: 20_000, ..Options::default() };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or(USAGE);
        match word.as_str() {
            "--soma" => options.soma = value()?,
            "--models" => options.models = value()?.parse()?,
            "--embedding-dim" => options.embedding_dim = Some(value()?.parse()?),
            "--time" => options.time = true,
            _ => return Err(USAGE.into()),
        }
    }
    if options.soma.is_empty() { Err(USAGE.into()) } else { Ok(options) }
}

async fn run() -> Result<bool> {
    let options = options()?;
    let config = LocalNetConfig::new()
        .with_free_ports()
        .with_epoch_duration_ms(86_400_000)
        .with_embedding_dim(options.embedding_dim)
        .with_genesis_models(options.models);
    let start = Instant::now();
    let network = LocalNet::start(config).await?;
    let url = network.rpc_url().ok_or("the network has no RPC port")?.to_owned();
    println!("{} models, ready after {:.1?}", options.models, start.elapsed());

    let home = std::env::temp_dir().join(format!("soma-registry-{}", std::process::id()));
    let outcome = measure(&options, &network, &url, &home).await;
    let _ = std::fs::remove_dir_all(&home);
    network.shutdown().await?;
    outcome
}

async fn measure(options: &Options, network: &LocalNet, url: &str, home: &Path) -> Result<bool> {
    let client = Client::new(url)?;
    let listed = client.models(&ModelFilter::default()).await?;
    if listed.len() != options.models as usize {
        return Err(format!("the network lists {} models", listed.len()).into());
    }
    let model = listed[listed.len() / 2].id;

    let soma = Soma { binary: &options.soma, home };
    let wallet = soma.run(url, &["-y", "wallet", "new", "--alias", "registry", "--json"]).await?;
    let wallet: serde_json::Value = serde_json::from_str(&wallet)?;
    let address: Address = wallet["address"].as_str().ok_or("no address")?.parse()?;
    let faucet = Faucet::new(network.faucet_url().ok_or("the network has no faucet")?)?;
    let money = (RUNS as u64 + 1) * FAUCET_AMOUNT;
    faucet.request_amount(&address, money, |_| {}).await?;

    let relay = Relay::start(url).await?;
    let mut good = true;
    println!("{:<14} {:>14} {:>10} {:>10}", "command", "bytes answered", "median", "slowest");
    for (name, words) in commands(model) {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        soma.run(&relay.url, &words).await?;
        let bytes = relay.take();
        good &= bytes < BYTE_LIMIT;
        print!("{name:<14} {bytes:>14}");
        if options.time {
            let mut times = Vec::with_capacity(RUNS);
            for _ in 0..RUNS {
                let start = Instant::now();
                soma.run(url, &words).await?;
                times.push(start.elapsed());
            }
            times.sort();
            let (median, slowest) = (times[RUNS / 2], times[RUNS - 1]);
            good &= median < TIME_LIMIT;
            print!(" {:>7.1} ms {:>7.1} ms", millis(median), millis(slowest));
        }
        println!();
    }
    println!("limits: {BYTE_LIMIT} bytes, median of {RUNS} runs {} ms", TIME_LIMIT.as_millis());
    Ok(good)
}

fn commands(model: ObjectId) -> Vec<(&'static str, Vec<String>)> {
    let words = |line: &str| line.split_whitespace().map(str::to_owned).collect();
    let (url, weights) = ("ab".repeat(32), "cd".repeat(32));
    vec![
        ("status", words("status --json")),
        ("model info", words(&format!("model info {model} --json"))),
        (
            "model commit",
            words(&format!(
                "model commit --weights-url-commitment {url} --weights-commitment {weights} \
                 --stake-amount 1 --json"
            )),
        ),
    ]
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// The binary, with a wallet of its own.
struct Soma<'a> {
    binary: &'a str,
    home: &'a Path,
}

impl Soma<'_> {
    /// Runs a command against the node at `url`; its standard output.
    async fn run(&self, url: &str, words: &[&str]) -> Result<String> {
        let mut command = Command::new(self.binary);
        command
            .args(words)
            .env("SOMA_CONFIG_DIR", self.home)
            .env("SOMA_RPC_URL", url)
            .stdin(Stdio::null());
        let output = tokio::task::spawn_blocking(move || command.output()).await??;
        if output.status.success() {
            Ok(String::from_utf8(output.stdout)?)
        } else {
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            Err(format!("soma {}: {}: {said}", words.join(" "), output.status).into())
        }
    }
}
