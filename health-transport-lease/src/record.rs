//! The Lease as this crate reads and writes it.
//!
//! It is edited as JSON and not through a typed object: what other programs and later versions of
//! Kubernetes put into it survives, and no field, whatever is in it, makes the rest unreadable.

use std::time::Duration;
use std::time::Instant;
use std::time::SystemTime;

use health_core::HealthStatus;
use health_heartbeat::HolderIdentity;
use health_heartbeat::Sequence;
use jiff::Timestamp;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use crate::label::labelled_target;
use crate::label::target_label;
use crate::names;
use crate::plan::Sight;

/// A Lease, as last read or written.
#[derive(Debug, Clone, PartialEq)]
pub struct LeaseObject(Value);

/// What one renewal writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Renewal {
    /// The heartbeat's number.
    pub sequence: Sequence,
    /// How long the holder is to be believed; written in whole seconds, rounded up.
    pub timeout: Duration,
    /// The status that the heartbeat carries.
    pub status: HealthStatus,
}

/// The Lease's duration in whole seconds, at least 1: what the server takes.
#[must_use]
pub fn duration_seconds(timeout: Duration) -> i32 {
    let seconds = timeout
        .as_secs()
        .saturating_add(u64::from(timeout.subsec_nanos() > 0));
    i32::try_from(seconds).unwrap_or(i32::MAX).max(1)
}

/// A time as a Lease holds it: RFC 3339 with exactly six fraction digits.
#[must_use]
pub fn micro_time(wall: SystemTime) -> String {
    format!("{:.6}", timestamp(wall))
}

/// A time as conditions and heartbeat fields hold it: RFC 3339 in whole seconds.
#[must_use]
pub fn whole_seconds(wall: SystemTime) -> String {
    let timestamp = timestamp(wall);
    let seconds = Timestamp::from_second(timestamp.as_second()).unwrap_or(timestamp);
    format!("{seconds:.0}")
}

fn timestamp(wall: SystemTime) -> Timestamp {
    Timestamp::try_from(wall).unwrap_or(Timestamp::UNIX_EPOCH)
}

// === impl LeaseObject ===

impl LeaseObject {
    /// A Lease that is not on the server yet.
    #[must_use]
    pub fn new(namespace: &str, name: &str) -> Self {
        Self(json!({
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": { "namespace": namespace, "name": name },
            "spec": {},
        }))
    }

    /// The Lease as JSON.
    #[must_use]
    pub const fn as_value(&self) -> &Value {
        &self.0
    }

    /// Who holds it; nobody where that is null, empty or no text.
    #[must_use]
    pub fn holder(&self) -> Option<HolderIdentity> {
        let holder = self.0["spec"]["holderIdentity"].as_str()?;
        (!holder.is_empty()).then(|| holder.into())
    }

    /// How long its holder is to be believed, if it says.
    #[must_use]
    pub fn duration(&self) -> Option<Duration> {
        let seconds = self.0["spec"]["leaseDurationSeconds"].as_u64()?;
        (seconds > 0).then(|| Duration::from_secs(seconds))
    }

    /// How often its holder changed; 0 where that is null, negative or no number.
    #[must_use]
    pub fn transitions(&self) -> i32 {
        self.0["spec"]["leaseTransitions"]
            .as_u64()
            .map_or(0, |count| i32::try_from(count).unwrap_or(i32::MAX))
    }

    /// The number of the heartbeat that was last written, if it is one of this project's.
    #[must_use]
    pub fn sequence(&self) -> Option<Sequence> {
        let text = self.0["metadata"]["annotations"][names::SEQUENCE].as_str()?;
        text.parse().ok().map(Sequence)
    }

    /// The status that the heartbeat carried that was last written, if it is one of this
    /// project's.
    #[must_use]
    pub fn status(&self) -> Option<HealthStatus> {
        let text = self.0["metadata"]["annotations"][names::STATUS].as_str()?;
        text.parse().ok()
    }

    /// The SyncTarget that it names, if it does.
    #[must_use]
    pub fn target(&self) -> Option<&str> {
        let metadata = &self.0["metadata"];
        let label = metadata["labels"][names::SYNC_TARGET].as_str()?;
        let annotation = metadata["annotations"][names::SYNC_TARGET].as_str();
        Some(labelled_target(label, annotation)).filter(|name| !name.is_empty())
    }

    /// The Lease as the decision sees it.
    #[must_use]
    pub fn sight(&self, changed_at: Instant) -> Sight {
        Sight {
            holder: self.holder(),
            duration: self.duration(),
            changed_at,
        }
    }

    /// Whether both say the same about who holds the Lease and when it was renewed. What is
    /// written into the metadata, by whomever, is no sign of life of the holder's.
    #[must_use]
    pub fn same_record(&self, other: &Self) -> bool {
        self.0["spec"] == other.0["spec"]
    }

