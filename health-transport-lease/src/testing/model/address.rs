//! What a request is about.

use serde_json::Value;
use serde_json::json;

use super::answer;
use super::answer::Wrong;
use super::text;
use crate::RawResponse;
use crate::config::is_subdomain;
use crate::names;

/// The kinds of object that the model knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Lease,
    SubjectAccessReview,
    SyncTarget,
    TokenReview,
}

/// An object or, without a name, all of them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Address<'a> {
    pub(super) kind: Kind,
    /// Empty where objects of that kind are in none.
    pub(super) namespace: &'a str,
    pub(super) name: &'a str,
    /// Whether it is the object's status alone.
    pub(super) status: bool,
}

/// What is asked for beside the object.
#[derive(Debug, Clone, Copy)]
pub(super) struct Query {
    pub(super) strict: bool,
    pub(super) dry_run: bool,
}

// === impl Kind ===

impl Kind {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Lease => "Lease",
            Self::SubjectAccessReview => "SubjectAccessReview",
            Self::SyncTarget => names::KIND,
            Self::TokenReview => "TokenReview",
        }
    }

    pub(super) const fn plural(self) -> &'static str {
        match self {
            Self::Lease => "leases",
            Self::SubjectAccessReview => "subjectaccessreviews",
            Self::SyncTarget => names::PLURAL,
            Self::TokenReview => "tokenreviews",
        }
    }

    pub(super) const fn group(self) -> &'static str {
        match self {
            Self::Lease => "coordination.k8s.io",
            Self::SubjectAccessReview => "authorization.k8s.io",
            Self::SyncTarget => names::GROUP,
            Self::TokenReview => "authentication.k8s.io",
        }
    }

    pub(super) const fn version(self) -> &'static str {
        match self {
            Self::Lease | Self::SubjectAccessReview | Self::TokenReview => "v1",
            Self::SyncTarget => names::VERSION,
        }
    }

    /// Whether it is a question, of which nothing is kept.
    pub(super) const fn is_review(self) -> bool {
        match self {
            Self::SubjectAccessReview | Self::TokenReview => true,
            Self::Lease | Self::SyncTarget => false,
        }
    }

    pub(super) fn api_version(self) -> String {
        format!("{}/{}", self.group(), self.version())
    }

    /// As messages name it.
    pub(super) fn resource(self) -> String {
        format!("{}.{}", self.plural(), self.group())
    }
}

// === impl Address ===

impl<'a> Address<'a> {
    pub(super) const fn target(name: &'a str) -> Self {
        Self {
            kind: Kind::SyncTarget,
            namespace: "",
            name,
            status: false,
        }
    }

    pub(super) fn parse(path: &'a str) -> Option<Self> {
        let parts: Vec<_> = path.strip_prefix("/apis/")?.split('/').collect();
        let (kind, namespace, rest) = match *parts {
            [
                "coordination.k8s.io",
                "v1",
                "namespaces",
                namespace,
                "leases",
                ref rest @ ..,
            ] => (Kind::Lease, namespace, rest),
            [names::GROUP, names::VERSION, names::PLURAL, ref rest @ ..] => {
                (Kind::SyncTarget, "", rest)
            }
            ["authentication.k8s.io", "v1", "tokenreviews"] => (Kind::TokenReview, "", &[][..]),
            ["authorization.k8s.io", "v1", "subjectaccessreviews"] => {
                (Kind::SubjectAccessReview, "", &[][..])
            }
            _ => return None,
        };
        let (name, status) = match (kind, rest) {
            (_, []) => ("", false),
            (_, [name]) => (*name, false),
            (Kind::SyncTarget, [name, "status"]) => (*name, true),
            _ => return None,
        };
        Some(Self {
            kind,
            namespace,
            name,
            status,
        })
    }

    pub(super) const fn named<'b>(&self, name: &'b str) -> Address<'b>
    where
        'a: 'b,
    {
        Address { name, ..*self }
    }

    /// The path of the whole object.
    pub(super) fn path(&self) -> String {
        let mut path = format!("/apis/{}", self.kind.api_version());
        if !self.namespace.is_empty() {
            path = format!("{path}/namespaces/{}", self.namespace);
        }
        path = format!("{path}/{}", self.kind.plural());
        if !self.name.is_empty() {
            path = format!("{path}/{}", self.name);
        }
        path
    }

    /// What an answer says that it is about.
    pub(super) fn details(&self) -> Value {
        let mut details = json!({ "group": self.kind.group(), "kind": self.kind.plural() });
        if !self.name.is_empty() {
            details["name"] = self.name.into();
        }
        details
    }

    /// Whether an object may be called that.
    pub(super) fn check_name(&self) -> Result<(), RawResponse> {
        if is_subdomain(self.name) {
            return Ok(());
        }
        let wrong = if self.name.is_empty() {
            Wrong::required("metadata.name", ": name or generateName is required")
        } else {
            let value = format!("{:?}", self.name);
            Wrong::invalid(
                "metadata.name",
                &value,
                "a lowercase RFC 1123 subdomain must be used",
            )
        };
        Err(answer::invalid(self, self.kind.name(), &[wrong]))
    }

    pub(super) fn check_same_name(&self, object: &Value) -> Result<(), RawResponse> {
        let (name, sent) = (self.name, text(&object["metadata"]["name"]));
        let message = if sent.is_empty() {
            format!("the name of the object ({name} based on URL) was undeterminable")
        } else if sent == name {
            return Ok(());
        } else {
            format!("the name of the object ({sent}) does not match the name on the URL ({name})")
        };
        Err(answer::status(400, "BadRequest", &message, None))
    }
}

// === impl Query ===

impl Query {
    pub(super) fn parse(query: &str) -> Self {
        let has = |wanted: &str| query.split('&').any(|pair| pair == wanted);
        Self {
            strict: has("fieldValidation=Strict"),
            dry_run: has("dryRun=All"),
        }
    }
}
