//! The objects that an operator installs: the SyncTarget's definition, and the least rights.

use serde_json::Value;
use serde_json::json;

use crate::names;

/// What a hub does in a workspace that it watches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HubRights<'a> {
    /// The namespace of the agents' Leases (`cluster.namespace`).
    pub namespace: &'a str,
    /// Whether it writes its verdicts (`cluster.writeConditions`).
    pub write_conditions: bool,
    /// Whether it asks whose a token is (`auth.tokenReview`).
    pub token_review: bool,
}

/// The CustomResourceDefinition of the SyncTarget, in the dialect of kcp 0.11.
///
/// A KCP of today has none of its own.
#[must_use]
pub fn crd() -> Value {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": { "name": format!("{}.{}", names::PLURAL, names::GROUP) },
        "spec": {
            "group": names::GROUP,
            "scope": "Cluster",
            "names": {
                "plural": names::PLURAL,
                "singular": "synctarget",
                "kind": names::KIND,
                "listKind": "SyncTargetList",
                "categories": ["kcp"],
            },
            "versions": [{
                "name": names::VERSION,
                "served": true,
                "storage": true,
                "subresources": { "status": {} },
                "additionalPrinterColumns": columns(),
                "schema": { "openAPIV3Schema": schema() },
            }],
        },
    })
}

/// What `kubectl get synctargets` shows: what the hub says, what the agent says; the rest with
/// `-o wide`.
fn columns() -> Value {
    let condition = |name: &str, kind: &str, field: &str, priority: u8| {
        json!({
            "name": name,
            "type": "string",
            "jsonPath": format!(".status.conditions[?(@.type==\"{kind}\")].{field}"),
            "priority": priority,
        })
    };
    let date = |name: &str, path: &str, priority: u8| json!({ "name": name, "type": "date", "jsonPath": path, "priority": priority });
    json!([
        condition("Heartbeat", names::HEARTBEAT_HEALTHY, "status", 0),
        condition("Reason", names::HEARTBEAT_HEALTHY, "reason", 0),
        condition("Syncer", names::SYNCER_READY, "status", 0),
        condition("Syncer Reason", names::SYNCER_READY, "reason", 1),
        date("Last Heartbeat", ".status.lastSyncerHeartbeatTime", 1),
        condition("Message", names::HEARTBEAT_HEALTHY, "message", 1),
        date("Age", ".metadata.creationTimestamp", 0),
    ])
}

fn schema() -> Value {
    let condition = json!({
        "type": "object",
        "required": ["type", "status", "lastTransitionTime"],
        "properties": {
            "type": { "type": "string" },
            "status": { "type": "string" },
            "severity": { "type": "string" },
            "lastTransitionTime": { "type": "string", "format": "date-time" },
            "reason": { "type": "string" },
            "message": { "type": "string" },
        },
    });
    json!({
        "type": "object",
        "properties": {
            "apiVersion": { "type": "string" },
            "kind": { "type": "string" },
            "metadata": { "type": "object" },
            "spec": {
                "type": "object",
                "properties": {
                    "cells": { "type": "object", "additionalProperties": { "type": "string" } },
                    "unschedulable": { "type": "boolean", "default": false },
                    "evictAfter": { "type": "string", "format": "date-time" },
                },
            },
            "status": {
                "type": "object",
                "properties": {
                    "lastSyncerHeartbeatTime": { "type": "string", "format": "date-time" },
                    "conditions": { "type": "array", "items": condition },
                },
            },
        },
    })
}

/// The rights that one agent needs for its Lease, in the Lease's namespace.
///
/// `create` cannot be limited to one name; leave it out where the Lease is made beforehand.
#[must_use]
pub fn lease_role(name: &str, namespace: &str, lease: &str, create: bool) -> Value {
    let rule = |verbs: &[&str], named: bool| {
        let mut rule = json!({
            "apiGroups": ["coordination.k8s.io"],
            "resources": ["leases"],
            "verbs": verbs,
        });
        if named {
            rule["resourceNames"] = json!([lease]);
        }
        rule
    };
    let mut rules = vec![rule(&["get", "update"], true)];
    if create {
        rules.push(rule(&["create"], false));
    }
    json!({
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "Role",
        "metadata": { "name": name, "namespace": namespace },
        "rules": rules,
    })
}

