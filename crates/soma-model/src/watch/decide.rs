//! What to do for a model at this moment: a function of what is known.
//!
//! Nothing here asks, waits or sends. Time comes in as the time on the chain, and
//! as a moment of a clock that never jumps, by which pauses go; chance comes in as
//! a number. The same view always gives the same decision.

use std::time::{Duration, Instant};

use super::pace::{ALARMS, Pace};
use super::pulse::Agreement;
use crate::{Next, Phase, RevealWindow, Stage};

/// What is known of a model.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct View {
    /// The time on the chain, milliseconds since 1970.
    pub(super) now_ms: u64,
    /// The same moment on the clock that never jumps.
    pub(super) moment: Instant,
    /// What state file and chain say is to be done.
    pub(super) next: Next,
    /// How far the state file says it has come.
    pub(super) stage: Stage,
    /// The window of the reveal that is due, if one is: of the commit on file,
    /// or of the one that the chain shows if that is later.
    pub(super) window: Option<RevealWindow>,
    /// Whether the chain shows that something waits for its reveal.
    pub(super) shown: bool,
    /// The epoch of the node that is farthest, if one answers.
    pub(super) epoch: Option<u64>,
    /// Whether the nodes agree that the window is open.
    pub(super) agreement: Agreement,
    /// Whether the model has weights that validators fetch.
    pub(super) served: bool,
    /// How long an epoch lasts.
    pub(super) pace: Pace,
    /// How often what is served is looked at.
    pub(super) look_every: Duration,
    /// What was done so far.
    pub(super) past: Past,
    /// Where in the beginning of the window it is this model's turn, 0 to 1.
    pub(super) turn: f64,
}

/// What was done for a model so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Past {
    /// When the reveal was rehearsed with success, since its commit.
    pub(super) ready_ms: Option<u64>,
    /// Failures in a row.
    pub(super) failures: u32,
    /// Not before this moment is something tried again after a failure.
    pub(super) again: Option<Instant>,
    /// The highest alarm that was given for this window, in percent.
    pub(super) told_percent: u8,
    /// When the served weights were looked at.
    pub(super) inspected: Option<Instant>,
}

/// What is to be done now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Nothing.
    Rest,
    /// Find out what became of a signed transaction.
    Settle,
    /// Make all checks of the reveal, and sign it.
    Rehearse,
    /// Send the reveal.
    Reveal,
    /// Look at the weights that validators fetch.
    Inspect,
}

/// What is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Waiting {
    /// The owner commits.
    Commit,
    /// A signed transaction is accounted for.
    Outcome,
    /// The window opens.
    Window,
    /// A node serves the right chain.
    Chain(usize),
    /// A node reaches the epoch of the window.
    Node(usize),
    /// A node that does not answer comes back, or its grace ends.
    Grace(usize),
    /// Any node answers.
    Network,
    /// The reveal has its turn, or is tried again.
    Turn,
    /// The time for the next look at what is served.
    Look,
    /// Nothing: it is lost, or over.
    Nothing,
}

/// What follows from a view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Decision {
    /// What to do.
    pub(super) step: Step,
    /// What is waited for.
    pub(super) waiting: Waiting,
    /// An alarm that is due: so many percent of the window are over.
    pub(super) alarm: Option<u8>,
    /// When to decide again, if nothing changes before.
    pub(super) wake_ms: u64,
}

impl View {
    /// Whether a signed reveal may be sent: every node is in the epoch of its
    /// window, or those that do not answer have had their time.
    pub(super) fn may_send(&self) -> bool {
        self.window.is_some_and(|window| match self.agreement {
            Agreement::Full => true,
            Agreement::Silent(_) => {
                self.now_ms.saturating_sub(window.opens_at_ms) >= self.pace.grace_ms()
            }
            _ => false,
        })
    }

