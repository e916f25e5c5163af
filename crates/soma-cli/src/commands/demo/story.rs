//! The steps of the demonstration, in the order of the guide.

use std::io;
use std::path::{Path, PathBuf};

use soma_crypto::{Input, Key, Options, Output as Target, safetensors};
use soma_localnet::{LocalNet, LocalNetConfig};
use soma_model::payment::{Purse, StakeTarget};
use soma_model::{
    CommissionPlan, CommitPlan, Depth, Gas, Host, Info, Measured, Prepared, RevealPlan, Scope,
    Standing, UpdatePlan,
};
use soma_proto::{
    Address, Commitment, DecryptionKey, KeyPair, ObjectId, TransactionData, WeightsUrl,
};
use soma_rpc::gas::{self, FeeRates};
use soma_rpc::{Admin, Client, Executed, Faucet, ModelFilter, WAIT_TIMEOUT};
use soma_storage::{AddressPolicy, Expected, Storage};
use soma_wallet::{NewKey, Wallet};

use super::report::{DemoReport, Held, NetworkReport, Published, Teller};
use super::weights::{self, Version, Weights};
use crate::error::{Failure, Result};
use crate::output::{Output, format};

/// One SOMA: the least a model needs.
const STAKE: u64 = soma_proto::SHANNONS_PER_SOMA;
/// A fifth of a SOMA.
const MORE_STAKE: u64 = STAKE / 5;
/// Basis points at the commit, and later.
const COMMISSION: [u64; 2] = [1_000, 500];
/// Epochs end when the demonstration says so.
const EPOCH_MS: u64 = 24 * 60 * 60 * 1000;

/// Runs all of it.
pub(super) async fn tell(file: Option<PathBuf>, out: Output) -> Result<()> {
    let mut teller = Teller::new(out);
    let workshop = tempfile::Builder::new().prefix("soma-demo-").tempdir().map_err(file_error)?;

    let config = LocalNetConfig::new().with_free_ports().with_epoch_duration_ms(EPOCH_MS);
    let network = LocalNet::start(config).await?;
    let told = play(file, &mut teller, &network, workshop.path()).await;
    network.shutdown().await?;

    let mut report = told?;
    (report.steps, report.duration_ms) = teller.finish();
    out.print(&report)?;
    match report.holds() {
        true => Ok(()),
        false => Err(Failure::new("DemoFailed", "not everything held that has to hold")),
    }
}

