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
    Temporary { file: FileWriter, path: PathBuf, existing: Existing, synced: Synced },
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
            Target::Temporary { file, path, existing, synced } => {
                persist(file.into_inner(), &path, existing, &synced)
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
        let created = builder.tempfile_in(directory(&path)).and_then(|file| {
            let synced = Synced::new(options.durability, &path, file.as_file())?;
            Ok((file, synced))
        });
        let (file, synced) = match created {
            Ok(created) => created,
            Err(source) => return Err(Error::Create { path, source }),
        };
        options.tell_temporary(file.path());
        Ok(Self::Temporary { file: FileWriter::new(file), path, existing, synced })
    }
}

/// What must be on the disk before a call returns.
struct Synced {
    contents: bool,
    /// Opened beforehand, while a refusal costs nothing yet.
    directory: Option<File>,
}

impl Synced {
    fn new(durability: Durability, path: &Path, file: &File) -> io::Result<Self> {
        let all = durability == Durability::Synced;
        Ok(Self {
            contents: all || refuses_late(file),
            directory: if all { open_directory(directory(path))? } else { None },
        })
    }
}

#[cfg(unix)]
fn open_directory(path: &Path) -> io::Result<Option<File>> {
    File::open(path).map(Some)
}

/// Other systems keep names durable without being asked, or cannot be asked.
#[cfg(not(unix))]
fn open_directory(_: &Path) -> io::Result<Option<File>> {
    Ok(None)
}

/// Whether writes to a file may be taken now and refused later, when it is closed or
/// synced: that is how file systems across a network, or in a process of their own, tell
/// of a full disk or an exhausted quota. Numbers from statfs(2).
#[cfg(target_os = "linux")]
fn refuses_late(file: &File) -> bool {
    const NFS: u32 = 0x6969;
    const SMB: [u32; 3] = [0x517b, 0xff53_4d42, 0xfe53_4d42];
    const CEPH: u32 = 0x00c3_6400;
    const LUSTRE: u32 = 0x0bd0_0bd0;
    const AFS: [u32; 2] = [0x5346_414f, 0x6b41_4653];
    const PLAN_9: u32 = 0x0102_1997;
    const FUSE: u32 = 0x6573_5546;
    rustix::fs::fstatfs(file).is_ok_and(|found| {
        // The kernel's numbers have 32 bits; the field may have more, and a sign.
        let kind = found.f_type as u32;
        SMB.contains(&kind)
            || AFS.contains(&kind)
            || [NFS, CEPH, LUSTRE, PLAN_9, FUSE].contains(&kind)
    })
}

/// Elsewhere it cannot be told in one way; [`Durability::Synced`] makes sure.
#[cfg(not(target_os = "linux"))]
fn refuses_late(_: &File) -> bool {
    false
}

fn persist(
    file: NamedTempFile,
    path: &Path,
    existing: Existing,
    synced: &Synced,
) -> Result<(), Error> {
    let failed = |source| Error::Persist { path: path.into(), source };
    if synced.contents {
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
    synced.directory.as_ref().map_or(Ok(()), File::sync_all).map_err(failed)
}

fn directory(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}
