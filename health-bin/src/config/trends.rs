//! What a component's numbers mean by their past: off, unless it is configured.

use health_checks::names;
use health_core::Paired;
use health_core::TrendConfig;
use health_core::TrendLimits;
use health_core::Trends;
use serde::Deserialize;
use serde::Serialize;

use super::ConfigDuration;
use super::Problem;
use super::Problems;
use super::agent::ChecksConfig;
use super::agent::ComponentConfig;
use super::kinds::PairedConfig;
use super::nearest;

/// How one number's past is looked at, and from where on it is too much.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, Default)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct TrendSection {
    /// How far back slope and growth look; at least five intervals. Growth that pauses for longer
    /// is over.
    pub(crate) window: Option<ConfigDuration>,
    /// How fast the moving mean forgets: after so many samples one counts half.
    pub(crate) half_life_samples: Option<u32>,
    /// So many samples come before deviations are judged.
    pub(crate) warm_up_samples: Option<u32>,
    /// The smallest deviation that is believed, in the number's unit.
    pub(crate) deviation_min: Option<f64>,
    /// So many deviations from the moving mean, above or below: `Anomalous`.
    pub(crate) deviations: Option<PairedConfig>,
    /// So much a second: `RisingFast`.
    pub(crate) slope_per_second: Option<PairedConfig>,
    /// For so long it never fell: `OnlyGrowing`.
    pub(crate) growing_seconds: Option<PairedConfig>,
}

/// A window for a slope or for growth holds at least this many intervals: half of it must hold the
/// three samples that a slope needs, also where one of them is late.
const INTERVALS_MIN: u32 = 5;

// === impl ComponentConfig ===

impl ComponentConfig {
    /// The trends of its numbers, or the first problem below `key`.
    pub(crate) fn trends(&self, key: &str) -> Result<Trends, Problem> {
        let mut trends = Trends::default();
        for (name, section) in &self.trends {
            let key = trend_key(key, name);
            if let Some(known) = self.numbers()
                && !known.contains(&name.as_str())
            {
                return Err(Problem::new(key, unknown_number(name, known)));
            }
            let limits = section.limits();
            if limits.is_empty() {
                let what = "has no limit; give at least one of: deviations, slopePerSecond, \
                            growingSeconds, each { degraded, unhealthy }";
                return Err(Problem::new(key, what));
            }
            trends = trends
                .with(name, section.config(name), limits)
                .map_err(|error| {
                    let what = format!("is {}, {}", error.value, error.allowed);
                    Problem::new(format!("{key}.{}", error.key), what)
                })?;
        }
        Ok(trends)
    }

    /// The numbers that its kind gives; none where that is for another program to say.
    fn numbers(&self) -> Option<&'static [&'static str]> {
        if self.http.is_some() || self.kubernetes_api.is_some() {
            Some(&[names::LATENCY_SECONDS, names::HTTP_STATUS])
        } else if self.tcp.is_some() {
            Some(&[names::LATENCY_SECONDS])
        } else if self.prometheus.is_some() {
            Some(&[
                names::SYNC_RATE,
                names::ERROR_RATE,
                names::QUEUE_DEPTH,
                names::LATENCY_SECONDS,
            ])
        } else if self.disk.is_some() {
            Some(&[
                names::USED_RATIO,
                names::FREE_BYTES,
                names::INODES_USED_RATIO,
            ])
        } else if self.file.is_some() {
            Some(&[names::AGE_SECONDS, names::SIZE_BYTES])
        } else if self.resources.is_some() {
            Some(&[
                names::MEMORY_BYTES,
                names::MEMORY_LIMIT_BYTES,
                names::MEMORY_RATIO,
                names::CPU_CORES,
                names::OPEN_FILES,
                names::THREADS,
                names::TASKS,
            ])
        } else {
            None
        }
    }

    /// Finds what is wrong with the trends.
    pub(super) fn validate_trends(
        &self,
        key: &str,
        checks: &ChecksConfig,
        problems: &mut Problems,
    ) {
        if let Err(problem) = self.trends(key) {
            problems.0.push(problem);
            return;
        }
        // Nobody knows how often another process reports.
        if self.push.is_some() {
            return;
        }
        let (interval, _) = self.pace(checks);
        let least = interval.saturating_mul(INTERVALS_MIN);
        for (name, section) in &self.trends {
            let window = section.config(name).window;
            if section.needs_window() && window < least {
                let [window, interval, least] =
                    [window, interval, least].map(humantime::format_duration);
                let what = format!(
                    "is {window} with an interval of {interval}, at least {least} (five \
                     intervals) is allowed"
                );
                problems.add(format!("{}.window", trend_key(key, name)), what);
            }
        }
    }
}

