//! Publishing: one command from a file of weights to a model.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant, SystemTime};

use serde_json::{Value, json};

use crate::memory::peak_memory;
use crate::process::{Network, User, read, safetensors};
use crate::s3::{self, BUCKET, S3};

const MIB: u64 = 1 << 20;
const SOMA: u64 = 1_000_000_000;
/// Long enough for a machine with much else to do.
const PATIENCE: Duration = Duration::from_secs(300);

/// Somebody with money, an embedding and weights.
fn owner(network: &Network) -> User {
    let user = User::of(network);
    user.json(&["-y", "wallet", "new", "--alias", "me"]);
    user.json(&["faucet"]);
    let length = user.json(&["status"])["embedding_dim"].as_u64().unwrap();
    let numbers = vec![0.1; usize::try_from(length).unwrap()];
    fs::write(user.path("e.json"), json!(numbers).to_string()).unwrap();
    fs::write(user.path("w.safetensors"), safetensors(7)).unwrap();
    user
}

fn file_host(network: &Network) -> String {
    format!("{}/", network.text("files_url"))
}

#[test]
fn publish_wait_and_all_of_it_again() {
    let files = tempfile::tempdir().unwrap();
    let network = Network::temporary(files.path());
    let user = owner(&network);
    let before = user.balance();
    let to = file_host(&network);
    let publish = ["model", "publish", "w.safetensors", "--to", &to];
    let terms = ["--stake-amount", "1", "--commission-rate", "500", "--embedding-file", "e.json"];
    let publish = [&publish[..], &terms].concat();

    let first = user.json(&publish);
    let size = safetensors(7).len() as u64;
    assert_eq!(first["weights_size"], size);
    assert_eq!(first["bytes_read"], size, "each byte is read once");
    assert_eq!(first["bytes_sent"], size);
    let url = first["weights_url"].as_str().unwrap();
    let name = url.rsplit('/').next().unwrap();
    assert_eq!(name.len(), 64, "256 random bits in {url}");
    let sealed = read(&files.path().join(name));
    let commitment = soma_crypto::hash(&sealed).to_string();
    assert_eq!(first["weights_commitment"], commitment);
    let state: Value = serde_json::from_slice(&read(state_file(&first).as_ref())).unwrap();
    let key = state["registration"]["decryption_key"].as_str().unwrap();
    assert!(!first.to_string().contains(key), "the key stays in the state file");
    assert!(files.path().join(format!("{name}.state")).exists(), "the state is beside the object");

    // The same command again finds everything done, and pays nothing.
    let paid = before - user.balance();
    let again = user.json(&publish);
    assert_eq!(again["model_id"], first["model_id"]);
    assert_eq!(again["commit_digest"], first["commit_digest"]);
    assert_eq!((&again["bytes_read"], &again["bytes_sent"]), (&Value::Null, &Value::Null));
    assert_eq!(before - user.balance(), paid);

    // Another embedding is beside the object, too.
    let companion = files.path().join(format!("{name}.state"));
    let beside = read(&companion);
    let numbers = fs::read_to_string(user.path("e.json")).unwrap().replacen("0.1", "0.2", 1);
    fs::write(user.path("e.json"), numbers).unwrap();
    user.json(&publish);
    assert_ne!(read(&companion), beside);
    // Too early for the reveal, and nothing else.
    let check = format!("{:?}", user.run(&["model", "check"]));
    assert!(check.contains("epoch") && !check.contains("beside the object"), "{check}");

    user.json(&["localnet", "advance-epoch"]);
    let revealed = user.json(&[&publish[..], &["--wait"]].concat());
    assert_eq!(revealed["revealed_epoch"], 1);
    let model = first["model_id"].as_str().unwrap();
    assert_eq!(user.json(&["model", "info", model])["status"], "Active");
    assert_eq!(user.json(&["model", "verify", model])["ok"], true);

    // Once more: it is active already, nothing is sent, and no second stake is paid.
    let paid = user.balance();
    for words in [&publish[..], &[&publish[..], &["--wait"]].concat()] {
        let same = user.json(words);
        assert_eq!(same["model_id"], model);
        assert_eq!(same["revealed_epoch"], 1);
        assert_eq!(same["bytes_sent"], Value::Null);
    }
    assert_eq!(user.balance(), paid);
    // Weights that may be others are not taken for these, nor for a new model's.
    let weights = File::options().write(true).open(user.path("w.safetensors")).unwrap();
    let then = weights.metadata().unwrap().modified().unwrap();
    weights.set_modified(then + Duration::from_secs(1)).unwrap();
    assert!(user.refused(&publish, 1, "WeightsChanged").contains("--new"));
    weights.set_modified(then).unwrap();

    // What everybody gets back is what was published.
    user.json(&["model", "download", model, "--decrypt", "-o", "back.safetensors"]);
    assert_eq!(read(&user.path("back.safetensors")), safetensors(7));

    // New weights of the same model, under another key and another name.
    fs::write(user.path("new.safetensors"), safetensors(8)).unwrap();
    let update = ["model", "publish", "new.safetensors", "--to", &to, "--update", model];
    let update = [&update[..], &["--embedding-file", "e.json"]].concat();
    let second = user.json(&update);
    assert_ne!(second["weights_url"], first["weights_url"]);
    assert_eq!(user.json(&update)["commit_digest"], second["commit_digest"]);
    // Under way as an update, they do not become another model unasked.
    let now = ["model", "publish", "new.safetensors", "--to", &to];
    let now = [&now[..], &terms].concat();
    user.refused(&now, 1, "AlreadyPublished");
    user.json(&["localnet", "advance-epoch"]);
    assert_eq!(user.json(&[&update[..], &["--wait"]].concat())["revealed_epoch"], 2);
    let info = user.json(&["model", "info", model]);
    assert_eq!(info["weights_url"], second["weights_url"]);
    let paid = user.balance();
    assert_eq!(user.json(&update)["revealed_epoch"], 2);
    // Neither the weights of then nor those of now become another model unasked.
    for words in [&publish, &now] {
        let refused = user.refused(words, 1, "AlreadyPublished");
        assert!(refused.contains(model) && refused.contains("--new"), "{refused}");
    }
    assert_eq!(user.balance(), paid);
    assert_eq!(user.json(&["model", "audit"])["faulty"], 0);

    // An update that cannot be committed leaves the one before on file.
    let state = read(state_file(&first).as_ref());
    fs::write(user.path("short.json"), "[0.5]").unwrap();
    fs::write(user.path("fourth.safetensors"), safetensors(4)).unwrap();
    let fourth = ["model", "publish", "fourth.safetensors", "--update", model];
    let short = [&fourth[..], &["--to", &to, "--embedding-file", "short.json"]].concat();
    user.refused(&short, 1, "EmbeddingDimensionMismatch");
    assert_eq!(read(state_file(&first).as_ref()), state);

    // Nobody's weights are written over while they are fetched.
    let active = second["weights_url"].as_str().unwrap();
    let name = active.rsplit('/').next().unwrap();
    let served = read(&files.path().join(name));
    let signed = format!("{active}?X-Amz-Signature=hush");
    for target in [active, &signed] {
        let over = [&fourth[..], &["--to", target, "--embedding-file", "e.json"]].concat();
        let refused = user.refused(&over, 1, "UrlTaken");
        assert!(refused.contains(model) && !refused.contains("hush"), "{refused}");
    }
    let elsewhere = format!("{to}elsewhere");
    let over = ["--to", &elsewhere, "--public-url", active, "--embedding-file", "e.json"];
    user.refused(&[&fourth[..], &over].concat(), 1, "UrlTaken");
    let new = ["model", "publish", "fourth.safetensors", "--stake-amount", "1", "--to", active];
    user.refused(&[&new[..], &["--embedding-file", "e.json"]].concat(), 1, "UrlTaken");
    // The chain tells where they are even if the state file does not.
    let moved = String::from_utf8(state.clone()).unwrap().replace(active, &elsewhere);
    fs::write(state_file(&first), moved).unwrap();
    let over = [&fourth[..], &["--to", active, "--embedding-file", "e.json"]].concat();
    let refused = user.refused(&over, 1, "CheckFailed");
    assert!(refused.contains("present weights"), "{refused}");
    fs::write(state_file(&first), &state).unwrap();
    assert_eq!(read(&files.path().join(name)), served);

    // An update that is prepared is not given up unasked: its key is nowhere else.
    fs::write(user.path("third.safetensors"), safetensors(6)).unwrap();
    let prepare = ["model", "prepare", "--update", "--weights-file", "third.safetensors"];
    user.json(&[&prepare[..], &["--weights-url", &to]].concat());
    let state = read(state_file(&first).as_ref());
    fs::write(user.path("new.safetensors"), safetensors(5)).unwrap();
    let refused = user.refused(&update, 1, "Stage");
    assert!(refused.contains("--new"), "{refused}");
    assert_eq!(read(state_file(&first).as_ref()), state);
    user.json(&[&update[..], &["--new"]].concat());

    // One whose window has passed is over, and makes room.
    let good = [&fourth[..], &["--to", &to, "--embedding-file", "e.json"]].concat();
    user.refused(&good, 1, "Stage");
    user.json(&["localnet", "advance-epoch"]);
    user.json(&["localnet", "advance-epoch"]);
    assert_eq!(user.json(&good)["commit_epoch"], 4);

    // No publication goes on over weights that came after it was begun.
    let nowhere = format!("{to}folder");
    fs::create_dir(files.path().join("folder")).unwrap();
    let begun = [&new[..5], &["--to", &nowhere, "--embedding-file", "e.json"]].concat();
    user.json(&["faucet"]);
    user.refused(&begun, 1, "Status");
    let came = String::from_utf8(state.clone()).unwrap().replace(active, &nowhere);
    fs::write(state_file(&first), came).unwrap();
    user.refused(&begun, 1, "UrlTaken");
    // What cannot be read may be of such weights.
    fs::write(state_file(&first), "{").unwrap();
    user.refused(&begun, 1, "State");
    fs::write(state_file(&first), &state).unwrap();
}

