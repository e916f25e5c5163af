//! Benchmarks that need rival libraries.
