//! Whole passes: any way in, any way out, the same bytes; and nothing left after a failure.

mod common;

use std::{
    fs,
    io::{self, Read, Write},
    num::NonZeroUsize,
    ops::ControlFlow,
    path::Path,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime},
};

use proptest::prelude::*;
use soma_crypto::{
    Backend, ChunkSize, Cipher, Commitment, Durability, Error, Existing, Input, InputFile, Key,
    OpenJob, Options, Output, SealJob, commitment, commitments, hash, open, open_many, seal,
    seal_many, verify_many,
};
use tempfile::{TempDir, tempdir};

use common::painted;

const PAGE: usize = 4096;
/// Around nothing, a chunk of one page, and a ring full of them.
const LENGTHS: [usize; 12] = [
    0,
    1,
    PAGE - 1,
    PAGE,
    PAGE + 1,
    2 * PAGE,
    9 * PAGE,
    9 * PAGE + 1,
    10 * PAGE - 1,
    11 * PAGE,
    100 * PAGE + 17,
    3_000_001,
];

fn key() -> Key {
    Key::from_bytes([0x42; 32])
}

fn sealed(plain: &[u8]) -> Vec<u8> {
    let mut bytes = plain.to_vec();
    Cipher::with_backend(&key(), Backend::Portable).unwrap().apply(0, &mut bytes).unwrap();
    bytes
}

fn small_chunks<'a>(threads: usize) -> Options<'a> {
    Options::new()
        .with_threads(NonZeroUsize::new(threads).unwrap())
        .with_chunk_size(ChunkSize::SMALLEST)
}

fn names(dir: &TempDir) -> Vec<String> {
    let entries = fs::read_dir(dir.path()).unwrap();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// A reader that hands out its bytes in small, uneven pieces.
struct Dribble<'a>(&'a [u8]);

impl Read for Dribble<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let piece = (self.0.len() % 1009 + 1).min(buffer.len());
        let (head, _) = self.0.split_at(piece.min(self.0.len()));
        self.0 = &self.0[head.len()..];
        (&mut &*head).read(buffer)
    }
}

#[test]
fn every_way_in_and_out_gives_the_same_bytes() {
    for len in LENGTHS {
        let dir = tempdir().unwrap();
        let plain = painted(len);
        let expected = sealed(&plain);
        let promised = Commitment { size: len as u64, digest: hash(&expected) };
        fs::write(dir.path().join("plain"), &plain).unwrap();
        for threads in [1, 2, 5] {
            for backend in [Backend::Portable, Backend::detect()] {
                let case = format!("{len} bytes, {threads} threads, {backend}");
                let options =
                    small_chunks(threads).with_backend(backend).with_existing(Existing::Replace);
                let file = || Input::file(dir.path().join("plain"));
                let sealed = dir.path().join("sealed");

                let found = seal(&key(), file(), Output::file(&sealed), &options).unwrap();
                assert_eq!(found, promised, "{case}");
                assert!(fs::read(&sealed).unwrap() == expected, "{case}");

                let mut piped = Vec::new();
                let reader = Input::reader("pipe", Dribble(&plain));
                let writer = Output::writer("pipe", &mut piped);
                assert_eq!(seal(&key(), reader, writer, &options).unwrap(), promised);
                assert!(piped == expected, "{case}");

                let mut piped = Vec::new();
                let bytes = Input::bytes("memory", &plain);
                let writer = Output::writer("pipe", &mut piped);
                assert_eq!(seal(&key(), bytes, writer, &options).unwrap(), promised);
                assert!(piped == expected, "{case}");

                let again = dir.path().join("again");
                let expected = Some(promised.digest);
                let found =
                    open(&key(), Input::file(&sealed), Output::file(&again), expected, &options);
                assert_eq!(found.unwrap(), promised, "{case}");
                assert!(fs::read(&again).unwrap() == plain, "{case}");

                let mut opened = Vec::new();
                let reader = Input::reader("pipe", Dribble(&piped));
                let writer = Output::writer("pipe", &mut opened);
                open(&key(), reader, writer, expected, &options).unwrap();
                assert!(opened == plain, "{case}");

                let measured = commitment(Input::file(&sealed), &options).unwrap();
                assert_eq!(measured, promised, "{case}");
                let measured = commitment(Input::bytes("memory", &piped), &options);
                assert_eq!(measured.unwrap(), promised, "{case}");
                let measured = commitment(Input::reader("pipe", Dribble(&piped)), &options);
                assert_eq!(measured.unwrap(), promised, "{case}");
            }
        }
        assert_eq!(names(&dir), ["again", "plain", "sealed"]);
    }
}

