//! Embeddings as people and programs write them down.
//!
//! Decimal text is read straight into 32-bit floats, never by way of 64 bits,
//! so a number that was printed with enough digits comes back bit for bit.

use std::fs::{self, File};
use std::io::{Read, Seek as _, SeekFrom};
use std::path::Path;

use soma_crypto::safetensors::{self, Dtype};

use crate::{Check, Error, Finding, Report, Result};

/// First bytes of a `.npy` file.
const NPY_MAGIC: &[u8] = b"\x93NUMPY";
/// Numbers an embedding may have at most; a bound for files, far above any
/// network's parameter.
const LONGEST: u64 = 1 << 20;

/// Reads numbers from text: separated by commas or blanks or on lines of their
/// own, in brackets or not.
///
/// # Errors
/// [`Error::Embedding`] for text without numbers and for anything that is not
/// a finite decimal number; it names the place.
///
/// ```
/// use soma_model::embedding;
///
/// let numbers = embedding::parse("-0.5, 1e-3 ,2")?;
/// assert_eq!(numbers, [-0.5, 0.001, 2.0]);
/// assert_eq!(embedding::parse("[-0.5,\n 1e-3, 2]\n")?, numbers);
/// # Ok::<(), soma_model::Error>(())
/// ```
pub fn parse(text: &str) -> Result<Vec<f32>> {
    parse_named(text, "the argument")
}

/// Reads the numbers that `argument` names: `-` is `stdin`, `F.safetensors:T`
/// the tensor T of a file, everything else a file of text or `.npy`.
///
/// # Errors
/// [`Error::Embedding`], [`Error::Io`].
pub fn read(argument: &str, stdin: impl Read) -> Result<Vec<f32>> {
    if argument == "-" {
        let mut bytes = Vec::new();
        let origin = "standard input";
        stdin
            .take(LONGEST * 40)
            .read_to_end(&mut bytes)
            .map_err(|e| fail(origin, e.to_string()))?;
        return from_bytes(&bytes, origin);
    }
    match argument.split_once(".safetensors:") {
        Some((stem, tensor)) => from_safetensors(Path::new(&format!("{stem}.safetensors")), tensor),
        None => from_file(Path::new(argument)),
    }
}

/// Reads a file of text or a one-dimensional `.npy` of 32- or 64-bit floats.
///
/// # Errors
/// [`Error::Embedding`], [`Error::Io`].
pub fn from_file(path: &Path) -> Result<Vec<f32>> {
    let io = |source| Error::Io { action: "read", path: path.to_owned(), source };
    let length = fs::metadata(path).map_err(io)?.len();
    let origin = path.display().to_string();
    if length > LONGEST * 40 {
        return Err(fail(&origin, format!("{length} bytes are too many for an embedding")));
    }
    from_bytes(&fs::read(path).map_err(io)?, &origin)
}

/// Reads a one-dimensional tensor of 32- or 64-bit floats.
///
/// # Errors
/// [`Error::Embedding`], [`Error::Io`].
pub fn from_safetensors(path: &Path, tensor: &str) -> Result<Vec<f32>> {
    let origin = format!("{}:{tensor}", path.display());
    let header = safetensors::inspect_file(path, None).map_err(|e| fail(&origin, e.to_string()))?;
    let Some(found) = header.tensors.iter().find(|candidate| candidate.name == tensor) else {
        let names: Vec<_> = header.tensors.iter().take(8).map(|t| t.name.as_str()).collect();
        return Err(fail(&origin, format!("no such tensor; the file begins with {names:?}")));
    };
    check_shape(&origin, &found.shape)?;
    let width = match found.dtype {
        Dtype::F32 => Width::Single,
        Dtype::F64 => Width::Double,
        other => return Err(fail(&origin, format!("expected F32 or F64, found {other}"))),
    };
    let io = |source| Error::Io { action: "read", path: path.to_owned(), source };
    let mut file = File::open(path).map_err(io)?;
    file.seek(SeekFrom::Start(8 + header.header_len + found.offset)).map_err(io)?;
    let mut bytes = Vec::new();
    file.take(found.bytes).read_to_end(&mut bytes).map_err(io)?;
    finite(numbers(&bytes, width, Order::Little), &origin)
}

