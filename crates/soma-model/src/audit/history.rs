//! What a node remembers of models: who committed first.

use std::collections::{BTreeMap, BTreeSet};

use soma_proto::ObjectId;
use soma_proto::system_state::Model;
use soma_rpc::Client;

use super::compare::{Value, groups};
use crate::{Result, Standing};

/// Earlier epochs that are asked for, at most: each answer is a whole registry.
const EPOCHS: usize = 64;

/// Models as they were when earlier epochs began.
#[derive(Clone, Debug, Default)]
pub struct History(BTreeMap<u64, BTreeMap<ObjectId, Model>>);

impl History {
    /// Asks for what decides which of several models with the same commitment or key was
    /// first; nothing if there are none. A node may have forgotten some or all of it.
    ///
    /// # Errors
    /// [`Error::Rpc`](crate::Error::Rpc).
    pub async fn ask(client: &Client, models: &[Standing]) -> Result<Self> {
        let (mut ids, mut epochs) = (BTreeSet::new(), BTreeSet::new());
        for group in Value::ALL.iter().flat_map(|value| groups(models, *value)) {
            if !group.iter().any(|holder| holder.is_vague()) {
                continue;
            }
            for holder in group {
                ids.insert(holder.standing.id);
                if holder.is_vague() {
                    epochs.extend(telling_epoch(holder.standing));
                }
            }
        }
        let mut known = BTreeMap::new();
        for epoch in epochs.into_iter().take(EPOCHS) {
            if let Some(models) = client.models_at(epoch, &ids).await? {
                known.insert(epoch, models);
            }
        }
        Ok(Self(known))
    }

    /// A model at the start of each epoch that is known, oldest first.
    pub(super) fn of(&self, id: &ObjectId) -> impl Iterator<Item = (u64, &Model)> {
        self.0.iter().filter_map(move |(epoch, models)| Some((*epoch, models.get(id)?)))
    }
}

/// What was known of models at the start of an epoch.
impl FromIterator<(u64, ObjectId, Model)> for History {
    fn from_iter<I: IntoIterator<Item = (u64, ObjectId, Model)>>(models: I) -> Self {
        let mut known = Self::default();
        for (epoch, id, model) in models {
            known.0.entry(epoch).or_default().insert(id, model);
        }
        known
    }
}

/// The epoch whose beginning shows what a model first committed to: it was revealed in
/// the one before, and no update can be revealed yet. While that one is running, the
/// beginning of the one before shows the commitments, but no key.
fn telling_epoch(standing: &Standing) -> Option<u64> {
    let (first, now) = (standing.model.commit_epoch, standing.clock.epoch);
    [first + 2, first + 1].into_iter().find(|epoch| *epoch < now)
}
