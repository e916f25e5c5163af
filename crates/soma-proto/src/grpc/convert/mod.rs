//! Native types to messages and back.
//!
//! From a native type to its message there is `From`; where a read mask
//! reaches below, there is a function that builds only what the mask selects.
//! From a message to the native type there is `TryFrom`: every field may be
//! absent, and the error, [`Error::Field`](crate::Error::Field), names the path
//! of the field at fault.
//!
//! Texts: all forms are read; addresses are written without `0x`, ids with it,
//! both with 64 lower-case digits; digests are Base58.

mod checkpoint;
mod effects;
mod epoch;
mod executed;
mod object;
mod read;
mod signature;
mod system_state;
mod target;
mod transaction;

pub use self::checkpoint::{
    CheckpointView, certified_summary, checkpoint_message, contents_message, summary_message,
};
pub use self::effects::{balance_change, balance_change_message, effects_message};
pub use self::epoch::{EpochView, PROTOCOL_ATTRIBUTES, epoch_message, protocol_config_message};
pub use self::executed::{ExecutedTransactionView, executed_transaction_message};
pub use self::object::{object_message, object_reference, object_set_message};
pub use self::read::{parse_address, parse_object_id, parse_timestamp, timestamp};
pub use self::system_state::system_state_message;
pub use self::target::{challenge_message, target_message};
pub use self::transaction::{
    execute_request, signed_transaction, simulated_transaction, transaction_message,
    transaction_request,
};
pub use crate::dialect::grpc::model_summary;

pub(crate) use self::read::{
    At, MISSING, address, each, invalid, list, message, object_id, optional, text, timestamp_ms,
    value,
};
pub(crate) use self::system_state::{id_key, map, reporters, reports_message};

/// Builds a message of the fields that a mask selects; the others stay empty.
macro_rules! masked {
    ($mask:expr, $($path:ident)::+ { $($field:ident: $value:expr),+ $(,)? }) => {
        $($path)::+ {
            $($field: if $mask.contains(stringify!($field)) { $value } else { Default::default() }),+
        }
    };
}

/// Reads fields that have the same name on both sides, each with its reader.
macro_rules! read_fields {
    ($message:ident => $($path:ident)::+ { $($field:ident: $read:expr),+ $(,)? }) => {
        $($path)::+ {
            $($field: $crate::grpc::convert::At::at($read($message.$field), stringify!($field))?),+
        }
    };
}

pub(crate) use {masked, read_fields};
