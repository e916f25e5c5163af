//! Ctrl-C, being asked to end, and a terminal that goes away.

use std::sync::Arc;
#[cfg(unix)]
use std::sync::LazyLock;
use std::sync::atomic::AtomicBool;

use signal_hook::consts::{SIGINT, SIGTERM};

use crate::error::{Exit, Failure, Result};

/// Listens for Ctrl-C, for being asked to end, and for the end of the terminal.
///
/// What happens from its making on is not lost: a program that announces itself
/// makes one first, because whoever reads the announcement may stop it at once.
#[derive(Debug)]
pub(crate) struct Interrupts {
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
    /// None where a hang-up is left alone.
    #[cfg(unix)]
    hang_up: Option<tokio::signal::unix::Signal>,
}

impl Interrupts {
    /// Begins to listen; needs a runtime.
    #[cfg(unix)]
    pub(crate) fn listen() -> Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        let interrupt = signal(SignalKind::interrupt()).map_err(cannot_wait)?;
        let terminate = signal(SignalKind::terminate()).map_err(cannot_wait)?;
        let hang_up = hang_up_counts().then(|| signal(SignalKind::hangup()));
        let hang_up = hang_up.transpose().map_err(cannot_wait)?;
        Ok(Self { interrupt, terminate, hang_up })
    }

    /// Begins to listen; needs a runtime.
    #[cfg(not(unix))]
    pub(crate) fn listen() -> Result<Self> {
        Ok(Self {})
    }

    /// Waits for the next interruption.
    #[cfg(unix)]
    pub(crate) async fn next(&mut self) -> Result<()> {
        let hang_up = async {
            match &mut self.hang_up {
                Some(hang_up) => hang_up.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.interrupt.recv() => Ok(()),
            _ = self.terminate.recv() => Ok(()),
            _ = hang_up => Ok(()),
        }
    }

    /// Waits for the next interruption.
    #[cfg(not(unix))]
    pub(crate) async fn next(&mut self) -> Result<()> {
        tokio::signal::ctrl_c().await.map_err(cannot_wait)
    }
}

/// What an interruption is.
fn signals() -> impl Iterator<Item = i32> {
    let always = [SIGINT, SIGTERM].into_iter();
    #[cfg(unix)]
    let always = always.chain(hang_up_counts().then_some(signal_hook::consts::SIGHUP));
    always
}

/// Whether a hang-up asks us to end: not if whoever started us had it ignored, as `nohup`
/// does. Where that cannot be told, a hang-up is left alone.
#[cfg(unix)]
fn hang_up_counts() -> bool {
    static COUNTS: LazyLock<bool> = LazyLock::new(|| {
        let status = std::fs::read_to_string("/proc/self/status").ok();
        status.as_deref().and_then(ignored).is_some_and(|ignored| ignored & 1 == 0)
    });
    *COUNTS
}

/// The signals that a process ignores, the first in the lowest bit, from its status as
/// Linux gives it (proc_pid_status(5)).
#[cfg(unix)]
fn ignored(status: &str) -> Option<u64> {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"))?;
    u64::from_str_radix(mask.trim(), 16).ok()
}

fn cannot_wait(error: std::io::Error) -> Failure {
    Failure::new("System", format!("cannot wait for Ctrl-C: {error}"))
}

/// A flag that the first interruption sets, for work that cleans up behind itself. None
/// is lost from here on.
///
/// The work may be waiting for input and not look at the flag, so a second interruption
/// does what is `last` and ends the process.
pub(crate) fn flag(last: impl FnOnce() + Send + 'static) -> Result<Arc<AtomicBool>> {
    let raised = Arc::new(AtomicBool::new(false));
    // In the handler itself, not by way of a thread: one Ctrl-C reaches the program that
    // writes our input, too, and the end of that input must not be seen before the flag.
    for signal in signals() {
        signal_hook::flag::register(signal, Arc::clone(&raised)).map_err(cannot_wait)?;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(cannot_wait)?;
    let mut interrupts = {
        let _inside = runtime.enter();
        Interrupts::listen()?
    };
    let wait = async move {
        for _ in 0..2 {
            // Without a listener nothing is lost but the second chance.
            let Ok(()) = interrupts.next().await else { return };
        }
        last();
        std::process::exit(Exit::Failed as i32);
    };
    std::thread::spawn(move || runtime.block_on(wait));
    Ok(raised)
}
