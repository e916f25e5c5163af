//! Criterion groups: `aes_ctr/<backend>/<size>`, `blake2b/<kernel>/<size>`,
//! `many/<streams>` and the rival's `many_blake2b_simd/<streams>`, `seal/<source>/<size>`,
//! `open/<source>/<size>`, `commitments/<files>`.
//!
//! Data begins at varying offsets within a page, as it does in real files.

use std::{fs, hint::black_box};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use soma_benches::{AES_RIVALS, BLAKE2B_RIVALS, blake2b_simd_many};
use soma_crypto::{
    Backend, Blake2b256, Cipher, Existing, HashKernel, Input, Key, Options, Output, commitments,
    hash_many, open, seal,
};

const KEY: [u8; 32] = [7; 32];
const SIZES: [usize; 5] = [1 << 10, 16 << 10, 256 << 10, 4 << 20, 64 << 20];
const FILE_SIZES: [usize; 4] = [1 << 10, 1 << 20, 16 << 20, 256 << 20];
/// Where data begins within its page, in turn.
const STARTS: [usize; 5] = [0, 1, 64, 1000, 4095];

/// Bytes to work on, at the next start within a page.
struct Paper {
    bytes: Vec<u8>,
    len: usize,
    turn: usize,
}

impl Paper {
    fn new(len: usize) -> Self {
        let bytes = vec![0x5a; len + 8192];
        Self { bytes, len, turn: 0 }
    }

    fn next(&mut self) -> &mut [u8] {
        let page = self.bytes.as_ptr().align_offset(4096);
        let start = page + STARTS[self.turn % STARTS.len()];
        self.turn += 1;
        black_box(&mut self.bytes[start..start + self.len])
    }
}

fn aes_ctr(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("aes_ctr");
    for size in SIZES {
        group.throughput(Throughput::Bytes(size as u64));
        let mut paper = Paper::new(size);
        for backend in Backend::available() {
            let cipher = Cipher::with_backend(&Key::from_bytes(KEY), backend);
            let cipher = cipher.expect("the backend is available");
            group.bench_function(BenchmarkId::new(backend.name(), size), |bencher| {
                bencher.iter(|| cipher.apply(0, paper.next()));
            });
        }
        for (name, expand) in AES_RIVALS {
            let mut encrypt = expand(&KEY);
            group.bench_function(BenchmarkId::new(name, size), |bencher| {
                bencher.iter(|| encrypt(paper.next()));
            });
        }
    }
}

fn blake2b(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("blake2b");
    for size in SIZES {
        group.throughput(Throughput::Bytes(size as u64));
        let mut paper = Paper::new(size);
        for kernel in HashKernel::available() {
            group.bench_function(BenchmarkId::new(kernel.name(), size), |bencher| {
                bencher.iter(|| {
                    let hasher = Blake2b256::with_kernel(kernel);
                    let mut hasher = hasher.expect("the kernel is available");
                    hasher.update(paper.next());
                    hasher.finalize()
                });
            });
        }
        for (name, hash) in BLAKE2B_RIVALS {
            group.bench_function(BenchmarkId::new(name, size), |bencher| {
                bencher.iter(|| hash(paper.next()));
            });
        }
    }
}

fn many(criterion: &mut Criterion) {
    const SIZE: usize = 256 << 10;
    type Hash = fn(&[&[u8]]);
    let contestants: [(&str, Hash); 2] = [
        ("many", |inputs| drop(black_box(hash_many(inputs)))),
        ("many_blake2b_simd", |inputs| drop(black_box(blake2b_simd_many(inputs)))),
    ];
    for (name, hash) in contestants {
        let mut group = criterion.benchmark_group(name);
        for count in [1, 2, 4, 8, 16] {
            let inputs: Vec<_> = (0..count).map(|i| vec![i as u8; SIZE]).collect();
            let inputs: Vec<_> = inputs.iter().map(Vec::as_slice).collect();
            group.throughput(Throughput::Bytes((count * SIZE) as u64));
            group.bench_function(BenchmarkId::from_parameter(count), |bencher| {
                bencher.iter(|| hash(black_box(&inputs)));
            });
        }
    }
}

/// Files that are measured together, by all cores.
fn many_files(criterion: &mut Criterion) {
    const SIZE: usize = 16 << 20;
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut group = criterion.benchmark_group("commitments");
    group.sample_size(10);
    for count in [1, 2, 8, 16] {
        let files: Vec<_> = (0..count).map(|i| dir.path().join(i.to_string())).collect();
        for file in &files {
            fs::write(file, vec![0x5a; SIZE]).expect("room for the files");
        }
        group.throughput(Throughput::Bytes((count * SIZE) as u64));
        group.bench_function(BenchmarkId::from_parameter(count), |bencher| {
            bencher.iter(|| {
                let found = commitments(files.iter().map(Input::file), &Options::new());
                assert!(found.iter().all(Result::is_ok));
            });
        });
    }
}

fn files(criterion: &mut Criterion) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let key = Key::from_bytes(KEY);
    let options = Options::new().with_existing(Existing::Replace);
    let (plain, output) = (dir.path().join("plain"), dir.path().join("output"));
    for operation in ["seal", "open"] {
        let run = |input: Input<'_>, output: Output<'_>| match operation {
            "seal" => seal(&key, input, output, &options).expect("it can be sealed"),
            _ => open(&key, input, output, None, &options).expect("it can be opened"),
        };
        let mut group = criterion.benchmark_group(operation);
        group.sample_size(10);
        for size in FILE_SIZES {
            let bytes = vec![0x5a; size];
            fs::write(&plain, &bytes).expect("room for the file");
            group.throughput(Throughput::Bytes(size as u64));
            group.bench_function(BenchmarkId::new("file", size), |bencher| {
                bencher.iter(|| run(Input::file(&plain), Output::file(&output)));
            });
            group.bench_function(BenchmarkId::new("file-to-null", size), |bencher| {
                bencher.iter(|| run(Input::file(&plain), null()));
            });
            group.bench_function(BenchmarkId::new("reader", size), |bencher| {
                bencher.iter(|| run(Input::reader("memory", &bytes[..]), null()));
            });
        }
    }
}

fn null() -> Output<'static> {
    Output::writer("nowhere", std::io::sink())
}

criterion_group!(core, aes_ctr, blake2b, many, files, many_files);
criterion_main!(core);
