//! A user without any file: nothing is made without being asked for, and no secret
//! goes where it may be kept by accident.

use std::fs;
use std::io::Write as _;
use std::process::Stdio;

use serde_json::json;

use crate::process::{Network, User};

const PHRASE: &str = "abandon abandon abandon abandon abandon abandon abandon abandon abandon \
                      abandon abandon about";
/// The account of that phrase, as the published client derives it.
const ADDRESS: &str = "5e93a736d04fbb25737aa40bee40171ef79f65fae833749e3c089fe7cc2161f1";

#[test]
fn no_key_is_made_without_asking() {
    let user = User::new();
    let told = user.refused(&["balance"], 1, "NoConfig");
    assert!(told.contains("soma wallet new") && told.contains("-y"), "{told}");
    user.refused(&["wallet", "new"], 1, "NoConfig");
    assert!(!user.path("config").exists());
}

#[test]
fn the_first_key_is_the_one_asked_for_and_its_phrase_stays_out_of_pipes() {
    let user = User::new();
    let ended = user.run(&["-y", "wallet", "new", "--alias", "me", "--word-length", "word24"]);
    assert_eq!(ended.code, 0);
    assert!(ended.stdout.contains("not shown"), "{ended:?}");
    let list = user.json(&["wallet", "list"]);
    assert_eq!(list["addresses"].as_array().unwrap().len(), 1);
    assert_eq!(list["addresses"][0], json!(["me", list["active_address"]]));
    let environments = user.json(&["env", "list"]);
    assert_eq!(environments["active"], "localnet");
    assert_eq!(environments["envs"][0]["rpc"], "http://127.0.0.1:9000");
    assert_eq!(environments["envs"][1]["alias"], "testnet");

    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = |name| fs::metadata(user.path(name)).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode("config"), 0o700);
        assert_eq!(mode("config/soma.keystore"), 0o600);
    }
}

#[test]
fn a_key_comes_in_by_pipe_and_goes_out_only_when_forced() {
    let user = User::new();
    let mut import = user
        .command(&["-y", "wallet", "import", "--alias", "old", "--json"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    writeln!(import.stdin.take().unwrap(), "{PHRASE}").unwrap();
    let output = import.wait_with_output().unwrap();
    let key: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(key, json!({ "alias": "old", "address": ADDRESS, "key_scheme": "ED25519" }));
    assert_eq!(user.json(&["wallet", "active"]), ADDRESS);

    user.refused(&["wallet", "export"], 1, "Aborted");
    let exported = user.json(&["-y", "wallet", "export"]);
    assert!(exported["privateKey"].as_str().unwrap().starts_with("somaprivkey1"));
    let record = user.json(&["keytool", "list"]);
    assert_eq!(record[0]["somaAddress"], ADDRESS);
    assert_eq!(record[0]["keyScheme"], "ED25519");
}

#[test]
fn the_reference_names_a_wallet_in_its_file() {
    // As the reference writes it, with a field that we do not know.
    let user = User::new();
    fs::create_dir(user.path("config")).unwrap();
    let keystore = user.path("config/soma.keystore");
    fs::write(&keystore, "[\"AIhpywcXi/Z+CNfEq99FSH2/N5ypRS/s7Cg2hUvUo9Kw\"]").unwrap();
    let yaml = format!(
        "keystore:\n  File: {}\nexternal_keys: ~\nenvs:\n- alias: local\n  rpc: http://127.0.0.1:9000\n  \
         basic_auth: ~\nactive_env: local\nactive_address: \"{ADDRESS}\"\nlater: 7\n",
        keystore.display()
    );
    fs::write(user.path("config/client.yaml"), yaml).unwrap();
    assert_eq!(user.json(&["wallet", "active"]), ADDRESS);
    assert_eq!(user.json(&["env", "switch", "localnet"]), json!({"address": null, "env": "local"}));
    let kept = fs::read_to_string(user.path("config/client.yaml")).unwrap();
    assert!(kept.contains("later: 7"), "{kept}");
}

#[test]
fn an_environment_is_asked_before_it_is_kept() {
    let network = Network::start(&["--force-regenesis"]);
    let user = User::new();
    user.run(&["-y", "wallet", "new"]);
    let rpc = network.text("rpc_url");
    let new = user.json(&["env", "new", "--alias", "mine", "--rpc", rpc]);
    assert_eq!(new, json!({ "alias": "mine", "chain_id": network.ready["chain_id"] }));
    let nowhere = ["env", "new", "--alias", "nowhere", "--rpc", "http://127.0.0.1:9"];
    user.refused(&nowhere, 1, "Transport");
    user.refused(&["env", "new", "--alias", "mine", "--rpc", rpc], 1, "EnvironmentExists");
    user.json(&["env", "switch", "mine"]);
    assert_eq!(user.json(&["env", "chain-id"])["server_version"], "0.1.0");
    assert_eq!(user.json(&["status"])["server_reachable"], true);
    user.refused(&["env", "remove", "mine"], 1, "EnvironmentActive");
    user.refused(&["env", "switch", "gone"], 1, "UnknownEnvironment");

    // A transaction that waits to be sent.
    user.json(&["faucet", "--url", network.text("faucet_url")]);
    let to = "aa".repeat(32);
    let send = ["send", "--to", &to, "--amount", "1"];
    let bytes = |flag| user.json(&[&send[..], &[flag]].concat()).as_str().unwrap().to_owned();
    let unsigned = bytes("--serialize-unsigned-transaction");
    let signed = bytes("--serialize-signed-transaction");
    let me = user.json(&["wallet", "active"]);
    let sign = ["keytool", "sign", "--address", me.as_str().unwrap(), "--data", &unsigned];
    let signature = user.json(&sign)["somaSignature"].as_str().unwrap().to_owned();

    // The node is replaced by one of another chain: money must not move.
    let config = user.path("config/client.yaml");
    let other = Network::start(&["--force-regenesis"]);
    let yaml = fs::read_to_string(&config).unwrap().replace(rpc, other.text("rpc_url"));
    fs::write(&config, yaml).unwrap();
    user.refused(&["send", "--to", &to, "--amount", "1"], 1, "ChainChanged");
    let signed = ["tx", "execute-combined-signed", "--signed-tx-bytes", &signed];
    user.refused(&signed, 1, "ChainChanged");
    let halves = ["tx", "execute-signed", "--tx-bytes", &unsigned, "--signatures", &signature];
    user.refused(&halves, 1, "ChainChanged");
    // Otherwise it would complain of the port, which the node has.
    let port = other.text("rpc_url").rsplit_once(':').unwrap().1;
    user.refused(&["start", "faucet", "--port", port], 1, "ChainChanged");
    user.json(&["env", "chain-id"]);
    user.refused(&["send", "--to", &to, "--amount", "1"], 1, "InsufficientCoinBalance");
}
