//! The simulation: the real pure halves of agents, hub, sessions and publishers, and a model of the
//! API server, in one event loop under one virtual clock and one seed.
//!
//! There is no runtime, no thread and no real time in a world: what the shells do around the machines
//! is made anew here, as thin as they are. `cargo xtask sim` runs many seeds, one world a core, and
//! `cargo xtask sim --seed S` one of them with its whole log; `cargo xtask sim --replay FILE` shows
//! what a hub's fleet was told, and what it made of it.
//!
//! Two things are excused, since no agent can know better: who holds a Lease that somebody deletes
//! believes in it until it ends, and a release that overtakes the Lease's own creation finds nothing
//! to release. What is not simulated: sockets that do not take what is written, bulk on the tunnel,
//! two incarnations of one slot at the same time, and the hub's own writes.

#![expect(clippy::print_stdout, reason = "the simulation tells what it saw")]

mod acts;
mod agent;
mod clock;
mod facts;
mod faults;
mod hub;
mod invariants;
mod link;
mod log;
mod mutations;
mod replay;
mod report;
mod scenario;
mod server;
mod watch;
mod world;

use std::num::NonZero;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;
use std::time::Instant;

use crate::invariants::Violation;
use crate::mutations::Mutation;
use crate::mutations::Tamper;
use crate::report::Tally;
use crate::scenario::Scenario;
use crate::world::World;

/// How many seeds `cargo test` runs.
const SEEDS: u64 = 250;

/// How many seeds a broken guard may survive.
const SEEDS_TO_CATCH: u64 = 200;

/// How much of a failing seed's log is shown.
const TAIL: usize = 60;

/// How often the speed is measured.
const RUNS_OF_SPEED: u32 = 5;

/// How many failing seeds are named.
const FAILED_SHOWN: usize = 20;

#[test]
fn every_seed_keeps_every_invariant() {
    let mut tally = Tally::default();
    for seed in 0..SEEDS {
        match run(seed) {
            Ok(one) => tally.add(&one),
            Err(violation) => fail(seed, &violation),
        }
    }
    println!("{tally}");
    assert!(tally.faults.len() >= 20, "{:?}", tally.faults);
}

#[test]
fn the_same_seed_gives_the_same_log() {
    for seed in [3, 4] {
        let [one, other] = [true, true]
            .map(|kept| World::new(Scenario::draw(seed), Tamper::default(), kept))
            .map(|mut world| {
                let _ = world.run();
                world
            });
        assert_eq!(one.core.log.lines(), other.core.log.lines());
        assert!(one.core.log.lines().len() > 100);
        let mut unkept = World::new(Scenario::draw(seed), Tamper::default(), false);
        let _ = unkept.run();
        assert_eq!(one.core.log.hash(), unkept.core.log.hash());
    }
}

#[test]
fn every_broken_guard_is_caught_by_the_invariant_that_it_breaks() {
    for mutation in Mutation::ALL {
        let caught = (0..SEEDS_TO_CATCH).find_map(|seed| {
            let tamper = Tamper::with(mutation);
            let violation = World::new(Scenario::draw(seed), tamper, false)
                .run()
                .err()?;
            let expected = violation.invariant == mutation.breaks();
            expected.then_some((seed, violation))
        });
        match caught {
            Some((seed, violation)) => println!("{mutation:?}: seed {seed}: {violation}"),
            None => panic!("{mutation:?} was not caught within {SEEDS_TO_CATCH} seeds"),
        }
    }
}

