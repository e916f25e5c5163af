//! Read masks: which fields an answer shall hold.
//!
//! A mask is a list of paths, each a chain of field names joined with dots.
//! `*` alone selects everything; a listed parent selects all below it, in
//! whichever order parent and child are listed. An absent mask stands for the
//! default of the call; a mask without paths selects nothing.

use std::collections::BTreeMap;

use prost_types::FieldMask;

pub(crate) use super::generated::fields;
use super::status::Violation;

/// Default of GetObject and BatchGetObjects.
pub const DEFAULT_OBJECT: &[&str] = &["object_id", "version", "digest"];
/// Default of ListOwnedObjects.
pub const DEFAULT_OWNED_OBJECT: &[&str] = &["object_id", "version", "object_type"];
/// Default of GetTransaction and BatchGetTransactions.
pub const DEFAULT_TRANSACTION: &[&str] = &["digest"];
/// Default of ExecuteTransaction.
pub const DEFAULT_EXECUTE: &[&str] = &["effects"];
/// Default of SimulateTransaction.
pub const DEFAULT_SIMULATE: &[&str] = &["*"];
/// Default of GetCheckpoint.
pub const DEFAULT_CHECKPOINT: &[&str] = &["sequence_number", "digest"];
/// Default of SubscribeCheckpoints: the cursor only.
pub const DEFAULT_SUBSCRIBE: &[&str] = &[];
/// Default of GetEpoch.
pub const DEFAULT_EPOCH: &[&str] = &[
    "epoch",
    "committee",
    "first_checkpoint",
    "last_checkpoint",
    "start",
    "end",
    "protocol_config.protocol_version",
];
/// Default of GetTarget.
pub const DEFAULT_TARGET: &[&str] =
    &["id", "status", "generation_epoch", "reward_pool", "distance_threshold"];
/// Default of ListTargets.
pub const DEFAULT_TARGETS: &[&str] = &["id", "status", "generation_epoch", "reward_pool"];
/// Default of GetChallenge.
pub const DEFAULT_CHALLENGE: &[&str] =
    &["id", "target_id", "challenger", "status", "challenge_epoch", "challenger_bond"];
/// Default of ListChallenges.
pub const DEFAULT_CHALLENGES: &[&str] =
    &["id", "target_id", "challenger", "status", "challenge_epoch"];
/// All that an object needs in order to be read back.
pub const FULL_OBJECT: &[&str] =
    &["object_id", "version", "digest", "object_type", "owner", "contents", "previous_transaction"];

/// Everything below a field that is listed itself.
static EVERYTHING: MaskTree = MaskTree::everything();
/// Nothing below a field that is not listed.
static NOTHING: MaskTree = MaskTree::nothing();

/// A message that masks apply to, with its fields.
#[derive(Debug)]
pub struct Message {
    pub(crate) name: &'static str,
    pub(crate) fields: &'static [Field],
}

/// A field, with the message whose fields a path may name below it.
#[derive(Debug)]
pub struct Field {
    pub(crate) name: &'static str,
    pub(crate) message: Option<&'static Message>,
}

/// What the paths of a mask are relative to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Root {
    /// `Object`.
    Object,
    /// `ExecutedTransaction`.
    ExecutedTransaction,
    /// `Checkpoint`.
    Checkpoint,
    /// `Epoch`.
    Epoch,
    /// `Target`.
    Target,
    /// `Challenge`.
    Challenge,
    /// `SimulateTransactionResponse`.
    SimulateTransactionResponse,
}

impl Root {
    /// The message.
    pub fn message(self) -> &'static Message {
        match self {
            Self::Object => &fields::OBJECT,
            Self::ExecutedTransaction => &fields::EXECUTED_TRANSACTION,
            Self::Checkpoint => &fields::CHECKPOINT,
            Self::Epoch => &fields::EPOCH,
            Self::Target => &fields::TARGET,
            Self::Challenge => &fields::CHALLENGE,
            Self::SimulateTransactionResponse => &fields::SIMULATE_TRANSACTION_RESPONSE,
        }
    }
}

