//! Recovery phrases (BIP-39) and the keys they lead to (SLIP-0010).

use std::fmt;
use std::str::FromStr;

use bip39::Language;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha512;
use soma_proto::KeyPair;
use zeroize::Zeroizing;

use crate::{Error, Result};

/// How many words a recovery phrase has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum WordCount {
    /// 12 words, 128 bits.
    #[default]
    Word12,
    /// 15 words, 160 bits.
    Word15,
    /// 18 words, 192 bits.
    Word18,
    /// 21 words, 224 bits.
    Word21,
    /// 24 words, 256 bits.
    Word24,
}

impl WordCount {
    /// All of them, shortest first.
    pub const ALL: [Self; 5] =
        [Self::Word12, Self::Word15, Self::Word18, Self::Word21, Self::Word24];

    /// The number of words.
    pub const fn words(self) -> usize {
        match self {
            Self::Word12 => 12,
            Self::Word15 => 15,
            Self::Word18 => 18,
            Self::Word21 => 21,
            Self::Word24 => 24,
        }
    }

    /// Bytes of entropy: 32 bits for every three words.
    const fn entropy_len(self) -> usize {
        self.words() / 3 * 4
    }
}

impl FromStr for WordCount {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|count| count.to_string() == text)
            .ok_or_else(|| Error::WordCount { text: text.to_owned() })
    }
}

impl fmt::Display for WordCount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "word{}", self.words())
    }
}

/// A recovery phrase: English words of BIP-39 with their checksum.
///
/// Never shown by `Debug`, wiped on drop. [`phrase`](Self::phrase) is the one
/// way to its words.
#[derive(Clone, PartialEq, Eq)]
pub struct Mnemonic(bip39::Mnemonic);

impl Mnemonic {
    /// Draws a phrase from the operating system's generator.
    ///
    /// # Errors
    /// [`Error::Randomness`].
    pub fn generate(count: WordCount) -> Result<Self> {
        let mut entropy = Zeroizing::new([0; 32]);
        let entropy = &mut entropy[..count.entropy_len()];
        getrandom::fill(entropy).map_err(Error::Randomness)?;
        let mnemonic = bip39::Mnemonic::from_entropy_in(Language::English, entropy)
            .expect("the entropy has a length that BIP-39 knows");
        Ok(Self(mnemonic))
    }

    /// The words, one blank between them.
    pub fn phrase(&self) -> Zeroizing<String> {
        Zeroizing::new(self.0.to_string())
    }

    /// The key at `path` under this phrase, with an empty passphrase.
    pub fn key(&self, path: &DerivationPath) -> KeyPair {
        let seed = Zeroizing::new(self.0.to_seed_normalized(""));
        KeyPair::from_bytes(*slip10(&*seed, &path.indices()))
    }
}

impl FromStr for Mnemonic {
    type Err = Error;

    /// Reads 12 to 24 lower-case words with any blanks between them.
    fn from_str(text: &str) -> Result<Self> {
        bip39::Mnemonic::parse_in(Language::English, text).map(Self).map_err(|e| {
            let reason = match e {
                bip39::Error::BadWordCount(count) => {
                    format!("it has {count} words, not 12, 15, 18, 21 or 24")
                }
                bip39::Error::UnknownWord(place) => {
                    format!("word {} is not in the English list (lower case)", place + 1)
                }
                bip39::Error::InvalidChecksum => {
                    "its last word does not fit the others; a word is wrong or misplaced".to_owned()
                }
                other => other.to_string(),
            };
            Error::Phrase { reason }
        })
    }
}

impl fmt::Debug for Mnemonic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Mnemonic(..)")
    }
}

/// Where in the tree of a phrase a key lies: `m/44'/784'/account'/change'/index'`.
///
/// All five levels are hardened and the first two are fixed; coin type 784 is
/// shared with another network, so its phrases lead to the same addresses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DerivationPath {
    account: u32,
    change: u32,
    index: u32,
}

