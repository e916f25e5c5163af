//! The shapes of the documents that programs read. The names of their fields are a
//! contract: a change here is a change for everybody.

use serde_json::{Map, Value, json};

use crate::process::{Network, User, safetensors};

/// The document with every value replaced by its type, and lists by their first
/// element.
fn shape(document: &Value) -> Value {
    match document {
        Value::Null => Value::Null,
        Value::Bool(_) => json!("bool"),
        Value::Number(number) if number.is_f64() => json!("float"),
        Value::Number(_) => json!("integer"),
        Value::String(_) => json!("string"),
        Value::Array(list) => list.iter().take(1).map(shape).collect(),
        Value::Object(fields) => {
            let fields = fields.iter().map(|(name, value)| (name.clone(), shape(value)));
            Value::Object(fields.collect::<Map<_, _>>())
        }
    }
}

macro_rules! assert_shape {
    ($name:literal, $document:expr) => {
        insta::assert_json_snapshot!($name, shape(&$document));
    };
}

#[test]
fn the_demonstration_ends_with_an_active_model() {
    let user = User::new();
    std::fs::write(user.path("weights.safetensors"), safetensors(9)).unwrap();
    let demo = user.json(&["demo", "weights.safetensors"]);
    assert_eq!(demo["status"], "active");
    // 2 SOMA less the stakes of 1 and 0.2 and the fees: 501,900 for the commit, four
    // steps of 1,600, and 81,900 for the stake in epoch 2.
    assert_eq!(demo["balance"], 2_000_000_000 - 1_200_000_000 - 501_900 - 4 * 1_600 - 81_900);
    for check in demo["checks"].as_array().unwrap() {
        assert_eq!(check["held"], true, "{check}");
    }
    let steps: Vec<_> = demo["steps"].as_array().unwrap().iter().map(|s| &s["step"]).collect();
    assert_eq!(
        json!(steps),
        json!([
            "network",
            "wallet",
            "faucet",
            "weights",
            "encrypt",
            "commit",
            "info",
            "next epoch",
            "reveal",
            "info",
            "encrypt",
            "update-commit",
            "next epoch",
            "update-reveal",
            "commission",
            "stake",
            "list",
            "validate"
        ])
    );
    assert_shape!("demo", demo);
    let text = user.run(&["demo", "weights.safetensors"]);
    assert_eq!(text.code, 0);
    assert!(text.stdout.contains("is active; all of it took"), "{text:?}");
    user.refused(&["demo", "no-such-file"], 1, "InvalidSafetensors");
}

#[test]
fn documents() {
    let files = tempfile::tempdir().unwrap();
    let network = Network::temporary(files.path());
    assert_shape!("start-localnet", network.ready);
    let me = User::of(&network);
    assert_shape!("wallet-new", me.json(&["-y", "wallet", "new"]));
    assert_shape!("wallet-list", me.json(&["wallet", "list"]));
    assert_shape!("env-list", me.json(&["env", "list"]));
    assert_shape!("keytool-list", me.json(&["keytool", "list"]));
    assert_shape!("faucet", me.json(&["faucet"]));
    assert_shape!("status", me.json(&["status"]));
    assert_shape!("balance", me.json(&["balance", "--with-coins"]));
    assert_shape!("objects-gas", me.json(&["objects", "gas"]));
    assert_shape!("objects-list", me.json(&["objects", "list"]));

    std::fs::write(me.path("w"), safetensors(1)).unwrap();
    let sealed = me.json(&["weights", "encrypt", "w", "-o", "w.enc"]);
    assert_shape!("weights-encrypt", sealed);
    assert_shape!("weights-inspect", me.json(&["weights", "inspect", "w"]));
    let url = network.upload("w.enc", &crate::process::read(&me.path("w.enc")));
    let commitments = me.json(&["weights", "commitment", "w.enc", "--url", &url]);
    assert_shape!("weights-commitment", commitments);
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let url_commitment = text(&commitments["commitments"][1]["commitment"]);
    let commitment = text(&sealed["commitment"]);

    let commit = ["model", "commit", "--weights-url-commitment", &url_commitment];
    let rest = ["--weights-commitment", &commitment, "--stake-amount", "1"];
    let commit = [&commit[..], &rest].concat();
    assert_shape!("simulation", me.json(&[&commit[..], &["--simulate"]].concat())["inner"]);
    let committed = me.json(&commit);
    assert_shape!("model-commit", committed);
    let model = text(&committed["model_id"]);
    assert_shape!("model-info-committed", me.json(&["model", "info", &model]));
    me.json(&["localnet", "advance-epoch"]);
    let length = usize::try_from(me.json(&["status"])["embedding_dim"].as_u64().unwrap()).unwrap();
    std::fs::write(me.path("embedding"), "0.5\n".repeat(length)).unwrap();
    std::fs::write(me.path("key"), text(&sealed["decryption_key"])).unwrap();
    let reveal = ["model", "reveal", &model, "--weights-url", &url, "--weights-file", "w.enc"];
    let rest = ["--decryption-key-file", "key", "--embedding-file", "embedding", "--verify-url"];
    assert_shape!("model-reveal", me.json(&[&reveal[..], &rest].concat()));
    assert_shape!("model-info-active", me.json(&["model", "info", &model]));
    assert_shape!("model-list", me.json(&["model", "list"]));

    let download = me.json(&["model", "download", &model, "-o", "copy", "--decrypt"]);
    assert_shape!("model-download", download);
    assert_eq!(crate::process::read(&me.path("copy")), safetensors(1));
    me.refused(&["model", "download", &model, "-o", "copy"], 1, "OutputExists");

    // A transaction whose outcome nobody waited for.
    let to = "aa".repeat(32);
    let ended = me.run(&["send", "--to", &to, "--amount", "0.1", "--timeout", "0", "--json"]);
    assert_eq!(ended.code, 3, "{ended:?}");
    assert_shape!("outcome-unknown", ended.error());
    assert_eq!(ended.error()["kind"], "OutcomeUnknown");
}
