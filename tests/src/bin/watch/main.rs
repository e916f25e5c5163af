//! `soma model watch` against a network that dies again and again.
//!
//! An owner registers models and updates them at random; a network with short
//! epochs, and the watch itself, are killed and started again at random; a
//! relay in front of the node, which the watch takes for a second node, is cut
//! now and then. In the end the checkpoints that the network wrote tell of
//! every reveal in which epoch it was sent: none before its window, and none
//! missing.
//!
//! Epochs last 2 s unless told. Where a machine takes long to start a node, because
//! it is slow or busy, they last longer in proportion: what is tested is the watch.

#![forbid(unsafe_code)]

mod chance;
mod owner;
mod process;
mod record;
mod relay;

use std::error::Error;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use soma_rpc::Client;

use crate::chance::Chance;
use crate::owner::Owner;
use crate::process::{Node, Watch, Where};
use crate::relay::Relay;

const USAGE: &str = "usage: watch --soma PATH [--epochs N] [--epoch-ms N] [--models N] [--seed N]";

/// Epochs at the end in which nothing new is committed.
const QUIET: u64 = 3;
/// How much longer than its epochs a run may take on a slow machine.
const PATIENCE: u32 = 5;
/// How long an epoch lasts unless told.
const EPOCH_MS: u64 = 2_000;
/// An epoch lasts at least as long as so many starts of the node.
const STARTS: u64 = 10;

pub(crate) type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// What is run, and for how long.
#[derive(Clone, Debug)]
struct Options {
    soma: String,
    epochs: u64,
    epoch_ms: u64,
    models: u32,
    seed: u64,
}

#[tokio::main(worker_threads = 2)]
async fn main() -> ExitCode {
    soma_tests::exit_code(run().await)
}

fn options() -> Result<Options> {
    let mut options = Options {
        soma: String::new(),
        epochs: 50,
        epoch_ms: EPOCH_MS,
        models: 20,
        seed: u64::from(std::process::id()),
    };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or(USAGE);
        match word.as_str() {
            "--soma" => options.soma = value()?,
            "--epochs" => options.epochs = value()?.parse()?,
            "--epoch-ms" => options.epoch_ms = value()?.parse()?,
            "--models" => options.models = value()?.parse()?,
            "--seed" => options.seed = value()?.parse()?,
            _ => return Err(USAGE.into()),
        }
    }
    if options.soma.is_empty() || options.epochs <= 2 * QUIET {
        return Err(USAGE.into());
    }
    Ok(options)
}

async fn run() -> Result<bool> {
    let mut options = options()?;
    let start_ms = process::start_ms(&options.soma).await?;
    options.epoch_ms = options.epoch_ms.max(STARTS * start_ms);
    println!(
        "{} models, {} epochs of {} ms, seed {}; a node starts in {start_ms} ms",
        options.models, options.epochs, options.epoch_ms, options.seed
    );
    let home = tempfile::tempdir()?;
    let place = Where::new(&options.soma, home.path(), options.epoch_ms)?;
    let node = Node::start(&place).await?;
    let relay = Arc::new(Relay::start(place.rpc_port).await?);
    let watch = Watch::start(&place, &[&place.rpc_url(), &relay.url])?;

    let over = Arc::new(AtomicBool::new(false));
    let last = options.epochs - QUIET;
    let owner = Owner::new(&place, &options, last).await?;
    let is_over = Arc::clone(&over);
    // The steps of a model stay on one thread.
    let owner = tokio::task::spawn_blocking(move || {
        tokio::runtime::Handle::current().block_on(owner.work(is_over))
    });
    let trouble = tokio::spawn(make_trouble(
        node,
        watch,
        relay,
        Arc::clone(&over),
        Chance::new(options.seed),
    ));

    let client = Client::new(place.rpc_url())?;
    let limit = Duration::from_millis(options.epochs * options.epoch_ms) * PATIENCE;
    let deadline = Instant::now() + limit;
    loop {
        tokio::time::sleep(Duration::from_millis(100)).await;
        if client.epoch().await.is_ok_and(|epoch| epoch >= options.epochs) {
            break;
        }
        if Instant::now() > deadline {
            return Err(format!("{} epochs did not pass within {limit:?}", options.epochs).into());
        }
        if owner.is_finished() || trouble.is_finished() {
            // One of them failed; the error comes below.
            break;
        }
    }
    over.store(true, Ordering::Relaxed);
    let owner = owner.await??;
    let (node, watch, troubles) = trouble.await??;
    let ended = watch.stop().await?;
    node.stop().await?;

    let record = record::read(&place.checkpoints)?;
    let usable_ms = record::usable_ms(start_ms, options.epoch_ms);
    let judged = record::judge(&record, &troubles.up, usable_ms);
    println!(
        "{} kills of the node, {} of the watch, {} cuts of the relay; the node was back after {} ms at most",
        troubles.nodes,
        troubles.watches,
        troubles.cuts,
        troubles.longest_start.as_millis()
    );
    println!("{} commits by the owner, {}", owner.commits, ended);
    judged.print();
    let good = judged.is_good(options.models, options.epochs) && ended.code == Some(0);
    match good {
        true => println!("no reveal was missed, none was early"),
        false => println!("FAILED; the events are in {}", ended.save()?.display()),
    }
    Ok(good)
}

/// What was done to the processes.
#[derive(Default)]
struct Troubles {
    nodes: u32,
    watches: u32,
    cuts: u32,
    longest_start: Duration,
    /// When the node was there, milliseconds since 1970.
    up: Vec<(u64, u64)>,
}

/// Kills and cuts at random, until it is over.
async fn make_trouble(
    mut node: Node,
    mut watch: Watch,
    relay: Arc<Relay>,
    over: Arc<AtomicBool>,
    mut chance: Chance,
) -> Result<(Node, Watch, Troubles)> {
    let mut troubles = Troubles::default();
    while !over.load(Ordering::Relaxed) {
        tokio::time::sleep(Duration::from_millis(chance.between(300, 3_000))).await;
        match chance.between(0, 8) {
            0..=4 => {
                node.kill().await?;
                troubles.up.push((node.since_ms, chance::now_ms()));
                troubles.nodes += 1;
                let start = Instant::now();
                node.start_again().await?;
                troubles.longest_start = troubles.longest_start.max(start.elapsed());
            }
            5 | 6 => {
                troubles.watches += 1;
                watch.kill_and_start().await?;
            }
            _ => {
                troubles.cuts += 1;
                relay.cut(Duration::from_millis(chance.between(100, 1_500)));
            }
        }
    }
    troubles.up.push((node.since_ms, chance::now_ms()));
    Ok((node, watch, troubles))
}
