//! Builds every fuzz target and runs each for a few seconds.

use std::error::Error;
use std::fs;
use std::num::NonZeroUsize;
use std::process::{Command, Output};
use std::thread;

use crate::ci::{command, root, show};

/// Coverage instrumentation that libFuzzer reads; all flags are stable.
const RUSTFLAGS: &str = "-Cpasses=sancov-module \
    -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
    -Cllvm-args=-sanitizer-coverage-pc-table \
    -Ccodegen-units=1 --cfg fuzzing";

/// How long each target runs.
const SECONDS: u32 = 10;

/// The one target triple; naming it keeps the flags away from build scripts.
const TARGET: &str = "x86_64-unknown-linux-gnu";

/// Builds and runs all targets of `fuzz/`, each on its own corpus.
pub(crate) fn run() -> Result<(), Box<dyn Error>> {
    let fuzz = root().join("fuzz");
    let target_dir = fuzz.join("target");
    let cargo = |arguments: &[&str]| {
        let mut cargo = command(env!("CARGO"), arguments);
        cargo.current_dir(&fuzz).env("CARGO_TARGET_DIR", &target_dir);
        cargo
    };
    show(&mut cargo(&["run", "--quiet", "--locked", "--example", "seeds"]))?;
    show(
        cargo(&["build", "--release", "--locked", "--bins", "--target", TARGET])
            .env("RUSTFLAGS", RUSTFLAGS),
    )?;
    let mut names: Vec<String> = fs::read_dir(fuzz.join("fuzz_targets"))?
        .filter_map(|entry| entry.ok()?.path().file_stem()?.to_str().map(str::to_owned))
        .collect();
    names.sort();
    let run = |name: &String| -> Result<Output, Box<dyn Error>> {
        let corpus = fuzz.join("corpus").join(name);
        fs::create_dir_all(&corpus)?;
        Ok(Command::new(target_dir.join(TARGET).join("release").join(name))
            .current_dir(&target_dir)
            .arg(format!("-max_total_time={SECONDS}"))
            .args(["-max_len=65536", "-verbosity=0", "-print_funcs=0"])
            .arg(&corpus)
            .output()?)
    };
    // One on each processor; what a target says is shown when it has ended.
    let at_once = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let mut failed = Vec::new();
    for together in names.chunks(at_once) {
        let outcomes: Vec<_> = thread::scope(|scope| {
            let runs: Vec<_> = together
                .iter()
                .map(|name| scope.spawn(|| run(name).map_err(|error| error.to_string())))
                .collect();
            runs.into_iter().map(thread::ScopedJoinHandle::join).collect()
        });
        for (name, outcome) in together.iter().zip(outcomes) {
            let output =
                outcome.map_err(|_| format!("{name}: the thread that ran it panicked"))??;
            println!("-- {name}: {}", output.status);
            if !output.status.success() {
                println!("{}", String::from_utf8_lossy(&output.stderr));
                failed.push(name.as_str());
            }
        }
    }
    if !failed.is_empty() {
        return Err(failed.join(", ").into());
    }
    println!("{} fuzz targets ran for {SECONDS} s each", names.len());
    Ok(())
}
