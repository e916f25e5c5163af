//! The cipher against the published vectors and against `aes` + `ctr`.

mod common;

use aes::Aes256;
use cipher::{KeyIvInit, StreamCipher};
use proptest::prelude::*;
use soma_crypto::{Backend, Cipher, Error, Key, hash, open_chunk, seal_chunk};

use common::{painted, vectors};

/// Lengths around a block, the widest batch of any kernel, a page, and nothing.
const LENGTHS: [usize; 27] = [
    0, 1, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 128, 129, 255, 256, 257, 511, 512, 513, 1023,
    1024, 1025, 4095, 4096, 4097, 10_000,
];

/// Byte positions around a block, a carry out of 32 and of 64 bits of the counter.
const POSITIONS: [u128; 16] = [
    0,
    1,
    15,
    16,
    17,
    4096,
    (1 << 36) - 4096,
    (1 << 36) - 257,
    (1 << 36) - 16,
    (1 << 36) - 1,
    1 << 36,
    (1 << 36) + 1,
    (1 << 68) - 4096,
    (1 << 68) - 161,
    (1 << 68) - 16,
    1 << 68,
];

fn key() -> Key {
    Key::from_bytes(std::array::from_fn(|i| i as u8 ^ 0xa7))
}

/// The stream as the `ctr` crate has it, `position` bytes in.
fn oracle(key: &Key, position: u128, data: &mut [u8]) {
    let counter = (position / 16).to_be_bytes();
    let mut ctr = ctr::Ctr128BE::<Aes256>::new(key.as_bytes().into(), &counter.into());
    let mut skipped = [0; 16];
    ctr.apply_keystream(&mut skipped[..(position % 16) as usize]);
    ctr.apply_keystream(data);
}

#[test]
fn published_vectors() {
    for vector in vectors()["aes256ctr"].as_array().unwrap() {
        let text = |name: &str| vector[name].as_str().unwrap();
        let key = Key::from_hex(text("key_hex")).unwrap();
        let len = vector["length"].as_u64().unwrap() as usize;
        let plain: Vec<u8> = (0..len).map(|i| (i * 131 + 7) as u8).collect();
        assert_eq!(hash(&plain).to_string(), text("plaintext_blake2b256"));
        for backend in Backend::available() {
            let cipher = Cipher::with_backend(&key, backend).unwrap();
            let mut data = plain.clone();
            cipher.apply(0, &mut data).unwrap();
            assert_eq!(
                hash(&data).to_string(),
                text("ciphertext_blake2b256"),
                "{backend}, {len} bytes"
            );
            let shown = hex::encode(&data);
            assert!(shown.starts_with(text("ciphertext_prefix_hex")));
            assert!(shown.ends_with(text("ciphertext_suffix_hex")));
            cipher.apply(0, &mut data).unwrap();
            assert_eq!(data, plain);
        }
    }
}

#[test]
fn every_boundary_on_every_backend() {
    let key = key();
    for backend in Backend::available() {
        let cipher = Cipher::with_backend(&key, backend).unwrap();
        for position in POSITIONS {
            for len in LENGTHS {
                let mut ours = painted(len);
                let mut theirs = ours.clone();
                cipher.apply_at(position, &mut ours);
                oracle(&key, position, &mut theirs);
                assert_eq!(ours, theirs, "{backend}, {len} bytes at {position}");
            }
        }
    }
}

#[test]
fn every_alignment_and_every_short_length() {
    let key = key();
    for backend in Backend::available() {
        let cipher = Cipher::with_backend(&key, backend).unwrap();
        for start in 0..64 {
            let mut ours = painted(64 + 1100);
            let mut theirs = ours.clone();
            cipher.apply(5, &mut ours[start..start + 1100]).unwrap();
            oracle(&key, 5, &mut theirs[start..start + 1100]);
            assert_eq!(ours, theirs, "{backend}, slice begins at {start}");
        }
        for len in 0..1100 {
            let mut ours = painted(len);
            let mut theirs = ours.clone();
            cipher.apply(0, &mut ours).unwrap();
            oracle(&key, 0, &mut theirs);
            assert_eq!(ours, theirs, "{backend}, {len} bytes");
        }
    }
}

