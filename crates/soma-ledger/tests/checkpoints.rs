//! Checkpoints of executions: links, certificates, commitments.

#![allow(missing_docs, reason = "the names of the tests say what they check")]

use soma_ledger::checkpoint::{Checkpoint, CheckpointBuilder, LiveObjectSet};
use soma_ledger::{Checks, Execution, GenesisConfig, GenesisValidator, Ledger};
use soma_proto::bls::BlsKeyPair;
use soma_proto::checkpoint::CheckpointCommitment;
use soma_proto::committee::{CheckpointVerifier, Committee};
use soma_proto::merkle::{InclusionProof, artifacts_digest};
use soma_proto::{
    Address, KeyPair, Object, ObjectDigest, SignedTransaction, TransactionData, TransactionKind,
};

const NO_EXECUTIONS: &[Execution] = &[];

struct Chain {
    ledger: Ledger,
    builder: CheckpointBuilder,
    keys: Vec<BlsKeyPair>,
    first: Checkpoint,
}

fn alice() -> KeyPair {
    KeyPair::from_bytes([1; 32])
}

fn bob() -> Address {
    KeyPair::from_bytes([2; 32]).address()
}

fn chain(validators: u8) -> Chain {
    let keys: Vec<_> =
        (1..=validators).map(|n| BlsKeyPair::from_bytes(&[n; 32]).expect("a scalar")).collect();
    let validators = keys
        .iter()
        .zip(50..)
        .map(|(protocol_key, n)| {
            let key = KeyPair::from_bytes([n; 32]).public_key();
            GenesisValidator::new(key.address(), protocol_key, key, key)
        })
        .collect();
    let config = GenesisConfig::local(1_000, &[alice().address()], None, validators);
    let (ledger, genesis) = Ledger::genesis(&config).expect("a genesis");
    let (builder, first) = CheckpointBuilder::genesis(&ledger, &genesis, &keys);
    Chain { ledger, builder, keys, first }
}

impl Chain {
    fn pay(&self, amount: u64) -> SignedTransaction {
        // The smallest, hence the same coin each time.
        let coins = self.ledger.coins_of(&alice().address());
        let coin = coins.last().expect("a coin").reference();
        let kind = TransactionKind::TransferCoin { coin, amount: Some(amount), recipient: bob() };
        TransactionData::new(kind, alice().address(), vec![coin]).sign(&alice())
    }

    fn execute(&mut self, amount: u64) -> Execution {
        let transaction = self.pay(amount);
        self.ledger.apply(&transaction).expect("not rejected")
    }

    fn checkpoint(&mut self, executions: &[Execution], timestamp_ms: u64) -> Checkpoint {
        self.builder.build(executions, timestamp_ms, &self.ledger, &self.keys)
    }

    fn genesis_committee(&self) -> Committee {
        let state = self.ledger.system_state();
        Committee::from_validators(0, &state.validators.validators)
    }
}

#[test]
fn genesis_checkpoint() {
    let chain = chain(1);
    let summary = chain.first.summary();
    assert_eq!((summary.epoch, summary.sequence_number), (0, 0));
    assert_eq!(summary.network_total_transactions, 1);
    assert_eq!(summary.previous_digest, None);
    assert_eq!(summary.timestamp_ms, 1_000);
    assert!(summary.checkpoint_commitments.is_empty());
    assert_eq!(summary.content_digest, chain.first.contents.digest());
    assert!(chain.first.contents.user_signatures()[0].is_empty());
    chain.genesis_committee().verify(&chain.first.certified).expect("certified");
}

