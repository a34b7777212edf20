//! What is asked of the board, and what it answers.

use std::fmt;

use crate::ComponentName;
use crate::HealthStatus;
use crate::Reason;
use crate::Scope;
use crate::reasons;

/// At most this many deciding components are named: a verdict travels in every heartbeat.
pub const DECIDING_MAX: usize = 8;

/// Which components a verdict is over.
#[derive(Debug, Clone, Copy)]
pub struct Query<'a> {
    /// The scope.
    pub scope: Scope,
    /// Components that are left out, by name. Names that are not registered are ignored.
    pub exclude: &'a [ComponentName],
}

/// The status of a set of components, who decided it, and by which rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// The status.
    pub status: HealthStatus,
    /// The rule that made it of the components.
    pub rule: Rule,
    /// The reason of the first deciding component; without one, the rule's own.
    pub reason: Reason,
    /// The components that decided it, at most [`DECIDING_MAX`] of them, in the order of their
    /// registration. Empty where all are Healthy, and where there are none.
    pub deciding: Vec<Deciding>,
    /// How many components decided it, named or not.
    pub deciding_total: usize,
}

/// What makes a verdict of many components.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Rule {
    /// No component is counted: Unknown.
    NoComponents,
    /// The policy of that name judged those that are counted.
    Policy(&'static str),
    /// Nobody keeps the results up, so they are not believed: Unknown.
    MonitorStalled,
    /// The process is on its way out, whatever its components say: Unhealthy.
    ShuttingDown,
}

/// A component that decided a verdict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deciding {
    /// Which one.
    pub component: ComponentName,
    /// Its status as it was counted, that is after criticality.
    pub status: HealthStatus,
    /// Why, for machines.
    pub reason: Reason,
    /// Why, for people.
    pub message: String,
}

// === impl Query ===

impl Query<'static> {
    /// All components of `scope`.
    #[must_use]
    pub const fn of(scope: Scope) -> Self {
        Query {
            scope,
            exclude: &[],
        }
    }
}

// === impl Verdict ===

impl Verdict {
    /// The verdict of a rule alone, which no component decided.
    #[must_use]
    pub fn by_rule(rule: Rule) -> Self {
        let (status, reason) = match rule {
            Rule::NoComponents => (HealthStatus::Unknown, reasons::NO_COMPONENTS),
            Rule::Policy(_) => (HealthStatus::Healthy, reasons::HEALTHY),
            Rule::MonitorStalled => (HealthStatus::Unknown, reasons::MONITOR_STALLED),
            Rule::ShuttingDown => (HealthStatus::Unhealthy, reasons::SHUTTING_DOWN),
        };
        Self {
            status,
            rule,
            reason,
            deciding: Vec::new(),
            deciding_total: 0,
        }
    }

    /// One line for people: each deciding component with what is wrong with it.
    #[must_use]
    pub fn message(&self) -> String {
        let mut line: Vec<_> = self.deciding.iter().map(Deciding::to_string).collect();
        if self.deciding_total > self.deciding.len() {
            line.push(format!(
                "and {} more",
                self.deciding_total - self.deciding.len()
            ));
        }
        line.join("; ")
    }
}

// === impl Rule ===

impl Rule {
    /// Its name in CamelCase, as it stands in reports.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NoComponents => "NoComponents",
            Self::Policy(name) => name,
            Self::MonitorStalled => "MonitorStalled",
            Self::ShuttingDown => "ShuttingDown",
        }
    }
}

// === impl Deciding ===

impl fmt::Display for Deciding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is {} ({})", self.component, self.status, self.reason)?;
        if self.message.is_empty() {
            Ok(())
        } else {
            write!(f, ": {}", self.message)
        }
    }
}
