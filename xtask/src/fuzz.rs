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

/// Builds and runs all targets of `fuzz/`.
pub(crate) fn run() -> Result<(), Box<dyn Error>> {
    let fuzz = root().join("fuzz");
    show(
        command(env!("CARGO"), &["build", "--release", "--locked", "--bins"])
            .current_dir(&fuzz)
            .env("RUSTFLAGS", RUSTFLAGS)
            .env("CARGO_TARGET_DIR", fuzz.join("target")),
    )?;
    let mut names: Vec<String> = std::fs::read_dir(fuzz.join("fuzz_targets"))?
        .filter_map(|entry| entry.ok()?.path().file_stem()?.to_str().map(str::to_owned))
        .collect();
    names.sort();
    for name in &names {
        let binary = fuzz.join("target/release").join(name);
        let corpus = fuzz.join("target/corpus").join(name);
        std::fs::create_dir_all(&corpus)?;
        show(
            command(binary.to_str().ok_or("the target folder's name is not text")?, &[])
                .current_dir(&fuzz)
                .arg(format!("-max_total_time={SECONDS}"))
                .args(["-print_final_stats=0", "-verbosity=0"])
                .arg(&corpus),
        )?;
    }
    println!("{} fuzz targets ran for {SECONDS} s each", names.len());
    Ok(())
}
