//! The program's probes over HTTP, beside a bare hyper server with a fixed body and beside kubert's
//! admin server: each is a process with one thread that answers, asked in turns by the same clients.
//! Those have one core, the servers the other. Run it with `cargo bench -p health-bin --bench probes`.

#![expect(clippy::print_stdout, reason = "one process tells the other its port")]

use std::convert::Infallible;
use std::fs;
use std::io;
use std::io::BufRead;
use std::io::BufReader;
use std::net::Ipv4Addr;
use std::net::SocketAddr;
use std::net::TcpStream;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::time::Duration;
use std::time::Instant;

use anyhow::Context;
use anyhow::ensure;
use http_body_util::Full;
use hyper::Response;
use hyper::body::Bytes;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tempfile::TempDir;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::runtime::Builder;

use quantile::quantile;
use support::Row;

mod processor;

#[path = "../../health-checks/benches/place.rs"]
mod place;

#[path = "../../health-checks/benches/quantile.rs"]
mod quantile;

#[path = "../../health-checks/benches/support.rs"]
mod support;

/// With it this program is the bare server.
const BARE: &str = "--bare-server";

/// With it this program is kubert's admin server.
const KUBERT: &str = "--kubert-server";

const COMPONENTS: usize = 20;

const PATHS: [&str; 2] = ["/livez", "/readyz"];

/// They ask as fast as they are answered, each one request at a time.
const CLIENTS: usize = 8;

/// One server is asked for so long before it is the next one's turn: the machine may be another one
/// after a second.
const SLICE: Duration = Duration::from_millis(200);

/// So many slices of each path and of each start, each beside one of the bare server.
const SLICES: usize = 5;

/// So often each is started: what one pair of processes gave differed by a tenth from run to run.
const STARTS: usize = 9;

/// So often the program is started besides, only to see how soon it answers: one start in fifty may
/// be another one than all others.
const QUICK_STARTS: usize = 200;

/// Whatever takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(20);

/// A process that ends with this.
struct Server {
    child: Child,
    address: SocketAddr,
    _folder: Option<TempDir>,
}

/// What a slice gave.
struct Slice {
    per_second: f64,
    /// Of the server, in microseconds a request.
    cpu: f64,
    /// Of each request, in milliseconds.
    latencies: Vec<f64>,
}

/// What the program gave, and what the other server did by turns with it.
#[derive(Default)]
struct Pair {
    ours: Vec<Slice>,
    theirs: Vec<Slice>,
}

fn main() -> anyhow::Result<()> {
    if std::env::args().any(|argument| argument == BARE) {
        return serve_bare();
    }
    if std::env::args().any(|argument| argument == KUBERT) {
        return serve_kubert();
    }
    if !support::is_asked_for() {
        return Ok(());
    }
    place::stay_on(place::ASKING);
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let mut starts = Vec::new();
    let mut beside_bare = PATHS.map(|_| Pair::default());
    let mut beside_kubert = Pair::default();
    for _ in 0..STARTS {
        let (bare, kubert) = (Server::other(BARE)?, Server::other(KUBERT)?);
        let (program, took) = Server::program(bare.address)?;
        starts.push(took.as_secs_f64() * 1e3);
        for (path, pair) in PATHS.into_iter().zip(&mut beside_bare) {
            wait_until_ok(program.address, path)?;
            runtime.block_on(pair.ask((&program, path), (&bare, path)))?;
        }
        wait_until_ok(kubert.address, "/ready")?;
        runtime.block_on(beside_kubert.ask((&program, "/readyz"), (&kubert, "/ready")))?;
    }
    let bare = Server::other(BARE)?;
    for _ in 0..QUICK_STARTS {
        let (_program, took) = Server::program(bare.address)?;
        starts.push(took.as_secs_f64() * 1e3);
    }
    let slowest = quantile(&mut starts, 1.0);
    let count = starts.len();
    let what = format!("start to first /readyz answer, slowest of {count}");
    Row::new(&what, slowest, "ms")
        .beside("median", quantile(&mut starts, 0.5))
        .budget("≤ 100")
        .print();
    for (path, pair) in PATHS.into_iter().zip(beside_bare) {
        pair.print(path);
    }
    beside_kubert.print_kubert();
    Ok(())
}

