//! Random values of the types that cannot have just any contents, and the
//! sizes of collections: small, for they nest four deep.

use std::collections::{BTreeMap, BTreeSet};

use proptest::arbitrary::{Arbitrary, any};
use proptest::collection;
use proptest::prelude::{BoxedStrategy, Just, Strategy, prop_oneof};

use crate::bls::SignerBitmap;
use crate::signature::{Intent, MultiSig, MultiSigPublicKey, UserSignature};
use crate::{Checksum, DecryptionKey, ObjectId, PublicKey, Tensor, WeightsUrl};

/// Most entries of a collection.
const MAX_ENTRIES: usize = 4;

pub(crate) fn vec<T: Arbitrary + 'static>() -> BoxedStrategy<Vec<T>> {
    collection::vec(any::<T>(), 0..=MAX_ENTRIES).boxed()
}

pub(crate) fn map<K, V>() -> BoxedStrategy<BTreeMap<K, V>>
where
    K: Arbitrary + Ord + 'static,
    V: Arbitrary + 'static,
{
    collection::btree_map(any::<K>(), any::<V>(), 0..=MAX_ENTRIES).boxed()
}

pub(crate) fn set<T: Arbitrary + Ord + 'static>() -> BoxedStrategy<BTreeSet<T>> {
    collection::btree_set(any::<T>(), 0..=MAX_ENTRIES).boxed()
}

/// An id and some bytes after it.
pub(crate) fn contents() -> BoxedStrategy<Vec<u8>> {
    collection::vec(any::<u8>(), ObjectId::LENGTH..100).boxed()
}

/// Gives a type the strategy of an expression.
macro_rules! arbitrary {
    ($($name:ty => $strategy:expr;)+) => {$(
        impl Arbitrary for $name {
            type Parameters = ();
            type Strategy = BoxedStrategy<Self>;

            fn arbitrary_with((): ()) -> Self::Strategy {
                $strategy.boxed()
            }
        }
    )+};
}

arbitrary! {
    PublicKey => any::<[u8; 32]>().prop_map(Self::new);
    Checksum => any::<[u8; 32]>().prop_map(Self::new);
    DecryptionKey => any::<[u8; 32]>().prop_map(Self::new);
    Intent => prop_oneof![
        Just(Self::TRANSACTION),
        Just(Self::CHECKPOINT),
        Just(Self::PROOF_OF_POSSESSION),
    ];
    SignerBitmap => collection::btree_set(prop_oneof![0..300_u32, any::<u32>()], 0..40)
        .prop_map(Self::from_iter);
    Tensor => (collection::vec(any::<u32>(), 0..8), 0..3_usize).prop_map(|(bits, more)| {
        let floats: Vec<f32> = bits.into_iter().map(f32::from_bits).collect();
        let mut shape = vec![1; more];
        shape.push(floats.len() as u64);
        Self::from_parts(&floats, shape).expect("the shape fits")
    });
    WeightsUrl => "(https?|s3|file)://[a-z][a-z0-9]{0,9}(:[1-9][0-9]{0,3})?(/[ -~äöü]{0,30})?"
        .prop_filter_map("not a URL", |text| text.parse().ok());
    UserSignature => prop_oneof![
        (signature_bytes(), any::<PublicKey>())
            .prop_map(|(signature, public_key)| Self::Ed25519 { signature, public_key }),
        any::<MultiSig>().prop_map(|multisig| Self::MultiSig(Box::new(multisig))),
    ];
    MultiSigPublicKey => collection::btree_map(any::<PublicKey>(), 1..=u8::MAX, 1..=10)
        .prop_map(|members| Self::new(members, 1).expect("members and weights are possible"));
    MultiSig => (any::<MultiSigPublicKey>(), signature_bytes()).prop_map(|(key, signature)| {
        Self::new(key, [(0, signature)]).expect("the first member exists")
    });
}

fn signature_bytes() -> impl Strategy<Value = [u8; 64]> {
    any::<[[u8; 32]; 2]>().prop_map(|halves| {
        let mut bytes = [0; 64];
        bytes[..32].copy_from_slice(&halves[0]);
        bytes[32..].copy_from_slice(&halves[1]);
        bytes
    })
}