/// Long enough to be written past the page cache as well, with an end that cannot be.
#[test]
fn a_long_file_is_the_same_bytes_whichever_way_they_are_written() {
    let plain = painted((96 << 20) + 5);
    let expected = sealed(&plain);
    for threads in [1, 3] {
        let dir = tempdir().unwrap();
        let (from, to) = (dir.path().join("plain"), dir.path().join("sealed"));
        fs::write(&from, &plain).unwrap();
        let options = Options::new().with_threads(NonZeroUsize::new(threads).unwrap());
        let found = seal(&key(), Input::file(&from), Output::file(&to), &options).unwrap();
        assert_eq!(found, Commitment { size: expected.len() as u64, digest: hash(&expected) });
        // Not assert_eq: nobody wants to see them.
        assert!(fs::read(&to).unwrap() == expected, "{threads} threads");
        assert_eq!(names(&dir), ["plain", "sealed"]);
    }
}

#[test]
fn an_existing_output_is_kept_unless_told() {
    let dir = tempdir().unwrap();
    let output = dir.path().join("out");
    fs::write(&output, "precious").unwrap();
    // The reader would fail: it must not be touched.
    let unread = || Input::reader("unread", Failing);
    let refused = seal(&key(), unread(), Output::file(&output), &Options::new());
    assert!(matches!(refused, Err(Error::OutputExists { path }) if path == output));
    assert_eq!(fs::read(&output).unwrap(), b"precious");

    let replace =
        Options::new().with_existing(Existing::Replace).with_durability(Durability::Synced);
    seal(&key(), Input::reader("new", &b"new"[..]), Output::file(&output), &replace).unwrap();
    assert_eq!(fs::read(&output).unwrap(), sealed(b"new"));
    assert_eq!(names(&dir), ["out"]);

    let refused = seal(&key(), unread(), Output::file(dir.path()), &replace);
    assert!(matches!(refused, Err(Error::OutputIsDirectory { .. })));
    let nowhere = dir.path().join("no/such/place");
    let refused = seal(&key(), unread(), Output::file(nowhere), &replace);
    assert!(matches!(refused, Err(Error::Create { .. })));
}

#[test]
fn an_output_that_appears_meanwhile_is_kept() {
    let dir = tempdir().unwrap();
    let output = dir.path().join("out");
    let options = Options::new().with_progress(|_| {
        fs::write(&output, "somebody else's").unwrap();
        ControlFlow::Continue(())
    });
    let input = Input::reader("memory", &b"weights"[..]);
    let refused = seal(&key(), input, Output::file(&output), &options);
    assert!(matches!(refused, Err(Error::OutputExists { .. })));
    assert_eq!(fs::read(&output).unwrap(), b"somebody else's");
    assert_eq!(names(&dir), ["out"]);
}

/// A reader that breaks at once.
struct Failing;

impl Read for Failing {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::Error::other("the disk is on fire"))
    }
}

/// A writer that takes a few pages and then breaks.
struct Brittle(usize);

