//! The published accounts of local networks (L-25).
//!
//! Every local network starts with money in five accounts whose recovery
//! phrase is public. On any other chain whoever pays into them loses it, so a
//! wallet does not sign with them there.

use soma_proto::{Address, KeyPair};

use crate::{DerivationPath, Error, Mnemonic, Result};

/// The phrase of the accounts.
pub const PHRASE: &str = "test test test test test test test test test test test junk";
/// Number of accounts: indices 0 to 4 of the default path.
pub const ACCOUNTS: u32 = 5;
/// Name of the chains on which they may be used.
const LOCAL_CHAIN: &str = "localnet";

/// The keys of the accounts, in order.
pub fn keys() -> Vec<KeyPair> {
    let phrase: Mnemonic = PHRASE.parse().expect("a valid phrase");
    (0..ACCOUNTS)
        .map(|index| phrase.key(&DerivationPath::of_index(index).expect("a small index")))
        .collect()
}

/// Whether this is one of the accounts.
pub fn is_account(address: &Address) -> bool {
    ADDRESSES.contains(address.inner())
}

/// Refuses a published account on any chain but a local one. `chain` is the
/// name that the node gives in its service information.
///
/// # Errors
/// [`Error::DevelopmentKey`].
pub fn check(address: &Address, chain: &str) -> Result<()> {
    if chain != LOCAL_CHAIN && is_account(address) {
        return Err(Error::DevelopmentKey { address: *address, chain: chain.to_owned() });
    }
    Ok(())
}

/// The accounts, worked out once from the phrase.
const ADDRESSES: [[u8; 32]; ACCOUNTS as usize] = [
    [
        0xc8, 0x8e, 0xf0, 0x7b, 0x9b, 0x8b, 0x2f, 0xc3, 0xb7, 0xda, 0xad, 0x94, 0x78, 0xf4, 0xe1,
        0x33, 0x7f, 0x01, 0x79, 0x2e, 0x2e, 0xab, 0x9c, 0x37, 0x94, 0x49, 0x4e, 0x61, 0x06, 0x36,
        0x02, 0x6e,
    ],
    [
        0xb5, 0x9d, 0xe8, 0xb3, 0xb1, 0x77, 0x45, 0xa0, 0x26, 0x13, 0xf2, 0x32, 0x6f, 0x2f, 0xe5,
        0x62, 0x6e, 0x1c, 0x0a, 0x78, 0x34, 0x87, 0x96, 0x5d, 0x82, 0x46, 0x57, 0x83, 0x07, 0xb1,
        0xee, 0xb8,
    ],
    [
        0x72, 0xae, 0x1b, 0x59, 0x5c, 0xd1, 0x62, 0x4a, 0x5d, 0x3e, 0x91, 0x26, 0xc6, 0x54, 0xfb,
        0x8b, 0x33, 0xb4, 0xfc, 0x4c, 0x3f, 0x57, 0x5d, 0x55, 0xf5, 0xea, 0x1b, 0x06, 0x7a, 0x44,
        0x05, 0xb2,
    ],
    [
        0xad, 0xec, 0x31, 0x1f, 0xa6, 0x7e, 0x2f, 0x09, 0x1b, 0x32, 0x1c, 0x4c, 0x24, 0x7c, 0x6d,
        0x05, 0xc7, 0x21, 0x61, 0x2f, 0x51, 0x35, 0x15, 0x28, 0x4d, 0xae, 0x44, 0xf3, 0xee, 0x07,
        0x93, 0x11,
    ],
    [
        0xc9, 0xbe, 0x0a, 0xe8, 0x5b, 0x9a, 0xa9, 0xdf, 0x97, 0x36, 0xe7, 0xa8, 0x1c, 0x2a, 0xda,
        0x3c, 0x42, 0x13, 0xbc, 0xd9, 0x20, 0xe0, 0x67, 0x89, 0x29, 0xde, 0xf6, 0x67, 0x58, 0x14,
        0xd3, 0x3e,
    ],
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_addresses_are_those_of_the_phrase() {
        let derived: Vec<_> = keys().iter().map(|key| key.address().into_inner()).collect();
        assert_eq!(derived, ADDRESSES);
    }

    #[test]
    fn they_are_refused_off_the_local_chain() {
        let account = keys()[3].address();
        check(&account, "localnet").unwrap();
        let error = check(&account, "testnet").unwrap_err().to_string();
        assert!(error.contains(&account.to_string()) && error.contains("testnet"), "{error}");
        check(&Address::new([7; 32]), "testnet").unwrap();
    }
}
