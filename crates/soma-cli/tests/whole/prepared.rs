//! The short way: three commands, and each of them again.

use std::fs;

use serde_json::json;

use crate::owner;
use crate::process::{Network, User, read, safetensors};

const SOMA: u64 = 1_000_000_000;
/// Fee of a commit in epoch 0 with a stake of 1 SOMA, and of a reveal.
const FEES: u64 = 1_000 + 3 * 300 + SOMA / 2_000 + 1_000 + 2 * 300;
/// What it costs to make a coin of twenty fees for reveals: a base fee, two objects, a
/// thousandth of the amount.
const ASIDE: u64 = 1_000 + 2 * 300 + 20 * 1_600 / 1_000;

#[test]
fn prepare_commit_reveal_and_all_of_it_again() {
    let files = tempfile::tempdir().unwrap();
    let network = Network::temporary(files.path());
    let user = User::of(&network);
    user.json(&["-y", "wallet", "new", "--alias", "me"]);
    user.json(&["faucet"]);
    let length = user.json(&["status"])["embedding_dim"].as_u64().unwrap();
    let numbers = vec![0.1; usize::try_from(length).unwrap()];
    fs::write(user.path("embedding.json"), json!(numbers).to_string()).unwrap();
    fs::write(user.path("weights.safetensors"), safetensors(7)).unwrap();

    // The URL is that of a file which is there before its bytes are known.
    let url = network.upload("short.enc", b"not yet");
    let prepare = [
        "model",
        "prepare",
        "--weights-file",
        "weights.safetensors",
        "--weights-url",
        &url,
        "--out",
        "short.enc",
        "--embedding-file",
        "embedding.json",
    ];
    let prepared = user.json(&prepare);
    let state = prepared["state_file"].as_str().unwrap().to_owned();
    let key = read(state.as_ref());
    let key: serde_json::Value = serde_json::from_slice(&key).unwrap();
    let key = key["registration"]["decryption_key"].as_str().unwrap().to_owned();
    assert!(!prepared.to_string().contains(&key), "the key stays in the state file");

    // Nothing is paid while the host serves something else.
    let commit =
        ["model", "commit", "--prepared", "--stake-amount", "1", "--commission-rate", "1000"];
    let before = user.balance();
    let refused = user.refused(&commit, 1, "CheckFailed");
    assert!(refused.contains("holds 7 bytes") && !refused.contains(&key), "{refused}");
    assert_eq!(user.balance(), before);

    assert_eq!(network.upload("short.enc", &read(&user.path("short.enc"))), url);
    let first = user.json(&commit);
    let again = user.json(&commit);
    assert_eq!(first["inner"]["digest"], again["inner"]["digest"], "one stake");
    assert_eq!(user.json(&["model", "status"])["models"][0]["next"], "wait");

    // From the commit on a coin is kept for the reveal, whatever else is paid.
    let on_file: serde_json::Value = serde_json::from_slice(&read(state.as_ref())).unwrap();
    let coin = on_file["gas_coin"].as_str().unwrap();
    let address = user.json(&["wallet", "active"]);
    let send = ["send", "--to", address.as_str().unwrap(), "--amount", "0.00001", "--coin", coin];
    let refused = user.refused(&send, 1, "InvalidArguments");
    assert!(refused.contains("set aside"), "{refused}");

    user.refused(&["model", "reveal", "--prepared"], 1, "ModelRevealEpochMismatch");
    user.json(&["localnet", "advance-epoch"]);
    assert_eq!(user.json(&["model", "check", "--verify-url"])["ok"], true);
    let revealed = user.json(&["model", "reveal", "--prepared", "--wait"]);
    let again = user.json(&["model", "reveal", "--prepared"]);
    assert_eq!(revealed["inner"]["digest"], again["inner"]["digest"]);
    assert_eq!(before - user.balance(), SOMA + FEES + ASIDE);
    let model = prepared["model_id"].as_str().unwrap();
    assert_eq!(user.json(&["model", "info", model])["status"], "Active");
    assert_eq!(user.json(&["model", "status"])["models"][0]["next"], "nothing");
    let resumed = user.json(&["model", "resume"]);
    assert_eq!(resumed["models"][0].get("revealed_epoch"), None, "nothing is left to do");

    // A state that cannot be read is a failure, and hides no other.
    let broken = user.path("config").join("models").join("broken.json");
    fs::write(&broken, "{\"format\": \"soma-model-state/1\"").unwrap();
    let status = user.run(&["model", "status", "--json"]);
    assert_eq!((status.code, &status.error()["kind"]), (1, &json!("State")), "{status:?}");
    let status = status.document();
    assert_eq!(status["models"][0]["next"], "nothing");
    assert_eq!(status["unreadable"][0]["state_file"], json!(broken));
    let text = user.run(&["model", "status"]);
    assert!(text.code == 1 && text.stdout.contains("broken.json"), "{text:?}");
    let resumed = user.run(&["model", "resume", "--json"]);
    assert_eq!(resumed.code, 1, "{resumed:?}");
    let resumed = resumed.document();
    let models = resumed["models"].as_array().unwrap();
    let broken = models.iter().find(|one| one["model_id"].is_null()).unwrap();
    assert!(broken["error"].as_str().unwrap().contains("damaged"), "{broken}");
    assert_eq!(models.len(), 2);
}

