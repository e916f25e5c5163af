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

    /// A short form for people: in full below 1,000 SOMA, from there on with
    /// two decimals, cut off, and one of the letters K, M, B.
    ///
    /// ```
    /// use soma_proto::{Amount, SHANNONS_PER_SOMA};
    ///
    /// let amount = Amount::from_shannons(1_509 * SHANNONS_PER_SOMA);
    /// assert_eq!(amount.to_short_string(), "1.50K SOMA");
    /// # assert_eq!(Amount::from_shannons(1_500_000).to_short_string(), "0.0015 SOMA");
    /// # assert_eq!(Amount::from_shannons(10_000_000 * SHANNONS_PER_SOMA).to_short_string(), "10.00M SOMA");
    /// # assert_eq!(Amount::from_shannons(u64::MAX).to_short_string(), "18.44B SOMA");
    /// # assert_eq!(Amount::from_shannons(1_000 * SHANNONS_PER_SOMA - 1).to_short_string(), "999.999999999 SOMA");
    /// # assert_eq!(Amount::from_shannons(1_000 * SHANNONS_PER_SOMA).to_short_string(), "1.00K SOMA");
    /// ```
    pub fn to_short_string(self) -> String {
        let whole = self.0 / SHANNONS_PER_SOMA;
        let (unit, letter) = match whole {
            0..1_000 => return self.to_string(),
            1_000..1_000_000 => (1_000, 'K'),
            1_000_000..1_000_000_000 => (1_000_000, 'M'),
            _ => (1_000_000_000, 'B'),
        };
        format!("{}.{:02}{letter} SOMA", whole / unit, whole % unit * 100 / unit)
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
