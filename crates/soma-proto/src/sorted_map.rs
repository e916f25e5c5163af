//! Maps whose keys sort in memory as they do on the wire.
//!
//! BCS sorts a map by its keys' bytes, for which an encoder has to keep all
//! entries apart until the end. Where keys are fixed arrays the map has that
//! order already, and its bytes are those of a list of pairs. With tens of
//! thousands of models this saves most of the time.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};

/// Writes the map.
pub(crate) fn serialize<K, V, S>(map: &BTreeMap<K, V>, serializer: S) -> Result<S::Ok, S::Error>
where
    K: Serialize,
    V: Serialize,
    S: Serializer,
{
    if serializer.is_human_readable() {
        map.serialize(serializer)
    } else {
        serializer.collect_seq(map)
    }
}

/// Maps whose keys are epochs.
///
/// On the wire they are sorted by the key's little-endian bytes: 256 before 1.
pub(crate) mod by_epoch {
    use super::{BTreeMap, Serialize, Serializer};

    /// Writes the map.
    pub(crate) fn serialize<V, S>(map: &BTreeMap<u64, V>, serializer: S) -> Result<S::Ok, S::Error>
    where
        V: Serialize,
        S: Serializer,
    {
        if serializer.is_human_readable() {
            return map.serialize(serializer);
        }
        let mut entries: Vec<_> = map.iter().collect();
        entries.sort_unstable_by_key(|(epoch, _)| epoch.swap_bytes());
        serializer.collect_seq(entries)
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::btree_map;
    use proptest::prelude::*;
    use serde::Serialize;

    use super::*;
    use crate::ObjectId;
    use crate::bls::AuthorityName;

    #[derive(Serialize)]
    struct Ours<'a, K: Serialize>(#[serde(serialize_with = "serialize")] &'a BTreeMap<K, String>);

    #[derive(Serialize)]
    struct ByEpoch<'a>(#[serde(serialize_with = "by_epoch::serialize")] &'a BTreeMap<u64, String>);

    proptest! {
        /// The encoder's own sorting is the oracle.
        #[test]
        fn same_bytes_as_sorted_by_the_encoder(
            ids in btree_map(any::<ObjectId>(), any::<String>(), 0..50),
            names in btree_map(any::<AuthorityName>(), any::<String>(), 0..8),
            epochs in btree_map(prop_oneof![0..1000_u64, any::<u64>()], any::<String>(), 0..50),
        ) {
            prop_assert_eq!(bcs::to_bytes(&Ours(&ids)).unwrap(), bcs::to_bytes(&ids).unwrap());
            prop_assert_eq!(
                bcs::to_bytes(&ByEpoch(&epochs)).unwrap(),
                bcs::to_bytes(&epochs).unwrap()
            );
            prop_assert_eq!(bcs::to_bytes(&Ours(&names)).unwrap(), bcs::to_bytes(&names).unwrap());
        }
    }
}
