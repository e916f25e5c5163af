//! The `soma` command line.

fn main() {}
