//! Many files at once: their hashes share the lanes of the registers.
//!
//! Each worker has a few files in hand and takes one step of each in turn: read and
//! cipher all, hash all side by side, write all. There is nothing to overlap within a
//! worker, because the other workers keep the other cores busy.
//!
//! With fewer files than cores, and few of them, nothing stands side by side, and cores would
//! be idle: each file then is a pass of its own, whose steps overlap.

use std::{
    collections::VecDeque,
    num::NonZeroUsize,
    ops::ControlFlow,
    panic::resume_unwind,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, ScopedJoinHandle},
};

use crate::{
    Blake2b256, ChunkSize, Cipher, Commitment, Digest, Error, Input, Key, Options, Output,
    blake2b::Lanes,
    input::Source,
    output::Sink,
    pass::{self, Work},
    ring::Chunk,
    seal::cipher,
};

/// Files in hand at once, of all workers together: each may have four open (input, output,
/// the output once more for direct writes, and its directory), and a process often may have
/// 1024.
const MOST_FILES: usize = 192;

/// As many files at most are passes of their own: each takes a ring of chunks, about 9 MiB.
const MOST_PASSES: usize = 8;

/// What a lane takes in one step.
const LANE_STEP: ChunkSize = ChunkSize::LANE;

/// One file of [`seal_many`].
#[derive(Debug)]
pub struct SealJob<'a> {
    /// The key, used for this file only.
    pub key: &'a Key,
    /// The plaintext.
    pub input: Input<'a>,
    /// Where the ciphertext goes.
    pub output: Output<'a>,
}

/// One file of [`open_many`].
#[derive(Debug)]
pub struct OpenJob<'a> {
    /// The key of this file.
    pub key: &'a Key,
    /// The ciphertext.
    pub input: Input<'a>,
    /// Where the plaintext goes.
    pub output: Output<'a>,
    /// The digest the ciphertext must have, if it is known.
    pub expected: Option<Digest>,
}

/// Size and Blake2b-256 of each input, in their order. One that fails does not stop the
/// others.
///
/// Each core hashes several inputs side by side, which is two to four times as fast as
/// one after the other where there are kernels for it (x86-64 with AVX2 or AVX-512); this
/// is the function to call whenever there is more than one file. The chunk size of the
/// options plays a part only when there are fewer files than threads.
///
/// ```
/// use soma_crypto::{Input, Options, commitments, hash};
///
/// let inputs = [&b"one"[..], &b"two"[..]].map(|bytes| Input::bytes("memory", bytes));
/// let found = commitments(inputs, &Options::new());
/// assert_eq!(found[1].as_ref().unwrap().digest, hash(b"two"));
/// ```
pub fn commitments<'a>(
    inputs: impl IntoIterator<Item = Input<'a>>,
    options: &Options<'_>,
) -> Vec<Result<Commitment, Error>> {
    let inputs = inputs.into_iter();
    run(inputs.map(|input| Order::measure(input, None)).collect(), options)
}

/// [`commitments`], each compared with the digest it should have.
///
/// # Errors
/// For an input with another digest, [`Error::DigestMismatch`].
pub fn verify_many<'a>(
    inputs: impl IntoIterator<Item = (Input<'a>, Digest)>,
    options: &Options<'_>,
) -> Vec<Result<Commitment, Error>> {
    let inputs = inputs.into_iter();
    run(inputs.map(|(input, expected)| Order::measure(input, Some(expected))).collect(), options)
}

/// [`crate::seal`] for many files, hashed side by side as by [`commitments`].
///
/// ```
/// use soma_crypto::{Input, Key, Options, Output, SealJob, seal_many};
///
/// # let dir = tempfile::tempdir()?;
/// # let outputs = [dir.path().join("a"), dir.path().join("b")];
/// let keys = [Key::generate()?, Key::generate()?];
/// let jobs = keys.iter().zip(&outputs).map(|(key, output)| SealJob {
///     key,
///     input: Input::bytes("memory", b"weights"),
///     output: Output::file(output),
/// });
/// let sealed = seal_many(jobs, &Options::new());
/// assert_ne!(sealed[0].as_ref().unwrap(), sealed[1].as_ref().unwrap());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn seal_many<'a>(
    jobs: impl IntoIterator<Item = SealJob<'a>>,
    options: &Options<'_>,
) -> Vec<Result<Commitment, Error>> {
    let jobs = jobs.into_iter().map(|SealJob { key, input, output }| Order {
        input,
        task: Task::Seal(key, output),
        expected: None,
    });
    run(jobs.collect(), options)
}

/// [`crate::open`] for many files, hashed side by side as by [`commitments`].
pub fn open_many<'a>(
    jobs: impl IntoIterator<Item = OpenJob<'a>>,
    options: &Options<'_>,
) -> Vec<Result<Commitment, Error>> {
    let jobs = jobs.into_iter().map(|OpenJob { key, input, output, expected }| Order {
        input,
        task: Task::Open(key, output),
        expected,
    });
    run(jobs.collect(), options)
}

