//! What a user of soma-crypto could have taken instead, behind one shape each, so that
//! benches compare like with like.
//!
//! This crate is never published and nothing depends on it. `cargo bench -p soma-benches`
//! runs the criterion groups; the binary `kernels` prints ratios of kernels that were
//! timed in turns, and `floor` times the one thing no pass can beat, a lone Blake2b
//! stream. It has no features.
//!
//! ```
//! use soma_benches::{AES_RIVALS, BLAKE2B_RIVALS};
//!
//! let key = [7; 32];
//! let mut ours = *b"weights";
//! soma_crypto::Cipher::new(&soma_crypto::Key::from_bytes(key)).apply(0, &mut ours)?;
//! for (name, expand) in AES_RIVALS {
//!     let mut encrypt = expand(&key);
//!     for _ in 0..2 {
//!         let mut theirs = *b"weights";
//!         encrypt(&mut theirs);
//!         assert_eq!(ours, theirs, "{name}");
//!     }
//! }
//! for (_, hash) in BLAKE2B_RIVALS {
//!     assert_eq!(hash(b"weights"), soma_crypto::hash(b"weights").into_inner());
//! }
//! # Ok::<(), soma_crypto::Error>(())
//! ```

#![forbid(unsafe_code)]

use aws_lc_rs::{
    cipher::{AES_256, EncryptingKey, EncryptionContext, UnboundCipherKey},
    iv::FixedLength,
};
use blake2::Digest as _;
use cipher::{KeyIvInit, StreamCipher, StreamCipherSeek};

/// AES-256-CTR from a zero counter, in place, under a key that is expanded already:
/// what is timed is the kernel, for all alike.
pub type Encrypt = Box<dyn FnMut(&mut [u8])>;

/// Expands a key.
pub type Expand = fn(&[u8; 32]) -> Encrypt;

/// Blake2b-256 of bytes at hand.
pub type Hash = fn(&[u8]) -> [u8; 32];

/// Other people's ciphers, by name.
pub const AES_RIVALS: [(&str, Expand); 2] = [("ctr", ctr), ("aws-lc-rs", aws_lc)];

/// Other people's hashes, by name.
pub const BLAKE2B_RIVALS: [(&str, Hash); 2] = [("blake2", blake2), ("blake2b_simd", blake2b_simd)];

/// RustCrypto's `aes` and `ctr`.
pub fn ctr(key: &[u8; 32]) -> Encrypt {
    let mut cipher = ctr::Ctr128BE::<aes::Aes256>::new(key.into(), &[0; 16].into());
    Box::new(move |data| {
        cipher.seek(0_u64);
        cipher.apply_keystream(data);
    })
}

/// AWS-LC, which is OpenSSL's assembly and more.
///
/// # Panics
/// If the library refuses a key of the right length.
pub fn aws_lc(key: &[u8; 32]) -> Encrypt {
    let key = UnboundCipherKey::new(&AES_256, key).expect("a key of 32 bytes is legal");
    let key = EncryptingKey::ctr(key).expect("AES-256 has a counter mode");
    Box::new(move |data| {
        let counter = EncryptionContext::Iv128(FixedLength::from([0; 16]));
        key.less_safe_encrypt(data, counter).expect("counter mode takes any length");
    })
}

/// RustCrypto's `blake2`.
pub fn blake2(bytes: &[u8]) -> [u8; 32] {
    blake2::Blake2b::<blake2::digest::consts::U32>::digest(bytes).into()
}

/// The fastest single stream there was before ours.
///
/// # Panics
/// Never: the parameters ask for 32 bytes.
pub fn blake2b_simd(bytes: &[u8]) -> [u8; 32] {
    let hash = blake2b_simd::Params::new().hash_length(32).hash(bytes);
    let bytes = hash.as_bytes().try_into();
    bytes.expect("the parameters ask for 32 bytes")
}

/// Several streams side by side in `blake2b_simd`.
///
/// # Panics
/// Never: the parameters ask for 32 bytes.
pub fn blake2b_simd_many(inputs: &[&[u8]]) -> Vec<[u8; 32]> {
    let mut params = blake2b_simd::Params::new();
    params.hash_length(32);
    let jobs = inputs.iter();
    let mut jobs: Vec<_> =
        jobs.map(|input| blake2b_simd::many::HashManyJob::new(&params, input)).collect();
    blake2b_simd::many::hash_many(jobs.iter_mut());
    let hashes = jobs.iter().map(|job| job.to_hash());
    hashes
        .map(|hash| hash.as_bytes().try_into().expect("the parameters ask for 32 bytes"))
        .collect()
}
