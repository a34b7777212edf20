//! The processes, and what is done to them.

use std::net::SocketAddr;
use std::time::Duration;

use health_transport_lease::testing::Fault as ApiFault;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::fault::Fault;
use super::size::All;
use super::size::Size;
use crate::support::Cluster;
use crate::support::Program;
use crate::support::Relay;
use crate::support::Service;
use crate::support::eventually;
use crate::support::get;
use crate::support::secs;

/// A hub, agents that live throughout, agents that do not, and all that they need.
pub(crate) struct World {
    hub: Program,
    tunnels: SocketAddr,
    ops: SocketAddr,
    /// Between the steady agents and the hub.
    relay: Relay,
    cluster: Cluster,
    service: Service,
    steady: Vec<Agent>,
    restless: Vec<Agent>,
    chance: fastrand::Rng,
}

struct Agent {
    name: String,
    program: Program,
    address: SocketAddr,
}

/// They are measured, so they must live throughout.
const STEADY: usize = 2;

const RESTLESS: usize = 3;

/// Between two faults.
const PAUSE: Duration = Duration::from_millis(300);

/// Longer than the timeout of the restless.
const FREEZE: Duration = Duration::from_secs(5);

/// Connections that say nothing, of each round.
const IDLE: usize = 20;

// === impl World ===

impl World {
    pub(crate) async fn start(seed: u64) -> Self {
        let config = "server: { bind: '127.0.0.1:0' }\nops: { bind: '127.0.0.1:0' }\n\
                      limits: { handshakeTimeout: 2s }\n";
        let hub = Program::start("hub", config, &[]);
        let (tunnels, ops) = (hub.address("tunnels").await, hub.address("ops").await);
        let relay = Relay::start(&[tunnels]).await;
        let cluster = Cluster::start().await;
        let service = Service::start().await;
        let mut world = Self {
            hub,
            tunnels,
            ops,
            relay,
            cluster,
            service,
            steady: Vec::new(),
            restless: Vec::new(),
            chance: fastrand::Rng::with_seed(seed),
        };
        for number in 1..=STEADY {
            // The first one has the SyncTarget that the API server knows.
            let agent = world.steady(&format!("edge-{number}"), number == 1).await;
            world.steady.push(agent);
        }
        for number in 1..=RESTLESS {
            let agent = world.restless(&format!("restless-{number}")).await;
            world.restless.push(agent);
        }
        world.calm_down().await;
        world
    }

    /// One fault, whichever.
    pub(crate) async fn round(&mut self) -> Fault {
        let fault = Fault::ALL[self.chance.usize(..Fault::ALL.len())];
        let place = self.chance.usize(..RESTLESS);
        match fault {
            Fault::Kill => {
                let agent = &mut self.restless[place];
                agent.program.signal("KILL").await;
                assert_eq!(agent.program.ended().await, None);
                self.restart(place).await;
            }
            Fault::Leave => {
                let agent = &mut self.restless[place];
                let code = agent.program.terminate().await;
                assert_eq!(code, Some(0), "{}", agent.program.log());
                self.restart(place).await;
            }
            Fault::Freeze => {
                let agent = &self.restless[place].program;
                agent.signal("STOP").await;
                tokio::time::sleep(FREEZE).await;
                agent.signal("CONT").await;
            }
            Fault::HalfOpen => self.relay.stall(),
            Fault::ApiServer => self.cluster.model().fail([
                ApiFault::Status(503),
                ApiFault::Busy(1),
                ApiFault::Status(409),
                ApiFault::Status(500),
            ]),
            Fault::Service => {
                self.service.stop().await;
                tokio::time::sleep(secs(1)).await;
                self.service.restart().await;
            }
            Fault::Rubbish => self.rubbish().await,
            Fault::Readers => self.readers().await,
            Fault::Reload => {
                self.hub.signal("HUP").await;
                for agent in &self.steady {
                    agent.program.signal("HUP").await;
                }
            }
        }
        // What the tests of the API server want to look at would be all that grows here.
        self.cluster.model().take_requests();
        tokio::time::sleep(PAUSE).await;
        fault
    }

    /// Until everybody is well again.
    pub(crate) async fn calm_down(&self) {
        let everybody = self.steady.iter().chain(&self.restless);
        for agent in everybody {
            let what = format!("{} is Alive; the hub says:\n{}", agent.name, self.hub.log());
            eventually(&what, secs(30), || async {
                let one = get(self.ops, &agent.path(), &[]).await?;
                (one.status == 200 && one.json()["verdict"] == "Alive").then_some(())
            })
            .await;
            let readyz = agent.program.answers(agent.address, "/readyz", 200).await;
            assert_eq!(readyz.status, 200);
        }
        for address in [self.ops, self.tunnels] {
            self.hub.answers(address, "/livez", 200).await;
        }
    }

