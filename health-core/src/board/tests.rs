#![expect(clippy::disallowed_methods, reason = "tests pick an arbitrary epoch")]

use proptest::prelude::*;

use super::*;
use crate::Criticality;
use crate::Thresholds;

#[test]
fn a_component_is_pending_until_its_first_result() {
    let mut board = Rig::new();
    board.register("a");
    assert_eq!(
        board.status(0),
        (HealthStatus::Unknown, "Pending".to_owned())
    );
    board.record("a", Outcome::healthy(), 1);
    assert_eq!(
        board.status(1),
        (HealthStatus::Healthy, "Healthy".to_owned())
    );
}

#[test]
fn no_component_at_all_is_unknown() {
    assert_eq!(
        Rig::new().status(0),
        (HealthStatus::Unknown, "NoComponents".to_owned())
    );
}

#[test]
fn a_taken_name_is_refused_and_free_again_after_removal() {
    let mut board = Rig::new();
    let first = board.register("a");
    let again = board
        .0
        .register(ComponentSpec::new("a".parse().unwrap()), board.1);
    assert_eq!(again, Err(NameTaken("a".to_owned())));
    assert!(board.0.remove(first));
    assert_ne!(board.register("a"), first);
    let late = board
        .0
        .record(first, Outcome::healthy(), Duration::ZERO, board.1);
    assert!(!late, "a late result of a removed component reaches nobody");
}

/// Microsoft's DICOM service served a Healthy that was six days old.
#[test]
fn pitfall_2_a_good_result_becomes_stale_at_its_allowance() {
    for (outcome, status) in [
        (Outcome::healthy(), HealthStatus::Unknown),
        (Outcome::degraded("Slow", ""), HealthStatus::Unknown),
        (Outcome::unhealthy("Broken", ""), HealthStatus::Unhealthy),
    ] {
        let mut board = Rig::new();
        board.register("a");
        board.record("a", outcome.clone(), 0);
        assert_eq!(board.status(64).0, outcome.status);
        assert_eq!(board.status(65).0, status, "{outcome:?}");
    }
}

#[test]
fn staleness_moves_the_revision_at_its_instant() {
    let mut board = Rig::new();
    board.register("a");
    board.record("a", Outcome::healthy(), 0);
    let revision = board.0.revision();
    let expiry = board.0.next_expiry().unwrap();
    assert_eq!(expiry, board.at(65));
    board.0.advance(expiry);
    assert!(board.0.revision() > revision);
    assert_eq!(board.0.component("a").unwrap().last_transition, expiry);
    assert_eq!(board.0.next_expiry(), None);
}

#[test]
fn a_pause_of_the_process_extends_what_is_believed() {
    let mut board = Rig::new();
    board.register("a");
    board.record("a", Outcome::healthy(), 0);
    board.0.paused(Duration::from_secs(3600));
    assert_eq!(board.status(3600).0, HealthStatus::Healthy);
    assert_eq!(board.status(3665).0, HealthStatus::Unknown);
}

#[test]
fn a_result_that_changes_nothing_keeps_the_revision() {
    let mut board = Rig::new();
    board.register("a");
    board.record("a", Outcome::degraded("Slow", "took 2 s"), 0);
    let revision = board.0.revision();
    board.record("a", Outcome::degraded("Slow", "took 3 s"), 1);
    assert_eq!(board.0.revision(), revision);
    board.record("a", Outcome::degraded("QueueDepthHigh", ""), 2);
    assert!(board.0.revision() > revision);
}

#[test]
fn a_suppressed_failure_is_shown_as_error_and_not_as_reason() {
    let mut board = Rig::new();
    let spec = ComponentSpec::new("a".parse().unwrap()).with_thresholds(Thresholds {
        failure: 2,
        success: 1,
    });
    board.0.register(spec, board.1).unwrap();
    board.record("a", Outcome::healthy(), 0);
    board.record("a", Outcome::unhealthy("Refused", "connection refused"), 1);
    let health = Arc::clone(board.0.component("a").unwrap());
    assert_eq!(
        (health.status, health.reason.as_str()),
        (HealthStatus::Healthy, "Healthy")
    );
    assert_eq!(health.error.as_deref(), Some("Refused: connection refused"));
    assert_eq!(health.consecutive_failures, 1);
    board.record("a", Outcome::unhealthy("Refused", "connection refused"), 2);
    assert_eq!(
        board.status(2),
        (HealthStatus::Unhealthy, "Refused".to_owned())
    );
}

