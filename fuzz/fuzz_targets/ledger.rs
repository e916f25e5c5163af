//! Bytes to a walk of transactions and epochs on a small chain.
#![no_main]

#[path = "../../crates/soma-ledger/tests/random/steps.rs"]
mod steps;

use libfuzzer_sys::fuzz_target;
use soma_ledger::TOTAL_SUPPLY;

use crate::steps::{STEP_BYTES, Step, small_chain, take};

/// Longer walks cost time and find little more.
const MAX_STEPS: usize = 200;

fuzz_target!(|bytes: &[u8]| {
    let (mut ledger, _) = small_chain();
    let (steps, _) = bytes.as_chunks::<STEP_BYTES>();
    for step in steps.iter().take(MAX_STEPS) {
        let state = ledger.state_reference();
        match take(&mut ledger, Step(*step)) {
            Some(done) => assert_eq!(done.effects.v1().executed_epoch, {
                let epoch = ledger.system_state().epoch;
                if done.transaction.data.kind().is_system() { epoch - 1 } else { epoch }
            }),
            None => assert_eq!(ledger.state_reference(), state),
        }
        assert_eq!(ledger.supply().total(), u128::from(TOTAL_SUPPLY));
    }
});
