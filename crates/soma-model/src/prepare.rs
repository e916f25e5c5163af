//! Encrypting weights so that their key cannot be lost.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use soma_crypto::safetensors::{self, HeaderError};
use soma_crypto::{Durability, Existing, Input, Key, Options, Output, seal};
use soma_proto::{Commitment, DecryptionKey, KeyPair};

use crate::network::now_ms;
use crate::state::{Round, State, StateFile, StateFolder};
use crate::{
    Error, Measured, ObjectName, Report, Result, RevealOf, Stage, TypedUrl, companion, disk,
    measure, weights_key,
};

/// What is to be prepared.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_structs, reason = "a list of arguments with names")]
pub struct Preparation {
    /// The plain weights: a safetensors file.
    pub weights_file: PathBuf,
    /// Where the encrypted weights are written; if absent beside the plain
    /// ones, under the name of the object, or ending in `.enc`.
    pub sealed_file: Option<PathBuf>,
    /// Where the encrypted weights will be served: their own URL, or that of a
    /// folder, in which they get an [`ObjectName`].
    pub url: TypedUrl,
    /// The vector that training gave, if it is known already.
    pub embedding: Option<Vec<f32>>,
    /// What the key of weights in a folder is derived from; without it the key
    /// is drawn at random. So it is for an object that has a name of its own:
    /// the name may have been used before.
    pub wallet: Option<KeyPair>,
}

/// What an earlier run has done, and the weights are still those.
struct Done {
    sealed: Measured,
    plain_modified: Option<u64>,
}

/// How a preparation begins.
enum Begin {
    /// What was begun before is complete now.
    GoneOn(StateFile),
    /// A new state file is there; nothing is encrypted yet.
    Anew(StateFile),
}

impl Preparation {
    /// Prepares the first weights of a new model: makes a state file in
    /// `folder`, or at `path`, with a key and fresh ids, then encrypts. For a
    /// key that is derived from a wallet a [companion] is written too.
    ///
    /// The key is on the disk before the encrypted weights have their name.
    /// It can be run again: what is complete is kept if the weights are still
    /// the same, otherwise it starts over with another key.
    ///
    /// # Errors
    /// [`Error::NotSafetensors`] and [`Error::PathNotUtf8`] before anything is
    /// written;
    /// [`Error::Refused`] if the disk is too full; [`Error::Weights`], also if
    /// there is an encrypted file already and `options` do not allow to
    /// replace it; [`Error::Stage`] if the file at `path` has come further;
    /// [`Error::File`], also if another process is preparing the same.
    pub fn run(
        self,
        folder: &StateFolder,
        path: Option<PathBuf>,
        options: &Options<'_>,
    ) -> Result<StateFile> {
        self.inspect()?;
        let mut file = match path {
            Some(path) if path.exists() => {
                let mut file = StateFile::open(&path)?;
                if self.go_on(&mut file, options)? {
                    return Ok(file);
                }
                let (model, stage) = (file.state.model_id, file.state.registration.stage());
                return Err(Error::Stage { what: "cannot prepare again", model, stage });
            }
            Some(path) => StateFile::create(&path, self.state()?)?,
            None => match self.begin(folder, options)? {
                Begin::GoneOn(file) => return Ok(file),
                Begin::Anew(file) => file,
            },
        };
        match self.seal(&mut file, RevealOf::Registration, options) {
            Ok(()) => Ok(file),
            // Nothing was encrypted under this key, so nothing is lost with it.
            Err(error) if file.state.registration.sealed.is_none() => {
                file.discard()?;
                Err(error)
            }
            Err(error) => Err(error),
        }
    }

    /// Prepares new weights of a model whose present ones are revealed. An
    /// update that was never committed makes room; one that was does so once
    /// [`close_update`](crate::close_update) has found it over. If the weights
    /// cannot be encrypted, the update before is on file again. This very update,
    /// prepared before, is kept.
    ///
    /// # Errors
    /// [`Error::Stage`] while the weights before are on their way; as
    /// [`Preparation::run`].
    pub fn run_update(self, file: &mut StateFile, options: &Options<'_>) -> Result<()> {
        self.inspect()?;
        let (of, current) = file.state.current();
        if of == RevealOf::Update
            && let Some(done) = self.done(current, options)?
        {
            return self.keep(file, of, done);
        }
        file.check_free()?;
        let round = self.round()?;
        refuse_taken(&round.sealed_file, options)?;
        let (before, spent) = (file.state.update.clone(), file.state.spent.len());
        file.begin_update(round)?;
        self.seal(file, RevealOf::Update, options).or_else(|error| {
            // Nothing was encrypted under the new key, so the old one counts.
            if file.state.update.as_ref().is_some_and(|update| update.sealed.is_none()) {
                file.update(|state| {
                    state.update = before;
                    state.spent.truncate(spent);
                })?;
            }
            Err(error)
        })
    }

