//! A file from a URL: streamed, capped, verified, resumed.

use std::ffi::OsString;
use std::fs;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use futures::StreamExt as _;
use reqwest::{Method, StatusCode, header};
use soma_crypto::{Blake2b256, Cipher, Digest, Key};
use tokio::task::JoinSet;
use url::Url;

use crate::address::redacted;
use crate::client::{content_length, is_unsatisfiable, success};
use crate::probe::ContentRange;
use crate::retry::repeat;
use crate::{Error, Result, Storage, free_space};

/// Bytes gathered before they are hashed and written.
const BLOCK: usize = 1 << 20;

/// Bytes of a piece where several are fetched at the same time: enough to make
/// up for the way to the host and back, little enough to lose.
const PIECE: u64 = 4 << 20;

/// Pieces that are fetched at the same time, or wait for those before them.
const PIECES_AHEAD: usize = 4;

/// What the chain says about a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expected {
    /// Length of the ciphertext in bytes. Not a byte more is read.
    pub size: u64,
    /// Blake2b-256 of the ciphertext.
    pub digest: Digest,
}

impl Expected {
    /// The same, if it is not larger than so many bytes: whoever registers a model says
    /// what its size is.
    ///
    /// # Errors
    /// [`Error::TooLarge`].
    pub const fn within(self, largest: u64) -> Result<Self> {
        if self.size > largest {
            return Err(Error::TooLarge { size: self.size, largest });
        }
        Ok(self)
    }
}

/// What a download did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Downloaded {
    /// Bytes of the file.
    pub length: u64,
    /// Bytes that an earlier run had fetched already.
    pub resumed_at: u64,
}

impl Storage {
    /// Fetches the ciphertext at `url` to `dest`, replacing what is there.
    ///
    /// Four pieces of 4 MiB are fetched at the same time, if the host serves
    /// ranges, and hashed in their order. The bytes go to `.NAME.part` beside
    /// `dest` and get their name only once length and digest are right. If the
    /// download is cut short the part stays, and the next call fetches only what
    /// is missing. `progress` hears the number of bytes that are on disk.
    ///
    /// # Errors
    /// [`Error::NoRoom`] before anything is asked for; [`Error::WrongLength`] or
    /// [`Error::DigestMismatch`] if it is not the file expected (nothing is left then),
    /// [`Error::Busy`], [`Error::File`], and those of the policy and of the connection.
    pub async fn download(
        &self,
        url: &Url,
        dest: &Path,
        expected: &Expected,
        progress: impl FnMut(u64) + Send,
    ) -> Result<Downloaded> {
        self.download_with(url, dest, expected, None, progress).await
    }

    /// As [`Storage::download`], but `dest` gets the plain text: the
    /// ciphertext is hashed and decrypted on its way to the disk.
    ///
    /// # Errors
    /// As [`Storage::download`].
    pub async fn download_decrypted(
        &self,
        url: &Url,
        dest: &Path,
        expected: &Expected,
        key: &Key,
        progress: impl FnMut(u64) + Send,
    ) -> Result<Downloaded> {
        self.download_with(url, dest, expected, Some(Cipher::new(key)), progress).await
    }

    async fn download_with(
        &self,
        url: &Url,
        dest: &Path,
        expected: &Expected,
        cipher: Option<Cipher>,
        mut progress: impl FnMut(u64) + Send,
    ) -> Result<Downloaded> {
        self.policy().check(url)?;
        let mut part = Part::open(dest, cipher, expected.size)?;
        part.check_room(expected.size)?;
        let resumed_at = part.length;
        progress(part.length);
        let mut fresh = resumed_at == 0;
        loop {
            fresh |= self.fill(url, &mut part, expected.size, &mut progress).await?;
            let found = part.digest();
            if found == expected.digest {
                part.rename(dest)?;
                let resumed_at = if fresh { 0 } else { resumed_at };
                return Ok(Downloaded { length: expected.size, resumed_at });
            }
            if fresh {
                part.discard()?;
                return Err(Error::DigestMismatch {
                    url: redacted(url),
                    expected: expected.digest,
                    found,
                });
            }
            // What an earlier run left may be of another file: once more from the start.
            part.restart()?;
            fresh = true;
        }
    }

