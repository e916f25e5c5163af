//! The node is cut off or killed at every message of every step that sends it something.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::model::Model;
use crate::owner::Owner;
use crate::relay::{Act, Cut, Look, Message, Way};
use crate::step::{Step, Store};
use crate::world::{Network, World};

/// Seconds that a command waits for an answer.
const TIMEOUT: &str = "1";

/// Where in the course of things it happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum When {
    /// Nothing is signed yet.
    Before,
    /// A transaction is on file, and the message with it or after it is lost.
    Sending,
    /// The message has reached the node, the answer gets lost.
    Answering,
    /// The node has done its part, and what it has to say gets lost.
    Waiting,
}

/// What happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fault {
    /// All connections break.
    Break,
    /// All connections break, and there are no new ones until the command has ended.
    Off,
    /// The node is killed and started again.
    Kill,
}

/// All places of a step with these messages, one of each kind before anything is signed.
fn places(messages: &[Message]) -> Vec<(When, Cut)> {
    let of = |(number, message): (usize, &Message)| match (message.under_way, message.way) {
        (true, Way::Up) => {
            vec![(When::Sending, Cut::Before(number)), (When::Answering, Cut::After(number))]
        }
        (true, Way::Down) => vec![(When::Waiting, Cut::Before(number))],
        (false, _) => Vec::new(),
    };
    let first = messages.iter().position(|message| message.under_way).unwrap();
    let early = [Cut::Before(0), Cut::After(first / 2), Cut::Before(first - 1)];
    let early = early.map(|cut| (When::Before, cut));
    early.into_iter().chain(messages.iter().enumerate().flat_map(of)).collect()
}

/// All connections break at every place; the faults that take their time come at the
/// first places of each kind.
fn faults(places: &[(When, Cut)]) -> Vec<(When, Cut, Fault)> {
    let mut seen = BTreeMap::new();
    let of = |(when, cut): &(When, Cut)| {
        let count: &mut usize = seen.entry(*when).or_default();
        *count += 1;
        let slow = match *count {
            1 => Some(Fault::Kill),
            2 => Some(Fault::Off),
            _ => None,
        };
        let faults = [Some(Fault::Break), slow].into_iter().flatten();
        faults.map(|fault| (*when, *cut, fault)).collect::<Vec<_>>()
    };
    places.iter().flat_map(of).collect()
}

fn look(model: &Model) -> Look {
    let model = model.clone();
    Box::new(move || model.is_under_way() || model.may_divide())
}

#[test]
fn cut_off_from_the_node_at_every_message_and_run_again() {
    let world = Arc::new(World::with_node());
    let owner = Owner::new(&world, 0);
    let sends = |step| !matches!(step, Step::Prepare | Step::PrepareUpdate);
    cut_off(&world, &owner, &Step::ALL, sends, Model::new);
}

/// The same for `publish`, by an owner without a small coin: each first commit divides a
/// large one for the reveals to come.
#[test]
fn cut_off_while_publishing_and_run_again() {
    let world = Arc::new(World::with_node());
    let owner = Owner::with_large_coins(&world, 0);
    let way = [
        Step::Publish(Store::Host),
        Step::Reveal,
        Step::PublishUpdate(Store::Folder),
        Step::UpdateReveal,
    ];
    cut_off(&world, &owner, &way, Step::publishes, Model::published);
}

/// Models go their way, each cut off at another place of every step that `cuts` names.
fn cut_off(
    world: &Arc<World>,
    owner: &Owner,
    way: &[Step],
    cuts: fn(Step) -> bool,
    model: fn(&Owner, usize) -> Model,
) {
    let Network::Beside(node) = &world.network else { unreachable!() };

    // Once without a fault, to see what there is.
    let scout = model(owner, 0);
    let mut plan = Vec::new();
    for step in way.iter().copied() {
        if cuts(step) {
            node.relay.watch(look(&scout), None, false);
            let output = scout.command(world, owner, step).output().unwrap();
            assert!(output.status.success(), "{step:?}: {output:?}");
            let (messages, _) = node.relay.rest();
            let faults = faults(&places(&messages));
            println!("{step:?}: {} messages, {} places", messages.len(), faults.len());
            plan.push(faults);
        } else {
            scout.take(world, owner, step);
            plan.push(Vec::new());
        }
        owner.follow(world, &scout, step);
        if step.commits() {
            world.next_epoch();
        }
    }

    let most = plan.iter().map(Vec::len).max().unwrap();
    let models: Vec<_> = (1..=most).map(|number| model(owner, number)).collect();
    let mut tally: BTreeMap<(When, Fault), usize> = BTreeMap::new();
    let mut healed = 0;
    for (step, faults) in way.iter().copied().zip(&plan) {
        for (number, model) in models.iter().enumerate() {
            let Some(&(when, cut, fault)) = faults.get(number) else {
                model.take(world, owner, step);
                owner.follow(world, model, step);
                continue;
            };
            let there = Arc::clone(world);
            let act = move || {
                if let (Fault::Kill, Network::Beside(node)) = (fault, &there.network) {
                    node.kill_and_start();
                }
            };
            let trap = Some((cut, Box::new(act) as Act));
            node.relay.watch(look(model), trap, fault == Fault::Off);
            let mut command = model.command(world, owner, step);
            let output = command.args(["--timeout", TIMEOUT]).output().unwrap();
            let (_, sprung) = node.relay.rest();
            model.check_files(world, owner);
            let code = output.status.code();
            assert!(matches!(code, Some(0 | 1 | 3)), "{step:?} {cut:?} {fault:?}: {output:?}");
            if sprung {
                *tally.entry((when, fault)).or_default() += 1;
                healed += usize::from(code == Some(0));
            } else {
                // It had fewer messages this time; a slow machine may need longer than
                // it is given here.
                let known = matches!(code, Some(0 | 3));
                assert!(known, "{step:?} {cut:?} {fault:?}: {output:?}");
            }
            let output = model.command(world, owner, step).output().unwrap();
            assert!(output.status.success(), "{step:?} again after {cut:?} {fault:?}: {output:?}");
            owner.follow(world, model, step);
        }
        if step.commits() {
            world.next_epoch();
        }
    }

    for ((when, fault), count) in &tally {
        println!("{when:?} {fault:?}: {count}");
    }
    for when in [When::Before, When::Sending, When::Answering, When::Waiting] {
        assert!(tally.keys().any(|(at, _)| *at == when), "nothing happened {when:?}");
    }
    for fault in [Fault::Break, Fault::Off, Fault::Kill] {
        assert!(tally.keys().any(|(_, what)| *what == fault), "{fault:?} did not happen");
    }
    let mut models = models;
    models.iter().for_each(|model| model.check_active(world));
    let active = models.len();
    models.push(scout);
    owner.settle(world, &models);
    println!(
        "{} faults of the node and the way to it, {healed} of them unnoticed; {active} models \
         are active, and each stake was paid once",
        tally.values().sum::<usize>()
    );
}
