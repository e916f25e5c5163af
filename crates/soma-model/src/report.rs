//! What checks found, all of it at once.

use std::fmt;

use serde::Serialize;

/// How much a finding weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Severity {
    /// Nothing must be sent.
    Error,
    /// It will work, but perhaps not as meant.
    Warning,
    /// Good to know.
    Notice,
}

macro_rules! checks {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)+) => {
        /// What was looked at.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[non_exhaustive]
        pub enum Check {
            $($(#[$doc])* #[serde(rename = $text)] $name,)+
        }

        impl Check {
            /// Its name in JSON and texts.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)+ }
            }
        }
    };
}

checks! {
    /// The commission.
    Commission = "commission";
    /// The stake of a commit.
    Stake = "stake";
    /// Whether the coins cover stake and fee.
    Coins = "coins";
    /// The architecture of a commit.
    Architecture = "architecture";
    /// Whether the model id is free.
    ModelId = "model-id";
    /// Whether the pool id is free.
    PoolId = "pool-id";
    /// Whether the model is in the state that the step needs.
    Status = "status";
    /// Whether the model is the sender's.
    Owner = "owner";
    /// Whether the step may be taken in this epoch, and how long still.
    Window = "window";
    /// The URL's form.
    Url = "url";
    /// The hash of the URL against the commitment.
    UrlCommitment = "url-commitment";
    /// The checksum against the commitment to the weights.
    WeightsCommitment = "weights-commitment";
    /// What the host at the URL serves.
    Host = "host";
    /// Whether the key opens what the URL serves.
    Key = "key";
    /// Length and values of the embedding.
    Embedding = "embedding";
    /// Size of the weights.
    Size = "size";
    /// Whether the commitments are a model's own.
    Copied = "copied";
    /// Whether the node serves the right chain.
    Chain = "chain";
    /// The clock of this machine against that of the chain.
    Clock = "clock";
    /// Whether the state of the model can be found beside the object.
    Companion = "companion";
    /// Whether there is room on the disk.
    Disk = "disk";
    /// Whether the object's name can be guessed.
    ObjectName = "object-name";
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One thing that a check found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How much it weighs.
    pub severity: Severity,
    /// What was looked at.
    pub check: Check,
    /// What is the matter, with the numbers.
    pub message: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
    /// The name of the failure that the chain would answer with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<&'static str>,
}

impl Finding {
    /// Something that forbids sending.
    pub fn error(check: Check, message: impl Into<String>) -> Self {
        Self::new(Severity::Error, check, message)
    }

    /// Something that deserves a second look.
    pub fn warning(check: Check, message: impl Into<String>) -> Self {
        Self::new(Severity::Warning, check, message)
    }

    /// Something good to know.
    pub fn notice(check: Check, message: impl Into<String>) -> Self {
        Self::new(Severity::Notice, check, message)
    }

    /// With what to do about it.
    #[must_use]
    pub fn with_remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }

    /// With the chain's name for it.
    #[must_use]
    pub const fn with_failure(mut self, failure: &'static str) -> Self {
        self.failure = Some(failure);
        self
    }

    fn new(severity: Severity, check: Check, message: impl Into<String>) -> Self {
        Self { severity, check, message: message.into(), remedy: None, failure: None }
    }
}

/// Everything that the checks of one step found.
///
/// No check stops another one: whoever mends what a report lists need not come
/// back for the next surprise.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Report {
    /// In the order of the checks.
    pub findings: Vec<Finding>,
}

impl Report {
    /// Adds a finding.
    pub fn push(&mut self, finding: Finding) {
        self.findings.push(finding);
    }

    /// Adds all findings of another report.
    pub fn extend(&mut self, other: Self) {
        self.findings.extend(other.findings);
    }

    /// Whether the step may be taken.
    pub fn is_ok(&self) -> bool {
        self.errors().next().is_none()
    }

    /// What forbids the step.
    pub fn errors(&self) -> impl Iterator<Item = &Finding> {
        self.of(Severity::Error)
    }

    /// What deserves a second look.
    pub fn warnings(&self) -> impl Iterator<Item = &Finding> {
        self.of(Severity::Warning)
    }

    /// The name of the failure that the chain would have answered with, of the
    /// first error that has one.
    pub fn failure(&self) -> Option<&'static str> {
        self.errors().find_map(|finding| finding.failure)
    }

    fn of(&self, severity: Severity) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(move |finding| finding.severity == severity)
    }
}

impl FromIterator<Finding> for Report {
    fn from_iter<I: IntoIterator<Item = Finding>>(findings: I) -> Self {
        Self { findings: findings.into_iter().collect() }
    }
}

impl fmt::Display for Report {
    /// One line for each error: name, message, remedy.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, finding) in self.errors().enumerate() {
            if place > 0 {
                f.write_str("\n")?;
            }
            write!(
                f,
                "{}: {}",
                finding.failure.unwrap_or(finding.check.as_str()),
                finding.message
            )?;
            if let Some(remedy) = &finding.remedy {
                write!(f, " ({remedy})")?;
            }
        }
        Ok(())
    }
}
