//! Writes the published vectors as seeds: `corpus/<target>/<number>`.
//!
//! From nothing a fuzzer needs hours to find the first valid transaction; from
//! these it starts at the interesting places.

use std::error::Error;
use std::fs;
use std::path::Path;

use serde_json::Value;

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

    for entry in list(&vectors["transactions"]) {
        write("transaction", &bytes(&entry["tx_data_bcs_hex"])?)?;
        write("signed_transaction", &bytes(&entry["signed_tx_bcs_hex"])?)?;
        write("text", text(&entry["tx_digest_base58"]).as_bytes())?;
        write("text", text(&entry["signature_base64"]).as_bytes())?;
    }
    for entry in list(&vectors["objects"]) {
        write("object", &bytes(&entry["object_bcs_hex"])?)?;
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
        write(target, &bytes(&entry["bcs_hex"])?)?;
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

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn bytes(value: &Value) -> Result<Vec<u8>, hex::FromHexError> {
    hex::decode(text(value))
}
