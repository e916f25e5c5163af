//! The real client against hosts that behave and hosts that do not.

mod server;

use std::path::PathBuf;
use std::time::Duration;

use server::{End, Reply, Request, Server, at_once, painted, raw, reply, serve};
use soma_crypto::{Cipher, Key, hash};
use soma_storage::{AddressPolicy, Error, Expected, RetryPolicy, Storage};
use tempfile::TempDir;

fn storage() -> Storage {
    Storage::new(AddressPolicy::Any).unwrap().with_retry(RetryPolicy::NEVER)
}

fn expected(file: &[u8]) -> Expected {
    Expected { size: file.len() as u64, digest: hash(file) }
}

/// The beginning of a good answer.
fn cut_short(request: &Request, file: &[u8], bytes: usize) -> Reply {
    let mut reply = Reply { end: End::Reset, ..serve(request, file) };
    reply.bytes.truncate(bytes);
    reply
}

/// A directory and a place in it.
fn place() -> (TempDir, PathBuf) {
    let directory = TempDir::new().unwrap();
    let dest = directory.path().join("copy.bin");
    (directory, dest)
}

fn leftovers(directory: &TempDir) -> Vec<String> {
    let name = |entry: std::io::Result<std::fs::DirEntry>| {
        entry.unwrap().file_name().into_string().unwrap()
    };
    let mut names: Vec<_> = std::fs::read_dir(directory.path()).unwrap().map(name).collect();
    names.sort();
    names
}

/// The control: a host that does everything right.
#[tokio::test]
async fn a_good_host_is_probed_read_and_downloaded() {
    let file = painted(3_000_000);
    let body = file.clone();
    let server = Server::start(move |_, request| serve(request, &body)).await;
    let storage = storage();

    let probe = storage.check(&server.url, Some(3_000_000)).await.unwrap();
    assert_eq!((probe.status, probe.length, probe.accepts_ranges), (200, Some(3_000_000), true));
    assert_eq!(probe.etag.as_deref(), Some("\"v1\""));

    assert_eq!(storage.fetch_range(&server.url, 250..600).await.unwrap(), file[250..600]);

    let (directory, dest) = place();
    let mut heard = Vec::new();
    let done = storage
        .download(&server.url, &dest, &expected(&file), |bytes| heard.push(bytes))
        .await
        .unwrap();
    assert_eq!((done.length, done.resumed_at), (3_000_000, 0));
    assert_eq!(std::fs::read(&dest).unwrap(), file);
    assert_eq!(leftovers(&directory), ["copy.bin"]);
    assert_eq!(heard.last(), Some(&3_000_000));
    assert!(heard.is_sorted());
    for request in server.requests() {
        assert_eq!(request.headers["accept-encoding"], "identity");
    }
}

#[tokio::test]
async fn an_upload_arrives_whole_and_is_hashed_on_its_way() {
    let server = Server::start(|_, _| reply("200 OK", &[("etag", "\"up\"")], b"")).await;
    let (_directory, source) = place();
    for length in [0, 1, 262_144, 700_001] {
        let file = painted(length);
        std::fs::write(&source, &file).unwrap();
        let mut last = None;
        let sent =
            storage().put_file(&server.url, &source, |bytes| last = Some(bytes)).await.unwrap();
        assert_eq!(
            (sent.length, sent.digest, sent.etag.as_deref()),
            (length as u64, hash(&file), Some("\"up\""))
        );
        assert_eq!(last, Some(length as u64));
        let request = server.requests().pop().unwrap();
        assert_eq!(
            (request.method.as_str(), request.headers["content-length"].as_str()),
            ("PUT", &*length.to_string())
        );
        assert_eq!(request.body, file);
    }
}

