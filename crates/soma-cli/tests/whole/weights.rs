//! `soma weights` and the files of its user: what it refuses, what it leaves.

use std::fs;
use std::path::Path;
use std::process::{Child, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::process::{User, read, safetensors};

/// Longer than anything here takes on the slowest machine: what takes as long hangs.
const PATIENCE: Duration = Duration::from_secs(120);
/// Any 32 bytes will do.
const KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

/// Waits for the end of a process, and for nothing else.
fn ended(mut child: Child) -> Output {
    let deadline = Instant::now() + PATIENCE;
    while child.try_wait().unwrap().is_none() {
        if Instant::now() > deadline {
            child.kill().unwrap();
            panic!("it hangs: {:?}", child.wait_with_output().unwrap());
        }
        sleep(Duration::from_millis(2));
    }
    child.wait_with_output().unwrap()
}

/// Waits until something is so, while a process runs.
fn until(child: &mut Child, what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(child.try_wait().unwrap().is_none(), "it ended before {what}");
        assert!(Instant::now() < deadline, "it hangs before {what}");
        sleep(Duration::from_millis(1));
    }
}

/// The files in a user's directory.
fn files(user: &User) -> Vec<String> {
    let entries = fs::read_dir(user.path(".")).unwrap();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Somebody with weights and a key.
fn owner() -> User {
    let user = User::new();
    fs::write(user.path("w"), safetensors(1)).unwrap();
    fs::write(user.path("k"), KEY).unwrap();
    user
}

#[test]
fn an_output_never_takes_the_place_of_a_key() {
    let user = owner();
    user.json(&["weights", "encrypt", "w", "-o", "sealed", "--use-key-file", "k"]);
    let sealed = read(&user.path("sealed"));
    fs::create_dir(user.path("sub")).unwrap();
    fs::hard_link(user.path("k"), user.path("hard")).unwrap();
    let absolute = user.path("k").display().to_string();
    #[allow(unused_mut, reason = "there are links on Unix")]
    let mut names = vec!["k", "./k", "sub/../k", "hard", &absolute];
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink("k", user.path("soft")).unwrap();
        names.push("soft");
    }
    let before = files(&user);
    for output in names {
        for (command, input, flag) in
            [("encrypt", "w", "--use-key-file"), ("decrypt", "sealed", "--key-file")]
        {
            let words = ["weights", command, input, "-o", output, flag, "k", "--force"];
            let told = user.refused(&words, 2, "Usage");
            assert!(told.contains("the key file"), "{told}");
        }
    }
    // A key that is still to be made.
    for output in ["new", "./new", "sub/../new"] {
        let words = ["weights", "encrypt", "w", "-o", output, "--key-file", "new", "--force"];
        let told = user.refused(&words, 2, "Usage");
        assert!(told.contains("the key file"), "{told}");
    }
    assert_eq!(read(&user.path("k")), KEY.as_bytes());
    assert_eq!(read(&user.path("sealed")), sealed);
    assert_eq!(files(&user), before);
}

#[test]
fn an_output_never_takes_the_place_of_its_input() {
    let user = owner();
    for keys in [&[][..], &["--key-file", "new"], &["--use-key-file", "k"]] {
        let words = [&["weights", "encrypt", "w", "-o", "./w", "--force"][..], keys].concat();
        let told = user.refused(&words, 2, "Usage");
        assert!(told.contains("the input"), "{told}");
    }
    let words = ["weights", "decrypt", "w", "-o", "w", "--force", "--key-file", "k"];
    user.refused(&words, 2, "Usage");
    assert_eq!(read(&user.path("w")), safetensors(1));
    assert_eq!(files(&user), ["k", "w"]);
}

