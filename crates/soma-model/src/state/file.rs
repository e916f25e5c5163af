//! State on disk: written before anything leaves the machine.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use soma_proto::ObjectId;
use soma_wallet::file::{self, Access, Lock};
use zeroize::Zeroizing;

use super::text::FORMAT;
use super::{Round, State};
use crate::{Error, Result, RevealOf, Stage};

/// Bytes of a state file at most: one with the record of ten thousand parts has not
/// half of it.
const LIMIT: u64 = 16 << 20;
/// What every version's format begins with.
const FAMILY: &[u8] = b"soma-model-state/";
/// Stands for the models that are not in a folder yet in the name of a lock.
const NEW_MODELS: &str = "new";

/// A state file held by this process alone, from open to drop.
///
/// [`save`](Self::save) replaces it at once (write, sync, rename, sync of the
/// folder), with mode 0600, and reads it back before it returns: what was
/// saved is on the disk and can be read.
#[derive(Debug)]
pub struct StateFile {
    path: PathBuf,
    /// What is to be saved.
    pub state: State,
    /// What an update that was begun in this file replaced.
    replaced: Option<Replaced>,
    _lock: Lock,
}

/// The update before, and how many rounds were over then.
#[derive(Debug)]
struct Replaced {
    update: Option<Round>,
    spent: usize,
}

impl StateFile {
    /// Writes the state of a model that has none yet.
    ///
    /// # Errors
    /// [`Error::File`]: if there is one, it stays as it is;
    /// [`Error::PathNotUtf8`] before anything is written.
    pub fn create(path: &Path, state: State) -> Result<Self> {
        let json = state.to_json()?;
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            file::create_private_folder(folder)?;
        }
        let lock = Lock::acquire_within(path, Duration::ZERO)?;
        file::create(path, &json, Access::Owner)?;
        let created = Self { path: path.to_owned(), state, replaced: None, _lock: lock };
        created.read_back()?;
        Ok(created)
    }

    /// Takes hold of a state file.
    ///
    /// # Errors
    /// [`Error::File`] if it is missing or another process holds it;
    /// [`Error::State`] if it cannot be understood.
    pub fn open(path: &Path) -> Result<Self> {
        // The lock file would be made beside a file that does not exist.
        fs::metadata(path).map_err(|source| io("open", path, source))?;
        let lock = Lock::acquire_within(path, Duration::ZERO)?;
        Ok(Self { path: path.to_owned(), state: read(path)?, replaced: None, _lock: lock })
    }

    /// Reads a state without taking hold of it: while a reveal is waited for,
    /// another process may hold it for a day.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::State`].
    pub fn peek(path: &Path) -> Result<State> {
        read(path)
    }

    /// Saves the state.
    ///
    /// # Errors
    /// [`Error::File`], [`Error::PathNotUtf8`]; the file then holds what it held
    /// before.
    pub fn save(&self) -> Result<()> {
        file::replace(&self.path, &self.state.to_json()?, Access::Owner)?;
        self.read_back()
    }

    /// Changes the state and saves it.
    ///
    /// # Errors
    /// As [`StateFile::save`].
    pub fn update(&mut self, change: impl FnOnce(&mut State)) -> Result<()> {
        change(&mut self.state);
        self.save()
    }

    /// Refuses if an update may not begin: the key of what is committed is
    /// needed until its window is over.
    ///
    /// # Errors
    /// [`Error::Stage`].
    pub(crate) fn check_free(&self) -> Result<()> {
        let (of, current) = self.state.current();
        let stage = current.stage();
        let free = match of {
            RevealOf::Registration => stage == Stage::Revealed,
            RevealOf::Update => {
                matches!(stage, Stage::Unsealed | Stage::Prepared | Stage::Revealed)
            }
        };
        if free {
            return Ok(());
        }
        let model = self.state.model_id;
        let what = match stage {
            Stage::CommitSigned => {
                "cannot prepare an update while the signed commit of the one before may still be \
                 executed; soma model update-commit --prepared sends it again"
            }
            _ => {
                "cannot prepare an update before the one under way is revealed or its window is \
                 over"
            }
        };
        Err(Error::Stage { what, model, stage })
    }

    /// Puts an update on file.
    ///
    /// # Errors
    /// As [`StateFile::check_free`] and [`StateFile::save`].
    pub(crate) fn begin_update(&mut self, round: Round) -> Result<()> {
        self.check_free()?;
        let (update, spent) = (self.state.update.clone(), self.state.spent.len());
        self.update(|state| {
            let over = state.current().1.spent();
            if !state.spent.contains(&over) {
                state.spent.push(over);
            }
            state.update = Some(round);
        })?;
        self.replaced = Some(Replaced { update, spent });
        Ok(())
    }

    /// Takes an update off file that encrypted nothing; the one that it
    /// replaced since this file was opened is on file again.
    ///
    /// # Errors
    /// As [`StateFile::save`].
    pub(crate) fn take_back_update(&mut self) -> Result<()> {
        let replaced = self.replaced.take();
        self.update(|state| match replaced {
            Some(Replaced { update, spent }) => {
                state.update = update;
                state.spent.truncate(spent);
            }
            None => state.update = None,
        })
    }

    /// Removes the file: for a key that encrypted nothing.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub(crate) fn discard(self) -> Result<()> {
        fs::remove_file(&self.path).map_err(|source| io("remove", &self.path, source))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn read_back(&self) -> Result<()> {
        let unlike = || Error::State {
            path: self.path.clone(),
            reason: "what was read back is not what was written".to_owned(),
        };
        if read(&self.path)? == self.state { Ok(()) } else { Err(unlike()) }
    }
}

