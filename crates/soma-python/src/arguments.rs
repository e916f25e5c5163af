//! Arguments as Python writes them, in our types.

use std::path::{Path, PathBuf};

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyBytes, PyDict, PyString};
use soma_model::{TypedUrl, embedding};
use soma_proto::{Address, Commitment, DecryptionKey, ObjectId, ObjectRef, TransactionDigest};

use crate::error::Error;

macro_rules! text_argument {
    ($($(#[$doc:meta])* $name:ident($inner:ty) = $parse:expr;)+) => {
        $($(#[$doc])*
        #[derive(Clone, Debug)]
        pub(crate) struct $name(pub(crate) $inner);

        impl<'a, 'py> FromPyObject<'a, 'py> for $name {
            type Error = PyErr;

            fn extract(value: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
                let parse: fn(&str) -> Result<$inner, soma_proto::Error> = $parse;
                Ok(Self(parse(&value.extract::<String>()?).map_err(Error::from)?))
            }
        })+
    };
}

text_argument! {
    /// The id of an object: 64 hex digits behind `0x`; short ones are padded.
    Id(ObjectId) = object_id;
    /// An address: 64 hex digits, with or without `0x`.
    Account(Address) = str::parse;
    /// A digest of a transaction: Base58.
    Digest(TransactionDigest) = str::parse;
    /// A commitment: 64 hex digits or Base58.
    Hash(Commitment) = Commitment::from_hex_or_base58;
    /// A URL, brought to the form that the chain hashes.
    WeightsUrl(TypedUrl) = str::parse;
}

/// Refuses a path that a result or a state file could not hold.
pub(crate) fn text_path(path: &Path) -> Result<(), Error> {
    match path.to_str() {
        Some(_) => Ok(()),
        None => Err(Error::argument(format!("the path {} is not UTF-8", path.display()))),
    }
}

/// As the published client has it: an id is written with `0x`.
fn object_id(text: &str) -> Result<ObjectId, soma_proto::Error> {
    text.parse()
}

/// A reference to an object: anything with `id`, `version` and `digest`, as
/// attributes or as keys.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reference(pub(crate) ObjectRef);

impl<'a, 'py> FromPyObject<'a, 'py> for Reference {
    type Error = PyErr;

    fn extract(value: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        let field = |name: &str| -> PyResult<Bound<'py, PyAny>> {
            let missing = || {
                PyTypeError::new_err(format!(
                    "an object reference has id, version and digest; {name} is missing"
                ))
            };
            match value.cast::<PyDict>() {
                Ok(dictionary) => dictionary.get_item(name)?.ok_or_else(missing),
                Err(_) => value.getattr(name).map_err(|_| missing()),
            }
        };
        let Id(id) = field("id")?.extract()?;
        let digest: String = field("digest")?.extract()?;
        let digest = digest.parse().map_err(Error::from)?;
        Ok(Self(ObjectRef(id, field("version")?.extract()?, digest)))
    }
}

/// A decryption key: 32 bytes, 64 hex digits, or Base58.
#[derive(Clone)]
pub(crate) struct Key(pub(crate) DecryptionKey);

impl Key {
    /// As the cipher takes it.
    pub(crate) fn cipher_key(&self) -> soma_crypto::Key {
        soma_crypto::Key::from_bytes(*self.0.as_bytes())
    }
}

impl<'a, 'py> FromPyObject<'a, 'py> for Key {
    type Error = PyErr;

    fn extract(value: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        let bytes = if let Ok(bytes) = value.cast::<PyBytes>() {
            bytes.as_bytes().to_vec()
        } else if let Ok(bytes) = value.cast::<PyByteArray>() {
            bytes.to_vec()
        } else if value.is_instance_of::<PyString>() {
            let text = zeroize::Zeroizing::new(value.extract::<String>()?);
            // The text is a secret, so no error repeats it.
            return DecryptionKey::from_hex_or_base58(&text).map(Self).map_err(|_| {
                PyValueError::new_err("a key is 32 bytes, or 64 hex digits with an optional 0x")
            });
        } else {
            return Err(PyTypeError::new_err("a key is bytes or text"));
        };
        let bytes = zeroize::Zeroizing::new(bytes);
        let found = bytes.len();
        let bytes: [u8; 32] = bytes.as_slice().try_into().map_err(|_| {
            PyValueError::new_err(format!("a key is 32 bytes long, this one has {found}"))
        })?;
        Ok(Self(DecryptionKey::new(bytes)))
    }
}

/// An embedding: a sequence of numbers, anything one-dimensional with
/// `tolist()`, or the path of a file.
#[derive(Clone, Debug)]
pub(crate) struct Embedding(pub(crate) Vec<f32>);

impl Embedding {
    /// For those who only want the bytes: empty is refused, values are not looked at.
    pub(crate) fn unchecked(value: &Bound<'_, PyAny>) -> PyResult<Self> {
        numbers(value).map(Self)
    }
}

impl<'a, 'py> FromPyObject<'a, 'py> for Embedding {
    type Error = PyErr;

    fn extract(value: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        let numbers = numbers(&value)?;
        if let Some(place) = numbers.iter().position(|number| !number.is_finite()) {
            let (place, number) = (place + 1, numbers[place]);
            return Err(PyValueError::new_err(format!(
                "number {place} of the embedding is {number}, not a finite 32-bit number"
            )));
        }
        Ok(Self(numbers))
    }
}

fn numbers(value: &Bound<'_, PyAny>) -> PyResult<Vec<f32>> {
    if value.is_instance_of::<PyString>() || value.hasattr("__fspath__")? {
        let path: PathBuf = value.extract()?;
        return Ok(embedding::from_file(&path).map_err(Error::from)?);
    }
    let list = if value.hasattr("tolist")? {
        // A tensor that takes part in training must be detached first.
        match value.getattr_opt("detach")? {
            Some(detach) => detach.call0()?.call_method0("tolist")?,
            None => value.call_method0("tolist")?,
        }
    } else {
        value.clone()
    };
    if list.is_instance_of::<PyBytes>() {
        return Err(PyTypeError::new_err("an embedding is a sequence of numbers, not bytes"));
    }
    let mut numbers = Vec::new();
    let items = list.try_iter().map_err(|_| {
        PyTypeError::new_err("an embedding is a sequence of numbers or has one dimension")
    })?;
    for item in items {
        let item = item?;
        let number: f64 = item.extract().map_err(|error: PyErr| {
            let is_text = item.is_instance_of::<PyString>() || item.is_instance_of::<PyBytes>();
            if !is_text && item.hasattr("__len__").unwrap_or(false) {
                PyValueError::new_err("an embedding has one dimension")
            } else {
                error
            }
        })?;
        numbers.push(number as f32);
    }
    if numbers.is_empty() {
        return Err(PyValueError::new_err("the embedding is empty"));
    }
    Ok(numbers)
}
