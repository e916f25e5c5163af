//! Checkpoints as files, for programs that read the chain from a directory.
//!
//! `<height>.chk` holds the BCS of summary and certificate, contents, and for
//! each transaction what was sent, its effects, and the objects before and
//! after. The system state is not among the objects: effects name its digest.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Serialize;
use soma_proto::checkpoint::{CertifiedCheckpointSummary, CheckpointContents};
use soma_proto::effects::{ObjectIn, ObjectOut, TransactionEffects};
use soma_proto::{Object, ObjectId, SignedTransaction};

use crate::store::{Snapshot, StoredTransaction};
use crate::{Error, Result};

/// The directory.
#[derive(Debug)]
pub(crate) struct Ingestion {
    directory: PathBuf,
}

#[derive(Serialize)]
struct CheckpointData {
    checkpoint_summary: CertifiedCheckpointSummary,
    checkpoint_contents: CheckpointContents,
    transactions: Vec<CheckpointTransaction>,
}

#[derive(Serialize)]
struct CheckpointTransaction {
    transaction: SignedTransaction,
    effects: TransactionEffects,
    input_objects: Vec<Object>,
    output_objects: Vec<Object>,
}

impl Ingestion {
    /// Makes the directory and writes the checkpoints that it lacks.
    ///
    /// # Errors
    /// [`Error::ForeignCheckpoints`] if it has some of another chain; [`Error::Io`].
    pub(crate) fn open(directory: &Path, snapshot: &Snapshot) -> Result<Self> {
        fs::create_dir_all(directory).map_err(|e| Error::io("create", directory, e))?;
        let this = Self { directory: directory.to_path_buf() };
        let newest = snapshot.newest_checkpoint()?.certified.summary.sequence_number;
        if let Some(lowest) = this.lowest()? {
            let file = this.file(lowest);
            let found = fs::read(&file).map_err(|e| Error::io("read", &file, e))?;
            // Bytes tell more than the digest in them, and no other form is written.
            if lowest > newest || found != Self::encode(snapshot, lowest)? {
                return Err(Error::ForeignCheckpoints { path: file });
            }
        }
        for height in 0..=newest {
            if !this.file(height).exists() {
                this.write(snapshot, height)?;
            }
        }
        Ok(this)
    }

    /// Writes a committed checkpoint. The file appears whole or not at all.
    pub(crate) fn write(&self, snapshot: &Snapshot, height: u64) -> Result<()> {
        let bytes = Self::encode(snapshot, height)?;
        let (file, temporary) = (self.file(height), self.directory.join(format!("{height}.tmp")));
        fs::write(&temporary, bytes).map_err(|e| Error::io("write", &temporary, e))?;
        fs::rename(&temporary, &file).map_err(|e| Error::io("create", &file, e))
    }

    fn encode(snapshot: &Snapshot, height: u64) -> Result<Vec<u8>> {
        let missing = || Error::Store(format!("checkpoint {height} is missing"));
        let checkpoint = snapshot.checkpoint(height)?.ok_or_else(missing)?;
        let mut transactions = Vec::new();
        for executed in checkpoint.contents.transactions() {
            let stored = snapshot.transaction(&executed.transaction)?.ok_or_else(missing)?;
            transactions.push(with_objects(snapshot, stored)?);
        }
        let data = CheckpointData {
            checkpoint_summary: checkpoint.certified,
            checkpoint_contents: checkpoint.contents,
            transactions,
        };
        bcs::to_bytes(&data).map_err(|e| Error::Store(e.to_string()))
    }

    /// The first checkpoint in the directory: readers may remove what they have read.
    fn lowest(&self) -> Result<Option<u64>> {
        let failed = |e| Error::io("read", &self.directory, e);
        let mut lowest = None;
        for entry in fs::read_dir(&self.directory).map_err(failed)? {
            let name = entry.map_err(failed)?.file_name();
            let height = name.to_str().and_then(|name| name.strip_suffix(".chk")?.parse().ok());
            lowest = lowest.into_iter().chain(height).min();
        }
        Ok(lowest)
    }

    fn file(&self, height: u64) -> PathBuf {
        self.directory.join(format!("{height}.chk"))
    }
}

fn with_objects(snapshot: &Snapshot, stored: StoredTransaction) -> Result<CheckpointTransaction> {
    let effects = stored.effects.v1();
    let (mut input_objects, mut output_objects) = (Vec::new(), Vec::new());
    for (id, change) in &effects.changed_objects {
        if *id == ObjectId::SYSTEM_STATE {
            continue;
        }
        if let ObjectIn::Exist((version, _), _) = change.input_state {
            input_objects.extend(snapshot.object_ever(id, version)?);
        }
        if let ObjectOut::ObjectWrite(..) = change.output_state {
            output_objects.extend(snapshot.object_ever(id, effects.version)?);
        }
    }
    Ok(CheckpointTransaction {
        transaction: stored.signed,
        effects: stored.effects,
        input_objects,
        output_objects,
    })
}
