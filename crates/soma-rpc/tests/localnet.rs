//! The client and a whole network in one process: what one side says the other
//! understands, and fees are what they were said to be.

use std::time::Duration;

use soma_localnet::{FAUCET_AMOUNT, LocalNet, LocalNetConfig};
use soma_proto::system_state::ModelStatus;
use soma_proto::transaction::CommitModel;
use soma_proto::{
    Address, Commitment, KeyPair, ObjectId, ObjectRef, TransactionData, TransactionKind,
};
use soma_rpc::gas::{self, Coin, FeeRates};
use soma_rpc::{Admin, Client, ClientBuilder, Executed, Faucet, ModelFilter, PoolOwner};

const ENOUGH: Duration = Duration::from_secs(20);

struct Owner {
    network: LocalNet,
    client: Client,
    key: KeyPair,
}

impl Owner {
    /// A fresh network and an owner with five coins from its faucet.
    async fn rich() -> Self {
        let config = LocalNetConfig::new().with_free_ports().with_epoch_duration_ms(3_600_000);
        let network = LocalNet::start(config).await.unwrap();
        let client = Client::new(network.rpc_url().unwrap()).unwrap();
        let key = KeyPair::generate();
        let faucet = Faucet::new(network.faucet_url().unwrap()).unwrap();
        let coins = faucet.request_amount(&key.address(), 5 * FAUCET_AMOUNT, |_| {}).await.unwrap();
        assert_eq!(coins.len(), 5);
        Self { network, client, key }
    }

    async fn coins(&self) -> Vec<Coin> {
        self.client.coins(&self.key.address()).await.unwrap()
    }

    async fn run(&self, kind: TransactionKind, payment: &[ObjectRef]) -> Executed {
        let data = TransactionData::new(kind, self.key.address(), payment.to_vec());
        let executed = self.client.execute_and_wait(&data.sign(&self.key), ENOUGH).await.unwrap();
        assert!(executed.checkpoint.is_some() && executed.timestamp_ms.is_some());
        executed
    }

    /// Runs a kind and compares what it took with what [`gas::cost`] said.
    async fn run_at_the_price_said(
        &self,
        kind: TransactionKind,
        payment: &[ObjectRef],
    ) -> Executed {
        let rates = FeeRates::from(&self.client.parameters().await.unwrap());
        let coins = self.coins().await;
        let mut worth: Vec<_> =
            coins.iter().map(|coin| (coin.reference.id(), coin.balance)).collect();
        for object in kind.owned_inputs() {
            if let Some(receipt) =
                self.client.object(&object.id()).await.unwrap().unwrap().as_staked_soma()
            {
                worth.push((object.id(), receipt.principal));
            }
        }
        let cost = gas::cost(
            &kind,
            rates,
            |id| payment.iter().any(|coin| coin.id() == id),
            |id| worth.iter().find(|(known, _)| *known == id).map(|(_, value)| *value),
        );
        let name = kind.name();
        let executed = self.run(kind, payment).await;
        assert!(executed.effects.is_success(), "{name}: {:?}", executed.effects);
        assert_eq!(executed.effects.v1().transaction_fee, cost.fee, "{name}");
        executed
    }
}

