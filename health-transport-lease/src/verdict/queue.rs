//! Whose turn it is.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

/// What goes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Class {
    /// Somebody is silent: that is what all of this is for.
    Lost,
    /// Somebody is back, or left.
    Other,
    /// It failed before, or it only wants to be looked at.
    Again,
}

/// Targets in the order of their turns, at most one entry each.
#[derive(Debug, Default)]
pub(super) struct Queue {
    /// Where each one is.
    places: BTreeMap<Arc<str>, (Class, Instant)>,
    /// Those whose time has not come, as far as was looked at.
    waiting: BTreeSet<(Instant, Arc<str>)>,
    /// Those whose time has come.
    ready: BTreeSet<(Class, Instant, Arc<str>)>,
}

// === impl Queue ===

impl Queue {
    /// Puts the target in, in place of an earlier entry of its.
    pub(super) fn put(&mut self, target: &Arc<str>, class: Class, at: Instant) {
        self.remove(target);
        self.places.insert(Arc::clone(target), (class, at));
        self.waiting.insert((at, Arc::clone(target)));
    }

    pub(super) fn remove(&mut self, target: &Arc<str>) {
        if let Some((class, at)) = self.places.remove(target) {
            self.waiting.remove(&(at, Arc::clone(target)));
            self.ready.remove(&(class, at, Arc::clone(target)));
        }
    }

    pub(super) fn contains(&self, target: &Arc<str>) -> bool {
        self.places.contains_key(target)
    }

    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether it is anybody's turn at `now`.
    pub(super) fn is_ready(&mut self, now: Instant) -> bool {
        while self.waiting.first().is_some_and(|(at, _)| *at <= now) {
            let Some((at, target)) = self.waiting.pop_first() else {
                break;
            };
            if let Some((class, _)) = self.places.get(&target) {
                self.ready.insert((*class, at, target));
            }
        }
        !self.ready.is_empty()
    }

    /// Takes out whose turn it is.
    pub(super) fn pop(&mut self) -> Option<Arc<str>> {
        let (_, _, target) = self.ready.pop_first()?;
        self.places.remove(&target);
        Some(target)
    }

    /// When it is somebody's turn; it may be in the past.
    pub(super) fn next(&self) -> Option<Instant> {
        let ready = self.ready.first().map(|(_, at, _)| *at);
        let waiting = self.waiting.first().map(|(at, _)| *at);
        ready.into_iter().chain(waiting).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn the_lost_go_first_among_those_whose_time_has_come() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut queue = Queue::default();
        for (name, class, seconds) in [
            ("again", Class::Again, 0),
            ("back", Class::Other, 1),
            ("lost-2", Class::Lost, 3),
            ("lost-1", Class::Lost, 2),
            ("later", Class::Lost, 9),
        ] {
            queue.put(&name.into(), class, at(seconds));
        }
        queue.put(&"moved".into(), Class::Lost, at(0));
        queue.put(&"moved".into(), Class::Again, at(1));
        queue.put(&"gone".into(), Class::Lost, at(0));
        queue.remove(&"gone".into());
        assert_eq!((queue.len(), queue.next()), (6, Some(at(0))));
        let mut order = Vec::new();
        while queue.is_ready(at(3)) {
            order.push(queue.pop().unwrap().to_string());
        }
        assert_eq!(order, ["lost-1", "lost-2", "back", "again", "moved"]);
        assert_eq!((queue.len(), queue.next()), (1, Some(at(9))));
        assert!(queue.contains(&"later".into()) && !queue.contains(&"back".into()));
    }
}
