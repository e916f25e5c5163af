//! The client of a SOMA node.
//!
//! [`Client`] asks a node questions and sends it transactions, over gRPC, in
//! the types of `soma-proto`. It takes nothing for granted that the network's
//! interface does not promise: every field may be absent, page tokens are
//! opaque, a stream may break, a node may know less than ours. Above all it
//! never loses a transaction: one that was sent ends in a result or in
//! [`Error::OutcomeUnknown`] with the digest that settles it.
//!
//! It holds no keys, signs nothing, prints nothing, and retries no
//! transaction but the very same one. [`gas`] chooses coins and estimates
//! fees, as pure functions. [`Faucet`], [`Admin`] and [`scoring_health`] speak
//! to the services beside a node.
//!
//! It has no features. It needs a Tokio runtime.
//!
//! ```no_run
//! use soma_proto::{KeyPair, TransactionData, TransactionKind};
//! use soma_rpc::{Client, WAIT_TIMEOUT, gas};
//!
//! # async fn example(key: KeyPair, recipient: soma_proto::Address) -> Result<(), Box<dyn std::error::Error>> {
//! let client = Client::new("http://127.0.0.1:9000")?;
//! let sender = key.address();
//!
//! // What it costs decides which coins pay; the first one is also the coin sent from.
//! let rates = gas::FeeRates::from(&client.parameters().await?);
//! let coins = client.coins(&sender).await?;
//! let kind = |coin| TransactionKind::TransferCoin { coin, amount: Some(500_000), recipient };
//! let cost = gas::cost(&kind(coins[0].reference), rates, |_| true, |_| None);
//! let chosen = gas::choose(coins, cost.needed())?;
//!
//! let payment = chosen.iter().map(|coin| coin.reference).collect();
//! let data = TransactionData::new(kind(chosen[0].reference), sender, payment);
//! let executed = client.execute_and_wait(&data.sign(&key), WAIT_TIMEOUT).await?;
//! assert!(executed.effects.is_success());
//! # Ok(())
//! # }
//! ```

#![forbid(unsafe_code)]

pub mod gas;

mod answer;
mod builder;
mod client;
mod connector;
mod epochs;
mod error;
mod execute;
mod ledger;
mod registry;
mod side;
mod state;
mod watch;

pub use tonic::Code;

pub use self::answer::{BalanceChange, Executed, Simulated};
pub use self::builder::{
    AuthChannel, CONNECT_TIMEOUT, ClientBuilder, Credentials, EXECUTE_TIMEOUT, MESSAGE_LIMIT,
    READ_TIMEOUT, STATE_LIMIT, WAIT_TIMEOUT,
};
pub use self::client::Client;
pub use self::epochs::EpochRecord;
pub use self::error::{Error, Result, code_name};
pub use self::ledger::{EpochInfo, ServiceInfo};
pub use self::registry::{
    EpochClock, ModelFilter, ModelRecord, ModelSummary, PoolOwner, RevealedKey,
};
pub use self::side::{Admin, Faucet, FaucetCoin, scoring_health};
pub use self::state::Page;