async fn play(
    file: Option<PathBuf>,
    teller: &mut Teller,
    network: &LocalNet,
    workshop: &Path,
) -> Result<DemoReport> {
    let url = |url: Option<&str>| url.map(str::to_owned).unwrap_or_default();
    let mut told = NetworkReport {
        rpc_url: url(network.rpc_url()),
        faucet_url: url(network.faucet_url()),
        files_url: url(network.files_url()),
        chain_id: network.chain_id(),
        epoch: 0,
        embedding_dim: network.embedding_dim(),
    };
    teller.step("network", format!("chain {} at {}", told.chain_id, told.rpc_url))?;

    let (wallet, _) = Wallet::create(&workshop.join("client.yaml"), NewKey::default())?;
    let address = wallet.resolve(None)?;
    let actor = Actor {
        client: Client::new(told.rpc_url.clone())?,
        admin: Admin::new(network.admin_url())?,
        storage: Storage::new(AddressPolicy::Any)?,
        key: wallet.signer(&address, "localnet")?.clone(),
        address,
        files_url: told.files_url.clone(),
    };
    teller.step("wallet", format!("account {address}"))?;

    let coins = Faucet::new(told.faucet_url.clone())?.request(&address).await?;
    let given: u64 = coins.iter().map(|coin| coin.amount).sum();
    teller.step("faucet", format!("gave {}", format::soma(given)))?;

    let plain = match file {
        Some(path) => path,
        None => {
            let path = workshop.join("weights.safetensors");
            weights::generate(&path).map_err(file_error)?;
            path
        }
    };
    let header = safetensors::inspect_file(&plain, None).map_err(|e| {
        Failure::from_error("InvalidSafetensors", &e)
            .with_hint("the demonstration wants a safetensors file")
    })?;
    let (tensors, parameters) = (header.tensors.len(), header.parameters);
    teller.step("weights", format!("{tensors} tensors, {parameters} parameters"))?;

    // Phase 1: commit.
    let first = actor.publish(&plain, Version::First, workshop).await?;
    teller.step("encrypt", format!("{} to {}", format::bytes(first.sealed.size), first.url))?;
    let plan = CommitPlan::new(first.url.commitment(), first.sealed.commitment, STAKE)
        .with_commission_rate(COMMISSION[0]);
    let model = plan.ids.model_id;
    let prepared = plan.prepare(&actor.client, address, &Gas::Automatic).await?;
    let mut balance = Balance::new(given);
    let cost = prepared_cost(&prepared);
    let executed = actor.send(prepared).await?;
    balance.settle(cost, actor.balance().await?);
    teller.transaction("commit", format!("model {model}"), &executed, balance.actual)?;
    let committed = actor.standing(&model).await?;
    teller.step("info", format!("the model is {}", committed.status))?;

    // Phase 2: reveal, in the next epoch.
    let epoch = actor.admin.advance_epoch().await?;
    teller.step("next epoch", format!("epoch {epoch}"))?;
    let embedding = embedding(told.embedding_dim, 1);
    let reveal = first.reveal(model, embedding);
    let prepared = reveal.prepare(&actor.client, &actor.host(), address, &Gas::Automatic).await?;
    let cost = prepared_cost(&prepared);
    let executed = actor.send(prepared).await?;
    balance.settle(cost, actor.balance().await?);
    teller.transaction("reveal", "URL, size, key and embedding", &executed, balance.actual)?;
    let active = actor.standing(&model).await?;
    teller.step("info", format!("the model is {}", active.status))?;

    // New weights, in the same two phases.
    let second = actor.publish(&plain, Version::Second, workshop).await?;
    teller.step("encrypt", format!("new weights to {}", second.url))?;
    let plan = UpdatePlan {
        model_id: model,
        weights_url_commitment: second.url.commitment(),
        weights_commitment: second.sealed.commitment,
    };
    let prepared = plan.prepare(&actor.client, address, &Gas::Automatic).await?;
    let cost = prepared_cost(&prepared);
    let executed = actor.send(prepared).await?;
    balance.settle(cost, actor.balance().await?);
    teller.transaction("update-commit", "new weights", &executed, balance.actual)?;
    let epoch = actor.admin.advance_epoch().await?;
    teller.step("next epoch", format!("epoch {epoch}"))?;
    let reveal = second.reveal(model, self::embedding(told.embedding_dim, 2)).of_update();
    let prepared = reveal.prepare(&actor.client, &actor.host(), address, &Gas::Automatic).await?;
    let cost = prepared_cost(&prepared);
    let executed = actor.send(prepared).await?;
    balance.settle(cost, actor.balance().await?);
    teller.transaction("update-reveal", "new weights", &executed, balance.actual)?;

    // The rest of the guide.
    let plan = CommissionPlan { model_id: model, rate: COMMISSION[1] };
    let prepared = plan.prepare(&actor.client, address, &Gas::Automatic).await?;
    let cost = prepared_cost(&prepared);
    let executed = actor.send(prepared).await?;
    balance.settle(cost, actor.balance().await?);
    let text = format!("{} from the next epoch on", format::percent(COMMISSION[1]));
    teller.transaction("commission", text, &executed, balance.actual)?;

    let (executed, cost) = actor.stake(model).await?;
    balance.settle(cost, actor.balance().await?);
    let text = format!("{} more", format::soma(MORE_STAKE));
    teller.transaction("stake", text, &executed, balance.actual)?;

    let models = actor.client.models(&ModelFilter::default()).await?;
    teller.step("list", format::count(models.len(), "model"))?;

    // What a validator does with it.
    let standing = actor.standing(&model).await?;
    let checks = vec![
        Held {
            check: "the model was committed after the commit",
            held: is(&committed, "Committed"),
        },
        Held { check: "the model was active after the reveal", held: is(&active, "Active") },
        Held { check: "the model is listed", held: models.iter().any(|listed| listed.id == model) },
        Held { check: "every balance is right to the shannon", held: balance.held },
        Held {
            check: "the first weights, fetched, verified and decrypted, are the file",
            held: actor.validate(&active, &plain, Version::First, workshop).await?,
        },
        Held {
            check: "the new weights, fetched, verified and decrypted, are the new ones",
            held: actor.validate(&standing, &plain, Version::Second, workshop).await?,
        },
    ];
    teller.step("validate", "fetched both URLs, compared sizes, checksums and contents")?;

    told.epoch = standing.clock.epoch;
    let info = Info::new(&standing);
    Ok(DemoReport {
        status: info.status.to_string().to_lowercase(),
        model_id: model,
        staking_pool_id: info.staking_pool_id,
        owner: address,
        balance: balance.actual,
        stake_balance: info.summary.stake_balance,
        network: told,
        weights: first.told(),
        updated_weights: second.told(),
        steps: Vec::new(),
        checks,
        duration_ms: 0.0,
    })
}

