//! Names that machines compare: of components, and of reasons.

use std::borrow::Borrow;
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// A component's name: 1 to 63 characters of `a-z`, `A-Z`, `0-9`, `-`, `_`, `.`, beginning and
/// ending with a letter or a digit, so that it fits a URL's path, a metric's label and a file name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ComponentName(Arc<str>);

/// Why a component is as it is: CamelCase, stable, for machines, as in a Kubernetes condition.
///
/// What is not CamelCase is made so rather than refused, since a reason may come from another
/// process: characters outside `A-Z`, `a-z`, `0-9` are dropped and the next letter is raised.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reason(Cow<'static, str>);

/// Indicates a name that a component cannot have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "component name {0:?} is not valid: 1 to 63 letters, digits, '-', '_' or '.', \
     beginning and ending with a letter or a digit"
)]
pub struct InvalidName(pub String);

/// The longest component name and the longest reason, in bytes.
const NAME_MAX: usize = 63;

// === impl ComponentName ===

impl ComponentName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ComponentName {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let inner = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_' | b'.');
        let edge = |c: Option<&u8>| c.is_some_and(u8::is_ascii_alphanumeric);
        let bytes = text.as_bytes();
        let valid = bytes.len() <= NAME_MAX
            && edge(bytes.first())
            && edge(bytes.last())
            && bytes.iter().copied().all(inner);
        if valid {
            Ok(Self(text.into()))
        } else {
            Err(InvalidName(text.to_owned()))
        }
    }
}

impl fmt::Display for ComponentName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl Borrow<str> for ComponentName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

// === impl Reason ===

impl Reason {
    /// A reason that is known to be CamelCase.
    #[must_use]
    pub const fn literal(text: &'static str) -> Self {
        Self(Cow::Borrowed(text))
    }

    /// The reason as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Reason {
    fn from(text: &str) -> Self {
        let mut reason = String::with_capacity(text.len().min(NAME_MAX));
        let mut raise = true;
        for c in text.chars() {
            if reason.len() == NAME_MAX {
                break;
            }
            if !c.is_ascii_alphanumeric() {
                raise = true;
            } else if raise && (c.is_ascii_alphabetic() || !reason.is_empty()) {
                reason.push(c.to_ascii_uppercase());
                raise = false;
            } else if !reason.is_empty() {
                reason.push(c);
            }
        }
        if reason.is_empty() {
            return crate::reasons::UNSPECIFIED;
        }
        Self(Cow::Owned(reason))
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fit_urls_and_labels() {
        for good in ["a", "sync-engine", "disk.var_log", "A1", &"x".repeat(63)] {
            assert_eq!(good.parse::<ComponentName>().unwrap().as_str(), good);
        }
        for bad in ["", "-a", "a-", "a b", "a/b", "ä", "a\n", &"x".repeat(64)] {
            assert!(bad.parse::<ComponentName>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn reasons_become_camel_case() {
        for (text, reason) in [
            ("QueueDepthHigh", "QueueDepthHigh"),
            ("queue depth high", "QueueDepthHigh"),
            ("queue_depth-high!", "QueueDepthHigh"),
            ("9lives", "Lives"),
            ("", "Unspecified"),
            ("\u{1F4A5}", "Unspecified"),
        ] {
            assert_eq!(Reason::from(text).as_str(), reason, "{text:?}");
        }
        assert_eq!(Reason::from("x".repeat(200).as_str()).as_str().len(), 63);
    }
}
