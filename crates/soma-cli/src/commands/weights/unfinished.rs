//! What is left behind if a pass does not come to its end.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use soma_crypto::Key;
use soma_wallet::file;

use super::files::{Identity, identity};
use crate::error::{Failure, Result};

/// The key file and the temporary output of a pass that is under way.
///
/// Shared by the pass and by whoever ends the process when the pass cannot be woken.
#[derive(Clone, Debug, Default)]
pub(super) struct Unfinished(Arc<Mutex<Traces>>);

#[derive(Debug, Default)]
struct Traces {
    key_file: Option<PathBuf>,
    growing: Option<Growing>,
    is_complete: bool,
}

/// An output that has no name of its own yet.
#[derive(Debug)]
struct Growing {
    temporary: PathBuf,
    /// Which file has the temporary name.
    identity: Option<Identity>,
    /// The name that it gets in the end.
    output: PathBuf,
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

    /// Takes note of the name under which `output` grows.
    pub(super) fn note_temporary(&self, path: &Path, output: &Path) {
        let (temporary, output) = (path.to_owned(), output.to_owned());
        let growing = Growing { identity: at(&temporary), temporary, output };
        self.lock().growing = Some(growing);
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
        if let Some(growing) = traces.growing.take() {
            // It may have both names for a moment: the new one counts.
            let _ = fs::remove_file(&growing.temporary);
            traces.is_complete |= growing.has_its_name();
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

impl Growing {
    /// Whether the output has its name. A pass that fails removes the temporary file as
    /// well, and what has the name of the output is then an older file.
    fn has_its_name(&self) -> bool {
        self.identity.is_some() && at(&self.output) == self.identity
    }
}

/// Which file has this name itself, be it a link.
fn at(path: &Path) -> Option<Identity> {
    fs::symlink_metadata(path).ok().map(|found| identity(&found))
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

#[cfg(all(test, unix))]
mod tests {
    use tempfile::TempDir;

    use super::*;

    const NEW: &str = "new";
    const OLD: &str = "old";

    /// A pass with a key file, whose output would replace another.
    fn under_way() -> (TempDir, Unfinished) {
        let folder = tempfile::tempdir().unwrap();
        let (temporary, output) = (folder.path().join("t"), folder.path().join("out"));
        fs::write(&temporary, NEW).unwrap();
        fs::write(&output, OLD).unwrap();
        let unfinished = Unfinished::default();
        unfinished.write_key(&folder.path().join("key"), &Key::from_bytes([7; 32])).unwrap();
        unfinished.note_temporary(&temporary, &output);
        (folder, unfinished)
    }

    fn assert_cut(folder: &TempDir, unfinished: &Unfinished) {
        let Abandoned::Cut(Some(place)) = unfinished.abandon() else { panic!("it is complete") };
        assert!(place.contains("key.incomplete"), "{place}");
        assert!(!folder.path().join("key").exists());
        assert!(folder.path().join("key.incomplete").exists());
        assert!(!folder.path().join("t").exists());
    }

    #[test]
    fn an_output_that_still_grows_is_cut_off() {
        let (folder, unfinished) = under_way();
        assert_cut(&folder, &unfinished);
        assert_eq!(fs::read_to_string(folder.path().join("out")).unwrap(), OLD);
    }

    #[test]
    fn an_output_that_has_its_name_is_complete() {
        let (folder, unfinished) = under_way();
        fs::rename(folder.path().join("t"), folder.path().join("out")).unwrap();
        assert!(matches!(unfinished.abandon(), Abandoned::Complete));
        assert!(folder.path().join("key").exists());
        assert_eq!(fs::read_to_string(folder.path().join("out")).unwrap(), NEW);
    }

    /// Some file systems rename by a link to the new name, and take the old one away then.
    #[test]
    fn an_output_that_has_both_names_is_complete() {
        let (folder, unfinished) = under_way();
        let (temporary, output) = (folder.path().join("t"), folder.path().join("out"));
        fs::remove_file(&output).unwrap();
        fs::hard_link(&temporary, &output).unwrap();
        assert!(matches!(unfinished.abandon(), Abandoned::Complete));
        assert!(!temporary.exists());
        assert_eq!(fs::read_to_string(output).unwrap(), NEW);
    }

    /// The pass was cancelled, cleared up and has not yet told.
    #[test]
    fn an_older_file_does_not_pass_for_the_output() {
        let (folder, unfinished) = under_way();
        fs::remove_file(folder.path().join("t")).unwrap();
        assert_cut(&folder, &unfinished);
        assert_eq!(fs::read_to_string(folder.path().join("out")).unwrap(), OLD);
    }

    #[test]
    fn no_file_does_not_pass_for_the_output() {
        let (folder, unfinished) = under_way();
        fs::remove_file(folder.path().join("t")).unwrap();
        fs::remove_file(folder.path().join("out")).unwrap();
        assert_cut(&folder, &unfinished);
    }
}
