//! The owner's command for events.

use std::process::Stdio;
use std::time::Duration;

use soma_model::watch::Event;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;

use crate::output::write_stderr;

/// How long one run of the command may take.
const RUN: Duration = Duration::from_secs(60);
/// How long the last ones are waited for at the end.
const FINISH: Duration = Duration::from_secs(60);

/// Runs a command for one event after the other, beside what else goes on.
pub(super) struct Hook {
    events: UnboundedSender<Event>,
    runner: JoinHandle<()>,
}

impl Hook {
    /// Gets ready; needs a runtime.
    pub(super) fn start(command: String) -> Self {
        let (events, mut waiting) = unbounded_channel();
        let runner = tokio::spawn(async move {
            while let Some(event) = waiting.recv().await {
                if let Err(reason) = run(&command, &event).await {
                    write_stderr(&format!("Warning: the command for events {reason}"));
                }
            }
        });
        Self { events, runner }
    }

    /// Hands over an event.
    pub(super) fn send(&self, event: &Event) {
        // The runner ends only after this.
        let _ = self.events.send(event.clone());
    }

    /// Waits until all events are handled.
    pub(super) async fn finish(self) {
        drop(self.events);
        let mut runner = self.runner;
        if tokio::time::timeout(FINISH, &mut runner).await.is_err() {
            runner.abort();
        }
    }
}

async fn run(command: &str, event: &Event) -> Result<(), String> {
    let mut shell = shell(command);
    shell
        .env("SOMA_EVENT", event.event.as_str())
        .env("SOMA_ALARM", if event.alarm { "1" } else { "0" })
        .env("SOMA_MODEL_ID", event.model_id.map(|id| id.to_string()).unwrap_or_default())
        .env("SOMA_MESSAGE", &event.message)
        .env("SOMA_PERCENT", event.percent.map(|part| part.to_string()).unwrap_or_default())
        .stdin(Stdio::piped())
        // Standard output is for the events alone.
        .stdout(std::io::stderr())
        .kill_on_drop(true);
    let mut child = shell.spawn().map_err(|e| format!("cannot be started: {e}"))?;
    let mut json = serde_json::to_vec(event).expect("events have a JSON form");
    json.push(b'\n');
    if let Some(mut stdin) = child.stdin.take() {
        // A command that does not read is fine.
        let _ = stdin.write_all(&json).await;
    }
    match tokio::time::timeout(RUN, child.wait()).await {
        Ok(Ok(status)) if status.success() => Ok(()),
        Ok(Ok(status)) => Err(format!("ended with {status}")),
        Ok(Err(error)) => Err(format!("cannot be waited for: {error}")),
        Err(_) => Err(format!("took longer than {} s and was ended", RUN.as_secs())),
    }
}

#[cfg(unix)]
fn shell(command: &str) -> Command {
    let mut shell = Command::new("/bin/sh");
    shell.arg("-c").arg(command);
    shell
}

#[cfg(not(unix))]
fn shell(command: &str) -> Command {
    let mut shell = Command::new("cmd");
    shell.arg("/C").arg(command);
    shell
}
