//! How a network starts, what it says, and how it ends.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::owner;
use crate::process::{Ended, Network, User};

#[test]
fn it_answers_soon_and_stops_cleanly() {
    let mut network = Network::start(&["--force-regenesis"]);
    let since = Instant::now();
    let user = User::of(&network);
    let status = user.json(&["status"]);
    let answered = network.ready_after + since.elapsed();
    // It does not hang. How fast it is on an idle machine is measured elsewhere, by
    // `cargo xtask bench-startup`: this is a debug build beside other tests.
    assert!(answered < Duration::from_secs(120), "{answered:?}");
    println!("ready after {:?}, first command done after {answered:?}", network.ready_after);

    assert_eq!(status["chain_id"], network.ready["chain_id"]);
    assert_eq!(status["epoch_duration_ms"], 60_000);
    assert_eq!(network.ready["epoch_duration_ms"], 60_000);
    assert_eq!(status["embedding_dim"], 2048);
    assert_eq!(network.ready["accounts"].as_array().unwrap().len(), 5);
    let services = user.json(&["localnet", "status"]);
    assert_eq!(services["services"][0]["reachable"], true);

    let state = network.text("state_dir").to_owned();
    let (code, told) = network.stop();
    assert_eq!(code, Some(0), "{told}");
    assert!(told.contains("temporary"), "{told}");
    assert!(!std::path::Path::new(&state).exists());
}

/// What runs until Ctrl-C ends as cleanly when its terminal goes away.
#[cfg(target_os = "linux")]
#[test]
fn a_service_stops_cleanly_when_its_terminal_goes_away() {
    let user = User::new();
    let words = ["localnet", "serve", "served", "--port", "0", "--json"];
    let mut command = user.command_hearing_hang_ups(&words);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert!(line.contains("url"), "{line}");
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-HUP", &pid]).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

/// Whoever reads that it is ready may stop it in the same instant.
#[test]
fn it_stops_cleanly_as_soon_as_it_is_ready() {
    for round in 0..20 {
        let (code, told) = Network::start(&["--force-regenesis"]).stop();
        assert_eq!(code, Some(0), "round {round}: {told}");
    }
}

#[test]
fn a_small_network() {
    let network = Network::start(&["--force-regenesis", "--small-model"]);
    assert_eq!(User::of(&network).json(&["status"])["embedding_dim"], 16);
}

#[test]
fn a_kept_network_goes_on_beside_a_wallet() {
    let user = User::new();
    user.run(&["-y", "wallet", "new"]);
    let folder = user.path("config");
    let flags = ["--network.config", folder.to_str().unwrap()];
    let mut network = Network::start(&[&flags[..], &["--epoch-duration-ms", "86400000"]].concat());
    let chain = network.ready["chain_id"].clone();
    User::of(&network).json(&["localnet", "advance-epoch"]);
    let (code, told) = network.stop();
    assert_eq!(code, Some(0));
    assert!(told.contains("kept"), "{told}");

    let again = Network::start(&flags);
    assert_eq!(again.ready["chain_id"], chain);
    assert_eq!(again.ready["epoch"], 1);
    drop(again);
    // The length of an epoch belongs to the chain.
    let changed = [&["start", "localnet"][..], &flags, &["--epoch-duration-ms", "5"]].concat();
    let told = user.refused(
        &[
            &changed[..],
            &["--fullnode-rpc-port=0", "--with-faucet=0", "--scoring-port=0", "--admin-port=0"],
        ]
        .concat(),
        1,
        "Config",
    );
    assert!(told.contains("--force-regenesis"), "{told}");
}

#[test]
fn a_port_that_is_taken() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let user = User::new();
    let flags = ["start", "localnet", "--force-regenesis", "--fullnode-rpc-port", &port];
    let told = user.refused(&flags, 1, "PortTaken");
    assert!(told.contains(&port) && told.contains("--fullnode-rpc-port"), "{told}");
}

#[test]
fn a_faucet_of_its_own() {
    let network = Network::start(&["--force-regenesis"]);
    let rich = User::of(&network);
    // The first of the published accounts.
    let phrase = "test test test test test test test test test test test junk";
    std::fs::write(rich.path("phrase"), phrase).unwrap();
    rich.json(&["-y", "wallet", "import", "--file", "phrase"]);
    let given = asked(&rich, &["--amount", "7", "--num-coins", "3"]);
    assert_eq!(given.document()["coins_sent"].as_array().unwrap().len(), 3, "{given:?}");
    assert_eq!(rich.json(&["balance", STRANGER])["total_balance"], 21);
}

#[test]
fn a_faucet_gives_what_can_be_spared() {
    let files = tempfile::tempdir().unwrap();
    let network = Network::temporary(files.path());
    let user = User::of(&network);
    owner::wallet(&user);
    owner::prepare(&user, &network, 7, &[]);
    let terms = ["--stake-amount", "1", "--commission-rate", "1000"];
    user.json(&[&["model", "commit", "--prepared"][..], &terms].concat());

    // More than there is costs no fee.
    let before = user.balance();
    let told = asked(&user, &["--amount", "2000000000"]);
    assert!(told.code == 1 && told.stderr.contains("not enough money"), "{told:?}");
    assert_eq!(user.balance(), before);

    // The coin that is kept for the reveal becomes the largest one.
    user.json(&["send", "--to", STRANGER, "--amount", "0.99846"]);
    let before = user.balance();
    assert!((32_000..50_000).contains(&before), "{before} should be that coin and little else");
    let told = asked(&user, &["--amount", "20000"]);
    assert!(told.code == 1 && told.stderr.contains("not enough money"), "{told:?}");
    assert_eq!(user.balance(), before);
}

const STRANGER: &str = "abababababababababababababababababababababababababababababababab";

/// What a faucet of the user's wallet answers who asks it for coins of a stranger.
fn asked(user: &User, flags: &[&str]) -> Ended {
    let mut faucet = user
        .command(&[&["start", "faucet", "--port", "0", "--json"][..], flags].concat())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let stdout = faucet.stdout.take().unwrap();
    BufReader::new(stdout).read_line(&mut line).unwrap();
    let ready: serde_json::Value = serde_json::from_str(&line).unwrap();
    let url = ready["faucet_url"].as_str().unwrap();
    let answered = user.run(&["faucet", "--url", url, "--address", STRANGER, "--json"]);
    faucet.kill().unwrap();
    faucet.wait().unwrap();
    answered
}
