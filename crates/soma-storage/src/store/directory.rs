//! A directory as a store: something else serves or syncs it.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use bytes::Bytes;

use crate::{Error, Result};

/// Writes objects into a directory. Parts go to `.NAME.incomplete`, which
/// gets the object's name once it is whole.
#[derive(Clone, Debug)]
pub(super) struct Directory(PathBuf);

impl Directory {
    pub(super) fn new(path: PathBuf) -> Self {
        Self(path)
    }

    fn object(&self, key: &str) -> PathBuf {
        self.0.join(key)
    }

    fn incomplete(&self, key: &str) -> PathBuf {
        self.0.join(format!(".{key}.incomplete"))
    }

    pub(super) fn begin(&self, key: &str) -> Result<()> {
        fs::create_dir_all(&self.0).map_err(Error::file("create", &self.0))?;
        let path = self.incomplete(key);
        File::create(&path).map(drop).map_err(Error::file("create", &path))
    }

    /// Whether an upload that was begun is still there.
    pub(super) fn has_begun(&self, key: &str) -> bool {
        self.incomplete(key).exists()
    }

    /// Writes a part to its place, durably: it counts from then on.
    pub(super) fn put_part(&self, key: &str, offset: u64, bytes: &Bytes) -> Result<()> {
        let path = self.incomplete(key);
        let write = || {
            let file = OpenOptions::new().write(true).open(&path)?;
            write_all_at(&file, bytes, offset)?;
            file.sync_data()
        };
        write().map_err(Error::file("write", &path))
    }

    pub(super) fn complete(&self, key: &str) -> Result<()> {
        let (from, to) = (self.incomplete(key), self.object(key));
        let finish = || {
            File::open(&from)?.sync_all()?;
            fs::rename(&from, &to)?;
            sync(&self.0)
        };
        finish().map_err(Error::file("rename", &from))
    }

    pub(super) fn abort(&self, key: &str) -> Result<()> {
        remove(&self.incomplete(key))
    }

    pub(super) fn delete(&self, key: &str) -> Result<()> {
        remove(&self.object(key))
    }

    pub(super) fn length(&self, key: &str) -> Result<Option<u64>> {
        let path = self.object(key);
        match fs::metadata(&path) {
            Ok(found) => Ok(Some(found.len())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::file("read", &path)(error)),
        }
    }

    /// Keys of uploads that were begun and not finished, and when they were last
    /// written to.
    pub(super) fn unfinished(&self) -> Result<Vec<(String, Option<SystemTime>)>> {
        let entries = match fs::read_dir(&self.0) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(Error::file("read", &self.0))?,
        };
        let mut found = Vec::new();
        for entry in entries {
            let entry = entry.map_err(Error::file("read", &self.0))?;
            let name = entry.file_name();
            let key = name.to_str().and_then(|name| {
                name.strip_prefix('.')?.strip_suffix(".incomplete").map(str::to_owned)
            });
            let written = || entry.metadata().and_then(|metadata| metadata.modified()).ok();
            found.extend(key.map(|key| (key, written())));
        }
        Ok(found)
    }
}

fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(Error::file("remove", path)(error))
        }
        _ => Ok(()),
    }
}

#[cfg(unix)]
fn write_all_at(file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::write_all_at(file, bytes, offset)
}

#[cfg(windows)]
fn write_all_at(file: &File, mut bytes: &[u8], mut offset: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        let count = std::os::windows::fs::FileExt::seek_write(file, bytes, offset)?;
        bytes = &bytes[count..];
        offset += count as u64;
    }
    Ok(())
}

#[cfg(unix)]
fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Other systems keep names durable without being asked, or cannot be asked.
#[cfg(not(unix))]
fn sync(_: &Path) -> io::Result<()> {
    Ok(())
}
