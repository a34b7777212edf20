//! What holds of a board whatever happens to it.

use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::Criticality;
use crate::Probe;
use crate::ProbeRules;
use crate::Thresholds;
use crate::epoch::epoch;
use crate::hysteresis::tests::oracle;

/// How a component of these tests is registered, and what it says.
type Said = (Criticality, Scope, HealthStatus);

/// What happens to one of the components, and how many seconds later.
type Step = (usize, Happens, u64);

#[derive(Debug, Clone, Copy)]
enum Happens {
    Result(HealthStatus),
    Removed,
    /// The whole process begins anew.
    Restarted,
    /// It was stopped for so many seconds.
    Paused(u64),
}

/// Every component's results since it was registered, as the oracle wants them.
struct Model {
    results: Vec<HealthStatus>,
    /// When what is shown becomes too old, in seconds.
    expiry: Option<u64>,
}

/// The default allowance, in seconds.
const STALE_AFTER: u64 = 65;

proptest! {
    /// Spring: the order in which components were named decided.
    #[test]
    fn pitfall_40_the_order_of_registration_decides_nothing(
        (said, shuffled) in prop::collection::vec(said(), 0..8)
            .prop_flat_map(|said| (Just(said.clone()), Just(said).prop_shuffle())),
    ) {
        for scope in Scope::ALL {
            let [one, other] = [&said, &shuffled].map(|said| verdict(said, scope));
            prop_assert_eq!(one.status, other.status);
            prop_assert_eq!(one.deciding_total, other.deciding_total);
            prop_assert_eq!(one.rule, other.rule);
        }
    }

    #[test]
    fn a_worse_component_never_gives_a_better_verdict(
        said in prop::collection::vec(said(), 1..8),
        at in any::<prop::sample::Index>(),
        status in status(),
    ) {
        let at = at.index(said.len());
        prop_assume!(status.is_worse_than(said[at].2));
        let mut worse = said.clone();
        worse[at].2 = status;
        for scope in Scope::ALL {
            let (before, after) = (verdict(&said, scope).status, verdict(&worse, scope).status);
            prop_assert!(!before.is_worse_than(after), "{scope:?}: {before}, then {after}");
        }
        for probe in [Probe::Liveness, Probe::Readiness] {
            prop_assert!(holds(&said, probe) || !holds(&worse, probe), "{probe}");
        }
    }

    /// No error path, no removal, no restart, no staleness and no pause goes around the thresholds,
    /// and no good status outlives its allowance.
    #[test]
    fn pitfall_22_what_is_shown_is_what_the_results_since_registration_say(
        thresholds in (1u32..4, 1u32..4),
        steps in prop::collection::vec(step(), 1..120),
    ) {
        let (failure, success) = thresholds;
        let spec = |number: usize| {
            ComponentSpec::new(name(number)).with_thresholds(Thresholds { failure, success })
        };
        let shown = |results: &[HealthStatus]| oracle(failure, success, results);
        let epoch = epoch();
        let mut board = Board::new(epoch);
        let mut models: BTreeMap<usize, Model> = BTreeMap::new();
        let mut clock = 0;
        for (number, happens, later) in steps {
            clock += later;
            let now = epoch + Duration::from_secs(clock);
            for model in models.values_mut() {
                if model.expiry.is_some_and(|expiry| expiry <= clock) {
                    model.expiry = None;
                    model.results.push(HealthStatus::Unknown);
                }
            }
            match happens {
                Happens::Restarted => {
                    board = Board::new(now);
                    models.clear();
                }
                Happens::Removed => {
                    let is_there = models.remove(&number).is_some();
                    let id = board.id(name(number).as_str());
                    prop_assert_eq!(id.is_some_and(|id| board.remove(id)), is_there);
                }
                Happens::Paused(pause) => {
                    board.advance(now);
                    board.paused(Duration::from_secs(pause));
                    clock += pause;
                    for model in models.values_mut() {
                        model.expiry = model.expiry.map(|expiry| expiry + pause);
                    }
                }
                Happens::Result(result) => {
                    let id = match board.id(name(number).as_str()) {
                        Some(id) => id,
                        None => board.register(spec(number), now).unwrap(),
                    };
                    let outcome = Outcome::new(result, reasons::UNSPECIFIED, "");
                    board.record(id, outcome, Duration::ZERO, now);
                    let fresh = || Model { results: Vec::new(), expiry: None };
                    let model = models.entry(number).or_insert_with(fresh);
                    model.results.push(result);
                    model.expiry = expires(shown(&model.results)).then_some(clock + STALE_AFTER);
                }
            }
            let now = epoch + Duration::from_secs(clock);
            let verdict = board.verdict(&Query::of(Scope::Readiness), now);
            prop_assert_eq!(board.len(), models.len());
            for (number, model) in &models {
                let name = name(*number);
                let health = board.component(name.as_str()).unwrap();
                prop_assert_eq!(health.status, shown(&model.results), "{:?}", model.results);
            }
            let counted = board.components().filter_map(|health| health.counted());
            prop_assert_eq!(verdict.status, WorstOf.verdict(&counted.collect()));
        }
    }
}

fn status() -> impl Strategy<Value = HealthStatus> {
    select(&HealthStatus::ALL[..])
}

fn said() -> impl Strategy<Value = Said> {
    (
        select(&Criticality::ALL[..]),
        select(&Scope::ALL[..]),
        status(),
    )
}

fn step() -> impl Strategy<Value = Step> {
    let happens = prop_oneof![
        20 => status().prop_map(Happens::Result),
        2 => Just(Happens::Removed),
        1 => Just(Happens::Restarted),
        1 => (0u64..200).prop_map(Happens::Paused),
    ];
    (0usize..3, happens, 0u64..40)
}

fn name(number: usize) -> ComponentName {
    format!("c{number}").parse().unwrap()
}

fn board(said: &[Said]) -> (Board, Instant) {
    let now = epoch();
    let mut board = Board::new(now);
    for (number, (criticality, scope, status)) in said.iter().enumerate() {
        let spec = ComponentSpec::new(name(number))
            .with_criticality(*criticality)
            .with_scopes(&[*scope]);
        let id = board.register(spec, now).unwrap();
        let outcome = Outcome::new(*status, reasons::UNSPECIFIED, "");
        board.record(id, outcome, Duration::ZERO, now);
    }
    (board, now)
}

fn verdict(said: &[Said], scope: Scope) -> Verdict {
    let (mut board, now) = board(said);
    board.verdict(&Query::of(scope), now)
}

fn holds(said: &[Said], probe: Probe) -> bool {
    let (mut board, now) = board(said);
    board
        .probe(probe, ProbeRules::default(), &[], &[], now)
        .holds
}