/// A job nobody has begun. Nothing is open yet: there may be more jobs than a process
/// may have files open.
struct Order<'a> {
    input: Input<'a>,
    task: Task<'a>,
    expected: Option<Digest>,
}

enum Task<'a> {
    Measure,
    Seal(&'a Key, Output<'a>),
    Open(&'a Key, Output<'a>),
}

impl<'a> Order<'a> {
    fn measure(input: Input<'a>, expected: Option<Digest>) -> Self {
        Self { input, task: Task::Measure, expected }
    }

    fn begin(self, step: ChunkSize, options: &Options<'_>) -> Result<Job<'a>, Error> {
        let source = self.input.into_source(step)?;
        let (cipher, sink, opens) = match self.task {
            Task::Measure => (None, None, false),
            Task::Seal(key, output) => (Some(cipher(key, options)?), Some(output), false),
            Task::Open(key, output) => (Some(cipher(key, options)?), Some(output), true),
        };
        let sink = sink.map(|output| output.into_sink(options)).transpose()?;
        Ok(Job { source, cipher, opens, sink, expected: self.expected })
    }
}

/// A job in some worker's hands.
struct Job<'a> {
    source: Source<'a>,
    cipher: Option<Cipher>,
    opens: bool,
    sink: Option<Sink<'a>>,
    expected: Option<Digest>,
}

fn work(cipher: Option<&Cipher>, opens: bool) -> Work<'_> {
    match cipher {
        None => Work::Measure,
        Some(cipher) if opens => Work::Open(cipher),
        Some(cipher) => Work::Seal(cipher),
    }
}

type Outcome = Result<Commitment, Error>;

fn run(orders: Vec<Order<'_>>, options: &Options<'_>) -> Vec<Outcome> {
    if orders.len() <= 1 {
        return orders.into_iter().map(|order| alone(order, options)).collect();
    }
    let total = orders.iter().map(|order| order.input.len_hint()).sum();
    if orders.len() < options.threads.get() && orders.len() <= MOST_PASSES {
        return side_by_side(orders, total, options);
    }
    let outcomes = orders.iter().map(|_| None).collect();
    let queue: VecDeque<_> = orders.into_iter().enumerate().collect();
    let workers = options.threads.get().min(queue.len()).min(MOST_FILES);
    let lanes = queue.len().div_ceil(workers).clamp(1, Lanes::width());
    let lanes = lanes.min(MOST_FILES / workers);
    let batch = Batch {
        queue: Mutex::new(queue),
        outcomes: Mutex::new(outcomes),
        done: AtomicU64::new(0),
        total,
        options,
    };
    thread::scope(|scope| {
        for _ in 1..workers {
            scope.spawn(|| batch.work(lanes));
        }
        batch.work(lanes);
    });
    let outcomes = batch.outcomes.into_inner().unwrap_or_else(PoisonError::into_inner);
    let outcomes = outcomes.into_iter();
    outcomes
        .map(|outcome| outcome.expect("every job was taken from the queue and finished"))
        .collect()
}