impl Write for Brittle {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 = self.0.checked_sub(bytes.len()).ok_or(io::ErrorKind::BrokenPipe)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn failing_readers_and_writers_leave_nothing() {
    for threads in [1, 4] {
        let dir = tempdir().unwrap();
        let options = small_chunks(threads);
        let bytes = painted(20 * PAGE);
        let reader = Input::reader("burning", (&bytes[..]).chain(Failing));
        let output = Output::file(dir.path().join("out"));
        match seal(&key(), reader, output, &options).unwrap_err() {
            Error::Read { name, offset, .. } => {
                assert_eq!((name.as_str(), offset), ("burning", 20 * PAGE as u64));
            }
            other => panic!("{other:?}"),
        }
        assert!(names(&dir).is_empty());

        let writer = Output::writer("brittle", Brittle(3 * PAGE));
        let failed = seal(&key(), Input::reader("memory", &bytes[..]), writer, &options);
        let error = failed.unwrap_err();
        assert!(error.is_broken_pipe());
        assert!(matches!(error, Error::Write { offset, .. } if offset == 3 * PAGE as u64));
    }
}

#[test]
fn the_wrong_ciphertext_gets_no_name() {
    let dir = tempdir().unwrap();
    let ciphertext = sealed(&painted(50 * PAGE));
    for threads in [1, 2] {
        let output = Output::file(dir.path().join("out"));
        let expected = hash(b"something else");
        let input = Input::reader("served", &ciphertext[..]);
        let refused = open(&key(), input, output, Some(expected), &small_chunks(threads));
        match refused.unwrap_err() {
            Error::DigestMismatch { name, expected: wanted, found } => {
                assert_eq!(name, "served");
                assert_eq!((wanted, found), (expected, hash(&ciphertext)));
            }
            other => panic!("{other:?}"),
        }
        assert!(names(&dir).is_empty());
    }
}

/// Seals a file to which `interfere` does something after the third chunk.
fn seal_while(threads: usize, interfere: impl Fn(&Path) + Send + Sync) -> Error {
    let dir = tempdir().unwrap();
    let path = dir.path().join("plain");
    fs::write(&path, painted(200 * PAGE)).unwrap();
    let yesterday = SystemTime::now() - Duration::from_secs(86_400);
    let file = fs::File::options().write(true).open(&path).unwrap();
    file.set_modified(yesterday).unwrap();
    let options = small_chunks(threads).with_progress(|progress| {
        assert_eq!(progress.total, Some(200 * PAGE as u64));
        if progress.done == 3 * PAGE as u64 {
            interfere(&path);
        }
        ControlFlow::Continue(())
    });
    let output = Output::file(dir.path().join("out"));
    let error = seal(&key(), Input::file(&path), output, &options).unwrap_err();
    assert_eq!(names(&dir), ["plain"], "{error}");
    error
}

fn writable(path: &Path) -> fs::File {
    fs::File::options().write(true).open(path).unwrap()
}

#[test]
fn a_file_that_is_cut_short() {
    for threads in [1, 2, 4] {
        let error = seal_while(threads, |path| writable(path).set_len(PAGE as u64).unwrap());
        assert!(error.is_input_fault());
        assert!(
            matches!(error, Error::InputTruncated { expected, .. } if expected == 200 * PAGE as u64)
        );
    }
}

#[test]
fn a_file_that_grows() {
    for threads in [1, 2] {
        let error = seal_while(threads, |path| {
            writable(path).set_len(201 * PAGE as u64).unwrap();
        });
        assert!(matches!(error, Error::InputChanged { what: "size", .. }));
    }
}

#[test]
fn a_file_that_is_rewritten() {
    for threads in [1, 2] {
        let error = seal_while(threads, |path| writable(path).write_all(b"other").unwrap());
        assert!(matches!(error, Error::InputChanged { what: "modification time", .. }));
    }
}

#[test]
fn a_file_whose_name_moves_on_is_read_to_its_end() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("plain");
    fs::write(&path, painted(64 * PAGE)).unwrap();
    let options = small_chunks(2).with_progress(|_| {
        let _ = fs::remove_file(&path);
        ControlFlow::Continue(())
    });
    let found = commitment(Input::file(&path), &options).unwrap();
    assert_eq!(found.digest, hash(&painted(64 * PAGE)));
}

#[test]
fn progress_counts_up_and_can_cancel() {
    for threads in [1, 3] {
        let dir = tempdir().unwrap();
        let seen = Mutex::new(Vec::new());
        let options = small_chunks(threads).with_progress(|progress| {
            seen.lock().unwrap().push((progress.done, progress.total));
            match progress.done {
                done if done >= 5 * PAGE as u64 => ControlFlow::Break(()),
                _ => ControlFlow::Continue(()),
            }
        });
        let bytes = painted(100 * PAGE);
        let input = Input::reader("memory", &bytes[..]);
        let output = Output::file(dir.path().join("out"));
        let error = seal(&key(), input, output, &options).unwrap_err();
        assert!(error.is_cancelled());
        assert!(names(&dir).is_empty());
        drop(options);
        let steps: Vec<_> = (1..=5).map(|i| (i * PAGE as u64, None)).collect();
        assert_eq!(seen.into_inner().unwrap(), steps);
    }
}

