//! Signer bitmaps against the library that defines the format.

use proptest::prelude::*;
use roaring::RoaringBitmap;
use soma_proto::bls::SignerBitmap;

fn members() -> impl Strategy<Value = Vec<u32>> {
    let near = prop::collection::vec(0..2000_u32, 0..200);
    let far = prop::collection::vec(any::<u32>(), 0..20);
    let runs =
        (0..400_000_u32, 0..9000_u32).prop_map(|(start, len)| (start..start + len).collect());
    prop::collection::vec(prop_oneof![near, far, runs], 0..6)
        .prop_map(|parts: Vec<Vec<u32>>| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn both_ways(members in members()) {
        let theirs: RoaringBitmap = members.iter().copied().collect();
        let ours: SignerBitmap = members.iter().copied().collect();
        let mut plain = Vec::new();
        theirs.serialize_into(&mut plain).unwrap();
        prop_assert_eq!(ours.to_bytes(), &plain[..]);
        prop_assert_eq!(&SignerBitmap::from_bytes(&plain).unwrap(), &ours);

        let mut with_runs = theirs.clone();
        with_runs.optimize();
        let mut bytes = Vec::new();
        with_runs.serialize_into(&mut bytes).unwrap();
        prop_assert_eq!(SignerBitmap::from_bytes(&bytes).unwrap(), ours);
    }

    #[test]
    fn damaged(members in members(), place: prop::sample::Index, byte: u8) {
        let theirs: RoaringBitmap = members.into_iter().collect();
        let mut bytes = Vec::new();
        theirs.serialize_into(&mut bytes).unwrap();
        let place = place.index(bytes.len());
        bytes[place] = byte;
        if let Ok(bitmap) = SignerBitmap::from_bytes(&bytes) {
            prop_assert!(bitmap.len() <= 1 << 16);
        }
        bytes.truncate(place);
        prop_assert!(SignerBitmap::from_bytes(&bytes).is_err());
    }
}

#[test]
fn few_bytes_of_runs_stay_small() {
    // 65,536 containers of one run each that covers all of it: 4 billion
    // members in half a megabyte.
    let mut bytes = (12_347_u32 | 0xffff_0000).to_le_bytes().to_vec();
    bytes.extend([0xff; 8192]);
    for key in 0..=u16::MAX {
        bytes.extend(key.to_le_bytes());
        bytes.extend([0xff, 0xff]);
    }
    bytes.extend((0..=u16::MAX).flat_map(|n| (532_484 + 6 * u32::from(n)).to_le_bytes()));
    for _ in 0..=u16::MAX {
        bytes.extend([1, 0, 0, 0, 0xff, 0xff]);
    }
    SignerBitmap::from_bytes(&bytes).unwrap_err();
}
