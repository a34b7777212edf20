use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

use health_core::Criticality;
use health_core::HealthStatus;
use health_core::Outcome;
use metrics::Counter;
use metrics::Gauge;
use metrics::Histogram;
use metrics::Key;
use metrics::KeyName;
use metrics::Metadata;
use metrics::SharedString;
use metrics::Unit;

use super::*;
use crate::CheckContext;
use crate::CheckError;

#[tokio::test]
async fn a_result_of_each_kind_is_shown_with_its_reason() {
    let monitor = Monitor::spawn(MonitorConfig::default());
    let quick = Schedule::new(Duration::from_secs(30), Duration::from_millis(50));
    for (name, schedule, does) in [
        ("fine", rarely(), Does::Answer),
        ("unsure", rarely(), Does::Err),
        ("panics", rarely(), Does::Panic),
        ("hangs", quick, Does::Hang),
    ] {
        register(&monitor, name, schedule, does);
    }
    until(&monitor, || started(&monitor)).await;
    let shown = |name: &str| {
        let health = monitor.component(name, Instant::now()).unwrap();
        (
            health.status,
            health.reason.to_string(),
            health.message.clone(),
        )
    };
    let why = |status, reason: &str, message: &str| (status, reason.to_owned(), message.to_owned());
    assert_eq!(shown("fine"), why(HealthStatus::Healthy, "Healthy", ""));
    assert_eq!(
        shown("unsure"),
        why(HealthStatus::Unknown, "NoAnswer", "nobody knows")
    );
    assert_eq!(
        shown("panics"),
        why(
            HealthStatus::Unhealthy,
            "Panicked",
            "the check panicked: oh no"
        )
    );
    assert_eq!(
        shown("hangs"),
        why(HealthStatus::Unhealthy, "Timeout", "no answer within 50ms")
    );
    let verdict = monitor.verdict(Scope::All, Instant::now());
    assert_eq!(
        (verdict.status, verdict.deciding_total),
        (HealthStatus::Unhealthy, 2)
    );
    assert_eq!(monitor.report(Instant::now()).components.len(), 4);
}

#[tokio::test]
async fn names_are_unique_and_can_be_taken_again_once_removed() {
    let monitor = Monitor::spawn(MonitorConfig::default());
    let registration = register(&monitor, "database", rarely(), Does::Answer).unwrap();
    assert!(register(&monitor, "database", rarely(), Does::Answer).is_none());
    assert!(monitor.register_reported(spec("database")).is_err());
    assert!(registration.remove());
    assert!(monitor.component("database", Instant::now()).is_none());
    assert!(register(&monitor, "database", rarely(), Does::Answer).is_some());
}

#[tokio::test]
async fn a_run_whose_component_is_removed_is_dropped() {
    let monitor = Monitor::spawn(MonitorConfig::default());
    let does = Arc::new(Checker::new(Does::Hang));
    let registration = monitor
        .register(spec("hangs"), rarely(), Arc::clone(&does) as _)
        .unwrap();
    does.runs(1).await;
    assert!(registration.remove());
    does.dropped.notified().await;
}

#[tokio::test]
async fn refreshes_while_a_run_is_under_way_have_one_follow_it() {
    let monitor = Monitor::spawn(MonitorConfig::default());
    let does = Arc::new(Checker::new(Does::AnswerWhenTold));
    monitor
        .register(spec("slow"), rarely(), Arc::clone(&does) as _)
        .unwrap();
    does.runs(1).await;
    let name: ComponentName = "slow".parse().unwrap();
    for _ in 0..100 {
        assert!(monitor.refresh(&name));
    }
    assert_eq!(does.count(), 1);
    does.tell.notify_one();
    does.runs(2).await;
    does.tell.notify_one();
    until(&monitor, || started(&monitor)).await;
    assert_eq!(does.count(), 2);
    assert!(!monitor.refresh(&"stranger".parse().unwrap()));
}

/// hello, alx and gofr start something for each probe, and leak it when a check hangs.
#[tokio::test]
async fn pitfall_36_probes_start_nothing() {
    let monitor = Monitor::spawn(MonitorConfig::default());
    let does = Arc::new(Checker::new(Does::Hang));
    monitor
        .register(spec("hangs"), rarely(), Arc::clone(&does) as _)
        .unwrap();
    does.runs(1).await;
    let tasks = || {
        tokio::runtime::Handle::current()
            .metrics()
            .num_alive_tasks()
    };
    let before = tasks();
    for _ in 0..10_000 {
        let now = Instant::now();
        let answer = monitor.probe(Probe::Readiness, monitor.probe_rules(), &[], &[], now);
        assert!(!answer.holds);
    }
    assert_eq!((does.count(), tasks()), (1, before));
}

