//! The guide *Register a Model*, carried out: its commands, its flags, its order,
//! and the mistakes one can make on the way.
//!
//! Fees are those of the network's rules: 1,000 for every
//! execution, 300 for every object written, and for stake 5, 4 and 3 hundredths of a
//! percent in epochs 0, 1 and 2. A model step writes the gas coin and the system
//! state; a commit and a stake write a receipt too.

use std::fs;

use serde_json::json;

use crate::process::{Network, User, read, safetensors};

const SOMA: u64 = 1_000_000_000;
/// Base fee and two objects.
const STEP: u64 = 1_000 + 2 * 300;

/// What an owner needs for a reveal.
struct Prepared {
    url: String,
    url_commitment: String,
    commitment: String,
    size: String,
    key: String,
}

/// Encrypts a file, hosts it, and makes the two commitments, as the guide says.
fn prepare(user: &User, network: &Network, name: &str, fill: u8) -> Prepared {
    let plain = user.path(&format!("{name}.safetensors"));
    let sealed = format!("{name}.enc");
    let key_file = format!("{name}.key");
    fs::write(&plain, safetensors(fill)).unwrap();

    let plain = plain.to_str().unwrap();
    let done = user.json(&["weights", "encrypt", plain, "-o", &sealed, "--key-file", &key_file]);
    assert_eq!(done["size"], safetensors(fill).len());
    assert!(done.get("decryption_key").is_none(), "the key is in its file only: {done}");

    let url = network.upload(&sealed, &read(&user.path(&sealed)));
    let found = user.json(&["weights", "commitment", &sealed, "--url", &url]);
    let commitments = &found["commitments"];
    assert_eq!(commitments[0]["commitment"], done["commitment"]);
    let key = String::from_utf8(read(&user.path(&key_file))).unwrap();
    Prepared {
        url_commitment: commitments[1]["commitment"].as_str().unwrap().to_owned(),
        commitment: done["commitment"].as_str().unwrap().to_owned(),
        size: done["size"].to_string(),
        key: key.trim().to_owned(),
        url,
    }
}

/// A vector as long as the network wants it; it begins with a minus sign.
fn embedding(user: &User) -> String {
    let length = user.json(&["status"])["embedding_dim"].as_u64().unwrap();
    vec!["-0.25"; usize::try_from(length).unwrap()].join(",")
}

fn reveal<'a>(
    command: &'a str,
    model: &'a str,
    weights: &'a Prepared,
    embedding: &'a str,
) -> Vec<&'a str> {
    vec![
        "model",
        command,
        model,
        "--weights-url",
        &weights.url,
        "--weights-checksum",
        &weights.commitment,
        "--weights-size",
        &weights.size,
        "--decryption-key",
        &weights.key,
        "--embedding",
        embedding,
    ]
}

/// The arguments with the one after `flag` replaced.
fn with<'a>(arguments: &[&'a str], flag: &str, value: &'a str) -> Vec<&'a str> {
    let mut arguments = arguments.to_vec();
    let place = arguments.iter().position(|argument| *argument == flag).unwrap();
    arguments[place + 1] = value;
    arguments
}

/// A wallet with two SOMA from the faucet.
fn owner(network: &Network) -> User {
    let user = User::of(network);
    let key = user.json(&["-y", "wallet", "new", "--alias", "me"]);
    assert_eq!(key["recovery_phrase"].as_str().unwrap().split(' ').count(), 12);
    assert_eq!(user.json(&["wallet", "active"]), key["address"]);
    let given = user.json(&["faucet"]);
    assert_eq!(given["status"], "Success");
    assert_eq!(given["address"], key["address"]);
    assert_eq!(given["coins_sent"][0]["amount"], 2 * SOMA);
    user
}

fn new_ids(user: &User) -> (String, String) {
    let ids = user.json(&["model", "new-id"]);
    let text = |key: &str| ids[key].as_str().unwrap().to_owned();
    (text("model_id"), text("staking_pool_id"))
}

