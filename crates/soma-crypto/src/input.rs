//! Where bytes come from: a file that must not change meanwhile, or any reader.

use std::{
    fmt,
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::SystemTime,
};

use crate::{ChunkSize, Error};

/// An input of a pass.
///
/// A regular file is read by position and watched for changes; whatever else a path
/// leads to (a pipe, a device, a file that is said to be empty and is not, as in `/proc`)
/// is read as a stream.
pub struct Input<'a>(Kind<'a>);

enum Kind<'a> {
    Path(PathBuf),
    Opened(InputFile),
    Bytes(String, &'a [u8]),
    Reader(String, Box<dyn Read + Send + 'a>),
}

impl<'a> Input<'a> {
    /// The file at `path`, opened when the pass begins.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self(Kind::Path(path.into()))
    }

    /// A file that is open already.
    pub fn opened(file: InputFile) -> Self {
        Self(Kind::Opened(file))
    }

    /// Bytes that are in memory already, or mapped there. `name` appears in errors.
    ///
    /// This crate maps no files itself: reading by position is as fast, and cannot fault
    /// when somebody cuts the file short. Who maps one answers for that.
    pub fn bytes(name: impl Into<String>, bytes: &'a [u8]) -> Self {
        Self(Kind::Bytes(name.into(), bytes))
    }

    /// Any reader, to its end. `name` appears in errors.
    pub fn reader(name: impl Into<String>, reader: impl Read + Send + 'a) -> Self {
        Self(Kind::Reader(name.into(), Box::new(reader)))
    }

    /// Length in bytes, where it can be told without opening anything.
    pub(crate) fn len_hint(&self) -> Option<u64> {
        match &self.0 {
            Kind::Path(path) => {
                let found = fs::metadata(path).ok()?;
                // Of nothing it cannot be told whether it is all there is.
                (found.is_file() && found.len() > 0).then_some(found.len())
            }
            Kind::Opened(file) => Some(file.len),
            Kind::Bytes(_, bytes) => Some(bytes.len() as u64),
            Kind::Reader(..) => None,
        }
    }

    pub(crate) fn into_source(self, chunk: ChunkSize) -> Result<Source<'a>, Error> {
        match self.0 {
            Kind::Opened(file) => Ok(Source::file(file, chunk)),
            Kind::Bytes(name, bytes) => Ok(Source::bytes(name, bytes, chunk)),
            Kind::Reader(name, reader) => Ok(Source::stream(name, reader)),
            Kind::Path(path) => match InputFile::open_any(&path)? {
                Opened::Regular(file) => Ok(Source::file(file, chunk)),
                Opened::Other(file) => Ok(Source::stream(name(&path), Box::new(file))),
            },
        }
    }
}

impl fmt::Debug for Input<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Path(path) => write!(f, "Input({})", path.display()),
            Kind::Opened(file) => write!(f, "Input({})", file.name),
            Kind::Bytes(name, _) => write!(f, "Input(bytes {name})"),
            Kind::Reader(name, _) => write!(f, "Input(reader {name})"),
        }
    }
}

/// A regular file behind one handle, with the size and time it had when it was opened.
///
/// Every read goes through the same handle, so replacing the file's name by another
/// file does no harm. [`InputFile::check_unchanged`] tells whether somebody wrote to
/// the file itself; call it after the last read.
///
/// ```
/// use soma_crypto::InputFile;
///
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("w");
/// std::fs::write(&path, b"0123456789")?;
/// let file = InputFile::open(&path)?;
/// let mut part = [0; 4];
/// file.read_exact_at(3, &mut part)?;
/// assert_eq!(&part, b"3456");
///
/// std::fs::write(&path, b"changed")?;
/// assert!(file.check_unchanged().unwrap_err().is_input_fault());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct InputFile {
    file: File,
    name: String,
    len: u64,
    modified: Option<SystemTime>,
}

