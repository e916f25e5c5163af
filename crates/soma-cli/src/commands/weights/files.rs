//! The files of a pass: where its bytes come from, where they go, and which of them
//! must not be the same.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use soma_crypto::{Error, Input, InputFile, Output};

use super::crypto;
use crate::error::{Failure, Result};

/// Whether standard input or standard output is meant.
pub(super) fn is_dash(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// Opens a file for a pass; gives its length too, 0 where that is not known.
///
/// A pipe is left for the pass to open: whoever writes to it would take a reader that
/// comes and goes for the end.
pub(super) fn open(path: &Path) -> Result<(Input<'static>, u64)> {
    if is_dash(path) {
        return Ok((Input::reader("standard input", io::stdin()), 0));
    }
    let open = |source| refused(&Error::Open { path: path.to_owned(), source });
    let found = fs::metadata(path).map_err(open)?;
    if found.is_dir() {
        return Err(open(io::ErrorKind::IsADirectory.into()));
    }
    // A file of no length may have contents all the same: such are those of /proc.
    if !found.is_file() || found.len() == 0 {
        return Ok((Input::file(path), 0));
    }
    let file = InputFile::open(path).map_err(|e| refused(&e))?;
    let len = file.len();
    Ok((Input::opened(file), len))
}

/// Where the result of a pass goes.
#[derive(Debug)]
pub(super) struct Destination {
    path: PathBuf,
    kind: Kind,
    /// Whether what is printed on standard output would end in the result.
    holds_stdout: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// A file that appears when it is complete.
    File,
    /// A pipe or a device.
    Device,
    /// Standard output, by whatever name.
    Stdout,
}

impl Destination {
    /// Looks at what is there now: the pass may put another file in its place.
    pub(super) fn of(path: &Path) -> Self {
        let is_link = fs::symlink_metadata(path).is_ok_and(|found| found.is_symlink());
        let holds_stdout = is_dash(path) || is_stdout(path);
        let kind = if is_dash(path) || is_link && holds_stdout {
            // `/dev/stdout` and its like are links; a file that standard output happens
            // to lead to is not.
            Kind::Stdout
        } else if fs::metadata(path).is_ok_and(|found| !found.is_file() && !found.is_dir()) {
            Kind::Device
        } else {
            Kind::File
        };
        Self { path: path.to_owned(), kind, holds_stdout }
    }

    /// Refuses, before any work, an output that would take the place of the input or of a
    /// key. The input is plain weights, which nobody can make again, or the one file that
    /// was committed to.
    pub(super) fn refuse_input_and_key(&self, input: &Path, key: Option<&Path>) -> Result<()> {
        let refuse = |what| {
            Failure::usage(format!("{} is {what}", self.path.display()))
                .with_hint("choose another name for the output")
        };
        if self.kind != Kind::File {
            return Ok(());
        }
        if key.is_some_and(|key| !is_dash(key) && same_file(&self.path, key)) {
            return Err(refuse("the key file: the output would replace the key"));
        }
        if !is_dash(input) && same_file(&self.path, input) {
            return Err(refuse("the input as well as the output"));
        }
        Ok(())
    }

    /// Refuses, before any work, a file or a link that is there, unless it may be replaced.
    /// A folder is refused by the pass, whatever may be replaced.
    pub(super) fn refuse_existing(&self, force: bool) -> Result<()> {
        let is_taken = || fs::symlink_metadata(&self.path).is_ok() && !self.path.is_dir();
        match self.kind == Kind::File && !force && is_taken() {
            true => Err(refused(&Error::OutputExists { path: self.path.clone() })),
            false => Ok(()),
        }
    }

    /// The name by which it was given.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether nothing is left of it after a failure.
    pub(super) fn is_file(&self) -> bool {
        self.kind == Kind::File
    }

    /// Whether standard output is taken, so that reports go to standard error.
    pub(super) fn holds_stdout(&self) -> bool {
        self.holds_stdout
    }

    /// For a pass to write to.
    pub(super) fn output(&self) -> Output<'static> {
        match self.kind {
            Kind::Stdout => Output::writer("standard output", io::stdout()),
            Kind::File | Kind::Device => Output::file(&self.path),
        }
    }
}

/// Nothing has been written yet, whatever the output.
fn refused(error: &Error) -> Failure {
    crypto(error, true)
}

/// Whether two names lead to the same regular file. If there is no file yet, the names
/// count, in the folder that is meant.
fn same_file(one: &Path, other: &Path) -> bool {
    match (fs::metadata(one), fs::metadata(other)) {
        (Ok(found), Ok(_)) => found.is_file() && is_same(one, other),
        (Err(_), Err(_)) => place(one).is_some_and(|place_of| place(other) == Some(place_of)),
        _ => false,
    }
}

#[cfg(unix)]
fn is_same(one: &Path, other: &Path) -> bool {
    match (fs::metadata(one), fs::metadata(other)) {
        (Ok(one), Ok(other)) => identity(&one) == identity(&other),
        _ => false,
    }
}

#[cfg(not(unix))]
fn is_same(one: &Path, other: &Path) -> bool {
    match (fs::canonicalize(one), fs::canonicalize(other)) {
        (Ok(one), Ok(other)) => one == other,
        _ => false,
    }
}

/// The folder of a file that need not exist, and its name there.
fn place(path: &Path) -> Option<(PathBuf, &std::ffi::OsStr)> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = fs::canonicalize(folder.unwrap_or(Path::new("."))).ok()?;
    Some((folder, path.file_name()?))
}

/// Whether a name leads to what standard output leads to.
#[cfg(unix)]
fn is_stdout(path: &Path) -> bool {
    use std::os::fd::AsFd as _;
    let stdout = io::stdout().as_fd().try_clone_to_owned().map(fs::File::from);
    match (stdout.and_then(|file| file.metadata()), fs::metadata(path)) {
        (Ok(stdout), Ok(found)) => identity(&stdout) == identity(&found),
        _ => false,
    }
}

#[cfg(not(unix))]
fn is_stdout(_: &Path) -> bool {
    false
}

/// What tells a file from all others, whatever its name.
#[cfg(unix)]
pub(super) type Identity = (u64, u64);

/// Device and number of a file on it.
#[cfg(unix)]
pub(super) fn identity(found: &fs::Metadata) -> Identity {
    use std::os::unix::fs::MetadataExt as _;
    (found.dev(), found.ino())
}

/// What a file keeps when it gets another name.
#[cfg(not(unix))]
pub(super) type Identity = Option<std::time::SystemTime>;

/// The time of its creation.
#[cfg(not(unix))]
pub(super) fn identity(found: &fs::Metadata) -> Identity {
    found.created().ok()
}
