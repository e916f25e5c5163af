//! Whole weights in memory, as the published client has them.
//!
//! One Blake2b stream takes longer than cipher, copies and the first use of the memory
//! together, so encrypting is one pass that hashes too (see [`super::ciphertext`]).

use std::io::{self, Write};

use pyo3::prelude::*;
use pyo3::types::PyBytes;
use soma_crypto::{Cipher, Key, Options, Output};

use super::Source;
use super::ciphertext::Unfinished;
use crate::error::Result;

/// Bytes that are written at once; more would lock the interpreter for long.
const PIECE: usize = 1 << 20;

/// Bytes that grow where they are: Python's `BytesIO`, which gives its memory
/// away in the end without copying it. New bytes of the full length would be
/// filled with zeros first, with the interpreter locked all the while.
pub(crate) struct Gathered(Py<PyAny>);

impl Gathered {
    /// None yet.
    pub(crate) fn new(py: Python<'_>) -> PyResult<Self> {
        Ok(Self(py.import("io")?.getattr("BytesIO")?.call0()?.unbind()))
    }

    fn push(&self, bytes: &Bound<'_, PyBytes>) -> PyResult<()> {
        self.0.bind(bytes.py()).call_method1("write", (bytes,)).map(drop)
    }

    /// All of them.
    pub(crate) fn finish(self, py: Python<'_>) -> Result<Bound<'_, PyBytes>> {
        let bytes = self.0.bind(py).call_method0("getvalue")?;
        Ok(bytes.cast_into().map_err(PyErr::from)?)
    }
}

/// In pieces, so that the interpreter is never locked for long.
impl Write for Gathered {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let piece = &buffer[..buffer.len().min(PIECE)];
        Python::attach(|py| self.push(&PyBytes::new(py, piece)))?;
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The ciphertext and the key, which is drawn if none is given.
pub(crate) fn encrypt<'py>(
    py: Python<'py>,
    source: &Source,
    key: Option<Key>,
) -> Result<(Bound<'py, PyBytes>, String)> {
    let key = key.map_or_else(Key::generate, Ok)?;
    Ok((seal(py, source, &key)?, key.to_hex().to_string()))
}

/// The plaintext.
pub(crate) fn decrypt<'py>(
    py: Python<'py>,
    source: &Source,
    key: &Key,
) -> Result<Bound<'py, PyBytes>> {
    let Source::Bytes(bytes) = source else {
        // The cipher is its own inverse.
        return seal(py, source, key);
    };
    let bytes = bytes.bind(py).as_bytes();
    let mut output = Unfinished::new(py, bytes.len())?;
    py.detach(|| {
        let cipher = Cipher::new(key);
        let mut piece = vec![0; PIECE.min(bytes.len())];
        let mut at = 0;
        for part in bytes.chunks(PIECE) {
            let piece = &mut piece[..part.len()];
            cipher.apply_to(at, part, piece)?;
            output.put(piece);
            at += part.len() as u64;
        }
        Ok::<_, soma_crypto::Error>(())
    })?;
    output.finish(py, None)
}

/// Encrypts and hashes in one pass.
fn seal<'py>(py: Python<'py>, source: &Source, key: &Key) -> Result<Bound<'py, PyBytes>> {
    let pass = |output: &mut (dyn Write + Send)| {
        let sink = Output::writer("memory", output);
        source.with_input(py, |input| Ok(soma_crypto::seal(key, input, sink, &Options::new())?))
    };
    let Some(len) = source.known_len(py) else {
        let mut output = Gathered::new(py)?;
        pass(&mut output)?;
        return output.finish(py);
    };
    let mut output = Unfinished::new(py, len)?;
    let digest = pass(&mut output)?.digest;
    output.finish(py, Some(digest))
}

/// Blake2b-256 as 64 hex digits.
pub(crate) fn commitment(py: Python<'_>, source: &Source) -> Result<String> {
    Ok(source.measure(py, &Options::new())?.commitment.to_hex())
}
