//! From scrapes to rates.

use std::collections::HashMap;
use std::time::Duration;
use std::time::Instant;

use health_core::Paired;

use crate::checks::SyncLimits;
use crate::checks::SyncStats;
use crate::checks::prometheus::Families;
use crate::checks::prometheus::text::samples;

/// What one scrape says of the wanted families.
#[derive(Debug, Default)]
pub(super) struct Scrape {
    queue_depth: Series,
    attempts: Series,
    errors: Series,
    latency_sum: Series,
    latency_count: Series,
}

/// The rates between the last two scrapes that were far enough apart.
#[derive(Debug, Default)]
pub(super) struct Rates {
    last: Option<(Scrape, Instant)>,
    stats: SyncStats,
}

/// Values by series. Of a series that is there twice, the first counts.
type Series = HashMap<Box<[u8]>, f64>;

/// Two scrapes that are closer than this give no rate, but noise.
const APART_MIN: Duration = Duration::from_secs(1);

// === impl Scrape ===

impl Scrape {
    pub(super) fn read(body: &[u8], families: &Families) -> Self {
        let sum = format!("{}_sum", families.latency);
        let count = format!("{}_count", families.latency);
        let names: [&str; 5] = [
            &families.queue_depth,
            &families.attempts,
            &families.errors,
            &sum,
            &count,
        ];
        let is_wanted = |name: &[u8]| names.iter().any(|its| its.as_bytes() == name);
        let mut found: [Series; 5] = Default::default();
        for sample in samples(body, is_wanted).filter(|sample| sample.value.is_finite()) {
            // One family may be wanted for several numbers, as a histogram's count is for attempts.
            for (place, series) in found.iter_mut().enumerate() {
                // A gauge may be below 0; a counter there would make a rate that cannot be.
                let is_sound = place == 0 || sample.value >= 0.0;
                if is_sound && names[place].as_bytes() == sample.name {
                    series.entry(sample.series.into()).or_insert(sample.value);
                }
            }
        }
        let [queue_depth, attempts, errors, latency_sum, latency_count] = found;
        Self {
            queue_depth,
            attempts,
            errors,
            latency_sum,
            latency_count,
        }
    }

    /// Whether none of the wanted families is there.
    pub(super) fn is_empty(&self) -> bool {
        self.queue_depth.is_empty()
            && self.attempts.is_empty()
            && self.errors.is_empty()
            && self.latency_count.is_empty()
    }

    /// The wanted families that are not there.
    pub(super) fn missing<'a>(&self, families: &'a Families) -> Vec<&'a str> {
        [
            (&self.queue_depth, &families.queue_depth),
            (&self.attempts, &families.attempts),
            (&self.errors, &families.errors),
            (&self.latency_count, &families.latency),
        ]
        .into_iter()
        .filter(|(series, _)| series.is_empty())
        .map(|(_, name)| name.as_str())
        .collect()
    }
}

// === impl Rates ===

impl Rates {
    /// Takes a scrape of `now` and gives the numbers as they are by then.
    pub(super) fn take(&mut self, scrape: Scrape, now: Instant) -> SyncStats {
        let depth = (!scrape.queue_depth.is_empty()).then(|| scrape.queue_depth.values().sum());
        if let Some((last, at)) = &self.last {
            let apart = now.saturating_duration_since(*at);
            if apart < APART_MIN {
                self.stats.queue_depth = depth;
                return self.stats;
            }
            self.stats = between(last, &scrape, apart);
        }
        self.stats.queue_depth = depth;
        self.last = Some((scrape, now));
        self.stats
    }
}

fn between(before: &Scrape, after: &Scrape, apart: Duration) -> SyncStats {
    let attempts = growth(&before.attempts, &after.attempts);
    let errors = growth(&before.errors, &after.errors);
    let seconds = growth(&before.latency_sum, &after.latency_sum);
    let count = growth(&before.latency_count, &after.latency_count);
    let share = |part: Option<f64>, whole: Option<f64>| match (part, whole) {
        // Two sums that are too large have no share.
        (Some(part), Some(whole)) if whole > 0.0 => {
            Some(part / whole).filter(|share| share.is_finite())
        }
        _ => None,
    };
    SyncStats {
        sync_rate: attempts.map(|attempts| attempts / apart.as_secs_f64()),
        // The two counters are not read at one instant.
        error_rate: share(errors, attempts).map(|share| share.min(1.0)),
        queue_depth: None,
        latency_seconds: share(seconds, count),
    }
}

/// By how much the counters grew; nothing if they are not in both scrapes. A series that is new
/// began at 0, and so did one that went back.
fn growth(before: &Series, after: &Series) -> Option<f64> {
    if before.is_empty() || after.is_empty() {
        return None;
    }
    let grown = after.iter().map(|(series, value)| {
        let from = before.get(series).filter(|from| *from <= value);
        value - from.unwrap_or(&0.0)
    });
    Some(grown.sum())
}

/// The missing families that a limit needs.
pub(super) fn unjudged<'a>(
    families: &Families,
    missing: &[&'a str],
    limits: &SyncLimits,
) -> Vec<&'a str> {
    let is_set = |limit: Paired| limit.degraded.is_some() || limit.unhealthy.is_some();
    let is_needed = |name: &str| {
        (is_set(limits.queue_depth) && name == families.queue_depth)
            || (is_set(limits.error_rate) && (name == families.attempts || name == families.errors))
            || (is_set(limits.latency_seconds) && name == families.latency)
    };
    missing
        .iter()
        .copied()
        .filter(|name| is_needed(name))
        .collect()
}
