//! Large files: little memory, and no output from a file that changes.

use std::fs::{self, File, OpenOptions};
use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use crate::process::User;

const GIB: u64 = 1 << 30;

/// The most that a process has had resident, in bytes, as far as the system tells; it
/// is read again and again until the process ends.
pub(crate) fn peak_memory(child: &mut Child) -> u64 {
    let path = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    while child.try_wait().unwrap().is_none() {
        let status = fs::read_to_string(&path).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok());
        peak = peak.max(kib.unwrap_or(0) * 1024);
        sleep(Duration::from_millis(2));
    }
    peak
}

/// A file of zeros that takes no room on disk.
fn sparse(path: &Path, length: u64) {
    File::create(path).unwrap().set_len(length).unwrap();
}

#[test]
fn four_gibibytes_take_little_memory() {
    let user = User::new();
    sparse(&user.path("large"), 4 * GIB);
    // Through a map where there is one, and by reading.
    for flags in [&[][..], &["--no-mmap"]] {
        let arguments = ["weights", "encrypt", "large", "-o", "/dev/null", "--json"];
        let mut child =
            user.command(&[&arguments[..], flags].concat()).stdout(Stdio::piped()).spawn().unwrap();
        let peak = peak_memory(&mut child);
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success());
        let done: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(done["size"], 4 * GIB);
        assert!(0 < peak && peak < 200 << 20, "{} MiB with {flags:?}", peak >> 20);
        println!("peak with {flags:?}: {} MiB", peak >> 20);
    }
}

/// Begins to encrypt a file, disturbs it on the way, and looks at what is left.
fn disturb(kind: &str, disturbance: impl FnOnce(&Path, &Child)) {
    let user = User::new();
    let large = user.path("large");
    sparse(&large, 2 * GIB);
    let arguments = ["weights", "encrypt", "large", "-o", "out", "--key-file", "key", "--json"];
    let mut child =
        user.command(&arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // The output grows under another name, beside the one it is to have.
    let begun = || {
        let entries = fs::read_dir(user.path(".")).unwrap().flatten();
        let sizes = entries.filter(|entry| entry.path() != large).map(|entry| entry.metadata());
        sizes.flatten().any(|metadata| metadata.is_file() && metadata.len() > 1 << 20)
    };
    while !begun() {
        assert!(child.try_wait().unwrap().is_none(), "it ended before it began");
        sleep(Duration::from_millis(1));
    }
    assert!(user.path("key").exists(), "the key is written before the first byte of output");
    disturbance(&large, &child);

    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stdout.is_empty());
    let error: serde_json::Value = serde_json::from_slice(&output.stderr).unwrap();
    assert_eq!(error["error"]["kind"], kind, "{error}");
    let mut left: Vec<_> = fs::read_dir(user.path("."))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    left.sort();
    assert_eq!(left, ["key.incomplete", "large"]);
}

#[test]
fn a_file_that_is_cut_short_while_it_is_read() {
    disturb("InputChanged", |path, _| {
        OpenOptions::new().write(true).open(path).unwrap().set_len(4096).unwrap();
    });
}

#[test]
fn a_file_that_is_changed_while_it_is_read() {
    disturb("InputChanged", |path, _| {
        let mut file = OpenOptions::new().write(true).open(path).unwrap();
        file.seek(SeekFrom::Start(3)).unwrap();
        file.write_all(b"changed").unwrap();
    });
}

#[test]
fn an_interruption_leaves_nothing_but_a_key_that_says_so() {
    disturb("Aborted", |_, child| {
        let pid = child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    });
}
