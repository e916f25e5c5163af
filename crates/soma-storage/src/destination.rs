//! Where an upload goes, and where others will find it.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use url::Url;

use crate::address::redacted;
use crate::{Error, ObjectName, Result};

/// A place for objects, as it is typed.
///
/// | text | place |
/// | --- | --- |
/// | `s3://BUCKET/PREFIX` | Amazon S3 or a compatible store |
/// | `gs://BUCKET/PREFIX` | Google Cloud Storage |
/// | `az://CONTAINER/PREFIX` | Azure Blob Storage |
/// | `file:///DIRECTORY` | a directory that something else serves |
/// | `https://HOST/FOLDER/` | a host that takes `PUT`, such as the local network's |
/// | `https://HOST/OBJECT?SIGNATURE` | one object, by a URL presigned for `PUT` |
///
/// An `http` or `https` URL that ends with a slash is a folder, in which the
/// object gets a random name; any other is the object itself.
#[derive(Clone, PartialEq, Eq)]
pub struct Destination(pub(crate) Place);

#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Place {
    S3 {
        bucket: String,
        prefix: String,
    },
    Google {
        bucket: String,
        prefix: String,
    },
    Azure {
        container: String,
        prefix: String,
    },
    Directory(PathBuf),
    /// Ends with a slash.
    Folder(Url),
    Object(Url),
}

impl Destination {
    /// Whether the object's name is given by the destination.
    pub const fn is_one_object(&self) -> bool {
        matches!(self.0, Place::Object(_))
    }

    /// The object that the destination is, if it is one: its URL without the
    /// signature.
    pub fn object(&self) -> Option<Url> {
        let Place::Object(url) = &self.0 else { return None };
        let mut url = url.clone();
        url.set_query(None);
        url.set_fragment(None);
        Some(url)
    }

    /// The local file host's folder at `url`.
    ///
    /// # Errors
    /// As parsing.
    pub fn folder(url: &str) -> Result<Self> {
        format!("{}/", url.trim_end_matches('/')).parse()
    }
}

impl FromStr for Destination {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let refuse = |reason| Error::Destination { text: shown(text), reason };
        let Some((scheme, rest)) = text.split_once("://") else {
            return Err(refuse("it has no scheme"));
        };
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let prefix = prefix.trim_matches('/').to_owned();
        let odd = |part: &str| part.is_empty() || matches!(part, "." | "..");
        if matches!(scheme, "s3" | "s3a" | "gs" | "az" | "azure") {
            if bucket.is_empty() || bucket.contains(['@', '?', '#', ':']) {
                return Err(refuse("it names no bucket"));
            }
            if prefix.contains(['?', '#']) || (!prefix.is_empty() && prefix.split('/').any(odd)) {
                return Err(refuse("its path is not a prefix of names"));
            }
        }
        let bucket = bucket.to_owned();
        Ok(Self(match scheme {
            "s3" | "s3a" => Place::S3 { bucket, prefix },
            "gs" => Place::Google { bucket, prefix },
            "az" | "azure" => Place::Azure { container: bucket, prefix },
            "file" => {
                let url = Url::parse(text).map_err(|_| refuse("it is not a URL"))?;
                Place::Directory(
                    url.to_file_path().map_err(|()| refuse("it is not a path of this machine"))?,
                )
            }
            "http" | "https" => {
                let url = Url::parse(text).map_err(|_| refuse("it is not a URL"))?;
                if url.path().ends_with('/') && url.query().is_none() {
                    Place::Folder(url)
                } else {
                    Place::Object(url)
                }
            }
            _ => return Err(refuse("its scheme is not one of s3, gs, az, file, http and https")),
        }))
    }
}

/// Without what may be secret.
impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, bucket, prefix) = match &self.0 {
            Place::S3 { bucket, prefix } => ("s3", bucket, prefix),
            Place::Google { bucket, prefix } => ("gs", bucket, prefix),
            Place::Azure { container, prefix } => ("az", container, prefix),
            Place::Directory(path) => return write!(f, "{}", path.display()),
            Place::Folder(url) | Place::Object(url) => return f.write_str(&redacted(url)),
        };
        write!(f, "{scheme}://{bucket}/{prefix}")
    }
}

