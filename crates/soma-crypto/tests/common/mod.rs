//! What the tests of this crate share.

#![allow(dead_code, reason = "each test binary uses its part")]

/// Vectors of the published client and of the reference, as distributed with the
/// protocol's description: ciphers and commitments only.
pub(crate) fn vectors() -> serde_json::Value {
    serde_json::from_str(include_str!("../data/vectors.json")).unwrap()
}

/// Bytes with a period of 251, so that swapped blocks and chunks show.
pub(crate) fn painted(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i % 251) as u8).collect()
}
