//! Whether a store will do, found out by using it.

use reqwest::{Method, StatusCode};
use url::Url;

use super::{Backend, Store};
use crate::destination::Public;
use crate::{Error, ObjectName, Result, Storage};

/// Bytes of the object that is written for a trial.
const LENGTH: usize = 4096;

/// Bytes of an answer that are searched for a name.
const SEARCHED: usize = 1 << 20;

/// One thing that was tried.
#[derive(Debug)]
#[non_exhaustive]
pub struct Trial {
    /// What: `write`, `read`, `list` or `delete`.
    pub what: &'static str,
    /// Why it failed, if it did.
    pub failure: Option<Error>,
}

impl Store {
    /// Tries what publishing and validators need: writes a small object,
    /// reads a range of it anonymously by its public URL, makes sure that
    /// nobody can list the objects' names anonymously, and deletes it again.
    ///
    /// `public` is what reads. Later trials are made although earlier ones
    /// failed, except that nothing can be read or deleted that could not be
    /// written.
    ///
    /// # Errors
    /// [`Error::Destination`] for a single presigned object: a trial would use
    /// its URL up. [`Error::Random`].
    pub async fn examine(&self, public: &Storage) -> Result<Vec<Trial>> {
        if matches!(self.backend, Backend::Http(Public::Object(_))) {
            return Err(Error::Destination {
                text: self.shown.clone(),
                reason: "a presigned URL cannot be tried without using it up",
            });
        }
        let name = ObjectName::random()?;
        let bytes: Vec<u8> = (0..LENGTH).map(|i| (i % 251) as u8).collect();
        let written = self.put_small(&name, &bytes).await;
        let mut trials = vec![Trial { what: "write", failure: written.err() }];
        if trials[0].failure.is_some() {
            return Ok(trials);
        }
        let read = self.read_as_validator(public, &name, &bytes).await;
        trials.push(Trial { what: "read", failure: read.err() });
        let listed = self.list_as_stranger(public, &name).await;
        trials.push(Trial { what: "list", failure: listed.err() });
        let deleted = self.delete(&name).await;
        trials.push(Trial { what: "delete", failure: deleted.err() });
        Ok(trials)
    }

    /// Writes a small object in the way a large one would be.
    async fn put_small(&self, name: &ObjectName, bytes: &[u8]) -> Result<()> {
        let key = self.key(name);
        if let Backend::Http(_) = &self.backend {
            return self.put_once(&key, bytes.to_vec().into()).await;
        }
        let id = self.begin(&key).await?;
        let mark = self.put_part(&key, &id, 0, 0, bytes.to_vec().into()).await?;
        self.complete(&key, &id, &[mark]).await
    }

    async fn read_as_validator(
        &self,
        public: &Storage,
        name: &ObjectName,
        bytes: &[u8],
    ) -> Result<()> {
        let url = self.public_url(name);
        public.check(&url, Some(bytes.len() as u64)).await?;
        let found = public.fetch_range(&url, 100..200).await?;
        if found == bytes[100..200] {
            return Ok(());
        }
        let (expected, found) = (soma_crypto::hash(&bytes[100..200]), soma_crypto::hash(&found));
        Err(Error::DigestMismatch { url: crate::redacted(&url), expected, found })
    }

    /// Asks for lists where stores give them, and looks for the name in there.
    async fn list_as_stranger(&self, public: &Storage, name: &ObjectName) -> Result<()> {
        let object = self.public_url(name);
        let Ok(folder) = object.join(".") else { return Ok(()) };
        let mut places = vec![folder];
        if let Backend::Cloud(cloud) = &self.backend
            && let Some(bucket) = &cloud.public
        {
            let with = |query: String| {
                let mut url = bucket.clone();
                url.set_query(Some(&query));
                url
            };
            let prefix = &self.prefix;
            places.push(with(format!("list-type=2&prefix={prefix}")));
            places.push(with(format!("restype=container&comp=list&prefix={prefix}")));
        }
        for place in places {
            if self.names(public, &place, name).await? {
                return Err(Error::Listed { url: crate::redacted(&place) });
            }
        }
        Ok(())
    }

    /// Whether an anonymous answer names the object.
    async fn names(&self, public: &Storage, url: &Url, name: &ObjectName) -> Result<bool> {
        let request = public.request(Method::GET, url)?;
        let response = public.send("GET", url, request).await?;
        if response.status() != StatusCode::OK {
            return Ok(false);
        }
        let mut text = Vec::new();
        let mut body = public.body("GET", url, response, 0);
        while let Ok(Some(chunk)) = body.next().await {
            text.extend_from_slice(&chunk);
            if text.len() >= SEARCHED {
                break;
            }
        }
        Ok(String::from_utf8_lossy(&text).contains(&name.to_string()))
    }
}
