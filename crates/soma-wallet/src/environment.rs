//! Environments: an RPC URL under a name, and the services around it.

use std::fmt;
use std::str::FromStr;

use soma_proto::CheckpointDigest;
use url::Url;
use zeroize::Zeroizing;

use crate::{Error, Result};

/// Name of the local environment.
pub const LOCALNET: &str = "localnet";
/// The name under which older tools keep the local environment.
pub const LOCAL: &str = "local";
/// Name of the public test network's environment.
pub const TESTNET: &str = "testnet";

const LOCAL_RPC: &str = "http://127.0.0.1:9000";
const LOCAL_FAUCET: &str = "http://127.0.0.1:9123";
const LOCAL_SCORING: &str = "http://127.0.0.1:9124";
const LOCAL_ADMIN: &str = "http://127.0.0.1:9125";
const TESTNET_RPC: &str = "https://fullnode.testnet.soma.org:443";
const TESTNET_FAUCET: &str = "https://faucet.testnet.soma.org";

/// An RPC URL under a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Environment {
    /// Its name, unique in a configuration.
    pub alias: String,
    /// The URL of the RPC service.
    pub rpc: String,
    /// Sent with every RPC request.
    pub basic_auth: Option<BasicAuth>,
    /// The chain its node served when last asked.
    pub chain_id: Option<CheckpointDigest>,
}

impl Environment {
    /// An environment whose chain is not known yet.
    ///
    /// # Errors
    /// [`Error::Url`] unless `rpc` is an absolute `http` or `https` URL
    /// without credentials.
    pub fn new(alias: impl Into<String>, rpc: impl Into<String>) -> Result<Self> {
        let rpc = rpc.into();
        check_url(&rpc)?;
        Ok(Self { alias: alias.into(), rpc, basic_auth: None, chain_id: None })
    }

    /// The network on this machine.
    pub fn localnet() -> Self {
        Self::preset(LOCALNET, LOCAL_RPC)
    }

    /// The public test network.
    pub fn testnet() -> Self {
        Self::preset(TESTNET, TESTNET_RPC)
    }

    /// With credentials for the RPC service.
    #[must_use]
    pub fn with_basic_auth(mut self, basic_auth: Option<BasicAuth>) -> Self {
        self.basic_auth = basic_auth;
        self
    }

    /// With the chain its node serves.
    #[must_use]
    pub const fn with_chain_id(mut self, chain_id: CheckpointDigest) -> Self {
        self.chain_id = Some(chain_id);
        self
    }

    /// Whether it is a network on this machine, by its name or its RPC host.
    pub fn is_local(&self) -> bool {
        matches!(self.alias.as_str(), LOCALNET | LOCAL) || is_loopback(&self.rpc)
    }

    /// Where to ask for money.
    ///
    /// # Errors
    /// [`Error::NoServiceUrl`] if neither name nor URL tells.
    pub fn faucet_url(&self) -> Result<&'static str> {
        if self.is_local() {
            Ok(LOCAL_FAUCET)
        } else if self.rpc.contains(TESTNET) {
            Ok(TESTNET_FAUCET)
        } else {
            Err(self.no_service("faucet"))
        }
    }

    /// Where to move epochs; local networks only.
    ///
    /// # Errors
    /// [`Error::NoServiceUrl`].
    pub fn admin_url(&self) -> Result<&'static str> {
        if self.is_local() { Ok(LOCAL_ADMIN) } else { Err(self.no_service("admin service")) }
    }

    /// Where data is scored; local networks only.
    ///
    /// # Errors
    /// [`Error::NoServiceUrl`].
    pub fn scoring_url(&self) -> Result<&'static str> {
        if self.is_local() { Ok(LOCAL_SCORING) } else { Err(self.no_service("scoring service")) }
    }

    /// Compares the chain on file with the chain that the node serves. Money
    /// must not move when they differ.
    ///
    /// # Errors
    /// [`Error::ChainChanged`].
    pub fn check_chain(&self, seen: CheckpointDigest) -> Result<()> {
        match self.chain_id {
            Some(stored) if stored != seen => {
                Err(Error::ChainChanged { environment: self.alias.clone(), stored, seen })
            }
            _ => Ok(()),
        }
    }

    fn preset(alias: &str, rpc: &str) -> Self {
        Self { alias: alias.to_owned(), rpc: rpc.to_owned(), basic_auth: None, chain_id: None }
    }

    fn no_service(&self, service: &'static str) -> Error {
        Error::NoServiceUrl { service, environment: self.alias.clone(), rpc: self.rpc.clone() }
    }
}

/// A user name and a password. `Debug` and `Display` show the name only.
#[derive(Clone, PartialEq, Eq)]
pub struct BasicAuth(Zeroizing<String>);

impl BasicAuth {
    /// The user name.
    pub fn user(&self) -> &str {
        self.0.split_once(':').map_or(&self.0, |(user, _)| user)
    }

