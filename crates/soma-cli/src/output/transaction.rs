//! Results of transactions, executed or simulated.

use serde::{Serialize, Serializer};
use soma_proto::effects::{TransactionEffects, WrittenObject};
use soma_proto::{Address, ObjectDigest, ObjectId, ObjectRef, Owner, TransactionDigest};
use soma_rpc::{BalanceChange, Executed, Simulated};

use super::page::{GREEN, Page, RED};
use super::{Report, format};

/// How a transaction ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    /// It did what it was to do.
    Success,
    /// It failed; the text begins with the name of the failure.
    Failure(String),
}

impl Status {
    /// The status in effects.
    pub(crate) fn of(effects: &TransactionEffects) -> Self {
        match effects.failure() {
            None => Self::Success,
            Some(failure) => {
                let (name, text) = (failure.name(), failure.to_string());
                Self::Failure(if text.starts_with(name) { text } else { format!("{name}: {text}") })
            }
        }
    }
}

impl Serialize for Status {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        enum Form<'a> {
            Success,
            Failure { error: &'a str },
        }
        match self {
            Self::Success => Form::Success,
            Self::Failure(error) => Form::Failure { error },
        }
        .serialize(serializer)
    }
}

/// Who owns an object, as reports show it.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum OwnerReport {
    /// One account.
    AddressOwner {
        /// The account.
        address: Address,
    },
    /// Anybody.
    Shared {
        /// The version at which it became shared.
        initial_shared_version: u64,
    },
    /// Nobody.
    Immutable,
}

impl From<Owner> for OwnerReport {
    fn from(owner: Owner) -> Self {
        match owner {
            Owner::AddressOwner(address) => Self::AddressOwner { address },
            Owner::Shared { initial_shared_version } => Self::Shared { initial_shared_version },
            _ => Self::Immutable,
        }
    }
}

impl OwnerReport {
    /// The owner in full.
    pub(crate) fn text(&self) -> String {
        match self {
            Self::AddressOwner { address } => address.to_string(),
            Self::Shared { .. } => "shared".to_owned(),
            Self::Immutable => "immutable".to_owned(),
        }
    }

    fn short_text(&self) -> String {
        format::short(self.text())
    }
}

/// A created or changed object.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct ObjectReport {
    object_id: ObjectId,
    version: u64,
    digest: ObjectDigest,
    owner: OwnerReport,
}

impl From<WrittenObject> for ObjectReport {
    fn from(object: WrittenObject) -> Self {
        let ObjectRef(object_id, version, digest) = object.reference;
        Self { object_id, version, digest, owner: object.owner.into() }
    }
}

/// A deleted object.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct DeletedReport {
    object_id: ObjectId,
    version: u64,
    digest: ObjectDigest,
}

/// Fees in shannons.
#[derive(Clone, Copy, Debug, Serialize)]
#[expect(clippy::struct_field_names, reason = "the names are the document's")]
pub(crate) struct FeeReport {
    base_fee: u64,
    operation_fee: u64,
    value_fee: u64,
    total_fee: u64,
}

/// A change of somebody's balance, in shannons.
#[derive(Clone, Copy, Debug, Serialize)]
struct BalanceChangeReport {
    address: Address,
    amount: i128,
}

/// What changed, in lists.
#[derive(Clone, Debug, Serialize)]
struct Changes {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    created: Vec<ObjectReport>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    mutated: Vec<ObjectReport>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    deleted: Vec<DeletedReport>,
}

impl Changes {
    fn of(effects: &TransactionEffects) -> Self {
        let gas = effects.gas_object().map(|(id, _)| id);
        let deleted = effects.deleted().map(|ObjectRef(object_id, version, digest)| {
            DeletedReport { object_id, version, digest }
        });
        Self {
            created: effects.created().map(Into::into).collect(),
            mutated: effects
                .mutated()
                .filter(|object| Some(object.reference.id()) != gas)
                .map(Into::into)
                .collect(),
            deleted: deleted.collect(),
        }
    }
}

/// The result of an executed transaction.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct TransactionReport {
    /// The transaction.
    pub(crate) digest: TransactionDigest,
    /// How it ended.
    pub(crate) status: Status,
    /// The epoch in which it ran.
    pub(crate) executed_epoch: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    checkpoint: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timestamp: Option<String>,
    fee: FeeReport,
    #[serde(flatten)]
    changes: Changes,
    gas_object: Option<ObjectReport>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    balance_changes: Vec<BalanceChangeReport>,
}

