//! The wallet of the command line, and whoever signs.

use std::path::PathBuf;
use std::sync::Arc;

use pyo3::exceptions::{PyKeyError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::PyString;
use soma_proto::{Address, KeyPair};
use soma_wallet::{ConfigDir, Identity};

use crate::error::{Error, Result};
use crate::keypair::Keypair;
use crate::namespace::class;

/// The wallet of the ``soma`` command: its accounts sign here too.
///
/// ``path`` is a ``client.yaml`` or the folder it is in; without it the folder
/// is ``$SOMA_CONFIG_DIR``, else ``~/.soma/soma_config``. The wallet is read
/// once; nothing is written.
///
/// A wallet signs with its active account; ``wallet["alias"]`` is another one.
///
/// Raises SomaError if there is no wallet or it cannot be read.
#[pyclass(module = "soma", frozen)]
pub(crate) struct Wallet {
    inner: Arc<soma_wallet::Wallet>,
}

impl Wallet {
    fn open(path: Option<PathBuf>) -> Result<Self> {
        let path = match path {
            Some(path) if path.is_dir() => ConfigDir::at(path).client_yaml(),
            Some(path) => path,
            None => ConfigDir::from_env()?.client_yaml(),
        };
        Ok(Self { inner: Arc::new(soma_wallet::Wallet::open(&path)?) })
    }

    fn account<'py>(slf: &Bound<'py, Self>, address: Address) -> PyResult<Bound<'py, PyAny>> {
        let account = class(slf.py(), "Account")?.call1((address.to_string(),))?;
        let alias = slf.get().inner.keystore().alias(&address).map(str::to_owned);
        account.setattr("alias", alias)?;
        account.setattr("wallet", slf)?;
        Ok(account)
    }

    fn resolve(&self, identity: &str) -> Result<Address> {
        Ok(self.inner.resolve(Some(&identity.parse::<Identity>()?))?)
    }
}

#[pymethods]
impl Wallet {
    #[new]
    #[pyo3(signature = (path = None))]
    fn new(path: Option<PathBuf>) -> PyResult<Self> {
        Ok(Self::open(path)?)
    }

    /// The active account, or ``None``.
    ///
    /// >>> wallet.active.alias
    /// 'me'
    #[getter]
    fn active<'py>(slf: &Bound<'py, Self>) -> PyResult<Option<Bound<'py, PyAny>>> {
        slf.get().inner.active_address().map(|address| Self::account(slf, address)).transpose()
    }

    /// All accounts, ordered by address.
    ///
    /// >>> [account.alias for account in wallet.accounts]
    /// ['me']
    #[getter]
    fn accounts<'py>(slf: &Bound<'py, Self>) -> PyResult<Vec<Bound<'py, PyAny>>> {
        let addresses: Vec<_> =
            slf.get().inner.keystore().iter().map(|(address, ..)| address).collect();
        addresses.into_iter().map(|address| Self::account(slf, address)).collect()
    }

    /// The key of an account, named by address or alias.
    ///
    /// Raises SomaError if it is not in the wallet.
    ///
    /// >>> wallet.keypair("me").address() == wallet.active
    /// True
    fn keypair(&self, identity: &str) -> PyResult<Keypair> {
        let address = self.resolve(identity)?;
        Ok(Keypair(self.inner.keystore().key(&address).map_err(Error::from)?.clone()))
    }

    /// The account with this address or alias; KeyError if there is none.
    fn __getitem__<'py>(slf: &Bound<'py, Self>, identity: &str) -> PyResult<Bound<'py, PyAny>> {
        let wallet = slf.get();
        let address = wallet.resolve(identity).ok().filter(|a| wallet.inner.keystore().contains(a));
        match address {
            Some(address) => Self::account(slf, address),
            None => Err(PyKeyError::new_err(identity.to_owned())),
        }
    }

    fn __len__(&self) -> usize {
        self.inner.keystore().len()
    }

    fn __repr__(&self) -> String {
        format!("Wallet({})", self.inner.config().path().display())
    }
}

/// Who signs: a key pair, a wallet, or an account of one.
pub(crate) enum Signer {
    Key(KeyPair),
    Wallet(Arc<soma_wallet::Wallet>, Address),
}

impl Signer {
    /// The signer for an account of the default wallet.
    ///
    /// # Errors
    /// [`Error::Wallet`].
    pub(crate) fn of_default_wallet(address: Option<Address>) -> Result<Self> {
        let wallet = Wallet::open(None)?;
        let address = match address {
            Some(address) => address,
            None => wallet.inner.resolve(None)?,
        };
        Ok(Self::Wallet(wallet.inner, address))
    }

    /// The account.
    pub(crate) fn address(&self) -> Address {
        match self {
            Self::Key(key) => key.address(),
            Self::Wallet(_, address) => *address,
        }
    }

    /// All keys that it has, its own first.
    pub(crate) fn keys(&self) -> Vec<&KeyPair> {
        match self {
            Self::Key(key) => vec![key],
            Self::Wallet(wallet, own) => {
                let mut keys: Vec<_> = wallet.keystore().iter().collect();
                keys.sort_by_key(|(address, ..)| address != own);
                keys.into_iter().map(|(.., key)| key).collect()
            }
        }
    }

    /// The key, if it may sign on the chain with this name.
    ///
    /// # Errors
    /// [`Error::Wallet`].
    pub(crate) async fn key(&self, client: &soma_rpc::Client) -> Result<KeyPair> {
        match self {
            Self::Key(key) => Ok(key.clone()),
            Self::Wallet(wallet, address) => {
                let chain = client.service_info().await?.chain.unwrap_or_default();
                Ok(wallet.signer(address, &chain)?.clone())
            }
        }
    }
}

impl<'a, 'py> FromPyObject<'a, 'py> for Signer {
    type Error = PyErr;

    fn extract(value: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        if let Ok(keypair) = value.cast::<Keypair>() {
            return Ok(Self::Key(keypair.get().0.clone()));
        }
        if let Ok(wallet) = value.cast::<Wallet>() {
            let wallet = Arc::clone(&wallet.get().inner);
            let address = wallet.resolve(None).map_err(Error::from)?;
            return Ok(Self::Wallet(wallet, address));
        }
        if value.is_instance_of::<PyString>() {
            let text: String = value.extract()?;
            let wallet = match value.getattr_opt("wallet")? {
                Some(wallet) => Arc::clone(&wallet.cast::<Wallet>()?.get().inner),
                None => Wallet::open(None)?.inner,
            };
            let identity = text.parse::<Identity>().map_err(Error::from)?;
            let address = wallet.resolve(Some(&identity)).map_err(Error::from)?;
            return Ok(Self::Wallet(wallet, address));
        }
        let found = value.get_type().name()?.to_string();
        Err(PyTypeError::new_err(format!(
            "a signer is a Keypair, a Wallet or an account of a wallet, not {found}"
        )))
    }
}
