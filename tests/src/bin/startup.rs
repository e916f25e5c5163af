//! How long a user waits for a network and for the demonstration.
//!
//! Every run is a process of its own, timed from its start: a network until its
//! first request is answered, the demonstration until it has ended.

#![forbid(unsafe_code)]

use std::error::Error;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use soma_rpc::Client;
use soma_tests::OwnNetwork;

const USAGE: &str = "usage: startup --soma PATH";

/// From the start of a network to its first answer.
const ANSWER_LIMIT: Duration = Duration::from_millis(200);

/// A whole demonstration, once its files are in the page cache.
const DEMO_LIMIT: Duration = Duration::from_secs(5);

const NETWORKS: usize = 11;
const DEMOS: usize = 3;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

#[tokio::main]
async fn main() -> ExitCode {
    soma_tests::exit_code(run().await)
}

async fn run() -> Result<bool> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [flag, soma] = words.as_slice() else { return Err(USAGE.into()) };
    if flag != "--soma" {
        return Err(USAGE.into());
    }
    println!("{:<40} {:>9} {:>9} {:>9}", "what", "median", "slowest", "limit");
    let mut answers = Vec::with_capacity(NETWORKS);
    for _ in 0..NETWORKS {
        let start = Instant::now();
        let network = OwnNetwork::start(soma, &[])?;
        let client = Client::new(network.url("rpc_url")?)?;
        client.epoch().await?;
        answers.push(start.elapsed());
    }
    let quick = report("start localnet, until its first answer", answers, ANSWER_LIMIT);

    // The first one brings the program into memory.
    demo(soma)?;
    let demos = (0..DEMOS).map(|_| demo(soma)).collect::<Result<Vec<_>>>()?;
    Ok(report("demo, 64 MiB of weights", demos, DEMO_LIMIT) && quick)
}

fn demo(soma: &str) -> Result<Duration> {
    let start = Instant::now();
    let status = Command::new(soma).args(["demo", "--json"]).stdout(Stdio::null()).status()?;
    if status.success() { Ok(start.elapsed()) } else { Err(format!("demo: {status}").into()) }
}

fn report(what: &str, mut times: Vec<Duration>, limit: Duration) -> bool {
    times.sort();
    let (median, slowest) = (times[times.len() / 2], times[times.len() - 1]);
    let millis = |time: Duration| format!("{:.0} ms", time.as_secs_f64() * 1e3);
    println!("{what:<40} {:>9} {:>9} {:>9}", millis(median), millis(slowest), millis(limit));
    slowest <= limit
}
