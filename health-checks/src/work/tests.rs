use std::sync::Condvar;
use std::sync::Mutex;

use health_core::Board;
use health_core::ComponentSpec;
use health_core::Outcome;

use super::*;
use crate::CheckError;
use crate::schedule::Action;
use crate::schedule::Limits;
use crate::schedule::Schedule;
use crate::schedule::Timetable;

#[tokio::test]
async fn a_run_tells_its_result() {
    let mut bench = Bench::new();
    bench.start(Does::Answer, false);
    let end = bench.end().await;
    assert!(matches!(end.ending, Ending::Result(Ok(_))), "{end:?}");
}

#[tokio::test]
async fn runs_that_are_launched_together_begin_in_their_order() {
    let mut bench = Bench::new();
    let runs: Vec<_> = (1..TOGETHER)
        .map(|_| bench.prepare(Arc::new(Does::Answer), false))
        .collect();
    bench.pool.launch();
    for run in runs {
        assert_eq!(bench.end().await.run, run);
    }
}

#[tokio::test]
async fn a_panic_is_an_ending_with_its_text() {
    let mut bench = Bench::new();
    for solo in [false, true] {
        bench.start(Does::Panic, solo);
        let end = bench.end().await;
        assert!(
            matches!(&end.ending, Ending::Panicked(text) if text == "told so: 7"),
            "{end:?}"
        );
    }
}

#[tokio::test]
async fn a_panic_in_a_destructor_is_a_panic_like_any_other_and_kills_no_worker() {
    let mut bench = Bench::new();
    for _ in 0..4 {
        bench.start_checker(Arc::new(AnswersAndPanicsWhenDropped), false);
        let end = bench.end().await;
        assert!(
            matches!(&end.ending, Ending::Panicked(text) if text == "in a destructor"),
            "{end:?}"
        );
    }
    let run = bench.start(Does::HangAndPanicWhenDropped, false);
    bench.pool.abort(run);
    assert!(matches!(bench.end().await.ending, Ending::Dropped));
    bench.start(Does::Answer, false);
    assert!(matches!(bench.end().await.ending, Ending::Result(Ok(_))));
}

#[tokio::test]
async fn an_abort_ends_a_run_that_yields_wherever_it_is() {
    let mut bench = Bench::new();
    for solo in [false, true] {
        let run = bench.start(Does::Hang, solo);
        bench.pool.abort(run);
        let end = bench.end().await;
        assert_eq!(end.run, run);
        assert!(matches!(end.ending, Ending::Dropped), "{end:?}");
    }
}

#[tokio::test]
async fn one_that_blocks_is_found_and_the_others_are_taken_back_and_can_go_on() {
    let mut bench = Bench::new();
    let gate = Arc::new(Gate::default());
    let blocking = bench.start(Does::BlockOn(Arc::clone(&gate)), false);
    gate.somebody_waits().await;
    let behind = bench.start(Does::Answer, false);
    let soon = Instant::now();
    assert_eq!(bench.pool.look(true, soon), Blockage::default(), "too soon");
    let later = soon + PATIENCE * 2;
    assert_eq!(bench.pool.look(false, later), Blockage::default());
    let blockage = bench.pool.look(true, later);
    let runs = |found: &[(ComponentId, RunId)]| found.iter().map(|it| it.1).collect::<Vec<_>>();
    assert_eq!(runs(&blockage.blocked), [blocking]);
    assert_eq!(runs(&blockage.revoked), [behind]);
    assert!(!bench.pool.is_busy());
    assert_eq!(bench.pool.look(true, later), Blockage::default(), "once");

    let again = bench.start(Does::Answer, false);
    let end = bench.end_of(again).await;
    assert!(matches!(end.ending, Ending::Result(Ok(_))), "{end:?}");

    gate.open();
    let end = bench.end_of(blocking).await;
    assert!(
        matches!(end.ending, Ending::Result(Ok(_))),
        "what was slow and came in time still counts: {end:?}"
    );
}

#[test]
fn a_pool_can_be_dropped_where_nobody_may_block() {
    let runtime = Builder::new_current_thread().build().unwrap();
    let gate = Arc::new(Gate::default());
    runtime.block_on(async {
        let mut bench = Bench::new();
        bench.start(Does::BlockOn(Arc::clone(&gate)), false);
        bench.start(Does::BlockOn(Arc::clone(&gate)), true);
        gate.somebody_waits().await;
    });
    gate.open();
}