#[tokio::test]
async fn a_refused_upload_tells_the_stores_reason() {
    let answer = b"<Error>\r\n <Code>AccessDenied</Code>\x1b[31m</Error>";
    let server = Server::start(move |_, _| reply("403 Forbidden", &[], answer)).await;
    let (_directory, source) = place();
    std::fs::write(&source, b"secret").unwrap();
    let mut url = server.url.clone();
    url.set_query(Some("X-Signature=hush"));
    let error = storage().put_file(&url, &source, |_| {}).await.unwrap_err();
    assert!(matches!(error, Error::Status { status: 403, .. }), "{error}");
    let text = error.to_string();
    assert!(
        text.contains("AccessDenied") && !text.contains("hush") && !text.contains('\x1b'),
        "{text}"
    );
    assert!(error.hint().is_some() && !error.is_retriable());
}

#[tokio::test]
async fn an_upload_survives_a_busy_store() {
    let server = Server::start(|n, _| match n {
        0 => reply("503 Slow Down", &[("retry-after", "0")], b"slow down"),
        _ => reply("201 Created", &[], b""),
    })
    .await;
    let (_directory, source) = place();
    let file = painted(300_000);
    std::fs::write(&source, &file).unwrap();
    let sent =
        storage().with_retry(at_once(3)).put_file(&server.url, &source, |_| {}).await.unwrap();
    assert_eq!(sent.digest, hash(&file));
    assert_eq!(server.requests()[1].body, file);
}

#[tokio::test]
async fn a_host_that_sends_everything_for_a_range_is_found_out() {
    let file = painted(1_000);
    let body = file.clone();
    let server = Server::start(move |_, request| match request.method.as_str() {
        "HEAD" => serve(request, &body),
        _ => reply("200 OK", &[], &body),
    })
    .await;
    let probe = storage().probe(&server.url).await.unwrap();
    assert!(!probe.accepts_ranges);
    let error = storage().check(&server.url, Some(1_000)).await.unwrap_err();
    assert!(matches!(error, Error::NoRanges { .. }), "{error}");
    let error = storage().fetch_range(&server.url, 10..20).await.unwrap_err();
    assert!(matches!(error, Error::NoRanges { .. }), "{error}");

    // It can be downloaded all the same.
    let (_directory, dest) = place();
    storage().download(&server.url, &dest, &expected(&file), |_| {}).await.unwrap();
    assert_eq!(std::fs::read(&dest).unwrap(), file);
}

#[tokio::test]
async fn another_part_than_the_one_asked_for_is_refused() {
    let server = Server::start(|_, _| {
        reply("206 Partial Content", &[("content-range", "bytes 0-9/100")], &[0; 10])
    })
    .await;
    let error = storage().fetch_range(&server.url, 10..20).await.unwrap_err();
    assert!(matches!(error, Error::NoRanges { .. }), "{error}");
    assert_eq!(storage().fetch_range(&server.url, 0..10).await.unwrap().len(), 10);
}

#[tokio::test]
async fn redirects_are_named_and_not_followed() {
    let server =
        Server::start(|_, _| reply("302 Found", &[("location", "/elsewhere?token=hush")], b""))
            .await;
    let error = storage().check(&server.url, None).await.unwrap_err();
    assert!(matches!(error, Error::Redirect { status: 302, .. }), "{error}");
    assert!(
        error.to_string().contains("/elsewhere") && !error.to_string().contains("hush"),
        "{error}"
    );
    let (directory, dest) = place();
    let error = storage().download(&server.url, &dest, &expected(b"x"), |_| {}).await.unwrap_err();
    assert!(matches!(error, Error::Redirect { .. }), "{error}");
    assert!(!dest.exists());
    drop(directory);
    assert!(server.requests().iter().all(|request| request.path == "/weights"));
}

#[tokio::test]
async fn a_missing_object_is_an_answer_to_probe_and_an_error_to_check() {
    let server = Server::start(|_, _| reply("404 Not Found", &[], b"no such key")).await;
    let probe = storage().probe(&server.url).await.unwrap();
    assert_eq!((probe.status, probe.length), (404, None));
    let error = storage().check(&server.url, None).await.unwrap_err();
    assert!(matches!(error, Error::Status { status: 404, .. }), "{error}");
}