enum Opened {
    Regular(InputFile),
    Other(File),
}

impl InputFile {
    /// Opens a regular file for reading.
    ///
    /// # Errors
    /// [`Error::Open`] if it cannot be opened, is no regular file, or is one whose size
    /// the file system does not tell.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        match Self::open_any(path)? {
            Opened::Regular(file) => Ok(file),
            Opened::Other(_) => Err(Error::Open {
                path: path.into(),
                source: io::Error::new(
                    io::ErrorKind::InvalidInput,
                    "not a regular file of known size",
                ),
            }),
        }
    }

    /// Size in bytes when the file was opened.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether the file was empty when it was opened.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// When the file was last written, as it was when it was opened.
    pub fn modified(&self) -> Option<SystemTime> {
        self.modified
    }

    /// The name errors use.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Fills `buffer` with the bytes from `offset` on.
    ///
    /// # Errors
    /// [`Error::InputTruncated`] if the file ends too early now, [`Error::Read`] if
    /// reading fails.
    pub fn read_exact_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), Error> {
        let mut filled = 0;
        while filled < buffer.len() {
            let at = offset + filled as u64;
            match read_at(&self.file, &mut buffer[filled..], at) {
                Ok(0) => {
                    return Err(Error::InputTruncated {
                        name: self.name.clone(),
                        expected: self.len,
                        found: at,
                    });
                }
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(source) => return Err(self.read_error(at, source)),
            }
        }
        Ok(())
    }

    /// Compares size and time of modification with those at opening.
    ///
    /// A change that keeps the size and falls within one tick of the file system's clock
    /// cannot be seen.
    ///
    /// # Errors
    /// [`Error::InputTruncated`], [`Error::InputChanged`], or [`Error::Read`] if the
    /// system does not say.
    pub fn check_unchanged(&self) -> Result<(), Error> {
        let now = self.file.metadata().map_err(|source| self.read_error(0, source))?;
        if now.len() < self.len {
            return Err(Error::InputTruncated {
                name: self.name.clone(),
                expected: self.len,
                found: now.len(),
            });
        }
        let what = if now.len() > self.len {
            "size"
        } else if now.modified().ok() != self.modified {
            "modification time"
        } else {
            return Ok(());
        };
        Err(Error::InputChanged { name: self.name.clone(), what })
    }

    fn open_any(path: &Path) -> Result<Opened, Error> {
        let opened = File::open(path).and_then(|file| Ok((file.metadata()?, file)));
        let failed = |source| Error::Open { path: path.into(), source };
        let (metadata, file) = opened.map_err(failed)?;
        if !metadata.is_file() || metadata.len() == 0 && !ends_at_once(&file).map_err(failed)? {
            return Ok(Opened::Other(file));
        }
        Ok(Opened::Regular(Self {
            file,
            name: name(path),
            len: metadata.len(),
            modified: metadata.modified().ok(),
        }))
    }

    fn read_error(&self, offset: u64, source: io::Error) -> Error {
        Error::Read { name: self.name.clone(), offset, source }
    }
}

/// Hands out the chunks of an input, to one worker or to several.
pub(crate) enum Source<'a> {
    File { file: InputFile, chunk: u64, next: AtomicU64 },
    Bytes { name: String, bytes: &'a [u8], chunk: u64, next: AtomicU64 },
    Stream { name: String, state: Mutex<Stream<'a>> },
}

pub(crate) struct Stream<'a> {
    reader: Box<dyn Read + Send + 'a>,
    next: u64,
    offset: u64,
    ended: bool,
}

/// A chunk that was read: its place in the order, its place in the stream, its length.
#[derive(Clone, Copy, Default)]
pub(crate) struct Extent {
    pub(crate) index: u64,
    pub(crate) offset: u64,
    pub(crate) len: usize,
}

