//! Uploads to stores that fail in every way there is: each ends in success
//! after a repetition, or in an error that says what happened.

mod server;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use server::{End, Reply, Request, Server, at_once, painted, raw, reply, serve};
use soma_crypto::{Cipher, InputFile, Key, hash};
use soma_storage::{
    AddressPolicy, Destination, Error, ObjectName, Record, Source, Storage, Store, StoreOptions,
    UploadOptions, Uploaded, Variables,
};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::Notify;

const MIB: usize = 1 << 20;
const LENGTH: usize = 12 * MIB + 5;
const KEY: [u8; 32] = [3; 32];

/// What a store does to the requests for its second part, or to all.
type Fault = Arc<dyn Fn(usize, &Request) -> Option<Reply> + Send + Sync>;

/// A reply made anew each time.
type Make = fn() -> Reply;

/// As much of S3 as an upload needs, without a look at signatures.
#[derive(Default)]
struct Objects {
    parts: BTreeMap<String, Vec<u8>>,
    object: Option<Vec<u8>>,
    /// The object is not to be seen yet.
    hidden: bool,
    wrong_tags: bool,
    /// Uploads in parts that were begun.
    begun: usize,
}

impl Objects {
    fn answer(&mut self, request: &Request) -> Reply {
        let (_, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
        match (request.method.as_str(), query) {
            ("POST", query) if query.starts_with("uploads") => {
                self.begun += 1;
                let body = "<InitiateMultipartUploadResult><Bucket>b</Bucket><Key>k</Key>\
                            <UploadId>one</UploadId></InitiateMultipartUploadResult>";
                reply("200 OK", &[], body.as_bytes())
            }
            ("PUT", query) if query.contains("partNumber=") => {
                let tag = format!("\"{}\"", hash(&request.body));
                self.parts.insert(part_number(query), request.body.clone());
                let tag = if self.wrong_tags { "\"another\"" } else { &tag };
                reply("200 OK", &[("etag", tag)], b"")
            }
            ("POST", _) => {
                let named = String::from_utf8_lossy(&request.body).into_owned();
                let known = |part: &Vec<u8>| named.contains(&hash(part).to_string());
                if !self.parts.values().all(known) {
                    return reply(
                        "400 Bad Request",
                        &[],
                        b"<Error><Code>InvalidPart</Code></Error>",
                    );
                }
                self.object = Some(self.parts.values().flatten().copied().collect());
                let body = "<CompleteMultipartUploadResult><ETag>\"x\"</ETag>\
                            </CompleteMultipartUploadResult>";
                reply("200 OK", &[], body.as_bytes())
            }
            ("PUT", _) => {
                self.object = Some(request.body.clone());
                reply("201 Created", &[("etag", "\"x\"")], b"")
            }
            _ => match self.object.as_ref().filter(|_| !self.hidden) {
                Some(object) => serve(request, object),
                None => reply("404 Not Found", &[], b""),
            },
        }
    }
}

fn part_number(query: &str) -> String {
    let number = query.split('&').find_map(|pair| pair.strip_prefix("partNumber="));
    number.unwrap_or("?").to_owned()
}

/// A store, a file, and what was saved.
struct World {
    server: Server,
    objects: Arc<Mutex<Objects>>,
    folder: TempDir,
    sealed: Vec<u8>,
    saved: Arc<Mutex<Option<Record>>>,
    /// How long it takes to save a record.
    slowness: Duration,
    /// How long nothing may move.
    stall: Duration,
    name: ObjectName,
}

impl World {
    async fn new(fault: Fault) -> Self {
        let folder = TempDir::new().unwrap();
        let mut sealed = painted(LENGTH);
        std::fs::write(folder.path().join("plain"), &sealed).unwrap();
        Cipher::new(&Key::from_bytes(KEY)).apply(0, &mut sealed).unwrap();
        let objects = Arc::new(Mutex::new(Objects::default()));
        let shared = Arc::clone(&objects);
        let tries = AtomicUsize::new(0);
        let server = Server::start(move |_, request| {
            let second = request.path.contains("partNumber=2&") || !request.path.contains('?');
            if request.method == "PUT" && second {
                let count = tries.fetch_add(1, Ordering::Relaxed);
                if let Some(reply) = fault(count, request) {
                    return reply;
                }
            }
            shared.lock().unwrap().answer(request)
        })
        .await;
        let name = ObjectName::random().unwrap();
        Self {
            server,
            objects,
            folder,
            sealed,
            saved: Arc::default(),
            slowness: Duration::ZERO,
            stall: Duration::from_secs(8),
            name,
        }
    }

