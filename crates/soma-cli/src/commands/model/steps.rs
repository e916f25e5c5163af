//! The steps of an owner: each is a plan that is checked, and then sent.

use std::io;
use std::path::Path;

use serde::Serialize;
use soma_crypto::Options;
use soma_model::{
    CommissionPlan, CommitPlan, CommitTimes, DeactivatePlan, Depth, EpochClock, Host, Measured,
    RevealOf, RevealPlan, Scope, UntilLate, UpdatePlan, embedding, measure, read_key,
};
use soma_proto::ObjectId;
use soma_storage::Storage;

use super::args::{CommitArgs, ModelIdArgs, RevealArgs, SetCommissionRateArgs, UpdateCommitArgs};
use super::prepared;
use crate::context::Context;
use crate::error::{Failure, Result};
use crate::output::page::GREEN;
use crate::output::{Page, Report, format};
use crate::parse;
use crate::transact::{Outcome, Sender, TransactionArgs, Wrapped};

/// First step of a registration.
pub(super) async fn commit(
    args: CommitArgs,
    flags: &TransactionArgs,
    context: &Context,
) -> Result<()> {
    let (url, weights) = match (args.weights_url_commitment, args.weights_commitment) {
        (Some(url), Some(weights)) => (url, weights),
        _ => return prepared::commit(args, flags, context).await,
    };
    let mut plan = CommitPlan::new(url, weights, args.stake_amount.shannons())
        .with_commission_rate(args.commission_rate);
    if let Some(id) = args.model_id {
        plan = plan.with_model_id(id);
    }
    if let Some(id) = args.staking_pool_id {
        plan = plan.with_staking_pool_id(id);
    }
    if let Some(version) = args.architecture_version {
        plan = plan.with_architecture_version(version);
    }

    let sender = Sender::active(context).await?;
    if args.late {
        wait_until_late(&sender, context).await?;
    }
    let prepared = plan.prepare(&sender.client, sender.address, &sender.gas(flags)?).await?;
    let clock = prepared.network.clock;
    let outcome = sender.run_step(prepared, flags, context).await?;
    let report = CommitReport {
        model_id: plan.ids.model_id,
        staking_pool_id: plan.ids.staking_pool_id,
        times: times(&outcome, &clock),
        inner: outcome.wrap_bytes(),
    };
    context.out.print(&report)?;
    finish(&report.inner)
}

/// Second step of a registration.
pub(super) async fn reveal(
    args: RevealArgs,
    flags: &TransactionArgs,
    context: &Context,
) -> Result<()> {
    let Some(model_id) = args.model_id else {
        return prepared::reveal(args, RevealOf::Registration, flags, context).await;
    };
    let inner = run_reveal(args, RevealOf::Registration, flags, context).await?.wrap_bytes();
    let report = RevealReport { model_id, inner };
    context.out.print(&report)?;
    finish(&report.inner)
}

/// First step of an update.
pub(super) async fn update_commit(
    args: UpdateCommitArgs,
    flags: &TransactionArgs,
    context: &Context,
) -> Result<()> {
    let plan = match (args.model_id, args.weights_url_commitment, args.weights_commitment) {
        (Some(model_id), Some(weights_url_commitment), Some(weights_commitment)) => {
            UpdatePlan { model_id, weights_url_commitment, weights_commitment }
        }
        _ => return prepared::update_commit(args, flags, context).await,
    };
    let sender = Sender::active(context).await?;
    if args.late {
        wait_until_late(&sender, context).await?;
    }
    let prepared = plan.prepare(&sender.client, sender.address, &sender.gas(flags)?).await?;
    let clock = prepared.network.clock;
    let outcome = sender.run_step(prepared, flags, context).await?;
    let times = times(&outcome, &clock);
    let inner = outcome.wrap_bytes();
    match times {
        Some(times) => {
            let report = UpdateReport { model_id: plan.model_id, inner, times };
            context.out.print(&report)
        }
        None => print(&inner, context),
    }
}

