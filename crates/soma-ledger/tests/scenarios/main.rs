//! What a transaction does in each of the situations that the network's rules
//! name: the tests bear the numbers of those situations.

#![allow(missing_docs, reason = "the names of the tests say what they check")]

mod coins;
mod epochs;
mod faucet;
mod gas;
mod models;
mod rejections;
mod restore;
mod staking;
mod world;
