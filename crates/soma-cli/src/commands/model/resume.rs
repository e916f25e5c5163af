//! Where prepared models stand, and carrying on what is under way.

use std::path::PathBuf;

use serde::Serialize;
use soma_model::watch::{Event, Kind};
use soma_model::{Carried, Depth, Next, Standing, State, StateFile, Status, Watch, with_causes};
use soma_proto::ObjectId;

use super::args::StateArgs;
use super::prepared::{Desk, folder};
use super::watch;
use crate::context::Context;
use crate::error::{Failure, Result};
use crate::output::page::{GREEN, RED};
use crate::output::{Page, Report, format};
use crate::transact::TransactionArgs;

/// `soma model status`.
pub(super) async fn status(args: &StateArgs, context: &Context) -> Result<()> {
    let Found { states, unreadable } = states(args, context)?;
    let client = match states.is_empty() {
        true => None,
        false => Some(crate::context::client(&context.target_without_wallet()?.environment)?),
    };
    let mut models = Vec::new();
    for (path, state) in states {
        let standing = match &client {
            Some(client) => client.model(&state.model_id).await?.map(Standing::from),
            None => None,
        };
        let status = Status::new(&state, standing.as_ref());
        models.push(Entry { status, state_file: path });
    }
    let failure = unreadable.first().map(|file| {
        let others = unreadable.len() - 1;
        let more = if others > 0 { format!(" (and {others} more)") } else { String::new() };
        Failure::new("State", format!("{}{more}", file.error))
            .with_hint("put it back from a backup: what it held may be worth a stake")
    });
    context.out.print(&StatusReport { models, unreadable })?;
    failure.map_or(Ok(()), Err)
}

/// `soma model resume`.
pub(super) async fn resume(
    args: &StateArgs,
    flags: &TransactionArgs,
    context: &Context,
) -> Result<()> {
    if !flags.sends()? || !flags.gas.is_empty() {
        return Err(Failure::usage(
            "resume sends what is under way; it has no preview and chooses coins",
        ));
    }
    let Desk { sender, storage, scope, .. } = Desk::new(Depth::Header, context).await?;
    let keys = watch::keys(&sender.wallet, sender.chain())?;
    let mut watch = Watch::new(vec![sender.client], keys, storage, scope, folder(context)?);
    watch.only.clone_from(&args.state);
    watch.timeout = flags.timeout();
    let carried = watch.resume(|event| tell(&event, context), |done| tell_end(done, context));
    let carried = carried.await?;

    let mut models = Vec::new();
    let mut failed: Option<Failure> = None;
    for Carried { path, model_id, outcome, .. } in carried {
        let (revealed_epoch, failure) = match outcome {
            Ok(epoch) => (epoch, None),
            Err(error) => (None, Some(Failure::from(error))),
        };
        let error = failure.as_ref().map(|failure| failure.report.message.clone());
        models.push(Resumed { model_id, revealed_epoch, error, state_file: path });
        failed = failed.or(failure);
    }
    context.out.print(&ResumeReport { models })?;
    failed.map_or(Ok(()), Err)
}

/// Tells what happens on the way.
fn tell(event: &Event, context: &Context) {
    let model = event.model_id.map(|id| format!("{}: ", format::short(id)));
    let text = format!("{}{}", model.unwrap_or_default(), format::printable(&event.message));
    match event.event {
        _ if event.alarm => context.out.warn(&text),
        Kind::Retrying | Kind::NodeDown => context.out.warn(&text),
        Kind::Waiting | Kind::SetAside | Kind::Ready => context.out.note(&text),
        _ => {}
    }
}

/// Tells of a model as soon as it is done with.
fn tell_end(carried: &Carried, context: &Context) {
    let model = match carried.model_id {
        Some(id) => id.to_string(),
        None => carried.path.display().to_string(),
    };
    match &carried.outcome {
        Ok(None) => {}
        Ok(Some(epoch)) => context.out.note(&format!("{model} was revealed in epoch {epoch}")),
        Err(error) => context.out.warn(&format!("{model}: {}", with_causes(error))),
    }
}

