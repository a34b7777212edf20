//! How long a result takes until it is told and shown.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;
use std::time::Instant;

use health_checks::CheckContext;
use health_checks::CheckError;
use health_checks::HealthChecker;
use health_checks::Monitor;
use health_checks::MonitorConfig;
use health_checks::Schedule;
use health_core::ComponentSpec;
use health_core::Outcome;

use crate::TIMEOUT;
use crate::current_thread;
use crate::name;
use crate::quantile::quantile;
use crate::support::Row;

const ROUNDS: usize = 5;

/// Becomes worse and better by turns, and remembers when it last said so.
struct Flip {
    number: usize,
    said_at: Arc<[AtomicU64]>,
    epoch: Instant,
    is_bad: AtomicBool,
}

/// From the end of a check to whoever watches, in a round of which every result is a change.
pub(crate) fn measure(n: usize) {
    let epoch = Instant::now();
    let said_at: Arc<[AtomicU64]> = (0..n).map(|_| AtomicU64::new(0)).collect();
    let pulse = current_thread();
    let monitor = pulse.block_on(async { Monitor::spawn(MonitorConfig::default()) });
    let mut changes = monitor.changes();
    for number in 0..n {
        let check = Flip {
            number,
            said_at: Arc::clone(&said_at),
            epoch,
            is_bad: AtomicBool::new(false),
        };
        let schedule = Schedule::new(Duration::from_secs(3600), TIMEOUT);
        let spec = ComponentSpec::new(name(number)).with_stale_after(schedule.stale_after());
        monitor
            .register(spec, schedule, Arc::new(check))
            .expect("names are unique");
    }
    let (next, mut told) = tokio::sync::mpsc::unbounded_channel::<()>();
    let watched = monitor.clone();
    let watcher = thread::spawn(move || {
        let runtime = current_thread();
        let (mut seen, mut shown) = (Vec::new(), Vec::new());
        let mut known = vec![0_u64; n];
        for _ in 0..ROUNDS {
            let mut pending = n;
            while pending > 0 && runtime.block_on(changes.changed()).is_ok() {
                let seen_at = nanos(epoch);
                let report = watched.report(Instant::now());
                let shown_at = nanos(epoch);
                for (number, health) in report.components.iter().enumerate() {
                    let said_at = said_at[number].load(Ordering::Acquire);
                    let is_shown = health
                        .last_check
                        .is_some_and(|at| nanos_of(at, epoch) >= said_at);
                    if said_at > known[number] && is_shown {
                        known[number] = said_at;
                        seen.push(millis(seen_at.saturating_sub(said_at)));
                        shown.push(millis(shown_at.saturating_sub(said_at)));
                        pending -= 1;
                    }
                }
            }
            next.send(()).ok();
        }
        (seen, shown)
    });
    let names: Vec<_> = (0..n).map(name).collect();
    pulse.block_on(async {
        // The first round is the one that registering begins.
        told.recv().await;
        for _ in 1..ROUNDS {
            for name in &names {
                monitor.refresh(name);
            }
            told.recv().await;
        }
    });
    let (mut seen, mut shown) = watcher.join().expect("the watcher does not panic");
    for (what, values) in [
        ("changes() tells, p99 of a round of 10,000", &mut seen),
        ("report() shows, p99 of a round of 10,000", &mut shown),
    ] {
        let p99 = quantile(values, 0.99);
        Row::new(&format!("result to report: {what}"), p99, "ms")
            .budget("≤ 100")
            .print();
    }
}

// === impl Flip ===

#[async_trait::async_trait]
impl HealthChecker for Flip {
    async fn check(&self, _cx: CheckContext) -> Result<Outcome, CheckError> {
        let was_bad = self.is_bad.fetch_not(Ordering::AcqRel);
        self.said_at[self.number].store(nanos(self.epoch), Ordering::Release);
        Ok(if was_bad {
            Outcome::healthy()
        } else {
            Outcome::degraded("Slow", "")
        })
    }
}

fn nanos(epoch: Instant) -> u64 {
    nanos_of(Instant::now(), epoch)
}

fn nanos_of(at: Instant, epoch: Instant) -> u64 {
    u64::try_from(at.saturating_duration_since(epoch).as_nanos()).unwrap_or(u64::MAX)
}

fn millis(nanos: u64) -> f64 {
    Duration::from_nanos(nanos).as_secs_f64() * 1e3
}
