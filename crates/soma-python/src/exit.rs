//! The end of the interpreter.
//!
//! A thread that is in the middle of a call into Python when the interpreter
//! goes away is ended there, and takes the process with it. So whatever touches
//! Python's objects on a thread of ours is counted. Before the interpreter
//! ends, all of it is told to stop and waited for.

use std::sync::{Condvar, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use pyo3::prelude::*;
use tokio::sync::watch;

/// How long the end of the interpreter is held up at most. What takes longest
/// to stop is a hash over bytes in memory: a second for a gigabyte.
const LONGEST: Duration = Duration::from_secs(60);

static CLOSING: LazyLock<watch::Sender<bool>> = LazyLock::new(|| watch::Sender::new(false));
static BUSY: Mutex<usize> = Mutex::new(0);
static LESS_BUSY: Condvar = Condvar::new();

/// Held by a thread or a task as long as it may touch Python's objects.
pub(crate) struct Busy(());

impl Busy {
    /// One more.
    pub(crate) fn new() -> Self {
        *count() += 1;
        Self(())
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        *count() -= 1;
        LESS_BUSY.notify_all();
    }
}

/// Whether the interpreter is about to end.
pub(crate) fn is_closing() -> bool {
    *CLOSING.borrow()
}

/// Waits until the interpreter is about to end.
pub(crate) async fn closing() {
    // It fails only without a sender, and that one is never dropped.
    let _ = CLOSING.subscribe().wait_for(|closing| *closing).await;
}

/// Has Python call [`close`] before it ends.
///
/// # Errors
/// What `atexit` raises.
pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let close = pyo3::wrap_pyfunction!(close, module)?;
    module.py().import("atexit")?.call_method1("register", (close,)).map(drop)
}

/// Stops all work and waits for it, so that Python can end.
#[pyfunction]
fn close(py: Python<'_>) {
    py.detach(|| {
        CLOSING.send_replace(true);
        let _ = LESS_BUSY.wait_timeout_while(count(), LONGEST, |busy| *busy > 0);
    });
}

fn count() -> MutexGuard<'static, usize> {
    BUSY.lock().unwrap_or_else(PoisonError::into_inner)
}
