//! The rules of the SOMA chain as a pure state machine.
//!
//! A [`Ledger`] holds a chain's live objects and its system state in memory.
//! Transactions go in, [`Execution`]s come out; the boundary of an epoch is one
//! of them. The same inputs always give the same bytes. [`checkpoint`] makes
//! certified checkpoints of executions.
//!
//! This crate reads no clock, draws no random numbers, opens no file and no
//! socket. It keeps no history either: no old versions, no executed
//! transactions. Whoever runs it stores what an [`Execution`] carries, answers
//! a repeated transaction from there, and gives the parts back to
//! [`Ledger::restore`].
//!
//! Tags such as `R-2.12` and `L-4` in comments number rules: R those of the
//! network, in docs/network-rules.md, and L those of the local network, in
//! docs/local-rules.md.
//!
//! # Features
//!
//! None.
//!
//! # Example
//!
//! ```
//! use soma_ledger::{GenesisConfig, GenesisValidator, Ledger};
//! use soma_proto::bls::BlsKeyPair;
//! use soma_proto::{KeyPair, TransactionData, TransactionKind};
//!
//! let alice = KeyPair::from_bytes([1; 32]);
//! let bob = KeyPair::from_bytes([2; 32]).address();
//! let operator = KeyPair::from_bytes([3; 32]).public_key();
//! let protocol_key = BlsKeyPair::from_bytes(&[4; 32])?;
//! let validator = GenesisValidator::new(operator.address(), &protocol_key, operator, operator);
//!
//! let config = GenesisConfig::local(0, &[alice.address()], None, vec![validator]);
//! let (mut ledger, _) = Ledger::genesis(&config)?;
//!
//! let coin = ledger.coins_of(&alice.address())[0].reference();
//! let kind = TransactionKind::TransferCoin { coin, amount: Some(500_000), recipient: bob };
//! let transaction = TransactionData::new(kind, alice.address(), vec![coin]).sign(&alice);
//! let execution = ledger.apply(&transaction)?;
//!
//! assert!(execution.is_success());
//! assert_eq!(ledger.coins_of(&bob)[0].coin_balance(), Some(500_000));
//! assert_eq!(ledger.supply().total(), 10_000_000_000_000_000);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![forbid(unsafe_code)]

pub mod checkpoint;

mod check;
mod epoch;
mod error;
mod execute;
mod execution;
mod genesis;
mod ledger;
mod pool;
mod rejection;
mod state;
mod supply;
mod targets;
mod validators;

pub use self::error::{Error, Result};
pub use self::execute::Checks;
pub use self::execution::{BalanceChange, Execution, StateChange};
pub use self::genesis::{
    Allocation, DEFAULT_EMISSION_PER_EPOCH, GenesisConfig, GenesisModel, GenesisValidator,
    TOTAL_SUPPLY,
};
pub use self::ledger::{Counters, Ledger, Parts};
pub use self::rejection::{Category, Rejection};
pub use self::state::SYSTEM_STATE_ID;
pub use self::supply::Supply;
