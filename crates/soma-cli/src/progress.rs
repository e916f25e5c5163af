//! Progress bars on standard error.

use std::io::{self, IsTerminal as _};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// What is quicker than this shows no bar.
const DELAY: Duration = Duration::from_secs(1);

/// A bar for a number of bytes. It is silent unless standard error is a
/// terminal, and for the first second.
pub(crate) struct Progress {
    bar: Option<ProgressBar>,
    since: Instant,
}

impl Progress {
    /// A bar with a label in front; `total` is in bytes, 0 = not known.
    pub(crate) fn bytes(label: &'static str, total: u64) -> Self {
        let bar = io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
            if total > 0 {
                bar.set_length(total);
            }
            let template = if total > 0 {
                "{msg} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta}"
            } else {
                "{msg} {spinner} {bytes} {bytes_per_sec}"
            };
            bar.set_style(ProgressStyle::with_template(template).expect("the template is valid"));
            bar.set_message(label);
            bar
        });
        Self { bar, since: Instant::now() }
    }

    /// Moves the bar; `done` is in bytes from the start.
    pub(crate) fn set(&self, done: u64) {
        let Some(bar) = &self.bar else { return };
        if bar.is_hidden() && self.since.elapsed() >= DELAY {
            bar.set_draw_target(ProgressDrawTarget::stderr());
        }
        bar.set_position(done);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
