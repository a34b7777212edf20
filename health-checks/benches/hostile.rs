//! A thousand healthy checks with the worst neighbours: one that blocks its thread, one that never
//! returns and one that panics every time. Run it with
//! `cargo bench -p health-checks --bench hostile -- --rounds 1000`.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::sync::mpsc;
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
use health_core::HealthStatus;
use health_core::Outcome;
use health_core::Probe;
use health_core::ProbeRules;
use health_core::Reason;
use health_core::reasons;
use tokio::runtime::Builder;
use tokio::runtime::Handle;

use spans::Spans;
use spans::as_f64;
use spans::millis;
use spans::nanos;
use support::Row;

mod spans;

mod support;

const HEALTHY: u64 = 1_000;

const ROUNDS: u64 = 10_000;

/// From one round to the next: a tick.
const INTERVAL: Duration = Duration::from_millis(10);

const TIMEOUT: Duration = Duration::from_millis(100);

/// For so long the one that blocks its thread does so.
const BLOCKS: Duration = Duration::from_millis(300);

/// Between two looks at the monitor.
const LOOK: Duration = Duration::from_millis(1);

/// Every so many looks the process is looked at, too.
const SAMPLE: u64 = 100;

/// The resident set may grow by so much after the first tenth of the rounds: an allocator breathes.
const GROWTH_MAX_KIB: f64 = 512.0;

/// The bad ones, with what they are to be shown as.
const BAD: [(&str, Bad, Reason); 3] = [
    ("blocks", Bad::Blocks, reasons::TIMEOUT),
    ("never-returns", Bad::NeverReturns, reasons::TIMEOUT),
    ("panics", Bad::Panics, reasons::PANICKED),
];

/// A bad check.
#[derive(Debug, Clone, Copy)]
enum Bad {
    Blocks,
    NeverReturns,
    Panics,
}

/// A healthy check that notes how late it is.
struct Good {
    notes: Arc<Notes>,
    epoch: Instant,
    last: AtomicU64,
}

/// What the healthy checks note.
struct Notes {
    runs: AtomicU64,
    /// When the last of them ran for the first time, after the start.
    first_nanos_max: AtomicU64,
    /// 0 in the first tenth of the rounds, then 1.
    part: AtomicUsize,
    /// How late the later runs were.
    lateness: [Spans; 2],
}

/// What the process uses.
#[derive(Debug, Clone, Copy, Default)]
struct Use {
    tasks: f64,
    threads: f64,
    resident_kib: f64,
}

/// What was seen from outside.
#[derive(Debug)]
struct Seen {
    /// How long the probes took.
    probes: Spans,
    /// How late a bare thread was that slept for one look, after the first tenth.
    slept: Spans,
    first_shown: [Option<Duration>; 3],
    shown_otherwise: u32,
    /// After a tenth of the rounds.
    early: Use,
    /// From then on.
    most: Use,
    end: Use,
}

fn main() {
    if !support::is_asked_for() {
        return;
    }
    let rounds = rounds();
    // It panics thousands of times on purpose.
    std::panic::set_hook(Box::new(|_| {}));
    let (tell, told) = mpsc::channel();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let pulse = thread::spawn(move || {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a machine has a thread");
        runtime.block_on(async {
            let monitor = Monitor::spawn(MonitorConfig::default());
            tell.send((monitor, Handle::current())).ok();
            stopped.await.ok();
        });
    });
    let (monitor, handle) = told.recv().expect("the pulse runtime runs");
    let notes = Arc::new(Notes::default());
    let began = Instant::now();
    for (name, bad, _) in BAD {
        register(&monitor, name, Arc::new(bad));
    }
    for number in 0..HEALTHY {
        let check = Good {
            notes: Arc::clone(&notes),
            epoch: began,
            last: AtomicU64::new(0),
        };
        register(&monitor, &format!("healthy-{number:04}"), Arc::new(check));
    }
    let seen = watch(&monitor, &handle, &notes, rounds, began);
    drop(monitor);
    drop(stop);
    pulse.join().ok();
    tell_all(&notes, &seen, rounds, began.elapsed());
}

