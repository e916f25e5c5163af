//! Text that names an account.

use std::fmt;
use std::str::FromStr;

use soma_proto::Address;

/// An account named by its address or by its alias.
///
/// Text that begins with `0x`, or that is exactly 64 hex digits, is an
/// address; a malformed one is refused. Everything else is an alias, whether
/// or not a key has it.
///
/// ```
/// use soma_wallet::Identity;
///
/// assert!(matches!("0xab".parse()?, Identity::Address(_)));
/// assert!(matches!("calm-agate".parse()?, Identity::Alias(_)));
/// assert!("0xzz".parse::<Identity>().is_err());
/// # Ok::<(), soma_proto::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(clippy::exhaustive_enums, reason = "there is no third way to name an account")]
pub enum Identity {
    /// By address.
    Address(Address),
    /// By alias.
    Alias(String),
}

impl FromStr for Identity {
    type Err = soma_proto::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bare_hex = text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        if text.starts_with("0x") || bare_hex {
            text.parse().map(Self::Address)
        } else {
            Ok(Self::Alias(text.to_owned()))
        }
    }
}

impl From<Address> for Identity {
    fn from(address: Address) -> Self {
        Self::Address(address)
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Alias(alias) => f.write_str(alias),
        }
    }
}
