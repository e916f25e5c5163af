//! An owner of weights who takes the short way, with a folder on a host.

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::process::{Network, User, read, safetensors};

/// Weights that were prepared, and where they are.
pub(crate) struct Prepared {
    /// What `soma model prepare` answered.
    pub(crate) answer: Value,
}

impl Prepared {
    /// A text of the answer.
    pub(crate) fn text(&self, key: &str) -> &str {
        self.answer[key].as_str().unwrap_or_else(|| panic!("no {key} in {}", self.answer))
    }

    /// The key, from the state file; `round` is `registration` or `update`.
    pub(crate) fn key(&self, round: &str) -> String {
        let state: Value = serde_json::from_slice(&read(self.text("state_file").as_ref())).unwrap();
        state[round]["decryption_key"].as_str().unwrap().to_owned()
    }
}

/// Makes a wallet with money; gives its recovery phrase.
pub(crate) fn wallet(user: &User) -> String {
    let wallet = user.json(&["-y", "wallet", "new", "--alias", "me"]);
    user.json(&["faucet"]);
    wallet["recovery_phrase"].as_str().unwrap().to_owned()
}

/// Writes an embedding of the network's length; gives the path.
pub(crate) fn embedding(user: &User) -> PathBuf {
    let length = user.json(&["status"])["embedding_dim"].as_u64().unwrap();
    let numbers = vec![0.1; usize::try_from(length).unwrap()];
    let path = user.path("embedding.json");
    fs::write(&path, json!(numbers).to_string()).unwrap();
    path
}

/// Prepares weights in a folder of the network's host and puts them there; `fill`
/// tells two weights apart.
pub(crate) fn prepare(user: &User, network: &Network, fill: u8, flags: &[&str]) -> Prepared {
    fs::write(user.path("weights.safetensors"), safetensors(fill)).unwrap();
    embedding(user);
    let folder = format!("{}/models/", network.text("files_url"));
    let prepare = ["model", "prepare", "--weights-file", "weights.safetensors"];
    let rest = ["--weights-url", &folder, "--embedding-file", "embedding.json"];
    let prepared = Prepared { answer: user.json(&[&prepare[..], &rest, flags].concat()) };
    upload(network, prepared.text("weights_url"), prepared.text("sealed_file"));
    if prepared.answer.get("companion_file").is_some() {
        upload(network, prepared.text("companion_url"), prepared.text("companion_file"));
    }
    prepared
}

fn upload(network: &Network, url: &str, file: &str) {
    let name = url.strip_prefix(network.text("files_url")).unwrap().trim_start_matches('/');
    assert_eq!(network.upload(name, &read(file.as_ref())), url);
}
