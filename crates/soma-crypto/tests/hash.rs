//! Blake2b-256 against the published vectors and against the `blake2` crate.

mod common;

use blake2::{Blake2b, Digest as _, digest::consts::U32};
use proptest::prelude::*;
use soma_crypto::{Blake2b256, Digest, Error, HashKernel, HashState, hash, hash_many};

use common::{painted, vectors};

fn oracle(bytes: &[u8]) -> Digest {
    Digest::new(Blake2b::<U32>::digest(bytes).into())
}

#[test]
fn published_vectors() {
    for vector in vectors()["commitments"].as_array().unwrap() {
        let len = vector["length"].as_u64().unwrap() as usize;
        let input = match vector["input_hex"].as_str() {
            Some(text) => hex::decode(text).unwrap(),
            None => (0..len).map(|i| (i * 131 + 7) as u8).collect(),
        };
        assert_eq!(input.len(), len);
        let expected = vector["blake2b256_hex"].as_str().unwrap();
        assert_eq!(hash(&input).to_string(), expected, "{}", vector["label"]);
    }
}

#[test]
fn every_length_around_the_blocks_by_every_kernel() {
    let bytes = painted(1200);
    for len in 0..bytes.len() {
        let expected = oracle(&bytes[..len]);
        for kernel in HashKernel::available() {
            // Not aligned to anything.
            let shifted = [&[0], &bytes[..len]].concat();
            let mut hasher = Blake2b256::with_kernel(kernel).unwrap();
            hasher.update(&shifted[1..]);
            assert_eq!(hasher.finalize(), expected, "{kernel}, {len} bytes");
        }
    }
}

#[test]
fn any_kernel_takes_up_the_state_of_any_other() {
    let bytes = painted(1 << 16);
    for first in HashKernel::available() {
        let mut hasher = Blake2b256::with_kernel(first).unwrap();
        hasher.update(&bytes[..40_000]);
        let state = hasher.export_state();
        hasher.update(&bytes[40_000..]);
        assert_eq!(hasher.finalize(), oracle(&bytes), "{first}");
        let mut hasher = Blake2b256::restore_state(&state);
        hasher.update(&bytes[40_000..]);
        assert_eq!(hasher.finalize(), oracle(&bytes), "{first}");
    }
}

#[test]
fn a_long_stream_in_odd_pieces() {
    let bytes = painted(1 << 20);
    let mut hasher = Blake2b256::new();
    for piece in bytes.chunks(1021) {
        hasher.update(piece);
    }
    assert_eq!(hasher.count(), bytes.len() as u128);
    assert_eq!(hasher.finalize(), oracle(&bytes));
}

#[test]
fn many_of_different_lengths() {
    let inputs: Vec<_> = (0..23).map(|i| painted(i * i * 17)).collect();
    let expected: Vec<_> = inputs.iter().map(|input| oracle(input)).collect();
    assert_eq!(hash_many(&inputs), expected);
    assert_eq!(hash_many::<&[u8]>(&[]), []);
}

#[test]
fn texts_of_digests() {
    let digest = hash(b"abc");
    let text = digest.to_string();
    assert_eq!(text.parse::<Digest>().unwrap(), digest);
    let upper = format!("0x{}", text.to_uppercase());
    assert_eq!(upper.parse::<Digest>().unwrap(), digest);
    assert_eq!(format!("{digest:?}"), format!("Digest({text})"));
    for bad in ["", "0x", &text[1..], &format!("{text}0"), &text.replace('d', "x")] {
        assert!(matches!(bad.parse::<Digest>(), Err(Error::DigestText)), "{bad}");
    }
}

proptest! {
    #[test]
    fn any_split_with_a_saved_state_at_each(
        bytes in proptest::collection::vec(any::<u8>(), 0..3000),
        cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..10),
    ) {
        let mut edges: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        edges.extend([0, bytes.len()]);
        edges.sort_unstable();
        let mut hasher = Blake2b256::new();
        for edge in edges.windows(2) {
            hasher.update(&bytes[edge[0]..edge[1]]);
            let saved = hasher.export_state().to_bytes();
            hasher = Blake2b256::restore_state(&HashState::from_bytes(&saved).unwrap());
        }
        prop_assert_eq!(hasher.finalize(), oracle(&bytes));
    }

    #[test]
    fn any_batch(inputs in proptest::collection::vec(
        proptest::collection::vec(any::<u8>(), 0..700), 0..12,
    )) {
        let expected: Vec<_> = inputs.iter().map(|input| oracle(input)).collect();
        prop_assert_eq!(hash_many(&inputs), expected);
    }

    #[test]
    fn states_from_anywhere_are_refused_or_read_back(
        bytes in proptest::collection::vec(any::<u8>(), HashState::LENGTH),
    ) {
        if let Ok(state) = HashState::from_bytes(&bytes) {
            prop_assert_eq!(&state.to_bytes()[..], &bytes[..]);
        }
    }
}
