//! What a store says about an object, and whether validators could use it.

use std::ops::Range;

use bytes::Bytes;
use reqwest::header::{self, HeaderMap};
use reqwest::{Method, StatusCode};
use url::Url;

use crate::address::redacted;
use crate::client::{content_length, is_unsatisfiable, location, success, text};
use crate::retry::repeat;
use crate::{Error, Result, Storage};

/// What a store says about the object at a URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// HTTP status of the object: 200 if it is there.
    pub status: u16,
    /// Length in bytes, if the store tells.
    pub length: Option<u64>,
    /// Whether a ranged request was answered with 206 and the right part.
    /// Validators fetch everything over 5 MiB in ranges.
    pub accepts_ranges: bool,
    /// Why not, if it does not.
    pub range_problem: Option<String>,
    /// The version of the object, in the store's words.
    pub etag: Option<String>,
    /// Where the store sends us instead, redacted.
    pub redirects_to: Option<String>,
}

impl Storage {
    /// Looks at an object with one HEAD and one ranged GET of a single byte.
    ///
    /// A status of 4xx or 5xx is an answer like any other and no error;
    /// [`Storage::check`] judges it.
    ///
    /// # Errors
    /// Those of the policy and of the connection.
    pub async fn probe(&self, url: &Url) -> Result<Probe> {
        repeat(self.retry(), || self.probe_once(url)).await
    }

    /// Demands what a validator needs: status 200, ranges, no redirect, and
    /// the given length in bytes if one is given.
    ///
    /// # Errors
    /// [`Error::Status`], [`Error::Redirect`], [`Error::NoRanges`],
    /// [`Error::WrongLength`], and those of [`Storage::probe`].
    pub async fn check(&self, url: &Url, expected_length: Option<u64>) -> Result<Probe> {
        let probe = self.probe(url).await?;
        let shown = || redacted(url);
        let method = "GET";
        if let Some(location) = probe.redirects_to {
            return Err(Error::Redirect { method, url: shown(), status: probe.status, location });
        }
        if probe.status != 200 {
            let body = String::new();
            return Err(Error::Status {
                method,
                url: shown(),
                status: probe.status,
                retry_after: None,
                body,
            });
        }
        match (expected_length, probe.length) {
            (Some(expected), Some(found)) if expected != found => {
                return Err(Error::WrongLength { url: shown(), expected, found });
            }
            _ => {}
        }
        match &probe.range_problem {
            Some(reason) => Err(Error::NoRanges { url: shown(), reason: reason.clone() }),
            None => Ok(probe),
        }
    }

    /// Fetches a part of an object; `range` is in bytes and must not be empty.
    ///
    /// # Errors
    /// [`Error::NoRanges`] if anything but exactly this part comes back,
    /// [`Error::Truncated`], and those of the policy and of the connection.
    pub async fn fetch_range(&self, url: &Url, range: Range<u64>) -> Result<Bytes> {
        if range.is_empty() {
            return Ok(Bytes::new());
        }
        repeat(self.retry(), || self.fetch_range_once(url, &range, None)).await
    }

    async fn probe_once(&self, url: &Url) -> Result<Probe> {
        let head = self.send("HEAD", url, self.request(Method::HEAD, url)?).await?;
        let mut probe = Probe {
            status: head.status().as_u16(),
            length: head.status().is_success().then(|| content_length(head.headers())).flatten(),
            accepts_ranges: false,
            range_problem: None,
            etag: text(head.headers(), header::ETAG).map(str::to_owned),
            redirects_to: head
                .status()
                .is_redirection()
                .then(|| location(url, head.headers()))
                .flatten(),
        };
        let request = self.request(Method::GET, url)?.header(header::RANGE, "bytes=0-0");
        let get = self.send("GET", url, request).await?;
        let status = get.status();
        if !head.status().is_success() {
            // A URL signed for GET refuses HEAD; the GET then has the last word.
            probe.status =
                if status == StatusCode::PARTIAL_CONTENT { 200 } else { status.as_u16() };
            probe.etag = text(get.headers(), header::ETAG).map(str::to_owned);
            probe.redirects_to =
                status.is_redirection().then(|| location(url, get.headers())).flatten();
        }
        let part = ContentRange::of(get.headers());
        if probe.length.is_none() {
            probe.length = part.and_then(|part| part.total);
        }
        probe.range_problem = match (status, part) {
            (StatusCode::PARTIAL_CONTENT, Some(ContentRange { start: 0, end: 1, .. })) => None,
            (StatusCode::PARTIAL_CONTENT, _) => {
                Some("206 without the right Content-Range".to_owned())
            }
            // There is no first byte of nothing.
            _ if is_unsatisfiable(&get) && probe.length == Some(0) => None,
            (status, _) => Some(format!("asked for one byte, answered {}", status.as_u16())),
        };
        probe.accepts_ranges = probe.range_problem.is_none();
        Ok(probe)
    }

