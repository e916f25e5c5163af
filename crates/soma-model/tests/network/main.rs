//! What an owner does, on a real network inside the test.

#![forbid(unsafe_code)]

mod checks;
mod clock;
#[path = "../../../soma-rpc/tests/node/mod.rs"]
mod node;
mod recover;
mod session;
mod world;
