//! Looking at the encrypted weights where others will fetch them.

use std::io::Read as _;
use std::num::NonZeroU64;
use std::time::Duration;

use futures::StreamExt as _;
use soma_crypto::{Blake2b256, Cipher, Key, safetensors};
use soma_proto::{Commitment, DecryptionKey};
use soma_storage::{Error, Storage, Url, redacted};
use tokio::sync::Semaphore;

use crate::hashing::Hashing;
use crate::{Check, Finding, Measured, Report, Result};

/// Bytes of the first look: enough for most headers.
const FIRST_LOOK: u64 = 64 << 10;
/// Bytes of a part when the whole file is hashed.
const PART: u64 = 4 << 20;
/// Parts that are fetched at the same time.
const PARTS_AHEAD: usize = 4;
/// Bytes of the length field in front of a safetensors header.
const LENGTH_FIELD: u64 = 8;

/// Mebibytes of headers that are in memory at the same time, however many
/// files are looked at; the longest header there may be fits.
const HEADERS: u32 = 128;
static ROOM_FOR_HEADERS: Semaphore = Semaphore::const_new(HEADERS as usize);
/// Characters of a stranger's text that are repeated.
const LONGEST_TEXT: usize = 500;

/// How much is fetched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "nothing, a little, or everything")]
pub enum Depth {
    /// Nothing.
    Nothing,
    /// Status, length, a part of the file, and its header.
    #[default]
    Header,
    /// The whole file too, to hash it.
    Everything,
}

/// How patient a look is, and who hashes for it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Look {
    /// How long any step may take, and the rate at which the bytes that it
    /// fetches have to come; no end, if it is absent.
    pub(crate) patience: Option<(Duration, NonZeroU64)>,
    /// Hashes the parts of several files side by side.
    pub(crate) hashing: Option<Hashing>,
    /// The weights are committed to: what may be in order must not stop their reveal.
    pub(crate) committed: bool,
}

impl Look {
    /// Waits for a step that fetches so many bytes.
    async fn wait<T>(
        &self,
        url: &Url,
        bytes: u64,
        step: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let Some((grace, rate)) = self.patience else { return step.await };
        let allowed = grace.saturating_add(Duration::from_secs(bytes / rate));
        match tokio::time::timeout(allowed, step).await {
            Ok(done) => done,
            Err(_) => Err(Error::Timeout { method: "GET", url: redacted(url), at: 0 }),
        }
    }
}

/// Looks at the weights as a validator would, and opens their beginning with
/// the key that is about to be published.
pub async fn check(
    storage: &Storage,
    url: &Url,
    weights: &Measured,
    key: Option<&DecryptionKey>,
    depth: Depth,
) -> Report {
    Look::default().check(storage, url, weights, key, depth).await
}

/// [`check`], of weights that are committed to.
pub(crate) async fn check_committed(
    storage: &Storage,
    url: &Url,
    weights: &Measured,
    key: &DecryptionKey,
    depth: Depth,
) -> Report {
    let look = Look { committed: true, ..Look::default() };
    look.check(storage, url, weights, Some(key), depth).await
}

impl Look {
    /// As [`check`].
    pub(crate) async fn check(
        &self,
        storage: &Storage,
        url: &Url,
        weights: &Measured,
        key: Option<&DecryptionKey>,
        depth: Depth,
    ) -> Report {
        let mut report = Report::default();
        if depth == Depth::Nothing {
            return report;
        }
        let probe = match self.wait(url, 0, storage.probe(url)).await {
            Ok(probe) => probe,
            Err(error) => {
                report.push(of_host(&error));
                return report;
            }
        };
        let (method, shown) = ("GET", redacted(url));
        if let Some(location) = probe.redirects_to {
            let status = probe.status;
            report.push(of_host(&Error::Redirect { method, url: shown, status, location }));
            return report;
        }
        if probe.status != 200 {
            let (status, body) = (probe.status, String::new());
            let error = Error::Status { method, url: shown, status, retry_after: None, body };
            report.push(of_host(&error));
            return report;
        }
        match probe.length {
            Some(found) if found == weights.size => {}
            Some(found) => {
                let expected = weights.size;
                report.push(of_host(&Error::WrongLength { url: shown.clone(), expected, found }));
            }
            // The whole file will show it, if nothing follows.
            None if depth == Depth::Everything && self.ends(storage, url, weights.size).await => {}
            None => {
                let text = format!("{shown} does not tell how long it is");
                let finding = match self.committed {
                    true => Finding::warning(Check::Host, text),
                    false => Finding::error(Check::Host, text),
                };
                report
                    .push(finding.with_remedy("choose a host that answers with a Content-Length"));
            }
        }
        if let Some(reason) = probe.range_problem {
            report.push(of_host(&Error::NoRanges { url: shown, reason }));
        }
        if !report.is_ok() {
            // Parts of it cannot be had, or are parts of another file.
            return report;
        }
        if let Some(key) = key {
            match self.header(storage, url, weights.size, key).await {
                Ok(Ok(_)) => {}
                Ok(Err(error)) => report.push(
                    Finding::error(
                        Check::Key,
                        format!(
                            "the key does not open the file at the URL as safetensors: {}",
                            tame(&error.to_string())
                        ),
                    )
                    .with_remedy("give the key that encrypted this file"),
                ),
                Err(error) => report.push(of_host(&error)),
            }
        }
        if depth == Depth::Everything {
            let hashed = self.hash(storage, url, weights.size);
            match self.wait(url, weights.size, hashed).await {
                Ok(found) if found == weights.commitment => {}
                Ok(found) => report.push(
                    Finding::error(
                        Check::Host,
                        format!(
                            "the file at the URL hashes to {}, the checksum is {}",
                            found.to_hex(),
                            weights.commitment.to_hex()
                        ),
                    )
                    .with_remedy("upload the encrypted file again"),
                ),
                Err(error) => report.push(of_host(&error)),
            }
        }
        report
    }