// === impl TrendSection ===

impl TrendSection {
    fn config(&self, name: &str) -> TrendConfig {
        let usual = TrendConfig::for_number(name);
        TrendConfig {
            window: self.window.map_or(usual.window, |own| own.0),
            half_life_samples: self.half_life_samples.unwrap_or(usual.half_life_samples),
            warm_up_samples: self.warm_up_samples.unwrap_or(usual.warm_up_samples),
            deviation_min: self.deviation_min.unwrap_or(usual.deviation_min),
        }
    }

    /// Whether a limit is on what is looked at over the window.
    fn needs_window(&self) -> bool {
        let limits = self.limits();
        limits.slope_per_second != Paired::default() || limits.growing_seconds != Paired::default()
    }

    fn limits(&self) -> TrendLimits {
        let paired = |given: Option<PairedConfig>| given.map_or_else(Paired::default, Paired::from);
        TrendLimits {
            deviations: paired(self.deviations),
            slope_per_second: paired(self.slope_per_second),
            growing_seconds: paired(self.growing_seconds),
        }
    }
}

/// A trend of a number that never comes would be silent for ever.
fn unknown_number(name: &str, known: &[&str]) -> String {
    match nearest(name, known) {
        Some(nearest) => {
            format!("this kind gives no number of that name; did you mean {nearest:?}?")
        }
        None => format!(
            "this kind gives no number of that name; it gives: {}",
            known.join(", ")
        ),
    }
}

