//! The database: one file in the state directory, one durable commit for each
//! batch of transactions.
//!
//! The executor is the only writer. Everybody else reads [`Snapshot`]s, which
//! show whole commits and never what a commit is still busy with. The layout
//! is drawn in `docs/localnet-store.md`.

mod backend;
mod commit;
mod snapshot;
mod tables;
#[cfg(test)]
mod tests;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};

use redb::backends::FileBackend;
use redb::{Builder, Database, DatabaseError, ReadableDatabase as _, StorageError, TableError};
use serde::Serialize;

pub(crate) use self::commit::{Commit, EpochEnd, Genesis, object_types};
pub(crate) use self::snapshot::Snapshot;
use self::snapshot::store;
pub(crate) use self::tables::{ChainRow, OwnedKey, StateRow, StoredCheckpoint, StoredTransaction};
use self::tables::{FORMAT_VERSION, META, meta};
use crate::{Error, Result};

/// Name of the database in the state directory.
pub(crate) const FILE_NAME: &str = "chain.redb";
/// What it is called until the genesis is in it.
const NEW_FILE_NAME: &str = "chain.redb.new";
/// Locked by the process that uses the directory; it has no contents.
const LOCK_NAME: &str = "lock";
/// Bytes of the file that may be kept in memory.
const CACHE: usize = 64 << 20;
/// Up to this length the whole file is checked when it is opened. A longer one
/// is checked by the database only after it was not closed properly.
const CHECKED_LENGTH: u64 = 64 << 20;

/// Whether commits survive a power failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Durability {
    /// Each commit is synced to disk before it returns.
    Synced,
    /// Nothing is synced: for a chain that is gone at exit.
    Unsynced,
}

/// The open database.
#[derive(Debug)]
pub(crate) struct Store {
    path: PathBuf,
    /// Empty once closed, so that readers that linger cannot keep it locked.
    open: RwLock<Option<Open>>,
}

#[derive(Debug)]
struct Open {
    database: Database,
    /// Held as long as the file is open, and given up by the system even when
    /// the process is killed.
    _lock: fs::File,
}

impl Store {
    /// Whether the directory holds a chain, readable or not.
    pub(crate) fn exists(directory: &Path) -> bool {
        directory.join(FILE_NAME).exists()
    }

    /// Makes a database with a genesis in it.
    ///
    /// It gets its name only when the genesis is on disk, so a crash in
    /// between leaves no half-made chain.
    ///
    /// # Errors
    /// [`Error::Locked`], [`Error::Io`], [`Error::Store`].
    pub(crate) fn create<L: Serialize>(
        directory: &Path,
        durability: Durability,
        genesis: &Genesis<'_, L>,
    ) -> Result<Self> {
        let lock = lock(directory)?;
        let (new, path) = (directory.join(NEW_FILE_NAME), directory.join(FILE_NAME));
        match fs::remove_file(&new) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => {
                return Err(Error::io("remove", new, e));
            }
            _ => {}
        }
        let database = open_database(&new, durability).map_err(|e| refused(&new, e))?;
        let store =
            Self { path: path.clone(), open: RwLock::new(Some(Open { database, _lock: lock })) };
        store.begin(genesis)?;
        fs::rename(&new, &path).map_err(|e| Error::io("create", &path, e))?;
        if durability == Durability::Synced {
            let synced = fs::File::open(directory).and_then(|directory| directory.sync_all());
            synced.map_err(|e| Error::io("sync", directory, e))?;
        }
        Ok(store)
    }

    /// Opens the database that [`Store::exists`] has seen.
    ///
    /// # Errors
    /// [`Error::Locked`], [`Error::Foreign`], [`Error::Damaged`], [`Error::Io`].
    pub(crate) fn open(directory: &Path) -> Result<Self> {
        let lock = lock(directory)?;
        let path = directory.join(FILE_NAME);
        if fs::metadata(&path).map_err(|e| Error::io("open", &path, e))?.len() == 0 {
            return Err(Error::Foreign { path, reason: "the file is empty".to_owned() });
        }
        let database = open_database(&path, Durability::Synced).map_err(|e| refused(&path, e))?;
        check_format(&database, &path)?;
        Ok(Self { path, open: RwLock::new(Some(Open { database, _lock: lock })) })
    }

    /// Opens an existing database on a disk that fails after a number of
    /// operations.
    #[cfg(test)]
    pub(crate) fn open_failing(directory: &Path, operations: u64) -> Result<Self> {
        let lock = lock(directory)?;
        let path = directory.join(FILE_NAME);
        let file = fs::OpenOptions::new().read(true).write(true).open(&path);
        let file = file.map_err(|e| Error::io("open", &path, e))?;
        let backend = backend::Failing::new(FileBackend::new(file).map_err(store)?, operations);
        let database =
            Builder::new().create_with_backend(backend).map_err(|e| refused(&path, e))?;
        Ok(Self { path, open: RwLock::new(Some(Open { database, _lock: lock })) })
    }

    /// Where the file is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// What is committed now.
    ///
    /// # Errors
    /// [`Error::Stopped`] after [`Store::close`], [`Error::Store`].
    pub(crate) fn snapshot(&self) -> Result<Snapshot> {
        self.with(|database| Ok(Snapshot::new(database.begin_read().map_err(store)?)))
    }

    /// Closes the file and gives up its lock. Snapshots end with it.
    pub(crate) fn close(&self) {
        let open = self.open.write().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(Err(error)) = open.map(|open| open.database.close()) {
            tracing::warn!(%error, "closing the database");
        }
    }

    fn with<T>(&self, action: impl FnOnce(&Database) -> Result<T>) -> Result<T> {
        let open = self.open.read().unwrap_or_else(PoisonError::into_inner);
        action(&open.as_ref().ok_or(Error::Stopped)?.database)
    }
}

