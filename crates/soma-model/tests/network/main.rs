//! What an owner does, on a real network inside the test.

#![forbid(unsafe_code)]

mod checks;
mod recover;
mod session;
mod world;
