//! Account keys.

use std::env::{self, VarError};

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyBytes};
use soma_proto::{KeyPair, TransactionData};
use soma_wallet::{DerivationPath, Mnemonic, WordCount, secret};
use zeroize::Zeroizing;

use crate::error::{Error, Result};

/// An Ed25519 key pair: the key of an account.
///
/// The secret is wiped from memory when the object goes away and is never
/// part of its text.
///
/// >>> from soma import Keypair
/// >>> keypair = Keypair.generate()
/// >>> Keypair.from_encoded(keypair.to_encoded()).address() == keypair.address()
/// True
#[pyclass(module = "soma", frozen)]
pub(crate) struct Keypair(pub(crate) KeyPair);

#[pymethods]
impl Keypair {
    /// A new key pair from the operating system's random numbers.
    ///
    /// >>> Keypair.generate().address() != Keypair.generate().address()
    /// True
    #[staticmethod]
    fn generate() -> Self {
        Self(KeyPair::generate())
    }

    /// A new key pair and the 12 to 24 words that it can be made from again.
    ///
    /// Raises ValueError unless ``words`` is 12, 15, 18, 21 or 24.
    ///
    /// >>> from soma import Keypair
    /// >>> keypair, phrase = Keypair.generate_with_mnemonic()
    /// >>> Keypair.from_mnemonic(phrase).address() == keypair.address()
    /// True
    #[staticmethod]
    #[pyo3(signature = (words = 12))]
    fn generate_with_mnemonic(words: usize) -> PyResult<(Self, String)> {
        const COUNTS: [WordCount; 5] = [
            WordCount::Word12,
            WordCount::Word15,
            WordCount::Word18,
            WordCount::Word21,
            WordCount::Word24,
        ];
        let count = COUNTS.into_iter().find(|count| count.words() == words).ok_or_else(|| {
            PyValueError::new_err(format!("a phrase has 12, 15, 18, 21 or 24 words, not {words}"))
        })?;
        let mnemonic = Mnemonic::generate(count).map_err(Error::from)?;
        let keypair = Self(mnemonic.key(&DerivationPath::default()));
        Ok((keypair, mnemonic.phrase().to_string()))
    }

    /// The key pair of a secret: 32 bytes, or 64 hex digits with an optional ``0x``.
    ///
    /// Raises ValueError for any other length or text.
    ///
    /// >>> Keypair.from_secret_key("11" * 32).to_secret_key() == "11" * 32
    /// True
    #[staticmethod]
    fn from_secret_key(secret: &Bound<'_, PyAny>) -> PyResult<Self> {
        if let Ok(bytes) = secret.cast::<PyBytes>() {
            return Ok(Self(KeyPair::from_slice(bytes.as_bytes()).map_err(Error::from)?));
        }
        if let Ok(bytes) = secret.cast::<PyByteArray>() {
            let bytes = Zeroizing::new(bytes.to_vec());
            return Ok(Self(KeyPair::from_slice(&bytes).map_err(Error::from)?));
        }
        let text = secret
            .extract::<String>()
            .map(Zeroizing::new)
            .map_err(|_| PyTypeError::new_err("a secret key is bytes or text"))?;
        Ok(Self(KeyPair::from_hex(&text).map_err(Error::from)?))
    }

    /// The key pair of a BIP-39 phrase, at the path ``m/44'/784'/0'/0'/0'``.
    ///
    /// Raises ValueError for a phrase with unknown words or a wrong checksum.
    ///
    /// >>> Keypair.from_mnemonic("abandon " * 11 + "about").address()
    /// '5e93a736d04fbb25737aa40bee40171ef79f65fae833749e3c089fe7cc2161f1'
    #[staticmethod]
    fn from_mnemonic(mnemonic: &str) -> PyResult<Self> {
        let phrase: Mnemonic = mnemonic
            .parse()
            .map_err(|error: soma_wallet::Error| PyValueError::new_err(error.to_string()))?;
        Ok(Self(phrase.key(&DerivationPath::default())))
    }

    /// The key pair of a text that begins with ``somaprivkey1``, as wallets export it.
    ///
    /// Raises ValueError for any other text.
    ///
    /// >>> Keypair.from_encoded(signer.to_encoded()).address() == signer.address()
    /// True
    #[staticmethod]
    fn from_encoded(text: &str) -> PyResult<Self> {
        Ok(Self(KeyPair::from_bech32(text.trim()).map_err(Error::from)?))
    }

    /// The key pair of the secret in an environment variable: 64 hex digits with an optional
    /// ``0x``, ``somaprivkey1...``, or a BIP-39 phrase at the path of :meth:`from_mnemonic`.
    ///
    /// Raises ValueError, without the text, if the variable is not set or holds no secret.
    ///
    /// >>> import os
    /// >>> os.environ["SOMA_SECRET_KEY"] = signer.to_secret_key()
    /// >>> Keypair.from_env().address() == signer.address()
    /// True
    #[staticmethod]
    #[pyo3(signature = (name = "SOMA_SECRET_KEY"))]
    fn from_env(name: &str) -> PyResult<Self> {
        let wrong = |what: &str| PyValueError::new_err(format!("{name}: {what}"));
        let text = match env::var(name) {
            Ok(text) => Zeroizing::new(text),
            Err(VarError::NotPresent) => return Err(wrong("the variable is not set")),
            Err(VarError::NotUnicode(_)) => return Err(wrong("the variable holds no text")),
        };
        let key = secret::parse(&text, &DerivationPath::default());
        Ok(Self(key.map_err(|error| wrong(&error.to_string()))?))
    }

    /// The account's address: 64 hex digits without ``0x``.
    ///
    /// >>> Keypair.from_secret_key("11" * 32).address()
    /// '0881c07520943bbf13989b92892093c1b50672156fa5f873c22892701cb2e207'
    fn address(&self) -> String {
        self.0.address().to_string()
    }

    /// Signs BCS(TransactionData); gives BCS of the signed transaction.
    ///
    /// Raises ValueError for bytes that are no transaction.
    ///
    /// >>> [coin, *_] = await client.list_owned_objects(signer.address(), "coin")
    /// >>> data = await client.build_transfer_coin(signer.address(), friend, coin, 5)
    /// >>> (await client.execute_transaction(signer.sign(data))).status
    /// 'Success'
    fn sign<'py>(&self, py: Python<'py>, tx_data_bytes: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
        Ok(PyBytes::new(py, &sign(&self.0, tx_data_bytes)?))
    }

    /// The secret: 64 hex digits.
    ///
    /// >>> len(signer.to_secret_key())
    /// 64
    fn to_secret_key(&self) -> String {
        self.0.to_hex().to_string()
    }

    /// The secret as a text that wallets import: ``somaprivkey1...``.
    ///
    /// >>> signer.to_encoded()[:12]
    /// 'somaprivkey1'
    fn to_encoded(&self) -> String {
        self.0.to_bech32().to_string()
    }

    fn __repr__(&self) -> String {
        format!("Keypair({})", self.0.address())
    }
}

fn sign(key: &KeyPair, data: &[u8]) -> Result<Vec<u8>> {
    Ok(TransactionData::from_bcs(data)?.sign(key).to_bcs())
}