    /// The state file in the folder that this preparation was begun with, or a new
    /// one. Of two that run at the same time the second one finds that of the first.
    fn begin(&self, folder: &StateFolder, options: &Options<'_>) -> Result<Begin> {
        let mut passed: Option<StateFile> = None;
        loop {
            let turn = folder.turn()?;
            let is_new = |path: &PathBuf| passed.as_ref().is_none_or(|file| file.path() != path);
            let Some(path) = self.begun(folder)?.filter(is_new) else {
                let state = self.state()?;
                let path = folder.path_of(&state.model_id);
                return Ok(Begin::Anew(StateFile::create(&path, state)?));
            };
            let mut file = StateFile::open(&path)?;
            // What may take long needs this one file only; the others are looked at
            // again after it.
            drop(turn);
            if self.go_on(&mut file, options)? {
                return Ok(Begin::GoneOn(file));
            }
            passed = Some(file);
        }
    }

    /// Completes what an earlier run began, or finds it complete. False, and nothing
    /// is changed, if it has come further, or its encrypted file is not what it was.
    fn go_on(&self, file: &mut StateFile, options: &Options<'_>) -> Result<bool> {
        if file.state.update.is_some() {
            return Ok(false);
        }
        if let Some(done) = self.done(&file.state.registration, options)? {
            self.keep(file, RevealOf::Registration, done)?;
            return Ok(true);
        }
        if file.state.registration.stage() != Stage::Unsealed {
            return Ok(false);
        }
        let round = self.round()?;
        file.update(|state| state.registration = round)?;
        self.seal(file, RevealOf::Registration, options)?;
        Ok(true)
    }

    /// A new model with a fresh key.
    fn state(&self) -> Result<State> {
        Ok(State::new(self.round()?, now_ms()))
    }

    /// Looks at the paths and at the weights.
    fn inspect(&self) -> Result<()> {
        absolute(&self.weights_file)?;
        self.sealed_file.as_deref().map_or(Ok(()), |path| absolute(path).map(drop))?;
        inspect(&self.weights_file)
    }

    /// A round with a fresh key, if there is room for it.
    fn round(&self) -> Result<Round> {
        let weights_file = absolute(&self.weights_file)?;
        let metadata = fs::metadata(&weights_file).map_err(io("inspect", &weights_file))?;
        let (url, key, name) = match (self.url.is_folder(), &self.wallet) {
            (false, _) => (self.url.clone(), random_key()?, None),
            (true, wallet) => {
                let name = ObjectName::random()?;
                let key = match wallet {
                    Some(wallet) => weights_key(wallet, &name),
                    None => random_key()?,
                };
                (self.url.of_object(&name), key, Some(name))
            }
        };
        let sealed_file = self.sealed_file(name.as_ref())?;
        if let Some(finding) = disk::check(&sealed_file, metadata.len()) {
            return Err(Error::Refused(Report::from_iter([finding])));
        }
        Ok(Round {
            plain_modified: modified(&metadata),
            sealed_modified: None,
            weights_file,
            sealed_file,
            weights_url: url.normal().clone(),
            decryption_key: key,
            sealed: None,
            embedding: self.embedding.clone(),
            upload: None,
            commit: None,
            reveal: None,
        })
    }

    fn sealed_file(&self, name: Option<&ObjectName>) -> Result<PathBuf> {
        absolute(&match (&self.sealed_file, name) {
            (Some(path), _) => path.clone(),
            (None, Some(name)) => self.weights_file.with_file_name(name.to_string()),
            (None, None) => self.weights_file.with_extension("enc"),
        })
    }

    /// The newest state in the folder that this preparation was begun with.
    fn begun(&self, folder: &StateFolder) -> Result<Option<PathBuf>> {
        for (path, state) in folder.read()?.into_iter().rev() {
            if let Ok(state) = state
                && state.update.is_none()
                && self.is_of(&state.registration)?
            {
                return Ok(Some(path));
            }
        }
        Ok(None)
    }

    /// Whether a round that is not committed yet has these paths and this URL.
    fn is_of(&self, round: &Round) -> Result<bool> {
        let name = ObjectName::of_url(round.weights_url.as_url());
        let url = match (self.url.is_folder(), name, &self.wallet) {
            (false, ..) => self.url.clone(),
            (true, Some(name), Some(wallet))
                if weights_key(wallet, &name) == round.decryption_key =>
            {
                self.url.of_object(&name)
            }
            _ => return Ok(false),
        };
        let named = self.url.is_folder().then_some(name).flatten();
        Ok(round.stage() <= Stage::Prepared
            && round.weights_url == *url.normal()
            && round.weights_file == absolute(&self.weights_file)?
            && round.sealed_file == self.sealed_file(named.as_ref())?)
    }

