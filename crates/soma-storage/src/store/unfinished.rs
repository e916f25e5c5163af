//! Uploads that were begun and never finished: their parts cost money.

use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use object_store::aws::AwsAuthorizer;
use object_store::client::{HttpRequest, HttpRequestBody, HttpService as _};
use url::Url;

use super::cloud::S3;
use super::wire::{Wire, unwrapped};
use super::{Backend, Store, Unfinished};
use crate::retry::repeat;
use crate::{Error, ObjectName, Result};

impl Unfinished {
    /// The object's name, if it is one of ours.
    pub fn name(&self) -> Option<ObjectName> {
        self.key.rsplit('/').next()?.parse().ok()
    }

    /// Whether it was begun so long before `now`; not, if that is not known.
    pub fn is_older_than(&self, age: Duration, now: SystemTime) -> bool {
        self.begun.is_some_and(|begun| now.duration_since(begun).is_ok_and(|passed| passed >= age))
    }
}

impl Store {
    /// Uploads below the destination that were begun and never finished, those
    /// of other programs too: S3 and directories can tell.
    ///
    /// # Errors
    /// [`Error::Store`] if the store cannot tell: Azure forgets such parts by
    /// itself after a week, Google's are removed by a lifecycle rule.
    pub async fn unfinished(&self) -> Result<Vec<Unfinished>> {
        match &self.backend {
            Backend::Cloud(cloud) => match &cloud.s3 {
                Some(s3) => self.unfinished_of(s3).await,
                None => Err(Error::Store {
                    action: "list unfinished uploads of",
                    store: self.shown.clone(),
                    reason: "this store does not tell; its own rules remove them".to_owned(),
                    busy: false,
                }),
            },
            Backend::Directory(directory) => {
                let found = directory.unfinished()?.into_iter();
                let id = || "file".to_owned();
                Ok(found.map(|(key, begun)| Unfinished { key, id: id(), begun }).collect())
            }
            Backend::Http(_) => Ok(Vec::new()),
        }
    }

    async fn unfinished_of(&self, s3: &S3) -> Result<Vec<Unfinished>> {
        let mut found = Vec::new();
        let mut marker = None;
        loop {
            let page = repeat(self.storage.retry(), || self.page(s3, marker.as_ref())).await?;
            let uploads = elements(&page, "Upload");
            found.extend(uploads.iter().filter_map(|upload| {
                let key = unescaped(elements(upload, "Key").first()?);
                let id = unescaped(elements(upload, "UploadId").first()?);
                let begun = elements(upload, "Initiated").first().and_then(|text| time(text));
                Some(Unfinished { key, id, begun })
            }));
            let value = |name| elements(&page, name).first().map(|text| unescaped(text));
            let truncated = value("IsTruncated").is_some_and(|text| text == "true");
            let next = value("NextKeyMarker").zip(value("NextUploadIdMarker"));
            // A store that never comes to its end would keep us here for ever.
            if !truncated || next.is_none() || next == marker {
                return Ok(found);
            }
            marker = next;
        }
    }

    /// One page of `ListMultipartUploads`.
    async fn page(&self, s3: &S3, marker: Option<&(String, String)>) -> Result<String> {
        let mut url: Url = s3.url.clone();
        // Sorted by name, as the signature wants it.
        let mut query = url.query_pairs_mut();
        if let Some((key, _)) = marker {
            query.append_pair("key-marker", key);
        }
        if !self.prefix.is_empty() {
            query.append_pair("prefix", &format!("{}/", self.prefix));
        }
        if let Some((_, id)) = marker {
            query.append_pair("upload-id-marker", id);
        }
        query.append_pair("uploads", "");
        drop(query);
        let action = "list unfinished uploads of";
        let explain = |error| unwrapped(action, &self.shown, error);
        let odd = |reason: String| Error::Store {
            action,
            store: self.shown.clone(),
            reason,
            busy: false,
        };
        let credential = s3.store.credentials().get_credential().await.map_err(explain)?;
        let mut request: HttpRequest = http::Request::get(url.as_str())
            .body(HttpRequestBody::empty())
            .map_err(|error| odd(error.to_string()))?;
        AwsAuthorizer::new(&credential, "s3", &s3.region)
            .try_authorize(&mut request, None)
            .map_err(explain)?;
        let wire = Wire { storage: self.storage.clone(), meter: self.meter.clone() };
        let answer = wire.call(request).await.map_err(|error| {
            explain(object_store::Error::Generic { store: "S3", source: error.into() })
        })?;
        let bytes = answer.into_body().bytes().await.map_err(|error| odd(error.to_string()))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}

/// The contents of all elements of a name, in a document that a store made.
/// Elements of one name never contain each other there.
fn elements<'a>(document: &'a str, name: &str) -> Vec<&'a str> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    let mut found = Vec::new();
    let mut rest = document;
    while let Some((_, after)) = rest.split_once(&open) {
        let Some((content, after)) = after.split_once(&close) else { break };
        found.push(content);
        rest = after;
    }
    found
}

/// A moment as S3 writes it (RFC 3339).
fn time(text: &str) -> Option<SystemTime> {
    text.parse::<Timestamp>().ok()?.try_into().ok()
}

/// Text of an element, without the five escapes of XML.
fn unescaped(text: &str) -> String {
    let pairs = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'"), ("&amp;", "&")];
    pairs.iter().fold(text.to_owned(), |text, (escape, plain)| text.replace(escape, plain))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uploads_are_found_in_a_list() {
        let page = "<ListMultipartUploadsResult><Upload><Key>a&amp;b</Key><UploadId>1</UploadId>\
                    </Upload><Upload><UploadId>2</UploadId><Key>c</Key></Upload>\
                    <IsTruncated>false</IsTruncated></ListMultipartUploadsResult>";
        let uploads = elements(page, "Upload");
        assert_eq!(uploads.len(), 2);
        assert_eq!(unescaped(elements(uploads[0], "Key")[0]), "a&b");
        assert_eq!(elements(uploads[1], "UploadId"), ["2"]);
        assert!(elements("<Upload><Key>", "Upload").is_empty());
        assert_eq!(unescaped("&amp;lt;"), "&lt;");
    }

    #[test]
    fn an_age_is_only_known_where_the_store_tells() {
        let begun = time("2026-01-02T03:04:05.000Z");
        let upload =
            |key: &str, begun| Unfinished { key: key.to_owned(), id: String::new(), begun };
        let now = begun.unwrap() + Duration::from_secs(60);
        let age = Duration::from_secs;
        assert!(upload("a", begun).is_older_than(age(60), now));
        assert!(!upload("a", begun).is_older_than(age(61), now));
        assert!(!upload("a", time("yesterday")).is_older_than(age(0), now));
        // A clock that goes wrong ages nothing.
        assert!(!upload("a", begun).is_older_than(age(1), begun.unwrap() - age(60)));
        let name = "0f".repeat(32);
        assert_eq!(upload(&format!("p/{name}"), None).name().unwrap().to_string(), name);
        assert!(upload(&format!("{name}/p"), None).name().is_none());
    }
}