#[tokio::test]
async fn what_is_reported_from_outside_counts_and_ages() {
    let monitor = Monitor::spawn(MonitorConfig::default());
    let reporter = monitor
        .register_reported(spec("job").with_stale_after(Duration::from_millis(50)))
        .unwrap();
    assert!(reporter.report(Outcome::healthy()));
    until(&monitor, || {
        status(&monitor) == HealthStatus::Healthy || reason(&monitor) == "Stale"
    })
    .await;
    until(&monitor, || reason(&monitor) == "Stale").await;
    assert_eq!(status(&monitor), HealthStatus::Unknown);
    assert!(reporter.clone().remove());
    assert!(!reporter.report(Outcome::healthy()));
}

#[tokio::test]
async fn a_heartbeat_carries_everything_but_itself() {
    let monitor = Monitor::spawn(MonitorConfig::default());
    let heartbeat = monitor.register_reported(spec("heartbeat")).unwrap();
    let job = monitor.register_reported(spec("job")).unwrap();
    heartbeat.report(Outcome::unhealthy("Missed", ""));
    job.report(Outcome::healthy());
    let carried = monitor.carried(Instant::now());
    assert_eq!(carried.verdict.status, HealthStatus::Healthy);
    assert!(carried.readiness.holds);
    assert_eq!(status(&monitor), HealthStatus::Unhealthy);
}

#[tokio::test]
async fn a_loop_that_is_dead_is_carried_as_unknown_and_not_ready() {
    let monitor = Monitor::spawn(MonitorConfig::default());
    let job = monitor
        .register_reported(spec("job").with_stale_after(Duration::from_secs(3600)))
        .unwrap();
    job.report(Outcome::healthy());
    monitor.shutdown().await;
    let later = Instant::now() + Duration::from_secs(60);
    monitor.carried(later);
    let later = later + Duration::from_secs(2);
    let carried = monitor.carried(later);
    assert_eq!(carried.verdict.status, HealthStatus::Unknown);
    assert_eq!(carried.verdict.reason.as_str(), "MonitorStalled");
    assert!(!carried.readiness.holds);
    assert!(monitor.pulse().stalled(later).is_some());
    assert_eq!(
        monitor.report(later).verdict.reason.as_str(),
        "MonitorStalled"
    );
}

#[tokio::test]
async fn the_loop_ends_with_the_last_handle() {
    let monitor = Monitor::spawn(MonitorConfig::default());
    let mut ended = monitor.handle.ended.clone();
    let registration = register(&monitor, "hangs", rarely(), Does::Hang);
    drop(monitor.clone());
    assert!(!*ended.borrow());
    drop(monitor);
    ended.wait_for(|ended| *ended).await.unwrap();
    drop(registration);
}

#[tokio::test]
async fn informational_components_are_shown_and_not_counted() {
    let monitor = Monitor::spawn(MonitorConfig::default());
    let spec = spec("aside").with_criticality(Criticality::Informational);
    monitor
        .register(spec, rarely(), Arc::new(Checker::new(Does::Panic)))
        .unwrap();
    until(&monitor, || started(&monitor)).await;
    assert_eq!(reason(&monitor), "NoComponents");
}

#[tokio::test]
async fn transitions_are_told_in_order_and_remembered() {
    let monitor = Monitor::spawn(MonitorConfig::default());
    let mut transitions = monitor.transitions();
    let job = monitor.register_reported(spec("job")).unwrap();
    for outcome in [
        Outcome::healthy(),
        Outcome::healthy(),
        Outcome::unhealthy("Refused", "no one there"),
    ] {
        job.report(outcome);
    }
    let first = transitions.recv().await.unwrap();
    assert_eq!(first.from_reason.as_str(), "Pending");
    let second = transitions.recv().await.unwrap();
    assert_eq!(
        (second.from, second.to, second.reason.as_str()),
        (HealthStatus::Healthy, HealthStatus::Unhealthy, "Refused")
    );
    assert_eq!(monitor.history(Instant::now()), [first, second]);
    monitor.shutdown().await;
    assert!(transitions.recv().await.is_err(), "the loop has ended");
    assert!(monitor.transitions().recv().await.is_err());
}

