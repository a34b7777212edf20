//! The pages that need a real kcp.

use super::Story;
use super::tell;
use super::whole;
use super::world::World;

/// The guide's objects are those that the runbook looks at.
#[tokio::test]
#[ignore = "needs kcp: cargo xtask integration"]
async fn what_the_guide_to_kcp_shows_is_real() {
    let world = World::on_kcp().await;
    tell(&whole("docs/kcp.md"), &world).await;
    let story = Story {
        typed: |command| command.starts_with("kubectl"),
        ..whole("docs/runbook.md")
    };
    tell(&story, &world).await;
}
