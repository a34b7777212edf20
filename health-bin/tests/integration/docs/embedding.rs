//! The guide to embedding, as its reader follows it: a new crate is made, built and run.

use std::path::Path;

use super::Story;
use super::tell;
use super::whole;
use super::world::World;
use crate::support::project;

/// Its first command.
const NEW: &str = "cargo new my-syncer";

#[tokio::test]
#[ignore = "needs to build a crate, and curl: cargo xtask integration"]
async fn what_the_guide_to_embedding_shows_is_real() {
    let mut world = World::new().await;
    for (variable, folder) in [("CARGO_HOME", ".cargo"), ("RUSTUP_HOME", ".rustup")] {
        let home = std::env::var("HOME").unwrap_or_default();
        let own = std::env::var(variable).unwrap_or_else(|_| format!("{home}/{folder}"));
        if Path::new(&own).exists() {
            world.shell.set(variable, &own);
        }
    }
    // Built once, and with the versions that all is tested with.
    let target = concat!(env!("CARGO_TARGET_TMPDIR"), "/embedding");
    world.shell.set("CARGO_TARGET_DIR", target);
    let done = world.shell.run(NEW).await;
    assert_eq!(done.code, 0, "{}", done.shown);
    let lock = std::fs::read_to_string(project("Cargo.lock"));
    world
        .shell
        .write("my-syncer/Cargo.lock", &lock.expect("it can be read"));
    let story = Story {
        typed: |command| command != NEW,
        ..whole("docs/embedding.md")
    };
    tell(&story, &world).await;
}