#[test]
fn criticality_decides_what_counts() {
    for (criticality, status, reason) in [
        (Criticality::Critical, HealthStatus::Unhealthy, "Broken"),
        (Criticality::Degrading, HealthStatus::Degraded, "Broken"),
        (Criticality::Informational, HealthStatus::Healthy, "Healthy"),
    ] {
        let mut board = Rig::new();
        board.register("a");
        let spec = ComponentSpec::new("b".parse().unwrap()).with_criticality(criticality);
        board.0.register(spec, board.1).unwrap();
        board.record("a", Outcome::healthy(), 0);
        board.record("b", Outcome::unhealthy("Broken", ""), 0);
        assert_eq!(
            board.status(0),
            (status, reason.to_owned()),
            "{criticality:?}"
        );
    }
}

#[test]
fn excluded_components_are_left_out_of_the_verdict_and_of_its_names() {
    let mut board = Rig::new();
    board.register("a");
    board.register("b");
    board.record("a", Outcome::healthy(), 0);
    board.record("b", Outcome::unhealthy("Broken", ""), 0);
    let exclude = [
        "b".parse().unwrap(),
        "b".parse().unwrap(),
        "nobody".parse().unwrap(),
    ];
    let query = Query {
        scope: Scope::All,
        exclude: &exclude,
    };
    let now = board.at(0);
    assert_eq!(board.0.verdict(&query, now).status, HealthStatus::Healthy);
    let query = Query {
        scope: Scope::All,
        exclude: &["a".parse().unwrap()],
    };
    assert_eq!(
        board.0.verdict(&query, now).deciding[0].component.as_str(),
        "b"
    );
}

#[test]
fn a_verdict_names_at_most_eight_and_counts_all() {
    let mut board = Rig::new();
    for number in 0..20 {
        board.register(&format!("c{number}"));
        board.record(&format!("c{number}"), Outcome::unhealthy("Broken", ""), 0);
    }
    let now = board.at(0);
    let verdict = board.0.verdict(&Query::of(Scope::All), now);
    assert_eq!((verdict.deciding.len(), verdict.deciding_total), (8, 20));
    assert!(
        verdict.message().ends_with("; and 12 more"),
        "{}",
        verdict.message()
    );
}

#[test]
fn startup_is_reached_once_and_for_good() {
    let mut board = Rig::new();
    board.register("a");
    board.register("b");
    assert!(!board.0.is_started());
    board.record("a", Outcome::healthy(), 0);
    assert!(!board.0.is_started());
    board.record("b", Outcome::unhealthy("Broken", ""), 1);
    assert!(board.0.is_started(), "whatever the first result was");
    board.register("late");
    assert!(board.0.is_started());
}

proptest! {
    /// The incremental counts always agree with a recount from the components themselves.
    #[test]
    fn counts_agree_with_a_recount(steps in prop::collection::vec((0u8..5, 0u8..6, 0u64..40), 1..80)) {
        let mut board = Rig::new();
        let mut clock = 0;
        for (component, action, pause) in steps {
            clock += pause;
            let name = format!("c{component}");
            let now = board.at(clock);
            match (action, board.0.id(&name)) {
                (0, Some(id)) => { board.0.remove(id); }
                (_, None) => { board.register(&name); }
                (action, Some(id)) => {
                    let status = HealthStatus::ALL[usize::from(action) % 4];
                    board.0.record(id, Outcome::new(status, reasons::UNSPECIFIED, ""), Duration::ZERO, now);
                }
            }
            let verdict = board.0.verdict(&Query::of(Scope::Readiness), now);
            let counted: Vec<_> = board.0.components().filter_map(|health| health.counted()).collect();
            prop_assert_eq!(verdict.status, WorstOf.verdict(&counted.iter().copied().collect()));
            for health in board.0.components().filter(|health| expires(health.status)) {
                prop_assert!(health.age(now).unwrap() < Duration::from_secs(65), "stale {:?}", health);
            }
        }
    }
}

/// A board and its epoch; seconds after the epoch stand for instants.
struct Rig(Board, Instant);

impl Rig {
    fn new() -> Self {
        let epoch = Instant::now();
        Self(Board::new(epoch), epoch)
    }

    fn at(&self, secs: u64) -> Instant {
        self.1 + Duration::from_secs(secs)
    }

    fn register(&mut self, name: &str) -> ComponentId {
        self.0
            .register(ComponentSpec::new(name.parse().unwrap()), self.1)
            .unwrap()
    }

    fn record(&mut self, name: &str, outcome: Outcome, secs: u64) {
        let (id, now) = (self.0.id(name).unwrap(), self.at(secs));
        assert!(self.0.record(id, outcome, Duration::ZERO, now));
    }

    fn status(&mut self, secs: u64) -> (HealthStatus, String) {
        let now = self.at(secs);
        let verdict = self.0.verdict(&Query::of(Scope::All), now);
        (verdict.status, verdict.reason.to_string())
    }
}
