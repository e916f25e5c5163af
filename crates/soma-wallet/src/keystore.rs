//! The keystore file and the alias file beside it.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use soma_proto::{Address, KeyPair};
use zeroize::Zeroizing;

use crate::alias::Aliases;
use crate::{Alias, Error, Identity, Result, file};

/// The keys of a wallet and their names.
///
/// ```text
/// soma.keystore  JSON list of strings, each Base64 of 00 and the 32 secret
///                bytes, ordered by address; mode 0600
/// soma.aliases   JSON list of {"alias", "public_key_base64"}, ordered by
///                address; names of keys that are not in the keystore stay
/// ```
///
/// A change is made on the files as they are at that moment, under a lock, and
/// replaces them at once; two processes that add a key each end with both.
/// The value in memory shows the files as of the last change or
/// [`open`](Self::open).
pub struct Keystore {
    path: PathBuf,
    keys: BTreeMap<Address, KeyPair>,
    aliases: Aliases,
}

impl Keystore {
    /// Reads the keystore at `path`; a missing file is an empty keystore and
    /// is not created before the first key. A file that others may read is
    /// made private. Keys without a name get a random one, on disk too.
    ///
    /// # Errors
    /// [`Error::Keystore`] if any entry is bad, [`Error::AliasFile`],
    /// [`Error::Io`].
    pub fn open(path: impl Into<PathBuf>) -> Result<Self> {
        let path = path.into();
        let keystore = Self::read(path.clone())?;
        if keystore.keys.keys().all(|address| keystore.aliases.get(address).is_some()) {
            return Ok(keystore);
        }
        let _lock = file::Lock::acquire(&path)?;
        let mut keystore = Self::read(path)?;
        keystore.name_all()?;
        keystore.aliases.write(&keystore.alias_path())?;
        Ok(keystore)
    }

    /// Adds a key under `alias`, or under a random name; gives the name.
    ///
    /// # Errors
    /// [`Error::KeyExists`], [`Error::AliasInUse`], [`Error::Io`].
    pub fn add(&mut self, key: KeyPair, alias: Option<Alias>) -> Result<Alias> {
        self.change(|keystore| {
            let address = key.address();
            if keystore.keys.contains_key(&address) {
                let alias = keystore.alias(&address).unwrap_or_default().to_owned();
                return Err(Error::KeyExists { address, alias });
            }
            // A name may be left from an earlier life of the same key.
            let left = keystore.aliases.get(&address).and_then(|name| name.parse().ok());
            let alias = match alias.or(left) {
                Some(alias) => alias,
                None => Alias::random(|name| keystore.aliases.address_of(name).is_some())?,
            };
            keystore.check_free(&alias, &address)?;
            keystore.aliases.set(&key.public_key(), &alias);
            keystore.keys.insert(address, key);
            Ok(alias)
        })
    }

    /// Removes a key and its name; gives the name.
    ///
    /// # Errors
    /// [`Error::UnknownKey`], [`Error::Io`].
    pub fn remove(&mut self, address: &Address) -> Result<String> {
        self.change(|keystore| {
            keystore.key(address)?;
            let alias = keystore.alias(address).unwrap_or_default().to_owned();
            keystore.keys.remove(address);
            keystore.aliases.remove(address);
            Ok(alias)
        })
    }

    /// Gives the key named `old` the name `new`, or a random one; gives it.
    ///
    /// # Errors
    /// [`Error::UnknownAlias`], [`Error::AliasInUse`], [`Error::Io`].
    pub fn rename(&mut self, old: &str, new: Option<Alias>) -> Result<Alias> {
        self.change(|keystore| {
            let address = keystore.resolve(&Identity::Alias(old.to_owned()))?;
            let new = match new {
                Some(new) => new,
                None => Alias::random(|name| keystore.aliases.address_of(name).is_some())?,
            };
            keystore.check_free(&new, &address)?;
            let key = keystore.key(&address)?.public_key();
            keystore.aliases.set(&key, &new);
            Ok(new)
        })
    }

    /// The keystore file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether there are no keys.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Number of keys.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// The accounts, their names and keys, ordered by address.
    pub fn iter(&self) -> impl Iterator<Item = (Address, &str, &KeyPair)> {
        self.keys
            .iter()
            .map(|(address, key)| (*address, self.alias(address).unwrap_or_default(), key))
    }

