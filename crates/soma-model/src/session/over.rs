//! An update that is over by the word of the chain.

use soma_rpc::Client;

use super::foreign_chain;
use super::settle::Half;
use crate::state::StateFile;
use crate::{Error, Report, Result, RevealOf, Stage, Standing};

/// Closes a committed update that the chain shows to be over, so that another
/// one may be prepared: it is recorded as revealed if its weights are the
/// model's, and given up if its window has passed. Its key stays on file in
/// every other case, and whenever the chain cannot be asked.
///
/// Asks nothing if no committed update is on file.
///
/// # Errors
/// [`Error::Refused`] if the node serves another chain;
/// [`Error::UnknownModel`], [`Error::Rpc`], [`Error::File`].
pub async fn close_update(client: &Client, file: &mut StateFile) -> Result<()> {
    let Some(update) = &file.state.update else { return Ok(()) };
    let (Stage::Committed | Stage::RevealSigned, Some(sealed)) = (update.stage(), update.sealed)
    else {
        return Ok(());
    };
    let recorded = update.commit.as_ref().and_then(|commit| commit.epoch).unwrap_or_default();
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
    let commit_epoch = pending.map_or(recorded, |pending| pending.commit_epoch.max(recorded));
    let reveal_epoch = commit_epoch.saturating_add(1);

    let manifest = model.weights_manifest.as_ref().map(|shown| shown.manifest.checksum());
    if manifest == Some(sealed.commitment.into()) {
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