#[tokio::test]
async fn a_url_signed_for_get_only_passes_the_check() {
    let body = painted(500);
    let server = Server::start(move |_, request| match request.method.as_str() {
        "HEAD" => raw("403 Forbidden", &[("content-length", "0")], b""),
        _ => serve(request, &body),
    })
    .await;
    let probe = storage().check(&server.url, Some(500)).await.unwrap();
    assert_eq!((probe.status, probe.length), (200, Some(500)));
}

#[tokio::test]
async fn a_file_of_another_length_is_refused_before_it_is_read() {
    let body = painted(1_000);
    let server = Server::start(move |_, request| serve(request, &body)).await;
    let error = storage().check(&server.url, Some(999)).await.unwrap_err();
    assert!(matches!(error, Error::WrongLength { expected: 999, found: 1_000, .. }), "{error}");
    let (directory, dest) = place();
    let wrong = Expected { size: 999, digest: hash(b"") };
    let error = storage().download(&server.url, &dest, &wrong, |_| {}).await.unwrap_err();
    assert!(matches!(error, Error::WrongLength { found: 1_000, .. }), "{error}");
    assert!(leftovers(&directory).is_empty());
}

/// A host that announces nothing and never stops sending.
#[tokio::test]
async fn not_a_byte_more_is_taken_than_the_chain_says() {
    let server = Server::start(|_, _| raw("200 OK", &[], &[7; 500_000])).await;
    let (directory, dest) = place();
    let wanted = Expected { size: 1_000, digest: hash(&[7; 1_000]) };
    let mut most = 0;
    let error = storage()
        .download(&server.url, &dest, &wanted, |bytes| most = most.max(bytes))
        .await
        .unwrap_err();
    assert!(matches!(error, Error::WrongLength { expected: 1_000, .. }), "{error}");
    assert!(most <= 1_000);
    assert!(leftovers(&directory).is_empty());
}

#[tokio::test]
async fn other_bytes_of_the_right_length_are_refused() {
    let body = vec![1; 5_000];
    let server = Server::start(move |_, request| serve(request, &body)).await;
    let (directory, dest) = place();
    std::fs::write(&dest, b"what was there before").unwrap();
    let error =
        storage().download(&server.url, &dest, &expected(&[2; 5_000]), |_| {}).await.unwrap_err();
    let Error::DigestMismatch { expected, found, .. } = error else { panic!("{error}") };
    assert_eq!((expected, found), (hash(&[2; 5_000]), hash(&[1; 5_000])));
    assert_eq!(leftovers(&directory), ["copy.bin"]);
    assert_eq!(std::fs::read(&dest).unwrap(), b"what was there before");
}

/// A size that a stranger wrote on the chain.
#[tokio::test]
async fn what_is_too_large_is_not_begun() {
    let server = Server::start(|_, request| serve(request, &[])).await;
    let (directory, dest) = place();
    let wanted = Expected { size: 1 << 50, digest: hash(b"") };
    for decrypt in [false, true] {
        let error = match decrypt {
            false => storage().download(&server.url, &dest, &wanted, |_| {}).await,
            true => {
                let key = Key::from_bytes([1; 32]);
                storage().download_decrypted(&server.url, &dest, &wanted, &key, |_| {}).await
            }
        };
        let error = error.unwrap_err();
        assert!(matches!(error, Error::NoRoom { needed: 1_125_899_906_842_624, .. }), "{error}");
        assert!(error.hint().unwrap().contains("make room"));
    }
    assert!(server.requests().is_empty() && leftovers(&directory).is_empty());
    // What an earlier run has fetched is not lost.
    let part = directory.path().join(".copy.bin.part");
    std::fs::write(&part, b"began").unwrap();
    storage().download(&server.url, &dest, &wanted, |_| {}).await.unwrap_err();
    assert_eq!(std::fs::read(&part).unwrap(), b"began");

    assert_eq!(wanted.within(1 << 50).unwrap(), wanted);
    let error = wanted.within((1 << 50) - 1).unwrap_err();
    assert!(matches!(error, Error::TooLarge { size: 1_125_899_906_842_624, .. }), "{error}");
}

