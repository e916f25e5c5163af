//! Answers in our own types, and what to say of a field that is not usable.

use prost_types::Timestamp;
use soma_proto::effects::TransactionEffects;
use soma_proto::grpc::convert::balance_change;
use soma_proto::grpc::pb;
use soma_proto::{Address, TransactionDigest};

use crate::{Error, Result};

/// A net change of an address's coins, fees included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BalanceChange {
    /// Whose coins.
    pub address: Address,
    /// Shannons; negative if spent.
    pub amount: i128,
}

/// A transaction that was executed, successfully or not.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Executed {
    /// The transaction.
    pub digest: TransactionDigest,
    /// What it did. A failure on chain is found in its status.
    pub effects: TransactionEffects,
    /// The checkpoint it is in, once it is in one.
    pub checkpoint: Option<u64>,
    /// Time of that checkpoint, milliseconds since 1970, if the node tells.
    pub timestamp_ms: Option<u64>,
    /// Net changes by address; those of zero are left out.
    pub balance_changes: Vec<BalanceChange>,
}

/// What a transaction would do.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Simulated {
    /// What it would do now.
    pub effects: TransactionEffects,
    /// Net changes by address; those of zero are left out.
    pub balance_changes: Vec<BalanceChange>,
}

/// Reads the fields of one answer.
#[derive(Clone, Copy)]
pub(crate) struct Answer(pub(crate) &'static str);

impl Answer {
    /// An unusable field.
    pub(crate) fn malformed(self, field: impl Into<String>, reason: impl Into<String>) -> Error {
        Error::Malformed { call: self.0, field: field.into(), reason: reason.into() }
    }

    /// A field that must be there.
    pub(crate) fn need<T>(self, field: &str, value: Option<T>) -> Result<T> {
        value.ok_or_else(|| self.malformed(field, "missing"))
    }

    /// A message that must be there, in our type.
    pub(crate) fn read<M, T>(self, field: &str, message: Option<M>) -> Result<T>
    where
        T: TryFrom<M, Error = soma_proto::Error>,
    {
        T::try_from(self.need(field, message)?).map_err(|error| self.within(field, error))
    }

    /// A text that must be there and have a certain form.
    pub(crate) fn parse<T>(self, field: &str, text: Option<&str>) -> Result<T>
    where
        T: std::str::FromStr<Err = soma_proto::Error>,
    {
        let text = self.need(field, text)?;
        text.parse().map_err(|error| self.within(field, error))
    }

    /// An error of a conversion, with the field's whole path.
    pub(crate) fn within(self, parent: &str, error: soma_proto::Error) -> Error {
        match error {
            soma_proto::Error::Field { field, reason } if field.is_empty() => {
                self.malformed(parent, reason)
            }
            soma_proto::Error::Field { field, reason } => {
                self.malformed(format!("{parent}.{field}"), reason)
            }
            other => self.malformed(parent, other.to_string()),
        }
    }

    pub(crate) fn balance_changes(
        self,
        changes: Vec<pb::BalanceChange>,
    ) -> Result<Vec<BalanceChange>> {
        let read = |change| match balance_change(change) {
            Ok((address, amount)) => Ok(BalanceChange { address, amount }),
            Err(error) => Err(self.within("transaction.balance_changes", error)),
        };
        changes.into_iter().map(read).collect()
    }

    /// Effects, balance changes, and the checkpoint if the answer has it. The
    /// digest inside the effects is the one to trust; it must be `digest`.
    pub(crate) fn executed(
        self,
        digest: &TransactionDigest,
        transaction: Option<pb::ExecutedTransaction>,
    ) -> Result<Executed> {
        let transaction = self.need("transaction", transaction)?;
        let effects: TransactionEffects = self.read("transaction.effects", transaction.effects)?;
        let found = effects.v1().transaction_digest;
        if found != *digest {
            let reason = format!("expected {digest}, found {found}");
            return Err(self.malformed("transaction.effects.transaction_digest", reason));
        }
        Ok(Executed {
            digest: *digest,
            effects,
            checkpoint: transaction.checkpoint,
            timestamp_ms: transaction.timestamp.and_then(|time| millis(&time)),
            balance_changes: self.balance_changes(transaction.balance_changes)?,
        })
    }
}

/// Milliseconds since 1970; nothing for times before that.
pub(crate) fn millis(time: &Timestamp) -> Option<u64> {
    let seconds = u64::try_from(time.seconds).ok()?;
    let nanos = u64::try_from(time.nanos).ok()?;
    seconds.checked_mul(1_000)?.checked_add(nanos / 1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        assert_eq!(
            millis(&Timestamp { seconds: 1_700_000_000, nanos: 123_999_999 }),
            Some(1_700_000_000_123)
        );
        assert_eq!(millis(&Timestamp { seconds: -1, nanos: 0 }), None);
        assert_eq!(millis(&Timestamp { seconds: i64::MAX, nanos: 0 }), None);
    }

    #[test]
    fn errors_name_the_whole_path() {
        let error = Answer("GetObject").within(
            "object",
            soma_proto::Error::Field { field: "owner.kind".into(), reason: "missing".into() },
        );
        assert_eq!(error.to_string(), "GetObject: unusable answer: object.owner.kind: missing");
    }
}