#[test]
fn every_carry_within_a_batch() {
    let key = key();
    for backend in Backend::available() {
        let cipher = Cipher::with_backend(&key, backend).unwrap();
        for carry in [1u128 << 8, 1 << 16, 1 << 32, 1 << 64] {
            for before in 1..=70 {
                let mut ours = painted(16 * 72);
                let mut theirs = ours.clone();
                cipher.apply_at((carry - before) * 16, &mut ours);
                oracle(&key, (carry - before) * 16, &mut theirs);
                assert_eq!(ours, theirs, "{backend}, {before} blocks before {carry}");
            }
        }
    }
}

#[test]
fn source_and_destination() {
    let cipher = Cipher::new(&key());
    for len in [0, 1, 100, 16 * 1024, 16 * 1024 + 1, 100_000] {
        let source = painted(len);
        let mut expected = source.clone();
        cipher.apply(77, &mut expected).unwrap();
        let mut destination = vec![0; len];
        cipher.apply_to(77, &source, &mut destination).unwrap();
        assert_eq!(destination, expected);
    }
    let refused = cipher.apply_to(0, &[1, 2], &mut [0]);
    assert!(matches!(refused, Err(Error::LengthMismatch { source_len: 2, destination_len: 1 })));
}

#[test]
fn ranges_end_at_two_to_the_64() {
    let cipher = Cipher::new(&key());
    let mut data = [9; 4];
    let refused = cipher.apply(u64::MAX - 3, &mut data);
    assert!(
        matches!(refused, Err(Error::RangeOverflow { offset, len: 4 }) if offset == u64::MAX - 3)
    );
    assert_eq!(data, [9; 4]);

    let mut expected = data;
    cipher.apply(u64::MAX - 4, &mut data).unwrap();
    oracle(&key(), u128::from(u64::MAX - 4), &mut expected);
    assert_eq!(data, expected);
}

#[test]
fn nothing_of_the_key_is_shown() {
    let cipher = Cipher::with_backend(&key(), Backend::Portable).unwrap();
    assert_eq!(format!("{cipher:?}"), "Cipher(portable, key hidden)");
}

proptest! {
    #[test]
    fn any_split_in_any_order(
        data in proptest::collection::vec(any::<u8>(), 0..5000),
        position in any::<u32>(),
        cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..8),
        seed in any::<u64>(),
    ) {
        let key = key();
        let mut expected = data.clone();
        oracle(&key, u128::from(position), &mut expected);
        for backend in Backend::available() {
            let cipher = Cipher::with_backend(&key, backend).unwrap();
            let mut edges: Vec<usize> = cuts.iter().map(|cut| cut.index(data.len() + 1)).collect();
            edges.extend([0, data.len()]);
            edges.sort_unstable();
            let mut pieces: Vec<_> = edges.windows(2).map(|edge| edge[0]..edge[1]).collect();
            let turn = seed as usize % pieces.len();
            pieces.rotate_left(turn);
            let mut ours = data.clone();
            for piece in pieces {
                let offset = u64::from(position) + piece.start as u64;
                seal_chunk(&cipher, offset, &mut ours[piece]).unwrap();
            }
            prop_assert_eq!(&ours, &expected);
            open_chunk(&cipher, position.into(), &mut ours).unwrap();
            prop_assert_eq!(&ours, &data);
        }
    }

    #[test]
    fn any_key_and_position(
        key in any::<[u8; 32]>(),
        position in any::<u128>(),
        len in 0usize..2000,
    ) {
        // Not so far out that the oracle's counter wraps.
        let position = position >> 1;
        let key = Key::from_bytes(key);
        let mut expected = painted(len);
        oracle(&key, position, &mut expected);
        for backend in Backend::available() {
            let mut ours = painted(len);
            Cipher::with_backend(&key, backend).unwrap().apply_at(position, &mut ours);
            prop_assert_eq!(&ours, &expected);
        }
    }
}
