//! Writing a file from its start to its end, in whichever way costs less just now.
//!
//! Through the page cache a write is a copy, and the next reader finds the bytes there.
//! But the pages must come from somewhere: in a virtual machine that has given its free
//! memory back to the host, each costs ten times the copy. Straight to the disk
//! (`O_DIRECT`) a write costs neither copy nor page, but waits for the disk. Which is
//! dearer depends on the machine and changes from one second to the next, so the writer
//! keeps both costs and takes the smaller. Both ways lead to the same bytes.

use std::{
    fs::File,
    io::{self, Seek, SeekFrom, Write},
    time::Instant,
};

use tempfile::NamedTempFile;

use crate::buffer::ALIGNMENT;

/// What goes through the page cache in any case, in bytes: small files are soon read
/// again, and one direct write costs more than it can save there.
const CACHED: u64 = 64 << 20;

/// Bytes handed to the page cache at a time.
///
/// File systems with large folios take one block of memory per call. Blocks of a
/// megabyte are rare in memory that has been in use for a while, and getting one may
/// cost ten times what copying into it does. 128 KiB is what `cat` and `cp` write.
const WRITE_LEN: usize = 128 << 10;

pub(crate) struct FileWriter {
    file: NamedTempFile,
    written: u64,
    cached_cost: Cost,
    direct: Direct,
}

/// The other way into the same file.
enum Direct {
    Untried,
    Open {
        file: File,
        cost: Cost,
    },
    /// The file system, or the system, has none.
    Refused,
}

impl FileWriter {
    pub(crate) fn new(file: NamedTempFile) -> Self {
        Self { file, written: 0, cached_cost: Cost::default(), direct: Direct::Untried }
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if !(self.prefers_direct(bytes) && self.write_directly(bytes)?) {
            self.write_cached(bytes)?;
        }
        self.written += bytes.len() as u64;
        Ok(())
    }

    pub(crate) fn into_inner(self) -> NamedTempFile {
        self.file
    }

    fn prefers_direct(&mut self, bytes: &[u8]) -> bool {
        // Direct writes want memory, position and length in whole pages.
        let possible = self.written >= CACHED
            && self.written.is_multiple_of(ALIGNMENT as u64)
            && bytes.len().is_multiple_of(ALIGNMENT)
            && bytes.as_ptr().align_offset(ALIGNMENT) == 0;
        if possible && matches!(self.direct, Direct::Untried) {
            self.direct = open_direct(&self.file)
                .map_or(Direct::Refused, |file| Direct::Open { file, cost: Cost::default() });
        }
        matches!(&self.direct, Direct::Open { cost, .. } if possible && *cost < self.cached_cost)
    }

    fn write_cached(&mut self, bytes: &[u8]) -> io::Result<()> {
        let begin = Instant::now();
        // A direct write does not move the position of this handle.
        self.file.seek(SeekFrom::Start(self.written))?;
        bytes.chunks(WRITE_LEN).try_for_each(|slice| self.file.write_all(slice))?;
        self.cached_cost.observe(begin, bytes.len());
        if let Direct::Open { cost, .. } = &mut self.direct {
            cost.fade();
        }
        Ok(())
    }

    /// Whether the bytes could be written in this way; if not, none of them count.
    fn write_directly(&mut self, bytes: &[u8]) -> io::Result<bool> {
        let Direct::Open { file, cost } = &mut self.direct else { return Ok(false) };
        let begin = Instant::now();
        match write_all_at(file, bytes, self.written) {
            Ok(()) => {
                cost.observe(begin, bytes.len());
                self.cached_cost.fade();
                Ok(true)
            }
            // What a file system says that opens so but cannot write so.
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
                self.direct = Direct::Refused;
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }
}

/// What a way of writing has cost lately, in seconds per byte; nothing until it was tried.
#[derive(Clone, Copy, Default, PartialEq, PartialOrd)]
struct Cost(f64);

impl Cost {
    /// A moving average: one slow write is an accident, three are the machine.
    fn observe(&mut self, begin: Instant, len: usize) {
        let found = begin.elapsed().as_secs_f64() / len.max(1) as f64;
        self.0 = if self.0 == 0.0 { found } else { 0.8 * self.0 + 0.2 * found };
    }

    /// What is not taken becomes worth another try: in a hundred writes the cost is
    /// thought to be a third.
    fn fade(&mut self) {
        self.0 *= 0.99;
    }
}

#[cfg(target_os = "linux")]
fn open_direct(file: &NamedTempFile) -> Option<File> {
    use std::os::unix::fs::OpenOptionsExt;
    let flags = rustix::fs::OFlags::DIRECT.bits().cast_signed();
    File::options().write(true).custom_flags(flags).open(file.path()).ok()
}

#[cfg(target_os = "linux")]
fn write_all_at(file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::write_all_at(file, bytes, offset)
}

/// Other systems have no such writes, or rules of their own for them.
#[cfg(not(target_os = "linux"))]
fn open_direct(_: &NamedTempFile) -> Option<File> {
    None
}

#[cfg(not(target_os = "linux"))]
fn write_all_at(_: &File, _: &[u8], _: u64) -> io::Result<()> {
    Err(io::ErrorKind::InvalidInput.into())
}
