//! What an interrupted upload needs to go on.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use soma_crypto::{Blake2b256, Digest, HashState, InputFile};

use super::feed::{Part, Piece};
use crate::{Error, Result};

/// The state of an upload in parts. Saved before its parts count, it makes the
/// next run send only what is missing and end with the same bytes.
///
/// The hash runs over the ciphertext in order, and parts are hashed before
/// they are sent; so its state tells what was sent even of parts whose answer
/// never came. Of each of those the states before and after are kept: sent
/// again, it must lead from the one to the other.
///
/// A hash state holds a few bytes of ciphertext; the key is not in here.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// The store's name for the upload.
    upload_id: String,
    /// Bytes in every part but the last.
    part_size: u64,
    /// Bytes of the plain file.
    plain_size: u64,
    /// When the plain file was last written, nanoseconds since 1970.
    plain_modified: Option<u64>,
    /// The hash of the parts below.
    #[serde(serialize_with = "write_state", deserialize_with = "read_state")]
    hash_state: HashState,
    /// The store's marks of the parts that were hashed, in order; of those
    /// that are not known to have arrived, nothing.
    parts: Vec<Option<String>>,
    /// States of the hash before and after parts that have not arrived, and
    /// around the last one, by the number of parts before.
    #[serde(serialize_with = "write_states", deserialize_with = "read_states")]
    cuts: BTreeMap<u64, HashState>,
}

impl Record {
    pub(super) fn new(upload_id: String, part_size: u64, file: &InputFile) -> Self {
        let hash_state = Blake2b256::new().export_state();
        Self {
            upload_id,
            part_size,
            plain_size: file.len(),
            plain_modified: modified(file),
            cuts: BTreeMap::from([(0, hash_state.clone())]),
            hash_state,
            parts: Vec::new(),
        }
    }

    /// The store's name for the upload.
    pub fn upload_id(&self) -> &str {
        &self.upload_id
    }

    /// Bytes in every part but the last.
    pub const fn part_size(&self) -> u64 {
        self.part_size
    }

    /// Bytes that are known to have arrived.
    pub fn confirmed(&self) -> u64 {
        let arrived = (0u64..).zip(&self.parts).filter(|(_, mark)| mark.is_some());
        arrived.map(|(part, _)| self.length_of(part)).sum()
    }

    /// Whether all parts have arrived.
    pub fn is_complete(&self) -> bool {
        self.parts.len() as u64 == self.count() && self.parts.iter().all(Option::is_some)
    }

    /// Refuses a file that is not the one this was begun with.
    pub(super) fn check(&self, file: &InputFile) -> Result<()> {
        let what = if file.len() != self.plain_size {
            "size"
        } else if modified(file) != self.plain_modified {
            "modification time"
        } else if self.is_damaged() {
            return Err(Error::Record);
        } else {
            return Ok(());
        };
        Err(Error::SourceChanged { name: file.name().to_owned(), what })
    }

    /// What is to be read, in order: parts that may not have arrived, then
    /// those nobody has read. If all have arrived, the last one is read again:
    /// at least one part must show that file and key are the same.
    pub(super) fn pieces(&self) -> impl Iterator<Item = Piece> + Send + use<> {
        let state = |cut: u64| self.state(cut).cloned();
        let again = |part: u64, send| {
            Some(Piece { part, send, check: Some((state(part)?, state(part + 1)?)) })
        };
        let hashed = self.parts.len() as u64;
        let marks = || (0u64..).zip(&self.parts);
        let mut first: Vec<_> = marks()
            .filter(|(_, mark)| mark.is_none())
            .filter_map(|(part, _)| again(part, true))
            .collect();
        if first.last().is_none_or(|piece| piece.part + 1 != hashed) {
            first.extend(hashed.checked_sub(1).and_then(|last| again(last, false)));
        }
        let rest = hashed..self.count();
        first.into_iter().chain(rest.map(|part| Piece { part, send: true, check: None }))
    }

