//! Files that are never half written, and locks around them.
//!
//! A file is replaced by writing a temporary neighbour, syncing it, renaming
//! it over the old one and syncing the folder: a reader, or a machine that
//! lost power, sees the old contents or the new ones, nothing in between.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use crate::{Error, Result};

/// How long a writer waits for another. Writers hold a lock for the time of
/// one small write, so a longer wait means that one hangs.
pub const LOCK_TIMEOUT: Duration = Duration::from_secs(10);

/// Who may read a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Access {
    /// Its owner only: mode 0600.
    Owner,
    /// As the process's mask says: mode 0666 less the mask.
    Default,
}

/// An exclusive lock for changes of one file, released on drop.
///
/// It lies in a file of its own, `.<name>.lock` beside the target, because the
/// target itself is renamed over. Readers need no lock.
#[derive(Debug)]
pub struct Lock(#[expect(dead_code, reason = "held for its lock")] File);

impl Lock {
    /// Waits for the lock of `target`, at most [`LOCK_TIMEOUT`].
    ///
    /// # Errors
    /// [`Error::Locked`], [`Error::Io`].
    pub fn acquire(target: &Path) -> Result<Self> {
        Self::acquire_within(target, LOCK_TIMEOUT)
    }

    /// Waits for the lock of `target`, at most `timeout`.
    ///
    /// # Errors
    /// [`Error::Locked`], [`Error::Io`].
    pub fn acquire_within(target: &Path, timeout: Duration) -> Result<Self> {
        let path = lock_path(target);
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        owner_only(&mut options);
        let file = options.open(&path).map_err(Error::io("open lock file", &path))?;
        let deadline = Instant::now() + timeout;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Self(file)),
                Err(TryLockError::WouldBlock) if Instant::now() < deadline => {
                    thread::sleep(Duration::from_millis(10));
                }
                Err(TryLockError::WouldBlock) => return Err(Error::Locked { path }),
                Err(TryLockError::Error(source)) => {
                    return Err(Error::Io { action: "lock", path, source });
                }
            }
        }
    }
}

/// Replaces `path` by `contents`, all or nothing. A symbolic link is followed.
///
/// # Errors
/// [`Error::Io`]; the old file is then untouched.
pub fn replace(path: &Path, contents: &[u8], access: Access) -> Result<()> {
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let temporary = write_temporary(&path, contents, access)?;
    temporary.persist(&path).map_err(|e| Error::io("replace", &path)(e.error))?;
    sync_folder(folder_of(&path))
}

/// Writes `contents` to a file that must not exist, all or nothing.
///
/// # Errors
/// [`Error::FileExists`], [`Error::Io`].
pub fn create(path: &Path, contents: &[u8], access: Access) -> Result<()> {
    let temporary = write_temporary(path, contents, access)?;
    temporary.persist_noclobber(path).map_err(|e| match e.error.kind() {
        io::ErrorKind::AlreadyExists => Error::FileExists { path: path.to_owned() },
        _ => Error::io("create", path)(e.error),
    })?;
    sync_folder(folder_of(path))
}

/// Creates a folder and its parents; the folder itself gets mode 0700. One
/// that exists keeps its mode.
///
/// # Errors
/// [`Error::Io`].
pub fn create_private_folder(path: &Path) -> Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        fs::create_dir_all(parent).map_err(Error::io("create folder", parent))?;
    }
    #[allow(unused_mut, reason = "changed on Unix only")]
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    match builder.create(path) {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        result => result.map_err(Error::io("create folder", path)),
    }
}

/// Takes away everybody else's access, if somebody else has any.
///
/// # Errors
/// [`Error::Io`].
pub fn tighten(path: &Path) -> Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = fs::metadata(path).map_err(Error::io("inspect", path))?.permissions().mode();
        if mode & 0o077 != 0 {
            fs::set_permissions(path, fs::Permissions::from_mode(0o600))
                .map_err(Error::io("tighten the mode of", path))?;
        }
    }
    #[cfg(not(unix))]
    let _ = path;
    Ok(())
}

/// A path in full, for a file that can hold UTF-8 only.
pub(crate) fn absolute_utf8(path: &Path) -> Result<PathBuf> {
    let path = std::path::absolute(path).map_err(Error::io("resolve", path))?;
    match path.to_str() {
        Some(_) => Ok(path),
        None => Err(Error::PathNotUtf8 { path }),
    }
}