#[test]
fn the_guide_in_its_order() {
    let files = tempfile::tempdir().unwrap();
    let network = Network::temporary(files.path());
    let me = owner(&network);
    let mut balance = 2 * SOMA;
    assert_eq!(me.balance(), balance);
    let embedding = embedding(&me);
    let first = prepare(&me, &network, "weights", 1);
    let (model, pool) = new_ids(&me);

    // Commit your model on-chain.
    let commit = [
        "model",
        "commit",
        &model,
        "--weights-url-commitment",
        &first.url_commitment,
        "--weights-commitment",
        &first.commitment,
        "--stake-amount",
        "1",
        "--commission-rate",
        "1000",
        "--staking-pool-id",
        &pool,
    ];
    let committed = me.json(&commit);
    assert_eq!(committed["model_id"], model);
    assert_eq!(committed["staking_pool_id"], pool);
    assert_eq!((&committed["commit_epoch"], &committed["reveal_epoch"]), (&json!(0), &json!(1)));
    assert!(committed["reveal_opens_at"].as_str() < committed["reveal_closes_at"].as_str());
    let result = &committed["inner"];
    assert_eq!(result["status"], "Success");
    assert_eq!(result["executed_epoch"], 0);
    let fee = json!({
        "base_fee": 1000, "operation_fee": 900, "value_fee": 500_000, "total_fee": 501_900
    });
    assert_eq!(result["fee"], fee);
    assert_eq!(result["created"].as_array().unwrap().len(), 1, "the receipt: {result}");
    let owner = &result["created"][0]["owner"];
    assert_eq!(owner["type"], "address_owner");
    balance -= SOMA + 501_900;
    assert_eq!(result["balance_changes"][0]["amount"], -1_000_501_900_i64);
    assert_eq!(me.balance(), balance);

    // Verify the commit.
    let info = me.json(&["model", "info", &model]);
    assert_eq!(info["status"], "Committed");
    assert_eq!(info["chain_state"], "pending");
    assert_eq!(info["summary"]["stake_balance"], SOMA);
    assert_eq!(info["summary"]["commission_rate"], 1000);
    assert_eq!(info["weights_url_commitment"], first.url_commitment.as_str());
    assert_eq!(info["reveal_epoch"], 1);
    assert!(info.get("weights_url").is_none() && info.get("decryption_key").is_none());

    // Reveal your model in the next epoch; not before.
    let reveal_first = reveal("reveal", &model, &first, &embedding);
    let told = me.refused(&reveal_first, 1, "ModelRevealEpochMismatch");
    assert!(told.contains("epoch 1"), "{told}");
    assert_eq!(me.balance(), balance, "nothing was sent");
    assert_eq!(me.json(&["localnet", "advance-epoch"]), json!({ "epoch": 1 }));
    let revealed = me.json(&reveal_first);
    assert_eq!(revealed["model_id"], model);
    assert_eq!(revealed["inner"]["status"], "Success");
    assert_eq!(revealed["inner"]["fee"]["total_fee"], STEP);
    balance -= STEP;
    assert_eq!(me.balance(), balance);

    // Verify the reveal.
    let info = me.json(&["model", "info", &model, "--embedding"]);
    assert_eq!(info["status"], "Active");
    assert_eq!(info["weights_url"], first.url.as_str());
    assert_eq!(info["weights_checksum"], first.commitment.as_str());
    assert_eq!(info["weights_size"].to_string(), first.size);
    assert_eq!(info["decryption_key"], first.key.as_str());
    assert_eq!(info["embedding"][0], -0.25);

    // Update weights.
    let second = prepare(&me, &network, "better", 2);
    let update = [
        "model",
        "update-commit",
        &model,
        "--weights-url-commitment",
        &second.url_commitment,
        "--weights-commitment",
        &second.commitment,
    ];
    let committed = me.json(&update);
    assert_eq!(committed["status"], "Success", "the result itself, not wrapped: {committed}");
    assert_eq!(committed["reveal_epoch"], 2);
    balance -= STEP;
    let info = me.json(&["model", "info", &model]);
    assert_eq!(info["pending_update"]["commit_epoch"], 1);
    assert_eq!(info["summary"]["has_pending_update"], true);
    let reveal_second = reveal("update-reveal", &model, &second, &embedding);
    me.refused(&reveal_second, 1, "ModelRevealEpochMismatch");
    me.json(&["localnet", "advance-epoch"]);
    let revealed = me.json(&reveal_second);
    assert_eq!(revealed["status"], "Success");
    balance -= STEP;
    assert_eq!(me.balance(), balance);
    let info = me.json(&["model", "info", &model]);
    assert_eq!(info["weights_url"], second.url.as_str());
    assert_eq!(info["pending_update"], json!(null));
    me.refused(&reveal_second, 1, "ModelNoPendingUpdate");

    // Other operations.
    let done = me.json(&["model", "set-commission-rate", &model, "--commission-rate", "500"]);
    assert_eq!(done["status"], "Success");
    balance -= STEP;
    let info = me.json(&["model", "info", &model]);
    assert_eq!(
        (&info["summary"]["commission_rate"], &info["next_epoch_commission_rate"]),
        (&json!(1000), &json!(500))
    );

    let staked = me.json(&["stake", "--model", &model, "--amount", "0.2"]);
    let fee = json!({
        "base_fee": 1000, "operation_fee": 900, "value_fee": 80_000, "total_fee": 81_900
    });
    assert_eq!(staked["fee"], fee, "4 hundredths of a percent in epoch 2");
    balance -= SOMA / 5 + 81_900;
    assert_eq!(me.balance(), balance);

    let list = me.json(&["model", "list"]);
    assert_eq!(list["models"].as_array().unwrap().len(), 1);
    assert_eq!(list["models"][0]["model_id"], model);
    assert_eq!(list["models"][0]["status"], "Active");
    assert_eq!(me.json(&["model", "list", "--mine", "--status", "committed"])["models"], json!([]));

    let done = me.json(&["model", "deactivate", &model]);
    assert_eq!(done["status"], "Success");
    balance -= STEP;
    assert_eq!(me.balance(), balance);
    assert_eq!(me.json(&["model", "info", &model])["status"], "Inactive");
    me.refused(&["model", "deactivate", &model, "-y"], 1, "ModelNotActive");

    // The stake of a model that was deactivated comes back: rules D24.
    let receipts = me.json(&["objects", "list", "--type", "staked_soma"]);
    let receipts = receipts["objects"].as_array().unwrap();
    assert_eq!(receipts.len(), 2);
    for receipt in receipts {
        let principal = receipt["content"]["principal"].as_u64().unwrap();
        let back = me.json(&["unstake", receipt["object_id"].as_str().unwrap()]);
        assert_eq!(back["status"], "Success");
        balance += principal - back["fee"]["total_fee"].as_u64().unwrap();
        assert_eq!(me.balance(), balance);
    }
}