/// Looks at the monitor and at the process until all rounds are done.
fn watch(monitor: &Monitor, pulse: &Handle, notes: &Notes, rounds: u64, began: Instant) -> Seen {
    let mut seen = Seen::new();
    let mut round = 0;
    let mut looks = 0;
    while round < rounds {
        let slept = Instant::now();
        #[expect(clippy::disallowed_methods, reason = "nobody else is on this thread")]
        thread::sleep(LOOK);
        if round >= rounds / 10 {
            seen.slept.note(slept.elapsed().saturating_sub(LOOK));
        }
        for probe in [Probe::Liveness, Probe::Readiness] {
            let asked = Instant::now();
            let answer = monitor.probe(probe, ProbeRules::default(), &[], &[], asked);
            seen.probes.note(asked.elapsed());
            drop(answer);
        }
        seen.look_at_bad(monitor, began);
        let done = notes.runs.load(Ordering::Relaxed) / HEALTHY;
        if round < rounds / 10 && done >= rounds / 10 {
            notes.part.store(1, Ordering::Relaxed);
            seen.early = Use::of(pulse);
        }
        round = done;
        looks += 1;
        if looks % SAMPLE == 0 && round >= rounds / 10 {
            seen.most = seen.most.most(Use::of(pulse));
        }
    }
    seen.end = Use::of(pulse);
    seen.most = seen.most.most(seen.end);
    seen
}

fn tell_all(notes: &Notes, seen: &Seen, rounds: u64, took: Duration) {
    let tick = millis(INTERVAL);
    let row = |what: &str, value, unit| Row::new(&format!("hostile: {what}"), value, unit);
    row("rounds", as_f64(rounds), "").print();
    row("time of a round", millis(took) / as_f64(rounds), "ms")
        .beside("interval", tick)
        .print();
    row("Monitor::probe, p99", seen.probes.millis(0.99), "ms")
        .beside("p50", seen.probes.millis(0.5))
        .budget("≤ 1")
        .print();
    for ((name, _, reason), shown) in BAD.iter().zip(seen.first_shown) {
        let shown = shown.map_or(f64::NAN, millis);
        row(&format!("{name}: {reason} after"), shown, "ms")
            .beside("timeout", millis(TIMEOUT))
            .budget(&format!("≤ {}", millis(TIMEOUT) + tick))
            .print();
    }
    let otherwise = f64::from(seen.shown_otherwise);
    row("bad ones shown otherwise after that", otherwise, "")
        .budget("≤ 0")
        .print();
    let [first, then] = &notes.lateness;
    let first_run = as_f64(notes.first_nanos_max.load(Ordering::Relaxed)) / 1e6;
    row("healthy: last one's first run", first_run, "ms").print();
    row(
        "healthy: late by, most, first tenth",
        first.millis_max(),
        "ms",
    )
    .print();
    let first_above = first.above();
    row("healthy: > 1 tick late, first tenth", first_above, "")
        .beside("runs", first.count())
        .print();
    row("healthy: late by, p99, after it", then.millis(0.99), "ms")
        .beside("a bare sleep, p99", seen.slept.millis(0.99))
        .print();
    // Where the machine stands still, a bare sleep is late too.
    let machine = seen.slept.millis_max();
    row("healthy: late by, most, after it", then.millis_max(), "ms")
        .beside("a bare sleep, most", machine)
        .budget(&format!("≤ {:.1}", machine + tick))
        .print();
    row("healthy: > 1 tick late, after it", then.above(), "")
        .beside("runs", then.count())
        .print();
    let Seen { early, most, .. } = seen;
    row("pulse runtime's tasks, most", most.tasks, "")
        .beside("after a tenth", early.tasks)
        .budget(&format!("≤ {}", early.tasks))
        .print();
    row("threads, most", most.threads, "")
        .beside("after a tenth", early.threads)
        .budget(&format!("≤ {}", early.threads + 1.0))
        .print();
    row("resident memory, end", seen.end.resident_kib, "KiB")
        .beside("after a tenth", early.resident_kib)
        .budget(&format!("≤ {}", early.resident_kib + GROWTH_MAX_KIB))
        .print();
}

