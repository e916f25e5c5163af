//! Ctrl-C, and being asked to end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::{Exit, Failure, Result};

/// Listens for Ctrl-C, and for being asked to end.
///
/// What happens from its making on is not lost: a program that announces itself
/// makes one first, because whoever reads the announcement may stop it at once.
#[derive(Debug)]
pub(crate) struct Interrupts {
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
}

impl Interrupts {
    /// Begins to listen; needs a runtime.
    #[cfg(unix)]
    pub(crate) fn listen() -> Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        let interrupt = signal(SignalKind::interrupt()).map_err(cannot_wait)?;
        let terminate = signal(SignalKind::terminate()).map_err(cannot_wait)?;
        Ok(Self { interrupt, terminate })
    }

    /// Begins to listen; needs a runtime.
    #[cfg(not(unix))]
    pub(crate) fn listen() -> Result<Self> {
        Ok(Self {})
    }

    /// Waits for the next interruption.
    #[cfg(unix)]
    pub(crate) async fn next(&mut self) -> Result<()> {
        tokio::select! {
            _ = self.interrupt.recv() => Ok(()),
            _ = self.terminate.recv() => Ok(()),
        }
    }

    /// Waits for the next interruption.
    #[cfg(not(unix))]
    pub(crate) async fn next(&mut self) -> Result<()> {
        tokio::signal::ctrl_c().await.map_err(cannot_wait)
    }
}

fn cannot_wait(error: std::io::Error) -> Failure {
    Failure::new("System", format!("cannot wait for Ctrl-C: {error}"))
}

/// A flag that the first interruption sets, for work that cleans up behind itself.
/// A second one ends the process: the work may be waiting for input.
pub(crate) fn flag() -> Arc<AtomicBool> {
    let flag = Arc::new(AtomicBool::new(false));
    let raised = Arc::clone(&flag);
    let wait = async move {
        // Without a listener nothing is lost but the cleaning up.
        let Ok(mut interrupts) = Interrupts::listen() else { return };
        let _ = interrupts.next().await;
        raised.store(true, Ordering::Relaxed);
        let _ = interrupts.next().await;
        std::process::exit(Exit::Failed as i32);
    };
    std::thread::spawn(|| {
        if let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() {
            runtime.block_on(wait);
        }
    });
    flag
}
