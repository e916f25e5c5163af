//! The Python package `soma-client`: `from soma import SomaClient`.
//!
//! A thin layer: it turns Python's arguments into the types of the crates
//! below, their futures into futures of asyncio, their results into objects
//! with attributes, and their errors into exceptions. What is decided here is
//! only what Python asks for: units of amounts, what counts as weights or as
//! an embedding, who may sign.
//!
//! It never holds the interpreter's lock over anything long, never copies
//! weights whole unless it returns them, never prints, and shows no secret in
//! a text. When a future is cancelled, a transaction that was handed over for
//! sending is followed to its end; a step with a state file stops where it is,
//! and what was signed is in that file.
//!
//! It has no features. maturin builds it into the module `soma._soma`; the
//! package around it is in `python/soma`, with the types of results and the
//! exceptions, and `_soma.pyi` describes this module to type checkers.
//!
//! ```python
//! from soma import Keypair, SomaClient
//!
//! async def register(weights: bytes, url: str, owner: Keypair) -> str:
//!     client = await SomaClient("http://127.0.0.1:9000")
//!     sealed, key = SomaClient.encrypt_weights(weights)
//!     # Upload `sealed` to `url`, keep `key`, then:
//!     return await client.commit_model(owner, url, sealed, 1000, stake_amount=1.0)
//! ```

#![deny(unsafe_code)]

use pyo3::prelude::*;

mod amount;
mod arguments;
mod client;
mod error;
mod exit;
mod keypair;
mod kinds;
mod namespace;
mod request;
mod runtime;
mod wallet;
mod weights;

/// Reads an embedding as the methods do: from a sequence, an array or tensor
/// of one dimension, or a file (text, JSON list, or ``.npy``).
///
/// Gives a list of 32-bit floats. Raises ValueError if it is empty, has more
/// dimensions, or a number that is not finite.
///
/// >>> from soma import load_embedding
/// >>> load_embedding([0.5, 1])
/// [0.5, 1.0]
#[pyfunction]
fn load_embedding(source: arguments::Embedding) -> Vec<f32> {
    source.0
}

/// A fresh random id for a model or a stake pool.
///
/// >>> len(new_model_id())
/// 66
#[pyfunction]
fn new_model_id() -> String {
    soma_proto::ObjectId::random().to_string()
}

/// The native part of the package.
#[pymodule]
mod _soma {
    use pyo3::prelude::*;

    #[pymodule_export]
    use super::client::SomaClient;
    #[pymodule_export]
    use super::keypair::Keypair;
    #[pymodule_export]
    use super::request::{
        TransactionRequest, build_add_stake, build_add_stake_to_model, build_commit_model,
        build_commit_model_update, build_deactivate_model, build_pay_coins, build_reveal_model,
        build_reveal_model_update, build_set_model_commission_rate, build_transfer_coin,
        build_transfer_objects, build_withdraw_stake,
    };
    #[pymodule_export]
    use super::wallet::Wallet;
    #[pymodule_export]
    use super::{load_embedding, new_model_id};

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        super::exit::register(module)
    }

    #[pymodule_export]
    #[expect(non_upper_case_globals, reason = "Python's name for it")]
    const __version__: &str = env!("CARGO_PKG_VERSION");
}