#[test]
fn what_cannot_be_committed_is_refused_before_anything_is_sent() {
    let files = tempfile::tempdir().unwrap();
    let network = Network::temporary(files.path());
    let user = owner(&network);
    let to = file_host(&network);
    let publish = |rest: &[&'static str]| -> Vec<String> {
        let start = ["model", "publish", "w.safetensors", "--to", &to];
        start.iter().chain(rest).map(|word| (*word).to_owned()).collect()
    };
    let refused = |rest: &[&'static str], code, kind| {
        let words = publish(rest);
        let words: Vec<_> = words.iter().map(String::as_str).collect();
        user.refused(&words, code, kind)
    };
    let balance = user.balance();
    refused(&["--stake-amount", "0.5", "--embedding-file", "e.json"], 1, "ModelMinStakeNotMet");
    refused(&["--stake-amount", "100", "--embedding-file", "e.json"], 1, "InsufficientCoinBalance");
    fs::write(user.path("short.json"), "[0.5]").unwrap();
    let short = ["--stake-amount", "1", "--embedding-file", "short.json"];
    refused(&short, 1, "EmbeddingDimensionMismatch");
    refused(&[], 2, "Usage");
    fs::write(user.path("w.safetensors"), b"no weights").unwrap();
    refused(&["--stake-amount", "1", "--embedding-file", "e.json"], 1, "NotSafetensors");
    assert_eq!(user.balance(), balance);
    // What begins with a dot is the host's own.
    let names = fs::read_dir(files.path()).unwrap().map(|entry| entry.unwrap().file_name());
    let objects = names.filter(|name| !name.to_string_lossy().starts_with('.')).count();
    assert_eq!(objects, 0, "nothing was sent");
    let status = user.json(&["model", "status"]);
    assert_eq!(status["models"].as_array().unwrap().len(), 0, "and nothing is left on file");
}