/// Second step of an update.
pub(super) async fn update_reveal(
    args: RevealArgs,
    flags: &TransactionArgs,
    context: &Context,
) -> Result<()> {
    if args.model_id.is_none() {
        return prepared::reveal(args, RevealOf::Update, flags, context).await;
    }
    let outcome = run_reveal(args, RevealOf::Update, flags, context).await?;
    print(&outcome.wrap_bytes(), context)
}

/// A new commission.
pub(super) async fn set_commission_rate(
    args: &SetCommissionRateArgs,
    flags: &TransactionArgs,
    context: &Context,
) -> Result<()> {
    let plan = CommissionPlan { model_id: args.model_id, rate: args.commission_rate };
    let sender = Sender::active(context).await?;
    let prepared = plan.prepare(&sender.client, sender.address, &sender.gas(flags)?).await?;
    print(&sender.run_step(prepared, flags, context).await?.wrap_bytes(), context)
}

/// The end of a model.
pub(super) async fn deactivate(
    args: &ModelIdArgs,
    flags: &TransactionArgs,
    context: &Context,
) -> Result<()> {
    let plan = DeactivatePlan { model_id: args.model_id };
    let sender = Sender::active(context).await?;
    let prepared = plan.prepare(&sender.client, sender.address, &sender.gas(flags)?).await?;
    if flags.sends()? && prepared.report.is_ok() {
        context.confirm(&format!("Deactivate {} for good?", args.model_id))?;
    }
    let outcome = sender.run_step(prepared, flags, context).await?;
    if outcome.success().is_some() {
        // A watch that holds the file frees the coin itself.
        let _ = prepared::folder(context)?.free_coin(&args.model_id);
    }
    print(&outcome.wrap_bytes(), context)
}

async fn run_reveal(
    args: RevealArgs,
    of: RevealOf,
    flags: &TransactionArgs,
    context: &Context,
) -> Result<Outcome> {
    let plan = reveal_plan(&args, of)?;
    let sender = Sender::active(context).await?;
    let (scope, storage) = host_of(&sender)?;
    let depth = if args.verify_url { Depth::Everything } else { Depth::Header };
    let host = Host { storage: &storage, scope, depth };
    let gas = sender.gas_of(Some(&plan.model_id), flags)?;
    let (client, address) = (&sender.client, sender.address);
    let prepared = match args.wait {
        true => {
            let tell = prepared::teller(context);
            plan.prepare_when_open(client, &host, address, &gas, tell).await?
        }
        false => plan.prepare(client, &host, address, &gas).await?,
    };
    sender.run_step(prepared, flags, context).await
}

/// Waits for the last part of the epoch, and says so once.
pub(super) async fn wait_until_late(sender: &Sender, context: &Context) -> Result<()> {
    let mut told = None;
    let tell = |event: UntilLate<'_>| match event {
        UntilLate::Waiting { until_ms } if told != Some(until_ms) => {
            told = Some(until_ms);
            let at = format::local_time(until_ms);
            context.out.note(&format!("Waiting for the end of the epoch, until {at}"));
        }
        UntilLate::Retrying { error, pause } => prepared::tell_retry(error, pause, context),
        _ => {}
    };
    Ok(soma_model::wait_until_late(&sender.client, tell).await?)
}

/// Where strangers fetch the weights from, seen from the sender's network.
pub(super) fn host_of(sender: &Sender) -> Result<(Scope, Storage)> {
    let scope = sender.scope();
    Ok((scope, Storage::new(scope.addresses())?))
}