/// Reads a file; `None` if there is none.
pub(crate) fn read_if_present(path: &Path) -> Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(Error::io("read", path)(e)),
    }
}

fn write_temporary(
    path: &Path,
    contents: &[u8],
    access: Access,
) -> Result<tempfile::NamedTempFile> {
    let folder = folder_of(path);
    let mut builder = tempfile::Builder::new();
    builder.prefix(".soma-").suffix(".tmp");
    #[cfg(unix)]
    if access == Access::Default {
        use std::os::unix::fs::PermissionsExt as _;
        builder.permissions(fs::Permissions::from_mode(0o666));
    }
    #[cfg(not(unix))]
    let _ = access;
    let mut file = builder.tempfile_in(folder).map_err(Error::io("create a file in", folder))?;
    file.write_all(contents)
        .and_then(|()| file.as_file().sync_all())
        .map_err(Error::io("write", file.path()))?;
    Ok(file)
}

/// The folder that a file is in, or is to be in.
pub fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

fn sync_folder(folder: &Path) -> Result<()> {
    #[cfg(unix)]
    File::open(folder).and_then(|f| f.sync_all()).map_err(Error::io("sync folder", folder))?;
    #[cfg(not(unix))]
    let _ = folder;
    Ok(())
}

fn lock_path(target: &Path) -> PathBuf {
    let mut name = std::ffi::OsString::from(".");
    name.push(target.file_name().unwrap_or_default());
    name.push(".lock");
    target.with_file_name(name)
}

fn owner_only(options: &mut OpenOptions) {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    #[cfg(not(unix))]
    let _ = options;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    fn mode(path: &Path) -> u32 {
        use std::os::unix::fs::PermissionsExt as _;
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_failed_replace_leaves_the_old_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("target");
        fs::create_dir(&path).unwrap(); // a rename over a folder fails
        fs::write(path.join("kept"), "old").unwrap();
        assert!(matches!(replace(&path, b"new", Access::Owner), Err(Error::Io { .. })));
        assert_eq!(fs::read(path.join("kept")).unwrap(), b"old");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no temporary file is left");
    }

    #[test]
    fn readers_see_one_version_or_the_other() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("target");
        let versions = [vec![b'a'; 100_000], vec![b'b'; 50_000]];
        replace(&path, &versions[0], Access::Owner).unwrap();
        thread::scope(|scope| {
            scope.spawn(|| {
                for round in 0..100 {
                    replace(&path, &versions[round % 2], Access::Owner).unwrap();
                }
            });
            for _ in 0..500 {
                let seen = fs::read(&path).unwrap();
                assert!(versions.contains(&seen));
            }
        });
    }

    #[cfg(unix)]
    #[test]
    fn modes() {
        let folder = tempfile::tempdir().unwrap();
        let private = folder.path().join("a/b");
        create_private_folder(&private).unwrap();
        create_private_folder(&private).unwrap();
        assert_eq!(mode(&private), 0o700);
        let path = private.join("secret");
        create(&path, b"x", Access::Owner).unwrap();
        assert_eq!(mode(&path), 0o600);
        assert!(matches!(create(&path, b"y", Access::Owner), Err(Error::FileExists { .. })));
        assert_eq!(fs::read(&path).unwrap(), b"x");
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
        tighten(&path).unwrap();
        assert_eq!(mode(&path), 0o600);
        let open = private.join("open");
        replace(&open, b"x", Access::Default).unwrap();
        assert_eq!(mode(&open) & 0o600, 0o600);
    }

    #[cfg(unix)]
    #[test]
    fn a_symbolic_link_is_followed() {
        let folder = tempfile::tempdir().unwrap();
        let (real, link) = (folder.path().join("real"), folder.path().join("link"));
        fs::write(&real, "old").unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        replace(&link, b"new", Access::Owner).unwrap();
        assert_eq!(fs::read(&real).unwrap(), b"new");
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    }

    #[test]
    fn a_lock_is_exclusive_and_ends_with_its_value() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("target");
        let held = Lock::acquire(&path).unwrap();
        let short = Duration::from_millis(30);
        assert!(matches!(Lock::acquire_within(&path, short), Err(Error::Locked { .. })));
        drop(held);
        Lock::acquire_within(&path, short).unwrap();
    }
}
