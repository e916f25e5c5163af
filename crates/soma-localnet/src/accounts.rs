//! The keys of a local network: its published accounts, its faucet and its
//! validators. None of them protects anything.

use soma_ledger::GenesisValidator;
use soma_proto::bls::BlsKeyPair;
use soma_proto::{Address, KeyPair, hash};

/// Number of published accounts.
pub const ACCOUNTS: usize = 5;

/// The phrase from which the accounts come, at `m/44'/784'/0'/0'/i'` (L-25).
pub const PHRASE: &str = "test test test test test test test test test test test junk";

/// The five secrets that the phrase gives, so that nothing is derived at start.
const SECRETS: [[u8; 32]; ACCOUNTS] = [
    [
        0xe7, 0xdf, 0x08, 0xd4, 0xe9, 0x4c, 0x91, 0xbf, 0xf2, 0xbe, 0xb8, 0xec, 0x2a, 0x73, 0x77,
        0x23, 0xc0, 0xeb, 0x97, 0xf9, 0x66, 0x35, 0x12, 0x98, 0x4f, 0x13, 0x72, 0x0a, 0x5c, 0x00,
        0xcf, 0xbb,
    ],
    [
        0x23, 0x4d, 0xb3, 0xf8, 0xa4, 0x19, 0x2e, 0x24, 0x85, 0x00, 0x5b, 0x10, 0x27, 0xc9, 0x7e,
        0xee, 0x7f, 0xeb, 0x98, 0x51, 0xb7, 0xee, 0x17, 0x19, 0xf9, 0x4c, 0x90, 0x5c, 0x6b, 0x43,
        0xaa, 0x21,
    ],
    [
        0xc5, 0x99, 0xd5, 0xf0, 0x63, 0x4b, 0xd3, 0x71, 0x24, 0xdd, 0xf4, 0x72, 0x42, 0x56, 0xa5,
        0xbd, 0x2a, 0x6b, 0x9c, 0xcc, 0x55, 0x17, 0xe7, 0xac, 0x23, 0x58, 0x87, 0xaf, 0x77, 0xc6,
        0x44, 0x66,
    ],
    [
        0xdb, 0xd4, 0xab, 0xc7, 0x83, 0xdd, 0x8e, 0x19, 0x09, 0xf9, 0xc4, 0x3a, 0xf1, 0xc3, 0xb7,
        0x26, 0x3b, 0xb9, 0xfb, 0x20, 0xe8, 0x0c, 0xdb, 0x0c, 0x32, 0xb7, 0xac, 0xe5, 0x97, 0x5d,
        0xa4, 0x08,
    ],
    [
        0xfc, 0x7d, 0xcd, 0x87, 0xd6, 0x12, 0xae, 0x9b, 0xf0, 0x75, 0x44, 0xb8, 0x46, 0x7d, 0x29,
        0xbd, 0x05, 0xe3, 0x69, 0x96, 0xc7, 0xb1, 0x44, 0x26, 0xb5, 0xda, 0x41, 0x5a, 0xfd, 0x71,
        0x19, 0xf9,
    ],
];

/// The keys of the published accounts, in order.
pub fn account_keys() -> [KeyPair; ACCOUNTS] {
    SECRETS.map(KeyPair::from_bytes)
}

/// The addresses of the published accounts, in order.
pub fn account_addresses() -> [Address; ACCOUNTS] {
    account_keys().map(|key| key.address())
}

/// The keys that differ from chain to chain, all from one seed.
///
/// The seed is drawn when the chain is made and kept with it. So two chains
/// never have the same genesis, and a restarted one can go on signing.
#[derive(Clone, Debug)]
pub(crate) struct ChainKeys {
    seed: [u8; 32],
    committee_size: u32,
}

impl ChainKeys {
    pub(crate) const fn new(seed: [u8; 32], committee_size: u32) -> Self {
        Self { seed, committee_size }
    }

    /// The key of the faucet's account.
    pub(crate) fn faucet(&self) -> KeyPair {
        KeyPair::from_bytes(self.derive("faucet", 0))
    }

    /// The account key of a validator.
    pub(crate) fn validator_account(&self, index: u32) -> KeyPair {
        KeyPair::from_bytes(self.derive("validator", index))
    }

    /// The keys with which the validators sign checkpoints.
    pub(crate) fn protocol_keys(&self) -> Vec<BlsKeyPair> {
        (0..self.committee_size).map(|index| self.protocol_key(index)).collect()
    }

    /// The validators as genesis wants them.
    pub(crate) fn genesis_validators(&self) -> Vec<GenesisValidator> {
        let public = |role, index| KeyPair::from_bytes(self.derive(role, index)).public_key();
        (0..self.committee_size)
            .map(|index| {
                GenesisValidator::new(
                    self.validator_account(index).address(),
                    &self.protocol_key(index),
                    public("network", index),
                    public("worker", index),
                )
            })
            .collect()
    }

    fn protocol_key(&self, index: u32) -> BlsKeyPair {
        let mut bytes = self.derive("protocol", index);
        // Below the order of the group, whose first byte is 0x73, and not zero.
        bytes[0] &= 0x3f;
        bytes[31] |= 1;
        BlsKeyPair::from_bytes(&bytes).expect("a number between 1 and the order of the group")
    }

    fn derive(&self, role: &str, index: u32) -> [u8; 32] {
        let parts: [&[u8]; 4] =
            [b"soma-localnet", role.as_bytes(), &index.to_le_bytes(), &self.seed];
        hash::blake2b256(&parts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_accounts_are_those_of_the_phrase() {
        let derived = soma_wallet::development::keys();
        assert_eq!(PHRASE, soma_wallet::development::PHRASE);
        let secrets = derived.iter().map(|key| *key.secret_bytes());
        assert!(secrets.eq(SECRETS));
    }

    #[test]
    fn every_chain_has_keys_of_its_own() {
        let (a, b) = (ChainKeys::new([1; 32], 3), ChainKeys::new([2; 32], 3));
        assert_ne!(a.faucet().address(), b.faucet().address());
        let names: std::collections::BTreeSet<_> =
            a.protocol_keys().iter().chain(&b.protocol_keys()).map(|key| key.name()).collect();
        assert_eq!(names.len(), 6);
    }
}
