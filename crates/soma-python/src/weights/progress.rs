//! Callbacks that hear how far a pass has gone.

use std::ops::ControlFlow;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use pyo3::prelude::*;
use soma_crypto::Options;
use tokio::sync::Notify;

use crate::error::{Error, Result};
use crate::runtime::Stop;

/// A callback is called no more often than this.
const INTERVAL: Duration = Duration::from_millis(50);

/// A callable that takes bytes done and bytes in all (or `None`), or a
/// progress bar with `update`, as tqdm's.
pub(crate) struct Progress {
    callback: Py<PyAny>,
    is_bar: bool,
}

impl<'a, 'py> FromPyObject<'a, 'py> for Progress {
    type Error = PyErr;

    fn extract(value: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        let is_bar = value.hasattr("update")?;
        if !is_bar && !value.is_callable() {
            return Err(pyo3::exceptions::PyTypeError::new_err(
                "progress is a callable of two arguments, or has an update method",
            ));
        }
        Ok(Self { callback: value.to_owned().unbind(), is_bar })
    }
}

/// Tells a callback how far something has come.
pub(crate) struct Teller<'a> {
    progress: Option<&'a Progress>,
    told: Mutex<Told>,
    raised: Notify,
}

struct Told {
    done: u64,
    at: Instant,
    /// Whether the end was told; a pass may ask again before its output gets its name.
    ended: bool,
    raised: Option<PyErr>,
}

/// Runs a pass that reports to `progress` and ends early when `stop` is set.
///
/// # Errors
/// What the callback raised, else those of `pass`.
pub(crate) fn reporting<T>(
    progress: Option<&Progress>,
    stop: &Stop,
    pass: impl FnOnce(&Options<'_>) -> Result<T>,
) -> Result<T> {
    let teller = Teller::new(progress);
    let options = Options::new().with_progress(|now| {
        teller.tell(now.done, now.total)?;
        stop.flow()
    });
    let result = pass(&options);
    drop(options);
    teller.ended(result)
}

/// Awaits a transfer that reports to `progress`. What the callback raises ends it where it
/// waits, as cancelling it would.
///
/// # Errors
/// What the callback raised, else those of `transfer`.
pub(crate) async fn transferring<'a, T>(
    progress: Option<&'a Progress>,
    transfer: impl AsyncFnOnce(&Teller<'a>) -> Result<T>,
) -> Result<T> {
    let teller = Teller::new(progress);
    let result = tokio::select! {
        result = transfer(&teller) => result,
        () = teller.raised.notified() => Err(Error::Other("a callback raised".to_owned())),
    };
    teller.ended(result)
}

impl<'a> Teller<'a> {
    fn new(progress: Option<&'a Progress>) -> Self {
        let told = Told { done: 0, at: Instant::now(), ended: false, raised: None };
        Self { progress, told: Mutex::new(told), raised: Notify::new() }
    }

    /// Tells it, unless it was told a moment ago and this is not the end. Breaks once
    /// the callback has raised something.
    pub(crate) fn tell(&self, done: u64, total: Option<u64>) -> ControlFlow<()> {
        let Some(progress) = self.progress else { return ControlFlow::Continue(()) };
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let last = total == Some(done);
        if told.ended || !(last || told.at.elapsed() >= INTERVAL) {
            return ControlFlow::Continue(());
        }
        told.ended = last;
        let tell = Python::attach(|py| progress.tell(py, told.done, done, total));
        told.done = told.done.max(done);
        told.at = Instant::now();
        match tell {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                told.ended = true;
                told.raised = Some(error);
                self.raised.notify_one();
                ControlFlow::Break(())
            }
        }
    }

    /// The result, unless the callback raised something.
    fn ended<T>(self, result: Result<T>) -> Result<T> {
        match self.told.into_inner().unwrap_or_else(PoisonError::into_inner).raised {
            Some(error) => Err(Error::Python(error)),
            None => result,
        }
    }
}

impl Progress {
    fn tell(&self, py: Python<'_>, before: u64, done: u64, total: Option<u64>) -> PyResult<()> {
        let callback = self.callback.bind(py);
        if !self.is_bar {
            callback.call1((done, total))?;
            return Ok(());
        }
        if before == 0 && total.is_some() {
            // A bar that was made without a length gets one.
            if callback.getattr_opt("total")?.is_some_and(|known| known.is_none()) {
                callback.setattr("total", total)?;
            }
        }
        // A transfer that begins anew goes back; a bar goes forward only.
        callback.call_method1("update", (done.saturating_sub(before),))?;
        Ok(())
    }
}
