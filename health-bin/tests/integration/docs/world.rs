//! What a page takes for granted, on free ports of loopback.

use crate::deploy::kubectl;
use crate::kcp::root;
use crate::support::Authority;
use crate::support::Cluster;
use crate::support::Service;
use crate::support::Shell;
use crate::support::free_ports;
use crate::support::project;

/// Where commands are typed, and what they meet.
pub(super) struct World {
    pub(super) shell: Shell,
    /// What stands on the page, and what stands for it here.
    instead: Vec<(String, String)>,
    _service: Service,
    _cluster: Cluster,
}

/// The folder that the shell is in.
pub(super) struct Place(String);

/// Ports that the pages name, beside those of the syncer.
const PORTS: [u16; 5] = [8081, 8082, 8083, 8091, 8092];

/// A syncer that answers probes and metrics.
const SYNCER: [u16; 3] = [8080, 8085, 8086];

/// Places that the pages name; they lie in the folder here.
const PLACES: [&str; 2] = ["/etc/", "/var/run/"];

/// Names that a person would put their own for.
const NAMES: [(&str, &str); 7] = [
    ("hub.example:", "localhost:"),
    ("WORKSPACE/NAME", "root:org:edge/edge-1"),
    ("NAME-heartbeat", "edge-1-heartbeat"),
    (".components.NAME", ".components.heartbeat"),
    ("component=NAME", "component=heartbeat"),
    // What is not there is not shown as null.
    ("| jq ", "| jq -e "),
    ("0.0.0.0:", "127.0.0.1:"),
];

/// What a command asks for where it does not say whom it asks.
const ASKED: [(&str, &str); 2] = [
    ("syncer-health status", " --url http://127.0.0.1:8081"),
    ("syncer-health probe", " --url http://127.0.0.1:8081"),
];

/// The token of the only target.
const TOKEN: &str = "s3cr3t";

// === impl World ===

impl World {
    pub(super) async fn new() -> Self {
        let service = Service::start().await;
        let cluster = Cluster::start().await;
        let mut shell = Shell::new();
        let mut instead = Vec::new();
        for port in SYNCER {
            instead.push((format!(":{port}"), format!(":{}", service.address().port())));
        }
        let free = free_ports::<6>();
        let free: Vec<_> = PORTS.into_iter().zip(free).collect();
        for (port, free) in &free {
            instead.push((format!(":{port}"), format!(":{free}")));
        }
        for place in PLACES {
            let here = shell.path(place.trim_start_matches('/'));
            instead.push((place.to_owned(), format!("{}/", here.display())));
        }
        let crates = format!("\"{}/", project("").display());
        instead.push(("\"../syncer-health/".to_owned(), crates));
        instead.extend(NAMES.map(|(name, own)| (name.to_owned(), own.to_owned())));
        for (name, port) in [
            ("SYNCER_HEALTH_SERVER_BIND", free[0].1),
            ("SYNCER_HEALTH_HUB_SERVER_BIND", free[1].1),
            ("SYNCER_HEALTH_HUB_OPS_BIND", free[2].1),
        ] {
            shell.set(name, &format!("127.0.0.1:{port}"));
        }
        shell.set("SYNCER_HEALTH_SERVER_DRAIN_DELAY", "0s");
        secrets(&mut shell, &cluster);
        Self {
            shell,
            instead,
            _service: service,
            _cluster: cluster,
        }
    }

    /// The same with `kubectl` and an administrator of the kcp that the suites run on.
    pub(super) async fn on_kcp() -> Self {
        let world = Self::new().await;
        world.shell.link("bin/kubectl", kubectl());
        let kubeconfig = std::env::var("SYNCER_HEALTH_TEST_KUBECONFIG");
        let kubeconfig = kubeconfig.expect("run cargo xtask integration");
        root(&kubeconfig).await;
        // The page writes into it.
        std::fs::copy(kubeconfig, world.shell.path("admin.kubeconfig")).expect("a copy");
        world
    }

    /// A text of a page, as it is typed here.
    pub(super) fn here(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (command, whom) in ASKED {
            let asks_here = text.starts_with(command) && !text.contains("--url");
            let of_a_hub = ["root:", " -/", "--verdict"]
                .iter()
                .any(|it| text.contains(it));
            if asks_here && of_a_hub {
                text.insert_str(command.len(), &whom.replace("8081", "8083"));
            } else if asks_here {
                text.insert_str(command.len(), whom);
            }
        }
        for (there, here) in &self.instead {
            text = text.replace(there, here);
        }
        text
    }

    pub(super) fn place(&self) -> Place {
        let folder = self.shell.path("");
        Place(folder.to_str().expect("a path in UTF-8").to_owned())
    }
}

// === impl Place ===

impl Place {
    /// What was shown here, as the page shows it; ports are numbers, which do not count.
    pub(super) fn there(&self, text: &str) -> String {
        let text = text.replace(&self.0, "/");
        text.replace("localhost:", "hub.example:")
    }
}

/// What the pages' configurations name, and `curl`, for which an error is one.
fn secrets(shell: &mut Shell, cluster: &Cluster) {
    let authority = Authority::new("the hub's");
    let (certificate, key) = authority.issue();
    shell.write("etc/hub/tls.crt", &certificate);
    shell.write("etc/hub/tls.key", &key);
    shell.write("etc/hub/ca.crt", &authority.pem());
    shell.write(
        "etc/hub/tokens.yaml",
        &format!("\"root:org:edge/edge-1\": {TOKEN}\n"),
    );
    shell.write("var/run/secrets/hub/token", TOKEN);
    let kubeconfig = std::fs::read_to_string(cluster.kubeconfig()).expect("it can be read");
    shell.write("etc/kcp/kubeconfig", &kubeconfig);
    shell.write(".curlrc", "fail\nshow-error\n");
    let trusted = shell.path("etc/hub/ca.crt");
    shell.set("SSL_CERT_FILE", trusted.to_str().expect("a path in UTF-8"));
}
