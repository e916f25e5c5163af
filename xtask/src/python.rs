//! The pytest suites, each in a virtual environment of its own.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use crate::ci::{command, program, programs, root, show, target_dir};

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
        let mut pytest = command(
            python.to_str().ok_or("the target folder's name is not text")?,
            &["-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/python/published_client"],
        );
        pytest
            .env("SOMA_BIN", program("soma"))
            .env("SOMA_BUILDER", program("builder"))
            .env("PYTHONDONTWRITEBYTECODE", "1");
        if let Err(error) = show(&mut pytest) {
            println!("{error}");
            failed.push(*release);
        }
    }
    if failed.is_empty() { Ok(()) } else { Err(format!("soma-sdk {}", failed.join(", ")).into()) }
}

/// As [`environment`], but made anew: nothing of an earlier run is left in it.
pub(crate) fn fresh_environment(name: &str, packages: &[&str]) -> Result<PathBuf, Box<dyn Error>> {
    let folder = target_dir().join("venv").join(name);
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    environment(name, packages)
}

/// A second implementation of S3, beside the one of the Rust tests.
const MOTO: &str = "moto[s3,server]==5.2.5";

/// The suite of stores that are not ours.
pub(crate) fn stores() -> Outcome {
    programs()?;
    let python = environment("stores", &[MOTO])?;
    let mut pytest = command(
        python.to_str().ok_or("the target folder's name is not text")?,
        &["-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/python/stores"],
    );
    pytest.env("SOMA_BIN", program("soma")).env("PYTHONDONTWRITEBYTECODE", "1");
    show(&mut pytest)
}

/// A virtual environment with the packages of `tests/python/requirements.txt`
/// and `packages`; its interpreter is returned. Made once, kept in the target
/// folder.
pub(crate) fn environment(name: &str, packages: &[&str]) -> Result<PathBuf, Box<dyn Error>> {
    let folder = target_dir().join("venv").join(name);
    let python = folder.join("bin").join("python");
    let text = |path: &Path| path.to_str().map(str::to_owned).ok_or("a folder's name is not text");
    if !python.exists() {
        show(&mut command("python3", &["-m", "venv", &text(&folder)?]))?;
    }
    let requirements = text(&root().join("tests/python/requirements.txt"))?;
    let mut arguments = vec![
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--requirement",
        &requirements,
    ];
    arguments.extend(packages);
    show(&mut command(&text(&python)?, &arguments))?;
    Ok(python)
}
