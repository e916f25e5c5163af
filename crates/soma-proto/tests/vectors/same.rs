//! Compares our JSON with the notation of the vectors.
//!
//! The vectors write byte strings as hex, maps as lists of pairs, references
//! as objects, and leave version enums out. Our JSON is that of the network's
//! own types: Base64 for keys and signatures, numbers for byte strings.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Map, Value, json};

/// Whether both say the same, and nothing more.
pub(crate) fn same(ours: &Value, theirs: &Value) -> bool {
    match (ours, theirs) {
        (Value::Object(ours), _) if ours.len() == 1 && ours.contains_key("V1") => {
            same(&ours["V1"], theirs)
        }
        (Value::String(ours), Value::String(theirs)) => same_text(ours, theirs),
        (Value::Array(bytes), Value::String(hex)) => {
            let bytes: Option<Vec<u8>> =
                bytes.iter().map(|b| b.as_u64().and_then(|b| u8::try_from(b).ok())).collect();
            bytes.is_some_and(|bytes| hex::encode(bytes) == *hex)
        }
        // A signed transaction is a list of one.
        (Value::Array(ours), Value::Object(_)) if ours.len() == 1 => same(&ours[0], theirs),
        (Value::Array(ours), Value::Object(theirs)) => {
            let (Some(id), Some(version), Some(digest)) =
                (theirs.get("id"), theirs.get("version"), theirs.get("digest"))
            else {
                return false;
            };
            theirs.len() == 3 && *ours == [id.clone(), version.clone(), digest.clone()]
        }
        (Value::Array(ours), Value::Array(theirs)) => {
            ours.len() == theirs.len() && ours.iter().zip(theirs).all(|(a, b)| same(a, b))
        }
        (Value::Object(ours), Value::Array(pairs)) => same_map(ours, pairs),
        (Value::Object(ours), Value::Object(theirs)) => same_object(ours, theirs),
        _ => ours == theirs,
    }
}

fn same_text(ours: &str, theirs: &str) -> bool {
    let as_hex = |bytes: Result<Vec<u8>, _>| bytes.is_ok_and(|bytes| hex::encode(bytes) == theirs);
    ours == theirs || as_hex(STANDARD.decode(ours)) || as_hex(URL_SAFE_NO_PAD.decode(ours))
}

fn same_map(ours: &Map<String, Value>, pairs: &[Value]) -> bool {
    ours.len() == pairs.len()
        && pairs.iter().all(|pair| {
            let key = match &pair[0] {
                Value::String(key) => key.clone(),
                other => other.to_string(),
            };
            ours.iter().any(|(k, value)| same_text(k, &key) && same(value, &pair[1]))
        })
}

fn same_object(ours: &Map<String, Value>, theirs: &Map<String, Value>) -> bool {
    if theirs.contains_key("checksum_hex") {
        return same_manifest(ours, theirs);
    }
    if let Some(scheme) = theirs.get("scheme_index") {
        let theirs = theirs.iter().find(|(key, _)| *key != "scheme_index");
        return ours.len() == 1
            && *scheme == json!(0)
            && theirs.is_some_and(|(_, theirs)| same(&ours["Ed25519"], theirs));
    }
    ours.len() == theirs.len()
        && theirs.iter().all(|(key, value)| ours.get(key).is_some_and(|ours| same(ours, value)))
}

fn same_manifest(ours: &Map<String, Value>, theirs: &Map<String, Value>) -> bool {
    if let Some(inner) = ours.get("manifest") {
        return ours.len() == 1 && same(inner, &Value::Object(theirs.clone()));
    }
    let metadata = &ours["metadata"]["V1"];
    ours.len() == 2
        && theirs.len() == 3
        && ours["url"] == theirs["url"]
        && same(&metadata["checksum"], &theirs["checksum_hex"])
        && metadata["size"] == theirs["size"]
}

#[test]
fn differences_are_seen() {
    assert!(same(&json!({"V1": {"a": [1, 2]}}), &json!({"a": "0102"})));
    assert!(!same(&json!({"V1": {"a": [1, 2]}}), &json!({"a": "0103"})));
    assert!(!same(&json!({"a": 1, "b": 2}), &json!({"a": 1})));
    assert!(!same(&json!({"a": 1}), &json!({"a": 1, "b": 2})));
    assert!(!same(&json!("AQI="), &json!("0103")));
    assert!(!same(&json!({"7": 1}), &json!([[8, 1]])));
    assert!(!same(&json!(["0x1", 2, "a"]), &json!({"id": "0x1", "version": 3, "digest": "a"})));
}
