//! Uploads in one pass: read, encrypt, hash and send at the same time.

mod feed;
mod journal;
mod multipart;
mod record;
mod single;

use std::path::Path;
use std::sync::Arc;

use soma_crypto::{Digest, InputFile};
use url::Url;

use self::feed::BUFFERS_IN_FEED;
pub use self::feed::Source;
pub use self::journal::{Journal, JournalError};
pub use self::record::Record;
use self::single::Whole;
use crate::meter::Meter;
use crate::{Error, ObjectName, Result, Storage, Store};

/// S3 and those like it take no more parts.
const MOST_PARTS: u64 = 10_000;

/// S3 and those like it take no smaller parts, the last one excepted.
const SMALLEST_PART: u64 = 5 << 20;

/// The largest part that S3 and Google take.
const LARGEST_PART: u64 = 5 << 30;

/// Part sizes are rounded up to this.
const PART_STEP: u64 = 1 << 20;

/// Parts that wait for the connection where one PUT takes all of them: one is
/// put on record while another one is sent.
const PARTS_AHEAD: usize = 3;

/// Bytes read and hashed at a time where nothing is put on record.
const CHUNK: u64 = 1 << 20;

/// So many of these wait for the connection.
const CHUNKS_AHEAD: usize = 5;

/// How an upload uses memory and connections.
///
/// Buffers are [`UploadOptions::in_flight`] and two more, each of one part;
/// if that is more than [`UploadOptions::memory`], fewer parts are in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "a list of arguments with names")]
pub struct UploadOptions {
    /// Bytes in a part; chosen by the size of the file if it is not given.
    pub part_size: Option<u64>,
    /// Parts that are sent at the same time, at most.
    pub in_flight: usize,
    /// Bytes that all buffers together may take.
    pub memory: u64,
}

impl UploadOptions {
    /// 8 parts of 16 MiB in flight, within 160 MiB: enough for the line of a
    /// large machine, and the store's own pace sets the limit before that.
    pub const DEFAULT: Self = Self { part_size: None, in_flight: 8, memory: 192 << 20 };

    /// The part size where none is asked for and the file is not too large for it.
    pub const PART_SIZE: u64 = 16 << 20;

    /// Decides for a file of so many bytes.
    ///
    /// # Errors
    /// [`Error::PartSize`], [`Error::Memory`].
    fn layout(&self, length: u64, resumed: Option<u64>) -> Result<Layout> {
        let needed = length.div_ceil(MOST_PARTS).next_multiple_of(PART_STEP).max(SMALLEST_PART);
        let chosen = self.part_size.unwrap_or_else(|| needed.max(Self::PART_SIZE));
        let part_size = resumed.unwrap_or(chosen);
        if resumed.is_none() && !(needed..=LARGEST_PART).contains(&part_size) {
            return Err(Error::PartSize { found: part_size, least: needed, most: LARGEST_PART });
        }
        let buffer = part_size.min(length.max(1));
        let buffers = usize::try_from(self.memory / buffer).unwrap_or(usize::MAX);
        let in_flight = buffers.saturating_sub(BUFFERS_IN_FEED).min(self.in_flight.max(1));
        if in_flight == 0 {
            let least = buffer.saturating_mul(BUFFERS_IN_FEED as u64 + 1);
            return Err(Error::Memory { given: self.memory, least });
        }
        Ok(Layout { part_size, in_flight })
    }
}

impl Default for UploadOptions {
    fn default() -> Self {
        Self::DEFAULT
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Layout {
    part_size: u64,
    in_flight: usize,
}

/// How far an upload has come, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// Bytes of the file.
    pub total: u64,
    /// Bytes read from it by this run.
    pub read: u64,
    /// Bytes handed to connections by this run, repeated ones included.
    pub sent: u64,
    /// Bytes that the store has confirmed, in earlier runs too.
    pub confirmed: u64,
}

/// What arrived at the store.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Uploaded {
    /// Bytes of the object.
    pub length: u64,
    /// Blake2b-256 of the very bytes that were sent.
    pub digest: Digest,
    /// The store's word for this version, if it gave one.
    pub etag: Option<String>,
    /// Bytes that this run read from the source. Without repetition and in one
    /// run this is the length: each byte is read once.
    pub read: u64,
    /// Bytes that this run handed to connections.
    pub sent: u64,
}

