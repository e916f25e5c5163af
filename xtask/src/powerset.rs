//! Every combination of every crate's features compiles.

use std::error::Error;

use crate::ci::cargo;

/// Crates with features of their own, and those features.
const FEATURES: &[(&str, &[&str])] = &[("soma-proto", &["grpc", "proptest"])];

/// Checks each subset of each crate's features by itself.
pub(crate) fn run() -> Result<(), Box<dyn Error>> {
    for (package, features) in FEATURES {
        for subset in 0..1_u32 << features.len() {
            let chosen: Vec<&str> = features
                .iter()
                .enumerate()
                .filter(|(bit, _)| subset & (1 << bit) != 0)
                .map(|(_, feature)| *feature)
                .collect();
            let chosen = chosen.join(",");
            cargo(&[
                "check",
                "--locked",
                "--package",
                package,
                "--no-default-features",
                "--features",
                &chosen,
            ])?;
        }
    }
    Ok(())
}
