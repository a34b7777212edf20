use health_core::WorstOf;

use super::*;

const MINUTE: Duration = Duration::from_secs(60);

#[test]
fn a_probe_that_comes_before_the_loop_after_a_pause_sees_what_was() {
    let (mut state, start) = state();
    let id = register(&mut state, start);
    state.woke(None, start);
    state.back_at(start + Duration::from_secs(1));
    state.reported(id, Outcome::healthy(), start);

    let resumed = start + MINUTE * 60;
    let as_of = state.asked_at(resumed);
    assert_eq!(status(&mut state, as_of), HealthStatus::Healthy);
    state.woke(None, resumed);
    state.handle_timeout(resumed);
    assert_eq!(
        status(&mut state, resumed),
        HealthStatus::Healthy,
        "the checks run first"
    );
    assert_eq!(
        status(&mut state, resumed + MINUTE * 2),
        HealthStatus::Unknown,
        "and then it is too old"
    );
}

#[test]
fn a_loop_that_does_not_come_back_keeps_nothing_green() {
    let (mut state, start) = state();
    let id = register(&mut state, start);
    state.woke(None, start);
    state.back_at(start + Duration::from_secs(1));
    state.reported(id, Outcome::healthy(), start);
    let asked = start + MINUTE * 60;
    state.asked_at(asked);
    let as_of = state.asked_at(asked + NOTICE_MAX);
    assert_eq!(as_of, asked + NOTICE_MAX);
    assert_eq!(status(&mut state, as_of), HealthStatus::Unknown);
}

#[test]
fn a_late_loop_is_no_pause() {
    let (mut state, start) = state();
    state.woke(None, start);
    state.back_at(start + Duration::from_secs(1));
    let now = start + Duration::from_millis(1900);
    assert_eq!(state.asked_at(now), now);
}

#[test]
fn turns_depend_on_the_name_and_the_seed_alone() {
    assert_eq!(hash("queue", 7), hash("queue", 7));
    assert_ne!(hash("queue", 7), hash("queue", 8));
    let interval = Duration::from_secs(30).as_nanos();
    let mut tenths = [0; 10];
    for number in 0..10_000 {
        let phase = u128::from(hash(&format!("component-{number}"), 0)) % interval;
        tenths[usize::try_from(phase * 10 / interval).unwrap()] += 1;
    }
    assert!(
        tenths.iter().all(|count| (800..1200).contains(count)),
        "{tenths:?}"
    );
}

/// Spring Boot #28882 is an option that nobody read; the others are in `tests/pitfalls`.
#[test]
fn pitfall_41_the_monitors_seed_moves_the_turns() {
    let now = Instant::now();
    let next_turn = |seed| {
        let config = MonitorConfig::default().with_seed(seed);
        let mut state = State::new(config, Box::new(WorstOf), now);
        let spec = ComponentSpec::new("checked".parse().unwrap());
        let schedule = Schedule::new(MINUTE, MINUTE);
        state
            .register(spec, schedule, Arc::new(Never), now)
            .unwrap();
        let Some(Step::Start(start)) = state.poll(now) else {
            panic!("its first run is now");
        };
        let end = End {
            key: start.key,
            run: start.run,
            at: now,
            duration: Duration::ZERO,
            // Not green, so that nothing else is due than its turn.
            ending: Ending::Panicked(String::new()),
        };
        state.ended(end, now);
        state.poll_timeout()
    };
    assert_eq!(next_turn(7), next_turn(7));
    assert_ne!(next_turn(7), next_turn(8));
}

struct Never;

#[async_trait::async_trait]
impl HealthChecker for Never {
    async fn check(&self, _cx: CheckContext) -> Result<Outcome, CheckError> {
        std::future::pending().await
    }
}

fn state() -> (State, Instant) {
    let now = Instant::now();
    let state = State::new(MonitorConfig::default(), Box::new(WorstOf), now);
    (state, now)
}

fn register(state: &mut State, now: Instant) -> ComponentId {
    let spec = ComponentSpec::new("reported".parse().unwrap());
    state.board.register(spec, now).unwrap()
}

fn status(state: &mut State, now: Instant) -> HealthStatus {
    state.board.verdict(&Query::of(Scope::All), now).status
}
