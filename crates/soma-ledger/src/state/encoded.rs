//! The bytes of the system state in pieces, so that a change of one model
//! costs the encoding of one model and a pass of the hash.

use std::collections::BTreeMap;

use serde::Serialize;
use soma_proto::ObjectId;
use soma_proto::system_state::{Model, ModelRegistry, SystemStateV1};

/// The BCS of each model with its id in front, sorted as the maps are.
#[derive(Clone, Debug)]
pub(super) struct EncodedModels {
    active: Map,
    pending: Map,
    inactive: Map,
}

type Map = BTreeMap<ObjectId, Box<[u8]>>;

impl EncodedModels {
    /// Encodes all models.
    pub(super) fn new(registry: &ModelRegistry) -> Self {
        let all = |models: &BTreeMap<ObjectId, Model>| {
            models.iter().map(|(id, model)| (*id, encode_model(id, model))).collect()
        };
        Self {
            active: all(&registry.active_models),
            pending: all(&registry.pending_models),
            inactive: all(&registry.inactive_models),
        }
    }

    /// Encodes some models again, wherever they are now.
    pub(super) fn update(&mut self, registry: &ModelRegistry, ids: &[ObjectId]) {
        let maps = [
            (&registry.active_models, &mut self.active),
            (&registry.pending_models, &mut self.pending),
            (&registry.inactive_models, &mut self.inactive),
        ];
        for (models, encoded) in maps {
            for id in ids {
                match models.get(id) {
                    Some(model) => encoded.insert(*id, encode_model(id, model)),
                    None => encoded.remove(id),
                };
            }
        }
    }

    /// The BCS of the whole state.
    pub(super) fn pieces<'a>(&'a self, state: &SystemStateV1) -> Pieces<'a> {
        let registry = &state.model_registry;
        let mut before_active = vec![0];
        before_active.extend(bcs(&(
            state.epoch,
            state.protocol_version,
            &state.validators,
            &state.parameters,
            state.epoch_start_timestamp_ms,
            &state.validator_report_records,
        )));
        write_length(&mut before_active, self.active.len());

        let mut before_pending = Vec::new();
        write_length(&mut before_pending, self.pending.len());

        let pools = &registry.staking_pool_mappings;
        let mut before_inactive = Vec::with_capacity(8 + pools.len() * 64);
        write_length(&mut before_inactive, pools.len());
        for (pool, model) in pools {
            before_inactive.extend_from_slice(pool.as_bytes());
            before_inactive.extend_from_slice(model.as_bytes());
        }
        write_length(&mut before_inactive, self.inactive.len());

        let after_inactive = bcs(&(
            registry.total_model_stake,
            &registry.model_report_records,
            state.emission_pool,
            &state.target_state,
            state.safe_mode,
            state.safe_mode_accumulated_fees,
            state.safe_mode_accumulated_emissions,
        ));
        Pieces { models: self, before_active, before_pending, before_inactive, after_inactive }
    }
}

/// A system state as a list of byte strings; in one row they are its BCS.
pub(super) struct Pieces<'a> {
    models: &'a EncodedModels,
    before_active: Vec<u8>,
    before_pending: Vec<u8>,
    before_inactive: Vec<u8>,
    after_inactive: Vec<u8>,
}

impl Pieces<'_> {
    /// The pieces in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let one = |bytes| std::iter::once(Vec::as_slice(bytes));
        let all = |map| Map::values(map).map(AsRef::<[u8]>::as_ref);
        one(&self.before_active)
            .chain(all(&self.models.active))
            .chain(one(&self.before_pending))
            .chain(all(&self.models.pending))
            .chain(one(&self.before_inactive))
            .chain(all(&self.models.inactive))
            .chain(one(&self.after_inactive))
    }

    /// Bytes in all.
    pub(super) fn len(&self) -> usize {
        self.iter().map(<[u8]>::len).sum()
    }
}

/// The BCS of a value.
pub(super) fn bcs<T: Serialize>(value: &T) -> Vec<u8> {
    bcs::to_bytes(value).expect("types of the network always have a BCS form")
}

/// Appends a length as ULEB128.
pub(super) fn write_length(bytes: &mut Vec<u8>, mut length: usize) {
    while length >= 0x80 {
        bytes.push((length & 0x7f) as u8 | 0x80);
        length >>= 7;
    }
    bytes.push(length as u8);
}

fn encode_model(id: &ObjectId, model: &Model) -> Box<[u8]> {
    let mut bytes = id.as_bytes().to_vec();
    bytes.extend(bcs(model));
    bytes.into_boxed_slice()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths() {
        for (length, expected) in [
            (0, vec![0]),
            (127, vec![0x7f]),
            (128, vec![0x80, 1]),
            (300, vec![0xac, 2]),
            (16_384, vec![0x80, 0x80, 1]),
        ] {
            let mut bytes = Vec::new();
            write_length(&mut bytes, length);
            assert_eq!(bytes, expected, "{length}");
        }
    }
}