/// A hyper server with nothing around it, on one thread; it tells its address and serves for ever.
fn serve_bare() -> anyhow::Result<()> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        println!("{}", listener.local_addr()?);
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let answer = service_fn(|_| async {
                let body = Full::new(Bytes::from_static(b"ok"));
                Ok::<_, Infallible>(Response::new(body))
            });
            let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), answer);
            tokio::spawn(connection);
        }
    })
}

/// What kubert serves by default, on one thread; it tells its address and serves for ever.
fn serve_kubert() -> anyhow::Result<()> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let server = kubert::admin::Builder::new(free_address()?);
        server.set_ready();
        let server = server.bind()?.spawn();
        println!("{}", server.local_addr());
        server.into_join_handle().await??;
        Ok(())
    })
}

// === impl Pair ===

impl Pair {
    /// Asks both, a slice each, by turns.
    async fn ask(&mut self, ours: (&Server, &str), theirs: (&Server, &str)) -> anyhow::Result<()> {
        // The first of each warms up.
        ours.0.load(ours.1).await?;
        theirs.0.load(theirs.1).await?;
        for slice in 0..SLICES {
            if slice % 2 == 0 {
                self.ours.push(ours.0.load(ours.1).await?);
                self.theirs.push(theirs.0.load(theirs.1).await?);
            } else {
                self.theirs.push(theirs.0.load(theirs.1).await?);
                self.ours.push(ours.0.load(ours.1).await?);
            }
        }
        Ok(())
    }

    /// Ours and theirs in the pair whose ratio is in the middle: two slices beside each other had the
    /// same machine.
    fn middle(&self, of: fn(&Slice) -> f64) -> [f64; 2] {
        let pairs = self.ours.iter().zip(&self.theirs);
        let mut pairs: Vec<_> = pairs.map(|(our, their)| [of(our), of(their)]).collect();
        pairs.sort_by(|[a, b], [c, d]| (a / b).total_cmp(&(c / d)));
        pairs[pairs.len() / 2]
    }

    fn print(self, path: &str) {
        let peer = "bare hyper";
        let [ours, theirs] = self.middle(|slice| slice.per_second);
        Row::new(&format!("{path}: requests"), ours, "/s")
            .beside(peer, theirs)
            .budget("≥ 0.9 ×")
            .print();
        let [ours, theirs] = self.middle(|slice| slice.cpu);
        Row::new(&format!("{path}: server's processor time"), ours, "µs")
            .beside(peer, theirs)
            .print();
        let [mut ours, mut theirs] = [self.ours, self.theirs].map(|slices| {
            let latencies = slices.into_iter().flat_map(|slice| slice.latencies);
            latencies.collect::<Vec<_>>()
        });
        for (what, share, limit) in [("p50", 0.5, None), ("p99", 0.99, Some("≤ 1"))] {
            let what = format!("{path}: latency under load, {what}");
            let row = Row::new(&what, quantile(&mut ours, share), "ms")
                .beside(peer, quantile(&mut theirs, share));
            match limit {
                Some(budget) => row.budget(budget).print(),
                None => row.print(),
            }
        }
    }

    /// For people who know the other one: it looks at a flag, and knows no components.
    fn print_kubert(&self) {
        let row = |what: &str, unit, of: fn(&Slice) -> f64| {
            let [ours, theirs] = self.middle(of);
            Row::new(&format!("/readyz, kubert beside it: {what}"), ours, unit)
                .beside("kubert's /ready", theirs)
                .print();
        };
        row("requests", "/s", |slice| slice.per_second);
        row("server's processor time", "µs", |slice| slice.cpu);
    }
}

// === impl Server ===

