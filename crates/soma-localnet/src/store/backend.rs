//! Where the database keeps its bytes when that is not simply a synced file.

use std::io;

use redb::StorageBackend;
use redb::backends::FileBackend;

/// A file that is never synced.
///
/// For a chain that is gone at exit there is nothing to save from a power
/// failure, and without syncs a transaction takes a fraction of the time.
#[derive(Debug)]
pub(super) struct Unsynced(pub(super) FileBackend);

impl StorageBackend for Unsynced {
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.write(offset, data)
    }

    fn close(&self) -> io::Result<()> {
        self.0.close()
    }
}

/// A file that fails after a number of operations, for tests. The write in
/// which it fails reaches the file by half, and none after it does, as if the
/// machine had stopped there.
#[cfg(test)]
#[derive(Debug)]
pub(super) struct Failing {
    file: FileBackend,
    left: std::sync::atomic::AtomicU64,
}

#[cfg(test)]
impl Failing {
    pub(super) const fn new(file: FileBackend, operations: u64) -> Self {
        Self { file, left: std::sync::atomic::AtomicU64::new(operations) }
    }

    /// Counts an operation down.
    fn step(&self) -> io::Result<()> {
        use std::sync::atomic::Ordering::SeqCst;
        let had = self.left.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1));
        had.map(drop).map_err(|_| io::Error::other("the disk fails from here on"))
    }

    fn is_last(&self) -> bool {
        self.left.load(std::sync::atomic::Ordering::SeqCst) == 1
    }
}

#[cfg(test)]
impl StorageBackend for Failing {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.step()?;
        self.file.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.step()?;
        self.file.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        if self.is_last() {
            self.step()?;
            self.file.write(offset, &data[..data.len() / 2])?;
            return Err(io::Error::other("the disk fails in the middle of a write"));
        }
        self.step()?;
        self.file.write(offset, data)
    }

    fn close(&self) -> io::Result<()> {
        self.file.close()
    }
}