/// The folder with the state files of a wallet, one for each model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateFolder(PathBuf);

impl StateFolder {
    /// The folder; it need not exist.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The file for a model.
    pub fn path_of(&self, model: &ObjectId) -> PathBuf {
        self.0.join(format!("{model}.json"))
    }

    /// Waits for the turn to begin a model: from the look at what was begun before
    /// until the new state file is there, nobody else does the same. The folder is
    /// made if it is missing.
    ///
    /// # Errors
    /// [`Error::File`], [`Error::Io`] if it is none.
    pub(crate) fn turn(&self) -> Result<Lock> {
        self.paths()?;
        file::create_private_folder(&self.0)?;
        Ok(Lock::acquire(&self.0.join(NEW_MODELS))?)
    }

    /// Coins that are set aside for reveals, with the models that they are
    /// kept for. Files that cannot be understood are passed over.
    ///
    /// # Errors
    /// As [`StateFolder::read`].
    pub fn set_aside(&self) -> Result<Vec<(ObjectId, ObjectId)>> {
        let states = self.read()?.into_iter().filter_map(|(_, state)| state.ok());
        Ok(states.filter_map(|state| Some((state.gas_coin?, state.model_id))).collect())
    }

    /// Frees the coin that is set aside for a model: one that is inactive is never
    /// revealed again.
    ///
    /// # Errors
    /// As [`StateFolder::read`] and [`StateFile::open`].
    pub fn free_coin(&self, model: &ObjectId) -> Result<()> {
        for (path, state) in self.read()? {
            if state.is_ok_and(|state| state.model_id == *model && state.gas_coin.is_some()) {
                StateFile::open(&path)?.update(|state| state.gas_coin = None)?;
            }
        }
        Ok(())
    }

    /// Reads all states without taking hold of them, oldest first. A file that
    /// cannot be understood comes as its error.
    ///
    /// # Errors
    /// [`Error::Io`] if the folder cannot be read; a missing one is empty.
    pub fn read(&self) -> Result<Vec<(PathBuf, Result<State>)>> {
        let mut states = Vec::new();
        for path in self.paths()? {
            let state = read(&path);
            states.push((path, state));
        }
        states.sort_by_key(|(path, state)| {
            (state.as_ref().map_or(0, |state| state.prepared_at_ms), path.clone())
        });
        Ok(states)
    }

