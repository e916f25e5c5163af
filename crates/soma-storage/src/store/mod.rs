//! Stores: one face for all places that take uploads.

mod cloud;
mod directory;
mod examine;
mod profile;
mod unfinished;
pub(crate) mod wire;

use std::fmt;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use object_store::multipart::PartId;
use object_store::path::Path as Key;
use object_store::{ObjectStoreExt as _, PutPayload};
use reqwest::Method;
use url::Url;

use self::cloud::Cloud;
use self::directory::Directory;
pub use self::examine::Trial;
use self::wire::{Wire, unwrapped};
use crate::client::success;
use crate::destination::{Destination, Place, Public, key};
use crate::meter::Meter;
use crate::retry::repeat;
use crate::{Error, ObjectName, Result, Storage, Variables};

/// How a store names its buckets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "S3 has these two ways")]
pub enum Addressing {
    /// As Amazon wants it for Amazon, in the path for everybody else.
    #[default]
    Automatic,
    /// `https://HOST/BUCKET/KEY`.
    Path,
    /// `https://BUCKET.HOST/KEY`.
    VirtualHost,
}

/// What a destination does not say of itself.
#[derive(Clone, Debug, Default)]
#[expect(clippy::exhaustive_structs, reason = "a list of arguments with names")]
pub struct StoreOptions {
    /// Where validators will fetch objects; derived where it can be. With a
    /// slash at the end it is a folder, to which the object's key below the
    /// bucket (or its name below a directory) is added.
    pub public_url: Option<Url>,
    /// The address of a compatible store.
    pub endpoint: Option<Url>,
    /// The region of an S3 bucket.
    pub region: Option<String>,
    /// How an S3 bucket is addressed.
    pub addressing: Addressing,
    /// The most bytes to send a second.
    pub limit_rate: Option<NonZeroU64>,
}

/// A place that takes uploads, and the URLs under which they are found.
#[derive(Clone)]
pub struct Store {
    backend: Backend,
    prefix: String,
    public: Public,
    storage: Storage,
    meter: Arc<Meter>,
    shown: String,
}

#[derive(Clone)]
enum Backend {
    Cloud(Cloud),
    Directory(Directory),
    /// Takes one PUT for each object; where it goes.
    Http(Public),
}

/// An upload that was begun and never finished.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Unfinished {
    /// The object's key below the bucket or directory.
    pub key: String,
    /// The store's name for the upload.
    pub id: String,
    /// When it was begun, or last written to, if the store tells.
    pub begun: Option<SystemTime>,
}

impl Store {
    /// Makes ready to talk to a destination; nothing is sent yet. Credentials
    /// come from where each cloud's own tools look for them: `AWS_*` and the
    /// files in `~/.aws`, `GOOGLE_*` and the application default credentials,
    /// `AZURE_*`, and the metadata services of the clouds' machines.
    ///
    /// # Errors
    /// [`Error::Destination`] if it lacks something, [`Error::Url`] if the
    /// public URL cannot serve, [`Error::Store`] for bad credentials.
    pub fn open(
        destination: &Destination,
        options: &StoreOptions,
        variables: &Variables,
        storage: &Storage,
    ) -> Result<Self> {
        let meter = Arc::new(Meter::new(options.limit_rate));
        let wire = || Wire { storage: storage.clone(), meter: Arc::clone(&meter) };
        let given = options.public_url.as_ref().map(Public::given);
        let lacking = || Error::Destination {
            text: destination.to_string(),
            reason: "validators cannot fetch from there; give their URL with --public-url",
        };
        // One URL for all of them would give all objects one name.
        let one_for_all = matches!(given, Some(Public::Object(_)));
        if one_for_all && !matches!(destination.0, Place::Object(_)) {
            return Err(Error::Destination {
                text: destination.to_string(),
                reason: "it takes many objects, so --public-url must be a folder that ends with `/`",
            });
        }
        let of_cloud = |cloud: Cloud, prefix: &str| -> Result<_> {
            let derived = cloud.public.clone().map(Public::Folder);
            let public = given.clone().or(derived).ok_or_else(lacking)?;
            Ok((Backend::Cloud(cloud), prefix.to_owned(), public))
        };
        let (backend, prefix, public) = match &destination.0 {
            Place::S3 { bucket, prefix } => {
                of_cloud(cloud::s3(bucket, options, variables, wire())?, prefix)?
            }
            Place::Google { bucket, prefix } => {
                of_cloud(cloud::google(bucket, options, variables, wire())?, prefix)?
            }
            Place::Azure { container, prefix } => {
                of_cloud(cloud::azure(container, options, variables, wire())?, prefix)?
            }
            Place::Directory(path) => {
                let public = given.ok_or_else(lacking)?;
                (Backend::Directory(Directory::new(path.clone())), String::new(), public)
            }
            Place::Folder(url) => {
                let target = Public::Folder(url.clone());
                let public = given.unwrap_or_else(|| target.clone());
                (Backend::Http(target), String::new(), public)
            }
            Place::Object(url) => {
                let plain = || destination.object().unwrap_or_else(|| url.clone());
                let public = given.unwrap_or_else(|| Public::Object(plain()));
                (Backend::Http(Public::Object(url.clone())), String::new(), public)
            }
        };
        let store = Self {
            backend,
            prefix,
            public,
            storage: storage.clone(),
            meter,
            shown: destination.to_string(),
        };
        store.storage.policy().check(&store.public.of("x"))?;
        Ok(store)
    }

