//! Bytes to a signed transaction: refused, or the only form of it, and the
//! signature under it is judged without a panic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use soma_proto::SignedTransaction;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(signed) = SignedTransaction::from_bcs(bytes) {
        assert_eq!(signed.to_bcs(), bytes);
        let _ = signed.verify();
    }
});