fn broken_after(
    sent: usize,
    end: End,
) -> impl Fn(usize, &Request) -> Reply + Send + Sync + 'static {
    let end = std::sync::Mutex::new(Some(end));
    move |n, request| {
        let file = painted(400_000);
        if n > 0 {
            return serve(request, &file);
        }
        let mut reply = raw("200 OK", &[("content-length", "400000")], &file[..sent]);
        reply.end = end.lock().unwrap().take().unwrap();
        reply
    }
}

/// The first answer breaks off; what is missing is asked for, and only that.
async fn goes_on_after(sent: usize, end: End) {
    let server = Server::start(broken_after(sent, end)).await;
    let storage = storage().with_retry(at_once(3)).with_stall_timeout(Duration::from_secs(2));
    let (_directory, dest) = place();
    storage.download(&server.url, &dest, &expected(&painted(400_000)), |_| {}).await.unwrap();
    assert_eq!(std::fs::read(&dest).unwrap(), painted(400_000));
    let (first, last) = server.requests()[1].range().unwrap();
    assert!(
        first > 0 && first <= sent && last.is_none(),
        "asked from {first}, {sent} had been sent"
    );
}

#[tokio::test]
async fn a_download_goes_on_after_a_cut() {
    goes_on_after(150_000, End::Close).await;
}

#[tokio::test]
async fn a_download_goes_on_after_a_reset() {
    goes_on_after(150_000, End::Reset).await;
}

#[tokio::test]
async fn a_download_goes_on_after_silence() {
    goes_on_after(150_000, End::Silence).await;
}

#[tokio::test]
async fn without_retries_the_part_stays_for_the_next_run() {
    let server = Server::start(broken_after(150_000, End::Close)).await;
    let (directory, dest) = place();
    let wanted = expected(&painted(400_000));
    let error = storage().download(&server.url, &dest, &wanted, |_| {}).await.unwrap_err();
    assert!(matches!(error, Error::Broken { .. } | Error::Truncated { .. }), "{error}");
    assert!(error.is_retriable() && error.hint().is_some());
    assert_eq!(leftovers(&directory), [".copy.bin.part"]);

    let done = storage().download(&server.url, &dest, &wanted, |_| {}).await.unwrap();
    assert_eq!(done.resumed_at, 150_000);
    assert_eq!(std::fs::read(&dest).unwrap(), painted(400_000));
    assert_eq!(leftovers(&directory), ["copy.bin"]);
}

#[tokio::test]
async fn a_part_of_another_file_is_thrown_away() {
    let file = painted(10_000);
    let body = file.clone();
    let server = Server::start(move |_, request| serve(request, &body)).await;
    let (directory, dest) = place();
    std::fs::write(directory.path().join(".copy.bin.part"), [9; 4_000]).unwrap();
    let done = storage().download(&server.url, &dest, &expected(&file), |_| {}).await.unwrap();
    assert_eq!(done.resumed_at, 0);
    assert_eq!(std::fs::read(&dest).unwrap(), file);
}

#[tokio::test]
async fn a_part_longer_than_the_file_is_thrown_away() {
    let file = painted(10_000);
    let body = file.clone();
    let server = Server::start(move |_, request| serve(request, &body)).await;
    let (directory, dest) = place();
    std::fs::write(directory.path().join(".copy.bin.part"), [9; 40_000]).unwrap();
    storage().download(&server.url, &dest, &expected(&file), |_| {}).await.unwrap();
    assert_eq!(std::fs::read(&dest).unwrap(), file);
}

/// The host replaces the object while we are away.
#[tokio::test]
async fn a_body_that_changes_between_two_requests_never_gets_its_name() {
    let server = Server::start(|n, request| match n {
        0 => raw("200 OK", &[("content-length", "10000")], &[1; 6_000]),
        _ => serve(request, &[2; 10_000]),
    })
    .await;
    let (directory, dest) = place();
    let storage = storage().with_retry(at_once(3));
    let error =
        storage.download(&server.url, &dest, &expected(&[1; 10_000]), |_| {}).await.unwrap_err();
    assert!(matches!(error, Error::DigestMismatch { .. }), "{error}");
    assert!(leftovers(&directory).is_empty());
}

