//! Tasks of the project in plain Rust.

#![forbid(unsafe_code)]

use std::process::ExitCode;

mod bench_peers;
mod ci;
mod codegen;
mod fuzz;
mod licences;
mod package;
mod powerset;
mod python;
mod tags;
mod venv;

const USAGE: &str = "\
usage: cargo xtask <task>

  ci [STEP ...]             everything that must hold; or the steps with these words in their names
  codegen [--check]         write the gRPC code of soma-proto; with --check, fail if it differs
  conformance --rpc URL [--faucet URL] [--admin URL] [--reference]
                            check a node, one line per check
  soak-watch [--epochs N] [--epoch-ms N] [--models N] [--seed N]
                            keep the watch busy on a network that dies again and again
  bench-registry            time commands on a network with 20,000 models
  bench-startup             time the start of a network and the demonstration
  bench-peers [--help]      time `soma weights` beside what a user would run otherwise
  bench-publish [--mib N] [--rounds N] [--dir DIR]
                            time `soma model publish` beside sealing and uploading
  bench-python [--help]     time the Python package beside the published client
  wheel                     build the Python package as users get it";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match words.as_slice() {
        ["codegen"] => codegen::run(false),
        ["codegen", "--check"] => codegen::run(true),
        ["ci", ..] => ci::run(&arguments[1..]),
        ["conformance", options @ ..] => ci::conformance(options),
        ["soak-watch", options @ ..] => ci::soak_watch(options),
        ["bench-registry"] => ci::bench_registry(),
        ["bench-startup"] => ci::bench_startup(),
        ["bench-peers", options @ ..] => bench_peers::run(options),
        ["bench-publish", options @ ..] => ci::bench_publish(options),
        ["bench-python", options @ ..] => package::bench(options),
        ["wheel"] => package::build(package::Profile::Release).map(drop),
        _ => Err(USAGE.into()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