    fn store(&self, destination: &str) -> Store {
        let mut endpoint = self.server.url.clone();
        endpoint.set_path("/");
        let destination: Destination =
            destination.replace("HOST", endpoint.as_str().trim_end_matches('/')).parse().unwrap();
        let options = StoreOptions { endpoint: Some(endpoint), ..StoreOptions::default() };
        let variables: Variables =
            [("AWS_ACCESS_KEY_ID", "a"), ("AWS_SECRET_ACCESS_KEY", "hush")].into_iter().collect();
        let storage = Storage::new(AddressPolicy::Any)
            .unwrap()
            .with_retry(at_once(3))
            .with_stall_timeout(self.stall);
        Store::open(&destination, &options, &variables, &storage).unwrap()
    }

    async fn upload(&self, destination: &str) -> Result<Uploaded, Error> {
        let file = InputFile::open(self.folder.path().join("plain")).unwrap();
        let source = Source::sealed(file, &Key::from_bytes(KEY));
        let options = UploadOptions { part_size: Some(5 << 20), ..UploadOptions::DEFAULT };
        let record = self.saved.lock().unwrap().clone();
        let saved = Arc::clone(&self.saved);
        let slowness = self.slowness;
        let journal = Box::new(move |record: &Record| {
            std::thread::sleep(slowness);
            *saved.lock().unwrap() = Some(record.clone());
            Ok(())
        });
        let store = self.store(destination);
        store.upload(&self.name, source, record, &options, journal, |_| {}).await
    }