#[test]
fn the_mistakes_one_can_make() {
    let files = tempfile::tempdir().unwrap();
    let network = Network::temporary(files.path());
    let me = owner(&network);
    let embedding = embedding(&me);
    let weights = prepare(&me, &network, "weights", 3);
    let (model, pool) = new_ids(&me);
    let commit = [
        "model",
        "commit",
        &model,
        "--weights-url-commitment",
        &weights.url_commitment,
        "--weights-commitment",
        &weights.commitment,
        "--stake-amount",
        "1",
        "--commission-rate",
        "1000",
        "--staking-pool-id",
        &pool,
    ];

    // Before anything is sent: the rate, the stake, the form of a hash, the amount.
    let told =
        me.refused(&with(&commit, "--commission-rate", "10001"), 1, "ModelCommissionRateTooHigh");
    assert!(told.contains("500 is 5 %"), "{told}");
    let told =
        me.refused(&with(&commit, "--stake-amount", "0.999999999"), 1, "ModelMinStakeNotMet");
    assert!(told.contains("1000000000"), "{told}");
    let both = with(&with(&commit, "--stake-amount", "0.5"), "--commission-rate", "10001");
    let told = me.refused(&both, 1, "ModelCommissionRateTooHigh");
    assert!(told.contains("ModelMinStakeNotMet"), "all at once: {told}");
    let told = me.refused(&with(&commit, "--weights-commitment", "abcd"), 2, "Usage");
    assert!(told.contains("--weights-commitment") && told.contains("2 bytes"), "{told}");
    me.refused(&with(&commit, "--weights-commitment", &"zz".repeat(32)), 2, "Usage");
    me.refused(&with(&commit, "--stake-amount", "1.0000000001"), 2, "Usage");
    me.refused(&with(&commit, "commit", "0x5"), 2, "Usage");
    let told = me.refused(&with(&commit, "--stake-amount", "2"), 1, "InsufficientCoinBalance");
    assert!(told.contains("2001001900"), "what is needed: {told}");
    let unknown = &new_ids(&me).0;
    let told = me.refused(&["model", "info", unknown], 1, "ModelNotFound");
    assert!(told.contains("soma model list") && told.contains(network.text("rpc_url")), "{told}");
    assert_eq!(me.balance(), 2 * SOMA);

    me.json(&commit);
    let balance = me.balance();
    let told = me.refused(&commit, 1, "InvalidArguments");
    assert!(told.contains("in use"), "{told}");
    me.refused(&["model", "deactivate", &model, "-y"], 1, "ModelNotActive");

    // A reveal that is sent too early all the same fails on chain.
    let reveal = reveal("reveal", &model, &weights, &embedding);
    let signed = me.json(&[&reveal[..], &["--serialize-signed-transaction"]].concat());
    let bytes = signed["inner"]["serialized_transaction"].as_str().unwrap();
    let sent = me.run(&["tx", "execute-combined-signed", "--signed-tx-bytes", bytes, "--json"]);
    assert_eq!(sent.code, 1);
    assert_eq!(sent.error()["kind"], "ModelRevealEpochMismatch");
    let result = sent.document();
    assert_eq!(sent.error()["digest"], result["digest"]);
    let status = result["status"]["Failure"]["error"].as_str().unwrap();
    assert!(status.starts_with("ModelRevealEpochMismatch"), "{status}");
    let balance = balance - 1_000;
    assert_eq!(me.balance(), balance, "the base fee is gone, nothing else");
    let digest = result["digest"].as_str().unwrap();
    for look in [vec!["tx", digest], vec!["tx", "info", digest]] {
        let again = me.json(&look);
        assert_eq!(again["status"], result["status"]);
        assert!(again["timestamp"].as_str().unwrap().ends_with('Z'));
    }

    // In the right epoch: another URL, checksum, size, key, embedding, owner.
    me.json(&["localnet", "advance-epoch"]);
    let other_url = network.upload("other.enc", b"something else");
    let told =
        me.refused(&with(&reveal, "--weights-url", &other_url), 1, "ModelWeightsUrlMismatch");
    assert!(told.contains(&weights.url_commitment) && told.contains(&other_url), "{told}");
    let wrong = "ab".repeat(32);
    let told = me.refused(&with(&reveal, "--weights-checksum", &wrong), 1, "InvalidArguments");
    assert!(told.contains(&wrong) && told.contains(&weights.commitment), "{told}");
    me.refused(&with(&reveal, "--weights-size", "17"), 1, "CheckFailed");
    let told = me.refused(&with(&reveal, "--decryption-key", &wrong), 1, "CheckFailed");
    assert!(!told.contains(&wrong), "a key is not repeated: {told}");
    let told = me.refused(&with(&reveal, "--decryption-key", "c0ffee"), 2, "Usage");
    assert!(!told.contains("c0ffee") && told.contains("3 bytes"), "{told}");
    me.refused(&with(&reveal, "--embedding", "-0.25,1"), 1, "EmbeddingDimensionMismatch");
    me.refused(&with(&reveal, "--embedding", "-0.25,NaN"), 2, "Usage");
    let zeros = embedding.replace("-0.25", "0");
    me.refused(&with(&reveal, "--embedding", &zeros), 1, "InvalidArguments");
    let stranger = owner(&network);
    let told = stranger.refused(&reveal, 1, "NotModelOwner");
    let address = me.json(&["wallet", "active"]);
    assert!(told.contains(address.as_str().unwrap()), "{told}");
    assert_eq!((me.balance(), stranger.balance()), (balance, 2 * SOMA));

    // Another spelling of the URL is the same URL.
    let spelled = weights.url.replace("http://", "HTTP://").replace("/weights", "/a/../weights");
    assert_eq!(me.json(&with(&reveal, "--weights-url", &spelled))["inner"]["status"], "Success");
    me.refused(&reveal, 1, "ModelNotPending");
    let told = stranger.refused(
        &["model", "set-commission-rate", &model, "--commission-rate", "0"],
        1,
        "NotModelOwner",
    );
    assert!(told.contains("soma wallet switch"), "{told}");
    let update = ["--weights-url-commitment", &weights.url_commitment, "--weights-commitment"];
    let update = [&["model", "update-commit", &model][..], &update, &[&wrong]].concat();
    stranger.refused(&update, 1, "NotModelOwner");
    me.refused(&["stake", "--model", unknown, "--amount", "0.1"], 1, "ModelNotFound");
}

