//! Reading and writing the BCS of whole values.

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// Decodes bytes and checks that the value has no other encoding.
pub(crate) fn decode<T>(bytes: &[u8], what: &'static str) -> Result<T>
where
    T: Serialize + for<'de> Deserialize<'de>,
{
    let value: T = bcs::from_bytes(bytes).map_err(|source| Error::Bcs { what, source })?;
    let again = bcs::to_bytes(&value).map_err(|source| Error::Bcs { what, source })?;
    if again != bytes {
        return Err(Error::NotCanonical { what });
    }
    Ok(value)
}

/// Encodes a value of this crate.
pub(crate) fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    bcs::to_bytes(value).expect("values of this crate have a BCS form")
}

/// Gives a type its two public functions.
macro_rules! bcs_form {
    ($($name:ident),+ $(,)?) => {$(
        impl $name {
            /// Reads canonical BCS.
            ///
            /// # Errors
            /// [`Error::Bcs`](crate::Error::Bcs);
            /// [`Error::NotCanonical`](crate::Error::NotCanonical) if encoding
            /// the result again gives other bytes, as for a URL that is not in
            /// normal form.
            pub fn from_bcs(bytes: &[u8]) -> crate::Result<Self> {
                crate::canonical::decode(bytes, stringify!($name))
            }

            /// The BCS bytes.
            pub fn to_bcs(&self) -> Vec<u8> {
                crate::canonical::encode(self)
            }
        }
    )+};
}

pub(crate) use bcs_form;
