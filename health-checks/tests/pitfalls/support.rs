//! What the tests share: checks that do as they are told, a server on loopback, and waiting.

use std::sync::Arc;
use std::sync::Condvar;
use std::sync::Mutex;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::Instant;

use health_checks::CheckContext;
use health_checks::CheckError;
use health_checks::HealthChecker;
use health_checks::Schedule;
use health_core::ComponentSpec;
use health_core::Outcome;
use tokio::io::AsyncRead;
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::task::JoinSet;

/// Far longer than anything here takes, on a machine that has other things to do too.
const WAIT_MAX: Duration = Duration::from_secs(60);

/// What a check does when it is run.
#[derive(Debug, Clone)]
pub(crate) enum Does {
    Says(Outcome),
    Errs,
    Panics,
    /// Gives its thread back and never ends.
    Hangs,
    /// Does not give its thread back before the gate opens.
    Blocks(Arc<Gate>),
}

/// A check that does what it was told last.
#[derive(Debug)]
pub(crate) struct Told {
    does: Mutex<Does>,
    runs: AtomicUsize,
}

/// Holds up whole threads until it is opened.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    is_open: Mutex<bool>,
    opened: Condvar,
}

/// A server on loopback that ends with this.
pub(crate) struct Server {
    pub(crate) port: u16,
    connections: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

// === impl Told ===

impl Told {
    pub(crate) fn new(does: Does) -> Arc<Self> {
        Arc::new(Self {
            does: Mutex::new(does),
            runs: AtomicUsize::new(0),
        })
    }

    pub(crate) fn tell(&self, does: Does) {
        *self.does.lock().unwrap() = does;
    }

    pub(crate) fn runs(&self) -> usize {
        self.runs.load(Ordering::SeqCst)
    }
}

#[async_trait::async_trait]
impl HealthChecker for Told {
    async fn check(&self, _cx: CheckContext) -> Result<Outcome, CheckError> {
        self.runs.fetch_add(1, Ordering::SeqCst);
        let does = self.does.lock().unwrap().clone();
        match does {
            Does::Says(outcome) => Ok(outcome),
            Does::Errs => Err(CheckError::new("NoAnswer", "nobody knows")),
            Does::Panics => panic!("as it was told"),
            Does::Hangs => std::future::pending().await,
            Does::Blocks(gate) => {
                gate.wait();
                Ok(Outcome::healthy())
            }
        }
    }
}

// === impl Gate ===

impl Gate {
    pub(crate) fn open(&self) {
        *self.is_open.lock().unwrap() = true;
        self.opened.notify_all();
    }

    fn wait(&self) {
        let mut is_open = self.is_open.lock().unwrap();
        while !*is_open {
            is_open = self.opened.wait(is_open).unwrap();
        }
    }
}

// === impl Server ===

impl Server {
    /// Serves each connection, which also gets its number.
    pub(crate) async fn start<F, T>(serve: F) -> Self
    where
        F: Fn(TcpStream, usize) -> T + Send + 'static,
        T: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let connections = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&connections);
        let task = tokio::spawn(async move {
            let mut streams = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let number = count.fetch_add(1, Ordering::SeqCst);
                streams.spawn(serve(stream, number));
            }
        });
        Self {
            port,
            connections,
            task,
        }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Reads a request's head; empty when the connection ended.
pub(crate) async fn head<S: AsyncRead + Unpin>(stream: &mut S) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => return String::new(),
        }
    }
    String::from_utf8(head).unwrap()
}

/// Looks again and again until it is so.
#[track_caller]
pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> bool) -> impl Future<Output = ()> {
    let place = std::panic::Location::caller();
    async move {
        let began = Instant::now();
        while !is_so() {
            assert!(began.elapsed() < WAIT_MAX, "{place}: never came: {what}");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}

/// One run of a check, with more time than it needs.
pub(crate) async fn run(check: &impl HealthChecker) -> Outcome {
    run_within(check, WAIT_MAX).await
}

pub(crate) async fn run_within(check: &impl HealthChecker, timeout: Duration) -> Outcome {
    let result = check.check(CheckContext::new(timeout, Instant::now()));
    result.await.unwrap_or_else(Outcome::from)
}

pub(crate) fn spec(name: &str) -> ComponentSpec {
    ComponentSpec::new(name.parse().unwrap())
}

/// No turn of its own comes while a test runs, and nothing runs out of time.
pub(crate) fn rarely() -> Schedule {
    Schedule::new(Duration::from_secs(3600), Duration::from_secs(600))
}

pub(crate) const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}
