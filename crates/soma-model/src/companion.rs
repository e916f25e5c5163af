//! The companion of an object: a model's state beside its encrypted weights.
//!
//! The key can be derived from the wallet, the ids and the times can be read
//! from the chain, but the embedding is nowhere else before the reveal. So the
//! whole state is encrypted to an identity that the wallet gives (age, X25519)
//! and stored as `<object>.state` beside the object.

use std::path::{Path, PathBuf};

use soma_proto::KeyPair;
use soma_storage::{Storage, Url};
use soma_wallet::file::{self, Access};

use crate::keys::companion_identity;
use crate::state::State;
use crate::{ObjectName, Result};

/// What is put behind the name of the object.
pub(crate) const SUFFIX: &str = ".state";
/// Bytes of a companion at most; a state with an embedding takes some tens of
/// thousands.
const LIMIT: u64 = 16 << 20;

/// Where the companion of the encrypted file at `sealed_file` lies.
pub fn path(sealed_file: &Path) -> PathBuf {
    let mut name = sealed_file.as_os_str().to_owned();
    name.push(SUFFIX);
    name.into()
}

/// Where the companion of the object at `url` is served.
pub fn url(url: &Url) -> Url {
    let mut companion = url.clone();
    companion.set_path(&format!("{}{SUFFIX}", url.path()));
    companion
}

/// The companion of the state's present weights; nothing if their key is not
/// one of `wallet`.
///
/// # Errors
/// [`Error::PathNotUtf8`](crate::Error::PathNotUtf8).
pub(crate) fn seal(state: &State, wallet: &KeyPair) -> Result<Option<Vec<u8>>> {
    let (_, round) = state.current();
    let name = ObjectName::of_url(round.weights_url.as_url());
    let of_wallet =
        |name: &ObjectName| crate::keys::weights_key(wallet, name) == round.decryption_key;
    let Some(name) = name.filter(of_wallet) else { return Ok(None) };
    let recipient = companion_identity(wallet, &name).to_public();
    let bytes = age::encrypt(&recipient, &state.to_json()?);
    Ok(Some(bytes.expect("a known kind of recipient, and memory takes every byte")))
}

/// Writes the companion of the state's present weights beside their encrypted
/// file and gives its path; nothing if their key is not one of `wallet`.
///
/// # Errors
/// [`Error::File`](crate::Error::File).
pub fn write(state: &State, wallet: &KeyPair) -> Result<Option<PathBuf>> {
    let Some(bytes) = seal(state, wallet)? else { return Ok(None) };
    let path = path(&state.current().1.sealed_file);
    file::replace(&path, &bytes, Access::Default)?;
    Ok(Some(path))
}

/// Fetches and opens the companion of the object at `url`; nothing if there is
/// none, or none that this wallet can open.
///
/// # Errors
/// [`Error::Storage`](crate::Error::Storage).
pub(crate) async fn fetch(
    storage: &Storage,
    object: &Url,
    name: &ObjectName,
    wallet: &KeyPair,
) -> Result<Option<State>> {
    let url = url(object);
    let probe = storage.probe(&url).await?;
    let (200, Some(length @ 1..=LIMIT)) = (probe.status, probe.length) else { return Ok(None) };
    let bytes = storage.fetch_range(&url, 0..length).await?;
    Ok(open(&bytes, name, wallet))
}

/// Opens a companion; nothing if it is not whole, or not for this wallet and object.
pub fn open(bytes: &[u8], name: &ObjectName, wallet: &KeyPair) -> Option<State> {
    let json = age::decrypt(&companion_identity(wallet, name), bytes).ok()?;
    State::from_json(&zeroize::Zeroizing::new(json)).ok()
}
