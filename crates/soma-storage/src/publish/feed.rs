//! From the file to parts that are ready to go: read, encrypted, hashed.
//!
//! Two threads, so that reading and the cipher overlap with the hash, which
//! nothing can speed up. Buffers go round: whoever holds none waits, and that
//! bounds the memory whatever the size of the file.

use std::sync::Arc;
use std::sync::mpsc as blocking;
use std::thread;

use bytes::{Bytes, BytesMut};
use soma_crypto::{Blake2b256, Cipher, Digest, HashState, InputFile, Key};
use tokio::sync::mpsc;

use crate::meter::Meter;
use crate::{Error, Result};

/// Bytes read and encrypted at a time: they stay in the processor's cache.
const STEP: usize = 1 << 20;

/// Buffers beside those on their way: one is being read, one is being hashed.
pub(super) const BUFFERS_IN_FEED: usize = 2;

/// What is uploaded: an open file, encrypted on its way if there is a key.
#[derive(Debug)]
pub struct Source {
    pub(super) file: InputFile,
    cipher: Option<Cipher>,
}

impl Source {
    /// The bytes of `file` encrypted under `key`.
    pub fn sealed(file: InputFile, key: &Key) -> Self {
        Self { file, cipher: Some(Cipher::new(key)) }
    }

    /// The bytes of `file`.
    pub const fn plain(file: InputFile) -> Self {
        Self { file, cipher: None }
    }

    /// Bytes in all; encryption does not change the length.
    pub fn length(&self) -> u64 {
        self.file.len()
    }
}

/// A part that is to be read.
pub(super) struct Piece {
    pub(super) part: u64,
    /// Whether it is to be sent, or only to be compared.
    pub(super) send: bool,
    /// The state of the hash before it, if that is not what the piece before
    /// leaves behind.
    pub(super) before: Option<HashState>,
    /// What the hash must be at its end, if it was read before.
    pub(super) expected: Option<Digest>,
}

/// A part that is ready.
pub(super) struct Part {
    pub(super) index: u64,
    /// Bytes into the file.
    pub(super) offset: u64,
    pub(super) bytes: Bytes,
    pub(super) send: bool,
    /// The state of the hash after it.
    pub(super) end: HashState,
    /// The hash of everything up to its end.
    pub(super) digest: Digest,
}

/// Parts as they become ready. Dropping it ends the threads.
pub(super) struct Feed {
    parts: mpsc::Receiver<Result<Part>>,
    buffers: Buffers,
}

/// Where buffers are given back.
#[derive(Clone)]
pub(super) struct Buffers {
    free: blocking::Sender<BytesMut>,
    part_size: usize,
}

impl Feed {
    /// Starts reading. `hasher` goes on with the first piece that has no
    /// state of its own.
    pub(super) fn start(
        source: Arc<Source>,
        meter: Arc<Meter>,
        pieces: impl Iterator<Item = Piece> + Send + 'static,
        hasher: Blake2b256,
        part_size: usize,
        in_flight: usize,
    ) -> Self {
        let (free, taken) = blocking::channel();
        for _ in 0..in_flight + BUFFERS_IN_FEED {
            // The receiver is here, so this cannot fail.
            let _ = free.send(BytesMut::new());
        }
        let (filled, to_hash) = blocking::sync_channel(0);
        let (ready, parts) = mpsc::channel(1);
        let reader = Arc::clone(&source);
        thread::spawn(move || {
            for piece in pieces {
                let Ok(buffer) = taken.recv() else { return };
                let part = reader.fill(&piece, buffer, part_size, &meter);
                let failed = part.is_err();
                if filled.send(part.map(|bytes| (piece, bytes))).is_err() || failed {
                    return;
                }
            }
        });
        thread::spawn(move || {
            let mut hasher = hasher;
            for filled in to_hash {
                let part = filled.and_then(|(piece, bytes)| {
                    source.hash(&mut hasher, &piece, bytes, part_size as u64)
                });
                let failed = part.is_err();
                if ready.blocking_send(part).is_err() || failed {
                    return;
                }
            }
        });
        Self { parts, buffers: Buffers { free, part_size } }
    }

    /// The next part; nothing after the last.
    pub(super) async fn next(&mut self) -> Option<Result<Part>> {
        self.parts.recv().await
    }

    /// Where the buffers of parts are to be given back.
    pub(super) const fn buffers(&self) -> &Buffers {
        &self.buffers
    }
}

impl Buffers {
    /// Takes the buffer of a part back.
    pub(super) fn recycle(&self, bytes: Bytes) {
        // A connection may still hold on to it; then there is a new one.
        let buffer = bytes.try_into_mut().unwrap_or_default();
        let buffer = if buffer.capacity() >= self.part_size { buffer } else { BytesMut::new() };
        // If the reader has come to its end it needs no more.
        let _ = self.free.send(buffer);
    }
}

impl Source {
    fn fill(
        &self,
        piece: &Piece,
        mut buffer: BytesMut,
        part_size: usize,
        meter: &Meter,
    ) -> Result<Bytes> {
        let start = piece.part * part_size as u64;
        let left = self.file.len().saturating_sub(start);
        buffer.resize(usize::try_from(left).unwrap_or(part_size).min(part_size), 0);
        let mut offset = start;
        for step in buffer.chunks_mut(STEP) {
            self.file.read_exact_at(offset, step)?;
            if let Some(cipher) = &self.cipher {
                cipher.apply(offset, step)?;
            }
            offset += step.len() as u64;
            meter.add_read(step.len() as u64);
        }
        Ok(buffer.freeze())
    }

    fn hash(
        &self,
        running: &mut Blake2b256,
        piece: &Piece,
        bytes: Bytes,
        part_size: u64,
    ) -> Result<Part> {
        let mut own = piece.before.as_ref().map(Blake2b256::restore_state);
        let hasher = own.as_mut().unwrap_or(running);
        hasher.update(&bytes);
        let (end, digest) = (hasher.export_state(), hasher.clone().finalize());
        if piece.expected.is_some_and(|expected| expected != digest) {
            let name = self.file.name().to_owned();
            return Err(Error::SourceChanged { name, what: "content" });
        }
        let offset = piece.part * part_size;
        Ok(Part { index: piece.part, offset, bytes, send: piece.send, end, digest })
    }
}
