//! What the configured nodes say of chain, epoch and time.

use soma_proto::CheckpointDigest;
use soma_rpc::{Client, EpochClock};

use super::pace::Pace;

/// What all nodes said at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Pulse {
    /// One for each node, in their order.
    pub(super) votes: Vec<Vote>,
}

/// What one node said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Vote {
    /// The node.
    pub(super) url: String,
    /// Its answer, or why there is none.
    pub(super) answer: Result<Answer, String>,
}

/// The answer of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    /// The chain it serves.
    pub(super) chain_id: CheckpointDigest,
    /// The epoch of the state that it has executed.
    pub(super) clock: EpochClock,
    /// The time of its newest checkpoint, milliseconds since 1970.
    pub(super) chain_time_ms: u64,
}

impl Answer {
    /// The end of its epoch, with as much again for one that lasts longer.
    const fn last_ms(&self) -> u64 {
        let EpochClock { start_timestamp_ms, duration_ms, .. } = self.clock;
        start_timestamp_ms.saturating_add(duration_ms.saturating_mul(2))
    }
}

/// Whether the nodes agree that an epoch is running. Each names the node, by
/// its place, that stands in the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Agreement {
    /// No node answers.
    Unknown,
    /// A node serves another chain.
    OtherChain(usize),
    /// A node is in an earlier epoch.
    Early(usize),
    /// A node is in a later epoch.
    Over(usize),
    /// All that answer are in it; one does not answer.
    Silent(usize),
    /// All nodes are in it.
    Full,
}

impl Pulse {
    /// Asks all nodes at once.
    pub(super) async fn take(nodes: &[Client], pace: Option<Pace>) -> Self {
        let asked = nodes.iter().map(|node| ask(node, pace));
        Self { votes: futures::future::join_all(asked).await }
    }

    /// Whether the nodes agree that `epoch` is running on a chain. Any node
    /// that answers can say no: sending a reveal too early gives the key away.
    pub(super) fn agreement(&self, chain: Option<CheckpointDigest>, epoch: u64) -> Agreement {
        let find = |wanted: &dyn Fn(&Answer) -> bool| {
            self.votes.iter().position(|vote| vote.answer.as_ref().is_ok_and(wanted))
        };
        let chain = chain.or_else(|| self.answers().next().map(|answer| answer.chain_id));
        if let Some(node) = find(&|answer| Some(answer.chain_id) != chain) {
            return Agreement::OtherChain(node);
        }
        if let Some(node) = find(&|answer| answer.clock.epoch < epoch) {
            return Agreement::Early(node);
        }
        if let Some(node) = find(&|answer| answer.clock.epoch > epoch) {
            return Agreement::Over(node);
        }
        let silent = self.votes.iter().position(|vote| vote.answer.is_err());
        match silent {
            None if !self.votes.is_empty() => Agreement::Full,
            Some(node) if self.answers().next().is_some() => Agreement::Silent(node),
            _ => Agreement::Unknown,
        }
    }

    /// The clock of the node that is farthest.
    pub(super) fn clock(&self) -> Option<EpochClock> {
        self.answers().map(|answer| answer.clock).max_by_key(|clock| clock.epoch)
    }

    /// The time on the chain, as well as it can be known: the later one of
    /// this machine's and the newest checkpoint's. A time that no node's epoch can
    /// have reached does not count.
    pub(super) fn time_ms(&self, local_ms: u64) -> u64 {
        let last_ms = self.answers().map(Answer::last_ms).min().unwrap_or_default();
        let told = self.answers().map(|answer| answer.chain_time_ms);
        told.filter(|told| *told <= last_ms).fold(local_ms, u64::max)
    }

    /// Places of the nodes to talk to, the best first: those that answer,
    /// beginning with another one after each failure, then the others.
    pub(super) fn order(&self, failures: u32) -> Vec<usize> {
        let (mut good, bad): (Vec<_>, Vec<_>) =
            (0..self.votes.len()).partition(|node| self.votes[*node].answer.is_ok());
        if !good.is_empty() {
            let turns = failures as usize % good.len();
            good.rotate_left(turns);
        }
        good.extend(bad);
        good
    }

    fn answers(&self) -> impl Iterator<Item = &Answer> {
        self.votes.iter().filter_map(|vote| vote.answer.as_ref().ok())
    }
}

