//! What a fresh chain begins with.

use soma_ledger::{GenesisConfig, GenesisModel};
use soma_proto::{
    Checksum, DecryptionKey, Manifest, ModelWeightsManifest, ObjectId, SHANNONS_PER_SOMA, Tensor,
    hash,
};

use crate::accounts::{ACCOUNTS, ChainKeys, account_addresses};
use crate::config::FILES_PORT;
use crate::executor::wall_clock_ms;
use crate::{Error, LocalNetConfig, Result};

/// Longest embedding of a fresh chain: a reveal of a longer one would not fit
/// into the 262144 bytes that a transaction may have.
const MAX_EMBEDDING_DIM: u64 = 60_000;
/// What a fresh chain begins with (L-22).
pub(crate) fn genesis_config(
    config: &LocalNetConfig,
    keys: &ChainKeys,
    faucet: bool,
) -> Result<GenesisConfig> {
    let faucet = faucet.then(|| keys.faucet().address());
    let validators = keys.genesis_validators();
    let mut genesis =
        GenesisConfig::local(wall_clock_ms(), &account_addresses(), faucet, validators);
    match config.epoch_duration_ms {
        Some(0) => return Err(Error::Config("an epoch lasts at least 1 ms".to_owned())),
        Some(milliseconds) => genesis.parameters.epoch_duration_ms = milliseconds,
        None => {}
    }
    match config.embedding_dim {
        Some(length) if length == 0 || length > MAX_EMBEDDING_DIM => {
            return Err(Error::Config(format!(
                "an embedding has 1 to {MAX_EMBEDDING_DIM} values, not {length}"
            )));
        }
        Some(length) => genesis.parameters.target_embedding_dim = length,
        None => {}
    }
    let dim = genesis.parameters.target_embedding_dim;
    genesis.models = (0..config.genesis_models).map(|n| genesis_model(n, dim)).collect();
    Ok(genesis)
}

/// The `n`-th model of a chain that begins with models. Its weights are nowhere.
fn genesis_model(n: u32, embedding_dim: u64) -> GenesisModel {
    let hash = |what: &[u8]| hash::blake2b256(&[b"soma-localnet-model", what, &n.to_le_bytes()]);
    let url = format!("http://127.0.0.1:{FILES_PORT}/genesis/{n}").parse();
    let url = url.expect("a URL in normal form");
    let values: Vec<f32> = hash(b"embedding")
        .iter()
        .cycle()
        .take(embedding_dim as usize)
        .map(|byte| f32::from(*byte) / 256.0)
        .collect();
    GenesisModel {
        id: ObjectId::new(hash(b"id")),
        owner: account_addresses()[ACCOUNTS - 1],
        stake: SHANNONS_PER_SOMA,
        commission_rate: 0,
        manifest: ModelWeightsManifest {
            manifest: Manifest::new(url, Checksum::new(hash(b"weights")), 1),
            decryption_key: DecryptionKey::new(hash(b"key")),
        },
        embedding: Some(Tensor::vector(&values)),
    }
}