/// A reader whose writer is ended by the interruption that is meant for the pass, too.
struct CutShort<'a> {
    bytes: &'a [u8],
    interrupted: &'a AtomicBool,
}

impl Read for CutShort<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.bytes.read(buffer)?;
        if count == 0 {
            self.interrupted.store(true, Ordering::SeqCst);
        }
        Ok(count)
    }
}

#[test]
fn an_interruption_at_the_end_of_a_stream_is_heard() {
    // Nothing, less than a chunk, whole chunks, more than a ring.
    for len in [0, 17, PAGE, 3 * PAGE, 40 * PAGE + 1] {
        let bytes = painted(len);
        for threads in [1, 3] {
            for count in [1, 5] {
                let dir = tempdir().unwrap();
                let interrupted = AtomicBool::new(false);
                let options = small_chunks(threads).with_progress(|_| {
                    match interrupted.load(Ordering::SeqCst) {
                        true => ControlFlow::Break(()),
                        false => ControlFlow::Continue(()),
                    }
                });
                let key = key();
                let input = || {
                    let reader = CutShort { bytes: &bytes, interrupted: &interrupted };
                    Input::reader("memory", reader)
                };
                let output = |i: usize| Output::file(dir.path().join(format!("out-{i}")));
                let jobs =
                    (0..count).map(|i| SealJob { key: &key, input: input(), output: output(i) });
                let found = seal_many(jobs, &options);
                assert_eq!(found.len(), count);
                for result in found {
                    let error = result.unwrap_err();
                    assert!(error.is_cancelled(), "{len} bytes, {threads} threads: {error}");
                }
                interrupted.store(false, Ordering::SeqCst);
                let opened = open(&key, input(), output(0), None, &options);
                assert!(opened.unwrap_err().is_cancelled());
                interrupted.store(false, Ordering::SeqCst);
                assert!(commitment(input(), &options).unwrap_err().is_cancelled());
                assert!(names(&dir).is_empty());
            }
        }
    }
}

#[test]
fn the_temporary_name_is_told_and_gone_at_the_end() {
    let dir = tempdir().unwrap();
    let told = Mutex::new(Vec::new());
    let output = dir.path().join("out");
    let options = Options::new()
        .with_temporary(|path| {
            assert!(path.is_file());
            told.lock().unwrap().push(path.to_owned());
        })
        .with_progress(|_| {
            assert!(told.lock().unwrap()[0].is_file() && !output.exists());
            ControlFlow::Continue(())
        });
    seal(&key(), Input::bytes("memory", b"weights"), Output::file(&output), &options).unwrap();
    drop(options);
    let told = told.into_inner().unwrap();
    assert_eq!((told.len(), told[0].parent()), (1, Some(dir.path())));
    assert_eq!(names(&dir), ["out"]);
}

#[test]
fn a_panicking_callback_neither_hangs_nor_leaves_a_file() {
    let dir = tempdir().unwrap();
    let output = dir.path().join("out");
    let caught = std::panic::catch_unwind(|| {
        let options = small_chunks(2).with_progress(|_| panic!("callback"));
        let bytes = painted(100 * PAGE);
        let input = Input::reader("memory", &bytes[..]);
        seal(&key(), input, Output::file(&output), &options)
    });
    assert!(caught.is_err());
    assert!(names(&dir).is_empty());
}

#[test]
fn an_opened_file_is_read_through_its_handle() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("plain");
    fs::write(&path, painted(PAGE)).unwrap();
    let file = InputFile::open(&path).unwrap();
    fs::remove_file(&path).unwrap();
    assert_eq!(file.len(), PAGE as u64);
    let found = commitment(Input::opened(file), &Options::new()).unwrap();
    assert_eq!(found.digest, hash(&painted(PAGE)));

    let missing = InputFile::open(&path).unwrap_err();
    assert!(matches!(missing, Error::Open { path: named, .. } if named == path));
    assert!(matches!(InputFile::open(dir.path()), Err(Error::Open { .. })));
}