#[tokio::test]
async fn plain_text_is_written_and_ciphertext_is_checked() {
    let key = Key::from_bytes([3; 32]);
    let plain = painted(2_500_000);
    let mut sealed = plain.clone();
    Cipher::new(&key).apply(0, &mut sealed).unwrap();
    let wanted = expected(&sealed);

    // The first answer breaks off, so that a plain part is taken up again.
    let body = sealed.clone();
    let server = Server::start(move |n, request| match n {
        0 => raw("200 OK", &[("content-length", "2500000")], &body[..1_200_003]),
        _ => serve(request, &body),
    })
    .await;
    let (directory, dest) = place();
    storage().download_decrypted(&server.url, &dest, &wanted, &key, |_| {}).await.unwrap_err();
    assert_eq!(leftovers(&directory), [".copy.bin.plain.part"]);
    let done =
        storage().download_decrypted(&server.url, &dest, &wanted, &key, |_| {}).await.unwrap();
    assert_eq!(done.resumed_at, 1_200_003);
    assert_eq!(std::fs::read(&dest).unwrap(), plain);
}

#[tokio::test]
async fn two_downloads_to_one_place_do_not_meet() {
    let server = Server::start(|_, _| Reply {
        end: End::Silence,
        ..raw("200 OK", &[("content-length", "10")], b"abc")
    })
    .await;
    let (_directory, dest) = place();
    let (storage, url, first) = (storage(), server.url.clone(), dest.clone());
    let running = tokio::spawn(async move {
        storage.download(&url, &first, &expected(b"0123456789"), |_| {}).await
    });
    while server.requests().is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let error = self::storage()
        .download(&server.url, &dest, &expected(b"0123456789"), |_| {})
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Busy { .. }), "{error}");
    running.abort();
}

#[tokio::test]
async fn nobody_there() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/weights", listener.local_addr().unwrap()).parse().unwrap();
    drop(listener);
    let error = storage().probe(&url).await.unwrap_err();
    assert!(matches!(error, Error::Connect { .. }), "{error}");
    assert!(
        error.to_string().contains(url.as_str())
            && error.to_string().to_lowercase().contains("refused"),
        "{error}"
    );
}

#[tokio::test]
async fn the_strict_policy_talks_to_nobody_at_home() {
    let server = Server::start(|_, request| serve(request, b"private")).await;
    let strict = Storage::new(AddressPolicy::PublicHttps).unwrap().with_retry(RetryPolicy::NEVER);
    assert!(matches!(strict.probe(&server.url).await, Err(Error::Url { .. })));
    let address: soma_storage::Url = "https://127.0.0.1:9/x".parse().unwrap();
    assert!(matches!(strict.probe(&address).await, Err(Error::PrivateAddress { .. })));
    let (_directory, dest) = place();
    assert!(strict.download(&address, &dest, &expected(b""), |_| {}).await.is_err());
    assert!(server.requests().is_empty());
}

#[tokio::test]
async fn a_file_that_changes_while_it_is_sent_is_no_success() {
    let server = Server::start(|_, _| reply("200 OK", &[], b"")).await;
    let (_directory, source) = place();
    for length in [0, 9_000_000] {
        std::fs::write(&source, painted(8_000_000)).unwrap();
        let change =
            || std::fs::File::options().write(true).open(&source).unwrap().set_len(length).unwrap();
        let mut change = Some(change);
        let meddle = |_| change.take().into_iter().for_each(|change| change());
        let error = storage().put_file(&server.url, &source, meddle).await.unwrap_err();
        assert!(matches!(error, Error::Source(_)), "{error}");
    }
}