    /// Whether the host says that there is nothing behind so many bytes.
    async fn ends(&self, storage: &Storage, url: &Url, size: u64) -> bool {
        let next = storage.fetch_range(url, size..size.saturating_add(1));
        matches!(self.wait(url, 1, next).await, Err(Error::Status { status: 416, .. }))
    }

    async fn hash(&self, storage: &Storage, url: &Url, size: u64) -> Result<Commitment, Error> {
        let parts = (0..size.div_ceil(PART)).map(|part| {
            let start = part * PART;
            let fetch = storage.fetch_range(url, start..size.min(start + PART));
            // All that are fetched meanwhile share the line.
            self.wait(url, PART * PARTS_AHEAD as u64, fetch)
        });
        let mut parts = futures::stream::iter(parts).buffered(PARTS_AHEAD);
        let mut hasher = Blake2b256::new();
        while let Some(bytes) = parts.next().await {
            match &self.hashing {
                Some(hashing) => hasher = hashing.update(hasher, bytes?).await,
                None => hasher.update(&bytes?),
            }
        }
        Ok(Commitment::new(hasher.finalize().into_inner()))
    }

    /// Fetches the header and reads it with the key.
    async fn header(
        &self,
        storage: &Storage,
        url: &Url,
        size: u64,
        key: &DecryptionKey,
    ) -> Result<Result<safetensors::Header, safetensors::HeaderError>, Error> {
        let key = Key::from_bytes(*key.as_bytes());
        let first = storage.fetch_range(url, 0..size.min(FIRST_LOOK));
        let start = self.wait(url, FIRST_LOOK, first).await?;
        let wanted = header_end(&start, &key).filter(|end| {
            // A length that cannot be is left to the parser to complain about.
            *end <= size && *end <= LENGTH_FIELD + safetensors::LONGEST_HEADER
        });
        let Some(end) = wanted.filter(|end| *end > start.len() as u64) else {
            return Ok(safetensors::inspect_sealed(&start[..], size, &key));
        };
        let mebibytes = u32::try_from(end.div_ceil(1 << 20)).unwrap_or(HEADERS).min(HEADERS);
        // Nobody closes it, and without it there would only be more memory in use.
        let _room = ROOM_FOR_HEADERS.acquire_many(mebibytes).await;
        let rest = storage.fetch_range(url, start.len() as u64..end);
        let rest = self.wait(url, end, rest).await?;
        Ok(safetensors::inspect_sealed((&start[..]).chain(&rest[..]), size, &key))
    }
}

/// Hashes what the URL serves, part by part and some parts ahead; nothing is
/// stored.
///
/// # Errors
/// [`Error`].
pub async fn hash(storage: &Storage, url: &Url, size: u64) -> Result<Commitment, Error> {
    Look::default().hash(storage, url, size).await
}

/// Which of `keys` opens the file at `url`: its place among them.
///
/// # Errors
/// [`Error`].
pub(crate) async fn which_opens(
    storage: &Storage,
    url: &Url,
    size: u64,
    keys: &[DecryptionKey],
) -> Result<Option<usize>, Error> {
    let start = storage.fetch_range(url, 0..size.min(LENGTH_FIELD)).await?;
    for (place, key) in keys.iter().enumerate() {
        // Under another key the length is hardly ever one that can be.
        let end = header_end(&start, &Key::from_bytes(*key.as_bytes()));
        if end.is_some_and(|end| end <= size)
            && Look::default().header(storage, url, size, key).await?.is_ok()
        {
            return Ok(Some(place));
        }
    }
    Ok(None)
}

