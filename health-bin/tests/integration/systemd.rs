//! A service manager beside the program: what it is told, and when it is told nothing.

use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

use tempfile::TempDir;
use tokio::net::UnixDatagram;
use tokio::time::timeout;

use crate::support::Program;
use crate::support::get;
use crate::support::secs;

/// Between two signs of life is half of it.
const PATIENCE: Duration = secs(1);

/// Longer than a machine that has much to do leaves a program without its turn.
const LONG: Duration = secs(20);

#[tokio::test]
async fn an_agent_is_ready_once_it_answers_gives_signs_of_life_and_says_that_it_ends() {
    let manager = Manager::bind();
    let mut agent = manager.start("run", "server: { bind: '127.0.0.1:0', drainDelay: 200ms }");
    let ready = manager.told("READY=1", LONG).await;
    assert!(ready.contains("STATUS="), "{ready}");
    let address = agent.address("address").await;
    assert_eq!(get(address, "/livez", &[]).await.unwrap().status, 200);
    lives(&manager, &mut agent).await;
    assert_eq!(agent.terminate().await, Some(0), "{}", agent.log());
    manager.told("STOPPING=1", LONG).await;
}

#[cfg(feature = "hub")]
#[tokio::test]
async fn a_hub_is_ready_once_it_answers_gives_signs_of_life_and_says_that_it_ends() {
    let manager = Manager::bind();
    let config = "server: { bind: '127.0.0.1:0' }\nops: { bind: '127.0.0.1:0' }";
    let mut hub = manager.start("hub", config);
    let ready = manager.told("READY=1", LONG).await;
    assert!(
        ready.contains("STATUS=agents: 0 Pending, 0 Alive"),
        "{ready}"
    );
    let ops = hub.address("ops").await;
    assert_eq!(get(ops, "/readyz", &[]).await.unwrap().status, 200);
    lives(&manager, &mut hub).await;
    assert_eq!(hub.terminate().await, Some(0), "{}", hub.log());
    manager.told("STOPPING=1", LONG).await;
}

/// A loop that turns is not enough: where only a restart helps, the manager restarts it.
#[tokio::test]
async fn no_sign_of_life_is_given_while_liveness_fails() {
    let manager = Manager::bind();
    let file = manager.folder.path().join("alive");
    std::fs::write(&file, "").expect("it can be written");
    let config = format!(
        "
server: {{ bind: '127.0.0.1:0' }}
checks:
  components:
    - name: file
      file: {{ path: {} }}
      interval: 100ms
      timeout: 50ms
      probes: [liveness]
",
        file.display()
    );
    let agent = manager.start("run", &config);
    manager.told("WATCHDOG=1", LONG).await;
    let address = agent.address("address").await;
    std::fs::remove_file(&file).expect("it is there");
    agent.answers(address, "/livez", 503).await;
    manager.is_silent().await;
    std::fs::write(&file, "").expect("it can be written");
    manager.told("WATCHDOG=1", LONG).await;
}

#[tokio::test]
async fn a_program_that_a_check_runs_does_not_reach_the_manager() {
    let manager = Manager::bind();
    let told = manager.folder.path().join("environment");
    let config = format!(
        "
server: {{ bind: '127.0.0.1:0' }}
checks:
  components:
    - name: nosy
      exec: {{ command: [sh, -c, 'env > {}'] }}
",
        told.display()
    );
    let agent = manager.start("run", &config);
    let address = agent.address("address").await;
    agent.answers(address, "/readyz/nosy", 200).await;
    let environment = std::fs::read_to_string(&told).expect("the check has written it");
    assert!(environment.contains("PWD="), "{environment}");
    for name in ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"] {
        assert!(!environment.contains(name), "{environment}");
    }
}

/// Signs of life come again and again, none while the loop stands still, and a SIGHUP is answered.
async fn lives(manager: &Manager, program: &mut Program) {
    for _ in 0..3 {
        manager.told("WATCHDOG=1", LONG).await;
    }
    program.signal("STOP").await;
    manager.is_silent().await;
    program.signal("CONT").await;
    manager.told("WATCHDOG=1", LONG).await;
    program.signal("HUP").await;
    let reloading = manager.told("RELOADING=1", LONG).await;
    assert!(reloading.contains("\nMONOTONIC_USEC="), "{reloading}");
    manager.told("READY=1", LONG).await;
}

/// What a service manager has: a socket.
struct Manager {
    socket: UnixDatagram,
    folder: TempDir,
}

// === impl Manager ===

impl Manager {
    fn bind() -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let socket = UnixDatagram::bind(path(folder.path())).expect("a socket can be bound");
        Self { socket, folder }
    }

    fn start(&self, command: &str, config: &str) -> Program {
        let socket = path(self.folder.path());
        let micros = PATIENCE.as_micros().to_string();
        let environment = [
            ("NOTIFY_SOCKET", socket.to_str().expect("a path in UTF-8")),
            ("WATCHDOG_USEC", &micros),
            ("PATH", "/usr/bin:/bin"),
        ];
        Program::start(command, config, &environment)
    }

    /// Waits for a notification with that line, and gives the whole.
    async fn told(&self, line: &str, within: Duration) -> String {
        let told = timeout(within, async {
            loop {
                let message = self.next().await;
                if message.lines().any(|told| told == line) {
                    return message;
                }
            }
        });
        told.await.unwrap_or_else(|_| panic!("{line} is not told"))
    }

    /// For twice the patience nothing gives a sign of life, but what was on its way.
    async fn is_silent(&self) {
        let mut buffer = [0; 1024];
        while self.socket.try_recv(&mut buffer).is_ok() {}
        let sign = timeout(2 * PATIENCE, self.told("WATCHDOG=1", LONG)).await;
        assert!(sign.is_err(), "{sign:?}");
    }

    async fn next(&self) -> String {
        let mut buffer = [0; 1024];
        let length = self.socket.recv(&mut buffer).await.expect("it is bound");
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    }
}

fn path(folder: &Path) -> PathBuf {
    folder.join("notify")
}