#[test]
fn what_cannot_begin_leaves_nothing() {
    let user = owner();
    fs::write(user.path("there"), "kept").unwrap();
    fs::create_dir(user.path("sub")).unwrap();
    #[allow(unused_mut, reason = "there are links on Unix")]
    let mut links = Vec::new();
    #[cfg(unix)]
    for (link, target, kind) in [
        ("to-nothing", "nothing", "OutputExists"),
        ("to-file", "there", "OutputExists"),
        ("to-sub", "sub", "File"),
    ] {
        std::os::unix::fs::symlink(target, user.path(link)).unwrap();
        links.push(("w", link, "new", kind));
    }
    let before = files(&user);
    for (input, output, key, kind) in [
        ("no-such-file", "out", "new", "File"),
        ("sub", "out", "new", "File"),
        ("w", "there", "new", "OutputExists"),
        ("w", "sub", "new", "File"),
        ("w", "no-such-folder/out", "new", "File"),
        ("w", "out", "no-such-folder/new", "File"),
        ("w", "out", "k", "File"),
    ]
    .into_iter()
    .chain(links)
    {
        let words = ["weights", "encrypt", input, "-o", output, "--key-file", key];
        user.refused(&words, 1, kind);
        assert_eq!(files(&user), before, "{words:?}");
    }
    assert_eq!(read(&user.path("k")), KEY.as_bytes());
    assert_eq!(read(&user.path("there")), b"kept");
    assert!(fs::read_dir(user.path("sub")).unwrap().next().is_none());
}

#[test]
fn a_key_is_read_in_both_its_forms_and_never_beyond_them() {
    let user = owner();
    // 31 zero bytes are 31 ones in Base58, and one is 2.
    fs::write(user.path("hex"), format!("0x{}01\n", "00".repeat(31))).unwrap();
    fs::write(user.path("base58"), format!("{}2\n", "1".repeat(31))).unwrap();
    user.json(&["weights", "encrypt", "w", "-o", "one", "--use-key-file", "hex"]);
    user.json(&["weights", "encrypt", "w", "-o", "two", "--use-key-file", "base58"]);
    assert_eq!(read(&user.path("one")), read(&user.path("two")));
    user.json(&["weights", "decrypt", "one", "-o", "plain", "--key-file", "base58"]);
    assert_eq!(read(&user.path("plain")), safetensors(1));
    let found = user.json(&["weights", "inspect", "one", "--key-file", "base58"]);
    assert_eq!(found["parameters"], 64 * 64);

    // A file taken for a key by mistake is not read to its end, which is far away.
    fs::File::create(user.path("huge")).unwrap().set_len(1 << 36).unwrap();
    let words = ["weights", "decrypt", "one", "-o", "again", "--key-file", "huge"];
    let told = user.refused(&words, 1, "KeyText");
    assert!(told.contains("huge"), "{told}");
    let words = ["weights", "encrypt", "-", "-o", "again", "--use-key-file", "-"];
    user.refused(&words, 2, "Usage");
    assert!(!user.path("again").exists());
}

#[cfg(unix)]
mod streams {
    use std::fs::{File, OpenOptions};
    use std::io::Write as _;
    use std::os::unix::process::CommandExt as _;
    use std::process::Command;

    use super::*;

    /// Standard output by its other names, into a pipe and into a file.
    #[test]
    fn standard_output_holds_the_result_alone_by_whatever_name() {
        let user = owner();
        let sealed = user.json(&["weights", "encrypt", "w", "-o", "sealed", "--use-key-file", "k"]);
        let names = ["-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"];
        for name in names.into_iter().filter(|name| *name == "-" || Path::new(name).exists()) {
            let encrypt = ["weights", "encrypt", "w", "-o", name, "--json"];
            let decrypt = ["weights", "decrypt", "sealed", "-o", name, "--key-file", "k", "--json"];
            for words in [&encrypt[..], &decrypt] {
                let piped = user.command(words).output().unwrap();
                let mut to_file = user.command(words);
                to_file.stdout(File::create(user.path("caught")).unwrap());
                let filed = to_file.output().unwrap();
                let caught = read(&user.path("caught"));
                for (stdout, stderr) in [(piped.stdout, piped.stderr), (caught, filed.stderr)] {
                    assert_eq!(stdout.len(), safetensors(1).len(), "{words:?}");
                    let report: serde_json::Value = serde_json::from_slice(&stderr).unwrap();
                    assert_eq!(report["size"], safetensors(1).len());
                    if words[1] == "decrypt" {
                        assert_eq!(stdout, safetensors(1));
                        assert_eq!(report["commitment"], sealed["commitment"]);
                        continue;
                    }
                    // The key that is told opens what was written.
                    fs::write(user.path("told"), report["decryption_key"].as_str().unwrap())
                        .unwrap();
                    fs::write(user.path("stream"), &stdout).unwrap();
                    let open = ["decrypt", "stream", "-o", "plain", "--key-file", "told"];
                    user.json(&[&["weights"][..], &open, &["--force"]].concat());
                    assert_eq!(read(&user.path("plain")), safetensors(1));
                }
            }
        }
        // A device that standard output does not lead to leaves it to the report.
        let report = user.json(&["weights", "encrypt", "w", "-o", "/dev/null"]);
        assert_eq!(report["size"], safetensors(1).len());
    }