impl Message {
    /// The name, without package.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// Whether the path leads from this message to a field. `*` does, and so
    /// does a path with one dot too many at its end.
    fn has_path(&self, path: &str) -> bool {
        if path == "*" {
            return true;
        }
        let mut message = Some(self);
        for name in path.strip_suffix('.').unwrap_or(path).split('.') {
            let field = message.and_then(|m| m.fields.iter().find(|field| field.name == name));
            let Some(field) = field else { return false };
            message = field.message;
        }
        true
    }
}

/// The paths of a mask as a tree.
///
/// ```
/// use soma_proto::grpc::mask::{DEFAULT_TRANSACTION, MaskTree, Root, field_mask};
///
/// let mask = field_mask(&["effects.status", "digest"]);
/// let tree = MaskTree::validated(Some(&mask), DEFAULT_TRANSACTION, Root::ExecutedTransaction)?;
/// assert!(tree.contains("digest"));
/// assert!(tree.child("effects").is_some_and(|effects| effects.contains("status")));
/// assert!(!tree.contains("signatures"));
/// # Ok::<(), soma_proto::grpc::status::Violation>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MaskTree {
    all: bool,
    children: BTreeMap<String, Self>,
}

impl MaskTree {
    /// Selects every field.
    pub const fn everything() -> Self {
        Self { all: true, children: BTreeMap::new() }
    }

    /// Selects no field.
    pub const fn nothing() -> Self {
        Self { all: false, children: BTreeMap::new() }
    }

    /// Builds the tree; what is not a path is passed over.
    pub fn from_paths<T: AsRef<str>>(paths: &[T]) -> Self {
        let mut tree = Self::nothing();
        for path in paths {
            tree.add(path.as_ref());
        }
        tree
    }

    /// The tree of a request's mask, for calls that check their masks.
    ///
    /// # Errors
    /// The first path that leads nowhere.
    pub fn validated(
        mask: Option<&FieldMask>,
        default: &[&str],
        root: Root,
    ) -> Result<Self, Violation> {
        let Some(mask) = mask else { return Ok(Self::from_paths(default)) };
        match mask.paths.iter().find(|path| !root.message().has_path(path)) {
            Some(path) => {
                Err(Violation::invalid("read_mask", format!("invalid read_mask path: {path}")))
            }
            None => Ok(Self::from_paths(&mask.paths)),
        }
    }

    /// The tree of a request's mask, for calls that do not check their masks:
    /// SimulateTransaction and SubscribeCheckpoints.
    pub fn unvalidated(mask: Option<&FieldMask>, default: &[&str]) -> Self {
        match mask {
            Some(mask) => Self::from_paths(&mask.paths),
            None => Self::from_paths(default),
        }
    }

    /// Whether the field is selected, whole or in part.
    pub fn contains(&self, field: &str) -> bool {
        self.all || self.children.contains_key(field)
    }

    /// What is selected below the field; `None` if the field is not selected.
    pub fn child(&self, field: &str) -> Option<&Self> {
        if self.all { Some(&EVERYTHING) } else { self.children.get(field) }
    }

    /// What is selected below the field: nothing if the field is not selected.
    pub fn below(&self, field: &str) -> &Self {
        self.child(field).unwrap_or(&NOTHING)
    }

    /// Whether every field is selected.
    pub const fn is_everything(&self) -> bool {
        self.all
    }

    /// Whether no field is selected.
    pub fn is_nothing(&self) -> bool {
        !self.all && self.children.is_empty()
    }

    /// What is selected of each object in an executed transaction's `objects`.
    ///
    /// The plain path `objects` selects none there, unlike in a checkpoint;
    /// `objects.objects` and `*` do.
    pub fn transaction_objects(&self) -> Option<&Self> {
        match self.child("objects")? {
            objects if objects.all && !self.all => None,
            objects => objects.child("objects"),
        }
    }

    /// What is selected of each object in a checkpoint's `objects`.
    pub fn checkpoint_objects(&self) -> Option<&Self> {
        self.child("objects")?.child("objects")
    }

