//! Progress bars on standard error.

use std::io::{self, IsTerminal as _};
use std::time::{Duration, Instant};

use indicatif::{HumanBytes, ProgressBar, ProgressDrawTarget, ProgressStyle};

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

    /// A bar for a number of things.
    pub(crate) fn items(label: &'static str, total: u64) -> Self {
        let progress = Self::bytes(label, total);
        if let Some(bar) = &progress.bar {
            let template = "{msg} {wide_bar} {pos}/{len} {eta} left";
            bar.set_style(ProgressStyle::with_template(template).expect("the template is valid"));
        }
        progress
    }

    /// A bar for an upload, which has three counts.
    pub(crate) fn upload() -> Self {
        let progress = Self::bytes("uploading", 0);
        if let Some(bar) = &progress.bar {
            let template =
                "{msg} {wide_bar} {bytes}/{total_bytes} confirmed {bytes_per_sec} {eta} left";
            bar.set_style(ProgressStyle::with_template(template).expect("the template is valid"));
        }
        progress
    }

    /// Moves the bar of an upload: it shows what is confirmed, and in words what
    /// was read and sent, or the step that is still to come.
    pub(crate) fn upload_at(&self, now: soma_storage::Progress) {
        let Some(bar) = &self.bar else { return };
        bar.set_length(now.total);
        self.set(now.confirmed);
        bar.set_message(if now.confirmed == now.total {
            "completing the object".to_owned()
        } else {
            let (read, sent) = (HumanBytes(now.read), HumanBytes(now.sent));
            format!("uploading, {read} read, {sent} sent")
        });
    }

    /// Moves the bar; `done` counts from the start.
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
