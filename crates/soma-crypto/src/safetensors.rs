//! A strict reading of a safetensors header, of a plain file or through the key.
//!
//! A file is `length (8 bytes, little-endian) ‖ header (JSON) ‖ tensor data`. The check
//! is stricter than most readers: names must not repeat, fields must be the known ones,
//! and the tensors must cover the data exactly, without gap or overlap.

use std::{
    collections::{BTreeMap, HashSet},
    fmt,
    io::{self, Read},
    path::Path,
};

use serde::{
    Deserialize, Deserializer,
    de::{Error as _, MapAccess, Visitor},
};

use crate::{Cipher, Error, InputFile, Key};

/// The longest header the format's own reader accepts, in bytes.
pub const LONGEST_HEADER: u64 = 100_000_000;

/// Bytes of the length field.
const LENGTH_FIELD: u64 = 8;

/// What a header says, found to be consistent with itself and with the file's size.
///
/// Names and metadata come from the file: treat them as foreign text when printing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Length of the JSON text in bytes.
    pub header_len: u64,
    /// The tensors, in the order of their data.
    pub tensors: Vec<Tensor>,
    /// Elements of all tensors together.
    pub parameters: u64,
    /// The free texts of `__metadata__`.
    pub metadata: BTreeMap<String, String>,
}

/// One tensor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tensor {
    /// Its name.
    pub name: String,
    /// The type of its elements.
    pub dtype: Dtype,
    /// Its dimensions; empty for a scalar.
    pub shape: Vec<u64>,
    /// Where its data begins, in bytes after the header.
    pub offset: u64,
    /// Length of its data in bytes.
    pub bytes: u64,
}

