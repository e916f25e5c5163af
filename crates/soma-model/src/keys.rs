//! Keys that can be found again: made from the wallet's secret and the name of
//! the object that holds the encrypted weights.
//!
//! HKDF-SHA256 (RFC 5869) is one-way, so a key that a reveal has published
//! tells nothing of the wallet. The name is 32 random bytes, so no key serves
//! twice. The derivation is described in `docs/keys.md`.

use hkdf::Hkdf;
use sha2::Sha256;
use soma_proto::{DecryptionKey, KeyPair};
use soma_storage::ObjectName;
use zeroize::Zeroizing;

/// What the key of weights is derived for. The number is that of the
/// derivation: another one would need another number.
const WEIGHTS_KEY: &[u8] = b"soma-weights-key/1";
/// What the identity that opens a companion is derived for.
const COMPANION: &[u8] = b"soma-state-companion/1";

/// The AES-256 key of the weights that are stored under `name`.
///
/// Use a name once: whoever encrypts two files under one name encrypts them
/// under one key.
pub fn weights_key(wallet: &KeyPair, name: &ObjectName) -> DecryptionKey {
    DecryptionKey::new(*derive(wallet, name, WEIGHTS_KEY))
}

/// The age identity that opens the companion of the object called `name`.
pub(crate) fn companion_identity(wallet: &KeyPair, name: &ObjectName) -> age::x25519::Identity {
    const PREFIX: bech32::Hrp = bech32::Hrp::parse_unchecked("age-secret-key-");
    let secret = derive(wallet, name, COMPANION);
    let text = bech32::encode_upper::<bech32::Bech32>(PREFIX, secret.as_slice());
    let text = Zeroizing::new(text.expect("32 bytes fit into a Bech32 text"));
    text.parse().expect("any 32 bytes are an X25519 secret")
}

fn derive(wallet: &KeyPair, name: &ObjectName, purpose: &[u8]) -> Zeroizing<[u8; 32]> {
    let secret = wallet.secret_bytes();
    let mut derived = Zeroizing::new([0; 32]);
    Hkdf::<Sha256>::new(Some(name.as_bytes()), secret.as_slice())
        .expand(purpose, derived.as_mut_slice())
        .expect("32 bytes are not too many for HKDF-SHA256");
    derived
}

#[cfg(test)]
mod tests {
    use age::secrecy::ExposeSecret as _;

    use super::*;

    /// Expected values: RFC 5869 and BIP-173 written down in Python with the
    /// standard library's `hmac`, over the secret 00 01 .. 1f.
    #[test]
    fn derivation_is_hkdf_sha256() {
        let wallet = KeyPair::from_bytes(std::array::from_fn(|place| place as u8));
        let name: ObjectName = "ab".repeat(32).parse().unwrap();
        let key = weights_key(&wallet, &name);
        assert_eq!(
            hex::encode(key.as_bytes()),
            "7f8cb806825677f84d04ba8b6d275512643cf19986e380c393959ff00ae12217"
        );
        assert_eq!(
            companion_identity(&wallet, &name).to_string().expose_secret(),
            "AGE-SECRET-KEY-1PRY7W74AD29F7T0CSSU535DPJHT8JAE0WC77DG9GL6DMRVPJELUSJMED9C"
        );
        let other = ObjectName::random().unwrap();
        assert_ne!(weights_key(&wallet, &other), key);
        assert_ne!(weights_key(&KeyPair::from_bytes([9; 32]), &name), key);
    }
}
