//! Uploads in parts to a real S3 server and to a directory.

mod s3;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use s3::{BUCKET, S3, VARIABLES};
use soma_crypto::{Cipher, InputFile, Key, hash};
use soma_storage::{
    AddressPolicy, Destination, Error, Journal, ObjectName, Record, RetryPolicy, Source, Storage,
    Store, StoreOptions, UploadOptions, Uploaded, Variables,
};
use tempfile::TempDir;

const MIB: usize = 1 << 20;
const KEY: [u8; 32] = [9; 32];

/// Parts of 5 MiB, the smallest there are.
const SMALL_PARTS: UploadOptions =
    UploadOptions { part_size: Some(5 << 20), ..UploadOptions::DEFAULT };

/// A file with a period of 251 bytes, and what becomes of it under [`KEY`].
struct Weights {
    folder: TempDir,
    plain: Vec<u8>,
    sealed: Vec<u8>,
}

impl Weights {
    fn new(length: usize) -> Self {
        let folder = TempDir::new().unwrap();
        let plain: Vec<u8> = (0..length).map(|i| (i % 251) as u8).collect();
        let mut sealed = plain.clone();
        Cipher::new(&Key::from_bytes(KEY)).apply(0, &mut sealed).unwrap();
        std::fs::write(folder.path().join("plain"), &plain).unwrap();
        Self { folder, plain, sealed }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn source(&self) -> Source {
        Source::sealed(InputFile::open(self.path("plain")).unwrap(), &Key::from_bytes(KEY))
    }
}

/// Every record that was saved, as text, as it would be on disk.
#[derive(Clone, Default)]
struct Saved(Arc<Mutex<Vec<String>>>);

impl Saved {
    fn journal(&self) -> Journal {
        let saved = self.clone();
        Box::new(move |record| {
            saved.0.lock().unwrap().push(serde_json::to_string(record)?);
            Ok(())
        })
    }

    /// Saves so many records, then fails as a full disk does.
    fn journal_failing_after(&self, count: usize) -> Journal {
        let mut journal = self.journal();
        let mut left = count;
        Box::new(move |record| {
            left = left.checked_sub(1).ok_or("no space left")?;
            journal(record)
        })
    }

