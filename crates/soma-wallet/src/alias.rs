//! Names for keys.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use soma_proto::{Address, PublicKey, hash};

use crate::words::{ADJECTIVES, STONES};
use crate::{Error, Result, file};

/// A name for a key: a letter, then letters, digits, `-`, `_` or `.`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Alias(String);

impl Alias {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Draws two words that `taken` does not refuse.
    pub(crate) fn random(taken: impl Fn(&str) -> bool) -> Result<Self> {
        for attempt in 0..u32::MAX {
            let mut random = [0; 4];
            getrandom::fill(&mut random).map_err(Error::Randomness)?;
            let [a, b, c, d] = random.map(usize::from);
            let mut name = format!(
                "{}-{}",
                ADJECTIVES[(a << 8 | b) % ADJECTIVES.len()],
                STONES[(c << 8 | d) % STONES.len()]
            );
            if attempt > 100 {
                // A keystore with thousands of keys: the pairs run out.
                name.push_str(&format!("-{attempt}"));
            }
            if !taken(&name) {
                return Ok(Self(name));
            }
        }
        unreachable!("there are fewer keys than attempts")
    }
}

impl FromStr for Alias {
    type Err = Error;

    /// Reads a name; blanks around it are dropped.
    fn from_str(text: &str) -> Result<Self> {
        let name = text.trim();
        let fail = |reason| Error::Alias { alias: name.to_owned(), reason };
        if !name.starts_with(|c: char| c.is_ascii_alphabetic()) {
            return Err(fail("it must begin with a letter"));
        }
        let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if !name.chars().all(legal) {
            return Err(fail("only letters, digits, `.`, `-` and `_` may follow the first letter"));
        }
        if name.len() == 64 && name.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(fail("64 hex digits are an address"));
        }
        Ok(Self(name.to_owned()))
    }
}

impl fmt::Display for Alias {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The alias file: names by address, entries of other keystores included.
#[derive(Debug, Default)]
pub(crate) struct Aliases(BTreeMap<Address, Entry>);

/// One entry as it is in the file. What this crate does not know is kept.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Entry {
    alias: String,
    public_key_base64: String,
    #[serde(flatten)]
    rest: serde_json::Map<String, serde_json::Value>,
}

impl Aliases {
    /// Reads the file; a missing one is empty.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let fail = |reason| Error::AliasFile { path: path.to_owned(), reason };
        let Some(bytes) = file::read_if_present(path)? else {
            return Ok(Self::default());
        };
        let entries: Vec<Entry> =
            serde_json::from_slice(&bytes).map_err(|e| fail(e.to_string()))?;
        let mut aliases = Self::default();
        for (place, entry) in entries.into_iter().enumerate() {
            let entry_fail = |reason: &str| fail(format!("entry {}: {reason}", place + 1));
            let key = STANDARD
                .decode(&entry.public_key_base64)
                .map_err(|_| entry_fail("the public key is not Base64"))?;
            if aliases.0.values().any(|other| other.alias == entry.alias) {
                return Err(entry_fail(&format!("alias `{}` appears twice", entry.alias)));
            }
            // An address is the hash of flag and public key, for every scheme.
            aliases.0.insert(Address::new(hash::blake2b256(&[&key])), entry);
        }
        Ok(aliases)
    }

    /// Writes the file.
    pub(crate) fn write(&self, path: &Path) -> Result<()> {
        let entries: Vec<_> = self.0.values().collect();
        let json = serde_json::to_vec_pretty(&entries).expect("aliases have a JSON form");
        file::replace(path, &json, file::Access::Default)
    }

    /// Names the key, or renames it.
    pub(crate) fn set(&mut self, key: &PublicKey, alias: &Alias) {
        let entry = self.0.entry(key.address()).or_insert_with(|| Entry {
            alias: String::new(),
            public_key_base64: key.to_string(),
            rest: serde_json::Map::new(),
        });
        entry.alias = alias.0.clone();
    }

    /// Drops the name of an account.
    pub(crate) fn remove(&mut self, address: &Address) {
        self.0.remove(address);
    }

    /// The name of an account.
    pub(crate) fn get(&self, address: &Address) -> Option<&str> {
        self.0.get(address).map(|entry| entry.alias.as_str())
    }

    /// The account with this name.
    pub(crate) fn address_of(&self, alias: &str) -> Option<Address> {
        self.0.iter().find(|(_, entry)| entry.alias == alias).map(|(address, _)| *address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        assert_eq!(" my-key.1_x\n".parse::<Alias>().unwrap().as_str(), "my-key.1_x");
        assert_eq!("a".parse::<Alias>().unwrap().as_str(), "a");
        for bad in ["", " ", "1a", "-a", "a b", "ä", "a/b", "a\u{e4}", &"a".repeat(64)] {
            assert!(bad.parse::<Alias>().is_err(), "{bad}");
        }
    }

    #[test]
    fn random_names_are_legal_and_avoid_the_taken() {
        let name = Alias::random(|_| false).unwrap();
        assert_eq!(name.as_str().parse::<Alias>().unwrap(), name);
        assert_eq!(name.as_str().split('-').count(), 2);
        let crowded = Alias::random(|name| name.split('-').count() == 2).unwrap();
        assert_eq!(crowded.as_str().parse::<Alias>().unwrap(), crowded);
        for words in [&ADJECTIVES[..], &STONES[..]] {
            let distinct: std::collections::BTreeSet<_> = words.iter().collect();
            assert_eq!(distinct.len(), words.len());
        }
    }
}
