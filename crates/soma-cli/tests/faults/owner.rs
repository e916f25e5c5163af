//! Owners of models, and what they pay.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use soma_localnet::account_keys;
use soma_model::StateFolder;
use soma_model::state::Sent;
use soma_proto::{KeyPair, ObjectId, TransactionData, TransactionKind};
use soma_rpc::Client;

use crate::model::{Model, rounds};
use crate::step::Step;
use crate::world::World;

/// The stake of every model, in shannons.
pub(crate) const STAKE: u64 = 1_000_000_000;

/// Small coins that an owner may begin with, and what is in each, in shannons: enough
/// for the fees of many reveals, so that none has to be made.
const SMALL_COINS: (usize, u64) = (8, 150_000);

/// What is in a coin that is made for reveals, in shannons.
const PIECE: u64 = 32_000;

/// An account with a wallet of its own and money.
pub(crate) struct Owner {
    pub(crate) key: KeyPair,
    pub(crate) home: PathBuf,
    before: u64,
    /// The fees of transactions that made coins for reveals.
    paid_for_coins: AtomicU64,
}

impl Owner {
    /// One of the five accounts that a local network begins with, and some small coins.
    pub(crate) fn new(world: &World, number: usize) -> Self {
        world.runtime.block_on(make_small_coins(&world.client, &account_keys()[number]));
        Self::with_large_coins(world, number)
    }

    /// The same without small coins: every model has one made for its reveals.
    pub(crate) fn with_large_coins(world: &World, number: usize) -> Self {
        let key = account_keys()[number].clone();
        let home = world.folder.path().join(format!("owner-{number}"));
        fs::create_dir_all(&home).unwrap();
        fs::write(home.join("secret"), key.to_hex().as_bytes()).unwrap();
        let before = world.runtime.block_on(world.client.balance(&key.address())).unwrap();
        let owner = Self { key, home, before, paid_for_coins: AtomicU64::new(0) };
        let mut import = owner.command(world, &owner.home);
        import.args(["-y", "wallet", "import", "--file"]).arg(owner.home.join("secret"));
        let output = import.output().unwrap();
        assert!(output.status.success(), "{output:?}");
        owner
    }

    /// The folder of state files where no other is asked for.
    pub(crate) fn states(&self) -> StateFolder {
        StateFolder::new(self.home.join("config/models"))
    }

    /// What is left to do after a step of a model.
    pub(crate) fn follow(&self, world: &World, model: &Model, step: Step) {
        match step {
            Step::Prepare | Step::PrepareUpdate => model.upload(world),
            Step::Publish(_) => self.note_coin(world, model.coin()),
            _ => {}
        }
    }

    /// Notes what it cost to make a model's coin, as long as it has not paid for anything.
    fn note_coin(&self, world: &World, coin: ObjectId) {
        let made = async {
            let coin = world.client.object(&coin).await.unwrap().unwrap();
            world.client.transaction(&coin.previous_transaction).await.unwrap().unwrap()
        };
        let fee = world.runtime.block_on(made).effects.v1().transaction_fee.total_fee;
        self.paid_for_coins.fetch_add(fee, Ordering::Relaxed);
    }

    /// Whether a coin was made for reveals, and no state file knows it.
    pub(crate) fn has_lost_coin(&self, world: &World) -> bool {
        let coins = world.runtime.block_on(world.client.coins(&self.key.address())).unwrap();
        let made = coins.iter().filter(|coin| coin.balance <= PIECE).count();
        made > self.states().set_aside().unwrap().len()
    }

    pub(crate) fn command(&self, world: &World, folder: &Path) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_soma"));
        command
            .current_dir(folder)
            .env_clear()
            .env("SOMA_CONFIG_DIR", self.home.join("config"))
            .env("SOMA_RPC_URL", world.rpc_url());
        command
    }

    /// What was paid must be one stake for each model and the fees of its
    /// transactions, and of the one that made a coin for its reveals if it had to be
    /// made: whatever was paid twice would be missing.
    pub(crate) fn settle(&self, world: &World, models: &[Model]) {
        let fee = |sent: Option<&Sent>| {
            let executed = world.executed(sent).expect("it is on file and on the chain");
            assert!(executed.effects.is_success());
            executed.effects.v1().transaction_fee.total_fee
        };
        let mut paid = self.paid_for_coins.load(Ordering::Relaxed);
        for model in models {
            let state = model.state().expect("it is there");
            paid += STAKE;
            for round in rounds(&state) {
                paid += fee(round.commit.as_ref()) + fee(round.reveal.as_ref());
            }
        }
        let now = world.runtime.block_on(world.client.balance(&self.key.address())).unwrap();
        assert_eq!(self.before - now, paid, "one stake for each of {} models", models.len());
    }
}

/// Divides a coin, so that every commit finds a small one to set aside.
async fn make_small_coins(client: &Client, key: &KeyPair) {
    let (count, amount) = SMALL_COINS;
    let owner = key.address();
    let coin = client.coins(&owner).await.unwrap()[0].reference;
    let (amounts, recipients) = (Some(vec![amount; count]), vec![owner; count]);
    let kind = TransactionKind::PayCoins { coins: vec![coin], amounts, recipients };
    let signed = TransactionData::new(kind, owner, vec![coin]).sign(key);
    let executed = client.execute_and_wait(&signed, Duration::from_secs(60)).await.unwrap();
    assert!(executed.effects.is_success());
}
