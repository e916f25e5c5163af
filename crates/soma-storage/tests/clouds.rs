//! Google Cloud Storage and Azure, as far as their documents go: servers in the
//! test's own process that check what is asked and how it is signed.
//!
//! Expected requests and signatures are those of the vendors' documents: Google's
//! XML API (multipart uploads), Azure's Put Block, Put Block List and Shared Key.

mod server;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use server::{Reply, Request, Server, at_once, painted, reply, serve};
use sha2::Sha256;
use soma_crypto::{Cipher, InputFile, Key, hash};
use soma_storage::{
    AddressPolicy, Destination, Error, ObjectName, Source, Storage, Store, StoreOptions,
    UploadOptions, Url, Variables,
};
use tempfile::TempDir;

const LENGTH: usize = (12 << 20) + 5;
const KEY: [u8; 32] = [5; 32];
const TOKEN: &str = "ya29.example";
const ACCOUNT: &str = "account";
/// Base64, as the portal shows keys.
const ACCOUNT_KEY: &str = "c2VjcmV0LWtleS1vZi10aGUtYWNjb3VudA==";
const WRITTEN: (&str, &str) = ("last-modified", "Thu, 01 Jan 2026 00:00:00 GMT");

/// What a server holds.
#[derive(Default)]
struct Cloud {
    objects: BTreeMap<String, Vec<u8>>,
    /// Parts by upload and number, or blocks by blob and id.
    parts: BTreeMap<(String, String), Vec<u8>>,
    /// Turns the next part away once.
    busy: bool,
}

/// A request taken apart: path without percent signs, and parameters.
struct Asked {
    path: String,
    query: BTreeMap<String, String>,
}

impl Asked {
    fn new(request: &Request) -> Self {
        let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
        let pairs = |query: &str| -> BTreeMap<String, String> {
            let url: Url = format!("http://host/?{query}").parse().unwrap();
            url.query_pairs().into_owned().collect()
        };
        let path = pairs(&format!("path={path}"))["path"].trim_start_matches('/').to_owned();
        Self { path, query: pairs(query) }
    }

    fn value(&self, name: &str) -> Option<&str> {
        self.query.get(name).map(String::as_str)
    }
}

/// The contents of all elements of a name, in their order.
fn elements(body: &[u8], name: &str) -> Vec<String> {
    let text = String::from_utf8_lossy(body);
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    let contents = text.split(&open).skip(1).map(|rest| rest.split(&close).next().unwrap());
    contents.map(|text| text.replace("&quot;", "\"")).collect()
}

impl Cloud {
    /// Anybody may read.
    fn read(&self, request: &Request, asked: &Asked) -> Option<Reply> {
        if !matches!(request.method.as_str(), "GET" | "HEAD") {
            return None;
        }
        let Some(object) = self.objects.get(&asked.path) else {
            return Some(reply("404 Not Found", &[], b""));
        };
        let mut answer = serve(request, object);
        let line = format!("\r\n{}: {}", WRITTEN.0, WRITTEN.1);
        let end = answer.bytes.iter().position(|byte| *byte == b'\r').unwrap();
        answer.bytes.splice(end..end, line.into_bytes());
        Some(answer)
    }

