//! Before, during and after every side effect of every step.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::model::Model;
use crate::owner::Owner;
use crate::step::{Step, Store};
use crate::tracer::{At, Effect, Ended, run};
use crate::world::World;

/// How long a process stands still for the node to execute what it was sent.
const PATIENCE: Duration = Duration::from_millis(300);

/// What came of all kills in a step.
#[derive(Debug, Default)]
struct Tally {
    kills: AtomicUsize,
    /// The chain has executed a commit or reveal that the state file knows as signed only.
    lost_answers: AtomicUsize,
    /// The store has an object that the state file knows as unfinished.
    lost_uploads: AtomicUsize,
    /// A coin was made that no state file knows.
    lost_coins: AtomicUsize,
}

/// An owner who goes one way with all of his models. Owners work side by side; each has
/// a wallet, and no coin in common.
struct Lane<'a> {
    owner: &'a Owner,
    way: &'a [(Step, Part)],
    /// Where each step is interrupted, of each model at one place.
    plan: Vec<Vec<At>>,
    models: Vec<(usize, Model)>,
}

/// All places for a step with these effects, one of those that leave the same behind.
/// What follows after one effect on the disk is the same as what comes before the next
/// one; only a message goes on its way. A process that dies takes nothing with it that
/// it has written, so before and after a sync is the same too. As long as nothing is
/// signed or uploaded, messages ask and change nothing, however many there are.
fn places(effects: &[Effect]) -> Vec<At> {
    let last = effects.len() - 1;
    let asks = |effect: &Effect| effect.is_sent && (!effect.seen || effect.call == "connect");
    let of = |(number, effect): (usize, &Effect)| {
        let changes_nothing =
            effect.call == "sync" || asks(effect) && number > 0 && asks(&effects[number - 1]);
        let before = (!changes_nothing).then_some(At::Before(number));
        let during = (effect.divisible && !asks(effect)).then_some(At::During(number));
        let is_heard = effect.is_sent && !asks(effect);
        let after = (is_heard || number == last).then_some(At::After(number));
        [before, during, after]
    };
    effects.iter().enumerate().flat_map(of).flatten().collect()
}

fn again(world: &World, owner: &Owner, model: &Model, step: Step) {
    let output = model.command(world, owner, step).output().unwrap();
    assert!(output.status.success(), "{step:?} again: {output:?}");
}

/// How much of a step is interrupted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    All,
    /// Until the encrypted weights are at the store, and the state beside them.
    Upload,
    Nothing,
}

/// Goes the whole way once without a kill, to see what there is.
fn scout(world: &World, owner: &Owner, model: &Model, way: &[(Step, Part)]) -> Vec<Vec<At>> {
    let mut plan = Vec::new();
    for (step, part) in way.iter().copied() {
        if part != Part::Nothing {
            let command = model.command(world, owner, step);
            let (mut count, mut until) = (0, None);
            let ended = run(&command, None, |effect| {
                if part == Part::Upload && until.is_none() && model.is_uploaded(world, step) {
                    until = Some(count);
                }
                count += 1;
                match effect.port == Some(world.host_port()) {
                    true => model.is_uploading(world, step),
                    false => model.is_under_way() || model.may_divide(),
                }
            });
            assert_eq!(ended.code, Some(0), "{step:?}: {ended:?}");
            let effects = &ended.effects[..until.unwrap_or(count)];
            let places = places(effects);
            println!("{step:?}: {} side effects, {} places", effects.len(), places.len());
            plan.push(places);
        } else {
            model.take(world, owner, step);
            plan.push(Vec::new());
        }
        owner.follow(world, model, step);
        if step.commits() {
            world.next_epoch();
        }
    }
    plan
}

/// Interrupts a step, looks at what is left, and runs it again.
fn interrupt(world: &World, owner: &Owner, model: &Model, step: Step, at: At, tally: &Tally) {
    let is_lost = || model.has_lost_answer(world) || model.has_lost_coin(world, owner);
    let look = |_: &Effect| {
        // The transaction may be on its way: this is when its answer gets lost.
        let deadline = Instant::now() + PATIENCE;
        let waits = matches!(at, At::After(_)) && (model.is_under_way() || model.may_divide());
        while waits && !is_lost() && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(5));
        }
        waits
    };
    let command = model.command(world, owner, step);
    let ended = run(&command, Some(at), look);
    model.check_files(world, owner);
    match ended {
        Ended { code: None, .. } => {
            let add = |to: &AtomicUsize, it: bool| to.fetch_add(it.into(), Ordering::Relaxed);
            add(&tally.kills, true);
            add(&tally.lost_answers, model.has_lost_answer(world));
            add(&tally.lost_uploads, model.has_lost_upload(world));
            add(&tally.lost_coins, model.has_lost_coin(world, owner));
        }
        // It had fewer effects this time: packets are not always cut in the same places.
        Ended { code: Some(0), .. } => {}
        other => panic!("{step:?} at {at:?}: {other:?}"),
    }
    again(world, owner, model, step);
}