/// Checks an embedding against the network's length: EmbeddingDimensionMismatch
/// and the values that a reveal is refused for (L-14).
pub fn check(embedding: &[f32], network_dim: u64) -> Report {
    let mut report = Report::default();
    if embedding.len() as u64 != network_dim {
        report.push(
            Finding::error(
                Check::Embedding,
                format!(
                    "the network wants {network_dim} numbers, the embedding has {}",
                    embedding.len()
                ),
            )
            .with_remedy("give the vector that compute_loss returned in training, whole")
            .with_failure("EmbeddingDimensionMismatch"),
        );
    }
    if let Some(place) = embedding.iter().position(|number| !number.is_finite()) {
        report.push(
            Finding::error(
                Check::Embedding,
                format!("number {} is {}, not a finite number", place + 1, embedding[place]),
            )
            .with_remedy("give the vector that compute_loss returned in training")
            .with_failure("InvalidArguments"),
        );
    }
    if !embedding.is_empty() && embedding.iter().all(|number| *number == 0.0) {
        report.push(
            Finding::error(Check::Embedding, "all numbers are zero")
                .with_remedy("a model with a zero embedding is never chosen")
                .with_failure("InvalidArguments"),
        );
    }
    report
}

fn from_bytes(bytes: &[u8], origin: &str) -> Result<Vec<f32>> {
    if bytes.starts_with(NPY_MAGIC) {
        return from_npy(bytes, origin);
    }
    let text = std::str::from_utf8(bytes)
        .map_err(|_| fail(origin, "neither text nor a .npy file".to_owned()))?;
    parse_named(text.trim_start_matches('\u{feff}'), origin)
}

fn parse_named(text: &str, origin: &str) -> Result<Vec<f32>> {
    let text = text.trim();
    let inner = match (text.strip_prefix('['), text.strip_suffix(']')) {
        (Some(_), Some(_)) => text[1..text.len() - 1].trim(),
        (None, None) => text,
        _ => return Err(fail(origin, "a bracket is missing".to_owned())),
    };
    if inner.is_empty() {
        return Err(fail(origin, "it is empty".to_owned()));
    }
    let parts: Vec<&str> = if inner.contains(',') {
        inner.split(',').map(str::trim).collect()
    } else {
        inner.split_whitespace().collect()
    };
    let numbers = parts.iter().enumerate().map(|(place, part)| {
        // Rust also reads `inf`, `nan` and `infinity`; the check below refuses them.
        part.parse().map_err(|_| {
            let part: String = part.chars().take(24).collect();
            fail(origin, format!("number {} is `{part}`, not a decimal number", place + 1))
        })
    });
    finite(numbers.collect::<Result<_>>()?, origin)
}

/// NumPy's format: magic, version, header length, a Python dictionary, data.
fn from_npy(bytes: &[u8], origin: &str) -> Result<Vec<f32>> {
    let broken = || fail(origin, "the .npy header is broken".to_owned());
    let (header_len, start) = match *bytes.get(6..).ok_or_else(broken)? {
        [1, _, a, b, ..] => (usize::from(u16::from_le_bytes([a, b])), 10),
        [2 | 3, _, a, b, c, d, ..] => (u32::from_le_bytes([a, b, c, d]) as usize, 12),
        _ => return Err(broken()),
    };
    let header = bytes.get(start..start + header_len).ok_or_else(broken)?;
    let header = std::str::from_utf8(header).map_err(|_| broken())?;
    let after = |key: &str| Some(header.split_once(key)?.1.trim_start());
    let descr = after("'descr':")
        .and_then(|rest| rest.strip_prefix('\'')?.split_once('\''))
        .ok_or_else(broken)?
        .0;
    let (width, order) = match descr {
        "<f4" => (Width::Single, Order::Little),
        ">f4" => (Width::Single, Order::Big),
        "<f8" => (Width::Double, Order::Little),
        ">f8" => (Width::Double, Order::Big),
        other => {
            return Err(fail(origin, format!("expected float32 or float64, found {other}")));
        }
    };
    let shape = after("'shape':")
        .and_then(|rest| rest.strip_prefix('(')?.split_once(')'))
        .ok_or_else(broken)?
        .0;
    let shape: Vec<u64> = shape
        .split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .map(|part| part.parse().map_err(|_| broken()))
        .collect::<Result<_>>()?;
    check_shape(origin, &shape)?;
    let data = &bytes[start + header_len..];
    let expected = shape[0] * width.bytes() as u64;
    if data.len() as u64 != expected {
        return Err(fail(
            origin,
            format!("expected {expected} bytes of data, found {}", data.len()),
        ));
    }
    finite(numbers(data, width, order), origin)
}

