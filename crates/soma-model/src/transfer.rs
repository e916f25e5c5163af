//! Moving a registration to another machine: its state under a passphrase.
//!
//! The file is an ordinary age file with a scrypt recipient
//! (age-encryption.org/v1), so that `age --decrypt` opens it too.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use age::secrecy::SecretString;
use zeroize::Zeroizing;

use crate::state::State;
use crate::{Error, Result};

/// The work that a guess at a passphrase costs, as a power of two: about a
/// second, and 256 MiB of memory.
const WORK_FACTOR: u8 = 18;
/// The most work that an imported file may ask for, as a power of two.
const MOST_WORK: u8 = 20;
/// Bytes that are read of a file at most: far more than a state with an
/// embedding takes.
const LARGEST: u64 = 64 << 20;
/// Characters that a passphrase should have at least. It protects a key that
/// is worth half a stake, and whoever has the file can try at leisure.
pub const SHORTEST_PASSPHRASE: usize = 12;

/// Encrypts a state under a passphrase.
///
/// # Errors
/// [`Error::Passphrase`] for one of fewer than [`SHORTEST_PASSPHRASE`]
/// characters, [`Error::PathNotUtf8`].
pub fn export(state: &State, passphrase: &str) -> Result<Vec<u8>> {
    if passphrase.chars().count() < SHORTEST_PASSPHRASE {
        return Err(Error::Passphrase {
            reason: format!("a passphrase needs {SHORTEST_PASSPHRASE} characters at least"),
        });
    }
    let mut recipient = age::scrypt::Recipient::new(secret(passphrase));
    recipient.set_work_factor(WORK_FACTOR);
    let bytes = age::encrypt(&recipient, &state.to_json()?);
    Ok(bytes.expect("a known kind of recipient, and memory takes every byte"))
}

/// Opens a file that [`export`] made the contents of.
///
/// # Errors
/// [`Error::Io`], and as [`import`].
pub fn import_file(path: &Path, passphrase: &str) -> Result<State> {
    let io = |source| Error::Io { action: "read", path: path.to_owned(), source };
    let mut bytes = Vec::new();
    File::open(path).and_then(|file| file.take(LARGEST).read_to_end(&mut bytes)).map_err(io)?;
    import(&bytes, passphrase)
}

/// Opens what [`export`] made.
///
/// # Errors
/// [`Error::Passphrase`] if it is another passphrase or no such file.
pub fn import(bytes: &[u8], passphrase: &str) -> Result<State> {
    let fail = |reason: &str| Error::Passphrase { reason: reason.to_owned() };
    let mut identity = age::scrypt::Identity::new(secret(passphrase));
    identity.set_max_work_factor(MOST_WORK);
    let json = age::decrypt(&identity, bytes).map(Zeroizing::new).map_err(|error| {
        fail(match error {
            age::DecryptError::InvalidHeader
            | age::DecryptError::UnknownFormat
            | age::DecryptError::NoMatchingKeys => {
                "the file is not a state that was exported under a passphrase"
            }
            age::DecryptError::ExcessiveWork { .. } => {
                "the file asks for more work than this machine should do"
            }
            _ => "it is another one, or the file is damaged",
        })
    })?;
    State::from_json(&json).map_err(|reason| fail(&reason))
}

fn secret(passphrase: &str) -> SecretString {
    SecretString::from(passphrase.to_owned())
}