impl Server {
    /// This program as another server.
    fn other(argument: &str) -> anyhow::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg(argument).stdout(Stdio::piped());
        let mut child = spawn(&mut command)?;
        let stdout = child.stdout.take().context("stdout is piped")?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        Ok(Self {
            child,
            address: line.trim().parse()?,
            _folder: None,
        })
    }

    /// Starts the program with checks of `service`, and says how long it took to answer.
    fn program(service: SocketAddr) -> anyhow::Result<(Self, Duration)> {
        let address = free_address()?;
        let mut config =
            format!("server: {{ bind: \"{address}\" }}\ncluster: {{ enabled: false }}\n");
        config += "log: { level: error }\nchecks:\n  interval: 10s\n  components:\n";
        for number in 0..COMPONENTS {
            config += &format!("    - name: service-{number}\n");
            config += &format!("      http: {{ url: \"http://{service}/\" }}\n");
        }
        let folder = TempDir::new()?;
        let file = folder.path().join("config.yaml");
        fs::write(&file, config)?;
        let mut command = Command::new(env!("CARGO_BIN_EXE_syncer-health"));
        command.arg("run").arg("--config").arg(&file);
        command.env_clear().stdout(Stdio::null());
        let began = Instant::now();
        let child = spawn(&mut command)?;
        let server = Self {
            child,
            address,
            _folder: Some(folder),
        };
        while ask_once(address, "/readyz").is_none() {
            ensure!(began.elapsed() < PATIENCE, "the program does not answer");
            pause();
        }
        Ok((server, began.elapsed()))
    }

    /// Asks for `path` with all clients for one slice.
    async fn load(&self, path: &str) -> anyhow::Result<Slice> {
        let cpu = processor::time_of(self.child.id())?;
        let began = Instant::now();
        let until = began + SLICE;
        let clients: Vec<_> = (0..CLIENTS)
            .map(|_| tokio::spawn(ask_until(self.address, path.to_owned(), until)))
            .collect();
        let mut latencies = Vec::new();
        for client in clients {
            latencies.extend(client.await??);
        }
        let count = as_f64(latencies.len() as u64);
        let cpu = processor::time_of(self.child.id())?.saturating_sub(cpu);
        Ok(Slice {
            per_second: count / began.elapsed().as_secs_f64(),
            cpu: cpu.as_secs_f64() * 1e6 / count,
            latencies,
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// A process takes over the core of whoever starts it.
fn spawn(command: &mut Command) -> io::Result<Child> {
    place::stay_on(place::ANSWERING);
    let child = command.spawn();
    place::stay_on(place::ASKING);
    child
}

/// One client: a request, its answer, the next one, on one connection. The first answer shows how
/// long the others are, so that a client costs next to nothing.
async fn ask_until(address: SocketAddr, path: String, until: Instant) -> anyhow::Result<Vec<f64>> {
    let mut stream = tokio::net::TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    while body(&answer).is_none() {
        ensure!(
            stream.read_buf(&mut answer).await? > 0,
            "the server hung up"
        );
    }
    let body = body(&answer).unwrap_or_default().to_vec();
    let mut latencies = Vec::new();
    let mut asked = Instant::now();
    while asked < until {
        stream.write_all(request.as_bytes()).await?;
        stream.read_exact(&mut answer).await?;
        let is_ok = answer.starts_with(b"HTTP/1.1 200") && answer.ends_with(&body);
        ensure!(
            is_ok,
            "{path} answers {:?}",
            String::from_utf8_lossy(&answer)
        );
        let answered = Instant::now();
        latencies.push((answered - asked).as_secs_f64() * 1e3);
        asked = answered;
    }
    Ok(latencies)
}

/// The body of an answer, with the line before it, once it is there as a whole.
fn body(answer: &[u8]) -> Option<&[u8]> {
    let head = answer.windows(4).position(|four| four == b"\r\n\r\n")?;
    let lines = std::str::from_utf8(&answer[..head]).ok()?.lines();
    let length = lines
        .filter_map(|line| line.split_once(": "))
        .find_map(|(name, value)| {
            name.eq_ignore_ascii_case("content-length")
                .then(|| value.parse::<usize>().ok())?
        })?;
    let body = &answer[head..];
    (body.len() == length + 4).then_some(body)
}

fn wait_until_ok(address: SocketAddr, path: &str) -> anyhow::Result<()> {
    let began = Instant::now();
    while ask_once(address, path).as_deref() != Some("HTTP/1.1 200 OK") {
        ensure!(began.elapsed() < PATIENCE, "{path} does not become 200");
        pause();
    }
    Ok(())
}

/// The first line of an answer.
fn ask_once(address: SocketAddr, path: &str) -> Option<String> {
    use std::io::Write;

    let mut stream = TcpStream::connect(address).ok()?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n").ok()?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).ok()?;
    Some(line.trim_end().to_owned()).filter(|line| !line.is_empty())
}

/// An address that nobody uses at the moment.
fn free_address() -> anyhow::Result<SocketAddr> {
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    Ok(listener.local_addr()?)
}

#[expect(
    clippy::disallowed_methods,
    reason = "another process tells nobody when it changes"
)]
fn pause() {
    std::thread::sleep(Duration::from_millis(1));
}

#[expect(clippy::cast_precision_loss, reason = "far from 2^52")]
const fn as_f64(count: u64) -> f64 {
    count as f64
}
