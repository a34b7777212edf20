//! The report as it travels: cut to size, and not too often.

use std::time::Duration;
use std::time::Instant;

use serde_json::Map;
use serde_json::Value;

/// The longest report that is sent, in bytes.
pub const REPORT_MAX: usize = 32 * 1024;

/// The field of a cut report that says what was cut.
const CUT: &str = "cut";
const COMPONENTS: &str = "components";

/// Reports go at most that often, the latest one wins: a status that flaps must not fill the tunnel.
const EVERY: Duration = Duration::from_secs(1);

/// When the report is due.
#[derive(Debug, Default)]
pub(crate) struct ReportPace {
    due: bool,
    not_before: Option<Instant>,
}

/// Cuts a report to `max` bytes of JSON: what matters least goes first, and the field `cut` lists
/// what went.
///
/// The numbers of components go first, then healthy components, then as many of the others as it
/// takes, then every field that is not a short value.
///
/// ```
/// use serde_json::json;
///
/// let report = json!({"status": "Degraded", "components": {
///     "a": {"status": "Healthy", "message": "x".repeat(100)},
///     "b": {"status": "Degraded", "message": "slow"},
/// }});
/// let cut = health_transport_ws::cut_report(report, 120);
/// assert_eq!(cut["cut"], json!(["1 healthy components"]));
/// assert_eq!(cut["components"]["b"]["message"], "slow");
/// ```
#[must_use]
pub fn cut_report(mut report: Value, max: usize) -> Value {
    if size(&report) <= max {
        return report;
    }
    let mut cut = Vec::new();
    for step in [cut_metrics, cut_healthy, cut_fields] {
        let Some(object) = report.as_object_mut() else {
            break;
        };
        step(object, max, &mut cut);
        object.insert(CUT.to_owned(), cut.clone().into());
        if size(&report) <= max {
            return report;
        }
    }
    let note = Value::from(vec!["everything"]);
    Value::Object(Map::from_iter([(CUT.to_owned(), note)]))
}

fn cut_metrics(report: &mut Map<String, Value>, _max: usize, cut: &mut Vec<String>) {
    let mut count = 0;
    for component in components(report).values_mut() {
        let metrics = component
            .as_object_mut()
            .and_then(|component| component.remove("metrics"));
        count += usize::from(metrics.is_some());
    }
    if count > 0 {
        cut.push(format!("metrics of {count} components"));
    }
}

fn cut_healthy(report: &mut Map<String, Value>, _max: usize, cut: &mut Vec<String>) {
    let components = components(report);
    let before = components.len();
    components.retain(|_, component| component["status"] != "Healthy");
    let gone = before - components.len();
    if gone > 0 {
        cut.push(format!("{gone} healthy components"));
    }
}

fn cut_fields(report: &mut Map<String, Value>, max: usize, cut: &mut Vec<String>) {
    /// A name, a version, a number.
    const SHORT: usize = 256;
    let mut room = max.saturating_sub(size(report)).max(max / 2);
    let kept: Map<_, _> = std::mem::take(components(report))
        .into_iter()
        .filter(|(name, component)| {
            let fits = name.len() + size(component) + 8;
            room = room.saturating_sub(fits);
            room > 0
        })
        .collect();
    let names: Vec<_> = report
        .iter()
        .filter(|(name, value)| size(*value) > SHORT && *name != CUT)
        .map(|(name, _)| name.clone())
        .collect();
    for name in names {
        report.remove(&name);
        cut.push(name);
    }
    if !kept.is_empty() {
        cut.push(format!("all but {} of the other components", kept.len()));
        report.insert(COMPONENTS.to_owned(), kept.into());
    }
}

fn components(report: &mut Map<String, Value>) -> &mut Map<String, Value> {
    let components = report
        .entry(COMPONENTS)
        .or_insert_with(|| Map::new().into());
    if !components.is_object() {
        *components = Map::new().into();
    }
    components
        .as_object_mut()
        .expect("it was made an object above")
}

/// How many bytes it has as JSON.
fn size<T: serde::Serialize + ?Sized>(value: &T) -> usize {
    crate::wire::raw(value).map_or(usize::MAX, |raw| raw.get().len())
}

// === impl ReportPace ===

impl ReportPace {
    /// The report changed, or a new connection stands.
    pub(crate) const fn want(&mut self) {
        self.due = true;
    }

    /// Whether to send it now; if so, it is due no more.
    pub(crate) fn take(&mut self, now: Instant) -> bool {
        let take = self.due && self.not_before.is_none_or(|at| at <= now);
        if take {
            self.due = false;
            self.not_before = Some(now + EVERY);
        }
        take
    }

    /// When it may be sent, if it is due.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.not_before.filter(|_| self.due)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_report_that_fits_is_left_as_it_is() {
        let report = report(3, 10);
        assert_eq!(cut_report(report.clone(), REPORT_MAX), report);
    }

    #[test]
    fn whatever_the_report_it_fits_and_says_what_was_cut() {
        for value in [
            report(1_000, 10),
            report(1_000, 1_000),
            report(3, 100_000),
            json!({"status": "x".repeat(100_000), "components": []}),
            json!("x".repeat(100_000)),
            json!(vec![1; 100_000]),
        ] {
            let cut = cut_report(value, REPORT_MAX);
            assert!(size(&cut) <= REPORT_MAX, "{}", size(&cut));
            assert!(!cut[CUT].as_array().unwrap().is_empty());
        }
    }

    #[test]
    fn what_is_wrong_stays_longest() {
        let cut = cut_report(report(1_000, 100), REPORT_MAX);
        assert_eq!(cut["status"], "Unhealthy");
        assert_eq!(cut["components"]["c7"]["reason"], "Broken");
        assert_eq!(cut["components"].as_object().unwrap().len(), 1);
    }

    #[test]
    fn reports_go_at_most_once_a_second_and_the_last_change_is_not_lost() {
        let start = Instant::now();
        let after = |millis| start + Duration::from_millis(millis);
        let mut pace = ReportPace::default();
        assert!(!pace.take(start));
        pace.want();
        assert!(pace.take(start));
        pace.want();
        assert!(!pace.take(after(999)));
        assert_eq!(pace.poll_timeout(), Some(after(1_000)));
        assert!(pace.take(after(1_000)));
        assert_eq!(pace.poll_timeout(), None);
    }

    /// Healthy components, but for the seventh.
    fn report(components: usize, message: usize) -> Value {
        let components: Map<_, _> = (0..components)
            .map(|n| {
                let message = "x".repeat(message);
                let component = if n == 7 {
                    json!({"status": "Unhealthy", "reason": "Broken", "metrics": {"a": 1}})
                } else {
                    json!({"status": "Healthy", "message": message, "metrics": {"a": 1}})
                };
                (format!("c{n}"), component)
            })
            .collect();
        json!({"apiVersion": "v1", "status": "Unhealthy", "components": components})
    }
}
