//! A network in a process of its own, which is killed and comes back.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use crate::process::{A_DAY, Network};
use crate::relay::Relay;

/// The process, and the relay in front of it.
pub(crate) struct Node {
    pub(crate) relay: Relay,
    kept: PathBuf,
    process: Mutex<Network>,
}

impl Node {
    /// Starts a network that is kept in a folder.
    pub(crate) fn start(kept: PathBuf) -> Self {
        let folder = kept.to_str().unwrap().to_owned();
        let flags = ["--network.config", &folder, "--epoch-duration-ms", A_DAY];
        let process = Network::start(&[&flags[..], &["--embedding-dim", "3"]].concat());
        let relay = Relay::start();
        relay.lead_to(Some(address(&process)));
        Self { relay, kept, process: Mutex::new(process) }
    }

    /// Kills it, as `kill -9` does, and starts it again where it was.
    pub(crate) fn kill_and_start(&self) {
        let mut process = self.process.lock().unwrap_or_else(PoisonError::into_inner);
        process.kill();
        self.relay.lead_to(None);
        *process = Network::start(&["--network.config", self.kept.to_str().unwrap()]);
        self.relay.lead_to(Some(address(&process)));
    }

    pub(crate) fn admin_url(&self) -> String {
        let process = self.process.lock().unwrap_or_else(PoisonError::into_inner);
        process.text("admin_url").to_owned()
    }
}

fn address(process: &Network) -> String {
    process.text("rpc_url").strip_prefix("http://").unwrap().to_owned()
}
