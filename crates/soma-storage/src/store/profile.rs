//! The files in which the AWS tools keep credentials and settings.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::Variables;

/// Settings of the profile that `AWS_PROFILE` names, or of `default`: first
/// from the credentials file, then from the config file.
#[derive(Default)]
pub(super) struct Profile(BTreeMap<String, String>);

impl Profile {
    /// Reads both files; one that is missing or cannot be read has no settings.
    pub(super) fn read(variables: &Variables) -> Self {
        let name = variables.get("AWS_PROFILE").unwrap_or("default");
        let text = |variable, file: &str| {
            let path = variables.get(variable).map(PathBuf::from).or_else(|| {
                let home = variables.get("HOME").or_else(|| variables.get("USERPROFILE"))?;
                Some([home, ".aws", file].iter().collect())
            });
            path.and_then(|path| std::fs::read_to_string(path).ok()).unwrap_or_default()
        };
        let mut settings = section(&text("AWS_CONFIG_FILE", "config"), name);
        settings.extend(section(&text("AWS_SHARED_CREDENTIALS_FILE", "credentials"), name));
        Self(settings)
    }

    pub(super) fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }
}

/// The settings of `[name]` or `[profile name]`. Indented lines belong to a
/// setting above them and are of no use here.
fn section(text: &str, name: &str) -> BTreeMap<String, String> {
    let mut inside = false;
    let mut settings = BTreeMap::new();
    for line in text.lines() {
        if let Some(head) = line.trim().strip_prefix('[').and_then(|head| head.strip_suffix(']')) {
            let head = head.trim();
            inside = head == name || head.strip_prefix("profile ").map(str::trim) == Some(name);
        } else if let (true, Some((key, value))) = (inside, line.split_once('=')) {
            let comment = key.starts_with(['#', ';']) || key.starts_with(char::is_whitespace);
            if !comment && !value.trim().is_empty() {
                settings.insert(key.trim().to_ascii_lowercase(), value.trim().to_owned());
            }
        }
    }
    settings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn profiles_are_found_in_both_files() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path.display().to_string()
        };
        let credentials = "[default]\naws_access_key_id = A\n# aws_access_key_id = C\n\
                           [work]\naws_access_key_id=W\naws_secret_access_key = s=/+\n";
        let config = "[default]\nregion = eu-west-1\n[profile work]\nregion=eu-north-1\n\
                      s3 =\n  endpoint_url = https://nested.example\n";
        let mut variables = vec![
            ("AWS_SHARED_CREDENTIALS_FILE", file("credentials", credentials)),
            ("AWS_CONFIG_FILE", file("config", config)),
        ];
        let found = Profile::read(&variables.clone().into_iter().collect());
        assert_eq!(found.get("aws_access_key_id"), Some("A"));
        assert_eq!(found.get("region"), Some("eu-west-1"));
        variables.push(("AWS_PROFILE", "work".to_owned()));
        let found = Profile::read(&variables.into_iter().collect());
        assert_eq!(found.get("aws_access_key_id"), Some("W"));
        assert_eq!(found.get("aws_secret_access_key"), Some("s=/+"));
        assert_eq!(found.get("region"), Some("eu-north-1"));
        assert_eq!(found.get("endpoint_url"), None);
        assert!(Profile::read(&Variables::default()).get("region").is_none());
    }
}
