//! Times the ledger on a large registry.
//!
//! ```sh
//! cargo run --release -p soma-ledger --example large_registry -- 20000 2048
//! ```
//!
//! The numbers are models and the length of their embeddings; with 0 the
//! models are committed and not revealed. Prints the size of the system state
//! and the time that a commit, a failed transaction, a simulation and the end
//! of an epoch take.

use std::error::Error;
use std::time::Instant;

use soma_ledger::{Checks, GenesisConfig, GenesisValidator, Ledger, Parts};
use soma_proto::bls::BlsKeyPair;
use soma_proto::system_state::{Model, StakingPool};
use soma_proto::transaction::CommitModel;
use soma_proto::{
    Checksum, Commitment, DecryptionKey, KeyPair, Manifest, ModelWeightsManifest, ObjectId, Tensor,
    TransactionData, TransactionKind,
};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1).map(|text| text.parse::<u64>());
    let count = arguments.next().transpose()?.unwrap_or(20_000);
    let dim = arguments.next().transpose()?.unwrap_or(0);

    let alice = KeyPair::from_bytes([1; 32]);
    let operator = KeyPair::from_bytes([2; 32]).public_key();
    let protocol_key = BlsKeyPair::from_bytes(&[3; 32])?;
    let validator = GenesisValidator::new(operator.address(), &protocol_key, operator, operator);
    let mut config = GenesisConfig::local(0, &[alice.address()], None, vec![validator]);
    config.parameters.target_embedding_dim = dim.max(1);
    let (ledger, _) = Ledger::genesis(&config)?;
    let mut ledger = Ledger::restore(Parts {
        objects: ledger.objects().cloned().collect(),
        skeleton: ledger.skeleton(),
        models: (0..count).map(|n| model(n, dim)).collect::<Result<_, _>>()?,
        state_version: ledger.state_reference().version(),
        state_previous_transaction: ledger.state_previous_transaction(),
        counters: *ledger.counters(),
    })?;
    let size = ledger.state_object().inner().len();
    println!("{count} models, {dim} numbers each: system state of {:.1} MB", size as f64 / 1e6);

    let commit = |ledger: &Ledger, n: u64, stake_amount| {
        let coin = ledger.coins_of(&alice.address())[0].reference();
        let kind = TransactionKind::CommitModel(CommitModel {
            model_id: id(n, 1),
            weights_url_commitment: Commitment::ZERO,
            weights_commitment: Commitment::ZERO,
            architecture_version: 1,
            stake_amount,
            commission_rate: 0,
            staking_pool_id: id(n, 2),
        });
        TransactionData::new(kind, alice.address(), vec![coin])
    };
    for round in 0..3 {
        let data = commit(&ledger, count + round, 1_000_000_000);
        time("simulation", || ledger.simulate(&data, Checks::Enabled))?;
        let transaction = data.sign(&alice);
        time("commit", || ledger.apply(&transaction).map(|done| assert!(done.is_success())))?;
        let transaction = commit(&ledger, count + round, 1).sign(&alice);
        time("failure", || ledger.apply(&transaction).map(|done| assert!(!done.is_success())))?;
    }
    time("end of epoch", || Ok::<_, Box<dyn Error>>(ledger.change_epoch(1)))
}

fn time<T, E: Into<Box<dyn Error>>>(
    what: &str,
    run: impl FnOnce() -> Result<T, E>,
) -> Result<(), Box<dyn Error>> {
    let start = Instant::now();
    run().map_err(Into::into)?;
    println!("{what}: {:.1} ms", start.elapsed().as_secs_f64() * 1e3);
    Ok(())
}

fn id(n: u64, kind: u8) -> ObjectId {
    let mut bytes = Commitment::of(n.to_le_bytes()).into_inner();
    bytes[31] = kind;
    ObjectId::new(bytes)
}

fn model(n: u64, dim: u64) -> Result<(ObjectId, Model), Box<dyn Error>> {
    let url = format!("https://weights.example.com/models/{n}/weights.bin").parse()?;
    let manifest = ModelWeightsManifest {
        manifest: Manifest::new(url, Checksum::new([5; 32]), 4_838_736_928),
        decryption_key: DecryptionKey::new([6; 32]),
    };
    let model = Model {
        owner: KeyPair::from_bytes([1; 32]).address(),
        architecture_version: 1,
        weights_url_commitment: Commitment::ZERO,
        weights_commitment: Commitment::ZERO,
        commit_epoch: 0,
        weights_manifest: (dim > 0).then_some(manifest),
        embedding: (dim > 0).then(|| Tensor::vector(&vec![0.25; dim as usize])),
        staking_pool: StakingPool {
            id: id(n, 2),
            activation_epoch: (dim > 0).then_some(0),
            soma_balance: 1_000_000_000,
            pool_token_balance: 1_000_000_000,
            ..StakingPool::default()
        },
        commission_rate: 0,
        next_epoch_commission_rate: 0,
        pending_update: None,
    };
    Ok((id(n, 1), model))
}
