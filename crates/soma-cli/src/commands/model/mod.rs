//! `soma model`: commit, reveal, update and look at models.

mod args;
mod audit;
mod download;
mod keys;
mod prepared;
mod publish;
mod resume;
mod show;
mod steps;
mod watch;

use serde::Serialize;
use soma_model::{NewIds, ObjectName, new_ids};

pub(crate) use self::args::ModelArgs;
use self::args::ModelCommand;
pub(crate) use self::prepared::folder_beside;
use crate::context::{Context, block_on};
use crate::error::{Failure, Result};
use crate::output::{Page, Report};
use crate::transact::TransactionArgs;

/// Runs a command of the group.
pub(crate) fn run(args: ModelArgs, context: &Context) -> Result<()> {
    let flags = &args.transaction;
    let only_reads = || refuse_flags(flags);
    block_on(async {
        match args.command {
            ModelCommand::Commit(args) => steps::commit(args, flags, context).await,
            ModelCommand::Reveal(args) => steps::reveal(args, flags, context).await,
            ModelCommand::UpdateCommit(args) => steps::update_commit(args, flags, context).await,
            ModelCommand::UpdateReveal(args) => steps::update_reveal(args, flags, context).await,
            ModelCommand::SetCommissionRate(args) => {
                steps::set_commission_rate(&args, flags, context).await
            }
            ModelCommand::Deactivate(args) => steps::deactivate(&args, flags, context).await,
            ModelCommand::Prepare(args) => {
                only_reads()?;
                prepared::prepare(args, context).await
            }
            ModelCommand::Publish(args) => publish::run(*args, flags, context).await,
            ModelCommand::Check(args) => {
                only_reads()?;
                prepared::check(&args, flags, context).await
            }
            ModelCommand::Status(args) => {
                only_reads()?;
                resume::status(&args, context).await
            }
            ModelCommand::Resume(args) => resume::resume(&args, flags, context).await,
            ModelCommand::Watch(args) => watch::run(args, flags, context).await,
            ModelCommand::Recover(args) => {
                only_reads()?;
                keys::recover(&args, context).await
            }
            ModelCommand::ExportState(args) => {
                only_reads()?;
                keys::export_state(&args, context)
            }
            ModelCommand::ImportState(args) => {
                only_reads()?;
                keys::import_state(&args, context)
            }
            ModelCommand::Info(args) => {
                only_reads()?;
                show::info(&args, context).await
            }
            ModelCommand::List(args) => {
                only_reads()?;
                show::list(&args, context).await
            }
            ModelCommand::Download(args) => {
                only_reads()?;
                download::run(args, context).await
            }
            ModelCommand::Verify(args) => {
                only_reads()?;
                audit::verify(&args, context).await
            }
            ModelCommand::Audit(args) => {
                only_reads()?;
                audit::audit(&args, context).await
            }
            ModelCommand::NewId => {
                only_reads()?;
                context.out.print(&NewIdReport(new_ids()))
            }
        }
    })
}

/// Uploads that a state file can continue: object names and the stores' ids. A state
/// file that cannot be read may hold another one, so it is an error.
pub(crate) fn uploads_under_way(context: &Context) -> Result<Vec<(ObjectName, String)>> {
    let mut found = Vec::new();
    for (_, state) in prepared::folder(context)?.read()? {
        let state = state?;
        let rounds = [Some(&state.registration), state.update.as_ref()];
        found.extend(rounds.into_iter().flatten().filter_map(|round| {
            let upload = round.upload.as_ref()?;
            Some((upload.object, upload.record.as_ref()?.upload_id()?.to_owned()))
        }));
    }
    Ok(found)
}

/// The flags stand before the subcommand too, so clap takes them for every one.
fn refuse_flags(flags: &TransactionArgs) -> Result<()> {
    match flags.is_plain() {
        true => Ok(()),
        false => Err(Failure::usage(
            "this command sends no transaction, so it takes no transaction options",
        )),
    }
}

#[derive(Serialize)]
#[serde(transparent)]
struct NewIdReport(NewIds);

impl Report for NewIdReport {
    fn text(&self, page: &mut Page) {
        page.fields(&[
            ("model id", self.0.model_id.to_string()),
            ("staking pool id", self.0.staking_pool_id.to_string()),
        ]);
    }
}
