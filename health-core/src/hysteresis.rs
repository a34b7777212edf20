//! How many results in a row change a status.

use crate::HealthStatus;

/// How many results in a row change a component's status.
///
/// Getting worse needs `failure` results in a row that are worse than the last status that was not
/// Unknown, and goes to the mildest of them; getting better mirrors it with `success` and goes to
/// the worst of them.
/// An Unknown is shown at once, lasts until a result confirms or changes that status, and neither
/// counts nor resets.
/// Before the first such status, a Healthy result counts as better and any other as worse, so that
/// a restart does not go around the thresholds (a bug of Karmada's threshold cache).
#[derive(Debug, Clone)]
pub struct Hysteresis {
    failure: u32,
    success: u32,
    /// The last status that was not Unknown.
    known: Option<HealthStatus>,
    /// Whether an Unknown is shown in place of `known`.
    doubted: bool,
    streak: Option<Streak>,
}

/// Results in a row on the same side of `known`.
#[derive(Debug, Clone, Copy)]
struct Streak {
    worse: bool,
    count: u32,
    /// The member that is nearest to `known`.
    nearest: HealthStatus,
}

// === impl Hysteresis ===

impl Hysteresis {
    /// Thresholds of 0 count as 1.
    #[must_use]
    pub fn new(failure: u32, success: u32) -> Self {
        Self {
            failure: failure.max(1),
            success: success.max(1),
            known: None,
            doubted: true,
            streak: None,
        }
    }

    /// Takes a result and gives the status to show.
    pub fn apply(&mut self, result: HealthStatus) -> HealthStatus {
        if result == HealthStatus::Unknown {
            self.doubted = true;
            return self.shown();
        }
        if self.known == Some(result) {
            self.streak = None;
            self.doubted = false;
            return self.shown();
        }
        let worse = match self.known {
            Some(known) => result.is_worse_than(known),
            None => result != HealthStatus::Healthy,
        };
        let streak = match self.streak {
            Some(streak) if streak.worse == worse => {
                let nearer = if worse {
                    streak.nearest.is_worse_than(result)
                } else {
                    result.is_worse_than(streak.nearest)
                };
                let nearest = if nearer { result } else { streak.nearest };
                Streak {
                    worse,
                    count: streak.count.saturating_add(1),
                    nearest,
                }
            }
            _ => Streak {
                worse,
                count: 1,
                nearest: result,
            },
        };
        let threshold = if worse { self.failure } else { self.success };
        if streak.count >= threshold {
            self.known = Some(streak.nearest);
            self.doubted = false;
            self.streak = None;
        } else {
            self.streak = Some(streak);
        }
        self.shown()
    }

    /// The status to show.
    #[must_use]
    pub fn shown(&self) -> HealthStatus {
        match self.known {
            Some(known) if !self.doubted => known,
            _ => HealthStatus::Unknown,
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::HealthStatus::{Degraded, Healthy, Unhealthy, Unknown};
    use super::*;

    #[track_caller]
    fn check(failure: u32, success: u32, results: &[HealthStatus], shown: &[HealthStatus]) {
        let mut hysteresis = Hysteresis::new(failure, success);
        let seen: Vec<_> = results
            .iter()
            .map(|result| hysteresis.apply(*result))
            .collect();
        assert_eq!(seen, shown, "{results:?}");
    }

    #[test]
    fn with_thresholds_of_one_every_result_is_shown() {
        let all = [Healthy, Unhealthy, Degraded, Unknown, Healthy, Degraded];
        check(1, 1, &all, &all);
    }

    #[test]
    fn worse_needs_failures_in_a_row_and_goes_to_the_mildest() {
        check(
            3,
            1,
            &[
                Unhealthy, Unhealthy, Healthy, Unhealthy, Degraded, Unhealthy,
            ],
            &[Unknown, Unknown, Healthy, Healthy, Healthy, Degraded],
        );
    }

    #[test]
    fn better_needs_successes_in_a_row_and_goes_to_the_worst() {
        check(
            1,
            2,
            &[Unhealthy, Healthy, Unhealthy, Healthy, Degraded],
            &[Unhealthy, Unhealthy, Unhealthy, Unhealthy, Degraded],
        );
    }

    /// Karmada #7431: an Unknown in between restarted the count, so failover never came.
    #[test]
    fn pitfall_23_unknown_neither_counts_nor_resets() {
        check(
            3,
            1,
            &[Healthy, Unhealthy, Unknown, Unhealthy, Unknown, Unhealthy],
            &[Healthy, Healthy, Unknown, Unknown, Unknown, Unhealthy],
        );
    }

    /// Karmada: the first observation after a restart went around the threshold.
    #[test]
    fn pitfall_22_the_first_result_counts_like_any_other() {
        check(2, 2, &[Unhealthy, Unhealthy], &[Unknown, Unhealthy]);
        check(2, 2, &[Healthy, Healthy], &[Unknown, Healthy]);
    }

    #[test]
    fn unknown_lasts_until_a_result_confirms_or_changes() {
        check(
            2,
            2,
            &[Healthy, Healthy, Unknown, Unhealthy, Healthy],
            &[Unknown, Healthy, Unknown, Unknown, Healthy],
        );
    }

    /// Every sequence up to length 6 with every pair of thresholds up to 3, against the oracle.
    #[test]
    fn every_short_sequence_is_shown_as_the_oracle_says() {
        let mut sequences = vec![Vec::new()];
        for _ in 0..6 {
            let longer =
                |prefix: &Vec<_>| HealthStatus::ALL.map(|it| [&prefix[..], &[it]].concat());
            sequences = sequences.iter().flat_map(longer).collect();
            for results in &sequences {
                for (failure, success) in (1..=3).flat_map(|it| [(it, 1), (it, 2), (it, 3)]) {
                    let mut hysteresis = Hysteresis::new(failure, success);
                    let shown = results.iter().map(|it| hysteresis.apply(*it)).last();
                    let oracle = oracle(failure, success, results);
                    assert_eq!(shown, Some(oracle), "{failure} {success} {results:?}");
                }
            }
        }
    }

    /// The rule read off the whole list of results, without a memory in between: a result ends a
    /// stretch if enough of those before it, Unknowns aside, lie on its side of what was known.
    pub(crate) fn oracle(failure: u32, success: u32, results: &[HealthStatus]) -> HealthStatus {
        let worse = |result: HealthStatus, known: Option<HealthStatus>| match known {
            Some(known) => result.is_worse_than(known),
            None => result != Healthy,
        };
        let (mut known, mut begin, mut known_at) = (None, 0, None);
        for (at, &result) in results.iter().enumerate() {
            if result == Unknown {
                continue;
            }
            if known == Some(result) {
                (begin, known_at) = (at + 1, Some(at));
                continue;
            }
            let side = worse(result, known);
            let stretch: Vec<_> = results[begin..=at]
                .iter()
                .rev()
                .copied()
                .filter(|it| *it != Unknown)
                .take_while(|it| worse(*it, known) == side)
                .collect();
            let (enough, nearest) = if side {
                let mildest = stretch.iter().min_by_key(|it| it.severity());
                (failure, mildest)
            } else {
                let worst = stretch.iter().max_by_key(|it| it.severity());
                (success, worst)
            };
            if stretch.len() >= enough as usize {
                (known, begin, known_at) = (nearest.copied(), at + 1, Some(at));
            }
        }
        let is_doubted = results.iter().rposition(|it| *it == Unknown) > known_at;
        match known {
            Some(known) if !is_doubted => known,
            _ => Unknown,
        }
    }
}
