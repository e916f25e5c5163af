//! Whole weights in memory, as the published client has them.
//!
//! One Blake2b stream takes longer than cipher, copies and the first use of the memory
//! together, so encrypting is one pass that hashes too (see [`super::ciphertext`]).

use std::io::{self, Read, Write};

use pyo3::prelude::*;
use pyo3::types::PyBytes;
use soma_crypto::{Cipher, Digest, Key, Options, Output};

use super::Source;
use super::ciphertext::Unfinished;
use crate::error::{Error, Result};

/// Bytes that are written at once; more would lock the interpreter for long.
const PIECE: usize = 1 << 20;

/// Bytes whose number is not known, which grow where they are: Python's `BytesIO`, which
/// gives its memory away in the end without copying it.
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
    // The cipher is its own inverse. A pass hashes as well, which nobody asked for, but
    // it spreads a cipher in software over the cores, and that is what counts then.
    let cipher = Cipher::new(key);
    if cipher.backend().is_hardware()
        && let Some((len, mut reader)) = source.in_memory(py)
    {
        let mut output = Unfinished::new(py, len)?;
        py.detach(|| pour(&cipher, &mut *reader, &mut output))?;
        return output.finish(py, None);
    }
    let mut output = Gathered::new(py)?;
    pass(py, source, key, &mut output)?;
    output.finish(py)
}

/// Encrypts and hashes in one pass.
fn seal<'py>(py: Python<'py>, source: &Source, key: &Key) -> Result<Bound<'py, PyBytes>> {
    let Some(len) = source.len_at_first(py) else {
        let mut output = Gathered::new(py)?;
        pass(py, source, key, &mut output)?;
        return output.finish(py);
    };
    let mut output = Unfinished::new(py, len)?;
    let digest = pass(py, source, key, &mut output)?;
    output.finish(py, Some(digest))
}

/// The cipher over all of a source; gives the digest of what comes out.
fn pass(
    py: Python<'_>,
    source: &Source,
    key: &Key,
    output: &mut (dyn Write + Send),
) -> Result<Digest> {
    let sink = Output::writer("memory", output);
    source.with_input(py, |input| Ok(soma_crypto::seal(key, input, sink, &Options::new())?.digest))
}

/// The cipher over all that a reader gives, and nothing else.
fn pour(cipher: &Cipher, reader: &mut dyn Read, output: &mut Unfinished) -> Result<()> {
    let mut piece = vec![0; PIECE];
    let mut at = 0;
    loop {
        let count = reader.read(&mut piece).map_err(|error| Error::Python(error.into()))?;
        if count == 0 {
            return Ok(());
        }
        cipher.apply(at, &mut piece[..count])?;
        output.put(&piece[..count]);
        at += count as u64;
    }
}

/// Blake2b-256 as 64 hex digits.
pub(crate) fn commitment(py: Python<'_>, source: &Source) -> Result<String> {
    Ok(source.measure(py, &Options::new())?.commitment.to_hex())
}
