//! What can only be seen with other models beside it.

use std::collections::BTreeMap;

use soma_proto::ObjectId;
use soma_proto::system_state::Model;

use super::history::History;
use crate::{Check, Finding, Report, Standing};

/// Compares models with each other: commitments that were copied, those of updates
/// under way included, and keys that were used again.
///
/// Of several with the same value those are taken for copies that surely committed to it
/// later than another one. The registry tells when a model was first committed to, not
/// when its present weights were (rule ), so an old model could take on the values
/// of a newer one by an update and look like the original. `history` tells more; where
/// it does not tell enough, all that may have been the first get a warning.
///
/// A key that others have published protects nothing: weights under it can be
/// read before their reveal.
pub fn compare(models: &[Standing], history: &History) -> BTreeMap<ObjectId, Report> {
    let mut found: BTreeMap<ObjectId, Report> = BTreeMap::new();
    for value in Value::ALL {
        for group in groups(models, value) {
            tell(&group, value, history, &mut found);
        }
    }
    found
}

/// What two models should not have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Value {
    Weights,
    Url,
    Key,
}

impl Value {
    pub(super) const ALL: [Self; 3] = [Self::Weights, Self::Url, Self::Key];

    const fn check(self) -> Check {
        match self {
            Self::Weights | Self::Url => Check::Copied,
            Self::Key => Check::Key,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Weights => "commitment to the weights",
            Self::Url => "commitment to the URL",
            Self::Key => "decryption key",
        }
    }

    fn present(self, model: &Model) -> Option<[u8; 32]> {
        match self {
            Self::Weights => Some(*model.weights_commitment.inner()),
            Self::Url => Some(*model.weights_url_commitment.inner()),
            Self::Key => Some(*model.weights_manifest.as_ref()?.decryption_key.as_bytes()),
        }
    }

    /// Of an update under way, with the epoch of its commit.
    fn coming(self, model: &Model) -> Option<([u8; 32], u64)> {
        let update = model.pending_update?;
        let commitment = match self {
            Self::Weights => update.weights_commitment,
            Self::Url => update.weights_url_commitment,
            Self::Key => return None,
        };
        Some((*commitment.inner(), update.commit_epoch))
    }
}

/// A model that has a value, and the epochs in which it may have committed to it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Holder<'a> {
    pub(super) standing: &'a Standing,
    value: [u8; 32],
    earliest: u64,
    latest: u64,
}

impl<'a> Holder<'a> {
    fn present(standing: &'a Standing, value: [u8; 32]) -> Self {
        let (first, now) = (standing.model.commit_epoch, standing.clock.epoch);
        // An update is committed to after the reveal, in the epoch after the commit at
        // the earliest, and revealed an epoch later.
        let is_original = standing.model.weights_manifest.is_none() || now <= first + 1;
        let latest = if is_original { first } else { now - 1 };
        Self { standing, value, earliest: first, latest }
    }

    fn coming(standing: &'a Standing, value: [u8; 32], epoch: u64) -> Self {
        Self { standing, value, earliest: epoch, latest: epoch }
    }

    /// Whether the registry alone leaves it open when it committed to the value.
    pub(super) const fn is_vague(&self) -> bool {
        self.earliest < self.latest
    }

    /// With what is known of the model at the start of earlier epochs.
    fn narrowed(mut self, value: Value, history: &History) -> Self {
        if !self.is_vague() {
            return self;
        }
        for (epoch, model) in history.of(&self.standing.id) {
            let is_revealed = model.weights_manifest.is_some();
            let coming = value.coming(model).filter(|(coming, _)| *coming == self.value);
            let held_since = if value.present(model) == Some(self.value) {
                // Revealed before this epoch began, so committed to an epoch earlier.
                Some(if is_revealed { epoch.saturating_sub(2) } else { model.commit_epoch })
            } else {
                coming.map(|(_, epoch)| epoch)
            };
            if let Some(since) = held_since {
                self.latest = self.latest.min(since.max(self.earliest));
                break;
            }
            // A key is not seen before its reveal.
            let not_before = match value {
                Value::Key if !is_revealed => continue,
                Value::Key => model.pending_update.map_or(epoch, |update| update.commit_epoch),
                _ => epoch,
            };
            self.earliest = self.earliest.max(not_before).min(self.latest);
        }
        self
    }
}