/// Makes this process the only one that uses the directory.
fn lock(directory: &Path) -> Result<fs::File> {
    fs::create_dir_all(directory).map_err(|e| Error::io("create", directory, e))?;
    let path = directory.join(LOCK_NAME);
    let mut options = fs::OpenOptions::new();
    let file = options.write(true).create(true).truncate(false).open(&path);
    let file = file.map_err(|e| Error::io("open", &path, e))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => Err(Error::Locked { path: directory.to_path_buf() }),
        Err(fs::TryLockError::Error(e)) => Err(Error::io("lock", path, e)),
    }
}

fn open_database(path: &Path, durability: Durability) -> Result<Database, DatabaseError> {
    let mut builder = Builder::new();
    builder.set_cache_size(CACHE);
    if durability == Durability::Unsynced {
        let mut options = fs::OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(false).open(path);
        let file = FileBackend::new(file.map_err(StorageError::Io)?)?;
        return builder.create_with_backend(backend::Unsynced(file));
    }
    let length = fs::metadata(path).map_or(0, |metadata| metadata.len());
    builder.set_check_integrity_on_open(length > 0 && length <= CHECKED_LENGTH);
    builder.create(path)
}

fn refused(path: &Path, error: DatabaseError) -> Error {
    let path = path.to_path_buf();
    match error {
        DatabaseError::DatabaseAlreadyOpen => Error::Locked { path },
        DatabaseError::Storage(StorageError::Io(e)) if e.kind() == io::ErrorKind::InvalidData => {
            Error::Foreign { path, reason: "it is not a database".to_owned() }
        }
        DatabaseError::Storage(StorageError::Io(e)) => Error::io("open", path, e),
        DatabaseError::UpgradeRequired(_) => {
            Error::Foreign { path, reason: "the database is of an older kind".to_owned() }
        }
        other => Error::Damaged { path, reason: other.to_string() },
    }
}

fn check_format(database: &Database, path: &Path) -> Result<()> {
    let foreign = |reason: String| Error::Foreign { path: path.to_path_buf(), reason };
    let transaction = database.begin_read().map_err(store)?;
    let table = match transaction.open_table(META) {
        Ok(table) => table,
        Err(TableError::Storage(e)) => return Err(store(e)),
        Err(e) => return Err(foreign(format!("another program's database ({e})"))),
    };
    let row = table.get(meta::FORMAT).map_err(store)?;
    let version = row.and_then(|row| row.value().try_into().ok()).map(u32::from_le_bytes);
    match version {
        Some(FORMAT_VERSION) => Ok(()),
        Some(other) => {
            Err(foreign(format!("its format is {other}, this program reads {FORMAT_VERSION}")))
        }
        None => Err(foreign("it names no format".to_owned())),
    }
}
