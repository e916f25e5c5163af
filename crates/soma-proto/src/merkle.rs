//! The Merkle trees of a checkpoint.
//!
//! A leaf hashes as `00` and its BCS, an inner node as `01` and its two
//! children. A level with an odd number of nodes gets 32 zero bytes at its
//! right end. Of no leaves the root is 32 zero bytes.

use serde::{Deserialize, Serialize};

use crate::canonical::bcs_form;
use crate::checkpoint::ExecutionDigests;
use crate::{
    CheckpointContentsDigest, Digest, Error, ObjectDigest, ObjectId, Result, hash, raw_field,
};

/// Filler at the right end of an odd level.
const EMPTY: [u8; 32] = [0; 32];

/// The root over the leaves, each in its BCS form.
pub fn merkle_root<T: Serialize>(leaves: &[T]) -> [u8; 32] {
    let mut level: Vec<_> = leaves.iter().map(leaf_hash).collect();
    while level.len() > 1 {
        level = next_level(level);
    }
    level.first().copied().unwrap_or(EMPTY)
}

/// The digest of a checkpoint's contents: the root over its transactions in
/// order of execution. Signatures are not part of it.
pub fn contents_digest(transactions: &[ExecutionDigests]) -> CheckpointContentsDigest {
    CheckpointContentsDigest::new(merkle_root(transactions))
}

/// The digest of the object states written in a checkpoint: for each object
/// its last version, sorted by id; deleted ones with
/// [`ObjectDigest::DELETED`].
pub fn artifacts_digest(states: &[(ObjectId, u64, ObjectDigest)]) -> Digest {
    let digests = vec![Digest::new(merkle_root(states))];
    let bytes = bcs::to_bytes(&digests).expect("digests have a BCS form");
    Digest::new(hash::blake2b256(&[&bytes]))
}

/// Shows that a transaction stands in a checkpoint.
///
/// ```text
/// proof = %x20 32OCTET %x20 32OCTET index path
/// index = 8OCTET                  ; little-endian
/// path  = uleb *(%x00 / %x01 32OCTET)
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "proptest", derive(proptest_derive::Arbitrary))]
pub struct InclusionProof {
    /// The transaction and its effects.
    pub leaf: ExecutionDigests,
    /// Its place in the checkpoint.
    pub leaf_index: u64,
    /// The siblings from the bottom up.
    #[cfg_attr(feature = "proptest", proptest(strategy = "crate::arbitrary::vec()"))]
    pub path: Vec<Sibling>,
}

/// A node beside the path from a leaf to the root.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "proptest", derive(proptest_derive::Arbitrary))]
#[non_exhaustive]
pub enum Sibling {
    /// The filler of an odd level.
    Empty,
    /// A hash.
    Digest(#[serde(with = "raw_field")] [u8; 32]),
}

bcs_form!(InclusionProof);

impl InclusionProof {
    /// The proof for the transaction at `index`, if there is one.
    pub fn new(transactions: &[ExecutionDigests], index: usize) -> Option<Self> {
        let leaf = *transactions.get(index)?;
        let mut path = Vec::new();
        let mut place = index;
        let mut level: Vec<_> = transactions.iter().map(leaf_hash).collect();
        while level.len() > 1 {
            path.push(match level.get(place ^ 1) {
                Some(sibling) => Sibling::Digest(*sibling),
                None => Sibling::Empty,
            });
            level = next_level(level);
            place /= 2;
        }
        Some(Self { leaf, leaf_index: index as u64, path })
    }

    /// Checks the proof against the digest of a checkpoint's contents.
    ///
    /// # Errors
    /// [`Error::Signature`] if it leads elsewhere.
    pub fn verify(&self, contents: &CheckpointContentsDigest) -> Result<()> {
        let mut place = self.leaf_index;
        let mut node = leaf_hash(&self.leaf);
        for sibling in &self.path {
            let sibling = match sibling {
                Sibling::Empty => EMPTY,
                Sibling::Digest(digest) => *digest,
            };
            node = if place & 1 == 0 {
                inner_hash(&node, &sibling)
            } else {
                inner_hash(&sibling, &node)
            };
            place >>= 1;
        }
        if place == 0 && node == *contents.inner() {
            Ok(())
        } else {
            Err(Error::Signature("the inclusion proof leads to another checkpoint"))
        }
    }
}

fn leaf_hash<T: Serialize>(leaf: &T) -> [u8; 32] {
    let bytes = bcs::to_bytes(leaf).expect("leaves have a BCS form");
    hash::blake2b256(&[&[0], &bytes])
}

fn inner_hash(left: &[u8; 32], right: &[u8; 32]) -> [u8; 32] {
    hash::blake2b256(&[&[1], left, right])
}

fn next_level(level: Vec<[u8; 32]>) -> Vec<[u8; 32]> {
    level.chunks(2).map(|pair| inner_hash(&pair[0], pair.get(1).unwrap_or(&EMPTY))).collect()
}