/// Each file on threads of its own, those of the options shared out among them.
fn side_by_side(orders: Vec<Order<'_>>, total: Option<u64>, options: &Options<'_>) -> Vec<Outcome> {
    let share = options.threads.get() / orders.len();
    let share = NonZeroUsize::new(share).unwrap_or(NonZeroUsize::MIN);
    let (done, cancelled) = (AtomicU64::new(0), AtomicBool::new(false));
    let proceed = |more: u64| {
        let done = done.fetch_add(more, Ordering::Relaxed) + more;
        if options.proceed(done, total).is_err() {
            cancelled.store(true, Ordering::Relaxed);
        }
        match cancelled.load(Ordering::Relaxed) {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    };
    let proceed = &proceed;
    thread::scope(|scope| {
        let passes: Vec<_> = orders
            .into_iter()
            .map(|order| {
                let own = AtomicU64::new(0);
                let options = options.clone().with_threads(share).with_progress(move |now| {
                    proceed(now.done - own.swap(now.done, Ordering::Relaxed))
                });
                scope.spawn(move || alone(order, &options))
            })
            .collect();
        let outcomes = passes.into_iter().map(ScopedJoinHandle::join);
        outcomes.map(|outcome| outcome.unwrap_or_else(|panic| resume_unwind(panic))).collect()
    })
}

/// One file by itself.
fn alone(order: Order<'_>, options: &Options<'_>) -> Outcome {
    let mut job = order.begin(options.chunk, options)?;
    let mut sink = job.sink.take();
    let work = work(job.cipher.as_ref(), job.opens);
    let commitment = pass::run(&job.source, work, sink.as_mut(), options)?;
    job.sink = sink;
    finish(job, commitment)
}

/// What the workers share.
struct Batch<'a, 'b> {
    queue: Mutex<VecDeque<(usize, Order<'a>)>>,
    outcomes: Mutex<Vec<Option<Outcome>>>,
    done: AtomicU64,
    total: Option<u64>,
    options: &'b Options<'b>,
}

/// A place in a worker's hands: the job it holds, if any, and the step just read.
struct Seat<'a> {
    job: Option<(usize, Job<'a>)>,
    chunk: Chunk,
    size: u64,
}

impl<'a> Batch<'a, '_> {
    /// One worker: keeps its seats occupied until the queue is empty.
    fn work(&self, lanes: usize) {
        let mut hashes = Hashes::new(lanes);
        let new_seat = |_| Seat { job: None, chunk: Chunk::new(LANE_STEP.bytes()), size: 0 };
        let mut seats: Vec<Seat<'a>> = (0..lanes).map(new_seat).collect();
        loop {
            for (lane, seat) in seats.iter_mut().enumerate() {
                self.refill(lane, seat, &mut hashes);
            }
            let stepped: usize = seats.iter().map(|seat| seat.chunk.extent.len).sum();
            if stepped == 0 {
                return;
            }
            let inputs: Vec<_> = seats.iter().map(|seat| seat.chunk.ciphertext()).collect();
            hashes.update(&inputs);
            for (lane, seat) in seats.iter_mut().enumerate() {
                self.write(lane, seat, &mut hashes);
            }
            let done = self.done.fetch_add(stepped as u64, Ordering::Relaxed) + stepped as u64;
            if self.options.proceed(done, self.total).is_err() {
                self.cancel(seats, done);
                return;
            }
        }
    }

    /// Reads and ciphers the next step of a seat, moving on to further jobs as they end.
    /// The step is empty when there is nothing left to do.
    fn refill(&self, lane: usize, seat: &mut Seat<'a>, hashes: &mut Hashes) {
        seat.chunk.extent = Default::default();
        loop {
            let Some((_, job)) = &seat.job else {
                let Some((index, order)) = lock(&self.queue).pop_front() else { return };
                match order.begin(LANE_STEP, self.options) {
                    Ok(job) => seat.job = Some((index, job)),
                    Err(error) => lock(&self.outcomes)[index] = Some(Err(error)),
                }
                seat.size = 0;
                continue;
            };
            let work = work(job.cipher.as_ref(), job.opens);
            match pass::fill(&job.source, work, &mut seat.chunk) {
                Ok(true) => {
                    seat.size += seat.chunk.extent.len as u64;
                    return;
                }
                Ok(false) => self.leave(lane, seat, hashes, None),
                Err(error) => self.leave(lane, seat, hashes, Some(error)),
            }
        }
    }

    /// Writes the step of a seat; a job that cannot be written ends here.
    fn write(&self, lane: usize, seat: &mut Seat<'a>, hashes: &mut Hashes) {
        let Some((_, Job { sink: Some(sink), cipher, opens, .. })) = &mut seat.job else { return };
        let work = work(cipher.as_ref(), *opens);
        let written = pass::output(work, &mut seat.chunk).and_then(|bytes| sink.write(bytes));
        if let Err(error) = written {
            self.leave(lane, seat, hashes, Some(error));
        }
    }

    /// Ends the job of a seat and records what came of it.
    fn leave(&self, lane: usize, seat: &mut Seat<'a>, hashes: &mut Hashes, error: Option<Error>) {
        let Some((index, job)) = seat.job.take() else { return };
        let commitment = Commitment { size: seat.size, digest: hashes.finish(lane) };
        let outcome = match error {
            Some(error) => Err(error),
            None => self
                .options
                .proceed(self.done.load(Ordering::Relaxed), self.total)
                .and_then(|()| finish(job, commitment)),
        };
        lock(&self.outcomes)[index] = Some(outcome);
    }

    fn cancel(&self, seats: Vec<Seat<'a>>, done: u64) {
        let waiting = std::mem::take(&mut *lock(&self.queue));
        let waiting = waiting.into_iter().map(|(index, _)| index);
        let held = seats.into_iter().filter_map(|seat| Some(seat.job?.0));
        let mut outcomes = lock(&self.outcomes);
        for index in held.chain(waiting) {
            outcomes[index] = Some(Err(Error::Cancelled { done }));
        }
    }
}

/// The last checks of a job, and its output's name.
fn finish(job: Job<'_>, commitment: Commitment) -> Outcome {
    job.source.check_unchanged()?;
    commitment.expect_digest(job.expected, job.source.name())?;
    if let Some(sink) = job.sink {
        sink.finish()?;
    }
    Ok(commitment)
}

/// One stream by the single-stream kernel, or several in lanes.
enum Hashes {
    One(Blake2b256),
    Many(Lanes),
}

impl Hashes {
    fn new(lanes: usize) -> Self {
        match lanes {
            1 => Self::One(Blake2b256::new()),
            _ => Self::Many(Lanes::new(lanes)),
        }
    }

    fn update(&mut self, inputs: &[&[u8]]) {
        match self {
            Self::One(hasher) => inputs.iter().for_each(|input| hasher.update(input)),
            Self::Many(lanes) => lanes.update(inputs),
        }
    }

    fn finish(&mut self, lane: usize) -> Digest {
        match self {
            Self::One(hasher) => std::mem::take(hasher).finalize(),
            Self::Many(lanes) => lanes.finish(lane),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
