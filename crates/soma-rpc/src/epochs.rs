//! Epochs past and present, as a node remembers them.

use soma_proto::grpc::mask::field_mask;
use soma_proto::grpc::pb;

use crate::answer::{Answer, millis};
use crate::{Client, Result};

/// What a node remembers of an epoch; what it does not tell is absent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct EpochRecord {
    /// Its number.
    pub epoch: u64,
    /// The protocol version in force.
    pub protocol_version: Option<u64>,
    /// Its first checkpoint.
    pub first_checkpoint: Option<u64>,
    /// Its last checkpoint, once it is over.
    pub last_checkpoint: Option<u64>,
    /// When it began, milliseconds since 1970.
    pub start_timestamp_ms: Option<u64>,
    /// When it ended, milliseconds since 1970.
    pub end_timestamp_ms: Option<u64>,
}

impl Client {
    /// An epoch by its number, or the running one.
    ///
    /// # Errors
    /// [`Error::Status`](crate::Error::Status),
    /// [`Error::Malformed`](crate::Error::Malformed) and those of the connection.
    pub async fn epoch_record(&self, epoch: Option<u64>) -> Result<EpochRecord> {
        let call = "GetEpoch";
        let mask = [
            "epoch",
            "first_checkpoint",
            "last_checkpoint",
            "start",
            "end",
            "protocol_config.protocol_version",
        ];
        let request = pb::GetEpochRequest { epoch, read_mask: Some(field_mask(&mask)) };
        let answer = self.read(call, self.ledger().get_epoch(request)).await?;
        let found = Answer(call).need("epoch", answer.epoch)?;
        Ok(EpochRecord {
            epoch: Answer(call).need("epoch.epoch", found.epoch)?,
            protocol_version: found.protocol_config.and_then(|config| config.protocol_version),
            first_checkpoint: found.first_checkpoint,
            last_checkpoint: found.last_checkpoint,
            start_timestamp_ms: found.start.as_ref().and_then(millis),
            end_timestamp_ms: found.end.as_ref().and_then(millis),
        })
    }
}
