//! Who is beating.

use std::fmt;
use std::sync::Arc;

/// The stable name of an agent's place: its pod's UID, its host's name, or what the operator says.
/// It survives a restart of the agent.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot(Arc<str>);

/// One start of an agent. New at each start, and compared only for equality.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Incarnation(Arc<str>);

/// Who is beating: a slot and one start of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Identity {
    /// The place.
    pub slot: Slot,
    /// The start.
    pub incarnation: Incarnation,
}

/// An identity as one text, `SLOT_INCARNATION`: what a Lease names as its holder.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HolderIdentity(Arc<str>);

// === impl Slot ===

impl Slot {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Slot {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl From<String> for Slot {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

// === impl Incarnation ===

impl Incarnation {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Incarnation {
    /// An underscore, which would make a holder identity ambiguous, becomes a hyphen.
    fn from(text: &str) -> Self {
        Self(text.replace('_', "-").into())
    }
}

impl From<String> for Incarnation {
    /// As from a `&str`.
    fn from(text: String) -> Self {
        text.as_str().into()
    }
}

impl fmt::Display for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

// === impl Identity ===

impl Identity {
    /// The identity as a Lease's holder.
    #[must_use]
    pub fn holder(&self) -> HolderIdentity {
        HolderIdentity(format!("{}_{}", self.slot, self.incarnation).into())
    }
}

// === impl HolderIdentity ===

impl HolderIdentity {
    /// The identity as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The slot: what stands before the last underscore, or all of it where there is none
    /// (a holder that another program wrote, as kubelet or kubert).
    #[must_use]
    pub fn slot(&self) -> Slot {
        self.parts().0.into()
    }

    /// The slot and the incarnation; an empty one where another program wrote the holder.
    #[must_use]
    pub fn parts(&self) -> (&str, &str) {
        self.0.rsplit_once('_').unwrap_or((&*self.0, ""))
    }
}

impl From<&str> for HolderIdentity {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for HolderIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slot_is_found_in_a_holder_whatever_it_contains() {
        for (slot, incarnation) in [("pod-1", "a"), ("with_under_score", "b_c"), ("", "x")] {
            let identity = Identity {
                slot: slot.into(),
                incarnation: incarnation.into(),
            };
            assert_eq!(identity.holder().slot().as_str(), slot);
            let owned = Identity {
                slot: slot.to_owned().into(),
                incarnation: incarnation.to_owned().into(),
            };
            assert_eq!(owned, identity);
        }
        assert_eq!(
            HolderIdentity::from("kubelet-node-7").slot().as_str(),
            "kubelet-node-7"
        );
    }
}
