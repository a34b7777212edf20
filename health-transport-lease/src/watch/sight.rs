//! An object as it was seen, and what of it is compared with the next time.
//!
//! Whatever stands in an object it is read: what is missing, null or no value of its kind is not
//! there. What is kept to compare with are hashes, of a fixed size.

use std::time::Duration;
use std::time::SystemTime;

use health_core::HealthStatus;
use health_heartbeat::HolderIdentity;
use health_heartbeat::Sequence;
use jiff::Timestamp;
use serde_json::Value;

use crate::label::fnv1a;
use crate::names;
use crate::record::LeaseObject;
use crate::synctarget::ConditionStatus;
use crate::synctarget::Dialect;

/// A Lease as it was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseSight {
    /// Its name: a target may have several.
    pub name: String,
    /// Who holds it; nobody where that is missing, empty or no text.
    pub holder: Option<HolderIdentity>,
    /// How long its holder is to be believed, if it says.
    pub duration: Option<Duration>,
    /// `renewTime` as it stands; cut to 64 bytes.
    pub renew_time: Option<String>,
    /// `renewTime` as a time, where it is one. It decides nothing: it tells the agent's clock.
    pub renewed_at: Option<SystemTime>,
    /// The status that the last heartbeat carried, where the writer is one of this project's.
    pub status: Option<HealthStatus>,
    /// The last heartbeat's number, likewise.
    pub sequence: Option<Sequence>,
    /// What the next sight is compared with.
    pub mark: LeaseMark,
    /// What changed since it was seen last.
    pub change: LeaseChange,
}

/// What changed about a Lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LeaseChange {
    /// It was not seen before. That is no evidence of life, and none of death.
    First,
    /// `renewTime` changed, or the holder to another one: somebody lives.
    Renewed,
    /// It had a holder, and has none now.
    Released,
    /// Neither of these.
    Other,
}

/// Of a Lease, what says that its holder lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct LeaseMark {
    renew_time: Print,
    holder: Print,
    released: bool,
}

/// A SyncTarget as it was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetSight {
    /// Its uid: a recreated target is another one. Cut to 64 bytes.
    pub uid: Option<String>,
    /// The newest of its heartbeat fields.
    pub heartbeat: Option<HeartbeatSight>,
    /// Who is beating, as TMC's API branch tells it.
    pub syncer_identity: Option<String>,
    /// The condition `HeartbeatHealthy`, whoever wrote it.
    pub heartbeat_healthy: Option<ConditionSight>,
    /// What the next sight is compared with.
    pub mark: TargetMark,
    /// What changed since it was seen last.
    pub change: TargetChange,
}

/// A heartbeat's time on a SyncTarget.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeartbeatSight {
    /// Whose field it stands in.
    pub dialect: Dialect,
    /// The time as it stands; cut to 64 bytes.
    pub text: String,
    /// The same, where it is a time. It decides nothing.
    pub at: Option<SystemTime>,
}

/// A condition as it was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConditionSight {
    /// Whether it holds; nothing where that is none of `True`, `False`, `Unknown`.
    pub status: Option<ConditionStatus>,
    /// Its severity, as it stands.
    pub severity: Option<String>,
    /// Why, for machines.
    pub reason: Option<String>,
    /// Why, for people.
    pub message: Option<String>,
    /// `lastTransitionTime`, as it stands.
    pub since: Option<String>,
}

/// What changed about a SyncTarget.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TargetChange {
    /// It was not seen before. That is no evidence of life, and none of death.
    First,
    /// The heartbeat's field changed to another time: somebody lives.
    HeartbeatChanged,
    /// Anything else; also our own writes.
    Other,
}

/// Of a SyncTarget, what says that somebody beats.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct TargetMark {
    uid: Print,
    heartbeats: [Print; 3],
}

/// A text in little space; 0 where there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
struct Print(u64);

/// Times and uids are shorter; what is longer is neither.
const TIME_MAX: usize = 64;
/// What people read; our own messages are shorter.
const TEXT_MAX: usize = 1024;

// === impl LeaseSight ===

impl LeaseSight {
    /// The Lease, compared with what was seen of it before.
    #[must_use]
    pub fn of(lease: &LeaseObject, before: Option<LeaseMark>) -> Self {
        let object = lease.as_value();
        let renew_time = text(&object["spec"]["renewTime"]);
        let mark = LeaseMark::of(lease);
        Self {
            name: cut(
                text(&object["metadata"]["name"]).unwrap_or_default(),
                TEXT_MAX,
            ),
            holder: lease.holder().map(|holder| match holder.as_str() {
                long if long.len() > TEXT_MAX => (&*cut(long, TEXT_MAX)).into(),
                _ => holder,
            }),
            duration: lease.duration(),
            renewed_at: renew_time.and_then(time),
            renew_time: renew_time.map(|text| cut(text, TIME_MAX)),
            status: lease.status(),
            sequence: lease.sequence(),
            mark,
            change: before.map_or(LeaseChange::First, |before| before.change_to(mark)),
        }
    }
}

