//! The strict reading of safetensors headers.

use std::fs;

use proptest::prelude::*;
use soma_crypto::{
    Cipher, Error, Key,
    safetensors::{Dtype, HeaderError, LONGEST_HEADER, inspect, inspect_file, inspect_sealed},
};

/// A file with this header and `data` bytes after it.
fn file(json: &str, data: usize) -> Vec<u8> {
    let mut bytes = (json.len() as u64).to_le_bytes().to_vec();
    bytes.extend(json.as_bytes());
    bytes.resize(bytes.len() + data, 0xee);
    bytes
}

fn read(json: &str, data: usize) -> Result<soma_crypto::safetensors::Header, HeaderError> {
    let bytes = file(json, data);
    inspect(&bytes[..], bytes.len() as u64)
}

fn reason(json: &str, data: usize) -> String {
    match read(json, data) {
        Err(HeaderError::Json { reason }) => reason,
        other => panic!("{json}: {other:?}"),
    }
}

const GOOD: &str = r#"{"__metadata__":{"format":"pt"},
    "late":{"dtype":"BF16","shape":[2,3],"data_offsets":[4,16]},
    "early":{"dtype":"F32","shape":[],"data_offsets":[0,4]},
    "none":{"dtype":"I64","shape":[0,7],"data_offsets":[16,16]}}   "#;

#[test]
fn a_good_header() {
    let header = read(GOOD, 16).unwrap();
    assert_eq!(header.header_len, GOOD.len() as u64);
    assert_eq!(header.parameters, 7);
    assert_eq!(header.metadata["format"], "pt");
    let found: Vec<_> = header
        .tensors
        .iter()
        .map(|t| (t.name.as_str(), t.dtype, &t.shape[..], t.offset, t.bytes))
        .collect();
    assert_eq!(
        found,
        [
            ("early", Dtype::F32, &[][..], 0, 4),
            ("late", Dtype::Bf16, &[2, 3][..], 4, 12),
            ("none", Dtype::I64, &[0, 7][..], 16, 0),
        ]
    );
    assert_eq!(read("{}", 0).unwrap().tensors, []);
}

