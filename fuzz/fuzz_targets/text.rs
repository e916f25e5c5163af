//! Texts of every kind: refused, or shown so that they read the same again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use soma_proto::bls::{AuthorityName, BlsPublicKey, BlsSignature};
use soma_proto::signature::{Intent, UserSignature};
use soma_proto::{
    Address, Amount, Checksum, Commitment, DecryptionKey, Digest, KeyPair, ObjectId, PublicKey,
    WeightsUrl,
};

macro_rules! reads_again {
    ($text:expr => $($name:ty),+) => {$(
        if let Ok(value) = $text.parse::<$name>() {
            assert_eq!(value.to_string().parse::<$name>().expect("shown texts read"), value);
        }
    )+};
}

fuzz_target!(|text: &str| {
    reads_again!(text => Address, ObjectId, Digest, Checksum, PublicKey, BlsPublicKey,
        BlsSignature, AuthorityName, Intent, UserSignature, WeightsUrl);
    let _ = Checksum::from_base64url(text);
    let _ = Commitment::from_hex_or_base58(text);
    let _ = DecryptionKey::from_hex_or_base58(text);
    let _ = KeyPair::from_hex(text);
    if let Ok(key) = KeyPair::from_encoded(text) {
        assert_eq!(
            KeyPair::from_bech32(&key.to_bech32()).expect("our own text").address(),
            key.address()
        );
    }
    if let Ok(amount) = text.parse::<Amount>() {
        let shown = amount.to_string();
        let number = shown.strip_suffix(" SOMA").expect("the unit is shown");
        assert_eq!(number.parse::<Amount>().expect("shown amounts read"), amount);
        amount.to_short_string();
    }
});
