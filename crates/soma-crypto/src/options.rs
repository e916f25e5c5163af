//! What a caller may choose about a pass. None of it changes the bytes.

use std::{fmt, num::NonZeroUsize, ops::ControlFlow, sync::Arc, thread};

use crate::{Backend, ChunkSize};

/// What to do with an output that exists already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Existing {
    /// Leave it alone and fail before any work is done.
    #[default]
    Keep,
    /// Replace it, but only once the new file is complete.
    Replace,
}

/// How far a finished output has gone when the call returns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Durability {
    /// In the system's cache, as `cp` leaves it: safe if the process dies, not if the
    /// machine loses power. A ciphertext can be made again from file and key.
    #[default]
    Cached,
    /// On the disk, name included: costs as long as the disk takes.
    Synced,
}

/// How a pass stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Bytes hashed so far.
    pub done: u64,
    /// Bytes in all, where that is known beforehand.
    pub total: Option<u64>,
}

type Callback<'a> = Arc<dyn Fn(Progress) -> ControlFlow<()> + Send + Sync + 'a>;

/// Options of [`crate::seal`], [`crate::open`], [`crate::commitment`] and
/// [`crate::commitments`].
///
/// ```
/// use std::ops::ControlFlow;
/// use soma_crypto::{Existing, Options};
///
/// let options = Options::new()
///     .with_existing(Existing::Replace)
///     .with_progress(|progress| {
///         eprintln!("{} bytes", progress.done);
///         ControlFlow::Continue(())
///     });
/// # let _ = options;
/// ```
#[derive(Clone)]
pub struct Options<'a> {
    pub(crate) threads: NonZeroUsize,
    pub(crate) chunk: ChunkSize,
    pub(crate) existing: Existing,
    pub(crate) durability: Durability,
    pub(crate) backend: Option<Backend>,
    progress: Option<Callback<'a>>,
}

impl<'a> Options<'a> {
    /// One thread per processor, chunks of [`ChunkSize::DEFAULT`], existing files kept.
    pub fn new() -> Self {
        Self {
            threads: thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
            chunk: ChunkSize::DEFAULT,
            existing: Existing::default(),
            durability: Durability::default(),
            backend: None,
            progress: None,
        }
    }

    /// How many processors to use; with one, everything happens on the calling thread.
    pub fn with_threads(mut self, threads: NonZeroUsize) -> Self {
        self.threads = threads;
        self
    }

    /// How many bytes to take in one step.
    pub fn with_chunk_size(mut self, chunk: ChunkSize) -> Self {
        self.chunk = chunk;
        self
    }

    /// What to do with an output that exists already.
    pub fn with_existing(mut self, existing: Existing) -> Self {
        self.existing = existing;
        self
    }

    /// How far the output must have gone on return.
    pub fn with_durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// Forces a cipher backend; without it, [`Backend::detect`].
    pub fn with_backend(mut self, backend: Backend) -> Self {
        self.backend = Some(backend);
        self
    }

    /// Calls `progress` after each chunk; [`ControlFlow::Break`] cancels the pass.
    ///
    /// Passes over one file call it on the calling thread; [`crate::commitments`] calls
    /// it from its workers.
    pub fn with_progress(
        mut self,
        progress: impl Fn(Progress) -> ControlFlow<()> + Send + Sync + 'a,
    ) -> Self {
        self.progress = Some(Arc::new(progress));
        self
    }

    pub(crate) fn report(&self, done: u64, total: Option<u64>) -> ControlFlow<()> {
        match &self.progress {
            Some(callback) => callback(Progress { done, total }),
            None => ControlFlow::Continue(()),
        }
    }
}

impl Default for Options<'_> {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Options<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("threads", &self.threads)
            .field("chunk", &self.chunk)
            .field("existing", &self.existing)
            .field("durability", &self.durability)
            .field("backend", &self.backend)
            .field("progress", &self.progress.is_some())
            .finish()
    }
}
