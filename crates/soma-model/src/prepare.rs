//! Encrypting weights so that their key cannot be lost.

use std::fs;
use std::path::{Path, PathBuf};

use soma_crypto::{Durability, Existing, Input, Key, Options, Output, safetensors, seal};
use soma_proto::{Commitment, DecryptionKey};

use crate::network::now_ms;
use crate::state::{Round, State, StateFile, StateFolder};
use crate::{Error, Measured, Result, RevealOf, Stage, TypedUrl, measure};

/// What is to be prepared.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_structs, reason = "a list of arguments with names")]
pub struct Preparation {
    /// The plain weights: a safetensors file.
    pub weights_file: PathBuf,
    /// Where the encrypted weights are written.
    pub sealed_file: PathBuf,
    /// Where the encrypted weights will be served.
    pub url: TypedUrl,
    /// The vector that training gave, if it is known already.
    pub embedding: Option<Vec<f32>>,
}

impl Preparation {
    /// Prepares the first weights of a new model: makes a state file in
    /// `folder`, or at `path`, with a fresh key and fresh ids, then encrypts.
    ///
    /// The key is on the disk before the encrypted weights have their name.
    /// Interrupted, it can be run again on the same `path`: an encrypted file
    /// that was complete is kept, otherwise it starts over with another key.
    ///
    /// # Errors
    /// [`Error::NotSafetensors`] before anything is written;
    /// [`Error::Weights`], also if there is an encrypted file already and
    /// `options` do not allow to replace it; [`Error::Stage`] if the file at
    /// `path` has come further; [`Error::File`].
    pub fn run(
        self,
        folder: &StateFolder,
        path: Option<PathBuf>,
        options: &Options<'_>,
    ) -> Result<StateFile> {
        let round = self.round()?;
        if let Some(path) = path.as_deref().filter(|path| path.exists()) {
            return again(path, round, options);
        }
        let state = State::new(round, now_ms());
        let path = path.unwrap_or_else(|| folder.path_of(&state.model_id));
        let mut file = StateFile::create(&path, state)?;
        match seal_round(&mut file, RevealOf::Registration, options) {
            Ok(()) => Ok(file),
            // Nothing was encrypted under this key, so nothing is lost with it.
            Err(error) => {
                file.discard()?;
                Err(error)
            }
        }
    }

    /// Prepares new weights of a model whose present ones are revealed. An
    /// update that was never committed makes room; one that was does so once
    /// [`close_update`](crate::close_update) has found it over. If the weights
    /// cannot be encrypted, the update before is on file again.
    ///
    /// # Errors
    /// [`Error::Stage`] while the weights before are on their way; as
    /// [`Preparation::run`].
    pub fn run_update(self, file: &mut StateFile, options: &Options<'_>) -> Result<()> {
        let (of, current) = file.state.current();
        let stage = current.stage();
        // The key of what is committed is needed until its window is over.
        let free = match of {
            RevealOf::Registration => stage == Stage::Revealed,
            RevealOf::Update => {
                matches!(stage, Stage::Unsealed | Stage::Prepared | Stage::Revealed)
            }
        };
        if !free {
            let model = file.state.model_id;
            let what = "cannot prepare an update before the one under way is revealed or its \
                        window is over";
            return Err(Error::Stage { what, model, stage });
        }
        let round = self.round()?;
        refuse_taken(&round.sealed_file, options)?;
        let (before, spent) = (file.state.update.clone(), file.state.spent.len());
        file.update(|state| {
            let over = state.current().1.spent();
            if !state.spent.contains(&over) {
                state.spent.push(over);
            }
            state.update = Some(round);
        })?;
        seal_round(file, RevealOf::Update, options).or_else(|error| {
            // Nothing was encrypted under the new key, so the old one counts.
            file.update(|state| {
                state.update = before;
                state.spent.truncate(spent);
            })?;
            Err(error)
        })
    }

    /// A round with a fresh key, after a look at the weights.
    fn round(self) -> Result<Round> {
        let absolute = |path: PathBuf| {
            std::path::absolute(&path).map_err(|source| Error::Io {
                action: "resolve",
                path,
                source,
            })
        };
        safetensors::inspect_file(&self.weights_file, None)
            .map_err(|source| Error::NotSafetensors { path: self.weights_file.clone(), source })?;
        let key = Key::generate()?;
        Ok(Round {
            weights_file: absolute(self.weights_file)?,
            sealed_file: absolute(self.sealed_file)?,
            weights_url: self.url.normal().clone(),
            decryption_key: DecryptionKey::new(*key.as_bytes()),
            sealed: None,
            embedding: self.embedding,
            commit: None,
            reveal: None,
        })
    }
}

/// What sealing would refuse too, but before the state says otherwise.
fn refuse_taken(sealed_file: &Path, options: &Options<'_>) -> Result<()> {
    match options.existing() == Existing::Keep && fs::symlink_metadata(sealed_file).is_ok() {
        true => Err(soma_crypto::Error::OutputExists { path: sealed_file.to_owned() }.into()),
        false => Ok(()),
    }
}

/// Takes up a preparation that was interrupted.
fn again(path: &Path, round: Round, options: &Options<'_>) -> Result<StateFile> {
    let mut file = StateFile::open(path)?;
    let (model, stage) = (file.state.model_id, file.state.registration.stage());
    if stage != Stage::Unsealed || file.state.update.is_some() {
        return Err(Error::Stage { what: "cannot prepare again", model, stage });
    }
    let old = &file.state.registration;
    let key = Key::from_bytes(*old.decryption_key.as_bytes());
    let same_files =
        (&old.weights_file, &old.sealed_file) == (&round.weights_file, &round.sealed_file);
    // It has its name only if it is complete, and opens only if it is of this key.
    if same_files && safetensors::inspect_file(&round.sealed_file, Some(&key)).is_ok() {
        let measured = measure(&round.sealed_file, options)?;
        file.update(|state| {
            let key = state.registration.decryption_key.clone();
            let sealed = Some(measured);
            state.registration = Round { decryption_key: key, sealed, ..round };
        })?;
        return Ok(file);
    }
    file.update(|state| state.registration = round)?;
    seal_round(&mut file, RevealOf::Registration, options)?;
    Ok(file)
}

fn seal_round(file: &mut StateFile, of: RevealOf, options: &Options<'_>) -> Result<()> {
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
        }
    })
}
