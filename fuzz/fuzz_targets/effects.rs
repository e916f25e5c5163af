//! Bytes to effects, and all that is read off them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use soma_proto::effects::TransactionEffects;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(effects) = TransactionEffects::from_bcs(bytes) {
        assert_eq!(effects.to_bcs(), bytes);
        let changed = effects.created().count() + effects.mutated().count();
        assert!(changed + effects.deleted().count() <= effects.v1().changed_objects.len());
        effects.gas_object();
        if let Some(failure) = effects.failure() {
            assert!(failure.to_string().starts_with(failure.name()));
        }
    }
});
