//! What can go wrong when a network is started or run.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

/// An error of the embedded network.
///
/// Calls of clients never end here: they get a status of their own. This is
/// for the program that starts the network.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A configuration that makes no network.
    #[error("{0}")]
    Config(String),
    /// Another program, perhaps another network, listens there already.
    #[error(
        "{address} for the {service} service is taken; stop the program that uses it, or choose another port with {flag}"
    )]
    PortTaken {
        /// Which service wanted it.
        service: &'static str,
        /// What it wanted.
        address: SocketAddr,
        /// The flag that chooses another.
        flag: &'static str,
    },
    /// A socket could not be opened for another reason.
    #[error("cannot listen on {address} for the {service} service")]
    Bind {
        /// Which service wanted it.
        service: &'static str,
        /// What it wanted.
        address: SocketAddr,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// A file or directory could not be used.
    #[error("cannot {action} {path}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// With what.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// Another running network holds the state.
    #[error("{path} is in use by another network; stop that one or choose another state directory")]
    Locked {
        /// The database file.
        path: PathBuf,
    },
    /// The file is no chain state, or not of this version.
    #[error(
        "{path} is not chain state of this program: {reason}; move it away or choose another state directory"
    )]
    Foreign {
        /// The database file.
        path: PathBuf,
        /// What was found.
        reason: String,
    },
    /// A directory for checkpoints holds those of another chain.
    #[error(
        "{path} is a checkpoint of another chain; choose another directory with --data-ingestion-dir, or empty this one"
    )]
    ForeignCheckpoints {
        /// The file.
        path: PathBuf,
    },
    /// The state contradicts itself or cannot be decoded.
    #[error("the chain state in {path} is damaged: {reason}; move it away or start a fresh chain")]
    Damaged {
        /// The database file.
        path: PathBuf,
        /// What was found.
        reason: String,
    },
    /// The database failed while the network was running. The network stops,
    /// because what is in memory is ahead of what is on disk.
    #[error("the database failed: {0}; start the network again once the cause is gone")]
    Store(String),
    /// The network has been shut down.
    #[error("the network has stopped")]
    Stopped,
}

/// Shorthand for results of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    pub(crate) fn io(action: &'static str, path: impl Into<PathBuf>, source: io::Error) -> Self {
        Self::Io { action, path: path.into(), source }
    }
}