#[test]
fn every_type_has_its_size() {
    let sizes = [
        ("BOOL", 8),
        ("F4", 4),
        ("F6_E2M3", 6),
        ("F6_E3M2", 6),
        ("U8", 8),
        ("I8", 8),
        ("F8_E5M2", 8),
        ("F8_E4M3", 8),
        ("F8_E8M0", 8),
        ("I16", 16),
        ("U16", 16),
        ("F16", 16),
        ("BF16", 16),
        ("I32", 32),
        ("U32", 32),
        ("F32", 32),
        ("C64", 64),
        ("F64", 64),
        ("I64", 64),
        ("U64", 64),
    ];
    for (name, bits) in sizes {
        // Four elements are whole bytes in every type.
        let json =
            format!(r#"{{"t":{{"dtype":"{name}","shape":[4],"data_offsets":[0,{}]}}}}"#, bits / 2);
        let header = read(&json, bits / 2).unwrap();
        assert_eq!(header.tensors[0].dtype.to_string(), name);
        assert_eq!(header.tensors[0].dtype.bits(), bits as u64);
    }
}

#[test]
fn lengths_that_cannot_be() {
    for len in 0..8 {
        let found = inspect(&[0; 8][..len], len as u64);
        assert!(matches!(found, Err(HeaderError::TooShort { len: l }) if l == len as u64));
    }
    let bytes = file("{}", 0);
    let found = inspect(&bytes[..], 9);
    assert!(matches!(found, Err(HeaderError::HeaderLength { claimed: 2, available: 1 })));
    // A length no file could have, and one just above what the format allows.
    for claimed in [u64::MAX, LONGEST_HEADER + 1] {
        let bytes = claimed.to_le_bytes();
        let found = inspect(&bytes[..], u64::MAX);
        assert!(matches!(
            found,
            Err(HeaderError::HeaderLength { claimed: c, available: LONGEST_HEADER }) if c == claimed
        ));
    }
    // The file is shorter than the caller was told.
    let found = inspect(&file("{}", 0)[..9], 10);
    assert!(matches!(found, Err(HeaderError::Json { .. } | HeaderError::Read(_))));
}

#[test]
fn text_that_is_no_header() {
    for json in ["", " {}", "[]", "{", "{}x", "null", "{\"a\":1}", "\u{feff}{}"] {
        reason(json, 0);
    }
    let tensor = r#"{"dtype":"U8","shape":[1],"data_offsets":[0,1]}"#;
    let twice = format!(r#"{{"a":{tensor},"a":{tensor}}}"#);
    assert!(reason(&twice, 1).contains("\"a\" appears twice"));
    // The same name, once written with an escape.
    let twice = format!(r#"{{"a":{tensor},"\u0061":{tensor}}}"#);
    assert!(reason(&twice, 1).contains("\"a\" appears twice"));
    assert!(reason(r#"{"__metadata__":{},"__metadata__":{}}"#, 0).contains("appears twice"));
    assert!(reason(r#"{"__metadata__":{"x":"1","x":"2"}}"#, 0).contains("\"x\" appears twice"));
    for bad in [
        r#"{"__metadata__":{"x":1}}"#,
        r#"{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1],"extra":0}}"#,
        r#"{"a":{"dtype":"U8","dtype":"U8","shape":[1],"data_offsets":[0,1]}}"#,
        r#"{"a":{"dtype":"U8","shape":[1]}}"#,
        r#"{"a":{"dtype":"u8","shape":[1],"data_offsets":[0,1]}}"#,
        r#"{"a":{"dtype":"U8","shape":[-1],"data_offsets":[0,1]}}"#,
        r#"{"a":{"dtype":"U8","shape":[1.0],"data_offsets":[0,1]}}"#,
        r#"{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1,2]}}"#,
        r#"{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,18446744073709551616]}}"#,
    ] {
        reason(bad, 1);
    }
}

#[test]
fn offsets_that_do_not_fit() {
    let tensors = |list: &[(u64, u64, u64)]| {
        let entries: Vec<_> = list
            .iter()
            .enumerate()
            .map(|(i, (len, begin, end))| {
                format!(r#""{i}":{{"dtype":"U8","shape":[{len}],"data_offsets":[{begin},{end}]}}"#)
            })
            .collect();
        format!("{{{}}}", entries.join(","))
    };
    let found = read(&tensors(&[(4, 0, 3)]), 3);
    assert!(matches!(found, Err(HeaderError::TensorSize { expected: 4, found: 3, .. })));
    let found = read(&tensors(&[(0, 3, 2)]), 3);
    assert!(matches!(found, Err(HeaderError::Reversed { begin: 3, end: 2, .. })));
    let found = read(&tensors(&[(2, 0, 2), (2, 3, 5)]), 5);
    assert!(matches!(found, Err(HeaderError::Gap { expected: 2, found: 3, .. })));
    let found = read(&tensors(&[(2, 0, 2), (2, 1, 3)]), 3);
    assert!(matches!(found, Err(HeaderError::Gap { expected: 2, found: 1, .. })));
    let found = read(&tensors(&[(2, 1, 3)]), 3);
    assert!(matches!(found, Err(HeaderError::Gap { expected: 0, found: 1, .. })));
    for data in [3, 5] {
        let found = read(&tensors(&[(4, 0, 4)]), data);
        assert!(matches!(found, Err(HeaderError::Coverage { covered: 4, .. })));
    }
    let huge = r#"{"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0]}}"#;
    assert!(matches!(read(huge, 0), Err(HeaderError::Shape { .. })));
    let half_a_byte = r#"{"a":{"dtype":"F4","shape":[1],"data_offsets":[0,1]}}"#;
    assert!(matches!(read(half_a_byte, 1), Err(HeaderError::Shape { .. })));
}

#[test]
fn through_the_key() {
    let key = Key::from_bytes([3; 32]);
    let mut bytes = file(GOOD, 16);
    let len = bytes.len() as u64;
    Cipher::new(&key).apply(0, &mut bytes).unwrap();
    let header = inspect_sealed(&bytes[..], len, &key).unwrap();
    assert_eq!(header, read(GOOD, 16).unwrap());

    let wrong = Key::from_bytes([4; 32]);
    let found = inspect_sealed(&bytes[..], len, &wrong);
    assert!(matches!(found, Err(HeaderError::HeaderLength { .. } | HeaderError::Json { .. })));

    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("sealed");
    fs::write(&path, &bytes).unwrap();
    assert_eq!(inspect_file(&path, Some(&key)).unwrap(), header);
    assert!(inspect_file(&path, None).is_err());
    let missing = inspect_file(dir.path().join("none"), None);
    assert!(matches!(missing, Err(HeaderError::Input(Error::Open { .. }))));
}

proptest! {
    #[test]
    fn foreign_bytes_are_refused_politely(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = inspect(&bytes[..], bytes.len() as u64);
        let mut bytes = bytes;
        if bytes.len() > 8 {
            bytes[..8].copy_from_slice(&9u64.to_le_bytes());
            bytes[8] = b'{';
            prop_assert!(inspect(&bytes[..], bytes.len() as u64).is_err());
        }
    }

    #[test]
    fn any_layout_is_read_back(lens in proptest::collection::vec(0u64..50, 0..20), flip in any::<bool>()) {
        let mut at = 0;
        let mut entries = Vec::new();
        for (i, len) in lens.iter().enumerate() {
            let end = at + len * 2;
            entries.push(format!(
                r#""t{i}":{{"dtype":"F16","shape":[{len}],"data_offsets":[{at},{end}]}}"#
            ));
            at = end;
        }
        if flip {
            entries.reverse();
        }
        let json = format!("{{{}}}", entries.join(","));
        let header = read(&json, at as usize).unwrap();
        prop_assert_eq!(header.tensors.len(), lens.len());
        prop_assert_eq!(header.parameters, lens.iter().sum::<u64>());
        if at > 0 {
            prop_assert!(read(&json, at as usize - 1).is_err());
        }
    }
}
