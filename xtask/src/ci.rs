//! `cargo xtask ci`: everything that must hold before a change is taken.
//!
//! Each step is a command a person could type. All steps run even when one
//! fails, so that one run shows all that is wrong; the exit code tells.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::{codegen, fuzz, licences, package, powerset, python, tags};

type Outcome = Result<(), Box<dyn Error>>;
type Step = (&'static str, fn() -> Outcome);

const STEPS: &[Step] = &[
    ("format", format),
    ("generated code", || codegen::run(true)),
    ("lints", lints),
    ("tests", tests),
    ("documentation", documentation),
    ("features", powerset::run),
    ("licences and bans", licences::run),
    ("tags of rules", tags::run),
    ("conformance", own_conformance),
    ("large registry", large_registry),
    ("watch", watch),
    ("published client", python::published_client),
    ("python package", package::check),
    ("stores", python::stores),
    ("fuzz targets", fuzz::run),
];

/// Runs the steps, or only those whose name contains one of `wanted`.
pub(crate) fn run(wanted: &[String]) -> Outcome {
    let mut report = Vec::new();
    for (name, step) in STEPS {
        if !wanted.is_empty() && !wanted.iter().any(|part| name.contains(part.as_str())) {
            continue;
        }
        println!("\n==== {name}");
        let start = Instant::now();
        let outcome = step();
        if let Err(error) = &outcome {
            println!("{name} failed: {error}");
        }
        report.push((*name, outcome.is_ok(), start.elapsed()));
    }
    print_report(&report);
    match report.iter().filter(|(_, ok, _)| !ok).count() {
        0 if report.is_empty() => Err("no step of that name".into()),
        0 => Ok(()),
        failed => Err(format!("{failed} of {} steps failed", report.len()).into()),
    }
}

/// The root of the workspace.
pub(crate) fn root() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.parent().expect("xtask lies in the root of the workspace").to_path_buf()
}

/// The folder that cargo builds into.
pub(crate) fn target_dir() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// A program of the workspace in the debug profile, for [`programs`] to build.
pub(crate) fn program(name: &str) -> PathBuf {
    target_dir().join("debug").join(name)
}

/// Builds the programs just as the tests do: another choice of packages would be another
/// choice of features, and cargo would build half of the dependencies once more.
pub(crate) fn programs() -> Outcome {
    cargo(&["build", "--workspace", "--locked", "--tests", "--bins"])
}

/// A program of the workspace in the release profile, for [`released_programs`] to build.
pub(crate) fn released_program(name: &str) -> PathBuf {
    target_dir().join("release").join(name)
}

/// Builds all programs at once for whatever is measured, so that one choice of features
/// serves every measurement.
pub(crate) fn released_programs() -> Outcome {
    cargo(&["build", "--workspace", "--release", "--locked", "--bins"])
}

/// A command that starts in the root of the workspace.
pub(crate) fn command(program: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(root());
    command
}

/// Runs a command, showing it and its output.
///
/// It does not hear what an outer cargo says of this package: some build scripts of
/// dependencies would take that for a change and run again.
pub(crate) fn show(command: &mut Command) -> Outcome {
    println!("$ {}", shown(command));
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            command.env_remove(name);
        }
    }
    let status = command.status().map_err(|error| format!("{}: {error}", shown(command)))?;
    if status.success() { Ok(()) } else { Err(format!("{}: {status}", shown(command)).into()) }
}

/// Runs cargo with these arguments.
pub(crate) fn cargo(arguments: &[&str]) -> Outcome {
    show(&mut command(env!("CARGO"), arguments))
}

fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let shorten = |word: &std::ffi::OsStr| {
        let word = word.to_string_lossy().into_owned();
        match word.rsplit_once('/') {
            Some((_, name)) if word.starts_with('/') => name.to_owned(),
            _ => word,
        }
    };
    words.map(shorten).collect::<Vec<_>>().join(" ")
}

fn format() -> Outcome {
    cargo(&["fmt", "--all", "--check"])
}

fn lints() -> Outcome {
    cargo(&["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"])
}

fn tests() -> Outcome {
    cargo(&["test", "--workspace", "--locked", "--no-fail-fast"])
}

fn documentation() -> Outcome {
    show(
        command(env!("CARGO"), &["doc", "--workspace", "--no-deps", "--locked"])
            .env("RUSTDOCFLAGS", "-D warnings"),
    )
}

/// Checks a node from outside; the options say which.
pub(crate) fn conformance(options: &[&str]) -> Outcome {
    programs()?;
    show(Command::new(program("conformance")).args(options).current_dir(root()))
}

fn own_conformance() -> Outcome {
    let binary = program("soma");
    conformance(&["--own", binary.to_str().ok_or("the target folder's name is not text")?])
}

/// Answers must stay small on a network with many models.
fn large_registry() -> Outcome {
    programs()?;
    on_soma(program, "registry", &["--models", "500"])
}

/// `soma model watch` on a network that dies again and again.
///
/// Epochs of 10 s, so that a busy machine does not miss what the watch would not.
fn watch() -> Outcome {
    programs()?;
    on_soma(program, "watch", &["--epochs", "10", "--epoch-ms", "10000", "--models", "6"])
}

/// The same in the release profile, as long as the options say; 50 epochs of 2 s and 20
/// models, unless told.
pub(crate) fn soak_watch(options: &[&str]) -> Outcome {
    bench("watch", options)
}

/// Times commands on a network with 20,000 models, in the release profile.
pub(crate) fn bench_registry() -> Outcome {
    bench("registry", &["--models", "20000", "--embedding-dim", "16", "--time"])
}

/// Times the start of a network and the demonstration, in the release profile.
pub(crate) fn bench_startup() -> Outcome {
    bench("startup", &[])
}

/// Times `soma model publish` beside sealing and uploading, in the release profile.
pub(crate) fn bench_publish(options: &[&str]) -> Outcome {
    bench("publish", options)
}

/// Runs a measuring program of the `tests` crate on the released `soma`.
fn bench(name: &str, options: &[&str]) -> Outcome {
    released_programs()?;
    on_soma(released_program, name, options)
}

/// Runs a program of the `tests` crate on the `soma` of the same profile.
fn on_soma(program: fn(&str) -> PathBuf, name: &str, options: &[&str]) -> Outcome {
    let mut command = Command::new(program(name));
    show(command.arg("--soma").arg(program("soma")).args(options).current_dir(root()))
}

fn print_report(report: &[(&str, bool, Duration)]) {
    println!("\n==== summary");
    for (name, ok, elapsed) in report {
        let word = if *ok { "ok" } else { "FAILED" };
        println!("{name:<20} {word:<7} {:>6.1} s", elapsed.as_secs_f64());
    }
    let passed = report.iter().filter(|(_, ok, _)| *ok).count();
    println!("steps: {passed} passed, {} failed", report.len() - passed);
}
