//! Writes the published vectors as seeds: `corpus/<target>/<number>`.
//!
//! From nothing a fuzzer needs hours to find the first valid transaction; from
//! these it starts at the interesting places.

use std::error::Error;
use std::fs;
use std::path::Path;

use prost::Message;
use serde_json::Value;
use soma_proto::checkpoint::{CertifiedCheckpointSummary, CheckpointContents};
use soma_proto::effects::TransactionEffects;
use soma_proto::grpc::convert::execute_request;
use soma_proto::grpc::{mask, pb};
use soma_proto::system_state::SystemState;
use soma_proto::{Object, SignedTransaction};

fn main() -> Result<(), Box<dyn Error>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let vectors = root.join("../crates/soma-proto/tests/data/vectors.json");
    let vectors: Value = serde_json::from_str(&fs::read_to_string(vectors)?)?;
    let corpus = root.join("corpus");
    let mut count = 0;
    let mut write = |target: &str, bytes: &[u8]| -> Result<(), Box<dyn Error>> {
        let folder = corpus.join(target);
        fs::create_dir_all(&folder)?;
        fs::write(folder.join(format!("seed-{count:03}")), bytes)?;
        count += 1;
        Ok(())
    };

    let header = r#"{"a":{"dtype":"F16","shape":[2,1],"data_offsets":[0,4]}}"#;
    let file = [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &[0; 4]].concat();
    write("weights", &file)?;
    let mut hash = soma_crypto::Blake2b256::new();
    hash.update(&file);
    write("weights", &hash.export_state().to_bytes())?;

    for entry in list(&vectors["transactions"]) {
        write("transaction", &bytes(&entry["tx_data_bcs_hex"])?)?;
        let signed = bytes(&entry["signed_tx_bcs_hex"])?;
        write("signed_transaction", &signed)?;
        for message in transaction_messages(&SignedTransaction::from_bcs(&signed)?) {
            write("messages", &message)?;
        }
        write("text", text(&entry["tx_digest_base58"]).as_bytes())?;
        write("text", text(&entry["signature_base64"]).as_bytes())?;
    }
    for entry in list(&vectors["objects"]) {
        let object = bytes(&entry["object_bcs_hex"])?;
        write("object", &object)?;
        write("messages", &pb::Object::from(&Object::from_bcs(&object)?).encode_to_vec())?;
    }
    for entry in list(&vectors["ledger_types"]) {
        let target = match text(&entry["type"]) {
            "Transaction" => "signed_transaction",
            "TransactionEffects" => "effects",
            "Object" => "object",
            "CertifiedCheckpointSummary" | "CheckpointContents" | "CheckpointInclusionProof" => {
                "checkpoint"
            }
            "SystemState" => "system_state",
            _ => continue,
        };
        let bcs = bytes(&entry["bcs_hex"])?;
        write(target, &bcs)?;
        if let Some(message) = message(text(&entry["type"]), &bcs)? {
            write("messages", &message)?;
        }
    }
    for paths in [
        &["*"][..],
        &["effects.status", "transaction.kind.transfer_coin.recipient"],
        &["committee", "protocol_config.protocol_version"],
        mask::FULL_OBJECT,
    ] {
        write("messages", &mask::field_mask(paths).encode_to_vec())?;
    }
    for (section, field) in [
        ("amount_text", "text"),
        ("id_parsing", "text"),
        ("digest_parsing", "text"),
        ("url_normalisation", "raw"),
        ("keypairs", "bech32_secret"),
        ("keypairs", "keystore_entry_base64"),
    ] {
        for entry in list(&vectors[section]) {
            write("text", text(&entry[field]).as_bytes())?;
        }
    }
    println!("{count} seeds in {}", corpus.display());
    Ok(())
}

/// A transaction, its signatures, and the request that submits it, unless
/// messages cannot express it.
fn transaction_messages(signed: &SignedTransaction) -> Vec<Vec<u8>> {
    let signatures = signed.signatures.iter();
    signatures
        .map(|signature| pb::UserSignature::from(signature).encode_to_vec())
        .chain([pb::Transaction::from(&signed.data).encode_to_vec()])
        .chain(execute_request(signed, &["effects"]).ok().map(|request| request.encode_to_vec()))
        .collect()
}

/// The message of a value that the chain keeps.
fn message(name: &str, bcs: &[u8]) -> soma_proto::Result<Option<Vec<u8>>> {
    Ok(Some(match name {
        "TransactionEffects" => {
            pb::TransactionEffects::from(&TransactionEffects::from_bcs(bcs)?).encode_to_vec()
        }
        "SystemState" => pb::SystemState::from(&SystemState::from_bcs(bcs)?).encode_to_vec(),
        "CheckpointContents" => {
            pb::CheckpointContents::from(&CheckpointContents::from_bcs(bcs)?).encode_to_vec()
        }
        "CertifiedCheckpointSummary" => {
            let certified = CertifiedCheckpointSummary::from_bcs(bcs)?;
            pb::CheckpointSummary::from(&certified.summary).encode_to_vec()
        }
        _ => return Ok(None),
    }))
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn bytes(value: &Value) -> Result<Vec<u8>, hex::FromHexError> {
    hex::decode(text(value))
}
