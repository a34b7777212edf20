//! When a message was written, by its writer's clock.

use std::borrow::Cow;
use std::fmt;
use std::time::SystemTime;

use jiff::fmt::temporal::DateTimePrinter;

/// When a message was written, by its writer's clock: RFC 3339 as Go writes it, kept as sent.
///
/// It is shown and compared with our clock to tell the skew; it decides nothing, so a text that is
/// no time is no error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timestamp(Cow<'static, str>);

/// Go's zero time, which stands for "not set".
const ZERO: &str = "0001-01-01T00:00:00Z";

/// As long as a time to the nanosecond.
const LEN: usize = 30;

const PRINTER: DateTimePrinter = DateTimePrinter::new();

// === impl Timestamp ===

impl Timestamp {
    /// Go's zero time, which stands for "not set".
    pub const ZERO: Self = Self(Cow::Borrowed(ZERO));

    /// Whether it is Go's zero time.
    #[must_use]
    pub fn is_zero(&self) -> bool {
        self.0 == ZERO
    }

    /// What somebody sent.
    pub(crate) fn from_text(text: &str) -> Self {
        if text == ZERO {
            Self::ZERO
        } else {
            Self(text.to_owned().into())
        }
    }

    /// The text as it stands on the wire.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The time, or nothing where it is not set or not a time.
    #[must_use]
    pub fn time(&self) -> Option<SystemTime> {
        if self.is_zero() {
            return None;
        }
        self.0.parse::<jiff::Timestamp>().ok().map(SystemTime::from)
    }
}

impl From<SystemTime> for Timestamp {
    /// A time that no calendar has (before the year -9999 or after 9999) becomes the zero time.
    fn from(time: SystemTime) -> Self {
        let Ok(time) = jiff::Timestamp::try_from(time) else {
            return Self::ZERO;
        };
        let mut text = String::with_capacity(LEN);
        // Nothing refuses to be written into a text.
        let _ = PRINTER.print_timestamp(&time, &mut text);
        Self(text.into())
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl Default for Timestamp {
    fn default() -> Self {
        Self::ZERO
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::wire::Message;

    #[test]
    fn fractions_are_written_without_trailing_zeros_as_go_does() {
        for (nanos, text) in [
            (0, "2025-08-17T19:48:05Z"),
            (120_000_000, "2025-08-17T19:48:05.12Z"),
            (123_456_789, "2025-08-17T19:48:05.123456789Z"),
            (1, "2025-08-17T19:48:05.000000001Z"),
        ] {
            let time = SystemTime::UNIX_EPOCH + Duration::new(1_755_460_085, nanos);
            let timestamp = Timestamp::from(time);
            assert_eq!(timestamp.as_str(), text);
            assert_eq!(timestamp.time(), Some(time));
        }
    }

    #[test]
    fn offsets_are_understood_and_kept() {
        let timestamp = Timestamp::from_text("2025-08-17T21:48:05.12+02:00");
        assert_eq!(timestamp.as_str(), "2025-08-17T21:48:05.12+02:00");
        let utc = SystemTime::UNIX_EPOCH + Duration::new(1_755_460_085, 120_000_000);
        assert_eq!(timestamp.time(), Some(utc));
    }

    #[test]
    fn the_zero_time_null_and_nonsense_are_no_time() {
        for timestamp in [r#""0001-01-01T00:00:00Z""#, "null", r#""yesterday""#] {
            let text = format!(r#"{{"type":"ping","timestamp":{timestamp}}}"#);
            assert_eq!(Message::parse(&text).unwrap().timestamp.time(), None);
        }
        let missing = Message::parse(r#"{"type":"ping"}"#).unwrap();
        assert!(missing.timestamp.is_zero());
    }
}
