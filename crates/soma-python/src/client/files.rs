//! Helpers of the class that need no connection: weights, hashes, units.

use std::path::PathBuf;

use pyo3::prelude::*;
use pyo3::types::PyBytes;
use soma_crypto::Digest;
use soma_proto::SHANNONS_PER_SOMA;

use super::SomaClient;
use crate::arguments::{Hash, Key};
use crate::namespace::made;
use crate::weights::{self, FileJob, Progress, Source};
use crate::{amount, runtime};

#[pymethods]
impl SomaClient {
    /// Encrypts weights: AES-256-CTR, the counter starts at zero.
    ///
    /// ``data`` is bytes, anything with the buffer protocol, a
    /// :class:`pathlib.Path` or a binary file. Gives the ciphertext, as long as
    /// the weights, and the key as 64 hex digits. A fresh key is drawn unless
    /// one is given; never encrypt two files under one key.
    ///
    /// Raises TypeError for other data, ValueError unless the key has 32 bytes.
    ///
    /// >>> from soma import SomaClient
    /// >>> sealed, key = SomaClient.encrypt_weights(b"weights")
    /// >>> SomaClient.decrypt_weights(sealed, key)
    /// b'weights'
    #[staticmethod]
    #[pyo3(signature = (data, key = None))]
    fn encrypt_weights<'py>(
        py: Python<'py>,
        data: Source,
        key: Option<Key>,
    ) -> PyResult<(Bound<'py, PyBytes>, String)> {
        Ok(weights::encrypt(py, &data, key.map(|key| key.cipher_key()))?)
    }

    /// Decrypts weights; ``key`` is 32 bytes, 64 hex digits or Base58.
    ///
    /// Nothing tells a wrong key: compare :meth:`commitment` first.
    ///
    /// >>> SomaClient.decrypt_weights(encrypted_weights, decryption_key) == weights
    /// True
    #[staticmethod]
    fn decrypt_weights<'py>(
        py: Python<'py>,
        data: Source,
        key: Key,
    ) -> PyResult<Bound<'py, PyBytes>> {
        Ok(weights::decrypt(py, &data, &key.cipher_key())?)
    }

    /// Blake2b-256 of the data as 64 hex digits.
    ///
    /// For a URL, hash its normal form: :meth:`normalize_url`.
    ///
    /// >>> from soma import SomaClient
    /// >>> SomaClient.commitment(b"abc")
    /// 'bddd813c634239723171ef3fee98579b94964e3bb1cb3e427262c8c068d52319'
    #[staticmethod]
    fn commitment(py: Python<'_>, data: Source) -> PyResult<String> {
        Ok(weights::commitment(py, &data)?)
    }

    /// The one spelling of a URL that the chain hashes.
    ///
    /// Raises ValueError for text that is no absolute URL.
    ///
    /// >>> from soma import SomaClient
    /// >>> SomaClient.normalize_url("HTTPS://Example.com:443/a/../w.enc")
    /// 'https://example.com/w.enc'
    #[staticmethod]
    fn normalize_url(url: crate::arguments::WeightsUrl) -> String {
        url.0.normal().as_str().to_owned()
    }

    /// SOMA in shannons, exactly: the decimal number that is written.
    ///
    /// Raises ValueError for more than nine decimals and for numbers that are
    /// not finite, OverflowError for negative ones.
    ///
    /// >>> from soma import SomaClient
    /// >>> SomaClient.to_shannons(8.2)
    /// 8200000000
    #[staticmethod]
    fn to_shannons(soma: &Bound<'_, PyAny>) -> PyResult<u64> {
        amount::soma(soma.as_borrowed())
    }

    /// Shannons in SOMA, as a float.
    ///
    /// >>> from soma import SomaClient
    /// >>> SomaClient.to_soma(1_500_000_000)
    /// 1.5
    #[staticmethod]
    fn to_soma(shannons: u64) -> f64 {
        shannons as f64 / SHANNONS_PER_SOMA as f64
    }

    /// Encrypts a file into another under a fresh key, in one pass and a few
    /// MiB of memory, whatever its size; awaitable.
    ///
    /// Gives an :class:`EncryptedFile`. With ``key_file`` the key is written
    /// there (mode 0600, never overwritten) before the first byte of ciphertext.
    /// ``progress`` is called with bytes done and in all, or is a bar of tqdm.
    ///
    /// The output appears under its name when it is complete; after an error or
    /// a cancellation nothing is left. Raises FileExistsError if it is there
    /// and ``overwrite`` is not set, OSError for what cannot be read or written.
    ///
    /// >>> done = await SomaClient.encrypt_file(
    /// ...     weights_file, folder / "w.enc", key_file=folder / "w.key"
    /// ... )
    /// >>> done.size == len(weights)
    /// True
    /// >>> (folder / "w.key").read_text().strip() == done.decryption_key
    /// True
    #[staticmethod]
    #[pyo3(signature = (source, output, *, key_file = None, overwrite = false, progress = None))]
    fn encrypt_file<'py>(
        py: Python<'py>,
        source: PathBuf,
        output: PathBuf,
        key_file: Option<PathBuf>,
        overwrite: bool,
        progress: Option<Progress>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let job = FileJob { input: source, output, overwrite, progress };
        runtime::future(
            py,
            runtime::on_a_thread(move |stop| {
                made("EncryptedFile", &weights::encrypt_file(&job, key_file, &stop)?)
            }),
        )
    }

    /// Decrypts a file into another; awaitable. Gives a :class:`DecryptedFile`;
    /// arguments and errors as :meth:`encrypt_file`.
    ///
    /// With ``commitment`` the output gets its name only if the ciphertext is
    /// the one committed to; SomaError otherwise.
    ///
    /// >>> done = await SomaClient.encrypt_file(weights_file, folder / "w.enc")
    /// >>> opened = await SomaClient.decrypt_file(
    /// ...     folder / "w.enc", folder / "w", done.decryption_key, commitment=done.commitment
    /// ... )
    /// >>> opened.size == len(weights)
    /// True
    #[staticmethod]
    #[pyo3(signature = (source, output, key, *, commitment = None, overwrite = false,
                        progress = None))]
    fn decrypt_file<'py>(
        py: Python<'py>,
        source: PathBuf,
        output: PathBuf,
        key: Key,
        commitment: Option<Hash>,
        overwrite: bool,
        progress: Option<Progress>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let job = FileJob { input: source, output, overwrite, progress };
        let key = key.cipher_key();
        let expected = commitment.map(|hash| Digest::new(hash.0.into_inner()));
        runtime::future(
            py,
            runtime::on_a_thread(move |stop| {
                made("DecryptedFile", &weights::decrypt_file(&job, &key, expected, &stop)?)
            }),
        )
    }

    /// Blake2b-256 of a file as 64 hex digits; awaitable.
    ///
    /// >>> await SomaClient.commitment_file(weights_file) == SomaClient.commitment(weights)
    /// True
    #[staticmethod]
    #[pyo3(signature = (path, *, progress = None))]
    fn commitment_file<'py>(
        py: Python<'py>,
        path: PathBuf,
        progress: Option<Progress>,
    ) -> PyResult<Bound<'py, PyAny>> {
        runtime::future(
            py,
            runtime::on_a_thread(move |stop| {
                weights::commitment_file(&path, progress.as_ref(), &stop)
            }),
        )
    }
}
