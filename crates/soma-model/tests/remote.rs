//! The look at the weights' host, against a host inside the test.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

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
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/w", listener.local_addr().unwrap());
    let body = Arc::new(body);
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let body = Arc::clone(&body);
            thread::spawn(move || while answer(&stream, &body).is_some() {});
        }
    });
    url.parse().unwrap()
}

/// One request; nothing when the client has hung up.
fn answer(mut stream: &TcpStream, body: &[u8]) -> Option<()> {
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
    let (status, range) = match (request.split(' ').nth(1)?, range) {
        ("/w", None) => ("200 OK", 0..body.len()),
        ("/w", Some(range)) => ("206 Partial Content", range),
        _ => ("404 Not Found", 0..0),
    };
    let length = range.len();
    let content_range = format!("bytes {}-{}/{}", range.start, range.end.max(1) - 1, body.len());
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nContent-Range: {content_range}\r\n\r\n"
    )
    .ok()?;
    if !request.starts_with("HEAD") {
        stream.write_all(&body[range]).ok()?;
    }
    Some(())
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