/// Reads what the flags name, from the command line or from files.
fn reveal_plan(args: &RevealArgs, of: RevealOf) -> Result<RevealPlan> {
    let missing = || Failure::usage("name the model and --weights-url, or --prepared");
    let (model_id, url) = args.model_id.zip(args.weights_url.as_deref()).ok_or_else(missing)?;
    let url = url
        .parse()
        .map_err(|e: soma_proto::Error| Failure::usage(format!("--weights-url: {e}")))?;
    let weights = match (&args.weights_file, args.weights_checksum, args.weights_size) {
        (Some(path), ..) => measure(Path::new(path), &Options::new())?,
        (None, Some(commitment), Some(size)) => Measured { commitment, size },
        _ => return Err(Failure::usage("name --weights-checksum and --weights-size")),
    };
    let key = match (&args.decryption_key, &args.decryption_key_file) {
        (Some(secret), _) => parse::key(secret)
            .map_err(|reason| Failure::usage(format!("--decryption-key: {reason}")))?,
        (None, Some(file)) => read_key(file, io::stdin())?,
        (None, None) => return Err(Failure::usage("name --decryption-key")),
    };
    let embedding = match (&args.embedding, &args.embedding_file) {
        (Some(embedding), _) => embedding.0.clone(),
        (None, Some(file)) => embedding::read(file, io::stdin())?,
        (None, None) => return Err(Failure::usage("name --embedding")),
    };
    let plan = RevealPlan::new(model_id, url, weights, key, embedding);
    Ok(match of {
        RevealOf::Registration => plan,
        RevealOf::Update => plan.of_update(),
    })
}

/// The window of a commit that went through; its epoch is that of the effects.
fn times(outcome: &Outcome, clock: &EpochClock) -> Option<CommitTimes> {
    let executed = outcome.success()?;
    Some(CommitTimes::new(executed.effects.v1().executed_epoch, clock))
}

fn print(inner: &Wrapped, context: &Context) -> Result<()> {
    context.out.print(inner)?;
    finish(inner)
}

pub(super) fn finish(inner: &Wrapped) -> Result<()> {
    match inner.0.failure() {
        Some(failure) => Err(failure),
        None => Ok(()),
    }
}

#[derive(Serialize)]
struct CommitReport {
    model_id: ObjectId,
    inner: Wrapped,
    staking_pool_id: ObjectId,
    #[serde(flatten)]
    times: Option<CommitTimes>,
}

impl Report for CommitReport {
    fn text(&self, page: &mut Page) {
        self.inner.text(page);
        if self.inner.0.is_bare() {
            return;
        }
        page.blank();
        page.fields(&[
            ("model", self.model_id.to_string()),
            ("staking pool", self.staking_pool_id.to_string()),
        ]);
        if let Some(times) = &self.times {
            window(page, times);
            page.line("Next step, in that epoch:");
            page.line(next_step("reveal", self.model_id));
        }
    }
}

#[derive(Serialize)]
struct RevealReport {
    model_id: ObjectId,
    inner: Wrapped,
}

impl Report for RevealReport {
    fn text(&self, page: &mut Page) {
        self.inner.text(page);
        if self.inner.0.success().is_some() {
            page.painted(format!("{} is active", self.model_id), GREEN);
            page.line(format!("soma model info {} shows it", self.model_id));
        }
    }
}

#[derive(Serialize)]
struct UpdateReport {
    #[serde(skip)]
    model_id: ObjectId,
    #[serde(flatten)]
    inner: Wrapped,
    #[serde(flatten)]
    times: CommitTimes,
}

impl Report for UpdateReport {
    fn text(&self, page: &mut Page) {
        self.inner.text(page);
        window(page, &self.times);
        page.line("Next step, in that epoch:");
        page.line(next_step("update-reveal", self.model_id));
    }
}

pub(super) fn window(page: &mut Page, times: &CommitTimes) {
    page.painted(
        format!(
            "Committed in epoch {}; reveal it in epoch {}",
            times.commit_epoch, times.reveal_epoch
        ),
        GREEN,
    );
    page.fields(&[
        ("opens", format!("about {}", format::local_text(&times.reveal_opens_at))),
        ("closes", format!("about {}", format::local_text(&times.reveal_closes_at))),
    ]);
}

fn next_step(command: &str, model_id: ObjectId) -> String {
    format!(
        "  soma model {command} {model_id} \\\n      --weights-url <URL> --weights-checksum <HEX32> \
         --weights-size <BYTES> \\\n      --decryption-key-file <FILE> --embedding-file <FILE>"
    )
}