    /// Whether the key of this account is here.
    pub fn contains(&self, address: &Address) -> bool {
        self.keys.contains_key(address)
    }

    /// The key of an account.
    ///
    /// # Errors
    /// [`Error::UnknownKey`].
    pub fn key(&self, address: &Address) -> Result<&KeyPair> {
        self.keys
            .get(address)
            .ok_or_else(|| Error::UnknownKey { address: *address, path: self.path.clone() })
    }

    /// The name of an account whose key is here.
    pub fn alias(&self, address: &Address) -> Option<&str> {
        self.keys.contains_key(address).then(|| self.aliases.get(address)).flatten()
    }

    /// The account that is meant. An address need not be in the keystore.
    ///
    /// # Errors
    /// [`Error::UnknownAlias`].
    pub fn resolve(&self, identity: &Identity) -> Result<Address> {
        match identity {
            Identity::Address(address) => Ok(*address),
            Identity::Alias(alias) => self
                .aliases
                .address_of(alias)
                .filter(|address| self.contains(address))
                .ok_or_else(|| Error::UnknownAlias { alias: alias.clone() }),
        }
    }

    /// Makes a change on the files' present contents and writes them.
    fn change<T>(&mut self, change: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        let _lock = file::Lock::acquire(&self.path)?;
        let mut fresh = Self::read(self.path.clone())?;
        fresh.name_all()?;
        let result = change(&mut fresh)?;
        // Names first: a key without a name would get another one, a name
        // without a key does no harm.
        fresh.aliases.write(&fresh.alias_path())?;
        file::replace(&fresh.path, fresh.to_json().as_bytes(), file::Access::Owner)?;
        *self = fresh;
        Ok(result)
    }

    fn read(path: PathBuf) -> Result<Self> {
        let mut keys = BTreeMap::new();
        if let Some(bytes) = file::read_if_present(&path)?.map(Zeroizing::new) {
            file::tighten(&path)?;
            let fail = |reason: String| Error::Keystore { path: path.clone(), reason };
            // serde_json's own message could quote an entry.
            let entries: Vec<String> = serde_json::from_slice(&bytes)
                .map_err(|e| fail(format!("line {}: expected a JSON list of strings", e.line())))?;
            for (place, entry) in entries.into_iter().map(Zeroizing::new).enumerate() {
                let key = KeyPair::from_base64(&entry)
                    .map_err(|e| fail(format!("entry {}: {e}", place + 1)))?;
                keys.insert(key.address(), key);
            }
        }
        let mut keystore = Self { path, keys, aliases: Aliases::default() };
        keystore.aliases = Aliases::read(&keystore.alias_path())?;
        Ok(keystore)
    }

    fn alias_path(&self) -> PathBuf {
        self.path.with_extension("aliases")
    }

    fn name_all(&mut self) -> Result<()> {
        for (address, key) in &self.keys {
            if self.aliases.get(address).is_none() {
                let alias = Alias::random(|name| self.aliases.address_of(name).is_some())?;
                self.aliases.set(&key.public_key(), &alias);
            }
        }
        Ok(())
    }

    fn check_free(&self, alias: &Alias, owner: &Address) -> Result<()> {
        match self.aliases.address_of(alias.as_str()) {
            Some(address) if address != *owner => {
                Err(Error::AliasInUse { alias: alias.to_string(), address })
            }
            _ => Ok(()),
        }
    }

    /// Two blanks of indentation, no newline at the end. Written by hand so
    /// that no copy of the text stays behind in a buffer that is not wiped.
    fn to_json(&self) -> Zeroizing<String> {
        let entries: Vec<_> = self.keys.values().map(KeyPair::to_base64).collect();
        let mut json = Zeroizing::new(String::with_capacity(8 + entries.len() * 50));
        json.push('[');
        for (place, entry) in entries.iter().enumerate() {
            json.push_str(if place == 0 { "\n  \"" } else { ",\n  \"" });
            json.push_str(entry);
            json.push('"');
        }
        json.push_str(if entries.is_empty() { "]" } else { "\n]" });
        json
    }
}

impl fmt::Debug for Keystore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keystore")
            .field("path", &self.path)
            .field("addresses", &self.keys.keys())
            .finish_non_exhaustive()
    }
}
