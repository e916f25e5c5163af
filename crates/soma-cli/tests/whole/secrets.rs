//! The key of the weights, looked for everywhere.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

use crate::owner::{self, prepare};
use crate::process::{A_DAY, Network, User, read};

/// The forms in which a key could be written down.
fn forms(key: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let hex: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
    let list = |separator: &str| {
        key.iter().map(u8::to_string).collect::<Vec<_>>().join(separator).into_bytes()
    };
    let mut forms = vec![
        ("raw bytes", key.to_vec()),
        ("hex", hex.clone().into_bytes()),
        ("upper-case hex", hex.to_uppercase().into_bytes()),
        ("a list", list(", ")),
        ("a JSON list", list(",")),
        ("Base58", bs58::encode(key).into_string().into_bytes()),
    ];
    // Base64 of something that holds the key looks different at each of three places;
    // the characters at the ends belong to the neighbours too.
    for shift in 0..3 {
        let shifted = [&vec![0; shift][..], key].concat();
        for (name, text) in [
            ("Base64", STANDARD_NO_PAD.encode(&shifted)),
            ("Base64 for URLs", URL_SAFE_NO_PAD.encode(&shifted)),
        ] {
            let whole = (8 * shift).div_ceil(6)..8 * (shift + key.len()) / 6;
            forms.push((name, text.as_bytes()[whole].to_vec()));
        }
    }
    forms
}

fn found_in(bytes: &[u8], key: &[u8]) -> Option<&'static str> {
    let contains = |form: &[u8]| bytes.windows(form.len()).any(|window| window == form);
    forms(key).into_iter().find(|(_, form)| contains(form)).map(|(name, _)| name)
}

/// The files below a folder that hold the key.
fn files_with(folder: &Path, key: &[u8]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files_with(&path, key));
        // One that a program has just removed holds nothing.
        } else if found_in(&fs::read(&path).unwrap_or_default(), key).is_some() {
            found.insert(path.file_name().unwrap().to_str().unwrap().to_owned());
        }
    }
    found
}

#[test]
fn the_search_finds_what_is_there() {
    let key: Vec<u8> = (100..132).collect();
    let hex: String = key.iter().map(|byte| format!("{byte:02X}")).collect();
    assert_eq!(found_in(format!("a 0x{hex} b").as_bytes(), &key), Some("upper-case hex"));
    assert_eq!(found_in(format!("{:?}", &key).as_bytes(), &key), Some("a list"));
    for before in 0..4 {
        let around = [&vec![0xfe; before][..], &key, &[0xfd; 3]].concat();
        let text = STANDARD_NO_PAD.encode(&around);
        assert_eq!(found_in(text.as_bytes(), &key), Some("Base64"), "{before}");
        assert_eq!(found_in(&around, &key), Some("raw bytes"));
    }
    assert_eq!(found_in(&[100; 4096], &key), None);
}

#[test]
fn only_the_state_file_holds_the_key_until_it_is_revealed() {
    let (files, chain) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (served, kept) = (files.path().to_str().unwrap(), chain.path().to_str().unwrap());
    let flags = ["--network.config", kept, "--epoch-duration-ms", A_DAY, "--files-dir", served];
    let trace = [("RUST_LOG", "trace")];
    let mut network = Network::start_with(&flags, &trace);
    let user = User::of(&network).with("RUST_LOG", "trace");
    let mut told = Vec::new();
    let mut run = |arguments: &[&str]| {
        let ended = user.run(arguments);
        assert_eq!(ended.code, 0, "{}", ended.stdout);
        told.extend_from_slice(ended.stdout.as_bytes());
        told.extend_from_slice(ended.stderr.as_bytes());
        ended
    };

    owner::wallet(&user);
    let prepared = prepare(&user, &network, 7, &[]);
    let hex = prepared.key("registration");
    let key: Vec<u8> =
        (0..32).map(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap()).collect();
    let state = Path::new(prepared.text("state_file"));
    let only_state = BTreeSet::from([state.file_name().unwrap().to_str().unwrap().to_owned()]);

    run(&["model", "commit", "--prepared", "--stake-amount", "1", "--json"]);
    for json in [&[][..], &["--json"]] {
        for command in [&["model", "status"][..], &["model", "check", "--verify-url"]] {
            // The window is not open, so a check fails and says so.
            let ended = user.run(&[command, json].concat());
            assert!(ended.stderr.contains("TRACE"), "logs are on");
            assert_eq!(found_in(ended.stdout.as_bytes(), &key), None, "{command:?}");
            assert_eq!(found_in(ended.stderr.as_bytes(), &key), None, "{command:?}");
        }
    }
    let early = user.run(&["model", "reveal", "--prepared", "--json"]);
    assert_eq!(early.code, 1);
    assert_eq!(found_in(early.stderr.as_bytes(), &key), None);
    assert_eq!(files_with(&user.path(""), &key), only_state);
    assert_eq!(files_with(chain.path(), &key), BTreeSet::new(), "the chain knows nothing yet");
    assert_eq!(files_with(files.path(), &key), BTreeSet::new(), "nor does the host");

    // What others see of the process that is about to reveal.
    let mut command = user.command(&["model", "reveal", "--prepared", "--wait", "--json"]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let of_process = |name: &str| read(format!("/proc/{}/{name}", child.id()).as_ref());
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let limits = String::from_utf8(of_process("limits")).unwrap();
        let line = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
        let numbers: Vec<_> = line["Max core file size".len()..].split_whitespace().collect();
        if numbers[..2] == ["0", "0"] {
            break;
        }
        assert!(Instant::now() < deadline, "core dumps are allowed: {line}");
        std::thread::yield_now();
    }
    for name in ["cmdline", "environ"] {
        assert_eq!(found_in(&of_process(name), &key), None, "{name}");
    }
    run(&["localnet", "advance-epoch"]);
    let revealed = child.wait_with_output().unwrap();
    assert!(revealed.status.success());
    let log = String::from_utf8(revealed.stderr).unwrap();
    assert!(log.contains("TRACE"), "logs are on");
    assert_eq!(found_in(log.as_bytes(), &key), None, "not even what sent it logs it");
    assert_eq!(found_in(&revealed.stdout, &key), None);
    run(&["model", "resume"]);
    assert_eq!(found_in(&told, &key), None);

    // From now on it is public: the chain tells it, and keeps it.
    assert_eq!(files_with(&user.path(""), &key), only_state);
    let info = user.json(&["model", "info", prepared.text("model_id")]);
    assert_eq!(info["decryption_key"], hex.as_str());
    let (code, log) = network.stop();
    assert_eq!(code, Some(0));
    assert!(log.contains("TRACE"), "logs are on");
    assert_eq!(found_in(log.as_bytes(), &key), None, "the node's log");
    assert!(!files_with(chain.path(), &key).is_empty(), "the search finds it in the store");
}