/// `cargo xtask sim` says which seeds, by the environment.
#[test]
#[ignore = "needs an optimised build: cargo xtask sim"]
fn sim() {
    let number = |key: &str| {
        std::env::var(key)
            .ok()
            .and_then(|it| it.parse::<u64>().ok())
    };
    if let Ok(file) = std::env::var("SYNCER_HEALTH_SIM_REPLAY") {
        return replay::show(&file, std::env::var("SYNCER_HEALTH_SIM_AGENT").ok());
    }
    if let Some(seed) = number("SYNCER_HEALTH_SIM_SEED") {
        return show(seed);
    }
    let seeds = number("SYNCER_HEALTH_SIM_SEEDS").unwrap_or(1_000);
    let began = Instant::now();
    let (tally, failed) = run_many(seeds);
    for (seed, violation) in failed.iter().take(FAILED_SHOWN) {
        println!("seed {seed}: {violation}");
    }
    if let Some((seed, violation)) = failed.first() {
        println!("{} of {seeds} seeds failed, the first:", failed.len());
        fail(*seed, violation);
    }
    let took = began.elapsed();
    let rate = tally.simulated.as_secs_f64() / took.as_secs_f64();
    println!("{seeds} seeds in {took:.1?}, {rate:.0} simulated seconds a second");
    println!("{tally}");
}

/// A row for `cargo xtask bench sim`: the best of some runs, since who else uses the machine can only
/// slow them down.
#[test]
#[ignore = "needs an optimised build: cargo xtask bench sim"]
fn speed_of_a_calm_world() {
    let best = (0..RUNS_OF_SPEED).map(|_| speed()).fold(0.0, f64::max);
    println!(
        r#"{{"what":"two agents and a hub, simulated seconds a second","value":{best:.0},"budget":"≥ 100000"}}"#,
    );
}

fn run(seed: u64) -> Result<Tally, Violation> {
    let mut world = World::new(Scenario::draw(seed), Tamper::default(), false);
    world.run().map(|()| world.core.tally)
}

/// Runs the seeds on all cores: a tally of those that hold, and what failed, by seed.
fn run_many(seeds: u64) -> (Tally, Vec<(u64, Violation)>) {
    let next = AtomicU64::new(0);
    let work = || {
        let mut tally = Tally::default();
        let mut failed = Vec::new();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds {
                return (tally, failed);
            }
            match run(seed) {
                Ok(one) => tally.add(&one),
                Err(violation) => failed.push((seed, violation)),
            }
        }
    };
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    let (mut tally, mut failed) = (Tally::default(), Vec::new());
    thread::scope(|scope| {
        let workers: Vec<_> = (0..cores).map(|_| scope.spawn(work)).collect();
        for worker in workers {
            let (one, its_failed) = worker.join().expect("a world does not panic");
            tally.add(&one);
            failed.extend(its_failed);
        }
    });
    failed.sort_by_key(|(seed, _)| *seed);
    (tally, failed)
}

/// Shows the end of a failing seed's log, and how to see all of it.
fn fail(seed: u64, violation: &Violation) -> ! {
    let mut world = World::new(Scenario::draw(seed), Tamper::default(), true);
    let _ = world.run();
    let lines = world.core.log.lines();
    println!("{}", lines.first().map_or("", |line| line));
    for line in &lines[lines.len().saturating_sub(TAIL)..] {
        println!("{line}");
    }
    panic!(
        "seed {seed}: {violation}\nsee all of it: cargo xtask sim --seed {seed}\n\
         keep its hub's flight: cargo xtask sim --seed {seed} --save FILE"
    );
}

fn show(seed: u64) {
    let mut world = World::new(Scenario::draw(seed), Tamper::default(), true);
    let result = world.run();
    for line in world.core.log.lines() {
        println!("{line}");
    }
    println!("hash {:016x}", world.core.log.hash());
    if let Ok(file) = std::env::var("SYNCER_HEALTH_SIM_SAVE") {
        replay::save(&world.hub, &file);
    }
    if let Err(violation) = result {
        panic!("seed {seed}: {violation}");
    }
}

/// Simulated seconds a second for two agents with both transports and a hub.
fn speed() -> f64 {
    let simulated = Duration::from_secs(200_000);
    let began = Instant::now();
    let mut world = World::new(Scenario::calm(simulated), Tamper::default(), false);
    if let Err(violation) = world.run() {
        panic!("a calm world: {violation}");
    }
    simulated.as_secs_f64() / began.elapsed().as_secs_f64()
}
