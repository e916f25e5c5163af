//! Results on standard output, in text or JSON.
//!
//! A command makes a `Report`; this module prints it once, as one JSON
//! document or as text. Warnings and failures go to standard error.

/// Amounts, ids and times as people read them.
pub(crate) mod format;
/// The text of a report: lines, fields, tables.
pub(crate) mod page;
/// Results of transactions.
pub(crate) mod transaction;

use std::env;
use std::io::{self, Write as _};
use std::process::ExitCode;

use serde::Serialize;

pub(crate) use self::page::Page;
use crate::error::{Failure, FailureReport, Result};

/// The result of a command: its JSON form is what it serializes to.
pub(crate) trait Report: Serialize {
    /// Its text form.
    fn text(&self, page: &mut Page);
}

/// In which form results are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// For people.
    Text,
    /// For programs: one document.
    Json,
}

/// Where results, warnings and failures go.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    mode: Mode,
}

impl Output {
    /// An output of one mode.
    pub(crate) const fn new(mode: Mode) -> Self {
        Self { mode }
    }

    /// Whether programs read the output.
    pub(crate) fn is_json(self) -> bool {
        self.mode == Mode::Json
    }

    /// Prints the result of a command.
    pub(crate) fn print(self, report: &impl Report) -> Result<()> {
        match self.mode {
            Mode::Json => write_stdout(format!("{}\n", to_json(report)).as_bytes()),
            Mode::Text => {
                let mut page = Page::new(colour(&io::stdout()));
                report.text(&mut page);
                write_stdout(page.finish().as_bytes())
            }
        }
    }

    /// Prints the result to standard error, where standard output holds the data.
    pub(crate) fn print_to_stderr(self, report: &impl Report) -> Result<()> {
        let text = match self.mode {
            Mode::Json => format!("{}\n", to_json(report)),
            Mode::Text => {
                let mut page = Page::new(colour(&io::stderr()));
                report.text(&mut page);
                page.finish()
            }
        };
        io::stderr().write_all(text.as_bytes()).map_err(|e| Failure::from_error("Output", &e))
    }

    /// Prints what a service has to say when it is ready; JSON takes one line.
    pub(crate) fn print_line(self, report: &impl Report) -> Result<()> {
        write_stdout(self.line(report).as_bytes())
    }

    /// What [`print_line`](Self::print_line) prints.
    pub(crate) fn line(self, report: &impl Report) -> String {
        match self.mode {
            Mode::Json => {
                let json = serde_json::to_string(report).expect("reports have a JSON form");
                format!("{json}\n")
            }
            Mode::Text => {
                let mut page = Page::new(colour(&io::stdout()));
                report.text(&mut page);
                page.finish()
            }
        }
    }

    /// Tells people something that is not the result.
    pub(crate) fn note(self, text: &str) {
        if self.mode == Mode::Text {
            write_stderr(text);
        }
    }

    /// Tells everybody something that is not the result.
    pub(crate) fn tell(self, text: &str) {
        write_stderr(text);
    }

    /// Warns, and goes on.
    pub(crate) fn warn(self, text: &str) {
        let colour = colour(&io::stderr());
        write_stderr(&format!("{} {text}", page::paint("Warning:", page::YELLOW, colour)));
    }

    /// Tells a failure on standard error; returns the exit code.
    pub(crate) fn fail(self, failure: &Failure) -> ExitCode {
        #[derive(Serialize)]
        struct Document<'a> {
            error: &'a FailureReport,
        }
        let report = &failure.report;
        match self.mode {
            Mode::Json => write_stderr(&to_json(&Document { error: report })),
            Mode::Text => {
                let colour = colour(&io::stderr());
                let label = page::paint("Error:", page::RED, colour);
                write_stderr(&format!("{label} {}", report.message));
                for line in report.hint.iter().flat_map(|hint| hint.lines()) {
                    write_stderr(&format!("  {line}"));
                }
                let digest = report.digest.map(|digest| digest.to_string());
                if let Some(digest) = digest.filter(|digest| !report.message.contains(digest)) {
                    write_stderr(&format!("  transaction {digest}"));
                }
            }
        }
        ExitCode::from(failure.exit as u8)
    }
}

/// Writes to standard output. A reader that has gone away is no failure of
/// ours: the process ends, successfully.
pub(crate) fn write_stdout(bytes: &[u8]) -> Result<()> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Ok(()) => Ok(()),
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => std::process::exit(0),
        Err(e) => Err(Failure::new("Output", format!("cannot write to standard output: {e}"))),
    }
}

/// Writes a line to standard error. That nobody reads it, for instance because the terminal
/// is gone, keeps nothing else from being done.
pub(crate) fn write_stderr(line: &str) {
    let _ = io::stderr().lock().write_all(format!("{line}\n").as_bytes());
}

fn to_json(value: &impl Serialize) -> String {
    serde_json::to_string_pretty(value).expect("reports have a JSON form")
}

/// `NO_COLOR` and `CLICOLOR=0` forbid colour, `CLICOLOR_FORCE` demands it;
/// otherwise a terminal has it.
fn colour(stream: &impl io::IsTerminal) -> bool {
    let set = |name: &str| env::var_os(name).is_some_and(|value| !value.is_empty());
    let zero = |name: &str| env::var_os(name).is_some_and(|value| value == "0");
    if set("NO_COLOR") {
        return false;
    }
    if set("CLICOLOR_FORCE") && !zero("CLICOLOR_FORCE") {
        return true;
    }
    !zero("CLICOLOR") && stream.is_terminal()
}