    /// Writes a renewal of the holder that it has; an empty `target` is that of hubs, who have none
    /// and whose health stands elsewhere.
    pub fn renew(&mut self, renewal: &Renewal, target: &str, wall: SystemTime) {
        let transitions = self.transitions();
        let spec = self.object("spec");
        spec.insert("renewTime".to_owned(), micro_time(wall).into());
        spec.insert(
            "leaseDurationSeconds".to_owned(),
            duration_seconds(renewal.timeout).into(),
        );
        spec.insert("leaseTransitions".to_owned(), transitions.into());
        if !target.is_empty() {
            self.describe(target, renewal.status);
        }
        let annotations = self.metadata("annotations");
        annotations.insert(
            names::SEQUENCE.to_owned(),
            renewal.sequence.to_string().into(),
        );
    }

    fn describe(&mut self, target: &str, status: HealthStatus) {
        let (label, whole) = target_label(target);
        self.metadata("labels")
            .insert(names::SYNC_TARGET.to_owned(), label.into());
        let annotations = self.metadata("annotations");
        if !whole {
            annotations.insert(names::SYNC_TARGET.to_owned(), target.into());
        }
        annotations.insert(names::STATUS.to_owned(), status.as_str().into());
    }

    /// Makes `holder` its holder, `transitions` later; a renewal follows.
    pub fn acquire(&mut self, holder: &HolderIdentity, transitions: i32, wall: SystemTime) {
        let transitions = self.transitions().saturating_add(transitions);
        let spec = self.object("spec");
        spec.insert("holderIdentity".to_owned(), holder.as_str().into());
        spec.insert("acquireTime".to_owned(), micro_time(wall).into());
        spec.insert("leaseTransitions".to_owned(), transitions.into());
    }

    /// Leaves it to whoever comes next, as client-go does.
    pub fn release(&mut self, wall: SystemTime) {
        let transitions = self.transitions();
        let spec = self.object("spec");
        spec.insert("holderIdentity".to_owned(), "".into());
        spec.insert("leaseDurationSeconds".to_owned(), 1.into());
        spec.insert("leaseTransitions".to_owned(), transitions.into());
        spec.insert("renewTime".to_owned(), micro_time(wall).into());
        spec.insert("acquireTime".to_owned(), micro_time(wall).into());
    }

    /// Makes `owner` one of its owners, so that it is collected with it.
    pub fn own(&mut self, owner: Value) {
        let metadata = self.object("metadata");
        metadata.insert("ownerReferences".to_owned(), Value::Array(vec![owner]));
    }

    fn metadata(&mut self, key: &str) -> &mut Map<String, Value> {
        object(self.object("metadata").entry(key).or_insert(Value::Null))
    }

    fn object(&mut self, key: &str) -> &mut Map<String, Value> {
        object(object(&mut self.0).entry(key).or_insert(Value::Null))
    }
}

impl From<Value> for LeaseObject {
    fn from(value: Value) -> Self {
        Self(value)
    }
}

impl From<LeaseObject> for Value {
    fn from(lease: LeaseObject) -> Self {
        lease.0
    }
}

/// The map behind `value`; what is no map becomes an empty one.
pub(crate) fn object(value: &mut Value) -> &mut Map<String, Value> {
    if !value.is_object() {
        *value = Value::Object(Map::new());
    }
    value
        .as_object_mut()
        .expect("it has just been made an object")
}

