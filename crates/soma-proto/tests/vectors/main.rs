//! Every published vector of the network's encodings, byte for byte.
//!
//! `tests/data/vectors.json` was produced by the network's published client
//! and by its reference types; nothing in it comes from this project. Each
//! section is one test here, each entry one named case of it.

mod chain;
mod keys;
mod ledger_types;
mod loader;
mod same;
mod texts;
mod transactions;