    /// The file is renamed over; a report in the old one would be lost.
    #[test]
    fn a_report_is_not_written_to_a_file_that_is_replaced() {
        let user = owner();
        let mut command = user.command(&["weights", "encrypt", "w", "-o", "out", "--force"]);
        command.stdout(File::create(user.path("out")).unwrap());
        let done = command.output().unwrap();
        assert!(done.status.success());
        assert!(String::from_utf8(done.stderr).unwrap().contains("decryption key"));
        assert_eq!(read(&user.path("out")).len(), safetensors(1).len());
    }

    fn make_fifo(path: &Path) {
        assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
    }

    #[test]
    fn a_named_pipe_is_an_input() {
        let user = owner();
        make_fifo(&user.path("pipe"));
        let through = |input: &str, words: &[&str]| {
            let mut program = user.command(&[words, &["--force", "--json"]].concat());
            program.stdout(Stdio::piped()).stderr(Stdio::piped());
            let mut feeder = Command::new("sh");
            feeder.args(["-c", "cat \"$0\" > pipe", input]).current_dir(user.path("."));
            let (child, mut feeder) = (program.spawn().unwrap(), feeder.spawn().unwrap());
            let done = ended(child);
            let _ = feeder.kill();
            feeder.wait().unwrap();
            assert!(done.status.success(), "{done:?}");
        };
        // A reader that comes and goes is noticed by chance only.
        for round in 0..10 {
            let key = &format!("key-{round}");
            through("w", &["weights", "encrypt", "pipe", "-o", "sealed", "--key-file", key]);
            through("sealed", &["weights", "decrypt", "pipe", "-o", "plain", "--key-file", key]);
            assert_eq!(read(&user.path("plain")), safetensors(1));
        }
    }

    #[test]
    fn a_reader_that_goes_away_leaves_no_key_that_looks_valid() {
        let user = owner();
        File::create(user.path("large")).unwrap().set_len(4 << 20).unwrap();
        for turn in ["key.incomplete", "key.incomplete.2"] {
            let words = ["weights", "encrypt", "large", "-o", "-", "--key-file", "key"];
            let mut program = user.command(&words);
            program.stdout(Stdio::piped()).stderr(Stdio::piped());
            let mut child = program.spawn().unwrap();
            drop(child.stdout.take());
            let done = ended(child);
            let told = String::from_utf8(done.stderr).unwrap();
            assert!(done.status.success(), "a broken pipe is no failure: {told}");
            assert!(told.contains("cut off") && told.contains(turn), "{told}");
            assert!(!user.path("key").exists() && user.path(turn).exists());
        }
        // Each stays, as a part of a stream may have been kept.
        assert_ne!(read(&user.path("key.incomplete")), read(&user.path("key.incomplete.2")));
    }

    #[test]
    fn a_failure_says_whether_anything_was_written() {
        let user = owner();
        let wrong = "11".repeat(32);
        let decrypt = |output| {
            let words = ["weights", "decrypt", "w", "-o", output, "--key-file", "k", "--json"];
            let words = [&words[..], &["--commitment", &wrong]].concat();
            let done = user.command(&words).output().unwrap();
            assert_eq!(done.status.code(), Some(1));
            let error: serde_json::Value = serde_json::from_slice(&done.stderr).unwrap();
            assert_eq!(error["error"]["kind"], "DigestMismatch");
            (error["error"]["hint"].as_str().unwrap().to_owned(), done.stdout.len())
        };
        let (hint, written) = decrypt("out");
        assert!(hint.contains("nothing was written") && written == 0, "{hint}");
        assert!(!user.path("out").exists());
        let (hint, written) = decrypt("-");
        assert!(hint.contains("do not use what was written"), "{hint}");
        assert_eq!(written, safetensors(1).len());
    }