/// The bit that marks a hardened level.
const HARDENED: u32 = 1 << 31;

impl DerivationPath {
    /// The path of the `index`th key of the first account.
    ///
    /// # Errors
    /// [`Error::DerivationPath`] if `index` is 2^31 or more.
    pub fn of_index(index: u32) -> Result<Self> {
        format!("m/44'/784'/0'/0'/{index}'").parse()
    }

    fn indices(&self) -> [u32; 5] {
        [44, 784, self.account, self.change, self.index]
    }
}

impl FromStr for DerivationPath {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let fail = |reason| Error::DerivationPath { path: text.to_owned(), reason };
        let levels: Vec<_> = text
            .strip_prefix("m/")
            .ok_or_else(|| fail("expected it to begin with m/"))?
            .split('/')
            .collect();
        let levels: [&str; 5] =
            levels.try_into().map_err(|_| fail("expected five levels after m"))?;
        let mut indices = [0; 5];
        for (index, level) in indices.iter_mut().zip(levels) {
            let digits =
                level.strip_suffix('\'').ok_or_else(|| fail("every level must end with '"))?;
            if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
                return Err(fail("every level must be a decimal number"));
            }
            *index = digits
                .parse()
                .ok()
                .filter(|index| *index < HARDENED)
                .ok_or_else(|| fail("a level is too large"))?;
        }
        let [purpose, coin, account, change, index] = indices;
        if (purpose, coin) != (44, 784) {
            return Err(fail("expected purpose 44' and coin type 784'"));
        }
        Ok(Self { account, change, index })
    }
}

impl fmt::Display for DerivationPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "m/44'/784'/{}'/{}'/{}'", self.account, self.change, self.index)
    }
}

/// SLIP-0010 for ed25519: the secret below `seed` at the given levels, each of
/// which is taken as hardened.
fn slip10(seed: &[u8], levels: &[u32]) -> Zeroizing<[u8; 32]> {
    let mut node = hmac_sha512(b"ed25519 seed", &[seed]);
    for level in levels {
        let (key, chain_code) = node.split_at(32);
        node = hmac_sha512(chain_code, &[&[0], key, &(level | HARDENED).to_be_bytes()]);
    }
    let mut secret = Zeroizing::new([0; 32]);
    secret.copy_from_slice(&node[..32]);
    secret
}

