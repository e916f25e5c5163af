//! Builds every fuzz target and runs each for a few seconds.

use std::error::Error;

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
    let mut names: Vec<String> = std::fs::read_dir(fuzz.join("fuzz_targets"))?
        .filter_map(|entry| entry.ok()?.path().file_stem()?.to_str().map(str::to_owned))
        .collect();
    names.sort();
    for name in &names {
        let binary = target_dir.join(TARGET).join("release").join(name);
        let corpus = fuzz.join("corpus").join(name);
        std::fs::create_dir_all(&corpus)?;
        show(
            command(binary.to_str().ok_or("the target folder's name is not text")?, &[])
                .current_dir(&target_dir)
                .arg(format!("-max_total_time={SECONDS}"))
                .args(["-max_len=65536", "-verbosity=0"])
                .arg(&corpus),
        )?;
    }
    println!("{} fuzz targets ran for {SECONDS} s each", names.len());
    Ok(())
}
