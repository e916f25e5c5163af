//! Keys that were used before.
//!
//! The cipher's counter starts at zero for every file, so two files under one
//! key give each other away; and a key that a reveal has published opens every
//! later file under it at once.

use std::fs;
use std::path::Path;

use soma_proto::{Address, Commitment};
use soma_rpc::Client;
use soma_wallet::file::folder_of;

use crate::state::{Round, State, StateFile, StateFolder};
use crate::{Check, Finding, Result};

/// Whether the key of a round was used for other weights before: by any state
/// file in `folder` or beside `file`, or by a reveal of the owner's models. Nobody
/// else can have revealed a key that was drawn or derived here.
///
/// # Errors
/// [`Error::Io`](crate::Error::Io), [`Error::Rpc`](crate::Error::Rpc).
pub(crate) async fn check(
    client: &Client,
    owner: Address,
    file: &StateFile,
    folder: Option<&StateFolder>,
    round: &Round,
) -> Result<Option<Finding>> {
    let finding = match on_file(file, folder, round)? {
        Some(place) => Some(format!("the key was used for other weights before: {place}")),
        None => on_chain(client, owner, round).await?,
    };
    Ok(finding.map(|message| {
        Finding::error(Check::Key, message)
            .with_remedy("prepare the weights again: every preparation has a key of its own")
    }))
}

fn on_file(
    file: &StateFile,
    folder: Option<&StateFolder>,
    round: &Round,
) -> Result<Option<String>> {
    let place = |path: &Path| fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let at_hand = place(file.path());
    // The one at hand may hold what is not saved yet.
    if has_used(&file.state, round) {
        return Ok(Some(file.path().display().to_string()));
    }
    let beside = StateFolder::new(folder_of(file.path()));
    let elsewhere = folder.filter(|folder| place(folder.path()) != place(beside.path()));
    for folder in [Some(&beside), elsewhere].into_iter().flatten() {
        for (path, state) in folder.read()? {
            let is_other = place(&path) != at_hand;
            if is_other && state.is_ok_and(|state| has_used(&state, round)) {
                return Ok(Some(path.display().to_string()));
            }
        }
    }
    Ok(None)
}

/// The same key is fine for the same ciphertext.
fn has_used(state: &State, round: &Round) -> bool {
    let ours = round.spent();
    let is_other = |commitment: Option<Commitment>| commitment != ours.weights_commitment;
    let rounds = [Some(&state.registration), state.update.as_ref()];
    let by_round = rounds.into_iter().flatten().any(|other| {
        other.decryption_key == round.decryption_key
            && is_other(other.sealed.map(|sealed| sealed.commitment))
    });
    by_round
        || state.spent.iter().any(|spent| {
            spent.key_fingerprint == ours.key_fingerprint && is_other(spent.weights_commitment)
        })
}

async fn on_chain(client: &Client, owner: Address, round: &Round) -> Result<Option<String>> {
    let sealed = round.sealed.map(|sealed| sealed.commitment);
    let keys = client.revealed_keys(&owner).await?;
    let found = keys
        .iter()
        .find(|revealed| revealed.key == round.decryption_key && Some(revealed.weights) != sealed);
    Ok(found.map(|revealed| {
        format!("everybody knows the key: model {} has revealed it", revealed.model)
    }))
}
