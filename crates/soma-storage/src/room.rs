//! Room on the disk.

use std::path::Path;

/// Bytes that are free in the file system of a folder; nothing where the system does not
/// tell.
#[cfg(unix)]
pub fn free_space(folder: &Path) -> Option<u64> {
    let found = rustix::fs::statvfs(folder).ok()?;
    Some(found.f_bavail.saturating_mul(found.f_frsize))
}

/// Bytes that are free in the file system of a folder; nothing where the system does not
/// tell.
#[cfg(not(unix))]
pub fn free_space(_: &Path) -> Option<u64> {
    None
}
