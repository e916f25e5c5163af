//! The look at the weights' host, against a host inside the test.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::ops::Range;
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

use soma_crypto::safetensors::LONGEST_HEADER;
use soma_crypto::{Cipher, Key};
use soma_model::{Check, Depth, Measured, Report, remote};
use soma_proto::{Commitment, DecryptionKey};
use soma_storage::{AddressPolicy, RetryPolicy, Storage, Url};

const KEY: [u8; 32] = [7; 32];

/// A safetensors file whose header takes `padding` bytes more than it must.
fn safetensors(padding: usize) -> Vec<u8> {
    let blanks = " ".repeat(padding);
    let json = format!(r#"{{{blanks}"w":{{"dtype":"U8","shape":[5],"data_offsets":[0,5]}}}}"#);
    let mut file = (json.len() as u64).to_le_bytes().to_vec();
    file.extend(json.as_bytes());
    file.extend([1, 2, 3, 4, 5]);
    file
}

fn sealed(mut plain: Vec<u8>) -> Vec<u8> {
    Cipher::new(&Key::from_bytes(KEY)).apply(0, &mut plain).unwrap();
    plain
}

/// Serves `body` at `/w`, with ranges; everything else is missing.
fn serve(body: Vec<u8>) -> Url {
    serve_told(body, |_| {})
}

/// The same; each range that is asked for is told to `ask` before it is answered.
fn serve_told(body: Vec<u8>, ask: impl Fn(&Range<usize>) + Send + Sync + 'static) -> Url {
    host(Host { body, ask, tells_length: true })
}

struct Host<A> {
    body: Vec<u8>,
    ask: A,
    /// Whether it says how long an answer is, and the body.
    tells_length: bool,
}

fn host(host: Host<impl Fn(&Range<usize>) + Send + Sync + 'static>) -> Url {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/w", listener.local_addr().unwrap());
    let host = Arc::new(host);
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let host = Arc::clone(&host);
            thread::spawn(move || while answer(&stream, &host).is_some() {});
        }
    });
    url.parse().unwrap()
}

/// One request; nothing when it was the last one.
fn answer(mut stream: &TcpStream, host: &Host<impl Fn(&Range<usize>)>) -> Option<()> {
    let Host { body, ask, tells_length } = host;
    let mut lines = BufReader::new(stream).lines();
    let request = lines.next()?.ok()?;
    let mut range = None;
    for line in lines {
        let line = line.ok()?.to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(text) = line.strip_prefix("range: bytes=") {
            let (first, last) = text.split_once('-')?;
            range = Some(first.parse().ok()?..last.parse::<usize>().ok()? + 1);
        }
    }
    if let Some(range) = &range {
        ask(range);
    }
    let (status, range) = match (request.split(' ').nth(1)?, range) {
        ("/w", None) => ("200 OK", 0..body.len()),
        ("/w", Some(range)) if range.end > body.len() => ("416 Range Not Satisfiable", 0..0),
        ("/w", Some(range)) => ("206 Partial Content", range),
        _ => ("404 Not Found", 0..0),
    };
    let length = range.len();
    let bytes = format!("bytes {}-{}", range.start, range.end.max(1) - 1);
    match tells_length {
        true => {
            let total = body.len();
            write!(
                stream,
                "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nContent-Range: {bytes}/{total}\r\n\r\n"
            )
        }
        false => write!(
            stream,
            "HTTP/1.1 {status}\r\nConnection: close\r\nContent-Range: {bytes}/*\r\n\r\n"
        ),
    }
    .ok()?;
    if !request.starts_with("HEAD") {
        stream.write_all(&body[range]).ok()?;
    }
    tells_length.then_some(())
}

fn run(url: &Url, weights: &Measured, key: [u8; 32], depth: Depth) -> Report {
    let storage = Storage::new(AddressPolicy::Any).unwrap().with_retry(RetryPolicy::NEVER);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let key = DecryptionKey::new(key);
    runtime.block_on(remote::check(&storage, url, weights, Some(&key), depth))
}

fn only(report: &Report) -> (Check, &str) {
    assert_eq!(report.findings.len(), 1, "{report:?}");
    (report.findings[0].check, &report.findings[0].message)
}

#[test]
fn weights_as_they_should_be() {
    // The second header is longer than the first look.
    for padding in [0, 200_000] {
        let body = sealed(safetensors(padding));
        let weights = Measured { commitment: Commitment::of(&body), size: body.len() as u64 };
        let url = serve(body);
        for depth in [Depth::Nothing, Depth::Header, Depth::Everything] {
            assert_eq!(run(&url, &weights, KEY, depth), Report::default(), "{depth:?}");
        }
    }
}

#[test]
fn another_key_does_not_open_them() {
    let body = sealed(safetensors(0));
    let weights = Measured { commitment: Commitment::of(&body), size: body.len() as u64 };
    let url = serve(body);
    let report = run(&url, &weights, [8; 32], Depth::Header);
    let (check, message) = only(&report);
    assert_eq!(check, Check::Key);
    assert!(message.contains("does not open"), "{message}");
}

