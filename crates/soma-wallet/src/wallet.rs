//! Configuration and keys together.

use std::path::Path;

use soma_proto::{Address, KeyPair};
use zeroize::Zeroizing;

use crate::{
    Alias, ClientConfig, ConfigDir, DerivationPath, Error, Identity, Keystore, Mnemonic, Result,
    WordCount, development, file, secret,
};

/// A configuration file and its keystore.
#[derive(Debug)]
pub struct Wallet {
    config: ClientConfig,
    keystore: Keystore,
}

/// How to make a key.
#[derive(Clone, Debug, Default)]
pub struct NewKey {
    /// Its name; random if absent.
    pub alias: Option<Alias>,
    /// The length of its phrase.
    pub words: WordCount,
    /// Its place under the phrase.
    pub path: DerivationPath,
}

/// A key that was made or brought in.
#[derive(Debug)]
pub struct CreatedKey {
    /// Its name.
    pub alias: Alias,
    /// Its account.
    pub address: Address,
    /// Its phrase, when it was made here: to be shown once.
    pub phrase: Option<Zeroizing<String>>,
}

/// A key that was removed.
#[derive(Clone, Debug)]
pub struct RemovedKey {
    /// The name it had.
    pub alias: String,
    /// Its account.
    pub address: Address,
    /// The active account from now on.
    pub active: Option<Address>,
}

impl Wallet {
    /// Opens the wallet whose configuration file is at `path`.
    ///
    /// # Errors
    /// [`Error::NoConfig`] if there is none, and those of
    /// [`ClientConfig::open`] and [`Keystore::open`].
    pub fn open(path: &Path) -> Result<Self> {
        let config = ClientConfig::open(path)?;
        let keystore = Keystore::open(config.keystore())?;
        Ok(Self { config, keystore })
    }

    /// Creates a wallet: the folder, a keystore beside the configuration file
    /// with one new key, and the configuration with that account active. A
    /// keystore that is there already keeps its keys.
    ///
    /// # Errors
    /// [`Error::FileExists`] if there is a configuration, [`Error::PathNotUtf8`] if a
    /// configuration could not name the keystore, [`Error::AliasInUse`], [`Error::Io`].
    pub fn create(path: &Path, key: NewKey) -> Result<(Self, CreatedKey)> {
        let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let dir = ConfigDir::at(folder.unwrap_or(Path::new(".")));
        // Before a key is made that nothing could find again.
        let keystore_path = file::absolute_utf8(&dir.keystore())?;
        dir.create()?;
        let _lock = file::Lock::acquire(path)?;
        if path.exists() {
            return Err(Error::FileExists { path: path.to_owned() });
        }
        let mut keystore = Keystore::open(keystore_path)?;
        let created = make_key(&mut keystore, key)?;
        let config = ClientConfig::create(path, keystore.path(), Some(created.address))?;
        Ok((Self { config, keystore }, created))
    }

    /// Makes a key. The active account stays, unless there was none.
    ///
    /// # Errors
    /// [`Error::AliasInUse`], [`Error::Randomness`], [`Error::Io`].
    pub fn new_key(&mut self, key: NewKey) -> Result<CreatedKey> {
        let created = make_key(&mut self.keystore, key)?;
        self.activate_first(created.address)?;
        Ok(created)
    }

    /// Adds a key that exists: a phrase or any text form of a secret key.
    ///
    /// # Errors
    /// [`Error::Phrase`], [`Error::SecretKey`], [`Error::KeyExists`],
    /// [`Error::AliasInUse`], [`Error::Io`].
    pub fn import(
        &mut self,
        text: &str,
        path: &DerivationPath,
        alias: Option<Alias>,
    ) -> Result<CreatedKey> {
        let key = secret::parse(text, path)?;
        let address = key.address();
        let alias = self.keystore.add(key, alias)?;
        self.activate_first(address)?;
        Ok(CreatedKey { alias, address, phrase: None })
    }

    /// Removes a key. If its account was the active one, the first that is
    /// left becomes active.
    ///
    /// # Errors
    /// [`Error::UnknownAlias`], [`Error::UnknownKey`], [`Error::Io`].
    pub fn remove(&mut self, identity: &Identity) -> Result<RemovedKey> {
        let address = self.keystore.resolve(identity)?;
        let was_active = self.active_address() == Some(address);
        let alias = self.keystore.remove(&address)?;
        if was_active {
            let first = self.keystore.iter().next().map(|(address, ..)| address);
            self.config.set_active_address(first)?;
        }
        Ok(RemovedKey { alias, address, active: self.active_address() })
    }

    /// Makes an account of this wallet the active one.
    ///
    /// # Errors
    /// [`Error::UnknownAlias`], [`Error::UnknownKey`], [`Error::Io`].
    pub fn switch(&mut self, identity: &Identity) -> Result<Address> {
        let address = self.keystore.resolve(identity)?;
        self.keystore.key(&address)?;
        self.config.set_active_address(Some(address))?;
        Ok(address)
    }

    /// The configuration, to be changed.
    pub const fn config_mut(&mut self) -> &mut ClientConfig {
        &mut self.config
    }

    /// The configuration.
    pub const fn config(&self) -> &ClientConfig {
        &self.config
    }

    /// The keystore.
    pub const fn keystore(&self) -> &Keystore {
        &self.keystore
    }

    /// The active account; the first of the keystore if the file names none.
    pub fn active_address(&self) -> Option<Address> {
        self.config
            .active_address()
            .or_else(|| self.keystore.iter().next().map(|(address, ..)| address))
    }

    /// The account that is meant, the active one if none is named.
    ///
    /// # Errors
    /// [`Error::UnknownAlias`], [`Error::NoActiveAddress`].
    pub fn resolve(&self, identity: Option<&Identity>) -> Result<Address> {
        match identity {
            Some(identity) => self.keystore.resolve(identity),
            None => self.active_address().ok_or(Error::NoActiveAddress),
        }
    }

    /// The key that signs for an account on a chain. `chain` is the chain's
    /// name as its node gives it.
    ///
    /// # Errors
    /// [`Error::UnknownKey`]; [`Error::DevelopmentKey`] for a published key on
    /// a chain that is not local.
    pub fn signer(&self, address: &Address, chain: &str) -> Result<&KeyPair> {
        let key = self.keystore.key(address)?;
        development::check(address, chain)?;
        Ok(key)
    }

    fn activate_first(&mut self, address: Address) -> Result<()> {
        if self.config.active_address().is_none() && self.keystore.len() == 1 {
            self.config.set_active_address(Some(address))?;
        }
        Ok(())
    }
}

/// Makes a key from a fresh phrase and adds it to a keystore.
fn make_key(keystore: &mut Keystore, key: NewKey) -> Result<CreatedKey> {
    let mnemonic = Mnemonic::generate(key.words)?;
    let pair = mnemonic.key(&key.path);
    let address = pair.address();
    let alias = keystore.add(pair, key.alias)?;
    Ok(CreatedKey { alias, address, phrase: Some(mnemonic.phrase()) })
}
