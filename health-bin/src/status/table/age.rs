//! How long ago, as kubectl says it: `12s`, `3m4s`, `41d`.

use jiff::Timestamp;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;
const YEAR: u64 = 365 * DAY;

/// An age in whole units, with a second one while that tells something. What is no age is
/// `<invalid>`; clocks that differ a little make no age negative.
pub(in crate::status) fn age(seconds: f64) -> String {
    /// Longer than any clock runs.
    const MAX: f64 = 1e12;
    if !(-2.0..MAX).contains(&seconds) {
        return "<invalid>".to_owned();
    }
    let seconds = seconds.max(0.0) as u64;
    let both = |unit: u64, name: &str, next: u64, next_name: &str| {
        let rest = seconds % unit / next;
        match rest {
            0 => format!("{}{name}", seconds / unit),
            rest => format!("{}{name}{rest}{next_name}", seconds / unit),
        }
    };
    match seconds {
        _ if seconds < 2 * MINUTE => format!("{seconds}s"),
        _ if seconds < 10 * MINUTE => both(MINUTE, "m", 1, "s"),
        _ if seconds < 3 * HOUR => format!("{}m", seconds / MINUTE),
        _ if seconds < 8 * HOUR => both(HOUR, "h", MINUTE, "m"),
        _ if seconds < 2 * DAY => format!("{}h", seconds / HOUR),
        _ if seconds < 8 * DAY => both(DAY, "d", HOUR, "h"),
        _ if seconds < 2 * YEAR => format!("{}d", seconds / DAY),
        _ if seconds < 8 * YEAR => both(YEAR, "y", DAY, "d"),
        _ => format!("{}y", seconds / YEAR),
    }
}

/// How long before `now` a time in RFC 3339 was.
pub(in crate::status) fn since(at: Option<&str>, now: Timestamp) -> Option<String> {
    let at: Timestamp = at?.parse().ok()?;
    let passed = now.duration_since(at);
    Some(age(passed.as_secs_f64()))
}

/// A short time, to two or three digits.
pub(in crate::status) fn brief(seconds: f64) -> String {
    let milliseconds = seconds * 1e3;
    if !(0.0..1e9).contains(&milliseconds) {
        "<invalid>".to_owned()
    } else if milliseconds < 1.0 {
        format!("{:.0}µs", milliseconds * 1e3)
    } else if milliseconds < 10.0 {
        format!("{milliseconds:.1}ms")
    } else if milliseconds < 1e3 {
        format!("{milliseconds:.0}ms")
    } else {
        format!("{seconds:.1}s")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_written_as_kubectl_writes_them() {
        const D: f64 = 86_400.0;
        for (seconds, shown) in [
            (-3.0, "<invalid>"),
            (f64::NAN, "<invalid>"),
            (1e300, "<invalid>"),
            (-1.5, "0s"),
            (0.0, "0s"),
            (0.999, "0s"),
            (12.3, "12s"),
            (119.0, "119s"),
            (120.0, "2m"),
            (184.0, "3m4s"),
            (599.0, "9m59s"),
            (600.0, "10m"),
            (10_799.0, "179m"),
            (10_800.0, "3h"),
            (14_700.0, "4h5m"),
            (28_800.0, "8h"),
            (47.0 * 3600.0, "47h"),
            (2.0 * D, "2d"),
            (2.0 * D + 3.0 * 3600.0, "2d3h"),
            (41.0 * D, "41d"),
            (729.0 * D, "729d"),
            (730.0 * D, "2y"),
            (800.0 * D, "2y70d"),
            (3000.0 * D, "8y"),
        ] {
            assert_eq!(age(seconds), shown, "{seconds}");
        }
    }

    #[test]
    fn a_time_is_shown_by_how_long_ago_it_was() {
        let now = "2026-03-01T12:00:00.5Z".parse().unwrap();
        for (at, shown) in [
            (Some("2026-03-01T11:56:56Z"), Some("3m4s")),
            (Some("2026-03-01T12:00:01Z"), Some("0s")),
            (Some("2026-03-01T13:00:00+01:00"), Some("0s")),
            (Some("yesterday"), None),
            (None, None),
        ] {
            assert_eq!(since(at, now).as_deref(), shown, "{at:?}");
        }
    }

    #[test]
    fn short_times_have_few_digits() {
        for (seconds, shown) in [
            (0.0, "0µs"),
            (0.000_35, "350µs"),
            (0.001_24, "1.2ms"),
            (0.042, "42ms"),
            (1.26, "1.3s"),
            (-1.0, "<invalid>"),
            (1e99, "<invalid>"),
        ] {
            assert_eq!(brief(seconds), shown, "{seconds}");
        }
    }
}