impl TransactionReport {
    /// The report on a transaction in a checkpoint.
    pub(crate) fn new(executed: &Executed) -> Self {
        let effects = &executed.effects;
        let fields = effects.v1();
        let fee = fields.transaction_fee;
        Self {
            digest: fields.transaction_digest,
            status: Status::of(effects),
            executed_epoch: fields.executed_epoch,
            checkpoint: executed.checkpoint,
            timestamp: None,
            fee: FeeReport {
                base_fee: fee.base_fee,
                operation_fee: fee.operation_fee,
                value_fee: fee.value_fee,
                total_fee: fee.total_fee,
            },
            changes: Changes::of(effects),
            gas_object: effects.gas_object().and_then(|(_, object)| object).map(Into::into),
            balance_changes: balance_changes(&executed.balance_changes),
        }
    }

    /// Adds the time of the checkpoint.
    pub(crate) fn with_timestamp(mut self, executed: &Executed) -> Self {
        self.timestamp = executed.timestamp_ms.and_then(format::rfc3339);
        self
    }
}

impl Report for TransactionReport {
    fn text(&self, page: &mut Page) {
        match &self.status {
            Status::Success => page.painted("Transaction succeeded", GREEN),
            Status::Failure(error) => page.painted(format!("Transaction failed: {error}"), RED),
        }
        let mut fields =
            vec![("digest", self.digest.to_string()), ("epoch", self.executed_epoch.to_string())];
        if let Some(checkpoint) = self.checkpoint {
            fields.push(("checkpoint", checkpoint.to_string()));
        }
        if let Some(timestamp) = &self.timestamp {
            fields.push(("time", timestamp.clone()));
        }
        page.fields(&fields);
        changed_objects(page, &self.changes, self.gas_object.as_ref());
        page.heading("Fees");
        page.fields(&[
            ("base", format::exact(self.fee.base_fee)),
            ("operation", format::exact(self.fee.operation_fee)),
            ("value", format::exact(self.fee.value_fee)),
            ("total", format::exact(self.fee.total_fee)),
        ]);
        balance_lines(page, &self.balance_changes);
    }
}

/// The result of a simulation.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct SimulationReport {
    /// How it would end.
    pub(crate) status: Status,
    gas_used: u64,
    #[serde(flatten)]
    lists: SimulatedChanges,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    balance_changes: Vec<BalanceChangeReport>,
}

/// As [`Changes`], the lists always present.
#[derive(Clone, Debug, Serialize)]
struct SimulatedChanges {
    created: Vec<ObjectReport>,
    mutated: Vec<ObjectReport>,
    deleted: Vec<DeletedReport>,
}

impl SimulationReport {
    /// The report on a transaction that was tried out.
    pub(crate) fn new(simulated: &Simulated) -> Self {
        let effects = &simulated.effects;
        let Changes { created, mutated, deleted } = Changes::of(effects);
        Self {
            status: Status::of(effects),
            gas_used: effects.v1().transaction_fee.total_fee,
            lists: SimulatedChanges { created, mutated, deleted },
            balance_changes: balance_changes(&simulated.balance_changes),
        }
    }
}

impl Report for SimulationReport {
    fn text(&self, page: &mut Page) {
        match &self.status {
            Status::Success => page.painted("The transaction would succeed", GREEN),
            Status::Failure(error) => {
                page.painted(format!("The transaction would fail: {error}"), RED);
            }
        }
        page.fields(&[
            ("estimated fee", format::exact(self.gas_used)),
            ("objects created", self.lists.created.len().to_string()),
            ("objects changed", self.lists.mutated.len().to_string()),
            ("objects deleted", self.lists.deleted.len().to_string()),
        ]);
        balance_lines(page, &self.balance_changes);
    }
}

fn changed_objects(page: &mut Page, changes: &Changes, gas: Option<&ObjectReport>) {
    let row = |what: &str, object: &ObjectReport| {
        let version = object.version.to_string();
        [what.to_owned(), object.object_id.to_string(), version, object.owner.short_text()]
    };
    let created = changes.created.iter().map(|object| row("created", object));
    let mutated = changes.mutated.iter().map(|object| row("changed", object));
    let deleted = changes.deleted.iter().map(|object| {
        let version = object.version.to_string();
        ["deleted".to_owned(), object.object_id.to_string(), version, "-".to_owned()]
    });
    let gas = gas.iter().map(|object| row("gas coin", object));
    let rows: Vec<_> = created.chain(mutated).chain(deleted).chain(gas).collect();
    if !rows.is_empty() {
        page.heading("Objects");
        page.table(["", "id", "version", "owner"], &rows);
    }
}

fn balance_changes(changes: &[BalanceChange]) -> Vec<BalanceChangeReport> {
    changes
        .iter()
        .map(|&BalanceChange { address, amount }| BalanceChangeReport { address, amount })
        .collect()
}

fn balance_lines(page: &mut Page, changes: &[BalanceChangeReport]) {
    if changes.is_empty() {
        return;
    }
    page.heading("Balance changes");
    for change in changes {
        let amount = format::signed(change.amount);
        page.line(format!("  {}  {amount}", format::short(change.address)));
    }
}
