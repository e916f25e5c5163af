//! Errors on their way to Python.

use pyo3::exceptions::{
    PyFileExistsError, PyOSError, PyOverflowError, PyRuntimeError, PyValueError,
};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use soma_model::with_causes;
use soma_rpc::Executed;

use crate::namespace::{self, to_python};

/// Whatever goes wrong in this crate. Python sees the exceptions of
/// `soma._errors`, a `ValueError`, an `OverflowError` or an `OSError`.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// An argument that means nothing: `ValueError`.
    #[error("{0}")]
    Argument(String),
    /// A number that does not fit: `OverflowError`.
    #[error("{0}")]
    Overflow(String),
    /// A service whose URL the client was not given: `ServiceNotConfigured`.
    #[error("this client was not given {0}")]
    NotConfigured(&'static str),
    /// The epoch did not change in time: `EpochTimeout`.
    #[error("epoch {epoch} was still running after {seconds} s")]
    EpochTimeout { epoch: u64, seconds: f64 },
    /// Anything else: `SomaError`.
    #[error("{0}")]
    Other(String),
    /// The chain failed a transaction: `TransactionFailed`.
    #[error("{what} failed: {}", .executed.effects.failure().map(ToString::to_string).unwrap_or_default())]
    Failed { what: &'static str, executed: Box<Executed> },
    #[error(transparent)]
    Rpc(#[from] soma_rpc::Error),
    #[error(transparent)]
    Model(#[from] soma_model::Error),
    #[error(transparent)]
    Payment(#[from] soma_model::payment::PaymentError),
    #[error(transparent)]
    Crypto(#[from] soma_crypto::Error),
    #[error(transparent)]
    Proto(#[from] soma_proto::Error),
    #[error(transparent)]
    Wallet(#[from] soma_wallet::Error),
    #[error(transparent)]
    Storage(#[from] soma_storage::Error),
    /// The host behind a URL of the chain, which is no argument of the caller's.
    #[error(transparent)]
    Served(soma_storage::Error),
    /// An exception that Python raised, for example in a callback.
    #[error(transparent)]
    Python(#[from] PyErr),
}

/// Shorthand for results of this crate.
pub(crate) type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    pub(crate) fn argument(text: impl Into<String>) -> Self {
        Self::Argument(text.into())
    }
}

impl From<Error> for PyErr {
    fn from(error: Error) -> Self {
        Python::attach(|py| raise(py, error))
    }
}

fn raise(py: Python<'_>, error: Error) -> PyErr {
    use soma_model::Error as Model;
    use soma_model::payment::PaymentError as Payment;
    use soma_rpc::Error as Rpc;
    use soma_wallet::Error as File;

    let text = with_causes(&error);
    match error {
        Error::Python(error) => error,
        Error::Argument(_) | Error::Proto(_) => PyValueError::new_err(text),
        Error::Overflow(_) => PyOverflowError::new_err(text),
        Error::NotConfigured(_) => exception(py, "ServiceNotConfigured", text),
        Error::EpochTimeout { .. } => exception(py, "EpochTimeout", text),
        Error::Failed { executed, .. } => failed(py, text, &executed),
        Error::Rpc(error) | Error::Model(Model::Rpc(error)) => match error {
            Rpc::Url { .. } | Rpc::Unsendable { .. } => PyValueError::new_err(text),
            Rpc::Transport { .. } | Rpc::Timeout { .. } | Rpc::Malformed { .. } => {
                exception(py, "TransportError", text)
            }
            Rpc::OutcomeUnknown { digest, .. } => {
                let attributes = PyDict::new(py);
                let _ = attributes.set_item("digest", digest.to_string());
                with_attributes(py, "OutcomeUnknown", text, &attributes)
            }
            Rpc::NotEnough(_) => refused_for(py, "InsufficientCoinBalance", &text),
            _ => exception(py, "SomaError", text),
        },
        Error::Payment(Payment::NotEnough(_)) => refused_for(py, "InsufficientCoinBalance", &text),
        Error::Payment(Payment::NoOtherCoin { .. }) => refused_for(py, "InsufficientGas", &text),
        Error::Model(Model::Failed(executed)) => failed(py, text, &executed),
        Error::Model(Model::Refused(report)) => {
            let failure = report.failure();
            refused(py, text, failure, Some(&report))
        }
        Error::Model(
            Model::Embedding { .. }
            | Model::KeyText { .. }
            | Model::NotSafetensors { .. }
            | Model::PathNotUtf8 { .. }
            | Model::Passphrase { .. },
        ) => PyValueError::new_err(text),
        Error::Model(Model::Io { source, .. } | Model::File(File::Io { source, .. }))
        | Error::Wallet(File::Io { source, .. }) => os_error(py, &source, text),
        Error::Model(Model::Weights(error)) | Error::Crypto(error) => crypto(py, error, text),
        Error::Served(error @ soma_storage::Error::Url { .. }) => {
            exception(py, "SomaError", hinted(&error, text))
        }
        Error::Model(Model::Storage(error)) | Error::Storage(error) | Error::Served(error) => {
            storage(py, error, text)
        }
        Error::Model(Model::File(File::FileExists { .. }))
        | Error::Wallet(File::FileExists { .. }) => PyFileExistsError::new_err(text),
        Error::Model(_) | Error::Payment(_) | Error::Wallet(_) | Error::Other(_) => {
            exception(py, "SomaError", text)
        }
    }
}

/// What a store or a host of weights did not do.
fn storage(py: Python<'_>, error: soma_storage::Error, text: String) -> PyErr {
    use soma_storage::Error as Storage;
    let text = hinted(&error, text);
    match error {
        Storage::Url { .. }
        | Storage::Destination { .. }
        | Storage::PartSize { .. }
        | Storage::Memory { .. } => PyValueError::new_err(text),
        Storage::Connect { .. }
        | Storage::Timeout { .. }
        | Storage::Broken { .. }
        | Storage::Truncated { .. } => exception(py, "TransportError", text),
        Storage::File { source, .. } => os_error(py, &source, text),
        Storage::NoRoom { .. } => PyOSError::new_err(text),
        Storage::Source(error) => crypto(py, error, text),
        _ => exception(py, "SomaError", text),
    }
}

fn hinted(error: &soma_storage::Error, text: String) -> String {
    match error.hint() {
        Some(hint) => format!("{text}; {hint}"),
        None => text,
    }
}

fn crypto(py: Python<'_>, error: soma_crypto::Error, text: String) -> PyErr {
    use soma_crypto::Error as Crypto;
    match error {
        Crypto::KeyLength { .. }
        | Crypto::KeyText
        | Crypto::DigestText
        | Crypto::ChunkSize { .. }
        | Crypto::RangeOverflow { .. } => PyValueError::new_err(text),
        Crypto::OutputExists { .. } => PyFileExistsError::new_err(text),
        Crypto::OutputIsDirectory { .. } => pyo3::exceptions::PyIsADirectoryError::new_err(text),
        Crypto::Open { source, .. }
        | Crypto::Read { source, .. }
        | Crypto::Create { source, .. } => os_error(py, &source, text),
        Crypto::DigestMismatch { .. } | Crypto::Random { .. } => exception(py, "SomaError", text),
        _ => PyOSError::new_err(text),
    }
}

/// The `OSError` of Python for a reason, with our text; an exception that a
/// file object of Python raised is the caller's own and goes back as it came.
fn os_error(py: Python<'_>, source: &std::io::Error, text: String) -> PyErr {
    match source.get_ref().and_then(|inner| inner.downcast_ref::<PyErr>()) {
        Some(raised) => raised.clone_ref(py),
        None => std::io::Error::new(source.kind(), text).into(),
    }
}

fn failed(py: Python<'_>, text: String, executed: &Executed) -> PyErr {
    let name = executed.effects.failure().map(soma_proto::effects::ExecutionFailure::name);
    let attributes = PyDict::new(py);
    let filled = (|| {
        attributes.set_item("digest", executed.digest.to_string())?;
        attributes.set_item("failure", name)?;
        attributes.set_item("effects", namespace::effects(py, &executed.effects)?)
    })();
    match filled {
        Ok(()) => with_attributes(py, "TransactionFailed", text, &attributes),
        Err(error) => error,
    }
}

/// A refusal that the chain has a name for.
fn refused_for(py: Python<'_>, failure: &str, text: &str) -> PyErr {
    refused(py, format!("{failure}: {text}"), Some(failure), None)
}

fn refused(
    py: Python<'_>,
    text: String,
    failure: Option<&str>,
    report: Option<&soma_model::Report>,
) -> PyErr {
    let attributes = PyDict::new(py);
    let filled = (|| {
        attributes.set_item("failure", failure)?;
        let findings = report.map(|report| report.findings.as_slice()).unwrap_or_default();
        attributes.set_item("findings", to_python(py, findings)?)
    })();
    match filled {
        Ok(()) => with_attributes(py, "Refused", text, &attributes),
        Err(error) => error,
    }
}

fn exception(py: Python<'_>, name: &str, text: String) -> PyErr {
    with_attributes(py, name, text, &PyDict::new(py))
}

/// An exception of `soma._errors`.
fn with_attributes(
    py: Python<'_>,
    name: &str,
    text: String,
    attributes: &Bound<'_, PyDict>,
) -> PyErr {
    let made = (|| {
        let class = py.import("soma._errors")?.getattr(name)?;
        let value = class.call1((&text,))?;
        for (key, attribute) in attributes {
            value.setattr(key.cast::<pyo3::types::PyString>()?, attribute)?;
        }
        Ok::<_, PyErr>(PyErr::from_value(value))
    })();
    // Only at the very end of the interpreter can the class be gone.
    made.unwrap_or_else(|_| PyRuntimeError::new_err(text))
}
