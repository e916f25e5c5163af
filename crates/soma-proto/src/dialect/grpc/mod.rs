//! The messages of this generation of the network: the kinds of transaction,
//! the registry of models and the numbers of failures.

mod failure;
mod kind;
mod model;

pub use self::model::model_summary;
pub(crate) use self::model::registry_message;
