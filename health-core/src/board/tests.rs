use super::*;
use crate::Criticality;
use crate::Probe;
use crate::ProbeRules;
use crate::Thresholds;
use crate::epoch::epoch;

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

#[test]
fn startup_that_was_told_is_for_good_though_there_was_nothing_to_wait_for() {
    let ask = |board: &mut Rig| {
        let now = board.at(0);
        let rules = ProbeRules::default();
        let answer = board.0.probe(Probe::Startup, rules, &[], &[], now);
        answer.holds
    };
    let mut board = Rig::new();
    assert!(ask(&mut board), "nothing is registered");
    board.register("late");
    assert!(ask(&mut board) && board.0.is_started());

    let mut board = Rig::new();
    let id = board.register("gone");
    assert!(!ask(&mut board));
    board.0.remove(id);
    board.register("instead");
    assert!(!ask(&mut board), "what comes instead is waited for");
}

#[test]
fn each_change_of_a_status_is_remembered_with_what_it_was() {
    let mut board = Rig::new();
    board.register("a");
    board.record("a", Outcome::healthy(), 1);
    board.record("a", Outcome::healthy(), 2);
    board.record("a", Outcome::unhealthy("Refused", "no one there"), 3);
    board.record("a", Outcome::unhealthy("Timeout", ""), 4);
    board.record("a", Outcome::degraded("Slow", ""), 5);
    board.0.advance(board.at(500));
    let shown: Vec<_> = board
        .0
        .history()
        .iter()
        .map(|it| {
            let at = it.at - board.1;
            (
                it.number,
                it.from_reason.as_str(),
                it.to,
                it.reason.as_str(),
                at.as_secs(),
            )
        })
        .collect();
    let expected = [
        (0, "Pending", HealthStatus::Healthy, "Healthy", 1),
        (1, "Healthy", HealthStatus::Unhealthy, "Refused", 3),
        (2, "Timeout", HealthStatus::Degraded, "Slow", 5),
        (3, "Slow", HealthStatus::Unknown, "Stale", 70),
    ];
    assert_eq!(shown, expected);
    assert_eq!(board.0.history().since(2).count(), 2);
    assert_eq!(board.0.history().next_number(), 4);
}

#[test]
fn a_first_look_that_finds_nothing_out_is_remembered() {
    let mut board = Rig::new();
    board.register("a");
    for secs in 1..4 {
        board.record("a", Outcome::unknown("NotStarted", "no such file"), secs);
    }
    let history: Vec<_> = board.0.history().iter().collect();
    assert_eq!(history.len(), 1);
    let first = &history[0];
    assert_eq!(
        (first.from, first.to),
        (HealthStatus::Unknown, HealthStatus::Unknown)
    );
    let reasons = (first.from_reason.as_str(), first.reason.as_str());
    assert_eq!(reasons, ("Pending", "NotStarted"));
}

#[test]
fn the_history_is_bounded_and_keeps_the_newest() {
    let mut board = Rig::new();
    board.register("a");
    for round in 0..1000 {
        let outcome = match round % 2 {
            0 => Outcome::healthy(),
            _ => Outcome::degraded("Slow", ""),
        };
        board.record("a", outcome, round);
    }
    let numbers: Vec<_> = board.0.history().iter().map(|it| it.number).collect();
    assert_eq!(
        numbers,
        (1000 - History::MAX as u64..1000).collect::<Vec<_>>()
    );
    assert_eq!(board.0.history().since(0).count(), History::MAX);
    assert_eq!(board.0.history().since(5000).count(), 0);
}

#[test]
fn a_verdict_says_by_which_rule() {
    /// Degraded as long as a majority is well, whatever the others are.
    struct Majority;
    impl AggregationPolicy for Majority {
        fn name(&self) -> &'static str {
            "Majority"
        }

        fn verdict(&self, tally: &Tally) -> HealthStatus {
            match tally.count(HealthStatus::Healthy) * 2 > tally.total() {
                true => HealthStatus::Degraded,
                false => HealthStatus::Unhealthy,
            }
        }
    }
    let epoch = epoch();
    let mut board = Rig(Board::with_policy(Box::new(Majority), epoch), epoch);
    let rule = |board: &mut Rig| board.0.verdict(&Query::of(Scope::All), epoch).rule;
    assert_eq!(rule(&mut board), Rule::NoComponents);
    for name in ["a", "b", "c"] {
        board.register(name);
        board.record(name, Outcome::healthy(), 0);
    }
    board.record("b", Outcome::unhealthy("Broken", ""), 0);
    let verdict = board.0.verdict(&Query::of(Scope::All), epoch);
    assert_eq!(verdict.rule, Rule::Policy("Majority"));
    assert_eq!(verdict.rule.as_str(), "Majority");
    assert_eq!(
        verdict.message(),
        "b is Unhealthy (Broken)",
        "no component is Degraded, so the worst is named"
    );
    assert_eq!(verdict.status, HealthStatus::Degraded);
}

/// A board and its epoch; seconds after the epoch stand for instants.
struct Rig(Board, Instant);

impl Rig {
    fn new() -> Self {
        let epoch = epoch();
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