/// Where the header ends by its own account.
fn header_end(ciphertext: &[u8], key: &Key) -> Option<u64> {
    let mut length = *ciphertext.first_chunk::<{ LENGTH_FIELD as usize }>()?;
    Cipher::new(key).apply(0, &mut length).ok()?;
    u64::from_le_bytes(length).checked_add(LENGTH_FIELD)
}

fn of_host(error: &Error) -> Finding {
    let finding = Finding::error(Check::Host, tame(&error.to_string()));
    match error.hint() {
        Some(hint) => finding.with_remedy(hint),
        None => finding,
    }
}

/// A stranger's text on one line of bearable length: without characters that
/// steer terminals or turn the direction of writing.
fn tame(text: &str) -> String {
    let steers = |c: char| {
        c.is_control()
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    let mut tamed: String =
        text.chars().take(LONGEST_TEXT).map(|c| if steers(c) { ' ' } else { c }).collect();
    if text.chars().nth(LONGEST_TEXT).is_some() {
        tamed.push_str("...");
    }
    tamed
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, BufReader, Write as _};
    use std::net::TcpListener;
    use std::sync::{Arc, Mutex};

    use soma_storage::AddressPolicy;

    use super::*;

    /// A file whose own deadline would be a day away.
    const SIZE: u64 = 1 << 40;
    const RATE: NonZeroU64 = NonZeroU64::new(16 << 20).unwrap();

    /// A host that says what a validator wants to hear and then sends a byte now
    /// and then; and the ranges that it was asked for.
    fn dripping_host() -> (Url, Arc<Mutex<Vec<String>>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/w", listener.local_addr().unwrap()).parse().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&asked);
        std::thread::spawn(move || {
            for mut stream in listener.incoming().map_while(Result::ok) {
                let heard = Arc::clone(&heard);
                std::thread::spawn(move || {
                    let lines = BufReader::new(stream.try_clone().unwrap()).lines();
                    let request = lines.map_while(Result::ok).take_while(|line| !line.is_empty());
                    let request: Vec<_> = request.map(|line| line.to_lowercase()).collect();
                    let range = request.iter().find_map(|line| line.strip_prefix("range: bytes="));
                    let answer = match range {
                        Some(range) => {
                            heard.lock().unwrap().push(range.to_owned());
                            let (first, last) = range.split_once('-').unwrap();
                            let [first, last]: [u64; 2] = [first, last].map(|n| n.parse().unwrap());
                            format!(
                                "206 Partial Content\r\nContent-Length: {}\r\n\
                                 Content-Range: bytes {range}/{SIZE}",
                                last - first + 1
                            )
                        }
                        None => format!("200 OK\r\nContent-Length: {SIZE}"),
                    };
                    let answer = format!("HTTP/1.1 {answer}\r\nConnection: close\r\n\r\n");
                    let mut sent = stream.write_all(answer.as_bytes());
                    while sent.is_ok() && range.is_some() {
                        std::thread::sleep(Duration::from_millis(20));
                        sent = stream.write_all(b"x");
                    }
                });
            }
        });
        (url, asked)
    }

    /// What a look says, and the ranges that it asked for, in the order they came.
    fn look(key: Option<&DecryptionKey>, depth: Depth) -> (Vec<String>, Vec<String>) {
        let (url, asked) = dripping_host();
        let storage = Storage::new(AddressPolicy::Any).unwrap();
        let look = Look { patience: Some((Duration::from_secs(4), RATE)), ..Look::default() };
        let weights = Measured { commitment: Commitment::ZERO, size: SIZE };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let report = runtime.block_on(async {
            let look = look.check(&storage, &url, &weights, key, depth);
            tokio::time::timeout(Duration::from_secs(120), look).await.unwrap()
        });
        let asked = asked.lock().unwrap().clone();
        (report.errors().map(|finding| finding.message.clone()).collect(), asked)
    }

    #[test]
    fn a_look_ends_although_something_moves() {
        let header = look(Some(&DecryptionKey::new([7; 32])), Depth::Header);
        assert_eq!(header.1.last().unwrap(), "0-65535");
        let everything = look(None, Depth::Everything);
        assert!(everything.1.iter().any(|range| range == "0-4194303"), "{:?}", everything.1);
        for (messages, _) in [header, everything] {
            assert!(messages.iter().all(|text| text.contains("too little came")), "{messages:?}");
            assert_eq!(messages.len(), 1);
        }
    }
}
