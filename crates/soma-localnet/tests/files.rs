//! The file host over a raw socket: a client library would tidy up the paths
//! and hide the bytes that matter here.

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use soma_localnet::{FileHost, Uploads};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

struct Answer {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Answer {
    fn field(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (field, value) = line.split_once(": ")?;
            field.eq_ignore_ascii_case(name).then_some(value)
        })
    }
}

/// One request on a connection of its own.
async fn ask(to: SocketAddr, method: &str, path: &str, fields: &str, body: &[u8]) -> Answer {
    let mut stream = TcpStream::connect(to).await.unwrap();
    let length = body.len();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {length}\r\n{fields}\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(body).await.unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await.unwrap();
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answer { status, head, body: bytes[end + 4..].to_vec() }
}

async fn host(directory: &Path, uploads: Uploads) -> FileHost {
    FileHost::start(directory, "127.0.0.1:0".parse().unwrap(), uploads).await.unwrap()
}

/// Bytes with a period of 251, so that swapped blocks show.
fn painted(length: usize) -> Vec<u8> {
    (0..length).map(|place| (place % 251) as u8).collect()
}

#[tokio::test]
async fn an_upload_can_be_read_whole_and_in_parts() {
    let directory = tempfile::tempdir().unwrap();
    let host = host(directory.path(), Uploads::Allowed).await;
    let to = host.address();
    let bytes = painted(3 * 1024 * 1024 + 7);

    let put = ask(to, "PUT", "/models/a.bin", "", &bytes).await;
    assert_eq!(put.status, 201);
    assert_eq!(std::fs::read(directory.path().join("models/a.bin")).unwrap(), bytes);

    let get = ask(to, "GET", "/models/a.bin", "", b"").await;
    assert_eq!(get.status, 200);
    assert_eq!(get.field("content-length"), Some("3145735"));
    assert_eq!(get.field("accept-ranges"), Some("bytes"));
    assert_eq!(get.field("etag"), put.field("etag"));
    assert!(get.body == bytes);

    for (range, expected) in [
        ("0-0", 0..1),
        ("1048575-1048577", 1_048_575..1_048_578),
        ("3145734-", 3_145_734..3_145_735),
        ("-10", 3_145_725..3_145_735),
        ("0-99999999999", 0..3_145_735),
    ] {
        let part = ask(to, "GET", "/models/a.bin", &format!("range: bytes={range}\r\n"), b"").await;
        let header = format!("bytes {}-{}/3145735", expected.start, expected.end - 1);
        assert_eq!(part.status, 206, "{range}");
        assert_eq!(part.field("content-range"), Some(header.as_str()), "{range}");
        assert!(part.body == bytes[expected], "{range}");
    }

    let beyond = ask(to, "GET", "/models/a.bin", "range: bytes=3145735-\r\n", b"").await;
    assert_eq!(beyond.status, 416);
    assert_eq!(beyond.field("content-range"), Some("bytes */3145735"));

    let head = ask(to, "HEAD", "/models/a.bin", "", b"").await;
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert_eq!(head.field("content-length"), Some("3145735"));
    host.stop().await;
}

#[tokio::test]
async fn a_part_of_another_state_is_not_mixed_in() {
    let directory = tempfile::tempdir().unwrap();
    let host = host(directory.path(), Uploads::Allowed).await;
    let to = host.address();
    let put = ask(to, "PUT", "/a", "", b"first").await;
    let tag = put.field("etag").unwrap().to_owned();
    let fields = format!("range: bytes=1-2\r\nif-range: {tag}\r\n");
    assert_eq!(ask(to, "GET", "/a", &fields, b"").await.body, b"ir");
    let unchanged = ask(to, "GET", "/a", &format!("if-none-match: {tag}\r\n"), b"").await;
    assert_eq!((unchanged.status, unchanged.body.len()), (304, 0));

    assert_eq!(ask(to, "PUT", "/a", "", b"second").await.status, 200);
    let whole = ask(to, "GET", "/a", &fields, b"").await;
    assert_eq!((whole.status, whole.body.as_slice()), (200, &b"second"[..]));
    let kept = ask(to, "PUT", "/a", "if-none-match: *\r\n", b"third").await;
    assert_eq!(kept.status, 412);
    assert_eq!(ask(to, "DELETE", "/a", "", b"").await.status, 204);
    assert_eq!(ask(to, "GET", "/a", "", b"").await.status, 404);
}

#[tokio::test]
async fn an_upload_that_breaks_off_leaves_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let host = host(directory.path(), Uploads::Allowed).await;
    ask(host.address(), "PUT", "/a", "", b"old").await;

    let mut stream = TcpStream::connect(host.address()).await.unwrap();
    let head = b"PUT /a HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000\r\n\r\n";
    stream.write_all(head).await.unwrap();
    stream.write_all(&painted(400_000)).await.unwrap();
    drop(stream);

    let incoming = directory.path().join(".incoming");
    let deadline = Instant::now() + Duration::from_secs(60);
    while std::fs::read_dir(&incoming).unwrap().count() > 0 {
        assert!(Instant::now() < deadline, "what has arrived of it stays");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(ask(host.address(), "GET", "/a", "", b"").await.body, b"old");
}

