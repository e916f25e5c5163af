//! From a file of weights to an active model: the owner's workflow.
//!
//! A registration has two steps with a day between them. A *commit* locks a
//! stake on two hashes; a *reveal* in the next epoch publishes what they are
//! hashes of. A slip costs half the stake, so each step is a plan that is
//! checked in full before anything is sent: [`CommitPlan`], [`RevealPlan`],
//! [`UpdatePlan`], [`CommissionPlan`], [`DeactivatePlan`]. The checks are pure
//! functions over what the chain says ([`Standing`], [`Network`]); `prepare`
//! asks the chain, runs all of them into one [`Report`], chooses the coins and
//! builds the transaction; [`Prepared::send`] sends it if no check failed.
//!
//! [`Preparation`], [`Session`] and [`Recovery`] do the same from a state file
//! ([`state`]): it holds whatever must not be lost before it is needed, so that
//! every step can be interrupted anywhere and run again.
//!
//! This crate prints nothing and asks nothing, and stores nothing but state
//! files and what it encrypts. Secrets are wiped from memory when they are
//! dropped and appear in no report or error, and no reveal is ever tried out on
//! a node.
//!
//! # Features
//!
//! None.
//!
//! # Example
//!
//! ```no_run
//! use std::time::Duration;
//!
//! use soma_model::{CommitPlan, CommitTimes, Gas, TypedUrl, measure};
//! use soma_proto::KeyPair;
//! use soma_rpc::Client;
//!
//! # async fn example(owner: KeyPair) -> Result<(), Box<dyn std::error::Error>> {
//! let client = Client::new("http://127.0.0.1:9000")?;
//! let url: TypedUrl = "http://127.0.0.1:9200/weights.enc".parse()?;
//! let weights = measure("weights.enc".as_ref(), &soma_crypto::Options::new())?;
//!
//! let plan = CommitPlan::new(url.normal().commitment(), weights.commitment, 1_000_000_000)
//!     .with_commission_rate(1_000);
//! let prepared = plan.prepare(&client, owner.address(), &Gas::Automatic).await?;
//! for finding in prepared.report.warnings() {
//!     eprintln!("{}", finding.message);
//! }
//! let clock = prepared.network.clock;
//! let executed = prepared.send(&client, &owner, Duration::from_secs(60)).await?;
//!
//! let times = CommitTimes::new(executed.effects.v1().executed_epoch, &clock);
//! println!("reveal {} from {} on", plan.ids.model_id, times.reveal_opens_at);
//! # Ok(())
//! # }
//! ```

#![forbid(unsafe_code)]

pub mod audit;
pub mod companion;
pub mod embedding;
pub mod info;
pub mod payment;
pub mod remote;
pub mod state;
pub mod transfer;
pub mod watch;

mod disk;
mod error;
mod hashing;
mod ids;
mod keys;
mod network;
mod plan;
mod prepare;
mod publish;
mod recover;
mod report;
mod session;
mod standing;
mod status;
#[cfg(test)]
mod testing;
mod used;
mod wait;
mod weights;
mod window;

pub use soma_rpc::EpochClock;
pub use soma_storage::ObjectName;

pub use self::error::{Error, Result, with_causes};
pub use self::ids::{NewIds, new_ids};
pub use self::info::{Info, Summary};
pub use self::keys::weights_key;
pub use self::network::{Network, now_ms};
pub use self::payment::{Gas, Till};
pub use self::plan::{
    CommissionPlan, CommitPlan, CommitTimes, DeactivatePlan, Host, Prepared, RevealOf, RevealPlan,
    UpdatePlan, check_disclosure,
};
pub use self::prepare::Preparation;
pub use self::publish::{Begun, Publication};
pub use self::recover::{Recovered, Recovery};
pub use self::remote::Depth;
pub use self::report::{Check, Finding, Report, Severity};
pub use self::session::{Disclosure, Done, Event, Session, close_update};
pub use self::standing::Standing;
pub use self::state::{Stage, State, StateFile, StateFolder};
pub use self::status::{Next, Status};
pub use self::wait::{UntilLate, wait_until_late, wait_until_open};
pub use self::watch::{Carried, Watch};
pub use self::weights::{Measured, Scope, TypedUrl, measure, read_key};
pub use self::window::{Phase, RevealWindow, WindowTimes, rfc3339};
