//! What holds whatever happens.

use super::world::World;
use super::world::lease;
use super::world::path;
use super::world::secs;
use super::*;

/// Any interleaving of writes, lists, streams that end, stall, forget or fail, ends with the view
/// that a fresh list has; and nothing is ever told as gone that was not known, or twice as first.
#[test]
fn whatever_happens_the_view_ends_as_a_fresh_list() {
    for seed in 0..200 {
        let mut chance = fastrand::Rng::with_seed(seed);
        let mut world = World::new();
        for time in 0..120 {
            act(&mut world, &mut chance, time);
        }
        world.model.stall_streams(false);
        // The faults that are left, and the longest silence.
        world.run(secs(600));
        assert_eq!(world.view, world.truth(), "seed {seed}");
        assert_eq!(world.view.len(), world.machine.sightings().len());
        assert!(world.is_streaming(), "seed {seed}");
    }
}

fn act(world: &mut World, chance: &mut fastrand::Rng, time: u64) {
    let name = format!("edge-{}", chance.u8(0..8));
    match chance.u8(0..20) {
        0..6 => world.renew(&name, time),
        6 => drop(world.model.delete(&path(&name))),
        7 => {
            let mut moved = lease(&name, time);
            let label = format!("edge-{}", chance.u8(0..8));
            moved["metadata"]["labels"]["syncer-health/sync-target"] = label.into();
            world.model.put(&path(&name), moved);
        }
        8 => {
            let mut bare = lease(&name, time);
            bare["metadata"]["labels"] = Value::Null;
            world.model.put(&path(&name), bare);
        }
        9 => world.model.forget(),
        10 => world.model.end_streams(),
        11 => world.model.stall_streams(chance.bool()),
        12 if world.is_streaming() => {
            world.end(Some(ApiError::new(ErrorKind::Connection, "reset")));
        }
        13 => {
            let fault = [
                Fault::Status(410),
                Fault::Status(500),
                Fault::Busy(3),
                Fault::Lost,
                Fault::Stalled,
                Fault::StreamError(410),
                Fault::StreamError(500),
            ];
            let fault = fault[chance.usize(0..fault.len())];
            world.model.fail([Fault::None, fault]);
        }
        _ => {
            let wait = Duration::from_millis(chance.u64(0..20_000));
            world.run(wait);
        }
    }
    world.settle();
}
