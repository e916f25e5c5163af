//! The network is killed in the middle of its work, twenty times in a row.

use std::collections::BTreeMap;
use std::time::Duration;

use soma_proto::{
    Address, KeyPair, ObjectRef, SignedTransaction, TransactionData, TransactionDigest,
    TransactionKind,
};
use soma_rpc::{Client, Executed};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::process::Network;

const KILLS: u64 = 20;

/// Longer than any answer takes on a busy machine.
const SOON: Duration = Duration::from_secs(20);

/// A stream of payments from one coin, each following from the one before.
struct Stream {
    key: KeyPair,
    coin: ObjectRef,
    recipient: Address,
    /// Shannons of the next payment; every one is another amount.
    amount: u64,
    /// Sent, and not known to be executed.
    open: Option<SignedTransaction>,
}

impl Stream {
    /// Pays until the network is gone. Every acknowledged payment is told.
    async fn pay(
        mut self,
        url: String,
        told: UnboundedSender<(TransactionDigest, u64)>,
        mut killed: watch::Receiver<bool>,
    ) -> Self {
        let client = Client::new(url).unwrap();
        loop {
            let signed = self.open.take().unwrap_or_else(|| self.next());
            let result = tokio::select! {
                result = client.execute(&signed) => Some(result),
                // The client would go on asking for a while.
                _ = killed.changed() => None,
            };
            let executed = match result {
                Some(Ok(executed)) => executed,
                lost => {
                    if let Some(Err(error)) = lost {
                        let end = timeout(SOON, killed.wait_for(|killed| *killed)).await;
                        assert!(end.is_ok(), "the network is alive and refused: {error}");
                    }
                    self.open = Some(signed);
                    return self;
                }
            };
            assert!(executed.effects.is_success());
            told.send((executed.digest, self.amount)).unwrap();
            self.done(&executed);
        }
    }

    fn next(&self) -> SignedTransaction {
        let kind = TransactionKind::TransferCoin {
            coin: self.coin,
            amount: Some(self.amount),
            recipient: self.recipient,
        };
        TransactionData::new(kind, self.key.address(), vec![self.coin]).sign(&self.key)
    }

    fn done(&mut self, executed: &Executed) {
        let (_, coin) = executed.effects.gas_object().unwrap();
        self.coin = coin.unwrap().reference;
        self.amount += 1;
    }

    /// Finds out what became of the payment that was under way.
    async fn settle(&mut self, client: &Client) -> Option<(TransactionDigest, u64)> {
        let digest = self.open.as_ref()?.digest();
        let executed = client.transaction(&digest).await.unwrap()?;
        self.open = None;
        let amount = self.amount;
        self.done(&executed);
        Some((digest, amount))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_and_nothing_happens_twice() {
    let folder = tempfile::tempdir().unwrap();
    let kept = ["--network.config", folder.path().to_str().unwrap()];
    // Short epochs: some of the kills hit their change.
    let fresh = [&kept[..], &["--epoch-duration-ms", "700"]].concat();
    let mut network = Network::start(&fresh);
    let mut client = Client::new(network.text("rpc_url")).unwrap();
    let recipients: Vec<_> = (1..=5).map(|n| Address::new([n; 32])).collect();
    let mut streams = Vec::new();
    for (key, recipient) in soma_wallet::development::keys().into_iter().zip(&recipients) {
        let coin = client.coins(&key.address()).await.unwrap()[0].reference;
        streams.push(Stream { key, coin, recipient: *recipient, amount: 1, open: None });
    }

    let mut executed = BTreeMap::new();
    let mut epoch = 0;
    for round in 1..=KILLS {
        let (tell, mut told) = unbounded_channel();
        let (kill, killed) = watch::channel(false);
        let mut running = JoinSet::new();
        for stream in streams.drain(..) {
            let url = network.text("rpc_url").to_owned();
            running.spawn(stream.pay(url, tell.clone(), killed.clone()));
        }
        drop(tell);
        // However slow the machine is: something is acknowledged before the kill.
        let first = timeout(SOON, told.recv()).await.ok().flatten();
        let first = first.unwrap_or_else(|| panic!("nothing was paid in round {round}"));
        tokio::time::sleep(Duration::from_millis(150 + round * 37 % 400)).await;
        network.kill();
        kill.send_replace(true);
        streams = running.join_all().await;
        let mut acknowledged = vec![first];
        while let Ok(payment) = told.try_recv() {
            acknowledged.push(payment);
        }

        network = Network::start(&kept);
        client = Client::new(network.text("rpc_url")).unwrap();
        for (digest, amount) in acknowledged {
            let found = client.transaction(&digest).await.unwrap();
            let found = found.unwrap_or_else(|| panic!("{digest} was acknowledged and is lost"));
            assert!(found.checkpoint.is_some(), "{digest} is in no checkpoint");
            assert!(executed.insert(digest, amount).is_none());
        }
        for stream in &mut streams {
            if let Some((digest, amount)) = stream.settle(&client).await {
                executed.insert(digest, amount);
            }
        }
        let mut paid = 0;
        for recipient in &recipients {
            paid += client.balance(recipient).await.unwrap();
        }
        assert_eq!(paid, executed.values().sum::<u64>(), "round {round}: each payment once");
        let now = client.epoch().await.unwrap();
        assert!(now >= epoch, "the epoch went back from {epoch} to {now}");
        epoch = now;
    }
    assert!(epoch >= 3, "epochs go on: {epoch}");
    client
        .wait_for_epoch(epoch + 1, Duration::from_millis(50), Duration::from_secs(20))
        .await
        .unwrap();
    println!("{} payments, {epoch} epochs, {KILLS} kills", executed.len());
}