    /// The password.
    pub fn password(&self) -> &str {
        self.0.split_once(':').map_or("", |(_, password)| password)
    }

    /// Whatever a configuration file holds: a text without a colon has no
    /// password.
    pub(crate) fn from_stored(text: &str) -> Self {
        Self(Zeroizing::new(text.to_owned()))
    }

    /// Both, with a colon between them: secret.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl FromStr for BasicAuth {
    type Err = Error;

    /// Reads `user:password`.
    fn from_str(text: &str) -> Result<Self> {
        match text.split_once(':') {
            Some((user, _)) if !user.is_empty() => Ok(Self(Zeroizing::new(text.to_owned()))),
            _ => Err(Error::BasicAuth),
        }
    }
}

impl fmt::Display for BasicAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:***", self.user())
    }
}

impl fmt::Debug for BasicAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BasicAuth({self})")
    }
}

/// Refuses what no client can connect to.
pub(crate) fn check_url(text: &str) -> Result<()> {
    let fail = |reason: String| Err(Error::Url { reason });
    match Url::parse(text) {
        Err(e) => fail(e.to_string()),
        Ok(url) if !matches!(url.scheme(), "http" | "https") => {
            fail("expected http:// or https:// and a host".to_owned())
        }
        Ok(url) if !url.username().is_empty() || url.password().is_some() => {
            fail("user name and password belong into the basic auth of an environment".to_owned())
        }
        Ok(_) => Ok(()),
    }
}

fn is_loopback(url: &str) -> bool {
    match Url::parse(url).ok().as_ref().and_then(Url::host) {
        Some(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(url::Host::Ipv4(ip)) => ip.is_loopback() || ip.is_unspecified(),
        Some(url::Host::Ipv6(ip)) => ip.is_loopback() || ip.is_unspecified(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn service_urls() {
        let local = Environment::localnet();
        assert_eq!(local.rpc, "http://127.0.0.1:9000");
        assert_eq!(local.faucet_url().unwrap(), "http://127.0.0.1:9123");
        assert_eq!(local.admin_url().unwrap(), "http://127.0.0.1:9125");
        assert_eq!(local.scoring_url().unwrap(), "http://127.0.0.1:9124");
        let testnet = Environment::testnet();
        assert_eq!(testnet.rpc, "https://fullnode.testnet.soma.org:443");
        assert_eq!(testnet.faucet_url().unwrap(), "https://faucet.testnet.soma.org");
        assert!(matches!(testnet.admin_url(), Err(Error::NoServiceUrl { .. })));
        let own = Environment::new("mine", "https://rpc.example.org").unwrap();
        let error = own.faucet_url().unwrap_err().to_string();
        assert_eq!(
            error,
            "no faucet is known for the environment `mine` (https://rpc.example.org)"
        );
    }

    #[test]
    fn what_is_local() {
        for rpc in ["http://127.0.0.1:1", "http://localhost:9000", "http://[::1]:9000"] {
            assert!(Environment::new("x", rpc).unwrap().is_local(), "{rpc}");
        }
        for rpc in ["http://10.0.0.1:9000", "https://localhost.example.org"] {
            assert!(!Environment::new("x", rpc).unwrap().is_local(), "{rpc}");
        }
        assert!(Environment::new("local", "http://10.0.0.1:9000").unwrap().is_local());
    }

    #[test]
    fn bad_urls_are_refused_without_their_password() {
        for bad in ["", "localhost", "127.0.0.1:9000", "ftp://example.org", "/path"] {
            assert!(Environment::new("x", bad).is_err(), "{bad}");
        }
        let error = Environment::new("x", "http://me:hush@example.org").unwrap_err().to_string();
        assert!(error.contains("basic auth") && !error.contains("hush"), "{error}");
        let error = Environment::new("x", "me:hush@example.org:99999").unwrap_err().to_string();
        assert!(!error.contains("hush"), "{error}");
    }

    #[test]
    fn a_password_is_never_shown() {
        let auth: BasicAuth = "ana:se:cret".parse().unwrap();
        assert_eq!((auth.user(), auth.password()), ("ana", "se:cret"));
        assert_eq!(auth.to_string(), "ana:***");
        let env = Environment::localnet().with_basic_auth(Some(auth));
        assert!(!format!("{env:?}").contains("cret"));
        assert!("no-colon".parse::<BasicAuth>().is_err());
        assert!(":x".parse::<BasicAuth>().is_err());
    }

    #[test]
    fn another_chain_is_noticed() {
        let env = Environment::localnet();
        env.check_chain(CheckpointDigest::new([1; 32])).unwrap();
        let env = env.with_chain_id(CheckpointDigest::new([1; 32]));
        env.check_chain(CheckpointDigest::new([1; 32])).unwrap();
        assert!(matches!(
            env.check_chain(CheckpointDigest::new([2; 32])),
            Err(Error::ChainChanged { .. })
        ));
    }
}
