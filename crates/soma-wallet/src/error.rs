//! What can go wrong with keys and their files.

use std::io;
use std::path::{Path, PathBuf};

use soma_proto::{Address, CheckpointDigest};

/// Shorthand for results of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A wallet operation that failed. No variant ever carries a secret.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    // Fixed by the caller.
    /// A recovery phrase that is not one.
    #[error("invalid recovery phrase: {reason}")]
    Phrase {
        /// What is wrong with it, without its words.
        reason: String,
    },
    /// A number of words no recovery phrase has.
    #[error("invalid word length `{text}`: expected word12, word15, word18, word21 or word24")]
    WordCount {
        /// The text given.
        text: String,
    },
    /// A derivation path outside the wallet's tree.
    #[error("invalid derivation path `{path}`: {reason}")]
    DerivationPath {
        /// The path given.
        path: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Secret key text in none of the known forms.
    #[error("invalid secret key: {reason}")]
    SecretKey {
        /// What is wrong with it, without its text.
        reason: String,
    },
    /// Credentials that are not a user name and a password.
    #[error("invalid credentials: expected user:password")]
    BasicAuth,
    /// Bytes that are not what a key should sign.
    #[error("cannot sign this")]
    Unsignable(#[source] soma_proto::Error),
    /// Text that is not Base64.
    #[error("the data to sign is not Base64")]
    NotBase64,
    /// A name that cannot be an alias.
    #[error("invalid alias `{alias}`: {reason}")]
    Alias {
        /// The name given.
        alias: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// An alias that another key has.
    #[error("alias `{alias}` is in use for {address}")]
    AliasInUse {
        /// The alias.
        alias: String,
        /// The account that has it.
        address: Address,
    },
    /// An alias nobody has.
    #[error("no key has the alias `{alias}`")]
    UnknownAlias {
        /// The alias.
        alias: String,
    },
    /// An account whose key is not in the keystore.
    #[error("no key for {address} in {path}")]
    UnknownKey {
        /// The account.
        address: Address,
        /// The keystore file.
        path: PathBuf,
    },
    /// A key that is already in the keystore.
    #[error("the key of {address} is already in the keystore, as `{alias}`")]
    KeyExists {
        /// The account.
        address: Address,
        /// Its alias.
        alias: String,
    },
    /// An operation on the active account in a wallet without keys.
    #[error("the wallet has no active address")]
    NoActiveAddress,
    /// An environment that is not in the configuration.
    #[error("no environment `{alias}` in the configuration; it has {}", list(.known))]
    UnknownEnvironment {
        /// The name asked for.
        alias: String,
        /// The names there are.
        known: Vec<String>,
    },
    /// A configuration without a single environment.
    #[error("the configuration has no environment")]
    NoEnvironment,
    /// An environment whose name is taken.
    #[error("environment `{alias}` exists already")]
    EnvironmentExists {
        /// The name.
        alias: String,
    },
    /// The active environment, which cannot be removed.
    #[error("environment `{alias}` is the active one; switch to another first")]
    EnvironmentActive {
        /// The name.
        alias: String,
    },
    /// A service URL that cannot be used.
    #[error("invalid URL: {reason}")]
    Url {
        /// What is wrong with it. Not the URL, which may hold a password.
        reason: String,
    },
    /// A service whose URL cannot be derived from the environment.
    #[error("no {service} is known for the environment `{environment}` ({rpc})")]
    NoServiceUrl {
        /// `faucet` or `admin service`.
        service: &'static str,
        /// The environment's name.
        environment: String,
        /// Its RPC URL.
        rpc: String,
    },
    /// A published development key on a chain where money is real.
    #[error("{address} is a published development account; it is refused on the chain `{chain}`")]
    DevelopmentKey {
        /// The account.
        address: Address,
        /// The chain's name.
        chain: String,
    },
    /// A keystore that a configuration, which is UTF-8, cannot name.
    #[error("the path {path} is not UTF-8, so that no configuration can name it")]
    PathNotUtf8 {
        /// The keystore file.
        path: PathBuf,
    },
    /// A node that serves another chain than before.
    #[error("the environment `{environment}` was on chain {stored}, its node now serves {seen}")]
    ChainChanged {
        /// The environment's name.
        environment: String,
        /// The chain on file.
        stored: CheckpointDigest,
        /// The chain seen.
        seen: CheckpointDigest,
    },

    // Fixed by mending a file.
    /// No wallet configuration yet.
    #[error("no wallet configuration at {path}")]
    NoConfig {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// A file to be created that is there.
    #[error("{path} exists already")]
    FileExists {
        /// The file.
        path: PathBuf,
    },
    /// A keystore with a bad entry; nothing of it is used.
    #[error("cannot use keystore {path}: {reason}")]
    Keystore {
        /// The keystore file.
        path: PathBuf,
        /// What is wrong and in which entry, without its text.
        reason: String,
    },
    /// An alias file that cannot be read.
    #[error("cannot use alias file {path}: {reason}")]
    AliasFile {
        /// The alias file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A `client.yaml` that cannot be read.
    #[error("cannot use configuration {path}: {reason}")]
    Config {
        /// The configuration file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },

    // Fixed in the environment.
    /// Neither `SOMA_CONFIG_DIR` nor a home directory.
    #[error("no home directory; set SOMA_CONFIG_DIR")]
    NoHome,
    /// Another process holds the lock for too long.
    #[error("{path} is held by another process")]
    Locked {
        /// The lock file.
        path: PathBuf,
    },
    /// The operating system gave no randomness.
    #[error("the operating system gave no randomness")]
    Randomness(#[source] getrandom::Error),
    /// A file operation that failed.
    #[error("cannot {action} {path}")]
    Io {
        /// What was tried, for example `read`.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The operating system's reason.
        #[source]
        source: io::Error,
    },
}

impl Error {
    /// What to do next, where there is something to say.
    pub fn hint(&self) -> Option<&'static str> {
        Some(match self {
            Self::NoConfig { .. } => "soma wallet new creates one, as does -y with any command",
            Self::NoActiveAddress => {
                "soma wallet new makes a key, soma wallet import brings one in"
            }
            Self::UnknownAlias { .. } | Self::UnknownKey { .. } => {
                "soma wallet list shows the accounts of this wallet"
            }
            Self::AliasInUse { .. } => "choose another alias; soma wallet list shows those in use",
            Self::Alias { .. } => "for example trainer-1",
            Self::DerivationPath { .. } => "for example m/44'/784'/0'/0'/1'",
            Self::SecretKey { .. } => {
                "a secret key is a text that begins with somaprivkey1, or 64 hex digits"
            }
            Self::UnknownEnvironment { .. } | Self::NoEnvironment => {
                "soma env list shows the environments, soma env new adds one"
            }
            Self::NoServiceUrl { service: "faucet", .. } => "give its URL with --url",
            Self::NoServiceUrl { .. } => "give its URL with --admin-url",
            Self::DevelopmentKey { .. } => {
                "its secret is public: make a key of your own with soma wallet new"
            }
            Self::ChainChanged { .. } => {
                "if the network was started afresh, soma env chain-id accepts the new chain"
            }
            Self::PathNotUtf8 { .. } => {
                "nothing was made; choose another folder with SOMA_CONFIG_DIR or --client.config"
            }
            Self::NoHome => "set SOMA_CONFIG_DIR to a folder for keys and configuration",
            Self::Locked { .. } => "wait for the other soma process, or end it",
            Self::Keystore { .. } => {
                "nothing was changed; mend or remove the entry, or restore the file from a copy"
            }
            _ => return None,
        })
    }

    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }
}

fn list(names: &[String]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}
