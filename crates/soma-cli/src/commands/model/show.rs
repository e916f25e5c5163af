//! `soma model info` and `soma model list`.

use serde::Serialize;
use soma_model::info::List;
use soma_model::{Info, Standing};
use soma_proto::system_state::ModelStatus;
use soma_rpc::ModelFilter;

use super::args::{InfoArgs, ListArgs, StatusFilter};
use crate::context::{Context, client};
use crate::error::{Failure, Result};
use crate::output::page::{GREEN, RED, YELLOW};
use crate::output::{Page, Report, format};

/// Shows one model.
pub(super) async fn info(args: &InfoArgs, context: &Context) -> Result<()> {
    let target = context.target_without_wallet()?;
    let client = client(&target.environment)?;
    let standing = Standing::ask(&client, &args.model_id).await.map_err(|e| match e {
        soma_model::Error::UnknownModel(_) => {
            let asked =
                format!("{} ({}) was asked", target.environment.alias, target.environment.rpc);
            Failure::from(e)
                .with_hint(format!("soma model list shows the models there are; {asked}"))
        }
        e => e.into(),
    })?;
    let info = Info::new(&standing);
    let info = if args.embedding { info.with_embedding(&standing) } else { info };
    let window = standing.reveal_window().map(|window| (window.opens_at_ms, window.closes_at_ms));
    context.out.print(&InfoReport { info, window })
}

/// Lists models.
pub(super) async fn list(args: &ListArgs, context: &Context) -> Result<()> {
    let owner = match (&args.owner, args.mine) {
        (Some(identity), _) => Some(context.account(Some(identity))?),
        (None, true) => Some(context.account(None)?),
        (None, false) => None,
    };
    let status = args.status.map(|status| match status {
        StatusFilter::Committed => ModelStatus::Committed,
        StatusFilter::Active => ModelStatus::Active,
        StatusFilter::Inactive => ModelStatus::Inactive,
    });
    let client = client(&context.target_without_wallet()?.environment)?;
    let listed = client.models(&ModelFilter { owner, status }).await?;
    context.out.print(&ListReport(List::new(&listed)))
}

#[derive(Serialize)]
struct InfoReport {
    #[serde(flatten)]
    info: Info,
    /// For the local times of the text, milliseconds since 1970.
    #[serde(skip)]
    window: Option<(u64, u64)>,
}

impl Report for InfoReport {
    fn text(&self, page: &mut Page) {
        let info = &self.info;
        let colour = match info.status {
            ModelStatus::Active => GREEN,
            ModelStatus::Committed => YELLOW,
            _ => RED,
        };
        page.painted(format!("{} is {}", info.model_id, info.status), colour);
        let summary = &info.summary;
        let mut fields = vec![
            ("owner", summary.owner.to_string()),
            ("status", info.status.to_string()),
            ("architecture", summary.architecture_version.to_string()),
            ("commission", format::percent(summary.commission_rate)),
        ];
        if info.next_epoch_commission_rate != summary.commission_rate {
            fields.push(("  from next epoch", format::percent(info.next_epoch_commission_rate)));
        }
        fields.push(("commit epoch", summary.commit_epoch.to_string()));
        fields.push(("stake", format::exact(summary.stake_balance)));
        fields.push(("staking pool", info.staking_pool_id.to_string()));
        if let Some(url) = &info.weights_url {
            fields.push(("weights", format::printable(url.as_str())));
        }
        if let (Some(size), Some(checksum)) = (info.weights_size, &info.weights_checksum) {
            fields.push(("  size", format::exact_bytes(size)));
            fields.push(("  checksum", checksum.to_string()));
        }
        if let Some(update) = &info.pending_update {
            fields.push(("pending update", format!("committed in epoch {}", update.commit_epoch)));
        }
        if let (Some(epoch), Some((opens, closes))) = (info.reveal_epoch, self.window) {
            let now = info.current_epoch;
            let word = match epoch.cmp(&now) {
                std::cmp::Ordering::Greater => "not yet open",
                std::cmp::Ordering::Equal => "open now",
                std::cmp::Ordering::Less => "missed",
            };
            fields.push(("reveal in", format!("epoch {epoch}, {word} (epoch {now} is running)")));
            fields.push(("  opens", format!("about {}", format::local_time(opens))));
            fields.push(("  closes", format!("about {}", format::local_time(closes))));
        }
        if !info.reported_by.is_empty() {
            fields.push(("reported by", format::count(info.reported_by.len(), "validator")));
        }
        page.fields(&fields);
        if let Some(embedding) = &info.embedding {
            let numbers: Vec<_> = embedding.iter().map(f32::to_string).collect();
            page.line(numbers.join(","));
        }
    }
}

#[derive(Serialize)]
#[serde(transparent)]
struct ListReport(List);

impl Report for ListReport {
    fn text(&self, page: &mut Page) {
        let list = &self.0;
        if list.models.is_empty() {
            return page.line("There are no models");
        }
        page.heading(format!(
            "{}: {} active, {} committed, {} inactive",
            format::count(list.models.len(), "model"),
            list.count(ModelStatus::Active),
            list.count(ModelStatus::Committed),
            list.count(ModelStatus::Inactive)
        ));
        let rows: Vec<_> = list
            .models
            .iter()
            .map(|model| {
                [
                    format::short(model.model_id),
                    format::short(model.owner),
                    model.status.to_string(),
                    model.architecture_version.to_string(),
                    format::soma(model.stake_balance),
                    model.commit_epoch.to_string(),
                ]
            })
            .collect();
        page.table(["model", "owner", "status", "architecture", "stake", "commit epoch"], &rows);
    }
}
