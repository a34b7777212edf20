//! The objects that an operator installs: the SyncTarget's definition, and the least rights.

use serde_json::Value;
use serde_json::json;

use crate::names;

/// The CustomResourceDefinition of the SyncTarget, in the dialect of kcp 0.11.
///
/// A KCP of today has none of its own.
#[must_use]
pub fn crd() -> Value {
    let column = |name: &str, kind: &str, path: &str| json!({ "name": name, "type": kind, "jsonPath": path });
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
                "additionalPrinterColumns": [
                    column("Ready", "string",
                        ".status.conditions[?(@.type==\"SyncerReady\")].status"),
                    column("Reason", "string",
                        ".status.conditions[?(@.type==\"SyncerReady\")].reason"),
                    column("Heartbeat", "date", ".status.lastSyncerHeartbeatTime"),
                    column("Age", "date", ".metadata.creationTimestamp"),
                ],
                "schema": { "openAPIV3Schema": schema() },
            }],
        },
    })
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
    fn rights_are_least() {
        let role = lease_role("a", "default", "l", false);
        assert_eq!(role["rules"].as_array().unwrap().len(), 1);
        assert_eq!(role["rules"][0]["resourceNames"], json!(["l"]));
        let role = lease_role("a", "default", "l", true);
        assert_eq!(role["rules"][1]["verbs"], json!(["create"]));
    }
}
