//! A digest of all live objects that can be kept up to date.

use curve25519_dalek::ristretto::{CompressedRistretto, RistrettoPoint};
use curve25519_dalek::traits::Identity as _;
use sha2::{Digest as _, Sha256, Sha512};
use soma_proto::effects::{ObjectIn, ObjectOut, TransactionEffects};
use soma_proto::{Digest, ObjectDigest};

use crate::{Error, Result};

/// The multiset of the digests of all live objects, as a sum of points of the
/// Ristretto group.
///
/// Each digest is hashed with SHA-512 and mapped to a point by the Elligator
/// map. Adding and removing an object costs one such map, however many objects
/// there are, and the order does not matter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveObjectSet(RistrettoPoint);

impl Default for LiveObjectSet {
    /// The empty set.
    fn default() -> Self {
        Self(RistrettoPoint::identity())
    }
}

impl LiveObjectSet {
    /// Reads [`LiveObjectSet::to_bytes`].
    ///
    /// # Errors
    /// [`Error::Accumulator`] if the bytes are not a compressed point.
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self> {
        CompressedRistretto(*bytes).decompress().map(Self).ok_or(Error::Accumulator)
    }

    /// Adds an object.
    pub fn insert(&mut self, digest: &ObjectDigest) {
        self.0 += point(digest);
    }

    /// Takes an object out.
    pub fn remove(&mut self, digest: &ObjectDigest) {
        self.0 -= point(digest);
    }

    /// Follows what a transaction did.
    pub fn apply(&mut self, effects: &TransactionEffects) {
        for (_, change) in &effects.v1().changed_objects {
            if let ObjectIn::Exist((_, digest), _) = &change.input_state {
                self.remove(digest);
            }
            if let ObjectOut::ObjectWrite(digest, _) = &change.output_state {
                self.insert(digest);
            }
        }
    }

    /// SHA-256 of the compressed point: what checkpoints commit to.
    pub fn digest(&self) -> Digest {
        Digest::new(Sha256::digest(self.to_bytes()).into())
    }

    /// The compressed point.
    pub fn to_bytes(&self) -> [u8; 32] {
        self.0.compress().to_bytes()
    }
}

fn point(digest: &ObjectDigest) -> RistrettoPoint {
    RistrettoPoint::from_uniform_bytes(&Sha512::digest(digest.inner()).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_set_is_sha256_of_zeros() {
        // `sha256sum` of 32 zero bytes.
        let expected = "66687aadf862bd776c8fc18b8e9f8e20089714856ee233b3902a591d0d5f2925";
        let digest = LiveObjectSet::default().digest();
        let text: String = digest.inner().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(text, expected);
    }

    #[test]
    fn order_does_not_matter_and_removal_undoes() {
        let [a, b] = [ObjectDigest::new([1; 32]), ObjectDigest::new([2; 32])];
        let mut forth = LiveObjectSet::default();
        forth.insert(&a);
        forth.insert(&b);
        let mut back = LiveObjectSet::default();
        back.insert(&b);
        back.insert(&a);
        assert_eq!(forth.digest(), back.digest());
        back.remove(&a);
        assert_ne!(forth.digest(), back.digest());
        let again = LiveObjectSet::from_bytes(&back.to_bytes()).expect("a point");
        back.remove(&b);
        assert_eq!(back, LiveObjectSet::default());
        assert_ne!(again, back);
    }
}