/// The owner, and all that he talks to.
struct Actor {
    client: Client,
    admin: Admin,
    storage: Storage,
    key: KeyPair,
    address: Address,
    files_url: String,
}

/// Encrypted weights at their URL.
struct Hosted {
    url: WeightsUrl,
    sealed: Measured,
    key: Key,
}

impl Hosted {
    fn reveal(&self, model: ObjectId, embedding: Vec<f32>) -> RevealPlan {
        let key = DecryptionKey::new(*self.key.as_bytes());
        RevealPlan::new(model, self.url.clone().into(), self.sealed, key, embedding)
    }

    fn told(&self) -> Published {
        let key = self.key.to_hex().to_string();
        Published::new(self.url.clone(), self.sealed.commitment, self.sealed.size, key)
    }
}

impl Actor {
    /// Encrypts a version of the file under a fresh key and uploads it under a name
    /// that nobody can guess.
    async fn publish(&self, plain: &Path, version: Version, workshop: &Path) -> Result<Hosted> {
        let name = hex::encode(ObjectId::random().as_bytes());
        let sealed_path = workshop.join(&name);
        let source = Weights::open(plain, version).map_err(file_error)?;
        let target = sealed_path.clone();
        let (key, sealed) = blocking(move || {
            let key = Key::generate()?;
            let input = Input::reader("the weights", source);
            let sealed = soma_crypto::seal(&key, input, Target::file(target), &Options::new())?;
            Ok((key, sealed))
        })
        .await?
        .map_err(|e: soma_crypto::Error| Failure::from_error("File", &e))?;

        let url: WeightsUrl = format!("{}/{name}.enc", self.files_url)
            .parse()
            .map_err(|e: soma_proto::Error| Failure::from_error("Url", &e))?;
        let sent = self.storage.put_file(url.as_url(), &sealed_path, |_| {}).await?;
        if sent.digest != sealed.digest {
            return Err(Failure::new("DigestMismatch", "the upload is not what was encrypted"));
        }
        std::fs::remove_file(&sealed_path).map_err(file_error)?;
        let commitment = Commitment::new(sealed.digest.into_inner());
        Ok(Hosted { url, sealed: Measured { commitment, size: sealed.size }, key })
    }

