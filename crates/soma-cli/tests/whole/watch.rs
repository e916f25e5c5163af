//! Models that are looked after, once and for good.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::process::{Network, User, read, safetensors};

/// Prepares, uploads and commits; gives what `prepare` printed.
fn committed(network: &Network, user: &User, name: &str) -> Value {
    fs::write(user.path(&format!("{name}.safetensors")), safetensors(7)).unwrap();
    let url = network.upload(name, b"not yet");
    let prepared = user.json(&[
        "model",
        "prepare",
        "--weights-file",
        &format!("{name}.safetensors"),
        "--weights-url",
        &url,
        "--out",
        &format!("{name}.enc"),
        "--embedding-file",
        "embedding.json",
    ]);
    network.upload(name, &read(&user.path(&format!("{name}.enc"))));
    user.json(&["model", "commit", "--prepared", "--stake-amount", "1"]);
    prepared
}

/// The events on standard output, one a line.
fn events(stdout: &str) -> Vec<Value> {
    stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn kinds(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["event"].as_str().unwrap()).collect()
}

#[test]
fn passes_from_the_commit_to_a_lost_model() {
    let files = tempfile::tempdir().unwrap();
    let network = Network::temporary(files.path());
    let user = User::of(&network);
    user.json(&["-y", "wallet", "new", "--alias", "me"]);
    user.json(&["faucet", "--amount", "4"]);
    let length = user.json(&["status"])["embedding_dim"].as_u64().unwrap();
    let numbers = vec![0.1; usize::try_from(length).unwrap()];
    fs::write(user.path("embedding.json"), json!(numbers).to_string()).unwrap();

    let prepared = committed(&network, &user, "one");
    let model = prepared["model_id"].as_str().unwrap();
    let once = ["model", "watch", "--once", "--json"];
    let hooked = [
        &once[..],
        &[
            "--on-event",
            r#"cat >> told.json; echo "$SOMA_EVENT $SOMA_ALARM $SOMA_MODEL_ID" >> told"#,
        ],
    ]
    .concat();
    let ended = user.run(&hooked);
    assert_eq!(ended.code, 0, "{ended:?}");
    let seen = events(&ended.stdout);
    assert_eq!(kinds(&seen), ["node_up", "ready", "waiting"]);

    // The owner's command got the very same events, and nobody got the key.
    let told = fs::read_to_string(user.path("told.json")).unwrap();
    assert_eq!(events(&told), seen);
    let lines = fs::read_to_string(user.path("told")).unwrap();
    assert_eq!(lines.lines().nth(1).unwrap(), format!("ready 0 {model}"));
    let state: Value =
        serde_json::from_slice(&read(prepared["state_file"].as_str().unwrap().as_ref())).unwrap();
    let key = state["registration"]["decryption_key"].as_str().unwrap();
    assert!(!format!("{ended:?}{told}{lines}").contains(key));

    // Its coin, which the commit has set aside, is left alone.
    let coin = state["gas_coin"].as_str().unwrap();
    let address = user.json(&["wallet", "active"]);
    let address = address.as_str().unwrap();
    let send = ["send", "--to", address, "--amount", "0.00001", "--coin", coin];
    let refused = user.refused(&send, 1, "InvalidArguments");
    assert!(refused.contains("set aside") && refused.contains(model), "{refused}");

    user.json(&["localnet", "advance-epoch"]);
    let ended = user.run(&once);
    assert!(kinds(&events(&ended.stdout)).contains(&"revealed"), "{ended:?}");
    assert_eq!(ended.code, 0, "{ended:?}");
    assert_eq!(user.json(&["model", "info", model])["status"], "Active");

    let lost = committed(&network, &user, "two");
    user.json(&["localnet", "advance-epoch"]);
    user.json(&["localnet", "advance-epoch"]);
    let ended = user.run(&once);
    assert_eq!(ended.code, 4, "{ended:?}");
    assert_eq!(ended.error()["kind"], "Alarm");
    let seen = events(&ended.stdout);
    let alarm = seen.iter().find(|event| event["event"] == "lost").unwrap();
    assert_eq!((&alarm["model_id"], &alarm["alarm"]), (&lost["model_id"], &json!(true)));
    let text = user.run(&["model", "watch", "--once"]);
    assert!(text.code == 4 && text.stdout.contains("ALARM: the window was missed"), "{text:?}");
}

/// Events of which a pipe holds a part, and the queue before it another one.
const EVENTS: usize = 1_400;