/// A host that sends a byte now and then moves all the time, and would do so for
/// ever.
#[tokio::test]
async fn a_host_that_drips_is_given_up() {
    let server = Server::start(|_, request| match request.method.as_str() {
        "HEAD" => serve(request, &painted(1_000_000)),
        _ => {
            let range = ("content-range", "bytes 0-999999/1000000");
            let mut reply =
                raw("206 Partial Content", &[range, ("content-length", "1000000")], b"");
            reply.end = End::Drip;
            reply
        }
    })
    .await;
    let storage = storage().with_stall_timeout(Duration::from_secs(2));
    let (_directory, dest) = place();
    let wanted = expected(&painted(1_000_000));
    let both = async {
        let fetched = storage.fetch_range(&server.url, 0..1_000_000).await.unwrap_err();
        let downloaded = storage.download(&server.url, &dest, &wanted, |_| {}).await.unwrap_err();
        [fetched, downloaded]
    };
    for error in tokio::time::timeout(Duration::from_secs(60), both).await.unwrap() {
        assert!(matches!(error, Error::Timeout { .. }), "{error}");
    }
}

/// A few bytes more with each try are no reason to go on for ever.
#[tokio::test]
async fn a_host_that_drips_wherever_it_is_asked_to_go_on_is_given_up() {
    const LENGTH: usize = 1_000_000;
    let server = Server::start(|_, request| {
        let first = request.range().map_or(0, |(first, _)| first);
        let range = format!("bytes {first}-{}/{LENGTH}", LENGTH - 1);
        let length = (LENGTH - first).to_string();
        let headers = [("content-range", &range[..]), ("content-length", &length)];
        let status = if first == 0 { "200 OK" } else { "206 Partial Content" };
        Reply { end: End::Drip, ..raw(status, &headers[usize::from(first == 0)..], b"") }
    })
    .await;
    let storage = storage().with_retry(at_once(3)).with_stall_timeout(Duration::from_secs(2));
    let (_directory, dest) = place();
    let wanted = expected(&painted(LENGTH));
    let download = storage.download(&server.url, &dest, &wanted, |_| {});
    let error = tokio::time::timeout(Duration::from_secs(60), download).await.unwrap().unwrap_err();
    assert!(matches!(error, Error::Timeout { .. }), "{error}");
    assert_eq!(server.requests().len(), 3);
}

/// What was fetched before is worth more than an answer that is something else.
#[tokio::test]
async fn another_answer_costs_nothing_of_what_has_come() {
    let file = painted(3_000_000);
    let body = file.clone();
    let server = Server::start(move |n, request| match n {
        0 => cut_short(request, &body, 2_000_000),
        1 => reply("200 OK", &[], b"<html>Sign in to this network</html>"),
        _ => serve(request, &body),
    })
    .await;
    let storage = storage().with_retry(at_once(2));
    let (_directory, dest) = place();
    let wanted = expected(&file);
    let download = || storage.download(&server.url, &dest, &wanted, |_| {});
    let error = download().await.unwrap_err();
    assert!(matches!(error, Error::WrongLength { found: 36, .. }), "{error}");
    let downloaded = download().await.unwrap();
    assert!(downloaded.resumed_at > 0, "{downloaded:?}");
    assert_eq!(std::fs::read(&dest).unwrap(), file);
}

/// A host without ranges sends everything, and then everything is new.
#[tokio::test]
async fn a_host_without_ranges_resumes_nothing() {
    let file = painted(3_000_000);
    let body = file.clone();
    let server = Server::start(move |n, request| match n {
        0 => cut_short(request, &body, 2_000_000),
        _ => reply("200 OK", &[], &body),
    })
    .await;
    let (_directory, dest) = place();
    storage().download(&server.url, &dest, &expected(&file), |_| {}).await.unwrap_err();
    let downloaded =
        storage().download(&server.url, &dest, &expected(&file), |_| {}).await.unwrap();
    assert_eq!((downloaded.resumed_at, server.requests().len()), (0, 2));
    assert_eq!(std::fs::read(&dest).unwrap(), file);
}

#[tokio::test]
async fn an_error_that_drips_is_an_error_all_the_same() {
    let server = Server::start(|_, _| {
        let mut reply = raw("403 Forbidden", &[("content-length", "4000")], b"<Code>Access");
        reply.end = End::Drip;
        reply
    })
    .await;
    let storage = storage();
    let fetch = storage.fetch_range(&server.url, 0..10);
    let error = tokio::time::timeout(Duration::from_secs(30), fetch).await.unwrap().unwrap_err();
    let told = matches!(&error, Error::Status { status: 403, body, .. } if body.contains("Access"));
    assert!(told, "{error}");
}

