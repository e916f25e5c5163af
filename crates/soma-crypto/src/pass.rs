//! One pass over an input: read, cipher, hash, write, each overlapping the others.
//!
//! The hash is the one step that cannot be split, so it has the calling thread to
//! itself; workers read and cipher ahead of it, one thread writes behind it.

use std::thread;

use crate::{
    Blake2b256, Cipher, Commitment, Error, Options,
    input::{Extent, Source},
    output::Sink,
    ring::{Chunk, Ring, StopOnPanic},
};

/// Chunks in flight beside those the workers hold: enough to ride out a slow write.
const CHUNKS_AHEAD: usize = 8;

/// What a pass does with the bytes beside hashing them.
#[derive(Clone, Copy)]
pub(crate) enum Work<'a> {
    /// Only the hash.
    Measure,
    /// Encrypt, and hash what comes out.
    Seal(&'a Cipher),
    /// Hash what goes in, and decrypt.
    Open(&'a Cipher),
}

/// Runs a pass to its end. The sink is written to, but not finished.
pub(crate) fn run(
    source: &Source<'_>,
    work: Work<'_>,
    sink: Option<&mut Sink<'_>>,
    options: &Options<'_>,
) -> Result<Commitment, Error> {
    let chunk_len = options.chunk.bytes();
    let threads = options.threads.get();
    if let (Source::Bytes { bytes, .. }, Work::Measure) = (source, work) {
        return measure(bytes, source, options);
    }
    let commitment = match source.len() {
        Some(len) if len <= chunk_len as u64 => inline(source, work, sink, options, len as usize),
        _ if threads == 1 => inline(source, work, sink, options, chunk_len),
        _ => threaded(source, work, sink, options),
    }?;
    source.check_unchanged()?;
    options.proceed(commitment.size, source.len())?;
    Ok(commitment)
}

/// Hashes bytes where they are.
fn measure(bytes: &[u8], source: &Source<'_>, options: &Options<'_>) -> Result<Commitment, Error> {
    let mut hash = OrderedHash::new(source, options);
    bytes.chunks(options.chunk.bytes()).try_for_each(|chunk| hash.update(chunk))?;
    options.proceed(hash.done, hash.total)?;
    Ok(hash.finish())
}

/// The pass on one thread: for small files, and for machines with one core.
fn inline(
    source: &Source<'_>,
    work: Work<'_>,
    mut sink: Option<&mut Sink<'_>>,
    options: &Options<'_>,
    buffer_len: usize,
) -> Result<Commitment, Error> {
    let mut hash = OrderedHash::new(source, options);
    let mut chunk = Chunk::new(buffer_len);
    while fill(source, work, &mut chunk)? {
        hash.update(chunk.ciphertext())?;
        if let Some(sink) = &mut sink {
            sink.write(output(work, &mut chunk)?)?;
        }
    }
    Ok(hash.finish())
}

fn threaded(
    source: &Source<'_>,
    work: Work<'_>,
    sink: Option<&mut Sink<'_>>,
    options: &Options<'_>,
) -> Result<Commitment, Error> {
    let workers = worker_count(work, options);
    let ring = Ring::new(new_chunks(source, work, options, workers), workers);
    let ring_ref = &ring;
    let has_sink = sink.is_some();
    let commitment = thread::scope(|scope| {
        let _guard = StopOnPanic(ring_ref);
        for _ in 0..workers {
            scope.spawn(move || read_ahead(source, work, ring_ref));
        }
        if let Some(sink) = sink {
            scope.spawn(move || write_behind(sink, work, ring_ref));
        }
        hash_in_order(source, options, ring_ref, has_sink)
    });
    match ring.into_failure() {
        Some(error) => Err(error),
        None => Ok(commitment),
    }
}

/// A worker's life: take a free chunk, fill it, hand it on.
fn read_ahead(source: &Source<'_>, work: Work<'_>, ring: &Ring) {
    let _guard = StopOnPanic(ring);
    while let Some(mut chunk) = ring.take_free() {
        match fill(source, work, &mut chunk) {
            Ok(true) => ring.put_filled(chunk),
            Ok(false) => break,
            Err(error) => return ring.fail(error),
        }
    }
    ring.worker_ended();
}

/// The calling thread's part.
fn hash_in_order(
    source: &Source<'_>,
    options: &Options<'_>,
    ring: &Ring,
    has_sink: bool,
) -> Commitment {
    let mut hash = OrderedHash::new(source, options);
    let mut index = 0;
    while let Some(chunk) = ring.take_filled(index) {
        index += 1;
        if let Err(error) = hash.update(chunk.ciphertext()) {
            ring.fail(error);
            break;
        }
        if has_sink {
            ring.put_hashed(chunk);
        } else {
            ring.recycle(chunk);
        }
    }
    ring.hashing_ended();
    hash.finish()
}

/// The writer's life.
fn write_behind(sink: &mut Sink<'_>, work: Work<'_>, ring: &Ring) {
    let _guard = StopOnPanic(ring);
    while let Some(mut chunk) = ring.take_hashed() {
        if let Err(error) = output(work, &mut chunk).and_then(|bytes| sink.write(bytes)) {
            return ring.fail(error);
        }
        ring.recycle(chunk);
    }
}

/// Reads the next chunk and puts the cipher over it where that comes before the hash. The
/// pure part of the pass.
pub(crate) fn fill(source: &Source<'_>, work: Work<'_>, chunk: &mut Chunk) -> Result<bool, Error> {
    let Some(extent) = source.fill(chunk.hashed.as_mut_slice())? else {
        return Ok(false);
    };
    chunk.extent = extent;
    let bytes = &mut chunk.hashed.as_mut_slice()[..extent.len];
    match (work, &mut chunk.plain) {
        (Work::Seal(cipher), _) => cipher.apply(extent.offset, bytes)?,
        (Work::Open(cipher), Some(plain)) => {
            cipher.apply_to(extent.offset, bytes, &mut plain.as_mut_slice()[..extent.len])?;
        }
        (Work::Open(_), None) | (Work::Measure, _) => {}
    }
    Ok(true)
}

/// What the output gets of a chunk that was hashed. A plaintext takes the ciphertext's
/// place now, unless a worker has put it beside.
pub(crate) fn output<'c>(work: Work<'_>, chunk: &'c mut Chunk) -> Result<&'c [u8], Error> {
    let Extent { offset, len, .. } = chunk.extent;
    if let Some(plain) = &chunk.plain {
        return Ok(&plain.as_slice()[..len]);
    }
    let bytes = &mut chunk.hashed.as_mut_slice()[..len];
    if let Work::Open(cipher) = work {
        cipher.apply(offset, bytes)?;
    }
    Ok(bytes)
}

/// As many chunks as the input needs, up to a full ring.
fn new_chunks(
    source: &Source<'_>,
    work: Work<'_>,
    options: &Options<'_>,
    workers: usize,
) -> Vec<Chunk> {
    let len = options.chunk.bytes();
    let ring = workers + CHUNKS_AHEAD;
    let needed =
        source.len().map_or(ring as u64, |total| total.div_ceil(len as u64).max(workers as u64));
    let count = needed.min(ring as u64);
    // Only several workers decrypt faster than the writer does on its way.
    let beside = workers > 1 && matches!(work, Work::Open(_));
    let new = if beside { Chunk::with_room_for_plaintext } else { Chunk::new };
    (0..count).map(|_| new(len)).collect()
}

/// One worker outruns the hash several times over with a hardware cipher, and one more
/// would only take the hash's core; a cipher in software needs what cores there are.
fn worker_count(work: Work<'_>, options: &Options<'_>) -> usize {
    match work {
        Work::Measure => 1,
        Work::Seal(cipher) | Work::Open(cipher) if cipher.backend().is_hardware() => 1,
        Work::Seal(_) | Work::Open(_) => (options.threads.get() - 1).clamp(1, MOST_WORKERS),
    }
}

/// Beyond this even a bitsliced cipher keeps up with the hash.
const MOST_WORKERS: usize = 8;

/// The hash, its count, and the report after each chunk.
struct OrderedHash<'a> {
    hasher: Blake2b256,
    done: u64,
    total: Option<u64>,
    options: &'a Options<'a>,
}

impl<'a> OrderedHash<'a> {
    fn new(source: &Source<'_>, options: &'a Options<'a>) -> Self {
        Self { hasher: Blake2b256::new(), done: 0, total: source.len(), options }
    }

    fn update(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.hasher.update(bytes);
        self.done += bytes.len() as u64;
        self.options.proceed(self.done, self.total)
    }

    fn finish(self) -> Commitment {
        Commitment { size: self.done, digest: self.hasher.finalize() }
    }
}
