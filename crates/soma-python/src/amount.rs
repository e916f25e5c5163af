//! Amounts as Python writes them: an integer is shannons, everything else SOMA.

use pyo3::exceptions::PyOverflowError;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyFloat, PyInt};
use soma_proto::{Amount, SHANNONS_PER_SOMA};

use crate::error::{Error, Result};

/// SOMA there are; nobody can move more.
const TOTAL_SUPPLY_SOMA: u64 = 10_000_000;

/// An amount in shannons, read from an `int` (shannons), or from a `float` or
/// `Decimal` (SOMA).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shannons {
    pub(crate) amount: u64,
    /// Whether it was written as an integer of shannons.
    integer: bool,
}

impl Shannons {
    /// As a stake, in the unit that was surely meant: nobody writes less than
    /// one SOMA in shannons.
    ///
    /// # Errors
    /// [`Error::Argument`] for an integer that is too small to be shannons.
    pub(crate) fn as_stake(self) -> Result<u64> {
        if self.integer && (1..SHANNONS_PER_SOMA).contains(&self.amount) {
            let amount = self.amount;
            return Err(Error::argument(format!(
                "a stake of {amount} shannons: an int is shannons, a float or Decimal is SOMA; \
                 did you mean {amount}.0 SOMA?"
            )));
        }
        Ok(self.amount)
    }
}

impl<'a, 'py> FromPyObject<'a, 'py> for Shannons {
    type Error = PyErr;

    fn extract(value: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        // A bool is an integer in Python, but never an amount. Integers of NumPy
        // are no `int`, but can stand for an index.
        if value.hasattr("__index__")? && !value.is_instance_of::<PyBool>() {
            return Ok(Self { amount: value.extract()?, integer: true });
        }
        let py = value.py();
        let amount = match soma(value) {
            Err(error) if error.is_instance_of::<PyOverflowError>(py) && value.gt(0)? => u64::MAX,
            amount => amount?,
        };
        if amount > TOTAL_SUPPLY_SOMA * SHANNONS_PER_SOMA {
            let integer = py.get_type::<PyInt>().call1((value,))?;
            return Err(Error::argument(format!(
                "{} SOMA is more than there is; a float is SOMA: did you mean the int {integer}, \
                 which is shannons?",
                value.str()?
            ))
            .into());
        }
        Ok(Self { amount, integer: false })
    }
}

/// Any number of SOMA, in shannons, exactly.
///
/// A float means the shortest decimal text that reads back as it: 8.2 is
/// 8,200,000,000 shannons.
///
/// # Errors
/// `ValueError` if it is not finite or has more than nine decimals,
/// `OverflowError` if it is negative or too large, `TypeError` if it is no number.
pub(crate) fn soma(value: Borrowed<'_, '_, PyAny>) -> PyResult<u64> {
    let py = value.py();
    let decimals = py.import("decimal")?;
    let decimal = decimals.getattr("Decimal")?;
    let is_number = value.is_instance(&decimal)?
        || value.is_instance_of::<PyFloat>()
        || value.is_instance_of::<PyInt>() && !value.is_instance_of::<PyBool>();
    let number = if is_number {
        value.to_owned()
    } else if value.hasattr("__float__")? && !value.is_instance_of::<PyBool>() {
        // A number of NumPy. Its text is the shortest one at its own precision.
        match decimal.call1((value.str()?,)) {
            Ok(number) => number,
            Err(_) => value.call_method0("__float__")?,
        }
    } else {
        let found = value.get_type().name()?.to_string();
        return Err(pyo3::exceptions::PyTypeError::new_err(format!(
            "an amount is an int (shannons), a float or a Decimal (SOMA), not {found}"
        )));
    };
    let text = number.str()?.to_string();
    let exact = decimal.call1((&text,))?;
    if !exact.call_method0("is_finite")?.extract::<bool>()? {
        return Err(Error::argument(format!("{text} is not an amount")).into());
    }
    let plain = exact.call_method1("__format__", ("f",))?.extract::<String>()?;
    if let Some(positive) = plain.strip_prefix('-') {
        if positive.bytes().all(|byte| matches!(byte, b'0' | b'.')) {
            return Ok(0);
        }
        return Err(Error::Overflow(format!("an amount is not negative: {text}")).into());
    }
    let (whole, fraction) = plain.split_once('.').unwrap_or((&plain, ""));
    let fraction = fraction.trim_end_matches('0');
    if fraction.len() > 9 {
        return Err(Error::argument(format!(
            "{text} SOMA is no whole number of shannons; round it to nine decimals"
        ))
        .into());
    }
    let too_large = || Error::Overflow(format!("{text} SOMA is too large"));
    let amount: Amount = format!("{whole}.{fraction}").parse().map_err(|_| too_large())?;
    Ok(amount.shannons())
}
