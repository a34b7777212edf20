//! What a round of no-op checks costs above a bare loop over the same futures, beside a task for each
//! of them. Run it with
//! `cargo bench -p health-checks --bench round`.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::Instant;

use health_checks::CheckContext;
use health_checks::CheckError;
use health_checks::HealthChecker;
use health_checks::Monitor;
use health_checks::MonitorConfig;
use health_checks::Schedule;
use health_core::ComponentName;
use health_core::ComponentSpec;
use health_core::Outcome;
use rustix::time::ClockId;
use rustix::time::clock_gettime;
use tokio::runtime::Builder;
use tokio::runtime::Runtime;
use tokio::sync::Notify;

use quantile::quantile;
use support::Row;

mod latency;

mod quantile;

mod support;

/// As many threads as a monitor gives its checks.
const WORKERS: usize = 2;

const TIMEOUT: Duration = Duration::from_secs(5);

/// The size that the budget is of.
const MOST: usize = 10_000;

/// How many components, the interval between their rounds, and how often a round is measured.
/// An interval is a good deal longer than a round takes, and less than a second, past which the
/// monitor takes its own absence for a pause of the process.
const SIZES: [(usize, Duration, usize); 3] = [
    (100, Duration::from_millis(20), 101),
    (1_000, Duration::from_millis(60), 41),
    (MOST, Duration::from_millis(400), 15),
];

/// Does nothing, and counts how often.
struct NoOp {
    number: usize,
    runs: Arc<Runs>,
}

/// The runs of all checks of a round.
#[derive(Default)]
struct Runs {
    count: AtomicUsize,
    /// At that count somebody waits.
    target: AtomicUsize,
    /// Whose run reached it.
    last: AtomicUsize,
    reached: Notify,
}

/// The monitor and what it runs, on a pulse runtime that stands still unless something is waited
/// for: that is how all checks become due at once.
struct House {
    pulse: Runtime,
    monitor: Monitor,
    names: Vec<ComponentName>,
    runs: Arc<Runs>,
    checks: Vec<Arc<dyn HealthChecker>>,
}

/// Time on the clock and time of the processor, in microseconds.
#[derive(Clone, Copy)]
struct Spent {
    wall: f64,
    cpu: f64,
}

/// The medians of one size, in microseconds a check.
struct Costs {
    round: Spent,
    refreshed: Spent,
    bare: Spent,
    spawned: Spent,
}

struct Watch {
    began: Instant,
    cpu: Duration,
}

fn main() {
    if !support::is_asked_for() {
        return;
    }
    // First, while nothing is there that freed memory could be taken from.
    Row::new("memory a component, 10,000 of them", memory(MOST), "B").print();
    let mut overheads = Vec::new();
    for (n, interval, repetitions) in SIZES {
        let costs = costs(n, interval, repetitions);
        let overhead = costs.round.wall - costs.bare.wall;
        overheads.push(overhead);
        let row = |what: &str, value| Row::new(&format!("round of {n}: {what}"), value, "µs");
        let row_of_overhead =
            row("overhead a check", overhead).beside("tokio::spawn of each", costs.spawned.wall);
        if n == MOST {
            row_of_overhead.budget("≤ 2").print();
        } else {
            row_of_overhead.print();
        }
        row("processor time a check", costs.round.cpu - costs.bare.cpu)
            .beside("tokio::spawn of each", costs.spawned.cpu)
            .print();
        row("a check by refresh()", costs.refreshed.wall)
            .beside("tokio::spawn of each", costs.spawned.wall)
            .print();
    }
    // Flat within 30 %: none is more than that above a smaller round. What a round costs however many
    // are in it makes small ones dearer a check, which is no growth.
    let mut least = f64::INFINITY;
    let mut growth = 0.0_f64;
    for overhead in overheads {
        growth = growth.max((overhead / least - 1.0) * 100.0);
        least = least.min(overhead);
    }
    Row::new("round: overhead grows from 100 to 10,000 by", growth, "%")
        .budget("≤ 30")
        .print();
    latency::measure(MOST);
}