macro_rules! dtypes {
    ($($(#[$doc:meta])* $variant:ident = $name:literal, $bits:literal;)*) => {
        /// The type of a tensor's elements.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
        #[non_exhaustive]
        pub enum Dtype {
            $($(#[$doc])* #[serde(rename = $name)] $variant,)*
        }

        impl Dtype {
            /// The name the format uses.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// Bits in one element.
            pub fn bits(self) -> u64 {
                match self { $(Self::$variant => $bits,)* }
            }
        }
    };
}

dtypes! {
    /// A truth value in a byte.
    Bool = "BOOL", 8;
    /// Four-bit float (MXFP4).
    F4 = "F4", 4;
    /// Six-bit float, two bits of exponent.
    F6E2M3 = "F6_E2M3", 6;
    /// Six-bit float, three bits of exponent.
    F6E3M2 = "F6_E3M2", 6;
    /// Unsigned byte.
    U8 = "U8", 8;
    /// Signed byte.
    I8 = "I8", 8;
    /// Eight-bit float, five bits of exponent.
    F8E5M2 = "F8_E5M2", 8;
    /// Eight-bit float, four bits of exponent.
    F8E4M3 = "F8_E4M3", 8;
    /// Eight-bit power of two.
    F8E8M0 = "F8_E8M0", 8;
    /// Signed, 16 bits.
    I16 = "I16", 16;
    /// Unsigned, 16 bits.
    U16 = "U16", 16;
    /// IEEE half precision.
    F16 = "F16", 16;
    /// The upper half of an IEEE single.
    Bf16 = "BF16", 16;
    /// Signed, 32 bits.
    I32 = "I32", 32;
    /// Unsigned, 32 bits.
    U32 = "U32", 32;
    /// IEEE single precision.
    F32 = "F32", 32;
    /// Complex of two singles.
    C64 = "C64", 64;
    /// IEEE double precision.
    F64 = "F64", 64;
    /// Signed, 64 bits.
    I64 = "I64", 64;
    /// Unsigned, 64 bits.
    U64 = "U64", 64;
}

impl fmt::Display for Dtype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why a file is not valid safetensors.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HeaderError {
    /// The file does not even hold the length field.
    #[error("{len} bytes are too short for a safetensors file")]
    TooShort {
        /// Size of the file in bytes.
        len: u64,
    },
    /// The header is longer than the format allows, or than the file.
    #[error("the header claims {claimed} bytes, of {available} at most")]
    HeaderLength {
        /// What the length field says.
        claimed: u64,
        /// The most it could be: the rest of the file, or [`LONGEST_HEADER`].
        available: u64,
    },
    /// The header is not the JSON it should be. With a wrong key, this or
    /// [`HeaderError::HeaderLength`] is the usual outcome.
    #[error("the header is not valid safetensors JSON: {reason}")]
    Json {
        /// What the parser says, with line and column.
        reason: String,
    },
    /// A tensor's size does not follow from its shape and type.
    #[error("tensor {name:?} takes {found} bytes, its shape and type need {expected}")]
    TensorSize {
        /// The tensor.
        name: String,
        /// Bytes by shape and type.
        expected: u64,
        /// Bytes by its offsets.
        found: u64,
    },
    /// A shape whose size is no number of whole bytes below 2^64.
    #[error("tensor {name:?} has an impossible shape")]
    Shape {
        /// The tensor.
        name: String,
    },
    /// A tensor ends before it begins.
    #[error("tensor {name:?} ends at byte {end}, before its begin {begin}")]
    Reversed {
        /// The tensor.
        name: String,
        /// Its first byte.
        begin: u64,
        /// The byte after its last.
        end: u64,
    },
    /// A tensor begins elsewhere than where the one before it ended.
    #[error("tensor {name:?} begins at byte {found}, the one before ends at {expected}")]
    Gap {
        /// The tensor.
        name: String,
        /// The end of the data before it.
        expected: u64,
        /// Where it begins.
        found: u64,
    },
    /// The tensors do not end where the file ends.
    #[error("the tensors cover {covered} bytes of {available}")]
    Coverage {
        /// Bytes up to the end of the last tensor.
        covered: u64,
        /// Bytes after the header.
        available: u64,
    },
    /// The file could not be read.
    #[error(transparent)]
    Input(#[from] Error),
    /// The reader failed.
    #[error("cannot read the header")]
    Read(#[source] io::Error),
}

/// Reads and checks the header of a plain file of `file_len` bytes.
///
/// Only the header is read, and it is parsed as it streams by; `reader` may be a ranged
/// download that holds little more.
///
/// # Errors
/// Any [`HeaderError`].
///
/// ```
/// use soma_crypto::safetensors::inspect;
///
/// let json = br#"{"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#;
/// let mut file = (json.len() as u64).to_le_bytes().to_vec();
/// file.extend(json);
/// file.extend([0; 8]);
/// let header = inspect(&file[..], file.len() as u64)?;
/// assert_eq!((header.tensors.len(), header.parameters), (1, 2));
/// # Ok::<(), soma_crypto::safetensors::HeaderError>(())
/// ```
pub fn inspect(mut reader: impl Read, file_len: u64) -> Result<Header, HeaderError> {
    if file_len < LENGTH_FIELD {
        return Err(HeaderError::TooShort { len: file_len });
    }
    let mut length = [0; LENGTH_FIELD as usize];
    reader.read_exact(&mut length).map_err(HeaderError::Read)?;
    let claimed = u64::from_le_bytes(length);
    let available = (file_len - LENGTH_FIELD).min(LONGEST_HEADER);
    if claimed > available {
        return Err(HeaderError::HeaderLength { claimed, available });
    }
    let parsed = parse(reader.take(claimed))?;
    check(parsed, claimed, file_len - LENGTH_FIELD - claimed)
}

/// [`inspect`] for a ciphertext: the header is decrypted as it is read.
///
/// # Errors
/// Any [`HeaderError`]; a wrong key shows as one of the first three.
pub fn inspect_sealed(reader: impl Read, file_len: u64, key: &Key) -> Result<Header, HeaderError> {
    inspect(DecryptingReader::new(reader, Cipher::new(key)), file_len)
}

/// [`inspect`] or, with a key, [`inspect_sealed`], of the file at `path`.
///
/// # Errors
/// Any [`HeaderError`].
pub fn inspect_file(path: impl AsRef<Path>, key: Option<&Key>) -> Result<Header, HeaderError> {
    let file = InputFile::open(path)?;
    let len = file.len();
    let reader = FileReader { file: &file, offset: 0 };
    let reader = io::BufReader::with_capacity(READ_SIZE, reader);
    let header = match key {
        Some(key) => inspect_sealed(reader, len, key),
        None => inspect(reader, len),
    }?;
    file.check_unchanged()?;
    Ok(header)
}

const READ_SIZE: usize = 64 << 10;

/// The JSON, before its numbers are believed.
struct Parsed {
    tensors: Vec<(String, Entry)>,
    metadata: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    dtype: Dtype,
    shape: Vec<u64>,
    data_offsets: [u64; 2],
}

fn parse(reader: impl Read) -> Result<Parsed, HeaderError> {
    let mut reader = io::BufReader::with_capacity(READ_SIZE, reader);
    let first = io::BufRead::fill_buf(&mut reader).map_err(HeaderError::Read)?;
    if first.first() != Some(&b'{') {
        return Err(HeaderError::Json { reason: "it does not begin with a brace".into() });
    }
    serde_json::from_reader(reader).map_err(|error| match error.io_error_kind() {
        Some(_) => HeaderError::Read(error.into()),
        None => HeaderError::Json { reason: error.to_string() },
    })
}

fn check(parsed: Parsed, header_len: u64, available: u64) -> Result<Header, HeaderError> {
    let mut tensors = Vec::with_capacity(parsed.tensors.len());
    let mut parameters = 0u64;
    for (name, entry) in parsed.tensors {
        let [begin, end] = entry.data_offsets;
        let Some(found) = end.checked_sub(begin) else {
            return Err(HeaderError::Reversed { name, begin, end });
        };
        let Some((elements, expected)) = size(&entry) else {
            return Err(HeaderError::Shape { name });
        };
        if found != expected {
            return Err(HeaderError::TensorSize { name, expected, found });
        }
        parameters = match parameters.checked_add(elements) {
            Some(sum) => sum,
            None => return Err(HeaderError::Shape { name }),
        };
        tensors.push(Tensor {
            name,
            dtype: entry.dtype,
            shape: entry.shape,
            offset: begin,
            bytes: found,
        });
    }
    tensors.sort_by_key(|tensor| (tensor.offset, tensor.bytes));
    let mut covered = 0;
    for tensor in &tensors {
        if tensor.offset != covered {
            return Err(HeaderError::Gap {
                name: tensor.name.clone(),
                expected: covered,
                found: tensor.offset,
            });
        }
        covered += tensor.bytes;
    }
    if covered != available {
        return Err(HeaderError::Coverage { covered, available });
    }
    Ok(Header { header_len, tensors, parameters, metadata: parsed.metadata })
}

/// Elements and bytes of a tensor, if both are numbers below 2^64.
fn size(entry: &Entry) -> Option<(u64, u64)> {
    let mut dimensions = entry.shape.iter();
    let elements = dimensions.try_fold(1u64, |product, n| product.checked_mul(*n))?;
    let bits = elements.checked_mul(entry.dtype.bits())?;
    bits.is_multiple_of(8).then_some((elements, bits / 8))
}

impl<'de> Deserialize<'de> for Parsed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(HeaderVisitor)
    }
}

struct HeaderVisitor;

impl<'de> Visitor<'de> for HeaderVisitor {
    type Value = Parsed;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of tensors by name")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Parsed, A::Error> {
        let mut metadata: Option<Texts> = None;
        let mut tensors = Vec::new();
        let mut names = HashSet::new();
        while let Some(name) = map.next_key::<String>()? {
            if name == "__metadata__" {
                if metadata.replace(map.next_value()?).is_some() {
                    return Err(A::Error::custom("__metadata__ appears twice"));
                }
                continue;
            }
            if !names.insert(name.clone()) {
                return Err(A::Error::custom(format_args!("tensor {name:?} appears twice")));
            }
            tensors.push((name, map.next_value()?));
        }
        let metadata = metadata.map_or_else(BTreeMap::new, |texts| texts.0);
        Ok(Parsed { tensors, metadata })
    }
}

/// A map of texts whose names must not repeat.
struct Texts(BTreeMap<String, String>);

impl<'de> Deserialize<'de> for Texts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(TextsVisitor)
    }
}

struct TextsVisitor;

impl<'de> Visitor<'de> for TextsVisitor {
    type Value = Texts;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of texts")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Texts, A::Error> {
        let mut texts = BTreeMap::new();
        while let Some((name, text)) = map.next_entry::<String, String>()? {
            if texts.insert(name.clone(), text).is_some() {
                return Err(A::Error::custom(format_args!("metadata {name:?} appears twice")));
            }
        }
        Ok(Texts(texts))
    }
}

/// Decrypts what it reads, from the start of the stream on.
struct DecryptingReader<R> {
    inner: R,
    cipher: Cipher,
    offset: u64,
}

impl<R> DecryptingReader<R> {
    fn new(inner: R, cipher: Cipher) -> Self {
        Self { inner, cipher, offset: 0 }
    }
}

impl<R: Read> Read for DecryptingReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        let bytes = &mut buffer[..count];
        self.cipher.apply(self.offset, bytes).map_err(io::Error::other)?;
        self.offset += count as u64;
        Ok(count)
    }
}

/// Reads an [`InputFile`] from its start.
struct FileReader<'a> {
    file: &'a InputFile,
    offset: u64,
}

impl Read for FileReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.file.len() - self.offset;
        let count = left.min(buffer.len() as u64) as usize;
        let bytes = &mut buffer[..count];
        self.file.read_exact_at(self.offset, bytes).map_err(io::Error::other)?;
        self.offset += count as u64;
        Ok(count)
    }
}