impl fmt::Debug for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Destination({self})")
    }
}

/// How names become the URLs that validators fetch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Public {
    /// Ends with a slash; the key follows.
    Folder(Url),
    /// Always this one.
    Object(Url),
}

impl Public {
    /// Reads `--public-url`: one that ends with a slash is a folder.
    pub(crate) fn given(url: &Url) -> Self {
        if url.path().ends_with('/') && url.query().is_none() {
            Self::Folder(url.clone())
        } else {
            Self::Object(url.clone())
        }
    }

    /// The URL of a key below the folder.
    pub(crate) fn of(&self, key: &str) -> Url {
        match self {
            Self::Object(url) => url.clone(),
            Self::Folder(folder) => {
                let mut url = folder.clone();
                if let Ok(mut segments) = url.path_segments_mut() {
                    segments.pop_if_empty().extend(key.split('/'));
                }
                url
            }
        }
    }
}

/// The key of a name below a prefix.
pub(crate) fn key(prefix: &str, name: &ObjectName) -> String {
    if prefix.is_empty() { name.to_string() } else { format!("{prefix}/{name}") }
}

/// What was typed, up to where a secret may begin.
pub(crate) fn shown(text: &str) -> String {
    let start = text.split(['?', '#']).next().unwrap_or_default();
    match start.rsplit_once('@') {
        Some((_, after)) => format!("...@{after}"),
        // A password with such a letter in it has begun before.
        None if text.contains('@') => "...".to_owned(),
        None => start.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(text: &str) -> Place {
        text.parse::<Destination>().unwrap().0
    }

    #[test]
    fn every_form() {
        let (bucket, prefix) = ("b".to_owned(), "p/q".to_owned());
        let bare = Place::S3 { bucket: bucket.clone(), prefix: String::new() };
        assert!(place("s3://b") == bare);
        assert!(place("s3://b/") == bare);
        let s3 = Place::S3 { bucket: bucket.clone(), prefix: prefix.clone() };
        assert!(place("s3://b/p/q/") == s3);
        let google = Place::Google { bucket: bucket.clone(), prefix: prefix.clone() };
        assert!(place("gs://b/p/q") == google);
        assert!(place("az://b/p/q") == Place::Azure { container: bucket, prefix });
        assert!(place("file:///srv/weights") == Place::Directory("/srv/weights".into()));
        assert!(matches!(place("http://127.0.0.1:9200"), Place::Folder(_)));
        assert!(matches!(place("https://host.example/a/"), Place::Folder(_)));
        assert!(matches!(place("https://host.example/a/?sig=x"), Place::Object(_)));
        assert!(matches!(place("https://host.example/a"), Place::Object(_)));
    }

    #[test]
    fn what_is_no_destination_is_refused_without_its_secrets() {
        for text in [
            "",
            "bucket/prefix",
            "s3://",
            "s3:///prefix",
            "s3://key:hush@bucket/p",
            "s3://bucket/a/../b",
            "gs://bucket/a//b",
            "ftp://host/a",
            "http://",
            "https://me:hush@/",
        ] {
            let error = text.parse::<Destination>().unwrap_err();
            let text = format!("{error} {error:?}");
            assert!(matches!(error, Error::Destination { .. }) && !text.contains("hush"), "{text}");
        }
        let signed: Destination = "https://h.example/o?X-Amz-Signature=hush".parse().unwrap();
        assert_eq!(format!("{signed}"), "https://h.example/o?...");
        assert!(!format!("{signed:?}").contains("hush"));
    }

    #[test]
    fn public_urls() {
        let url = |text: &str| Url::parse(text).unwrap();
        let folder = Public::given(&url("https://cdn.example/models/"));
        assert_eq!(folder.of("a/b").as_str(), "https://cdn.example/models/a/b");
        let root = Public::given(&url("https://cdn.example"));
        assert_eq!(root.of("a b").as_str(), "https://cdn.example/a%20b");
        let one = Public::given(&url("https://cdn.example/one"));
        assert_eq!(one.of("a").as_str(), "https://cdn.example/one");
    }
}