    /// What is left of the pause after a failure.
    pub(super) fn pause(&self) -> Duration {
        let left = |again: Instant| again.saturating_duration_since(self.moment);
        self.past.again.map_or(Duration::ZERO, left)
    }

    /// The time on the chain after this one.
    fn after(&self, left: Duration) -> u64 {
        self.now_ms.saturating_add(left.as_millis().try_into().unwrap_or(u64::MAX))
    }
}

/// Decides.
pub(super) fn decide(view: &View) -> Decision {
    let rest = |waiting, wake_ms| Decision { step: Step::Rest, waiting, alarm: None, wake_ms };
    let far = view.now_ms.saturating_add(view.pace.poll_ms(u64::MAX));
    let decision = match (view.next, view.stage, view.window) {
        (Next::Settle, _, None)
        | (Next::Settle, Stage::CommitSigned, _)
        | (_, Stage::CommitSigned, Some(_)) => trying(view, Step::Settle, Waiting::Outcome),
        (Next::Settle, _, Some(window)) if !view.shown => unshown(view, &window),
        (Next::Wait | Next::Reveal | Next::Settle, _, Some(window)) => reveal(view, &window),
        (Next::Prepare | Next::Commit, ..) => rest(Waiting::Commit, far),
        _ => rest(Waiting::Nothing, far),
    };
    if decision.step != Step::Rest || !view.served {
        return decision;
    }
    let look = view.past.inspected.map_or(Duration::ZERO, |at| {
        view.look_every.saturating_sub(view.moment.saturating_duration_since(at))
    });
    let idle = matches!(decision.waiting, Waiting::Nothing | Waiting::Commit);
    let waiting = if idle { Waiting::Look } else { decision.waiting };
    // A look may take a while, so it keeps clear of an open window.
    let in_window = view.window.is_some_and(|window| {
        view.now_ms.saturating_add(view.pace.lead_ms()) >= window.opens_at_ms
            && !matches!(view.agreement, Agreement::Over(_))
    });
    match look.is_zero() {
        true if !in_window => Decision { step: Step::Inspect, waiting, ..decision },
        true => Decision { waiting, ..decision },
        false => Decision { waiting, wake_ms: decision.wake_ms.min(view.after(look)), ..decision },
    }
}

/// A step that is taken at once, or after the pause of its last failure.
fn trying(view: &View, step: Step, waiting: Waiting) -> Decision {
    let pause = view.pause();
    let step = if pause.is_zero() { step } else { Step::Rest };
    Decision { step, waiting, alarm: None, wake_ms: view.after(pause) }
}

/// A commit that is on file, while the node that was asked knows of nothing to
/// reveal: that was done, or the node is behind.
fn unshown(view: &View, window: &RevealWindow) -> Decision {
    let decision = match view.agreement {
        // No reveal can have been executed before its window.
        Agreement::Early(node) => before(view, window, node),
        _ => trying(view, Step::Settle, Waiting::Outcome),
    };
    Decision { alarm: alarm(view, window), ..decision }
}

/// A reveal that is due in a window.
fn reveal(view: &View, window: &RevealWindow) -> Decision {
    let go = |view| trying(view, Step::Reveal, Waiting::Turn);
    let turn_ms = window.opens_at_ms.saturating_add(view.pace.delay_ms(view.turn));
    let wait = |waiting, wake_ms| Decision { step: Step::Rest, waiting, alarm: None, wake_ms };
    let soon = view.now_ms.saturating_add(view.pace.poll_ms(0));
    let decision = match view.agreement {
        Agreement::Full if view.now_ms < turn_ms => wait(Waiting::Turn, turn_ms),
        Agreement::Full => go(view),
        Agreement::Silent(node) if !view.may_send() => {
            wait(Waiting::Grace(node), window.opens_at_ms.saturating_add(view.pace.grace_ms()))
        }
        Agreement::Silent(_) => go(view),
        Agreement::Early(node) => before(view, window, node),
        Agreement::OtherChain(node) => wait(Waiting::Chain(node), soon),
        Agreement::Unknown => wait(Waiting::Network, soon),
        Agreement::Over(_) => wait(Waiting::Nothing, soon),
    };
    Decision { alarm: alarm(view, window), ..decision }
}

