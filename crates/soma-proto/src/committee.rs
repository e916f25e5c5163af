//! The validators that sign checkpoints, with their powers.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::PublicKey;
use crate::bls::{AuthorityName, BlsPublicKey};

/// Sum of all voting powers.
pub const TOTAL_VOTING_POWER: u64 = 10_000;
/// Power that makes a quorum.
pub const QUORUM_THRESHOLD: u64 = 6_667;

/// The validators of an epoch. The derived maps are written too, and so enter
/// the digest of the last checkpoint of an epoch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Committee {
    /// The epoch it signs for.
    pub epoch: u64,
    /// Powers, sorted by name.
    pub voting_rights: Vec<(AuthorityName, u64)>,
    /// Name to the same bytes as a key.
    pub expanded_keys: BTreeMap<AuthorityName, BlsPublicKey>,
    /// Name to its place in `voting_rights`.
    pub index_map: BTreeMap<AuthorityName, u64>,
    /// Name to what else is known of the validator.
    pub authorities: BTreeMap<AuthorityName, Authority>,
}

/// What a committee knows of a validator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Authority {
    /// Voting power.
    pub stake: u64,
    /// Multiaddress of the primary.
    pub address: String,
    /// Text of the network address.
    pub hostname: String,
    /// The worker key.
    pub protocol_key: PublicKey,
    /// The network key.
    pub network_key: PublicKey,
    /// The key that signs checkpoints.
    pub authority_key: BlsPublicKey,
}