    /// Begins an upload and kills it when its host has had enough.
    async fn kill_when(&self, destination: &str, enough: impl Fn(&Self) -> bool) {
        tokio::select! {
            ended = self.upload(destination) => panic!("{ended:?}"),
            () = async {
                while !enough(self) {
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
            } => {}
        }
    }

    /// Changes the plain file in a way that its size and time do not show.
    fn change_secretly(&self, offset: usize) {
        let path = self.folder.path().join("plain");
        let modified = std::fs::metadata(&path).unwrap().modified().unwrap();
        let mut plain = std::fs::read(&path).unwrap();
        plain[offset] ^= 1;
        std::fs::write(&path, plain).unwrap();
        let file = std::fs::File::options().write(true).open(&path).unwrap();
        file.set_modified(modified).unwrap();
    }

    /// Parts whose hash is on record.
    fn known(&self) -> usize {
        let record = serde_json::to_value(self.saved.lock().unwrap().as_ref()).unwrap();
        let digests = record["digests"].as_str().map(str::len).unwrap_or_default();
        // Base64 takes four characters for three bytes.
        digests / 4 * 3 / 32
    }

    fn assert_arrived(&self, done: &Uploaded) {
        assert_eq!(done.digest, hash(&self.sealed));
        let objects = self.objects.lock().unwrap();
        assert!(objects.object.as_ref() == Some(&self.sealed));
    }

    /// How often a part was asked to be stored.
    fn puts(&self, part: usize) -> usize {
        let wanted = format!("partNumber={part}&");
        let requests = self.server.requests();
        requests.iter().filter(|request| request.path.contains(&wanted)).count()
    }
}

const IN_PARTS: &str = "s3://bucket/models";
const AS_A_WHOLE: &str = "HOST/folder/";

fn cut(status: &str, end: End) -> Reply {
    let mut reply = raw(status, &[("content-length", "1000")], b"<Error>");
    reply.end = end;
    reply
}

/// Faults that go away: the part is sent again, and no other.
#[tokio::test]
async fn what_passes_is_repeated() {
    let faults: [(&str, Make); 7] = [
        ("500", || reply("500 Internal Server Error", &[], b"<Code>InternalError</Code>")),
        ("503", || reply("503 Slow Down", &[("retry-after", "0")], b"<Code>SlowDown</Code>")),
        ("429", || reply("429 Too Many Requests", &[], b"")),
        ("reset", || Reply { bytes: Vec::new(), end: End::Reset }),
        ("closed", || Reply { bytes: Vec::new(), end: End::Close }),
        ("cut short", || cut("503 Service Unavailable", End::Close)),
        ("silence", || Reply { bytes: Vec::new(), end: End::Silence }),
    ];
    for (name, fault) in faults {
        for destination in [IN_PARTS, AS_A_WHOLE] {
            let world = World::new(Arc::new(move |n, _| (n == 0).then(fault))).await;
            let done = world.upload(destination).await.unwrap_or_else(|e| panic!("{name}: {e}"));
            world.assert_arrived(&done);
            if destination == IN_PARTS {
                let puts = [1, 2, 3].map(|part| world.puts(part));
                assert_eq!(puts, [1, 2, 1], "{name}");
                assert_eq!(done.read, LENGTH as u64, "{name}: the source is not read again");
            } else {
                assert_eq!(done.read, 2 * LENGTH as u64, "{name}");
            }
        }
    }
}

/// Faults that stay: a clear error, and what had arrived is kept for the next run.
#[tokio::test]
async fn what_stays_is_told_and_the_next_run_goes_on() {
    type Expected = fn(&Error) -> bool;
    let faults: [(&str, Make, Expected); 5] = [
        (
            "403",
            || reply("403 Forbidden", &[], b"<Error><Code>ExpiredToken</Code></Error>"),
            |e| matches!(e, Error::Status { status: 403, body, .. } if body.contains("ExpiredToken")),
        ),
        (
            "500 for ever",
            || reply("500 Internal Server Error", &[], b""),
            |e| matches!(e, Error::Status { status: 500, .. }),
        ),
        (
            "redirect",
            || raw("307 Temporary Redirect", &[("location", "http://127.0.0.1:1/x")], b""),
            |e| matches!(e, Error::Redirect { status: 307, .. }),
        ),
        (
            "reset for ever",
            || Reply { bytes: Vec::new(), end: End::Reset },
            |e| matches!(e, Error::Broken { .. }),
        ),
        (
            "no space",
            || reply("507 Insufficient Storage", &[], b""),
            |e| matches!(e, Error::Status { status: 507, .. }),
        ),
    ];
    for (name, fault, expected) in faults {
        for destination in [IN_PARTS, AS_A_WHOLE] {
            let world = World::new(Arc::new(move |n, _| (n < 3).then(fault))).await;
            let mut failed = 0;
            let done = loop {
                match world.upload(destination).await {
                    Ok(done) => break done,
                    Err(error) => {
                        assert!(expected(&error), "{name}: {error:?}");
                        assert!(!format!("{error} {error:?}").contains("hush"));
                        assert!(error.hint().is_some(), "{name}");
                        failed += 1;
                    }
                }
            };
            world.assert_arrived(&done);
            assert!((1..=3).contains(&failed), "{name}: {failed}");
        }
    }
}

#[tokio::test]
async fn wrong_marks_end_in_an_error_and_the_next_run_begins_again() {
    let world = World::new(Arc::new(|_, _| None)).await;
    world.objects.lock().unwrap().wrong_tags = true;
    let error = world.upload(IN_PARTS).await.unwrap_err();
    let told =
        matches!(&error, Error::Status { status: 400, body, .. } if body.contains("InvalidPart"));
    assert!(told, "{error:?}");
    assert!(world.objects.lock().unwrap().object.is_none());
    world.objects.lock().unwrap().wrong_tags = false;
    let done = world.upload(IN_PARTS).await.unwrap();
    world.assert_arrived(&done);
}

/// A store with another way to put the object together.
async fn assembling(
    complete: impl Fn(&mut Objects, &Request) -> Reply + Send + Sync + 'static,
) -> World {
    let objects = Arc::new(Mutex::new(Objects::default()));
    let shared = Arc::clone(&objects);
    let server = Server::start(move |_, request| {
        let mut objects = shared.lock().unwrap();
        match request.method == "POST" && request.path.contains("uploadId=") {
            true => complete(&mut objects, request),
            false => objects.answer(request),
        }
    })
    .await;
    World { server, objects, ..World::new(Arc::new(|_, _| None)).await }
}

/// The object is there although the answer was lost.
#[tokio::test]
async fn a_lost_answer_to_the_last_request_is_no_failure() {
    let world = assembling(|objects, request| {
        if objects.object.is_some() {
            return reply("404 Not Found", &[], b"<Error><Code>NoSuchUpload</Code></Error>");
        }
        objects.answer(request);
        Reply { bytes: Vec::new(), end: End::Reset }
    })
    .await;
    let done = world.upload(IN_PARTS).await.unwrap();
    world.assert_arrived(&done);
}

/// To put a large object together takes longer than anything else may: some stores are
/// silent meanwhile, Amazon sends a space now and then.
#[tokio::test]
async fn a_store_may_take_its_time_to_put_the_object_together() {
    const STALL: Duration = Duration::from_secs(2);
    fn silent(answer: Vec<u8>) -> Reply {
        Reply { bytes: Vec::new(), end: End::Later(vec![(2 * STALL, answer)]) }
    }
    fn spaced(answer: Vec<u8>) -> Reply {
        let text = String::from_utf8(answer).unwrap();
        let (_, body) = text.split_once("\r\n\r\n").unwrap();
        let length = (body.len() + 8).to_string();
        let mut pieces = vec![(STALL / 4, b" ".to_vec()); 8];
        pieces.push((Duration::ZERO, body.as_bytes().to_vec()));
        Reply { end: End::Later(pieces), ..raw("200 OK", &[("content-length", &length)], b"") }
    }
    let upload = async |slowly: fn(Vec<u8>) -> Reply| {
        let world = assembling(move |objects, request| {
            let at_once = objects.answer(request);
            // Only the answer tells: nobody sees the object before.
            objects.hidden = true;
            slowly(at_once.bytes)
        });
        let world = World { stall: STALL, ..world.await };
        let done = world.upload(IN_PARTS).await.unwrap();
        world.assert_arrived(&done);
        let last = world.server.requests().pop().unwrap();
        assert_eq!(last.method, "POST", "the first answer was the last");
    };
    tokio::join!(upload(silent), upload(spaced));
}

/// The answer is lost while the store is still at it: the upload is gone then, and the
/// object not there yet. It is waited for, and nothing is sent again.
#[tokio::test]
async fn an_object_that_comes_after_the_answer_was_lost_is_found() {
    let tries = AtomicUsize::new(0);
    let world = assembling(move |objects, request| match tries.fetch_add(1, Ordering::Relaxed) {
        0 => {
            objects.answer(request);
            objects.hidden = true;
            Reply { bytes: Vec::new(), end: End::Reset }
        }
        n => {
            objects.hidden = n < 3;
            reply("404 Not Found", &[], b"<Error><Code>NoSuchUpload</Code></Error>")
        }
    })
    .await;
    let done = world.upload(IN_PARTS).await.unwrap();
    world.assert_arrived(&done);
    assert_eq!([1, 2, 3].map(|part| world.puts(part)), [1, 1, 1]);
}

/// A store that gave an upload up between two runs says so, although it was in trouble
/// when it was asked first: everything is sent again, in the same run.
#[tokio::test]
async fn an_upload_that_was_given_up_begins_again_after_trouble() {
    let tries = AtomicUsize::new(0);
    let world = assembling(move |objects, request| match tries.fetch_add(1, Ordering::Relaxed) {
        0 => reply("403 Forbidden", &[], b"<Error><Code>ExpiredToken</Code></Error>"),
        1 => reply("503 Service Unavailable", &[], b""),
        _ if objects.begun < 2 => {
            reply("404 Not Found", &[], b"<Error><Code>NoSuchUpload</Code></Error>")
        }
        _ => objects.answer(request),
    })
    .await;
    world.upload(IN_PARTS).await.unwrap_err();
    let done = world.upload(IN_PARTS).await.unwrap();
    world.assert_arrived(&done);
    assert_eq!([1, 2, 3].map(|part| world.puts(part)), [2, 2, 2]);
}

/// A URL presigned for PUT is sent as it is, shown without its signature, and
/// read without it.
#[tokio::test]
async fn a_presigned_url_is_the_object_itself() {
    let world = World::new(Arc::new(|_, _| None)).await;
    let destination = "HOST/bucket/object?X-Amz-Signature=hush";
    let store = world.store(destination);
    assert_eq!(store.public_url(&world.name).query(), None);
    assert!(store.public_url(&world.name).path().ends_with("/bucket/object"));
    world.upload(destination).await.unwrap();
    let request = world.server.requests().pop().unwrap();
    assert_eq!(request.path, "/bucket/object?X-Amz-Signature=hush");
    assert_eq!(request.headers["content-length"], LENGTH.to_string());
    assert!(!request.headers.contains_key("authorization"));
    assert!(!format!("{store:?}").contains("hush"));
}

/// A store that reads parts and never answers, until it is told to.
async fn mute(answers: Arc<Mutex<bool>>) -> World {
    let objects = Arc::new(Mutex::new(Objects::default()));
    let shared = Arc::clone(&objects);
    let server = Server::start(move |_, request| {
        if request.method == "PUT" && !*answers.lock().unwrap() {
            return Reply { bytes: Vec::new(), end: End::Silence };
        }
        shared.lock().unwrap().answer(request)
    })
    .await;
    World { server, objects, ..World::new(Arc::new(|_, _| None)).await }
}

/// Killed with all its parts in flight, an upload knows what it has sent: other
/// bytes never follow under the same key.
#[tokio::test]
async fn what_was_in_flight_at_a_kill_is_known_to_the_next_run() {
    let answers = Arc::new(Mutex::new(false));
    let world = mute(Arc::clone(&answers)).await;
    let seen = |world: &World| [1, 2, 3].iter().all(|part| world.puts(*part) == 1);
    world.kill_when(IN_PARTS, seen).await;
    assert_eq!(world.known(), 3);

    world.change_secretly(11 * MIB);
    *answers.lock().unwrap() = true;
    let error = world.upload(IN_PARTS).await.unwrap_err();
    assert!(matches!(error, Error::SourceChanged { what: "content", .. }), "{error:?}");
    assert_eq!(world.puts(3), 1, "the other bytes have not left the machine");
    world.change_secretly(11 * MIB);
    let done = world.upload(IN_PARTS).await.unwrap();
    world.assert_arrived(&done);
}

#[tokio::test]
async fn what_a_single_put_has_sent_is_known_to_the_next_run() {
    let answers = Arc::new(Mutex::new(false));
    let world = mute(Arc::clone(&answers)).await;
    let whole =
        |world: &World| world.server.requests().iter().any(|request| request.body.len() == LENGTH);
    world.kill_when(AS_A_WHOLE, whole).await;
    assert_eq!(world.known(), 3);

    world.change_secretly(11 * MIB);
    *answers.lock().unwrap() = true;
    let error = world.upload(AS_A_WHOLE).await.unwrap_err();
    assert!(matches!(error, Error::SourceChanged { what: "content", .. }), "{error:?}");
    for request in world.server.requests().iter().skip(1) {
        let length = request.body.len();
        assert!(length <= 10 * MIB && request.body == world.sealed[..length]);
    }
    world.change_secretly(11 * MIB);
    let done = world.upload(AS_A_WHOLE).await.unwrap();
    world.assert_arrived(&done);
}

/// A part that is on its way is on record already, at every moment.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_sent_before_its_hash_is_on_record() {
    for destination in [IN_PARTS, AS_A_WHOLE] {
        let saved: Arc<Mutex<Option<Record>>> = Arc::default();
        let objects = Arc::new(Mutex::new(Objects::default()));
        let unknown = Arc::new(AtomicUsize::new(0));
        let (shared, known, late) =
            (Arc::clone(&objects), Arc::clone(&saved), Arc::clone(&unknown));
        let server = Server::start(move |_, request| {
            let part = request
                .path
                .split_once('?')
                .map_or(3, |(_, query)| part_number(query).parse().unwrap_or(0));
            let record = serde_json::to_value(known.lock().unwrap().as_ref()).unwrap();
            let digests = record["digests"].as_str().map(str::len).unwrap_or_default();
            if request.method == "PUT" && digests / 4 * 3 / 32 < part {
                late.fetch_add(1, Ordering::Relaxed);
            }
            shared.lock().unwrap().answer(request)
        })
        .await;
        // Longer than a part takes that does not wait for it.
        let slowness = Duration::from_millis(300);
        let world = World::new(Arc::new(|_, _| None)).await;
        let world = World { server, objects, saved, slowness, ..world };
        let done = world.upload(destination).await.unwrap();
        world.assert_arrived(&done);
        assert_eq!(unknown.load(Ordering::Relaxed), 0, "{destination}");
    }
}

/// A store that turns a PUT away at once and goes on taking its body: what is
/// left of that try does not meddle with the next one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_try_hashes_on_its_own() {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    // So that a good part of the first body stays with the sender.
    socket.set_recv_buffer_size(64 << 10).unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(8).unwrap();
    let url = format!("http://{}/w", listener.local_addr().unwrap()).parse().unwrap();
    let (second_is_here, first_went_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (here, went_on) = (Arc::clone(&second_is_here), Arc::clone(&first_went_on));
    tokio::spawn(async move {
        let mut first = head_of_put(&listener).await;
        let busy = b"HTTP/1.1 503 Slow Down\r\nretry-after: 0\r\ncontent-length: 0\r\n\r\n";
        first.write_all(busy).await.unwrap();
        let lingering = async move {
            here.notified().await;
            let (mut taken, mut block) = (0, vec![0; 64 << 10]);
            while taken < 2 * MIB {
                match first.read(&mut block).await {
                    Ok(count @ 1..) => taken += count,
                    // It hung up, which is just as good.
                    _ => break,
                }
            }
            went_on.notify_one();
        };
        tokio::spawn(lingering);
        let mut second = head_of_put(&listener).await;
        let (mut left, mut block) = (LENGTH, vec![0; 64 << 10]);
        while left > 0 {
            left -= second.read(&mut block).await.unwrap();
        }
        second_is_here.notify_one();
        first_went_on.notified().await;
        second.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
    });
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("sealed");
    std::fs::write(&path, painted(LENGTH)).unwrap();
    let storage = Storage::new(AddressPolicy::Any).unwrap().with_retry(at_once(3));
    let sent = storage.put_file(&url, &path, |_| {}).await.unwrap();
    assert_eq!(sent.digest, hash(&painted(LENGTH)));
}

/// Accepts a connection and reads up to the end of a request's head, and not
/// a byte further.
async fn head_of_put(listener: &tokio::net::TcpListener) -> tokio::net::TcpStream {
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    stream
}
