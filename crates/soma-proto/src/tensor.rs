//! Vectors and scalars of 32-bit floats.

use serde::{Deserialize, Deserializer, Serialize, de};

use crate::{Error, Result, byte_buf};

/// The only element type.
const F32: u8 = 0;

/// A tensor of IEEE-754 single precision numbers.
///
/// ```text
/// tensor = dtype data shape
/// dtype  = %x00                 ; f32, the only one
/// data   = uleb *(4OCTET)       ; length in bytes, little-endian numbers
/// shape  = uleb *(8OCTET)       ; dimensions, each a little-endian u64
/// ```
///
/// The numbers are kept as bits: negative zero and denormals survive, and so
/// would a NaN. Equality compares bits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename = "SomaTensor")]
pub struct Tensor {
    dtype: u8,
    #[serde(with = "byte_buf")]
    bytes: Vec<u8>,
    shape: Vec<u64>,
}

impl Tensor {
    /// A tensor of one dimension.
    pub fn vector(values: &[f32]) -> Self {
        Self {
            dtype: F32,
            bytes: values.iter().flat_map(|value| value.to_le_bytes()).collect(),
            shape: vec![values.len() as u64],
        }
    }

    /// A single number, as thresholds and scores travel: shape `[1]`.
    pub fn scalar(value: f32) -> Self {
        Self::vector(&[value])
    }

    /// A tensor of any shape. The message form of the network carries only
    /// tensors of one dimension, so do not sign others.
    ///
    /// # Errors
    /// [`Error::Text`] if the shape has another number of elements.
    pub fn from_parts(values: &[f32], shape: Vec<u64>) -> Result<Self> {
        let tensor = Self { shape, ..Self::vector(values) };
        check_shape(&tensor.bytes, &tensor.shape)?;
        Ok(tensor)
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        self.bytes.len() / 4
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The dimensions.
    pub fn shape(&self) -> &[u64] {
        &self.shape
    }

    /// The numbers in row-major order.
    pub fn values(&self) -> impl ExactSizeIterator<Item = f32> + '_ {
        self.bytes
            .chunks_exact(4)
            .map(|four| f32::from_le_bytes([four[0], four[1], four[2], four[3]]))
    }

    /// The first number, or 0 if there is none.
    pub fn first(&self) -> f32 {
        self.values().next().unwrap_or_default()
    }

    /// The numbers in row-major order, collected.
    pub fn to_vec(&self) -> Vec<f32> {
        self.values().collect()
    }

    /// Whether every number is finite.
    pub fn is_finite(&self) -> bool {
        self.values().all(f32::is_finite)
    }

    /// Whether every number is zero, of either sign.
    pub fn is_all_zero(&self) -> bool {
        self.values().all(|value| value == 0.0)
    }
}

impl<'de> Deserialize<'de> for Tensor {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(rename = "SomaTensor")]
        struct Raw {
            dtype: u8,
            #[serde(with = "byte_buf")]
            bytes: Vec<u8>,
            shape: Vec<u64>,
        }
        let Raw { dtype, bytes, shape } = Raw::deserialize(deserializer)?;
        if dtype != F32 {
            return Err(de::Error::custom(format_args!("unknown tensor element type {dtype}")));
        }
        check_shape(&bytes, &shape).map_err(de::Error::custom)?;
        Ok(Self { dtype, bytes, shape })
    }
}

/// Checks that `bytes` are as many floats as `shape` has elements. No
/// dimension at all is one element, a dimension of 0 is none.
fn check_shape(bytes: &[u8], shape: &[u64]) -> Result<()> {
    if !bytes.len().is_multiple_of(4) {
        return Err(Error::text("tensor", "data is not a whole number of floats"));
    }
    let elements = shape.iter().try_fold(1_u64, |product, &n| product.checked_mul(n));
    if elements != Some((bytes.len() / 4) as u64) {
        return Err(Error::text("tensor", "shape and number of elements differ"));
    }
    Ok(())
}
