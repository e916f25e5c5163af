//! What can only be seen with other models beside it.

use std::collections::BTreeMap;

use soma_proto::ObjectId;

use crate::{Check, Finding, Report, Standing};

/// Compares models with each other: commitments that were copied, and keys that
/// were used again. Of several with the same value the first by commit epoch is
/// taken for the original; if there are several first ones, nobody can tell
/// which of them it was, and all of them get a warning.
///
/// A key that others have published protects nothing: weights under it can be
/// read before their reveal.
pub fn compare(models: &[Standing]) -> BTreeMap<ObjectId, Report> {
    let mut found: BTreeMap<ObjectId, Report> = BTreeMap::new();
    let weights = groups(models, |standing| Some(*standing.model.weights_commitment.inner()));
    tell(&weights, &mut found, Check::Copied, "commitment to the weights");
    let urls = groups(models, |standing| Some(*standing.model.weights_url_commitment.inner()));
    tell(&urls, &mut found, Check::Copied, "commitment to the URL");
    let keys = groups(models, |standing| {
        Some(*standing.model.weights_manifest.as_ref()?.decryption_key.as_bytes())
    });
    tell(&keys, &mut found, Check::Key, "decryption key");
    found
}

/// Models with the same value, oldest first; values that only one has are left out.
fn groups(
    models: &[Standing],
    value: impl Fn(&Standing) -> Option<[u8; 32]>,
) -> Vec<Vec<&Standing>> {
    let mut groups: BTreeMap<[u8; 32], Vec<&Standing>> = BTreeMap::new();
    for standing in models {
        if let Some(value) = value(standing) {
            groups.entry(value).or_default().push(standing);
        }
    }
    let mut groups: Vec<_> = groups.into_values().filter(|group| group.len() > 1).collect();
    for group in &mut groups {
        group.sort_by_key(|standing| (standing.model.commit_epoch, standing.id));
    }
    groups
}

fn tell(
    groups: &[Vec<&Standing>],
    found: &mut BTreeMap<ObjectId, Report>,
    check: Check,
    what: &str,
) {
    for group in groups {
        let Some(first) = group.first() else { continue };
        let epoch = first.model.commit_epoch;
        let contested = group.get(1).is_some_and(|second| second.model.commit_epoch == epoch);
        for standing in group {
            let finding = if standing.model.commit_epoch > epoch {
                Finding::error(check, format!("the {what} is that of {}, which is older", first.id))
            } else if contested {
                let other = if standing.id == first.id { group[1].id } else { first.id };
                Finding::warning(check, format!("the {what} is also that of {other}, as old"))
            } else {
                continue;
            };
            found.entry(standing.id).or_default().push(finding);
        }
    }
}

#[cfg(test)]
mod tests {
    use soma_proto::Commitment;

    use super::*;
    use crate::testing::committed;

    fn model(id: u8, weights: &str, commit_epoch: u64) -> Standing {
        let mut standing = committed();
        standing.id = ObjectId::new([id; 32]);
        standing.model.weights_commitment = Commitment::of(weights);
        standing.model.weights_url_commitment = Commitment::of([id]);
        standing.model.commit_epoch = commit_epoch;
        standing
    }

    #[test]
    fn the_oldest_is_the_original() {
        let models = [model(1, "a", 5), model(2, "a", 3), model(3, "b", 9), model(4, "a", 4)];
        let found = compare(&models);
        let faulty: Vec<_> = found.keys().copied().collect();
        assert_eq!(faulty, [models[0].id, models[3].id]);
        assert!(found.values().all(|report| !report.is_ok()));
        assert!(found[&models[0].id].findings[0].message.contains(&models[1].id.to_string()));
    }

    #[test]
    fn among_equally_old_ones_nobody_can_tell() {
        let models = [model(1, "a", 5), model(2, "a", 5), model(3, "a", 6)];
        let found = compare(&models);
        assert_eq!(found.len(), 3);
        assert!(found[&models[0].id].is_ok() && found[&models[1].id].is_ok());
        assert!(!found[&models[2].id].is_ok());
        assert!(found[&models[0].id].findings[0].message.contains(&models[1].id.to_string()));
    }
}