#[test]
fn a_model_that_is_not_revealed_is_slashed() {
    let files = tempfile::tempdir().unwrap();
    let network = Network::temporary(files.path());
    let me = owner(&network);
    let weights = prepare(&me, &network, "weights", 4);
    // Ids are made up where none are given.
    let committed = me.json(&[
        "model",
        "commit",
        "--weights-url-commitment",
        &weights.url_commitment,
        "--weights-commitment",
        &weights.commitment,
        "--stake-amount",
        "1",
    ]);
    let model = committed["model_id"].as_str().unwrap();
    me.json(&["localnet", "advance-epoch"]);
    assert_eq!(me.json(&["model", "info", model])["status"], "Committed");
    me.json(&["localnet", "advance-epoch"]);
    let info = me.json(&["model", "info", model]);
    assert_eq!(info["status"], "Inactive");
    assert_eq!(info["summary"]["stake_balance"], SOMA / 2);
    let embedding = embedding(&me);
    me.refused(&reveal("reveal", model, &weights, &embedding), 1, "ModelNotPending");
}

#[test]
fn a_network_that_is_down() {
    let files = tempfile::tempdir().unwrap();
    let mut network = Network::temporary(files.path());
    let me = owner(&network);
    network.kill();
    let model = "11".repeat(32);
    let told = me.refused(&["model", "deactivate", &model, "-y"], 1, "Transport");
    assert!(
        told.contains("soma start localnet") && told.contains(network.text("rpc_url")),
        "{told}"
    );
    let status = me.json(&["status"]);
    assert_eq!(status["server_reachable"], false);
    assert_eq!(status["rpc_url"], network.text("rpc_url"));
    me.refused(&["faucet"], 1, "Transport");
    me.refused(&["localnet", "advance-epoch"], 1, "Transport");
}

