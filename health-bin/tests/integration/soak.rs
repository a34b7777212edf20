//! A hub and its agents as processes, under faults for minutes: nobody who lives is convicted, and
//! memory, files and threads stay what they were. `cargo xtask soak --minutes 10` runs it.

mod fault;

mod size;

mod world;

use std::time::Duration;
use std::time::Instant;

use self::fault::Fault;
use self::size::Sizes;
use self::world::World;

/// How long it takes where nobody says otherwise.
const MINUTES: f64 = 2.0;

/// What fills at the beginning, as caches and histories, is not counted.
const WARM_UP_SHARE: f64 = 0.25;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs minutes: cargo xtask soak"]
async fn under_faults_nobody_who_lives_is_convicted_and_nothing_grows() {
    let duration = duration();
    let began = Instant::now();
    let mut world = World::start(seed()).await;
    let mut told = Told::default();

    while began.elapsed() < duration.mul_f64(WARM_UP_SHARE) {
        told.faults.push(world.round().await);
    }
    world.calm_down().await;
    let before = world.sizes();
    let mut sizes = Sizes::default();
    while began.elapsed() < duration {
        told.faults.push(world.round().await);
        sizes.note(&world.sizes());
    }
    world.calm_down().await;
    let after = world.sizes();

    told.print(began.elapsed());
    sizes.print(&before, &after);
    world.nobody_who_lived_was_convicted().await;
    sizes.assert_flat(&before, &after);
    world.ends_cleanly().await;
}

/// What was done to it.
#[derive(Default)]
struct Told {
    faults: Vec<Fault>,
}

// === impl Told ===

impl Told {
    #[expect(clippy::print_stdout, reason = "people read what a soak was")]
    fn print(&self, took: Duration) {
        println!("soak: {} faults in {took:.0?}:", self.faults.len());
        for fault in Fault::ALL {
            let times = self.faults.iter().filter(|it| **it == fault).count();
            println!("  {times:4} x {fault:?}");
        }
    }
}

fn duration() -> Duration {
    let minutes = variable("SYNCER_HEALTH_SOAK_MINUTES").unwrap_or(MINUTES);
    Duration::from_secs_f64(minutes * 60.0)
}

/// The same faults in the same order, as far as processes allow.
fn seed() -> u64 {
    variable("SYNCER_HEALTH_SOAK_SEED").unwrap_or(1)
}

fn variable<T: std::str::FromStr>(name: &str) -> Option<T> {
    let value = std::env::var(name).ok()?;
    let parsed = value.parse().ok();
    assert!(parsed.is_some(), "{name}={value:?} is no number");
    parsed
}
