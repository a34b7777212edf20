//! Roles, and who has them.

use serde_json::Value;
use serde_json::json;

use crate::cli::RightsArgs;

const API: &str = "rbac.authorization.k8s.io";

const ACCOUNT: &str = "ServiceAccount";

const USER: &str = "User";

/// What an agent or a hub may do in a workspace.
pub(super) struct Rights {
    /// What the roles are called that this file makes.
    pub(super) name: String,
    pub(super) roles: Vec<Value>,
    /// Whether the server is a kcp, which lets nobody into a workspace by itself.
    pub(super) is_kcp: bool,
}

/// Who is given the roles; nobody where that is somebody else's task.
pub(super) fn subjects(args: &RightsArgs) -> Vec<Value> {
    let account = |(namespace, name): &(String, String)| json!({ "kind": ACCOUNT, "name": name, "namespace": namespace });
    let user = |name: &String| json!({ "kind": USER, "apiGroup": API, "name": name });
    let accounts = args.service_account.iter().map(account);
    accounts.chain(args.user.iter().map(user)).collect()
}

// === impl Rights ===

impl Rights {
    /// The roles, and where there are `subjects` the bindings that give them each of these.
    pub(super) fn objects(self, subjects: &[Value]) -> Vec<Value> {
        if subjects.is_empty() {
            return self.roles;
        }
        let with_binding = |role: Value| {
            let binding = binding(&role, subjects);
            [role, binding]
        };
        let mut objects: Vec<_> = self.roles.into_iter().flat_map(with_binding).collect();
        let users = subjects.iter().filter(|it| it["kind"] == USER);
        let users: Vec<_> = users.cloned().collect();
        // A workspace's own ServiceAccounts are in it already.
        if self.is_kcp && !users.is_empty() {
            let access = access(&self.name);
            let binding = binding(&access, &users);
            objects.extend([access, binding]);
        }
        objects
    }
}

/// Gives a Role or a ClusterRole to `subjects`.
fn binding(role: &Value, subjects: &[Value]) -> Value {
    let kind = role["kind"].as_str().unwrap_or_default();
    json!({
        "apiVersion": role["apiVersion"],
        "kind": format!("{kind}Binding"),
        "metadata": role["metadata"],
        "subjects": subjects,
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
        let both = [account.clone(), user.clone()];
        for (is_kcp, subjects, expected) in [
            (true, &[][..], &["Role one"][..]),
            (false, &both, &["Role one", "RoleBinding one for 2"]),
            (true, &both[..1], &["Role one", "RoleBinding one for 1"]),
            (
                true,
                &both,
                &[
                    "Role one",
                    "RoleBinding one for 2",
                    "ClusterRole it-access",
                    "ClusterRoleBinding it-access for 1",
                ],
            ),
        ] {
            let role = json!({ "kind": "Role", "metadata": { "name": "one" } });
            let rights = Rights {
                name: "it".to_owned(),
                roles: vec![role],
                is_kcp,
            };
            let shown = rights.objects(subjects).into_iter().map(|object| {
                let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
                let name = text(&object["metadata"]["name"]);
                let whom = object["subjects"].as_array();
                let whom = whom.map_or_else(String::new, |it| format!(" for {}", it.len()));
                format!("{} {name}{whom}", text(&object["kind"]))
            });
            assert_eq!(shown.collect::<Vec<_>>(), expected, "{subjects:?} {is_kcp}");
        }
        let access = Rights {
            name: String::new(),
            roles: Vec::new(),
            is_kcp: true,
        };
        assert_eq!(access.objects(&both)[1]["subjects"], json!([user]));
    }
}
