//! Machines that are lost, and registrations that move.

use std::fs;

use crate::owner::{self, prepare};
use crate::process::{Network, User};

const COMMIT: [&str; 5] = ["model", "commit", "--prepared", "--stake-amount", "1"];

/// Somebody on a new machine who has the phrase and nothing else.
fn newcomer(network: &Network, phrase: &str) -> User {
    let user = User::of(network);
    fs::write(user.path("phrase"), phrase).unwrap();
    user.json(&["-y", "wallet", "import", "--file", "phrase", "--alias", "me"]);
    user
}

#[test]
fn phrase_and_host_are_enough_between_commit_and_reveal() {
    let files = tempfile::tempdir().unwrap();
    let network = Network::temporary(files.path());
    let user = User::of(&network);
    let phrase = owner::wallet(&user);
    let prepared = prepare(&user, &network, 7, &[]);
    let (url, model) = (prepared.text("weights_url"), prepared.text("model_id"));
    user.json(&COMMIT);
    // Another one, encrypted on its way: the state is put beside it as well.
    user.json(&["faucet"]);
    fs::write(user.path("other.safetensors"), crate::process::safetensors(8)).unwrap();
    let publish = ["model", "publish", "other.safetensors", "--embedding-file", "embedding.json"];
    let to = format!("{}/published/", network.text("files_url"));
    let published =
        user.run(&[&publish[..], &["--to", &to, "--stake-amount", "1", "--json"]].concat());
    assert!(!published.stderr.contains("not beside the object"), "{published:?}");
    let published = published.document();
    let home = user.path("");
    drop(user);
    assert!(!home.exists(), "wallet, state and weights are gone");

    let user = newcomer(&network, &phrase);
    let other = published["weights_url"].as_str().unwrap();
    let found = user.json(&["model", "recover", url, other]);
    assert_eq!(found["models"][0]["model_id"], model);
    assert_eq!(found["models"][0]["waiting"], "registration");
    assert_eq!(found["models"][1]["model_id"], published["model_id"]);
    assert_eq!(found["models"][1]["has_embedding"], true);
    assert_eq!(user.json(&["model", "status"])["models"][0]["next"], "wait");
    user.json(&["localnet", "advance-epoch"]);
    let resumed = user.json(&["model", "resume"]);
    for place in 0..2 {
        assert_eq!(resumed["models"][place]["revealed_epoch"], 1);
    }
    for model in [model, published["model_id"].as_str().unwrap()] {
        assert_eq!(user.json(&["model", "info", model])["status"], "Active");
    }
    // The weights themselves come back from the host, too.
    user.json(&["model", "download", model, "--decrypt", "-o", "weights"]);
    assert_eq!(crate::process::read(&user.path("weights")), crate::process::safetensors(7));
}

#[test]
fn without_the_state_beside_the_object_the_embedding_is_asked_for() {
    let files = tempfile::tempdir().unwrap();
    let network = Network::temporary(files.path());
    let user = User::of(&network);
    let phrase = owner::wallet(&user);
    let prepared = prepare(&user, &network, 7, &[]);
    let (url, model) = (prepared.text("weights_url"), prepared.text("model_id"));
    let name = url.rsplit('/').next().unwrap();
    fs::remove_file(files.path().join("models").join(format!("{name}.state"))).unwrap();
    let committed = user.run(&COMMIT);
    assert!(committed.stderr.contains("not beside the object"), "{committed:?}");
    drop(user);

    let user = newcomer(&network, &phrase);
    let found = user.json(&["model", "recover", url]);
    assert_eq!(found["models"][0]["has_embedding"], false);
    user.json(&["localnet", "advance-epoch"]);
    user.refused(&["model", "reveal", "--prepared"], 1, "EmbeddingDimensionMismatch");
    owner::embedding(&user);
    user.json(&["model", "reveal", "--prepared", "--embedding-file", "embedding.json"]);
    assert_eq!(user.json(&["model", "info", model])["status"], "Active");
}

#[test]
fn a_registration_moves_to_another_machine_under_a_passphrase() {
    let files = tempfile::tempdir().unwrap();
    let network = Network::temporary(files.path());
    let user = User::of(&network);
    let phrase = owner::wallet(&user);
    let prepared = prepare(&user, &network, 7, &["--random-key"]);
    let model = prepared.text("model_id");
    assert!(prepared.answer.get("companion_file").is_none());
    user.json(&COMMIT);
    fs::write(user.path("passphrase"), "correct horse battery staple\n").unwrap();
    let export = ["model", "export-state", "--out", "moved.age", "--passphrase-file"];
    user.json(&[&export[..], &["passphrase"]].concat());
    user.refused(&[&export[..], &["passphrase"]].concat(), 1, "FileExists");
    let moved = crate::process::read(&user.path("moved.age"));
    let url = prepared.text("weights_url").to_owned();
    drop(user);

    let user = newcomer(&network, &phrase);
    // A random key is nowhere else.
    let told = user.refused(&["model", "recover", &url], 1, "NotRecoverable");
    assert!(told.contains("none of the 1 keys"), "{told}");
    fs::write(user.path("moved.age"), moved).unwrap();
    fs::write(user.path("wrong"), "correct horse battery stable\n").unwrap();
    let import = ["model", "import-state", "moved.age", "--passphrase-file"];
    user.refused(&[&import[..], &["wrong"]].concat(), 1, "Passphrase");
    // By standard input.
    let mut command = user.command(&[&import[..], &["-", "--json"]].concat());
    let mut child = command
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    use std::io::Write as _;
    child.stdin.take().unwrap().write_all(b"correct horse battery staple\n").unwrap();
    assert!(child.wait().unwrap().success());
    user.json(&["localnet", "advance-epoch"]);
    assert_eq!(user.json(&["model", "resume"])["models"][0]["model_id"], model);
    assert_eq!(user.json(&["model", "info", model])["status"], "Active");
}
