//! Checks a SOMA node from outside, one line per check and a total.
//!
//! Only calls that every node of this version offers are used, so any node can
//! be checked: with `--rpc` what can be read; with `--faucet` also what costs
//! money; with `--admin` also what takes an epoch. `--reference` expects the
//! public network's rules where the local network is stricter.

#![forbid(unsafe_code)]

mod flows;
mod node;
mod reads;
mod report;

use std::process::ExitCode;

use soma_tests::OwnNetwork;

use crate::node::{Node, Target};
use crate::report::Report;

const USAGE: &str = "usage: conformance --rpc URL [--faucet URL] [--admin URL] [--reference]
       conformance --own PATH_OF_SOMA";

#[tokio::main]
async fn main() -> ExitCode {
    soma_tests::exit_code(run().await)
}

async fn run() -> Result<bool, Box<dyn std::error::Error>> {
    let (target, _own) = target()?;
    let mut node = Node::connect(&target.rpc).await?;
    let mut report = Report::default();
    reads::run(&mut node, &mut report).await;
    flows::run(&mut node, &target, &mut report).await;
    Ok(report.total())
}

fn target() -> Result<(Target, Option<OwnNetwork>), Box<dyn std::error::Error>> {
    let mut target = Target::default();
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or(USAGE);
        match word.as_str() {
            "--own" => {
                let flags = ["--epoch-duration-ms", "86400000", "--embedding-dim", "4"];
                let own = OwnNetwork::start(&value()?, &flags)?;
                let target = Target {
                    rpc: own.url("rpc_url")?,
                    faucet: Some(own.url("faucet_url")?),
                    admin: Some(own.url("admin_url")?),
                    reference: false,
                };
                return Ok((target, Some(own)));
            }
            "--rpc" => target.rpc = value()?,
            "--faucet" => target.faucet = Some(value()?),
            "--admin" => target.admin = Some(value()?),
            "--reference" => target.reference = true,
            _ => return Err(USAGE.into()),
        }
    }
    if target.rpc.is_empty() { Err(USAGE.into()) } else { Ok((target, None)) }
}