#[test]
fn a_client_can_follow_the_chain_through_epochs() {
    for validators in [1, 4] {
        let mut chain = chain(validators);
        let mut verifier = CheckpointVerifier::new(chain.genesis_committee());
        verifier.advance(&chain.first.certified).expect("genesis");
        for epoch in 0..3 {
            let executions = [chain.execute(1000), chain.execute(2000)];
            let ordinary = chain.checkpoint(&executions, 2_000 + epoch);
            verifier.advance(&ordinary.certified).expect("an ordinary checkpoint");
            assert_eq!(ordinary.summary().epoch, epoch);
            assert!(ordinary.summary().end_of_epoch_data.is_none());

            let change = chain.ledger.change_epoch(100_000 * (epoch + 1));
            let last = chain.checkpoint(&[change], 2_000 + epoch);
            verifier.advance(&last.certified).expect("the last of an epoch");
            assert_eq!(last.summary().epoch, epoch);
            let end = last.summary().end_of_epoch_data.as_ref().expect("the end of an epoch");
            assert_eq!(end.next_epoch_validator_committee.epoch, epoch + 1);
        }
        assert_eq!(chain.builder.tip().sequence_number, 6);
        assert_eq!(chain.builder.tip().network_total_transactions, 10);
    }
}

#[test]
fn a_minority_cannot_certify() {
    let mut chain = chain(4);
    let execution = chain.execute(1000);
    let minority = &chain.keys[..2].to_vec();
    let mut other = chain.builder.clone();
    let committee = chain.genesis_committee();
    let weak = other.build(std::slice::from_ref(&execution), 0, &chain.ledger, minority);
    assert!(committee.verify(&weak.certified).is_err());
    let quorum = &chain.keys[..3].to_vec();
    let strong = chain.builder.build(&[execution], 0, &chain.ledger, quorum);
    committee.verify(&strong.certified).expect("three of four are enough");
    assert_eq!(weak.summary(), strong.summary());
}

#[test]
fn fees_roll_until_the_epoch_ends() {
    let mut chain = chain(1);
    let fee = |checkpoint: &Checkpoint| {
        let fee = checkpoint.summary().epoch_rolling_transaction_fees;
        (fee.base_fee, fee.operation_fee, fee.value_fee, fee.total_fee)
    };
    // 1000 + 600 + 1 and 1000 + 600 + 2.
    let executions = [chain.execute(1000), chain.execute(2000)];
    assert_eq!(fee(&chain.checkpoint(&executions, 0)), (2000, 1200, 3, 3203));
    let executions = [chain.execute(3000)];
    assert_eq!(fee(&chain.checkpoint(&executions, 0)), (3000, 1800, 6, 4806));
    assert_eq!(fee(&chain.checkpoint(NO_EXECUTIONS, 0)), (3000, 1800, 6, 4806));
    let last = [chain.execute(4000), chain.ledger.change_epoch(5_000)];
    assert_eq!(fee(&chain.checkpoint(&last, 0)), (4000, 2400, 10, 6410));
    assert_eq!(fee(&chain.checkpoint(NO_EXECUTIONS, 0)), (0, 0, 0, 0));
}

#[test]
fn time_never_runs_backwards() {
    let mut chain = chain(1);
    assert_eq!(chain.checkpoint(NO_EXECUTIONS, 7_000).summary().timestamp_ms, 7_000);
    assert_eq!(chain.checkpoint(NO_EXECUTIONS, 6_000).summary().timestamp_ms, 7_000);
}

#[test]
fn commitments_cover_what_was_written() {
    let mut chain = chain(1);
    let executions = [chain.execute(1000), chain.execute(2000)];
    let checkpoint = chain.checkpoint(&executions, 0);
    // The payer was written twice and counts once, in its last state.
    let mut states: Vec<_> = executions
        .iter()
        .flat_map(|execution| &execution.written)
        .map(|object| chain.ledger.object(&object.id()).expect("live").reference())
        .map(|reference| (reference.id(), reference.version(), reference.digest()))
        .collect();
    states.sort();
    states.dedup();
    assert_eq!(states.len(), 3);
    let expected = CheckpointCommitment::Artifacts(artifacts_digest(&states));
    assert_eq!(checkpoint.summary().checkpoint_commitments, [expected]);

    let change = chain.ledger.change_epoch(5_000);
    let last = chain.checkpoint(&[change], 0);
    let mut live = LiveObjectSet::default();
    let state: ObjectDigest = chain.ledger.state_reference().digest();
    for digest in chain.ledger.objects().map(Object::digest).chain([state]) {
        live.insert(&digest);
    }
    let end = last.summary().end_of_epoch_data.as_ref().expect("the end of an epoch");
    assert_eq!(end.epoch_commitments, [CheckpointCommitment::LiveObjectSet(live.digest())]);
}