    fn add(&mut self, path: &str) {
        if path == "*" {
            *self = Self::everything();
            return;
        }
        if self.all || !path.split('.').all(is_name) {
            return;
        }
        let mut node = self;
        for name in path.split('.') {
            node = node.children.entry(name.to_owned()).or_default();
            if node.all {
                return;
            }
        }
        *node = Self::everything();
    }
}

/// A mask for a request.
pub fn field_mask(paths: &[&str]) -> FieldMask {
    FieldMask { paths: paths.iter().map(|&path| path.to_owned()).collect() }
}

fn is_name(text: &str) -> bool {
    let mut letters = text.bytes();
    text != "_"
        && letters.next().is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
        && letters.all(|letter| letter.is_ascii_alphanumeric() || letter == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn transaction(paths: &[&str]) -> Result<MaskTree, String> {
        MaskTree::validated(Some(&field_mask(paths)), &[], Root::ExecutedTransaction)
            .map_err(|violation| violation.description)
    }

    #[test]
    fn an_absent_mask_is_the_default_and_an_empty_one_is_nothing() {
        let default = MaskTree::validated(None, DEFAULT_EPOCH, Root::Epoch).unwrap();
        assert!(default.contains("committee") && !default.contains("system_state"));
        let config = default.child("protocol_config").unwrap();
        assert!(config.contains("protocol_version") && !config.contains("attributes"));
        assert!(transaction(&[]).unwrap().is_nothing());
        assert!(MaskTree::unvalidated(None, DEFAULT_SIMULATE).is_everything());
        assert!(MaskTree::unvalidated(None, DEFAULT_SUBSCRIBE).is_nothing());
    }

    #[test]
    fn a_parent_wins_over_its_child_in_any_order() {
        for paths in [["effects", "effects.status"], ["effects.status", "effects"]] {
            let tree = transaction(&paths).unwrap();
            assert!(tree.child("effects").unwrap().is_everything(), "{paths:?}");
        }
        assert!(transaction(&["digest", "*"]).unwrap().is_everything());
    }

    #[test]
    fn paths_that_lead_nowhere_are_named() {
        for path in [
            "bogus",
            "effects.bogus",
            "digest.length",
            "timestamp.seconds",
            "",
            ".",
            "effects.*",
            "effects.status,digest",
            "transaction.kind.kind.transfer_coin",
            "balanceChanges",
        ] {
            let expected = format!("invalid read_mask path: {path}");
            assert_eq!(transaction(&[path]), Err(expected), "{path}");
        }
    }

    #[test]
    fn members_of_a_oneof_and_elements_of_a_list_are_named_directly() {
        let tree = transaction(&[
            "transaction.kind.transfer_coin.recipient",
            "effects.changed_objects.input_owner.kind",
        ])
        .unwrap();
        assert!(tree.contains("transaction") && tree.contains("effects"));
    }

    #[test]
    fn a_trailing_dot_passes_and_selects_nothing() {
        assert!(transaction(&["effects."]).unwrap().is_nothing());
    }

    #[test]
    fn unchecked_masks_pass_over_what_they_do_not_know() {
        let mask = field_mask(&["effects.bogus", "effects.*", "", "timestamp.seconds", "a b"]);
        let tree = MaskTree::unvalidated(Some(&mask), &[]);
        assert!(!tree.child("effects").unwrap().contains("status"));
        assert!(tree.contains("timestamp"));
        assert_eq!(tree.children.len(), 2);
    }

    #[test]
    fn the_plain_path_objects_selects_none_in_a_transaction() {
        for (paths, in_transaction, in_checkpoint) in [
            (["objects"], false, true),
            (["objects.objects"], true, true),
            (["objects.objects.object_id"], true, true),
            (["*"], true, true),
        ] {
            let tree = MaskTree::from_paths(&paths);
            assert_eq!(tree.transaction_objects().is_some(), in_transaction, "{paths:?}");
            assert_eq!(tree.checkpoint_objects().is_some(), in_checkpoint, "{paths:?}");
        }
    }
}
