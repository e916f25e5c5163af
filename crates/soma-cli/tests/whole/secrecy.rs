//! What a node hears of a reveal before its time: nothing.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::process::{Network, User, read, safetensors};
use crate::wiretap::Wiretap;

/// Encrypts a file and uploads it; gives its URL and its key.
fn prepare(user: &User, network: &Network, name: &str, more: &[&str]) -> (String, Vec<u8>) {
    let plain = format!("{name}.safetensors");
    fs::write(user.path(&plain), safetensors(name.len() as u8)).unwrap();
    let sealed = format!("{name}.enc");
    let url = network.upload(&sealed, b"not yet");
    let words = ["model", "prepare", "--weights-file", &plain, "--weights-url", &url];
    let words =
        [&words[..], &["--out", &sealed, "--embedding-file", "embedding.json"], more].concat();
    let prepared = user.json(&words);
    network.upload(&sealed, &read(&user.path(&sealed)));
    let state: Value =
        serde_json::from_slice(&read(Path::new(prepared["state_file"].as_str().unwrap()))).unwrap();
    let round = if more.is_empty() { "registration" } else { "update" };
    let digits = state[round]["decryption_key"].as_str().unwrap();
    let byte = |two: &str| u8::from_str_radix(two, 16).unwrap();
    (url, (0..32).map(|place| byte(&digits[2 * place..][..2])).collect())
}

#[test]
fn a_dry_run_tells_no_secret_before_its_time() {
    let files = tempfile::tempdir().unwrap();
    let network = Network::temporary(files.path());
    let tap = Wiretap::on(network.text("rpc_url"));
    let user = User::of(&network).with("SOMA_RPC_URL", &tap.url);
    user.json(&["-y", "wallet", "new", "--alias", "me"]);
    user.json(&["faucet"]);
    let length = user.json(&["status"])["embedding_dim"].as_u64().unwrap();
    let numbers = vec![0.1; usize::try_from(length).unwrap()];
    fs::write(user.path("embedding.json"), json!(numbers).to_string()).unwrap();

    let (url, key) = prepare(&user, &network, "one", &[]);
    user.json(&["model", "commit", "--prepared", "--stake-amount", "1"]);
    let reveal = ["model", "reveal", "--prepared"];
    let simulate = [&reveal[..], &["--simulate"]].concat();
    user.refused(&simulate, 1, "ModelRevealEpochMismatch");
    // The bytes alone leave this machine only if the owner sends them.
    let bytes = user.json(&[&reveal[..], &["--serialize-unsigned-transaction"]].concat());
    let bytes = bytes["serialized_transaction"].as_str().unwrap().to_owned();
    let raw = ["tx", "execute-serialized", &bytes, "--simulate"];
    user.refused(&raw, 1, "ModelRevealEpochMismatch");
    assert!(!tap.heard(&key) && !tap.heard(url.as_bytes()));

    // In the window a dry run is as good as the reveal, and the tap hears it.
    user.json(&["localnet", "advance-epoch"]);
    assert_eq!(user.json(&raw)["status"], "Success");
    assert!(tap.heard(&key) && tap.heard(url.as_bytes()));
    assert_eq!(user.json(&simulate)["status"], "Success");
    user.json(&reveal);

    let (url, key) = prepare(&user, &network, "second", &["--update"]);
    user.json(&["model", "update-commit", "--prepared"]);
    let reveal = ["model", "update-reveal", "--prepared"];
    let simulate = [&reveal[..], &["--simulate"]].concat();
    user.refused(&simulate, 1, "ModelRevealEpochMismatch");
    assert!(!tap.heard(&key) && !tap.heard(url.as_bytes()));

    // The key of a committed update is not given up for another one.
    let third = ["model", "prepare", "--update", "--weights-file", "one.safetensors"];
    let third = [&third[..], &["--weights-url", &url, "--out", "third.enc"]].concat();
    let told = user.refused(&third, 1, "Stage");
    assert!(told.contains("before the one under way is revealed"), "{told}");
    user.json(&["localnet", "advance-epoch"]);
    user.refused(&third, 1, "Stage");
    assert_eq!(user.json(&simulate)["status"], "Success");
    assert!(tap.heard(&key) && tap.heard(url.as_bytes()));

    // Its window is over, and the chain says so.
    user.json(&["localnet", "advance-epoch"]);
    user.refused(&simulate, 1, "ModelNoPendingUpdate");
    user.json(&third);
}