    /// What is left of an earlier run, if there is nothing left to encrypt: the
    /// encrypted file is what these weights become under the key of the round.
    fn done(&self, round: &Round, options: &Options<'_>) -> Result<Option<Done>> {
        if !self.is_of(round)? || !round.sealed_file.is_file() {
            return Ok(None);
        }
        let metadata = fs::metadata(&round.weights_file);
        let plain_modified = modified(&metadata.map_err(io("inspect", &round.weights_file))?);
        let found = measure(&round.sealed_file, options)?;
        if round.sealed.is_some_and(|sealed| sealed != found) {
            return Ok(None);
        }
        let key = Key::from_bytes(*round.decryption_key.as_bytes());
        let nowhere = Output::writer("nowhere", io::sink());
        let again = seal(&key, Input::file(&round.weights_file), nowhere, options)?;
        let is_same = again.digest.as_bytes() == found.commitment.as_bytes();
        Ok(is_same.then_some(Done { sealed: found, plain_modified }))
    }

    fn keep(&self, file: &mut StateFile, of: RevealOf, done: Done) -> Result<()> {
        file.update(|state| {
            if let Some(round) = state.round_mut(of) {
                round.sealed = Some(done.sealed);
                round.plain_modified = done.plain_modified;
                round.sealed_modified = written(&round.sealed_file);
                if self.embedding.is_some() {
                    round.embedding.clone_from(&self.embedding);
                }
            }
        })?;
        self.write_companion(file)
    }

    fn seal(&self, file: &mut StateFile, of: RevealOf, options: &Options<'_>) -> Result<()> {
        let round = file.state.round(of).expect("the round was just made");
        let key = Key::from_bytes(*round.decryption_key.as_bytes());
        let (input, output) = (round.weights_file.clone(), round.sealed_file.clone());
        // The commitment is worth money soon, so what it is of must be on the disk.
        let options = options.clone().with_durability(Durability::Synced);
        let sealed = seal(&key, Input::file(input), Output::file(output), &options)?;
        let commitment = Commitment::new(sealed.digest.into_inner());
        file.update(|state| {
            if let Some(round) = state.round_mut(of) {
                round.sealed = Some(Measured { commitment, size: sealed.size });
                round.sealed_modified = written(&round.sealed_file);
            }
        })?;
        self.write_companion(file)
    }

    fn write_companion(&self, file: &StateFile) -> Result<()> {
        match &self.wallet {
            Some(wallet) => companion::write(&file.state, wallet).map(drop),
            None => Ok(()),
        }
    }
}

/// [`modified`] of a file by name.
fn written(path: &Path) -> Option<u64> {
    fs::metadata(path).ok().as_ref().and_then(modified)
}

/// When a file was last written, nanoseconds since 1970.
pub(crate) fn modified(metadata: &fs::Metadata) -> Option<u64> {
    metadata.modified().ok().and_then(nanoseconds)
}

/// Nanoseconds since 1970.
pub(crate) fn nanoseconds(time: SystemTime) -> Option<u64> {
    let since = time.duration_since(UNIX_EPOCH).ok()?;
    u64::try_from(since.as_nanos()).ok()
}

fn random_key() -> Result<DecryptionKey> {
    Ok(DecryptionKey::new(*Key::generate()?.as_bytes()))
}

/// Refuses what is not safetensors; a file that cannot be read is another matter.
pub(crate) fn inspect(path: &Path) -> Result<()> {
    match safetensors::inspect_file(path, None) {
        Ok(_) => Ok(()),
        Err(HeaderError::Input(error)) => Err(error.into()),
        Err(HeaderError::Read(source)) => Err(io("read", path)(source)),
        Err(source) => Err(Error::NotSafetensors { path: path.to_owned(), source }),
    }
}

/// The same path from any directory, as a state file can hold it.
pub(crate) fn absolute(path: &Path) -> Result<PathBuf> {
    let path = std::path::absolute(path).map_err(io("resolve", path))?;
    if path.to_str().is_some() { Ok(path) } else { Err(Error::PathNotUtf8 { path }) }
}

fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::Io { action, path, source }
}

/// What sealing would refuse too, but before the state says otherwise.
fn refuse_taken(sealed_file: &Path, options: &Options<'_>) -> Result<()> {
    match options.existing() == Existing::Keep && fs::symlink_metadata(sealed_file).is_ok() {
        true => Err(soma_crypto::Error::OutputExists { path: sealed_file.to_owned() }.into()),
        false => Ok(()),
    }
}
