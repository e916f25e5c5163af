//! Amounts of money.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// Shannons in one SOMA.
pub const SHANNONS_PER_SOMA: u64 = 1_000_000_000;

/// Digits after the point of an amount in SOMA.
const DECIMALS: usize = 9;

/// An amount in shannons, read and shown as decimal SOMA.
///
/// ```
/// use soma_proto::Amount;
///
/// let amount: Amount = "1.5".parse()?;
/// assert_eq!(amount.shannons(), 1_500_000_000);
/// assert_eq!(amount.to_string(), "1.5 SOMA");
/// # Ok::<(), soma_proto::Error>(())
/// ```
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Amount(u64);

impl Amount {
    /// An amount in shannons.
    pub const fn from_shannons(shannons: u64) -> Self {
        Self(shannons)
    }

    /// The amount in shannons.
    pub const fn shannons(self) -> u64 {
        self.0
    }
}

impl FromStr for Amount {
    type Err = Error;

    /// Reads decimal SOMA with at most nine digits after the point; exact.
    fn from_str(text: &str) -> Result<Self> {
        let fail = |reason: &str| Error::text("amount", reason);
        let (whole, fraction) = match text.split_once('.') {
            Some((_, fraction)) if fraction.contains('.') => {
                return Err(fail("more than one decimal point"));
            }
            Some(("", fraction)) => ("0", fraction),
            Some(parts) => parts,
            None => (text, ""),
        };
        if fraction.chars().count() > DECIMALS {
            return Err(fail("more than nine digits after the decimal point"));
        }
        let number = |digits: &str| {
            digits.parse::<u64>().map_err(|e| match e.kind() {
                std::num::IntErrorKind::PosOverflow => fail("too large"),
                _ => fail("expected decimal SOMA, for example 5 or 0.25"),
            })
        };
        let whole = number(whole)?;
        let fraction = number(&format!("{fraction:0<DECIMALS$}"))?;
        whole
            .checked_mul(SHANNONS_PER_SOMA)
            .and_then(|shannons| shannons.checked_add(fraction))
            .map(Self)
            .ok_or_else(|| fail("too large"))
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, fraction) = (self.0 / SHANNONS_PER_SOMA, self.0 % SHANNONS_PER_SOMA);
        write!(f, "{whole}")?;
        if fraction != 0 {
            let digits = format!("{fraction:0DECIMALS$}");
            write!(f, ".{}", digits.trim_end_matches('0'))?;
        }
        f.write_str(" SOMA")
    }
}
