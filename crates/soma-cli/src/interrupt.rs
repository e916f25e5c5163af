//! Ctrl-C, and being asked to end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::{Exit, Failure, Result};

/// Waits for Ctrl-C, or for being asked to end.
pub(crate) async fn interrupted() -> Result<()> {
    let failed = |e| Failure::new("System", format!("cannot wait for Ctrl-C: {e}"));
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
        tokio::select! {
            result = tokio::signal::ctrl_c() => result.map_err(failed),
            _ = terminate.recv() => Ok(()),
        }
    }
    #[cfg(not(unix))]
    tokio::signal::ctrl_c().await.map_err(failed)
}

/// A flag that the first interruption sets, for work that cleans up behind itself.
/// A second one ends the process: the work may be waiting for input.
pub(crate) fn flag() -> Arc<AtomicBool> {
    let flag = Arc::new(AtomicBool::new(false));
    let raised = Arc::clone(&flag);
    let wait = async move {
        let _ = interrupted().await;
        raised.store(true, Ordering::Relaxed);
        let _ = interrupted().await;
        std::process::exit(Exit::Failed as i32);
    };
    std::thread::spawn(|| {
        if let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() {
            runtime.block_on(wait);
        }
    });
    flag
}