async fn ask(node: &Client, pace: Option<Pace>) -> Vote {
    // Nothing is known of the epochs before the first answer.
    let patience = pace.unwrap_or(Pace::new(60_000)).patience();
    let questions = futures::future::try_join(node.service_info(), node.epoch_info());
    let answer = match tokio::time::timeout(patience, questions).await {
        Ok(Ok((service, epoch))) => match service.chain_id {
            Some(chain_id) => Ok(Answer {
                chain_id,
                clock: EpochClock {
                    epoch: epoch.epoch,
                    start_timestamp_ms: epoch.start_timestamp_ms,
                    duration_ms: epoch.parameters.epoch_duration_ms,
                },
                chain_time_ms: service.timestamp_ms.unwrap_or(epoch.start_timestamp_ms),
            }),
            None => Err("it does not name its chain".to_owned()),
        },
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("no answer within {} s", patience.as_secs_f64())),
    };
    Vote { url: node.url().to_owned(), answer }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::watch) const CHAIN: CheckpointDigest = CheckpointDigest::new([1; 32]);
    const OTHER: CheckpointDigest = CheckpointDigest::new([2; 32]);

    /// Nodes in these epochs; one that is in none does not answer.
    pub(in crate::watch) fn pulse(epochs: &[Option<u64>]) -> Pulse {
        let vote = |(place, epoch): (usize, &Option<u64>)| Vote {
            url: format!("http://node{place}/"),
            answer: epoch.ok_or_else(|| "refused".to_owned()).map(|epoch| Answer {
                chain_id: CHAIN,
                clock: EpochClock {
                    epoch,
                    start_timestamp_ms: epoch * 60_000,
                    duration_ms: 60_000,
                },
                chain_time_ms: epoch * 60_000 + place as u64,
            }),
        };
        Pulse { votes: epochs.iter().enumerate().map(vote).collect() }
    }

    #[test]
    fn every_node_that_answers_has_a_say() {
        let agreement = |epochs: &[Option<u64>]| pulse(epochs).agreement(Some(CHAIN), 5);
        assert_eq!(agreement(&[]), Agreement::Unknown);
        assert_eq!(agreement(&[None, None]), Agreement::Unknown);
        assert_eq!(agreement(&[Some(5)]), Agreement::Full);
        assert_eq!(agreement(&[Some(5), Some(5)]), Agreement::Full);
        assert_eq!(agreement(&[Some(5), None]), Agreement::Silent(1));
        assert_eq!(agreement(&[Some(5), Some(4)]), Agreement::Early(1));
        assert_eq!(agreement(&[Some(4), None]), Agreement::Early(0));
        assert_eq!(agreement(&[Some(6), Some(5)]), Agreement::Over(0));
        assert_eq!(agreement(&[Some(6), Some(4)]), Agreement::Early(1), "in doubt, too early");
    }

    #[test]
    fn a_node_of_another_chain_is_not_asked_for_the_time() {
        let mut both = pulse(&[Some(5), Some(5)]);
        both.votes[1].answer.as_mut().unwrap().chain_id = OTHER;
        assert_eq!(both.agreement(Some(CHAIN), 5), Agreement::OtherChain(1));
        assert_eq!(both.agreement(None, 5), Agreement::OtherChain(1));
        assert_eq!(both.agreement(Some(OTHER), 5), Agreement::OtherChain(0));
    }

    #[test]
    fn the_time_is_the_latest_that_anybody_tells() {
        assert_eq!(pulse(&[Some(5), Some(5), None]).time_ms(7), 300_001);
        assert_eq!(pulse(&[Some(5)]).time_ms(400_000), 400_000);
        assert_eq!(pulse(&[Some(4), Some(5), None]).clock().unwrap().epoch, 5);
        assert_eq!(pulse(&[None]).clock(), None);
    }

    #[test]
    fn a_time_that_cannot_be_is_not_believed() {
        let mut one = pulse(&[Some(5), Some(5)]);
        let told = |pulse: &mut Pulse, at_ms| {
            pulse.votes[0].answer.as_mut().unwrap().chain_time_ms = at_ms;
            pulse.time_ms(300_000)
        };
        assert_eq!(told(&mut one, 420_000), 420_000, "an epoch that lasts longer");
        for false_ms in [420_001, 4_070_908_800_000, u64::MAX] {
            assert_eq!(told(&mut one, false_ms), 300_001, "the other one is right");
        }
        // Nor if the node names an epoch that suits it.
        let clock = &mut one.votes[0].answer.as_mut().unwrap().clock;
        clock.start_timestamp_ms = 4_070_908_800_000;
        assert_eq!(told(&mut one, 4_070_908_800_000), 300_001);
    }

    #[test]
    fn after_a_failure_another_node_is_tried() {
        let pulse = pulse(&[None, Some(5), Some(5)]);
        assert_eq!(pulse.order(0), [1, 2, 0]);
        assert_eq!(pulse.order(1), [2, 1, 0]);
        assert_eq!(pulse.order(2), [1, 2, 0]);
    }
}
