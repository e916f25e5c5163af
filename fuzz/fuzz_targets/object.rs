//! Bytes to an object and to what may be inside.
#![no_main]

use libfuzzer_sys::fuzz_target;
use soma_proto::Object;
use soma_proto::target::{Challenge, Target};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(object) = Object::from_bcs(bytes) {
        assert_eq!(object.to_bcs(), bytes);
        assert_eq!(object.reference().id(), object.id());
        object.coin_balance();
        object.as_staked_soma();
        let _ = Target::from_bcs(object.inner());
        let _ = Challenge::from_bcs(object.inner());
    }
});