/// A host that takes the object and does not serve ranges of it is found out before
/// a coin is staked; after the remedy, the same command goes on.
#[test]
fn nothing_is_staked_on_what_validators_cannot_fetch() {
    let files = tempfile::tempdir().unwrap();
    let network = Network::temporary(files.path());
    let user = owner(&network);
    let served = user.path("served");
    let to = format!("file://{}", served.display());
    let other = format!("{}elsewhere/", file_host(&network));
    let mut publish = vec!["model", "publish", "w.safetensors", "--to", &to];
    publish.extend(["--public-url", &other, "--stake-amount", "1", "--embedding-file", "e.json"]);
    let balance = user.balance();
    let refused = user.refused(&publish, 1, "CheckFailed");
    assert!(refused.contains("404"), "{refused}");
    assert_eq!(user.balance(), balance);
    // The owner copies the object to where he said it would be.
    for object in fs::read_dir(&served).unwrap() {
        let object = object.unwrap();
        let name = object.file_name().into_string().unwrap();
        network.upload(&format!("elsewhere/{name}"), &read(&object.path()));
    }
    let done = user.json(&publish);
    assert_eq!(done["bytes_sent"], Value::Null, "it is not sent again");
    let name = done["weights_url"].as_str().unwrap().strip_prefix(&other).unwrap();
    assert_eq!(name.len(), 64);
    assert!(served.join(name).exists() && served.join(format!("{name}.state")).exists());
}

