//! From many components to one status: counts in, status out, so order cannot matter.

use crate::HealthStatus;

/// How many components have each status, after criticality.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    by_severity: [usize; 4],
}

/// How a tally becomes one status.
///
/// Since a policy sees counts only, the order of components cannot matter.
/// A policy must be monotone: one more bad component never gives a better status.
pub trait AggregationPolicy: Send + Sync {
    /// Its name in CamelCase, which verdicts give as the rule that they follow.
    fn name(&self) -> &'static str;

    /// The status of the whole.
    fn verdict(&self, tally: &Tally) -> HealthStatus;
}

/// The default policy: the worst status that occurs; Unknown if no component is counted.
///
/// That nothing counted is not Healthy is a lesson from ASP.NET, where a typo in a tag made a
/// probe green for ever.
#[derive(Debug, Clone, Copy, Default)]
pub struct WorstOf;

// === impl Tally ===

impl Tally {
    /// How many components have `status`.
    #[must_use]
    pub const fn count(&self, status: HealthStatus) -> usize {
        self.by_severity[status.severity()]
    }

    /// How many components are counted.
    #[must_use]
    pub fn total(&self) -> usize {
        self.by_severity.iter().sum()
    }

    /// The worst status that occurs.
    #[must_use]
    pub fn worst(&self) -> Option<HealthStatus> {
        let mut worst_first = HealthStatus::ALL.into_iter().rev();
        worst_first.find(|status| self.count(*status) > 0)
    }

    /// Counts one more component.
    pub const fn add(&mut self, status: HealthStatus) {
        self.by_severity[status.severity()] += 1;
    }

    /// Counts one component less.
    ///
    /// # Panics
    ///
    /// If none with that status was counted.
    pub const fn remove(&mut self, status: HealthStatus) {
        self.by_severity[status.severity()] -= 1;
    }
}

impl FromIterator<HealthStatus> for Tally {
    fn from_iter<I: IntoIterator<Item = HealthStatus>>(statuses: I) -> Self {
        let mut tally = Self::default();
        for status in statuses {
            tally.add(status);
        }
        tally
    }
}

// === impl WorstOf ===

impl AggregationPolicy for WorstOf {
    fn name(&self) -> &'static str {
        "WorstOf"
    }

    fn verdict(&self, tally: &Tally) -> HealthStatus {
        tally.worst().unwrap_or(HealthStatus::Unknown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every sequence of statuses up to length 5, against the sentence "the worst that occurs".
    /// Spring drops statuses that its order does not name, and forgets its own when one is added.
    #[test]
    fn pitfall_40_worst_of_agrees_with_the_oracle_on_all_small_inputs() {
        let mut seen = 0;
        each_sequence(5, &mut |statuses| {
            let oracle = statuses
                .iter()
                .copied()
                .max_by_key(|status| status.severity());
            let verdict = WorstOf.verdict(&tally(statuses));
            assert_eq!(
                verdict,
                oracle.unwrap_or(HealthStatus::Unknown),
                "{statuses:?}"
            );
            seen += 1;
        });
        assert_eq!(seen, 1 + 4 + 16 + 64 + 256 + 1024);
    }

    /// Every sequence up to length 4, each with one more component of each status in front or at
    /// the end, and each part by itself.
    #[test]
    fn pitfall_40_worst_of_is_commutative_associative_and_monotone() {
        let with = |statuses: &[HealthStatus], more: HealthStatus| {
            WorstOf.verdict(&tally(&[statuses, &[more]].concat()))
        };
        each_sequence(4, &mut |statuses| {
            for more in HealthStatus::ALL {
                let ahead = WorstOf.verdict(&tally(&[&[more], statuses].concat()));
                assert_eq!(ahead, with(statuses, more), "{more:?} and {statuses:?}");
                for worse in HealthStatus::ALL {
                    let is_worse = worse.is_worse_than(more);
                    let (one, other) = (with(statuses, more), with(statuses, worse));
                    assert!(
                        !is_worse || !one.is_worse_than(other),
                        "{worse:?} {statuses:?}"
                    );
                }
            }
            for cut in 1..statuses.len() {
                let (head, tail) = statuses.split_at(cut);
                let parts = [WorstOf.verdict(&tally(head)), WorstOf.verdict(&tally(tail))];
                let whole = WorstOf.verdict(&tally(statuses));
                assert_eq!(
                    WorstOf.verdict(&tally(&parts)),
                    whole,
                    "{statuses:?} at {cut}"
                );
            }
        });
    }

    fn tally(statuses: &[HealthStatus]) -> Tally {
        statuses.iter().copied().collect()
    }

    fn each_sequence(longest: usize, act: &mut dyn FnMut(&[HealthStatus])) {
        fn extend(prefix: &[HealthStatus], left: usize, act: &mut dyn FnMut(&[HealthStatus])) {
            act(prefix);
            if left > 0 {
                for status in HealthStatus::ALL {
                    extend(&[prefix, &[status]].concat(), left - 1, act);
                }
            }
        }
        extend(&[], longest, act);
    }
}
