//! Events on standard output.

use std::collections::VecDeque;
use std::io::{self, Write as _};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use serde::Serialize;
use soma_model::watch::Event;

use crate::error::{Failure, Result};
use crate::output::page::{RED, YELLOW};
use crate::output::{Output, Page, Report, format};

/// Events that wait to be written, at most.
const WAITING: usize = 1_000;
/// How long the last ones are waited for at the end.
const FINISH: Duration = Duration::from_secs(5);

/// Writes events in a thread of its own. A pipe whose reader is stuck takes
/// nothing any more, and a reveal must not wait for that: then the oldest events
/// are dropped, and counted.
pub(super) struct Lines(Arc<Queue>);

#[derive(Default)]
struct Queue {
    inner: Mutex<Inner>,
    changed: Condvar,
}

#[derive(Default)]
struct Inner {
    events: VecDeque<Event>,
    dropped: u64,
    /// No event comes any more.
    closed: bool,
    /// Nothing is written any more.
    ended: Option<io::Result<()>>,
}

impl Lines {
    /// Begins to write.
    pub(super) fn start(out: Output) -> Result<Self> {
        let queue = Arc::new(Queue::default());
        let lines = Self(Arc::clone(&queue));
        let writer = thread::Builder::new().name("events".to_owned()).spawn(move || {
            let written = queue.write(out);
            queue.change(|inner| inner.ended = Some(written));
        });
        writer.map_err(|e| super::io_failure("cannot start a thread", &e))?;
        Ok(lines)
    }

    /// Hands over an event; waits for nothing.
    pub(super) fn send(&self, event: Event) {
        self.0.change(|inner| {
            // Who cannot be written to is not written to: the watch goes on.
            if inner.ended.is_none() {
                inner.push(event);
            }
        });
    }

    /// Waits until all events are written, as long as somebody reads them.
    pub(super) fn finish(self) -> Result<()> {
        self.0.change(|inner| inner.closed = true);
        let inner = self.0.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let waits = |inner: &mut Inner| inner.ended.is_none();
        let (mut inner, _) = self
            .0
            .changed
            .wait_timeout_while(inner, FINISH, waits)
            .unwrap_or_else(PoisonError::into_inner);
        match inner.ended.take() {
            None | Some(Ok(())) => Ok(()),
            // A reader that has gone away is no failure.
            Some(Err(e)) if e.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            Some(Err(e)) => {
                Err(Failure::new("Output", format!("cannot write to standard output: {e}")))
            }
        }
    }
}

impl Inner {
    fn push(&mut self, event: Event) {
        if self.events.len() == WAITING {
            // Alarms stay longest.
            let oldest = self.events.iter().position(|event| !event.alarm).unwrap_or(0);
            self.events.remove(oldest);
            self.dropped += 1;
        }
        self.events.push_back(event);
    }
}

impl Queue {
    fn change(&self, change: impl FnOnce(&mut Inner)) {
        change(&mut self.inner.lock().unwrap_or_else(PoisonError::into_inner));
        self.changed.notify_all();
    }

    /// Writes what comes, until nothing comes any more or nobody is there to read
    /// it. A line that cannot be written, on a full disk say, is the only one lost.
    fn write(&self, out: Output) -> io::Result<()> {
        let mut outcome = Ok(());
        while let Some((dropped, event)) = self.next() {
            let missing = (dropped > 0).then(|| Dropped::new(event.at_ms, dropped));
            for line in missing.map(Line::Dropped).into_iter().chain([Line::Event(event)]) {
                match put(out, &line) {
                    Err(e) if e.kind() == io::ErrorKind::BrokenPipe => return Err(e),
                    Err(e) => outcome = Err(e),
                    Ok(()) => {}
                }
            }
        }
        outcome
    }

    /// The next event, and how many were dropped before it.
    fn next(&self) -> Option<(u64, Event)> {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let waits = |inner: &mut Inner| inner.events.is_empty() && !inner.closed;
        let mut inner =
            self.changed.wait_while(inner, waits).unwrap_or_else(PoisonError::into_inner);
        let event = inner.events.pop_front()?;
        Some((std::mem::take(&mut inner.dropped), event))
    }
}

fn put(out: Output, line: &Line) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(out.line(line).as_bytes())?;
    stdout.flush()
}

/// What stands on a line.
#[derive(Serialize)]
#[serde(untagged)]
enum Line {
    Event(Event),
    Dropped(Dropped),
}

/// Events are missing here.
#[derive(Serialize)]
struct Dropped {
    time: Option<String>,
    event: &'static str,
    alarm: bool,
    message: String,
    dropped: u64,
    #[serde(skip)]
    at_ms: u64,
}

impl Dropped {
    fn new(at_ms: u64, dropped: u64) -> Self {
        let many = format::count(usize::try_from(dropped).unwrap_or(usize::MAX), "event");
        let message = format!("{many} dropped: nobody read them in time");
        Self {
            time: format::rfc3339(at_ms),
            event: "dropped",
            alarm: false,
            message,
            dropped,
            at_ms,
        }
    }
}

impl Report for Line {
    fn text(&self, page: &mut Page) {
        let event = match self {
            Self::Event(event) => event,
            Self::Dropped(dropped) => {
                let time = format::local_time(dropped.at_ms);
                page.painted(format!("{time}  {}", dropped.message), YELLOW);
                return;
            }
        };
        let time = format::local_time(event.at_ms);
        let model = event.model_id.map(|id| format!("{}  ", format::short(id)));
        let model = model.unwrap_or_default();
        let message = format::printable(&event.message);
        let line = format!("{time}  {model}{message}");
        match (event.alarm, event.event.as_str()) {
            (true, _) => page.painted(format!("{time}  {model}ALARM: {message}"), RED),
            (_, "retrying" | "node_down" | "ignored") => page.painted(line, YELLOW),
            _ => page.line(line),
        }
    }
}
