//! The set of a committee's members that signed.

use std::collections::BTreeSet;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::{Error, Result, byte_buf};

/// Header of a file without run containers.
const COOKIE: u32 = 12_346;
/// Header, in its low half, of a file that may have run containers.
const COOKIE_WITH_RUNS: u32 = 12_347;
/// A container of more members than this is a bitmap.
const MAX_LIST: usize = 4096;
/// With runs, offsets are absent below this number of containers.
const NO_OFFSET_THRESHOLD: usize = 4;
/// Most members that are read. No committee comes near it, and a few bytes of
/// runs must not become gigabytes.
const MAX_MEMBERS: usize = 1 << 16;

/// Places in a committee's `voting_rights` that took part in a signature.
///
/// On the wire a byte string that holds the portable serialization of a
/// Roaring bitmap. Both headers of that format are read; run containers are
/// never written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SignerBitmap(BTreeSet<u32>);

impl SignerBitmap {
    /// Reads the portable serialization.
    ///
    /// # Errors
    /// [`Error::Text`] if the bytes are not one.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        read(bytes).map(Self).ok_or_else(|| Error::text("signer bitmap", "not a Roaring bitmap"))
    }

    /// The portable serialization.
    pub fn to_bytes(&self) -> Vec<u8> {
        let containers = self.containers();
        let mut output = COOKIE.to_le_bytes().to_vec();
        output.extend_from_slice(&(containers.len() as u32).to_le_bytes());
        for (key, members) in &containers {
            output.extend_from_slice(&key.to_le_bytes());
            output.extend_from_slice(&((members.len() - 1) as u16).to_le_bytes());
        }
        let mut offset = output.len() + 4 * containers.len();
        for (_, members) in &containers {
            output.extend_from_slice(&(offset as u32).to_le_bytes());
            offset += if members.len() > MAX_LIST { 8192 } else { 2 * members.len() };
        }
        for (_, members) in &containers {
            if members.len() > MAX_LIST {
                let mut bits = [0_u8; 8192];
                for member in members {
                    bits[usize::from(member / 8)] |= 1 << (member % 8);
                }
                output.extend_from_slice(&bits);
            } else {
                output.extend(members.iter().flat_map(|member| member.to_le_bytes()));
            }
        }
        output
    }

    /// The places, ascending.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = u32> + '_ {
        self.0.iter().copied()
    }

    /// How many signed.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nobody signed.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The members by the high half of their numbers.
    fn containers(&self) -> Vec<(u16, Vec<u16>)> {
        let mut containers: Vec<(u16, Vec<u16>)> = Vec::new();
        for member in &self.0 {
            let (high, low) = ((member >> 16) as u16, *member as u16);
            match containers.last_mut() {
                Some((key, members)) if *key == high => members.push(low),
                _ => containers.push((high, vec![low])),
            }
        }
        containers
    }
}

impl FromIterator<u32> for SignerBitmap {
    fn from_iter<I: IntoIterator<Item = u32>>(members: I) -> Self {
        Self(members.into_iter().collect())
    }
}

impl Serialize for SignerBitmap {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        byte_buf::serialize(&self.to_bytes(), serializer)
    }
}

impl<'de> Deserialize<'de> for SignerBitmap {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bytes = byte_buf::deserialize(deserializer)?;
        Self::from_bytes(&bytes).map_err(de::Error::custom)
    }
}

fn read(mut input: &[u8]) -> Option<BTreeSet<u32>> {
    let whole_length = input.len();
    let cookie = take_u32(&mut input)?;
    let (count, run_flags) = if cookie == COOKIE {
        (take_u32(&mut input)? as usize, None)
    } else if cookie & 0xffff == COOKIE_WITH_RUNS {
        let count = (cookie >> 16) as usize + 1;
        (count, Some(take(&mut input, count.div_ceil(8))?))
    } else {
        return None;
    };
    let headers = take(&mut input, count.checked_mul(4)?)?;
    let headers: Vec<(u16, usize)> = headers
        .chunks_exact(4)
        .map(|h| {
            (u16::from_le_bytes([h[0], h[1]]), usize::from(u16::from_le_bytes([h[2], h[3]])) + 1)
        })
        .collect();
    if !headers.is_sorted_by(|a, b| a.0 < b.0) {
        return None;
    }
    if headers.iter().map(|(_, cardinality)| cardinality).sum::<usize>() > MAX_MEMBERS {
        return None;
    }
    let offsets = match run_flags {
        Some(_) if count < NO_OFFSET_THRESHOLD => None,
        _ => Some(take(&mut input, 4 * count)?),
    };

    let mut members = BTreeSet::new();
    for (index, (key, cardinality)) in headers.into_iter().enumerate() {
        if let Some(offsets) = offsets {
            let offset = &offsets[4 * index..][..4];
            if u32::from_le_bytes(offset.try_into().ok()?) as usize != whole_length - input.len() {
                return None;
            }
        }
        let is_run = run_flags.is_some_and(|flags| flags[index / 8] & (1 << (index % 8)) != 0);
        let low = if is_run {
            read_runs(&mut input)?
        } else if cardinality > MAX_LIST {
            read_bits(&mut input)?
        } else {
            take(&mut input, 2 * cardinality)?
                .chunks_exact(2)
                .map(|two| u16::from_le_bytes([two[0], two[1]]))
                .collect()
        };
        if low.len() != cardinality || !low.is_sorted_by(|a, b| a < b) {
            return None;
        }
        members.extend(low.into_iter().map(|low| u32::from(key) << 16 | u32::from(low)));
    }
    input.is_empty().then_some(members)
}

fn read_runs(input: &mut &[u8]) -> Option<Vec<u16>> {
    let count = take(input, 2)?;
    let runs = take(input, 4 * usize::from(u16::from_le_bytes([count[0], count[1]])))?;
    let mut members = Vec::new();
    for run in runs.chunks_exact(4) {
        let start = u16::from_le_bytes([run[0], run[1]]);
        let end = start.checked_add(u16::from_le_bytes([run[2], run[3]]))?;
        if members.last().is_some_and(|last| *last >= start) {
            return None;
        }
        members.extend(start..=end);
    }
    Some(members)
}

fn read_bits(input: &mut &[u8]) -> Option<Vec<u16>> {
    let bits = take(input, 8192)?;
    Some((0..=u16::MAX).filter(|n| bits[usize::from(n / 8)] & (1 << (n % 8)) != 0).collect())
}

fn take<'a>(input: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, rest) = input.split_at_checked(length)?;
    *input = rest;
    Some(taken)
}

fn take_u32(input: &mut &[u8]) -> Option<u32> {
    take(input, 4)?.try_into().ok().map(u32::from_le_bytes)
}