fn trend_key(key: &str, name: &str) -> String {
    format!("{key}.trends.{name}")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;
    use std::time::Instant;

    use health_core::Outcome;

    use super::*;
    use crate::config::AGENT_VARIABLES;
    use crate::config::AgentConfig;
    use crate::config::Environment;
    use crate::config::Source;
    use crate::config::load;

    #[test]
    fn a_trend_is_read_and_judges() {
        let component = component(
            "prometheus: { url: 'http://x' }, trends: { queueDepth: { window: 10m, \
             deviations: { degraded: 4 }, slopePerSecond: { degraded: 2, unhealthy: 10 }, \
             growingSeconds: { degraded: 600 } }, errorRate: { deviations: { unhealthy: 9 } } }",
        );
        assert_eq!(problems(&component), Vec::<String>::new());
        let rate = &component.trends["errorRate"];
        assert_eq!(rate.config("errorRate").deviation_min, 0.01);
        let mut trends = component.trends("c").unwrap();
        let mut now = Instant::now();
        let mut last = Outcome::healthy();
        for step in 0..20_u32 {
            let outcome = Outcome::healthy().with_metric("queueDepth", f64::from(step) * 300.0);
            last = trends.apply(outcome, now);
            now += Duration::from_secs(30);
        }
        assert_eq!(last.reason.as_str(), "RisingFast");
        assert_eq!(last.metrics["queueDepthSlopePerSecond"], 10.0);
    }

    #[test]
    fn without_trends_there_are_none() {
        let component = component("tcp: { address: 'x:1' }");
        assert!(component.trends("c").unwrap().is_empty());
    }

    #[test]
    fn what_is_wrong_is_told_with_its_key_and_what_is_right() {
        const EXEC: &str = "exec: { command: [x] }";
        for (kind, trend, problem) in [
            (
                EXEC,
                "window: 10m",
                "depth: has no limit; give at least one of: deviations, slopePerSecond, \
                 growingSeconds, each { degraded, unhealthy }",
            ),
            (
                EXEC,
                "deviations: {}",
                "depth: has no limit; give at least one of: deviations, slopePerSecond, \
                 growingSeconds, each { degraded, unhealthy }",
            ),
            (
                EXEC,
                "window: 0s, deviations: { degraded: 4 }",
                "depth.window: is 0ns, 1s to 7 days are allowed",
            ),
            (
                EXEC,
                "window: 1m, growingSeconds: { degraded: 60 }",
                "depth.window: is 1m with an interval of 30s, at least 2m 30s (five intervals) is \
                 allowed",
            ),
            (
                EXEC,
                "slopePerSecond: { degraded: 10, unhealthy: 2 }",
                "depth.slopePerSecond: is degraded from 10 and unhealthy from 2 on, degraded must \
                 not lie beyond unhealthy",
            ),
            (
                EXEC,
                "growingSeconds: { degraded: 0 }",
                "depth.growingSeconds: is 0, a limit must be a number above 0",
            ),
            (
                EXEC,
                "deviationMin: -1, deviations: { degraded: 4 }",
                "depth.deviationMin: is -1, it must be a number of at least 1e-9",
            ),
            (EXEC, "window: 1m, deviations: { degraded: 4 }", ""),
            (
                "push: { ttl: 1h }",
                "window: 1s, growingSeconds: { degraded: 60 }",
                "",
            ),
        ] {
            let component = component(&format!("{kind}, trends: {{ depth: {{ {trend} }} }}"));
            let expected: Vec<_> = [problem]
                .iter()
                .filter(|problem| !problem.is_empty())
                .map(|problem| format!("checks.components[0].trends.{problem}"))
                .collect();
            assert_eq!(problems(&component), expected, "{trend}");
        }
    }

    #[test]
    fn a_number_that_never_comes_is_refused() {
        for (kind, name, problem) in [
            (
                "prometheus: { url: 'http://x' }",
                "queuDepth",
                Some("did you mean \"queueDepth\"?"),
            ),
            (
                "http: { url: 'http://x' }",
                "load",
                Some("it gives: latencySeconds, httpStatus"),
            ),
            ("tcp: { address: 'x:1' }", "latencySeconds", None),
            ("disk: { path: / }", "freeBytes", None),
            ("file: { path: /x }", "ageSeconds", None),
            ("resources: {}", "memoryBytes", None),
            ("exec: { command: [x] }", "load", None),
            ("push: { ttl: 1h }", "load", None),
        ] {
            let limit = "{ deviations: { degraded: 4 } }";
            let component = component(&format!("{kind}, trends: {{ {name}: {limit} }}"));
            let expected = problem.map(|problem| {
                format!(
                    "checks.components[0].trends.{name}: this kind gives no number of that name; \
                     {problem}"
                )
            });
            assert_eq!(problems(&component), Vec::from_iter(expected), "{kind}");
        }
    }

    #[test]
    fn an_unknown_key_is_refused_with_the_nearest_known_one() {
        let error = read("http: { url: x }, trends: { depth: { slope: { degraded: 1 } } }");
        assert_eq!(
            error.unwrap_err(),
            "configuration: checks.components[0].trends.depth.slope: unknown key; known here: \
             window, halfLifeSamples, warmUpSamples, deviationMin, deviations, slopePerSecond, \
             growingSeconds"
        );
    }

    fn problems(component: &ComponentConfig) -> Vec<String> {
        let mut problems = Problems::default();
        let key = "checks.components[0]";
        component.validate_trends(key, &ChecksConfig::default(), &mut problems);
        let told = problems.0.into_iter();
        told.map(|problem| format!("{}: {}", problem.key, problem.what))
            .collect()
    }

    fn component(text: &str) -> ComponentConfig {
        read(text).unwrap().checks.components.remove(0)
    }

    fn read(text: &str) -> Result<AgentConfig, String> {
        let text = format!("checks: {{ components: [{{ name: c, {text} }}] }}");
        let source = Source {
            file: None,
            text: &text,
        };
        let draft = load(source, &Environment::new(), AGENT_VARIABLES);
        draft
            .check(|_| Ok(()))
            .map(|loaded| loaded.config)
            .map_err(|error| error.to_string())
    }
}