#[test]
fn previews_send_nothing() {
    let files = tempfile::tempdir().unwrap();
    let network = Network::temporary(files.path());
    let me = owner(&network);
    let to = "aa".repeat(32);
    let send = ["send", "--to", &to, "--amount", "0.5"];
    let with = |flags: &[&'static str]| me.json(&[&send[..], flags].concat());

    let digest = with(&["--tx-digest"]);
    let unsigned = with(&["--serialize-unsigned-transaction"]);
    let signed = with(&["--serialize-signed-transaction"]);
    let simulated = with(&["--simulate"]);
    assert_eq!(simulated["status"], "Success");
    // Rules A1: 1,000 and two objects, and a thousandth of the amount.
    assert_eq!(simulated["gas_used"], 1_000 + 600 + 500_000);
    assert_eq!(simulated["created"].as_array().unwrap().len(), 1);
    let both = ["--serialize-unsigned-transaction", "--serialize-signed-transaction"];
    me.refused(&[&send[..], &both].concat(), 2, "Usage");
    assert_eq!(me.balance(), 2 * SOMA);

    let unsigned = unsigned.as_str().unwrap();
    let again = me.json(&["tx", "execute-serialized", unsigned, "--serialize-signed-transaction"]);
    assert_eq!(again, signed);
    let signature = me.json(&["keytool", "sign", "--address", "me", "--data", unsigned]);
    let signature = signature["somaSignature"].as_str().unwrap();
    let sent =
        me.json(&["tx", "execute-signed", "--tx-bytes", unsigned, "--signatures", signature]);
    assert_eq!((&sent["status"], &sent["digest"]), (&json!("Success"), &digest));
    assert_eq!(me.balance(), 2 * SOMA - 500_000_000 - 501_600);
    // The same again is the same transaction, not another one.
    let signed = signed.as_str().unwrap();
    let repeated = me.json(&["tx", "execute-combined-signed", "--signed-tx-bytes", signed]);
    assert_eq!(repeated["digest"], digest);
    assert_eq!(me.balance(), 2 * SOMA - 500_000_000 - 501_600);
}

#[test]
fn money_goes_where_it_should() {
    let files = tempfile::tempdir().unwrap();
    let network = Network::temporary(files.path());
    let me = owner(&network);
    me.json(&["faucet", "--amount", "3"]);
    assert_eq!(me.json(&["balance"])["coin_count"], 3);
    let other = me.json(&["wallet", "new", "--alias", "other"]);
    assert_ne!(me.json(&["wallet", "active"]), other["address"], "a new key is not switched to");

    let merged = me.json(&["merge-coins"]);
    assert_eq!(merged["fee"]["total_fee"], 1_300);
    assert_eq!(me.json(&["balance"])["coin_count"], 1);
    assert_eq!(me.json(&["merge-coins"]), json!(null));
    let mut balance = 6 * SOMA - 1_300;
    assert_eq!(me.balance(), balance);

    // Rules A11, with other amounts: three coins and the gas coin, a thousandth.
    let third = "bb".repeat(32);
    let amounts = ["--amounts", "1", "0.5", "0.25"];
    let paid = [&["pay", "--recipients", "other", &third, "other"][..], &amounts].concat();
    let paid = me.json(&paid);
    assert_eq!(paid["fee"]["total_fee"], 1_000 + 4 * 300 + 1_750_000);
    balance -= 1_750_000_000 + 1_752_200;
    assert_eq!(me.balance(), balance);
    assert_eq!(me.json(&["balance", "other", "--with-coins"])["total_balance"], 1_250_000_000);
    assert_eq!(me.json(&["balance", &third])["total_balance"], 500_000_000);
    me.refused(&["pay", "--recipients", "other", "--amounts", "1", "2"], 2, "Usage");

    // An object goes with its owner's signature, whoever is active.
    let coins = me.json(&["objects", "gas", "other"]);
    let coin = coins["coins"][0][0][0].as_str().unwrap();
    let moved = me.json(&["transfer", "--to", "me", "--object-id", coin]);
    assert_eq!(moved["status"], "Success");
    let object = me.json(&["objects", "get", coin]);
    assert_eq!(object["owner"]["address"], me.json(&["wallet", "active"]));
    assert_eq!(object["object_type"], "Coin");
    me.refused(&["send", "--to", "other", "--amount", "100"], 1, "InsufficientCoinBalance");
    me.refused(&["send", "--to", "other", "--amount", "0"], 2, "Usage");
    me.refused(&["send", "--to", "nobody", "--amount", "1"], 1, "UnknownAlias");
}
