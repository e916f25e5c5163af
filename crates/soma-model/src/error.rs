//! What can go wrong on the way to an active model.

use std::io;
use std::path::PathBuf;

use soma_proto::ObjectId;
use soma_rpc::Executed;

use crate::{Report, Stage};

/// Shorthand for results of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A step of a registration that failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    // Fixed by the caller.
    /// The checks forbid the step; nothing was sent.
    #[error("{0}")]
    Refused(Report),
    /// No model with this id.
    #[error("no model {0} on this network")]
    UnknownModel(ObjectId),
    /// An embedding that cannot be read.
    #[error("cannot read the embedding from {origin}: {reason}")]
    Embedding {
        /// File, tensor, or `the argument`.
        origin: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A key file that holds no key.
    #[error("cannot read a decryption key from {origin}: expected 64 hex digits")]
    KeyText {
        /// The file, or `standard input`.
        origin: String,
    },

    /// A weights file that is not safetensors.
    #[error("{path} is not a valid safetensors file")]
    NotSafetensors {
        /// The file.
        path: PathBuf,
        /// What is wrong with its header.
        #[source]
        source: soma_crypto::safetensors::HeaderError,
    },
    /// A path that a state file, which is UTF-8, cannot hold.
    #[error("the path {path} is not UTF-8, so that no state file can hold it")]
    PathNotUtf8 {
        /// The path.
        path: PathBuf,
    },
    /// No state file in the folder.
    #[error("no model is prepared in {folder}")]
    NothingPrepared {
        /// The folder.
        folder: PathBuf,
    },
    /// A passphrase that does not open a file, or is too short to close one.
    #[error("cannot use the passphrase: {reason}")]
    Passphrase {
        /// What is wrong.
        reason: String,
    },
    /// An object whose model cannot be found again.
    #[error("cannot recover the model at {url}: {reason}")]
    NotRecoverable {
        /// The URL, redacted.
        url: String,
        /// What is missing.
        reason: String,
    },
    /// No state file of a model that was published from here.
    #[error("there is no state file of model {model} in {folder}")]
    NotPrepared {
        /// The model.
        model: ObjectId,
        /// The folder.
        folder: PathBuf,
    },
    /// Weights that are not the ones whose upload was begun.
    #[error("{path} has changed since its upload began: its {what} is another")]
    WeightsChanged {
        /// The plain weights.
        path: PathBuf,
        /// `size` or `modification time`.
        what: &'static str,
    },
    /// Weights that a model has, had before its update, or is about to have.
    #[error("{path} is published, or on its way, as weights of model {model}")]
    AlreadyPublished {
        /// The plain weights.
        path: PathBuf,
        /// The model.
        model: ObjectId,
    },
    /// A model of these weights that was deactivated or slashed.
    #[error("these weights were published as model {model}, which is no longer active")]
    Gone {
        /// The model.
        model: ObjectId,
    },
    /// The only place at a destination holds weights that are needed there.
    #[error("the object at {url} holds weights of model {model}")]
    UrlTaken {
        /// The URL, redacted.
        url: String,
        /// The model.
        model: ObjectId,
    },
    /// Weights that were prepared as a file are not uploaded by a publication.
    #[error("these weights were prepared as a file, not published")]
    NotPublished,
    /// The URL under which a store's objects are found is none for weights.
    #[error("the store's public URL is not a URL for weights")]
    PublicUrl,
    /// A step of an update for a model without one.
    #[error("no update of model {model} is prepared")]
    NoUpdate {
        /// The model.
        model: ObjectId,
    },
    /// A step that the state of a model does not allow.
    #[error("{what}: the weights of model {model} are {}", .stage.as_str())]
    Stage {
        /// The step.
        what: &'static str,
        /// The model.
        model: ObjectId,
        /// How far it has come.
        stage: Stage,
    },

    // Fixed on the network.
    /// The chain executed the transaction and failed it. Only the base fee is
    /// gone.
    #[error("transaction {} failed on chain: {}", .0.digest, failure(.0))]
    Failed(Box<Executed>),
    /// The node.
    #[error(transparent)]
    Rpc(#[from] soma_rpc::Error),
    /// The host of the weights.
    #[error(transparent)]
    Storage(#[from] soma_storage::Error),

    // Fixed on this machine.
    /// A state file that cannot be used.
    #[error("cannot use state file {path}: {reason}")]
    State {
        /// The file.
        path: PathBuf,
        /// What is wrong with it. Never its contents.
        reason: String,
    },
    /// A state file that cannot be written or is held by another process.
    #[error(transparent)]
    File(#[from] soma_wallet::Error),
    /// The weights file.
    #[error(transparent)]
    Weights(#[from] soma_crypto::Error),
    /// A file operation that failed.
    #[error("cannot {action} {path}")]
    Io {
        /// What was tried, for example `read`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The operating system's reason.
        #[source]
        source: io::Error,
    },
}

impl Error {
    /// The chain's name for what is wrong: of a failed transaction, or of the
    /// first check that foresaw one.
    pub fn failure(&self) -> Option<&'static str> {
        match self {
            Self::Refused(report) => report.failure(),
            Self::Failed(executed) => executed.effects.failure().map(|failure| failure.name()),
            _ => None,
        }
    }

    /// What to do next, where there is something to say. A refusal says it in
    /// its findings.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::UnknownModel(_) => Some("soma model list shows the models there are"),
            Self::NothingPrepared { .. } => Some("soma model prepare makes a state file"),
            Self::NotPrepared { .. } => {
                Some("soma model update-commit updates a model whose state file is elsewhere")
            }
            Self::WeightsChanged { .. } => Some(
                "put the old file back to go on, or pass --new: one key must never encrypt two files",
            ),
            Self::AlreadyPublished { .. } => Some(
                "--update with the model's id goes on with an update of it, --new registers another \
                 model",
            ),
            Self::Gone { .. } => Some("--new registers another model with them"),
            Self::UrlTaken { .. } => Some(
                "give the URL of another object, or of a folder: whoever fetches those weights \
                 would get others under the same URL",
            ),
            Self::PathNotUtf8 { .. } => Some("nothing was made; rename the file or its folder"),
            Self::PublicUrl => Some("give another one with --public-url"),
            Self::Rpc(error) => error.hint(),
            Self::File(error) => error.hint(),
            Self::Storage(error) => error.hint(),
            _ => None,
        }
    }
}

fn failure(executed: &Executed) -> String {
    executed.effects.failure().map(ToString::to_string).unwrap_or_default()
}

/// An error's text followed by those of its causes, none of them twice.
pub fn with_causes(error: &dyn std::error::Error) -> String {
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