    fn send(signal: &str, target: &str) {
        let status = Command::new("kill").args([signal, "--", target]).status().unwrap();
        assert!(status.success());
    }

    /// Interrupts again and again.
    fn send_until_ended(signal: &str, child: &mut Child) {
        let deadline = Instant::now() + PATIENCE;
        while child.try_wait().unwrap().is_none() {
            assert!(Instant::now() < deadline, "it does not end");
            send(signal, &child.id().to_string());
            sleep(Duration::from_millis(20));
        }
    }

    /// Whoever sees the key may interrupt in the same instant.
    #[test]
    fn an_interruption_is_heard_from_the_writing_of_the_key_on() {
        for _ in 0..10 {
            let user = owner();
            let words = ["weights", "encrypt", "-", "-o", "out", "--key-file", "key", "--json"];
            let mut program = user.command(&words);
            program.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
            let mut child = program.spawn().unwrap();
            let mut feed = child.stdin.take().unwrap();
            until(&mut child, "there was a key", || user.path("key").exists());
            send("-TERM", &child.id().to_string());
            // It is not ended by the signal, but by its own doing once it can look.
            let _ = feed.write_all(b"weights");
            drop(feed);
            let done = ended(child);
            assert_eq!(done.status.code(), Some(1), "{done:?}");
            let error: serde_json::Value = serde_json::from_slice(&done.stderr).unwrap();
            assert_eq!(error["error"]["kind"], "Aborted", "{error}");
            assert_eq!(files(&user), ["k", "key.incomplete", "w"]);
        }
    }

    #[test]
    fn a_second_interruption_ends_a_pass_that_waits_for_input() {
        let user = owner();
        make_fifo(&user.path("pipe"));
        // A pipe that nobody writes to, and one whose writer has paused. A hang-up is what
        // a connection that drops leaves.
        let signals: &[_] = if cfg!(target_os = "linux") { &["-TERM", "-HUP"] } else { &["-TERM"] };
        for (signal, input) in signals.iter().flat_map(|signal| [(signal, "pipe"), (signal, "-")]) {
            let words = ["weights", "encrypt", input, "-o", "out", "--key-file", "key", "--json"];
            #[cfg(target_os = "linux")]
            let mut program = user.command_hearing_hang_ups(&words);
            #[cfg(not(target_os = "linux"))]
            let mut program = user.command(&words);
            program.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
            let mut child = program.spawn().unwrap();
            let mut feed = child.stdin.take().unwrap();
            if input == "-" {
                feed.write_all(&vec![0; 5 << 20]).unwrap();
            }
            until(&mut child, "there was a key", || user.path("key").exists());
            send_until_ended(signal, &mut child);
            drop(feed);
            let done = ended(child);
            assert_eq!(done.status.code(), Some(1), "{done:?}");
            let error: serde_json::Value = serde_json::from_slice(&done.stderr).unwrap();
            assert_eq!(error["error"]["kind"], "Aborted", "{error}");
            assert_eq!(files(&user), ["k", "key.incomplete", "pipe", "w"]);
            fs::remove_file(user.path("key.incomplete")).unwrap();
        }
    }

    /// The terminal may be gone, and with it whoever reads what is told.
    #[test]
    fn an_interruption_that_nobody_hears_of_ends_a_pass_all_the_same() {
        let user = owner();
        let words = ["weights", "encrypt", "-", "-o", "out", "--key-file", "key"];
        let mut program = user.command(&words);
        program.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = program.spawn().unwrap();
        let feed = child.stdin.take().unwrap();
        drop((child.stdout.take(), child.stderr.take()));
        until(&mut child, "there was a key", || user.path("key").exists());
        send_until_ended("-TERM", &mut child);
        drop(feed);
        assert_eq!(ended(child).status.code(), Some(1));
        assert_eq!(files(&user), ["k", "key.incomplete", "w"]);
    }

