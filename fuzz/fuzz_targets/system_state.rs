//! Bytes to a system state, its models and its committee.
#![no_main]

use libfuzzer_sys::fuzz_target;
use soma_proto::committee::Committee;
use soma_proto::system_state::SystemState;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(state) = SystemState::from_bcs(bytes) {
        assert_eq!(state.to_bcs(), bytes);
        let state = state.v1();
        for (id, model) in state.model_registry.iter() {
            assert!(state.model_registry.get(id).is_some());
            model.status();
        }
        Committee::from_validators(state.epoch, &state.validators.validators);
    }
});
