//! `soma objects`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::{Args, Subcommand, ValueEnum};
use futures::TryStreamExt as _;
use serde::Serialize;
use soma_proto::system_state::SystemState;
use soma_proto::{Address, Object, ObjectDigest, ObjectId, ObjectType};
use soma_wallet::Identity;

use crate::context::{Context, block_on, client};
use crate::error::{Failure, Result};
use crate::output::transaction::OwnerReport;
use crate::output::{Page, Report, format};

/// Arguments of `soma objects`.
#[derive(Debug, Args)]
pub(crate) struct ObjectsArgs {
    #[command(subcommand)]
    command: ObjectsCommand,
}

#[derive(Debug, Subcommand)]
enum ObjectsCommand {
    /// Show an object.
    Get(GetArgs),
    /// List the objects of an account.
    List(ListArgs),
    /// List the coins of an account.
    Gas(GasArgs),
}

#[derive(Debug, Args)]
struct GetArgs {
    /// The object.
    id: ObjectId,
    /// Show its BCS bytes too.
    #[arg(long)]
    bcs: bool,
}

#[derive(Debug, Args)]
struct ListArgs {
    /// Address or alias; the active one if left out.
    identity: Option<Identity>,
    /// Objects of this type only.
    #[arg(long = "type", value_name = "TYPE", value_enum)]
    object_type: Option<TypeFilter>,
}

#[derive(Debug, Args)]
struct GasArgs {
    /// Address or alias; the active one if left out.
    identity: Option<Identity>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
enum TypeFilter {
    /// Money.
    Coin,
    /// Receipts for stake.
    StakedSoma,
    /// The system state.
    SystemState,
    /// Targets that models compete for.
    Target,
    /// Challenges to submissions.
    Challenge,
}

impl From<TypeFilter> for ObjectType {
    fn from(filter: TypeFilter) -> Self {
        match filter {
            TypeFilter::Coin => Self::Coin,
            TypeFilter::StakedSoma => Self::StakedSoma,
            TypeFilter::SystemState => Self::SystemState,
            TypeFilter::Target => Self::Target,
            TypeFilter::Challenge => Self::Challenge,
        }
    }
}

/// Runs a command of the group.
pub(crate) fn run(args: ObjectsArgs, context: &Context) -> Result<()> {
    match args.command {
        ObjectsCommand::Get(args) => block_on(get(&args, context)),
        ObjectsCommand::List(args) => block_on(list(&args, context)),
        ObjectsCommand::Gas(args) => block_on(gas(&args, context)),
    }
}

async fn get(args: &GetArgs, context: &Context) -> Result<()> {
    let target = context.target_without_wallet()?;
    let object = client(&target.environment)?.object(&args.id).await?.ok_or_else(|| {
        Failure::new("ObjectNotFound", format!("there is no object {}", args.id))
            .with_hint(format!("{} was asked", target.environment.rpc))
    })?;
    let mut report = ObjectReport::from(&object);
    if args.bcs {
        let bytes = bcs::to_bytes(&object).expect("an object has a BCS form");
        report.bcs_bytes = Some(STANDARD.encode(bytes));
    }
    context.out.print(&report)
}

async fn list(args: &ListArgs, context: &Context) -> Result<()> {
    let address = context.account(args.identity.as_ref())?;
    let client = client(&context.target_without_wallet()?.environment)?;
    let objects = client.owned_objects(address, args.object_type.map(Into::into));
    let objects: Vec<Object> = objects.try_collect().await?;
    let objects = objects.iter().map(ObjectReport::from).collect();
    context.out.print(&ListReport { address, objects })
}

async fn gas(args: &GasArgs, context: &Context) -> Result<()> {
    let address = context.account(args.identity.as_ref())?;
    let coins = client(&context.target_without_wallet()?.environment)?.coins(&address).await?;
    let coins = coins
        .iter()
        .map(|coin| {
            let reference = coin.reference;
            ((reference.id(), reference.version(), reference.digest()), coin.balance)
        })
        .collect();
    context.out.print(&GasReport { address, coins })
}

#[derive(Serialize)]
struct ObjectReport {
    object_id: ObjectId,
    version: u64,
    digest: ObjectDigest,
    object_type: &'static str,
    owner: OwnerReport,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<Content>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bcs_bytes: Option<String>,
}

/// What is in an object, as far as it is worth showing.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Content {
    Coin { balance: u64 },
    StakedSoma { pool_id: ObjectId, stake_activation_epoch: u64, principal: u64 },
    SystemState { epoch: u64, protocol_version: u64, epoch_start_timestamp_ms: u64 },
    Target,
    Challenge,
}

