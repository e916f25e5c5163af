//! The gRPC messages: what they keep of the native types, what masks select,
//! how bad requests are refused, and the services whose messages are BCS.

#![cfg(feature = "grpc")]

#[path = "../vectors/loader.rs"]
#[allow(dead_code, reason = "another suite uses the rest of it")]
mod loader;

mod masks;
mod random;
mod requests;
mod services;
mod vectors;

use prost::Message;

/// Sends a message through its bytes.
fn carried<M: Message + Default>(message: &M) -> M {
    M::decode(message.encode_to_vec().as_slice()).expect("a message reads its own bytes")
}