    /// Of the hub and of the steady agents.
    pub(crate) fn sizes(&self) -> All {
        let agents = self.steady.iter().map(|it| (it.name.as_str(), &it.program));
        let all = agents.chain([("hub", &self.hub)]);
        all.map(|(name, program)| (name.to_owned(), Size::of(program)))
            .collect()
    }

    pub(crate) async fn nobody_who_lived_was_convicted(&self) {
        let log = self.hub.log();
        for agent in &self.steady {
            let name = format!("root:soak/{}", agent.name);
            let lost: Vec<_> = log
                .lines()
                .filter(|line| line.contains(&name) && line.contains("verdict=Lost"))
                .collect();
            assert!(lost.is_empty(), "{lost:#?}");
            let said = log.lines().any(|line| line.contains(&name));
            assert!(said, "a log that never names {name} shows nothing:\n{log}");
            let livez = get(agent.address, "/livez", &[]).await;
            assert_eq!(livez.map(|it| it.status), Some(200));
        }
        let everybody = self.steady.iter().chain(&self.restless);
        for log in everybody.map(|it| it.program.log()).chain([log]) {
            assert!(!log.contains("panicked"), "{log}");
        }
    }

    pub(crate) async fn ends_cleanly(mut self) {
        let agents = self.steady.iter_mut().chain(&mut self.restless);
        let programs = agents.map(|it| &mut it.program).chain([&mut self.hub]);
        for program in programs {
            let code = program.terminate().await;
            assert_eq!(code, Some(0), "{}", program.log());
        }
    }

    async fn restart(&mut self, place: usize) {
        let name = self.restless[place].name.clone();
        self.restless[place] = self.restless(&name).await;
    }

    /// An agent with every transport, or with its tunnel only, and with checks.
    async fn steady(&self, name: &str, with_cluster: bool) -> Agent {
        let cluster = if with_cluster {
            format!("cluster: {{ kubeconfig: {} }}", self.cluster.kubeconfig())
        } else {
            String::new()
        };
        let config = format!(
            "
syncTarget: {{ name: {name}, workspace: 'root:soak' }}
server: {{ bind: '127.0.0.1:0', drainDelay: 0s }}
heartbeat: {{ interval: 1s, timeout: 8s, websocket: {{ url: 'ws://{relay}/tunnel' }} }}
checks:
  interval: 200ms
  timeout: 150ms
  components:
    - name: service
      http: {{ url: 'http://{service}/readyz' }}
    - name: engine
      prometheus: {{ url: 'http://{service}/metrics', syncEngine: true }}
    - name: helper
      exec: {{ command: [/bin/true] }}
    - name: memory
      resources: {{}}
{cluster}
",
            relay = self.relay.address(),
            service = self.service.address(),
        );
        Agent::start(name, &config).await
    }

    /// An agent that nothing but faults happen to.
    async fn restless(&self, name: &str) -> Agent {
        let config = format!(
            "
syncTarget: {{ name: {name}, workspace: 'root:soak' }}
server: {{ bind: '127.0.0.1:0', drainDelay: 0s }}
heartbeat: {{ interval: 1s, timeout: 3s, websocket: {{ url: 'ws://{}/tunnel' }} }}
",
            self.tunnels
        );
        Agent::start(name, &config).await
    }

    async fn rubbish(&mut self) {
        let mut bytes = vec![0; 4096];
        self.chance.fill(&mut bytes);
        let mut silent = Vec::new();
        let agents = self.steady.iter().map(|it| it.address);
        for address in agents.chain([self.ops, self.tunnels]) {
            for _ in 0..IDLE {
                silent.extend(TcpStream::connect(address).await);
            }
            if let Ok(mut stream) = TcpStream::connect(address).await {
                // It may hang up at the first of them.
                let _ = stream.write_all(&bytes).await;
            }
        }
        tokio::time::sleep(PAUSE).await;
    }

    async fn readers(&self) {
        let events = TcpStream::connect(self.ops).await;
        let mut events = events.expect("the hub listens");
        let request = format!("GET /events HTTP/1.1\r\nHost: {}\r\n\r\n", self.ops);
        let asked = events.write_all(request.as_bytes()).await;
        asked.expect("the hub reads");
        let mut first = [0; 12];
        let answered = events.read_exact(&mut first).await;
        answered.expect("the hub answers");
        assert_eq!(&first, b"HTTP/1.1 200");
        for path in ["/fleet", "/metrics", "/flight", "/"] {
            self.hub.answers(self.ops, path, 200).await;
        }
        for agent in &self.steady {
            for path in ["/report", "/metrics", "/transitions", "/livez?verbose"] {
                agent.program.answers(agent.address, path, 200).await;
            }
        }
    }
}

// === impl Agent ===

impl Agent {
    async fn start(name: &str, config: &str) -> Self {
        let program = Program::start("run", config, &[]);
        let address = program.address("address").await;
        Self {
            name: name.to_owned(),
            program,
            address,
        }
    }

    fn path(&self) -> String {
        format!("/fleet/root:soak/{}", self.name)
    }
}