/// Of what was begun and never finished, only what is surely nobody's is removed.
#[test]
fn clean_leaves_alone_what_may_be_needed() {
    let user = User::new();
    let store = user.path("store");
    fs::create_dir(&store).unwrap();
    let (old, young) = ("0a".repeat(32), "0b".repeat(32));
    let hidden = |key: &str| store.join(format!(".{key}.incomplete"));
    for key in [&old, &young, "other"] {
        fs::write(hidden(key), "part").unwrap();
    }
    let two_days_ago = std::time::SystemTime::now() - Duration::from_secs(48 * 3600);
    for key in [&old, "other"] {
        let file = File::options().write(true).open(hidden(key)).unwrap();
        file.set_modified(two_days_ago).unwrap();
    }
    let to = format!("file://{}", store.display());
    let clean = ["storage", "clean", &to, "--public-url", "https://weights.example/"];

    // A state file that cannot be read may hold an upload.
    let states = user.path("config").join("models");
    fs::create_dir_all(&states).unwrap();
    fs::write(states.join("damaged.json"), "{").unwrap();
    let refused = user.refused(&clean, 1, "State");
    assert!(refused.contains("damaged.json"), "{refused}");
    assert!(hidden(&old).exists());
    fs::remove_file(states.join("damaged.json")).unwrap();

    let found = user.json(&clean);
    let uploads = found["uploads"].as_array().unwrap().iter();
    let kept: std::collections::BTreeMap<_, _> =
        uploads.map(|upload| (upload["key"].as_str().unwrap(), &upload["kept"])).collect();
    assert_eq!(kept[old.as_str()], &Value::Null);
    assert_eq!((kept[young.as_str()], kept["other"]), (&json!("young"), &json!("other_name")));
    assert!(!hidden(&old).exists() && hidden(&young).exists() && hidden("other").exists());
    user.json(&[&clean[..], &["--older-than", "0s"]].concat());
    assert!(!hidden(&young).exists() && hidden("other").exists());
}

