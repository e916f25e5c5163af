//! What can be wrong with a genesis or with stored parts.

use soma_proto::ObjectId;

/// A ledger that cannot be set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Genesis hands out more money than there is.
    #[error("allocations of {allocated} shannons exceed the supply of {supply}")]
    Supply {
        /// Shannons handed out.
        allocated: u128,
        /// Shannons there are.
        supply: u64,
    },
    /// Genesis has no validators.
    #[error("a chain needs at least one validator")]
    NoValidators,
    /// Genesis stakes with somebody who is not among the validators.
    #[error("stake is given to {address}, who is not a validator")]
    UnknownValidator {
        /// The account.
        address: soma_proto::Address,
    },
    /// Stored objects name one id twice, or the system state as an ordinary object.
    #[error("stored objects are inconsistent: object {id} must not be there")]
    UnexpectedObject {
        /// The object.
        id: ObjectId,
    },
    /// Stored money is more than 64 bits hold. Any smaller sum is taken as it is:
    /// compare it with the supply of the chain, [`Supply::total`](crate::Supply::total).
    #[error("stored objects and pools hold {total} shannons in all, more than 64 bits count")]
    Overflow {
        /// Shannons found.
        total: u128,
    },
    /// A stored commitment is not the compressed form of a group element.
    #[error("the stored live-object-set commitment is not a point of the group")]
    Accumulator,
}

/// Shorthand for results of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;