    /// The URL under which others will find an object.
    pub fn public_url(&self, name: &ObjectName) -> Url {
        self.public.of(&self.key(name))
    }

    /// The length of an object in bytes, asked with credentials; nothing if
    /// it is not there.
    ///
    /// # Errors
    /// Those of the store and of the connection.
    pub async fn length(&self, name: &ObjectName) -> Result<Option<u64>> {
        let key = self.key(name);
        repeat(self.storage.retry(), || self.length_once(&key)).await
    }

    async fn length_once(&self, key: &str) -> Result<Option<u64>> {
        match &self.backend {
            Backend::Cloud(cloud) => match cloud.objects.head(&path(key)?).await {
                Ok(found) => Ok(Some(found.size)),
                Err(error) => match self.explain("look at an object of", error) {
                    Error::Status { status: 404, .. } => Ok(None),
                    error => Err(error),
                },
            },
            Backend::Directory(directory) => directory.length(key),
            Backend::Http(target) => {
                let probe = self.storage.probe(&target.of(key)).await?;
                Ok(probe.length.filter(|_| probe.status == 200))
            }
        }
    }

    /// Writes a small object beside that of `name`: its own name is that one
    /// with `suffix`.
    ///
    /// # Errors
    /// [`Error::Destination`] for a single presigned object, which has nothing
    /// beside it; those of the store and of the connection.
    pub async fn put_beside(&self, name: &ObjectName, suffix: &str, bytes: Vec<u8>) -> Result<()> {
        if matches!(self.backend, Backend::Http(Public::Object(_))) {
            return Err(Error::Destination {
                text: self.shown.clone(),
                reason: "there is room for one object only",
            });
        }
        let (key, bytes) = (format!("{}{suffix}", self.key(name)), Bytes::from(bytes));
        repeat(self.storage.retry(), || self.put_once(&key, bytes.clone())).await
    }

    async fn put_once(&self, key: &str, bytes: Bytes) -> Result<()> {
        match &self.backend {
            Backend::Cloud(cloud) => {
                let put = cloud.objects.put(&path(key)?, PutPayload::from(bytes)).await;
                put.map(drop).map_err(|error| self.explain("write to", error))
            }
            Backend::Directory(directory) => {
                let (directory, key) = (directory.clone(), key.to_owned());
                blocking(move || {
                    directory.begin(&key)?;
                    directory.put_part(&key, 0, &bytes)?;
                    directory.complete(&key)
                })
                .await
            }
            Backend::Http(target) => {
                let url = target.of(key);
                let request = self.storage.request(Method::PUT, &url)?.body(bytes);
                let response = self.storage.send("PUT", &url, request).await?;
                success("PUT", &url, response).await.map(drop)
            }
        }
    }

    /// Removes an object.
    ///
    /// # Errors
    /// Those of the store and of the connection.
    pub async fn delete(&self, name: &ObjectName) -> Result<()> {
        let key = self.key(name);
        repeat(self.storage.retry(), || self.delete_once(&key)).await
    }

    async fn delete_once(&self, key: &str) -> Result<()> {
        match &self.backend {
            Backend::Cloud(cloud) => {
                let deleted = cloud.objects.delete(&path(key)?).await;
                deleted.map_err(|error| self.explain("delete from", error))
            }
            Backend::Directory(directory) => directory.delete(key),
            Backend::Http(target) => {
                let url = target.of(key);
                let request = self.storage.request(Method::DELETE, &url)?;
                let response = self.storage.send("DELETE", &url, request).await?;
                success("DELETE", &url, response).await.map(drop)
            }
        }
    }

