//! Accounts of several keys.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{SignatureScheme, ed25519};
use crate::canonical;
use crate::{Address, Error, PublicKey, Result, hash, raw_field};

/// Most members that an account may have.
const MAX_MEMBERS: usize = 10;

/// The public key of an account of several keys.
///
/// ```text
/// multisig-key = uleb *(%x00 32OCTET weight) threshold
/// weight       = OCTET
/// threshold    = 2OCTET          ; little-endian
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MultiSigPublicKey {
    /// The members and their weights.
    #[serde(rename = "pk_map")]
    members: Vec<(MemberKey, u8)>,
    /// The weight that must sign.
    threshold: u16,
}

/// A member's key behind the number of its scheme.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
enum MemberKey {
    Ed25519(PublicKey),
}

/// A member's signature behind the number of its scheme.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum MemberSignature {
    Ed25519(#[serde(with = "raw_field")] [u8; 64]),
}

/// Signatures by some members of an account.
///
/// ```text
/// multisig = uleb *(%x00 64OCTET) bitmap multisig-key
/// bitmap   = 2OCTET              ; little-endian, bit i = member i signed
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MultiSig {
    sigs: Vec<MemberSignature>,
    bitmap: u16,
    #[serde(rename = "multisig_pk")]
    pub(super) public_key: MultiSigPublicKey,
}

impl MultiSigPublicKey {
    /// An account of these members, each with its weight.
    ///
    /// # Errors
    /// [`Error::Signature`] if there are more than ten members, none, one
    /// twice, one without weight, or if their weights cannot reach the
    /// threshold.
    pub fn new(members: impl IntoIterator<Item = (PublicKey, u8)>, threshold: u16) -> Result<Self> {
        let members =
            members.into_iter().map(|(key, weight)| (MemberKey::Ed25519(key), weight)).collect();
        let key = Self { members, threshold };
        key.validate()?;
        Ok(key)
    }

    /// The account.
    pub fn address(&self) -> Address {
        let mut parts = vec![SignatureScheme::MultiSig.flag()];
        parts.extend_from_slice(&self.threshold.to_le_bytes());
        for (MemberKey::Ed25519(key), weight) in &self.members {
            parts.push(SignatureScheme::Ed25519.flag());
            parts.extend_from_slice(key.as_bytes());
            parts.push(*weight);
        }
        Address::new(hash::blake2b256(&[&parts]))
    }

    /// The members and their weights.
    pub fn members(&self) -> impl ExactSizeIterator<Item = (PublicKey, u8)> + '_ {
        self.members.iter().map(|(MemberKey::Ed25519(key), weight)| (*key, *weight))
    }

    /// The weight that must sign.
    pub const fn threshold(&self) -> u16 {
        self.threshold
    }

    fn validate(&self) -> Result<()> {
        let fail = |reason| Err(Error::Signature(reason));
        if self.members.is_empty() || self.members.len() > MAX_MEMBERS {
            return fail("a multisig account has one to ten members");
        }
        if self.members.iter().any(|(_, weight)| *weight == 0) {
            return fail("a multisig member has no weight");
        }
        let keys: BTreeSet<_> = self.members.iter().map(|(key, _)| key).collect();
        if keys.len() != self.members.len() {
            return fail("a multisig member occurs twice");
        }
        let sum: u16 = self.members.iter().map(|(_, weight)| u16::from(*weight)).sum();
        if self.threshold == 0 || self.threshold > sum {
            return fail("the weights of the multisig members cannot meet its threshold");
        }
        Ok(())
    }
}

impl MultiSig {
    /// Puts the members' signatures together; each is a member's place and its
    /// signature over the transaction's signing hash.
    ///
    /// # Errors
    /// [`Error::Signature`] for a place that does not exist or occurs twice.
    pub fn new(
        public_key: MultiSigPublicKey,
        signatures: impl IntoIterator<Item = (usize, [u8; 64])>,
    ) -> Result<Self> {
        let mut by_place: Vec<_> = signatures.into_iter().collect();
        by_place.sort_by_key(|(place, _)| *place);
        let mut bitmap = 0_u16;
        for (place, _) in &by_place {
            if *place >= public_key.members.len() || bitmap & (1 << place) != 0 {
                return Err(Error::Signature("no such multisig member, or it signed twice"));
            }
            bitmap |= 1 << place;
        }
        let sigs = by_place.into_iter().map(|(_, sig)| MemberSignature::Ed25519(sig)).collect();
        Ok(Self { sigs, bitmap, public_key })
    }

    /// Reads canonical BCS, without the flag in front.
    ///
    /// # Errors
    /// [`Error::Bcs`], [`Error::NotCanonical`]; [`Error::Signature`] for a key
    /// that is not possible.
    pub fn from_bcs(bytes: &[u8]) -> Result<Self> {
        let multisig: Self = canonical::decode(bytes, "MultiSig")?;
        multisig.public_key.validate()?;
        Ok(multisig)
    }

    /// The BCS bytes, without the flag in front.
    pub fn to_bcs(&self) -> Vec<u8> {
        canonical::encode(self)
    }

    /// The account's key.
    pub const fn public_key(&self) -> &MultiSigPublicKey {
        &self.public_key
    }

    /// The places of the members that signed, as a bit mask.
    pub const fn bitmap(&self) -> u16 {
        self.bitmap
    }

    /// The signatures, in the order of the members that made them.
    pub fn signatures(&self) -> impl ExactSizeIterator<Item = [u8; 64]> + '_ {
        self.sigs.iter().map(|MemberSignature::Ed25519(signature)| *signature)
    }

    /// Checks every signature and that their weights reach the threshold.
    pub(super) fn verify(&self, hash: &[u8; 32]) -> Result<()> {
        self.public_key.validate()?;
        let members = &self.public_key.members;
        if usize::from(self.bitmap) >> members.len() != 0 {
            return Err(Error::Signature("the multisig bitmap names no member"));
        }
        if self.bitmap.count_ones() as usize != self.sigs.len() {
            return Err(Error::Signature("multisig bitmap and number of signatures differ"));
        }
        let signers = members
            .iter()
            .enumerate()
            .filter(|(place, _)| self.bitmap & (1 << place) != 0)
            .map(|(_, member)| member);
        let mut weight_sum = 0_u16;
        for ((MemberKey::Ed25519(key), weight), MemberSignature::Ed25519(signature)) in
            signers.zip(&self.sigs)
        {
            ed25519::verify(key, hash, signature)?;
            weight_sum += u16::from(*weight);
        }
        if weight_sum < self.public_key.threshold {
            return Err(Error::Signature("the multisig threshold is not reached"));
        }
        Ok(())
    }
}
