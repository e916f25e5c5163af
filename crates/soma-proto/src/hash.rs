//! Blake2b-256 as the network uses it: unkeyed, 32 bytes of output.

use serde::Serialize;

/// Blake2b-256 over the parts, one after the other.
pub fn blake2b256(parts: &[&[u8]]) -> [u8; 32] {
    let mut state = blake2b_simd::Params::new().hash_length(32).to_state();
    for part in parts {
        state.update(part);
    }
    let mut output = [0; 32];
    output.copy_from_slice(state.finalize().as_bytes());
    output
}

/// Blake2b-256 over `name`, two colons and the BCS of `value`.
///
/// The name is that of the outermost type, for example `TransactionData`.
pub(crate) fn named<T: Serialize>(name: &str, value: &T) -> [u8; 32] {
    let bytes = bcs::to_bytes(value).expect("types of this crate always have a BCS form");
    blake2b256(&[name.as_bytes(), b"::", &bytes])
}
