//! Feature gates: what is not settled yet can be switched, in the style of Kubernetes.

use std::fmt;
use std::str::FromStr;

/// Something that can be switched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gate {
    /// The configuration is read again when its file changes, not on SIGHUP only.
    ConfigFileWatch,
    /// A hub keeps its fleet's last inputs, for `/flight`.
    FlightRecorder,
}

/// How settled it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Off by default; may change or go without a word.
    Alpha,
    /// On by default; may still change.
    Beta,
}

/// Which gates are open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Gates([bool; Gate::ALL.len()]);

const ENABLED: &str = "syncer_health_feature_enabled";

/// All of a stage at once, as Kubernetes names them.
const STAGES: [(&str, Stage); 2] = [("AllAlpha", Stage::Alpha), ("AllBeta", Stage::Beta)];

/// The table, for `--help`; a test holds it equal to the gates.
pub(crate) const HELP: &str = "\
Feature gates (NAME=true or NAME=false, separated by commas):
  AllAlpha         all alpha ones at once
  AllBeta          all beta ones at once
  ConfigFileWatch  beta, true: read the configuration again when its file changes
  FlightRecorder   beta, true: a hub keeps its fleet's last inputs, for /flight";

// === impl Gate ===

impl Gate {
    pub(crate) const ALL: [Self; 2] = [Self::ConfigFileWatch, Self::FlightRecorder];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::ConfigFileWatch => "ConfigFileWatch",
            Self::FlightRecorder => "FlightRecorder",
        }
    }

    pub(crate) const fn stage(self) -> Stage {
        match self {
            Self::ConfigFileWatch | Self::FlightRecorder => Stage::Beta,
        }
    }
}

// === impl Stage ===

impl Stage {
    /// As Kubernetes writes it in metrics.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Alpha => "ALPHA",
            Self::Beta => "BETA",
        }
    }

    const fn default(self) -> bool {
        match self {
            Self::Alpha => false,
            Self::Beta => true,
        }
    }
}

// === impl Gates ===

impl Gates {
    pub(crate) const fn is_open(&self, gate: Gate) -> bool {
        self.0[gate as usize]
    }

    /// Each gate, and whether it is open.
    pub(crate) fn all(&self) -> impl Iterator<Item = (Gate, bool)> {
        Gate::ALL.into_iter().zip(self.0)
    }

    /// Shows them in the metrics, and says in the log which are not as by default.
    pub(crate) fn tell(&self) {
        metrics::describe_gauge!(
            ENABLED,
            "Whether a feature gate is open, by its name and stage."
        );
        for (gate, open) in self.all() {
            let (name, stage) = (gate.name(), gate.stage().name());
            metrics::gauge!(ENABLED, "name" => name, "stage" => stage).set(u8::from(open));
        }
        if *self != Self::default() {
            tracing::info!(gates = %self, "feature gates are switched");
        }
    }

    fn set(&mut self, name: &str, open: bool) -> Result<(), String> {
        if let Some((_, stage)) = STAGES.iter().find(|(known, _)| *known == name) {
            for gate in Gate::ALL.into_iter().filter(|gate| gate.stage() == *stage) {
                self.0[gate as usize] = open;
            }
            return Ok(());
        }
        match Gate::ALL.into_iter().find(|gate| gate.name() == name) {
            Some(gate) => {
                self.0[gate as usize] = open;
                Ok(())
            }
            None => Err(format!("there is no gate {name:?}; {}", nearest(name))),
        }
    }
}

impl Default for Gates {
    fn default() -> Self {
        Self(Gate::ALL.map(|gate| gate.stage().default()))
    }
}

impl FromStr for Gates {
    type Err = String;

    /// Later ones win, and a gate's own name over its stage's.
    fn from_str(text: &str) -> Result<Self, String> {
        let mut gates = Self::default();
        let mut given = Vec::new();
        for one in text.split(',').map(str::trim).filter(|it| !it.is_empty()) {
            let (name, value) = one
                .split_once('=')
                .ok_or_else(|| format!("{one:?} must be {one}=true or {one}=false"))?;
            let open = value
                .parse()
                .map_err(|_| format!("{name} must be true or false, not {value:?}"))?;
            given.push((name, open));
        }
        let is_stage = |name: &str| STAGES.iter().any(|(stage, _)| *stage == name);
        given.sort_by_key(|(name, _)| !is_stage(name));
        for (name, open) in given {
            gates.set(name, open)?;
        }
        Ok(gates)
    }
}

impl fmt::Display for Gates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, (gate, open)) in self.all().enumerate() {
            let comma = if place == 0 { "" } else { "," };
            write!(f, "{comma}{}={open}", gate.name())?;
        }
        Ok(())
    }
}

fn nearest(name: &str) -> String {
    let known = Gate::ALL.map(Gate::name);
    let all = known.iter().chain(STAGES.iter().map(|(stage, _)| stage));
    let distance = |known: &&&str| strsim::damerau_levenshtein(name, known);
    match all.min_by_key(distance) {
        Some(near) if strsim::damerau_levenshtein(name, near) <= near.len() / 2 => {
            format!("did you mean {near:?}?")
        }
        _ => {
            let all: Vec<_> = known
                .into_iter()
                .chain(STAGES.map(|(stage, _)| stage))
                .collect();
            format!("known are {}", all.join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gates_are_read_as_kubernetes_reads_them() {
        for (text, watch, flight) in [
            ("", true, true),
            ("FlightRecorder=false", true, false),
            (" ConfigFileWatch=false , FlightRecorder=true,", false, true),
            ("AllBeta=false", false, false),
            ("FlightRecorder=true,AllBeta=false", false, true),
            ("AllAlpha=true", true, true),
            ("FlightRecorder=false,FlightRecorder=true", true, true),
        ] {
            let gates: Gates = text.parse().unwrap();
            let open = [Gate::ConfigFileWatch, Gate::FlightRecorder].map(|it| gates.is_open(it));
            assert_eq!(open, [watch, flight], "{text:?}");
            assert_eq!(gates.to_string().parse(), Ok(gates), "{gates}");
        }
    }

    #[test]
    fn what_is_wrong_says_what_would_be_right() {
        for (text, says) in [
            ("FlightRecoder=true", "did you mean \"FlightRecorder\"?"),
            ("Nonsense=true", "known are ConfigFileWatch, FlightRecorder"),
            ("FlightRecorder", "must be FlightRecorder=true or"),
            ("FlightRecorder=yes", "must be true or false, not \"yes\""),
            ("=", "must be true or false"),
        ] {
            let wrong = text.parse::<Gates>().unwrap_err();
            assert!(wrong.contains(says), "{text:?}: {wrong}");
        }
    }

    #[test]
    fn the_help_lists_each_with_its_stage_and_default() {
        for gate in Gate::ALL {
            let (stage, open) = (gate.stage().name().to_lowercase(), gate.stage().default());
            let line = HELP.lines().find(|line| line.contains(gate.name()));
            let line = line.unwrap_or_else(|| panic!("no {}", gate.name()));
            assert!(line.contains(&format!("{stage}, {open}:")), "{line}");
        }
    }
}
