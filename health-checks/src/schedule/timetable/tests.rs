use std::collections::BTreeMap;

use super::*;

const EVERY: Duration = Duration::from_secs(10);
const TIMEOUT: Duration = Duration::from_secs(2);

#[test]
fn the_first_round_is_at_once_and_bounded() {
    let mut bench = Bench::new(2, 8);
    for key in 0..5 {
        bench.add(key);
    }
    let first = bench.started();
    assert_eq!(keys(&first), [0, 1], "two places");
    bench.end(first[0]);
    let next = bench.started();
    assert_eq!(keys(&next), [2], "a place for each that ends");
    bench.end(next[0]);
    bench.end(first[1]);
    assert_eq!(keys(&bench.started()), [3, 4]);
}

#[test]
fn after_the_first_round_each_has_its_own_turn_once_an_interval() {
    let mut bench = Bench::new(256, 8);
    let hashes = [0, 1_000_000_000, 9_999_999_999, 25_000_000_000];
    for (key, hash) in hashes.into_iter().enumerate() {
        bench.table.add(key as u32, schedule(), hash, bench.now);
    }
    for run in bench.started() {
        bench.end(run);
    }
    let mut turns: BTreeMap<u32, Vec<Duration>> = BTreeMap::new();
    while let Some(at) = bench.table.poll_timeout() {
        if at > bench.start + secs(30) {
            break;
        }
        bench.now = at;
        bench.table.handle_timeout(at);
        for run in bench.started() {
            turns.entry(run.0).or_default().push(at - bench.start);
            bench.end(run);
        }
    }
    let nanos = Duration::from_nanos;
    assert_eq!(turns[&0], [secs(10), secs(20), secs(30)]);
    assert_eq!(turns[&1], [secs(1), secs(11), secs(21)]);
    assert_eq!(
        turns[&2][..2],
        [nanos(9_999_999_999), nanos(19_999_999_999)]
    );
    assert_eq!(turns[&3], [secs(5), secs(15), secs(25)]);
}

#[test]
fn a_run_longer_than_its_interval_leaves_turns_out_and_never_doubles() {
    let mut bench = Bench::new(256, 8);
    let slow = Schedule::new(secs(1), secs(60));
    bench.table.add(0, slow, 0, bench.now);
    let run = bench.started()[0];
    bench.at(secs(5) + ms(500));
    assert_eq!(bench.started(), []);
    assert_eq!(bench.end(run), Judgement::Counts);
    assert_eq!(bench.table.poll_timeout(), Some(bench.start + secs(6)));
}

#[test]
fn pitfall_1_a_run_that_does_not_return_is_timed_out_again_each_interval() {
    let mut bench = Bench::new(1, 8);
    bench.add(0);
    bench.add(1);
    let stuck = bench.started()[0];
    bench.at(TIMEOUT);
    let since = bench.start;
    assert_eq!(
        bench.actions()[..2],
        [
            Action::TimedOut { key: 0, since },
            Action::Abort { run: stuck.1 },
        ]
    );
    assert!(
        !bench.table.refresh(0, bench.now),
        "there is no second run while one is stuck"
    );
    for round in 1..=3 {
        bench.at(TIMEOUT + EVERY * round);
        let again = bench.actions();
        assert!(
            again.contains(&Action::TimedOut { key: 0, since }),
            "{again:?}"
        );
        assert!(
            !again
                .iter()
                .any(|action| started(action).is_some_and(|run| run.0 == 0))
        );
    }
    assert_eq!(bench.end(stuck), Judgement::Ignored);
    bench.at(TIMEOUT + EVERY * 4);
    assert!(
        bench.started().iter().any(|run| run.0 == 0),
        "it has turns again once it returned"
    );
}

#[test]
fn a_stuck_run_holds_up_nobody() {
    let mut bench = Bench::new(1, 8);
    bench.add(0);
    bench.add(1);
    assert_eq!(keys(&bench.started()), [0]);
    bench.at(TIMEOUT);
    assert_eq!(keys(&bench.started()), [1]);
}

#[test]
fn a_result_after_the_deadline_is_a_timeout_whoever_is_first() {
    let mut bench = Bench::new(256, 8);
    bench.add(0);
    let run = bench.started()[0];
    let late = bench.start + TIMEOUT + ms(1);
    let judgement = bench.table.ended(0, run.1, late, late);
    assert_eq!(judgement, Judgement::Ignored);
    let since = bench.start;
    assert_eq!(bench.actions(), [Action::TimedOut { key: 0, since }]);
}

