//! What a server said, and what it should have.

use serde_json::Value;

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) code: u16,
    /// The body, or nothing where it is no JSON.
    pub(crate) body: Value,
    pub(crate) text: String,
}

/// The kinds as [`Answer::refused`] is told them: what a refusal is about.
pub(crate) const LEASES: &str = "leases.coordination.k8s.io";
pub(crate) const TARGETS: &str = "synctargets.workload.kcp.io";
pub(crate) const LEASE: &str = "Lease.coordination.k8s.io";
pub(crate) const TARGET: &str = "SyncTarget.workload.kcp.io";
pub(crate) const NAMESPACES: &str = "namespaces";

// === impl Answer ===

impl Answer {
    /// The object of an answer that says that it was done.
    #[track_caller]
    pub(crate) fn done(self, code: u16) -> Value {
        assert_eq!(self.code, code, "{}", self.text);
        self.body
    }

    /// It is a refusal of that reason, about nothing in particular.
    #[track_caller]
    pub(crate) fn refused(&self, code: u16, reason: &str) -> &Self {
        assert_eq!(self.code, code, "{}", self.text);
        assert_eq!(self.body["kind"], "Status", "{}", self.text);
        assert_eq!(self.body["status"], "Failure", "{}", self.text);
        assert_eq!(self.body["code"], code, "{}", self.text);
        assert_eq!(
            self.body["reason"].as_str().unwrap_or(""),
            reason,
            "{}",
            self.text
        );
        self
    }

    /// It is about the object of that kind and name, which is empty for all of them.
    #[track_caller]
    pub(crate) fn about(&self, kind: &str, name: &str) -> &Self {
        let details = &self.body["details"];
        let (wanted, group) = kind.split_once('.').unwrap_or((kind, ""));
        assert_eq!(details["kind"], wanted, "{}", self.text);
        let said = |key: &str| details[key].as_str().unwrap_or("").to_owned();
        assert_eq!(
            (said("group"), said("name")),
            (group.to_owned(), name.to_owned()),
            "{}",
            self.text
        );
        self
    }

    /// The first thing that is wrong is that field.
    #[track_caller]
    pub(crate) fn because_of(&self, field: &str, reason: &str) -> &Self {
        let cause = &self.body["details"]["causes"][0];
        assert_eq!(cause["field"], field, "{}", self.text);
        assert_eq!(cause["reason"], reason, "{}", self.text);
        self
    }

    /// The message has that in it.
    #[track_caller]
    pub(crate) fn saying(&self, text: &str) -> &Self {
        let message = self.body["message"].as_str().unwrap_or(&self.text);
        assert!(message.contains(text), "{text}: {}", self.text);
        self
    }
}