/// What was published counts as long as it is what the file holds, on its own chain, and
/// while it is active.
#[test]
fn a_model_that_is_gone_or_elsewhere() {
    let files = tempfile::tempdir().unwrap();
    let network = Network::temporary(files.path());
    let user = owner(&network);
    let to = format!("file://{}", files.path().display());
    let terms = ["--stake-amount", "1", "--embedding-file", "e.json"];
    let publish = ["model", "publish", "w.safetensors", "--to", &to, "--public-url"];
    let place = file_host(&network);
    let words = [&publish[..], &[&place], &terms].concat();
    user.json(&words);
    user.json(&["localnet", "advance-epoch"]);
    let first = user.json(&[&words[..], &["--wait"]].concat());
    let model = first["model_id"].as_str().unwrap();

    // Trained on in the same place, in the same length: an update after the update.
    let update = ["model", "publish", "new.safetensors", "--to", &to, "--update", model];
    let update = [&update[..], &["--public-url", &place, "--embedding-file", "e.json"]].concat();
    fs::write(user.path("new.safetensors"), safetensors(8)).unwrap();
    user.json(&update);
    user.json(&["localnet", "advance-epoch"]);
    let second = user.json(&[&update[..], &["--wait"]].concat());
    let mut bytes = safetensors(8);
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(user.path("new.safetensors"), bytes).unwrap();
    let later = SystemTime::now() + Duration::from_secs(1);
    let weights = File::options().write(true).open(user.path("new.safetensors")).unwrap();
    weights.set_modified(later).unwrap();
    let third = user.json(&update);
    assert_ne!(third["weights_commitment"], second["weights_commitment"]);
    assert_eq!(user.json(&update)["commit_digest"], third["commit_digest"]);
    user.json(&["localnet", "advance-epoch"]);
    assert_eq!(user.json(&[&update[..], &["--wait"]].concat())["revealed_epoch"], 3);

    user.json(&["model", "deactivate", model]);
    let refused = user.refused(&update, 1, "Gone");
    assert!(refused.contains(model) && refused.contains("--new"), "{refused}");

    let other = Network::temporary(files.path());
    let url = |key| other.text(key);
    let user = user
        .with("SOMA_RPC_URL", url("rpc_url"))
        .with("SOMA_FAUCET_URL", url("faucet_url"))
        .with("SOMA_ADMIN_URL", url("admin_url"));
    user.json(&["env", "chain-id"]);
    user.json(&["faucet"]);
    let place = file_host(&other);
    let second = user.json(&[&publish[..], &[&place], &terms].concat());
    assert_ne!(second["model_id"], model);
    assert_ne!(second["weights_url"], first["weights_url"]);
}

#[test]
fn changed_weights_are_refused_and_can_begin_anew() {
    let files = tempfile::tempdir().unwrap();
    let network = Network::temporary(files.path());
    let user = owner(&network);
    let to = file_host(&network);
    let mut publish = vec!["model", "publish", "w.safetensors", "--to", &to];
    publish.extend(["--stake-amount", "1", "--embedding-file", "e.json"]);
    let first = user.json(&publish);
    let mut longer = safetensors(9);
    longer.extend([0; 3]);
    fs::write(user.path("w.safetensors"), longer).unwrap();
    let hint = user.refused(&publish, 1, "WeightsChanged");
    assert!(hint.contains("--new"), "{hint}");
    fs::write(user.path("w.safetensors"), safetensors(9)).unwrap();
    user.json(&["faucet"]);
    let second = user.json(&[&publish[..], &["--new"]].concat());
    assert_ne!(second["model_id"], first["model_id"]);
}

