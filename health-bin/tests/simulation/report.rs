//! What a run counts, and how it is told at the end.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// What one run counted, or many together.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tally {
    pub(crate) seeds: u64,
    pub(crate) steps: u64,
    pub(crate) simulated: Duration,
    pub(crate) faults: BTreeMap<&'static str, u64>,
    pub(crate) lost: u64,
    /// How often the hub doubted itself.
    pub(crate) doubts: u64,
    /// How much later than its deadline a verdict Lost was given.
    pub(crate) overdue: Duration,
    /// From a crash to its verdict, with the allowance: the worst by what lies beyond that.
    pub(crate) detection: Worst,
    /// From the healing to the last transport that worked again, with the bound.
    pub(crate) recovery: Worst,
    /// From the healing to the Lease's new holder.
    pub(crate) takeover: Worst,
}

/// The worst that was seen, by its share of what is allowed.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Worst {
    pub(crate) seen: Duration,
    pub(crate) bound: Duration,
}

// === impl Tally ===

impl Tally {
    pub(crate) fn add(&mut self, other: &Self) {
        self.seeds += other.seeds;
        self.steps += other.steps;
        self.simulated += other.simulated;
        for (kind, count) in &other.faults {
            *self.faults.entry(kind).or_default() += count;
        }
        self.lost += other.lost;
        self.doubts += other.doubts;
        self.overdue = self.overdue.max(other.overdue);
        for (worst, other) in [
            (&mut self.detection, other.detection),
            (&mut self.recovery, other.recovery),
            (&mut self.takeover, other.takeover),
        ] {
            worst.see(other.seen, other.bound);
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "  {} events in {:.0} simulated hours",
            self.steps,
            self.simulated.as_secs_f64() / 3600.0
        )?;
        let faults: u64 = self.faults.values().sum();
        writeln!(f, "  {faults} faults:")?;
        for (kind, count) in &self.faults {
            writeln!(f, "    {count:8} {kind}")?;
        }
        writeln!(
            f,
            "  {} verdicts Lost, none before its deadline, at most {:?} after it",
            self.lost, self.overdue
        )?;
        writeln!(f, "  {} times the hub doubted itself", self.doubts)?;
        writeln!(f, "  worst detection of a crash: {}", self.detection)?;
        writeln!(f, "  worst recovery after healing: {}", self.recovery)?;
        write!(f, "  worst takeover after healing: {}", self.takeover)
    }
}

// === impl Worst ===

impl Worst {
    pub(crate) fn see(&mut self, seen: Duration, bound: Duration) {
        let share = |seen: Duration, bound: Duration| {
            if bound.is_zero() {
                0.0
            } else {
                seen.as_secs_f64() / bound.as_secs_f64()
            }
        };
        if share(seen, bound) > share(self.seen, self.bound) {
            *self = Self { seen, bound };
        }
    }
}

impl fmt::Display for Worst {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seen, bound) = (self.seen.as_secs_f64(), self.bound.as_secs_f64());
        write!(f, "{seen:.1} s, allowed were {bound:.1} s")
    }
}