/// How much the resident set grows, in bytes a component with a result.
fn memory(n: usize) -> f64 {
    let before = resident_bytes();
    let house = House::new(n, Duration::from_secs(3600));
    house.complete(n, Instant::now());
    (resident_bytes() - before) / as_f64(n)
}

fn costs(n: usize, interval: Duration, repetitions: usize) -> Costs {
    let house = House::new(n, interval);
    let others = Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .enable_all()
        .build()
        .expect("a machine has threads");
    let never = House::new(n, Duration::from_secs(3600));
    for house in [&house, &never] {
        house.complete(n, Instant::now());
    }
    let mut rounds = Vec::new();
    let mut refreshed = Vec::new();
    let mut bare = Vec::new();
    let mut spawned = Vec::new();
    for repetition in 0..repetitions {
        // None has the warm caches of the same neighbour every time.
        for turn in 0..4 {
            match (turn + repetition) % 4 {
                0 => rounds.push(house.round(interval)),
                1 => refreshed.push(never.refreshed()),
                2 => bare.push(house.bare(&others)),
                _ => spawned.push(house.spawned(&others)),
            }
        }
    }
    Costs {
        round: Spent::median(&rounds),
        refreshed: Spent::median(&refreshed),
        bare: Spent::median(&bare),
        spawned: Spent::median(&spawned),
    }
}

// === impl NoOp ===

#[async_trait::async_trait]
impl HealthChecker for NoOp {
    async fn check(&self, _cx: CheckContext) -> Result<Outcome, CheckError> {
        self.runs.ran(self.number);
        Ok(Outcome::healthy())
    }
}

// === impl Runs ===

impl Runs {
    fn ran(&self, number: usize) {
        let count = self.count.fetch_add(1, Ordering::AcqRel) + 1;
        if count == self.target.load(Ordering::Relaxed) {
            self.last.store(number, Ordering::Release);
            self.reached.notify_one();
        }
    }

    /// Says how many there were, and has somebody told after `more`.
    fn aim(&self, more: usize) -> usize {
        let count = self.count.load(Ordering::Acquire);
        self.target.store(count + more, Ordering::Release);
        count
    }
}

// === impl House ===

impl House {
    fn new(n: usize, interval: Duration) -> Self {
        let pulse = current_thread();
        let monitor = pulse.block_on(async { Monitor::spawn(MonitorConfig::default()) });
        let names: Vec<_> = (0..n).map(name).collect();
        let runs = Arc::new(Runs::default());
        let schedule = Schedule::new(interval, TIMEOUT);
        let mut checks = Vec::new();
        for (number, name) in names.iter().enumerate() {
            let runs = Arc::clone(&runs);
            let check: Arc<dyn HealthChecker> = Arc::new(NoOp { number, runs });
            checks.push(Arc::clone(&check));
            let spec = ComponentSpec::new(name.clone()).with_stale_after(schedule.stale_after());
            monitor
                .register(spec, schedule, check)
                .expect("names are unique");
        }
        runs.aim(n);
        Self {
            pulse,
            monitor,
            names,
            runs,
            checks,
        }
    }

    /// Lets the monitor work until every component has a result that came after `since`, and says
    /// how much of that time was spent on finding it out.
    fn complete(&self, n: usize, since: Instant) -> Duration {
        let mut looking = Duration::ZERO;
        self.pulse.block_on(async {
            self.runs.reached.notified().await;
            let last = self.names[self.runs.last.load(Ordering::Acquire)].as_str();
            let mut shown = 0;
            while shown < n {
                tokio::task::yield_now().await;
                let looked = Instant::now();
                let is_new = |at: Option<Instant>| at.is_some_and(|at| at >= since);
                let of_last = self.monitor.component(last, looked);
                if of_last.is_some_and(|health| is_new(health.last_check)) {
                    let components = self.monitor.report(looked).components;
                    let new = components.iter().filter(|it| is_new(it.last_check));
                    shown = new.count();
                }
                looking += looked.elapsed();
            }
        });
        looking
    }

