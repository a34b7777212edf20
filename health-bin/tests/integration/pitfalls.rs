//! Pitfalls of probes, scrapes and dependencies, with the program as a process.
//!
//! `pitfall_N` is the row of the list of pitfalls that the project keeps.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::Instant;

use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use crate::support::Program;
use crate::support::eventually;
use crate::support::get;
use crate::support::secs;

/// Every place that is asked again and again by somebody.
const PLACES: [&str; 5] = [
    "/livez",
    "/readyz?verbose",
    "/startupz",
    "/report",
    "/metrics",
];

/// API server #98557: liveness asked etcd, and a slow etcd had every server restarted. Here nothing
/// that the agent depends on is there, neither what it checks nor the hub, and what it runs fails.
#[tokio::test]
async fn pitfall_34_no_dependency_that_is_down_makes_the_process_look_dead() {
    let config = "
syncTarget: { name: edge-1 }
server: { bind: '127.0.0.1:0', drainDelay: 0s }
checks:
  interval: 50ms
  timeout: 50ms
  components:
    - { name: refused, http: { url: 'http://127.0.0.1:1/readyz' } }
    - { name: gone, tcp: { address: 'nobody.invalid:80' } }
    - { name: fails, exec: { command: [/bin/sh, -c, 'exit 2'] } }
    - { name: hangs, exec: { command: [/bin/sh, -c, 'sleep 1000'] } }
heartbeat: { interval: 200ms, timeout: 400ms, intervalMin: 200ms, websocket: { url: 'ws://127.0.0.1:1/tunnel' } }
";
    let environment: &[_] = match cfg!(feature = "transport-ws") {
        true => &[],
        // Without a transport there is one dependency less.
        false => &[("SYNCER_HEALTH_HEARTBEAT_WEBSOCKET_URL", "")],
    };
    let mut agent = Program::start("run", config, environment);
    let address = agent.address("address").await;
    let many_failures = || async {
        // As often as it is asked, and not only at the end.
        let livez = get(address, "/livez", &[]).await.expect("it answers");
        assert_eq!(livez.status, 200, "{}", livez.body);
        let report = get(address, "/report", &[]).await?.json();
        let failures = |name: &str| report["components"][name]["consecutiveFailures"].as_u64();
        ["refused", "fails", "hangs"]
            .iter()
            .all(|name| failures(name) >= Some(20))
            .then_some(())
    };
    eventually("20 failures in a row of each", secs(60), many_failures).await;
    let readyz = get(address, "/readyz", &[]).await.expect("it answers");
    assert_eq!(readyz.status, 503, "{}", readyz.body);
    assert_eq!(agent.terminate().await, Some(0), "{}", agent.log());
}

/// Who wants a restart for whatever is wrong says so.
#[tokio::test]
async fn pitfall_34_liveness_fails_for_a_dependency_only_where_that_is_the_default_wanted() {
    for (default_probes, livez) in [
        ("", 200),
        ("defaultProbes: [readiness, startup]", 200),
        ("defaultProbes: [liveness, readiness, startup]", 503),
        ("defaultProbes: [liveness]", 503),
    ] {
        let config = format!(
            "
server: {{ bind: '127.0.0.1:0' }}
checks:
  interval: 100ms
  {default_probes}
  components:
    - {{ name: fails, exec: {{ command: [/bin/sh, -c, 'exit 2'] }} }}
    - {{ name: own, exec: {{ command: [/bin/sh, -c, 'exit 2'] }}, probes: [readiness] }}
"
        );
        let agent = Program::start("run", &config, &[]);
        let address = agent.address("address").await;
        eventually("the whole is Unhealthy", secs(20), || async {
            let report = get(address, "/report", &[]).await?.json();
            let is_so = |name: &str| report["components"][name]["status"] == "Unhealthy";
            (report["status"] == "Unhealthy" && is_so("fails") && is_so("own")).then_some(())
        })
        .await;
        let answer = get(address, "/livez?verbose", &[])
            .await
            .expect("it answers");
        assert_eq!(answer.status, livez, "{default_probes}: {}", answer.body);
        // One that has probes of its own follows no default.
        assert!(!answer.body.contains("]own "), "{}", answer.body);
        agent.answers(address, "/readyz", 503).await;
    }
}

/// API server #112046: a caller that hung up cut short what others were waiting for too.
#[tokio::test]
async fn pitfall_35_probes_that_are_given_up_midway_poison_nothing() {
    let service = Counting::start().await;
    let (_agent, address) = service.checked("1h").await;
    for request in [
        "",
        "GET /rea",
        "GET /readyz HTTP/1.1\r\nHost: x\r\n",
        "GET /readyz HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc",
        "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET /report HTTP/1.1\r\nHost: x\r\n\r\nGET /readyz HTTP/1.1\r\nHost: x\r\n\r\nGET /rep",
    ] {
        for _ in 0..50 {
            let mut stream = TcpStream::connect(address).await.expect("it listens");
            stream.write_all(request.as_bytes()).await.ok();
            // With bytes left unread the kernel resets the connection.
            drop(stream);
        }
    }
    for path in PLACES {
        let answer = get(address, path, &[]).await.expect("it answers");
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
    }
    assert_eq!(service.asked(), 1, "nobody's request ran a check");
}