#[test]
fn a_refresh_is_a_single_flight() {
    let mut bench = Bench::new(1, 8);
    bench.add(0);
    let run = bench.started()[0];
    bench.end(run);
    for _ in 0..10 {
        assert!(bench.table.refresh(0, bench.now));
    }
    assert_eq!(keys(&bench.started()), [0]);
    assert!(!bench.table.refresh(7, bench.now), "nobody is there");
}

/// `connection` said for five seconds that it was connecting: its first run had looked just before
/// the tunnel stood, and the refresh that followed was taken for answered by that run.
#[test]
fn a_run_under_way_may_have_looked_before_the_refresh() {
    let mut bench = Bench::new(1, 8);
    bench.add(0);
    let run = bench.started()[0];
    for _ in 0..10 {
        assert!(bench.table.refresh(0, bench.now));
    }
    assert_eq!(bench.started(), [], "one is under way");
    bench.end(run);
    let runs = bench.started();
    assert_eq!(keys(&runs), [0], "one for all ten");
    bench.end(runs[0]);
    assert_eq!(bench.started(), []);
}

#[test]
fn a_removed_check_is_told_to_end_and_its_place_is_given_on() {
    let mut bench = Bench::new(1, 8);
    bench.add(0);
    bench.add(1);
    let run = bench.started()[0];
    bench.table.remove(0, bench.now);
    let actions = bench.actions();
    assert_eq!(actions[0], Action::Abort { run: run.1 });
    assert_eq!(started(&actions[1]).map(|run| run.0), Some(1));
    assert_eq!(bench.end(run), Judgement::Ignored);
    bench.table.remove(1, bench.now);
    assert_eq!(bench.table.poll_timeout(), None);
}

#[test]
fn one_that_blocks_gives_its_place_on_and_is_alone_from_then_on() {
    let mut bench = Bench::new(1, 1);
    bench.add(0);
    bench.add(1);
    let blocking = bench.started()[0];
    bench.table.blocked(0, blocking.1, bench.now);
    let next = bench.started();
    assert_eq!(keys(&next), [1]);
    assert!(!bench.table.may_block_more());
    assert_eq!(bench.end(next[0]), Judgement::Counts);
    assert_eq!(bench.end(blocking), Judgement::Counts, "it was in time");
    assert!(bench.table.may_block_more());
    assert!(bench.table.refresh(0, bench.now));
    let actions = bench.actions();
    assert!(matches!(
        actions[..],
        [Action::Start {
            key: 0,
            solo: true,
            ..
        }]
    ));
}

#[test]
fn threads_are_bounded_even_by_checks_that_are_gone() {
    let mut bench = Bench::new(4, 1);
    bench.add(0);
    bench.add(1);
    let runs = bench.started();
    bench.table.blocked(1, runs[1].1, bench.now);
    bench.end(runs[1]);
    bench.table.blocked(0, runs[0].1, bench.now);
    bench.table.remove(0, bench.now);
    bench.actions();
    assert!(bench.table.refresh(1, bench.now));
    assert_eq!(bench.actions(), [Action::Refused { key: 1 }]);
    assert_eq!(bench.end(runs[0]), Judgement::Ignored);
    assert!(bench.table.refresh(1, bench.now));
    assert_eq!(keys(&bench.started()), [1], "the thread came back");
}

#[test]
fn one_that_was_taken_back_starts_again_and_nothing_is_counted() {
    let mut bench = Bench::new(1, 8);
    bench.add(0);
    let run = bench.started()[0];
    bench.at(ms(300));
    bench.table.lost(0, run.1, bench.now);
    let actions = bench.actions();
    let again = started(&actions[0]).unwrap();
    assert_eq!((actions.len(), again.0), (1, 0));
    assert_ne!(again.1, run.1);
    assert_eq!(bench.end(run), Judgement::Ignored, "the first is history");
    bench.at(ms(300) + TIMEOUT - ms(1));
    assert_eq!(bench.end(again), Judgement::Counts, "it has its whole time");
}

#[test]
fn a_pause_of_the_process_costs_no_run_its_time() {
    let mut bench = Bench::new(256, 8);
    bench.add(0);
    let run = bench.started()[0];
    bench.now += secs(3600);
    bench.table.paused(secs(3600));
    bench.table.handle_timeout(bench.now);
    assert_eq!(bench.actions(), []);
    assert_eq!(bench.end(run), Judgement::Counts);
}