#[test]
fn another_size_another_file_no_file() {
    let body = sealed(safetensors(0));
    let size = body.len() as u64;
    let url = serve(body);

    let longer = Measured { commitment: Commitment::ZERO, size: size + 1 };
    let report = run(&url, &longer, KEY, Depth::Header);
    assert_eq!(only(&report).0, Check::Host);
    assert!(only(&report).1.contains(&format!("holds {size} bytes")), "{report:?}");

    let other = Measured { commitment: Commitment::ZERO, size };
    assert_eq!(run(&url, &other, KEY, Depth::Header), Report::default());
    let report = run(&url, &other, KEY, Depth::Everything);
    assert!(only(&report).1.contains("hashes to"), "{report:?}");

    let report = run(&url.join("/x").unwrap(), &other, KEY, Depth::Header);
    assert!(only(&report).1.contains("404"), "{report:?}");
    assert!(report.findings[0].remedy.as_ref().unwrap().contains("upload"), "{report:?}");
}

/// A host of which nobody knows whether it serves more than was committed to.
#[test]
fn a_length_that_is_not_told() {
    let body = sealed(safetensors(0));
    let weights = Measured { commitment: Commitment::of(&body), size: body.len() as u64 };
    let url = host(Host { body, ask: |_: &Range<usize>| {}, tells_length: false });
    let report = run(&url, &weights, KEY, Depth::Header);
    let (check, message) = only(&report);
    assert_eq!(check, Check::Host);
    assert!(message.contains("does not tell how long it is"), "{message}");
    assert!(report.findings[0].remedy.as_ref().unwrap().contains("Content-Length"));
    // All of it was read, and is right.
    assert_eq!(run(&url, &weights, KEY, Depth::Everything).findings, []);
    let others = Measured { commitment: Commitment::of(b"other"), ..weights };
    let report = run(&url, &others, KEY, Depth::Everything);
    assert!(only(&report).1.contains("hashes to"), "{report:?}");
    let shorter = Measured { size: weights.size - 1, ..weights };
    let report = run(&url, &shorter, KEY, Depth::Everything);
    let messages: Vec<_> = report.findings.iter().map(|finding| &finding.message).collect();
    assert!(messages[0].contains("does not tell how long it is"), "{messages:?}");
}

/// Headers of strangers take 128 MiB together, however many are looked at.
#[test]
fn headers_share_their_room() {
    const MIB: usize = 1 << 20;
    const LOOKS: usize = 4;
    // Two of them fit into the room, three do not.
    let body = sealed(safetensors(60 * MIB));
    let weights = Measured { commitment: Commitment::of(&body), size: body.len() as u64 };
    // How many are asked for now, and how many were at most.
    let asked = Arc::new((Mutex::new((0, 0)), Condvar::new()));
    let seen = Arc::clone(&asked);
    let url = serve_told(body, move |range| {
        if range.len() < MIB {
            return;
        }
        let (counts, changed) = &*seen;
        let mut now = counts.lock().unwrap();
        now.0 += 1;
        now.1 = now.1.max(now.0);
        changed.notify_all();
        // A third one would come by now, if there were nothing to hold it.
        let patience = Duration::from_secs(1);
        now = changed.wait_timeout_while(now, patience, |now| now.0 < 3).unwrap().0;
        now.0 -= 1;
    });
    let looks: Vec<_> = (0..LOOKS)
        .map(|_| {
            let (url, weights) = (url.clone(), weights);
            thread::spawn(move || run(&url, &weights, KEY, Depth::Header))
        })
        .collect();
    for look in looks {
        assert_eq!(look.join().unwrap(), Report::default());
    }
    let most = asked.0.lock().unwrap().1;
    assert!((1..=2).contains(&most), "{most} headers of 60 MiB at the same time");
}

/// A header longer than any may be is refused by what it says of itself.
#[test]
fn a_header_that_is_too_long_is_not_fetched() {
    let longest = usize::try_from(LONGEST_HEADER).unwrap();
    let mut file = (longest as u64 + 1).to_le_bytes().to_vec();
    file.resize(8 + longest + 1, b' ');
    let body = sealed(file);
    let weights = Measured { commitment: Commitment::of(&body), size: body.len() as u64 };
    let most = Arc::new(Mutex::new(0));
    let seen = Arc::clone(&most);
    let url = serve_told(body, move |range| {
        let mut most = seen.lock().unwrap();
        *most = range.len().max(*most);
    });
    let report = run(&url, &weights, KEY, Depth::Header);
    let (check, message) = only(&report);
    assert_eq!(check, Check::Key);
    assert!(message.contains("100000001"), "{message}");
    assert_eq!(*most.lock().unwrap(), 64 << 10, "the first look and no more");
}

/// What a stranger's file says of itself is repeated on one short line.
#[test]
fn foreign_text_is_cut_and_cleaned() {
    let long = "x".repeat(5000);
    let field = format!(r#"{{"w":{{"\u001b[31m\u202e{long}":1}}}}"#);
    let name =
        format!(r#"{{"\u001b]0;{long}":{{"dtype":"U8","shape":[1],"data_offsets":[0,2]}}}}"#);
    for json in [field, name] {
        let mut file = (json.len() as u64).to_le_bytes().to_vec();
        file.extend(json.as_bytes());
        file.extend([1, 2]);
        let body = sealed(file);
        let weights = Measured { commitment: Commitment::of(&body), size: body.len() as u64 };
        let report = run(&serve(body), &weights, KEY, Depth::Header);
        let (check, message) = only(&report);
        assert_eq!(check, Check::Key);
        assert!(message.len() < 700, "{} characters", message.len());
        assert!(!message.contains(['\u{1b}', '\u{202e}', '\n']), "{message:?}");
    }
}