    fn host(&self) -> Host<'_> {
        Host { storage: &self.storage, scope: Scope::Local, depth: Depth::Everything }
    }

    async fn send(&self, prepared: Prepared) -> Result<Executed> {
        Ok(prepared.send(&self.client, &self.key, WAIT_TIMEOUT).await?)
    }

    /// Stakes on a model; gives what that costs too.
    async fn stake(&self, model: ObjectId) -> Result<(Executed, u64)> {
        let coins = self.client.coins(&self.address).await?;
        let rates = FeeRates::from(&self.client.parameters().await?);
        let purse = Purse::new(self.address, coins, rates);
        let payment = purse.stake(StakeTarget::Model(model), Some(MORE_STAKE), None, &[])?;
        let data = payment.into_transaction(self.address);
        let cost = cost(&data, rates);
        let executed = self.client.execute_and_wait(&data.sign(&self.key), WAIT_TIMEOUT).await?;
        match executed.effects.failure() {
            Some(failure) => Err(Failure::on_chain(failure, executed.digest)),
            None => Ok((executed, cost)),
        }
    }

    async fn balance(&self) -> Result<u64> {
        Ok(self.client.balance(&self.address).await?)
    }

    async fn standing(&self, model: &ObjectId) -> Result<Standing> {
        Ok(Standing::ask(&self.client, model).await?)
    }

    /// Fetches what the chain names, checks size and checksum, decrypts it with the
    /// key on chain, and compares it with what the owner had.
    async fn validate(
        &self,
        standing: &Standing,
        plain: &Path,
        version: Version,
        workshop: &Path,
    ) -> Result<bool> {
        let Some(revealed) = &standing.model.weights_manifest else { return Ok(false) };
        let manifest = &revealed.manifest;
        let path = workshop.join("fetched");
        let digest = (*manifest.checksum().inner()).into();
        let expected = Expected { size: manifest.size(), digest };
        let key = Key::from_bytes(*revealed.decryption_key.as_bytes());
        let url = manifest.url().as_url();
        self.storage.download_decrypted(url, &path, &expected, &key, |_| {}).await?;
        let plain = plain.to_owned();
        blocking(move || {
            let found = Weights::open(&path, Version::First)?;
            let same = weights::same(found, Weights::open(&plain, version)?)?;
            std::fs::remove_file(&path)?;
            Ok(same)
        })
        .await?
        .map_err(file_error)
    }
}

/// What the owner should have, worked out from stakes and the rules of the fees,
/// against what he has after each transaction.
struct Balance {
    expected: u64,
    actual: u64,
    held: bool,
}

impl Balance {
    const fn new(given: u64) -> Self {
        Self { expected: given, actual: given, held: true }
    }

    const fn settle(&mut self, cost: u64, actual: u64) {
        self.expected = self.expected.saturating_sub(cost);
        self.actual = actual;
        self.held &= self.expected == actual;
    }
}

/// What a step costs by the rules in force when it was prepared.
fn prepared_cost(prepared: &Prepared) -> u64 {
    cost(&prepared.data, FeeRates::from(&prepared.network.parameters))
}

/// What leaves the account, the fee included: whatever a node may say of it later.
/// The coins that a step names pay for it too.
fn cost(data: &TransactionData, rates: FeeRates) -> u64 {
    gas::cost(data.kind(), rates, |_| true, |_| None).needed()
}

fn is(standing: &Standing, status: &str) -> bool {
    standing.status.to_string() == status
}

/// A vector as training might give it: finite, not zero, of the network's length.
fn embedding(length: u64, seed: u64) -> Vec<f32> {
    (0..length).map(|i| ((i * 37 + seed * 11) % 101) as f32 / 100.0 - 0.5).collect()
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|e| Failure::new("System", format!("a worker thread ended: {e}")))
}

fn file_error(error: io::Error) -> Failure {
    Failure::new("File", error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_balance_is_not_made_good_by_the_next_one() {
        let mut balance = Balance::new(1_000);
        balance.settle(100, 900);
        assert!(balance.held);
        balance.settle(100, 801);
        balance.settle(100, 700);
        assert!(!balance.held && balance.expected == balance.actual);
    }

    #[test]
    fn fees_are_those_of_the_rules() {
        // Base fee and two objects; the value does not count.
        let rates = FeeRates { base_fee: 1_000, write_object_fee: 300, value_fee_bps: 10 };
        let model_id = ObjectId::ZERO;
        let kind = soma_proto::TransactionKind::SetModelCommissionRate { model_id, new_rate: 500 };
        assert_eq!(cost(&TransactionData::new(kind, Address::ZERO, Vec::new()), rates), 1_600);
    }
}
