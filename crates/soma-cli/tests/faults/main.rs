//! Every step of a registration and of an update, killed at every one of its side
//! effects, and the same command again.
//!
//! Then the same with the node: the connection to it is cut at every message, or the
//! node itself is killed and started again.
//!
//! The program under test is the shipped one, with no word of this in it. It runs
//! under `ptrace`, as under a debugger: every system call that changes a file or
//! speaks to a socket is counted, and the process is killed before one, in the
//! middle of one, or after one. Nothing else gives the middle of a write, and nothing
//! else can forget a side effect that the program grew later.

#![forbid(unsafe_code)]
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

mod cut;
mod matrix;
mod model;
mod node;
mod owner;
#[expect(dead_code, reason = "shared with tests that use all of it")]
#[path = "../whole/process.rs"]
mod process;
mod relay;
mod step;
mod tracer;
mod world;
