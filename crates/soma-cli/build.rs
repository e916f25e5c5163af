//! Tells the binary which revision of the source it was built from.

use std::path::Path;
use std::process::Command;

fn main() {
    let revision = git(&["rev-parse", "--short=12", "HEAD"]);
    println!("cargo:rustc-env=SOMA_REVISION={}", revision.as_deref().unwrap_or("unknown"));

    println!("cargo:rerun-if-changed=build.rs");
    // Written at every commit and every change of branch. Debug builds are not
    // made again for that: their revision is that of the last real change.
    let log = git(&["rev-parse", "--git-path", "logs/HEAD"]);
    let release = std::env::var("PROFILE").is_ok_and(|profile| profile == "release");
    if let Some(log) = log.filter(|log| release && Path::new(log).exists()) {
        println!("cargo:rerun-if-changed={log}");
    }
}

/// The one line that `git` answers, or nothing: a source archive has no history.
fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let line = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (output.status.success() && !line.is_empty()).then_some(line)
}
