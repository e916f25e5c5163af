//! What depends on the processor: the kernels of AES-256-CTR and of Blake2b, and the one
//! place for each that chooses among them.
//!
//! All `unsafe` code of the crate is in this folder. Kernels are safe functions that
//! need CPU features; they are called through types that exist only where the features
//! were found, and their loads and stores go through references to whole arrays.

#![allow(unsafe_code, reason = "see above; everything else in the crate denies it")]

pub(crate) mod aes;
pub(crate) mod blake2b;