/// The reference by which a Lease is owned by this SyncTarget; nothing where it has no uid.
#[must_use]
pub fn owner_reference(target: &Value) -> Option<Value> {
    let uid = target["metadata"]["uid"].as_str()?;
    let name = target["metadata"]["name"].as_str()?;
    Some(json!({
        "apiVersion": format!("{}/{}", names::GROUP, names::VERSION),
        "kind": names::KIND,
        "name": name,
        "uid": uid,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::coordination::v1::Lease;
    use std::time::UNIX_EPOCH;

    #[test]
    fn what_is_written_is_what_kubernetes_reads() {
        let mut object = LeaseObject::new("default", "edge-1-heartbeat");
        object.acquire(&"a_1".into(), 0, wall());
        object.renew(&renewal(), "edge-1", wall());
        let lease: Lease = serde_json::from_value(object.as_value().clone()).unwrap();
        assert_eq!(&serde_json::to_value(&lease).unwrap(), object.as_value());
        let spec = lease.spec.unwrap();
        assert_eq!(spec.holder_identity.as_deref(), Some("a_1"));
        assert_eq!(spec.lease_duration_seconds, Some(30));
        assert_eq!(spec.lease_transitions, Some(0));
        assert_eq!(
            object.as_value()["spec"]["renewTime"],
            "2023-11-14T22:13:20.123456Z"
        );
        let labels = lease.metadata.labels.unwrap();
        assert_eq!(labels[names::SYNC_TARGET], "edge-1");
        assert_eq!(lease.metadata.annotations.unwrap()[names::SEQUENCE], "7");
    }

    #[test]
    fn times_have_six_digits_or_none() {
        for (nanos, micro) in [(0, "000000"), (1, "000000"), (100_000_000, "100000")] {
            let time = UNIX_EPOCH + Duration::from_nanos(nanos);
            assert_eq!(micro_time(time), format!("1970-01-01T00:00:00.{micro}Z"));
        }
        assert_eq!(
            whole_seconds(UNIX_EPOCH + Duration::from_millis(1999)),
            "1970-01-01T00:00:01Z"
        );
    }

    #[test]
    fn the_duration_is_rounded_up_and_never_0() {
        for (millis, seconds) in [(0, 1), (1, 1), (1000, 1), (1001, 2), (30_000, 30)] {
            assert_eq!(duration_seconds(Duration::from_millis(millis)), seconds);
        }
        assert_eq!(duration_seconds(Duration::MAX), i32::MAX);
    }

    /// OCM [R] nil renewTime, and the crates' [R] null holder and transitions after a release
    /// (33): Leases as kubelet, client-go, kubert and nobody in their right mind write them.
    #[test]
    fn pitfall_19_missing_null_and_garbage_fields_are_read() {
        let garbage = [
            Value::Null,
            json!(""),
            json!(-1),
            json!(0),
            json!(1e300),
            json!({}),
            json!([]),
            json!("x"),
            json!(u64::MAX),
        ];
        for value in &garbage {
            for key in [
                "holderIdentity",
                "leaseDurationSeconds",
                "leaseTransitions",
                "renewTime",
                "acquireTime",
            ] {
                let mut lease = LeaseObject::from(json!({"spec": {key: value}}));
                let _ = lease.sight(Instant::now());
                lease.acquire(&"a_1".into(), 1, wall());
                lease.renew(&renewal(), "edge-1", wall());
                let written = lease.as_value().clone();
                assert!(serde_json::from_value::<Lease>(written).is_ok(), "{value}");
            }
            for whole in [
                value.clone(),
                json!({"spec": value}),
                json!({"metadata": value}),
                json!({"metadata": {"labels": value, "annotations": value}}),
            ] {
                let mut lease = LeaseObject::from(whole);
                assert_eq!(lease.holder(), None);
                lease.release(wall());
                lease.renew(&renewal(), "edge-1", wall());
                assert_eq!(lease.sequence(), Some(Sequence(7)));
            }
        }
    }

    /// kubert counts transitions in 16 bits.
    #[test]
    fn transitions_saturate() {
        let mut lease = LeaseObject::from(json!({"spec": {"leaseTransitions": i32::MAX}}));
        lease.acquire(&"a_1".into(), 1, wall());
        assert_eq!(lease.transitions(), i32::MAX);
    }

    #[test]
    fn what_others_wrote_stays() {
        let mut lease = LeaseObject::from(json!({
            "metadata": {"labels": {"theirs": "1"}, "annotations": {"theirs": "2"},
                "ownerReferences": [{"uid": "u"}], "resourceVersion": "7"},
            "spec": {"strategy": "OldestEmulationVersion", "later": true},
        }));
        let before = lease.clone();
        lease.acquire(&"a_1".into(), 1, wall());
        lease.renew(&renewal(), "edge-1", wall());
        for path in [
            "/metadata/labels/theirs",
            "/metadata/annotations/theirs",
            "/metadata/ownerReferences",
            "/metadata/resourceVersion",
            "/spec/strategy",
            "/spec/later",
        ] {
            assert_eq!(lease.0.pointer(path), before.0.pointer(path), "{path}");
        }
    }

    #[test]
    fn a_name_that_is_no_label_is_kept_in_full() {
        let name = "x".repeat(64);
        let mut lease = LeaseObject::new("default", "l");
        lease.renew(&renewal(), &name, wall());
        let metadata = &lease.0["metadata"];
        assert_eq!(metadata["annotations"][names::SYNC_TARGET], name);
        assert_eq!(
            metadata["labels"][names::SYNC_TARGET],
            target_label(&name).0
        );
    }

    fn renewal() -> Renewal {
        Renewal {
            sequence: Sequence(7),
            timeout: Duration::from_secs(30),
            status: HealthStatus::Healthy,
        }
    }

    fn wall() -> SystemTime {
        UNIX_EPOCH + Duration::new(1_700_000_000, 123_456_789)
    }
}
