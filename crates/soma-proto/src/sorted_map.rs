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
