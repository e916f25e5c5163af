//! Keys, names, environments: the files of a SOMA wallet.
//!
//! Reads and writes the files of the published tools (`client.yaml`,
//! `soma.keystore`, `soma.aliases`), makes and derives keys, and decides which
//! services a command talks to. Every write replaces a file at once, under a
//! lock; secrets are wiped from memory when they are dropped and appear in no
//! error.
//!
//! This crate opens no connection, prints nothing and asks nothing.
//!
//! # Features
//!
//! None.
//!
//! # Example
//!
//! ```
//! use soma_wallet::{Identity, NewKey, Wallet};
//!
//! let folder = tempfile::tempdir()?;
//! let path = folder.path().join("client.yaml");
//!
//! // The first run makes a key and makes its account the active one.
//! let (mut wallet, first) = Wallet::create(&path, NewKey::default())?;
//! let phrase = first.phrase.expect("a new key has a phrase");
//! assert_eq!(phrase.split(' ').count(), 12);
//! assert_eq!(wallet.active_address(), Some(first.address));
//!
//! let second = NewKey { alias: Some("second".parse()?), ..NewKey::default() };
//! let second = wallet.new_key(second)?;
//! wallet.switch(&"second".parse::<Identity>()?)?;
//!
//! // Another process finds the same.
//! let wallet = Wallet::open(&path)?;
//! assert_eq!(wallet.active_address(), Some(second.address));
//! assert_eq!(wallet.config().active_env()?.rpc, "http://127.0.0.1:9000");
//! let key = wallet.signer(&second.address, "localnet")?;
//! assert_eq!(key.address(), second.address);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![forbid(unsafe_code)]

pub mod development;
pub mod environment;
pub mod file;
pub mod keytool;
pub mod secret;

mod alias;
mod config;
mod dir;
mod error;
mod identity;
mod keystore;
mod mnemonic;
mod target;
mod wallet;
mod words;

pub use self::alias::Alias;
pub use self::config::ClientConfig;
pub use self::dir::ConfigDir;
pub use self::environment::{BasicAuth, Environment};
pub use self::error::{Error, Result};
pub use self::identity::Identity;
pub use self::keystore::Keystore;
pub use self::mnemonic::{DerivationPath, Mnemonic, WordCount};
pub use self::target::{Overrides, Target};
pub use self::wallet::{CreatedKey, NewKey, RemovedKey, Wallet};
