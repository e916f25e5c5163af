//! The weights of the demonstration: a generated file, and a second version of any
//! file.

use std::fs::File;
use std::io::{self, BufWriter, Read, Write as _};
use std::path::Path;

/// Tensors in the generated file.
const TENSORS: usize = 4;
/// Rows and columns of each: four of them hold 64 MiB.
const SIDE: usize = 2048;

/// Writes a safetensors file with 64 MiB of small 32-bit floats, the same ones every
/// time.
pub(super) fn generate(path: &Path) -> io::Result<()> {
    let bytes = SIDE * SIDE * 4;
    let tensors: Vec<_> = (0..TENSORS)
        .map(|n| {
            let (start, end) = (n * bytes, (n + 1) * bytes);
            format!(
                r#""layers.{n}.weight":{{"dtype":"F32","shape":[{SIDE},{SIDE}],"data_offsets":[{start},{end}]}}"#
            )
        })
        .collect();
    let mut header = format!(r#"{{"__metadata__":{{"format":"pt"}},{}}}"#, tensors.join(","));
    // Readers map the data; it begins at a multiple of eight.
    while header.len() % 8 != 0 {
        header.push(' ');
    }

    let mut file = BufWriter::with_capacity(1 << 20, File::create(path)?);
    file.write_all(&(header.len() as u64).to_le_bytes())?;
    file.write_all(header.as_bytes())?;
    let mut state = 1;
    let mut row = Vec::with_capacity(SIDE * 4);
    for _ in 0..TENSORS * SIDE {
        row.clear();
        for _ in 0..SIDE {
            row.extend_from_slice(&next(&mut state).to_le_bytes());
        }
        file.write_all(&row)?;
    }
    file.flush()
}

/// The next of a sequence of numbers between -0.05 and 0.05 (SplitMix64).
fn next(state: &mut u64) -> f32 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^= mixed >> 31;
    let unit = (mixed >> 40) as f32 / (1_u32 << 24) as f32;
    (unit - 0.5) * 0.1
}

/// Which weights are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    /// The file.
    First,
    /// The file with another last byte: the last weight is a little different.
    Second,
}

/// Reads a version of the file.
pub(super) struct Weights {
    file: File,
    left: u64,
    version: Version,
}

impl Weights {
    /// Opens the file.
    pub(super) fn open(path: &Path, version: Version) -> io::Result<Self> {
        let file = File::open(path)?;
        let left = file.metadata()?.len();
        Ok(Self { file, left, version })
    }
}

impl Read for Weights {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read(buffer)?;
        self.left = self.left.saturating_sub(count as u64);
        if self.version == Version::Second && self.left == 0 && count > 0 {
            buffer[count - 1] ^= 1;
        }
        Ok(count)
    }
}

/// Whether two readers give the same bytes.
pub(super) fn same(mut one: impl Read, mut other: impl Read) -> io::Result<bool> {
    let mut left = vec![0; 1 << 20];
    let mut right = vec![0; 1 << 20];
    loop {
        let count = fill(&mut one, &mut left)?;
        if count != fill(&mut other, &mut right)? || left[..count] != right[..count] {
            return Ok(false);
        }
        if count == 0 {
            return Ok(true);
        }
    }
}

fn fill(reader: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match reader.read(&mut buffer[filled..])? {
            0 => break,
            count => filled += count,
        }
    }
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_generated_file_is_valid_and_always_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("w");
        generate(&path).unwrap();
        let header = soma_crypto::safetensors::inspect_file(&path, None).unwrap();
        assert_eq!(header.parameters, 4 * 2048 * 2048);
        let again = dir.path().join("again");
        generate(&again).unwrap();
        let open = |path| Weights::open(path, Version::First).unwrap();
        assert!(same(open(&path), open(&again)).unwrap());
    }

    #[test]
    fn the_second_version_differs_in_its_last_byte() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("w");
        std::fs::write(&path, b"abc").unwrap();
        let mut second = Vec::new();
        Weights::open(&path, Version::Second).unwrap().read_to_end(&mut second).unwrap();
        assert_eq!(second, b"abb");
        let first = Weights::open(&path, Version::First).unwrap();
        assert!(!same(first, &second[..]).unwrap());
    }

    #[test]
    fn different_lengths_are_not_the_same() {
        assert!(same(&b"ab"[..], &b"ab"[..]).unwrap());
        assert!(!same(&b"ab"[..], &b"abc"[..]).unwrap());
        assert!(!same(&b""[..], &b"a"[..]).unwrap());
    }
}