    /// A round by the timetable, a check that ran.
    fn round(&self, interval: Duration) -> Spent {
        let stood_still = Instant::now();
        // Spinning: a processor that was idle is slow at first, and the bare loop does not pay that.
        while stood_still.elapsed() < interval {
            std::hint::spin_loop();
        }
        let n = self.names.len();
        let before = self.runs.aim(n);
        let watch = Watch::start();
        let looking = self.complete(n, watch.began);
        let ran = self.runs.aim(0) - before;
        watch.stop(looking, ran)
    }

    /// A round by asking for each check, a check.
    fn refreshed(&self) -> Spent {
        let n = self.names.len();
        self.runs.aim(n);
        let watch = Watch::start();
        for name in &self.names {
            self.monitor.refresh(name);
        }
        let looking = self.complete(n, watch.began);
        watch.stop(looking, n)
    }

    /// The same futures one after the other, a check.
    fn bare(&self, runtime: &Runtime) -> Spent {
        let checks = self.checks.clone();
        runtime.block_on(async {
            let looped = tokio::spawn(async move {
                let watch = Watch::start();
                for check in &checks {
                    let cx = CheckContext::new(TIMEOUT, watch.began);
                    std::hint::black_box(check.check(cx).await).ok();
                }
                watch.stop(Duration::ZERO, checks.len())
            });
            looped.await.expect("no check panics")
        })
    }

    /// A task for each of the same futures, a check.
    fn spawned(&self, runtime: &Runtime) -> Spent {
        runtime.block_on(async {
            let watch = Watch::start();
            let mut tasks = Vec::with_capacity(self.checks.len());
            for check in &self.checks {
                let check = Arc::clone(check);
                let cx = CheckContext::new(TIMEOUT, watch.began);
                tasks.push(tokio::spawn(async move { check.check(cx).await }));
            }
            for task in tasks {
                std::hint::black_box(task.await.expect("no check panics")).ok();
            }
            watch.stop(Duration::ZERO, self.checks.len())
        })
    }
}

// === impl Spent ===

impl Spent {
    fn median(all: &[Self]) -> Self {
        let of = |part: fn(&Self) -> f64| {
            let mut values: Vec<_> = all.iter().map(part).collect();
            quantile(&mut values, 0.5)
        };
        Self {
            wall: of(|spent| spent.wall),
            cpu: of(|spent| spent.cpu),
        }
    }
}

// === impl Watch ===

impl Watch {
    fn start() -> Self {
        Self {
            cpu: cpu_time(),
            began: Instant::now(),
        }
    }

    /// What was spent but for `apart`, on each of `n`.
    fn stop(&self, apart: Duration, n: usize) -> Spent {
        let wall = self.began.elapsed() - apart;
        let cpu = (cpu_time() - self.cpu).saturating_sub(apart);
        let each = |whole: Duration| whole.as_secs_f64() * 1e6 / as_f64(n);
        Spent {
            wall: each(wall),
            cpu: each(cpu),
        }
    }
}

fn current_thread() -> Runtime {
    Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a machine has a thread")
}

fn name(number: usize) -> ComponentName {
    format!("component-{number:05}")
        .parse()
        .expect("letters and digits")
}

fn cpu_time() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ProcessCPUTime)).unwrap_or_default()
}

fn resident_bytes() -> f64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = statm.split(' ').nth(1).and_then(|pages| pages.parse().ok());
    pages.unwrap_or(f64::NAN) * as_f64(rustix::param::page_size())
}

#[expect(clippy::cast_precision_loss, reason = "far from 2^52")]
const fn as_f64(n: usize) -> f64 {
    n as f64
}
