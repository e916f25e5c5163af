//! Tasks of the project in plain Rust.

fn main() {}