/// The rights that one agent needs for its SyncTarget.
#[must_use]
pub fn target_role(name: &str, target: &str) -> Value {
    let rule = |resource: String, verbs: &[&str]| {
        json!({
            "apiGroups": [names::GROUP],
            "resources": [resource],
            "resourceNames": [target],
            "verbs": verbs,
        })
    };
    json!({
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": { "name": name },
        "rules": [
            rule(names::PLURAL.to_owned(), &["get"]),
            rule(format!("{}/status", names::PLURAL), &["update"]),
        ],
    })
}

/// The rights that a hub needs in each workspace that it watches.
///
/// The Lease by which hubs lead in turn is apart from that, since it is in the kubeconfig's own
/// workspace: its rights are [`lease_role`]'s.
#[must_use]
pub fn hub_roles(name: &str, rights: HubRights<'_>) -> Vec<Value> {
    let rule = |group: &str, resource: &str, verbs: &[&str]| json!({ "apiGroups": [group], "resources": [resource], "verbs": verbs });
    let watch = ["get", "list", "watch"];
    let status = format!("{}/status", names::PLURAL);
    let mut rules = vec![rule(names::GROUP, names::PLURAL, &watch)];
    if rights.write_conditions {
        rules.push(rule(names::GROUP, &status, &["update"]));
    }
    if rights.token_review {
        let (who, whether) = ("authentication.k8s.io", "authorization.k8s.io");
        rules.push(rule(who, "tokenreviews", &["create"]));
        rules.push(rule(whether, "subjectaccessreviews", &["create"]));
    }
    let role = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "Role",
        "metadata": { "name": name, "namespace": rights.namespace },
        "rules": [rule("coordination.k8s.io", "leases", &watch)],
    });
    let cluster_role = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": { "name": name },
        "rules": rules,
    });
    vec![role, cluster_role]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Dialect;

    #[test]
    fn the_definition_has_the_heartbeat_field_of_its_dialect() {
        let status = "/spec/versions/0/schema/openAPIV3Schema/properties/status/properties";
        let crd = crd();
        let fields = crd.pointer(status).unwrap();
        assert!(fields.get(Dialect::Kcp.heartbeat_field()).is_some());
        assert!(fields.get("conditions").is_some());
    }

    #[test]
    fn the_columns_show_what_hub_and_agent_say() {
        let crd = crd();
        let columns = crd["spec"]["versions"][0]["additionalPrinterColumns"].as_array();
        let shown = columns.unwrap().iter().filter(|it| it["priority"] == 0);
        let names: Vec<_> = shown.map(|it| it["name"].as_str().unwrap()).collect();
        assert_eq!(names, ["Heartbeat", "Reason", "Syncer", "Age"]);
    }

    #[test]
    fn a_hub_may_do_what_it_is_set_to_do_and_no_more() {
        for (write_conditions, token_review, rules) in [
            (false, false, 1),
            (true, false, 2),
            (false, true, 3),
            (true, true, 4),
        ] {
            let rights = HubRights {
                namespace: "beats",
                write_conditions,
                token_review,
            };
            let [role, cluster_role] = &*hub_roles("hub", rights) else {
                panic!("there are two");
            };
            assert_eq!(role["metadata"]["namespace"], "beats");
            let cluster_rules = cluster_role["rules"].as_array().unwrap();
            assert_eq!(cluster_rules.len(), rules);
            let all = cluster_rules
                .iter()
                .chain(role["rules"].as_array().unwrap());
            for rule in all {
                let writes = ["update", "create"];
                let verbs: Vec<_> = rule["verbs"].as_array().unwrap().iter().collect();
                let writing = verbs.iter().any(|verb| writes.iter().any(|it| *verb == it));
                assert_eq!(writing, verbs.len() == 1, "{rule}");
            }
        }
    }

    #[test]
    fn rights_are_least() {
        let role = lease_role("a", "default", "l", false);
        assert_eq!(role["rules"].as_array().unwrap().len(), 1);
        assert_eq!(role["rules"][0]["resourceNames"], json!(["l"]));
        let role = lease_role("a", "default", "l", true);
        assert_eq!(role["rules"][1]["verbs"], json!(["create"]));
    }
}