impl<'a> Source<'a> {
    fn file(file: InputFile, chunk: ChunkSize) -> Self {
        Self::File { file, chunk: chunk.bytes() as u64, next: AtomicU64::new(0) }
    }

    fn bytes(name: String, bytes: &'a [u8], chunk: ChunkSize) -> Self {
        Self::Bytes { name, bytes, chunk: chunk.bytes() as u64, next: AtomicU64::new(0) }
    }

    fn stream(name: String, reader: Box<dyn Read + Send + 'a>) -> Self {
        let state = Mutex::new(Stream { reader, next: 0, offset: 0, ended: false });
        Self::Stream { name, state }
    }

    /// Claims and reads the next chunk; `None` at the end. `buffer` is one chunk long.
    pub(crate) fn fill(&self, buffer: &mut [u8]) -> Result<Option<Extent>, Error> {
        match self {
            Self::File { file, chunk, next } => {
                let Some(extent) = claim(next, *chunk, file.len) else { return Ok(None) };
                file.read_exact_at(extent.offset, &mut buffer[..extent.len])?;
                Ok(Some(extent))
            }
            Self::Bytes { bytes, chunk, next, .. } => {
                let claimed = claim(next, *chunk, bytes.len() as u64);
                if let Some(Extent { offset, len, .. }) = claimed {
                    buffer[..len].copy_from_slice(&bytes[offset as usize..][..len]);
                }
                Ok(claimed)
            }
            Self::Stream { name, state } => {
                let mut stream = state.lock().unwrap_or_else(PoisonError::into_inner);
                stream.fill(name, buffer)
            }
        }
    }

    /// Whether the input is still what it was when it was opened.
    pub(crate) fn check_unchanged(&self) -> Result<(), Error> {
        match self {
            Self::File { file, .. } => file.check_unchanged(),
            Self::Bytes { .. } | Self::Stream { .. } => Ok(()),
        }
    }

    /// Length in bytes, where it is known beforehand.
    pub(crate) fn len(&self) -> Option<u64> {
        match self {
            Self::File { file, .. } => Some(file.len),
            Self::Bytes { bytes, .. } => Some(bytes.len() as u64),
            Self::Stream { .. } => None,
        }
    }

    pub(crate) fn name(&self) -> &str {
        match self {
            Self::File { file, .. } => &file.name,
            Self::Bytes { name, .. } | Self::Stream { name, .. } => name,
        }
    }
}

/// Claims the next chunk of an input of known length.
fn claim(next: &AtomicU64, chunk: u64, len: u64) -> Option<Extent> {
    let index = next.fetch_add(1, Ordering::Relaxed);
    let offset = index.checked_mul(chunk).filter(|offset| *offset < len)?;
    Some(Extent { index, offset, len: (len - offset).min(chunk) as usize })
}

impl Stream<'_> {
    fn fill(&mut self, name: &str, buffer: &mut [u8]) -> Result<Option<Extent>, Error> {
        let mut len = 0;
        while len < buffer.len() && !self.ended {
            match self.reader.read(&mut buffer[len..]) {
                Ok(0) => self.ended = true,
                Ok(count) => len += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(source) => {
                    self.ended = true;
                    return Err(Error::Read {
                        name: name.into(),
                        offset: self.offset + len as u64,
                        source,
                    });
                }
            }
        }
        if len == 0 {
            return Ok(None);
        }
        let extent = Extent { index: self.next, offset: self.offset, len };
        self.next += 1;
        self.offset += len as u64;
        Ok(Some(extent))
    }
}

/// Whether a file that is said to be empty is: some file systems tell no sizes.
fn ends_at_once(file: &File) -> io::Result<bool> {
    loop {
        match read_at(file, &mut [0], 0) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            read => return read.map(|count| count == 0),
        }
    }
}

fn name(path: &Path) -> String {
    path.display().to_string()
}

#[cfg(unix)]
fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, buffer, offset)
}

#[cfg(windows)]
fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_read(file, buffer, offset)
}