    fn last(&self) -> Option<Record> {
        self.0.lock().unwrap().last().map(|text| serde_json::from_str(text).unwrap())
    }
}

fn storage() -> Storage {
    Storage::new(AddressPolicy::Any).unwrap().with_retry(RetryPolicy::NEVER)
}

fn credentials() -> Variables {
    VARIABLES.into_iter().collect()
}

/// The address of the server and nothing else.
fn options(server: &S3) -> StoreOptions {
    StoreOptions { endpoint: Some(server.endpoint().parse().unwrap()), ..StoreOptions::default() }
}

fn s3_store(server: &S3, variables: &Variables) -> Store {
    let destination = format!("s3://{BUCKET}/models").parse().unwrap();
    Store::open(&destination, &options(server), variables, &storage()).unwrap()
}

fn directory_store(path: &Path) -> Store {
    let destination: Destination = format!("file://{}", path.display()).parse().unwrap();
    let public_url = Some("https://cdn.example/w/".parse().unwrap());
    let options = StoreOptions { public_url, ..StoreOptions::default() };
    Store::open(&destination, &options, &Variables::default(), &storage()).unwrap()
}

/// One public URL for all objects would give all of them one name.
#[test]
fn a_public_url_of_one_object_is_refused_where_many_go() {
    for destination in ["s3://bucket/models", "file:///srv/weights", "https://host.example/w/"] {
        let destination: Destination = destination.parse().unwrap();
        let public_url = Some("https://cdn.example/model.bin".parse().unwrap());
        let options = StoreOptions { public_url, ..StoreOptions::default() };
        let refused = Store::open(&destination, &options, &credentials(), &storage());
        let text = refused.err().unwrap().to_string();
        assert!(text.contains("--public-url must be a folder"), "{text}");
    }
}

async fn upload(
    store: &Store,
    name: &ObjectName,
    weights: &Weights,
    saved: &Saved,
) -> Result<Uploaded, Error> {
    let record = saved.last();
    store.upload(name, weights.source(), record, &SMALL_PARTS, saved.journal(), |_| {}).await
}

#[tokio::test]
async fn a_file_is_read_once_and_arrives_encrypted() {
    let weights = Weights::new(23 * MIB + 17);
    let server = S3::start(&weights.path("s3")).await;
    let store = s3_store(&server, &credentials());
    let name = ObjectName::random().unwrap();
    let saved = Saved::default();
    let mut heard = Vec::new();
    let done = store
        .upload(&name, weights.source(), None, &SMALL_PARTS, saved.journal(), |now| heard.push(now))
        .await
        .unwrap();

    let length = weights.plain.len() as u64;
    assert_eq!((done.length, done.digest), (length, hash(&weights.sealed)));
    assert_eq!(done.read, length);
    // The bodies, and a few requests beside them that are not counted.
    assert_eq!(done.sent, length);
    assert_eq!(server.parts().len(), 5);
    let stored = weights.path("s3").join(BUCKET).join("models").join(name.to_string());
    assert!(std::fs::read(stored).unwrap() == weights.sealed);
    assert_eq!(store.length(&name).await.unwrap(), Some(length));

    let last = heard.last().unwrap();
    assert_eq!((last.total, last.read, last.confirmed), (length, length, length));
    assert!(heard.iter().all(|now| now.confirmed <= now.sent && now.sent <= now.read));
    assert!(heard.is_sorted_by_key(|now| now.confirmed));

    let url = store.public_url(&name);
    let probe = storage().check(&url, Some(length)).await.unwrap();
    assert!(probe.accepts_ranges);
    store.delete(&name).await.unwrap();
    assert_eq!(store.length(&name).await.unwrap(), None);
}

/// Stops after every possible number of saved records, and goes on with another
/// process's means: a record read from text, a store opened anew.
#[tokio::test]
async fn an_interrupted_upload_goes_on_and_ends_with_the_same_bytes() {
    let weights = Weights::new(23 * MIB + 17);
    let server = S3::start(&weights.path("s3")).await;
    let mut resumed = 0;
    for stop in 1..12 {
        let name = ObjectName::random().unwrap();
        let saved = Saved::default();
        let store = s3_store(&server, &credentials());
        let journal = saved.journal_failing_after(stop);
        match store.upload(&name, weights.source(), None, &SMALL_PARTS, journal, |_| {}).await {
            Ok(_) => break,
            Err(error) => assert!(matches!(error, Error::Journal { .. }), "{error}"),
        }
        let record = saved.last().unwrap();
        let confirmed = record.confirmed();

        let store = s3_store(&server, &credentials());
        let done = upload(&store, &name, &weights, &saved).await.unwrap();
        assert_eq!(done.digest, hash(&weights.sealed), "stopped after {stop}");
        let length = weights.plain.len() as u64;
        // What was confirmed and saved is neither read nor sent again, except
        // for the one part that shows that the file is the same.
        assert_eq!(done.sent, length - confirmed);
        assert!(done.read <= length - confirmed + 5 * MIB as u64);
        let stored = weights.path("s3").join(BUCKET).join("models").join(name.to_string());
        assert!(std::fs::read(stored).unwrap() == weights.sealed);
        resumed += 1;
    }
    assert!(resumed >= 2, "{resumed}");
}

#[tokio::test]
async fn a_finished_upload_is_recognised() {
    let weights = Weights::new(12 * MIB);
    let server = S3::start(&weights.path("s3")).await;
    let (name, saved) = (ObjectName::random().unwrap(), Saved::default());
    upload(&s3_store(&server, &credentials()), &name, &weights, &saved).await.unwrap();
    assert!(saved.last().unwrap().is_complete());
    let parts = server.parts().len();
    // As if the process had died before it could take note of the end.
    let done = upload(&s3_store(&server, &credentials()), &name, &weights, &saved).await.unwrap();
    assert_eq!((done.digest, done.sent), (hash(&weights.sealed), 0));
    assert_eq!(server.parts().len(), parts);
}

#[tokio::test]
async fn a_file_that_changed_meanwhile_is_refused() {
    let weights = Weights::new(12 * MIB);
    let server = S3::start(&weights.path("s3")).await;
    let store = s3_store(&server, &credentials());
    let (name, saved) = (ObjectName::random().unwrap(), Saved::default());
    let journal = saved.journal_failing_after(2);
    store
        .upload(&name, weights.source(), None, &SMALL_PARTS, journal, |_| {})
        .await
        .expect_err("the disk is full");
    let refused = async |what: &str| {
        let error = upload(&store, &name, &weights, &saved).await.unwrap_err();
        assert!(matches!(error, Error::SourceChanged { .. }), "{error}");
        assert!(error.to_string().contains(what), "{error}");
    };
    let plain = weights.path("plain");
    let modified = std::fs::metadata(&plain).unwrap().modified().unwrap();
    let restore_time = |path: &Path| {
        std::fs::File::options().write(true).open(path).unwrap().set_modified(modified).unwrap();
    };
    std::fs::write(&plain, &weights.plain[1..]).unwrap();
    refused("size").await;
    std::fs::write(&plain, &weights.plain).unwrap();
    let later = modified + std::time::Duration::from_secs(1);
    std::fs::File::options().write(true).open(&plain).unwrap().set_modified(later).unwrap();
    refused("modification time").await;
    let mut other = weights.plain.clone();
    other.iter_mut().for_each(|byte| *byte ^= 1);
    std::fs::write(&plain, other).unwrap();
    restore_time(&plain);
    refused("content").await;
    // The right file goes on.
    std::fs::write(&plain, &weights.plain).unwrap();
    restore_time(&plain);
    let done = upload(&store, &name, &weights, &saved).await.unwrap();
    assert_eq!(done.digest, hash(&weights.sealed));
}

#[tokio::test]
async fn wrong_credentials_are_told_and_right_ones_go_on() {
    let weights = Weights::new(MIB);
    let server = S3::start(&weights.path("s3")).await;
    let (name, saved) = (ObjectName::random().unwrap(), Saved::default());
    let wrong = s3_store(
        &server,
        &[VARIABLES[0], ("AWS_SECRET_ACCESS_KEY", "hush-hush")].into_iter().collect(),
    );
    let error = upload(&wrong, &name, &weights, &saved).await.unwrap_err();
    assert!(matches!(error, Error::Status { status: 403, .. }), "{error}");
    let text = format!("{error} {error:?}");
    assert!(text.contains("SignatureDoesNotMatch") && !text.contains("hush"), "{text}");
    let right = s3_store(&server, &credentials());
    assert_eq!(upload(&right, &name, &weights, &saved).await.unwrap().length, MIB as u64);
}

#[tokio::test]
async fn a_directory_takes_parts_and_resumes() {
    let weights = Weights::new(12 * MIB + 1);
    let served = weights.path("served");
    let (name, saved) = (ObjectName::random().unwrap(), Saved::default());
    let store = directory_store(&served);
    assert_eq!(store.public_url(&name).as_str(), format!("https://cdn.example/w/{name}"));
    let journal = saved.journal_failing_after(2);
    store
        .upload(&name, weights.source(), None, &SMALL_PARTS, journal, |_| {})
        .await
        .expect_err("the disk is full");
    assert_eq!(store.length(&name).await.unwrap(), None);
    let done = upload(&directory_store(&served), &name, &weights, &saved).await.unwrap();
    assert_eq!(done.digest, hash(&weights.sealed));
    assert!(std::fs::read(served.join(name.to_string())).unwrap() == weights.sealed);
    let names: Vec<_> = std::fs::read_dir(&served).unwrap().collect();
    assert_eq!(names.len(), 1);
}

#[tokio::test]
async fn an_upload_that_the_store_has_forgotten_begins_again() {
    let weights = Weights::new(12 * MIB + 1);
    let served = weights.path("served");
    let (name, saved) = (ObjectName::random().unwrap(), Saved::default());
    let store = directory_store(&served);
    let journal = saved.journal_failing_after(2);
    store
        .upload(&name, weights.source(), None, &SMALL_PARTS, journal, |_| {})
        .await
        .expect_err("the disk is full");
    std::fs::remove_dir_all(&served).unwrap();
    // What the store has forgotten may have been seen all the same.
    let plain = weights.path("plain");
    let modified = std::fs::metadata(&plain).unwrap().modified().unwrap();
    let write = |bytes: &[u8]| {
        std::fs::write(&plain, bytes).unwrap();
        let file = std::fs::File::options().write(true).open(&plain).unwrap();
        file.set_modified(modified).unwrap();
    };
    write(&[&[1], &weights.plain[1..]].concat());
    let error = upload(&store, &name, &weights, &saved).await.unwrap_err();
    assert!(matches!(error, Error::SourceChanged { what: "content", .. }), "{error:?}");
    assert_eq!(store.length(&name).await.unwrap(), None);
    write(&weights.plain);
    let done = upload(&store, &name, &weights, &saved).await.unwrap();
    assert_eq!(done.digest, hash(&weights.sealed));
    assert!(std::fs::read(served.join(name.to_string())).unwrap() == weights.sealed);
}

#[tokio::test]
async fn small_files_are_one_part() {
    for length in [0, 1, 1000] {
        let weights = Weights::new(length);
        let server = S3::start(&weights.path("s3")).await;
        let store = s3_store(&server, &credentials());
        let (name, saved) = (ObjectName::random().unwrap(), Saved::default());
        let done = upload(&store, &name, &weights, &saved).await.unwrap();
        assert_eq!((done.length, done.digest), (length as u64, hash(&weights.sealed)));
        assert_eq!(server.parts().len(), 1);
    }
}

/// Two seconds' worth of bytes at this rate cannot go in less than one.
#[tokio::test]
async fn a_rate_is_kept() {
    let weights = Weights::new(2 * MIB);
    let server = S3::start(&weights.path("s3")).await;
    let destination = format!("s3://{BUCKET}").parse().unwrap();
    let limit_rate = std::num::NonZeroU64::new(MIB as u64);
    let options = StoreOptions { limit_rate, ..options(&server) };
    let store = Store::open(&destination, &options, &credentials(), &storage()).unwrap();
    let start = std::time::Instant::now();
    let (name, saved) = (ObjectName::random().unwrap(), Saved::default());
    upload(&store, &name, &weights, &saved).await.unwrap();
    assert!(start.elapsed() > std::time::Duration::from_secs(1));
}
