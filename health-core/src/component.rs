//! A component: what it is registered with, and how it is.

use std::collections::BTreeMap;
use std::time::Duration;
use std::time::Instant;

use crate::ComponentName;
use crate::HealthStatus;
use crate::Reason;

/// What a component is registered with.
#[derive(Debug, Clone, PartialEq)]
pub struct ComponentSpec {
    /// Its name, unique on a board.
    pub name: ComponentName,
    /// How much its status counts. Default: in full.
    pub criticality: Criticality,
    /// The probes it is part of. Default: readiness and startup.
    pub scopes: ScopeSet,
    /// How many results in a row change its status. Default: 1 and 1.
    pub thresholds: Thresholds,
    /// How long a good result is believed. Default: 65 s, twice 30 s plus 5 s.
    pub stale_after: Duration,
}

/// How much a component's status counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Criticality {
    /// In full.
    #[default]
    Critical,
    /// Unhealthy counts as Degraded.
    Degrading,
    /// It is shown and never counted.
    Informational,
}

/// A set of components that is asked about at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scope {
    /// Every component.
    All,
    /// What only a restart cures.
    Liveness,
    /// What must work for the process to do its job.
    Readiness,
    /// What must have been looked at once before the process counts as started.
    Startup,
}

/// Some of the scopes; [`Scope::All`] is always among them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ScopeSet(u8);

/// How many results in a row change a status; 0 counts as 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Thresholds {
    /// Results in a row until the status gets worse.
    pub failure: u32,
    /// Results in a row until the status gets better.
    pub success: u32,
}

/// How a component is, as last heard.
#[derive(Debug, Clone, PartialEq)]
pub struct ComponentHealth {
    /// Its name.
    pub name: ComponentName,
    /// How it is, after hysteresis and freshness.
    pub status: HealthStatus,
    /// Why, for machines.
    pub reason: Reason,
    /// Why, for people; empty if there is nothing to say.
    pub message: String,
    /// What the last result said, where it was not Healthy: it may not have changed the status yet.
    pub error: Option<String>,
    /// When the last result came.
    pub last_check: Option<Instant>,
    /// When the status last changed.
    pub last_transition: Instant,
    /// How long the last run took.
    pub duration: Duration,
    /// How many results in a row were not Healthy; an Unknown neither counts nor resets.
    pub consecutive_failures: u32,
    /// How much it counts.
    pub criticality: Criticality,
    /// The probes it is part of.
    pub scopes: ScopeSet,
    /// The numbers of the last result.
    pub metrics: BTreeMap<String, f64>,
}

// === impl ComponentSpec ===

impl ComponentSpec {
    /// A critical component of readiness and startup, with thresholds of 1.
    #[must_use]
    pub fn new(name: ComponentName) -> Self {
        Self {
            name,
            criticality: Criticality::default(),
            scopes: ScopeSet::of(&[Scope::Readiness, Scope::Startup]),
            thresholds: Thresholds::default(),
            stale_after: Duration::from_secs(65),
        }
    }

    /// Sets how much it counts.
    #[must_use]
    pub const fn with_criticality(mut self, criticality: Criticality) -> Self {
        self.criticality = criticality;
        self
    }

    /// Sets the probes it is part of.
    #[must_use]
    pub fn with_scopes(mut self, scopes: &[Scope]) -> Self {
        self.scopes = ScopeSet::of(scopes);
        self
    }

    /// Sets how many results in a row change its status.
    #[must_use]
    pub const fn with_thresholds(mut self, thresholds: Thresholds) -> Self {
        self.thresholds = thresholds;
        self
    }

    /// Sets how long a good result is believed.
    #[must_use]
    pub const fn with_stale_after(mut self, stale_after: Duration) -> Self {
        self.stale_after = stale_after;
        self
    }
}

// === impl Criticality ===

impl Criticality {
    /// All of them, from most to least.
    pub const ALL: [Self; 3] = [Self::Critical, Self::Degrading, Self::Informational];

    /// The status as it is counted, or nothing where it is not counted.
    #[must_use]
    pub const fn count(self, status: HealthStatus) -> Option<HealthStatus> {
        match (self, status) {
            (Self::Informational, _) => None,
            (Self::Degrading, HealthStatus::Unhealthy) => Some(HealthStatus::Degraded),
            (Self::Critical | Self::Degrading, status) => Some(status),
        }
    }

    /// The name, as it stands in configuration and reports.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::Degrading => "degrading",
            Self::Informational => "informational",
        }
    }
}

#[cfg(feature = "serde")]
impl serde::Serialize for Criticality {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

#[cfg(feature = "serde")]
impl<'de> serde::Deserialize<'de> for Criticality {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        Self::ALL
            .into_iter()
            .find(|criticality| criticality.as_str() == text)
            .ok_or_else(|| {
                serde::de::Error::unknown_variant(
                    &text,
                    &["critical", "degrading", "informational"],
                )
            })
    }
}

// === impl Scope ===

impl Scope {
    /// All scopes.
    pub const ALL: [Self; 4] = [Self::All, Self::Liveness, Self::Readiness, Self::Startup];

    /// The name, as it stands in configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Liveness => "liveness",
            Self::Readiness => "readiness",
            Self::Startup => "startup",
        }
    }

    pub(crate) const fn index(self) -> usize {
        self as usize
    }
}

#[cfg(feature = "serde")]
impl serde::Serialize for Scope {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

#[cfg(feature = "serde")]
impl<'de> serde::Deserialize<'de> for Scope {
    /// [`Scope::All`] is none that anybody chooses: every component is in it.
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        let mut chosen = Self::ALL.into_iter().filter(|scope| *scope != Self::All);
        chosen.find(|scope| scope.as_str() == text).ok_or_else(|| {
            serde::de::Error::unknown_variant(&text, &["liveness", "readiness", "startup"])
        })
    }
}

// === impl ScopeSet ===

impl ScopeSet {
    /// A set of the given scopes, and [`Scope::All`].
    #[must_use]
    pub fn of(scopes: &[Scope]) -> Self {
        Self(scopes.iter().fold(1 << Scope::All.index(), |set, scope| {
            set | 1 << scope.index()
        }))
    }

    /// Whether `scope` is in it.
    #[must_use]
    pub const fn contains(self, scope: Scope) -> bool {
        self.0 & (1 << scope.index()) != 0
    }

    /// The scopes in it.
    pub fn iter(self) -> impl Iterator<Item = Scope> {
        Scope::ALL
            .into_iter()
            .filter(move |scope| self.contains(*scope))
    }
}

// === impl Thresholds ===

impl Default for Thresholds {
    fn default() -> Self {
        Self {
            failure: 1,
            success: 1,
        }
    }
}

// === impl ComponentHealth ===

impl ComponentHealth {
    /// How old the last result is, if there is one.
    #[must_use]
    pub fn age(&self, now: Instant) -> Option<Duration> {
        self.last_check.map(|at| now.saturating_duration_since(at))
    }

    /// The status as it is counted, or nothing where it is not counted.
    #[must_use]
    pub const fn counted(&self) -> Option<HealthStatus> {
        self.criticality.count(self.status)
    }
}
