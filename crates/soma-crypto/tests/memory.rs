//! Memory does not grow with the file. Its own binary, since the peak is the process's.

#![cfg(target_os = "linux")]

use std::{fs, io};

use soma_crypto::{Input, Key, Options, Output, commitments, open, seal};

/// Far more than the bound, and sparse, so that it costs no disk.
const LEN: u64 = 256 << 20;
const BOUND_KIB: u64 = 64 << 10;

#[test]
fn a_large_file_needs_no_more_memory_than_a_small_one() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("sparse");
    fs::File::create(&path).unwrap().set_len(LEN).unwrap();
    let key = Key::from_bytes([1; 32]);
    let nowhere = || Output::writer("nowhere", io::sink());

    let sealed = seal(&key, Input::file(&path), nowhere(), &Options::new()).unwrap();
    assert_eq!(sealed.size, LEN);
    assert!(peak_kib() < BOUND_KIB, "sealing took {} KiB", peak_kib());

    let opened = open(&key, Input::file(&path), nowhere(), None, &Options::new()).unwrap();
    assert!(peak_kib() < BOUND_KIB, "opening took {} KiB", peak_kib());

    let found = commitments((0..4).map(|_| Input::file(&path)), &Options::new());
    assert!(found.iter().all(|found| found.as_ref().unwrap() == &opened));
    assert!(peak_kib() < BOUND_KIB, "hashing took {} KiB", peak_kib());
}

/// The most memory this process has had resident, in KiB.
fn peak_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}