#[test]
fn an_update_and_all_of_it_again() {
    let files = tempfile::tempdir().unwrap();
    let network = Network::temporary(files.path());
    let user = User::of(&network);
    owner::wallet(&user);
    let first = owner::prepare(&user, &network, 7, &[]);
    user.json(&["model", "commit", "--prepared", "--stake-amount", "1"]);
    let early = user.refused(
        &[
            "model",
            "prepare",
            "--update",
            "--weights-file",
            "weights.safetensors",
            "--weights-url",
            "http://127.0.0.1/",
        ],
        1,
        "Stage",
    );
    assert!(early.contains("committed"), "{early}");
    user.json(&["localnet", "advance-epoch"]);
    user.json(&["model", "reveal", "--prepared"]);
    user.refused(&["model", "update-commit", "--prepared"], 1, "NoUpdate");

    let before = user.balance();
    let second = owner::prepare(&user, &network, 8, &["--update"]);
    assert_eq!(second.text("model_id"), first.text("model_id"));
    assert_eq!(second.text("state_file"), first.text("state_file"));
    assert_ne!(second.text("weights_url"), first.text("weights_url"));
    assert_ne!(second.key("update"), second.key("registration"));
    let again = owner::prepare(&user, &network, 8, &["--update"]);
    assert_eq!(again.answer, second.answer, "it was prepared already");

    let committed = user.json(&["model", "update-commit", "--prepared", "--verify-url"]);
    let again = user.json(&["model", "update-commit", "--prepared"]);
    assert_eq!(committed["inner"]["digest"], again["inner"]["digest"]);
    assert_eq!(user.json(&["model", "status"])["models"][0]["round"], "update");
    user.refused(&["model", "update-reveal", "--prepared"], 1, "ModelRevealEpochMismatch");
    user.json(&["localnet", "advance-epoch"]);
    let revealed = user.json(&["model", "update-reveal", "--prepared", "--wait"]);
    let again = user.json(&["model", "update-reveal", "--prepared"]);
    assert_eq!(revealed["inner"]["digest"], again["inner"]["digest"]);
    // No stake: two fees and nothing else.
    let fee = |step: &serde_json::Value| step["inner"]["fee"]["total_fee"].as_u64().unwrap();
    assert_eq!(before - user.balance(), fee(&committed) + fee(&revealed));

    let info = user.json(&["model", "info", first.text("model_id")]);
    assert_eq!(
        (&info["status"], &info["weights_url"]),
        (&json!("Active"), &second.answer["weights_url"])
    );
    assert_eq!(info["decryption_key"], second.key("update").as_str());
    user.json(&["model", "download", first.text("model_id"), "--decrypt", "-o", "copy"]);
    assert_eq!(read(&user.path("copy")), safetensors(8));
}
