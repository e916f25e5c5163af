//! The database on a disk that fails: at every operation, one after the other.

use std::fs;

use soma_proto::{Address, KeyPair, SignedTransaction, TransactionData, TransactionKind};

use super::{FILE_NAME, OwnedKey, Store};
use crate::accounts::account_keys;
use crate::chain::{Chain, Opened};
use crate::{Error, LocalNetConfig};

const BOB: Address = Address::new([0xb0; 32]);

/// A payment of one shannon by the chain's state in memory.
fn payment(chain: &Chain, from: &KeyPair) -> SignedTransaction {
    let coin = chain.ledger().coins_of(&from.address())[0].reference();
    let kind = TransactionKind::TransferCoin { coin, amount: Some(1), recipient: BOB };
    TransactionData::new(kind, from.address(), vec![coin]).sign(from)
}

/// Executes and commits payments and, in between, an epoch change, until one
/// commit fails. Gives the payments that were acknowledged.
fn run(mut chain: Chain, store: &Store) -> (Vec<SignedTransaction>, bool) {
    let [alice, ..] = account_keys();
    let mut acknowledged = Vec::new();
    for round in 0..4 {
        let transaction = payment(&chain, &alice);
        let mut executions = vec![chain.ledger_mut().apply(&transaction).unwrap()];
        let now = chain.newest_timestamp_ms() + 1_000;
        if round == 2 {
            executions.push(chain.ledger_mut().change_epoch(now));
        }
        let sealed = chain.seal(executions, now);
        if chain.commit(store, &sealed).is_err() {
            return (acknowledged, false);
        }
        acknowledged.push(transaction);
    }
    (acknowledged, true)
}

#[test]
fn whatever_was_acknowledged_survives_a_disk_that_fails_anywhere() {
    let origin = tempfile::tempdir().unwrap();
    let config = LocalNetConfig::new().with_state_dir(origin.path()).with_embedding_dim(16);
    let Opened { store, .. } = Chain::open(&config, origin.path()).unwrap();
    store.close();

    let mut failures = 0;
    for operations in 0.. {
        let directory = tempfile::tempdir().unwrap();
        fs::copy(origin.path().join(FILE_NAME), directory.path().join(FILE_NAME)).unwrap();
        // Opening writes too, and may be where the disk fails.
        let (acknowledged, complete) = match Store::open_failing(directory.path(), operations) {
            Ok(store) => {
                let (chain, _) = Chain::read(&store.snapshot().unwrap()).unwrap();
                let outcome = run(chain, &store);
                store.close();
                outcome
            }
            Err(_) => (Vec::new(), false),
        };

        let store = Store::open(directory.path())
            .unwrap_or_else(|e| panic!("not readable after {operations} operations: {e}"));
        let snapshot = store.snapshot().unwrap();
        // Reading the chain compares money, system state and checkpoints.
        let (chain, _) = Chain::read(&snapshot)
            .unwrap_or_else(|e| panic!("inconsistent after {operations} operations: {e}"));
        for transaction in &acknowledged {
            let stored = snapshot.transaction(&transaction.digest()).unwrap();
            assert!(stored.is_some(), "lost a transaction after {operations} operations");
        }
        let paid = snapshot.balance(&BOB).unwrap();
        let least = acknowledged.len() as u64;
        assert!(
            paid == least || (!complete && paid == least + 1),
            "{paid} payments after {operations} operations, {least} were acknowledged"
        );
        let keys = OwnedKey::first(&BOB, None)..=OwnedKey::last(&BOB, None);
        assert_eq!(snapshot.owned(keys, usize::MAX).unwrap().len() as u64, paid);
        assert_eq!(chain.ledger().coins_of(&BOB).len() as u64, paid);
        if complete {
            break;
        }
        failures += 1;
    }
    assert!(failures > 20, "the disk failed only {failures} times");
}

#[test]
fn a_damaged_row_is_noticed_and_named() {
    let directory = tempfile::tempdir().unwrap();
    let config = LocalNetConfig::new().with_state_dir(directory.path());
    let Opened { store, .. } = Chain::open(&config, directory.path()).unwrap();
    let [alice, ..] = account_keys();
    let keys = OwnedKey::first(&alice.address(), None)..=OwnedKey::last(&alice.address(), None);
    let coin = store.snapshot().unwrap().owned(keys, 1).unwrap()[0].id();
    store.remove_object(&coin).unwrap();
    store.close();

    let Err(error) = Chain::open(&config, directory.path()) else { panic!("it was opened") };
    assert!(matches!(error, Error::Damaged { .. }), "{error}");
    let text = error.to_string();
    assert!(text.contains(FILE_NAME) && text.contains("shannons"), "{text}");
}

#[test]
fn another_format_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let config = LocalNetConfig::new().with_state_dir(directory.path());
    let Opened { store, .. } = Chain::open(&config, directory.path()).unwrap();
    store.set_format(99).unwrap();
    store.close();

    let Err(error) = Chain::open(&config, directory.path()) else { panic!("it was opened") };
    assert!(matches!(error, Error::Foreign { .. }), "{error}");
    assert!(error.to_string().contains("its format is 99"), "{error}");
}

impl Store {
    fn remove_object(&self, id: &soma_proto::ObjectId) -> crate::Result<()> {
        self.with(|database| {
            let transaction = database.begin_write().unwrap();
            transaction.open_table(super::tables::OBJECTS).unwrap().remove(id.inner()).unwrap();
            transaction.commit().unwrap();
            Ok(())
        })
    }

    fn set_format(&self, version: u32) -> crate::Result<()> {
        self.with(|database| {
            let transaction = database.begin_write().unwrap();
            let mut table = transaction.open_table(super::META).unwrap();
            table.insert(super::meta::FORMAT, &version.to_le_bytes()[..]).unwrap();
            drop(table);
            transaction.commit().unwrap();
            Ok(())
        })
    }
}
