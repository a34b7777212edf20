//! A verdict with the core alone: results in, status and reasons out. Run it with
//! `cargo run -p health-core --example verdict`.
#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a program has a clock"
)]

use std::time::{Duration, Instant};

use health_core::{Board, ComponentSpec, Criticality, Outcome, Query, Scope};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let now = Instant::now();
    let mut board = Board::new(now);
    let database = board.register(ComponentSpec::new("database".parse()?), now)?;
    let cache = ComponentSpec::new("cache".parse()?).with_criticality(Criticality::Degrading);
    let cache = board.register(cache, now)?;
    board.record(database, Outcome::healthy(), Duration::from_millis(3), now);
    board.record(
        cache,
        Outcome::unhealthy("Refused", "port 6379"),
        Duration::ZERO,
        now,
    );
    let verdict = board.verdict(&Query::of(Scope::All), now);
    println!(
        "{} because {}: {}",
        verdict.status,
        verdict.reason,
        verdict.message()
    );
    Ok(())
}