/// The states that are meant, oldest first, and the files that cannot be read.
fn states(args: &StateArgs, context: &Context) -> Result<Found> {
    let all = match &args.state {
        Some(path) => vec![(path.clone(), Ok(StateFile::peek(path)?))],
        None => folder(context)?.read()?,
    };
    let mut found = Found::default();
    for (path, state) in all {
        match state {
            Ok(state) => found.states.push((path, state)),
            Err(error) => {
                found.unreadable.push(Unreadable { state_file: path, error: with_causes(&error) });
            }
        }
    }
    Ok(found)
}

#[derive(Default)]
struct Found {
    states: Vec<(PathBuf, State)>,
    unreadable: Vec<Unreadable>,
}

#[derive(Serialize)]
struct Unreadable {
    state_file: PathBuf,
    error: String,
}

#[derive(Serialize)]
struct Entry {
    #[serde(flatten)]
    status: Status,
    state_file: PathBuf,
}

#[derive(Serialize)]
struct StatusReport {
    models: Vec<Entry>,
    /// State files that cannot be used.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unreadable: Vec<Unreadable>,
}

impl Report for StatusReport {
    fn text(&self, page: &mut Page) {
        for Unreadable { state_file, error } in &self.unreadable {
            page.painted(format!("{}: {error}", state_file.display()), RED);
            page.blank();
        }
        if self.models.is_empty() && self.unreadable.is_empty() {
            page.line("No model is prepared; soma model prepare makes a state file");
        }
        for Entry { status, state_file } in &self.models {
            let mut fields = vec![
                ("model", status.model_id.to_string()),
                ("stage", status.stage.as_str().to_owned()),
                ("on the chain", status.chain_status.clone().unwrap_or_else(|| "-".to_owned())),
                ("next", next_text(status.next).to_owned()),
            ];
            if let Some(opens) = &status.opens_at {
                fields.push(("window opens", format!("about {}", format::local_text(opens))));
            }
            if let Some(deadline) = &status.deadline {
                fields.push(("deadline", format!("about {}", format::local_text(deadline))));
            }
            fields.push(("state file", state_file.display().to_string()));
            page.fields(&fields);
            page.blank();
        }
    }
}

const fn next_text(next: Next) -> &'static str {
    match next {
        Next::Prepare => "soma model prepare or publish, again: it was interrupted",
        Next::Commit => "soma model commit --prepared (update-commit for an update)",
        Next::Settle => "soma model resume: a transaction was signed and its outcome is not known",
        Next::Wait => "wait for the window; soma model resume does",
        Next::Reveal => "soma model reveal --prepared, now (update-reveal for an update)",
        Next::Nothing => "nothing, it is done",
        _ => "nothing can be done: the window was missed or the model is inactive",
    }
}

#[derive(Serialize)]
struct Resumed {
    /// Null if the state file cannot be read.
    model_id: Option<ObjectId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    revealed_epoch: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    state_file: PathBuf,
}

#[derive(Serialize)]
struct ResumeReport {
    models: Vec<Resumed>,
}

impl Report for ResumeReport {
    fn text(&self, page: &mut Page) {
        let open = |model: &&Resumed| model.revealed_epoch.is_some() || model.error.is_some();
        if !self.models.iter().any(|model| open(&model)) {
            page.line("Nothing is under way");
        }
        for model in self.models.iter().filter(open) {
            let name = match model.model_id {
                Some(id) => id.to_string(),
                None => model.state_file.display().to_string(),
            };
            match (&model.revealed_epoch, &model.error) {
                (Some(epoch), _) => {
                    page.painted(format!("{name} was revealed in epoch {epoch}"), GREEN);
                }
                (None, error) => {
                    page.line(format!("{name}: {}", error.as_deref().unwrap_or_default()));
                }
            }
        }
    }
}