const MIB: usize = 1 << 20;

/// Pieces are asked for side by side: while one does not come, those after it do.
#[tokio::test]
async fn a_large_file_is_fetched_in_pieces_side_by_side() {
    let file = painted(21 * MIB + 3);
    let body = file.clone();
    let server = Server::start(move |n, request| match n {
        0 => Reply { bytes: Vec::new(), end: End::Silence },
        _ => serve(request, &body),
    })
    .await;
    let storage = storage().with_retry(at_once(3)).with_stall_timeout(Duration::from_secs(2));
    let (directory, dest) = place();
    let mut heard = Vec::new();
    let done = storage
        .download(&server.url, &dest, &expected(&file), |bytes| heard.push(bytes))
        .await
        .unwrap();
    assert_eq!((done.length, done.resumed_at), (file.len() as u64, 0));
    assert!(std::fs::read(&dest).unwrap() == file);
    assert_eq!(leftovers(&directory), ["copy.bin"]);
    assert!(heard.is_sorted());
    let requests = server.requests();
    let ranges: Vec<_> = requests.iter().map(|request| request.range().unwrap()).collect();
    let mut others: Vec<_> = ranges[..4].to_vec();
    others.sort();
    let piece = |n: usize| (n * 4 * MIB, Some((n + 1) * 4 * MIB - 1));
    assert_eq!(others, [piece(0), piece(1), piece(2), piece(3)], "before the first has come");
    // Each once, but for the one that did not come.
    assert_eq!(ranges.len(), 7);
    assert_eq!(ranges.iter().filter(|range| **range == ranges[0]).count(), 2);
}

/// What has come in its order stays; the next run asks for the rest only.
#[tokio::test]
async fn a_download_in_pieces_goes_on_in_the_next_run() {
    let file = painted(21 * MIB + 3);
    let body = file.clone();
    let server = Server::start(move |_, request| match request.range() {
        Some((first, _)) if first == 8 * MIB => reply("403 Forbidden", &[], b""),
        _ => serve(request, &body),
    })
    .await;
    let (directory, dest) = place();
    let wanted = expected(&file);
    let error = storage().download(&server.url, &dest, &wanted, |_| {}).await.unwrap_err();
    assert!(matches!(error, Error::Status { status: 403, .. }), "{error}");
    assert_eq!(leftovers(&directory), [".copy.bin.part"]);

    let body = file.clone();
    let server = Server::start(move |_, request| serve(request, &body)).await;
    let done = storage().download(&server.url, &dest, &wanted, |_| {}).await.unwrap();
    assert_eq!(done.resumed_at, 8 * MIB as u64);
    assert!(std::fs::read(&dest).unwrap() == file);
    assert!(server.requests().iter().all(|request| request.range().unwrap().0 >= 8 * MIB));
}

/// A host without ranges is read in one stream, and one whose object is of
/// another length is found out by the first piece.
#[tokio::test]
async fn large_files_of_odd_hosts() {
    let file = painted(9 * MIB);
    let body = file.clone();
    let server = Server::start(move |_, _| reply("200 OK", &[], &body)).await;
    let (_directory, dest) = place();
    storage().download(&server.url, &dest, &expected(&file), |_| {}).await.unwrap();
    assert!(std::fs::read(&dest).unwrap() == file);

    let longer = painted(9 * MIB + 1);
    let server = Server::start(move |_, request| serve(request, &longer)).await;
    let (directory, dest) = place();
    let error = storage().download(&server.url, &dest, &expected(&file), |_| {}).await.unwrap_err();
    let found = 9 * MIB as u64 + 1;
    assert!(matches!(error, Error::WrongLength { found: it, .. } if it == found), "{error}");
    assert!(leftovers(&directory).is_empty());
}