/// heptiolabs/healthcheck runs its checks for who asks, so a scrape more is a load more.
#[tokio::test]
async fn pitfall_38_a_hundred_scrapes_a_second_run_no_check_more() {
    const INTERVAL: Duration = Duration::from_millis(200);
    // Its next turn is in an hour: every further run would be somebody's who asked.
    let rarely = Counting::start().await;
    let (_first, address) = rarely.checked("1h").await;
    scrape(address, 100).await;
    assert_eq!(rarely.asked(), 1);

    // And one that has its turns has these and no other.
    let often = Counting::start().await;
    let began = Instant::now();
    let (_second, address) = often.checked("200ms").await;
    while often.asked() < 10 {
        scrape(address, 20).await;
    }
    let turns = began.elapsed().as_nanos() / INTERVAL.as_nanos();
    let asked = often.asked() as u128;
    // The first run is no turn, and one may be under way.
    assert!(asked <= turns + 2, "{asked} runs in {turns} turns");
}

/// civitai#2384: what a probe asked one after the other took longer than who probed would wait.
#[tokio::test]
async fn pitfall_42_probes_answer_while_every_check_hangs() {
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let at = silent.local_addr().expect("a listener has an address");
    // Each of them would have half an hour.
    let hang = |number| {
        let kind = match number % 4 {
            0 => format!("http: {{ url: 'http://{at}/readyz' }}"),
            1 => format!("prometheus: {{ url: 'http://{at}/metrics' }}"),
            2 => format!("http: {{ url: 'https://{at}/readyz' }}"),
            _ => "exec: { command: [/bin/sh, -c, 'sleep 2000'] }".to_owned(),
        };
        format!("    - {{ name: hangs-{number}, {kind} }}\n")
    };
    let components: String = (0..40).map(hang).collect();
    let config = format!(
        "
server: {{ bind: '127.0.0.1:0', drainDelay: 0s }}
checks:
  interval: 1h
  timeout: 30m
  components:
{components}"
    );
    let mut agent = Program::start("run", &config, &[("PATH", "/usr/bin:/bin")]);
    let address = agent.address("address").await;
    // The silent server is connected to by whoever is due.
    let connected = async {
        let mut streams = Vec::new();
        while streams.len() < 30 {
            streams.push(silent.accept().await.expect("a connection"));
        }
        streams
    };
    let _streams = tokio::time::timeout(secs(20), connected)
        .await
        .expect("they are all under way");
    for _ in 0..20 {
        for (path, status) in [
            ("/livez", 200),
            ("/readyz?verbose", 503),
            ("/readyz/hangs-7", 503),
            ("/startupz", 503),
            ("/report", 200),
            ("/metrics", 200),
        ] {
            // The kubelet's own patience is 1 s; that of a slow machine is more.
            let answer = tokio::time::timeout(secs(10), get(address, path, &[])).await;
            let answer = answer.expect("within the deadline").expect("it answers");
            assert_eq!(answer.status, status, "{path}: {}", answer.body);
        }
    }
    assert_eq!(agent.terminate().await, Some(0), "{}", agent.log());
}

/// The metrics of a real process, by families of another name: those of this very program.
#[tokio::test]
async fn a_real_process_is_read_by_families_of_its_own() {
    let service = Counting::start().await;
    let (_read, address) = service.checked("100ms").await;
    let config = format!(
        "
server: {{ bind: '127.0.0.1:0' }}
checks:
  interval: 500ms
  components:
    - name: other
      prometheus:
        url: http://{address}/metrics
        syncEngine: true
        families:
          queueDepth: process_open_fds
          attempts: syncer_health_check_duration_seconds_count
          errors: syncer_health_checks_total
          latency: syncer_health_check_duration_seconds
"
    );
    let reader = Program::start("run", &config, &[]);
    let address = reader.address("address").await;
    let report = eventually("rates between two scrapes", secs(20), || async {
        let report = get(address, "/report", &[]).await?.json();
        report["syncRate"].is_number().then_some(report)
    })
    .await;
    assert_eq!(
        report["components"]["other"]["status"], "Healthy",
        "{report}"
    );
    assert!(report["queueDepth"].as_f64() >= Some(3.0), "{report}");
    assert!(report["syncRate"].as_f64() > Some(0.0), "{report}");
    assert_eq!(report["errorRate"], 1.0, "{report}");
    assert!(report["latencySeconds"].as_f64() > Some(0.0), "{report}");
}

/// Asks every place so often, with a hundredth of a second from one round of them to the next.
async fn scrape(address: SocketAddr, rounds: usize) {
    let mut ticks = tokio::time::interval(Duration::from_millis(10));
    for _ in 0..rounds {
        ticks.tick().await;
        for path in PLACES {
            let answer = get(address, path, &[]).await.expect("it answers");
            assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        }
    }
}

/// A service that counts how often it is asked.
struct Counting {
    address: SocketAddr,
    asked: Arc<AtomicUsize>,
    server: JoinHandle<()>,
}

impl Counting {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a listener has an address");
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        let server = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut head = vec![0; 4096];
                if stream.read(&mut head).await.is_ok_and(|length| length > 0) {
                    count.fetch_add(1, Ordering::SeqCst);
                    let answer =
                        b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
                    stream.write_all(answer).await.ok();
                }
            }
        });
        Self {
            address,
            asked,
            server,
        }
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    /// An agent that checks it so often, is ready, and says where it answers.
    async fn checked(&self, interval: &str) -> (Program, SocketAddr) {
        let config = format!(
            "
server: {{ bind: '127.0.0.1:0', drainDelay: 0s }}
checks:
  interval: {interval}
  components: [{{ name: service, http: {{ url: 'http://{}/' }} }}]
",
            self.address
        );
        let agent = Program::start("run", &config, &[]);
        let address = agent.address("address").await;
        agent.answers(address, "/readyz", 200).await;
        (agent, address)
    }
}

impl Drop for Counting {
    fn drop(&mut self) {
        self.server.abort();
    }
}