    /// `https://cloud.google.com/storage/docs/xml-api/overview`
    fn google(&mut self, request: &Request) -> Reply {
        let asked = Asked::new(request);
        if let Some(answer) = self.read(request, &asked) {
            return answer;
        }
        let bearer = format!("Bearer {TOKEN}");
        if request.headers.get("authorization") != Some(&bearer) {
            return reply(
                "401 Unauthorized",
                &[],
                b"<Error><Code>AuthenticationRequired</Code></Error>",
            );
        }
        let Asked { path, .. } = &asked;
        let upload = asked.value("uploadId");
        match (request.method.as_str(), asked.value("uploads"), upload, asked.value("partNumber")) {
            ("POST", Some(""), None, None) => {
                let (bucket, key) = path.split_once('/').unwrap();
                let body = format!(
                    "<?xml version='1.0' encoding='UTF-8'?><InitiateMultipartUploadResult>\
                     <Bucket>{bucket}</Bucket><Key>{key}</Key><UploadId>VXBsb2Fk</UploadId>\
                     </InitiateMultipartUploadResult>"
                );
                reply("200 OK", &[], body.as_bytes())
            }
            ("PUT", None, Some("VXBsb2Fk"), Some(number)) => {
                if std::mem::take(&mut self.busy) {
                    return reply("503 Service Unavailable", &[("retry-after", "0")], b"");
                }
                let tag = format!("\"{}\"", hash(&request.body));
                let key = (path.clone(), format!("{:0>5}", number));
                self.parts.insert(key, request.body.clone());
                reply("200 OK", &[("etag", &tag)], b"")
            }
            ("POST", None, Some("VXBsb2Fk"), None) => {
                let numbers = elements(&request.body, "PartNumber");
                let tags = elements(&request.body, "ETag");
                let mut object = Vec::new();
                for (number, tag) in numbers.iter().zip(&tags) {
                    let part = &self.parts[&(path.clone(), format!("{number:0>5}"))];
                    if *tag != format!("\"{}\"", hash(part)) {
                        return reply(
                            "400 Bad Request",
                            &[],
                            b"<Error><Code>InvalidPart</Code></Error>",
                        );
                    }
                    object.extend_from_slice(part);
                }
                // In ascending order, says the document, and all of them.
                let ascending: Vec<_> = (1..=numbers.len()).map(|n| n.to_string()).collect();
                assert_eq!((&numbers, tags.len()), (&ascending, self.parts.len()));
                self.objects.insert(path.clone(), object);
                let body = b"<CompleteMultipartUploadResult><ETag>\"x\"</ETag>\
                             </CompleteMultipartUploadResult>";
                reply("200 OK", &[], body)
            }
            ("PUT", None, None, None) => {
                self.objects.insert(path.clone(), request.body.clone());
                reply("200 OK", &[("etag", "\"y\"")], b"")
            }
            ("DELETE", None, None, None) => {
                self.objects.remove(path);
                reply("204 No Content", &[], b"")
            }
            _ => reply("400 Bad Request", &[], b"<Error><Code>Unexpected</Code></Error>"),
        }
    }

    /// `https://learn.microsoft.com/rest/api/storageservices/blob-service-rest-api`
    fn azure(&mut self, request: &Request) -> Reply {
        let asked = Asked::new(request);
        if !request.headers.contains_key("authorization")
            && let Some(answer) = self.read(request, &asked)
        {
            return answer;
        }
        if request.headers.get("authorization") != Some(&shared_key(request, &asked)) {
            return reply(
                "403 Forbidden",
                &[],
                b"<Error><Code>AuthenticationFailed</Code></Error>",
            );
        }
        if let Some(answer) = self.read(request, &asked) {
            return answer;
        }
        let path = &asked.path;
        let kind = request.headers.get("x-ms-blob-type").map(String::as_str);
        let created: &[(&str, &str)] = &[("etag", "\"z\""), WRITTEN];
        match (request.method.as_str(), asked.value("comp"), asked.value("blockid"), kind) {
            ("PUT", Some("block"), Some(id), _) => {
                if std::mem::take(&mut self.busy) {
                    return reply("503 Server Busy", &[("retry-after", "0")], b"");
                }
                // Base64 of at most 64 bytes, says the document.
                assert!(STANDARD.decode(id).is_ok_and(|id| (1..=64).contains(&id.len())));
                self.parts.insert((path.clone(), id.to_owned()), request.body.clone());
                reply("201 Created", &[], b"")
            }
            ("PUT", Some("blocklist"), None, _) => {
                let mut object = Vec::new();
                for id in elements(&request.body, "Uncommitted") {
                    let Some(block) = self.parts.get(&(path.clone(), id)) else {
                        return reply(
                            "400 Bad Request",
                            &[],
                            b"<Error><Code>InvalidBlockList</Code></Error>",
                        );
                    };
                    object.extend_from_slice(block);
                }
                self.objects.insert(path.clone(), object);
                reply("201 Created", created, b"")
            }
            ("PUT", None, None, Some("BlockBlob")) => {
                self.objects.insert(path.clone(), request.body.clone());
                reply("201 Created", created, b"")
            }
            ("POST", Some("batch"), None, _) if asked.value("restype") == Some("container") => {
                self.azure_batch(request)
            }
            _ => reply("400 Bad Request", &[], b"<Error><Code>Unexpected</Code></Error>"),
        }
    }
}