#[tokio::test]
async fn money_moves_at_the_price_said() {
    let owner = Owner::rich().await;
    let address = owner.key.address();
    assert_eq!(owner.client.balance(&address).await.unwrap(), 5 * FAUCET_AMOUNT);

    // More than two coins hold, so three pay, the first of them also the coin sent from.
    let recipient = Address::new([4; 32]);
    let amount = 2 * FAUCET_AMOUNT + 1;
    let rates = FeeRates::from(&owner.client.parameters().await.unwrap());
    let send = |coin| TransactionKind::TransferCoin { coin, amount: Some(amount), recipient };
    let coins = owner.coins().await;
    let cost = gas::cost(&send(coins[0].reference), rates, |_| true, |_| None);
    let chosen = gas::choose(coins, cost.needed()).unwrap();
    assert_eq!(chosen.len(), 3);
    let payment: Vec<_> = chosen.iter().map(|coin| coin.reference).collect();
    let executed = owner.run_at_the_price_said(send(payment[0]), &payment).await;
    assert_eq!(owner.client.balance(&recipient).await.unwrap(), amount);
    let spent = executed.balance_changes.iter().find(|change| change.address == address).unwrap();
    assert_eq!(spent.amount, -i128::from(cost.needed()));

    // Another coin than the one that pays: a part of it, then all of it.
    let coins = owner.coins().await;
    let (gas, other) = (coins[0], coins[1]);
    let part = TransactionKind::TransferCoin { coin: other.reference, amount: Some(7), recipient };
    owner.run_at_the_price_said(part, &[gas.reference]).await;
    let refreshed = |id: ObjectId| {
        let client = owner.client.clone();
        async move { client.object(&id).await.unwrap().unwrap().reference() }
    };
    let (gas_now, other_now) =
        (refreshed(gas.reference.id()).await, refreshed(other.reference.id()).await);
    let all = TransactionKind::TransferCoin { coin: other_now, amount: None, recipient };
    owner.run_at_the_price_said(all, &[gas_now]).await;

    let coins = owner.coins().await;
    let pay = TransactionKind::PayCoins {
        coins: vec![coins[0].reference],
        amounts: Some(vec![1_000_000, 2_000_000]),
        recipients: vec![recipient, address],
    };
    owner.run_at_the_price_said(pay, &[coins[0].reference]).await;
    owner.network.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_model_from_both_points_of_view() {
    let owner = Owner::rich().await;
    let client = &owner.client;
    let public = ClientBuilder::new(owner.network.rpc_url().unwrap())
        .with_public_calls_only()
        .build()
        .unwrap();
    let (model_id, staking_pool_id) = (ObjectId::random(), ObjectId::random());
    assert_eq!(client.model(&model_id).await.unwrap(), None);
    assert_eq!(client.pool(&staking_pool_id).await.unwrap(), None);

    let commit = TransactionKind::CommitModel(CommitModel {
        model_id,
        weights_url_commitment: Commitment::of("https://weights.example/x"),
        weights_commitment: Commitment::of("weights"),
        architecture_version: client.architecture_version().await.unwrap(),
        stake_amount: client.parameters().await.unwrap().model_min_stake,
        commission_rate: 500,
        staking_pool_id,
    });
    let gas = owner.coins().await[0].reference;
    let committed = owner.run_at_the_price_said(commit, &[gas]).await;
    let receipt = committed.effects.created().next().unwrap().reference;

    let stake = TransactionKind::AddStakeToModel {
        model_id,
        coin_ref: owner.coins().await[1].reference,
        amount: Some(5_000),
    };
    let gas = owner.coins().await[0].reference;
    owner.run_at_the_price_said(stake, &[gas]).await;

    // The narrow calls and the whole state say the same.
    let record = client.model(&model_id).await.unwrap().unwrap();
    assert_eq!(public.model(&model_id).await.unwrap().as_ref(), Some(&record));
    assert_eq!((record.status, record.model.owner), (ModelStatus::Committed, owner.key.address()));
    assert_eq!(record.model.commit_epoch, committed.effects.v1().executed_epoch);
    assert_eq!(record.clock.duration_ms, 3_600_000);
    for filter in [
        ModelFilter::default(),
        ModelFilter { owner: Some(owner.key.address()), status: Some(ModelStatus::Committed) },
        ModelFilter { owner: Some(Address::ZERO), status: None },
        ModelFilter { owner: None, status: Some(ModelStatus::Active) },
    ] {
        assert_eq!(
            client.models(&filter).await.unwrap(),
            public.models(&filter).await.unwrap(),
            "{filter:?}"
        );
    }
    assert_eq!(client.models(&ModelFilter::default()).await.unwrap().len(), 1);
    let validator =
        owner.client.system_state().await.unwrap().v1().validators.validators[0].clone();
    for (pool, whose) in [
        (staking_pool_id, Some(PoolOwner::Model(model_id))),
        (validator.staking_pool.id, Some(PoolOwner::Validator(validator.metadata.soma_address))),
        (ObjectId::ZERO, None),
    ] {
        assert_eq!(client.pool(&pool).await.unwrap(), whose);
        assert_eq!(public.pool(&pool).await.unwrap(), whose);
    }

    let gas = owner.coins().await[0].reference;
    owner
        .run_at_the_price_said(TransactionKind::WithdrawStake { staked_soma: receipt }, &[gas])
        .await;
    owner.network.shutdown().await.unwrap();
}

#[tokio::test]
async fn the_same_transaction_twice_is_one() {
    let owner = Owner::rich().await;
    let coin = owner.coins().await[0].reference;
    let kind = TransactionKind::TransferCoin { coin, amount: Some(1), recipient: Address::ZERO };
    let transaction = TransactionData::new(kind, owner.key.address(), vec![coin]).sign(&owner.key);

    let simulated = owner.client.simulate(&transaction.data).await.unwrap();
    assert_eq!(owner.client.transaction(&transaction.digest()).await.unwrap(), None);
    let first = owner.client.execute_and_wait(&transaction, ENOUGH).await.unwrap();
    assert_eq!(simulated.effects.v1().transaction_fee, first.effects.v1().transaction_fee);
    let balance = owner.client.balance(&owner.key.address()).await.unwrap();
    let second = owner.client.execute_and_wait(&transaction, ENOUGH).await.unwrap();
    assert_eq!(first, second);
    assert_eq!(owner.client.transaction(&transaction.digest()).await.unwrap(), Some(first));
    assert_eq!(owner.client.balance(&owner.key.address()).await.unwrap(), balance);

    // A coin that has been spent is refused at once, in the node's own words.
    let kind = TransactionKind::TransferCoin { coin, amount: Some(2), recipient: Address::ZERO };
    let stale = TransactionData::new(kind, owner.key.address(), vec![coin]).sign(&owner.key);
    let error = owner.client.execute_and_wait(&stale, ENOUGH).await.unwrap_err();
    assert_eq!(error.code(), Some(soma_rpc::Code::InvalidArgument), "{error}");
    owner.network.shutdown().await.unwrap();
}

#[tokio::test]
async fn the_node_its_epochs_and_its_checkpoints() {
    let owner = Owner::rich().await;
    let client = &owner.client;
    let info = client.service_info().await.unwrap();
    assert_eq!((info.chain.as_deref(), info.server_version()), (Some("localnet"), Some("0.1.0")));
    assert_eq!(client.chain_id().await.unwrap(), owner.network.chain_id());
    assert_eq!(client.protocol_version().await.unwrap(), 1);
    let genesis = client.checkpoint(Some(0)).await.unwrap();
    assert_eq!(genesis.summary.digest(), owner.network.chain_id());
    assert!(client.checkpoint(None).await.unwrap().summary.sequence_number >= 5);
    assert!(client.checkpoint(Some(u64::MAX)).await.unwrap_err().is_not_found());

    let state = client.system_state().await.unwrap();
    let epoch = client.epoch_info().await.unwrap();
    assert_eq!(epoch.parameters, state.v1().parameters);
    assert_eq!(
        (epoch.epoch, epoch.start_timestamp_ms),
        (state.v1().epoch, state.v1().epoch_start_timestamp_ms)
    );
    assert!(soma_rpc::scoring_health(owner.network.scoring_url().unwrap()).await.unwrap());
    let next = Admin::new(owner.network.admin_url()).unwrap().advance_epoch().await.unwrap();
    assert_eq!(next, epoch.epoch + 1);
    assert_eq!(client.epoch_info().await.unwrap().epoch, next);
    assert_eq!(client.wait_for_epoch(next, Duration::from_millis(20), ENOUGH).await.unwrap(), next);
    owner.network.shutdown().await.unwrap();
}
