//! Verification by ZIP-215 against the library that the rule comes from.

use curve25519_dalek::constants::EIGHT_TORSION;
use proptest::prelude::*;
use soma_proto::signature::UserSignature;
use soma_proto::{KeyPair, PublicKey};

/// What we say and what the other library says.
fn verdicts(key: [u8; 32], message: [u8; 32], signature: [u8; 64]) -> (bool, bool) {
    let public_key = PublicKey::new(key);
    let ours = UserSignature::Ed25519 { signature, public_key }
        .verify(&message, public_key.address())
        .is_ok();
    let theirs = ed25519_zebra::VerificationKey::try_from(key)
        .is_ok_and(|key| key.verify(&signature.into(), &message).is_ok());
    (ours, theirs)
}

/// Every encoding of a point of small order: the eight canonical ones, and
/// the same with the sign of zero set or the y coordinate not reduced.
fn small_order_encodings() -> Vec<[u8; 32]> {
    let mut encodings: Vec<[u8; 32]> = EIGHT_TORSION.iter().map(|p| p.compress().0).collect();
    let mut add = |low_byte: u8, high_byte: u8| {
        let mut bytes = [0xff; 32];
        (bytes[0], bytes[31]) = (low_byte, high_byte);
        encodings.push(bytes);
    };
    // p - 1, p and p + 1, with either sign.
    for sign in [0x7f, 0xff] {
        for low in [0xec, 0xed, 0xee] {
            add(low, sign);
        }
    }
    let mut one_with_sign = [0; 32];
    (one_with_sign[0], one_with_sign[31]) = (1, 0x80);
    encodings.push(one_with_sign);
    encodings
}

#[test]
fn small_order_points() {
    let encodings = small_order_encodings();
    let mut accepted = 0;
    for key in &encodings {
        for r in &encodings {
            let mut signature = [0; 64];
            signature[..32].copy_from_slice(r);
            let (ours, theirs) = verdicts(*key, *b"exactly thirty-two bytes long, y", signature);
            assert_eq!(ours, theirs, "{} {}", hex::encode(key), hex::encode(r));
            accepted += usize::from(ours);
        }
    }
    // Multiplied by the cofactor they all vanish, so each pair is accepted.
    assert_eq!(accepted, encodings.len() * encodings.len());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn honest_and_damaged(seed: [u8; 32], message: [u8; 32], place in 0..64_usize, bit in 0..8_u8) {
        let key = KeyPair::from_bytes(seed);
        let public_key = key.public_key().into_inner();
        let UserSignature::Ed25519 { mut signature, .. } = key.sign_hash(&message) else {
            unreachable!("one key makes a single signature")
        };
        prop_assert_eq!(verdicts(public_key, message, signature), (true, true));
        signature[place] ^= 1_u8 << bit;
        prop_assert_eq!(verdicts(public_key, message, signature), (false, false));
    }
}

#[test]
fn scalars_must_be_reduced() {
    // The order of the group, little-endian: s and s + order are the same
    // scalar, and only the first may be written.
    const ORDER: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde,
        0x14, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    let key = KeyPair::from_bytes([7; 32]);
    let public_key = key.public_key().into_inner();
    let UserSignature::Ed25519 { mut signature, .. } = key.sign_hash(&[1; 32]) else {
        unreachable!("one key makes a single signature")
    };
    let mut carry = 0;
    for (byte, order) in signature[32..].iter_mut().zip(ORDER) {
        let sum = u16::from(*byte) + u16::from(order) + carry;
        *byte = sum as u8;
        carry = sum >> 8;
    }
    assert_eq!(carry, 0);
    assert_eq!(verdicts(public_key, [1; 32], signature), (false, false));
}
