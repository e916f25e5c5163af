//! Where the files of a wallet are.

use std::env;
use std::path::{Path, PathBuf};

use crate::{Error, Result, file};

/// The folder with configuration, keys and state.
///
/// | file | content |
/// | --- | --- |
/// | `client.yaml` | [`ClientConfig`](crate::ClientConfig) |
/// | `soma.keystore`, `soma.aliases` | [`Keystore`](crate::Keystore) |
/// | `models/` | state of prepared models |
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigDir(PathBuf);

impl ConfigDir {
    /// The folder that `SOMA_CONFIG_DIR` names, else `~/.soma/soma_config`.
    ///
    /// # Errors
    /// [`Error::NoHome`].
    pub fn from_env() -> Result<Self> {
        if let Some(path) = env::var_os("SOMA_CONFIG_DIR").filter(|path| !path.is_empty()) {
            return Ok(Self::at(path));
        }
        let home = env::home_dir().filter(|home| !home.as_os_str().is_empty());
        Ok(Self::at(home.ok_or(Error::NoHome)?.join(".soma").join("soma_config")))
    }

    /// The folder given.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// Creates the folder, with mode 0700, unless it is there.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn create(&self) -> Result<()> {
        file::create_private_folder(&self.0)
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The configuration file.
    pub fn client_yaml(&self) -> PathBuf {
        self.0.join("client.yaml")
    }

    /// The keystore file.
    pub fn keystore(&self) -> PathBuf {
        self.0.join("soma.keystore")
    }

    /// The folder for the state of prepared models.
    pub fn models(&self) -> PathBuf {
        self.0.join("models")
    }
}