#[tokio::test]
async fn no_path_leaves_the_directory_and_none_is_listed() {
    let parent = tempfile::tempdir().unwrap();
    std::fs::write(parent.path().join("secret"), "secret").unwrap();
    let directory = parent.path().join("served");
    std::fs::create_dir_all(directory.join("folder")).unwrap();
    std::fs::write(directory.join(".hidden"), "hidden").unwrap();
    std::os::unix::fs::symlink(parent.path(), directory.join("up")).unwrap();
    let host = host(&directory, Uploads::Allowed).await;
    for path in [
        "/../secret",
        "/%2e%2e/secret",
        "/folder/../../secret",
        "/..%2fsecret",
        "/up/secret",
        "/.hidden",
        "//secret",
        "/",
        "/folder",
        "/folder/",
        "/.incoming/x",
        "/secret%00",
    ] {
        let get = ask(host.address(), "GET", path, "", b"").await;
        assert_eq!(get.status, 404, "GET {path}");
        let put = ask(host.address(), "PUT", path, "", b"overwritten").await;
        assert_eq!(put.status, 400, "PUT {path}");
        let delete = ask(host.address(), "DELETE", path, "", b"").await;
        assert_eq!(delete.status, 404, "DELETE {path}");
    }
    assert_eq!(std::fs::read_to_string(parent.path().join("secret")).unwrap(), "secret");
    assert_eq!(std::fs::read_to_string(directory.join(".hidden")).unwrap(), "hidden");
}

#[tokio::test]
async fn a_host_may_refuse_uploads() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("a"), "bytes").unwrap();
    let host = host(directory.path(), Uploads::Refused).await;
    let put = ask(host.address(), "PUT", "/b", "", b"x").await;
    assert_eq!((put.status, put.field("allow")), (405, Some("GET, HEAD")));
    assert_eq!(ask(host.address(), "DELETE", "/a", "", b"").await.status, 405);
    assert_eq!(ask(host.address(), "GET", "/a", "", b"").await.body, b"bytes");
}

/// What is below the directory for uploads, once there is something.
async fn incoming(directory: &Path) -> Vec<String> {
    loop {
        let entries = std::fs::read_dir(directory.join(".incoming")).into_iter().flatten();
        let names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        if !names.is_empty() {
            return names;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn another_host_of_the_directory_leaves_uploads_alone() {
    let directory = tempfile::tempdir().unwrap();
    let first = host(directory.path(), Uploads::Allowed).await;
    let bytes = painted(400_000);
    let mut stream = TcpStream::connect(first.address()).await.unwrap();
    let head = "PUT /a HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 400000\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&bytes[..200_000]).await.unwrap();
    let growing = incoming(directory.path()).await;

    // One that gets no port, one that takes uploads too, one that does not.
    FileHost::start(directory.path(), first.address(), Uploads::Allowed).await.unwrap_err();
    let second = host(directory.path(), Uploads::Allowed).await;
    let third = host(directory.path(), Uploads::Refused).await;
    assert_eq!(incoming(directory.path()).await, growing);
    assert_eq!(ask(second.address(), "PUT", "/b", "", b"second").await.status, 201);

    stream.write_all(&bytes[200_000..]).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 201"), "{}", String::from_utf8_lossy(&answer));
    assert!(std::fs::read(directory.path().join("a")).unwrap() == bytes);
    for host in [first, second, third] {
        host.stop().await;
    }
}

#[tokio::test]
async fn what_a_crash_left_is_removed_and_nothing_else() {
    let directory = tempfile::tempdir().unwrap();
    let first = host(directory.path(), Uploads::Allowed).await;
    let mut stream = TcpStream::connect(first.address()).await.unwrap();
    stream.write_all(b"PUT /a HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\nhalf").await.unwrap();
    let [name] = &incoming(directory.path()).await[..] else { panic!("one upload") };
    let left = directory.path().join(".incoming").join(name);
    // As a crash would leave it: the host is gone, the name is not.
    let kept = directory.path().join("kept");
    std::fs::hard_link(&left, &kept).unwrap();
    first.stop().await;
    drop(stream);
    while left.exists() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    std::fs::rename(&kept, &left).unwrap();
    let mine = directory.path().join(".incoming/mine");
    std::fs::write(&mine, "somebody put it here").unwrap();

    // The task of the broken connection may hold the first host a little longer.
    while left.exists() {
        host(directory.path(), Uploads::Allowed).await.stop().await;
    }
    assert!(mine.exists());
}

#[tokio::test]
async fn a_taken_port_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let first = host(directory.path(), Uploads::Allowed).await;
    let error =
        FileHost::start(directory.path(), first.address(), Uploads::Allowed).await.unwrap_err();
    let text = error.to_string();
    assert!(text.contains(&first.address().to_string()) && text.contains("--port"), "{text}");
}