    /// The state files, in no order.
    ///
    /// # Errors
    /// As [`StateFolder::read`].
    pub(crate) fn paths(&self) -> Result<Vec<PathBuf>> {
        let entries = match fs::read_dir(&self.0) {
            Ok(entries) => entries,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => return Err(io("read", &self.0, e)),
        };
        let mut paths = Vec::new();
        for entry in entries {
            let path = entry.map_err(|e| io("read", &self.0, e))?.path();
            let hidden =
                path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
            if !hidden && path.extension().is_some_and(|extension| extension == "json") {
                paths.push(path);
            }
        }
        Ok(paths)
    }

    /// The file of the model that was prepared last.
    ///
    /// # Errors
    /// [`Error::NothingPrepared`]; as [`StateFolder::read`].
    pub fn newest(&self) -> Result<PathBuf> {
        let readable = self.read()?.into_iter().filter(|(_, state)| state.is_ok());
        let newest = readable.last().map(|(path, _)| path);
        newest.ok_or_else(|| Error::NothingPrepared { folder: self.0.clone() })
    }
}

impl State {
    /// The bytes of a state file.
    ///
    /// # Errors
    /// [`Error::PathNotUtf8`].
    pub(crate) fn to_json(&self) -> Result<Zeroizing<Vec<u8>>> {
        for round in [Some(&self.registration), self.update.as_ref()].into_iter().flatten() {
            for path in [&round.weights_file, &round.sealed_file] {
                if path.to_str().is_none() {
                    return Err(Error::PathNotUtf8 { path: path.clone() });
                }
            }
        }
        // Room enough that the buffer is not moved, which would leave copies behind.
        let mut json = Zeroizing::new(Vec::with_capacity(2 << 20));
        serde_json::to_writer_pretty(&mut *json, self).expect("a state has a JSON form");
        json.push(b'\n');
        Ok(json)
    }

    /// Reads the bytes of a state file, or says what is wrong with them.
    pub(crate) fn from_json(bytes: &[u8]) -> Result<Self, String> {
        #[derive(serde::Deserialize)]
        struct Head {
            format: String,
        }
        // The parser's own words could quote the file, so only the place is told.
        let damaged = |e: serde_json::Error| {
            format!("it is damaged at line {}, column {}", e.line(), e.column())
        };
        let head: Head = serde_json::from_slice(bytes).map_err(damaged)?;
        if head.format != FORMAT {
            let found = head.format;
            return Err(format!("it has the format {found:?}, this program knows {FORMAT:?}"));
        }
        serde_json::from_slice(bytes).map_err(damaged)
    }
}

/// Reads a state file; one that others may read is made private. What is none is
/// left as it is, and nothing but a file of a sensible size is opened at all: the
/// folder may be anybody's.
fn read(path: &Path) -> Result<State> {
    let unlike = |reason: String| Error::State { path: path.to_owned(), reason };
    let found = fs::metadata(path).map_err(|source| io("read", path, source))?;
    if !found.is_file() {
        return Err(unlike("it is not a file".to_owned()));
    }
    let too_large = || unlike(format!("it has more than {LIMIT} bytes, which no state file has"));
    if found.len() > LIMIT {
        return Err(too_large());
    }
    // Room for all of it, so that the buffer is not moved, which would leave copies behind.
    let room = usize::try_from(found.len()).unwrap_or(0).saturating_add(1);
    let mut bytes = Zeroizing::new(Vec::with_capacity(room));
    let file = fs::File::open(path).map_err(|source| io("read", path, source))?;
    // It may grow meanwhile.
    let mut file = file.take(LIMIT + 1);
    file.read_to_end(&mut bytes).map_err(|source| io("read", path, source))?;
    if bytes.len() as u64 > LIMIT {
        return Err(too_large());
    }
    // Also one that is damaged, or of another version, may hold a key.
    if bytes.windows(FAMILY.len()).any(|word| word == FAMILY) {
        file::tighten(path)?;
    }
    State::from_json(&bytes).map_err(unlike)
}

fn io(action: &'static str, path: &Path, source: std::io::Error) -> Error {
    Error::Io { action, path: path.to_owned(), source }
}
