//! A whole SOMA network in one process.
//!
//! [`LocalNet`] runs the rules of the chain over a database on disk and serves
//! them as a node would: gRPC, faucet, admin, a stub of the scoring service,
//! and a file host so that ciphertext has a URL. Everything listens on loopback
//! unless told otherwise. Port 0 takes a free port, and several networks fit
//! into one process.
//!
//! A transaction is durable before it is acknowledged. A chain that is kept
//! survives `kill -9` and goes on where it was.
//!
//! It never prints, never reads a wallet and holds no secret worth keeping:
//! its accounts are published ([`PHRASE`]), its other keys are drawn for each
//! chain and lie beside it. Nor does it judge transactions: that is
//! `soma-ledger`'s business.
//!
//! # Features
//!
//! None.
//!
//! # Example
//!
//! ```
//! use soma_localnet::{LocalNet, LocalNetConfig};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), soma_localnet::Error> {
//! let network = LocalNet::start(LocalNetConfig::new().with_free_ports()).await?;
//! println!("RPC at {}", network.rpc_url().unwrap_or("nowhere"));
//!
//! assert_eq!(network.epoch()?, 0);
//! assert_eq!(network.advance_epoch().await?, 1);
//! network.shutdown().await?;
//! # Ok(())
//! # }
//! ```

#![forbid(unsafe_code)]

mod accounts;
mod chain;
mod config;
mod error;
mod executor;
mod files;
mod genesis;
mod hub;
mod ingestion;
mod net;
mod rpc;
mod serve;
mod services;
mod store;

pub use self::accounts::{ACCOUNTS, PHRASE, account_addresses, account_keys};
pub use self::config::{
    ADMIN_PORT, FAUCET_PORT, FILES_PORT, LocalNetConfig, RPC_PORT, SCORING_PORT,
    SMALL_EMBEDDING_DIM, StateDir,
};
pub use self::error::{Error, Result};
pub use self::files::{FileHost, Uploads};
pub use self::net::LocalNet;
pub use self::services::FAUCET_AMOUNT;