    /// Where the hash goes on.
    pub(super) fn hasher(&self) -> Blake2b256 {
        Blake2b256::restore_state(&self.hash_state)
    }

    /// Takes note of a part that was read for the first time.
    pub(super) fn hashed(&mut self, part: &Part) {
        if part.index == self.parts.len() as u64 {
            self.parts.push(None);
            self.hash_state = part.end.clone();
            self.cuts.insert(part.index + 1, part.end.clone());
            self.tidy();
        }
    }

    /// Takes note of a part that has arrived.
    pub(super) fn arrived(&mut self, part: u64, mark: String) {
        if let Some(place) = usize::try_from(part).ok().and_then(|part| self.parts.get_mut(part)) {
            *place = Some(mark);
            self.tidy();
        }
    }

    /// The marks of all parts, if all have arrived.
    pub(super) fn marks(&self) -> Option<Vec<String>> {
        self.parts.iter().cloned().collect::<Option<Vec<_>>>().filter(|_| self.is_complete())
    }

    /// The digest of what was hashed.
    pub(super) fn digest(&self) -> Digest {
        self.hasher().finalize()
    }

    pub(super) fn length_of(&self, part: u64) -> u64 {
        let start = part.saturating_mul(self.part_size);
        self.part_size.min(self.plain_size.saturating_sub(start))
    }

    /// Parts in all; an empty file is one empty part.
    pub(super) fn count(&self) -> u64 {
        self.plain_size.div_ceil(self.part_size.max(1)).max(1)
    }

    fn state(&self, cut: u64) -> Option<&HashState> {
        if cut == self.parts.len() as u64 { Some(&self.hash_state) } else { self.cuts.get(&cut) }
    }

    /// Drops the states that nobody can ask for any more.
    fn tidy(&mut self) {
        let hashed = self.parts.len() as u64;
        let missing = |part: u64| {
            usize::try_from(part).ok().and_then(|part| self.parts.get(part)) == Some(&None)
        };
        self.cuts.retain(|cut, _| {
            *cut + 1 >= hashed || missing(*cut) || cut.checked_sub(1).is_some_and(missing)
        });
    }

    /// Whether it could not have been written by this code.
    fn is_damaged(&self) -> bool {
        let hashed = self.parts.len() as u64;
        let at = |cut: u64| u128::from(cut.saturating_mul(self.part_size).min(self.plain_size));
        let lacking = (0u64..).zip(&self.parts).any(|(part, mark)| {
            let needed = mark.is_none() || part + 1 == hashed;
            needed && (self.state(part).is_none() || self.state(part + 1).is_none())
        });
        self.part_size == 0
            || hashed > self.count()
            || self.hash_state.count() != at(hashed)
            || self.cuts.iter().any(|(cut, state)| state.count() != at(*cut))
            || lacking
    }
}

fn modified(file: &InputFile) -> Option<u64> {
    let since: std::time::Duration =
        file.modified().and_then(|time: SystemTime| time.duration_since(UNIX_EPOCH).ok())?;
    u64::try_from(since.as_nanos()).ok()
}

fn write_state<S: Serializer>(state: &HashState, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&STANDARD.encode(state.to_bytes()))
}

fn read_state<'de, D: Deserializer<'de>>(deserializer: D) -> Result<HashState, D::Error> {
    parse_state(&String::deserialize(deserializer)?)
}

fn write_states<S: Serializer>(
    states: &BTreeMap<u64, HashState>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer
        .collect_map(states.iter().map(|(cut, state)| (cut, STANDARD.encode(state.to_bytes()))))
}

fn read_states<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<u64, HashState>, D::Error> {
    let texts = BTreeMap::<u64, String>::deserialize(deserializer)?;
    texts.into_iter().map(|(cut, text)| Ok((cut, parse_state(&text)?))).collect()
}

fn parse_state<E: de::Error>(text: &str) -> Result<HashState, E> {
    let bytes = STANDARD.decode(text).map_err(E::custom)?;
    HashState::from_bytes(&bytes).map_err(E::custom)
}
