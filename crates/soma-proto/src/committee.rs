//! The validators that sign checkpoints, with their powers.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::bls::{AuthorityName, BlsPublicKey, authority_message};
use crate::canonical::bcs_form;
use crate::checkpoint::{
    AuthorityQuorumSignInfo, CertifiedCheckpointSummary, CheckpointSummary, EndOfEpochData,
};
use crate::signature::Intent;
use crate::system_state::Validator;
use crate::{Error, PublicKey, Result, sorted_map};

/// Sum of all voting powers.
pub const TOTAL_VOTING_POWER: u64 = 10_000;
/// Power that makes a quorum.
pub const QUORUM_THRESHOLD: u64 = 6_667;

/// The validators of an epoch. The derived maps are written too, and so enter
/// the digest of the last checkpoint of an epoch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "proptest", derive(proptest_derive::Arbitrary))]
pub struct Committee {
    /// The epoch it signs for.
    pub epoch: u64,
    /// Powers, sorted by name.
    #[cfg_attr(feature = "proptest", proptest(strategy = "crate::arbitrary::vec()"))]
    pub voting_rights: Vec<(AuthorityName, u64)>,
    /// Name to the same bytes as a key.
    #[serde(serialize_with = "sorted_map::serialize")]
    #[cfg_attr(feature = "proptest", proptest(strategy = "crate::arbitrary::map()"))]
    pub expanded_keys: BTreeMap<AuthorityName, BlsPublicKey>,
    /// Name to its place in `voting_rights`.
    #[serde(serialize_with = "sorted_map::serialize")]
    #[cfg_attr(feature = "proptest", proptest(strategy = "crate::arbitrary::map()"))]
    pub index_map: BTreeMap<AuthorityName, u64>,
    /// Name to what else is known of the validator.
    #[serde(serialize_with = "sorted_map::serialize")]
    #[cfg_attr(feature = "proptest", proptest(strategy = "crate::arbitrary::map()"))]
    pub authorities: BTreeMap<AuthorityName, Authority>,
}

/// What a committee knows of a validator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "proptest", derive(proptest_derive::Arbitrary))]
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

bcs_form!(Committee);

impl Committee {
    /// The committee of an epoch from the validators of its system state.
    pub fn from_validators<'a>(
        epoch: u64,
        validators: impl IntoIterator<Item = &'a Validator>,
    ) -> Self {
        Self::from_authorities(
            epoch,
            validators.into_iter().map(|validator| {
                let metadata = &validator.metadata;
                Authority {
                    stake: validator.voting_power,
                    address: metadata.primary_address.clone(),
                    hostname: metadata.net_address.clone(),
                    protocol_key: metadata.worker_pubkey,
                    network_key: metadata.network_pubkey,
                    authority_key: metadata.protocol_pubkey,
                }
            }),
        )
    }

    /// The committee of these members; the derived maps are filled in.
    pub fn from_authorities(epoch: u64, members: impl IntoIterator<Item = Authority>) -> Self {
        let authorities: BTreeMap<AuthorityName, Authority> = members
            .into_iter()
            .map(|authority| (AuthorityName::from(authority.authority_key), authority))
            .collect();
        Self {
            epoch,
            voting_rights: authorities.iter().map(|(name, a)| (*name, a.stake)).collect(),
            expanded_keys: authorities.iter().map(|(name, a)| (*name, a.authority_key)).collect(),
            index_map: authorities.keys().zip(0..).map(|(name, index)| (*name, index)).collect(),
            authorities,
        }
    }

    /// The place of a validator among the voters.
    pub fn index_of(&self, name: &AuthorityName) -> Option<u32> {
        self.voting_rights.binary_search_by_key(name, |(name, _)| *name).ok().map(|i| i as u32)
    }

    /// Checks that a quorum of this committee signed the checkpoint.
    ///
    /// # Errors
    /// [`Error::Certificate`] with the rule that is broken.
    pub fn verify(&self, checkpoint: &CertifiedCheckpointSummary) -> Result<()> {
        let summary = &checkpoint.summary;
        self.verify_quorum(summary, &checkpoint.auth_signature).map_err(|reason| {
            Error::Certificate { sequence_number: summary.sequence_number, reason }
        })
    }

    fn verify_quorum(
        &self,
        summary: &CheckpointSummary,
        certificate: &AuthorityQuorumSignInfo,
    ) -> std::result::Result<(), &'static str> {
        if certificate.epoch != summary.epoch || certificate.epoch != self.epoch {
            return Err("checkpoint, certificate and committee are not of one epoch");
        }
        let mut power = 0_u64;
        let mut keys = Vec::with_capacity(certificate.signers_map.len());
        for index in certificate.signers_map.iter() {
            match self.voting_rights.get(index as usize) {
                Some((name, share)) if *share > 0 => {
                    keys.push(BlsPublicKey::from(*name));
                    power = power.saturating_add(*share);
                }
                _ => return Err("a signer has no vote in the committee"),
            }
        }
        if power < QUORUM_THRESHOLD {
            return Err("the signers are not a quorum");
        }
        let message = authority_message(Intent::CHECKPOINT, summary, certificate.epoch);
        certificate
            .signature
            .verify_all(&message, &keys)
            .map_err(|_| "the signature does not match signers and content")
    }
}

/// A chain of checkpoints that is checked as it grows: numbers, links, epochs
/// and certificates. It starts from a committee that is trusted, for example
/// that of the genesis system state, and learns the later ones on its way.
#[derive(Clone, Debug)]
pub struct CheckpointVerifier {
    committee: Committee,
    previous: Option<CheckpointSummary>,
}

impl CheckpointVerifier {
    /// Begins with a trusted committee. The first checkpoint may be any of its
    /// epoch.
    pub const fn new(committee: Committee) -> Self {
        Self { committee, previous: None }
    }

    /// Checks the next checkpoint and remembers it.
    ///
    /// # Errors
    /// [`Error::Certificate`] with the rule that is broken; the verifier stays
    /// as it was.
    pub fn advance(&mut self, checkpoint: &CertifiedCheckpointSummary) -> Result<()> {
        let summary = &checkpoint.summary;
        let fail =
            |reason| Err(Error::Certificate { sequence_number: summary.sequence_number, reason });
        if let Some(previous) = &self.previous {
            if previous.sequence_number.checked_add(1) != Some(summary.sequence_number) {
                return fail("it does not follow the last checkpoint");
            }
            if summary.previous_digest != Some(previous.digest()) {
                return fail("it is not linked to the last checkpoint");
            }
            if previous.timestamp_ms > summary.timestamp_ms {
                return fail("it is older than the last checkpoint");
            }
        }
        self.committee.verify(checkpoint)?;
        if let Some(EndOfEpochData { next_epoch_validator_committee, .. }) =
            &summary.end_of_epoch_data
        {
            if Some(next_epoch_validator_committee.epoch) != summary.epoch.checked_add(1) {
                return fail("the committee it names is not that of the next epoch");
            }
            self.committee = next_epoch_validator_committee.clone();
        }
        self.previous = Some(summary.clone());
        Ok(())
    }

    /// The committee that must sign the next checkpoint.
    pub const fn committee(&self) -> &Committee {
        &self.committee
    }
}
