//! What is told when something goes wrong, and the exit code.

use serde::Serialize;
use soma_model::payment::PaymentError;
use soma_model::with_causes;
use soma_proto::TransactionDigest;
use soma_proto::effects::ExecutionFailure;
use soma_rpc::gas::NotEnough;

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
    /// A model that is watched needs somebody.
    Alarm = 4,
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

impl Failure {
    /// A transaction that the chain executed and failed.
    pub(crate) fn on_chain(error: &ExecutionFailure, digest: TransactionDigest) -> Self {
        let mut failure = Self::new(error.name(), error.to_string()).with_digest(digest);
        failure.report.hint = failure_hint(error.name()).map(str::to_owned);
        failure
    }
}

impl Failure {
    /// A step that its checks forbid: everything that is wrong, at once.
    fn refused(report: &soma_model::Report) -> Self {
        let errors: Vec<_> = report.errors().collect();
        let name = |finding: &soma_model::Finding| {
            finding.failure.unwrap_or(finding.check.as_str()).to_owned()
        };
        let kind = report.failure().map_or("CheckFailed", |name| name);
        match errors.as_slice() {
            [one] => {
                let mut failure = Self::new(kind, format!("{}: {}", name(one), one.message));
                let hint = one.remedy.clone();
                failure.report.hint = hint.or_else(|| failure_hint(kind).map(str::to_owned));
                failure
            }
            many => {
                Self::new(kind, format!("{} checks failed, nothing was sent\n{report}", many.len()))
            }
        }
    }
}

/// What to do after a failure that the chain gave this name.
pub(crate) fn failure_hint(name: &str) -> Option<&'static str> {
    Some(match name {
        "ModelNotFound" => {
            "no such model, or not one that takes stake; soma model list shows the models"
        }
        "NotModelOwner" => {
            "only the owner may do this: soma model info shows the owner, soma wallet switch the account"
        }
        "ModelNotActive" => "soma model info shows the present status",
        "ModelNotPending" => {
            "it is not committed: unknown, already active, or inactive; soma model info shows it"
        }
        "ModelRevealEpochMismatch" => {
            "a reveal is legal in the epoch after the commit only; soma model info shows the window"
        }
        "ModelWeightsUrlMismatch" => {
            "the hash of the URL is not the one committed to; it stays committed: try again with the right URL in this epoch"
        }
        "ModelNoPendingUpdate" => "there is no update to reveal: none was committed, or it expired",
        "ModelArchitectureVersionMismatch" => {
            "leave --architecture-version out: it is then asked from the network"
        }
        "ModelCommissionRateTooHigh" => "basis points: 500 is 5 %, 10000 the most",
        "ModelMinStakeNotMet" => "soma status shows the minimum",
        "InsufficientCoinBalance" | "InsufficientGas" => {
            "soma faucet gives coins on a test network; soma merge-coins joins small ones"
        }
        "EmbeddingDimensionMismatch" => "soma status shows the length that the network wants",
        "ValidatorNotFound" => "no validator has this address",
        "StakingPoolNotFound" => "the receipt's pool is gone",
        "ObjectNotFound" | "InvalidOwnership" | "InvalidObjectType" => {
            "soma objects list shows what the account owns"
        }
        _ => return None,
    })
}

impl From<soma_rpc::Error> for Failure {
    fn from(error: soma_rpc::Error) -> Self {
        use soma_rpc::Error;
        let hint = error.hint().map(str::to_owned);
        let mut failure = match &error {
            Error::NotEnough(short) => return not_enough(short),
            Error::OutcomeUnknown { digest, .. } => Self::from_error("OutcomeUnknown", &error)
                .with_digest(*digest)
                .with_exit(Exit::Unknown),
            _ => Self::from_error(&variant(&error), &error),
        };
        failure.report.hint = match &error {
            Error::OutcomeUnknown { digest, .. } => {
                Some(format!("soma tx info {digest} settles it; do not send it anew blindly"))
            }
            _ => hint,
        };
        failure
    }
}

impl From<soma_model::Error> for Failure {
    fn from(error: soma_model::Error) -> Self {
        use soma_model::Error;
        match error {
            Error::Refused(report) => Self::refused(&report),
            Error::Rpc(error) => error.into(),
            Error::Storage(error) => error.into(),
            error => {
                let kind = match &error {
                    Error::UnknownModel(_) => "ModelNotFound".to_owned(),
                    error => error.failure().map_or_else(|| variant(error), str::to_owned),
                };
                let failure = Self::from_error(&kind, &error);
                match error.hint() {
                    Some(hint) => failure.with_hint(hint),
                    None => failure,
                }
            }
        }
    }
}

impl From<soma_storage::Error> for Failure {
    fn from(error: soma_storage::Error) -> Self {
        let failure = Self::from_error(&variant(&error), &error);
        match error.hint() {
            Some(hint) => failure.with_hint(hint),
            None => failure,
        }
    }
}

impl From<soma_localnet::Error> for Failure {
    fn from(error: soma_localnet::Error) -> Self {
        let failure = Self::from_error(&variant(&error), &error);
        match error {
            soma_localnet::Error::Config(_)
            | soma_localnet::Error::Locked { .. }
            | soma_localnet::Error::Foreign { .. }
            | soma_localnet::Error::Damaged { .. } => {
                failure.with_hint("--force-regenesis starts a throw-away network instead")
            }
            _ => failure,
        }
    }
}

impl From<PaymentError> for Failure {
    fn from(error: PaymentError) -> Self {
        match &error {
            PaymentError::NotEnough(short) => not_enough(short),
            PaymentError::UnknownCoin { .. } => Self::from_error("ObjectNotFound", &error)
                .with_hint("soma objects gas shows the coins"),
            PaymentError::SetAside { .. } => Self::from_error("InvalidArguments", &error)
                .with_hint("name another coin, or none: this one is for the fees of that model"),
            PaymentError::NamedTwice { .. } => Self::from_error("InvalidArguments", &error),
            PaymentError::NoOtherCoin { .. } => Self::from_error("InsufficientGas", &error)
                .with_hint("stake a part of it with --amount, or get another coin: soma faucet"),
            _ => Self::from_error(&variant(&error), &error),
        }
    }
}

fn not_enough(short: &NotEnough) -> Failure {
    let amount = |shannons| crate::output::format::exact(shannons);
    let message = format!(
        "not enough money: {} needed, {} present in {} coins, {} missing",
        amount(short.needed),
        amount(short.present),
        short.coins,
        amount(short.missing())
    );
    let hint = match short.mergeable {
        true => "it is spread over too many coins: soma merge-coins joins them",
        false => "soma faucet gives coins on a test network",
    };
    Failure::new("InsufficientCoinBalance", message).with_hint(hint)
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
