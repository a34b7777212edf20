//! Which commands are typed how.

/// Commands that no story types, and who does instead: the first that a command begins with counts.
pub(super) const ELSEWHERE: [(&str, &str); 7] = [
    ("cargo xtask test", "the first line of CI"),
    (
        "cargo xtask kcp up",
        "cargo xtask integration types it, and `down` in the end",
    ),
    (
        "cargo xtask sim --replay",
        "flight.rs saves one, the simulation's tests and CI after its seeds replay one",
    ),
    (
        "cargo run --release -p health-bin -- demo",
        "it is on the default ports on purpose: fleet.rs runs it",
    ),
    (
        "cargo install --locked --path health-bin",
        "CI does after the demo, and looks at what it puts there",
    ),
    (
        "systemctl ",
        "there is no systemd in a test: systemd.rs speaks its protocol, xtask checks the units",
    ),
    (
        "docker build",
        "xtask holds the Dockerfile to the tree, deploy/readme.rs to the manifests",
    ),
];

/// What a person does not wait for the end of.
const LASTING: [&str; 6] = [
    "cargo run",
    "syncer-health run ",
    "syncer-health hub ",
    "syncer-health demo",
    "curl -sN ",
    "curl -N ",
];

/// What is asked again until what it asks for has come about.
const ASKING: [&str; 7] = [
    "curl ",
    "jq ",
    "grep ",
    "syncer-health status",
    "syncer-health probe",
    "kubectl get ",
    "kubectl wait ",
];

/// How a command is typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Manner {
    /// Once, to its end.
    Once,
    /// Again, until it succeeds.
    Asking,
    /// It goes on while other commands are typed.
    Lasting,
    /// By another test, which is named.
    Elsewhere(&'static str),
}

/// How a command is typed.
pub(super) fn manner(command: &str) -> Manner {
    let elsewhere = ELSEWHERE.iter().find(|(it, _)| command.starts_with(it));
    if let Some((_, who)) = elsewhere {
        return Manner::Elsewhere(who);
    }
    let plain = without_variables(command);
    let begins = |all: &[&str]| all.iter().any(|it| plain.starts_with(it));
    let watches = plain.starts_with("syncer-health status") && plain.contains(" --watch");
    if plain.ends_with('&') || watches || begins(&LASTING) {
        Manner::Lasting
    } else if begins(&ASKING) {
        Manner::Asking
    } else {
        Manner::Once
    }
}

/// `NAME=value command` without the variables.
fn without_variables(command: &str) -> &str {
    let mut rest = command;
    while let Some((word, after)) = rest.split_once(' ') {
        let name = word.split_once('=').map_or("", |(name, _)| name);
        if name.is_empty() || !name.chars().all(|c| c.is_ascii_uppercase() || c == '_') {
            break;
        }
        rest = after;
    }
    rest
}

#[test]
fn a_command_is_typed_as_a_person_would() {
    for (command, expected) in [
        (
            "syncer-health config check --config agent.yaml",
            Manner::Once,
        ),
        (
            "SYNCER_HEALTH_IDENTITY=b syncer-health run --config a.yaml",
            Manner::Lasting,
        ),
        ("python3 server.py 2>log &", Manner::Lasting),
        ("syncer-health status --watch", Manner::Lasting),
        ("syncer-health status", Manner::Asking),
        ("curl -sN http://127.0.0.1:8083/events", Manner::Lasting),
        ("curl -s http://127.0.0.1:8083/fleet", Manner::Asking),
        ("HUB=http://127.0.0.1:8083", Manner::Once),
    ] {
        assert_eq!(manner(command), expected, "{command}");
    }
    assert!(matches!(manner("docker build ."), Manner::Elsewhere(_)));
}