    /// Fetches until the part has `size` bytes; true if it began again at 0.
    async fn fill(
        &self,
        url: &Url,
        part: &mut Part,
        size: u64,
        progress: &mut (dyn FnMut(u64) + Send),
    ) -> Result<bool> {
        let mut restarted = false;
        let mut failed = 0;
        if size.saturating_sub(part.length) > PIECE {
            let fetched = self.fill_in_pieces(url, part, size, progress).await;
            part.flush()?;
            match fetched {
                Ok(()) => {}
                // Then in one stream, where the host may begin at the start again.
                Err(Error::NoRanges { .. } | Error::Status { status: 416, .. }) => {}
                Err(error @ Error::WrongLength { .. }) => {
                    part.discard()?;
                    return Err(error);
                }
                Err(error) => return Err(error),
            }
        }
        while part.length < size {
            let before = part.length;
            let result = self.fill_once(url, part, size, progress).await;
            part.flush()?;
            match result {
                Ok(Filled::Appended) => {}
                Ok(Filled::FromStart) => restarted = true,
                Ok(Filled::Restart) => {
                    part.restart()?;
                    // A host that refuses this part again and again gets no third chance.
                    if restarted {
                        return Err(Error::Truncated {
                            url: redacted(url),
                            expected: size,
                            found: before,
                        });
                    }
                    restarted = true;
                }
                Err(error @ Error::WrongLength { .. }) if before == 0 || part.length == 0 => {
                    part.discard()?;
                    return Err(error);
                }
                Err(error) => {
                    // What drips is no progress, however often it is asked for.
                    let enough = if matches!(error, Error::Timeout { .. }) { PIECE } else { 1 };
                    let came = part.length.saturating_sub(before);
                    failed = if came >= enough { 1 } else { failed + 1 };
                    match self.retry().pause(failed, &error, 0.5) {
                        Some(pause) => tokio::time::sleep(pause).await,
                        None => return Err(error),
                    }
                }
            }
        }
        Ok(restarted)
    }

    /// Fetches what is missing, several pieces at the same time.
    async fn fill_in_pieces(
        &self,
        url: &Url,
        part: &mut Part,
        size: u64,
        progress: &mut (dyn FnMut(u64) + Send),
    ) -> Result<()> {
        let count = (size - part.length).div_ceil(PIECE);
        let start = part.length;
        let pieces = (0..count).map(|piece| {
            let begin = start + piece * PIECE;
            let range = begin..size.min(begin + PIECE);
            let (storage, url) = (self.clone(), url.clone());
            on_its_own(async move {
                let attempt = || storage.fetch_range_once(&url, &range, Some(size));
                repeat(storage.retry(), attempt).await
            })
        });
        let mut pieces = futures::stream::iter(pieces).buffered(PIECES_AHEAD);
        while let Some(bytes) = pieces.next().await {
            part.append(&bytes?)?;
            progress(part.length);
        }
        Ok(())
    }

    async fn fill_once(
        &self,
        url: &Url,
        part: &mut Part,
        size: u64,
        progress: &mut (dyn FnMut(u64) + Send),
    ) -> Result<Filled> {
        let mut request = self.request(Method::GET, url)?;
        if part.length > 0 {
            request = request.header(header::RANGE, format!("bytes={}-", part.length));
        }
        let response = self.send("GET", url, request).await?;
        if part.length > 0 && is_unsatisfiable(&response) {
            return Ok(Filled::Restart);
        }
        let response = success("GET", url, response).await?;
        let wrong_length = |found| Error::WrongLength { url: redacted(url), expected: size, found };
        let mut from_start = false;
        match (response.status(), ContentRange::of(response.headers())) {
            (StatusCode::PARTIAL_CONTENT, Some(range)) if range.start == part.length => {
                if let Some(total) = range.total.filter(|total| *total != size) {
                    return Err(wrong_length(total));
                }
            }
            (StatusCode::PARTIAL_CONTENT, _) => return Ok(Filled::Restart),
            _ => {
                if let Some(found) =
                    content_length(response.headers()).filter(|found| *found != size)
                {
                    return Err(wrong_length(found));
                }
                // The host ignores ranges and sends everything.
                from_start = true;
                part.restart()?;
            }
        }
        let mut body = self.body("GET", url, response, part.length);
        while let Some(chunk) = body.next().await? {
            let end = part.length + chunk.len() as u64;
            if end > size {
                return Err(wrong_length(end));
            }
            part.append(&chunk)?;
            progress(part.length);
        }
        if part.length < size {
            return Err(Error::Truncated {
                url: redacted(url),
                expected: size,
                found: part.length,
            });
        }
        Ok(if from_start { Filled::FromStart } else { Filled::Appended })
    }
}

