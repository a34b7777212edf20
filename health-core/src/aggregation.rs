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
    fn verdict(&self, tally: &Tally) -> HealthStatus {
        HealthStatus::ALL
            .into_iter()
            .rev()
            .find(|status| tally.count(*status) > 0)
            .unwrap_or(HealthStatus::Unknown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every status vector up to length 4, against the sentence "the worst that occurs".
    #[test]
    fn worst_of_agrees_with_the_oracle_on_all_small_inputs() {
        fn extend(prefix: &[HealthStatus], left: usize, check: &mut dyn FnMut(&[HealthStatus])) {
            check(prefix);
            if left > 0 {
                for status in HealthStatus::ALL {
                    extend(&[prefix, &[status]].concat(), left - 1, check);
                }
            }
        }
        let mut seen = 0;
        extend(&[], 4, &mut |statuses| {
            let oracle = statuses
                .iter()
                .copied()
                .max_by_key(|status| status.severity());
            let verdict = WorstOf.verdict(&statuses.iter().copied().collect());
            assert_eq!(
                verdict,
                oracle.unwrap_or(HealthStatus::Unknown),
                "{statuses:?}"
            );
            seen += 1;
        });
        assert_eq!(seen, 1 + 4 + 16 + 64 + 256);
    }
}