#[derive(Clone, Copy)]
enum Width {
    Single,
    Double,
}

impl Width {
    const fn bytes(self) -> usize {
        match self {
            Self::Single => 4,
            Self::Double => 8,
        }
    }
}

#[derive(Clone, Copy)]
enum Order {
    Little,
    Big,
}

fn numbers(bytes: &[u8], width: Width, order: Order) -> Vec<f32> {
    let single = |four: &[u8]| {
        let four = [four[0], four[1], four[2], four[3]];
        match order {
            Order::Little => f32::from_le_bytes(four),
            Order::Big => f32::from_be_bytes(four),
        }
    };
    let double = |eight: &[u8]| {
        let (a, b) = eight.split_at(4);
        let eight = [a[0], a[1], a[2], a[3], b[0], b[1], b[2], b[3]];
        match order {
            Order::Little => f64::from_le_bytes(eight),
            Order::Big => f64::from_be_bytes(eight),
        }
    };
    let chunks = bytes.chunks_exact(width.bytes());
    match width {
        Width::Single => chunks.map(single).collect(),
        Width::Double => chunks.map(|eight| double(eight) as f32).collect(),
    }
}

fn check_shape(origin: &str, shape: &[u64]) -> Result<()> {
    match *shape {
        [0] => Err(fail(origin, "it is empty".to_owned())),
        [length] if length <= LONGEST => Ok(()),
        [length] => Err(fail(origin, format!("{length} numbers are too many for an embedding"))),
        _ => Err(fail(origin, format!("expected one dimension, found shape {shape:?}"))),
    }
}

fn finite(numbers: Vec<f32>, origin: &str) -> Result<Vec<f32>> {
    match numbers.iter().position(|number| !number.is_finite()) {
        Some(place) => Err(fail(
            origin,
            format!("number {} is {}, not a finite 32-bit number", place + 1, numbers[place]),
        )),
        None => Ok(numbers),
    }
}

