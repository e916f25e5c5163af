//! Rust's futures as asyncio's, and work that takes long.

use std::future::Future;
use std::ops::ControlFlow;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use pyo3::IntoPyObjectExt as _;
use pyo3::prelude::*;
use pyo3::types::PyTuple;
use pyo3_async_runtimes::TaskLocals;
use pyo3_async_runtimes::generic::{ContextExt, Runtime, future_into_py};
use pyo3_async_runtimes::tokio::get_runtime;
use tokio::task::{JoinError, JoinHandle};

use crate::error::{Error, Result};
use crate::exit::{self, Busy};

/// A future of the running asyncio loop. When it is cancelled, `work` is
/// dropped where it waits.
///
/// # Errors
/// `RuntimeError` if no loop is running.
pub(crate) fn future<'py, T>(
    py: Python<'py>,
    work: impl Future<Output = Result<T>> + Send + 'static,
) -> PyResult<Bound<'py, PyAny>>
where
    T: for<'a> IntoPyObject<'a> + Send + 'static,
{
    future_into_py::<Counted, _, _>(py, async move {
        let value = work.await?;
        Python::attach(|py| {
            let answer = value.into_bound_py_any(py)?;
            // What gives nothing would otherwise give an empty tuple.
            let is_nothing = answer.cast::<PyTuple>().is_ok_and(PyTupleMethods::is_empty);
            Ok(if is_nothing { py.None() } else { answer.unbind() })
        })
    })
}

/// The runtime of tokio; what runs on it is counted, and ends with the interpreter.
struct Counted;

impl Runtime for Counted {
    type JoinError = JoinError;
    type JoinHandle = JoinHandle<()>;

    fn spawn<F>(work: F) -> Self::JoinHandle
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let busy = Busy::new();
        get_runtime().spawn(async move {
            // Dropped after the work and all that it holds.
            let _busy = busy;
            let work = pin!(work);
            tokio::select! {
                () = work => {}
                () = exit::closing() => {}
            }
        })
    }

    fn spawn_blocking<F>(work: F) -> Self::JoinHandle
    where
        F: FnOnce() + Send + 'static,
    {
        let busy = Busy::new();
        get_runtime().spawn_blocking(move || {
            let _busy = busy;
            work();
        })
    }
}

impl ContextExt for Counted {
    /// Nothing that runs here awaits what Python made, so no task asks for its loop.
    fn scope<F, R>(_locals: TaskLocals, work: F) -> Pin<Box<dyn Future<Output = R> + Send>>
    where
        F: Future<Output = R> + Send + 'static,
    {
        Box::pin(work)
    }

    fn get_task_locals() -> Option<TaskLocals> {
        None
    }
}

/// Runs `work` to its end even if whoever waits for it goes away: for the part
/// of a step that must not be left half-done.
///
/// # Errors
/// Those of `work`.
pub(crate) async fn to_the_end<T: Send + 'static>(
    work: impl Future<Output = Result<T>> + Send + 'static,
) -> Result<T> {
    let task = get_runtime().spawn(work);
    task.await.map_err(|error| Error::Other(format!("a task of the client stopped: {error}")))?
}

/// Runs `work` on a thread of its own. Whoever waits for it may go away: then
/// the [`Stop`] that it is given says so.
///
/// # Errors
/// Those of `work`.
pub(crate) async fn on_a_thread<T: Send + 'static>(
    work: impl FnOnce(Stop) -> Result<T> + Send + 'static,
) -> Result<T> {
    let stop = Stop::default();
    let guard = StopOnDrop(stop.clone());
    let busy = Busy::new();
    let task = get_runtime().spawn_blocking(move || {
        let _busy = busy;
        work(stop)
    });
    let result = task.await;
    drop(guard);
    result.map_err(|error| Error::Other(format!("a thread of the client stopped: {error}")))?
}

/// Runs a future on a thread of its own: for futures that cannot move between
/// threads. When whoever waits goes away, it is dropped where it waits.
///
/// # Errors
/// Those of the future.
pub(crate) async fn apart<T, F>(work: impl FnOnce() -> F + Send + 'static) -> Result<T>
where
    T: Send + 'static,
    F: Future<Output = Result<T>>,
{
    let runtime = get_runtime();
    let (waiting, gone) = tokio::sync::oneshot::channel::<()>();
    let busy = Busy::new();
    let task = runtime.spawn_blocking(move || {
        let _busy = busy;
        runtime.block_on(async {
            tokio::select! {
                result = work() => result,
                _ = gone => Err(Error::Other("cancelled".to_owned())),
                () = exit::closing() => Err(Error::Other("the interpreter ends".to_owned())),
            }
        })
    });
    let result = task.await;
    drop(waiting);
    result.map_err(|error| Error::Other(format!("a thread of the client stopped: {error}")))?
}

/// Whether work on a thread should stop.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Whether nobody waits for the result any more.
    pub(crate) fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed) || exit::is_closing()
    }

    /// What a pass over a file should do next.
    pub(crate) fn flow(&self) -> ControlFlow<()> {
        if self.is_set() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

struct StopOnDrop(Stop);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.0.store(true, Ordering::Relaxed);
    }
}
