//! Secret keys as text and as files of one key.

use std::fs;
use std::path::{Path, PathBuf};

use soma_proto::KeyPair;
use zeroize::Zeroizing;

use crate::{DerivationPath, Error, Mnemonic, Result, file};

/// Reads a key in any of its text forms, blanks around it allowed:
///
/// * a recovery phrase, taken at `path`;
/// * `somaprivkey1...`;
/// * standard Base64 of `00` and the 32 secret bytes;
/// * 64 hex digits, with or without `0x`.
///
/// # Errors
/// [`Error::Phrase`] or [`Error::SecretKey`], without the text.
pub fn parse(text: &str, path: &DerivationPath) -> Result<KeyPair> {
    let text = text.trim();
    if text.contains(char::is_whitespace) {
        return Ok(text.parse::<Mnemonic>()?.key(path));
    }
    let digits = text.strip_prefix("0x").unwrap_or(text);
    let result = if digits.len() == 64 || digits.len() != text.len() {
        KeyPair::from_hex(text)
    } else {
        KeyPair::from_encoded(text)
    };
    result.map_err(|e| Error::SecretKey { reason: e.to_string() })
}

/// Writes `<address>.key` into `folder`: Base64 of `00` and the secret, mode
/// 0600. Gives the path.
///
/// # Errors
/// [`Error::FileExists`]: a key file is never overwritten; [`Error::Io`].
pub fn write_key_file(folder: &Path, key: &KeyPair) -> Result<PathBuf> {
    let path = folder.join(format!("{}.key", key.address()));
    file::create(&path, key.to_base64().as_bytes(), file::Access::Owner)?;
    Ok(path)
}

/// Reads a file of one key: Base64 or Bech32, blanks around it allowed.
///
/// # Errors
/// [`Error::Io`], [`Error::SecretKey`].
pub fn read_key_file(path: &Path) -> Result<KeyPair> {
    let text = Zeroizing::new(fs::read_to_string(path).map_err(Error::io("read", path))?);
    KeyPair::from_encoded(&text).map_err(|e| Error::SecretKey { reason: e.to_string() })
}
