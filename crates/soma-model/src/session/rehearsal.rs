//! What can be known before anything is sent, all of it at once.

use super::{Session, round};
use crate::state::{Round, StateFile, Terms};
use crate::{
    Check, Depth, Error, Finding, Network, ObjectName, Prepared, Report, Result, RevealOf, Stage,
    Standing, TypedUrl, companion, disk, embedding, payment, remote, used, weights_key,
};

impl Session<'_> {
    /// Makes all checks of the next step without sending anything: of the
    /// commit with the smallest stake, or of the reveal.
    ///
    /// # Errors
    /// [`Error::Stage`], [`Error::Rpc`].
    pub async fn check(&self, file: &StateFile) -> Result<Report> {
        let (of, current) = file.state.current();
        let mut report = self.check_ground(file).await?;
        if current.stage() == Stage::Prepared {
            let stake_amount = self.client.parameters().await?.model_min_stake;
            let terms = (of == RevealOf::Registration)
                .then_some(Terms { stake_amount, commission_rate: 0 });
            return match self.plan_commit(file, of, terms, report).await {
                Ok(prepared) => Ok(prepared.report),
                Err(Error::Refused(report)) => Ok(report),
                Err(error) => Err(error),
            };
        }
        let Some(plan) = file.state.reveal_plan(of) else {
            return Err(super::stage(file, of, "nothing to check"));
        };
        let network = Network::ask(self.client).await?;
        let standing = self.client.model(&file.state.model_id).await?.map(Standing::from);
        let sender = self.key.address();
        report.extend(plan.check(&network, standing.as_ref(), sender, self.host.scope));
        report.extend(self.look_at_host(current).await);
        let coins = self.client.coins(&sender).await?;
        let gas = self.reveal_gas(file)?;
        let (_, findings) = payment::choose(&plan.kind(), &network.parameters, &coins, &gas);
        report.extend(findings);
        Ok(report)
    }

    /// The commit with everything that its checks found, and what is known of
    /// the reveal already.
    pub(super) async fn plan_commit(
        &self,
        file: &StateFile,
        of: RevealOf,
        terms: Option<Terms>,
        mut found: Report,
    ) -> Result<Prepared> {
        found.extend(self.rehearse(file, round(file, of)?).await?);
        let (sender, unsealed) = (self.key.address(), || super::stage(file, of, "cannot commit"));
        let gas = self.commit_gas(file)?;
        match terms {
            Some(terms) => {
                let plan = file.state.commit_plan(terms).ok_or_else(unsealed)?;
                plan.prepare_after(found, self.client, sender, &gas).await
            }
            None => {
                let plan = file.state.update_plan().ok_or_else(unsealed)?;
                plan.prepare_after(found, self.client, sender, &gas).await
            }
        }
    }

    /// A state file is for one chain and one owner.
    pub(super) async fn check_ground(&self, file: &StateFile) -> Result<Report> {
        let chain = self.client.chain_id().await?;
        let mut report = Report::from_iter(super::foreign_chain(&file.state, chain));
        let sender = self.key.address();
        if let Some(owner) = file.state.owner.filter(|owner| *owner != sender) {
            report.push(
                Finding::error(
                    Check::Owner,
                    format!("the model was committed by {owner}, the sender is {sender}"),
                )
                .with_remedy("soma wallet switch chooses the sender")
                .with_failure("NotModelOwner"),
            );
        }
        Ok(report)
    }

    /// What can be known of the reveal before the commit.
    async fn rehearse(&self, file: &StateFile, round: &Round) -> Result<Report> {
        let mut report = TypedUrl::from(round.weights_url.clone()).check(self.host.scope);
        let network = Network::ask(self.client).await?;
        let newest = self.client.service_info().await?.timestamp_ms;
        report.extend(Report::from_iter(network.check_clock(newest)));
        match &round.embedding {
            Some(numbers) => {
                let dim = network.parameters.target_embedding_dim;
                report.extend(embedding::check(numbers, dim));
            }
            None => report.push(
                Finding::warning(Check::Embedding, "the embedding is not on file yet")
                    .with_remedy("it is needed for the reveal"),
            ),
        }
        let used =
            used::check(self.client, self.key.address(), file, self.till.folder(), round).await?;
        report.extend(Report::from_iter(used));
        report.extend(Report::from_iter(disk::check(file.path(), 0)));
        let host = self.look_at_host(round).await;
        let reachable = host.is_ok() && self.host.depth != Depth::Nothing;
        report.extend(host);
        if reachable {
            report.extend(Report::from_iter(self.look_at_companion(round).await));
        }
        Ok(report)
    }

    /// What the host of the weights serves.
    async fn look_at_host(&self, round: &Round) -> Report {
        let Some(sealed) = round.sealed else { return Report::default() };
        let url = round.weights_url.as_url();
        let key = Some(&round.decryption_key);
        remote::check(self.host.storage, url, &sealed, key, self.host.depth).await
    }

    /// Whether a lost machine could be replaced by phrase and host.
    async fn look_at_companion(&self, round: &Round) -> Option<Finding> {
        let name = ObjectName::of_url(round.weights_url.as_url())?;
        if weights_key(self.key, &name) != round.decryption_key {
            return None;
        }
        let url = round.weights_url.as_url();
        let found = companion::fetch(self.host.storage, url, &name, self.key).await;
        let message = match found {
            Ok(Some(state)) if state.current().1.embedding == round.embedding => return None,
            Ok(Some(_)) => "the state beside the object has another embedding",
            _ => "the state is not beside the object: if this machine is lost, so is the embedding",
        };
        let remedy = if round.upload.is_some() {
            "publish the weights again: it is written beside them then".to_owned()
        } else {
            let file = companion::path(&round.sealed_file);
            format!("upload {} to {}", file.display(), companion::url(url))
        };
        Some(Finding::warning(Check::Companion, message).with_remedy(remedy))
    }
}