/// Runs work as a task, which goes on while others are hashed; it ends if
/// nobody waits for it any more.
async fn on_its_own<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> T {
    let mut tasks = JoinSet::new();
    tasks.spawn(work);
    match tasks.join_next().await.expect("one was spawned") {
        Ok(done) => done,
        // Only a panic ends it early, and that one belongs to the caller.
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

enum Filled {
    Appended,
    /// All of it came, from the first byte on.
    FromStart,
    /// The part does not fit what the host has: begin again.
    Restart,
}

/// The unfinished file. Dropping it keeps what is on disk.
struct Part {
    path: PathBuf,
    file: fs::File,
    /// Bytes taken in, those still in the buffer included.
    length: u64,
    /// Over the ciphertext.
    hasher: Blake2b256,
    /// Present if the file holds plain text.
    cipher: Option<Cipher>,
    /// Bytes in their final form, not yet written.
    buffer: Vec<u8>,
}

impl Part {
    /// Opens or creates the part and takes up at most `size` bytes of it.
    fn open(dest: &Path, cipher: Option<Cipher>, size: u64) -> Result<Self> {
        let path = part_path(dest, cipher.is_some());
        let options =
            fs::OpenOptions::new().read(true).write(true).create(true).truncate(false).clone();
        let file = options.open(&path).map_err(Error::file("create", &path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => return Err(Error::Busy { path }),
            // Some file systems know no locks; then nothing guards against two at once.
            Err(fs::TryLockError::Error(_)) => {}
        }
        let mut part = Self {
            path,
            file,
            length: 0,
            hasher: Blake2b256::new(),
            cipher,
            buffer: Vec::with_capacity(BLOCK),
        };
        let found = part.file.metadata().map_err(Error::file("read", &part.path))?.len();
        if found > size {
            part.restart()?;
        } else {
            part.take_up(found)?;
        }
        Ok(part)
    }

    /// Refuses what the disk has no room for. What came before stays; nothing else does.
    fn check_room(&mut self, size: u64) -> Result<()> {
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let Some(free) = free_space(folder.unwrap_or(Path::new("."))) else { return Ok(()) };
        let needed = size.saturating_sub(self.length);
        if needed <= free {
            return Ok(());
        }
        if self.length == 0 {
            self.discard()?;
        }
        Err(Error::NoRoom { path: self.path.clone(), needed, free })
    }

    /// Hashes what is there already.
    fn take_up(&mut self, found: u64) -> Result<()> {
        let mut block = vec![0; BLOCK];
        while self.length < found {
            let count = self.file.read(&mut block).map_err(Error::file("read", &self.path))?;
            if count == 0 {
                break;
            }
            let bytes = &mut block[..count];
            apply(self.cipher.as_ref(), self.length, bytes);
            self.hasher.update(bytes);
            self.length += count as u64;
        }
        Ok(())
    }

    fn append(&mut self, ciphertext: &[u8]) -> Result<()> {
        self.hasher.update(ciphertext);
        let start = self.buffer.len();
        self.buffer.extend_from_slice(ciphertext);
        apply(self.cipher.as_ref(), self.length, &mut self.buffer[start..]);
        self.length += ciphertext.len() as u64;
        if self.buffer.len() >= BLOCK { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<()> {
        self.file.write_all(&self.buffer).map_err(Error::file("write", &self.path))?;
        self.buffer.clear();
        Ok(())
    }

    /// Forgets everything.
    fn restart(&mut self) -> Result<()> {
        self.buffer.clear();
        self.length = 0;
        self.hasher = Blake2b256::new();
        self.file.set_len(0).map_err(Error::file("write", &self.path))?;
        self.file.seek(SeekFrom::Start(0)).map_err(Error::file("write", &self.path))?;
        Ok(())
    }

    fn digest(&self) -> Digest {
        self.hasher.clone().finalize()
    }

    /// Makes the bytes durable and gives them their name.
    fn rename(mut self, dest: &Path) -> Result<()> {
        self.flush()?;
        self.file.sync_all().map_err(Error::file("write", &self.path))?;
        fs::rename(&self.path, dest).map_err(Error::file("create", dest))?;
        if let Some(Ok(directory)) = dest.parent().map(fs::File::open) {
            // Not every file system can do this; the file itself is safe.
            let _ = directory.sync_all();
        }
        Ok(())
    }

    fn discard(&mut self) -> Result<()> {
        fs::remove_file(&self.path).map_err(Error::file("remove", &self.path))
    }
}

/// Encrypts or decrypts, which is the same; without a cipher it does nothing.
fn apply(cipher: Option<&Cipher>, offset: u64, bytes: &mut [u8]) {
    if let Some(cipher) = cipher {
        cipher.apply_at(u128::from(offset), bytes);
    }
}

/// Plain text and ciphertext have parts of different names, so that one is
/// never taken up as the other.
fn part_path(dest: &Path, plain: bool) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(dest.file_name().unwrap_or_default());
    name.push(if plain { ".plain.part" } else { ".part" });
    dest.with_file_name(name)
}
