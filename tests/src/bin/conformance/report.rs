//! One line per check, and a total.

use std::fmt::Display;

/// What a check found: nothing, or what is wrong.
pub(crate) type Finding = Result<(), String>;

/// Counts what it prints.
#[derive(Default)]
pub(crate) struct Report {
    passed: usize,
    failed: usize,
    skipped: usize,
}

impl Report {
    /// Prints the outcome of one check.
    pub(crate) fn record(&mut self, name: &str, finding: Finding) {
        match finding {
            Ok(()) => {
                self.passed += 1;
                println!("ok      {name}");
            }
            Err(reason) => {
                self.failed += 1;
                println!("FAILED  {name}: {reason}");
            }
        }
    }

    /// Says that a group of checks cannot be made.
    pub(crate) fn skip(&mut self, group: &str, reason: &str) {
        self.skipped += 1;
        println!("skipped {group}: {reason}");
    }

    /// Prints the totals; whether nothing failed.
    pub(crate) fn total(&self) -> bool {
        println!(
            "conformance: {} passed, {} failed, {} skipped",
            self.passed, self.failed, self.skipped
        );
        self.failed == 0
    }
}

/// A finding unless both are equal.
pub(crate) fn expect_eq<T: PartialEq + std::fmt::Debug>(
    what: &str,
    found: T,
    expected: T,
) -> Finding {
    if found == expected {
        Ok(())
    } else {
        Err(format!("{what}: expected {expected:?}, found {found:?}"))
    }
}

/// A finding unless it holds.
pub(crate) fn expect(holds: bool, otherwise: impl Display) -> Finding {
    if holds { Ok(()) } else { Err(otherwise.to_string()) }
}

/// The value, or a finding that it is missing.
pub(crate) fn present<T>(what: &str, value: Option<T>) -> Result<T, String> {
    value.ok_or_else(|| format!("{what} is absent"))
}

/// A finding unless the call failed with this code.
pub(crate) fn refused<T>(answer: Result<T, tonic::Status>, code: tonic::Code) -> Finding {
    match answer {
        Ok(_) => Err(format!("expected {code:?}, but the call succeeded")),
        Err(status) => expect_eq("code", status.code(), code),
    }
}

/// A call's status as a finding.
pub(crate) fn status(status: tonic::Status) -> String {
    format!("{:?}: {}", status.code(), status.message())
}
