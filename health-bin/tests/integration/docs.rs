//! What the documentation shows is so: its commands work, its files are right, its output is real.

mod commands;

mod embedding;

mod kcp;

mod page;

mod story;

mod world;

use std::collections::BTreeSet;

use commands::ELSEWHERE;
use page::What;
use page::steps;
use story::Story;
use story::tell;
use world::World;

use crate::support::project;

/// Every page, and who does what it says.
const PAGES: [(&str, Test); 14] = [
    ("README.md", Test::Loopback),
    ("deploy/README.md", Test::ApiServer),
    ("docs/README.md", Test::Nothing),
    ("docs/api-syncagent.md", Test::Loopback),
    ("docs/concepts.md", Test::Loopback),
    ("docs/configuration.md", Test::Nothing),
    ("docs/embedding.md", Test::NewCrate),
    ("docs/kcp.md", Test::Kcp),
    ("docs/metrics.md", Test::Nothing),
    ("docs/protocol.md", Test::Nothing),
    ("docs/runbook.md", Test::Loopback),
    ("docs/scaling.md", Test::Nothing),
    ("docs/tracing.md", Test::Nothing),
    ("docs/upgrading.md", Test::Nothing),
];

/// Who does what a page says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Test {
    /// There is nothing to do.
    Nothing,
    /// A test of this file.
    Loopback,
    /// `docs/kcp.rs`, on a real one.
    Kcp,
    /// `docs/embedding.rs`, with cargo.
    NewCrate,
    /// `deploy/readme.rs`, on a real API server.
    ApiServer,
}

/// What a page has its reader write that is no configuration.
const OTHER_FILES: [&str; 3] = ["tokens.yaml", "workspace.yaml", "synctarget.yaml"];

#[test]
fn there_is_a_test_for_every_page() {
    let mut found = BTreeSet::from(["README.md".to_owned(), "deploy/README.md".to_owned()]);
    for file in std::fs::read_dir(project("docs")).expect("a folder") {
        let name = file
            .expect("a file")
            .file_name()
            .into_string()
            .expect("UTF-8");
        if name.ends_with(".md") {
            found.insert(format!("docs/{name}"));
        }
    }
    let known: BTreeSet<_> = PAGES.iter().map(|(page, _)| (*page).to_owned()).collect();
    assert_eq!(found, known);
    for (page, test) in PAGES {
        let steps = steps(page);
        assert_eq!(steps.is_empty(), test == Test::Nothing, "{page}: {steps:?}");
    }
}

#[test]
fn each_command_that_no_story_types_is_on_a_page() {
    let mut unused: BTreeSet<_> = ELSEWHERE.iter().map(|(command, _)| *command).collect();
    for step in PAGES.iter().flat_map(|(page, _)| steps(page)) {
        if let What::Command(command) = step.what {
            unused.retain(|it| !command.starts_with(it));
        }
    }
    assert!(unused.is_empty(), "{unused:?}");
}

#[tokio::test]
async fn each_configuration_is_right() {
    let mut checked = 0;
    for (page, _) in PAGES {
        let world = World::new().await;
        write_files(page, &world);
        for step in steps(page) {
            let What::File { name, text } = step.what else {
                continue;
            };
            world.shell.write(&name, &world.here(&text));
            let Some(hub) = is_hub(&name) else {
                assert!(
                    OTHER_FILES.contains(&&*name)
                        || [".rs", ".toml"].iter().any(|it| name.ends_with(it)),
                    "{}",
                    step.at
                );
                continue;
            };
            // What a command of the page makes.
            world.shell.write("edge-1", "any\n");
            for made in ["agent.kubeconfig", "hub.kubeconfig"] {
                let kubeconfig = world.shell.path("etc/kcp/kubeconfig");
                std::fs::copy(kubeconfig, world.shell.path(made)).expect("a copy");
            }
            let check = format!("syncer-health config check --config {name} {hub}");
            let done = world.shell.run(&check).await;
            assert_eq!(done.shown, "the configuration is right\n", "{}", step.at);
            checked += 1;
        }
    }
    assert!(checked >= 8, "{checked}");
}

/// The flag that the file wants; nothing where it is no configuration.
fn is_hub(name: &str) -> Option<&'static str> {
    let begins = |with: &str| name.starts_with(with) && name.ends_with(".yaml");
    match (begins("agent"), begins("hub")) {
        (true, _) => Some(""),
        (false, true) => Some("--hub"),
        (false, false) => None,
    }
}

#[test]
fn each_link_leads_somewhere() {
    let mut links = 0;
    for (page, _) in PAGES {
        let text = std::fs::read_to_string(project(page)).expect("it can be read");
        for link in text.split("](").skip(1) {
            let link = link.split(')').next().unwrap_or_default();
            if link.starts_with("https:") {
                continue;
            }
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let there = match file {
                "" => project(page),
                file => project(page).parent().expect("a folder").join(file),
            };
            assert!(there.exists(), "{page}: {link}");
            let known = anchor.is_empty() || anchors(&there).contains(anchor);
            assert!(known, "{page}: {link}");
            links += 1;
        }
    }
    assert!(links > 50, "{links}");
}

/// The anchors of a page's titles.
fn anchors(page: &std::path::Path) -> BTreeSet<String> {
    let text = std::fs::read_to_string(page).expect("it can be read");
    let titles = text.lines().filter(|line| line.starts_with('#'));
    let anchor = |title: &str| {
        let kept = |c: &char| c.is_alphanumeric() || " -_".contains(*c);
        let title = title.trim_start_matches('#').trim().to_lowercase();
        title
            .chars()
            .filter(kept)
            .collect::<String>()
            .replace(' ', "-")
    };
    titles.map(anchor).collect()
}

#[tokio::test]
async fn what_is_shown_beside_api_syncagent_is_real() {
    let world = World::new().await;
    write_files("README.md", &world);
    let story = Story {
        running: &["syncer-health hub --config hub.yaml"],
        ..whole("docs/api-syncagent.md")
    };
    tell(&story, &world).await;
}

#[tokio::test]
#[ignore = "needs curl and jq: cargo xtask integration"]
async fn what_the_concepts_show_is_real() {
    tell(&whole("docs/concepts.md"), &World::new().await).await;
}

#[tokio::test]
#[ignore = "needs curl and jq: cargo xtask integration"]
async fn the_readmes_commands_work() {
    let world = World::new().await;
    write_files("README.md", &world);
    let story = Story {
        // The hub of its agent is somewhere.
        running: &["syncer-health hub --config hub.yaml"],
        // That needs a real server: `docs/kcp.rs`.
        typed: |command| !command.contains("kubectl"),
        ..whole("README.md")
    };
    tell(&story, &world).await;
}

#[tokio::test]
#[ignore = "needs curl and jq: cargo xtask integration"]
async fn what_the_runbook_asks_is_answered() {
    let world = World::new().await;
    write_files("README.md", &world);
    let story = Story {
        running: &[
            "syncer-health hub --config hub.yaml",
            "SYNCER_HEALTH_CLUSTER_KUBECONFIG=/etc/kcp/kubeconfig syncer-health run --config agent.yaml",
        ],
        typed: |command| !command.contains("kubectl"),
        ..whole("docs/runbook.md")
    };
    tell(&story, &world).await;
}

/// All of a page, where nothing is there yet.
fn whole(page: &'static str) -> Story {
    Story {
        page,
        running: &[],
        typed: |_| true,
    }
}

/// Writes the files of a page.
fn write_files(page: &str, world: &World) {
    for step in steps(page) {
        if let What::File { name, text } = step.what {
            world.shell.write(&name, &world.here(&text));
        }
    }
}
