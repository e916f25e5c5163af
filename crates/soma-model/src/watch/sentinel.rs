//! Looking at revealed weights where validators fetch them.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};

use soma_crypto::{Cipher, Key};
use soma_proto::system_state::ModelStatus;
use soma_proto::{DecryptionKey, ModelWeightsManifest};
use soma_storage::Storage;

use crate::prepare::modified;
use crate::state::Round;
use crate::{Check, Depth, Finding, Measured, Report, Standing, State, remote};

/// Parts that are fetched and compared in one look.
const SAMPLES: u64 = 4;
/// Bytes of such a part.
const SAMPLE: u64 = 64 << 10;

/// The weights that validators fetch, and what they can be compared with.
#[derive(Clone, Debug)]
pub(super) struct Served {
    manifest: ModelWeightsManifest,
    /// The encrypted file on this machine, and when it was written, if that is known.
    sealed: Option<(PathBuf, Option<u64>)>,
    /// The plain file, and when it was last written before it was encrypted.
    plain: Option<(PathBuf, u64)>,
}

impl Served {
    /// What validators fetch of a model: nothing unless it is active.
    pub(super) fn new(state: &State, standing: &Standing) -> Option<Self> {
        let manifest = standing.model.weights_manifest.clone();
        let manifest = manifest.filter(|_| standing.status == ModelStatus::Active)?;
        let checksum = manifest.manifest.checksum();
        let round =
            state.update.iter().chain([&state.registration]).find(|round| {
                round.sealed.is_some_and(|sealed| checksum == sealed.commitment.into())
            });
        // If nobody knows when, later weights may have been encrypted into the same file.
        let later = |round: &Round| {
            let update = state.update.as_ref().filter(|update| *update != round);
            round.sealed_modified.is_none()
                && update.is_some_and(|update| update.sealed_file == round.sealed_file)
        };
        Some(Self {
            manifest,
            sealed: round
                .filter(|round| !later(round))
                .map(|round| (round.sealed_file.clone(), round.sealed_modified)),
            plain: round
                .and_then(|round| Some((round.weights_file.clone(), round.plain_modified()?))),
        })
    }

    /// Looks at the file as a validator would: it is there, in its length, in
    /// parts, opens with the published key; and parts from places that chance
    /// chooses are those of the file on this machine. `chance` gives numbers
    /// in 0 to 1.
    pub(super) async fn inspect(&self, storage: &Storage, chance: impl Fn(u64) -> f64) -> Report {
        let manifest = &self.manifest.manifest;
        let url = manifest.url().as_url();
        let size = manifest.size();
        let weights = Measured { commitment: manifest.checksum().into(), size };
        let key = &self.manifest.decryption_key;
        let mut report = remote::check_committed(storage, url, &weights, key, Depth::Header).await;
        if !report.is_ok() {
            return report;
        }
        for sample in 0..SAMPLES {
            let range = place(size, chance(sample));
            let Some((path, expected)) = self.expected(&range) else { break };
            match storage.fetch_range(url, range.clone()).await {
                Ok(found) if found == expected => {}
                Ok(_) => report.push(
                    Finding::error(
                        Check::Host,
                        format!(
                            "bytes {} to {} at the URL are not those of {}",
                            range.start,
                            range.end,
                            path.display()
                        ),
                    )
                    .with_remedy("upload the encrypted file again, under the same URL"),
                ),
                Err(error) => report.push(Finding::error(Check::Host, error.to_string())),
            }
        }
        report
    }

    /// Whether there is a file on this machine to compare with.
    pub(super) fn is_comparable(&self) -> bool {
        let last = self.manifest.manifest.size();
        self.expected(&(last.saturating_sub(1)..last)).is_some()
    }

    /// The ciphertext in a range, from the encrypted file, else from the plain
    /// one; nothing if neither is there any more, as it was. Other weights in their
    /// place say nothing of what is served.
    fn expected(&self, range: &Range<u64>) -> Option<(&Path, Vec<u8>)> {
        let size = self.manifest.manifest.size();
        if let Some((path, written)) = &self.sealed
            && let Ok(bytes) = read(path, size, *written, range)
        {
            return Some((path, bytes));
        }
        let (path, written) = self.plain.as_ref()?;
        let mut bytes = read(path, size, Some(*written), range).ok()?;
        cipher(&self.manifest.decryption_key).apply(range.start, &mut bytes).ok()?;
        Some((path, bytes))
    }
}

fn cipher(key: &DecryptionKey) -> Cipher {
    Cipher::new(&Key::from_bytes(*key.as_bytes()))
}

/// A part of the file.
fn place(size: u64, chance: f64) -> Range<u64> {
    let last = size.saturating_sub(SAMPLE);
    let start = ((last as f64 * chance) as u64).min(last);
    start..size.min(start + SAMPLE)
}

/// A part of a file of this size that was last written at this time.
fn read(path: &Path, size: u64, written: Option<u64>, range: &Range<u64>) -> io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(range.start))?;
    let mut bytes = Vec::new();
    (&file).take(range.end - range.start).read_to_end(&mut bytes)?;
    // Asked afterwards: it may be written over just now.
    let metadata = file.metadata()?;
    let same_time = written.is_none_or(|written| modified(&metadata) == Some(written));
    match metadata.len() == size && same_time {
        true => Ok(bytes),
        false => Err(io::ErrorKind::InvalidData.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_lie_within_the_file() {
        for size in [1, SAMPLE - 1, SAMPLE, SAMPLE + 1, 5 << 30] {
            for chance in [0.0, 0.3, 0.999_999_999, 1.0] {
                let range = place(size, chance);
                assert!(!range.is_empty() && range.end <= size, "{size} {chance}: {range:?}");
            }
        }
        assert_eq!(place(5 << 30, 1.0).end, 5 << 30, "the end is looked at too");
    }
}
