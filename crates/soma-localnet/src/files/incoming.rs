//! Uploads in progress, and what a crash left of them.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::{Error, Result};

/// Below the served directory. No request reaches a name with a dot.
const DIRECTORY: &str = ".incoming";
/// Beside it: held by every host of the served directory that takes uploads.
const LOCK: &str = ".incoming.lock";
/// Begins the name of every upload, and of no other file.
const PREFIX: &str = "upload-";

/// The place where uploads grow until they are whole.
pub(super) struct Incoming {
    directory: PathBuf,
    /// Shared with other hosts; ends with the process.
    _lock: fs::File,
}

impl Incoming {
    /// Opens the place below `root`. What a crash left there is removed, unless
    /// another host may be writing it.
    pub(super) fn open(root: &Path) -> Result<Self> {
        let path = root.join(LOCK);
        let mut options = fs::OpenOptions::new();
        let lock = options.write(true).create(true).truncate(false).open(&path);
        let lock = lock.map_err(|e| Error::io("open", &path, e))?;
        let failed = |e| Error::io("lock", &path, e);
        let directory = root.join(DIRECTORY);
        match lock.try_lock() {
            Ok(()) => {
                clean(&directory).map_err(|e| Error::io("clean up", &directory, e))?;
                lock.unlock().map_err(failed)?;
            }
            Err(fs::TryLockError::WouldBlock) => {}
            Err(fs::TryLockError::Error(e)) => return Err(failed(e)),
        }
        // At worst another host is cleaning; nothing is uploaded here yet.
        lock.lock_shared().map_err(failed)?;
        Ok(Self { directory, _lock: lock })
    }

    /// A file for one upload, removed when it is dropped without a name.
    pub(super) fn file(&self) -> io::Result<NamedTempFile> {
        fs::create_dir_all(&self.directory)?;
        tempfile::Builder::new().prefix(PREFIX).tempfile_in(&self.directory)
    }
}

fn clean(directory: &Path) -> io::Result<()> {
    let entries = match fs::read_dir(directory) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(PREFIX) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}
