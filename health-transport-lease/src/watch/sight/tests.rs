use super::*;
use serde_json::json;
use std::time::UNIX_EPOCH;

#[test]
fn a_lease_is_renewed_by_its_time_or_by_another_holder() {
    use LeaseChange::Other;
    use LeaseChange::Released;
    use LeaseChange::Renewed;
    for (before, now, expected) in [
        (["a", "1"], ["a", "1"], Other),
        (["a", "1"], ["a", "2"], Renewed),
        (["a", "2"], ["a", "1"], Renewed),
        (["a", "1"], ["b", "1"], Renewed),
        (["", "1"], ["b", "1"], Renewed),
        (["-", "1"], ["b", "1"], Renewed),
        (["a", "1"], ["", "1"], Released),
        (["a", "1"], ["", "2"], Released),
        (["a", "1"], ["-", "2"], Released),
        (["", "1"], ["", "2"], Other),
        (["-", "1"], ["", "2"], Other),
        (["-", "1"], ["-", "2"], Renewed),
        (["a", "1"], ["a", "-"], Other),
        (["a", "-"], ["a", "1"], Renewed),
        (["a", "-"], ["a", "-"], Other),
    ] {
        let mark = |[holder, time]: [&str; 2]| {
            let mut spec = json!({});
            for (key, value) in [("holderIdentity", holder), ("renewTime", time)] {
                if value != "-" {
                    spec[key] = value.into();
                }
            }
            LeaseMark::of(&json!({ "spec": spec }).into())
        };
        let change = mark(before).change_to(mark(now));
        assert_eq!(change, expected, "{before:?} {now:?}");
    }
}

/// OCM and kcp: a hub that starts knows nothing of what it sees first.
#[test]
fn pitfall_18_what_is_seen_first_is_neither_alive_nor_dead() {
    let lease = json!({"spec": {"holderIdentity": "a", "renewTime": "2001-01-01T00:00:00Z"}});
    assert_eq!(
        LeaseSight::of(&lease.into(), None).change,
        LeaseChange::First
    );
    let target = json!({"status": {"lastHeartbeat": "2001-01-01T00:00:00Z"}});
    assert_eq!(TargetSight::of(&target, None).change, TargetChange::First);
}

#[test]
fn a_lease_of_ours_is_read_in_full() {
    let lease = json!({
        "metadata": {
            "name": "edge-1-heartbeat",
            "labels": {"syncer-health/sync-target": "edge-1"},
            "annotations": {"syncer-health/status": "Degraded", "syncer-health/sequence": "7"},
        },
        "spec": {"holderIdentity": "a_1", "leaseDurationSeconds": 30,
            "renewTime": "1970-01-01T00:00:09.000001Z"},
    });
    let lease = LeaseObject::from(lease);
    assert_eq!(lease.target(), Some("edge-1"));
    let sight = LeaseSight::of(&lease, None);
    assert_eq!(sight.name, "edge-1-heartbeat");
    assert_eq!(sight.holder, Some("a_1".into()));
    assert_eq!(sight.duration, Some(Duration::from_secs(30)));
    assert_eq!(
        sight.renewed_at,
        Some(UNIX_EPOCH + Duration::from_micros(9_000_001))
    );
    assert_eq!(
        sight.renew_time.as_deref(),
        Some("1970-01-01T00:00:09.000001Z")
    );
    assert_eq!(sight.status, Some(HealthStatus::Degraded));
    assert_eq!(sight.sequence, Some(Sequence(7)));
}

