//! The bounded set of chunks that wander between the threads of a pass.
//!
//! ```text
//!   free --take_free--> worker --put_filled--> [slots by index] --take_filled--> hash
//!    ^                                                                            |
//!    +-------recycle------- writer <--take_hashed-- [queue] <------put_hashed-----+
//! ```
//!
//! Chunks are claimed in order and each claim needs a free chunk first, so the indices
//! in flight always lie within one ring length and a slot is never taken twice.

use std::{
    collections::VecDeque,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    thread,
};

use crate::{Error, buffer::Buffer, input::Extent};

/// One chunk on its way.
pub(crate) struct Chunk {
    pub(crate) extent: Extent,
    /// What the hash sees: always ciphertext.
    pub(crate) hashed: Buffer,
    /// Room for the plaintext beside it, if it is decrypted before it is hashed.
    pub(crate) plain: Option<Buffer>,
}

impl Chunk {
    pub(crate) fn new(len: usize) -> Self {
        Self { extent: Extent::default(), hashed: Buffer::new(len), plain: None }
    }

    pub(crate) fn with_room_for_plaintext(len: usize) -> Self {
        Self { plain: Some(Buffer::new(len)), ..Self::new(len) }
    }

    pub(crate) fn ciphertext(&self) -> &[u8] {
        &self.hashed.as_slice()[..self.extent.len]
    }
}

pub(crate) struct Ring {
    state: Mutex<State>,
    freed: Condvar,
    filled: Condvar,
    hashed: Condvar,
}

struct State {
    free: Vec<Chunk>,
    filled: Vec<Option<Chunk>>,
    hashed: VecDeque<Chunk>,
    workers: usize,
    hashing_ended: bool,
    stopped: bool,
    failure: Option<Error>,
}

impl Ring {
    /// A ring of `chunks`, filled by `workers` threads.
    pub(crate) fn new(chunks: Vec<Chunk>, workers: usize) -> Self {
        let state = State {
            filled: chunks.iter().map(|_| None).collect(),
            hashed: VecDeque::with_capacity(chunks.len()),
            free: chunks,
            workers,
            hashing_ended: false,
            stopped: false,
            failure: None,
        };
        Self {
            state: Mutex::new(state),
            freed: Condvar::new(),
            filled: Condvar::new(),
            hashed: Condvar::new(),
        }
    }

    /// Waits for a chunk to fill; `None` when the pass has stopped.
    pub(crate) fn take_free(&self) -> Option<Chunk> {
        self.wait(&self.freed, |state| state.free.pop().map(Some))
    }

    pub(crate) fn put_filled(&self, chunk: Chunk) {
        let mut state = self.lock();
        let slot = (chunk.extent.index % state.filled.len() as u64) as usize;
        debug_assert!(state.filled[slot].is_none());
        state.filled[slot] = Some(chunk);
        drop(state);
        self.filled.notify_one();
    }

    /// Says that one worker has reached the end of the input.
    pub(crate) fn worker_ended(&self) {
        self.lock().workers -= 1;
        self.filled.notify_one();
    }

    /// Waits for the chunk with this index; `None` at the end or when stopped.
    pub(crate) fn take_filled(&self, index: u64) -> Option<Chunk> {
        self.wait(&self.filled, |state| {
            let slot = (index % state.filled.len() as u64) as usize;
            match state.filled[slot].take() {
                Some(chunk) => Some(Some(chunk)),
                None if state.workers == 0 => Some(None),
                None => None,
            }
        })
    }

    pub(crate) fn put_hashed(&self, chunk: Chunk) {
        self.lock().hashed.push_back(chunk);
        self.hashed.notify_one();
    }

    /// Says that no more chunks will be hashed.
    pub(crate) fn hashing_ended(&self) {
        self.lock().hashing_ended = true;
        self.hashed.notify_one();
    }

    /// Waits for a chunk to write; `None` at the end or when stopped.
    pub(crate) fn take_hashed(&self) -> Option<Chunk> {
        self.wait(&self.hashed, |state| match state.hashed.pop_front() {
            Some(chunk) => Some(Some(chunk)),
            None if state.hashing_ended => Some(None),
            None => None,
        })
    }

    pub(crate) fn recycle(&self, chunk: Chunk) {
        self.lock().free.push(chunk);
        self.freed.notify_one();
    }

    /// Stops every thread of the pass; the first failure is the one reported.
    pub(crate) fn fail(&self, error: Error) {
        self.lock().failure.get_or_insert(error);
        self.stop();
    }

    pub(crate) fn into_failure(self) -> Option<Error> {
        let state = self.state.into_inner();
        state.unwrap_or_else(PoisonError::into_inner).failure
    }

    fn stop(&self) {
        self.lock().stopped = true;
        self.freed.notify_all();
        self.filled.notify_all();
        self.hashed.notify_all();
    }

    fn wait<T>(
        &self,
        signal: &Condvar,
        mut ready: impl FnMut(&mut State) -> Option<Option<T>>,
    ) -> Option<T> {
        let mut state = self.lock();
        loop {
            if state.stopped {
                return None;
            }
            if let Some(found) = ready(&mut state) {
                return found;
            }
            state = signal.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// A poisoned lock means that a thread panicked; [`StopOnPanic`] deals with that.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps the other threads from waiting for ever for one that panicked.
pub(crate) struct StopOnPanic<'a>(pub(crate) &'a Ring);

impl Drop for StopOnPanic<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.stop();
        }
    }
}
