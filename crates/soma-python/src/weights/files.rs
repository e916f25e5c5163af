//! Weights from file to file, in memory that does not grow with them.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use soma_crypto::{Digest, Existing, Input, Key, Output};
use soma_model::with_causes;
use soma_wallet::file;

use super::Progress;
use super::progress::reporting;
use crate::arguments::text_path;
use crate::error::{Error, Result};
use crate::runtime::Stop;

/// What is done with one file, and where the result goes.
pub(crate) struct FileJob {
    pub(crate) input: PathBuf,
    pub(crate) output: PathBuf,
    /// Whether an output that exists is replaced.
    pub(crate) overwrite: bool,
    pub(crate) progress: Option<Progress>,
}

/// A file that was encrypted.
#[derive(serde::Serialize)]
pub(crate) struct Encrypted {
    output: PathBuf,
    size: u64,
    commitment: String,
    decryption_key: String,
    key_file: Option<PathBuf>,
}

/// A file that was decrypted; size and commitment are those of the ciphertext.
#[derive(serde::Serialize)]
pub(crate) struct Decrypted {
    output: PathBuf,
    size: u64,
    commitment: String,
}

/// Encrypts under a fresh key. The key is on the disk before the first byte
/// of ciphertext, if `key_file` names a place for it.
///
/// # Errors
/// Those of [`soma_crypto::seal`]; nothing is left behind.
pub(crate) fn encrypt_file(
    job: &FileJob,
    key_file: Option<PathBuf>,
    stop: &Stop,
) -> Result<Encrypted> {
    let key = Key::generate()?;
    text_path(&job.output)?;
    if let Some(path) = &key_file {
        text_path(path)?;
        write_key(path, &key)?;
    }
    let sealed = reporting(job.progress.as_ref(), stop, |options| {
        let options = options.clone().with_existing(job.existing());
        Ok(soma_crypto::seal(&key, Input::file(&job.input), Output::file(&job.output), &options)?)
    });
    let sealed = match (sealed, &key_file) {
        (Ok(sealed), _) => sealed,
        (Err(error), Some(path)) => {
            // Nothing was encrypted under this key, so nothing is lost with it.
            let _ = fs::remove_file(path);
            return Err(error);
        }
        (Err(error), None) => return Err(error),
    };
    Ok(Encrypted {
        output: job.output.clone(),
        size: sealed.size,
        commitment: sealed.digest.to_string(),
        decryption_key: key.to_hex().to_string(),
        key_file,
    })
}

/// Decrypts. With a commitment, the output gets its name only if it holds.
///
/// # Errors
/// Those of [`soma_crypto::open`]; nothing is left behind.
pub(crate) fn decrypt_file(
    job: &FileJob,
    key: &Key,
    commitment: Option<Digest>,
    stop: &Stop,
) -> Result<Decrypted> {
    text_path(&job.output)?;
    let opened = reporting(job.progress.as_ref(), stop, |options| {
        let options = options.clone().with_existing(job.existing());
        let (input, output) = (Input::file(&job.input), Output::file(&job.output));
        Ok(soma_crypto::open(key, input, output, commitment, &options)?)
    })?;
    Ok(Decrypted {
        output: job.output.clone(),
        size: opened.size,
        commitment: opened.digest.to_string(),
    })
}

/// Blake2b-256 of a file as 64 hex digits.
///
/// # Errors
/// Those of [`soma_crypto::commitment`].
pub(crate) fn commitment_file(
    path: &Path,
    progress: Option<&Progress>,
    stop: &Stop,
) -> Result<String> {
    let found = reporting(progress, stop, |options| {
        Ok(soma_crypto::commitment(Input::file(path), options)?)
    })?;
    Ok(found.digest.to_string())
}

impl FileJob {
    fn existing(&self) -> Existing {
        if self.overwrite { Existing::Replace } else { Existing::Keep }
    }
}

/// Writes 64 hex digits and a newline, for the owner's eyes only; a file that
/// exists is never overwritten, and no part of a key is left behind.
fn write_key(path: &Path, key: &Key) -> Result<()> {
    let mut line = key.to_hex();
    line.push('\n');
    file::create(path, line.as_bytes(), file::Access::Owner).map_err(|error| {
        let kind = match &error {
            soma_wallet::Error::FileExists { .. } => ErrorKind::AlreadyExists,
            soma_wallet::Error::Io { source, .. } => source.kind(),
            _ => ErrorKind::Other,
        };
        let text = format!("cannot write the key to {}: {}", path.display(), with_causes(&error));
        Error::Python(std::io::Error::new(kind, text).into())
    })
}
