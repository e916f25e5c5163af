//! Which licences and crates the product may build on, and the Rust they need.

use std::error::Error;

use serde_json::Value;

use crate::ci::command;

/// Licences under which a dependency may be used.
const ALLOWED: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MIT-0",
    "OpenSSL",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// Crates that must not be in the tree, and why.
const BANNED: &[(&str, &str)] = &[
    ("openssl-sys", "TLS is rustls everywhere"),
    ("native-tls", "TLS is rustls everywhere"),
    ("serde_yaml", "no longer maintained"),
    ("atty", "no longer maintained"),
];

/// The `rust-version` of the workspace. Clippy checks our own code against it.
const MINIMUM_RUST: &str = env!("CARGO_PKG_RUST_VERSION");

/// Reads the dependency tree and checks every crate in it.
pub(crate) fn run() -> Result<(), Box<dyn Error>> {
    let arguments = ["metadata", "--format-version", "1", "--locked"];
    let output = command(env!("CARGO"), &arguments).output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
    }
    let metadata: Value = serde_json::from_slice(&output.stdout)?;
    let packages = metadata["packages"].as_array().ok_or("metadata without packages")?;
    let mut problems = Vec::new();
    for package in packages {
        let name = package["name"].as_str().unwrap_or_default();
        let licence = package["license"].as_str().unwrap_or_default();
        if !is_allowed(licence) {
            problems.push(format!("{name}: licence {licence:?} is not on the list"));
        }
        let needed = package["rust_version"].as_str().unwrap_or_default();
        if version(needed) > version(MINIMUM_RUST) {
            problems.push(format!("{name}: needs Rust {needed}, we promise {MINIMUM_RUST}"));
        }
        if let Some((_, reason)) = BANNED.iter().find(|(banned, _)| *banned == name) {
            problems.push(format!("{name}: banned, {reason}"));
        }
    }
    println!("{} crates, {} problems", packages.len(), problems.len());
    if problems.is_empty() { Ok(()) } else { Err(problems.join("\n").into()) }
}

/// The numbers of a version; those that are left out count as 0.
fn version(text: &str) -> [u32; 3] {
    let mut numbers = text.split('.').map(|number| number.parse().unwrap_or(0));
    std::array::from_fn(|_| numbers.next().unwrap_or(0))
}

/// Whether an SPDX expression can be met with allowed licences.
fn is_allowed(expression: &str) -> bool {
    let expression = expression.replace('/', " OR ");
    let inner = expression.replace(['(', ')'], " ");
    // AND binds tighter than OR, but the expressions in use that have both
    // parenthesise the OR; so every AND part must offer one allowed licence.
    inner.split(" AND ").all(|part| part.split(" OR ").any(|one| ALLOWED.contains(&one.trim())))
}
