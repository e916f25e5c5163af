//! Where ciphertext lives: upload, ranged download, verification.
//!
//! [`Store::upload`] encrypts, hashes and sends a file in one pass: to S3 and
//! those like it, Google Cloud Storage, Azure, a directory, or a host that
//! takes `PUT` ([`Destination`]). An upload in parts goes on after an
//! interruption ([`Record`]). [`Storage`] looks at a URL as a validator would,
//! fetches parts, and downloads a file so that only the bytes the chain
//! committed to ever get their name. It never follows redirects, never shows
//! credentials or signatures of a URL, and by default talks to public `https`
//! hosts only ([`AddressPolicy`]). It knows no chain: sizes and digests are
//! the caller's.
//!
//! It has no features. It needs a Tokio runtime with time enabled.
//!
//! ```no_run
//! use std::path::Path;
//! use soma_storage::{AddressPolicy, Expected, Storage};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let storage = Storage::new(AddressPolicy::Any)?;
//! let url = "http://127.0.0.1:9200/weights-1".parse()?;
//!
//! let sent = storage.put_file(&url, Path::new("weights.enc"), |_bytes| {}).await?;
//! let probe = storage.check(&url, Some(sent.length)).await?;
//! assert!(probe.accepts_ranges);
//!
//! let expected = Expected { size: sent.length, digest: sent.digest };
//! storage.download(&url, Path::new("copy.enc"), &expected, |_bytes| {}).await?;
//! # Ok(())
//! # }
//! ```

#![forbid(unsafe_code)]

mod address;
mod client;
mod destination;
mod download;
mod error;
mod meter;
mod name;
mod probe;
mod publish;
mod retry;
mod room;
mod store;
mod variables;

pub use url::Url;

pub use self::address::{AddressPolicy, is_public, redacted};
pub use self::client::Storage;
pub use self::destination::Destination;
pub use self::download::{Downloaded, Expected};
pub use self::error::{Error, Result};
pub use self::name::ObjectName;
pub use self::probe::Probe;
pub use self::publish::{Journal, JournalError, Progress, Record, Source, UploadOptions, Uploaded};
pub use self::retry::RetryPolicy;
pub use self::room::free_space;
pub use self::store::{Addressing, Store, StoreOptions, Trial, Unfinished};
pub use self::variables::Variables;
