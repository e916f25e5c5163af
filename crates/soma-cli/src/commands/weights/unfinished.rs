//! What is left behind if a pass does not come to its end.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use soma_crypto::Key;
use soma_wallet::file;

use crate::error::{Failure, Result};

/// The key file and the temporary output of a pass that is under way.
///
/// Shared by the pass and by whoever ends the process when the pass cannot be woken.
#[derive(Clone, Debug, Default)]
pub(super) struct Unfinished(Arc<Mutex<Traces>>);

#[derive(Debug, Default)]
struct Traces {
    key_file: Option<PathBuf>,
    temporary: Option<PathBuf>,
    is_complete: bool,
}

/// What became of a pass that nobody waits for any more.
pub(super) enum Abandoned {
    /// Its output had its name already.
    Complete,
    /// It was cut off; this is where its key is, if a file had it.
    Cut(Option<String>),
}

impl Unfinished {
    /// Writes the key where only its owner can read it; never over another file.
    pub(super) fn write_key(&self, path: &Path, key: &Key) -> Result<()> {
        let mut traces = self.lock();
        let mut line = key.to_hex();
        line.push('\n');
        file::create(path, line.as_bytes(), file::Access::Owner).map_err(|e| {
            Failure::from_error("File", &e)
                .with_hint("a key file is never overwritten: choose another name")
        })?;
        traces.key_file = Some(path.to_owned());
        Ok(())
    }

    /// Takes note of the name under which the output grows.
    pub(super) fn note_temporary(&self, path: &Path) {
        self.lock().temporary = Some(path.to_owned());
    }

    /// The pass has come to its end: all stays as it is.
    pub(super) fn finished(&self) {
        self.lock().is_complete = true;
    }

    /// Removes the key of a pass that never began.
    pub(super) fn remove_key(&self) {
        if let Some(path) = self.lock().key_file.take() {
            let _ = fs::remove_file(path);
        }
    }

    /// Gives the key of an output that was cut off a name that says so. Tells where it is.
    pub(super) fn set_key_aside(&self) -> Option<String> {
        self.lock().set_key_aside()
    }

    /// Clears up while the pass is still under way, before the process ends.
    pub(super) fn abandon(&self) -> Abandoned {
        let mut traces = self.lock();
        if let Some(path) = traces.temporary.take()
            && let Err(e) = fs::remove_file(path)
            && e.kind() == io::ErrorKind::NotFound
        {
            traces.is_complete = true;
        }
        match traces.is_complete {
            true => Abandoned::Complete,
            false => Abandoned::Cut(traces.set_key_aside()),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Traces> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Traces {
    fn set_key_aside(&mut self) -> Option<String> {
        let path = self.key_file.take()?;
        Some(match move_aside(&path) {
            Ok(name) => format!("the key is in {}", name.display()),
            Err(e) => format!("the key in {} opens nothing ({e})", path.display()),
        })
    }
}

/// Renames to the first name that is free: another such key may open what a pipe took.
fn move_aside(path: &Path) -> io::Result<PathBuf> {
    for turn in 1_u32.. {
        let mut name = path.as_os_str().to_owned();
        name.push(".incomplete");
        if turn > 1 {
            name.push(format!(".{turn}"));
        }
        let name = PathBuf::from(name);
        match fs::hard_link(path, &name) {
            Ok(()) => return fs::remove_file(path).map(|()| name),
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
            // Some file systems have no links.
            Err(_) if fs::symlink_metadata(&name).is_err() => {
                return fs::rename(path, &name).map(|()| name);
            }
            Err(_) => {}
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}