/// One worker, so that one that blocks blocks all.
struct Bench {
    pool: Pool,
    ends: mpsc::UnboundedReceiver<End>,
    table: Timetable<u8>,
    key: ComponentId,
}

/// What a check does.
enum Does {
    Answer,
    Panic,
    Hang,
    HangAndPanicWhenDropped,
    BlockOn(Arc<Gate>),
}

/// Holds up whoever waits until it is opened.
#[derive(Default)]
struct Gate {
    is_open: Mutex<bool>,
    opened: Condvar,
    waiting: tokio::sync::Notify,
}

struct PanicsWhenDropped;

/// Its destructor is not run by the end of a block inside it, but when the whole future goes.
struct AnswersAndPanicsWhenDropped;

impl Bench {
    fn new() -> Self {
        let now = Instant::now();
        let (sender, ends) = mpsc::unbounded_channel();
        let spec = ComponentSpec::new("checked".parse().unwrap());
        let limits = Limits {
            pooled: usize::MAX,
            apart: usize::MAX,
        };
        Self {
            pool: Pool::new(1, sender),
            ends,
            table: Timetable::new(limits, now),
            key: Board::new(now).register(spec, now).unwrap(),
        }
    }

    fn start(&mut self, does: Does, solo: bool) -> RunId {
        self.start_checker(Arc::new(does), solo)
    }

    fn start_checker(&mut self, checker: Arc<dyn HealthChecker>, solo: bool) -> RunId {
        let run = self.prepare(checker, solo);
        self.pool.launch();
        run
    }

    fn prepare(&mut self, checker: Arc<dyn HealthChecker>, solo: bool) -> RunId {
        let now = Instant::now();
        self.table.remove(0, now);
        self.table.add(0, Schedule::default(), 0, now);
        let run = std::iter::from_fn(|| self.table.poll()).find_map(|action| match action {
            Action::Start { run, .. } => Some(run),
            Action::Abort { .. } | Action::TimedOut { .. } | Action::Refused { .. } => None,
        });
        let run = run.unwrap();
        let start = Start {
            key: self.key,
            name: "alice".parse().unwrap(),
            run,
            checker,
            context: CheckContext::new(Duration::from_secs(5), now),
            solo,
        };
        self.pool.start(start, now).unwrap();
        run
    }

    async fn end(&mut self) -> End {
        let end = self.ends.recv().await.unwrap();
        self.pool.forget(end.run);
        end
    }

    async fn end_of(&mut self, run: RunId) -> End {
        loop {
            let end = self.end().await;
            if end.run == run {
                return end;
            }
        }
    }
}

#[async_trait::async_trait]
impl HealthChecker for Does {
    async fn check(&self, _cx: CheckContext) -> Result<Outcome, CheckError> {
        match self {
            Self::Answer => {}
            Self::Panic => panic!("told so: {}", 7),
            Self::Hang => std::future::pending().await,
            Self::HangAndPanicWhenDropped => {
                let _held = PanicsWhenDropped;
                std::future::pending().await
            }
            Self::BlockOn(gate) => gate.wait(),
        }
        Ok(Outcome::healthy())
    }
}

impl Gate {
    fn wait(&self) {
        self.waiting.notify_one();
        let is_open = self.is_open.lock().unwrap();
        drop(self.opened.wait_while(is_open, |is_open| !*is_open));
    }

    fn open(&self) {
        *self.is_open.lock().unwrap() = true;
        self.opened.notify_all();
    }

    async fn somebody_waits(&self) {
        self.waiting.notified().await;
    }
}

impl Drop for PanicsWhenDropped {
    fn drop(&mut self) {
        if !thread::panicking() {
            panic!("in a destructor");
        }
    }
}

impl HealthChecker for AnswersAndPanicsWhenDropped {
    fn check<'a, 'b>(
        &'a self,
        _cx: CheckContext,
    ) -> std::pin::Pin<Box<dyn Future<Output = Result<Outcome, CheckError>> + Send + 'b>>
    where
        'a: 'b,
    {
        let held = PanicsWhenDropped;
        Box::pin(std::future::poll_fn(move |_| {
            let _held = &held;
            std::task::Poll::Ready(Ok(Outcome::healthy()))
        }))
    }
}
