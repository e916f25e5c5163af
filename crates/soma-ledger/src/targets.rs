//! Targets: drawn at the boundary, never filled (R-7.1 to, L-24).

use std::collections::BTreeMap;

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use soma_proto::object::derive_object_id;
use soma_proto::system_state::{ModelRegistry, SystemStateV1};
use soma_proto::target::{Target, TargetStatus};
use soma_proto::{Object, ObjectId, ObjectType, Owner, Tensor, TransactionDigest};

use crate::state::INITIAL_SHARED_VERSION;

/// Creates the targets of an epoch, if a model can compete for them. Their ids
/// continue those of `first` objects that the transaction has created.
pub(crate) fn create(
    state: &mut SystemStateV1,
    version: u64,
    digest: TransactionDigest,
    first: u64,
) -> Vec<Object> {
    if state.model_registry.active_models.is_empty() {
        return Vec::new();
    }
    let reward = state.target_state.reward_per_target;
    let wanted = state.parameters.target_initial_targets_per_epoch;
    let affordable = state.emission_pool.balance.checked_div(reward).unwrap_or(wanted);
    let count = wanted.min(affordable);
    let seeds: Vec<_> =
        (first..).map(|n| derive_object_id(&digest, n)).take(count as usize).collect();
    let dim = state.parameters.target_embedding_dim as usize;
    let mut rngs: Vec<_> =
        seeds.iter().map(|seed| ChaCha20Rng::from_seed(seed.into_inner())).collect();
    let embeddings: Vec<_> = rngs.iter_mut().map(|rng| normal_vector(rng, dim)).collect();
    let per_target = state.parameters.target_models_per_target as usize;
    let models = choose_models(&state.model_registry, &embeddings, &mut rngs, per_target);

    state.emission_pool.balance -= reward * count;
    state.target_state.targets_generated_this_epoch += count;
    let target = |embedding: &[f32], model_ids| Target {
        embedding: Tensor::vector(embedding),
        model_ids,
        distance_threshold: state.target_state.distance_threshold.clone(),
        reward_pool: reward,
        generation_epoch: state.epoch,
        status: TargetStatus::Open,
        submitter: None,
        winning_model_id: None,
        winning_model_owner: None,
        bond_amount: 0,
        winning_data_manifest: None,
        winning_data_commitment: None,
        winning_embedding: None,
        winning_distance_score: None,
        challenger: None,
        challenge_id: None,
        submission_reports: BTreeMap::new(),
    };
    let owner = Owner::Shared { initial_shared_version: INITIAL_SHARED_VERSION };
    seeds
        .into_iter()
        .zip(embeddings.iter().zip(models))
        .map(|(id, (embedding, model_ids))| {
            let inner =
                bcs::to_bytes(&target(embedding, model_ids)).expect("a target has a BCS form");
            Object::new(id, ObjectType::Target, version, &inner, owner, digest)
        })
        .collect()
}

/// The epoch in which a target was created, if the object is one.
pub(crate) fn generation(object: &Object) -> Option<u64> {
    if object.object_type() != ObjectType::Target {
        return None;
    }
    bcs::from_bytes::<Target>(object.inner()).ok().map(|target| target.generation_epoch)
}

/// For each embedding the models with the lowest scores: squared distance
/// divided by the model's share of all stake.
fn choose_models(
    registry: &ModelRegistry,
    embeddings: &[Vec<f32>],
    rngs: &mut [ChaCha20Rng],
    count: usize,
) -> Vec<Vec<ObjectId>> {
    let dim = embeddings.first().map_or(0, Vec::len);
    let candidates: Vec<_> = registry
        .active_models
        .iter()
        .filter_map(|(id, model)| {
            let embedding = model.embedding.as_ref().filter(|tensor| tensor.len() == dim)?;
            Some((*id, embedding, model.staking_pool.soma_balance))
        })
        .collect();
    if candidates.is_empty() {
        let ids: Vec<_> = registry.active_models.keys().copied().collect();
        return rngs.iter_mut().map(|rng| draw(&ids, rng, count)).collect();
    }
    let total: f64 = candidates.iter().map(|(_, _, stake)| *stake as f64).sum();
    let mut scores = vec![Vec::with_capacity(candidates.len()); embeddings.len()];
    for (id, embedding, stake) in candidates {
        let embedding = embedding.to_vec();
        let share = stake as f64 / total;
        for (target, scores) in embeddings.iter().zip(&mut scores) {
            // Without stake the score is infinite, and never a NaN: the place
            // among equals is decided by the id.
            let score = match stake {
                0 => f64::INFINITY,
                _ => distance(target, &embedding) / share,
            };
            scores.push((score, id));
        }
    }
    scores
        .into_iter()
        .map(|mut scores| {
            scores.sort_by(|(a, x), (b, y)| a.total_cmp(b).then(x.cmp(y)));
            scores.into_iter().take(count).map(|(_, id)| id).collect()
        })
        .collect()
}

