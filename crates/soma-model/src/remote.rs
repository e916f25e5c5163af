//! Looking at the encrypted weights where others will fetch them.

use futures::StreamExt as _;
use soma_crypto::{Blake2b256, Cipher, Key, safetensors};
use soma_proto::{Commitment, DecryptionKey};
use soma_storage::{Error, Storage, Url, redacted};

use crate::{Check, Finding, Measured, Report, Result};

/// Bytes of the first look: enough for most headers.
const FIRST_LOOK: u64 = 64 << 10;
/// Bytes of a part when the whole file is hashed.
const PART: u64 = 8 << 20;
/// Parts that are fetched at the same time.
const PARTS_AHEAD: usize = 3;
/// Bytes of the length field in front of a safetensors header.
const LENGTH_FIELD: u64 = 8;

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

/// Looks at the weights as a validator would, and opens their beginning with
/// the key that is about to be published.
pub async fn check(
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
    let probe = match storage.probe(url).await {
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
    if let Some(found) = probe.length.filter(|found| *found != weights.size) {
        let expected = weights.size;
        report.push(of_host(&Error::WrongLength { url: shown.clone(), expected, found }));
    }
    if let Some(reason) = probe.range_problem {
        report.push(of_host(&Error::NoRanges { url: shown, reason }));
    }
    if !report.is_ok() {
        // Parts of it cannot be had, or are parts of another file.
        return report;
    }
    if let Some(key) = key {
        match header(storage, url, weights.size, key).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => report.push(
                Finding::error(
                    Check::Key,
                    format!("the key does not open the file at the URL as safetensors: {error}"),
                )
                .with_remedy("give the key that encrypted this file"),
            ),
            Err(error) => report.push(of_host(&error)),
        }
    }
    if depth == Depth::Everything {
        match hash(storage, url, weights.size).await {
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

/// Hashes what the URL serves, part by part and some parts ahead; nothing is
/// stored.
///
/// # Errors
/// [`Error`].
pub async fn hash(storage: &Storage, url: &Url, size: u64) -> Result<Commitment, Error> {
    let parts = (0..size.div_ceil(PART)).map(|part| {
        let start = part * PART;
        storage.fetch_range(url, start..size.min(start + PART))
    });
    let mut parts = futures::stream::iter(parts).buffered(PARTS_AHEAD);
    let mut hasher = Blake2b256::new();
    while let Some(bytes) = parts.next().await {
        hasher.update(&bytes?);
    }
    Ok(Commitment::new(hasher.finalize().into_inner()))
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
        if end.is_some_and(|end| end <= size) && header(storage, url, size, key).await?.is_ok() {
            return Ok(Some(place));
        }
    }
    Ok(None)
}

/// Fetches the header and reads it with the key.
async fn header(
    storage: &Storage,
    url: &Url,
    size: u64,
    key: &DecryptionKey,
) -> Result<Result<safetensors::Header, safetensors::HeaderError>, Error> {
    let key = Key::from_bytes(*key.as_bytes());
    let mut start = storage.fetch_range(url, 0..size.min(FIRST_LOOK)).await?.to_vec();
    let wanted = header_end(&start, &key).filter(|end| {
        // A length that cannot be is left to the parser to complain about.
        *end <= size && *end <= LENGTH_FIELD + safetensors::LONGEST_HEADER
    });
    if let Some(end) = wanted.filter(|end| *end > start.len() as u64) {
        start.extend(storage.fetch_range(url, start.len() as u64..end).await?);
    }
    Ok(safetensors::inspect_sealed(&start[..], size, &key))
}

/// Where the header ends by its own account.
fn header_end(ciphertext: &[u8], key: &Key) -> Option<u64> {
    let mut length = *ciphertext.first_chunk::<{ LENGTH_FIELD as usize }>()?;
    Cipher::new(key).apply(0, &mut length).ok()?;
    u64::from_le_bytes(length).checked_add(LENGTH_FIELD)
}

fn of_host(error: &Error) -> Finding {
    let finding = Finding::error(Check::Host, error.to_string());
    match error.hint() {
        Some(hint) => finding.with_remedy(hint),
        None => finding,
    }
}
