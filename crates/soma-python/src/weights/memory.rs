//! Whole weights in memory, as the published client has them.

use std::io::Write;
use std::num::NonZeroUsize;
use std::thread;

use pyo3::prelude::*;
use pyo3::types::PyBytes;
use soma_crypto::{Cipher, Key, Options, Output};

use super::Source;
use crate::error::{Error, Result};

/// Below this a thread costs more than it saves.
const SMALLEST_PART: usize = 4 << 20;

/// Encrypts or decrypts into new bytes: the cipher is its own inverse.
fn apply<'py>(py: Python<'py>, source: &Source, key: &Key) -> Result<Bound<'py, PyBytes>> {
    let Source::Bytes(bytes) = source else { return apply_stream(py, source, key) };
    let bytes = bytes.bind(py).as_bytes();
    let cipher = Cipher::new(key);
    let made = PyBytes::new_with(py, bytes.len(), |output| {
        py.detach(|| in_parts(&cipher, bytes, output)).map_err(PyErr::from)
    });
    Ok(made?)
}

/// The stream of a counter can be cut anywhere, so each thread takes a part.
fn in_parts(cipher: &Cipher, source: &[u8], output: &mut [u8]) -> Result<()> {
    let threads = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let part = source.len().div_ceil(threads).max(SMALLEST_PART);
    thread::scope(|scope| {
        let parts = source.chunks(part).zip(output.chunks_mut(part)).enumerate();
        let workers: Vec<_> = parts
            .map(|(index, (from, to))| {
                scope.spawn(move || cipher.apply_to((index * part) as u64, from, to))
            })
            .collect();
        for worker in workers {
            let done = worker.join().map_err(|_| Error::Other("a thread stopped".to_owned()))?;
            done?;
        }
        Ok(())
    })
}

/// From a buffer or a file, into bytes of the length that was found.
fn apply_stream<'py>(py: Python<'py>, source: &Source, key: &Key) -> Result<Bound<'py, PyBytes>> {
    let options = Options::new();
    let Some(length) = source.length(py) else {
        let mut output = Vec::new();
        let sink = Output::writer("memory", &mut output);
        source.with_input(py, |input| Ok(soma_crypto::seal(key, input, sink, &options)?))?;
        return Ok(PyBytes::new(py, &output));
    };
    let made = PyBytes::new_with(py, length, |output| {
        let mut rest: &mut [u8] = output;
        let sink = Output::writer("memory", &mut rest as &mut (dyn Write + Send));
        source
            .with_input(py, |input| Ok(soma_crypto::seal(key, input, sink, &options)?))
            .and_then(|sealed| match sealed.size == length as u64 {
                true => Ok(()),
                false => Err(Error::Other("the weights changed while they were read".to_owned())),
            })
            .map_err(PyErr::from)
    });
    Ok(made?)
}

/// The ciphertext and the key, which is drawn if none is given.
pub(crate) fn encrypt<'py>(
    py: Python<'py>,
    source: &Source,
    key: Option<Key>,
) -> Result<(Bound<'py, PyBytes>, String)> {
    let key = key.map_or_else(Key::generate, Ok)?;
    Ok((apply(py, source, &key)?, key.to_hex().to_string()))
}

/// The plaintext.
pub(crate) fn decrypt<'py>(
    py: Python<'py>,
    source: &Source,
    key: &Key,
) -> Result<Bound<'py, PyBytes>> {
    apply(py, source, key)
}

/// Blake2b-256 as 64 hex digits.
pub(crate) fn commitment(py: Python<'_>, source: &Source) -> Result<String> {
    Ok(source.measure(py, &Options::new())?.commitment.to_hex())
}
