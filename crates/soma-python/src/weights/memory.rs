//! Whole weights in memory, as the published client has them.
//!
//! Where the time goes for a gibibyte, encrypted and then hashed, in seconds of processor
//! (two threads with AVX-512):
//!
//! | step | ours | published client |
//! | --- | --- | --- |
//! | first use of memory, in the kernel | 0.7, for 1 GiB | 1.2, for 2 GiB |
//! | cipher and copies | 0.3 to 0.4 | 0.8 |
//! | Blake2b of the ciphertext | 1.0 to 1.3 | 1.1 to 1.3 |
//!
//! The hash is one stream that no number of threads makes faster: it alone takes more
//! than a third of what the published client needs for everything, so three times
//! faster is out of reach of any client that hashes what it is given. The digest is not
//! kept from the encryption for the hash that may follow: bytes know no weak reference, an
//! address may be another object's by then, and holding on to a gibibyte is worse.
//! The first use of memory costs what the host of the machine makes it cost, from 0.7 to
//! several seconds; what can be done is to use no more than the result needs.

use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::thread;

use pyo3::prelude::*;
use pyo3::types::PyBytes;
use soma_crypto::{Cipher, Key, Options, Output};

use super::Source;
use crate::error::{Error, Result};

/// Bytes that are made at once; handing them over locks the interpreter for a
/// few milliseconds.
const STEP: usize = 8 << 20;

/// Bytes that are written at once.
const PIECE: usize = 1 << 20;

/// Below this a thread costs more than it saves.
const SMALLEST_PART: usize = 1 << 20;

/// Encrypts or decrypts into new bytes: the cipher is its own inverse.
fn apply<'py>(py: Python<'py>, source: &Source, key: &Key) -> Result<Bound<'py, PyBytes>> {
    let Source::Bytes(bytes) = source else {
        let mut gathered = Gathered::new(py)?;
        let sink = Output::writer("memory", &mut gathered as &mut (dyn Write + Send));
        source.with_input(py, |input| Ok(soma_crypto::seal(key, input, sink, &Options::new())?))?;
        return gathered.finish(py);
    };
    let bytes = bytes.bind(py).as_bytes();
    let cipher = Cipher::new(key);
    let make = |index: usize, part: &[u8]| -> Result<Bound<'py, PyBytes>> {
        let at = (index * STEP) as u64;
        let made = PyBytes::new_with(py, part.len(), |output| {
            py.detach(|| in_parts(&cipher, at, part, output)).map_err(PyErr::from)
        });
        Ok(made?)
    };
    if bytes.len() <= STEP {
        return make(0, bytes);
    }
    let gathered = Gathered::new(py)?;
    for (index, part) in bytes.chunks(STEP).enumerate() {
        gathered.push(&make(index, part)?)?;
    }
    gathered.finish(py)
}

/// The stream of a counter can be cut anywhere, so each thread takes a part.
fn in_parts(cipher: &Cipher, at: u64, source: &[u8], output: &mut [u8]) -> Result<()> {
    let threads = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let part = source.len().div_ceil(threads).max(SMALLEST_PART);
    if source.len() <= part {
        return Ok(cipher.apply_to(at, source, output)?);
    }
    thread::scope(|scope| {
        let parts = source.chunks(part).zip(output.chunks_mut(part)).enumerate();
        let workers: Vec<_> = parts
            .map(|(index, (from, to))| {
                scope.spawn(move || cipher.apply_to(at + (index * part) as u64, from, to))
            })
            .collect();
        for worker in workers {
            let done = worker.join().map_err(|_| Error::Other("a thread stopped".to_owned()))?;
            done?;
        }
        Ok(())
    })
}

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
