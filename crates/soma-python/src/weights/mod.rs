//! Weights: where they come from, in memory and in files.

mod ciphertext;
mod files;
mod memory;
mod progress;
mod source;

pub(crate) use self::files::{FileJob, commitment_file, decrypt_file, encrypt_file};
pub(crate) use self::memory::{Gathered, commitment, decrypt, encrypt};
pub(crate) use self::progress::{Progress, reporting, transferring};
pub(crate) use self::source::{Source, Weights};