/// Squared Euclidean distance. Eight sums side by side, which the compiler
/// turns into vector instructions.
fn distance(a: &[f32], b: &[f32]) -> f64 {
    let square = |(a, b): (&f32, &f32)| {
        let difference = f64::from(*a) - f64::from(*b);
        difference * difference
    };
    let (a, b) = (a.chunks_exact(8), b.chunks_exact(8));
    let rest: f64 = a.remainder().iter().zip(b.remainder()).map(square).sum();
    let mut sums = [0.0; 8];
    for (a, b) in a.zip(b) {
        for (sum, pair) in sums.iter_mut().zip(a.iter().zip(b)) {
            *sum += square(pair);
        }
    }
    sums.iter().sum::<f64>() + rest
}

/// `count` different ones, all equally likely.
fn draw(ids: &[ObjectId], rng: &mut ChaCha20Rng, count: usize) -> Vec<ObjectId> {
    let mut ids = ids.to_vec();
    let count = count.min(ids.len());
    for place in 0..count {
        let left = (ids.len() - place) as u64;
        ids.swap(place, place + (rng.next_u64() % left) as usize);
    }
    ids.truncate(count);
    ids
}

/// Standard normal values by Marsaglia's polar method. The logarithm is
/// `libm`'s: that of the standard library may differ in its last bit between
/// platforms. Square roots are exact everywhere (IEEE 754).
fn normal_vector(rng: &mut ChaCha20Rng, dim: usize) -> Vec<f32> {
    let mut values = Vec::with_capacity(dim + 1);
    while values.len() < dim {
        let (x, y) = (symmetric(rng), symmetric(rng));
        let square = x * x + y * y;
        if square > 0.0 && square < 1.0 {
            let scale = (-2.0 * libm::log(square) / square).sqrt();
            values.push((x * scale) as f32);
            values.push((y * scale) as f32);
        }
    }
    values.truncate(dim);
    values
}

/// A number between -1 and 1, from 53 random bits.
fn symmetric(rng: &mut ChaCha20Rng) -> f64 {
    let bits = rng.next_u64() >> 11;
    bits as f64 / (1_u64 << 52) as f64 - 1.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        for length in [0, 1, 7, 8, 9, 20] {
            let a: Vec<_> = (0..length).map(|n| n as f32).collect();
            let b = vec![1.0; length];
            let expected: f64 = (0..length).map(|n| (n as f64 - 1.0).powi(2)).sum();
            assert_eq!(distance(&a, &b), expected, "{length}");
        }
    }

    #[test]
    fn drawn_values_look_normal() {
        let mut rng = ChaCha20Rng::from_seed([7; 32]);
        let values = normal_vector(&mut rng, 20_001);
        assert_eq!(values.len(), 20_001);
        let count = values.len() as f64;
        let mean = values.iter().map(|v| f64::from(*v)).sum::<f64>() / count;
        let variance = values.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>() / count;
        let within_one = values.iter().filter(|v| v.abs() < 1.0).count() as f64 / count;
        assert!(mean.abs() < 0.03, "{mean}");
        assert!((variance - 1.0).abs() < 0.04, "{variance}");
        assert!((within_one - 0.6827).abs() < 0.015, "{within_one}");
        let again = normal_vector(&mut ChaCha20Rng::from_seed([7; 32]), 20_001);
        assert_eq!(values, again);
    }

    /// Made outside: ChaCha20 after RFC 8439 with a counter of 64 bits, and
    /// logarithms to sixty digits, rounded once.
    #[test]
    fn drawn_values_are_the_same_everywhere() {
        let values = normal_vector(&mut ChaCha20Rng::from_seed([7; 32]), 6);
        let bits: Vec<_> = values.iter().map(|value| value.to_bits()).collect();
        let expected =
            [0xbfce_e03d, 0xbecf_151f, 0xbe95_58a7, 0x3f3c_6029, 0xbf8d_ddf1, 0xbde4_7ec7];
        assert_eq!(bits, expected);
    }

    #[test]
    fn draws_without_repetition() {
        let ids: Vec<_> = (0..10).map(|n| ObjectId::new([n; 32])).collect();
        let mut rng = ChaCha20Rng::from_seed([1; 32]);
        for count in [0, 3, 10, 11] {
            let mut drawn = draw(&ids, &mut rng, count);
            drawn.sort();
            drawn.dedup();
            assert_eq!(drawn.len(), count.min(10));
        }
    }
}
