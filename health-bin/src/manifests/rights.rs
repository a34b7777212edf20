//! Roles, and who has them.

use serde_json::Value;
use serde_json::json;

use crate::cli::RightsArgs;

const API: &str = "rbac.authorization.k8s.io";

/// What an agent or a hub may do in a workspace.
pub(super) struct Rights {
    /// What the roles are called that this file makes.
    pub(super) name: String,
    pub(super) roles: Vec<Value>,
    /// Whether the server is a kcp, which lets nobody into a workspace by itself.
    pub(super) is_kcp: bool,
}

/// Who is given the roles; none where that is somebody else's task.
pub(super) fn subject(args: &RightsArgs) -> Option<Value> {
    if let Some(account) = &args.service_account {
        let (namespace, name) = account;
        return Some(json!({ "kind": "ServiceAccount", "name": name, "namespace": namespace }));
    }
    let name = args.user.as_ref()?;
    Some(json!({ "kind": "User", "apiGroup": API, "name": name }))
}

// === impl Rights ===

impl Rights {
    /// The roles, and where there is a `subject` the bindings that give it each of them.
    pub(super) fn objects(mut self, subject: Option<&Value>) -> Vec<Value> {
        let Some(subject) = subject else {
            return self.roles;
        };
        // A workspace's own ServiceAccounts are in it already.
        if self.is_kcp && subject["kind"] == "User" {
            self.roles.push(access(&self.name));
        }
        let with_binding = |role: Value| {
            let binding = binding(&role, subject);
            [role, binding]
        };
        self.roles.into_iter().flat_map(with_binding).collect()
    }
}

/// Gives a Role or a ClusterRole to `subject`.
fn binding(role: &Value, subject: &Value) -> Value {
    let kind = role["kind"].as_str().unwrap_or_default();
    json!({
        "apiVersion": role["apiVersion"],
        "kind": format!("{kind}Binding"),
        "metadata": role["metadata"],
        "subjects": [subject],
        "roleRef": { "apiGroup": API, "kind": kind, "name": role["metadata"]["name"] },
    })
}

/// To come into a workspace of kcp at all.
fn access(name: &str) -> Value {
    json!({
        "apiVersion": format!("{API}/v1"),
        "kind": "ClusterRole",
        "metadata": { "name": format!("{name}-access") },
        "rules": [{ "nonResourceURLs": ["/"], "verbs": ["access"] }],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_is_named_is_given_each_role_and_a_user_the_way_into_kcp() {
        let user = json!({ "kind": "User", "name": "edge-1" });
        let account = json!({ "kind": "ServiceAccount", "name": "edge-1", "namespace": "a" });
        for (is_kcp, subject, expected) in [
            (true, None, &["Role one"][..]),
            (false, Some(&user), &["Role one", "RoleBinding one"]),
            (true, Some(&account), &["Role one", "RoleBinding one"]),
            (
                true,
                Some(&user),
                &[
                    "Role one",
                    "RoleBinding one",
                    "ClusterRole it-access",
                    "ClusterRoleBinding it-access",
                ],
            ),
        ] {
            let role = json!({ "kind": "Role", "metadata": { "name": "one" } });
            let rights = Rights {
                name: "it".to_owned(),
                roles: vec![role],
                is_kcp,
            };
            let objects = rights.objects(subject);
            let shown = objects.iter().map(|object| {
                let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
                format!(
                    "{} {}",
                    text(&object["kind"]),
                    text(&object["metadata"]["name"])
                )
            });
            assert_eq!(shown.collect::<Vec<_>>(), expected, "{subject:?} {is_kcp}");
            for binding in objects.iter().filter(|it| it["roleRef"].is_object()) {
                assert_eq!(Some(&binding["subjects"][0]), subject, "{binding}");
            }
        }
    }
}
