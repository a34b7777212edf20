//! The stream of transitions: one bounded ring that every reader looks into at its own place.
//!
//! Nothing is queued for a reader. One that falls so far behind that the ring has moved on is told
//! that it missed something; one that does not read at all loses its connection
//! (`http/stall.rs`).

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;
use std::time::Instant;

use health_heartbeat::AgentId;
use health_heartbeat::FleetReason;
use health_heartbeat::FleetVerdict;
use tokio::sync::Semaphore;
use tokio::sync::watch;

use super::listing::Counts;

mod ring;

pub(super) use ring::Entry;
pub(super) use ring::Gap;
use ring::Ring;

/// A verdict that changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::hub) struct Transition {
    /// When.
    pub(in crate::hub) at: Instant,
    /// Whose.
    pub(in crate::hub) agent: AgentId,
    /// From what, where that is known.
    pub(in crate::hub) from: Option<FleetVerdict>,
    /// To what.
    pub(in crate::hub) verdict: FleetVerdict,
    /// Why, for machines.
    pub(in crate::hub) reason: FleetReason,
}

/// The stream, as who tells and who reads share it.
#[derive(Debug)]
pub(in crate::hub) struct Stream {
    ring: Mutex<Ring>,
    /// The number of the newest transition: wakes the readers.
    newest: watch::Sender<u64>,
    counts: watch::Sender<Counts>,
    /// One place for each reader.
    pub(super) places: Arc<Semaphore>,
    /// This process: its numbers mean nothing to another.
    tag: String,
}

/// So many transitions are kept for readers that come back: all of a small fleet, and of a large
/// one what comes in a while. About 200 bytes each.
const KEPT_MAX: usize = 4096;

/// Half of the connections that `ops` takes: streams never keep out who asks once.
pub(super) const STREAMS_MAX: usize = 128;

/// How often the counts are looked at while somebody reads.
const COUNTS_EVERY: Duration = Duration::from_secs(1);

// === impl Stream ===

impl Stream {
    /// A stream of the process that is named `tag`.
    pub(super) fn new(tag: String) -> Arc<Self> {
        Arc::new(Self {
            ring: Mutex::new(Ring::new(KEPT_MAX)),
            newest: watch::Sender::new(0),
            counts: watch::Sender::new(Counts::default()),
            places: Arc::new(Semaphore::new(STREAMS_MAX)),
            tag,
        })
    }

    /// Tells every reader. Never waits for one: it costs a place in the ring and a wake-up.
    pub(in crate::hub) fn publish(&self, transition: Transition) {
        let number = self.ring().push(transition);
        self.newest.send_replace(number);
    }

    /// How many read.
    pub(super) fn readers(&self) -> usize {
        STREAMS_MAX - self.places.available_permits()
    }

    /// A receiver that changes with each transition.
    pub(super) fn newest(&self) -> watch::Receiver<u64> {
        self.newest.subscribe()
    }

    /// A receiver that changes with the counts, at most once a second.
    pub(super) fn counts(&self) -> watch::Receiver<Counts> {
        self.counts.subscribe()
    }

    /// What came after `seen`, the oldest first, at most `count`.
    pub(super) fn after(&self, seen: u64, count: usize) -> Result<Vec<Arc<Entry>>, Gap> {
        self.ring().after(seen, count)
    }

    /// Where a new reader begins that wants the newest `recent` first.
    pub(super) fn begin(&self, recent: usize) -> u64 {
        self.ring().before_newest(recent)
    }

    /// Where a reader goes on that has seen the event `id`; a gap if that cannot be.
    pub(super) fn resume(&self, id: &str) -> Result<u64, Gap> {
        let number = id
            .strip_prefix(&self.tag)
            .and_then(|rest| rest.strip_prefix('-'))
            .and_then(|number| number.parse().ok())
            .ok_or(Gap)?;
        self.ring().after(number, 0).map(|_| number)
    }

    /// Where a reader begins anew after a gap.
    pub(super) fn now(&self) -> u64 {
        self.ring().newest()
    }

    /// An event's id.
    pub(super) fn id(&self, number: u64) -> String {
        format!("{}-{number}", self.tag)
    }

    /// Looks at the counts once a second while somebody reads, until `stop` turns true.
    pub(super) async fn run_counts(
        self: Arc<Self>,
        count: impl Fn() -> Counts,
        mut stop: watch::Receiver<bool>,
    ) {
        loop {
            tokio::select! {
                _ = stop.wait_for(|stop| *stop) => return,
                () = tokio::time::sleep(COUNTS_EVERY) => {}
            }
            if self.counts.receiver_count() > 0 {
                self.tell_counts(count());
            }
        }
    }

    /// Tells the counts if they are others.
    pub(super) fn tell_counts(&self, counts: Counts) {
        self.counts.send_if_modified(|told| {
            let changed = *told != counts;
            *told = counts;
            changed
        });
    }

    fn ring(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
