//! What a node builds for a mask, and the bytes of what it builds.

use prost::Message as _;
use soma_proto::grpc::convert::{
    EpochView, ExecutedTransactionView, PROTOCOL_ATTRIBUTES, epoch_message,
    executed_transaction_message, object_message,
};
use soma_proto::grpc::mask::{
    DEFAULT_EPOCH, DEFAULT_OBJECT, FULL_OBJECT, MaskTree, Root, field_mask,
};
use soma_proto::grpc::pb;
use soma_proto::system_state::{SystemParameters, SystemState};
use soma_proto::{Address, Object, ObjectId, TransactionDigest};

use crate::loader::section;

fn coin() -> Object {
    Object::coin(ObjectId::new([1; 32]), 7, 500, Address::new([2; 32]), TransactionDigest::ZERO)
}

fn masked_coin(paths: &[&str]) -> pb::Object {
    let mask = MaskTree::validated(Some(&field_mask(paths)), DEFAULT_OBJECT, Root::Object).unwrap();
    object_message(&coin(), &mask)
}

fn system_state() -> SystemState {
    let entries = section("ledger_types").list();
    let entry = entries.iter().find(|entry| entry.at("type").text() == "SystemState").unwrap();
    SystemState::from_bcs(&entry.at("bcs_hex").hex()).unwrap()
}

fn masked_state(paths: &[&str]) -> pb::SystemState {
    let mask = MaskTree::validated(Some(&field_mask(paths)), DEFAULT_EPOCH, Root::Epoch).unwrap();
    let state = system_state();
    let view = EpochView { epoch: 4, system_state: Some(&state), ..EpochView::default() };
    epoch_message(&view, &mask).system_state.unwrap()
}

#[test]
fn a_zero_balance_is_written() {
    let response = pb::GetBalanceResponse { balance: Some(0) };
    assert_eq!(response.encode_to_vec(), [0x08, 0x00]);
}

#[test]
fn the_default_of_an_object_is_its_reference() {
    let message = masked_coin(DEFAULT_OBJECT);
    let expected = pb::Object {
        object_id: Some(format!("0x{}", "01".repeat(32))),
        version: Some(7),
        digest: Some(coin().digest().to_string()),
        ..Default::default()
    };
    assert_eq!(message, expected);
}

#[test]
fn an_empty_mask_gives_an_empty_object() {
    assert_eq!(masked_coin(&[]), pb::Object::default());
}

#[test]
fn a_path_below_an_owner_gives_the_whole_owner() {
    let owner = masked_coin(&["owner.kind"]).owner.unwrap();
    assert_eq!(owner.kind(), pb::owner::OwnerKind::Address);
    assert_eq!(owner.address(), "02".repeat(32));
}

#[test]
fn a_full_object_is_read_back() {
    let message = masked_coin(FULL_OBJECT);
    assert_eq!(message.contents(), 500_u64.to_le_bytes());
    assert_eq!(Object::try_from(message).unwrap(), coin());
}

#[test]
fn an_epoch_has_its_defaults_and_no_last_checkpoint() {
    let state = system_state();
    let view = EpochView {
        epoch: 4,
        system_state: Some(&state),
        first_checkpoint: Some(0),
        start_ms: Some(1_001),
        protocol_version: Some(1),
        ..EpochView::default()
    };
    let message = epoch_message(&view, &MaskTree::from_paths(DEFAULT_EPOCH));
    assert_eq!(message.epoch, Some(4));
    assert_eq!(message.first_checkpoint, Some(0));
    assert_eq!(message.start.unwrap().nanos, 1_000_000);
    let config = message.protocol_config.unwrap();
    assert_eq!(config.protocol_version, Some(1));
    assert!(config.attributes.is_empty() && message.system_state.is_none());
    assert_eq!((message.last_checkpoint, message.end), (None, None));

    let message = epoch_message(&view, &MaskTree::from_paths(&["protocol_config"]));
    let attributes = message.protocol_config.unwrap().attributes;
    assert_eq!(attributes.len(), PROTOCOL_ATTRIBUTES.len());
    assert_eq!(attributes["model_architecture_version"], "1");
}

#[test]
fn the_system_state_is_cut_down_two_levels() {
    assert_eq!(
        masked_state(&["system_state.epoch"]),
        pb::SystemState { epoch: Some(4), ..Default::default() }
    );

    let state = masked_state(&["system_state.parameters.model_min_stake"]);
    assert!(state.model_registry.is_none() && state.epoch.is_none());
    let expected = pb::SystemParameters {
        model_min_stake: Some(system_state().v1().parameters.model_min_stake),
        ..Default::default()
    };
    assert_eq!(state.parameters, Some(expected));

    let state =
        masked_state(&["system_state.parameters", "system_state.model_registry.total_model_stake"]);
    let parameters = SystemParameters::try_from(state.parameters.unwrap()).unwrap();
    assert_eq!(parameters, system_state().v1().parameters);
    let registry = state.model_registry.unwrap();
    assert!(registry.total_model_stake.is_some() && registry.active_models.is_empty());
}

#[test]
fn the_whole_system_state_comes_for_its_own_path() {
    let state = SystemState::try_from(masked_state(&["epoch", "system_state"])).unwrap();
    assert_eq!(state, system_state());
}

#[test]
fn an_executed_transaction_keeps_objects_for_those_who_ask_twice() {
    let coin = coin();
    let view = ExecutedTransactionView {
        checkpoint: Some(0),
        balance_changes: &[(Address::ZERO, -5)],
        objects: &[&coin, &coin],
        ..ExecutedTransactionView::new(TransactionDigest::ZERO)
    };
    let message =
        |paths: &[&str]| executed_transaction_message(&view, &MaskTree::from_paths(paths));

    let plain = message(&["effects", "balance_changes", "objects"]);
    assert_eq!(plain.objects, None);
    assert_eq!(plain.balance_changes[0].amount(), "-5");
    assert_eq!((plain.digest, plain.checkpoint), (None, None));

    let ids = message(&["objects.objects.object_id", "checkpoint"]);
    let expected = pb::Object { object_id: Some(coin.id().to_string()), ..Default::default() };
    assert_eq!(ids.objects.unwrap().objects, [expected]);
    assert_eq!(ids.checkpoint, Some(0));

    assert_eq!(message(&["*"]).objects.unwrap().objects, [pb::Object::from(&coin)]);
}
