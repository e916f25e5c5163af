//! Model weights for the SOMA network: AES-256-CTR and Blake2b-256 over whole files, in
//! one pass.
//!
//! An owner of weights publishes a *ciphertext* and the Blake2b-256 of it, the
//! *commitment*; a day later, the key. This crate makes the ciphertext and its commitment
//! ([`seal`]), turns it back ([`open`]), measures what others serve ([`commitment`]),
//! does each of these to many files at once ([`seal_many`], [`open_many`],
//! [`commitments`], [`verify_many`]), and looks into a file before money is spent on it
//! ([`safetensors`]). Reading, encrypting, hashing and writing overlap, so that a pass
//! costs about what the hash alone costs; memory is bounded whatever the file's size.
//!
//! It never talks to a network, knows no chain, prints nothing, and writes no file but
//! the output it was told to write. It does not authenticate: the cipher and the fixed
//! zero counter are the network's, and what protects a file is its commitment. It has no
//! cargo features.
//!
//! # Example
//! ```standalone_crate
//! use soma_crypto::{Input, Key, Options, Output, commitment, open, seal};
//!
//! # let dir = tempfile::tempdir()?;
//! # std::env::set_current_dir(&dir)?;
//! std::fs::write("model.safetensors", b"weights")?;
//!
//! // A fresh key for each file: the counter always starts at zero.
//! let key = Key::generate()?;
//! let options = Options::new();
//! let sealed = seal(
//!     &key,
//!     Input::file("model.safetensors"),
//!     Output::file("model.sealed"),
//!     &options,
//! )?;
//! println!("commitment {} of {} bytes", sealed.digest, sealed.size);
//! assert_eq!(commitment(Input::file("model.sealed"), &options)?, sealed);
//!
//! // The output gets its name only if the ciphertext is the one committed to.
//! open(
//!     &key,
//!     Input::file("model.sealed"),
//!     Output::file("model.again"),
//!     Some(sealed.digest),
//!     &options,
//! )?;
//! assert_eq!(std::fs::read("model.again")?, b"weights");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Building blocks
//! [`Cipher`] seeks anywhere in the stream, [`seal_chunk`] and [`open_chunk`] are the
//! pure functions on one piece, [`Blake2b256`] hashes a stream and its state can be put
//! aside ([`HashState`]), [`InputFile`] reads one file through one handle and tells
//! whether it changed. Everything above them is an adapter, and all adapters give the
//! same bytes.

#![deny(unsafe_code)]

pub mod safetensors;

mod backend;
mod batch;
mod blake2b;
mod buffer;
mod chunk;
mod cipher;
mod digest;
mod error;
mod file_writer;
mod input;
mod key;
mod options;
mod output;
mod pass;
mod ring;
mod seal;

pub use backend::{
    aes::{Backend, UnknownBackend},
    blake2b::HashKernel,
};
pub use batch::{OpenJob, SealJob, commitments, open_many, seal_many, verify_many};
pub use blake2b::{Blake2b256, HashState, hash, hash_many, update_many};
pub use chunk::{ChunkSize, open_chunk, seal_chunk};
pub use cipher::Cipher;
pub use digest::Digest;
pub use error::Error;
pub use input::{Input, InputFile};
pub use key::Key;
pub use options::{Durability, Existing, Options, Progress};
pub use output::Output;
pub use seal::{Commitment, commitment, open, seal};