/// A gibibyte in parts of 8 MiB, killed five times at random moments. A seed that was
/// printed makes the same moments again, as far as the machine does.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gibibyte_survives_five_kills() {
    const PART: u64 = 8 * MIB;
    const IN_FLIGHT: u64 = 8;
    const KILLS: u64 = 5;
    let mut dice = Dice::new();
    let files = tempfile::tempdir().unwrap();
    let server = S3::start(&files.path().join("s3")).await;
    let network = Network::temporary(&files.path().join("served"));
    let user = owner(&network);
    let size = large_safetensors(&user.path("large.safetensors"), 1024 * MIB);
    let count = size.div_ceil(PART);

    let to = format!("s3://{BUCKET}/models");
    let endpoint = server.endpoint();
    let mut publish = vec!["model", "publish", "large.safetensors", "--to", &to, "--json"];
    publish.extend(["--endpoint", &endpoint, "--part-size", "8MiB"]);
    publish.extend(["--stake-amount", "1", "--embedding-file", "e.json"]);
    let start = || -> Child {
        let mut command = user.command(&publish);
        command.envs(s3::VARIABLES).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().unwrap()
    };

    let mut confirmed: Vec<u64> = Vec::new();
    let mut sent_in_all = 0;
    for kill in 1..=KILLS {
        let before = server.parts().len();
        let mut child = start();
        // Before the first part, too; never so late that it might be done.
        let until = before as u64 + dice.below(count / 8);
        let then = Duration::from_millis(dice.below(50));
        println!("kill {kill} {then:?} after {until} parts");
        let since = Instant::now();
        while (server.parts().len() as u64) < until {
            assert!(child.try_wait().unwrap().is_none(), "{:?}", ended(child));
            assert!(since.elapsed() < PATIENCE, "{} parts", server.parts().len());
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        tokio::time::sleep(then).await;
        assert!(child.try_wait().unwrap().is_none(), "{:?}", ended(child));
        child.kill().unwrap();
        child.wait().unwrap();
        let sent = part_numbers(&server.parts()[before..]);
        for part in &sent {
            assert!(!confirmed.contains(part), "part {part} was on record and is sent again");
        }
        sent_in_all += sent.len() as u64;
        confirmed = on_record(&user);
    }
    let before = server.parts().len();
    let mut child = start();
    let peak = peak_memory(&mut child);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let done: Value = serde_json::from_slice(&output.stdout).unwrap();
    let sent = part_numbers(&server.parts()[before..]);
    assert!(sent.iter().all(|part| !confirmed.contains(part)));
    sent_in_all += sent.len() as u64;
    let twice = sent_in_all - count;
    // Only those that were in flight at a kill, whose arrival nobody has seen.
    assert!(twice <= KILLS * IN_FLIGHT, "{twice} parts were sent twice");

    let name = done["weights_url"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
    let object = files.path().join("s3").join(BUCKET).join("models").join(name);
    let found =
        soma_crypto::commitment(soma_crypto::Input::file(object), &soma_crypto::Options::new())
            .unwrap();
    assert_eq!(found.size, size);
    assert_eq!(done["weights_commitment"], found.digest.to_string());
    assert!(0 < peak && peak < 256 * MIB, "{} MiB", peak / MIB);
    println!("{count} parts, {twice} sent twice after 5 kills, peak {} MiB", peak / MIB);
    // The first commit was the only one.
    let model = done["model_id"].as_str().unwrap();
    let info = user.json(&["model", "info", model]);
    assert_eq!(info["summary"]["stake_balance"], SOMA);
}

fn state_file(report: &Value) -> String {
    report["state_file"].as_str().unwrap().to_owned()
}

/// The parts that the only state file says have arrived, counted from 1.
fn on_record(user: &User) -> Vec<u64> {
    let folder = user.path("config").join("models");
    // It may have been killed before it came so far.
    let names = fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap());
    let visible = names.filter(|entry| !entry.file_name().to_string_lossy().starts_with('.'));
    let states: Vec<_> = visible.map(|entry| entry.path()).collect();
    assert!(states.len() <= 1, "every run finds the same state file");
    let Some(state) = states.first() else { return Vec::new() };
    let state: Value = serde_json::from_slice(&read(state)).unwrap();
    let record = &state["registration"]["upload"]["record"];
    let parts = (1u64..).zip(record["parts"].as_array().into_iter().flatten());
    parts.filter(|(_, mark)| !mark.is_null()).map(|(part, _)| part).collect()
}

/// Random numbers from a seed that is printed, or given as `SOMA_TEST_SEED`.
struct Dice(u64);

impl Dice {
    fn new() -> Self {
        let given = std::env::var("SOMA_TEST_SEED").ok().map(|text| text.parse().unwrap());
        let clock = || std::time::UNIX_EPOCH.elapsed().unwrap().subsec_nanos().into();
        let seed: u64 = given.unwrap_or_else(clock);
        println!("SOMA_TEST_SEED={seed}");
        Self(seed)
    }

    /// SplitMix64 (Steele, Lea, Flood 2014), reduced to numbers below `limit`.
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit
    }
}

fn part_numbers(requests: &[String]) -> Vec<u64> {
    let number = |line: &String| {
        let pair = line.split(['&', ' ']).find_map(|pair| pair.strip_prefix("partNumber="));
        pair.unwrap().parse().unwrap()
    };
    requests.iter().map(number).collect()
}

fn ended(child: Child) -> String {
    let output = child.wait_with_output().unwrap();
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Weights of about this size that take no room on disk; gives their exact size.
fn large_safetensors(path: &Path, data: u64) -> u64 {
    let header =
        format!(r#"{{"weight":{{"dtype":"U8","shape":[{data}],"data_offsets":[0,{data}]}}}}"#);
    let mut file = File::create(path).unwrap();
    file.write_all(&(header.len() as u64).to_le_bytes()).unwrap();
    file.write_all(header.as_bytes()).unwrap();
    let size = 8 + header.len() as u64 + data;
    file.set_len(size).unwrap();
    size
}
