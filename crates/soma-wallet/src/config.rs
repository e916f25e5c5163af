//! The configuration file `client.yaml`.

use std::path::{Path, PathBuf};

use serde_norway::{Mapping, Value};
use soma_proto::Address;

use crate::environment::{LOCAL, LOCALNET};
use crate::{BasicAuth, Environment, Error, Result, file};

/// The configuration of a wallet: which keystore, which environments, which of
/// them and which account are active.
///
/// ```yaml
/// ---
/// keystore:
///   File: /home/ana/.soma/soma_config/soma.keystore
/// external_keys: null
/// envs:
/// - alias: localnet
///   rpc: http://127.0.0.1:9000
///   basic_auth: null
/// active_env: localnet
/// active_address: a0ccc8bcc83f6c628340134f8546a21e0618fd1aaa02432bba454c4a2c2233da
/// ```
///
/// Keys that are not known here are kept, in the file and in each environment.
/// A change is made on the file as it is at that moment, under a lock, and
/// replaces it at once; only comments are lost.
#[derive(Clone, Debug)]
pub struct ClientConfig {
    path: PathBuf,
    keystore: PathBuf,
    envs: Vec<Environment>,
    active_env: Option<String>,
    active_address: Option<Address>,
    document: Mapping,
}

impl ClientConfig {
    /// Reads the file.
    ///
    /// # Errors
    /// [`Error::NoConfig`] if there is none, [`Error::Config`], [`Error::Io`].
    pub fn open(path: impl Into<PathBuf>) -> Result<Self> {
        let path = path.into();
        let bytes =
            file::read_if_present(&path)?.ok_or_else(|| Error::NoConfig { path: path.clone() })?;
        Self::parse(path, &bytes)
    }

    /// Writes a new file with the environments `localnet` (active) and
    /// `testnet`, for the keystore and the active account given.
    ///
    /// # Errors
    /// [`Error::PathNotUtf8`], [`Error::FileExists`], [`Error::Io`].
    pub fn create(
        path: impl Into<PathBuf>,
        keystore: &Path,
        active_address: Option<Address>,
    ) -> Result<Self> {
        let config = Self {
            path: path.into(),
            keystore: file::absolute_utf8(keystore)?,
            envs: vec![Environment::localnet(), Environment::testnet()],
            active_env: Some(LOCALNET.to_owned()),
            active_address,
            document: Mapping::new(),
        };
        file::create(&config.path, config.to_yaml().as_bytes(), file::Access::Owner)?;
        Self::open(config.path)
    }

    /// Makes an account the active one.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Config`].
    pub fn set_active_address(&mut self, address: Option<Address>) -> Result<()> {
        self.change(|config| {
            config.active_address = address;
            Ok(())
        })
    }

    /// Makes an environment the active one; gives its name in the file.
    ///
    /// # Errors
    /// [`Error::UnknownEnvironment`], [`Error::Io`].
    pub fn switch_env(&mut self, alias: &str) -> Result<String> {
        self.change(|config| {
            let name = config.env(alias)?.alias.clone();
            config.active_env = Some(name.clone());
            Ok(name)
        })
    }

    /// Adds an environment at the end.
    ///
    /// # Errors
    /// [`Error::EnvironmentExists`], [`Error::Io`].
    pub fn add_env(&mut self, env: Environment) -> Result<()> {
        self.change(|config| {
            if config.find_env(&env.alias).is_some() {
                return Err(Error::EnvironmentExists { alias: env.alias });
            }
            config.envs.push(env);
            Ok(())
        })
    }

    /// Removes an environment; gives its name in the file.
    ///
    /// # Errors
    /// [`Error::UnknownEnvironment`], [`Error::EnvironmentActive`], [`Error::Io`].
    pub fn remove_env(&mut self, alias: &str) -> Result<String> {
        self.change(|config| {
            let name = config.env(alias)?.alias.clone();
            if config.active_env()?.alias == name {
                return Err(Error::EnvironmentActive { alias: name });
            }
            config.envs.retain(|env| env.alias != name);
            Ok(name)
        })
    }

    /// Stores which chain the node of an environment serves.
    ///
    /// # Errors
    /// [`Error::UnknownEnvironment`], [`Error::Io`].
    pub fn set_chain_id(&mut self, alias: &str, id: soma_proto::CheckpointDigest) -> Result<()> {
        self.change(|config| {
            let name = config.env(alias)?.alias.clone();
            for env in config.envs.iter_mut().filter(|env| env.alias == name) {
                env.chain_id = Some(id);
            }
            Ok(())
        })
    }

    /// Where this configuration is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where the keystore is.
    pub fn keystore(&self) -> &Path {
        &self.keystore
    }

    /// The environments in the file's order.
    pub fn envs(&self) -> &[Environment] {
        &self.envs
    }

    /// The environment of this name; `local` and `localnet` stand for each
    /// other when only one of them is there.
    ///
    /// # Errors
    /// [`Error::UnknownEnvironment`].
    pub fn env(&self, alias: &str) -> Result<&Environment> {
        let other = match alias {
            LOCAL => LOCALNET,
            LOCALNET => LOCAL,
            _ => alias,
        };
        self.find_env(alias).or_else(|| self.find_env(other)).ok_or_else(|| {
            Error::UnknownEnvironment {
                alias: alias.to_owned(),
                known: self.envs.iter().map(|env| env.alias.clone()).collect(),
            }
        })
    }

    /// The active environment; the first one if none is marked.
    ///
    /// # Errors
    /// [`Error::UnknownEnvironment`], [`Error::NoEnvironment`].
    pub fn active_env(&self) -> Result<&Environment> {
        match &self.active_env {
            Some(alias) => self.env(alias),
            None => self.envs.first().ok_or(Error::NoEnvironment),
        }
    }