    /// Fetches a part once; if the length of the whole object is given, it must
    /// be that of the answer.
    pub(crate) async fn fetch_range_once(
        &self,
        url: &Url,
        range: &Range<u64>,
        total: Option<u64>,
    ) -> Result<Bytes> {
        let wanted = format!("bytes={}-{}", range.start, range.end - 1);
        let request = self.request(Method::GET, url)?.header(header::RANGE, wanted);
        let response = success("GET", url, self.send("GET", url, request).await?).await?;
        let no_ranges = |reason: String| Error::NoRanges { url: redacted(url), reason };
        if response.status() != StatusCode::PARTIAL_CONTENT {
            return Err(no_ranges(format!(
                "a ranged request was answered with {}",
                response.status().as_u16()
            )));
        }
        let part = ContentRange::of(response.headers());
        if let Some((expected, found)) = total.zip(part.and_then(|part| part.total))
            && expected != found
        {
            return Err(Error::WrongLength { url: redacted(url), expected, found });
        }
        match part {
            Some(part) if part.start == range.start && part.end == range.end => {}
            Some(part) => {
                return Err(no_ranges(format!(
                    "asked for {range:?}, got {}..{}",
                    part.start, part.end
                )));
            }
            None => return Err(no_ranges("206 without Content-Range".to_owned())),
        }
        let expected = range.end - range.start;
        // Of this length and no more: a vector that grows may take twice as much.
        let mut bytes = Vec::with_capacity(usize::try_from(expected).unwrap_or(0));
        let mut body = self.body("GET", url, response, 0);
        while let Some(chunk) = body.next().await? {
            if bytes.len() as u64 + chunk.len() as u64 > expected {
                return Err(no_ranges("more bytes than asked for".to_owned()));
            }
            bytes.extend_from_slice(&chunk);
        }
        match bytes.len() as u64 {
            found if found < expected => {
                Err(Error::Truncated { url: redacted(url), expected, found })
            }
            _ => Ok(bytes.into()),
        }
    }
}

/// A parsed `Content-Range: bytes first-last/total` (RFC 9110, 14.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ContentRange {
    /// First byte.
    pub(crate) start: u64,
    /// One after the last byte.
    pub(crate) end: u64,
    /// Length of the whole object; a star stands for unknown.
    pub(crate) total: Option<u64>,
}

impl ContentRange {
    pub(crate) fn of(headers: &HeaderMap) -> Option<Self> {
        Self::parse(text(headers, header::CONTENT_RANGE)?)
    }

    fn parse(text: &str) -> Option<Self> {
        let (part, total) = text.trim().strip_prefix("bytes ")?.trim().split_once('/')?;
        let (first, last) = part.split_once('-')?;
        let start = first.trim().parse().ok()?;
        let end = last.trim().parse::<u64>().ok()?.checked_add(1)?;
        let total = match total.trim() {
            "*" => None,
            number => Some(number.parse().ok()?),
        };
        (start < end && total.is_none_or(|total| end <= total)).then_some(Self {
            start,
            end,
            total,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_ranges() {
        let range = |start, end, total| Some(ContentRange { start, end, total });
        assert_eq!(ContentRange::parse("bytes 0-0/10"), range(0, 1, Some(10)));
        assert_eq!(ContentRange::parse("bytes 5-9/*"), range(5, 10, None));
        for text in [
            "",
            "bytes",
            "bytes */10",
            "bytes 5-4/10",
            "bytes 0-10/10",
            "items 0-0/1",
            "bytes 0-18446744073709551615/*",
        ] {
            assert_eq!(ContentRange::parse(text), None, "{text}");
        }
    }
}
