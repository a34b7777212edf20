//! What is watched, and how it was when it was last looked at.
//!
//! One look serves all who watch the same service: they wait, and are woken by a change only.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;
use std::time::Instant;

use tokio::sync::Notify;
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;
use tonic_health::pb::health_check_response::ServingStatus;

use super::answer;
use super::answer::Truth;

/// Each service that somebody watches. It keeps no more of them than there are watchers, whose
/// number the connections and their streams bound.
pub(super) struct Watched {
    truth: Arc<dyn Truth>,
    /// Nothing any more once the program ends.
    services: Mutex<Option<Services>>,
}

type Services = BTreeMap<String, watch::Sender<ServingStatus>>;

/// Is rung when what is watched may have changed.
#[derive(Debug, Clone, Default)]
pub(crate) struct Bell(Arc<Notify>);

/// So late at most is a change noticed that nobody rings for, as that a loop makes no progress.
const LOOK_EVERY: Duration = Duration::from_secs(1);

// === impl Bell ===

impl Bell {
    /// Rings whenever a value moves, for as long as it can.
    pub(crate) async fn ring_on<T>(self, mut value: watch::Receiver<T>) {
        while value.changed().await.is_ok() {
            self.0.notify_one();
        }
    }
}

// === impl Watched ===

impl Watched {
    pub(super) fn new(truth: Arc<dyn Truth>) -> Self {
        Self {
            truth,
            services: Mutex::new(Some(Services::new())),
        }
    }

    /// How a service is from `now` on; nothing once the program ends.
    pub(super) fn watch(
        &self,
        service: String,
        now: Instant,
    ) -> Option<watch::Receiver<ServingStatus>> {
        let mut services = self.lock();
        let services = services.as_mut()?;
        // Under the lock, so that nobody puts an older look in the place of a newer one.
        let status = answer::status(&service, &*self.truth, now);
        let sender = services
            .entry(service)
            .or_insert_with(|| watch::Sender::new(status));
        let receiver = sender.subscribe();
        set(sender, status);
        Some(receiver)
    }

    /// Looks whenever the bell rings, and every [`LOOK_EVERY`]. Once `stop` is true it looks for the
    /// last time, and ends with every watch.
    pub(super) async fn run(&self, bell: Bell, mut stop: watch::Receiver<bool>) {
        let mut tick = tokio::time::interval(LOOK_EVERY);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = bell.0.notified() => {}
                _ = tick.tick() => {}
                _ = stop.wait_for(|stop| *stop) => break,
            }
            self.look(Instant::now());
        }
        self.look(Instant::now());
        *self.lock() = None;
    }

    /// Tells who watches what changed, and forgets what nobody watches.
    fn look(&self, now: Instant) {
        if let Some(services) = self.lock().as_mut() {
            services.retain(|service, sender| {
                set(sender, answer::status(service, &*self.truth, now));
                sender.receiver_count() > 0
            });
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Services>> {
        self.services.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watched").finish_non_exhaustive()
    }
}

fn set(sender: &watch::Sender<ServingStatus>, status: ServingStatus) {
    sender.send_if_modified(|last| std::mem::replace(last, status) != status);
}

#[cfg(test)]
mod tests {
    use super::super::answer::tests::Said;
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_watches_is_woken_by_a_change_only() {
        let (said, watched, bell) = watched();
        let (end, stop) = watch::channel(false);
        said.component("a", Some(true));
        let mut a = watched.watch("a".to_owned(), Instant::now()).unwrap();
        let mut b = watched.watch("b".to_owned(), Instant::now()).unwrap();
        let run = tokio::spawn({
            let watched = Arc::clone(&watched);
            async move { watched.run(bell.1, stop).await }
        });
        for (holds, status) in [
            (Some(false), ServingStatus::NotServing),
            (None, ServingStatus::ServiceUnknown),
            (Some(true), ServingStatus::Serving),
        ] {
            said.component("a", holds);
            bell.0.send_replace(());
            assert!(moves(&mut a).await);
            assert_eq!(*a.borrow_and_update(), status);
        }
        bell.0.send_replace(());
        tokio::time::sleep(LOOK_EVERY * 5).await;
        assert!(!a.has_changed().unwrap() && !b.has_changed().unwrap());
        assert_eq!(*b.borrow_and_update(), ServingStatus::ServiceUnknown);
        // Nobody rings for this one.
        said.component("b", Some(true));
        assert!(moves(&mut b).await);
        // The last change is seen before the end is.
        said.component("a", Some(false));
        end.send_replace(true);
        run.await.unwrap();
        assert!(moves(&mut a).await);
        assert_eq!(*a.borrow_and_update(), ServingStatus::NotServing);
        assert!(!moves(&mut a).await);
        assert!(watched.watch("a".to_owned(), Instant::now()).is_none());
    }

    /// Had the one who comes seen what the others were not told, they would never be told it.
    #[tokio::test]
    async fn who_comes_later_tells_the_others() {
        let (said, watched, _bell) = watched();
        said.component("a", Some(true));
        let mut first = watched.watch("a".to_owned(), Instant::now()).unwrap();
        first.mark_unchanged();
        said.component("a", Some(false));
        let second = watched.watch("a".to_owned(), Instant::now()).unwrap();
        assert_eq!(*second.borrow(), ServingStatus::NotServing);
        assert!(first.has_changed().unwrap());
        assert_eq!(*first.borrow_and_update(), ServingStatus::NotServing);
    }

    #[tokio::test]
    async fn what_nobody_watches_is_forgotten() {
        let (_, watched, _bell) = watched();
        for number in 0..100 {
            drop(watched.watch(number.to_string(), Instant::now()));
        }
        let kept = watched.watch("kept".to_owned(), Instant::now());
        watched.look(Instant::now());
        let services = watched.lock();
        let names: Vec<_> = services.iter().flatten().map(|(name, _)| name).collect();
        assert_eq!(names, ["kept"]);
        drop(kept);
    }

    /// Whether it moves (true) or is over (false); it is either before the next look.
    async fn moves(watched: &mut watch::Receiver<ServingStatus>) -> bool {
        let moved = tokio::time::timeout(LOOK_EVERY, watched.changed()).await;
        moved.expect("it is one of both").is_ok()
    }

    type Rope = (watch::Sender<()>, Bell);

    fn watched() -> (Arc<Said>, Arc<Watched>, Rope) {
        let said = Arc::<Said>::default();
        let watched = Arc::new(Watched::new(Arc::clone(&said) as Arc<dyn Truth>));
        let (rope, moved) = watch::channel(());
        let bell = Bell::default();
        tokio::spawn(bell.clone().ring_on(moved));
        (said, watched, (rope, bell))
    }
}