    pub(crate) fn key(&self, name: &ObjectName) -> String {
        key(&self.prefix, name)
    }

    pub(crate) const fn storage(&self) -> &Storage {
        &self.storage
    }

    pub(crate) const fn meter(&self) -> &Arc<Meter> {
        &self.meter
    }

    /// Where a single PUT goes, for hosts that take nothing else.
    pub(crate) fn put_url(&self, name: &ObjectName) -> Option<Url> {
        match &self.backend {
            Backend::Http(target) => Some(target.of(&self.key(name))),
            _ => None,
        }
    }

    /// Opens an upload in parts and gives the store's name for it.
    pub(crate) async fn begin(&self, key: &str) -> Result<String> {
        match &self.backend {
            Backend::Cloud(cloud) => {
                let begun = cloud.parts.create_multipart(&path(key)?).await;
                begun.map_err(|error| self.explain("begin an upload to", error))
            }
            Backend::Directory(directory) => {
                directory.begin(key)?;
                Ok("file".to_owned())
            }
            Backend::Http(_) => Err(self.no_parts()),
        }
    }

    /// Sends one part, counted from 0, and gives the store's mark for it.
    pub(crate) async fn put_part(
        &self,
        key: &str,
        id: &str,
        part: u64,
        offset: u64,
        bytes: Bytes,
    ) -> Result<String> {
        match &self.backend {
            Backend::Cloud(cloud) => {
                let index = usize::try_from(part).unwrap_or(usize::MAX);
                let payload = PutPayload::from(bytes);
                let sent = cloud.parts.put_part(&path(key)?, &id.to_owned(), index, payload).await;
                let sent = sent.map_err(|error| self.explain("send a part to", error))?;
                Ok(sent.content_id)
            }
            Backend::Directory(directory) => {
                self.meter.pass(bytes.len()).await;
                let (directory, key) = (directory.clone(), key.to_owned());
                blocking(move || directory.put_part(&key, offset, &bytes)).await?;
                Ok(String::new())
            }
            Backend::Http(_) => Err(self.no_parts()),
        }
    }

    /// Makes an object of the parts whose marks are given in order.
    pub(crate) async fn complete(&self, key: &str, id: &str, marks: &[String]) -> Result<()> {
        match &self.backend {
            Backend::Cloud(cloud) => {
                let parts = marks.iter().map(|mark| PartId { content_id: mark.clone() }).collect();
                let done = cloud.parts.complete_multipart(&path(key)?, &id.to_owned(), parts).await;
                done.map(drop).map_err(|error| self.explain("complete an upload to", error))
            }
            Backend::Directory(directory) => {
                let (directory, key) = (directory.clone(), key.to_owned());
                blocking(move || directory.complete(&key)).await
            }
            Backend::Http(_) => Err(self.no_parts()),
        }
    }

    /// Whether the store can be known to have forgotten an upload.
    pub(crate) fn has_lost(&self, key: &str) -> bool {
        matches!(&self.backend, Backend::Directory(directory) if !directory.has_begun(key))
    }

    /// Gives an upload up and frees what its parts hold.
    ///
    /// # Errors
    /// Those of the store and of the connection.
    pub async fn abort(&self, unfinished: &Unfinished) -> Result<()> {
        let Unfinished { key, id, .. } = unfinished;
        repeat(self.storage.retry(), || self.abort_once(key, id)).await
    }

    async fn abort_once(&self, key: &str, id: &String) -> Result<()> {
        match &self.backend {
            Backend::Cloud(cloud) => {
                let aborted = cloud.parts.abort_multipart(&path(key)?, id).await;
                aborted.map_err(|error| self.explain("abort an upload to", error))
            }
            Backend::Directory(directory) => directory.abort(key),
            Backend::Http(_) => Ok(()),
        }
    }

    fn explain(&self, action: &'static str, error: object_store::Error) -> Error {
        unwrapped(action, &self.shown, error)
    }

    fn no_parts(&self) -> Error {
        Error::Store {
            action: "send parts to",
            store: self.shown.clone(),
            reason: "it takes whole objects only".to_owned(),
            busy: false,
        }
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Store({})", self.shown)
    }
}

fn path(key: &str) -> Result<Key> {
    Key::parse(key).map_err(|_| Error::Destination {
        text: key.to_owned(),
        reason: "its path is not a prefix of names",
    })
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        // Only a panic ends it early, and that one belongs to the caller.
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}
