//! Callbacks that hear how far a pass has gone.

use std::ops::ControlFlow;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use pyo3::prelude::*;
use soma_crypto::Options;

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
    let told = Mutex::new(Told { done: 0, at: Instant::now(), ended: false, raised: None });
    let options = Options::new().with_progress(|now| {
        if let Some(progress) = progress {
            let mut told = told.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            let last = now.total == Some(now.done);
            if !told.ended && (last || told.at.elapsed() >= INTERVAL) {
                told.ended = last;
                let tell = Python::attach(|py| progress.tell(py, told.done, now.done, now.total));
                told.done = now.done;
                told.at = Instant::now();
                if let Err(error) = tell {
                    told.raised = Some(error);
                    return ControlFlow::Break(());
                }
            }
        }
        stop.flow()
    });
    let result = pass(&options);
    drop(options);
    match told.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner).raised {
        Some(error) => Err(Error::Python(error)),
        None => result,
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
        callback.call_method1("update", (done - before,))?;
        Ok(())
    }
}