// === impl LeaseMark ===

impl LeaseMark {
    /// What is to be compared of this Lease.
    #[must_use]
    pub fn of(lease: &LeaseObject) -> Self {
        let spec = &lease.as_value()["spec"];
        let holder = text(&spec["holderIdentity"]);
        Self {
            renew_time: Print::of(text(&spec["renewTime"])),
            holder: Print::of(holder.filter(|holder| !holder.is_empty())),
            released: holder == Some(""),
        }
    }

    /// What a Lease with this mark went through if it has that one now.
    ///
    /// A Lease that was released is not renewed until somebody holds it; one that never named its
    /// holder is, when its time moves.
    #[must_use]
    pub fn change_to(self, now: Self) -> LeaseChange {
        let moved = now.renew_time != self.renew_time && now.renew_time.is_some();
        if now.holder.is_some() && now.holder != self.holder {
            LeaseChange::Renewed
        } else if self.holder.is_some() && !now.holder.is_some() {
            LeaseChange::Released
        } else if moved && !now.released {
            LeaseChange::Renewed
        } else {
            LeaseChange::Other
        }
    }
}

// === impl TargetSight ===

impl TargetSight {
    /// The SyncTarget, compared with what was seen of it before.
    #[must_use]
    pub fn of(target: &Value, before: Option<TargetMark>) -> Self {
        let mark = TargetMark::of(target);
        let status = &target["status"];
        let heartbeats = Dialect::ALL.into_iter().filter_map(|dialect| {
            let found = text(&status[dialect.heartbeat_field()])?;
            Some(HeartbeatSight {
                dialect,
                text: cut(found, TIME_MAX),
                at: time(found),
            })
        });
        let conditions = status["conditions"].as_array().into_iter().flatten();
        let mut conditions =
            conditions.filter(|it| it["type"].as_str() == Some(names::HEARTBEAT_HEALTHY));
        Self {
            uid: text(&target["metadata"]["uid"]).map(|uid| cut(uid, TIME_MAX)),
            heartbeat: heartbeats.max_by_key(|it| it.at),
            syncer_identity: text(&status["syncerIdentity"]).map(|it| cut(it, TEXT_MAX)),
            heartbeat_healthy: conditions.next().map(ConditionSight::of),
            mark,
            change: before.map_or(TargetChange::First, |before| before.change_to(mark)),
        }
    }
}

// === impl TargetMark ===

impl TargetMark {
    /// What is to be compared of this SyncTarget.
    #[must_use]
    pub fn of(target: &Value) -> Self {
        let field = |dialect: Dialect| &target["status"][dialect.heartbeat_field()];
        Self {
            uid: Print::of(text(&target["metadata"]["uid"])),
            heartbeats: Dialect::ALL.map(|dialect| Print::of(text(field(dialect)))),
        }
    }

    /// Whether that mark is of another object of the same name.
    #[must_use]
    pub fn is_replaced_by(self, now: Self) -> bool {
        self.uid != now.uid
    }

    /// What a SyncTarget with this mark went through if it has that one now.
    ///
    /// A field that was cleared is nobody's heartbeat.
    #[must_use]
    pub fn change_to(self, now: Self) -> TargetChange {
        let beats = self.heartbeats.into_iter().zip(now.heartbeats);
        let mut beats = beats.filter(|(before, now)| now.is_some() && now != before);
        if self.is_replaced_by(now) {
            TargetChange::First
        } else if beats.next().is_some() {
            TargetChange::HeartbeatChanged
        } else {
            TargetChange::Other
        }
    }
}

// === impl ConditionSight ===

impl ConditionSight {
    fn of(condition: &Value) -> Self {
        let said = |key: &str| text(&condition[key]).map(|it| cut(it, TEXT_MAX));
        let status = text(&condition["status"]);
        let known = [
            ConditionStatus::True,
            ConditionStatus::False,
            ConditionStatus::Unknown,
        ];
        Self {
            status: known.into_iter().find(|it| Some(it.as_str()) == status),
            severity: said("severity"),
            reason: said("reason"),
            message: said("message"),
            since: said("lastTransitionTime"),
        }
    }
}

// === impl Print ===

impl Print {
    fn of(text: Option<&str>) -> Self {
        Self(text.map_or(0, |text| fnv1a(text.as_bytes()).max(1)))
    }

    const fn is_some(self) -> bool {
        self.0 != 0
    }
}

fn text(value: &Value) -> Option<&str> {
    value.as_str()
}

fn time(text: &str) -> Option<SystemTime> {
    text.parse::<Timestamp>().ok().map(SystemTime::from)
}

pub(super) fn cut(text: &str, max: usize) -> String {
    text[..text.floor_char_boundary(max)].to_owned()
}

#[cfg(test)]
mod tests;
