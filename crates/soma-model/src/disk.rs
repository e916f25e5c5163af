//! Room for what is about to be written.

use std::path::Path;

use soma_storage::free_space;
use soma_wallet::file::folder_of;

use crate::{Check, Finding};

/// Bytes that stay free beside a file: for state files, which are replaced by
/// writing another one first.
const RESERVE: u64 = 16 << 20;

/// Whether there is room for a file of `size` bytes at `path`; nothing to say
/// where the system does not tell.
pub(crate) fn check(path: &Path, size: u64) -> Option<Finding> {
    let folder = folder_of(path);
    let free = free_space(folder)?;
    let needed = size.saturating_add(RESERVE);
    (free < needed).then(|| {
        Finding::error(
            Check::Disk,
            format!("{needed} bytes are needed in {}, {free} are free", folder.display()),
        )
        .with_remedy("make room, or name another place for the file")
    })
}
