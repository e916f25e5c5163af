//! Which services a command talks to.

use std::env;

use crate::environment::{LOCAL, LOCALNET, TESTNET, check_url};
use crate::{ClientConfig, Environment, Error, Result};

/// Choices that go before the configuration file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    /// Name of an environment: `SOMA_ENV`.
    pub env: Option<String>,
    /// URL of the RPC service: `SOMA_RPC_URL`.
    pub rpc_url: Option<String>,
    /// URL of the faucet: `SOMA_FAUCET_URL`.
    pub faucet_url: Option<String>,
    /// URL of the admin service: `SOMA_ADMIN_URL`.
    pub admin_url: Option<String>,
}

impl Overrides {
    /// What the process's environment variables choose.
    pub fn from_env() -> Self {
        Self::from_vars(|name| env::var(name).ok())
    }

    /// What variables choose; empty ones count as absent.
    pub fn from_vars(var: impl Fn(&str) -> Option<String>) -> Self {
        let var = |name| var(name).filter(|value| !value.is_empty());
        Self {
            env: var("SOMA_ENV"),
            rpc_url: var("SOMA_RPC_URL"),
            faucet_url: var("SOMA_FAUCET_URL"),
            admin_url: var("SOMA_ADMIN_URL"),
        }
    }
}

/// The services of one command.
#[derive(Clone, Debug)]
pub struct Target {
    /// The environment, or an unnamed one for a URL that no environment has.
    pub environment: Environment,
    faucet_url: Option<String>,
    admin_url: Option<String>,
}

impl Target {
    /// Chooses. In this order: a flag's URL, a flag's environment, a
    /// variable's URL, a variable's environment, the active environment.
    /// Without a configuration the names `localnet` and `testnet` are known
    /// and `localnet` is active.
    ///
    /// # Errors
    /// [`Error::UnknownEnvironment`], [`Error::Url`].
    pub fn resolve(
        config: Option<&ClientConfig>,
        flags: &Overrides,
        vars: &Overrides,
    ) -> Result<Self> {
        let environment = match (&flags.rpc_url, &flags.env, &vars.rpc_url, &vars.env) {
            (Some(url), ..) | (None, None, Some(url), _) => by_url(config, url)?,
            (None, Some(name), ..) | (None, None, None, Some(name)) => by_name(config, name)?,
            (None, None, None, None) => match config {
                Some(config) => config.active_env()?.clone(),
                None => Environment::localnet(),
            },
        };
        let choose = |flag: &Option<String>, var: &Option<String>| {
            let url = flag.clone().or_else(|| var.clone());
            url.as_deref().map(check_url).transpose()?;
            Ok::<_, Error>(url)
        };
        Ok(Self {
            environment,
            faucet_url: choose(&flags.faucet_url, &vars.faucet_url)?,
            admin_url: choose(&flags.admin_url, &vars.admin_url)?,
        })
    }

    /// Where to ask for money.
    ///
    /// # Errors
    /// [`Error::NoServiceUrl`].
    pub fn faucet_url(&self) -> Result<&str> {
        self.faucet_url.as_deref().map_or_else(|| self.environment.faucet_url(), Ok)
    }

    /// Where to move epochs.
    ///
    /// # Errors
    /// [`Error::NoServiceUrl`].
    pub fn admin_url(&self) -> Result<&str> {
        self.admin_url.as_deref().map_or_else(|| self.environment.admin_url(), Ok)
    }
}

fn by_url(config: Option<&ClientConfig>, url: &str) -> Result<Environment> {
    let same = |env: &&Environment| env.rpc.trim_end_matches('/') == url.trim_end_matches('/');
    match config.and_then(|config| config.envs().iter().find(same)) {
        Some(env) => Ok(env.clone()),
        None => Environment::new(url, url),
    }
}

fn by_name(config: Option<&ClientConfig>, name: &str) -> Result<Environment> {
    match (config, name) {
        (Some(config), name) => config.env(name).cloned(),
        (None, LOCALNET | LOCAL) => Ok(Environment::localnet()),
        (None, TESTNET) => Ok(Environment::testnet()),
        (None, name) => Err(Error::UnknownEnvironment {
            alias: name.to_owned(),
            known: vec![LOCALNET.to_owned(), TESTNET.to_owned()],
        }),
    }
}
