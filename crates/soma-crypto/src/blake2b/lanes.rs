//! Several independent streams hashed side by side in the lanes of one register.

use blake2b_simd::{Params, State, many};

use crate::Digest;

/// Hashes many inputs at once; the digests come in the order of the inputs.
///
/// On one core with 256-bit registers four streams run side by side, which is about
/// 2.5 times as fast as one after the other. Lengths may differ.
///
/// ```
/// let digests = soma_crypto::hash_many(&["abc", ""]);
/// assert_eq!(digests, [soma_crypto::hash(b"abc"), soma_crypto::hash(b"")]);
/// ```
pub fn hash_many<B: AsRef<[u8]>>(inputs: &[B]) -> Vec<Digest> {
    let params = params();
    let mut jobs: Vec<_> =
        inputs.iter().map(|input| many::HashManyJob::new(&params, input.as_ref())).collect();
    many::hash_many(jobs.iter_mut());
    jobs.iter().map(|job| digest(&job.to_hash())).collect()
}

/// Streams that advance together.
pub(crate) struct Lanes(Vec<State>);

impl Lanes {
    /// How many streams keep the registers of this machine full.
    pub(crate) fn width() -> usize {
        many::degree().max(4)
    }

    /// `count` empty streams.
    pub(crate) fn new(count: usize) -> Self {
        Self((0..count).map(|_| params().to_state()).collect())
    }

    /// Appends to each stream the bytes at the same place in `inputs`.
    pub(crate) fn update(&mut self, inputs: &[&[u8]]) {
        many::update_many(self.0.iter_mut().zip(inputs));
    }

    /// Ends one stream and starts an empty one in its place.
    pub(crate) fn finish(&mut self, lane: usize) -> Digest {
        let state = std::mem::replace(&mut self.0[lane], params().to_state());
        digest(&state.finalize())
    }
}

fn params() -> Params {
    let mut params = Params::new();
    params.hash_length(Digest::LENGTH);
    params
}

fn digest(hash: &blake2b_simd::Hash) -> Digest {
    let bytes = hash.as_bytes().try_into();
    Digest::new(bytes.expect("the parameters ask for 32 bytes"))
}
