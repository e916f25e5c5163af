//! Verification of Ed25519 signatures by the rules of ZIP-215.
//!
//! Signers need nothing of this. A verifier does: the usual functions of
//! `ed25519-dalek` either leave the cofactor out or refuse encodings that the
//! network accepts, and two verifiers that disagree split a chain.

use curve25519_dalek::edwards::{CompressedEdwardsY, EdwardsPoint};
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::IsIdentity as _;
use sha2::{Digest as _, Sha512};

use crate::{Error, PublicKey, Result};

/// Checks `[8]([s]B - [k]A - R) = 0`, where `A` and `R` may be encoded in any
/// way that decodes and `s` must be below the order of the group.
pub(super) fn verify(key: &PublicKey, message: &[u8], signature: &[u8; 64]) -> Result<()> {
    let holds = |key: &[u8; 32]| {
        let (r, s) = signature.split_first_chunk::<32>()?;
        let s = Scalar::from_canonical_bytes(s.try_into().ok()?).into_option()?;
        let a = CompressedEdwardsY(*key).decompress()?;
        let r_point = CompressedEdwardsY(*r).decompress()?;
        let hash = Sha512::new().chain_update(r).chain_update(key).chain_update(message).finalize();
        let k = Scalar::from_bytes_mod_order_wide(&hash.into());
        let expected = EdwardsPoint::vartime_double_scalar_mul_basepoint(&k, &-a, &s);
        Some((expected - r_point).mul_by_cofactor().is_identity())
    };
    match holds(key.inner()) {
        Some(true) => Ok(()),
        _ => Err(Error::Signature("it does not match key and content")),
    }
}
