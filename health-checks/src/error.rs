//! That a check could not find out.

use std::error::Error;

use health_core::Outcome;
use health_core::Reason;

/// Indicates that a check could not find out how its component is: the component becomes Unknown.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct CheckError {
    /// Why, for machines.
    pub reason: Reason,
    /// Why, for people.
    pub message: String,
    /// What caused it.
    #[source]
    pub source: Option<Box<dyn Error + Send + Sync>>,
}

/// More than this many causes are not shown: a chain may be a circle.
const CAUSES_MAX: usize = 8;

// === impl CheckError ===

impl CheckError {
    /// It could not be found out for `reason`.
    #[must_use]
    pub fn new(reason: &str, message: impl Into<String>) -> Self {
        Self {
            reason: reason.into(),
            message: message.into(),
            source: None,
        }
    }

    /// Adds what caused it.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }
}

impl From<CheckError> for Outcome {
    fn from(error: CheckError) -> Self {
        Self::unknown(error.reason.as_str(), chain(&error))
    }
}

/// An error and what caused it, on one line.
pub(crate) fn chain(error: &(dyn Error + 'static)) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    for _ in 0..CAUSES_MAX {
        let Some(error) = cause else { break };
        let text = error.to_string();
        // Many errors repeat their source in their own text.
        if !line.contains(&text) {
            line.push_str(": ");
            line.push_str(&text);
        }
        cause = error.source();
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_names_the_whole_chain_and_the_error_alone_does_not() {
        let error = CheckError::new("MetricMissing", "no family to read")
            .with_source(std::io::Error::other("empty answer"));
        assert_eq!(error.to_string(), "no family to read");
        let outcome = Outcome::from(error);
        assert_eq!(outcome.message, "no family to read: empty answer");
        assert_eq!(outcome.reason.as_str(), "MetricMissing");
    }
}
