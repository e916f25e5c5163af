//! Keys, phrases and account names of the published client.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use soma_proto::KeyPair;
use soma_wallet::{DerivationPath, Error, Identity, Keystore, Mnemonic, keytool, secret};

fn vectors() -> Value {
    serde_json::from_str(include_str!("data/keys.json")).expect("vectors are JSON")
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_else(|| panic!("{field} in {value}"))
}

fn list<'a>(vectors: &'a Value, name: &str) -> &'a [Value] {
    let list = vectors[name].as_array().expect("a list");
    assert!(!list.is_empty());
    list
}

#[test]
fn phrases_lead_to_their_keys() {
    let vectors = vectors();
    let mut lengths = Vec::new();
    for case in list(&vectors, "keypairs").iter().filter(|case| case["source"] == "mnemonic") {
        let path: DerivationPath = text(case, "derivation_path").parse().unwrap();
        let mnemonic: Mnemonic = text(case, "mnemonic").parse().unwrap();
        let key = mnemonic.key(&path);
        assert_eq!(*key.to_hex(), text(case, "secret_key_hex"));
        assert_eq!(key.address().to_string(), text(case, "address"));
        assert_eq!(*mnemonic.phrase(), text(case, "mnemonic"));
        let blanks = text(case, "mnemonic").replace(' ', " \t\n ");
        assert_eq!(blanks.parse::<Mnemonic>().unwrap(), mnemonic);
        lengths.push(case["words"].as_u64().unwrap());
    }
    assert_eq!(lengths, [12, 15, 18, 21, 24]);
}

#[test]
fn bad_phrases_are_refused() {
    let vectors = vectors();
    for case in list(&vectors, "mnemonic_rejections") {
        assert!(text(case, "mnemonic").parse::<Mnemonic>().is_err(), "{}", case["label"]);
    }
}

#[test]
fn every_text_of_a_key_is_read() {
    let vectors = vectors();
    for case in list(&vectors, "keypairs") {
        let path = DerivationPath::default();
        for field in ["bech32_secret", "keystore_entry_base64", "secret_key_hex"] {
            let key = secret::parse(text(case, field), &path).unwrap();
            assert_eq!(key.address().to_string(), text(case, "address"), "{field}");
        }
        let prefixed = format!(" 0x{}\n", text(case, "secret_key_hex"));
        assert_eq!(secret::parse(&prefixed, &path).unwrap().to_hex().len(), 64);
    }
    for bad in ["", "0x", "somaprivkey1qqqq", "AAAA", &"g".repeat(64), &"0x".repeat(33)] {
        let error = secret::parse(bad, &DerivationPath::default()).unwrap_err().to_string();
        assert!(bad.is_empty() || !error.contains(&format!("`{bad}`")), "{error}");
    }
}

#[test]
fn key_files() {
    let folder = tempfile::tempdir().unwrap();
    let vectors = vectors();
    for case in list(&vectors, "keypairs") {
        let key = KeyPair::from_hex(text(case, "secret_key_hex")).unwrap();
        let path = secret::write_key_file(folder.path(), &key).unwrap();
        assert_eq!(path.file_name().unwrap(), &*format!("{}.key", text(case, "address")));
        let written = std::fs::read_to_string(&path).unwrap();
        assert_eq!(written, text(case, "keystore_entry_base64"));
        assert_eq!(secret::read_key_file(&path).unwrap().address(), key.address());
        assert!(secret::write_key_file(folder.path(), &key).is_err(), "never overwritten");
        let bech32 = folder.path().join("bech32");
        std::fs::write(&bech32, format!("\n{}\n", text(case, "bech32_secret"))).unwrap();
        assert_eq!(secret::read_key_file(&bech32).unwrap().address(), key.address());
    }
}

