//! Transactions built from their inputs, signed, and compared byte for byte.

use soma_proto::transaction::{
    AddValidator, CommitModel, CommitModelUpdate, RevealModel, SubmitData, UpdateValidatorMetadata,
};
use soma_proto::{
    Checksum, Commitment, DecryptionKey, KeyPair, Manifest, ModelWeightsManifest, ObjectRef,
    SignedTransaction, SubmissionManifest, Tensor, TransactionData, TransactionKind,
};

use crate::loader::{Entry, for_each, section};

#[test]
fn transactions() {
    for_each("transactions", 40, |entry| {
        let inputs = entry.at("inputs");
        let kind = kind(entry.at("builder").text(), inputs);
        assert_eq!(kind.name(), entry.at("kind").text());

        let key = key(entry.at("sender_keypair").text());
        let gas = vec![reference(inputs.at("gas"))];
        let data = TransactionData::new(kind, entry.at("sender").parse(), gas);
        let bytes = entry.at("tx_data_bcs_hex").hex();
        assert_eq!(hex::encode(data.to_bcs()), hex::encode(&bytes));
        assert_eq!(bytes[1], entry.at("kind_index").number() as u8);
        assert_eq!(TransactionData::from_bcs(&bytes).unwrap(), data);

        assert_eq!(data.digest().to_string(), entry.at("tx_digest_base58").text());
        assert_eq!(data.digest().as_bytes(), entry.at("tx_digest_hex").hex());
        assert_eq!(data.signing_hash().as_slice(), entry.at("signing_hash_hex").hex());

        let signed = data.sign(&key);
        assert_eq!(signed.intent.to_string(), entry.at("intent_hex").text());
        assert_eq!(signed.signatures[0].to_bytes(), entry.at("signature_hex").hex());
        assert_eq!(signed.signatures[0].to_string(), entry.at("signature_base64").text());
        let signed_bytes = entry.at("signed_tx_bcs_hex").hex();
        assert_eq!(hex::encode(signed.to_bcs()), hex::encode(&signed_bytes));
        assert_eq!(SignedTransaction::from_bcs(&signed_bytes).unwrap(), signed);
        signed.verify().unwrap();
    });
}

fn key(name: &str) -> KeyPair {
    let keys = section("keypairs").list();
    let entry = keys.iter().find(|key| key.at("name").text() == name).expect("a known key");
    KeyPair::from_hex(entry.at("secret_key_hex").text()).unwrap()
}

fn reference(entry: Entry) -> ObjectRef {
    ObjectRef(entry.at("id").parse(), entry.at("version").number(), entry.at("digest").parse())
}

fn references(entry: Entry) -> Vec<ObjectRef> {
    entry.list().into_iter().map(reference).collect()
}

fn commitment(entry: Entry) -> Commitment {
    Commitment::from_hex_or_base58(entry.text()).unwrap()
}

fn embedding(inputs: Entry) -> Tensor {
    let bytes = inputs.at("embedding_f32_le_hex").hex();
    let floats: Vec<f32> =
        bytes.chunks(4).map(|four| f32::from_le_bytes(four.try_into().unwrap())).collect();
    Tensor::vector(&floats)
}

fn manifest(inputs: Entry, what: &str) -> Manifest {
    let checksum: Checksum = inputs.at(&format!("{what}_checksum")).parse();
    let url = inputs.at(&format!("{what}_url")).parse();
    Manifest::new(url, checksum, inputs.at(&format!("{what}_size")).number())
}

fn reveal(inputs: Entry) -> RevealModel {
    RevealModel {
        model_id: inputs.at("model_id").parse(),
        weights_manifest: ModelWeightsManifest {
            manifest: manifest(inputs, "weights"),
            decryption_key: DecryptionKey::from_hex_or_base58(inputs.at("decryption_key").text())
                .unwrap(),
        },
        embedding: embedding(inputs),
    }
}