    /// What `nohup` starts outlives its terminal.
    #[test]
    fn a_hang_up_that_is_ignored_interrupts_nothing() {
        let user = owner();
        let words = ["weights", "encrypt", "-", "-o", "out", "--key-file", "key", "--json"];
        let bare = user.command(&words);
        let mut program = Command::new("sh");
        program.args(["-c", "trap '' HUP; exec \"$0\" \"$@\""]).arg(bare.get_program());
        program.args(bare.get_args()).current_dir(user.path("."));
        program.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = program.spawn().unwrap();
        let mut feed = child.stdin.take().unwrap();
        until(&mut child, "there was a key", || user.path("key").exists());
        for _ in 0..3 {
            send("-HUP", &child.id().to_string());
        }
        feed.write_all(&safetensors(1)).unwrap();
        drop(feed);
        let done = ended(child);
        assert!(done.status.success(), "{done:?}");
        assert_eq!(files(&user), ["k", "key", "out", "w"]);
    }

    /// What is said to be empty and is not.
    #[cfg(target_os = "linux")]
    #[test]
    fn a_file_whose_length_is_not_told_is_an_input() {
        let user = owner();
        let told = "/proc/version";
        assert_eq!(fs::metadata(told).unwrap().len(), 0);
        let sealed = user.json(&["weights", "encrypt", told, "-o", "sealed", "--key-file", "key"]);
        assert_eq!(sealed["size"], read(Path::new(told)).len());
        user.json(&["weights", "decrypt", "sealed", "-o", "plain", "--key-file", "key"]);
        assert_eq!(read(&user.path("plain")), read(Path::new(told)));
        fs::write(user.path("empty"), "").unwrap();
        let sealed = user.json(&["weights", "encrypt", "empty", "-o", "none", "--key-file", "new"]);
        assert_eq!(sealed["size"], 0);
    }

    /// Ctrl-C reaches the program that feeds the pipe as well, and its death is the end of
    /// the stream: a part of the weights must not pass for the whole.
    #[test]
    fn an_interruption_of_a_pipeline_finishes_nothing() {
        for round in 0..20 {
            let user = owner();
            let mut feeder = Command::new("sh")
                .args(["-c", "cat w; exec sleep 1000"])
                .current_dir(user.path("."))
                .process_group(0)
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            let group = i32::try_from(feeder.id()).unwrap();
            let words = ["weights", "encrypt", "-", "-o", "out", "--key-file", "key"];
            // Both ways through the pass.
            let threads = ["--threads", if round % 2 == 0 { "1" } else { "2" }, "--json"];
            let mut program = user.command(&[&words[..], &threads].concat());
            program.process_group(group).stdin(feeder.stdout.take().unwrap());
            program.stdout(Stdio::piped()).stderr(Stdio::piped());
            let mut child = program.spawn().unwrap();
            // The command holds the reading end, too.
            drop(program);
            until(&mut child, "there was a key", || user.path("key").exists());
            send("-TERM", &format!("-{group}"));
            let done = ended(child);
            feeder.wait().unwrap();
            assert_eq!(done.status.code(), Some(1), "round {round}: {done:?}");
            let error: serde_json::Value = serde_json::from_slice(&done.stderr).unwrap();
            assert_eq!(error["error"]["kind"], "Aborted", "{error}");
            assert_eq!(files(&user), ["k", "key.incomplete", "w"]);
        }
    }

    #[test]
    fn a_pipe_as_output_gets_the_result_alone() {
        let user = owner();
        make_fifo(&user.path("pipe"));
        let mut reader = Command::new("sh")
            .args(["-c", "cat pipe > caught"])
            .current_dir(user.path("."))
            .spawn()
            .unwrap();
        // Ours to open for writing as well, lest the reader end before there is a writer.
        let held = OpenOptions::new().write(true).open(user.path("pipe")).unwrap();
        let report = user.json(&["weights", "encrypt", "w", "-o", "pipe", "--use-key-file", "k"]);
        drop(held);
        assert!(reader.wait().unwrap().success());
        assert_eq!(report["size"], safetensors(1).len());
        assert_eq!(read(&user.path("caught")).len(), safetensors(1).len());
    }
}