    /// The active account as the file has it.
    pub const fn active_address(&self) -> Option<Address> {
        self.active_address
    }

    fn find_env(&self, alias: &str) -> Option<&Environment> {
        self.envs.iter().find(|env| env.alias == alias)
    }

    fn change<T>(&mut self, change: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        let _lock = file::Lock::acquire(&self.path)?;
        let mut fresh = Self::open(&self.path)?;
        let result = change(&mut fresh)?;
        file::replace(&fresh.path, fresh.to_yaml().as_bytes(), file::Access::Owner)?;
        // Reading it back makes sure that what was written can be read.
        *self = Self::open(&self.path)?;
        Ok(result)
    }

    fn parse(path: PathBuf, bytes: &[u8]) -> Result<Self> {
        let fail = |reason: String| Error::Config { path: path.clone(), reason };
        // The reader's own message could quote the text, and a file of another kind, named
        // by mistake, may hold a recovery phrase.
        let document: Mapping = serde_norway::from_slice(bytes).map_err(|e| {
            let place =
                e.location().map(|at| format!("line {}, column {}: ", at.line(), at.column()));
            fail(format!("{}expected a YAML mapping", place.unwrap_or_default()))
        })?;
        let keystore = match document.get("keystore") {
            Some(Value::Mapping(map)) => map.get("File").and_then(Value::as_str),
            Some(Value::Tagged(tagged)) if tagged.tag == "File" => tagged.value.as_str(),
            _ => None,
        };
        let keystore = keystore
            .ok_or_else(|| fail("expected `keystore` with `File` and a path".to_owned()))?
            .into();
        let envs = match document.get("envs") {
            Some(Value::Sequence(envs)) => envs
                .iter()
                .enumerate()
                .map(|(place, env)| {
                    parse_env(env).map_err(|e| fail(format!("envs, entry {}: {e}", place + 1)))
                })
                .collect::<Result<_>>()?,
            None | Some(Value::Null) => Vec::new(),
            Some(_) => return Err(fail("`envs` is not a list".to_owned())),
        };
        let active_env = text(&document, "active_env").map_err(&fail)?.map(str::to_owned);
        let active_address = text(&document, "active_address")
            .map_err(&fail)?
            .map(|text| text.parse().map_err(|e| fail(format!("active_address: {e}"))))
            .transpose()?;
        Ok(Self { keystore, envs, active_env, active_address, document, path })
    }

    fn to_yaml(&self) -> String {
        let mut document = self.document.clone();
        let mut set = |key: &str, value: Value| document.insert(key.into(), value);
        // It was read from YAML, or `create` has looked at it.
        let file = Value::from(self.keystore.to_str().expect("the keystore's path is UTF-8"));
        set("keystore", Value::Mapping([("File".into(), file)].into_iter().collect()));
        if !self.document.contains_key("external_keys") {
            set("external_keys", Value::Null);
        }
        let old = self.document.get("envs").and_then(Value::as_sequence);
        let old_env = |alias: &str| {
            old.into_iter()
                .flatten()
                .filter_map(Value::as_mapping)
                .find(|env| env.get("alias").and_then(Value::as_str) == Some(alias))
        };
        let envs = self.envs.iter().map(|env| env_value(env, old_env(&env.alias))).collect();
        set("envs", Value::Sequence(envs));
        set("active_env", self.active_env.clone().map_or(Value::Null, Value::from));
        let address = self.active_address.map(|address| address.to_string());
        set("active_address", address.clone().map_or(Value::Null, Value::from));
        let yaml = serde_norway::to_string(&document).expect("a mapping of text has a YAML form");
        let yaml = format!("---\n{yaml}");
        match &address {
            // `1234e5678...` is a number for some readers, infinity for others;
            // the writer quotes it only if it is a finite number.
            Some(address) if looks_numeric(address) => yaml.replace(
                &format!("\nactive_address: {address}\n"),
                &format!("\nactive_address: '{address}'\n"),
            ),
            _ => yaml,
        }
    }
}

fn looks_numeric(address: &str) -> bool {
    address.bytes().filter(|byte| !byte.is_ascii_digit()).eq(*b"e")
}

fn text<'a>(map: &'a Mapping, key: &str) -> Result<Option<&'a str>, String> {
    match map.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(format!("`{key}` is not text; quote it")),
    }
}

fn parse_env(value: &Value) -> Result<Environment, String> {
    let map = value.as_mapping().ok_or("not a mapping")?;
    let required = |key| text(map, key)?.ok_or_else(|| format!("`{key}` is missing"));
    Ok(Environment {
        alias: required("alias")?.to_owned(),
        rpc: required("rpc")?.to_owned(),
        basic_auth: text(map, "basic_auth")?.map(BasicAuth::from_stored),
        chain_id: text(map, "chain_id")?
            .map(|id| id.parse().map_err(|e| format!("`chain_id`: {e}")))
            .transpose()?,
    })
}

/// The environment as YAML, over the fields that were there before.
fn env_value(env: &Environment, old: Option<&Mapping>) -> Value {
    let mut map = old.cloned().unwrap_or_default();
    let mut set = |key: &str, value: Value| map.insert(key.into(), value);
    set("alias", env.alias.as_str().into());
    set("rpc", env.rpc.as_str().into());
    set("basic_auth", env.basic_auth.as_ref().map_or(Value::Null, |auth| auth.expose().into()));
    match env.chain_id {
        Some(id) => {
            set("chain_id", id.to_string().into());
        }
        None => {
            map.shift_remove("chain_id");
        }
    }
    Value::Mapping(map)
}