/// OCM [R] nil renewTime: Leases and SyncTargets with whatever somebody put into them.
#[test]
fn pitfall_19_whatever_stands_in_an_object_is_read() {
    let long = "ä".repeat(1_000_000);
    let values = [
        Value::Null,
        json!(""),
        json!(-1),
        json!(1e300),
        json!({}),
        json!([]),
        json!("x"),
        json!("9999-12-31T23:59:59.999999Z"),
        json!("-9999-01-01T00:00:00Z"),
        json!("0000-00-00T00:00:00Z"),
        json!([{"type": "HeartbeatHealthy", "status": 5}]),
        json!([5, null, {"type": null}]),
        json!(long),
    ];
    for value in &values {
        for object in [
            value.clone(),
            json!({"spec": value, "metadata": value, "status": value}),
            json!({"spec": {"holderIdentity": value, "renewTime": value,
                "leaseDurationSeconds": value}}),
            json!({"metadata": {"name": value, "uid": value, "labels": value,
                "annotations": value}}),
            json!({"metadata": {"labels": {"syncer-health/sync-target": value},
                "annotations": {"syncer-health/sync-target": value,
                    "syncer-health/status": value, "syncer-health/sequence": value}}}),
            json!({"status": {"conditions": value, "lastHeartbeat": value,
                "lastHeartbeatTime": value, "lastSyncerHeartbeatTime": value,
                "syncerIdentity": value}}),
        ] {
            let lease = LeaseObject::from(object.clone());
            let _ = lease.target();
            let sight = LeaseSight::of(&lease, Some(LeaseMark::default()));
            assert!(sight.name.len() <= TEXT_MAX);
            assert!(sight.holder.is_none_or(|it| it.as_str().len() <= TEXT_MAX));
            assert!(sight.renew_time.is_none_or(|it| it.len() <= TIME_MAX));
            let sight = TargetSight::of(&object, Some(TargetMark::default()));
            assert!(sight.heartbeat.is_none_or(|it| it.text.len() <= TIME_MAX));
            assert!(sight.syncer_identity.is_none_or(|it| it.len() <= TEXT_MAX));
        }
    }
}

#[test]
fn a_heartbeat_is_the_field_of_whichever_dialect() {
    for dialect in Dialect::ALL {
        let field = dialect.heartbeat_field();
        let at = |time: &str| json!({"metadata": {"uid": "u"}, "status": {field: time}});
        let first = TargetMark::of(&at("1970-01-01T00:00:01Z"));
        let sight = TargetSight::of(&at("1970-01-01T00:00:02Z"), Some(first));
        assert_eq!(sight.change, TargetChange::HeartbeatChanged);
        let heartbeat = sight.heartbeat.unwrap();
        assert_eq!(heartbeat.dialect, dialect);
        assert_eq!(heartbeat.at, Some(UNIX_EPOCH + Duration::from_secs(2)));
        let cleared = TargetSight::of(&json!({"metadata": {"uid": "u"}}), Some(sight.mark));
        assert_eq!(cleared.change, TargetChange::Other);
    }
    let both = json!({"status": {
        "lastSyncerHeartbeatTime": "1970-01-01T00:00:09Z", "lastHeartbeat": "1970-01-01T00:00:02Z",
    }});
    let heartbeat = TargetSight::of(&both, None).heartbeat.unwrap();
    assert_eq!(heartbeat.dialect, Dialect::Kcp, "the newest is shown");
}

/// Our own writes move the resourceVersion and the conditions; they are no heartbeat.
#[test]
fn what_we_write_ourselves_is_no_heartbeat() {
    let mut target = json!({
        "metadata": {"uid": "u", "resourceVersion": "1"},
        "status": {"lastHeartbeat": "1970-01-01T00:00:02Z"},
    });
    let before = TargetMark::of(&target);
    target["metadata"]["resourceVersion"] = "2".into();
    target["status"]["conditions"] = json!([
        {"type": "Ready", "status": "True"},
        {"type": "HeartbeatHealthy", "status": "False", "severity": "Warning",
            "reason": "HeartbeatTimeout", "message": "m",
            "lastTransitionTime": "1970-01-01T00:00:03Z"},
    ]);
    let sight = TargetSight::of(&target, Some(before));
    assert_eq!(sight.change, TargetChange::Other);
    let condition = sight.heartbeat_healthy.unwrap();
    assert_eq!(condition.status, Some(ConditionStatus::False));
    assert_eq!(condition.reason.as_deref(), Some("HeartbeatTimeout"));
    assert_eq!(condition.since.as_deref(), Some("1970-01-01T00:00:03Z"));
}

/// OCM registration#280: what has another uid is another one, and begins anew.
#[test]
fn pitfall_16_a_target_of_another_uid_is_seen_first() {
    let of = |uid: &str, time: &str| json!({"metadata": {"uid": uid}, "status": {"lastHeartbeat": time}});
    let before = TargetMark::of(&of("u1", "1970-01-01T00:00:01Z"));
    let now = TargetSight::of(&of("u2", "1970-01-01T00:00:02Z"), Some(before));
    assert!(before.is_replaced_by(now.mark));
    assert_eq!(now.change, TargetChange::First);
}
