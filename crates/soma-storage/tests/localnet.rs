//! Storage and the local network's file host.

use soma_crypto::{Cipher, Key, hash};
use soma_localnet::{FileHost, Uploads};
use soma_storage::{AddressPolicy, Error, Expected, Storage};

#[tokio::test]
async fn there_and_back() {
    let directory = tempfile::tempdir().unwrap();
    let place = |name: &str| directory.path().join(name);
    let host = FileHost::start(&place("served"), ([127, 0, 0, 1], 0).into(), Uploads::Allowed)
        .await
        .unwrap();
    let url = format!("{}/a/b/weights.enc", host.url()).parse().unwrap();

    let key = Key::from_bytes([6; 32]);
    let plain: Vec<u8> = (0..9_000_001_u32).map(|i| (i % 251) as u8).collect();
    let mut sealed = plain.clone();
    Cipher::new(&key).apply(0, &mut sealed).unwrap();
    std::fs::write(place("sealed"), &sealed).unwrap();

    let storage = Storage::new(AddressPolicy::Any).unwrap();
    let error = storage.check(&url, None).await.unwrap_err();
    assert!(matches!(error, Error::Status { status: 404, .. }), "{error}");
    let sent = storage.put_file(&url, &place("sealed"), |_| {}).await.unwrap();
    assert_eq!(sent.digest, hash(&sealed));
    let probe = storage.check(&url, Some(9_000_001)).await.unwrap();
    assert!(probe.etag.is_some());
    assert_eq!(storage.fetch_range(&url, 8_999_999..9_000_001).await.unwrap(), sealed[8_999_999..]);

    let expected = Expected { size: sent.length, digest: sent.digest };
    storage.download(&url, &place("copy"), &expected, |_| {}).await.unwrap();
    assert_eq!(std::fs::read(place("copy")).unwrap(), sealed);
    // What an earlier run left of the plain text is taken up.
    std::fs::write(place(".opened.plain.part"), &plain[..4_000_003]).unwrap();
    let done =
        storage.download_decrypted(&url, &place("opened"), &expected, &key, |_| {}).await.unwrap();
    assert_eq!(done.resumed_at, 4_000_003);
    assert_eq!(std::fs::read(place("opened")).unwrap(), plain);
    host.stop().await;
}

#[tokio::test]
async fn a_host_that_takes_no_uploads() {
    let directory = tempfile::tempdir().unwrap();
    let host = FileHost::start(directory.path(), ([127, 0, 0, 1], 0).into(), Uploads::Refused)
        .await
        .unwrap();
    let source = directory.path().join("source");
    std::fs::write(&source, b"bytes").unwrap();
    let url = format!("{}/x", host.url()).parse().unwrap();
    let error = Storage::new(AddressPolicy::Any)
        .unwrap()
        .put_file(&url, &source, |_| {})
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Status { status: 405, .. }), "{error}");
    host.stop().await;
}
