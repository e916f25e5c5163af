//! An update that is over by the word of the chain.

use std::time::Duration;

use soma_proto::SignedTransaction;
use soma_rpc::Client;

use super::foreign_chain;
use super::settle::{Half, Verdict, verdict};
use crate::state::{Sent, StateFile};
use crate::{Error, Report, Result, RevealOf, Stage, Standing};

/// Before the chain is asked a second time.
const AGAIN: Duration = Duration::from_secs(2);

/// What the chain says of a signed transaction. That it is over has to be said
/// twice: several nodes may answer under one name, and one of them may know that
/// a coin has moved before another one knows by what.
async fn twice(client: &Client, transaction: &SignedTransaction) -> Result<Verdict> {
    match verdict(client, transaction).await? {
        Verdict::Over => {
            tokio::time::sleep(AGAIN).await;
            verdict(client, transaction).await
        }
        said => Ok(said),
    }
}

/// Closes an update that the chain shows to be over, so that another one may be
/// prepared. A committed one is recorded as revealed if its weights are the
/// model's, and given up if its window has passed. One whose signed commit
/// failed, or can never be executed any more, is prepared again, with its key:
/// a new commit may be signed. In every other case, and whenever the chain
/// cannot be asked, all stays as it is.
///
/// Asks nothing if no signed or committed update is on file, and sends nothing.
///
/// # Errors
/// [`Error::Refused`] if the node serves another chain;
/// [`Error::UnknownModel`], [`Error::Rpc`], [`Error::File`].
pub async fn close_update(client: &Client, file: &mut StateFile) -> Result<()> {
    let Some(update) = &file.state.update else { return Ok(()) };
    let (Stage::CommitSigned | Stage::Committed | Stage::RevealSigned, Some(sealed)) =
        (update.stage(), update.sealed)
    else {
        return Ok(());
    };
    let signed = update.commit.clone().unwrap_or(Sent::found(0));
    let url = update.weights_url.commitment();
    if let Some(finding) = foreign_chain(&file.state, client.chain_id().await?) {
        return Err(Error::Refused(Report::from_iter([finding])));
    }
    let standing = Standing::ask(client, &file.state.model_id).await?;
    let model = &standing.model;
    // It may have been committed once more by other means.
    let pending = model.pending_update.filter(|pending| {
        pending.weights_commitment == sealed.commitment && pending.weights_url_commitment == url
    });
    let manifest = model.weights_manifest.as_ref().map(|shown| shown.manifest.checksum());
    let is_shown = manifest == Some(sealed.commitment.into());
    let commit_epoch = match (signed.epoch, pending, &signed.transaction) {
        (Some(recorded), pending, _) => {
            pending.map_or(recorded, |pending| pending.commit_epoch.max(recorded))
        }
        (None, Some(pending), _) => pending.commit_epoch,
        (None, None, Some(transaction)) => match twice(client, transaction).await? {
            Verdict::Executed(executed) => executed.effects.v1().executed_epoch,
            Verdict::Over if !is_shown => {
                return file.update(|state| Half::Commit.put(state, RevealOf::Update, None));
            }
            Verdict::Over => standing.clock.epoch.saturating_sub(1),
            Verdict::Open => return Ok(()),
        },
        (None, None, None) => return Ok(()),
    };
    if signed.epoch.is_none() {
        file.update(|state| Half::Commit.settle(state, RevealOf::Update, commit_epoch))?;
    }
    let reveal_epoch = commit_epoch.saturating_add(1);

    if is_shown {
        return file.update(|state| Half::Reveal.settle(state, RevealOf::Update, reveal_epoch));
    }
    // Epochs only grow, so a node that lags behind never says so too early.
    if standing.clock.epoch > reveal_epoch {
        return file.update(|state| {
            let over = state.update.take().map(|update| update.spent());
            state.spent.extend(over);
        });
    }
    Ok(())
}