/// Models with the same value; values that only one has are left out.
pub(super) fn groups(models: &[Standing], value: Value) -> Vec<Vec<Holder<'_>>> {
    let mut groups: BTreeMap<[u8; 32], Vec<Holder<'_>>> = BTreeMap::new();
    for standing in models {
        let present = value.present(&standing.model);
        if let Some(present) = present {
            groups.entry(present).or_default().push(Holder::present(standing, present));
        }
        // To the same as it has now: that is no second model.
        let coming = value.coming(&standing.model).filter(|(it, _)| Some(*it) != present);
        if let Some((coming, epoch)) = coming {
            groups.entry(coming).or_default().push(Holder::coming(standing, coming, epoch));
        }
    }
    groups.into_values().filter(|group| group.len() > 1).collect()
}

fn tell(
    group: &[Holder<'_>],
    value: Value,
    history: &History,
    found: &mut BTreeMap<ObjectId, Report>,
) {
    let (check, what) = (value.check(), value.name());
    let mut group: Vec<_> = group.iter().map(|it| it.narrowed(value, history)).collect();
    group.sort_by_key(|holder| (holder.latest, holder.standing.id));
    let Some(first) = group.first().copied() else { return };
    let may_be_first = |holder: &&Holder<'_>| holder.earliest <= first.latest;
    let contested = group.iter().filter(may_be_first).count() > 1;
    for holder in &group {
        let finding = if !may_be_first(&holder) {
            let first = first.standing.id;
            Finding::error(check, format!("the {what} is that of {first}, which is older"))
        } else if contested {
            let is_other = |other: &&Holder<'_>| other.standing.id != holder.standing.id;
            let other = group.iter().filter(may_be_first).find(is_other);
            let other = other.map_or(first.standing.id, |other| other.standing.id);
            let message = format!("the {what} is also that of {other}; either may be the copy");
            Finding::warning(check, message)
        } else {
            continue;
        };
        found.entry(holder.standing.id).or_default().push(finding);
    }
}

#[cfg(test)]
mod tests {
    use soma_proto::system_state::PendingModelUpdate;
    use soma_proto::{Commitment, DecryptionKey};

    use super::*;
    use crate::testing::{committed, updating};

    /// Committed to and not revealed.
    fn pending(id: u8, weights: &str, commit_epoch: u64) -> Standing {
        let mut standing = committed();
        standing.id = ObjectId::new([id; 32]);
        standing.model.weights_commitment = Commitment::of(weights);
        standing.model.weights_url_commitment = Commitment::of([id]);
        standing.model.commit_epoch = commit_epoch;
        standing
    }

    /// Revealed, and seen in epoch `now`.
    fn active(id: u8, weights: &str, commit_epoch: u64, now: u64) -> Standing {
        let mut standing = Standing { id: ObjectId::new([id; 32]), ..updating() };
        standing.clock.epoch = now;
        let model = &mut standing.model;
        model.weights_commitment = Commitment::of(weights);
        model.weights_url_commitment = Commitment::of([id]);
        model.commit_epoch = commit_epoch;
        model.pending_update = None;
        model.weights_manifest.as_mut().unwrap().decryption_key = DecryptionKey::new([id; 32]);
        standing
    }

    fn update_to(standing: &mut Standing, weights: &str, commit_epoch: u64) {
        standing.model.pending_update = Some(PendingModelUpdate {
            weights_url_commitment: Commitment::of("elsewhere"),
            weights_commitment: Commitment::of(weights),
            commit_epoch,
        });
    }

    /// The models with an error, and those with a warning.
    fn told(models: &[Standing], history: &History) -> (Vec<u8>, Vec<u8>) {
        let found = compare(models, history);
        let of = |is_ok: bool| {
            let some = found.iter().filter(|(_, report)| report.is_ok() == is_ok);
            some.map(|(id, _)| id.as_bytes()[0]).collect()
        };
        (of(false), of(true))
    }

    #[test]
    fn the_oldest_is_the_original() {
        let models =
            [pending(1, "a", 5), pending(2, "a", 3), pending(3, "b", 9), pending(4, "a", 4)];
        let found = compare(&models, &History::default());
        let faulty: Vec<_> = found.keys().copied().collect();
        assert_eq!(faulty, [models[0].id, models[3].id]);
        assert!(found.values().all(|report| !report.is_ok()));
        assert!(found[&models[0].id].findings[0].message.contains(&models[1].id.to_string()));
    }

    #[test]
    fn among_equally_old_ones_nobody_can_tell() {
        let models = [pending(1, "a", 5), pending(2, "a", 5), pending(3, "a", 6)];
        let found = compare(&models, &History::default());
        assert_eq!(found.len(), 3);
        assert!(found[&models[0].id].is_ok() && found[&models[1].id].is_ok());
        assert!(!found[&models[2].id].is_ok());
        assert!(found[&models[0].id].findings[0].message.contains(&models[1].id.to_string()));
    }

    #[test]
    fn an_old_model_that_took_on_the_values_of_a_newer_one() {
        // The first was committed to in epoch 1, and copied the second by an update whose
        // commit was in epoch 12.
        let (copy, original) = (active(1, "a", 1, 20), active(2, "a", 10, 20));
        let models = [copy.clone(), original.clone()];
        assert_eq!(told(&models, &History::default()), (vec![], vec![1, 2]));
        // A node that still knows how epochs 3 and 12 began can tell.
        let before = active(1, "before", 1, 3);
        let history = History::from_iter([
            (3, before.id, before.model.clone()),
            (12, before.id, before.model.clone()),
            (12, original.id, original.model.clone()),
        ]);
        assert_eq!(told(&models, &history), (vec![1], vec![]));
        // It may know the later of them only, or the earlier.
        let later = History::from_iter([
            (12, before.id, before.model.clone()),
            (12, original.id, original.model.clone()),
        ]);
        assert_eq!(told(&models, &later), (vec![1], vec![]));
        let earlier = History::from_iter([(3, before.id, before.model)]);
        assert_eq!(told(&models, &earlier), (vec![], vec![1, 2]));
    }

    #[test]
    fn a_model_that_was_never_updated_is_known_by_its_second_epoch() {
        let (old, new) = (active(1, "a", 1, 20), active(2, "a", 10, 20));
        let models = [old.clone(), new];
        let history = History::from_iter([(3, old.id, old.model)]);
        assert_eq!(told(&models, &history), (vec![2], vec![]));
    }

    #[test]
    fn commitments_of_updates_under_way_count() {
        let (original, mut copy) = (pending(1, "a", 4), active(2, "b", 1, 5));
        update_to(&mut copy, "a", 5);
        assert_eq!(told(&[original, copy.clone()], &History::default()), (vec![2], vec![]));
        // Its own present weights once more are no copy.
        update_to(&mut copy, "b", 5);
        assert_eq!(told(&[copy], &History::default()), (vec![], vec![]));
    }

    #[test]
    fn a_key_counts_from_the_commit_of_the_weights_it_opens() {
        let key = |mut standing: Standing, key: u8| {
            let manifest = standing.model.weights_manifest.as_mut().unwrap();
            manifest.decryption_key = DecryptionKey::new([key; 32]);
            standing
        };
        // The same encrypted weights were revealed again, with the key of the second.
        let (before, copy) = (key(active(1, "a", 1, 3), 7), key(active(1, "a", 1, 20), 9));
        let original = key(active(2, "b", 10, 20), 9);
        let models = [copy, original.clone()];
        let history = History::from_iter([
            (3, before.id, before.model.clone()),
            (12, before.id, before.model),
            (12, original.id, original.model),
        ]);
        assert_eq!(told(&models, &history), (vec![1], vec![]));
        assert_eq!(told(&models, &History::default()), (vec![], vec![1, 2]));
    }
}