impl Cloud {
    /// Blob Batch: deletions within a request, each of them signed for itself.
    fn azure_batch(&mut self, request: &Request) -> Reply {
        let kind = &request.headers["content-type"];
        let boundary = kind.strip_prefix("multipart/mixed; boundary=").unwrap();
        let text = String::from_utf8_lossy(&request.body);
        let mut answers = String::new();
        for part in text.split(&format!("--{boundary}\r\n")).skip(1) {
            let (about, inner) = part.split_once("\r\n\r\n").unwrap();
            let mut lines = inner.lines();
            let mut first = lines.next().unwrap().split(' ').map(str::to_owned);
            let (method, path) = (first.next().unwrap(), first.next().unwrap());
            let headers = lines.filter_map(|line| line.split_once(':'));
            let headers =
                headers.map(|(name, value)| (name.to_lowercase(), value.trim().to_owned()));
            let inner = Request { method, path, headers: headers.collect(), body: Vec::new() };
            let asked = Asked::new(&inner);
            assert_eq!(inner.method, "DELETE");
            let right = inner.headers.get("authorization") == Some(&shared_key(&inner, &asked));
            let status = match self.objects.remove(&asked.path) {
                _ if !right => "403 Forbidden",
                None => "404 The specified blob does not exist.",
                Some(_) => "202 Accepted",
            };
            let id = about.lines().find(|line| line.starts_with("Content-ID:")).unwrap();
            answers += &format!(
                "--answer\r\nContent-Type: application/http\r\n{id}\r\n\r\n\
                 HTTP/1.1 {status}\r\nx-ms-version: 2018-11-09\r\n\r\n"
            );
        }
        answers += "--answer--\r\n";
        let kind = ("content-type", "multipart/mixed; boundary=answer");
        reply("202 Accepted", &[kind], answers.as_bytes())
    }
}

/// `https://learn.microsoft.com/rest/api/storageservices/authorize-with-shared-key`,
/// for versions from 2015-02-21 on: a length of zero is an empty text.
fn shared_key(request: &Request, asked: &Asked) -> String {
    let header = |name: &str| request.headers.get(name).map_or("", String::as_str);
    let length = Some(header("content-length")).filter(|length| *length != "0").unwrap_or_default();
    let mut text = vec![request.method.clone()];
    let listed = ["content-encoding", "content-language"].map(header);
    text.extend(listed.map(str::to_owned));
    text.push(length.to_owned());
    let listed = [
        "content-md5",
        "content-type",
        "date",
        "if-modified-since",
        "if-match",
        "if-none-match",
        "if-unmodified-since",
        "range",
    ];
    text.extend(listed.map(header).map(str::to_owned));
    let own = request.headers.iter().filter(|(name, _)| name.starts_with("x-ms-"));
    text.extend(own.map(|(name, value)| format!("{name}:{}", value.trim())));
    let path = request.path.split('?').next().unwrap();
    text.push(format!("/{ACCOUNT}{path}"));
    text.extend(asked.query.iter().map(|(name, value)| format!("{}:{value}", name.to_lowercase())));
    let key = STANDARD.decode(ACCOUNT_KEY).unwrap();
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).unwrap();
    mac.update(text.join("\n").as_bytes());
    format!("SharedKey {ACCOUNT}:{}", STANDARD.encode(mac.finalize().into_bytes()))
}

/// Which of the two.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Google,
    Azure,
}

impl Kind {
    async fn start(self, cloud: &Arc<Mutex<Cloud>>) -> Server {
        let cloud = Arc::clone(cloud);
        Server::start(move |_, request| {
            let mut cloud = cloud.lock().unwrap();
            match self {
                Self::Google => cloud.google(request),
                Self::Azure => cloud.azure(request),
            }
        })
        .await
    }

    fn store(self, server: &Server, secret: Option<&str>) -> Store {
        let (destination, variables) = match self {
            Self::Google => {
                let token = secret.unwrap_or(TOKEN);
                ("gs://bucket/models", vec![("GOOGLE_BEARER_TOKEN", token)])
            }
            Self::Azure => {
                let key = secret.unwrap_or(ACCOUNT_KEY);
                let variables =
                    [("AZURE_STORAGE_ACCOUNT_NAME", ACCOUNT), ("AZURE_STORAGE_ACCOUNT_KEY", key)];
                ("az://container/models", variables.to_vec())
            }
        };
        let destination: Destination = destination.parse().unwrap();
        let mut endpoint = server.url.clone();
        endpoint.set_path("/");
        let options = StoreOptions { endpoint: Some(endpoint), ..StoreOptions::default() };
        let variables: Variables = variables.into_iter().collect();
        let storage = Storage::new(AddressPolicy::Any).unwrap().with_retry(at_once(3));
        Store::open(&destination, &options, &variables, &storage).unwrap()
    }
}

