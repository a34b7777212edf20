//! What the objects of a watch mean to the hub.

use std::collections::BTreeMap;
use std::collections::VecDeque;
use std::time::Instant;

use serde_json::Value;

use super::sight::LeaseMark;
use super::sight::LeaseSight;
use super::sight::TargetMark;
use super::sight::TargetSight;
use super::watched::Watched;
use crate::call::ApiError;
use crate::label::fnv1a;
use crate::record::LeaseObject;

/// Something that the hub can take as evidence.
#[derive(Debug, Clone, PartialEq)]
pub struct Sighting {
    /// When it was received. Whatever waits later for whomever, this is the evidence's time.
    pub at: Instant,
    /// By which watch.
    pub of: Watched,
    /// What was seen.
    pub what: Seen,
}

/// What was seen.
#[derive(Debug, Clone, PartialEq)]
pub enum Seen {
    /// A Lease that names this SyncTarget.
    Lease {
        /// The SyncTarget's name, which the Lease's label tells and never its own name.
        target: String,
        /// How it stands.
        lease: LeaseSight,
    },
    /// A Lease that named this SyncTarget is not there any more, or names another.
    LeaseGone {
        /// The SyncTarget's name.
        target: String,
        /// The Lease's.
        name: String,
    },
    /// A SyncTarget.
    Target {
        /// Its name.
        target: String,
        /// How it stands.
        sight: TargetSight,
    },
    /// A SyncTarget is not there any more, or another one of that name is: that one is told next.
    TargetGone {
        /// Its name.
        target: String,
    },
    /// All that there is was read for the first time.
    Synced,
    /// Nothing was heard for too long: what is silent may be alive. All is read again.
    Stalled {
        /// When something was heard last.
        since: Instant,
    },
    /// The server cannot be asked, or does not answer as it should. It is told again if the reason
    /// is another one, and tried again for ever.
    Broken {
        /// Why; its message names the kind of object and what would help.
        error: ApiError,
    },
    /// The watch goes on after it was stalled or broken: what changed meanwhile was told, or will
    /// be at once.
    Recovered,
    /// There are more objects than are kept: those that came last are not told.
    TooMany {
        /// How many are kept.
        kept: usize,
    },
}

/// What a watch brings.
#[derive(Debug, Clone, PartialEq)]
pub enum News {
    /// A list begins anew.
    ListBegan,
    /// Objects of the list.
    Listed(Vec<Value>),
    /// The list is complete: what was not in it is gone.
    ListEnded,
    /// An object is there, as it is now.
    Changed(Value),
    /// An object is there no more.
    Deleted(Value),
}

/// Compares what a watch brings with what was seen before.
///
/// Hand every [`News`] to [`take`](Self::take) and then [`poll`](Self::poll) until it gives
/// nothing. What is kept of an object are its names and hashes of a fixed size.
#[derive(Debug)]
pub struct Sightings {
    of: Watched,
    known: BTreeMap<String, Known>,
    known_max: usize,
    /// Which list is read.
    list: u64,
    /// Whether it was told that there are too many.
    overflowed: bool,
    outputs: VecDeque<Sighting>,
}

#[derive(Debug)]
struct Known {
    /// The target that a Lease names; a SyncTarget's is its own name.
    target: Option<Box<str>>,
    /// The resourceVersion, as a hash: only whether it is the same is asked.
    version: u64,
    mark: Mark,
    /// In which list it was last.
    list: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mark {
    Lease(LeaseMark),
    Target(TargetMark),
}

/// As many objects of one kind in one workspace: at one beat in 10 s they are ten times the writes
/// that an etcd takes. Each is some 200 bytes.
const KNOWN_MAX: usize = 200_000;

// === impl Sightings ===

impl Sightings {
    /// Nothing was seen yet.
    #[must_use]
    pub const fn new(of: Watched) -> Self {
        Self {
            of,
            known: BTreeMap::new(),
            known_max: KNOWN_MAX,
            list: 0,
            overflowed: false,
            outputs: VecDeque::new(),
        }
    }

    /// Takes in what the watch brought at `now`.
    pub fn take(&mut self, news: News, now: Instant) {
        match news {
            News::ListBegan => {
                self.list += 1;
                self.overflowed = false;
            }
            News::Listed(objects) => {
                for object in objects {
                    self.see(object, now);
                }
            }
            News::ListEnded => self.sweep(now),
            News::Changed(object) => self.see(object, now),
            News::Deleted(object) => {
                if let Some(name) = name(&object) {
                    self.forget(name, now);
                }
            }
        }
    }

