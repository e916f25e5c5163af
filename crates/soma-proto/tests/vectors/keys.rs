//! Accounts, validator keys and their signatures.

use soma_proto::bls::{BlsKeyPair, BlsPublicKey, BlsSignature};
use soma_proto::{Address, KeyPair, PublicKey};

use crate::loader::{for_each, section};

#[test]
fn keypairs() {
    for_each("keypairs", 10, |entry| {
        let key = KeyPair::from_hex(entry.at("secret_key_hex").text()).unwrap();
        assert_eq!(key.public_key().as_bytes(), entry.at("public_key_hex").hex());
        assert_eq!(key.address().to_string(), entry.at("address").text());
        assert_eq!(key.address(), entry.at("address_0x").parse());
        assert_eq!(*key.to_hex(), entry.at("client_secret_text").text());
        assert_eq!(*key.to_bech32(), entry.at("bech32_secret").text());
        assert_eq!(*key.to_base64(), entry.at("keystore_entry_base64").text());
        assert_eq!(key.public_key().to_string(), entry.at("public_key_base64").text());
        assert_eq!(entry.at("public_key_base64").parse::<PublicKey>(), key.public_key());

        for again in [
            KeyPair::from_bech32(entry.at("bech32_secret").text()).unwrap(),
            KeyPair::from_bech32(&entry.at("bech32_secret").text().to_uppercase()).unwrap(),
            KeyPair::from_base64(entry.at("keystore_entry_base64").text()).unwrap(),
            KeyPair::from_encoded(entry.at("bech32_secret").text()).unwrap(),
            KeyPair::from_encoded(&format!(" {}\n", entry.at("keystore_entry_base64").text()))
                .unwrap(),
        ] {
            assert_eq!(again.secret_bytes(), key.secret_bytes());
        }
    });
}

#[test]
fn bls_keys() {
    let keys = section("bls").at("keys").list();
    for key in &keys {
        let pair = BlsKeyPair::from_bytes(&key.at("secret_be_hex").hex()).unwrap();
        assert_eq!(pair.public_key().as_bytes(), key.at("public_key_hex").hex());
        assert_eq!(pair.secret_bytes().as_slice(), key.at("secret_be_hex").hex());
        pair.public_key().validate().unwrap();
    }
    println!("bls keys: {} cases hold", keys.len());
    assert_eq!(keys.len(), 4);
}

#[test]
fn bls_proof_of_possession() {
    let proof = section("bls").at("proof_of_possession");
    let secret = format!("{:064x}", proof.at("key").number());
    let pair = BlsKeyPair::from_bytes(&hex::decode(secret).unwrap()).unwrap();
    let address: Address = proof.at("address").parse();
    let signature = BlsSignature::from_bytes(proof.at("signature_hex").hex()).unwrap();

    assert_eq!(pair.sign(&proof.at("message_hex").hex()), signature);
    assert_eq!(pair.proof_of_possession(address), signature);
    signature.verify_possession(&pair.public_key(), address).unwrap();

    signature.verify_possession(&pair.public_key(), Address::ZERO).unwrap_err();
    let other = BlsKeyPair::generate().public_key();
    signature.verify_possession(&other, address).unwrap_err();
    signature.verify_possession(&BlsPublicKey::new([0; 96]), address).unwrap_err();
}
