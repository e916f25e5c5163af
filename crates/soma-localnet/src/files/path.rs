//! From the path of a request to a file below the served directory.

use std::path::{Path, PathBuf};

/// Reads the path of a request as a file name below the root.
///
/// Only plain names remain: no empty, `.` or `..` segment, no name that begins
/// with a dot (uploads in progress live under one), no separator or control
/// character hidden behind percent-encoding. Anything else is `None`, which
/// the caller answers like a file that is not there.
pub(super) fn relative(request_path: &str) -> Option<PathBuf> {
    let mut path = PathBuf::new();
    for segment in request_path.strip_prefix('/')?.split('/') {
        let name = percent_decode(segment)?;
        let plain = !name.is_empty()
            && name.len() <= 255
            && !name.starts_with('.')
            && !name.contains(['/', '\\', ':'])
            && !name.chars().any(char::is_control);
        if !plain {
            return None;
        }
        path.push(name);
    }
    Some(path)
}

/// The real place of an existing file, if symbolic links leave it below `root`.
/// `root` must be canonical.
pub(super) fn existing(root: &Path, relative: &Path) -> Option<PathBuf> {
    let path = root.join(relative).canonicalize().ok()?;
    path.starts_with(root).then_some(path)
}

/// Whether a file may be created there: no part of the path may be a symbolic
/// link, and no file may stand where a directory is needed.
pub(super) fn may_create(root: &Path, relative: &Path) -> bool {
    let mut path = root.to_path_buf();
    let mut parts = relative.iter().peekable();
    while let Some(part) = parts.next() {
        path.push(part);
        let Ok(metadata) = path.symlink_metadata() else { return true };
        let fits = if parts.peek().is_some() { metadata.is_dir() } else { metadata.is_file() };
        if !fits {
            return false;
        }
    }
    true
}

fn percent_decode(segment: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(segment.len());
    let mut rest = segment.as_bytes();
    while let [first, tail @ ..] = rest {
        if *first == b'%' {
            let (digits, after) = tail.split_at_checked(2)?;
            let digits = std::str::from_utf8(digits).ok()?;
            if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
                return None;
            }
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
            rest = after;
        } else {
            bytes.push(*first);
            rest = tail;
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_names_are_kept() {
        for (request, expected) in [
            ("/model.bin", "model.bin"),
            ("/a/b/c", "a/b/c"),
            ("/with%20blank", "with blank"),
            ("/%C3%A9", "é"),
            ("/a..b", "a..b"),
        ] {
            assert_eq!(relative(request), Some(PathBuf::from(expected)), "{request}");
        }
    }

    #[test]
    fn nothing_leads_out_of_the_directory() {
        for request in [
            "",
            "/",
            "//etc/passwd",
            "/..",
            "/../x",
            "/a/../../x",
            "/%2e%2e/x",
            "/%2E%2E%2Fx",
            "/a%2Fb",
            "/a%5Cb",
            "/.hidden",
            "/a/.incoming/x",
            "/a%00b",
            "/a//b",
            "/a/",
            "/%zz",
            "/%4",
            "/%ff",
            "/C:x",
            "/%+1x",
        ] {
            assert_eq!(relative(request), None, "{request}");
        }
    }
}