    /// What was seen, in order.
    #[must_use]
    pub fn poll(&mut self) -> Option<Sighting> {
        self.outputs.pop_front()
    }

    /// How many objects are known.
    #[must_use]
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Whether no object is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// Tells something about the watch itself.
    pub(super) fn tell(&mut self, what: Seen, now: Instant) {
        self.outputs.push_back(Sighting {
            at: now,
            of: self.of.clone(),
            what,
        });
    }

    fn see(&mut self, object: Value, now: Instant) {
        let Some(name) = name(&object).map(str::to_owned) else {
            return;
        };
        let version = object["metadata"]["resourceVersion"].as_str();
        let version = fnv1a(version.unwrap_or_default().as_bytes());
        match self.of {
            Watched::Leases { .. } => self.see_lease(name, version, object, now),
            Watched::SyncTargets => self.see_target(name, version, &object, now),
        }
    }

    fn see_lease(&mut self, name: String, version: u64, object: Value, now: Instant) {
        let lease = LeaseObject::from(object);
        let Some(target) = lease.target().map(str::to_owned) else {
            // Without its label it is nobody's.
            self.forget(&name, now);
            return;
        };
        let known = self.known.get(&name);
        if known.is_some_and(|known| known.target.as_deref() != Some(&*target)) {
            self.forget(&name, now);
        }
        let before = self.known.get(&name).map(|known| known.mark);
        let before = before.and_then(Mark::lease);
        let mark = Mark::Lease(LeaseMark::of(&lease));
        if self.keep(name, Some((&*target).into()), version, mark, now) {
            let lease = LeaseSight::of(&lease, before);
            self.tell(Seen::Lease { target, lease }, now);
        }
    }

    fn see_target(&mut self, name: String, version: u64, object: &Value, now: Instant) {
        let mark = TargetMark::of(object);
        let known = self.known.get(&name).and_then(|known| known.mark.target());
        if known.is_some_and(|known| known.is_replaced_by(mark)) {
            self.forget(&name, now);
        }
        let before = self.known.get(&name).and_then(|known| known.mark.target());
        if self.keep(name.clone(), None, version, Mark::Target(mark), now) {
            let sight = TargetSight::of(object, before);
            let target = name;
            self.tell(Seen::Target { target, sight }, now);
        }
    }

    /// Remembers the object; whether it is another one than was told, or as it was not told.
    fn keep(
        &mut self,
        name: String,
        target: Option<Box<str>>,
        version: u64,
        mark: Mark,
        now: Instant,
    ) -> bool {
        let list = self.list;
        if let Some(known) = self.known.get_mut(&name) {
            let same = known.version == version && known.mark == mark;
            known.version = version;
            known.mark = mark;
            known.list = list;
            return !same;
        }
        if self.known.len() >= self.known_max {
            if !std::mem::replace(&mut self.overflowed, true) {
                let kept = self.known_max;
                self.tell(Seen::TooMany { kept }, now);
            }
            return false;
        }
        let known = Known {
            target,
            version,
            mark,
            list,
        };
        self.known.insert(name, known);
        true
    }

    fn forget(&mut self, name: &str, now: Instant) {
        if let Some(known) = self.known.remove(name) {
            let gone = gone(name.to_owned(), known);
            self.tell(gone, now);
        }
    }

    /// Tells what was not in the list that is complete now.
    fn sweep(&mut self, now: Instant) {
        let list = self.list;
        let missing = self.known.extract_if(.., |_, known| known.list != list);
        let missing: Vec<_> = missing.map(|(name, known)| gone(name, known)).collect();
        for gone in missing {
            self.tell(gone, now);
        }
    }
}

fn gone(name: String, known: Known) -> Seen {
    match known.target {
        Some(target) => Seen::LeaseGone {
            target: target.into(),
            name,
        },
        None => Seen::TargetGone { target: name },
    }
}

fn name(object: &Value) -> Option<&str> {
    let name = object["metadata"]["name"].as_str();
    name.filter(|name| !name.is_empty())
}

// === impl Mark ===

impl Mark {
    const fn lease(self) -> Option<LeaseMark> {
        match self {
            Self::Lease(mark) => Some(mark),
            Self::Target(_) => None,
        }
    }

    const fn target(self) -> Option<TargetMark> {
        match self {
            Self::Target(mark) => Some(mark),
            Self::Lease(_) => None,
        }
    }
}

#[cfg(test)]
mod tests;
