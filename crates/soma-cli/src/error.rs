//! What is told when something goes wrong, and the exit code.

use serde::Serialize;
use soma_proto::TransactionDigest;

/// Exit codes besides 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    /// A check failed, the network failed, or a transaction failed on chain.
    Failed = 1,
    /// The command line could not be understood.
    Usage = 2,
    /// A transaction was sent and its outcome is not known.
    Unknown = 3,
}

/// Result of a command.
pub(crate) type Result<T, E = Failure> = std::result::Result<T, E>;

/// A failure as the user sees it.
#[derive(Debug)]
pub(crate) struct Failure {
    /// Exit code.
    pub(crate) exit: Exit,
    /// What the JSON document holds.
    pub(crate) report: FailureReport,
}

/// The JSON document of a failure, under the key `error`.
#[derive(Debug, Serialize)]
pub(crate) struct FailureReport {
    /// One word: the failure's name on chain where there is one.
    pub(crate) kind: String,
    /// What happened and why.
    pub(crate) message: String,
    /// What to do next.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) hint: Option<String>,
    /// The transaction, if one was sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) digest: Option<TransactionDigest>,
}

impl Failure {
    /// A failed check or operation.
    pub(crate) fn new(kind: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            exit: Exit::Failed,
            report: FailureReport {
                kind: kind.into(),
                message: message.into(),
                hint: None,
                digest: None,
            },
        }
    }

    /// A command line that parsed but cannot be meant.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self { exit: Exit::Usage, ..Self::new("Usage", message) }
    }

    /// A failure with the causes of an error in its text.
    pub(crate) fn from_error(kind: &str, error: &dyn std::error::Error) -> Self {
        Self::new(kind, with_causes(error))
    }

    /// Adds the next step.
    pub(crate) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.report.hint = Some(hint.into());
        self
    }

    /// Adds the transaction.
    pub(crate) fn with_digest(mut self, digest: TransactionDigest) -> Self {
        self.report.digest = Some(digest);
        self
    }

    /// Sets the exit code.
    pub(crate) fn with_exit(mut self, exit: Exit) -> Self {
        self.exit = exit;
        self
    }
}

/// An error's text followed by those of its causes, none of them twice.
pub(crate) fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.contains(&next) {
            text = format!("{text}: {next}");
        }
        cause = error.source();
    }
    text
}

impl From<soma_wallet::Error> for Failure {
    fn from(error: soma_wallet::Error) -> Self {
        let mut failure = Self::from_error(&variant(&error), &error);
        failure.report.hint = error.hint().map(str::to_owned);
        failure
    }
}

/// The name of an error's variant, which is its kind in JSON.
fn variant(error: &impl std::fmt::Debug) -> String {
    let text = format!("{error:?}");
    text.chars().take_while(char::is_ascii_alphanumeric).collect()
}
