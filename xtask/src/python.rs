//! The pytest suites, each in a virtual environment of its own.

use std::error::Error;
use std::fs;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use crate::ci::{command, program, programs, root, show};
use crate::venv;

type Outcome = Result<(), Box<dyn Error>>;

/// Releases of the published client that must work against our network.
pub(crate) const PUBLISHED: &[&str] = &["0.1.4", "0.1.5"];

/// The suites of the published client, once for each release.
pub(crate) fn published_client() -> Outcome {
    programs()?;
    let mut failed = Vec::new();
    for release in PUBLISHED {
        println!("\n-- soma-sdk {release}");
        let python =
            environment(&format!("soma-sdk-{release}"), &[&format!("soma-sdk=={release}")])?;
        if let Err(error) = show(&mut pytest(&python, "tests/python/published_client")?) {
            println!("{error}");
            failed.push(*release);
        }
    }
    if failed.is_empty() { Ok(()) } else { Err(format!("soma-sdk {}", failed.join(", ")).into()) }
}

/// A second implementation of S3, beside the one of the Rust tests.
const MOTO: &str = "moto[s3,server]==5.2.5";

/// The suite of stores that are not ours.
pub(crate) fn stores() -> Outcome {
    programs()?;
    let python = environment("stores", &[MOTO])?;
    show(&mut pytest(&python, "tests/python/stores")?)
}

/// Runs a folder of suites, as many tests at once as there are processors.
pub(crate) fn pytest(python: &Path, suites: &str) -> Result<Command, Box<dyn Error>> {
    let python = python.to_str().ok_or("the target folder's name is not text")?;
    let at_once = thread::available_parallelism().map_or(1, NonZeroUsize::get).to_string();
    let mut pytest = command(python, &["-m", "pytest", "-q", "-p", "no:cacheprovider"]);
    pytest
        .args(["--numprocesses", &at_once, suites])
        .env("SOMA_BIN", program("soma"))
        .env("SOMA_BUILDER", program("builder"))
        .env("PYTHONDONTWRITEBYTECODE", "1");
    Ok(pytest)
}

/// A virtual environment with the packages of `tests/python/requirements.txt` and
/// `packages`; its interpreter is returned.
pub(crate) fn environment(name: &str, packages: &[&str]) -> Result<PathBuf, Box<dyn Error>> {
    let common = requirements("tests/python/requirements.txt")?;
    let pins: Vec<_> = common.iter().map(String::as_str).chain(packages.iter().copied()).collect();
    venv::kept(name, &pins)
}

/// The lines of a file of requirements.
pub(crate) fn requirements(file: &str) -> Result<Vec<String>, Box<dyn Error>> {
    let text = fs::read_to_string(root().join(file))?;
    let lines = text.lines().map(str::trim);
    Ok(lines.filter(|line| !line.is_empty() && !line.starts_with('#')).map(str::to_owned).collect())
}
