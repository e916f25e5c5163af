//! What Python hands over as weights. Never copied whole.

use std::io::{self, Read};
use std::path::PathBuf;

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyMemoryView, PyString};
use soma_crypto::{Input, Options};
use soma_model::Measured;
use soma_proto::Commitment;

use super::ciphertext;
use crate::error::Result;
use crate::runtime;

/// Bytes taken from Python's memory in one step, with the interpreter locked:
/// a millisecond at most.
const STEP: usize = 1 << 20;

/// Bytes, anything with the buffer protocol, the path of a file, or a file
/// that is open for reading in binary mode.
///
/// Text is no path here: it would be too easy to hash the name of a file in
/// place of its contents, or to forget `.encode()`.
pub(crate) enum Source {
    /// Read where they are.
    Bytes(Py<PyBytes>),
    /// A view of bytes; what is behind it may change while it is read.
    Buffer(Py<PyMemoryView>, usize),
    /// A file by name.
    Path(PathBuf),
    /// Anything with `read`.
    File(Py<PyAny>),
}

impl<'a, 'py> FromPyObject<'a, 'py> for Source {
    type Error = PyErr;

    fn extract(value: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        if let Ok(bytes) = value.cast::<PyBytes>() {
            return Ok(Self::Bytes(bytes.to_owned().unbind()));
        }
        if value.is_instance_of::<PyString>() {
            return Err(PyTypeError::new_err(
                "weights are bytes, a buffer, a pathlib.Path or a binary file, not text; \
                 encode text first",
            ));
        }
        if let Ok(view) = PyMemoryView::from(&value) {
            let length: usize = view.getattr("nbytes")?.extract()?;
            if length == 0 {
                return Ok(Self::Bytes(PyBytes::new(value.py(), b"").unbind()));
            }
            let flat = view.call_method1("cast", ("B",))?.cast_into()?;
            return Ok(Self::Buffer(flat.unbind(), length));
        }
        if value.hasattr("__fspath__")? {
            return Ok(Self::Path(value.extract()?));
        }
        if value.hasattr("read")? {
            return Ok(Self::File(value.to_owned().unbind()));
        }
        let found = value.get_type().name()?.to_string();
        Err(PyTypeError::new_err(format!(
            "weights are bytes, a buffer, a pathlib.Path or a binary file, not {found}"
        )))
    }
}

impl Source {
    /// Gives the input of a pass to `work`, which runs without the interpreter lock.
    pub(crate) fn with_input<T: Send>(
        &self,
        py: Python<'_>,
        work: impl FnOnce(Input<'_>) -> Result<T> + Send,
    ) -> Result<T> {
        match self {
            Self::Bytes(bytes) => {
                let bytes = bytes.bind(py).as_bytes();
                py.detach(|| work(Input::bytes("the bytes", bytes)))
            }
            Self::Buffer(view, length) => {
                let reader = BufferReader { view, at: 0, length: *length };
                py.detach(|| work(Input::reader("the buffer", reader)))
            }
            Self::Path(path) => py.detach(|| work(Input::file(path))),
            Self::File(file) => py.detach(|| work(Input::reader("the file", FileReader(file)))),
        }
    }

    /// Bytes in all, as far as that is known before they are read.
    pub(crate) fn len_at_first(&self, py: Python<'_>) -> Option<usize> {
        match self {
            Self::Bytes(bytes) => Some(bytes.bind(py).as_bytes().len()),
            Self::Buffer(_, length) => Some(*length),
            Self::Path(path) => {
                let file = std::fs::metadata(path).ok().filter(std::fs::Metadata::is_file)?;
                usize::try_from(file.len()).ok()
            }
            Self::File(_) => None,
        }
    }

    /// Reads what is in memory, and how long that is; nothing of files.
    pub(crate) fn in_memory<'a>(
        &'a self,
        py: Python<'a>,
    ) -> Option<(usize, Box<dyn Read + Send + 'a>)> {
        match self {
            Self::Bytes(bytes) => {
                let bytes = bytes.bind(py).as_bytes();
                Some((bytes.len(), Box::new(bytes)))
            }
            Self::Buffer(view, length) => {
                let length = *length;
                Some((length, Box::new(BufferReader { view, at: 0, length })))
            }
            Self::Path(_) | Self::File(_) => None,
        }
    }

    /// Size and hash, which ciphertext from here knows already.
    pub(crate) fn measure(&self, py: Python<'_>, options: &Options<'_>) -> Result<Measured> {
        if let Self::Bytes(bytes) = self {
            // One thread hashes; straight from where they are, nothing is copied.
            let known = ciphertext::digest(bytes.bind(py));
            let bytes = bytes.bind(py).as_bytes();
            let digest = known.unwrap_or_else(|| py.detach(|| soma_crypto::hash(bytes)));
            let commitment = Commitment::new(digest.into_inner());
            return Ok(Measured { commitment, size: bytes.len() as u64 });
        }
        self.with_input(py, |input| {
            let found = soma_crypto::commitment(input, options)?;
            Ok(Measured {
                commitment: Commitment::new(found.digest.into_inner()),
                size: found.size,
            })
        })
    }
}

/// Encrypted weights as an argument of a step: a [`Source`], or text for the
/// path of a file.
pub(crate) struct Weights(pub(crate) Source);

impl<'a, 'py> FromPyObject<'a, 'py> for Weights {
    type Error = PyErr;

    fn extract(value: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        if value.is_instance_of::<PyString>() {
            return Ok(Self(Source::Path(value.extract()?)));
        }
        value.extract().map(Self)
    }
}

impl Weights {
    /// Where they are, if they are in a file.
    pub(crate) fn path(&self) -> Option<PathBuf> {
        match &self.0 {
            Source::Path(path) => Some(path.clone()),
            _ => None,
        }
    }

    /// Size and hash, without holding up the loop.
    pub(crate) async fn measure(self) -> Result<Measured> {
        runtime::on_a_thread(move |stop| {
            let options = Options::new().with_progress(move |_| stop.flow());
            Python::attach(|py| self.0.measure(py, &options))
        })
        .await
    }
}

/// Reads a memory view in steps.
struct BufferReader<'a> {
    view: &'a Py<PyMemoryView>,
    at: usize,
    length: usize,
}

impl Read for BufferReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let end = self.length.min(self.at + buffer.len().min(STEP));
        let count = Python::attach(|py| -> PyResult<usize> {
            let range = pyo3::types::PySlice::new(py, self.at as isize, end as isize, 1);
            let part = self.view.bind(py).get_item(range)?.call_method0("tobytes")?;
            let bytes = part.cast::<PyBytes>()?.as_bytes();
            buffer[..bytes.len()].copy_from_slice(bytes);
            Ok(bytes.len())
        })?;
        self.at += count;
        Ok(count)
    }
}

/// Reads a file object of Python.
struct FileReader<'a>(&'a Py<PyAny>);

impl Read for FileReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let wanted = buffer.len().min(STEP);
        let count = Python::attach(|py| -> PyResult<usize> {
            let part = self.0.bind(py).call_method1("read", (wanted,))?;
            let Ok(bytes) = part.cast::<PyBytes>() else {
                return Err(PyTypeError::new_err("the file is not open in binary mode"));
            };
            let bytes = bytes.as_bytes();
            if bytes.len() > wanted {
                return Err(PyTypeError::new_err("the file gave more than was asked for"));
            }
            buffer[..bytes.len()].copy_from_slice(bytes);
            Ok(bytes.len())
        })?;
        Ok(count)
    }
}
