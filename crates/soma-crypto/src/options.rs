//! What a caller may choose about a pass. None of it changes the bytes.

use std::{fmt, num::NonZeroUsize, ops::ControlFlow, path::Path, sync::Arc, thread};

use crate::{Backend, ChunkSize, Error};

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
    /// machine loses power. A ciphertext can be made again from file and key. File systems
    /// that may refuse later what they take now, those across a network above all, are
    /// asked to write the contents before the file gets its name.
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
type PathCallback<'a> = Arc<dyn Fn(&Path) + Send + Sync + 'a>;

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
    temporary: Option<PathCallback<'a>>,
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
            temporary: None,
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

    /// Calls `progress` after each chunk, and once more at the end of the input, before the
    /// output gets its name; [`ControlFlow::Break`] cancels the pass.
    ///
    /// The last call is there because a stream ends early when whoever writes it is ended:
    /// an interruption that reaches both must not make a short file look complete.
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

    /// Tells `told` the temporary name of an output file as soon as it has one.
    ///
    /// A pass removes the file if it fails. A process that ends before its pass has
    /// returned, for instance because the pass waits for input, can do so itself; once the
    /// output is complete, there is no file of the temporary name.
    pub fn with_temporary(mut self, told: impl Fn(&Path) + Send + Sync + 'a) -> Self {
        self.temporary = Some(Arc::new(told));
        self
    }

    /// What is done with an output that exists already.
    pub const fn existing(&self) -> Existing {
        self.existing
    }

    /// Reports progress, and asks whether to go on.
    pub(crate) fn proceed(&self, done: u64, total: Option<u64>) -> Result<(), Error> {
        match self.progress.as_ref().map(|callback| callback(Progress { done, total })) {
            Some(ControlFlow::Break(())) => Err(Error::Cancelled { done }),
            Some(ControlFlow::Continue(())) | None => Ok(()),
        }
    }

    pub(crate) fn tell_temporary(&self, path: &Path) {
        if let Some(told) = &self.temporary {
            told(path);
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
            .field("temporary", &self.temporary.is_some())
            .finish()
    }
}