#[test]
fn every_transaction_can_be_proved() {
    let mut chain = chain(1);
    let executions = [chain.execute(1), chain.execute(2), chain.execute(3)];
    let checkpoint = chain.checkpoint(&executions, 0);
    for (index, execution) in executions.iter().enumerate() {
        let transactions = checkpoint.contents.transactions();
        let proof = InclusionProof::new(transactions, index).expect("in the checkpoint");
        assert_eq!(proof.leaf.transaction, execution.transaction.digest());
        assert_eq!(proof.leaf.effects, execution.effects.digest());
        proof.verify(&checkpoint.summary().content_digest).expect("a proof");
        let signatures = &checkpoint.contents.user_signatures()[index];
        assert_eq!(*signatures, execution.transaction.signatures);
    }
}

#[test]
fn a_restored_builder_goes_on() {
    let mut chain = chain(1);
    let execution = chain.execute(1000);
    chain.checkpoint(&[execution], 0);
    let mut restored =
        CheckpointBuilder::restore(*chain.builder.tip(), &chain.ledger).expect("a tip");
    let executions = [chain.execute(2000), chain.ledger.change_epoch(99_000)];
    let expected = chain.checkpoint(&executions, 3_000);
    let found = restored.build(&executions, 3_000, &chain.ledger, &chain.keys);
    assert_eq!(found, expected);

    let mut broken = *chain.builder.tip();
    broken.live_objects = [0xff; 32];
    assert!(CheckpointBuilder::restore(broken, &chain.ledger).is_err());
}

#[test]
fn simulation_finds_gas_by_itself() {
    let mut chain = chain(1);
    let coins = chain.ledger.coins_of(&alice().address());
    let coin = coins[0].reference();
    let kind = TransactionKind::TransferCoin { coin, amount: Some(5), recipient: bob() };
    let data = TransactionData::new(kind.clone(), alice().address(), Vec::new());
    let state = chain.ledger.clone();

    // The four other coins pay, the largest and among equals the smallest id first.
    let done = chain.ledger.simulate(&data, Checks::Enabled).expect("not rejected");
    assert!(done.is_success());
    let gas = done.transaction.data.gas_payment();
    let others: Vec<_> = coins_without(&state, coin.id());
    assert_eq!(gas, others);
    assert_eq!(done.deleted.len(), 3);

    // With checks off, or without coins, one is made up.
    let pretend = [0xff; 32].into();
    let done = chain.ledger.simulate(&data, Checks::Disabled).expect("not rejected");
    assert!(done.is_success());
    assert_eq!(done.transaction.data.gas_payment()[0].id(), pretend);
    let stranger = KeyPair::from_bytes([9; 32]).address();
    let kind = TransactionKind::DeactivateModel { model_id: pretend };
    let data = TransactionData::new(kind, stranger, Vec::new());
    let done = chain.ledger.simulate(&data, Checks::Enabled).expect("not rejected");
    assert_eq!(done.transaction.data.gas_payment()[0].id(), pretend);
    assert_eq!(done.effects.failure().map(|failure| failure.name()), Some("ModelNotActive"));

    assert!(chain.ledger.objects().eq(state.objects()));
    assert_eq!(chain.ledger.state_reference(), state.state_reference());
    assert!(chain.ledger.object(&pretend).is_none());
}

fn coins_without(ledger: &Ledger, id: soma_proto::ObjectId) -> Vec<soma_proto::ObjectRef> {
    let coins = ledger.coins_of(&alice().address());
    coins.into_iter().map(Object::reference).filter(|coin| coin.id() != id).collect()
}
