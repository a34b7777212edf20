//! What is asked of the board, and what it answers.

use std::fmt;

use crate::ComponentName;
use crate::HealthStatus;
use crate::Reason;
use crate::Scope;

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

/// The status of a set of components, and who decided it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// The status.
    pub status: HealthStatus,
    /// The reason of the first deciding component, or the rule that applied.
    pub reason: Reason,
    /// The components that decided it, at most [`DECIDING_MAX`] of them, in the order of their
    /// registration. Empty where all are Healthy, and where there are none.
    pub deciding: Vec<Deciding>,
    /// How many components decided it, named or not.
    pub deciding_total: usize,
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
    /// A verdict that follows from a rule and not from a component.
    #[must_use]
    pub const fn by_rule(status: HealthStatus, reason: Reason) -> Self {
        Self {
            status,
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
