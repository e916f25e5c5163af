//! What `soma weights` prints.

use std::collections::BTreeMap;

use serde::Serialize;
use soma_proto::WeightsUrl;
use zeroize::Zeroizing;

use crate::output::{Page, Report, format};

#[derive(Serialize)]
pub(super) struct PassReport {
    pub(super) input: String,
    pub(super) output: String,
    pub(super) size: u64,
    pub(super) commitment: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) decryption_key: Option<Zeroizing<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) key_file: Option<String>,
}

impl Report for PassReport {
    fn text(&self, page: &mut Page) {
        let mut fields = vec![
            ("output", self.output.clone()),
            ("size", format::exact_bytes(self.size)),
            ("commitment", self.commitment.clone()),
        ];
        if let Some(key) = &self.decryption_key {
            fields.push(("decryption key", key.to_string()));
        }
        if let Some(path) = &self.key_file {
            fields.push(("key file", path.clone()));
        }
        page.fields(&fields);
    }
}

#[derive(Serialize)]
pub(super) struct FileCommitment {
    pub(super) file: String,
    pub(super) size: u64,
    pub(super) commitment: String,
}

#[derive(Serialize)]
pub(super) struct UrlCommitment {
    pub(super) url: WeightsUrl,
    pub(super) commitment: String,
}

pub(super) struct Commitments {
    pub(super) files: Vec<FileCommitment>,
    pub(super) urls: Vec<UrlCommitment>,
}

impl Serialize for Commitments {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeSeq as _;
        let mut list = serializer.serialize_seq(Some(self.files.len() + self.urls.len()))?;
        self.files.iter().try_for_each(|file| list.serialize_element(file))?;
        self.urls.iter().try_for_each(|url| list.serialize_element(url))?;
        list.end()
    }
}

#[derive(Serialize)]
pub(super) struct CommitmentsReport {
    pub(super) commitments: Commitments,
}

impl Report for CommitmentsReport {
    fn text(&self, page: &mut Page) {
        for file in &self.commitments.files {
            page.line(checksum_line(&file.commitment, &file.file));
        }
        for url in &self.commitments.urls {
            page.line(checksum_line(&url.commitment, url.url.as_str()));
        }
    }
}

/// A line as `b2sum` prints it: a name with a newline or a backslash is escaped,
/// and a backslash in front says so.
fn checksum_line(digest: &str, name: &str) -> String {
    if name.contains(['\\', '\n', '\r']) {
        let name = name.replace('\\', "\\\\").replace('\n', "\\n").replace('\r', "\\r");
        return format!("\\{digest}  {name}");
    }
    format!("{digest}  {name}")
}

#[derive(Serialize)]
pub(super) struct TensorReport {
    pub(super) name: String,
    pub(super) dtype: &'static str,
    pub(super) shape: Vec<u64>,
    pub(super) bytes: u64,
}

#[derive(Serialize)]
pub(super) struct InspectReport {
    pub(super) file: String,
    pub(super) size: u64,
    pub(super) tensors: Vec<TensorReport>,
    pub(super) parameters: u64,
    pub(super) metadata: BTreeMap<String, String>,
}

impl Report for InspectReport {
    fn text(&self, page: &mut Page) {
        page.heading(format!("{}: valid safetensors", self.file));
        page.fields(&[
            ("size", format::exact_bytes(self.size)),
            ("tensors", self.tensors.len().to_string()),
            ("parameters", self.parameters.to_string()),
        ]);
        let rows: Vec<_> = self
            .tensors
            .iter()
            .map(|tensor| {
                let shape: Vec<_> = tensor.shape.iter().map(u64::to_string).collect();
                let name = format::printable(&tensor.name);
                [name, tensor.dtype.to_owned(), shape.join(" x "), tensor.bytes.to_string()]
            })
            .collect();
        page.table(["tensor", "dtype", "shape", "bytes"], &rows);
        for (name, value) in &self.metadata {
            page.line(format!("  {} = {}", format::printable(name), format::printable(value)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::checksum_line;

    /// What GNU coreutils 9.4 prints.
    #[test]
    fn names_are_escaped_as_b2sum_does() {
        assert_eq!(checksum_line("00", "a b"), "00  a b");
        assert_eq!(checksum_line("00", "a\nb"), "\\00  a\\nb");
        assert_eq!(checksum_line("00", "a\\b"), "\\00  a\\\\b");
    }
}
