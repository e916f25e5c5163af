//! What a stranger's file of weights begins with, and the saved state of a hash.
#![no_main]

use libfuzzer_sys::fuzz_target;
use soma_crypto::{Blake2b256, HashState, safetensors};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(header) = safetensors::inspect(bytes, bytes.len() as u64) {
        let mut end = 0;
        for tensor in &header.tensors {
            assert_eq!(tensor.offset, end, "tensors follow one another");
            end += tensor.bytes;
        }
        assert_eq!(8 + header.header_len + end, bytes.len() as u64, "nothing is left over");
    }
    if let Ok(state) = HashState::from_bytes(bytes) {
        assert_eq!(&state.to_bytes()[..], bytes);
        let mut hash = Blake2b256::restore_state(&state);
        if state.count() < u128::from(u64::MAX) {
            hash.update(b"more");
            assert_eq!(hash.count(), state.count() + 4);
        }
    }
});
