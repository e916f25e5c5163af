//! Where bytes go: a file that appears only when it is complete, or any writer.

use std::{
    fmt,
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
};

use tempfile::NamedTempFile;

use crate::{Durability, Error, Existing, Options, file_writer::FileWriter};

/// An output of a pass.
///
/// A file is written under a temporary name in the same directory and renamed at the
/// end; after an error, nothing of it is left. A path that leads to a device or a pipe
/// is written to directly. A symbolic link that is replaced is replaced itself.
pub struct Output<'a>(Kind<'a>);

enum Kind<'a> {
    Path(PathBuf),
    Writer(String, Box<dyn Write + Send + 'a>),
}

impl<'a> Output<'a> {
    /// The file at `path`.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self(Kind::Path(path.into()))
    }

    /// Any writer, flushed at the end. `name` appears in errors.
    ///
    /// What was written before an error cannot be taken back; only a file can be held
    /// back until its digest is known to be right.
    pub fn writer(name: impl Into<String>, writer: impl Write + Send + 'a) -> Self {
        Self(Kind::Writer(name.into(), Box::new(writer)))
    }

    /// Refuses what must be refused before any work is done, and opens the rest.
    pub(crate) fn into_sink(self, options: &Options<'_>) -> Result<Sink<'a>, Error> {
        let (name, target) = match self.0 {
            Kind::Writer(name, writer) => (name, Target::Writer(writer)),
            Kind::Path(path) => (path.display().to_string(), Target::open(path, options)?),
        };
        Ok(Sink { name, written: 0, target })
    }
}

impl fmt::Debug for Output<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Path(path) => write!(f, "Output({})", path.display()),
            Kind::Writer(name, _) => write!(f, "Output(writer {name})"),
        }
    }
}

/// An open output. Dropped without [`Sink::finish`], it leaves nothing behind.
pub(crate) struct Sink<'a> {
    name: String,
    written: u64,
    target: Target<'a>,
}

enum Target<'a> {
    Temporary { file: FileWriter, path: PathBuf, existing: Existing, durability: Durability },
    Writer(Box<dyn Write + Send + 'a>),
}

impl Sink<'_> {
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let result = match &mut self.target {
            Target::Temporary { file, .. } => file.write(bytes),
            Target::Writer(writer) => writer.write_all(bytes),
        };
        result.map_err(|source| Error::Write {
            name: self.name.clone(),
            offset: self.written,
            source,
        })?;
        self.written += bytes.len() as u64;
        Ok(())
    }

    /// Gives the output its name.
    pub(crate) fn finish(self) -> Result<(), Error> {
        match self.target {
            Target::Writer(mut writer) => writer.flush().map_err(|source| Error::Write {
                name: self.name,
                offset: self.written,
                source,
            }),
            Target::Temporary { file, path, existing, durability } => {
                persist(file.into_inner(), &path, existing, durability)
            }
        }
    }
}

impl Target<'_> {
    fn open(path: PathBuf, options: &Options<'_>) -> Result<Self, Error> {
        if let Ok(found) = fs::metadata(&path) {
            if found.is_dir() {
                return Err(Error::OutputIsDirectory { path });
            }
            if !found.is_file() {
                let opened = OpenOptions::new().write(true).open(&path);
                let device = opened.map_err(|source| Error::Create { path, source })?;
                return Ok(Self::Writer(Box::new(device)));
            }
        }
        let existing = options.existing;
        if existing == Existing::Keep && fs::symlink_metadata(&path).is_ok() {
            return Err(Error::OutputExists { path });
        }
        let mut builder = tempfile::Builder::new();
        builder.prefix(".soma-").suffix(".incomplete");
        // As any program creates a file: the umask decides.
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        match builder.tempfile_in(directory(&path)) {
            Ok(file) => {
                options.tell_temporary(file.path());
                let file = FileWriter::new(file);
                Ok(Self::Temporary { file, path, existing, durability: options.durability })
            }
            Err(source) => Err(Error::Create { path, source }),
        }
    }
}

fn persist(
    file: NamedTempFile,
    path: &Path,
    existing: Existing,
    durability: Durability,
) -> Result<(), Error> {
    let failed = |source| Error::Persist { path: path.into(), source };
    if durability == Durability::Synced {
        file.as_file().sync_all().map_err(failed)?;
    }
    match existing {
        Existing::Replace => file.persist(path).map_err(|error| failed(error.error))?,
        Existing::Keep => file.persist_noclobber(path).map_err(|error| {
            if error.error.kind() == io::ErrorKind::AlreadyExists {
                Error::OutputExists { path: path.into() }
            } else {
                failed(error.error)
            }
        })?,
    };
    if durability == Durability::Synced {
        sync_directory(directory(path)).map_err(failed)?;
    }
    Ok(())
}

fn directory(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

#[cfg(unix)]
fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Other systems keep names durable without being asked, or cannot be asked.
#[cfg(not(unix))]
fn sync_directory(_: &Path) -> io::Result<()> {
    Ok(())
}
