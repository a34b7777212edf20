//! Subcommand: cargo xtask features

use xshell::Shell;
use xshell::cmd;

/// Each transport alone, both, none, the hub, and gRPC health of an agent and of a hub; and of which
/// tests the name must hold what, since gRPC changes nothing for the others.
const SETS: [(&str, &str); 7] = [
    ("", ""),
    ("transport-ws", ""),
    ("transport-lease", ""),
    ("transport-ws,transport-lease", ""),
    ("hub", ""),
    ("grpc", "grpc"),
    ("hub,grpc", "grpc"),
];

/// The libraries, each built alone: none may lean on what another one switches on.
const ALONE: [&str; 6] = [
    "health-core",
    "health-core --all-features",
    "health-checks",
    "health-heartbeat",
    "health-transport-ws",
    "health-transport-lease",
];

/// Builds and tests the program with each set of transports, and builds each library alone.
pub(crate) fn run(sh: &Shell) -> anyhow::Result<()> {
    for (set, tests) in SETS {
        println!(
            "--- health-bin with {}",
            if set.is_empty() { "no transport" } else { set }
        );
        let features = ["--no-default-features", "--features", set];
        let targets = ["--lib", "--test", "integration"];
        cmd!(
            sh,
            "cargo test --locked -p health-bin {targets...} {features...} -- {tests}"
        )
        .run()?;
        let deny = ["--", "-D", "warnings"];
        cmd!(
            sh,
            "cargo clippy --quiet --locked -p health-bin --all-targets {features...} {deny...}"
        )
        .run()?;
    }
    // Only a binary chooses the version of Kubernetes; a library alone is told one.
    let _version = sh.push_env("K8S_OPENAPI_ENABLED_VERSION", "1.33");
    for package in ALONE {
        println!("--- {package} alone");
        let package = package.split(' ');
        cmd!(sh, "cargo check --quiet --locked --lib -p {package...}").run()?;
    }
    Ok(())
}