#[tokio::test]
async fn what_is_uploaded_in_parts_is_the_object() {
    for (kind, folder) in [(Kind::Google, "bucket"), (Kind::Azure, "container")] {
        let cloud = Arc::new(Mutex::new(Cloud { busy: true, ..Cloud::default() }));
        let server = kind.start(&cloud).await;
        let store = kind.store(&server, None);
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("plain");
        let mut sealed = painted(LENGTH);
        std::fs::write(&path, &sealed).unwrap();
        Cipher::new(&Key::from_bytes(KEY)).apply(0, &mut sealed).unwrap();

        let source = Source::sealed(InputFile::open(&path).unwrap(), &Key::from_bytes(KEY));
        let options = UploadOptions { part_size: Some(5 << 20), ..UploadOptions::DEFAULT };
        let name = ObjectName::random().unwrap();
        let journal = Box::new(|_: &_| Ok(()));
        let done = store.upload(&name, source, None, &options, journal, |_| {}).await.unwrap();
        assert_eq!(done.digest, hash(&sealed));
        assert_eq!(done.read, LENGTH as u64, "a part that was turned away is not read again");
        let key = format!("{folder}/models/{name}");
        assert!(cloud.lock().unwrap().objects[&key] == sealed);

        // With credentials, and as anybody.
        assert_eq!(store.length(&name).await.unwrap(), Some(LENGTH as u64));
        let url = store.public_url(&name);
        assert!(url.path().ends_with(&key));
        let storage = Storage::new(AddressPolicy::Any).unwrap();
        assert!(storage.check(&url, Some(LENGTH as u64)).await.unwrap().accepts_ranges);

        store.put_beside(&name, ".state", b"beside".to_vec()).await.unwrap();
        assert_eq!(cloud.lock().unwrap().objects[&format!("{key}.state")], b"beside");
        store.delete(&name).await.unwrap();
        assert_eq!(store.length(&name).await.unwrap(), None);
    }
}

#[tokio::test]
async fn wrong_credentials_are_told_without_being_repeated() {
    let wrong = STANDARD.encode("hush-hush");
    for kind in [Kind::Google, Kind::Azure] {
        let server = kind.start(&Arc::default()).await;
        let store = kind.store(&server, Some(&wrong));
        let name = ObjectName::random().unwrap();
        let error = store.put_beside(&name, "", b"x".to_vec()).await.unwrap_err();
        assert!(matches!(error, Error::Status { status: 401 | 403, .. }), "{error}");
        let text = format!("{error} {error:?}");
        assert!(!text.contains("hush") && !text.contains(&wrong), "{text}");
    }
}

#[test]
fn endpoints_are_refused_without_their_secrets() {
    let storage = Storage::new(AddressPolicy::Any).unwrap();
    let open = |to: &str, endpoint: Option<Url>, variable: (&str, &str)| {
        let options = StoreOptions { endpoint, ..StoreOptions::default() };
        let account = ("AZURE_STORAGE_ACCOUNT_NAME", ACCOUNT);
        let variables: Variables = [variable, account].into_iter().collect();
        match Store::open(&to.parse().unwrap(), &options, &variables, &storage) {
            Err(error) => format!("{error} {error:?} {:?}", error.hint()),
            Ok(_) => panic!("{to} at {:?}, {variable:?}", options.endpoint),
        }
    };
    // Texts that are no URL, from the variables that the clouds' own tools read.
    for text in [
        "https://me:hush@store.example:99999",
        "https://me:hu?sh@store.example:99999",
        "https://store.example:99999/?X-Signature=hush",
        "https://me:hush@/",
        "https://store.example:99999/#hush",
    ] {
        for variable in ["AWS_ENDPOINT_URL", "AWS_ENDPOINT", "AZURE_STORAGE_ENDPOINT"] {
            let to = if variable.starts_with("AWS") { "s3://bucket" } else { "az://container" };
            let told = open(to, None, (variable, text));
            assert!(!told.contains("hu"), "{variable}={text}: {told}");
        }
    }
    // URLs that would take them along into that of every object.
    for text in ["https://me:hush@store.example", "https://store.example/?token=hush"] {
        for to in ["s3://bucket", "gs://bucket", "az://container"] {
            let told = open(to, Some(text.parse().unwrap()), ("NOTHING", ""));
            assert!(told.contains("store.example") && !told.contains("hush"), "{told}");
        }
    }
}

/// A store can be tried out there, too: writing, reading by anybody, deleting.
#[tokio::test]
async fn they_pass_the_trials_of_a_store() {
    for kind in [Kind::Google, Kind::Azure] {
        let cloud = Arc::default();
        let server = kind.start(&cloud).await;
        let store = kind.store(&server, None);
        let storage = Storage::new(AddressPolicy::Any).unwrap();
        let trials = store.examine(&storage).await.unwrap();
        let failures: Vec<_> = trials.iter().filter_map(|trial| trial.failure.as_ref()).collect();
        assert!(failures.is_empty(), "{failures:?}");
        assert_eq!(trials.len(), 4);
        assert!(cloud.lock().unwrap().objects.is_empty());
    }
}