/// The time before the window, as long as one node is in it.
fn before(view: &View, window: &RevealWindow, node: usize) -> Decision {
    // Once as soon as possible, to tell troubles early; once more shortly before.
    let lead_ms = window.opens_at_ms.saturating_sub(view.pace.lead_ms());
    // A time that has not come yet is one of a clock that was set back.
    let again = view.past.ready_ms.is_some_and(|at| at < lead_ms || at > view.now_ms);
    let due = view.past.ready_ms.is_none() || (again && view.now_ms >= lead_ms);
    // Some nodes have passed the boundary, this one has not.
    let waiting = if is_open(view, window) { Waiting::Node(node) } else { Waiting::Window };
    if due {
        return trying(view, Step::Rehearse, waiting);
    }
    let left_ms = window.opens_at_ms.saturating_sub(view.now_ms);
    let mut wake_ms = view.now_ms.saturating_add(view.pace.poll_ms(left_ms));
    if again {
        wake_ms = wake_ms.min(lead_ms.max(view.now_ms));
    }
    Decision { step: Step::Rest, waiting, alarm: None, wake_ms }
}

/// Whether any node has reached the window.
fn is_open(view: &View, window: &RevealWindow) -> bool {
    view.epoch.is_some_and(|epoch| window.phase(epoch) == Phase::Open)
}