fn kind(builder: &str, inputs: Entry) -> TransactionKind {
    let id = |key: &str| inputs.at(key).parse();
    let amount = inputs.optional("amount").map(|amount| amount.number());
    let bytes = |key: &str| inputs.at(key).hex();
    let maybe_bytes = |key: &str| inputs.optional(key).map(|entry| entry.hex());
    match builder {
        "transfer_coin" => TransactionKind::TransferCoin {
            coin: reference(inputs.at("coin")),
            amount,
            recipient: inputs.at("recipient").parse(),
        },
        "transfer_objects" => TransactionKind::TransferObjects {
            objects: references(inputs.at("objects")),
            recipient: inputs.at("recipient").parse(),
        },
        "pay_coins" => TransactionKind::PayCoins {
            coins: references(inputs.at("coins")),
            amounts: inputs
                .optional("amounts")
                .map(|amounts| amounts.list().into_iter().map(Entry::number).collect()),
            recipients: inputs.at("recipients").list().into_iter().map(Entry::parse).collect(),
        },
        "add_stake" => TransactionKind::AddStake {
            address: inputs.at("validator").parse(),
            coin_ref: reference(inputs.at("coin")),
            amount,
        },
        "withdraw_stake" => {
            TransactionKind::WithdrawStake { staked_soma: reference(inputs.at("staked_soma")) }
        }
        "add_stake_to_model" => TransactionKind::AddStakeToModel {
            model_id: id("model_id"),
            coin_ref: reference(inputs.at("coin")),
            amount,
        },
        "commit_model" => TransactionKind::CommitModel(CommitModel {
            model_id: id("model_id"),
            weights_url_commitment: commitment(inputs.at("weights_url_commitment")),
            weights_commitment: commitment(inputs.at("weights_commitment")),
            architecture_version: 1,
            stake_amount: inputs.at("stake_amount").number(),
            commission_rate: inputs.at("commission_rate").number(),
            staking_pool_id: id("staking_pool_id"),
        }),
        "reveal_model" => TransactionKind::RevealModel(reveal(inputs)),
        "commit_model_update" => TransactionKind::CommitModelUpdate(CommitModelUpdate {
            model_id: id("model_id"),
            weights_url_commitment: commitment(inputs.at("weights_url_commitment")),
            weights_commitment: commitment(inputs.at("weights_commitment")),
        }),
        "reveal_model_update" => TransactionKind::RevealModelUpdate(reveal(inputs)),
        "deactivate_model" => TransactionKind::DeactivateModel { model_id: id("model_id") },
        "set_model_commission_rate" => TransactionKind::SetModelCommissionRate {
            model_id: id("model_id"),
            new_rate: inputs.at("new_rate").number(),
        },
        "report_model" => TransactionKind::ReportModel { model_id: id("model_id") },
        "undo_report_model" => TransactionKind::UndoReportModel { model_id: id("model_id") },
        "submit_data" => TransactionKind::SubmitData(SubmitData {
            target_id: id("target_id"),
            data_commitment: commitment(inputs.at("data_commitment")),
            data_manifest: SubmissionManifest { manifest: manifest(inputs, "data") },
            model_id: id("model_id"),
            embedding: embedding(inputs),
            distance_score: Tensor::scalar(inputs.at("distance_score").0.as_f64().unwrap() as f32),
            bond_coin: reference(inputs.at("bond_coin")),
        }),
        "claim_rewards" => TransactionKind::ClaimRewards { target_id: id("target_id") },
        "report_submission" => TransactionKind::ReportSubmission {
            target_id: id("target_id"),
            challenger: inputs.optional("challenger").map(Entry::parse),
        },
        "undo_report_submission" => {
            TransactionKind::UndoReportSubmission { target_id: id("target_id") }
        }
        "initiate_challenge" => TransactionKind::InitiateChallenge {
            target_id: id("target_id"),
            bond_coin: reference(inputs.at("bond_coin")),
        },
        "report_challenge" => TransactionKind::ReportChallenge { challenge_id: id("challenge_id") },
        "undo_report_challenge" => {
            TransactionKind::UndoReportChallenge { challenge_id: id("challenge_id") }
        }
        "claim_challenge_bond" => {
            TransactionKind::ClaimChallengeBond { challenge_id: id("challenge_id") }
        }
        "set_commission_rate" => {
            TransactionKind::SetCommissionRate { new_rate: inputs.at("new_rate").number() }
        }
        "report_validator" => {
            TransactionKind::ReportValidator { reportee: inputs.at("reportee").parse() }
        }
        "undo_report_validator" => {
            TransactionKind::UndoReportValidator { reportee: inputs.at("reportee").parse() }
        }
        "remove_validator" => {
            TransactionKind::RemoveValidator { pubkey_bytes: bytes("pubkey_bytes") }
        }
        "add_validator" => TransactionKind::AddValidator(AddValidator {
            pubkey_bytes: bytes("pubkey_bytes"),
            network_pubkey_bytes: bytes("network_pubkey_bytes"),
            worker_pubkey_bytes: bytes("worker_pubkey_bytes"),
            proof_of_possession: bytes("proof_of_possession"),
            net_address: bytes("net_address"),
            p2p_address: bytes("p2p_address"),
            primary_address: bytes("primary_address"),
            proxy_address: bytes("proxy_address"),
        }),
        "update_validator_metadata" => {
            TransactionKind::UpdateValidatorMetadata(UpdateValidatorMetadata {
                next_epoch_network_address: maybe_bytes("next_epoch_network_address"),
                next_epoch_p2p_address: maybe_bytes("next_epoch_p2p_address"),
                next_epoch_primary_address: maybe_bytes("next_epoch_primary_address"),
                next_epoch_proxy_address: maybe_bytes("next_epoch_proxy_address"),
                next_epoch_protocol_pubkey: maybe_bytes("next_epoch_protocol_pubkey"),
                next_epoch_worker_pubkey: maybe_bytes("next_epoch_worker_pubkey"),
                next_epoch_network_pubkey: maybe_bytes("next_epoch_network_pubkey"),
                next_epoch_proof_of_possession: maybe_bytes("next_epoch_proof_of_possession"),
            })
        }
        other => panic!("unknown builder {other}"),
    }
}
