//! Before, during and after every side effect of every step.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::owner::{Model, Owner, Step, World};
use crate::tracer::{At, Effect, Ended, run};

/// Owners that work side by side; each has a wallet, and no coin in common.
const OWNERS: usize = 2;
/// How long a process stands still for the node to execute what it was sent.
const PATIENCE: Duration = Duration::from_millis(300);

/// What came of all kills.
#[derive(Default)]
struct Tally {
    kills: AtomicUsize,
    lost_answers: AtomicUsize,
}

/// All places for a step with these effects, one of those that leave the same behind.
/// What follows after one effect on the disk is the same as what comes before the next
/// one; only a message goes on its way. A process that dies takes nothing with it that
/// it has written, so before and after a sync is the same too. As long as nothing is
/// signed, messages ask and change nothing.
fn places(effects: &[Effect]) -> Vec<At> {
    let last = effects.len() - 1;
    let of = |(number, effect): (usize, &Effect)| {
        let before = (effect.call != "sync").then_some(At::Before(number));
        let asks = effect.is_sent && (!effect.seen || effect.call == "connect");
        let during = (effect.divisible && !asks).then_some(At::During(number));
        let is_heard = effect.is_sent && !asks;
        let after = (is_heard || number == last).then_some(At::After(number));
        [before, during, after]
    };
    effects.iter().enumerate().flat_map(of).flatten().collect()
}

fn again(world: &World, owner: &Owner, model: &Model, step: Step) {
    let output = model.command(world, owner, step).output().unwrap();
    assert!(output.status.success(), "{step:?} again: {output:?}");
}

/// Interrupts a step, looks at what is left, and runs it again.
fn interrupt(world: &World, owner: &Owner, model: &Model, step: Step, at: At, tally: &Tally) {
    let look = || {
        // The transaction may be on its way: this is when its answer gets lost.
        let deadline = Instant::now() + PATIENCE;
        let waits = matches!(at, At::After(_)) && model.is_under_way();
        while waits && !model.has_lost_answer(world) && Instant::now() < deadline {
            thread::yield_now();
        }
        waits
    };
    let command = model.command(world, owner, step);
    let ended = run(&command, Some(at), look);
    model.check_files(owner);
    match ended {
        Ended { code: None, .. } => {
            tally.kills.fetch_add(1, Ordering::Relaxed);
            let lost = usize::from(model.has_lost_answer(world));
            tally.lost_answers.fetch_add(lost, Ordering::Relaxed);
        }
        // It had fewer effects this time: packets are not always cut in the same places.
        Ended { code: Some(0), .. } => {}
        other => panic!("{step:?} at {at:?}: {other:?}"),
    }
    again(world, owner, model, step);
}

#[test]
fn killed_at_every_side_effect_and_run_again() {
    let world = World::new();
    let owners: Vec<_> = (0..OWNERS).map(|number| Owner::new(&world, number)).collect();

    // Once without a kill, to see what there is.
    let scout = Model::new(&owners[0], 0);
    let mut plan = BTreeMap::new();
    for (number, step) in Step::ALL.into_iter().enumerate() {
        let command = scout.command(&world, &owners[0], step);
        let ended = run(&command, None, || scout.is_under_way());
        assert_eq!(ended.code, Some(0), "{step:?}: {ended:?}");
        let places = places(&ended.effects);
        println!("{step:?}: {} side effects, {} places", ended.effects.len(), places.len());
        plan.insert(number, places);
        after(&world, &scout, step);
        if matches!(step, Step::Commit | Step::UpdateCommit) {
            world.next_epoch();
        }
    }

    let most = plan.values().map(Vec::len).max().unwrap();
    let models: Vec<Vec<_>> = owners
        .iter()
        .enumerate()
        .map(|(turn, owner)| {
            (1..=most).skip(turn).step_by(OWNERS).map(|n| (n, Model::new(owner, n))).collect()
        })
        .collect();
    let tallies: Vec<_> = plan.iter().map(|_| Tally::default()).collect();
    for (number, step) in Step::ALL.into_iter().enumerate() {
        let (places, tally, world) = (&plan[&number], &tallies[number], &world);
        thread::scope(|scope| {
            for (owner, models) in owners.iter().zip(&models) {
                scope.spawn(move || {
                    for (n, model) in models {
                        match places.get(n - 1) {
                            Some(at) => interrupt(world, owner, model, step, *at, tally),
                            None => model.take(world, owner, step),
                        }
                        after(world, model, step);
                    }
                });
            }
        });
        if matches!(step, Step::Commit | Step::UpdateCommit) {
            world.next_epoch();
        }
    }

    let mut all = 0;
    for (step, tally) in Step::ALL.into_iter().zip(&tallies) {
        let count = |of: &AtomicUsize| of.load(Ordering::Relaxed);
        let (kills, lost) = (count(&tally.kills), count(&tally.lost_answers));
        println!("{step:?}: {kills} kills, {lost} of them between execution and answer");
        assert!(kills >= 20, "{step:?} was killed {kills} times only");
        let sends = !matches!(step, Step::Prepare | Step::PrepareUpdate);
        assert_eq!(lost > 0, sends, "{step:?}: {lost} answers were lost");
        all += kills;
    }
    let mut active = 0;
    for (turn, (owner, models)) in owners.iter().zip(models).enumerate() {
        let mut models: Vec<_> = models.into_iter().map(|(_, model)| model).collect();
        models.iter().for_each(|model| model.check_active(&world));
        active += models.len();
        if turn == 0 {
            models.push(scout.clone());
        }
        owner.settle(&world, &models);
    }
    println!("{all} kills in all; {active} models are active, and each stake was paid once");
}

/// What the owner does himself after a step.
fn after(world: &World, model: &Model, step: Step) {
    if matches!(step, Step::Prepare | Step::PrepareUpdate) {
        model.upload(world);
    }
}