fn hmac_sha512(key: &[u8], parts: &[&[u8]]) -> Zeroizing<[u8; 64]> {
    let mut mac = Hmac::<Sha512>::new_from_slice(key).expect("HMAC takes keys of any length");
    for part in parts {
        mac.update(part);
    }
    Zeroizing::new(mac.finalize().into_bytes().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(hex: &str) -> Vec<u8> {
        (0..hex.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
            .collect()
    }

    /// SLIP-0010, test vectors 1 and 2 for ed25519: seed, levels, private key.
    #[test]
    fn slip_0010() {
        let one = "000102030405060708090a0b0c0d0e0f";
        let two = "fffcf9f6f3f0edeae7e4e1dedbd8d5d2cfccc9c6c3c0bdbab7b4b1aeaba8a5a2\
                   9f9c999693908d8a8784817e7b7875726f6c696663605d5a5754514e4b484542";
        let cases: [(&str, &[u32], &str); 12] = [
            (one, &[], "2b4be7f19ee27bbf30c667b642d5f4aa69fd169872f8fc3059c08ebae2eb19e7"),
            (one, &[0], "68e0fe46dfb67e368c75379acec591dad19df3cde26e63b93a8e704f1dade7a3"),
            (one, &[0, 1], "b1d0bad404bf35da785a64ca1ac54b2617211d2777696fbffaf208f746ae84f2"),
            (one, &[0, 1, 2], "92a5b23c0b8a99e37d07df3fb9966917f5d06e02ddbd909c7e184371463e9fc9"),
            (
                one,
                &[0, 1, 2, 2],
                "30d1dc7e5fc04c31219ab25a27ae00b50f6fd66622f6e9c913253d6511d1e662",
            ),
            (
                one,
                &[0, 1, 2, 2, 1_000_000_000],
                "8f94d394a8e8fd6b1bc2f3f49f5c47e385281d5c17e65324b0f62483e37e8793",
            ),
            (two, &[], "171cb88b1b3c1db25add599712e36245d75bc65a1a5c9e18d76f9f2b1eab4012"),
            (two, &[0], "1559eb2bbec5790b0c65d8693e4d0875b1747f4970ae8b650486ed7470845635"),
            (
                two,
                &[0, 2_147_483_647],
                "ea4f5bfe8694d8bb74b7b59404632fd5968b774ed545e810de9c32a4fb4192f4",
            ),
            (
                two,
                &[0, 2_147_483_647, 1],
                "3757c7577170179c7868353ada796c839135b3d30554bbb74a4b1e4a5a58505c",
            ),
            (
                two,
                &[0, 2_147_483_647, 1, 2_147_483_646],
                "5837736c89570de861ebc173b1086da4f505d4adb387c6a1b1342d5e4ac9ec72",
            ),
            (
                two,
                &[0, 2_147_483_647, 1, 2_147_483_646, 2],
                "551d333177df541ad876a60ea71f00447931c0a9da16f227c11ea080d7391b8d",
            ),
        ];
        for (seed, levels, secret) in cases {
            assert_eq!(slip10(&bytes(seed), levels)[..], bytes(secret), "{levels:?}");
        }
    }

    #[test]
    fn paths() {
        let path: DerivationPath = "m/44'/784'/1'/2'/2147483647'".parse().unwrap();
        assert_eq!(path.to_string(), "m/44'/784'/1'/2'/2147483647'");
        assert_eq!(DerivationPath::default().to_string(), "m/44'/784'/0'/0'/0'");
        assert_eq!(DerivationPath::of_index(4).unwrap().to_string(), "m/44'/784'/0'/0'/4'");
        for bad in [
            "",
            "m",
            "44'/784'/0'/0'/0'",
            "m/44'/784'/0'/0'",
            "m/44'/784'/0'/0'/0'/0'",
            "m/44'/784'/0'/0/0'",
            "m/44'/784'/0'/0'/0",
            "m/54'/784'/0'/0'/0'",
            "m/44'/60'/0'/0'/0'",
            "m/44'/784'/0'/0'/2147483648'",
            "m/44'/784'/0'/0'/+1'",
            "m/44'/784'/0'/0'/'",
            "m/44'/784'/0'/0'/99999999999'",
        ] {
            assert!(bad.parse::<DerivationPath>().is_err(), "{bad}");
        }
    }

    #[test]
    fn every_length_is_generated_and_read_back() {
        for count in WordCount::ALL {
            let mnemonic = Mnemonic::generate(count).unwrap();
            let phrase = mnemonic.phrase();
            assert_eq!(phrase.split(' ').count(), count.words());
            assert!(phrase.parse::<Mnemonic>().unwrap() == mnemonic);
            assert_eq!(count.to_string().parse::<WordCount>().unwrap(), count);
            assert_ne!(*phrase, *Mnemonic::generate(count).unwrap().phrase());
        }
        assert!("word13".parse::<WordCount>().is_err());
        assert!("12".parse::<WordCount>().is_err());
    }

    #[test]
    fn nothing_secret_in_debug_or_errors() {
        let mnemonic = Mnemonic::generate(WordCount::Word12).unwrap();
        assert_eq!(format!("{mnemonic:?}"), "Mnemonic(..)");
        let error = "correct horse battery staple".parse::<Mnemonic>().unwrap_err().to_string();
        assert!(error.contains("4 words") && !error.contains("horse"), "{error}");
    }
}