fn fail(origin: &str, reason: String) -> Error {
    Error::Embedding { origin: origin.to_owned(), reason }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn npy(descr: &str, shape: &str, data: &[u8]) -> Vec<u8> {
        let mut header =
            format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}");
        while (10 + header.len() + 1) % 64 != 0 {
            header.push(' ');
        }
        header.push('\n');
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend((header.len() as u16).to_le_bytes());
        bytes.extend(header.as_bytes());
        bytes.extend(data);
        bytes
    }

    fn reason(result: Result<Vec<f32>>) -> String {
        result.unwrap_err().to_string()
    }

    #[test]
    fn forms_of_text() {
        let expected = [-0.1_f32, 0.25, 3e-7];
        for text in [
            "-0.1,0.25,3e-7",
            " -0.1 ,\t0.25 , 3E-7 ",
            "[-0.1, 0.25, 3e-7]",
            "[\n  -0.1,\n  0.25,\n  3e-7\n]\n",
            "-0.1\n0.25\n3e-7\n",
            "-0.1 0.25 3e-7",
            "[-0.1 0.25 3e-7]",
            "\r\n-0.1\r\n0.25\r\n3e-7\r\n",
        ] {
            assert_eq!(parse(text).unwrap(), expected, "{text:?}");
        }
        assert_eq!(parse("-1").unwrap(), [-1.0]);
    }

    #[test]
    fn bad_text_is_named() {
        for (text, part) in [
            ("", "empty"),
            ("[]", "empty"),
            ("[1,2", "bracket"),
            ("1,2]", "bracket"),
            ("1,,2", "number 2 is ``"),
            ("1,2,", "number 3"),
            ("1,x", "number 2 is `x`"),
            ("[[1,2]]", "number 1"),
            ("1,NaN", "number 2 is NaN"),
            ("inf", "number 1 is inf"),
            ("1e39", "number 1 is inf"),
            ("0x10", "number 1"),
        ] {
            let reason = reason(parse(text));
            assert!(reason.contains(part), "{text:?}: {reason}");
        }
    }

    proptest! {
        /// What is printed in full comes back bit for bit, in every form.
        #[test]
        fn bits_survive(numbers in prop::collection::vec(any::<f32>(), 1..50)) {
            let numbers: Vec<_> = numbers.into_iter().filter(|n| n.is_finite()).collect();
            prop_assume!(!numbers.is_empty());
            let texts: Vec<_> = numbers.iter().map(|n| format!("{n:e}")).collect();
            let bits = |numbers: &[f32]| numbers.iter().map(|n| n.to_bits()).collect::<Vec<_>>();
            for joined in [texts.join(","), format!("[{}]", texts.join(", ")), texts.join("\n")] {
                prop_assert_eq!(bits(&parse(&joined).unwrap()), bits(&numbers));
            }
            let little: Vec<u8> = numbers.iter().flat_map(|n| n.to_le_bytes()).collect();
            let big: Vec<u8> = numbers.iter().flat_map(|n| n.to_be_bytes()).collect();
            let wide: Vec<u8> =
                numbers.iter().flat_map(|n| f64::from(*n).to_le_bytes()).collect();
            let shape = format!("({},)", numbers.len());
            for file in [npy("<f4", &shape, &little), npy(">f4", &shape, &big), npy("<f8", &shape, &wide)] {
                prop_assert_eq!(bits(&read("-", &file[..]).unwrap()), bits(&numbers));
            }
        }

        #[test]
        fn nothing_panics(bytes: Vec<u8>, header: String) {
            let _ = read("-", &bytes[..]);
            let _ = read("-", &npy(&header, "(1,)", &bytes)[..]);
            let _ = read("-", &npy("<f4", &header, &bytes)[..]);
            let _ = read("-", &[NPY_MAGIC, &bytes].concat()[..]);
        }
    }

    #[test]
    fn npy_files_that_do_not_fit() {
        let one = 1_f32.to_le_bytes();
        for (file, part) in [
            (npy("<i4", "(1,)", &one), "float32 or float64, found <i4"),
            (npy("<f4", "(1, 1)", &one), "one dimension, found shape [1, 1]"),
            (npy("<f4", "()", &one), "one dimension"),
            (npy("<f4", "(0,)", &[]), "empty"),
            (npy("<f4", "(2,)", &one), "expected 8 bytes of data, found 4"),
            (npy("<f4", "(99999999999,)", &one), "too many"),
            (npy("<f8", "(1,)", &1e300_f64.to_le_bytes()), "number 1 is inf"),
            (NPY_MAGIC.to_vec(), "header is broken"),
        ] {
            let reason = reason(read("-", &file[..]));
            assert!(reason.contains(part) && reason.contains("standard input"), "{reason}");
        }
    }

    #[test]
    fn a_tensor_of_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.b.safetensors");
        let json = br#"{"v":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},
            "d":{"dtype":"F64","shape":[1],"data_offsets":[8,16]},
            "m":{"dtype":"F32","shape":[1,1],"data_offsets":[16,20]},
            "i":{"dtype":"I32","shape":[1],"data_offsets":[20,24]}}"#;
        let mut file = (json.len() as u64).to_le_bytes().to_vec();
        file.extend(json);
        file.extend([0.5_f32, -2.0].iter().flat_map(|n| n.to_le_bytes()));
        file.extend(0.25_f64.to_le_bytes());
        file.extend([0; 8]);
        fs::write(&path, file).unwrap();
        let tensor = |name: &str| read(&format!("{}:{name}", path.display()), std::io::empty());
        assert_eq!(tensor("v").unwrap(), [0.5, -2.0]);
        assert_eq!(tensor("d").unwrap(), [0.25]);
        assert!(reason(tensor("m")).contains("one dimension"));
        assert!(reason(tensor("i")).contains("found I32"));
        assert!(reason(tensor("x")).contains("no such tensor"));
        fs::write(folder.path().join("list.json"), "[1, 2]").unwrap();
        let list = folder.path().join("list.json").display().to_string();
        assert_eq!(read(&list, std::io::empty()).unwrap(), [1.0, 2.0]);
        let missing = folder.path().join("none").display().to_string();
        assert!(matches!(read(&missing, std::io::empty()), Err(Error::Io { .. })));
    }

    #[test]
    fn what_a_network_refuses() {
        assert!(check(&[0.5, 0.0], 2).is_ok());
        let report = check(&[0.0, f32::NAN], 3);
        let failures: Vec<_> = report.errors().map(|f| f.failure.unwrap()).collect();
        assert_eq!(failures, ["EmbeddingDimensionMismatch", "InvalidArguments"]);
        let report = check(&[0.0, -0.0], 2);
        assert_eq!(report.errors().count(), 1);
        assert!(report.to_string().contains("zero"));
        assert_eq!(check(&[], 2).failure(), Some("EmbeddingDimensionMismatch"));
    }
}