#[test]
fn a_reader_that_is_stuck_holds_up_no_reveal() {
    let files = tempfile::tempdir().unwrap();
    // Its turn comes within the first twentieth of the window.
    let served = files.path().to_str().unwrap();
    let epoch = ["--force-regenesis", "--epoch-duration-ms", "300000"];
    let network = Network::start(&[&epoch[..], &["--files-dir", served]].concat());
    let user = User::of(&network);
    user.json(&["-y", "wallet", "new", "--alias", "me"]);
    user.json(&["faucet", "--amount", "2"]);
    let length = user.json(&["status"])["embedding_dim"].as_u64().unwrap();
    let numbers = vec![0.1; usize::try_from(length).unwrap()];
    fs::write(user.path("embedding.json"), json!(numbers).to_string()).unwrap();
    let prepared = committed(&network, &user, "one");
    let model = prepared["model_id"].as_str().unwrap();
    // Each of these is an event.
    let folder = user.path("config").join("models");
    for number in 0..EVENTS {
        fs::write(folder.join(format!("{}{number}.json", "x".repeat(200))), "{").unwrap();
    }

    // Nobody reads what it has to say.
    let mut watch =
        user.command(&["model", "watch", "--json"]).stdout(Stdio::piped()).spawn().unwrap();
    user.json(&["localnet", "advance-epoch"]);
    let deadline = Instant::now() + Duration::from_secs(120);
    // It is told once it is on file.
    let state = folder.join(format!("{model}.json"));
    let is_on_file = || {
        let state: Value = serde_json::from_slice(&fs::read(&state).unwrap()).unwrap();
        state["registration"]["reveal"]["epoch"].is_u64()
    };
    while !is_on_file() {
        assert!(Instant::now() < deadline, "it was not revealed");
        std::thread::sleep(Duration::from_millis(200));
    }

    let mut stdout = watch.stdout.take().unwrap();
    let reader = std::thread::spawn(move || {
        let mut text = String::new();
        std::io::Read::read_to_string(&mut stdout, &mut text).map(|_| text)
    });
    let pid = watch.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    assert_eq!(watch.wait().unwrap().code(), Some(0));
    let seen = events(&reader.join().unwrap().unwrap());
    let dropped: u64 = seen.iter().filter_map(|event| event["dropped"].as_u64()).sum();
    let told = kinds(&seen).iter().filter(|kind| **kind == "ignored").count();
    assert!(dropped > 0 && told < EVENTS, "{dropped} were dropped, {told} told");
    // The newest are there, and none is missing without being counted.
    assert!(kinds(&seen).contains(&"revealed"));
    assert!(told + usize::try_from(dropped).unwrap() >= EVENTS, "{dropped} dropped, {told} told");
}

#[test]
fn it_runs_until_it_is_told_to_stop() {
    let files = tempfile::tempdir().unwrap();
    let network = Network::temporary(files.path());
    let user = User::of(&network);
    user.json(&["-y", "wallet", "new", "--alias", "me"]);
    for signal in ["-TERM", "-INT"] {
        // The second node is not there: no reason not to begin.
        let nodes = ["--rpc", network.text("rpc_url"), "--rpc", "http://127.0.0.1:9"];
        let mut watch = user
            .command(&[&["model", "watch", "--json"], &nodes[..]].concat())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(watch.stdout.take().unwrap()).lines();
        let mut seen = [lines.next(), lines.next()].map(|line| {
            let event: Value = serde_json::from_str(&line.unwrap().unwrap()).unwrap();
            event["event"].as_str().unwrap().to_owned()
        });
        seen.sort();
        assert_eq!(seen, ["node_down", "node_up"]);
        let pid = watch.id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
        assert_eq!(watch.wait().unwrap().code(), Some(0));
    }
}

#[test]
fn a_unit_for_systemd() {
    let user = User::new();
    user.json(&["-y", "wallet", "new", "--alias", "me"]);
    let install = [
        "model",
        "watch",
        "--install",
        "--rpc",
        "http://127.0.0.1:9",
        "--on-event",
        "echo \"$SOMA_EVENT\" 5%",
    ];
    let shown = user.json(&[&install[..], &["--print"]].concat());
    let unit = shown["unit"].as_str().unwrap();
    let start =
        r#""model" "watch" "--rpc" "http://127.0.0.1:9" "--on-event" "echo \"$$SOMA_EVENT\" 5%%""#;
    assert!(
        unit.lines().any(|line| line.starts_with("ExecStart=") && line.ends_with(start)),
        "{unit}"
    );
    let config = user.path("config");
    assert!(unit.contains(&format!("\nEnvironment=\"SOMA_CONFIG_DIR={}\"\n", config.display())));
    assert_eq!(shown.get("path"), None);

    let home = user.path("units");
    let output = user.command(&install).env("XDG_CONFIG_HOME", &home).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let path = home.join("systemd/user/soma-model-watch.service");
    assert_eq!(fs::read_to_string(&path).unwrap(), unit);
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains("systemctl --user enable --now soma-model-watch.service"), "{said}");
}