impl Content {
    fn of(object: &Object) -> Option<Self> {
        Some(match object.object_type() {
            ObjectType::Coin => Self::Coin { balance: object.coin_balance()? },
            ObjectType::StakedSoma => {
                let staked = object.as_staked_soma()?;
                Self::StakedSoma {
                    pool_id: staked.pool_id,
                    stake_activation_epoch: staked.stake_activation_epoch,
                    principal: staked.principal,
                }
            }
            ObjectType::SystemState => {
                let state: SystemState = bcs::from_bytes(object.inner()).ok()?;
                let state = state.v1();
                Self::SystemState {
                    epoch: state.epoch,
                    protocol_version: state.protocol_version,
                    epoch_start_timestamp_ms: state.epoch_start_timestamp_ms,
                }
            }
            ObjectType::Target => Self::Target,
            ObjectType::Challenge => Self::Challenge,
            _ => return None,
        })
    }

    fn text(&self) -> String {
        match self {
            Self::Coin { balance } => format::exact(*balance),
            Self::StakedSoma { pool_id, stake_activation_epoch, principal } => format!(
                "{} in pool {pool_id}, from epoch {stake_activation_epoch} on",
                format::exact(*principal)
            ),
            Self::SystemState { epoch, .. } => format!("epoch {epoch}"),
            Self::Target | Self::Challenge => "-".to_owned(),
        }
    }
}

impl From<&Object> for ObjectReport {
    fn from(object: &Object) -> Self {
        Self {
            object_id: object.id(),
            version: object.version(),
            digest: object.digest(),
            object_type: object.object_type().as_str(),
            owner: object.owner.into(),
            content: Content::of(object),
            bcs_bytes: None,
        }
    }
}

impl Report for ObjectReport {
    fn text(&self, page: &mut Page) {
        let mut fields = vec![
            ("id", self.object_id.to_string()),
            ("type", self.object_type.to_owned()),
            ("version", self.version.to_string()),
            ("digest", self.digest.to_string()),
            ("owner", self.owner.text()),
        ];
        fields.extend(self.content.as_ref().map(|content| ("content", content.text())));
        fields.extend(self.bcs_bytes.as_ref().map(|bytes| ("BCS", bytes.clone())));
        page.fields(&fields);
    }
}

#[derive(Serialize)]
struct ListReport {
    address: Address,
    objects: Vec<ObjectReport>,
}

impl Report for ListReport {
    fn text(&self, page: &mut Page) {
        if self.objects.is_empty() {
            return page.line(format!("{} owns nothing", self.address));
        }
        let rows: Vec<_> = self
            .objects
            .iter()
            .map(|object| {
                [
                    object.object_id.to_string(),
                    object.object_type.to_owned(),
                    object.version.to_string(),
                    object.content.as_ref().map(Content::text).unwrap_or_default(),
                ]
            })
            .collect();
        page.table(["id", "type", "version", "content"], &rows);
    }
}

#[derive(Serialize)]
struct GasReport {
    address: Address,
    coins: Vec<((ObjectId, u64, ObjectDigest), u64)>,
}

impl Report for GasReport {
    fn text(&self, page: &mut Page) {
        if self.coins.is_empty() {
            return page.line(format!("{} has no coins", self.address));
        }
        let rows: Vec<_> = self
            .coins
            .iter()
            .map(|((id, ..), balance)| [id.to_string(), format::exact(*balance)])
            .collect();
        page.table(["coin", "balance"], &rows);
    }
}