#[test]
fn many_files_in_one_call() {
    let dir = tempdir().unwrap();
    for threads in [1, 2, 3, 8] {
        for count in [0, 1, 2, 4, 9, 17] {
            let mut inputs = Vec::new();
            let mut expected = Vec::new();
            for i in 0..count {
                let bytes = painted(i * 70_001 + i);
                let path = dir.path().join(i.to_string());
                fs::write(&path, &bytes).unwrap();
                inputs.push(Input::file(path));
                expected.push((bytes.len() as u64, hash(&bytes)));
            }
            inputs.insert(count / 2, Input::file(dir.path().join("missing")));
            let mut found = commitments(inputs, &small_chunks(threads));
            let failed = found.remove(count / 2);
            assert!(matches!(failed, Err(Error::Open { .. })));
            let found: Vec<_> = found
                .into_iter()
                .map(|result| result.map(|found| (found.size, found.digest)).unwrap())
                .collect();
            assert_eq!(found, expected, "{count} files, {threads} threads");
        }
    }
}

#[test]
fn more_files_than_a_process_may_open() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("one");
    fs::write(&path, "weights").unwrap();
    let found = commitments((0..20_000).map(|_| Input::file(&path)), &Options::new());
    assert_eq!(found.len(), 20_000);
    assert!(found.iter().all(|found| found.as_ref().unwrap().digest == hash(b"weights")));
}

#[test]
fn many_files_sealed_verified_and_opened() {
    let keys: Vec<_> = (0..11).map(|i| Key::from_bytes([i; 32])).collect();
    let plains: Vec<_> = (0..11).map(|i| painted(i * 50_021)).collect();
    for threads in [1, 2, 4, 30] {
        let dir = tempdir().unwrap();
        let sealed_at = |i: usize| dir.path().join(format!("sealed-{i:02}"));
        let opened_at = |i: usize| dir.path().join(format!("opened-{i:02}"));
        let options = small_chunks(threads);
        // One output is taken, one input breaks.
        fs::write(sealed_at(3), "precious").unwrap();
        let jobs = (0..11).map(|i| SealJob {
            key: &keys[i],
            input: match i {
                7 => Input::reader("burning", (&plains[7][..]).chain(Failing)),
                _ => Input::bytes("memory", &plains[i]),
            },
            output: Output::file(sealed_at(i)),
        });
        let mut digests = Vec::new();
        for (i, result) in seal_many(jobs, &options).into_iter().enumerate() {
            let mut expected = plains[i].clone();
            Cipher::new(&keys[i]).apply(0, &mut expected).unwrap();
            digests.push(hash(&expected));
            match i {
                3 => assert!(matches!(result, Err(Error::OutputExists { .. }))),
                7 => assert!(matches!(result, Err(Error::Read { .. }))),
                _ => {
                    let size = expected.len() as u64;
                    assert_eq!(result.unwrap(), Commitment { size, digest: digests[i] });
                    assert!(fs::read(sealed_at(i)).unwrap() == expected, "{i}");
                }
            }
        }
        assert_eq!(fs::read(sealed_at(3)).unwrap(), b"precious");
        assert_eq!(names(&dir).len(), 10, "{:?}", names(&dir));

        let verified =
            verify_many((0..11).map(|i| (Input::file(sealed_at(i)), digests[i])), &options);
        for (i, result) in verified.into_iter().enumerate() {
            match i {
                3 => assert!(matches!(
                    result,
                    Err(Error::DigestMismatch { expected, found, .. })
                        if expected == digests[3] && found == hash(b"precious")
                )),
                7 => assert!(matches!(result, Err(Error::Open { .. }))),
                _ => assert_eq!(result.unwrap().digest, digests[i]),
            }
        }

        let jobs = (0..11).map(|i| OpenJob {
            key: &keys[i],
            input: Input::file(sealed_at(i)),
            output: Output::file(opened_at(i)),
            expected: Some(digests[i]),
        });
        for (i, result) in open_many(jobs, &options).into_iter().enumerate() {
            assert_eq!(result.is_ok(), i != 3 && i != 7, "{i}");
            if result.is_ok() {
                assert!(fs::read(opened_at(i)).unwrap() == plains[i], "{i}");
            } else {
                assert!(!opened_at(i).exists());
            }
        }
    }
}

#[test]
fn many_files_can_be_cancelled() {
    let bytes = painted(1 << 20);
    for (threads, count) in [(2, 9), (20, 9), (20, 5)] {
        let inputs = (0..count).map(|_| Input::reader("memory", &bytes[..]));
        let options = small_chunks(threads).with_progress(|_| ControlFlow::Break(()));
        let found = commitments(inputs, &options);
        assert_eq!(found.len(), count);
        assert!(found.iter().all(|result| result.as_ref().unwrap_err().is_cancelled()));
    }
}