// === impl Bad ===

#[async_trait::async_trait]
impl HealthChecker for Bad {
    #[expect(clippy::disallowed_methods, reason = "they are meant to block")]
    async fn check(&self, _cx: CheckContext) -> Result<Outcome, CheckError> {
        match self {
            Self::Blocks => thread::sleep(BLOCKS),
            Self::NeverReturns => loop {
                thread::park();
            },
            Self::Panics => panic!("on purpose"),
        }
        Ok(Outcome::healthy())
    }
}

// === impl Good ===

#[async_trait::async_trait]
impl HealthChecker for Good {
    async fn check(&self, _cx: CheckContext) -> Result<Outcome, CheckError> {
        let now = nanos(self.epoch.elapsed());
        let last = self.last.swap(now, Ordering::Relaxed);
        self.notes.runs.fetch_add(1, Ordering::Relaxed);
        if last == 0 {
            self.notes.first_nanos_max.fetch_max(now, Ordering::Relaxed);
        } else {
            let part = self.notes.part.load(Ordering::Relaxed);
            let gap = Duration::from_nanos(now - last);
            self.notes.lateness[part].note(gap.saturating_sub(INTERVAL));
        }
        Ok(Outcome::healthy())
    }
}

// === impl Notes ===

impl Default for Notes {
    fn default() -> Self {
        Self {
            runs: AtomicU64::new(0),
            first_nanos_max: AtomicU64::new(0),
            part: AtomicUsize::new(0),
            lateness: [(); 2].map(|()| Spans::new(Duration::from_micros(100), INTERVAL)),
        }
    }
}

// === impl Use ===

impl Use {
    fn of(pulse: &Handle) -> Self {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let value = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
            value.unwrap_or(f64::NAN)
        };
        Self {
            tasks: as_f64(pulse.metrics().num_alive_tasks() as u64),
            threads: field("Threads:"),
            resident_kib: field("VmRSS:"),
        }
    }

    fn most(self, other: Self) -> Self {
        Self {
            tasks: self.tasks.max(other.tasks),
            threads: self.threads.max(other.threads),
            resident_kib: self.resident_kib.max(other.resident_kib),
        }
    }
}

// === impl Seen ===

impl Seen {
    fn new() -> Self {
        Self {
            probes: Spans::new(Duration::from_micros(2), INTERVAL),
            slept: Spans::new(Duration::from_micros(100), INTERVAL),
            first_shown: [None; 3],
            shown_otherwise: 0,
            early: Use::default(),
            most: Use::default(),
            end: Use::default(),
        }
    }

    fn look_at_bad(&mut self, monitor: &Monitor, began: Instant) {
        for ((name, _, reason), first_shown) in BAD.iter().zip(&mut self.first_shown) {
            let now = Instant::now();
            let health = monitor.component(name, now);
            let is_shown = health.is_some_and(|health| {
                health.status == HealthStatus::Unhealthy && health.reason == *reason
            });
            if is_shown {
                first_shown.get_or_insert(now - began);
            } else if first_shown.is_some() {
                self.shown_otherwise += 1;
            }
        }
    }
}

fn register(monitor: &Monitor, name: &str, check: Arc<dyn HealthChecker>) {
    let schedule = Schedule::new(INTERVAL, TIMEOUT);
    let spec = ComponentSpec::new(name.parse().expect("letters, digits and dashes"))
        .with_stale_after(schedule.stale_after());
    monitor
        .register(spec, schedule, check)
        .expect("names are unique");
}

fn rounds() -> u64 {
    let mut arguments = std::env::args().skip_while(|argument| argument != "--rounds");
    let given = arguments.nth(1).and_then(|rounds| rounds.parse().ok());
    given.unwrap_or(ROUNDS).max(10)
}
