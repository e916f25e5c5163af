//! Tests of the whole: real processes, real sockets.

#![forbid(unsafe_code)]

use std::error::Error;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, ExitCode, Stdio};

use serde_json::Value;

/// How a program of this crate ends: 0 if all holds, 1 if something does not, 2 if that
/// could not be found out, with the reason on standard error.
pub fn exit_code<E: std::fmt::Display>(outcome: Result<bool, E>) -> ExitCode {
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}

/// A throw-away local network in a process of its own, killed on drop.
#[derive(Debug)]
pub struct OwnNetwork {
    process: Child,
    ready: Value,
}

impl OwnNetwork {
    /// Starts `soma start localnet` on free ports and waits until it is ready.
    ///
    /// # Errors
    /// If the binary cannot be started, or ends without saying that it is ready.
    pub fn start(binary: &str, flags: &[&str]) -> Result<Self, Box<dyn Error>> {
        let mut process = Command::new(binary)
            .args(["start", "localnet", "--force-regenesis", "--json"])
            .args(["--fullnode-rpc-port", "0", "--with-faucet=127.0.0.1:0"])
            .args(["--scoring-port", "0", "--admin-port", "0"])
            .args(flags)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let mut line = String::new();
        let stdout = process.stdout.as_mut().ok_or("the network has no output")?;
        BufReader::new(stdout).read_line(&mut line)?;
        let ready = serde_json::from_str(&line);
        if ready.is_err() {
            let _ = process.kill();
            let _ = process.wait();
        }
        Ok(Self { process, ready: ready? })
    }

    /// A URL from the line that it printed: `rpc_url`, `faucet_url`, `admin_url`.
    ///
    /// # Errors
    /// If the line names no such URL.
    pub fn url(&self, name: &str) -> Result<String, Box<dyn Error>> {
        let url = self.ready[name].as_str();
        Ok(url.ok_or_else(|| format!("the network did not name its {name}"))?.to_owned())
    }
}

impl Drop for OwnNetwork {
    fn drop(&mut self) {
        // Nothing is kept, so nothing needs an orderly end.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
