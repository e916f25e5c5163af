//! The steps of the short way.

use crate::world::World;

/// A step of the short way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Prepare,
    Commit,
    Reveal,
    PrepareUpdate,
    UpdateCommit,
    UpdateReveal,
    /// Encrypts, uploads and commits in one command.
    Publish(Store),
    PublishUpdate(Store),
}

/// Where `publish` puts encrypted weights; both are served by the host of files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Store {
    /// The host itself, by PUT.
    Host,
    /// Its folder.
    Folder,
}

impl Step {
    /// The owner uploads himself, after each preparation.
    pub(crate) const ALL: [Self; 6] = [
        Self::Prepare,
        Self::Commit,
        Self::Reveal,
        Self::PrepareUpdate,
        Self::UpdateCommit,
        Self::UpdateReveal,
    ];

    /// Whether the epoch has to end after it.
    pub(crate) const fn commits(self) -> bool {
        matches!(
            self,
            Self::Commit | Self::UpdateCommit | Self::Publish(_) | Self::PublishUpdate(_)
        )
    }

    pub(crate) const fn publishes(self) -> bool {
        matches!(self, Self::Publish(_) | Self::PublishUpdate(_))
    }
}

impl Store {
    /// What `publish` is told of it, and the embedding.
    pub(crate) fn flags(self, world: &World) -> Vec<String> {
        let url = world.weights_url();
        let to = match self {
            Self::Host => vec![url],
            Self::Folder => {
                vec![format!("file://{}", world.served.display()), "--public-url".to_owned(), url]
            }
        };
        let flags = ["--embedding-file", "embedding", "--to"].map(str::to_owned);
        flags.into_iter().chain(to).collect()
    }
}