#[test]
fn a_keystore_has_the_published_form() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("soma.keystore");
    let vectors = vectors();
    let mut keystore = Keystore::open(&path).unwrap();
    let mut expected: Vec<(&str, &str)> = Vec::new();
    for case in list(&vectors, "keypairs") {
        let key = KeyPair::from_hex(text(case, "secret_key_hex")).unwrap();
        keystore.add(key, Some(text(case, "name").parse().unwrap())).unwrap();
        expected.push((text(case, "address"), text(case, "keystore_entry_base64")));
    }
    expected.sort_unstable(); // hex sorts as its bytes do
    let entries: Vec<_> = expected.iter().map(|(_, entry)| format!("  \"{entry}\"")).collect();
    let written = std::fs::read_to_string(&path).unwrap();
    assert_eq!(written, format!("[\n{}\n]", entries.join(",\n")));

    let aliases = std::fs::read_to_string(folder.path().join("soma.aliases")).unwrap();
    let aliases: Value = serde_json::from_str(&aliases).unwrap();
    for (entry, (address, _)) in aliases.as_array().unwrap().iter().zip(&expected) {
        let case = list(&vectors, "keypairs").iter().find(|case| case["address"] == *address);
        let case = case.unwrap();
        assert_eq!(entry["alias"], case["name"]);
        assert_eq!(entry["public_key_base64"], case["public_key_base64"]);
        assert_eq!(entry.as_object().unwrap().len(), 2);
    }
}

#[test]
fn names_of_accounts() {
    let vectors = vectors();
    for case in list(&vectors, "key_identity_text") {
        let identity = text(case, "text").parse::<Identity>();
        match case["kind"].as_str() {
            None => assert!(identity.is_err(), "{case}"),
            Some("address") => assert_eq!(
                identity.unwrap(),
                Identity::Address(text(case, "value").parse().unwrap()),
                "{case}"
            ),
            Some(_) => {
                assert_eq!(identity.unwrap(), Identity::Alias(text(case, "value").to_owned()));
            }
        }
    }
}

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hex"))
        .collect()
}

#[test]
fn data_is_signed_as_the_published_client_does() {
    let vectors = vectors();
    for case in list(&vectors, "transactions") {
        let signer = list(&vectors, "keypairs")
            .iter()
            .find(|key| key["name"] == case["sender_keypair"])
            .unwrap();
        let key = KeyPair::from_hex(text(signer, "secret_key_hex")).unwrap();
        let data = bytes(text(case, "tx_data_bcs_hex"));
        let signed =
            keytool::sign(&key, &STANDARD.encode(&data), "000001".parse().unwrap()).unwrap();
        let json = serde_json::to_value(&signed).unwrap();
        assert_eq!(json["somaSignature"], case["signature_base64"], "{}", case["name"]);
        assert_eq!(
            json["digest"],
            STANDARD.encode(bytes(text(case, "signing_hash_hex"))),
            "{}",
            case["name"]
        );
        assert_eq!(json["somaAddress"], signer["address"]);
        assert_eq!(json["intent"], "000001");
        assert_eq!(json["rawTxData"], STANDARD.encode(&data));
        assert_eq!(json["rawIntentMsg"], STANDARD.encode([&[0, 0, 1], &data[..]].concat()));
        assert_eq!(json.as_object().unwrap().len(), 6);

        let cut = STANDARD.encode(&data[1..]);
        let refused = keytool::sign(&key, &cut, "000001".parse().unwrap());
        assert!(matches!(refused, Err(Error::Unsignable(_))));
        assert!(matches!(
            keytool::sign(&key, "%", "000001".parse().unwrap()),
            Err(Error::NotBase64)
        ));
    }
}

#[test]
fn records_of_keys() {
    let vectors = vectors();
    for case in list(&vectors, "keypairs") {
        for field in ["bech32_secret", "keystore_entry_base64"] {
            let record = serde_json::to_value(keytool::unpack(text(case, field)).unwrap()).unwrap();
            assert_eq!(
                record,
                serde_json::json!({
                    "alias": null,
                    "somaAddress": case["address"],
                    "publicBase64Key": case["public_key_base64"],
                    "keyScheme": "ED25519",
                    "flag": 0,
                })
            );
        }
    }
    assert!(matches!(keytool::unpack("AAAA"), Err(Error::SecretKey { .. })));
}