/// go-sundheit, hellofresh's and heptiolabs' libraries die of a listener that panics.
#[tokio::test]
async fn pitfall_37_a_listener_that_panics_or_blocks_harms_nobody() {
    let monitor = Monitor::spawn(MonitorConfig::default());
    let (heard, mut hears) = mpsc::unbounded_channel();
    monitor.listen(move |transition| {
        heard.send(transition.reason.to_string()).unwrap();
        panic!("a listener's own fault");
    });
    let (release, released) = std::sync::mpsc::channel::<()>();
    monitor.listen(move |_| released.recv().unwrap_or_default());
    let job = monitor.register_reported(spec("job")).unwrap();
    for reason in ["One", "Two", "Three"] {
        job.report(Outcome::healthy());
        job.report(Outcome::unhealthy(reason, ""));
        assert_eq!(hears.recv().await.unwrap(), "Healthy");
        assert_eq!(hears.recv().await.unwrap(), reason);
    }
    let does = Arc::new(Checker::new(Does::Answer));
    monitor
        .register(spec("other"), rarely(), Arc::clone(&does) as _)
        .unwrap();
    does.runs(1).await;
    assert_eq!(monitor.pulse().stalled(Instant::now()), None);
    drop(release);
}

/// What is in a check's result must not depend on who counts it.
#[tokio::test]
async fn pitfall_37_a_recorder_that_panics_costs_a_number_and_nothing_else() {
    let recorder = PanickingRecorder;
    let monitor =
        metrics::with_local_recorder(&recorder, || Monitor::spawn(MonitorConfig::default()));
    register(&monitor, "fine", rarely(), Does::Answer);
    register(&monitor, "panics", rarely(), Does::Panic);
    until(&monitor, || started(&monitor)).await;
    let shown = |name| monitor.component(name, Instant::now()).unwrap().status;
    assert_eq!(shown("fine"), HealthStatus::Healthy);
    assert_eq!(shown("panics"), HealthStatus::Unhealthy);
}

/// What a check does.
#[derive(Clone, Copy)]
enum Does {
    Answer,
    AnswerWhenTold,
    Err,
    Panic,
    Hang,
}

struct Checker {
    does: Does,
    runs: watch::Sender<usize>,
    total: AtomicUsize,
    tell: tokio::sync::Notify,
    dropped: Arc<tokio::sync::Notify>,
}

/// Hands out counters and histograms that panic.
struct PanickingRecorder;

impl metrics::Recorder for PanickingRecorder {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, _: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(Arc::new(Self))
    }

    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(Arc::new(Self))
    }
}

impl metrics::CounterFn for PanickingRecorder {
    fn increment(&self, _: u64) {
        panic!("a recorder's own fault");
    }

    fn absolute(&self, _: u64) {}
}

impl metrics::HistogramFn for PanickingRecorder {
    fn record(&self, _: f64) {
        panic!("a recorder's own fault");
    }
}

struct TellsWhenDropped(Arc<tokio::sync::Notify>);

impl Checker {
    fn new(does: Does) -> Self {
        Self {
            does,
            runs: watch::Sender::default(),
            total: AtomicUsize::default(),
            tell: tokio::sync::Notify::default(),
            dropped: Arc::default(),
        }
    }

    fn count(&self) -> usize {
        self.total.load(Ordering::SeqCst)
    }

    async fn runs(&self, count: usize) {
        let mut runs = self.runs.subscribe();
        runs.wait_for(|runs| *runs >= count).await.unwrap();
    }
}

#[async_trait::async_trait]
impl HealthChecker for Checker {
    async fn check(&self, _cx: CheckContext) -> Result<Outcome, CheckError> {
        let _tells = TellsWhenDropped(Arc::clone(&self.dropped));
        let total = self.total.fetch_add(1, Ordering::SeqCst) + 1;
        self.runs.send_replace(total);
        match self.does {
            Does::Answer => {}
            Does::AnswerWhenTold => self.tell.notified().await,
            Does::Err => return Err(CheckError::new("NoAnswer", "nobody knows")),
            Does::Panic => panic!("oh no"),
            Does::Hang => std::future::pending().await,
        }
        Ok(Outcome::healthy())
    }
}

impl Drop for TellsWhenDropped {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

fn register(monitor: &Monitor, name: &str, schedule: Schedule, does: Does) -> Option<Registration> {
    let checker = Arc::new(Checker::new(does));
    monitor.register(spec(name), schedule, checker).ok()
}

/// Waits until it is so, looking at each change.
async fn until(monitor: &Monitor, is_so: impl Fn() -> bool) {
    let mut changes = monitor.changes();
    changes.wait_for(|_| is_so()).await.unwrap();
}

fn started(monitor: &Monitor) -> bool {
    let now = Instant::now();
    monitor
        .probe(Probe::Startup, monitor.probe_rules(), &[], &[], now)
        .holds
}

fn status(monitor: &Monitor) -> HealthStatus {
    monitor.verdict(Scope::All, Instant::now()).status
}

fn reason(monitor: &Monitor) -> String {
    monitor
        .verdict(Scope::All, Instant::now())
        .reason
        .to_string()
}

fn spec(name: &str) -> ComponentSpec {
    ComponentSpec::new(name.parse().unwrap())
}

fn rarely() -> Schedule {
    Schedule::new(Duration::from_secs(600), Duration::from_secs(60))
}