/// However the files share the threads.
#[test]
fn progress_over_many_files_counts_all_their_bytes() {
    let lengths = [200_000, 1, 70_000];
    let inputs: Vec<_> = lengths.iter().map(|len| painted(*len)).collect();
    for threads in [1, 3, 12] {
        let most = Mutex::new(0);
        let options = small_chunks(threads).with_progress(|now| {
            let mut most = most.lock().unwrap();
            *most = now.done.max(*most);
            assert_eq!(now.total, Some(270_001));
            ControlFlow::Continue(())
        });
        let found = commitments(inputs.iter().map(|bytes| Input::bytes("memory", bytes)), &options);
        for (found, bytes) in found.iter().zip(&inputs) {
            assert_eq!(found.as_ref().unwrap().digest, hash(bytes), "{threads} threads");
        }
        drop(options);
        assert_eq!(most.into_inner().unwrap(), 270_001, "{threads} threads");
    }
}

#[cfg(unix)]
#[test]
fn a_device_is_written_to_and_stays_a_device() {
    use std::os::unix::fs::FileTypeExt;
    let input = Input::reader("memory", &b"weights"[..]);
    seal(&key(), input, Output::file("/dev/null"), &Options::new()).unwrap();
    let found = fs::metadata("/dev/null").unwrap();
    assert!(found.file_type().is_char_device());
    let empty = commitment(Input::file("/dev/null"), &Options::new()).unwrap();
    assert_eq!((empty.size, empty.digest), (0, hash(b"")));
}

/// The kernel says of such files that they are empty.
#[cfg(target_os = "linux")]
#[test]
fn a_file_whose_size_is_not_told_is_read_to_its_end() {
    let path = "/proc/version";
    assert_eq!(fs::metadata(path).unwrap().len(), 0);
    let bytes = fs::read(path).unwrap();
    let expected = Commitment { size: bytes.len() as u64, digest: hash(&bytes) };
    assert_eq!(commitment(Input::file(path), &Options::new()).unwrap(), expected);
    let pair = commitments([Input::file(path), Input::file(path)], &Options::new());
    assert!(pair.into_iter().all(|found| found.unwrap() == expected));
    assert!(matches!(InputFile::open(path), Err(Error::Open { .. })));
}

#[cfg(unix)]
#[test]
fn a_new_output_has_ordinary_permissions() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempdir().unwrap();
    let (plain, output) = (dir.path().join("plain"), dir.path().join("out"));
    fs::write(&plain, "weights").unwrap();
    seal(&key(), Input::file(&plain), Output::file(&output), &Options::new()).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode();
    assert_eq!(mode(&output), mode(&plain));
}

#[test]
fn chunk_sizes() {
    for bad in [0, 1, 4095, 4097, (64 << 20) + 4096] {
        assert!(matches!(ChunkSize::new(bad), Err(Error::ChunkSize { found }) if found == bad));
    }
    for good in [4096, 12_288, 64 << 20] {
        assert_eq!(ChunkSize::new(good).unwrap().bytes(), good);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_length_threads_and_chunks(
        len in 0usize..400_000,
        threads in 1usize..6,
        pages in 1usize..20,
        stream in any::<bool>(),
    ) {
        let plain = painted(len);
        let options = Options::new()
            .with_threads(NonZeroUsize::new(threads).unwrap())
            .with_chunk_size(ChunkSize::new(pages * PAGE).unwrap());
        let input = match stream {
            true => Input::reader("pipe", Dribble(&plain)),
            false => Input::bytes("memory", &plain),
        };
        let mut ciphertext = Vec::new();
        let output = Output::writer("pipe", &mut ciphertext);
        let found = seal(&key(), input, output, &options).unwrap();
        prop_assert!(ciphertext == sealed(&plain));
        prop_assert_eq!(found.digest, hash(&ciphertext));

        let mut opened = Vec::new();
        let output = Output::writer("pipe", &mut opened);
        let input = Input::reader("pipe", Dribble(&ciphertext));
        open(&key(), input, output, Some(found.digest), &options).unwrap();
        prop_assert!(opened == plain);
    }
}