/// All lanes go their ways, step by step; epochs end for all of them at once. Gives the
/// tally of each step of each lane.
fn walk(world: &World, lanes: &[Lane<'_>]) -> Vec<Vec<Tally>> {
    let tally = |lane: &Lane<'_>| lane.way.iter().map(|_| Tally::default()).collect();
    let tallies: Vec<Vec<Tally>> = lanes.iter().map(tally).collect();
    for number in 0..lanes[0].way.len() {
        thread::scope(|scope| {
            for (lane, tallies) in lanes.iter().zip(&tallies) {
                let (owner, step, tally) = (lane.owner, lane.way[number].0, &tallies[number]);
                scope.spawn(move || {
                    for (n, model) in &lane.models {
                        match lane.plan[number].get(n - 1) {
                            Some(at) => interrupt(world, owner, model, step, *at, tally),
                            None => model.take(world, owner, step),
                        }
                        owner.follow(world, model, step);
                    }
                });
            }
        });
        if lanes[0].way[number].0.commits() {
            world.next_epoch();
        }
    }
    tallies
}

/// Prints a tally of a step, and gives its kills.
fn count((step, part): (Step, Part), tallies: &[&Tally]) -> usize {
    let sum = |of: fn(&Tally) -> &AtomicUsize| {
        tallies.iter().map(|tally| of(tally).load(Ordering::Relaxed)).sum::<usize>()
    };
    let (kills, lost) = (sum(|tally| &tally.kills), sum(|tally| &tally.lost_answers));
    let (uploads, coins) = (sum(|tally| &tally.lost_uploads), sum(|tally| &tally.lost_coins));
    println!(
        "{step:?}: {kills} kills, {lost} of them between execution and answer, {uploads} \
         between upload and record, {coins} between a new coin and its record"
    );
    assert!(kills >= 15, "{step:?} was killed {kills} times only");
    let sends = part == Part::All && !matches!(step, Step::Prepare | Step::PrepareUpdate);
    let divides = sends && matches!(step, Step::Publish(_));
    assert_eq!(lost > 0, sends, "{step:?}: {lost} answers were lost");
    assert_eq!(uploads > 0, step.publishes(), "{step:?}: {uploads} uploads were lost");
    assert_eq!(coins > 0, divides, "{step:?}: {coins} coins were lost");
    kills
}

#[test]
fn killed_at_every_side_effect_and_run_again() {
    let world = World::new();
    let owners = [0, 1].map(|number| Owner::new(&world, number));
    let first = Model::new(&owners[0], 0);
    let way = Step::ALL.map(|step| (step, Part::All));
    let plan = scout(&world, &owners[0], &first, &way);

    let most = plan.iter().map(Vec::len).max().unwrap();
    let lane = |(turn, owner)| Lane {
        owner,
        way: &way,
        plan: plan.clone(),
        models: (1..=most).skip(turn).step_by(2).map(|n| (n, Model::new(owner, n))).collect(),
    };
    let lanes: Vec<Lane<'_>> = owners.iter().enumerate().map(lane).collect();
    let tallies = walk(&world, &lanes);

    let of = |(number, step): (usize, &(Step, Part))| {
        count(*step, &[&tallies[0][number], &tallies[1][number]])
    };
    let all: usize = way.iter().enumerate().map(of).sum();
    let mut active = 0;
    for (lane, scout) in lanes.into_iter().zip([Some(first), None]) {
        let mut models: Vec<_> = lane.models.into_iter().map(|(_, model)| model).collect();
        models.iter().for_each(|model| model.check_active(&world));
        active += models.len();
        models.extend(scout);
        lane.owner.settle(&world, &models);
    }
    println!("{all} kills in all; {active} models are active, and each stake was paid once");
}

/// The same for `publish`, to the host of files and to a folder, by owners without a
/// small coin: each first commit divides a large one for the reveals to come. What comes
/// after the upload is the same for both stores.
#[test]
fn published_and_killed_at_every_side_effect_and_run_again() {
    let ways = [
        [(Store::Host, Part::All), (Store::Folder, Part::Upload)],
        [(Store::Folder, Part::Upload), (Store::Host, Part::All)],
    ];
    let ways = ways.map(|[(first, part), (second, part_of_second)]| {
        [
            (Step::Publish(first), part),
            (Step::Reveal, Part::Nothing),
            (Step::PublishUpdate(second), part_of_second),
            (Step::UpdateReveal, Part::Nothing),
        ]
    });
    let world = World::new();
    let owners = [0, 1, 2, 3].map(|number| Owner::with_large_coins(&world, number));
    let (mut lanes, mut firsts) = (Vec::new(), Vec::new());
    for (pair, way) in owners.chunks(2).zip(&ways) {
        let first = Model::published(&pair[0], 0);
        let plan = scout(&world, &pair[0], &first, way);
        firsts.extend([Some(first), None]);
        let most = plan.iter().map(Vec::len).max().unwrap();
        lanes.extend(pair.iter().enumerate().map(|(turn, owner)| {
            let numbers = (1..=most).skip(turn).step_by(2);
            let models = numbers.map(|n| (n, Model::published(owner, n))).collect();
            Lane { owner, way, plan: plan.clone(), models }
        }));
    }
    let tallies = walk(&world, &lanes);

    let (mut all, mut active, mut objects) = (0, 0, 0);
    for (way, pair) in ways.iter().zip(tallies.chunks(2)) {
        let steps = way.iter().enumerate().filter(|(_, (step, _))| step.publishes());
        all += steps.map(|(n, step)| count(*step, &[&pair[0][n], &pair[1][n]])).sum::<usize>();
    }
    for (lane, first) in lanes.into_iter().zip(firsts) {
        let mut models: Vec<_> = lane.models.into_iter().map(|(_, model)| model).collect();
        active += models.len();
        models.extend(first);
        for model in &models {
            model.check_active(&world);
            objects += model.check_published(&world, lane.owner);
        }
        lane.owner.settle(&world, &models);
    }
    world.check_store(objects);
    println!(
        "{all} kills of publications; {active} models are active, each stake was paid once, \
         and one coin was made for each"
    );
}