/// The alarm that is due: the window is open, as far as anybody can tell, and
/// the model is not revealed.
fn alarm(view: &View, window: &RevealWindow) -> Option<u8> {
    // Without a node only the clock is left.
    if view.epoch.is_some() && !is_open(view, window) {
        return None;
    }
    let passed_ms = u128::from(view.now_ms.checked_sub(window.opens_at_ms)?);
    let length_ms = window.closes_at_ms.saturating_sub(window.opens_at_ms).max(1);
    let percent = passed_ms * 100 / u128::from(length_ms);
    let reached = ALARMS.into_iter().rfind(|level| u128::from(*level) <= percent)?;
    (reached > view.past.told_percent).then_some(reached)
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use super::*;

    /// When it was 0 o'clock.
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);

    /// Epochs of 100 s; the window of a commit in epoch 4 is that of epoch 5.
    const EPOCH_MS: u64 = 100_000;
    const OPENS: u64 = 5 * EPOCH_MS;
    const WINDOW: RevealWindow =
        RevealWindow { reveal_epoch: 5, opens_at_ms: OPENS, closes_at_ms: OPENS + EPOCH_MS };

    /// Committed, at a time, with nodes in these epochs.
    fn committed(now_ms: u64, epochs: &[Option<u64>]) -> View {
        let pulse = super::super::pulse::tests::pulse(epochs);
        let epoch = pulse.clock().map(|clock| clock.epoch);
        let next = match epoch.map(|epoch| WINDOW.phase(epoch)) {
            Some(Phase::Open) => Next::Reveal,
            Some(Phase::Missed) => Next::Lost,
            _ => Next::Wait,
        };
        View {
            now_ms,
            moment: *START + Duration::from_millis(now_ms),
            next,
            stage: Stage::Committed,
            window: Some(WINDOW),
            shown: true,
            epoch,
            agreement: pulse.agreement(None, 5),
            served: false,
            pace: Pace::new(EPOCH_MS),
            look_every: Duration::from_secs(2),
            past: Past::default(),
            turn: 0.5,
        }
    }

    fn ready(mut view: View, ready_ms: u64) -> View {
        view.past.ready_ms = Some(ready_ms);
        view
    }

    fn moment(now_ms: u64) -> Option<Instant> {
        Some(*START + Duration::from_millis(now_ms))
    }

    /// The same view at another time.
    fn at(view: &View, now_ms: u64) -> View {
        View { now_ms, moment: moment(now_ms).unwrap(), ..view.clone() }
    }

    fn step(view: &View) -> (Step, Waiting) {
        let decision = decide(view);
        assert!(
            decision.step != Step::Rest || decision.wake_ms > view.now_ms,
            "it would decide for ever: {decision:?}"
        );
        (decision.step, decision.waiting)
    }

    #[test]
    fn the_life_of_a_commit() {
        let node = [Some(4)];
        let lead = OPENS - EPOCH_MS / 8;
        // Rehearsed at once, and again shortly before.
        let mut view = committed(OPENS - 90_000, &node);
        assert_eq!(step(&view), (Step::Rehearse, Waiting::Window));
        view = ready(view, OPENS - 90_000);
        assert_eq!(step(&view), (Step::Rest, Waiting::Window));
        assert_eq!(step(&ready(committed(lead - 1, &node), OPENS - 90_000)).0, Step::Rest);
        assert_eq!(step(&ready(committed(lead, &node), OPENS - 90_000)).0, Step::Rehearse);
        assert_eq!(step(&ready(committed(lead + 1, &node), lead)).0, Step::Rest);
        // The clock alone opens no window: the epoch may last longer.
        for late in [0, 1, 50_000, 500_000] {
            let view = ready(committed(OPENS + late, &node), lead);
            assert_eq!(step(&view), (Step::Rest, Waiting::Window));
            assert_eq!(decide(&view).alarm, None);
        }
        // The nodes do; its turn is in the first twentieth.
        let open = [Some(5)];
        let view = ready(committed(OPENS + 2_499, &open), lead);
        assert_eq!(decide(&view).wake_ms, OPENS + 2_500);
        assert_eq!(step(&view), (Step::Rest, Waiting::Turn));
        assert_eq!(step(&committed(OPENS + 2_500, &open)).0, Step::Reveal, "ready or not");
        assert_eq!(step(&committed(OPENS + 99_999, &open)).0, Step::Reveal, "to the last moment");
    }

    #[test]
    fn a_node_that_is_behind_forbids_the_reveal() {
        for passed in [0, 30_000, 60_000, 99_999] {
            let view = ready(committed(OPENS + passed, &[Some(5), Some(4)]), OPENS - 1);
            assert_eq!(step(&view), (Step::Rest, Waiting::Node(1)));
            let view = ready(committed(OPENS + passed, &[Some(4), None, Some(5)]), OPENS - 1);
            assert_eq!(step(&view), (Step::Rest, Waiting::Node(0)));
        }
        let view = committed(OPENS + 99_999, &[Some(5), Some(6)]);
        assert_eq!(step(&view).0, Step::Rest, "a node is past the window: it would be in vain");
    }

    #[test]
    fn a_node_that_is_gone_is_waited_for_a_quarter_of_the_window() {
        let at = |passed| ready(committed(OPENS + passed, &[None, Some(5)]), OPENS - 1);
        assert_eq!(step(&at(24_999)), (Step::Rest, Waiting::Grace(0)));
        assert_eq!(decide(&at(24_999)).wake_ms, OPENS + 25_000);
        assert_eq!(step(&at(25_000)).0, Step::Reveal);
        let nobody = ready(committed(OPENS + 25_000, &[None, None]), OPENS - 1);
        assert_eq!(step(&nobody), (Step::Rest, Waiting::Network));
    }

    #[test]
    fn failures_are_repeated_after_a_pause() {
        let mut view = committed(OPENS + 10_000, &[Some(5)]);
        view.past.again = moment(OPENS + 10_001);
        assert_eq!(step(&view), (Step::Rest, Waiting::Turn));
        assert_eq!(decide(&view).wake_ms, OPENS + 10_001);
        assert_eq!(step(&at(&view, OPENS + 10_001)).0, Step::Reveal);
        let mut view = committed(OPENS - 90_000, &[Some(4)]);
        view.past.again = moment(OPENS - 89_000);
        assert_eq!(step(&view), (Step::Rest, Waiting::Window));
        assert_eq!(step(&at(&view, OPENS - 89_000)).0, Step::Rehearse);
    }

    #[test]
    fn a_clock_that_is_set_back_lengthens_no_pause() {
        // It was a day ahead when the first try failed and the weights were seen.
        let wrong = committed(OPENS + 86_400_000, &[Some(5)]);
        let mut right = committed(OPENS + 10_000, &[Some(5)]);
        right.past.again = Some(wrong.moment + Duration::from_millis(500));
        right.past.inspected = Some(wrong.moment);
        right.moment = wrong.moment + Duration::from_millis(499);
        assert_eq!(step(&right), (Step::Rest, Waiting::Turn));
        assert_eq!(decide(&right).wake_ms, OPENS + 10_001);
        right.moment += Duration::from_millis(1);
        assert_eq!(step(&right).0, Step::Reveal);
        (right.next, right.window, right.served) = (Next::Nothing, None, true);
        assert_eq!(decide(&right).wake_ms, OPENS + 11_500);
        right.moment += Duration::from_millis(1_500);
        assert_eq!(step(&right).0, Step::Inspect);
        // So it was when the reveal was rehearsed.
        let lead = OPENS - EPOCH_MS / 8;
        let view = |now| ready(committed(now, &[Some(4)]), OPENS + 86_400_000);
        assert_eq!(step(&view(lead - 1)).0, Step::Rest);
        assert_eq!(step(&view(lead)).0, Step::Rehearse);
        // The last moment there is.
        right.now_ms = u64::MAX;
        assert_eq!(decide(&right).step, Step::Inspect);
        right.past.inspected = Some(right.moment);
        assert_eq!(decide(&right).wake_ms, u64::MAX);
    }

    #[test]
    fn alarms_at_parts_of_the_window_each_once() {
        let alarms = |epochs: &[Option<u64>], told| {
            [0, 24_999, 25_000, 49_999, 50_000, 75_000, 89_999, 90_000, 250_000].map(|passed| {
                let mut view = committed(OPENS + passed, epochs);
                view.next = Next::Reveal;
                view.past.told_percent = told;
                decide(&view).alarm.unwrap_or_default()
            })
        };
        assert_eq!(alarms(&[Some(5)], 0), [0, 0, 25, 25, 50, 75, 75, 90, 90]);
        assert_eq!(alarms(&[Some(5)], 50), [0, 0, 0, 0, 0, 75, 75, 90, 90]);
        assert_eq!(alarms(&[Some(5)], 90), [0; 9]);
        assert_eq!(alarms(&[Some(4), Some(5)], 25), [0, 0, 0, 0, 50, 75, 75, 90, 90]);
        assert_eq!(alarms(&[None], 0), [0, 0, 25, 25, 50, 75, 75, 90, 90], "by the clock alone");
        assert_eq!(alarms(&[Some(4)], 0), [0; 9], "the epoch lasts longer");
    }

    #[test]
    fn what_is_signed_and_not_known_is_settled_first() {
        let mut view = committed(OPENS - 90_000, &[Some(4)]);
        view.stage = Stage::CommitSigned;
        assert_eq!(step(&view), (Step::Settle, Waiting::Outcome));
        assert!(!view.may_send());
        (view.next, view.window) = (Next::Settle, None);
        assert_eq!(step(&view).0, Step::Settle);
        view.past.again = moment(OPENS);
        assert_eq!(step(&view), (Step::Rest, Waiting::Outcome));
        let mut view = committed(OPENS + 50_000, &[Some(5)]);
        (view.stage, view.next) = (Stage::RevealSigned, Next::Settle);
        assert_eq!(step(&view).0, Step::Reveal, "sending it again settles it");
        view.next = Next::Wait;
        view.agreement = Agreement::Early(0);
        assert_eq!(step(&view).0, Step::Rehearse, "but never too early");
    }

    #[test]
    fn what_the_node_asked_does_not_show_is_sent_by_agreement_only() {
        let unshown = |passed, epochs: &[Option<u64>]| {
            let mut view = committed(OPENS - 90_000 + passed, epochs);
            (view.stage, view.next, view.shown) = (Stage::RevealSigned, Next::Settle, false);
            view
        };
        // Whatever one node says, another one is in the epoch of the commit.
        for epochs in [&[Some(4)][..], &[Some(5), Some(4)], &[Some(6), Some(4)], &[None, Some(4)]] {
            let view = unshown(90_000, epochs);
            assert_eq!(step(&view).0, Step::Rehearse, "nothing can have become of it yet");
            assert_eq!(step(&ready(view.clone(), OPENS)).0, Step::Rest);
            assert!(!view.may_send());
        }
        // It was executed, or the node that was asked is behind.
        let view = unshown(90_000, &[Some(5), Some(5)]);
        assert_eq!((step(&view).0, view.may_send()), (Step::Settle, true));
        let silent = |passed: u64| unshown(90_000 + passed, &[Some(5), None]);
        assert_eq!((step(&silent(24_999)).0, silent(24_999).may_send()), (Step::Settle, false));
        assert_eq!((step(&silent(25_000)).0, silent(25_000).may_send()), (Step::Settle, true));
        for epochs in [&[Some(6)][..], &[Some(5), Some(6)], &[None, None]] {
            let view = unshown(200_000, epochs);
            assert_eq!((step(&view).0, view.may_send()), (Step::Settle, false));
        }
        let mut other = unshown(90_000, &[Some(5), Some(5)]);
        other.agreement = Agreement::OtherChain(1);
        assert_eq!((step(&other).0, other.may_send()), (Step::Settle, false));
        let mut unknown = unshown(90_000, &[Some(5)]);
        unknown.window = None;
        assert_eq!((step(&unknown).0, unknown.may_send()), (Step::Settle, false));
    }

    #[test]
    fn what_is_served_is_looked_at_but_not_during_a_window() {
        let mut view = committed(OPENS, &[Some(5)]);
        (view.next, view.window, view.served) = (Next::Nothing, None, true);
        view.stage = Stage::Revealed;
        assert_eq!(step(&view), (Step::Inspect, Waiting::Look));
        view.past.inspected = moment(OPENS);
        assert_eq!(step(&view), (Step::Rest, Waiting::Look));
        view = at(&view, OPENS + 2_000);
        assert_eq!(step(&view).0, Step::Inspect);
        view.next = Next::Lost;
        assert_eq!(step(&view).0, Step::Inspect, "a dropped update leaves the old weights");
        view.served = false;
        assert_eq!(step(&view), (Step::Rest, Waiting::Nothing));

        let mut view = ready(committed(OPENS - 90_000, &[Some(4)]), OPENS - 95_000);
        view.served = true;
        assert_eq!(step(&view), (Step::Inspect, Waiting::Window));
        view = at(&view, OPENS - EPOCH_MS / 8);
        view.past.ready_ms = Some(view.now_ms);
        assert_eq!(step(&view), (Step::Rest, Waiting::Window), "the window is near");
    }

    #[test]
    fn what_is_not_committed_is_left_to_its_owner() {
        let mut view = committed(OPENS, &[Some(5)]);
        for (next, stage) in [(Next::Prepare, Stage::Unsealed), (Next::Commit, Stage::Prepared)] {
            (view.next, view.stage, view.window) = (next, stage, None);
            assert_eq!(step(&view), (Step::Rest, Waiting::Commit));
        }
    }
}
