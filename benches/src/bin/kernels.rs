//! Ratios of kernels against their rivals, timed in turns so that a noisy machine
//! disturbs both alike. Medians of many short rounds, one thread, data in cache, keys
//! expanded beforehand. Ratios with a target are judged in a line of their own.

use std::{hint::black_box, time::Instant};

use soma_benches::{AES_RIVALS, BLAKE2B_RIVALS, blake2b_simd_many};
use soma_crypto::{Backend, Cipher, Key};

const ROUNDS: usize = 101;
const KEY: [u8; 32] = [7; 32];
/// How many times as fast as aws-lc-rs a cipher backend must at least be.
const CIPHER_TARGETS: [(Backend, f64); 3] =
    [(Backend::Vaes512, 1.3), (Backend::Vaes256, 1.3), (Backend::AesNi, 0.95)];

fn main() {
    ciphers(256 << 10);
    hashes(256 << 10);
    many(8, 256 << 10);
}

fn ciphers(len: usize) {
    println!("AES-256-CTR, {} KiB", len >> 10);
    let key = Key::from_bytes(KEY);
    let mut runs: Vec<(String, Box<dyn FnMut()>)> = Vec::new();
    for (name, expand) in AES_RIVALS {
        let mut encrypt = expand(&KEY);
        let mut data = vec![0x5a; len];
        runs.push((name.into(), Box::new(move || encrypt(black_box(&mut data)))));
    }
    for backend in Backend::available() {
        let cipher = Cipher::with_backend(&key, backend).expect("it is available");
        let mut data = vec![0x5a; len];
        let run = move || cipher.apply(0, black_box(&mut data)).expect("it fits");
        runs.push((ours(backend), Box::new(run)));
    }
    let ratios = report("aws-lc-rs", len, runs);
    for (backend, target) in CIPHER_TARGETS {
        match ratios.iter().find(|(name, _)| *name == ours(backend)) {
            Some((_, ratio)) => {
                let holds = if *ratio >= target { "holds" } else { "MISSED" };
                println!("  -> {backend} over aws-lc-rs: {ratio:.2} (at least {target}: {holds})");
            }
            None => println!("  -> {backend} over aws-lc-rs: not on this processor"),
        }
    }
}

fn ours(backend: Backend) -> String {
    format!("ours, {backend}")
}

fn hashes(len: usize) {
    println!("Blake2b-256, one stream, {} KiB", len >> 10);
    let mut runs: Vec<(String, Box<dyn FnMut()>)> = Vec::new();
    let data = vec![0x5a; len];
    for (name, hash) in BLAKE2B_RIVALS {
        let data = data.clone();
        let run = move || {
            black_box(hash(black_box(&data)));
        };
        runs.push((name.into(), Box::new(run)));
    }
    for kernel in soma_crypto::HashKernel::available() {
        let data = data.clone();
        let run = move || {
            let mut hasher = soma_crypto::Blake2b256::with_kernel(kernel).expect("it is available");
            hasher.update(black_box(&data));
            black_box(hasher.finalize());
        };
        runs.push((format!("ours, {kernel}"), Box::new(run)));
    }
    report("blake2b_simd", len, runs);
}

fn many(count: usize, len: usize) {
    println!("Blake2b-256, {count} streams of {} KiB", len >> 10);
    let data: Vec<_> = (0..count).map(|i| vec![i as u8; len]).collect();
    let (one, simd, ours) = (data.clone(), data.clone(), data);
    let runs: Vec<(String, Box<dyn FnMut()>)> = vec![
        (
            "blake2b_simd, in turn".into(),
            Box::new(move || {
                for input in &one {
                    black_box(soma_benches::blake2b_simd(black_box(input)));
                }
            }),
        ),
        (
            "blake2b_simd::many".into(),
            Box::new(move || {
                let inputs: Vec<_> = simd.iter().map(Vec::as_slice).collect();
                drop(black_box(blake2b_simd_many(black_box(&inputs))));
            }),
        ),
        (
            "ours, hash_many".into(),
            Box::new(move || drop(black_box(soma_crypto::hash_many(black_box(&ours))))),
        ),
    ];
    report("blake2b_simd, in turn", count * len, runs);
}

/// Runs all in turns, prints their medians beside that of `base` and returns how many
/// times as fast as `base` each is.
fn report(base: &str, len: usize, mut runs: Vec<(String, Box<dyn FnMut()>)>) -> Vec<(String, f64)> {
    let mut times = vec![Vec::with_capacity(ROUNDS); runs.len()];
    for _ in 0..ROUNDS {
        for ((_, run), times) in runs.iter_mut().zip(&mut times) {
            run();
            let begin = Instant::now();
            run();
            times.push(begin.elapsed().as_secs_f64());
        }
    }
    let medians: Vec<_> = times
        .into_iter()
        .map(|mut times| {
            times.sort_by(f64::total_cmp);
            times[ROUNDS / 2]
        })
        .collect();
    let base_at = runs.iter().position(|(name, _)| name == base);
    let base_time = medians[base_at.expect("the base is among the runs")];
    let ratios = runs.into_iter().zip(medians).map(|((name, _), time)| {
        let (rate, ratio) = (len as f64 / time / 1e9, base_time / time);
        println!("  {name:24} {rate:7.2} GB/s  {ratio:5.2} x {base}");
        (name, ratio)
    });
    ratios.collect()
}
