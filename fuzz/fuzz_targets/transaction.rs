//! Bytes to an unsigned transaction: refused, or the only form of it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use soma_proto::TransactionData;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(data) = TransactionData::from_bcs(bytes) {
        assert_eq!(data.to_bcs(), bytes);
        data.kind().owned_inputs();
    }
});
