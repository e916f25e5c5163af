//! Tests of the whole program: real processes, real sockets, real files.

#![forbid(unsafe_code)]

mod crash;
mod first_run;
mod guide;
mod lost;
mod memory;
mod owner;
mod prepared;
mod process;
mod publish;
#[path = "../../../soma-storage/tests/s3/mod.rs"]
mod s3;
mod scope;
mod secrecy;
mod secrets;
mod shapes;
mod startup;
mod watch;
mod weights;
mod wiretap;