#[test]
fn after_a_sleep_of_the_machine_everybody_has_a_turn() {
    let mut bench = Bench::new(256, 8);
    for key in 0..3 {
        bench.add(key);
    }
    for run in bench.started() {
        bench.end(run);
    }
    bench.now += ms(10);
    bench.table.slept(secs(3600), bench.now);
    assert_eq!(keys(&bench.started()), [0, 1, 2]);
}

#[test]
fn spans_of_nothing_are_a_millisecond() {
    let schedule = Schedule::new(Duration::ZERO, Duration::ZERO);
    assert_eq!((schedule.interval, schedule.timeout), (ms(1), ms(1)));
    assert_eq!(Schedule::default().stale_after(), secs(65));
}

/// Whatever happens in whatever order: no check runs twice at a time, no place is lost, and what
/// is due is started.
#[test]
fn no_order_of_events_loses_a_place_or_doubles_a_run() {
    for seed in 0..200 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut bench = Bench::new(3, 2);
        let mut live: Vec<(u32, RunId)> = Vec::new();
        let mut next = 0;
        for _ in 0..300 {
            bench.now += Duration::from_millis(random.u64(0..3000));
            match random.u8(0..8) {
                0 if next < 12 => {
                    bench.table.add(next, schedule(), random.u64(..), bench.now);
                    next += 1;
                }
                1 => bench.table.remove(random.u32(0..12), bench.now),
                2 => {
                    bench.table.refresh(random.u32(0..12), bench.now);
                }
                3 if !live.is_empty() => {
                    let run = live.swap_remove(random.usize(0..live.len()));
                    bench.table.lost(run.0, run.1, bench.now);
                }
                4 if !live.is_empty() && bench.table.may_block_more() => {
                    let run = live[random.usize(0..live.len())];
                    bench.table.blocked(run.0, run.1, bench.now);
                }
                5 if !live.is_empty() => {
                    let run = live.swap_remove(random.usize(0..live.len()));
                    bench.end(run);
                }
                _ => bench.table.handle_timeout(bench.now),
            }
            for action in bench.actions() {
                if let Some(run) = started(&action) {
                    assert!(
                        live.iter().all(|other| other.0 != run.0),
                        "seed {seed}: {run:?} runs twice"
                    );
                    live.push(run);
                }
            }
            assert!(bench.table.pooled <= 3 && bench.table.apart.len() <= 2);
        }
        for run in live.drain(..) {
            bench.end(run);
        }
        while !bench.started().is_empty() || bench.table.pooled > 0 {
            let running: Vec<_> = bench
                .table
                .tasks
                .iter()
                .filter_map(|(key, task)| Some((*key, task.state.run()?)))
                .collect();
            for run in running {
                bench.end(run);
            }
        }
        assert_eq!(bench.table.apart.len(), 0, "seed {seed}");
        assert!(
            bench
                .table
                .queue
                .iter()
                .all(|key| !bench.table.tasks.contains_key(key))
        );
    }
}

struct Bench {
    table: Timetable<u32>,
    start: Instant,
    now: Instant,
}

impl Bench {
    fn new(pooled: usize, apart: usize) -> Self {
        let start = Instant::now();
        Self {
            table: Timetable::new(Limits { pooled, apart }, start),
            start,
            now: start,
        }
    }

    fn add(&mut self, key: u32) {
        // A phase just before the end of the interval keeps the second round away.
        let hash = 9_500_000_000 + u64::from(key);
        self.table.add(key, schedule(), hash, self.now);
    }

    fn at(&mut self, after: Duration) {
        self.now = self.start + after;
        self.table.handle_timeout(self.now);
    }

    fn end(&mut self, (key, run): (u32, RunId)) -> Judgement {
        self.table.ended(key, run, self.now, self.now)
    }

    fn actions(&mut self) -> Vec<Action<u32>> {
        std::iter::from_fn(|| self.table.poll()).collect()
    }

    fn started(&mut self) -> Vec<(u32, RunId)> {
        self.actions().iter().filter_map(started).collect()
    }
}

fn started(action: &Action<u32>) -> Option<(u32, RunId)> {
    match action {
        Action::Start { key, run, .. } => Some((*key, *run)),
        Action::Abort { .. } | Action::TimedOut { .. } | Action::Refused { .. } => None,
    }
}

fn keys(runs: &[(u32, RunId)]) -> Vec<u32> {
    runs.iter().map(|run| run.0).collect()
}

fn schedule() -> Schedule {
    Schedule::new(EVERY, TIMEOUT)
}

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}
