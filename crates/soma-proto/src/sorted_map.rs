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

    proptest! {
        /// The encoder's own sorting is the oracle.
        #[test]
        fn same_bytes_as_sorted_by_the_encoder(
            ids in btree_map(any::<ObjectId>(), any::<String>(), 0..50),
            names in btree_map(any::<AuthorityName>(), any::<String>(), 0..8),
        ) {
            prop_assert_eq!(bcs::to_bytes(&Ours(&ids)).unwrap(), bcs::to_bytes(&ids).unwrap());
            prop_assert_eq!(bcs::to_bytes(&Ours(&names)).unwrap(), bcs::to_bytes(&names).unwrap());
        }
    }
}
