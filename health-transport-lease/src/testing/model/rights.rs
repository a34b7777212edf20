//! Who may do what.

use std::collections::BTreeMap;

use http::Method;
use serde_json::Value;

use super::address::Address;
use super::answer;
use crate::RawResponse;

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Caller<'a> {
    /// One who may do everything.
    Admin,
    /// One whose credentials the server does not know.
    Stranger,
    /// A user, who may do what [`Model::allow`](super::Model::allow) said.
    User(&'a str),
}

/// The RBAC rules of each user.
#[derive(Debug, Clone, Default)]
pub(super) struct Rights(BTreeMap<String, Vec<Value>>);

/// What somebody wants to do.
#[derive(Debug, Clone, Copy)]
pub(super) struct Act<'a> {
    pub(super) verb: &'a str,
    pub(super) group: &'a str,
    /// With the subresource, if there is one.
    pub(super) resource: &'a str,
    pub(super) name: &'a str,
}

// === impl Rights ===

impl Rights {
    pub(super) fn allow(&mut self, user: &str, rules: &Value) {
        let known = self.0.entry(user.to_owned()).or_default();
        known.extend(rules.as_array().into_iter().flatten().cloned());
    }

    pub(super) fn forbid(&mut self, user: &str) {
        self.0.remove(user);
    }

    /// Before anything else is looked at: whether the caller may do that.
    pub(super) fn check(
        &self,
        caller: Caller<'_>,
        method: &Method,
        address: &Address<'_>,
        watch: bool,
    ) -> Result<(), RawResponse> {
        let verb = if watch {
            "watch"
        } else {
            verb(method, address)
        };
        let resource = resource(address);
        let act = Act {
            verb,
            group: address.kind.group(),
            resource: &resource,
            name: address.name,
        };
        match caller {
            Caller::Admin => Ok(()),
            Caller::Stranger => Err(answer::status(401, "Unauthorized", "Unauthorized", None)),
            Caller::User(user) if self.may(user, &act) => Ok(()),
            Caller::User(user) => Err(forbidden(user, verb, address)),
        }
    }

    /// Whether the user may do that.
    pub(super) fn may(&self, user: &str, act: &Act<'_>) -> bool {
        let mut rules = self.0.get(user).into_iter().flatten();
        rules.any(|rule| {
            lists(&rule["verbs"], act.verb)
                && lists(&rule["apiGroups"], act.group)
                && lists(&rule["resources"], act.resource)
                && (rule["resourceNames"].is_null() || lists(&rule["resourceNames"], act.name))
        })
    }
}

fn verb(method: &Method, address: &Address<'_>) -> &'static str {
    match (method.as_str(), address.name.is_empty()) {
        ("GET", true) => "list",
        ("GET", false) => "get",
        ("POST", _) => "create",
        ("DELETE", _) => "delete",
        ("PATCH", _) => "patch",
        _ => "update",
    }
}

fn resource(address: &Address<'_>) -> String {
    let status = if address.status { "/status" } else { "" };
    format!("{}{status}", address.kind.plural())
}

fn lists(list: &Value, wanted: &str) -> bool {
    let mut list = list.as_array().into_iter().flatten();
    list.any(|it| it == wanted || it == "*")
}

/// It names the rule that is missing.
fn forbidden(user: &str, verb: &str, address: &Address<'_>) -> RawResponse {
    let (kind, resource) = (address.kind, resource(address));
    let name = match address.name {
        "" => String::new(),
        name => format!(" {name:?}"),
    };
    let scope = match address.namespace {
        "" => "at the cluster scope".to_owned(),
        namespace => format!("in the namespace {namespace:?}"),
    };
    let message = format!(
        "{}{name} is forbidden: User {user:?} cannot {verb} resource {resource:?} in API group \
         {:?} {scope}",
        kind.resource(),
        kind.group(),
    );
    answer::status(403, "Forbidden", &message, Some(address.details()))
}
