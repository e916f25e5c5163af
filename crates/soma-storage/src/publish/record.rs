//! What an interrupted upload needs to go on.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use soma_crypto::{Blake2b256, Digest, HashState, InputFile};

use super::feed::{Part, Piece};
use crate::{Error, Result};

/// The state of an upload. Saved before its parts are sent, it makes the next
/// run send only what is missing and end with the same bytes.
///
/// The hash runs over the ciphertext in order. What it was at the end of each
/// part is on record before the part leaves the machine, and stays there even
/// if the store forgets the upload: a part that is sent again must lead to the
/// same digest, so that one key never encrypts two files.
///
/// A hash state holds a few bytes of ciphertext; the key is not in here.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// The store's name for the upload; none for a host that takes one PUT.
    upload_id: Option<String>,
    /// Bytes in every part but the last.
    part_size: u64,
    /// Bytes of the plain file.
    plain_size: u64,
    /// When the plain file was last written, nanoseconds since 1970.
    plain_modified: Option<u64>,
    /// For each part that may ever have been sent, in order, the hash of all
    /// bytes up to its end.
    #[serde(serialize_with = "write_digests", deserialize_with = "read_digests")]
    digests: Vec<Digest>,
    /// The hash of the parts below.
    #[serde(serialize_with = "write_state", deserialize_with = "read_state")]
    hash_state: HashState,
    /// The store's marks of the parts of this upload that were hashed, in
    /// order; of those that are not known to have arrived, nothing.
    parts: Vec<Option<String>>,
    /// States of the hash before parts that have not arrived, and before the
    /// last one, by the number of parts before.
    #[serde(serialize_with = "write_states", deserialize_with = "read_states")]
    cuts: BTreeMap<u64, HashState>,
}

impl Record {
    /// Of a file of which nothing was sent yet.
    pub(super) fn new(part_size: u64, file: &InputFile) -> Self {
        Self {
            upload_id: None,
            part_size,
            plain_size: file.len(),
            plain_modified: modified(file),
            digests: Vec::new(),
            hash_state: Blake2b256::new().export_state(),
            parts: Vec::new(),
            cuts: BTreeMap::new(),
        }
    }

    /// Begins again from the first part; what was ever sent stays known.
    pub(super) fn restart(&mut self, upload_id: Option<String>) {
        self.upload_id = upload_id;
        self.hash_state = Blake2b256::new().export_state();
        self.parts.clear();
        self.cuts.clear();
    }

    /// The store's name for the upload, if it has one.
    pub fn upload_id(&self) -> Option<&str> {
        self.upload_id.as_deref()
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
    /// those that this upload has not come to. If all have arrived, the last
    /// one is read again: at least one part must show that file and key are
    /// the same.
    pub(super) fn pieces(&self) -> impl Iterator<Item = Piece> + Send + use<> {
        let hashed = self.parts.len() as u64;
        let missing = (0u64..).zip(&self.parts).filter(|(_, mark)| mark.is_none());
        let mut again: Vec<_> = missing.map(|(part, _)| (part, true)).collect();
        if again.last().is_none_or(|(part, _)| part + 1 != hashed) {
            again.extend(hashed.checked_sub(1).map(|last| (last, false)));
        }
        let again = again.into_iter().map(|(part, send)| {
            let before = self.cuts.get(&part).cloned();
            Piece { part, send, before, expected: self.digest_at(part) }
        });
        let rest = (hashed..self.count()).map(|part| {
            let expected = self.digest_at(part);
            Piece { part, send: true, before: None, expected }
        });
        again.chain(rest).collect::<Vec<_>>().into_iter()
    }

    /// Where the hash goes on.
    pub(super) fn hasher(&self) -> Blake2b256 {
        Blake2b256::restore_state(&self.hash_state)
    }

    /// Takes note of a part that was read; true if it was for the first time,
    /// so that the record must be saved before the part is sent.
    pub(super) fn hashed(&mut self, part: &Part) -> bool {
        let first = part.index == self.digests.len() as u64;
        if first {
            self.digests.push(part.digest);
        }
        if self.upload_id.is_some() && part.index == self.parts.len() as u64 {
            self.parts.push(None);
            let before = std::mem::replace(&mut self.hash_state, part.end.clone());
            self.cuts.insert(part.index, before);
            self.tidy();
        }
        first
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

    /// The hash at the end of a part, if it is known.
    fn digest_at(&self, part: u64) -> Option<Digest> {
        usize::try_from(part).ok().and_then(|part| self.digests.get(part)).copied()
    }

    /// Drops the states that nobody can ask for any more.
    fn tidy(&mut self) {
        let hashed = self.parts.len() as u64;
        let missing = |part: u64| {
            usize::try_from(part).ok().and_then(|part| self.parts.get(part)) == Some(&None)
        };
        self.cuts.retain(|cut, _| *cut + 1 == hashed || missing(*cut));
    }

    /// Whether it could not have been written by this code.
    fn is_damaged(&self) -> bool {
        let hashed = self.parts.len() as u64;
        let known = self.digests.len() as u64;
        let at = |cut: u64| u128::from(cut.saturating_mul(self.part_size).min(self.plain_size));
        let lacking = (0u64..).zip(&self.parts).any(|(part, mark)| {
            (mark.is_none() || part + 1 == hashed) && !self.cuts.contains_key(&part)
        });
        self.part_size == 0
            || !(hashed..=self.count()).contains(&known)
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

/// One text for all of them: there may be ten thousand.
fn write_digests<S: Serializer>(digests: &[Digest], serializer: S) -> Result<S::Ok, S::Error> {
    let bytes: Vec<u8> = digests.iter().flat_map(|digest| digest.into_inner()).collect();
    serializer.serialize_str(&STANDARD.encode(bytes))
}

fn read_digests<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Digest>, D::Error> {
    let bytes = STANDARD.decode(String::deserialize(deserializer)?).map_err(de::Error::custom)?;
    match bytes.as_chunks::<{ Digest::LENGTH }>() {
        (digests, []) => Ok(digests.iter().map(|bytes| Digest::new(*bytes)).collect()),
        _ => Err(de::Error::custom("not a whole number of digests")),
    }
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
