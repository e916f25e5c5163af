//! Ids that an owner chooses.

use serde::Serialize;
use soma_proto::ObjectId;

/// The ids of a new model. Nothing on the chain assigns them; any that are
/// not in use will do, and random ones never are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct NewIds {
    /// The model's.
    pub model_id: ObjectId,
    /// Its stake pool's.
    pub staking_pool_id: ObjectId,
}

/// Draws both ids from the operating system's generator.
///
/// # Panics
/// If the operating system has no randomness to give.
pub fn new_ids() -> NewIds {
    NewIds { model_id: ObjectId::random(), staking_pool_id: ObjectId::random() }
}