impl Store {
    /// Uploads `source` as `name`, reading each byte of it once.
    ///
    /// The source is read through one handle, encrypted and hashed while its
    /// parts are under way; a part that fails is repeated by the policy of the
    /// [`Storage`]. The hash of a part goes through `journal` before the part is
    /// sent, and its arrival before it counts; after an interruption, the last
    /// record given to it continues the upload, with the very same bytes or
    /// not at all. `options` then only govern what was not decided before.
    ///
    /// # Errors
    /// [`Error::SourceChanged`] if a record is of another file, or the file
    /// changed underneath; [`Error::Journal`]; those of the store and of the
    /// connection. In all cases the last record saved stays good.
    pub async fn upload(
        &self,
        name: &ObjectName,
        source: Source,
        record: Option<Record>,
        options: &UploadOptions,
        journal: Journal,
        mut progress: impl FnMut(Progress) + Send,
    ) -> Result<Uploaded> {
        let source = Arc::new(source);
        let resumed = record.as_ref().map(Record::part_size);
        let layout = options.layout(source.length(), resumed)?;
        let Some(url) = self.put_url(name) else {
            return multipart::send(self, name, &source, record, layout, journal, &mut progress)
                .await;
        };
        let whole = Whole {
            storage: self.storage(),
            url: &url,
            source: &source,
            meter: self.meter(),
            ahead: layout.in_flight.min(PARTS_AHEAD),
        };
        let record = record.unwrap_or_else(|| Record::new(layout.part_size, &source.file));
        whole.put(record, Some(journal), &mut progress).await
    }
}

impl Storage {
    /// Sends a file with one PUT, streaming; memory does not grow with the file.
    ///
    /// `progress` hears of bytes handed to the connection, repeated ones
    /// included, and of the whole length at the end. A file that changes while
    /// it is sent is refused. A store takes at most what it takes in one
    /// request, often 5 GiB.
    ///
    /// # Errors
    /// [`Error::Source`] if the file cannot be read or changes,
    /// [`Error::Status`], [`Error::Redirect`], and those of the policy and of
    /// the connection.
    pub async fn put_file(
        &self,
        url: &Url,
        path: &Path,
        mut progress: impl FnMut(u64) + Send,
    ) -> Result<Uploaded> {
        let source = Arc::new(Source::plain(InputFile::open(path)?));
        let mut tell = |now: Progress| progress(now.sent.max(now.confirmed));
        let meter = Arc::new(Meter::default());
        let whole =
            Whole { storage: self, url, source: &source, meter: &meter, ahead: CHUNKS_AHEAD };
        whole.put(Record::new(CHUNK, &source.file), None, &mut tell).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn layout(options: UploadOptions, length: u64) -> (u64, usize) {
        let layout = options.layout(length, None).unwrap();
        (layout.part_size / MIB, layout.in_flight)
    }

    #[test]
    fn any_size_fits_the_parts_and_the_memory() {
        let default = UploadOptions::DEFAULT;
        assert_eq!(layout(default, 1), (16, 8));
        assert_eq!(layout(default, 50_000 * MIB), (16, 8));
        assert_eq!(layout(default, 300_000 * MIB), (30, 4));
        let large = UploadOptions { memory: 4 << 30, ..default };
        assert_eq!(layout(large, 5_000_000 * MIB), (500, 6));
        let small = UploadOptions { part_size: Some(8 * MIB), ..default };
        assert_eq!(layout(small, 1024 * MIB), (8, 8));
        for length in [16 * MIB, 160_000 * MIB, 160_000 * MIB + 1, 47_000_000 * MIB] {
            let part_size = large.layout(length, None).map(|layout| layout.part_size);
            let part_size = part_size.unwrap_or(length.div_ceil(MOST_PARTS));
            assert!(length.div_ceil(part_size) <= MOST_PARTS, "{length}");
        }
    }

    #[test]
    fn what_cannot_work_is_refused_with_the_bounds() {
        let with = |part_size, memory| UploadOptions { part_size, in_flight: 8, memory };
        let refused = |options: UploadOptions, length| options.layout(length, None).unwrap_err();
        let error = refused(with(Some(MIB), 192 * MIB), 100 * MIB);
        assert!(matches!(error, Error::PartSize { least, .. } if least == 5 * MIB), "{error}");
        let error = refused(with(Some(8 * MIB), 192 * MIB), 200_000 * MIB);
        assert!(matches!(error, Error::PartSize { least, .. } if least == 20 * MIB), "{error}");
        let error = refused(with(None, 40 * MIB), 100 * MIB);
        assert!(matches!(error, Error::Memory { least, .. } if least == 48 * MIB), "{error}");
    }
}
